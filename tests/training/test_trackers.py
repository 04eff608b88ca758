from __future__ import annotations

import importlib.util
import json
import struct
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

from kapelle.errors import Missing, UnknownName  # noqa: E402
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


def test_the_weight_norm_is_that_of_the_weights(run: Path) -> None:
    from safetensors.torch import load_file

    held = load_file(run / "checkpoints/step-00000006/model.safetensors")
    expected = torch.cat([value.flatten() for value in held.values()]).norm()
    assert trackers.read_log(run / "log.jsonl")[-1]["weight_norm"] == pytest.approx(float(expected), rel=1e-5)


def test_the_curves_are_a_png(run: Path) -> None:
    data = (run / "curves.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data.startswith(b"\x89PNG") and width > 1000 and height > 200


def test_tensorboard_can_read_what_was_written(run: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    held = events.EventAccumulator(str(run / "tensorboard"))
    held.Reload()
    lines = trackers.read_log(run / "log.jsonl")
    for name in ("loss", "weight_norm"):
        points = [(event.step, event.value) for event in held.Scalars(name)]
        assert points == [(line["step"], pytest.approx(line[name], rel=1e-5)) for line in lines]


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
