"""Composing from a seed file on the command line: the file travels in the recipe, and what is wrong with it is one clear line."""

import json
from pathlib import Path

import pytest

from kapelle.composing import seeds
from kapelle.score import edit
from kapelle.score.write import to_bytes


@pytest.fixture(scope="module")
def chords_model(tmp_path_factory):
    """Path of a bundle of notes and chords."""
    pytest.importorskip("onnx")
    import chord_composers

    return str(chord_composers.build(Path(tmp_path_factory.mktemp("bundles")) / "chords"))


@pytest.fixture
def mozart(tmp_path):
    """A MIDI file to begin from."""
    path = tmp_path / "mozart.mid"
    path.write_bytes(to_bytes(seeds.opening()))
    return path


def test_a_recipe_holds_the_seed_file_and_gives_the_same_bytes(run, chords_model, mozart, tmp_path):
    first, again, recipe = (tmp_path / name for name in ("first.mid", "again.mid", "piece.json"))
    asked = ("--seed-from", mozart, "--notes", 100, "--temperature", 1.5, "--seed", 4, "-o", first, "--save-recipe", recipe, "--json")
    answer = run("compose", "--model", chords_model, *asked)
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)["pieces"][0]
    assert (told["notes"], told["heard"], told["mapped"]) == (100, 181, 0)
    mozart.unlink()
    assert run("compose", "--from", recipe, "-o", again).code == 0
    assert first.read_bytes() == again.read_bytes()


def test_what_is_wrong_with_a_seed_file_is_one_line(run, chords_model, tmp_path):
    short = tmp_path / "short.mid"
    short.write_bytes(to_bytes(edit.crop_bars(seeds.opening(), 0, 2)))
    text = tmp_path / "text.mid"
    text.write_text("no music")
    for path, code, words in (
        (short, 2, "the seed music has 23 notes and chords, and the model needs 40"),
        (text, 3, "is text, not a MIDI file"),
        (tmp_path / "nothing.mid", 4, "there is no file"),
    ):
        answer = run("compose", "--model", chords_model, "--seed-from", path, "--seed", 1)
        assert (answer.code, answer.out) == (code, "")
        assert words in answer.err.splitlines()[0]


def test_a_genre_is_refused_by_a_model_that_has_none(run, chords_model):
    answer = run("compose", "--model", chords_model, "--genre", "jazz", "--seed", 1)
    assert answer.code == 2
    assert answer.err.startswith("error: this model has no option 'genre'\n  models that have it: ")
