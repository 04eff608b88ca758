"""Two processes, or many small passes, give what one process gives in one pass."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

import forks  # noqa: E402

import fakes_band  # noqa: E402
import fakes_training  # noqa: E402
import theme_songs_tiny  # noqa: E402
from kapelle import models  # noqa: E402
from kapelle.training import trackers  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Tiny

TOLERANCE = 1e-4
"""Largest difference of a weight after 12 steps at a learning rate of 0.01: sums are taken in another order."""

OVERRIDES = ("training.steps=12", "training.validate_every=6", "training.log_every=1", "model.dropout=0.0")
"""Dropout draws by process and pass, so it is left out here."""
SRC = Path(__file__).parents[2] / "src"


def weights(run: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(sorted((run / "checkpoints").glob("step-*"))[-1] / "model.safetensors")


def same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name in first:
        if name.endswith(
            ("c_attn.bias", "in_proj_bias")
        ):  # softmax ignores a bias of the keys: its gradient is rounding alone, which Adam blows up
            first[name], second[name] = (torch.cat([held[name].chunk(3)[i] for i in (0, 2)]) for held in (first, second))
        assert torch.allclose(first[name], second[name], rtol=0, atol=TOLERANCE), (name, (first[name] - second[name]).abs().max())
    for a, b in zip(trackers.read_log(one / "log.jsonl"), trackers.read_log(other / "log.jsonl"), strict=True):
        for name in ("loss", "tokens", "gradient_norm", "weight_norm", "bits_per_note"):
            assert a.get(name, 0) == pytest.approx(b.get(name, 0), rel=1e-3), (name, a["step"])


def train(tiny: Tiny, run: Path, *overrides: str, devices: int = 1) -> dict[str, Any]:
    options = FitOptions(overrides=(*OVERRIDES, *overrides), accelerator="cpu", trackers=(), devices=devices)
    return fit(tiny.recipe, tiny.shards, run, options)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def side_by_side(work: Callable[[], Any], folder: Path, world: int = 2) -> list[dict[str, Any]]:
    """Run `work` in `world` forks that know of one another as torchrun's processes do."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(world), "NODE_RANK": "0"}
    environments = [{**shared, "LOCAL_RANK": str(rank)} for rank in range(world)]
    started = [forks.start(work, folder / f"told{rank}", environment) for rank, environment in enumerate(environments)]
    return [forks.finish(process, folder / f"told{rank}") for rank, process in enumerate(started)]


@pytest.mark.skipif(not forks.AVAILABLE, reason="processes are forked on Linux alone")
@pytest.mark.parametrize("overrides", [(), ("training.batch_size=5", "training.micro_batch=1")], ids=["even", "uneven"])
def test_two_processes_give_the_result_of_one(tiny: Tiny, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    alone = forks.finish(forks.start(partial(train, tiny, tmp_path / "one", *overrides), tmp_path / "told"), tmp_path / "told")
    told = side_by_side(partial(train, tiny, tmp_path / "two", *overrides, devices=2), tmp_path)
    assert [item["returned"]["step"] for item in told] == [12, 12], told
    assert told[0]["returned"]["tokens"] == alone["returned"]["tokens"]
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.skipif(not forks.AVAILABLE, reason="processes are forked on Linux alone")
def test_two_processes_give_the_result_of_one_for_two_optimisers_on_parts_of_a_network(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(fakes_training.recipe("gan"))

    def gan(run: Path, devices: int) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            fakes_training.register(patch)
            return fit(tmp_path / "recipe.toml", tmp_path, run, FitOptions(accelerator="cpu", trackers=(), devices=devices))

    assert "returned" in forks.finish(forks.start(partial(gan, tmp_path / "one", 1), tmp_path / "told"), tmp_path / "told")
    assert all("returned" in item for item in side_by_side(partial(gan, tmp_path / "two", 2), tmp_path))
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.skipif(not forks.AVAILABLE, reason="processes are forked on Linux alone")
def test_two_processes_agree_on_what_a_validation_says_though_batch_norms_saw_other_rows(tmp_path: Path) -> None:
    """They save together after the best one: with figures of their own, one waited for the other for ever."""
    fakes_band.write_shards(tmp_path / "shards", fakes_band.cells(64))
    (tmp_path / "recipe.toml").write_text(fakes_band.recipe().replace("validate_every = 4", "validate_every = 1"))

    def band() -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(models.FAMILIES, "fake_band", "fakes_band")
            options = FitOptions(accelerator="cpu", trackers=(), devices=2)
            return fit(tmp_path / "recipe.toml", tmp_path / "shards", tmp_path / "run", options)

    one, other = (told["returned"] for told in side_by_side(band, tmp_path))
    assert (one["step"], one["best"], one["last"]) == (8, other["best"], other["last"])


@pytest.mark.skipif(not os.environ.get("KAPELLE_FULL"), reason="starts the program twice: with KAPELLE_FULL=1")
def test_the_program_starts_itself_again_for_the_second_device(tiny: Tiny, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, json\nfrom pathlib import Path\nfrom kapelle.training.fit import FitOptions, fit, is_first_process\n"
        f"options = FitOptions(overrides={OVERRIDES!r}, accelerator='cpu', trackers=(), devices=int(sys.argv[2]))\n"
        f"figures = fit(Path({str(tiny.recipe)!r}), Path({str(tiny.shards)!r}), Path(sys.argv[1]), options)\n"
        "if is_first_process():\n    print(json.dumps(figures))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}
    for devices, name in ((1, "one"), (2, "two")):
        command = [sys.executable, str(script), str(tmp_path / name), str(devices)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=True)
        assert json.loads(done.stdout)["finished"]
    same(tmp_path / "one", tmp_path / "two")


def test_gradient_accumulation_equals_the_whole_batch(tiny: Tiny, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train(tiny, tmp_path / "one")
    train(tiny, tmp_path / "parts", "training.micro_batch=1")
    same(tmp_path / "one", tmp_path / "parts")


@pytest.mark.skipif(not forks.AVAILABLE, reason="processes are forked on Linux alone")
def test_two_processes_learn_themes_as_one_does(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(theme_songs_tiny.RECIPE)
    made: Any = SimpleNamespace(recipe=recipe, shards=theme_songs_tiny.songs(tmp_path / "shards"))
    overrides = ("training.batch_size=5", "training.themes.echo_steps=3", "training.themes.echo_share=0.2")
    forks.finish(forks.start(partial(train, made, tmp_path / "one", *overrides), tmp_path / "told"), tmp_path / "told")
    told = side_by_side(partial(train, made, tmp_path / "two", *overrides, devices=2), tmp_path)
    assert [item["returned"]["step"] for item in told] == [12, 12], told
    same(tmp_path / "one", tmp_path / "two")
