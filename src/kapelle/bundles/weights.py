"""The weights of a bundle back as training knows them: 32-bit floats under the names of ``state_dict()``.

Takes a checked bundle, gives arrays with which a network can be trained on. What `quantise` rounded stays rounded: a value from an 8-bit
block is off by half the block's step at most, one from a 16-bit table by 5e-4 of itself. Names and layout are the family's business: its
function ``weights`` undoes its function ``graphs``. Needs the onnx package (extra ``train``), no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config, models
from kapelle.bundles.export import recipe_table
from kapelle.bundles.quantise import ZERO_POINT
from kapelle.errors import BundleError, Missing, UsageError

if TYPE_CHECKING:
    from kapelle.bundles.load import Bundle
    from kapelle.bundles.manifest import Manifest


def weights(bundle: Bundle) -> dict[str, np.ndarray]:
    """Every parameter of the network by name, float32; tied ones once, as in a run's ``weights.safetensors``.

    Raises:
        BundleError: The graphs lack what the family writes into them, or the manifest does not tell the shape.
        UsageError: The family cannot be read back.
        Missing: The extra ``train`` is not installed.
    """
    family = models.family(bundle.manifest.family)
    read = getattr(family, "weights", None)
    if read is None:
        raise UsageError("the weights of the family {family} cannot be read back", family=bundle.manifest.family)
    found = {role: constants(bundle.graph(role)) for role in bundle.manifest.graphs}
    try:
        arrays: dict[str, np.ndarray] = read(shape(bundle.manifest), found)
    except KeyError as error:
        raise BundleError("{name} lacks the weights {weights}", name=bundle.path, weights=error, hint="export the model again") from error
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def shape(manifest: Manifest) -> Any:
    """The Config of the family: from the manifest's options, or from the recipe in it where a bundle is older than that entry.

    Raises:
        BundleError: Neither says it.
    """
    family, where = models.family(manifest.family), f"bundle.json of {manifest.name}: model"
    table = manifest.options.get("model")
    if table is None:
        table = dict(recipe_table(manifest.provenance.recipe, where).get("model", {}))
        if not table or "vocabulary" not in manifest.options:
            raise BundleError("{name} does not tell the shape of its network", name=manifest.name, hint="export the model again")
        table["vocabulary"] = manifest.options["vocabulary"]
    return config.build(family.Config, table, where)


def constants(graph: bytes) -> dict[str, np.ndarray]:
    """The constants of an ONNX file by the names that they had before `quantise`, floats in 32 bits.

    Args:
        graph: A file that `kapelle.bundles.load` has checked.

    Raises:
        Missing: The onnx package is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise Missing("training needs packages that are not installed", hint="pip install 'kapelle[train]'") from error
    model = onnx.load_model_from_string(graph)
    held = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    out: dict[str, np.ndarray] = {}
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            _from_blocks(node, held, out)
        elif node.op_type == "DynamicQuantizeLSTM":
            _from_columns(node, held, out)
    for name, array in held.items():
        half = array.dtype == np.float16 and name.endswith(".half")
        out[name.removesuffix(".half") if half else name] = array.astype(np.float32) if half else array
    return out


def _from_blocks(node: Any, held: dict[str, np.ndarray], out: dict[str, np.ndarray]) -> None:
    """Move the matrix (K, N) of a MatMulNBits from its blocks into `out`."""
    levels, scales = held.pop(node.input[1]), held.pop(node.input[2])  # (N, blocks, size), (N, blocks)
    inner = next(attribute.i for attribute in node.attribute if attribute.name == "K")
    values = (levels.astype(np.float32) - ZERO_POINT) * scales.reshape(*levels.shape[:2], 1)
    out[node.input[1].removesuffix(".blocks")] = values.reshape(len(levels), -1)[:, :inner].T


def _from_columns(node: Any, held: dict[str, np.ndarray], out: dict[str, np.ndarray]) -> None:
    """Move the two matrices (1, 4D, K) of a DynamicQuantizeLSTM from their bytes into `out`."""
    for matrix, scale, zero in ((1, 8, 9), (2, 10, 11)):
        levels, scales, zeros = (held.pop(node.input[place]) for place in (matrix, scale, zero))  # (1, K, 4D), (1, 4D) twice
        values = (levels.astype(np.float32) - zeros[:, None]) * scales[:, None]
        out[node.input[matrix].removesuffix(".columns")] = values.transpose(0, 2, 1)
