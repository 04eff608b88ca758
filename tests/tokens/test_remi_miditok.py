"""REMI names, ids and notes equal miditok's: shipped weights were made with it, and no score may be written in other ids."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import symusic
from hypothesis import example, given, settings
from hypothesis import strategies as st

import miditok_peer as peer
from kapelle.errors import KapelleError
from kapelle.score.read import read
from kapelle.tokens import remi, remi_encode

PIANO = remi.RemiSpec(genres=("pop", "jazz"))
BAND = remi.RemiSpec(genres=("pop",), programs=True)
FULL = remi.RemiSpec(genres=("pop",), programs=True, tempos=True, chords=True)
ODD = remi.RemiSpec(
    genres=(), pitch_low=40, pitch_high=60, positions_per_beat=6, fine_beats=2, max_beats=5, coarse_steps=9, velocities=5,
    metres=("4/4", "3/8", "2/2", "7/8", "5/16", "3/4", "2/4"), tempos=True, chords=True, bpm_levels=7,
)  # fmt: skip
SHORT = remi.RemiSpec(genres=("a",), fine_beats=8, max_beats=3, velocities=127, positions_per_beat=5, metres=("4/4", "6/8"), programs=True)
SPECS = (PIANO, BAND, FULL, ODD, SHORT)
METRES = ((4, 4), (3, 4), (2, 4), (3, 8), (6, 8), (2, 2), (7, 8), (5, 16))


def ours(score: symusic.Score, spec: remi.RemiSpec) -> np.ndarray:
    return remi_encode.encode(score, spec, remi.vocabulary(spec))


@st.composite
def scores(draw: st.DrawFn) -> symusic.Score:
    """Scores as unkind as a file may be: off the grid, overlapping, doubled, without length, beyond the range."""
    tpq = draw(st.sampled_from((1, 5, 24, 96, 120, 480, 1000)))
    score = symusic.Score(tpq)
    instruments = st.sampled_from(((0, False), (32, False), (127, False), (0, True), (8, True)))
    for program, is_drum in draw(st.lists(instruments, min_size=1, max_size=5)):
        track = symusic.Track(program=program, is_drum=is_drum)
        grid = draw(st.sampled_from((1, max(tpq // 4, 1), tpq)))
        low, high = draw(st.sampled_from(((0, 127), (58, 62))))
        for time in sorted(draw(st.lists(st.integers(0, 12 * tpq // grid), max_size=12))):
            chord = draw(st.sampled_from(((0,), (0,), (0, 4, 7), (0, 3, 7, 10))))
            pitch, duration = draw(st.integers(low, high)), draw(st.integers(0, 16 * tpq // grid)) * grid
            for interval in chord:
                track.notes.append(symusic.Note(time * grid, duration, min(pitch + interval, 127), draw(st.integers(1, 127))))
        score.tracks.append(track)
    for time in sorted(draw(st.lists(st.integers(0, 14 * tpq), max_size=4))):
        score.time_signatures.append(symusic.TimeSignature(time, *draw(st.sampled_from(METRES))))
    for time in sorted(draw(st.lists(st.integers(0, 14 * tpq), max_size=4))):
        score.tempos.append(symusic.Tempo(time, mspq=draw(st.integers(200_000, 2_000_000))))
    return score


def piece(tpq: int, notes: list[tuple[int, int, int, int]], signs: list[tuple[int, int, int]] = []) -> symusic.Score:  # noqa: B006
    score = symusic.Score(tpq)
    track = symusic.Track(program=0, is_drum=False)
    for note in notes:
        track.notes.append(symusic.Note(*note))
    score.tracks.append(track)
    for sign in signs:
        score.time_signatures.append(symusic.TimeSignature(*sign))
    return score


@pytest.mark.parametrize("spec", SPECS)
def test_names_stand_at_the_same_ids(spec: remi.RemiSpec) -> None:
    assert remi.vocabulary(spec).names == peer.names(spec)


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=40, deadline=None)
@given(score=scores())
@example(score=piece(1000, [(0, 0, 60, 1), (0, 99, 60, 9), (0, 50, 60, 9), (0, 50, 60, 8)]))
@example(score=piece(96, [(1, 9, 60, 64), (49, 9, 50, 64), (51, 9, 50, 64)], [(0, 3, 8), (100, 4, 4), (150, 3, 8), (700, 4, 4)]))
@example(score=piece(24, [(t, 7, 60, 64) for t in range(99)], [(0, 4, 4), (0, 6, 8), (0, 4, 4), (30, 3, 8), (31, 4, 4)]))
@example(score=piece(24, [(t, 7, 60, 64) for t in range(99)], [(48, 6, 8)]))
@example(score=piece(24, [(5, 7, 3, 64)], [(0, 4, 4), (500, 3, 4)]))
@example(score=piece(1000, [(t, 99, 60, 64) for t in range(0, 9000, 70)], [(0, 4, 4), (4060, 3, 4)]))
@example(score=piece(36, [(t, 9, 60, 64) for t in range(1, 500, 2)], [(0, 3, 8), (54, 7, 8), (180, 3, 8), (230, 5, 16), (280, 4, 4)]))
def test_ids_are_equal_on_any_score(spec: remi.RemiSpec, score: symusic.Score) -> None:
    score = score.copy()
    score.time_signatures = [sign for sign in score.time_signatures if f"{sign.numerator}/{sign.denominator}" in spec.metres]
    np.testing.assert_array_equal(ours(score, spec), peer.encode(score, spec))


@pytest.mark.parametrize("metre", [(4, 4), (3, 4), (6, 8), (12, 8), (5, 4)])
def test_decoding_equals_miditok_in_every_metre(metre: tuple[int, int]) -> None:
    random = np.random.default_rng(metre[0])
    bar = 96 * metre[0] // metre[1]
    starts = sorted(random.choice(8 * bar // 4, 40, replace=False) * 4)
    notes = [(int(t), int(random.integers(1, 12)) * 4, int(random.integers(40, 90)), 79) for t in starts]
    plain = ours(piece(24, notes, [(0, *metre)]), PIANO).tolist()
    decoded = remi.decode(plain, PIANO, remi.vocabulary(PIANO))
    theirs = peer.tokenizer(PIANO)([plain]).resample(24)
    assert decoded.dropped == 0
    assert notes_of(decoded.score) == notes_of(theirs)
    assert peer.tokenizer(PIANO).tokens_errors([plain]) == [0.0]


def notes_of(score: symusic.Score) -> list[tuple[int, int, int]]:
    return sorted((note.time, note.duration, note.pitch) for track in score.tracks for note in track.notes)


@lru_cache(maxsize=1)
def real_files() -> list[Path]:
    """A few files of every pack that is unpacked."""
    found: list[Path] = []
    for pack in ("multitrack_free", "adl_piano_midi", "pop909_cl", "piano_midi_de", "js_fakes"):
        paths = (path for path in Path(os.environ["KAPELLE_DATA"], pack).rglob("*") if path.suffix.lower() in (".mid", ".midi"))
        found += sorted(islice(paths, 3))
    return found


@pytest.mark.skipif("KAPELLE_DATA" not in os.environ, reason="KAPELLE_DATA names no folder of data packs")
@pytest.mark.parametrize("spec", [PIANO, BAND, FULL])
def test_ids_are_equal_on_real_files(spec: remi.RemiSpec) -> None:
    n_compared = 0
    for path in real_files():
        try:
            score = read(path.read_bytes())
            remi.encode(score, spec, remi.vocabulary(spec))
        except KapelleError:
            continue  # no file that can be encoded
        np.testing.assert_array_equal(ours(score, spec), peer.encode(score, spec), err_msg=str(path))
        n_compared += 1
    if not n_compared:
        pytest.skip("no pack of MIDI files in KAPELLE_DATA")
