from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

import forks  # noqa: E402
import numpy as np  # noqa: E402

from kapelle.errors import CheckpointError, Interrupted, StorageError, UsageError  # noqa: E402
from kapelle.training import checkpoint, trackers  # noqa: E402
from kapelle.training.fit import FitOptions, Progress, fit  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tiny

FULL = bool(os.environ.get("KAPELLE_FULL"))
needs_forks = pytest.mark.skipif(not forks.AVAILABLE, reason="processes are forked on Linux alone")

SHORT = ("training.steps=8", "training.validate_every=3", "training.log_every=1", "training.checkpoint_minutes=0")


@pytest.fixture(autouse=True, scope="module")
def no_curves() -> Any:
    """Drawing takes longer than these runs; it is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trackers, "draw_curves", lambda run: None)
        yield


def train(tiny: Tiny, run: Path, overrides: tuple[str, ...] = SHORT, **options: Any) -> dict[str, Any]:
    return fit(tiny.recipe, tiny.shards, run, FitOptions(overrides=overrides, accelerator="cpu", trackers=(), **options))


def outcome(run: Path, steps: int = 8) -> tuple[bytes, bytes, bytes, list[tuple[float, ...]]]:
    """All that must not depend on interruptions: last weights, last optimiser state, best weights, the figures of the log."""
    last = run / "checkpoints" / f"step-{steps:08d}"
    lines = trackers.read_log(run / "log.jsonl")
    figures = [tuple(line.get(name, 0.0) for name in ("step", "loss", "bits_per_note", "weight_norm")) for line in lines]
    return (
        (last / "model.safetensors").read_bytes(),
        (last / "adamw.safetensors").read_bytes(),
        (run / "weights.safetensors").read_bytes(),
        figures,
    )


@pytest.fixture(scope="module")
def undisturbed(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Any:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    figures = train(tiny, run)
    torch.set_num_threads(threads)
    assert figures["finished"] and figures["step"] == 8
    return outcome(run)


@needs_forks
def test_kills_at_random_moments_change_no_bit_of_the_result(tiny: Tiny, tmp_path: Path, undisturbed: Any) -> None:
    draw, killed, wanted, runs = random.Random(5), 0, 200 if FULL else 5, 0
    began = time.monotonic()
    assert "returned" in forks.finish(forks.start(partial(train, tiny, tmp_path / "timed"), tmp_path / "told"), tmp_path / "told")
    usual_s = time.monotonic() - began
    while killed < wanted:
        run, runs = tmp_path / f"run{runs}", runs + 1
        while True:
            process = forks.start(partial(train, tiny, run), tmp_path / "told")
            time.sleep(draw.uniform(0.0, usual_s) if killed < wanted else 0.0)
            if killed < wanted:
                process.kill()
            told = forks.finish(process, tmp_path / "told")
            if told:
                assert "returned" in told, told
                break
            killed += 1
        assert outcome(run) == undisturbed


def _die_at(number: int, tiny: Tiny, run: Path) -> dict[str, Any]:
    """Train, and end without a word just before the write operation of this number."""
    seen = 0

    def counting(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os._exit(9)
            return original(*args, **kwargs)

        return call

    import pathlib
    import shutil

    os.fsync = counting(os.fsync)
    shutil.rmtree = counting(shutil.rmtree)
    checkpoint.save_file = counting(checkpoint.save_file)  # type: ignore[attr-defined]
    for name in ("rename", "replace", "write_text", "mkdir"):
        setattr(pathlib.Path, name, counting(getattr(pathlib.Path, name)))
    train(tiny, run)
    return {"operations": seen}


@needs_forks
def test_a_death_before_any_single_write_changes_no_bit_of_the_result(tiny: Tiny, tmp_path: Path, undisturbed: Any) -> None:
    told = tmp_path / "told"
    total = forks.finish(forks.start(partial(_die_at, 0, tiny, tmp_path / "whole"), told), told)["returned"]["operations"]
    places = range(1, total + 1) if FULL else sorted(random.Random(total).sample(range(1, total + 1), 5))
    for place in places:
        run = tmp_path / f"run{place}"
        died = forks.start(partial(_die_at, place, tiny, run), told)
        assert forks.finish(died, told) == {} and died.exitcode == 9
        assert "returned" in forks.finish(forks.start(partial(train, tiny, run), told), told)
        assert outcome(run) == undisturbed, place


@needs_forks
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_within_ten_seconds_says_where_and_loses_nothing(tiny: Tiny, tmp_path: Path, kind: signal.Signals) -> None:
    run, told = tmp_path / "run", tmp_path / "told"
    longer = ("training.steps=100000", "training.validate_every=50", "training.checkpoint_minutes=60")
    process = forks.start(partial(train, tiny, run, longer), told)
    while not (run / "log.jsonl").is_file() or (run / "log.jsonl").stat().st_size < 2000:
        time.sleep(0.05)
    asked = time.monotonic()
    os.kill(process.pid or 0, kind)
    said = forks.finish(process, told)
    assert time.monotonic() - asked < 10
    assert said["error"] == "Interrupted"
    place, damaged = checkpoint.newest(run / "checkpoints")
    assert place and not damaged
    assert said["message"] == f"stopped after step {int(place.name[5:])} of 100000; saved in {run}"


def test_a_stop_in_the_middle_of_a_validation_gives_it_up_and_does_it_after_resuming(
    tiny: Tiny, tmp_path: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kapelle.training import score

    original, passes = score.score_blocks, []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        passes.append(1)
        if len(passes) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **kwargs)

    torch.set_num_threads(1)
    monkeypatch.setattr(score, "score_blocks", interrupted)
    run = tmp_path / "run"
    with pytest.raises(Interrupted, match="stopped after step 6 of 8"):
        train(tiny, run)
    train(tiny, run)
    assert outcome(run)[:3] == undisturbed[:3]
    assert [line[2] for line in outcome(run)[3] if line[2]] == [line[2] for line in undisturbed[3] if line[2]]


def test_a_stop_between_two_micro_batches_gives_the_step_up_and_changes_nothing(tiny: Tiny, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    overrides = (*SHORT, "training.micro_batch=1")
    train(tiny, tmp_path / "whole", overrides)
    from kapelle.training import objectives

    original, calls = objectives.LanguageModel._loss, []

    def interrupted(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 10:  # the second of four micro-batches of the third step
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args)

    objectives.LanguageModel._loss = interrupted  # type: ignore[method-assign]
    try:
        with pytest.raises(Interrupted, match="stopped after step 2 of 8"):
            train(tiny, tmp_path / "run", overrides)
    finally:
        objectives.LanguageModel._loss = original  # type: ignore[method-assign]
    train(tiny, tmp_path / "run", overrides)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_one_before_used(
    tiny: Tiny, tmp_path: Path, undisturbed: Any, caplog: Any
) -> None:
    torch.set_num_threads(1)
    run = tmp_path / "run"

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(tiny, run, progress=stop)
    newest = run / "checkpoints" / "step-00000005" / "model.safetensors"
    data = bytearray(newest.read_bytes())
    data[-3] ^= 1
    newest.write_bytes(data)
    figures = train(tiny, run)
    assert figures["damaged_checkpoints"] == ["step-00000005"]
    assert "step-00000005" in caplog.text and "damaged" in caplog.text
    assert outcome(run) == undisturbed


def test_when_all_checkpoints_are_damaged_nothing_is_begun_anew_silently(tiny: Tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny, run)
    for state in (run / "checkpoints").glob("*/state.json"):
        state.write_text("{}")
    with pytest.raises(CheckpointError, match=r"all checkpoints in .* are damaged"):
        train(tiny, run)


def test_a_full_disk_is_a_clear_error_and_the_run_goes_on_when_there_is_space(
    tiny: Tiny, tmp_path: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    torch.set_num_threads(1)
    run, original, calls = tmp_path / "run", checkpoint.save_file, []  # type: ignore[attr-defined]

    def full(tensors: Any, path: Path) -> None:
        calls.append(1)
        if len(calls) > 6:
            path.write_bytes(b"half")
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        original(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(StorageError, match=r"cannot write a checkpoint to .*No space left"):
            train(tiny, run)
    assert checkpoint.newest(run / "checkpoints")[0] == run / "checkpoints" / "step-00000003"
    assert not list((run / "checkpoints").glob(".*"))
    train(tiny, run)
    assert outcome(run) == undisturbed


@needs_forks
def test_a_limit_of_the_system_on_file_sizes_is_a_storage_error(tiny: Tiny, tmp_path: Path) -> None:
    def limited() -> Any:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        return train(tiny, tmp_path / "run")

    told = forks.finish(forks.start(limited, tmp_path / "told"), tmp_path / "told")
    assert told["error"] == "StorageError" and "cannot write" in told["message"], told


def test_a_folder_that_cannot_be_made_is_a_storage_error(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write to"):
        train(tiny, tmp_path / "file" / "run")


def test_a_run_of_another_recipe_is_refused_with_the_keys_that_differ(tiny: Tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny, run)
    with pytest.raises(CheckpointError) as caught:
        train(tiny, run, (*SHORT, "training.learning_rate=0.5", "model.n_layer=2"))
    assert "model.n_layer, training.learning_rate" in caught.value.hint


def test_how_often_to_save_and_log_may_change_between_two_calls(tiny: Tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny, run)
    assert train(tiny, run, (*SHORT[:2], "training.log_every=5"))["finished"]


def test_other_shards_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "run"
    train(tiny, run)
    shutil.copytree(tiny.shards, tmp_path / "other", ignore=shutil.ignore_patterns(".cache"))
    info = tmp_path / "other" / "shards.json"
    info.write_text(info.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(CheckpointError) as caught:
        fit(tiny.recipe, tmp_path / "other", run, FitOptions(overrides=SHORT, accelerator="cpu", trackers=()))
    assert "shards" in caught.value.hint


def test_a_finished_run_is_left_as_it_is(tiny: Tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = train(tiny, run)
    before = {
        path: path.stat().st_mtime_ns
        for path in run.rglob("*")
        if path.is_file() and path.name not in ("recipe.toml", "shards.json", "tokenizer.json")
    }
    steps: list[int] = []
    assert train(tiny, run, progress=lambda progress: steps.append(progress.step)) == first
    assert not steps
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_time_limit_saves_and_returns_unfinished_and_the_next_call_goes_on(tiny: Tiny, tmp_path: Path, undisturbed: Any) -> None:
    torch.set_num_threads(1)
    run = tmp_path / "run"
    figures = train(tiny, run, max_minutes=1e-6)
    assert not figures["finished"] and figures["step"] == 1
    assert (run / "weights.safetensors").is_file() and (run / "figures.json").is_file()
    assert train(tiny, run)["finished"]
    assert outcome(run) == undisturbed


def test_the_best_weights_stay_the_best_after_resuming(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kapelle.training import objectives, run_folder

    values = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(objectives.LanguageModel, "validate", lambda self, turn: {"validation": next(values)})
    run = tmp_path / "run"

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(tiny, run, progress=stop)
    figures = train(tiny, run)
    assert figures["best"] == {"validation": 1.0, "step": 6.0} and figures["last"] == {"validation": 2.0}
    assert run_folder.weights_step(run) == 6


def test_two_processes_cannot_train_in_one_folder(tiny: Tiny, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    from kapelle.training import run_folder

    with run_folder.alone(tmp_path / "run"), pytest.raises(UsageError, match="another process is training in"):
        train(tiny, tmp_path / "run")


def test_a_second_interrupt_does_not_wait(tiny: Tiny, tmp_path: Path) -> None:
    def impatient(progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped at once"):
        train(tiny, tmp_path / "run", progress=impatient)


def test_the_generator_of_the_caller_is_left_alone(tiny: Tiny, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(tiny, tmp_path / "run")
    assert torch.equal(torch.rand(4), expected)
    assert np.isfinite(expected.numpy()).all()


def test_a_checkpoint_keeps_what_an_optimiser_holds_whatever_its_kind(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    made = {"adam": torch.optim.Adam(network.parameters()), "sgd": torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)}
    network(torch.ones(1, 3)).sum().backward()
    for optimizer in made.values():
        optimizer.step()
    place = checkpoint.save(tmp_path, 1, network, made, {"note": "x"})
    other = torch.nn.Linear(3, 2)
    again = {"adam": torch.optim.Adam(other.parameters()), "sgd": torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)}
    assert checkpoint.load(place, other, again)["note"] == "x"
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        for name in made:
            for key, value in made[name].state[one].items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(again[name].state[two][key]))


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    place = checkpoint.save(tmp_path, 1, torch.nn.Linear(3, 2), {}, {})
    with pytest.raises(CheckpointError, match="another network"):
        checkpoint.load(place, torch.nn.Linear(2, 2), {})


def test_two_checkpoints_are_kept_and_later_ones_that_were_passed_over_go(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    for step in (1, 2, 3, 9):
        checkpoint.save(tmp_path, step, network, {}, {})
    (tmp_path / "step-00000009" / "state.json").unlink()
    assert checkpoint.newest(tmp_path) == (tmp_path / "step-00000003", ["step-00000009"])
    checkpoint.save(tmp_path, 5, network, {}, {})
    assert sorted(place.name for place in tmp_path.iterdir()) == ["step-00000003", "step-00000005"]
