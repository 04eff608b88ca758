"""Fragments of melodies as shards: prepared from MIDI, written, read, refused when damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import melodies
import tunes
from kapelle.data import fragment_shards, themes
from kapelle.data.prepare import preparation, prepare
from kapelle.errors import Missing, ShardError
from kapelle.score.melody import MELODY_NOTE

RECIPES = Path(__file__).parents[2] / "recipes"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    held = fragment_shards.read(melodies.write_shards(tmp_path, n_songs=5))
    assert fragment_shards.NOTE == MELODY_NOTE
    songs = held.by_song("train")
    assert len(songs) == 2 and len(held.by_song("validation")) == 3 and held.by_song("test") == []
    assert sum(map(len, songs)) + sum(map(len, held.by_song("validation"))) == len(held)
    first, again = (held.fragment(int(songs[1][place])) for place in (0, 4))
    assert (first.bar, again.bar) == (0, 4)
    assert (first.notes == again.notes).all() and first.notes["start"].min() >= 0 and first.notes["start"].max() < 32
    assert (first.notes == themes.fragments(melodies.song(1), melodies.N_BARS)[0].notes).all()


def test_no_shards_are_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no fragments in"):
        fragment_shards.read(tmp_path)


@pytest.mark.parametrize("harm", ["codec", "json", "file", "type", "slice", "part", "order"])
def test_damage_is_told(harm: str, tmp_path: Path) -> None:
    melodies.write_shards(tmp_path, n_songs=4)
    table = np.load(tmp_path / "fragments.npy")
    match harm:
        case "codec":
            info = json.loads((tmp_path / "shards.json").read_text())
            (tmp_path / "shards.json").write_text(json.dumps({**info, "codec": "roll"}))
        case "json":
            (tmp_path / "shards.json").write_text("{")
        case "file":
            (tmp_path / "notes.npy").unlink()
        case "type":
            np.save(tmp_path / "fragments.npy", table["start"])
        case "slice":
            table["stop"][-1] += 1
        case "part":
            table["part"][0] = 7
        case "order":
            table["song"][0] = 3
    if harm in ("slice", "part", "order"):
        np.save(tmp_path / "fragments.npy", table)
    with pytest.raises(ShardError, match="hold no fragments" if harm == "codec" else "damaged"):
        fragment_shards.read(tmp_path)


def test_songs_are_prepared_once_each(tmp_path: Path) -> None:
    folder = tunes.write_folder(tmp_path / "midi")
    recipe = tmp_path / "encoder.toml"
    text = (RECIPES / "theme-encoder.toml").read_text()
    start, stop = text.index("sources = ["), text.index("[tokenizer]")
    source = 'sources = [{ folder = ".", melody = "found", licence = "CC0" }]\n\n'
    recipe.write_text((text[:start] + source + text[stop:]).replace("min_bars = 16", "min_bars = 4"))
    report = prepare(folder, preparation(recipe), tmp_path / "shards")
    held = fragment_shards.read(tmp_path / "shards")
    assert report["codec"] == "fragments" and report["sizes"] == themes.SIZES
    assert report["kept"] == report["parts"]["train"]["songs"] + report["parts"]["validation"]["songs"] > 0
    assert report["kept"] + sum(report["dropped"].values()) == report["files"]
    assert len(held) == report["fragments"] and all(len(held.fragment(i).notes) >= 4 for i in range(len(held)))


@pytest.mark.skipif(not os.environ.get("KAPELLE_DATA"), reason="KAPELLE_DATA names no folder of data packs")
def test_of_pop909_the_named_songs_are_held_out(tmp_path: Path) -> None:
    data = Path(os.environ["KAPELLE_DATA"])
    if not (data / "pop909").is_dir() or not (data / "pop909_cl").is_dir():
        pytest.skip("no POP909")
    for pack in ("pop909", "pop909_cl"):
        for name in ("064", "065", "449", "891", "100", "101", "102", "103"):
            for path in (data / pack).rglob(f"{name}.mid"):
                place = tmp_path / "data" / path.relative_to(data)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    prepare(tmp_path / "data", preparation(RECIPES / "theme-encoder.toml"), tmp_path / "shards")
    fates = {Path(row["file"]).stem: row.get("part", "") for row in json.loads((tmp_path / "shards" / "files.json").read_text())}
    assert [fates[name] for name in ("065", "449", "891")] == ["test"] * 3
    assert "test" not in [fates[name] for name in ("064", "100", "101", "102", "103")]
