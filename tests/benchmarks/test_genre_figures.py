"""The benchmarks of genres: what they count, what they do to music, and their sections on the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import _page_genres  # noqa: E402
import embedding_distances  # noqa: E402
import genre_judge  # noqa: E402
import genre_recognition  # noqa: E402

import rolls  # noqa: E402
from kapelle.classifiers.verdict import Verdict  # noqa: E402
from kapelle.score import write  # noqa: E402
from kapelle.score.edit import note_arrays  # noqa: E402


def test_genres_are_read_from_names_and_from_folders(tmp_path: Path) -> None:
    for name in ("jazz--One.mid", "polka--Two.mid", "rank-pop/a.mid", "rank-pop/b.mid", "rank-pop/c.mid"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        write.write(rolls.piece("slow", 1, bars=16), place)
    found = [(genre, path.name) for genre, path in genre_recognition.files(tmp_path, 2)]
    assert found == [("jazz", "jazz--One.mid"), ("pop", "a.mid"), ("pop", "b.mid")]


def test_short_pieces_are_left_out(tmp_path: Path) -> None:
    for bars in (8, 16):
        write.write(rolls.piece("slow", 1, bars=bars), tmp_path / f"jazz--{bars}.mid")
    assert genre_recognition.of_file("x", "jazz", tmp_path / "jazz--8.mid") is None
    made = genre_recognition.of_file("x", "jazz", tmp_path / "jazz--16.mid")
    assert made is not None and made.genre == "jazz"


def test_shares_are_among_the_four_and_means_of_all() -> None:
    classes = ("pop", "jazz", "edm", "classical", "rock")
    said = [Verdict("m", "h", dict(zip(classes, row, strict=True))) for row in ((0.3, 0.1, 0.1, 0.1, 0.4), (0.1, 0.3, 0.2, 0.2, 0.2))]
    made = genre_recognition.row("music", "pop", said)
    assert made["argmax"] == {"pop": 0.5, "jazz": 0.5, "edm": 0, "classical": 0}
    assert made["recognised"]["value"] == 0.5 and made["mean"]["rock"]["value"] == pytest.approx(0.3)
    assert made["probability"]["value"] == pytest.approx((0.3 / 0.6 + 0.1 / 0.8) / 2)
    assert genre_recognition.row("music", "", said)["recognised"] is None


@pytest.mark.parametrize("name", embedding_distances.CHANGES)
def test_changes_keep_the_number_of_notes_and_spare_the_score(name: str) -> None:
    score = rolls.piece("slow", 2, bars=4)
    before = note_arrays(score.tracks[0])
    made = embedding_distances.CHANGES[name](score, np.random.default_rng(0))
    after = note_arrays(made.tracks[0])
    assert len(after["time"]) == len(before["time"]) and after["duration"].min() >= 1
    assert all((note_arrays(score.tracks[0])[key] == before[key]).all() for key in before)
    assert name == "as it is" or any((after[key] != before[key]).any() for key in before)


def test_calibration_weighs_classes_alike() -> None:
    rows = np.array([[0.8, 0.2]] * 5)
    assert genre_judge.calibration_alike(rows, np.array([0, 0, 0, 0, 1])) == pytest.approx(0.3)


@pytest.mark.parametrize("name", _page_genres.SECTIONS)
def test_sections_are_written_of_what_was_measured(name: str) -> None:
    path = BENCHMARKS / "results" / f"{name}.json"
    if not path.is_file():
        pytest.skip("not measured")
    text = _page_genres.SECTIONS[name](json.loads(path.read_text(encoding="utf-8")))
    assert text.startswith("## ") and "| --- |" in text
