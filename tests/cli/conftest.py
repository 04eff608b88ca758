"""A command line to talk to, with a bundle that composes, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import kapelle
from kapelle.cli import main


@dataclass(frozen=True)
class Answer:
    """What a call of the command line gave back."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        """The one JSON object on stdout."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A KAPELLE_HOME with one bundle, which is the default model."""
    pytest.importorskip("onnx")
    import composers

    place = tmp_path_factory.mktemp("home")
    composers.build(place / "bundles" / "genre")
    return place


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """A KAPELLE_HOME with nothing in it, and no language but English."""
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAPELLE_LANG", "en")
    monkeypatch.delenv("KAPELLE_DEBUG", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def run(empty_home, capsys):
    """Call the command line in this process, in an empty folder."""

    def call(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        answer = capsys.readouterr()
        return Answer(code, answer.out, answer.err)

    return call


@pytest.fixture
def compose(run, home, monkeypatch):
    """The same with the bundle installed."""
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    return run


@pytest.fixture(scope="session")
def environment(home):
    """Of a process of its own."""
    paths = [str(Path(kapelle.__file__).parents[1]), *(path for path in [os.environ.get("PYTHONPATH", "")] if path)]
    return {**os.environ, "KAPELLE_HOME": str(home), "KAPELLE_LANG": "en", "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture
def start(environment, tmp_path):
    """Start the command line in a process of its own."""
    started = []

    def call(*words):
        command = [sys.executable, "-m", "kapelle", *map(str, words)]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def song(tmp_path):
    """A small MIDI file: eight quarter notes in 4/4 at 120 bpm."""
    import pieces
    from kapelle.score.write import write

    notes = [(480 * i, 480, 60 + pitch, 80) for i, pitch in enumerate((0, 2, 4, 5, 7, 9, 11, 12))]
    return write(pieces.score(pieces.track(*notes, name="Scale")), tmp_path / "song.mid")
