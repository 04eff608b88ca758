"""Asked against found: each thing obeyed, disobeyed, and with nothing there to be found."""

from __future__ import annotations

import pytest
from symusic import Note, Score, Tempo, TimeSignature, Track

from kapelle.errors import UnknownName
from kapelle.metrics import obedience
from kapelle.score.keys import Key

TPQ = 12
C_MAJOR = [60, 64, 67, 72, 65, 69, 67, 62, 60, 55]


def piece(pitches: list[int], program: int = 0, *, is_drum: bool = False, start: int = 0) -> Score:
    score = Score(TPQ)
    track = Track(program=program, is_drum=is_drum)
    track.notes.extend([Note(start + i * TPQ, TPQ, pitch, 80) for i, pitch in enumerate(pitches)])
    score.tracks.append(track)
    return score


def test_a_scale_tune_is_in_its_key() -> None:
    found = obedience.key(piece(C_MAJOR * 4), "C major")
    assert found.asked == Key(0)
    assert found.found == obedience.KeyFound(Key(0), 1.0)
    assert found.obeyed


def test_the_relative_key_is_obeyed() -> None:
    assert obedience.key(piece(C_MAJOR * 4), Key(9, "minor")).obeyed


def test_another_key_is_not_obeyed() -> None:
    found = obedience.key(piece(C_MAJOR * 4), "F# major")
    assert not found.obeyed
    assert found.found.share_in_scale == 0.1  # of C D E F G A only the F, which occurs once in ten


def test_ninety_five_percent_in_the_scale_is_enough_and_less_is_not() -> None:
    assert obedience.key(piece(C_MAJOR * 2 + C_MAJOR[:-1] * 2 + [66, 66]), "C").found.share_in_scale == 0.95
    assert obedience.key(piece(C_MAJOR * 2 + C_MAJOR[:-1] * 2 + [66, 66]), "C").obeyed
    assert not obedience.key(piece(C_MAJOR * 2 + C_MAJOR[:-1] * 2 + [66, 66, 66]), "C").obeyed


def test_notes_of_the_scale_in_another_key_of_the_circle_are_not_enough() -> None:
    # G A B D E: all in C major, and heard as G major
    found = obedience.key(piece([67, 71, 74, 79, 67, 69, 71, 67, 74, 67]), "C major")
    assert found.found.share_in_scale == 1.0
    assert found.found.estimate == Key(7)
    assert not found.obeyed


def test_drums_have_no_key() -> None:
    score = piece(C_MAJOR * 4)
    score.tracks.append(piece([66, 61, 68] * 20, is_drum=True).tracks[0])
    assert obedience.key(score, "C major").obeyed


@pytest.mark.parametrize("score", [Score(TPQ), piece([36, 38], is_drum=True)])
def test_without_pitched_notes_no_key_is_obeyed(score: Score) -> None:
    found = obedience.key(score, "C major")
    assert found.found.share_in_scale == 0.0
    assert not found.obeyed


def test_a_key_without_a_name_is_refused() -> None:
    with pytest.raises(UnknownName):
        obedience.key(piece(C_MAJOR), "X major")


def test_one_tempo_as_asked_is_obeyed() -> None:
    score = piece(C_MAJOR)
    score.tempos.append(Tempo(0, qpm=97))
    found = obedience.tempo(score, 97)
    assert found.obeyed
    assert found.found == (pytest.approx(97, abs=1e-3),)
    assert not obedience.tempo(score, 98).obeyed


def test_a_change_of_tempo_is_not_obeyed() -> None:
    score = piece(C_MAJOR)
    score.tempos.extend([Tempo(0, qpm=100), Tempo(24, qpm=80)])
    found = obedience.tempo(score, 100)
    assert found.found == (100, 80)
    assert not found.obeyed


def test_a_score_that_names_no_tempo_runs_at_120() -> None:
    assert obedience.tempo(piece(C_MAJOR), 120).obeyed


def test_metre_is_obeyed_as_written() -> None:
    score = piece(C_MAJOR)
    score.time_signatures.append(TimeSignature(0, 6, 8))
    assert obedience.metre(score, (6, 8)) == obedience.Answer((6, 8), ((6, 8),), True)
    assert not obedience.metre(score, (3, 4)).obeyed


def test_a_change_of_metre_is_not_obeyed() -> None:
    score = piece(C_MAJOR)
    score.time_signatures.extend([TimeSignature(0, 3, 4), TimeSignature(36, 2, 4)])
    assert obedience.metre(score, (3, 4)) == obedience.Answer((3, 4), ((3, 4), (2, 4)), False)


def test_a_score_that_names_no_metre_is_in_four_four() -> None:
    assert obedience.metre(piece(C_MAJOR), (4, 4)).obeyed


def test_instruments_are_the_programs_that_play() -> None:
    score = piece(C_MAJOR, program=40)
    score.tracks.append(piece([60], program=0).tracks[0])
    score.tracks.append(piece([36], is_drum=True).tracks[0])
    score.tracks.append(piece([62], program=40).tracks[0])
    score.tracks.append(Track(program=99))
    assert obedience.instruments(score, [40, -1, 0]) == obedience.Answer((-1, 0, 40), (-1, 0, 40), True)
    assert not obedience.instruments(score, [40, 0]).obeyed
    assert not obedience.instruments(score, [40, 0, -1, 33]).obeyed


def test_an_empty_score_plays_nothing() -> None:
    assert obedience.instruments(Score(TPQ), [0]) == obedience.Answer((0,), (), False)


def test_a_program_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName):
        obedience.instruments(piece(C_MAJOR), [128])


def test_bars_are_counted_to_the_end_of_the_last_note() -> None:
    score = piece(C_MAJOR)  # ten quarters
    assert obedience.bars(score, 3) == obedience.Answer(3, 3, True)
    assert obedience.bars(score, 2) == obedience.Answer(2, 3, False)
    score.time_signatures.append(TimeSignature(0, 2, 4))
    assert obedience.bars(score, 5).obeyed


def test_an_empty_score_has_no_bars() -> None:
    assert obedience.bars(Score(TPQ), 16) == obedience.Answer(16, 0, False)
