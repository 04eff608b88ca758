from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from kapelle.errors import Missing
from kapelle.fitting.music import FEW_FILES, Music, own_music, plain, toml


def put(folder: Path, *names: str) -> Path:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"")
    return folder


def found(folder: Path, *known: str) -> Music:
    music = own_music(folder, list(known))
    assert music is not None
    return music


def test_the_recipe_s_own_sources_come_first(tmp_path: Path) -> None:
    put(tmp_path, "pop/a.mid")
    assert own_music(tmp_path, ["pop", "jazz"]) is None


def test_subfolders_are_genres_and_what_holds_no_music_is_none(tmp_path: Path) -> None:
    put(tmp_path, "A b/x.MID", "c/deep/y.kar", "no music/readme.txt")
    music = found(tmp_path, "pop")
    assert music.rows == ({"folder": "A b", "genre": "a-b", "group": "path"}, {"folder": "c", "genre": "c", "group": "path"})
    assert (music.genres, music.n_files) == (("a-b", "c"), 2)


def test_lone_files_are_one_genre_named_after_the_folder(tmp_path: Path) -> None:
    place = put(tmp_path / "My Tunes", "a.mid", "more/b.mid")
    assert found(place).rows == ({"folder": ".", "genre": "my-tunes", "group": "path"},)
    assert found(place).n_files == 2


def test_folders_of_three_artists_stay_together(tmp_path: Path) -> None:
    put(tmp_path, *(f"pop/Artist {name}/{song}.mid" for name in "ABC" for song in "xy"))
    assert found(tmp_path).rows == ({"folder": "pop", "genre": "pop", "group": "parent"},)


def test_two_artists_are_too_few_to_hold_one_out(tmp_path: Path) -> None:
    put(tmp_path, *(f"pop/Artist {name}/{song}.mid" for name in "AB" for song in "xy"))
    assert found(tmp_path).rows[0]["group"] == "path"


def test_all_can_become_one_genre(tmp_path: Path) -> None:
    music = found(put(tmp_path / "All of It", "a/x.mid", "b/y.mid")).as_one()
    assert music.genres == ("all-of-it",)
    assert [row["folder"] for row in music.rows] == ["a", "b"]


def test_the_changes_to_a_recipe_are_toml() -> None:
    few = Music(Path("x"), ({"folder": 'a "b"', "genre": "ü", "group": "path"},), 20)
    table = tomllib.loads("\n".join(few.overrides("remi", genres=True)))
    assert table["data"] == {"sources": [{"folder": 'a "b"', "genre": "ü", "group": "path"}], "validation": 0.15, "test": 0.0}
    assert table["tokenizer"] == {"genres": ["ü"]}
    assert table["licence"] == ""


def test_a_model_s_own_genre_tokens_are_not_replaced_by_a_list() -> None:
    few = Music(Path("x"), ({"folder": "a", "genre": "a", "group": "path"},), 20)
    assert not any(text.startswith("tokenizer") for text in few.overrides("remi", genres=False))


def test_many_files_keep_the_recipe_s_shares_and_few_lower_the_count_that_a_chord_needs() -> None:
    row = {"folder": "a", "genre": "a", "group": "path"}
    many, few = Music(Path("x"), (row,), FEW_FILES), Music(Path("x"), (row,), 20)
    assert not any(text.startswith(("data.test", "tokenizer.min_count")) for text in many.overrides("chords", genres=True))
    assert "tokenizer.min_count=20" in few.overrides("chords", genres=True)


def test_a_folder_without_music_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no MIDI files"):
        own_music(tmp_path, [])
    with pytest.raises(Missing, match="no folder"):
        own_music(tmp_path / "nowhere", [])


@pytest.mark.parametrize(("name", "expected"), [("Folk Songs", "folk-songs"), ("__", "own"), ("Чай", "own"), ("A.B_c", "a-b-c")])
def test_a_plain_name(name: str, expected: str) -> None:
    assert plain(name) == expected


@pytest.mark.parametrize("value", [True, 3, 0.5, "a\nb", ["x", 1], {"a": [1.5], "b": {"c": False}}, ("x",), []])
def test_values_as_toml_come_back(value: object) -> None:
    back = tomllib.loads(f"value = {toml(value)}")["value"]
    assert back == (list(value) if isinstance(value, tuple) else value)
