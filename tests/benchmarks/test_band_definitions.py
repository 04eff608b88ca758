"""The benchmark of definitions takes a folder of MIDI files and tells every metric three ways."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from kapelle.score.roll import FORMS, TRACKS, Roll, to_score
from kapelle.score.write import write


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("band_definitions", Path(__file__).parents[2] / "benchmarks" / "band_definitions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A piece of ten bars, one of four, and a file that is none."""
    form = FORMS["paper"]
    for number, bars in enumerate((10, 4)):
        cells = np.random.default_rng(number).random((5, bars, form.steps_per_bar, form.n_pitches)) < 0.01
        write(to_score(Roll(cells, TRACKS, form)), tmp_path / f"{number}.mid")
    (tmp_path / "2.mid").write_bytes(b"no music")
    return tmp_path


def test_phrases_are_measured_as_they_are_and_shuffled(benchmark, folder, capsys):
    assert benchmark.main([str(folder), "--json", str(folder / "out.json")]) == 0
    found = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert (found["pieces"], found["phrases"]) == (2, 3)
    assert set(found["defined"]["data"]) >= set(found["published"]["data"])
    assert found["legacy"]["data"] != found["defined"]["data"]
    told = capsys.readouterr().out
    assert "| TD/bass-guitar | 1.57 | 1.59 |" in told
    assert "3 phrases of 2 pieces of 3." in told


def test_a_folder_without_bands_is_told(benchmark, tmp_path, capsys):
    assert benchmark.main([str(tmp_path)]) == 2
    assert "no phrases" in capsys.readouterr().err
