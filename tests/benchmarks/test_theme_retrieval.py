"""Themes that are found and themes that people mark: the published values come out, and ours stand beside them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import theme_retrieval  # noqa: E402
from theme_retrieval import FILES, PUBLISHED, SONGS  # noqa: E402

from kapelle.data import patterns  # noqa: E402


@pytest.fixture(scope="module")
def reference() -> Path:
    if not os.environ.get("KAPELLE_DATA"):
        pytest.skip("KAPELLE_DATA names no folder of data packs")
    folder = Path(os.environ["KAPELLE_DATA"]) / "theme_reference"
    if not folder.is_dir():
        pytest.skip("no theme_reference")
    return folder


def test_the_averages_of_the_published_values_are_those_of_their_cells() -> None:
    found = {way: round(theme_retrieval.mean(scores), 3) for way, scores in PUBLISHED.items()}
    assert found["contrastive"] == 0.513 and found["correlative matrix"] == 0.497 and found["COSIATEC"] == 0.406


def test_the_released_files_give_the_published_values(reference: Path) -> None:
    folder = reference / "retrieval"
    exact = 0
    for song in SONGS:
        marks = [theme_retrieval.marked(folder / song / f"{song}_Annotator_{number}.mid")[1] for number in range(3)]
        for way, name in FILES.items():
            melody, beats = theme_retrieval.marked(folder / song / f"{song}_{name}.mid")
            assert len(melody) == pytest.approx(len(theme_retrieval.marked(folder / song / f"{song}_Annotator_0.mid")[0]), abs=1)
            for one, value in zip(marks, PUBLISHED[way][song], strict=True):
                assert patterns.f1(beats, one) == pytest.approx(value, abs=0.03)
                exact += abs(patterns.f1(beats, one) - value) < 0.0006
    assert exact >= 31  # of 45; of the authors' own method 8 of 9
    for song, value in (("065", 0.789), ("310", 0.561), ("449", 0.667)):
        found = theme_retrieval.marked(folder / song / f"{song}_cl.mid")[1]
        theirs = theme_retrieval.marked(folder / song / f"{song}_Annotator_0.mid")[1]
        assert patterns.f1(found, theirs) == pytest.approx(value, abs=0.0015)


def test_the_shipped_encoder_finds_what_people_mark(reference: Path) -> None:
    pytest.importorskip("onnxruntime")
    found = theme_retrieval.measured(reference, "theme-encoder")
    ours = found["averages"]["ours"]
    assert ours["contrastive"] >= 0.5
    assert ours["contrastive"] >= max(ours["correlative matrix"], ours["COSIATEC"]) and found["met"]
    assert all(len(starts) >= 3 for starts in found["themes"].values())
