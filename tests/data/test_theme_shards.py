"""Songs with themes as packed ids: what is written is read, cut, padded and moved, and refused when damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kapelle.data import theme_shards
from kapelle.errors import Missing, ShardError

if TYPE_CHECKING:
    from pathlib import Path

BAR, THEME, END = 9, 10, 11
"""Ids 1 to 4 are pitches of one track, 5 to 8 of the other."""


def some_info() -> dict[str, Any]:
    pitches = [[1, 5], [5, 9]]
    return {
        "mode": "paper", "vocabulary": 12, "pad": 0, "context_len": 6, "pitch_ids": pitches, "note_ids": pitches,
        "normalised_key": True, "theme_start": THEME, "theme_end": END, "bar": BAR, "sources": [{"folder": "songs"}],
    }  # fmt: skip


def write(path: Path) -> dict[str, Any]:
    ids = np.array([THEME, BAR, 1, 6, END, BAR, 3, 5, THEME, BAR, 2, END, BAR, 2, THEME, BAR, 3, END], np.uint16)
    labels = np.array([1, 2, 3, 4, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 0], np.uint16)
    songs = np.array([(0, 12, 0, 5, 5, 3, 0, 0, 0, 1), (12, 18, 14, 18, 2, 2, 2, 0, -1, 1)], theme_shards.SONG)
    windows = np.array([(0, 0, 7), (0, 6, 12), (1, 12, 18)], theme_shards.WINDOW)
    return theme_shards.write(path, some_info(), {"ids": ids, "labels": labels, "songs": songs, "windows": windows})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    info = write(tmp_path)
    held = theme_shards.read(tmp_path)
    assert held.info == info and info["codec"] == "theme" and len(info["fingerprint"]) == 64
    assert len(held) == 3 and held.vocabulary_size == 12 and held.context_len == 6
    assert [held.of(part).tolist() for part in ("train", "validation", "test")] == [[0, 1], [], [2]]
    assert held.songs_of("test").tolist() == [1] and isinstance(held.ids, np.memmap)


def test_windows_share_one_id_and_need_a_mark() -> None:
    ids = np.zeros(1100, np.int64)
    ids[600] = THEME
    assert theme_shards.cut(ids, 512, None) == [(0, 513), (512, 1025), (1024, 1100)]
    assert theme_shards.cut(ids, 512, (THEME, END)) == [(512, 1025)]
    assert theme_shards.cut(ids[:1087], 512, None) == [(0, 513), (512, 1025)], "an end of 63 ids is no window"
    assert theme_shards.cut(ids[:64], 512, None) == [(0, 64)] and theme_shards.cut([], 512, None) == []


def test_no_folder_and_another_codec_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no songs with themes"):
        theme_shards.read(tmp_path)
    (tmp_path / "shards.json").write_text(json.dumps({"codec": "roll"}))
    with pytest.raises(ShardError, match="hold no themes"):
        theme_shards.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ids", lambda a: a[:-3]),
        ("ids", lambda a: a + np.uint16(5)),
        ("labels", lambda a: a.astype(np.int64)),
        ("songs", lambda a: a[:1]),
        ("windows", lambda a: a["start"]),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path, name: str, change: Any) -> None:
    write(tmp_path)
    np.save(tmp_path / f"{name}.npy", change(np.load(tmp_path / f"{name}.npy")))
    with pytest.raises(ShardError, match="damaged"):
        theme_shards.read(tmp_path)


@pytest.mark.parametrize(("field", "value"), [("stop", 99), ("theme_start", -1), ("part", 3), ("source", 1), ("down", 1)])
def test_songs_that_make_no_sense_are_refused(tmp_path: Path, field: str, value: int) -> None:
    write(tmp_path)
    songs = np.load(tmp_path / "songs.npy")
    songs[field][0] = value
    np.save(tmp_path / "songs.npy", songs)
    with pytest.raises(ShardError, match="damaged"):
        theme_shards.read(tmp_path)


def test_an_unfinished_folder_is_none(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "shards.json").unlink()
    with pytest.raises(Missing):
        theme_shards.read(tmp_path)
