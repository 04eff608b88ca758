"""Folders of songs to theme shards: dealt, cut, the same over processes, resumed, and refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import themed
from kapelle.data import theme_shards, theme_songs
from kapelle.data.prepare import preparation, prepare
from kapelle.errors import Missing, UsageError
from kapelle.tokens import theme, vocabulary

DATA = os.environ.get("KAPELLE_DATA", "")
RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = """
name = "tiny-theme"
family = "theme"
codec = "theme"

[data]
validation = 0.2
sources = [{ folder = "songs", align = "grids", key = "signature", licence = "our own", test = ["001", "900"], validation = ["004"] }]

[tokenizer]
normalise_key = true

[preprocessing]
context_len = 128
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = themed.write_folder(tmp_path_factory.mktemp("music"))
    songs = place / "songs"
    (songs / "800.mid").write_text("this is no music")
    (songs / "801.mid").write_bytes((songs / "000.mid").read_bytes())
    (place / "grids" / "801.mid").write_bytes((place / "grids" / "000.mid").read_bytes())
    themed.song(50, returns=()).dump_midi(songs / "802.mid")
    return place


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def made(recipe: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    prepare(folder, preparation(recipe), out, embed=themed.embed)
    return out


def test_the_report_adds_up_and_says_why(made: Path) -> None:
    info = json.loads((made / "shards.json").read_text())
    assert (info["files"], info["kept"], info["normalised_key"]) == (11, 8, True)
    assert info["dropped"] == {
        "no theme: no two bars of the melody come back": 1,
        "not readable as MIDI": 1,
        "the same as another song": 1,
    }
    assert {name: part["songs"] for name, part in info["parts"].items()} == {"train": 5, "validation": 2, "test": 1}
    assert info["named_but_left_out"] == {"songs": ["900"]} and info["sources"][0]["licence"] == "our own"
    fates = {fate["file"]: fate.get("part") or fate["dropped"] for fate in json.loads((made / "files.json").read_text())}
    assert (fates["songs/001.mid"], fates["songs/004.mid"], fates["songs/801.mid"]) == ("test", "validation", "the same as another song")


def test_every_song_reads_back_with_its_theme_where_it_was_put(made: Path) -> None:
    held = theme_shards.read(made)
    spec = theme.ThemeSpec(normalise_key=True)
    for song in held.songs:
        ids = held.ids[int(song["start"]) : int(song["stop"])].astype(np.int64)
        found = theme.decode(ids, spec)
        assert found.dropped == 0 and found.n_bars == song["n_bars"] == 24
        assert found.regions == ((0, 2), (8, 10), (16, 18)) and song["n_notes"] == sum(len(track.notes) for track in found.score.tracks)
        again = theme.encode(found.score, spec, found.regions, n_bars=24)
        assert (again.ids == ids).all() and (again.labels == held.labels[int(song["start"]) : int(song["stop"])]).all()


def test_what_the_encoder_hears_is_the_first_region_without_tempo(made: Path) -> None:
    held, words = theme_shards.read(made), theme.vocabulary("paper")
    tempi = words.mask(["Tempo"])
    for song in held.songs:
        ids = held.ids[int(song["start"]) : int(song["stop"])].astype(np.int64)
        heard = held.ids[int(song["theme_start"]) : int(song["theme_stop"])].astype(np.int64)
        assert tempi[ids].sum() == 1 and not tempi[heard].any()
        first = ids[: int(np.flatnonzero(ids == held.info["theme_end"])[0]) + 1]
        assert words.spell(heard) == words.spell(first[~tempi[first]])
        assert (heard == held.info["bar"]).sum() == 2 and (heard[0], heard[-1]) == (held.info["theme_start"], held.info["theme_end"])


def test_the_ids_say_what_they_mean_to_training(made: Path) -> None:
    held = theme_shards.read(made)
    words, extra = vocabulary.load(made / "tokenizer.json")
    assert len(words) == held.vocabulary_size == 716 and extra["codec"] == "theme"
    assert [[words.names[first], words.names[end - 1]] for first, end in held.info["pitch_ids"]] == [
        ["Note-On-MELODY_1", "Note-On-MELODY_127"],
        ["Note-On-PIANO_1", "Note-On-PIANO_127"],
    ]
    assert words.names[held.info["bar"]] == "Bar_None" and words.names[held.info["theme_start"]] == "Theme_Start"


def test_songs_may_be_moved_as_far_as_their_pitches_allow(made: Path) -> None:
    held, words = theme_shards.read(made), theme.vocabulary("paper")
    pitched = words.mask(["Note-On-MELODY", "Note-On-PIANO"])
    for song in held.songs:
        ids = held.ids[int(song["start"]) : int(song["stop"])]
        pitches = [int(words.value(int(token))) for token in ids[pitched[ids]]]
        assert (min(pitches) + song["down"], max(pitches) + song["up"]) == (1, 126)


def test_windows_are_those_in_which_a_theme_begins_or_ends(recipe: Path, folder: Path, made: Path, tmp_path: Path) -> None:
    held = theme_shards.read(made)
    marks = [held.info["theme_start"], held.info["theme_end"]]
    for window in held.windows:
        ids = held.ids[int(window["start"]) : int(window["stop"])]
        assert np.isin(ids, marks).any() and 64 <= len(ids) <= 129
    prepare(folder, preparation(recipe, ["preprocessing.windows=all"]), tmp_path, embed=themed.embed)
    every = theme_shards.read(tmp_path)
    assert len(every) > len(held) and set(held.windows.tolist()) < set(every.windows.tolist())
    follow = every.windows[1:]["start"] == every.windows[:-1]["stop"] - 1
    assert follow[every.windows[1:]["song"] == every.windows[:-1]["song"]].all()


def test_the_statistics_are_those_of_the_songs(made: Path) -> None:
    told = json.loads((made / "shards.json").read_text())["statistics"]
    held = theme_shards.read(made)
    tokens = int((held.songs["stop"] - held.songs["start"]).sum())
    assert told["bars_per_song"] == 24 and told["regions_per_song"] == 3 and told["bars_between_regions"] == 6
    assert told["tokens_per_song"] == round(tokens / 8, 3) and told["first_region_bar"] == 0
    inside = sum(int((held.labels[int(song["start"]) : int(song["stop"])] > 0).sum()) for song in held.songs)
    assert told["theme_percent"] == round(100 * inside / tokens, 3)


def test_two_processes_give_the_bytes_of_one(
    recipe: Path, folder: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("kapelle.data.cleaning.BATCH", 4)

    def tell(done: int, total: int) -> None:
        seen.append((done, total))

    prepare(folder, preparation(recipe), tmp_path, processes=2, progress=tell, embed=themed.embed)
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in made.iterdir() if path.is_file())
    assert seen == [(0, 11), (4, 11), (8, 11), (11, 11)]


def test_what_was_read_is_not_read_again_whatever_the_theme_is_found_by(
    recipe: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(folder, preparation(recipe), tmp_path, embed=themed.embed)

    def never(*given: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr(theme_songs, "song", never)
    again = prepare(folder, preparation(recipe, ["preprocessing.eps=0.3", "tokenizer.mode=released"]), tmp_path, embed=themed.embed)
    assert (first["vocabulary"], again["vocabulary"], again["eps"]) == (716, 1033, 0.3)
    with pytest.raises(AssertionError, match="read again"):
        prepare(folder, preparation(recipe, ["tokenizer.normalise_key=false"]), tmp_path, embed=themed.embed)


def test_without_an_embedding_it_is_said_in_one_line(recipe: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="found by an encoder of melodies"):
        prepare(folder, preparation(recipe), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_song_that_comes_back_is_refused_with_the_reasons(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    themed.song(50, returns=()).dump_midi(tmp_path / "songs" / "1.mid")
    with pytest.raises(UsageError, match="none of 1 files is fit for training: 1 no theme"):
        prepare(tmp_path, preparation(recipe), tmp_path / "out", embed=themed.embed)


@pytest.mark.parametrize("name", ["theme", "theme-faithful"])
def test_the_test_songs_of_the_recipes_are_the_published_ones_and_no_annotated_song_is_trained_on(name: str) -> None:
    source = preparation(RECIPES / f"{name}.toml").data.sources[0]
    assert len(set(source.test)) == 29 and min(source.test) == "874" and "882" not in source.test
    assert source.validation == ("065", "284", "310", "422", "449", "464")


@pytest.mark.skipif(not DATA, reason="KAPELLE_DATA is not set")
def test_songs_of_pop909_become_shards(tmp_path: Path) -> None:
    for name in ("pop909", "pop909_cl"):
        (tmp_path / "music" / name).mkdir(parents=True)
        for song in ("065", "873", "874", "002"):
            place = Path(DATA, name, song, f"{song}.mid") if name == "pop909" else Path(DATA, name, f"{song}.mid")
            (tmp_path / "music" / name / f"{song}.mid").symlink_to(place)
    info = prepare(tmp_path / "music", preparation(RECIPES / "theme.toml"), tmp_path / "out", embed=themed.embed)
    held = theme_shards.read(tmp_path / "out")
    assert info["kept"] == len(held.songs) >= 2 and len(held) >= 2
    assert 30 < info["statistics"]["tokens_per_bar"] < 110 and 0 < info["statistics"]["theme_percent"] < 60
