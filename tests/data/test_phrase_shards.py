"""Phrases as packed cells: what is written is read, moved without the drums, and refused when damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.data import phrase_shards
from kapelle.errors import Missing, ShardError

if TYPE_CHECKING:
    from pathlib import Path

TRACKS = ("drums", "piano", "bass")
N, M, L, S, P = 6, 3, 2, 4, 12


def some_cells(seed: int = 0, n_pitches: int = P) -> phrase_shards.Cells:
    return np.random.default_rng(seed).random((N, M, L, S, n_pitches)) < 0.3


def write(path: Path, cells: phrase_shards.Cells) -> dict[str, Any]:
    phrases = np.zeros(len(cells), phrase_shards.PHRASE)
    phrases["part"] = [0, 0, 1, 2, 0, 1]
    phrases["present"] = [0b111, 0b101, 0b001, 0b010, 0b111, 0b011]
    sizes = dict(zip(phrase_shards.SIZES, cells.shape[1:], strict=True))
    info = {"tracks": list(TRACKS), "sizes": sizes, "sources": [{"folder": "band"}]}
    return phrase_shards.write(path, info, {"cells": phrase_shards.pack(cells), "phrases": phrases})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cells = some_cells()
    info = write(tmp_path, cells)
    held = phrase_shards.read(tmp_path)
    assert held.info == info and held.tracks == TRACKS and len(held) == N
    assert held.sizes == {"n_tracks": M, "n_bars": L, "n_steps": S, "n_pitches": P}
    assert (held.cells(np.arange(N)) == cells).all() and held.cells([3]).dtype == np.bool_
    assert isinstance(held.packed, np.memmap) and held.packed.shape == (N, M, L, S, 2)
    assert [held.of(part).tolist() for part in ("train", "validation", "test")] == [[0, 1, 4], [2, 5], [3]]


def test_present_tracks_are_told_by_their_places(tmp_path: Path) -> None:
    write(tmp_path, some_cells())
    assert phrase_shards.read(tmp_path).present([1, 3]).tolist() == [[True, False, True], [False, True, False]]


def test_all_but_the_drums_are_moved(tmp_path: Path) -> None:
    cells = some_cells()
    write(tmp_path, cells)
    moved = phrase_shards.read(tmp_path).cells([0, 1, 2], [2, 0, -3])
    assert (moved[:, 0] == cells[:3, 0]).all() and (moved[1] == cells[1]).all()
    assert (moved[0, 1:, ..., 2:] == cells[0, 1:, ..., :-2]).all() and not moved[0, 1:, ..., :2].any()
    assert (moved[2, 1:, ..., :-3] == cells[2, 1:, ..., 3:]).all() and not moved[2, 1:, ..., -3:].any()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.lists(st.integers(-25, 25), min_size=N, max_size=N))
def test_cells_moved_together_are_those_moved_one_by_one(n_pitches: int, shifts: list[int]) -> None:
    cells = some_cells(1, n_pitches)
    sizes = dict(zip(phrase_shards.SIZES, cells.shape[1:], strict=True))
    held = phrase_shards.Phrases(None, {"tracks": TRACKS, "sizes": sizes}, phrase_shards.pack(cells), np.zeros(N, phrase_shards.PHRASE))  # type: ignore[arg-type]
    found = held.cells(np.arange(N), shifts)
    for row, shift in enumerate(shifts):
        wanted = np.zeros_like(cells[row])
        wanted[0] = cells[row, 0]
        for pitch in range(n_pitches):
            if 0 <= pitch + shift < n_pitches:
                wanted[1:, ..., pitch + shift] = cells[row, 1:, ..., pitch]
        assert (found[row] == wanted).all()


def test_the_fingerprint_tells_other_cells_apart(tmp_path: Path) -> None:
    prints = {write(tmp_path / str(seed), some_cells(seed))["fingerprint"] for seed in (0, 0, 1)}
    assert len(prints) == 2


def test_an_empty_folder_holds_no_phrases(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no phrases in"):
        phrase_shards.read(tmp_path)


def test_shards_of_tokens_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "shards.json").write_text(json.dumps({"format": 1, "vocabulary_size": 40}))
    with pytest.raises(ShardError, match="hold tokens, not phrases"):
        phrase_shards.read(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "cells.npy").unlink(),
        lambda path: (path / "cells.npy").write_bytes((path / "cells.npy").read_bytes()[:-9]),
        lambda path: (path / "shards.json").write_text("{"),
        lambda path: (path / "shards.json").write_text(json.dumps({"codec": "roll", "tracks": ["drums"]})),
        lambda path: np.save(path / "phrases.npy", np.zeros(N - 1, phrase_shards.PHRASE)),
        lambda path: np.save(path / "phrases.npy", np.zeros(N)),
    ],
)
def test_damage_is_one_clear_line(damage: Any, tmp_path: Path) -> None:
    write(tmp_path, some_cells())
    damage(tmp_path)
    with pytest.raises(ShardError, match="damaged"):
        phrase_shards.read(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("part", 3), ("source", 1), ("down", 1), ("up", -1)])
def test_a_phrase_that_points_nowhere_is_refused(name: str, value: int, tmp_path: Path) -> None:
    write(tmp_path, some_cells())
    phrases = np.load(tmp_path / "phrases.npy")
    phrases[name][0] = value
    np.save(tmp_path / "phrases.npy", phrases)
    with pytest.raises(ShardError, match="damaged"):
        phrase_shards.read(tmp_path)
