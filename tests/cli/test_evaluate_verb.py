"""``kapelle evaluate``: what it prints and writes, and what it says of bad input."""

from __future__ import annotations

import json

import pytest

from folders import fill
from kapelle.judging import comparing, excerpts


@pytest.fixture
def music(tmp_path, monkeypatch):
    """Two folders of music; few draws, no judge."""
    monkeypatch.setattr(comparing, "N_DRAWS", 4)
    monkeypatch.setattr(excerpts, "judge_hash", lambda: "")
    fill(tmp_path / "made", 6, 50)
    fill(tmp_path / "real", 12, 0)
    return tmp_path


def test_without_a_report_the_tables_are_printed(run, music) -> None:
    answer = run("evaluate", music / "made", "--reference", music / "real")
    assert answer.code == 0
    assert "made (6 pieces) against 12 pieces of real music; 16 bars of each, seed 0." in answer.out
    assert "Markov chain" in answer.out
    assert "warning: sets of 6 pieces are compared: below 50, distances are rough" in answer.err


def test_reports_by_suffix_and_json(run, music) -> None:
    answer = run("evaluate", music / "made", "-r", music / "real", "-o", "a.html", "-o", "a.md", "-o", "a.json", "--samples", 0, "--json")
    assert answer.code == 0
    assert answer.data["reports"] == ["a.html", "a.md", "a.json"]
    assert answer.data["rows"] == json.loads((music / "work" / "a.json").read_text(encoding="utf-8"))["rows"]
    again = run("evaluate", music / "made", "-r", music / "real", "-o", "a.html")
    assert again.code == 2
    assert "a.html is there already" in again.err
    assert run("evaluate", music / "made", "-r", music / "real", "-o", "a.html", "--samples", 0, "--force").out == "a.html\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("made",), 2, "--reference is missing"),
        (("empty", "-r", "real"), 2, "there are no MIDI files in empty"),
        (("made", "-r", "empty"), 2, "there are no MIDI files in empty"),
        (("nowhere", "-r", "real"), 4, "there is no nowhere"),
        (("made", "-r", "real", "-o", "a.pdf"), 2, "must end in .html, .md, .json"),
        (("made", "-r", "real", "--embedding", "judge"), 4, "the bundle genre-judge is not installed"),
        (("made", "-r", "real", "--bars", "2"), 2, "bars"),
        (("made", "-r", "real", "--model", "nobody"), 4, "nobody"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_clear_line(run, music, monkeypatch, words, code, said) -> None:
    monkeypatch.chdir(music)
    (music / "empty").mkdir(exist_ok=True)
    answer = run("evaluate", *words)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_it_speaks_russian(run, music) -> None:
    answer = run("evaluate", music / "made", "-r", music / "real", "--samples", 0, "--lang", "ru")
    assert "сравниваются наборы из 6 пьес" in answer.err
