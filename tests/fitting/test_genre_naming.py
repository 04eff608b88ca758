from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from kapelle.fitting import genres
from kapelle.fitting.genres import name_genres
from kapelle.fitting.music import Music
from kapelle.fitting.start import Start

TOKENS = ["pop", "jazz", "edm", "classical"]
START = Start("base", "0", {}, "gpt", "remi", {}, {"spec": {"genres": TOKENS}, "tokens": []})


def music(*names: str) -> Music:
    return Music(Path("/music/My Folder"), tuple({"folder": name, "genre": name, "group": "path"} for name in names), 20)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """What the model is said to hear: genre -> token -> bits."""
    table: dict[str, dict[str, float]] = {}

    def surprise(start: Start, music: Music, names: list[str], tokens: list[str]) -> dict[str, dict[str, float]]:
        return {name: {token: table[name][token] for token in tokens} for name in names}

    monkeypatch.setattr(genres, "surprise", surprise)
    return table


def test_a_genre_of_the_same_name_keeps_its_token(heard: dict[str, dict[str, float]]) -> None:
    made = name_genres(START, music("jazz", "pop"))
    assert made.tokens == tuple(TOKENS)
    assert made.instead_of == {} and made.joined == ()


def test_another_takes_over_the_token_that_foretells_it_best(heard: dict[str, dict[str, float]]) -> None:
    heard["mozart"] = {"pop": 3.0, "jazz": 2.9, "edm": 3.1, "classical": 2.5}
    made = name_genres(START, music("mozart", "pop"))
    assert made.tokens == ("pop", "jazz", "edm", "mozart")
    assert made.instead_of == {"mozart": "classical"}


def test_two_that_want_the_same_token_share_by_the_clearer_case(heard: dict[str, dict[str, float]]) -> None:
    heard["mozart"] = {"pop": 3.0, "jazz": 2.9, "edm": 3.1, "classical": 2.5}
    heard["bach"] = {"pop": 3.0, "jazz": 2.8, "edm": 2.9, "classical": 2.4}
    assert name_genres(START, music("mozart", "bach")).instead_of == {"bach": "classical", "mozart": "jazz"}


def test_where_one_token_is_left_nothing_is_listened_to() -> None:
    one = Start("base", "0", {}, "lstm", "remi", {}, {"spec": {"genres": ["classical"]}, "tokens": []})
    assert name_genres(one, music("folk")).tokens == ("folk",)


def test_more_genres_than_tokens_become_one(heard: dict[str, dict[str, float]]) -> None:
    heard["my-folder"] = {"pop": 1.0, "jazz": 2.0, "edm": 3.0, "classical": 4.0}
    made = name_genres(START, music("a", "b", "c", "d", "e"))
    assert made.tokens == ("my-folder", "jazz", "edm", "classical")
    assert made.joined == ("a", "b", "c", "d", "e")
    assert {row["genre"] for row in made.music.rows} == {"my-folder"}
    assert [row["folder"] for row in made.music.rows] == ["a", "b", "c", "d", "e"]


def test_a_model_without_genres_is_told_none() -> None:
    silent = Start("base", "0", {}, "chord_lstm", "chords", {}, {"spec": {}, "tokens": []})
    assert name_genres(silent, music("a", "b")).tokens == ()
