from __future__ import annotations

import logging
import os
import random
import signal
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

import fakes_training  # noqa: E402
from kapelle.errors import Interrupted, UnknownName, UsageError  # noqa: E402
from kapelle.training import checkpoint, objectives, trackers  # noqa: E402
from kapelle.training.fit import FitOptions, Moment, Progress, fit, schedule  # noqa: E402
from kapelle.training.recipe import Recipe, TrainingSection  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tiny


@pytest.fixture(autouse=True)
def known_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes_training.register(monkeypatch)
    monkeypatch.setattr(trackers, "draw_curves", lambda run: None)
    torch.set_num_threads(1)


def train(folder: Path, kind: str, run: str = "run", **options: Any) -> dict[str, Any]:
    (folder / "recipe.toml").write_text(fakes_training.recipe(kind))
    return fit(folder / "recipe.toml", folder, folder / run, FitOptions(accelerator="cpu", trackers=(), **options))


def stop_at(step: int) -> Any:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return stop


@pytest.mark.parametrize("kind", sorted(fakes_training.KINDS))
def test_every_kind_of_objective_resumes_bit_for_bit(kind: str, tmp_path: Path) -> None:
    whole = train(tmp_path, kind, "whole")
    with pytest.raises(Interrupted):
        train(tmp_path, kind, progress=stop_at(5))
    figures = train(tmp_path, kind)
    assert figures["best"] == whole["best"] and figures["tokens"] == whole["tokens"]
    for file in sorted((tmp_path / "whole/checkpoints/step-00000012").glob("*.safetensors")):
        assert file.read_bytes() == (tmp_path / "run/checkpoints/step-00000012" / file.name).read_bytes(), file.name
    assert (tmp_path / "whole/weights.safetensors").read_bytes() == (tmp_path / "run/weights.safetensors").read_bytes()


@pytest.mark.parametrize(("kind", "states"), [("gan", {"critic", "generator"}), ("contrastive", {"sgd"}), ("classifier", {"adamw"})])
def test_every_optimiser_has_its_file_in_the_checkpoint(kind: str, states: set[str], tmp_path: Path) -> None:
    train(tmp_path, kind)
    place, _ = checkpoint.newest(tmp_path / "run/checkpoints")
    assert place and {file.stem for file in place.glob("*.safetensors")} == states | {"model"}


def test_every_kind_learns(tmp_path: Path) -> None:
    options = {"overrides": ("training.steps=120", "training.validate_every=120", "training.log_every=120")}
    assert train(tmp_path, "classifier", "a", **options)["last"]["accuracy"] > 0.7
    assert train(tmp_path, "contrastive", "b", **options)["last"]["validation"] < 1.0
    assert train(tmp_path, "gan", "c", **options)["last"]["validation"] < 0.35


def test_each_optimiser_keeps_its_own_learning_rate_under_one_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = fakes_training.WassersteinGan.optimizers

    def kept(self: Any, network: Any) -> Any:
        seen.append(original(self, network))
        return seen[-1]

    monkeypatch.setattr(fakes_training.WassersteinGan, "optimizers", kept)
    train(tmp_path, "gan")
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in seen[0].items()}
    last = schedule(11, TrainingSection(12, warmup_steps=2))
    assert rates == pytest.approx({"critic": 0.01 * last, "generator": 0.0025 * last})


def test_an_update_clears_all_gradients_so_that_one_part_does_not_leak_into_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    original = fakes_training.WassersteinGan.step

    def watched(self: Any, turn: Any) -> Any:
        seen.append(all(p.grad is None for p in turn.network.parameters()))
        figures = original(self, turn)
        seen.append(all(p.grad is None for p in turn.network.parameters()))
        return figures

    monkeypatch.setattr(fakes_training.WassersteinGan, "step", watched)
    train(tmp_path, "gan")
    assert seen and all(seen)


def test_a_network_that_remembers_its_batches_is_not_stopped_in_the_middle_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fakes_training.Contrastive.loss
    calls: list[int] = []

    def interrupted(self: Any, network: Any, draw: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:  # BatchNorm has moved when pause is called
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, network, draw)

    whole = train(tmp_path, "contrastive", "whole")
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="after step 3 of"):
        patch.setattr(fakes_training.Contrastive, "loss", interrupted)
        train(tmp_path, "contrastive")
    assert train(tmp_path, "contrastive")["best"] == whole["best"]


def test_an_unknown_objective_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        objectives.make(tmp_path, Recipe("a", "gpt", "remi", TrainingSection(1), objective="language-model"), None)
    assert str(caught.value) == "unknown objective 'language-model'" and "language_model" in caught.value.hint


def test_a_loss_that_is_no_number_ends_the_run_and_spoils_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = fakes_training.Classifier.step

    def spoiled(self: Any, turn: Any) -> Any:
        figures = original(self, turn)
        if turn.step == 6:
            with torch.no_grad():
                next(iter(turn.network.parameters())).fill_(float("nan"))
            return {**figures, "loss": torch.tensor(float("nan"))}
        return figures

    monkeypatch.setattr(fakes_training.Classifier, "step", spoiled)
    with pytest.raises(UsageError, match="no longer a number at step 7") as caught:
        train(tmp_path, "classifier")
    assert "learning_rate" in caught.value.hint
    place, damaged = checkpoint.newest(tmp_path / "run/checkpoints")
    assert place and place.name == "step-00000004" and not damaged


def test_callbacks_see_every_validation_and_a_failing_one_stops_nothing(tmp_path: Path, caplog: Any) -> None:
    import numpy as np

    steps: list[int] = []

    def show(moment: Moment) -> None:
        assert not moment.network.training and not torch.is_grad_enabled()
        torch.rand(5)  # disturbs nothing
        steps.append(moment.step)
        for tracker in moment.trackers:
            tracker.picture(moment.step, "square", np.full((4, 4, 3), 200, np.uint8))
            tracker.sound(moment.step, "beep", np.zeros((100, 2), np.float32), 8000)

    def fail(moment: Moment) -> None:
        raise RuntimeError("no ink")

    whole = train(tmp_path, "classifier", "whole")
    figures = train(tmp_path, "classifier", callbacks=(show, fail))
    assert steps == [4, 8, 12] and figures["best"] == whole["best"]
    assert "no ink" in caplog.text
    assert sorted(file.name for file in (tmp_path / "run/examples").iterdir())[:2] == ["00000004-beep.wav", "00000004-square.png"]


@pytest.mark.parametrize("step", [0, 5])
def test_a_run_leaves_the_process_as_it_was(step: int, tmp_path: Path) -> None:
    def state() -> list[Any]:
        levels = [logging.getLogger(name).level for name in ("lightning.fabric", "lightning.pytorch")]
        hears = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
        return [levels, hears, torch.get_rng_state().tolist(), random.getstate(), torch.is_grad_enabled(), set(threading.enumerate())]

    logging.getLogger("lightning.fabric").setLevel(logging.INFO)  # as it is when it comes, whoever trained before
    before = state()
    with pytest.raises(Interrupted) if step else nullcontext():
        train(tmp_path, "classifier", progress=stop_at(step))
    assert state() == before


def test_progress_tells_every_step_and_the_time_left(tmp_path: Path) -> None:
    told: list[Progress] = []
    train(tmp_path, "classifier", progress=told.append)
    assert [progress.step for progress in told] == list(range(1, 13))
    assert told[-1].seconds_left == 0.0 and all(progress.seconds_left > 0 for progress in told[:-1])
    assert told[3].figures["loss"] > 0 and told[3].steps == 12


def test_the_schedule_warms_up_and_ends_at_the_final_share() -> None:
    settings = TrainingSection(100, warmup_steps=10, final_rate=0.1)
    assert schedule(0, settings) == 0.1 and schedule(9, settings) == 1.0 and schedule(10, settings) == 1.0
    assert schedule(100, settings) == pytest.approx(0.1)
    assert schedule(0, TrainingSection(5, warmup_steps=0)) == 1.0


def test_fine_tuning_begins_with_the_weights_of_another_run(tiny: Tiny, tmp_path: Path) -> None:
    def run(name: str, *overrides: str, **options: Any) -> dict[str, Any]:
        settings = FitOptions(overrides=("training.steps=1", *overrides), accelerator="cpu", trackers=(), **options)
        return fit(tiny.recipe, tiny.shards, tmp_path / name, settings)

    first = run("first", "training.steps=20", "training.learning_rate=0.02")
    tuned = run("tuned", "training.learning_rate=0.0", start_from=tmp_path / "first")
    assert tuned["best"]["validation"] == pytest.approx(first["best"]["validation"], abs=1e-6)


def test_blocks_that_are_longer_than_the_network_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="blocks of 64 ids do not fit a network of 32 positions"):
        fit(tiny.recipe, tiny.shards, tmp_path / "run", FitOptions(overrides=("model.n_positions=32",), accelerator="cpu"))


def test_shards_of_another_tokenizer_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tokenizer\.velocities, preprocessing\.context_len"):
        overrides = ("tokenizer.velocities=8", "preprocessing.context_len=128")
        fit(tiny.recipe, tiny.shards, tmp_path / "run", FitOptions(overrides=overrides, accelerator="cpu"))


def test_a_machine_without_the_device_says_so(tiny: Tiny, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="cannot train here as asked"):
        fit(tiny.recipe, tiny.shards, tmp_path / "run", FitOptions(accelerator="cuda"))


def test_weights_of_chosen_steps_are_kept_with_the_statistics_of_batch_norms(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    train(tmp_path, "contrastive", overrides=("training.stages=[1, 5, 12]",))
    assert [file.name for file in sorted((tmp_path / "run/stages").iterdir())] == [
        "step-00000001.safetensors", "step-00000005.safetensors", "step-00000012.safetensors",
    ]  # fmt: skip
    first, last = (load_file(tmp_path / f"run/stages/step-{step:08d}.safetensors") for step in (1, 12))
    assert first["1.num_batches_tracked"] == 2 and last["1.num_batches_tracked"] == 24  # two views a step
    assert (first["1.running_mean"] != last["1.running_mean"]).any()


def test_patience_counts_validations_since_the_best_and_the_best_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kapelle.training import run_folder

    told = iter([3.0, 1.0, 2.0, 1.0, 0.5])  # equal is no better; the last is never asked for
    monkeypatch.setattr(fakes_training.Classifier, "validate", lambda self, turn: {"validation": next(told)})
    overrides = ("training.patience=2", "training.validate_every=2")
    for _ in range(2):  # the second call leaves it as it is
        figures = train(tmp_path, "classifier", overrides=overrides)
        assert (figures["step"], figures["finished"], figures["best"]["step"]) == (8, True, 4.0)
    assert run_folder.weights_step(tmp_path / "run") == 4


def test_a_network_computes_in_the_precision_asked_for_and_its_parts_in_32_bits() -> None:
    from kapelle.training.processes import launched

    network = torch.nn.Sequential()
    network.add_module("part", torch.nn.Linear(4, 4))
    ready: Any = launched("cpu", 1, "bf16-mixed").setup(network)
    seen: list[torch.dtype] = []
    network.get_submodule("part").register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    ready(torch.ones(1, 4))
    ready.part(torch.ones(1, 4))
    assert seen == [torch.bfloat16, torch.float32]
