"""The benchmarks of metrics of a piece run on a few composed files, and what they find can be put on the page."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from kapelle.score.write import write
from measured import line, piece, repeated

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.fixture
def folder(tmp_path):
    """Two pieces of eight bars that come back in order, and a file that is none."""
    cell = [*line(60, 64, 67, 72), *line(65, 69, 72, 77, start=4), *line(67, 71, 74, 79, start=8), *line(57, 60, 64, 69, start=12)]
    for number in range(2):
        rows = [(at, length, pitch + number) for at, length, pitch in repeated(cell, 3, 16.0)]
        write(piece(rows), tmp_path / f"{number}.mid")
    (tmp_path / "2.mid").write_bytes(b"no music")
    return tmp_path


def test_speed_is_measured_and_told(folder, capsys):
    assert load("metrics_speed").main([str(folder), "--bars", "8", "--json", str(folder / "out.json")]) == 0
    found = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert (found["pieces"], found["bars"]) == (2, 8)
    assert 0 < found["median_ms"] <= found["slowest_ms"]
    assert "left out" in capsys.readouterr().err
    assert "metrics of 2 pieces of 8 bars" in load("_page_metrics").speed(found)


def test_order_is_heard_where_there_is_any(folder):
    assert load("metrics_order").main([f"mine={folder}", "--bars", "12", "--json", str(folder / "out.json")]) == 0
    found = json.loads((folder / "out.json").read_text(encoding="utf-8"))["sets"]["mine"]
    assert found["pieces"] == 2
    assert found["structureness"]["music"]["value"] == pytest.approx(1)
    assert found["structureness"]["shuffled"]["value"] < 0.5
    assert found["structureness"]["above"] == 1.0
    assert found["bar_recurrence"]["shuffled"]["value"] == pytest.approx(found["bar_recurrence"]["music"]["value"])
    assert "| mine | 2 | structureness | 1.000" in load("_page_metrics").order({"bars": 12, "sets": {"mine": found}})


@pytest.mark.parametrize(("name", "given"), [("metrics_speed", "{}"), ("metrics_order", "mine={}")])
def test_a_folder_without_music_is_told(name, given, tmp_path, capsys):
    assert load(name).main([given.format(tmp_path)]) == 2
    assert "no " in capsys.readouterr().err
