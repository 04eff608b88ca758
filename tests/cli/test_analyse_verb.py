"""``kapelle analyse`` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kapelle import api


def test_it_tells_key_metre_density_range_and_chords(run, song):
    answer = run("analyse", song)
    assert answer.code == 0
    for words in ("C major", "4/4", "120", "notes per bar", "4 (4 - 4)", "C4 - C5", "key by music21", "pitch classes"):
        assert words in answer.out
    assert answer.err == ""


def test_it_speaks_russian(run, song):
    answer = run("analyse", song, "--lang", "ru")
    assert "до мажор" in answer.out and "нот в такте" in answer.out


def test_for_machines_it_says_the_same_and_more(run, song):
    told = run("analyse", song, "--json", "--chords", "beat").data
    assert told["key"] == "C major" and told["n_bars"] == 2 and told["picture"] is None
    assert len(told["chords"]) == 8 and told["density"]["by_bar"] == [4, 4]


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_it_draws(run, song, name):
    answer = run("analyse", song, "-o", name)
    assert answer.code == 0 and answer.out.splitlines()[-1] == name
    assert Path(name).stat().st_size > 1000
    assert run("analyse", song, "-o", name).code == 2  # it is there already
    assert run("analyse", song, "-o", name, "--force").code == 0


def test_bad_input_is_one_clear_line(run, song):
    import pieces
    from kapelle.score.write import write

    empty = write(pieces.score(), song.with_name("empty.mid"))
    text = song.with_name("text.mid")
    text.write_text("a shopping list", encoding="utf-8")
    for words, code, told in (
        (["nothing.mid"], 4, "nothing.mid"),
        ([text], 3, "MThd"),
        ([empty], 3, "no notes to analyse"),
        ([song, "-o", "a.pdf"], 2, ".pdf"),
        ([song, "--chords", "phrase"], 2, "--chords must be one of bar, beat"),
        ([song, "-o", f"{text}/a.png"], 6, "cannot write"),
    ):
        answer = run("analyse", *words)
        assert answer.code == code and told in answer.err and answer.err.startswith("error: "), answer
        assert len(answer.err.splitlines()) <= 2 and answer.out == ""


def test_from_python_it_takes_bytes(song):
    assert api.analyse_file(song.read_bytes()).key == "C major"
