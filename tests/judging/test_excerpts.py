"""One piece of an evaluation: what is odd about its file is told in the report, and nowhere else."""

from __future__ import annotations

import logging

import pytest

import pieces
from kapelle.judging.excerpts import SHORT, How, Job, measure
from kapelle.score.read import read
from kapelle.score.write import to_bytes


def test_a_damaged_file_is_measured_without_a_word_and_without_silencing_others(caplog, monkeypatch):
    """The level of a log is one for all threads: two that set it and put it back could leave it changed."""
    damaged = to_bytes(pieces.score(pieces.track((0, 480, 60, 80))))[:-3]
    monkeypatch.setattr(logging.Logger, "setLevel", lambda self, level: pytest.fail("it was set"))
    assert measure(Job("one", damaged, How())).trouble == SHORT
    assert not caplog.records
    read(damaged)
    assert "damage" in caplog.text
