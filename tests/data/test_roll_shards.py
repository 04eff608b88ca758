"""Rolls with classes as shards: prepared from MIDI, written, read, refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rolls
from kapelle.data import roll_shards
from kapelle.data.prepare import preparation, prepare
from kapelle.data.roll_reading import view
from kapelle.data.split import half
from kapelle.errors import Missing, ShardError, UsageError
from kapelle.score import write

RECIPE = Path(__file__).parents[2] / "recipes" / "genre-judge.toml"


def test_what_is_prepared_is_read(tmp_path: Path) -> None:
    held = roll_shards.read(rolls.write_shards(tmp_path))
    assert held.classes == ("edm", "jazz") and len(held.pieces) == 16 and held.half == -1
    assert held.info["pieces"]["edm"].keys() == {"train", "validation", "test"}
    first = view(rolls.piece("quick", 5))
    place = int(np.flatnonzero(held.pieces["label"] == 0)[0])  # the first of the sorted paths is artist1
    assert len(held.notes(place)) == 64 and held.lines(place).tolist() == first.lines.tolist()


def test_named_artists_and_songs_are_the_test(tmp_path: Path) -> None:
    out = rolls.write_shards(tmp_path)
    files = {row["file"]: row["part"] for row in json.loads((out / "files.json").read_text())}
    assert files["quick/zed/song0.mid"] == files["slow/all/song3.mid"] == "test"


def test_no_artist_is_in_two_parts_and_the_other_half_is_not_learned(tmp_path: Path) -> None:
    held = roll_shards.read(rolls.write_shards(tmp_path, half=1, n=12))
    parts = {name: set(held.of(name).tolist()) for name in ("train", "validation", "test", "other")}
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == len(held.pieces)
    assert parts["train"] and parts["other"]
    assert (held.pieces["half"][list(parts["train"])] == 1).all() and (held.pieces["half"][list(parts["other"])] == 0).all()
    by_group: dict[int, set[int]] = {}
    for row in held.pieces:
        by_group.setdefault(int(row["group"]), set()).add(int(row["part"]))
    assert all(len(found) == 1 for found in by_group.values())
    assert half("artist3") == held.pieces["half"][[row["file"] for row in _kept(tmp_path)].index("quick/artist3/song3.mid")]


def _kept(folder: Path) -> list[dict[str, str]]:
    return [row for row in json.loads((folder / "shards" / "files.json").read_text()) if "part" in row]


def test_equal_notes_are_kept_once_and_little_music_not_at_all(tmp_path: Path) -> None:
    midi = rolls.write_folder(tmp_path / "midi", 4)
    write.write(rolls.piece("slow", 4), midi / "slow" / "all" / "again.mid")
    write.write(rolls.piece("slow", 99, bars=2), midi / "slow" / "all" / "short.mid")
    (midi / "slow" / "all" / "none.mid").write_bytes(b"no music")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(rolls.RECIPE.format(half=-1))
    told = prepare(midi, preparation(recipe), tmp_path / "shards")
    assert told["dropped"] == {"not readable as MIDI": 1, "the same as another piece": 1, "too few notes": 1}
    assert told["kept"] == 8 and told["sources"][1]["files"] == 7


def test_a_source_must_be_of_a_class(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(rolls.RECIPE.format(half=-1).replace('genre = "edm"', 'genre = "polka"'))
    with pytest.raises(UsageError, match="of no class"):
        prepare(rolls.write_folder(tmp_path / "midi", 2), preparation(recipe), tmp_path / "shards")


def test_the_recipe_that_ships_names_who_is_held_out_and_learns_from_one_half() -> None:
    made = preparation(RECIPE)
    assert made.data.half == 1 and {"mozart", "897"} <= set(made.data.held_out)
    assert {source.genre for source in made.data.sources} == set(made.tokenizer.classes)


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = rolls.write_shards(tmp_path / "a"), rolls.write_shards(tmp_path / "b")
    assert all((one / f"{name}.npy").read_bytes() == (two / f"{name}.npy").read_bytes() for name in roll_shards.ARRAYS)


def test_no_shards_are_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no rolls in"):
        roll_shards.read(tmp_path)


@pytest.mark.parametrize("harm", ["codec", "json", "file", "type", "slice", "part", "label"])
def test_damage_is_told(harm: str, tmp_path: Path) -> None:
    out = rolls.write_shards(tmp_path, n=3)
    table = np.load(out / "pieces.npy")
    match harm:
        case "codec":
            info = json.loads((out / "shards.json").read_text())
            (out / "shards.json").write_text(json.dumps({**info, "codec": "roll"}))
        case "json":
            (out / "shards.json").write_text("{")
        case "file":
            (out / "notes.npy").unlink()
        case "type":
            np.save(out / "pieces.npy", table["start"])
        case "slice":
            table["stop"][-1] += 1
        case "part":
            table["part"][0] = 7
        case "label":
            table["label"][0] = 2
    if harm in ("slice", "part", "label"):
        np.save(out / "pieces.npy", table)
    with pytest.raises(ShardError, match="hold no rolls" if harm == "codec" else "damaged"):
        roll_shards.read(out)
