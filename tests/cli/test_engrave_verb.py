"""``engrave`` and ``--score``: what they write and what they say."""

import json
from pathlib import Path

import pytest

import kapelle
from kapelle import api


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".pdf", b"%PDF"), (".svg", b"<svg"), (".png", b"\x89PNG"), (".musicxml", b"<?xml"), (".mxl", b"PK")]
)
def test_engrave_writes_the_format_of_the_suffix(run, song, suffix, begins):
    answer = run("engrave", song, "-o", f"out{suffix}")
    assert (answer.code, answer.out, answer.err) == (0, f"out{suffix}\n", "")
    assert Path(f"out{suffix}").read_bytes().startswith(begins)


def test_without_a_name_a_pdf_lies_beside_the_input_under_its_title(run, song):
    assert run("engrave", song).code == 0
    assert song.with_suffix(".pdf").exists()
    assert run("engrave", song, "-o", "a.musicxml").code == 0
    assert "<work-title>song</work-title>" in Path("a.musicxml").read_text()
    assert run("engrave", song, "-o", "b.musicxml", "--title", "A tune", "--composer", "Me").code == 0
    assert "<work-title>A tune</work-title>" in Path("b.musicxml").read_text()
    assert '<creator type="composer">Me</creator>' in Path("b.musicxml").read_text()


def test_engrave_tells_programs_what_it_wrote(run, song):
    told = run("engrave", song, "-o", "a.svg", "--json").data
    assert told["files"] == ["a.svg"]
    assert told["pages"] == 1
    assert told["bytes"] == Path("a.svg").stat().st_size


def test_nothing_is_overwritten_without_force(run, song):
    Path("a.pdf").write_text("mine")
    answer = run("engrave", song, "-o", "a.pdf")
    assert answer.code == 2 and "exists already" in answer.err
    assert Path("a.pdf").read_text() == "mine"
    assert run("engrave", song, "-o", "a.pdf", "--force").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-o", "a.doc"), 2, "unknown format of sheet music '.doc'"),
        (("-o", "a.pdf", "--page", "b5"), 2, "--page must be one of a4, letter, a3"),
        (("-o", "a.png", "--dpi", "9999"), 2, "dpi must be 50 to 600"),
        (("-o", "a.pdf", "--engraver", "pen"), 2, "--engraver must be one of verovio, musescore"),
        (("-o", "nowhere/file/a.pdf"), 6, "cannot write"),
    ],
)
def test_bad_wishes_are_answered_in_a_line(run, song, words, code, said):
    Path("nowhere").mkdir()
    Path("nowhere/file").write_text("")
    answer = run("engrave", song, *words)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_bad_files_are_answered_in_a_line(run):
    import pieces
    from kapelle.score.write import write

    Path("bad.mid").write_bytes(b"MThd nonsense")
    assert run("engrave", "bad.mid", "-o", "a.pdf").code == 3
    assert run("engrave", "missing.mid", "-o", "a.pdf").code == 4
    write(pieces.score(pieces.track((0, 480, 36, 80), drums=True)), "drums.mid")
    answer = run("engrave", "drums.mid", "-o", "a.pdf", "--no-drums")
    assert answer.code == 2 and "there are no notes to write" in answer.err
    assert not Path("a.pdf").exists()


def test_musescore_is_asked_for_before_any_work(run, song, monkeypatch):
    monkeypatch.setenv("PATH", "")
    answer = run("engrave", song, "-o", "a.pdf", "--engraver", "musescore")
    assert answer.code == 4 and "MuseScore is not installed" in answer.err


def test_compose_writes_sheet_music_too(compose):
    answer = compose("compose", "--bars", "2", "--seed", "1", "-o", "a.mid", "--score", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["pieces"][0]["score"] == "a.pdf"
    assert Path("a.pdf").read_bytes().startswith(b"%PDF")
    assert compose("compose", "--bars", "2", "--seed", "1", "-o", "b.mid", "--score", "b.musicxml").code == 0
    wrong = compose("compose", "--bars", "2", "-o", "c.mid", "--score=c.doc")
    assert wrong.code == 2 and not Path("c.mid").exists()


def test_a_piece_engraves_itself(compose, tmp_path):
    piece = kapelle.compose(bars=2, seed=1)
    assert piece.engrave(tmp_path / "a.svg") == (tmp_path / "a.svg",)
    piece.save(tmp_path / "a.mid")
    made = api.engrave_file(tmp_path / "a.mid", tmp_path / "b.svg")
    assert made.n_pages == 1
