"""The held-out benchmark on shards of twelve short pieces, with a bundle that says what the test wants."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from kapelle.data import shards as shard_files
from kapelle.errors import Missing, UsageError

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
NAMES = ["PAD_None", "BOS_None", "EOS_None", "Genre_a", "Genre_b", "Bar_None", "Pitch_1", "Pitch_2", "Duration_1", "BarsLeft_1"]
V, CONTEXT = len(NAMES), 16
EOS, BAR, NOTE = 2, 5, 8


@pytest.fixture(scope="module")
def held_out():
    spec = importlib.util.spec_from_file_location("held_out", ROOT / "benchmarks" / "held_out.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["held_out"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["held_out"]


def write_shards(folder: Path) -> Path:
    """Twelve pieces of six bars, four for each part; pieces of genre a hold pitch 1 and those of genre b pitch 2."""
    tokens, bars, pieces, blocks = [], [], [], []
    for place in range(12):
        genre, start, first_bar = place % 2, len(tokens), len(bars)
        for _ in range(6):
            bars.append(len(tokens))
            tokens += [BAR, 9, 6 + genre, NOTE]
        pieces.append((start, len(tokens), first_bar, 6, 6, place // 4, genre, 0, 0))
        starts = np.array(bars[first_bar:]) - start
        blocks += [(place, bar) for bar in shard_files.cut_blocks(starts, len(tokens) - start, CONTEXT - 3, 0.25)]
    info = {"vocabulary_size": V, "context_len": CONTEXT, "pad": 0, "bos": 1, "eos": EOS, "note_ids": [NOTE, NOTE + 1], "genre_ids": [3, 4]}
    prefixes = np.zeros((12, shard_files.PREFIX_WIDTH), np.uint16)
    prefixes[:, 0] = [3 + place % 2 for place in range(12)]
    identity = np.arange(V, dtype=np.uint16)[None]
    arrays = {
        "tokens": np.array(tokens, np.uint16),
        "pieces": np.array(pieces, shard_files.PIECE),
        "prefixes": prefixes,
        "bars": np.array(bars, np.int64),
        "blocks": np.array(blocks, shard_files.BLOCK),
        "transpose": identity,
        "velocity": identity,
        "digests": np.array([f"{place:016x}" for place in range(12)], "S16"),
    }
    shard_files.write(folder, {**info, "genres": ["a", "b"]}, arrays)
    (folder / "tokenizer.json").write_text(json.dumps({"tokens": NAMES}))
    return folder


def write_bundle(folder: Path, names: list[str] = NAMES) -> Path:
    """After a genre or BOS comes a bar; else as the pieces go, an even chance between the pitches."""
    fakes = pytest.importorskip("fakes")
    table = np.full((V, V), -30.0)
    for before, after in [(0, 0), (1, 5), (2, 0), (3, 5), (4, 5), (5, 9), (6, 8), (7, 8), (9, 6), (9, 7), (8, 5)]:
        table[before, after] = 0
    table[8, EOS] = 0
    return fakes.markov(folder, table, files={"tokenizer.json": json.dumps({"tokens": names}).encode()})


def measured(held_out, tmp_path: Path, *more: str) -> dict:
    out = tmp_path / "out.json"
    held_out.main([str(write_shards(tmp_path / "shards")), *more, "--json", str(out), "--threads", "1"])
    return json.loads(out.read_text())


def test_every_id_counts_once_and_uniform_costs_the_logarithm(held_out, tmp_path: Path) -> None:
    report = measured(held_out, tmp_path)
    assert (report["held_out"]["pieces"], report["held_out"]["notes"], report["held_out"]["tokens"]) == (4, 24, 4 * 25)
    assert report["held_out"]["files"] == [f"{place:016x}" for place in range(8, 12)]
    uniform = report["figures"]["uniform"]
    assert uniform["bits_per_token"]["value"] == pytest.approx(np.log2(V))
    assert uniform["bits_per_note"]["value"] == pytest.approx(np.log2(V) * 100 / 24)
    assert report["figures"]["n-gram"]["bits_per_note"]["value"] < 3


def test_a_bundle_is_charged_for_what_it_says(held_out, tmp_path: Path, capsys) -> None:
    report = measured(held_out, tmp_path, str(write_bundle(tmp_path / "bundle")))
    # one bit for each pitch, one after each note for bar or EOS: two a note
    assert report["figures"]["model"]["bits_per_note"]["value"] == pytest.approx(2, abs=1e-4)
    spent = report["bits_per_note_by_kind"]["model"]
    assert sum(spent.values()) == pytest.approx(2, abs=1e-3)
    assert spent["Pitch"] == pytest.approx(1, abs=1e-3)
    assert spent["EOS"] == pytest.approx(1 / 6, abs=1e-3)
    assert report["genre"]["pieces"] == 4
    assert sum(report["genre"]["by_genre"]["a"]["cheapest"]) == 2
    out = capsys.readouterr().out
    assert "| n-gram |" in out
    assert "| genre | pieces |" in out


def test_the_genre_whose_token_helps_is_the_cheapest(held_out, tmp_path: Path, monkeypatch) -> None:
    def knows_genres(ids):
        wrong = ((ids == 6) & (ids[:, :1] == 4)) | ((ids == 7) & (ids[:, :1] == 3))
        return 1.0 + wrong

    model = held_out.Model("oracle", "0", knows_genres, 4)
    monkeypatch.setattr(held_out, "_open_model", lambda options, shards: model)
    report = measured(held_out, tmp_path, "oracle")
    assert report["genre"]["share"]["value"] == 1.0
    assert [row["cheapest"] for row in report["genre"]["by_genre"].values()] == [[2, 0], [0, 2]]
    assert report["figures"]["model"]["bits_per_token"]["value"] == 1.0


def test_an_interrupted_measurement_goes_on(held_out, tmp_path: Path, monkeypatch) -> None:
    calls = []

    def scorer(ids):
        calls.append(len(ids))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.ones(ids.shape)

    model = held_out.Model("slow", "0", scorer, 2)
    monkeypatch.setattr(held_out, "_open_model", lambda options, shards: model)
    partial = ("slow", "--partial", str(tmp_path / "partial.npz"))
    with pytest.raises(KeyboardInterrupt):
        measured(held_out, tmp_path, *partial)
    report = measured(held_out, tmp_path, *partial)
    n_items = len(held_out._items(shard_files.read(tmp_path / "shards"), list(_windows_of(held_out, tmp_path)), 3))
    assert sum(calls) - calls[2] == n_items  # nothing was measured twice but the group that failed
    assert report["figures"]["model"]["bits_per_token"]["value"] == 1.0


def _windows_of(held_out, tmp_path: Path):
    return held_out._windows(shard_files.read(tmp_path / "shards"), held_out.TEST)


def test_a_model_of_another_vocabulary_is_refused(held_out, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another vocabulary"):
        measured(held_out, tmp_path, str(write_bundle(tmp_path / "bundle", NAMES[::-1])))


def test_what_is_no_model_is_refused(held_out, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="neither a run nor a bundle"):
        measured(held_out, tmp_path, str(tmp_path))
