"""``data list``, ``data fetch`` and ``data verify`` on the command line."""

import io
import json
from pathlib import Path

import pytest

from hostile_server import Served, serving, zipped

SET = zipped({"jazz/a.mid": b"MThd", "jazz/b.mid": b"MThd"})


@pytest.fixture
def server():
    with serving() as held:
        yield held


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_list_says_that_nothing_was_compared_yet(run):
    answer = run("data", "list")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split()[:2] == ["name", "size"]
    assert all("not verified live" in line for line in lines[1:])
    rows = {row["name"]: row for row in run("data", "list", "--json").data["datasets"]}
    assert rows["maestro"]["size"] == 58_416_533 and rows["maestro"]["check"] is None
    assert "no commercial use" in rows["maestro"]["use"]


def test_one_row_tells_all(run):
    answer = run("data", "list", "lakh-clean")
    for word in (
        "hog.ee.columbia.edu",
        "~234 MB",
        "not published",
        "CC BY 4.0",
        "for research",
        "Raffel",
        "lmd_clean",
        "cannot be checked",
    ):
        assert word in answer.out
    assert run("data", "list", "laks-clean").code == 2


def test_nothing_is_downloaded_without_a_yes(run, monkeypatch):
    answer = run("data", "fetch", "maestro")
    assert answer.code == 2
    assert "nobody can be asked here" in answer.err and "--yes" in answer.err
    for word in ("58.4 MB", "CC BY-NC-SA 4.0", "no commercial use"):
        assert word in answer.err, "size, licence and use are shown before"
    assert answer.out == ""
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    answer = run("data", "fetch", "maestro")
    assert (answer.code, answer.err.splitlines()[-1]) == (2, "error: nothing was downloaded")
    assert run("data", "fetch", "maestro", "--json").data["exit_code"] == 2
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("said", ["y\n", "YES\n", "да\n"])
def test_a_yes_downloads_and_what_to_do_next_is_told(run, server, monkeypatch, said):
    monkeypatch.setattr("sys.stdin", Terminal(said))
    url = server.put("mine.zip", Served(SET))
    answer = run("data", "fetch", url)
    assert answer.code == 0, answer.err
    assert "its licence and size are not known" in answer.err
    assert answer.out.splitlines()[0] == str(Path("data", "mine"))
    assert "kapelle fit genre-small data/mine" in answer.err.replace("\\", "/")
    assert (Path("data", "mine", "jazz", "a.mid")).read_bytes() == b"MThd"


def test_a_local_archive_needs_no_yes_and_finds_its_recipe(run):
    Path("adl_piano_midi.zip").write_bytes(zipped({"Jazz/Bebop/A/x.mid": b"MThd"}))
    answer = run("data", "fetch", "adl_piano_midi.zip", "-o", "here")
    assert answer.code == 0, answer.err
    assert "genre-small" in answer.out
    assert "next: kapelle data prepare here --recipe" in answer.err
    told = run("data", "fetch", "here/adl_piano_midi", "--json").data
    assert (told["midi"], told["data"]) == (1, "here")
    assert run("data", "fetch", "adl_piano_midi.zip", "-o", "here").code == 2
    assert run("data", "fetch", "adl_piano_midi.zip", "-o", "here", "--force").code == 0


def test_errors_have_their_exit_codes(run, server, monkeypatch):
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(Path.cwd()))
    monkeypatch.setattr(Path, "home", Path.cwd)
    pytest.importorskip("kagglehub")
    assert run("data", "fetch", "classical-music-midi", "--yes").code == 4
    assert run("data", "fetch", f"http://127.0.0.1:{server.port}/gone.zip", "--yes").code == 5
    assert run("data", "fetch", server.put("bad.zip", Served(zipped({"../x": b""}))), "--yes").code == 3
    assert run("data", "fetch", server.put("set.zip", Served(SET)), "--yes", "--sha256", "0" * 64).code == 5
    assert run("data", "fetch", "nothing").code == 2
    assert run("data", "fetch", "nothing.zip").code == 4
    Path("file").write_bytes(b"")
    assert run("data", "fetch", server.put("set.zip", Served(SET)), "--yes", "-o", "file").code == 6


def test_a_verified_row_is_shown_as_such(run, monkeypatch):
    from kapelle import api
    from kapelle.api import workshop
    from kapelle.data.catalogue import Check, find, keep_check

    def verified(name, full=False, progress=None):
        found = Check(
            "2026-01-02", find(name).url, 3_260_318, find(name).sha256 if full else None, "" if name == "groove" else "it answers 404"
        )
        keep_check(workshop._checks(), name, found)
        return found

    monkeypatch.setattr(api, "verify_dataset", verified)
    assert run("data", "verify", "groove").code == 0
    assert "2026-01-02: it is there" in run("data", "list", "groove").out
    assert run("data", "verify", "groove", "--full", "--json").data["sha256"] == find("groove").sha256
    assert "2026-01-02: sha256 compared" in run("data", "list", "groove").out
    answer = run("data", "verify", "maestro")
    assert answer.code == 5
    assert "maestro is not what the catalogue says: it answers 404" in answer.err
    assert json.loads(workshop._checks().read_text())["maestro"]["problem"] == "it answers 404"
