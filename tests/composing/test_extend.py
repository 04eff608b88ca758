"""Extending keeps the input note for note and goes on from its bar line."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import symusic

import kapelle
from kapelle.errors import CannotObey, MidiError, UsageError
from kapelle.score import units
from kapelle.score.read import read
from kapelle.score.write import to_bytes

if TYPE_CHECKING:
    from pathlib import Path


def song(n_bars: int = 6, metre: tuple[int, int] = (4, 4), tpq: int = 480, n_tracks: int = 1, seed: int = 0) -> bytes:
    random = np.random.default_rng(seed)
    score = symusic.Score(tpq)
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    score.tempos.append(symusic.Tempo(0, qpm=96))
    bar = tpq * 4 * metre[0] // metre[1]
    for number in range(n_tracks):
        track = symusic.Track(program=number * 24, is_drum=False)
        for step in range(n_bars * 4):
            pitch = 60 - 12 * number + int(random.choice([0, 2, 4, 5, 7, 9, 11]))
            track.notes.append(symusic.Note(step * bar // 4, bar // 4, pitch, 80))
        score.tracks.append(track)
    return to_bytes(score)


def notes_before(score: symusic.Score, tick: int) -> list[tuple[int, int, int, int, int]]:
    return sorted((n.time, n.duration, n.pitch, n.velocity, t.program) for t in score.tracks for n in t.notes if n.time < tick)


@pytest.mark.parametrize(("metre", "tpq", "n_tracks"), [((4, 4), 480, 1), ((3, 4), 96, 1), ((6, 8), 960, 2), ((4, 4), 100, 1)])
def test_the_input_stays_note_for_note(nonsense: str, metre: tuple[int, int], tpq: int, n_tracks: int) -> None:
    data = song(6, metre, tpq, n_tracks)
    before = read(data)
    piece = kapelle.extend(data, model=nonsense, bars=4, seed=1)
    after = read(piece.to_midi())
    end = units.final_bar_line(before)
    assert notes_before(after, end) == notes_before(before, end)
    assert after.ticks_per_quarter == tpq
    assert units.n_bars(after) == 10 == piece.report.n_bars
    assert any(note.time >= end for track in after.tracks for note in track.notes)
    assert units.bpm_at(after, units.final_bar_line(after)) == pytest.approx(96, abs=0.01)


def test_a_diatonic_input_is_gone_on_from_in_its_scale(nonsense: str) -> None:
    after = kapelle.extend(song(8), model=nonsense, bars=8, seed=4).score
    assert {note.pitch % 12 for track in after.tracks for note in track.notes} <= {0, 2, 4, 5, 7, 9, 11}


def test_a_long_input_is_heard_in_its_last_bars(nonsense: str) -> None:
    assert kapelle.extend(song(60), model=nonsense, bars=2, seed=4).report.n_bars == 62


def test_the_same_seed_extends_to_the_same_bytes(nonsense: str, tmp_path: Path) -> None:
    path = tmp_path / "in.mid"
    path.write_bytes(song())
    assert (
        kapelle.extend(path, model=nonsense, bars=2, seed=9).to_midi() == kapelle.extend(song(), model=nonsense, bars=2, seed=9).to_midi()
    )


def test_the_genre_heard_is_told(nonsense: str) -> None:
    assert kapelle.extend(song(), model=nonsense, bars=2, seed=1).report.facts["genre"] in ("pop", "jazz", "edm", "classical")


def test_what_cannot_be_extended_is_one_clear_error(nonsense: str) -> None:
    with pytest.raises(MidiError):
        kapelle.extend(b"no MIDI at all", model=nonsense, bars=2)
    with pytest.raises(UsageError, match="no pitched notes"):
        kapelle.extend(to_bytes(symusic.Score(480)), model=nonsense, bars=2)
    with pytest.raises(CannotObey, match="7/4"):
        kapelle.extend(song(4, (7, 4)), model=nonsense, bars=2)
    with pytest.raises(UsageError, match="key is kept"):
        kapelle.extend(song(), model=nonsense, bars=2, key="D")


def held(n_bars: int, tpq: int = 480) -> bytes:
    """A bar of quarters, the last of which is held for many bars."""
    score = read(song(1, tpq=tpq))
    last = score.tracks[0].notes[-1]
    last.duration = (n_bars - 1) * 4 * tpq + tpq
    return to_bytes(score)


def test_a_last_note_that_is_held_longer_than_the_model_knows_is_gone_on_from(nonsense: str) -> None:
    piece = kapelle.extend(held(10), model=nonsense, bars=2, seed=1)
    end = 10 * 4 * 480
    assert piece.report.n_bars == 12
    assert notes_before(piece.score, end) == notes_before(read(held(10)), end)
    assert any(end <= note.time < end + 4 * 480 for track in piece.score.tracks for note in track.notes)


@pytest.mark.parametrize("tpq", [1, 2, 3])
def test_at_a_coarse_resolution_new_notes_neither_overlap_nor_pass_the_end(nonsense: str, tpq: int) -> None:
    piece = kapelle.extend(song(4, tpq=tpq), model=nonsense, bars=24, seed=2)
    after = read(piece.to_midi())
    assert units.n_bars(after) == 28 and units.final_bar_line(after) == 28 * 4 * tpq
    for track in after.tracks:
        sounding = sorted((note.pitch, note.time, note.time + note.duration) for note in track.notes)
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(sounding))
    assert piece.report.n_notes == sum(len(track.notes) for track in after.tracks)
