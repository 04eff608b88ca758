"""What is said of how late notes leave for a port."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """A file of benchmarks/ as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def call(name):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        spec.loader.exec_module(made)
        return made

    return call


def test_percentiles_are_milliseconds_of_all_messages(load):
    late = [0.001] * 98 + [0.01, 0.5]
    assert load("live_jitter").figures(late) == pytest.approx(
        {"messages": 100, "median": 1.0, "p95": 1.0, "p99": 14.9, "latest": 500.0}, rel=1e-3
    )


def test_both_players_send_every_message_of_the_file(load):
    pytest.importorskip("mido")
    jitter = load("live_jitter")
    data = jitter.file_of(1)
    ours, peer = jitter.ours(data), jitter.peer(data)
    assert len(ours) == 2 * 4 * 2 * 8  # every note begins and ends
    assert len(peer) >= len(ours)
    assert min(ours) >= 0 <= min(peer)


def test_the_section_has_a_row_for_each_way(load):
    row = {"messages": 1234, "median": 0.1, "p95": 0.2, "p99": 0.3, "latest": 4.0}
    found = {"goal_ms": 5.0, "seconds": 20, "rounds": 3, "load": 1.5, "late_ms": {"a file": row, "mido, the same file": row}, "ratio": 1.0}
    text = load("_page_ports").SECTIONS["live_jitter"](found)
    assert "| a file | 1,234 | 0.10 | 0.20 | 0.30 | 4.00 |" in text
    assert text.startswith("## ")
