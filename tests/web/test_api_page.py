"""docs/how-to/api.md keeps its word: its snippets run one after the other against a studio, in Python, with curl and in JavaScript."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kapelle.score import units
from kapelle.score.read import read
from test_docs import blocks, shell_environment

PAGE = "docs/how-to/api.md"


def bodies(kind):
    found = [body for one, body in blocks(PAGE) if one == kind]
    assert found
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch, studio):
    monkeypatch.setenv("STUDIO", studio.url)
    place = tmp_path / "reader"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_python(folder, studio, capsys):
    names = {"__name__": "__main__"}
    for body in bodies("python"):
        exec(compile(body, PAGE, "exec"), names)
    said = capsys.readouterr().out
    assert "bar 4 of 4" in said
    assert "422 unknown genre 'jaz' - did you mean jazz?" in said
    assert "4 bars in" in said
    assert units.n_bars(read("piece.mid")) == 4
    assert studio.wait(names["job"])["state"] == "done"


def test_curl(folder, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    (script,) = bodies("bash run")
    environment = shell_environment(tmp_path)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    answer = subprocess.run(["bash", "-e", "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert units.n_bars(read("from-curl.mid")) == 4
    assert Path("From curl.mp3").stat().st_size > 10_000
    assert re.search(r"^event: done$", Path("events.txt").read_text(encoding="utf-8"), re.MULTILINE)


def test_javascript(folder):
    node = shutil.which("node")
    if not node:
        pytest.skip("there is no Node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30).stdout
    if int(re.match(r"v(\d+)", version)[1]) < 18:
        pytest.skip(f"Node {version.strip()} has no fetch")
    (script,) = bodies("js")
    Path("take.mjs").write_text(script, encoding="utf-8")
    answer = subprocess.run([node, "take.mjs"], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert "notes from second" in answer.stdout
    assert units.n_bars(read("from-javascript.mid")) == 4
