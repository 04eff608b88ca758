"""The benchmark of codebooks measures what it says, and the page on codecs says what it measured."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOUND = json.loads((ROOT / "benchmarks" / "results" / "rvq.json").read_text(encoding="utf-8"))


def load(name):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return module


@pytest.fixture(scope="module")
def benchmark():
    return load("rvq")


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((2, 40_000)).astype(np.float32)


def test_a_sound_of_vectors_is_the_sound(benchmark, noise):
    np.testing.assert_allclose(benchmark.sound(benchmark.vectors(noise[0]), 40_000), noise[0], atol=1e-5)


def test_every_codebook_helped():
    rows = FOUND["codebooks"]
    assert [row["codebooks"] for row in rows] == list(range(1, 9))
    for key, sign in (("si_sdr_db", 1), ("least_si_sdr_db", 1), ("log_spectral_db", -1), ("entropy_kbit_s", 1)):
        assert (sign * np.diff([row[key] for row in rows]) > 0).all(), key
    for way, found in FOUND["ways"].items():
        for key in ("error_db", "heard_db"):
            assert (np.diff([0.0, *found[key]]) < 0).all(), (way, key)


def test_the_page_on_codecs_says_what_was_measured():
    text = " ".join((ROOT / "docs" / "explanation" / "codecs.md").read_text(encoding="utf-8").split())
    learned, zeros = (FOUND["ways"][name] for name in ("k-means, then running means", "with a row of zeros"))
    assert "more than half of the vectors of unheard pieces" in text
    assert learned["worse"][0] > 0.5
    assert "hold less than a millionth of the energy" in text
    assert learned["energy_of_worse"] < 1e-6
    assert "the ids hold about three bits" in text
    assert 2.5 < np.mean(FOUND["entropy_bits"]) < 3.5
    assert "by less than a hundredth of a decibel" in text
    assert np.abs(np.subtract(learned["error_db"], zeros["error_db"])).max() < 0.01
    assert set(zeros["worse"]) == {0.0}
    assert "with its eight codebooks takes 256 kbit/s" in text
    assert FOUND["codebooks"][-1]["kbit_s"] == 256.0


def test_the_section_is_a_table_for_every_number_of_codebooks():
    section = load("_page_codecs").rvq(FOUND)
    assert "| 8 | 256 |" in section
    assert section.count("\n| k-means alone |") == 3
