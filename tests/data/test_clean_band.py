"""What is taken of a file of several instruments, and what is known of it."""

from __future__ import annotations

import numpy as np
import symusic

from kapelle.data.clean import CleaningRules, CleanPiece, Take, clean, instruments_of
from kapelle.score.write import to_bytes
from kapelle.tokens import remi

SPEC = remi.RemiSpec(genres=("rock",), programs=True)
WORDS = remi.vocabulary(SPEC)
RULES = CleaningRules(min_notes=10, min_bars=2, families=3)


def band(programs: tuple[int, ...] = (0, 38, 29, -1, 60)) -> bytes:
    """Eight bars; the later a track stands, the fewer notes it has."""
    score = symusic.Score(480)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for place, program in enumerate(programs):
        track = symusic.Track(program=max(program, 0), is_drum=program < 0)
        for step in range(0, 64, place + 1):
            track.notes.append(symusic.Note(step * 240, 200, 40 if program < 0 else 48 + (step * 7 + place) % 24, 90))
        score.tracks.append(track)
    return to_bytes(score)


def programs_in(piece: CleanPiece) -> set[int]:
    return {int(WORDS.value(int(token))) for token in np.unique(piece.ids[np.isin(piece.ids, WORDS.ids("Program"))])}


def test_the_fullest_families_are_kept_and_named() -> None:
    piece = clean(band(), SPEC, WORDS, RULES)
    assert isinstance(piece, CleanPiece)
    assert programs_in(piece) == {0, 33, 25}
    assert piece.instruments == ("piano", "guitar", "bass")
    assert piece.instruments == instruments_of(piece.ids, WORDS)


def test_drums_are_a_family() -> None:
    piece = clean(band((-1, 0, 38, 29)), SPEC, WORDS, RULES)
    assert isinstance(piece, CleanPiece)
    assert piece.instruments == ("piano", "bass", "drums")


def test_programs_that_files_do_not_tell_are_set() -> None:
    piece = clean(band((0, 0, 0)), SPEC, WORDS, RULES, Take(tracks=2, programs=(85, 33)))
    assert isinstance(piece, CleanPiece)
    assert piece.instruments == ("bass", "lead")


def test_without_the_rule_programs_stay_as_they_come() -> None:
    piece = clean(band(), SPEC, WORDS, CleaningRules(min_notes=10, min_bars=2))
    assert isinstance(piece, CleanPiece)
    assert programs_in(piece) == {0, 38, 29, -1, 60}
    assert piece.instruments == ()


def test_a_file_that_is_not_its_copy_is_rejected() -> None:
    refused = clean(band((0, 0)), SPEC, WORDS, RULES, grid=band((-1, 3)))
    assert not isinstance(refused, CleanPiece)
    assert "copy" in refused.reason
