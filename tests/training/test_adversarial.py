from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import fakes_band  # noqa: E402
from kapelle import models  # noqa: E402
from kapelle.data import phrase_shards  # noqa: E402
from kapelle.errors import Interrupted, Missing  # noqa: E402
from kapelle.training import trackers  # noqa: E402
from kapelle.training.adversarial import Adversarial, _balanced, _slopes, _weights_of_critics  # noqa: E402
from kapelle.training.fit import FitOptions, Progress, fit  # noqa: E402
from kapelle.training.objectives import Turn  # noqa: E402
from kapelle.training.recipe import AdversarialSection, TrainingSection  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def known_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.FAMILIES, "fake_band", "fakes_band")
    monkeypatch.setattr(trackers, "draw_curves", lambda run: None)
    torch.set_num_threads(1)


def train(folder: Path, run: str = "run", text: str = "", **options: Any) -> dict[str, Any]:
    if not (folder / "shards").exists():
        fakes_band.write_shards(folder / "shards", fakes_band.cells(64))
    (folder / "recipe.toml").write_text(text or fakes_band.recipe())
    return fit(folder / "recipe.toml", folder / "shards", folder / run, FitOptions(accelerator="cpu", trackers=(), **options))


def objective(folder: Path, rolls: np.ndarray, *, model: dict[str, Any] | None = None, present: Any = 0b11, **settings: Any) -> Adversarial:
    shards = fakes_band.write_shards(folder / "shards", rolls, present, settings.pop("up", 0))
    section = TrainingSection(steps=1, batch_size=16, adversarial=AdversarialSection(validation_phrases=32), **settings)
    return Adversarial(phrase_shards.read(shards), section, fakes_band, model or {})


def turn_of(network: Any = None, rank: int = 0, world: int = 1) -> Turn:
    return Turn(network, torch.device("cpu"), 0, rank, world, lambda loss: loss.backward(), lambda name: 0.0, lambda: None)


def test_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = train(tmp_path, "whole")
    with pytest.raises(Interrupted):
        train(tmp_path, progress=stop)
    assert train(tmp_path)["best"] == whole["best"]
    for name in ("model", "critic", "generator"):
        files = [tmp_path / run / "checkpoints/step-00000008" / f"{name}.safetensors" for run in ("whole", "run")]
        assert files[0].read_bytes() == files[1].read_bytes(), name


@pytest.mark.parametrize("model", ["", "conditional = true", "n_critics = 2"])
def test_it_learns(model: str, tmp_path: Path) -> None:
    text = fakes_band.recipe(800, model).replace("validate_every = 4", "validate_every = 800").replace("log_every = 1", "log_every = 800")
    before = train(tmp_path, "before", text.replace("steps = 800", "steps = 1", 1))["last"]
    after = train(tmp_path, "after", text)["last"]
    assert after["validation"] < before["validation"] / 4
    assert after["EB/drums"] < 5 and abs(after["UPC/piano"] - 3) < 1


def test_the_weights_hold_the_averaged_generator_and_what_its_norms_saw(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    train(tmp_path)
    held = load_file(tmp_path / "run/weights.safetensors")
    assert {"averaged.first.1.running_mean", "averaged.last.weight", "critic.parts.0.0.weight", "generator.last.weight"} <= set(held)
    assert (held["averaged.last.weight"] != held["generator.last.weight"]).any()


def test_a_track_that_the_song_lacks_is_off_in_what_the_critic_sees(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(16), present=np.resize([0b10, 0b11], 16))
    batch = held.batch(0, 0, turn_of())
    shown, lacks = batch.shown(torch.ones_like(batch.rolls), held.off), ~batch.known[:, 0].flatten()
    assert 0 < lacks.sum() < len(lacks)
    assert (shown[lacks, 0] == -1).all() and (shown[~lacks, 0] == 1).all() and (shown[:, 1] == 1).all()
    assert _weights_of_critics(batch.known, 2)[lacks][0].tolist() == [0.0, 1.0]


def test_a_track_that_no_song_has_is_known_to_be_silent(tmp_path: Path) -> None:
    rolls = fakes_band.cells(16)
    rolls[:, 0] = False
    held = objective(tmp_path, rolls, present=0b10)
    batch = held.batch(0, 0, turn_of())
    assert (batch.shown(torch.ones_like(batch.rolls), held.off) == 1).all()  # the critic hears what is made of it
    assert (batch.rolls[:, 0] == -1).all()
    network = fakes_band.build(fakes_band.Config()).eval()
    assert held.validate(turn_of(network))["EB/drums"] < 100


def test_where_no_song_has_all_tracks_phrases_are_compared_in_those_that_they_have(tmp_path: Path) -> None:
    rolls = fakes_band.cells(16)
    present = np.resize([0b01, 0b10], 16)
    rolls[present == 0b10, 0], rolls[present == 0b01, 1] = False, False
    held = objective(tmp_path, rolls, present=present)
    assert len(held._reference_places) == 4 and held._reference[0]["EB/drums"] == 50
    network = fakes_band.build(fakes_band.Config()).eval()
    with torch.no_grad():
        network.averaged.last.weight.zero_()
        network.averaged.last.bias.fill_(1.0)  # every cell of both tracks
    assert held.validate(turn_of(network))["EB/drums"] == 50


def test_a_conditional_network_is_given_one_track_and_that_one_stays(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(16), model={"conditional": True})
    batch = held.batch(0, 0, turn_of())
    assert batch.given is not None and (batch.given.flatten(1).sum(1) == 1).all() and len(batch.given.flatten(1).unique(dim=0)) == 2
    lead, shown = batch.lead(held.off), batch.shown(torch.zeros_like(batch.rolls), held.off)
    given = batch.given.expand_as(shown)
    assert torch.equal(lead[given], batch.rolls[given]) and (lead[~given] == -1).all()
    assert torch.equal(shown[given], batch.rolls[given]) and (shown[~given] == 0).all()


def test_a_process_gets_its_share_of_the_same_batch(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(64), up=3, semitones=3)
    whole = held.batch(0, 1, turn_of()).rolls
    shares = [held.batch(0, 1, turn_of(rank=rank, world=3)).rolls for rank in range(3)]
    assert torch.equal(torch.cat(shares), torch.cat([whole[rank::3] for rank in range(3)]))
    assert not torch.equal(whole, held.batch(0, 2, turn_of()).rolls)


def test_transposition_moves_all_but_drums_as_far_as_the_phrase_allows(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(64), up=2, semitones=6)
    lowest = {int(np.flatnonzero(roll[1, 0, 0])[0]) for roll in (held.batch(0, 0, turn_of()).rolls.numpy() > 0)}
    assert lowest <= {0, 1, 2, 5, 6, 7} and len(lowest) > 2
    assert (held.batch(0, 0, turn_of()).rolls[:, 0, :, 0, 0] == 1).all()


def test_the_slope_of_each_critic_is_that_of_its_own_track() -> None:
    between = torch.zeros(3, 2, 1, 4, 12, requires_grad=True)
    told = torch.stack([3 * between[:, 0, 0, 0, 0], 4 * between[:, 1, 0, 0, 0]], 1)
    assert torch.allclose(_slopes(told, between), torch.tensor([[3.0, 4.0]] * 3), atol=1e-4)
    told = (3 * between[:, 0, 0, 0, 0] + 4 * between[:, 1, 0, 0, 0])[:, None]
    assert torch.allclose(_slopes(told, between), torch.tensor([[5.0]] * 3), atol=1e-4)


def test_the_average_follows_and_without_one_it_is_the_generator(tmp_path: Path) -> None:
    held, network = objective(tmp_path, fakes_band.cells(16)), fakes_band.build(fakes_band.Config())
    with torch.no_grad():
        network.generator.last.weight.fill_(1.0)
        network.averaged.last.weight.fill_(0.0)
    held._average(network, step=10_000)
    assert network.averaged.last.weight.mean() == pytest.approx(0.001, rel=1e-3)
    held.rules = AdversarialSection(average=0.0)
    held._average(network, step=10_000)
    assert torch.equal(network.averaged.last.weight, network.generator.last.weight)


def test_sources_are_balanced_as_far_as_asked() -> None:
    sources = np.array([0] * 9 + [1])
    assert _balanced(sources, 0.0)[-1] == pytest.approx(0.1) and _balanced(sources, 1.0)[-1] == pytest.approx(0.5)


def test_validation_compares_with_held_out_phrases_of_all_tracks(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(64))
    found, deviations = held._reference
    assert found["EB/drums"] == 0 and found["UPC/piano"] == 3 and deviations["EB/drums"] > 0
    assert len(held._reference_places) == 16


def test_the_opening_gives_the_critic_more_updates(tmp_path: Path) -> None:
    held, network = objective(tmp_path, fakes_band.cells(16)), fakes_band.build(fakes_band.Config())
    held.rules = AdversarialSection(critic_steps=2, opening_critic_steps=7, opening_steps=1)
    updates: list[str] = []
    turn = Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: loss.backward(), lambda name: updates.append(name) or 0.0, lambda: None)
    held.step(turn)
    assert updates == ["critic"] * 7 + ["generator"]


def test_no_shards_is_an_error_that_says_how_to_make_them(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(fakes_band.recipe())
    with pytest.raises(Missing) as caught:
        fit(tmp_path / "recipe.toml", tmp_path / "nothing", tmp_path / "run", FitOptions(accelerator="cpu", trackers=()))
    assert "data prepare" in caught.value.hint


def test_one_good_phrase_for_all_latents_is_no_good_generator(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(64))
    same, other = np.repeat(fakes_band.cells(1), 32, axis=0), fakes_band.cells(32, seed=5)
    assert held.judged(other)["validation"] == held.judged(other)["distance"]
    found = held.judged(same)
    assert found["variety"] == 0 and found["validation"] == pytest.approx(500 * found["distance"])


def test_each_side_has_its_own_rate_and_the_decay_of_the_recipe(tmp_path: Path) -> None:
    held = objective(tmp_path, fakes_band.cells(16), learning_rate=0.01, weight_decay=0.2)
    held.rules = AdversarialSection(generator_rate=0.25)
    sides = held.optimizers(fakes_band.build(fakes_band.Config()))
    assert {name: one.param_groups[0]["lr"] for name, one in sides.items()} == {"critic": 0.01, "generator": 0.0025}
    assert all([group["weight_decay"] for group in one.param_groups] == [0.2, 0.0] for one in sides.values())


def test_the_generators_turn_leaves_the_critic_no_gradients_and_ready_to_learn(tmp_path: Path) -> None:
    held, network = objective(tmp_path, fakes_band.cells(16)), fakes_band.build(fakes_band.Config())
    seen: dict[str, bool] = {}

    def update(name: str) -> float:
        seen[name] = any(parameter.grad is not None for parameter in network.critic.parameters())
        network.zero_grad(set_to_none=True)
        return 0.0

    held.step(Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: loss.backward(), update, lambda: None))
    assert seen == {"critic": True, "generator": False}
    assert all(parameter.requires_grad for parameter in network.critic.parameters())
