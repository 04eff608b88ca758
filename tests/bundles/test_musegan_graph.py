"""Networks that make piano-rolls as bundles: the graph says what the network says, and a run becomes a bundle that plays."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kapelle import config as configs
from kapelle import models
from kapelle.bundles import load
from kapelle.bundles.export import ExportOptions, export
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.quantise import quantise
from kapelle.bundles.session import Generator
from kapelle.errors import CannotObey, CheckpointError, UsageError

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.numpy")

pytestmark = pytest.mark.train
torch.set_num_threads(1)

TRACKS = ["drums", "piano", "guitar", "bass", "strings"]
FORMS = {
    "tutorial": {"name": "tutorial", "steps_per_bar": 16, "n_pitches": 72, "lowest_pitch": 24},
    "paper": {"name": "paper", "steps_per_bar": 96, "n_pitches": 84, "lowest_pitch": 24},
}
WIDE = 0.25
"""Share of the paper's channels where 8 bits are judged; elsewhere less, for speed."""


def shape_of(family: str, form: str = "tutorial", **model: Any) -> Any:
    told = FORMS[form]
    sizes = {"n_tracks": 5, "n_bars": 4, "n_steps": told["steps_per_bar"], "n_pitches": told["n_pitches"]}
    return configs.build(models.family(family).Config, {**model, **sizes})


def trained(family: str, shape: Any, seed: int = 0) -> Any:
    """A network with weights and statistics as after some training: its outputs differ, and its norms have seen them."""
    torch.manual_seed(seed)
    network = models.family(family).build(shape)
    part = network.averaged
    with torch.no_grad():
        for weight in part.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        part.train()
        for index in range(20):
            part(latents(family, shape, 16, index), given(shape, 16, index) if shape.conditional else None)
    return network.eval()


def latents(family: str, shape: Any, n: int, seed: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, *sides, generator=draw) for name, sides in models.family(family).latents(shape).items()}


def given(shape: Any, n: int, seed: int) -> Any:
    """The lead of a conditional network, in its own range."""
    cells = torch.rand(n, 5, shape.bars, shape.n_steps, shape.n_pitches, generator=torch.Generator().manual_seed(seed)) < 0.05
    cells[:, 1:] = False
    return cells.float() * 2 - 1


def arrays(network: Any) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def session(graph: Any) -> Generator:
    manifest = Manifest("probe", "musegan", "one_shot", {"generate": "generate.onnx"}, {}, "")
    return Generator(load.Bundle(Path("probe"), manifest, "", {"generate.onnx": graph.SerializeToString()}))


def inputs(family: str, shape: Any, n: int = 3, seed: int = 50) -> tuple[dict[str, Any], Any, dict[str, np.ndarray]]:
    """Latents and lead for the network, and both for the graph."""
    made, lead = latents(family, shape, n, seed), given(shape, n, seed) if shape.conditional else None
    taken = {name: value.numpy() for name, value in made.items()}
    return made, lead, taken if lead is None else {**taken, "given": (lead.numpy() + 1) / 2}


def assert_same_cells(found: np.ndarray, expected: np.ndarray) -> None:
    """The same cells sound, but for those that rounding puts on the other side of 0."""
    clear = np.abs(found) > 1e-5
    assert clear.mean() > 0.999
    np.testing.assert_array_equal((found > 0)[clear], (expected > 0)[clear])


KINDS = [*itertools.product(("jamming", "composer", "hybrid"), (True, False), (True, False))]


@pytest.mark.parametrize(("model", "temporal", "conditional"), KINDS)
def test_the_graph_gives_what_the_network_gives(model: str, temporal: bool, conditional: bool) -> None:
    shape = shape_of("musegan", model=model, temporal=temporal, conditional=conditional, width=0.06)
    network = trained("musegan", shape)
    made, lead, taken = inputs("musegan", shape)
    found = session(models.family("musegan").graphs(shape, arrays(network))["generate"]).generate(taken)["scores"]
    expected = network.averaged.raw(made, lead).detach().numpy()
    assert found.shape == (3, 5, 4 if temporal else 1, 16, 72)
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert_same_cells(found, network.averaged(made, lead).detach().numpy())


def test_the_graph_of_the_papers_form_gives_what_the_network_gives() -> None:
    shape = shape_of("musegan", "paper", conditional=True, width=0.06)
    network = trained("musegan", shape)
    made, lead, taken = inputs("musegan", shape, 2)
    found = session(models.family("musegan").graphs(shape, arrays(network))["generate"]).generate(taken)["scores"]
    np.testing.assert_allclose(found, network.averaged.raw(made, lead).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("binary", ["deterministic", "stochastic"])
def test_binary_neurons_become_signs(binary: str) -> None:
    shape = shape_of("musegan", model="composer", width=0.06, binary=binary)
    network = trained("musegan", shape)
    made, _, taken = inputs("musegan", shape)
    found = session(models.family("musegan").graphs(shape, arrays(network))["generate"]).generate(taken)["scores"]
    hard = network.averaged(made).detach().numpy()
    assert np.unique(hard).tolist() == [-1, 1]
    assert_same_cells(found, hard)


def test_the_graph_of_the_tutorial_gives_what_its_network_gives() -> None:
    shape = shape_of("musegan_tutorial")
    family, network = models.family("musegan_tutorial"), trained("musegan_tutorial", shape)
    made, _, taken = inputs("musegan_tutorial", shape)
    found = session(family.graphs(shape, arrays(network))["generate"]).generate(taken)["scores"]
    expected = network.averaged(made).detach().numpy() - 0.5
    np.testing.assert_allclose(np.maximum(found, -0.5), expected, atol=1e-5)  # the graph stops before the last ReLU
    assert (expected > 0).any() and (expected < 0).any()


@pytest.mark.parametrize(
    ("family", "model"), [("musegan", {"width": WIDE}), ("musegan", {"width": WIDE, "conditional": True}), ("musegan_tutorial", {})]
)
def test_eight_bits_change_few_cells_and_take_a_quarter(family: str, model: dict[str, Any]) -> None:
    shape = shape_of(family, **model)
    network = trained(family, shape)
    graph = models.family(family).graphs(shape, arrays(network))["generate"]
    small = quantise(graph)
    assert "MatMul" not in {node.op_type for node in small.graph.node}
    assert small.ByteSize() < 0.31 * graph.ByteSize()
    taken = inputs(family, shape, 1)[2]
    found, exact = session(small).generate(taken)["scores"], session(graph).generate(taken)["scores"]
    assert np.abs(found - exact).max() < 0.25 * exact.std()
    assert ((found > 0) != (exact > 0)).mean() < 0.01


# --- a run becomes a bundle -----------------------------------------------------------------------------------------------


def write_run(folder: Path, family: str, form: str = "tutorial", **model: Any) -> tuple[Path, Any]:
    """A run folder as training leaves it, and its network."""
    shape = shape_of(family, form, **model)
    network = trained(family, shape)
    folder.mkdir()
    told = "".join(f"{key} = {json.dumps(value)}\n" for key, value in model.items())
    recipe = f'name = "small-band"\nfamily = "{family}"\ncodec = "roll"\nobjective = "adversarial"\n[model]\n{told}'
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    sizes = {"n_tracks": 5, "n_bars": 4, "n_steps": shape.n_steps, "n_pitches": shape.n_pitches}
    shards = {"codec": "roll", "tracks": TRACKS, "form": FORMS[form], "sizes": sizes, "normalised_key": True,
              "sources": [{"name": "songs", "licence": "CC0"}]}  # fmt: skip
    (folder / "shards.json").write_text(json.dumps(shards), encoding="utf-8")
    (folder / "figures.json").write_text(json.dumps({"step": 40, "best": {"step": 30.0, "distance": 2.5}}), encoding="utf-8")
    kept = {name: value for name, value in arrays(network).items() if value.dtype == np.float32}
    (folder / "weights.safetensors").write_bytes(safetensors.save(kept))
    return folder, network


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("musegan", {"model": "hybrid", "width": 0.06}),
        ("musegan", {"model": "hybrid", "width": 0.06, "conditional": True}),
        ("musegan", {"model": "composer", "width": 0.06, "binary": "deterministic"}),
        ("musegan", {"model": "jamming", "width": 0.06}),
        ("musegan", {"model": "jamming", "width": 0.06, "temporal": False}),
        ("musegan_tutorial", {}),
    ],
)
def test_a_run_becomes_a_bundle_that_plays(family: str, model: dict[str, Any], tmp_path: Path) -> None:
    run, network = write_run(tmp_path / "run", family, **model)
    shape = shape_of(family, **model)
    made = export(run, tmp_path / "band", ExportOptions(precision="fp32"))
    bundle = load.load(tmp_path / "band")
    options = bundle.manifest.options
    assert (made.kind, made.codec, sorted(made.files)) == ("one_shot", "roll", ["card.md", "generate.onnx"])
    assert (options["tracks"], options["form"], options["normalised_key"]) == (TRACKS, FORMS["tutorial"], True)
    assert (options["bars"], options["conditional"]) == (shape.bars, shape.conditional)
    assert {name: tuple(sides) for name, sides in options["latents"].items()} == models.family(family).latents(shape)
    assert options["model"]["n_steps"] == 16
    latent, lead, taken = inputs(family, shape)
    found = Generator(bundle).generate(taken)["scores"]
    with torch.no_grad():
        expected = models.family(family).scores(shape, network.averaged(latent, lead)).numpy()  # type: ignore[attr-defined]
    assert_same_cells(found, expected)


def test_the_card_tells_what_is_made_and_what_rounding_changes(tmp_path: Path) -> None:
    run, _ = write_run(tmp_path / "run", "musegan", model="composer", width=0.06)
    made = export(run, tmp_path / "band")
    changed = made.provenance.figures["cells_changed"]
    assert 0 < changed < 0.1
    card = (tmp_path / "band" / "card.md").read_text(encoding="utf-8")
    assert "| sizes | drums, piano, guitar, bass, strings; bars 4, steps of a bar 16, pitches 72 |" in card
    assert "| cells_changed | " in card
    assert export(run, tmp_path / "again") == made


def test_shapes_that_do_not_fit_are_refused_when_it_plays(tmp_path: Path) -> None:
    run, _ = write_run(tmp_path / "run", "musegan", width=0.06, conditional=True)
    export(run, tmp_path / "band")
    generator = Generator(load.load(tmp_path / "band"))
    taken = inputs("musegan", shape_of("musegan", width=0.06, conditional=True))[2]
    for wrong in (
        {"z": np.zeros((3, 31), np.float32)},
        {"z_i": np.zeros((3, 4, 32), np.float32)},
        {"given": np.zeros((3, 5, 4, 16, 84), np.float32)},
        {"given": np.zeros((5, 4, 16, 72), np.float32)},
    ):
        with pytest.raises(UsageError, match="shape"):
            generator.generate({**taken, **wrong})
    with pytest.raises(UsageError, match="z_it"):
        generator.generate({name: value for name, value in taken.items() if name != "z_it"})


@pytest.mark.parametrize("family", ["musegan", "musegan_tutorial"])
def test_weights_that_do_not_fit_the_recipe_are_refused(family: str, tmp_path: Path) -> None:
    run, _ = write_run(tmp_path / "run", family, **({"width": 0.06} if family == "musegan" else {}))
    held = safetensors.load((run / "weights.safetensors").read_bytes())
    name = "averaged.bars.2.h3.weight" if family == "musegan" else "averaged.transconv4.2.transconv.weight"
    for wrong in ({**held, name: held[name][:-1]}, {key: value for key, value in held.items() if key != name}):
        (run / "weights.safetensors").write_bytes(safetensors.save({key: np.ascontiguousarray(value) for key, value in wrong.items()}))
        with pytest.raises(CheckpointError, match="recipe"):
            export(run, tmp_path / "band")
    assert not (tmp_path / "band").exists()


def test_shards_of_another_form_are_refused(tmp_path: Path) -> None:
    run, _ = write_run(tmp_path / "run", "musegan", width=0.06)
    shards = json.loads((run / "shards.json").read_text(encoding="utf-8"))
    shards["sizes"]["n_pitches"] = 70
    (run / "shards.json").write_text(json.dumps(shards), encoding="utf-8")
    with pytest.raises(UsageError, match="whole octaves"):
        export(run, tmp_path / "band")


def test_a_bundle_cannot_be_trained_on(tmp_path: Path) -> None:
    from kapelle.bundles import weights

    run, _ = write_run(tmp_path / "run", "musegan_tutorial")
    export(run, tmp_path / "band")
    with pytest.raises(CannotObey, match="no critic"):
        weights.weights(load.load(tmp_path / "band"))
