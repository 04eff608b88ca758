from __future__ import annotations

import importlib.util
import json
import math
import os
import struct
import sys
import threading
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

from kapelle.errors import Missing, UnknownName, UsageError  # noqa: E402
from kapelle.training import trackers  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tiny

OVERRIDES = ("training.steps=6", "training.validate_every=3", "training.log_every=2")


@pytest.fixture(scope="module")
def run(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run") / "run"
    fit(tiny.recipe, tiny.shards, run, FitOptions(overrides=OVERRIDES, accelerator="cpu"))
    return run


def test_the_log_holds_loss_weight_norm_learning_rate_pace_and_held_out_bits(run: Path) -> None:
    lines = trackers.read_log(run / "log.jsonl")
    assert [line["step"] for line in lines] == [2, 3, 4, 6]
    assert all({"loss", "weight_norm", "learning_rate", "tokens_per_s", "gradient_norm"} <= line.keys() for line in lines)
    assert ["bits_per_note" in line for line in lines] == [False, True, False, True]
    assert 4 < lines[0]["loss"] < 7 and lines[0]["learning_rate"] == 0.005  # half of the warm-up; ln 352 = 5.86


def test_held_out_loss_and_perplexity_say_the_same_as_the_bits(run: Path) -> None:
    line = trackers.read_log(run / "log.jsonl")[-1]
    assert line["validation_loss"] == pytest.approx(line["bits_per_token"] * math.log(2), rel=1e-5)
    assert line["perplexity"] == pytest.approx(math.exp(line["validation_loss"]), rel=1e-5)
    assert 50 < line["perplexity"] < 400  # a network that has seen 24 blocks is not far from guessing among 352 ids


def test_the_weight_norm_is_that_of_the_weights(run: Path) -> None:
    from safetensors.torch import load_file

    held = load_file(run / "checkpoints/step-00000006/model.safetensors")
    expected = torch.cat([value.flatten() for value in held.values()]).norm()
    assert trackers.read_log(run / "log.jsonl")[-1]["weight_norm"] == pytest.approx(float(expected), rel=1e-5)


def test_the_curves_are_a_png(run: Path) -> None:
    data = (run / "curves.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data.startswith(b"\x89PNG") and width > 1000 and height > 400  # five diagrams in two rows


def test_figures_that_belong_together_are_drawn_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **how: (drawn.append(figure), path.write_bytes(b"")))
    lines = [{"step": 1, "loss": 3.0, "accuracy": 0.1}, {"step": 2, "loss": 2.0, "validation_loss": 2.5, "validation_accuracy": 0.2}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    trackers.draw_curves(tmp_path)
    told = {axes.get_title(): {line.get_label(): list(line.get_ydata()) for line in axes.lines} for axes in drawn[0].axes}
    assert told == {
        "loss": {"training": [3.0, 2.0], "held-out": [2.5]},
        "accuracy": {"training": [0.1], "held-out": [0.2]},
    }


def test_tensorboard_can_read_what_was_written(run: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    held = events.EventAccumulator(str(run / "tensorboard"))
    held.Reload()
    lines = trackers.read_log(run / "log.jsonl")
    for name in ("loss", "validation_loss", "perplexity", "learning_rate", "weight_norm"):
        points = [(event.step, event.value) for event in held.Scalars(name)]
        assert points == [(line["step"], pytest.approx(line[name], rel=1e-5)) for line in lines if name in line]
        assert [step for step, _ in points] == ([3, 6] if name in ("validation_loss", "perplexity") else [2, 3, 4, 6])


def test_the_run_folder_has_what_export_reads(run: Path) -> None:
    assert {"recipe.toml", "weights.safetensors", "shards.json", "tokenizer.json", "figures.json"} <= {path.name for path in run.iterdir()}
    assert "# override: training.steps=6" in (run / "recipe.toml").read_text()
    figures = json.loads((run / "figures.json").read_text())
    assert figures["step"] == 6 and figures["finished"] and figures["best"]["step"] in (3, 6) and figures["parameters"] > 0


def test_a_half_written_last_line_is_left_out_and_later_steps_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.5}\n{"step": 3, "lo')
    trackers.open_trackers(tmp_path, "name", (), 1)[0].close()
    assert trackers.read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 2.0}]


def test_no_log_no_curves(tmp_path: Path) -> None:
    trackers.draw_curves(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_tracker_is_an_error_before_anything_is_made(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown tracker 'tensorbord'"):
        fit(tiny.recipe, tiny.shards, tmp_path / "run", FitOptions(trackers=("tensorbord",)))
    assert not (tmp_path / "run").exists()


def test_asked_for_jsonl_the_log_is_all_there_is(tiny: Tiny, tmp_path: Path) -> None:
    options = FitOptions(overrides=("training.steps=2", *OVERRIDES[1:]), accelerator="cpu", trackers=("jsonl",))
    fit(tiny.recipe, tiny.shards, tmp_path / "run", options)
    assert trackers.read_log(tmp_path / "run" / "log.jsonl")
    assert not {path.name for path in (tmp_path / "run").iterdir()} & {"tensorboard", "wandb"}


def test_wandb_works_offline_or_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("wandb") is None:
        with pytest.raises(Missing) as caught:
            trackers.check(["wandb"])
        assert caught.value.hint == "pip install wandb"
        return
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracker = trackers.open_trackers(tmp_path, "name", ("wandb",), 0)[-1]
    tracker.log(1, {"loss": 2.0})
    tracker.close()
    assert list(tmp_path.glob("wandb/offline-run-*"))


def test_wandb_without_an_account_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Refuses:
        class errors:  # noqa: N801  # as in wandb
            class Error(Exception): ...

        @staticmethod
        def init(**how: object) -> None:
            asked.append(how["mode"])
            raise Refuses.errors.Error("api_key not configured")

    monkeypatch.setitem(sys.modules, "wandb", Refuses)
    with pytest.raises(UsageError, match="wandb does not begin: api_key not configured") as caught:
        trackers._Wandb(tmp_path, "name")
    assert "WANDB_MODE=offline" in caught.value.hint
    monkeypatch.setattr(trackers, "check", lambda wanted: None)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    before, variables = set(threading.enumerate()), dict(os.environ)
    with pytest.raises(UsageError):
        trackers.open_trackers(tmp_path, "name", ("tensorboard", "wandb"), 0)
    assert (set(threading.enumerate()), dict(os.environ)) == (before, variables)
    assert asked[-1] == "offline"


def test_a_tracker_that_cannot_write_any_more_keeps_no_other_open() -> None:
    closed: list[str] = []

    class One:
        def __init__(self, name: str, full: bool = False) -> None:
            self.name, self.full = name, full

        def close(self) -> None:
            closed.append(self.name)
            if self.full:
                raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        trackers.close([One("first"), One("second", full=True), One("third")])  # type: ignore[list-item]
    assert sorted(closed) == ["first", "second", "third"]
