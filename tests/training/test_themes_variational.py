"""Training slots: what they say is paid for, and a run without slots can be gone on with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kapelle.data import theme_shards  # noqa: E402
from kapelle.models import theme, theme_variational  # noqa: E402
from kapelle.training import themes_variational, trackers  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.objectives import Turn  # noqa: E402
from kapelle.training.recipe import TrainingSection, VariationalSection  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

N_WORDS = 24
BAR, START, END = 21, 22, 23
SHAPE = {"n_positions": 64, "d_model": 16, "n_head": 2, "d_ff": 32, "n_encoder": 1, "n_decoder": 2, "exclusive": [0, 1], "dropout": 0.0}
RECIPE = """
name = "tiny"
family = "theme_variational"
codec = "theme"
objective = "theme_variational"
[model]
slots = 2
latent = 8
{shape}
[training]
steps = {steps}
batch_size = 8
learning_rate = 0.01
warmup_steps = 0
weight_decay = 0.0
precision = "32-true"
validate_every = {steps}
log_every = 50
[training.variational]
weight = {weight}
free_bits = 0.0
ramp_steps = 5
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "draw_curves", lambda run: None)
    torch.set_num_threads(1)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Songs that are a theme of six notes, twice."""
    draw = np.random.default_rng(0)
    ids, songs, windows = [], [], []
    for number in range(48):
        one = np.array([START, BAR, *draw.integers(1, 20, 6), END])
        start = 18 * number
        ids.append(np.tile(one, 2))
        songs.append((start, start + 18, start, start + 9, 12, 2, number < 12, 0, 0, 0))
        windows.append((number, start, start + 17))
    labels = np.tile([1, 2, 3, 4, 5, 6, 7, 8, 0], 96)
    info: dict[str, Any] = {
        "mode": "paper", "vocabulary": N_WORDS, "pad": 0, "context_len": 32, "pitch_ids": [[1, 20]], "note_ids": [[1, 20]],
        "normalised_key": True, "theme_start": START, "theme_end": END, "bar": BAR, "sources": [{}],
    }  # fmt: skip
    made = {"songs": np.array(songs, theme_shards.SONG), "windows": np.array(windows, theme_shards.WINDOW)}
    theme_shards.write(tmp_path / "shards", info, {"ids": np.concatenate(ids).astype("<u2"), "labels": labels.astype("<u2"), **made})
    (tmp_path / "shards/tokenizer.json").write_text(json.dumps({"tokens": [str(i) for i in range(N_WORDS)]}))
    return tmp_path / "shards"


def trained(folder: Path, shards: Path, weight: float, steps: int = 40, **options: Any) -> dict[str, float]:
    path, run = folder / f"{weight}.toml", folder / f"run{weight}"
    shape = "\n".join(f"{key} = {value}" for key, value in SHAPE.items())
    path.write_text(RECIPE.format(shape=shape, steps=steps, weight=weight))
    return fit(path, shards, run, FitOptions(accelerator="cpu", trackers=(), **options))["last"]


def test_the_dearer_it_is_the_less_the_slots_say(shards: Path, tmp_path: Path) -> None:
    free, dear = trained(tmp_path, shards, 0.0), trained(tmp_path, shards, 5.0)
    assert free["kl_bits"] > 2 * dear["kl_bits"] and dear["kl_bits"] >= 0
    assert {"bits_per_token", "theme_bits_per_token", "theme_gain", "silent_slots"} <= set(dear)


def test_a_run_begins_with_one_that_has_no_slots(shards: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    plain = theme.build(theme.Config(vocabulary=N_WORDS, **{**SHAPE, "exclusive": (0, 1)}))
    (tmp_path / "plain").mkdir()
    save_file(plain.state_dict(), tmp_path / "plain/weights.safetensors")
    (tmp_path / "plain/tokenizer.json").write_text((shards / "tokenizer.json").read_text())
    told = trained(tmp_path, shards, 0.5, steps=1, start_from=tmp_path / "plain")
    held = load_file(tmp_path / "run0.5/weights.safetensors")
    moved = (held["decoder.layers.0.linear1.weight"] - plain.decoder.layers[0].linear1.weight).abs().max()
    assert 0 < float(moved.detach()) < 0.05 and "slots.questions" in held
    assert np.isfinite(list(told.values())).all()


def test_the_price_is_shared_out_among_the_ids_and_grows_from_nothing(shards: Path) -> None:
    rules = VariationalSection(weight=2.0, free_bits=0.0, ramp_steps=10)
    settings = TrainingSection(steps=1, batch_size=2, variational=rules)
    objective = themes_variational.VariationalThemes(theme_shards.read(shards), settings, theme.logits)
    network = theme_variational.build(theme_variational.Config(vocabulary=N_WORDS, slots=2, latent=8, **{**SHAPE, "exclusive": (0, 1)}))
    network.slots.said = (torch.ones(2, 2, 8), torch.zeros(2, 2, 8))  # 4 nats a slot
    turn = Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: None, lambda name: 0.0, lambda: None)
    part = objective.windows.batch(0)
    n_ids = float((part.ids[:, 1:] != 0).sum()) / 2
    assert float(objective._extra(turn, part, n_ids)) == pytest.approx(2.0 * 0.1 * 8 / n_ids)
    assert float(objective._extra(replace(turn, step=50), part, n_ids)) == pytest.approx(2.0 * 8 / n_ids)


def test_a_step_of_windows_of_uneven_length_is_the_same_however_it_is_cut(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of the whole step, and of its windows one by one; nothing is drawn, since draws go by the pass."""
    shape = theme_variational.Config(vocabulary=N_WORDS, slots=2, latent=8, **{**SHAPE, "exclusive": (0, 1)})
    torch.manual_seed(0)
    network = theme_variational.build(shape)
    monkeypatch.setattr(network, "drawn", lambda mean, spread: mean)
    rules = VariationalSection(weight=5.0, free_bits=0.0, ramp_steps=1)
    found = []
    for size in (0, 1):
        settings = TrainingSection(steps=1, batch_size=4, micro_batch=size, excerpts=0.0, variational=rules)
        objective = themes_variational.VariationalThemes(theme_shards.read(shards), settings, theme.logits)
        whole = objective.windows.batch(0)
        for row, length in enumerate((4, 7, 11, 17)):
            whole.ids[row, length:] = 0
        monkeypatch.setattr(objective.windows, "batch", lambda step, whole=whole: whole)
        network.zero_grad()
        objective.step(Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: loss.backward(), lambda name: 0.0, lambda: None))
        found.append(network.slots.questions.grad.clone())
    assert torch.allclose(found[0], found[1], rtol=0, atol=1e-6), (found[0] - found[1]).abs().max()
