"""The band and the transformer together: what one says reaches the other, and both are still trained as by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

from fakes_bridge import NAMES, PITCHES, SHAPE, STEPS, places, recipe_in, write_data, write_phrases  # noqa: E402
from kapelle import models  # noqa: E402
from kapelle.errors import UsageError  # noqa: E402
from kapelle.models import theme  # noqa: E402
from kapelle.models.soft_bridge import SoftTheme, soft_theme  # noqa: E402
from kapelle.training import bridge_joint, trackers  # noqa: E402
from kapelle.training import recipe as recipes  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.objectives import Turn  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "draw_curves", lambda run: None)
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def objective_and_network(data: Path, folder: Path) -> tuple[bridge_joint.BridgeJoint, Any]:
    recipe = recipes.read(recipe_in(folder))
    family = models.family(recipe.family)
    objective = bridge_joint.make(data, recipe, family)
    torch.manual_seed(0)
    return objective, family.build(objective.band.config)


def turn_of(network: Any, step: int = 0) -> Turn:
    return Turn(network, torch.device("cpu"), step, 0, 1, lambda loss: loss.backward(), lambda name: 0.0, lambda: None)


@pytest.mark.parametrize("which", [0, 1])
def test_the_gradient_of_the_transformers_loss_reaches_the_generators_first_layer(which: int, data: Path, tmp_path: Path) -> None:
    objective, network = objective_and_network(data, tmp_path)
    made = network.generator(objective.band.latents(4, torch.Generator().manual_seed(0), torch.device("cpu")))
    told = bridge_joint.losses(network.transformer, objective.band.theme(made), objective.band.places)
    told[which].mean().backward()
    first = next(network.generator.parameters())
    assert first.grad is not None and bool(torch.isfinite(first.grad).all()) and float(first.grad.abs().sum()) > 0
    reached = [
        bool(torch.isfinite(p.grad).all()) and float(p.grad.abs().sum()) > 0 for p in network.generator.parameters() if p.grad is not None
    ]
    assert len(reached) == len(list(network.generator.parameters())) and sum(reached) > 0.9 * len(reached)


def test_only_the_return_goes_through_the_encoder(data: Path, tmp_path: Path) -> None:
    objective, network = objective_and_network(data, tmp_path)
    made = network.generator(objective.band.latents(4, torch.Generator().manual_seed(0), torch.device("cpu")))
    weight = network.transformer.encoder.layers[0].linear1.weight
    for loss, heard in zip(
        bridge_joint.losses(network.transformer, objective.band.theme(made), objective.band.places), (False, True), strict=True
    ):
        (gradient,) = torch.autograd.grad(loss.mean(), weight, retain_graph=True)
        assert bool(gradient.abs().sum() > 0) == heard


def test_the_two_losses_are_those_of_the_plain_network_on_the_ids(data: Path, tmp_path: Path) -> None:
    objective, network = objective_and_network(data, tmp_path)
    phrases, where = objective.band.phrases, objective.band.places
    heard = soft_theme(torch.from_numpy(np.where(phrases.cells(np.arange(3))[:, ::-1], 1.0, -1.0)).float(), where)
    told = [loss.detach() for loss in bridge_joint.losses(network.transformer, heard, where)]
    for row in range(3):
        ids = heard.ids[row][heard.ids[row] > 0][None]
        labels = torch.arange(1, ids.shape[1] + 1)[None]
        logits = network.transformer(ids[:, :-1], labels[:, :-1], ids)
        assert float(told[1][row]) == pytest.approx(float(functional.cross_entropy(logits[0], ids[0, 1:]).detach()), abs=1e-5)
        logits = network.transformer(ids[:, 1:-2], torch.zeros_like(ids[:, 1:-2]), ids)
        assert float(told[0][row]) == pytest.approx(float(functional.cross_entropy(logits[0], ids[0, 2:-1]).detach()), abs=1e-5)


def test_a_generator_that_listens_makes_openings_that_the_transformer_likes_better(data: Path, tmp_path: Path) -> None:
    objective, network = objective_and_network(data, tmp_path)
    latents = objective.band.latents(16, torch.Generator().manual_seed(1), torch.device("cpu"))
    moving = torch.optim.Adam(network.generator.parameters(), lr=5e-3)
    with torch.no_grad():
        network.transformer.output_layer.weight.mul_(6)  # a fresh one has no opinion
    said = []
    for _ in range(20):
        opening, _ = bridge_joint.losses(network.transformer, objective.band.theme(network.generator(latents)), objective.band.places)
        moving.zero_grad()
        opening.mean().backward()
        moving.step()
        said.append(float(opening.mean().detach()))
    assert np.mean(said[-3:]) < said[0] - 0.25, said


def test_a_step_moves_all_three_and_leaves_no_gradient_with_the_transformer_in_the_generators_turn(data: Path, tmp_path: Path) -> None:
    objective, network = objective_and_network(data, tmp_path)
    updated = []

    def update(name: str) -> float:
        updated.append((name, any(p.grad is not None for p in network.transformer.parameters())))
        network.zero_grad(set_to_none=True)
        return 0.0

    turn = Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: loss.backward(), update, lambda: None)
    figures = objective.step(turn)
    assert updated == [("critic", False), ("generator", False), ("transformer", True)]
    assert {"loss", "generator_loss", "songs_loss"} <= set(figures) and all(p.requires_grad for p in network.transformer.parameters())


def test_a_joint_run_begins_with_two_runs_and_is_parted_into_two(data: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = recipe_in(tmp_path)
    _, network = objective_and_network(data, tmp_path)
    held = network.state_dict()
    for name, folder in (("band", tmp_path / "band"), ("theme", tmp_path / "theme")):
        folder.mkdir()
        (folder / "recipe.toml").write_text(f'name = "{name}"\n')
        mine = {
            key.removeprefix("transformer."): value for key, value in held.items() if key.startswith("transformer.") == (name == "theme")
        }
        save_file({key: value.contiguous() for key, value in mine.items()}, folder / "weights.safetensors")
    begun = bridge_joint.join(tmp_path / "band", tmp_path / "theme", tmp_path / "both")
    assert all(torch.equal(value, held[key]) for key, value in load_file(begun).items())
    told = fit(path, data, tmp_path / "run", FitOptions(accelerator="cpu", trackers=(), start_from=tmp_path / "both"))["last"]
    assert {"distance", "made_opening_bits", "held_out_return_bits", "songs_bits_per_token", "made_tokens"} <= set(told)
    assert all(np.isfinite(value) for value in told.values())
    band, transformer = bridge_joint.part(tmp_path / "run", tmp_path / "band", tmp_path / "theme", tmp_path / "parted")
    after = {
        **load_file(band / "weights.safetensors"),
        **{f"transformer.{k}": v for k, v in load_file(transformer / "weights.safetensors").items()},
    }
    assert set(after) == set(held) and (band / "recipe.toml").read_text() == 'name = "band"\n'
    for side in ("generator", "critic", "averaged", "transformer"):
        assert any(not torch.equal(after[key], held[key]) for key in held if key.startswith(side)), side
    shape = models.family("theme").Config(vocabulary=len(NAMES), **{**SHAPE, "exclusive": (0, 1)})
    theme.build(shape).load_state_dict(load_file(transformer / "weights.safetensors"))


def test_phrases_that_no_theme_can_be_made_of_are_refused(tmp_path: Path) -> None:
    write_phrases(tmp_path / "fine", np.zeros((8, 2, 2, 8, PITCHES), bool))
    with pytest.raises(UsageError, match="4 steps a bar, these phrases have 8"):
        places(tmp_path / "fine")
    write_phrases(tmp_path / "duo", np.zeros((8, 2, 2, STEPS, PITCHES), bool), ("piano", "bass"))
    with pytest.raises(UsageError, match="no guitar"):
        places(tmp_path / "duo")


def test_what_is_not_there_is_silent_and_still_a_theme(tmp_path: Path) -> None:
    write_phrases(tmp_path / "p", np.zeros((8, 2, 2, STEPS, PITCHES), bool))
    where = places(tmp_path / "p")
    empty: SoftTheme = soft_theme(torch.full((1, 2, 2, STEPS, PITCHES), -1.0), where)
    assert empty.ids.tolist() == [[where.start, where.bar, where.bar, where.end]]
