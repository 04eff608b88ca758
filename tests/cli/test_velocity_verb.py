"""``kapelle velocity``: silent files become audible, others are left alone, every refusal is one clear line."""

from pathlib import Path

import pytest

import pieces
from kapelle import api
from kapelle.errors import UsageError
from kapelle.score.read import read
from kapelle.score.write import write


@pytest.fixture
def silent(tmp_path):
    """A file of a binary roll: all notes have velocity 1."""
    notes = [(480 * i, 480, 60 + i, 1) for i in range(8)]
    return write(pieces.score(pieces.track(*notes, name="Scale")), tmp_path / "silent.mid")


def levels(path):
    return [note.velocity for track in read(path).tracks for note in track.notes]


def test_it_makes_a_silent_file_audible(run, silent):
    answer = run("velocity", silent, "-o", "loud.mid")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.split() == ["loud.mid", "notes", "8", "velocity", "1", "->", "50"]
    assert levels("loud.mid") == [50] * 8
    assert levels(silent) == [1] * 8


def test_the_value_can_be_chosen_and_machines_are_told(run, silent):
    answer = run("velocity", silent, "-o", "loud.mid", "--value", 90, "--json")
    assert answer.data == {"file": "loud.mid", "notes": 8, "before": [1, 1], "after": [90, 90]}


def test_humanised_levels_differ_and_repeat(run, silent):
    for name, seed in (("a.mid", 0), ("b.mid", 0), ("c.mid", 1)):
        assert run("velocity", silent, "-o", name, "--humanise", "--seed", seed).code == 0
    assert len(set(levels("a.mid"))) > 2
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes() != Path("c.mid").read_bytes()


def test_a_file_with_velocities_is_left_alone_unless_told(run, song):
    answer = run("velocity", song, "-o", "loud.mid")
    assert answer.code == 2
    assert "velocities of 80 to 80" in answer.err
    assert "--all" in answer.err
    assert not Path("loud.mid").exists()
    assert run("velocity", song, "-o", "loud.mid", "--all").code == 0
    assert levels("loud.mid") == [50] * 8


def test_a_file_can_be_repaired_in_place(run, silent):
    assert run("velocity", silent, "-o", silent).code == 2
    assert run("velocity", silent, "-o", silent, "--force").code == 0
    assert levels(silent) == [50] * 8


@pytest.mark.parametrize(
    ("words", "code", "word"),
    [
        (["-o", "loud.wav"], 2, "must end in .mid"),
        (["-o", "loud.mid", "--value", 0], 2, "value must be 1 to 127, not 0"),
        (["-o", "loud.mid", "--value", 128], 2, "value must be 1 to 127, not 128"),
        ([], 2, "--output is missing"),
    ],
)
def test_what_cannot_be_is_refused(run, silent, words, code, word):
    answer = run("velocity", silent, *words)
    assert (answer.code, answer.out) == (code, "")
    assert word in answer.err


def test_files_that_are_none(run, tmp_path):
    text = tmp_path / "text.mid"
    text.write_text("this is a shopping list", encoding="utf-8")
    assert run("velocity", text, "-o", "a.mid").code == 3
    assert run("velocity", "nothing.mid", "-o", "a.mid").code == 4
    empty = write(pieces.score(), tmp_path / "empty.mid")
    answer = run("velocity", empty, "-o", "a.mid", "--json")
    assert (answer.code, answer.data["error"]) == (3, f"{empty} has no notes")


def test_it_speaks_russian(run, silent, song):
    assert "громкость" in run("velocity", silent, "-o", "a.mid", "--lang", "ru").out
    assert "чинить нечего" in run("velocity", song, "-o", "b.mid", "--lang", "ru").err


def test_the_function_does_what_the_verb_does(silent, tmp_path):
    out = tmp_path / "out.mid"
    assert api.velocity_file(silent, out, value=33).after == (33, 33)
    assert levels(out) == [33] * 8
    with pytest.raises(UsageError, match="exists already"):
        api.velocity_file(silent, out)
