"""The encoder of themes: torch and its graph agree, padding changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kapelle import models
from kapelle.bundles.load import Bundle
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.quantise import quantise
from kapelle.bundles.session import Embedder
from kapelle.models import theme_encoder

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

CONFIG = theme_encoder.Config(pitch=50, interval=50, onset=33, duration=33, d_model=32, n_head=4, n_layer=2, d_ff=48, d_out=16)


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return theme_encoder.build(CONFIG).eval()


def arrays(network: Any) -> dict[str, NDArray[np.float32]]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def session(network: Any, *, small: bool = False) -> Embedder:
    graph = theme_encoder.graphs(CONFIG, arrays(network))["encode"]
    onnx.checker.check_model(graph)
    data = (quantise(graph) if small else graph).SerializeToString()
    manifest = Manifest("probe", "theme_encoder", "encoder", {"encode": "encode.onnx"}, {}, "")
    return Embedder(Bundle(Path("probe"), manifest, "", {"encode.onnx": data}))


def rows(n: int, longest: int, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Ids of rows of all lengths."""
    draw = np.random.default_rng(seed)
    made = {kind: draw.integers(1, size, (n, longest)) for kind, size in CONFIG.kinds.items()}
    for row, length in enumerate(draw.integers(1, longest + 1, n)):
        for ids in made.values():
            ids[row, length:] = 0
    return made


def of_torch(network: Any, ids: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.asarray(network({kind: torch.from_numpy(values) for kind, values in ids.items()}).numpy())


def test_the_graph_gives_what_the_network_gives(network: Any) -> None:
    ids = rows(17, 20)
    made = session(network).embed(ids)
    assert made.shape == (17, 16) and made.dtype == np.float32
    np.testing.assert_allclose(made, of_torch(network, ids), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)


def test_eight_bits_are_near(network: Any) -> None:
    ids = rows(9, 12)
    small = session(network, small=True).embed(ids)
    assert np.linalg.norm(small - of_torch(network, ids), axis=1).max() < 0.05


@pytest.mark.parametrize("small", [False, True])
def test_neither_padding_nor_neighbours_change_a_point(network: Any, small: bool) -> None:
    ids, encoder = rows(6, 12), session(network, small=small)
    together = encoder.embed(ids)
    for row in range(6):
        length = int((ids["onset"][row] > 0).sum())
        alone = encoder.embed({kind: values[row : row + 1, :length] for kind, values in ids.items()})
        filled = encoder.embed({kind: np.pad(values[row : row + 1, :length], ((0, 0), (0, 9))) for kind, values in ids.items()})
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5 if not small else 0.02)
        np.testing.assert_allclose(filled[0], together[row], atol=1e-5 if not small else 0.02)


def test_a_row_of_nothing_is_a_point_too(network: Any) -> None:
    nothing = {kind: np.zeros((2, 3), np.int64) for kind in CONFIG.kinds}
    made = session(network).embed(nothing)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made, of_torch(network, nothing), atol=1e-5)


def test_the_graph_gives_the_weights_back(network: Any) -> None:
    from onnx import numpy_helper

    graph = theme_encoder.graphs(CONFIG, arrays(network))["encode"]
    constants = {"encode": {item.name: numpy_helper.to_array(item) for item in graph.graph.initializer}}
    back, held = theme_encoder.weights(CONFIG, constants), arrays(network)
    assert set(back) == set(held)
    assert all((back[name] == held[name]).all() for name in held)


def test_the_family_says_what_it_is() -> None:
    family = models.family("theme_encoder")
    assert family.KIND == "encoder" and family.states(CONFIG) == ()
    default = theme_encoder.Config(pitch=50, interval=50, onset=33, duration=33)
    assert sum(parameter.numel() for parameter in theme_encoder.build(default).parameters()) == 302_976
