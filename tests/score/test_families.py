"""Programs by family, there and back."""

from __future__ import annotations

import pytest
import symusic

from kapelle.errors import CannotObey
from kapelle.score import families
from kapelle.score.instruments import DRUMS


def band(*tracks: tuple[int, int]) -> symusic.Score:
    """A score with a track for each (program, notes); -1: drums."""
    score = symusic.Score(480)
    for program, n_notes in tracks:
        track = symusic.Track(program=max(program, 0), is_drum=program < 0)
        for i in range(n_notes):
            track.notes.append(symusic.Note(i * 480, 240, 60, 90))
        score.tracks.append(track)
    return score


def programs(score: symusic.Score) -> list[int]:
    return [DRUMS if track.is_drum else track.program for track in score.tracks]


def test_every_family_has_a_program_of_its_own_family() -> None:
    assert [program // 8 for program in families.REPRESENTATIVES] == list(range(16))


def test_tracks_move_to_the_program_of_their_family_and_drums_stay() -> None:
    score = band((4, 1), (30, 1), (38, 1), (-1, 1), (127, 1))
    assert programs(families.by_family(score)) == [0, 25, 33, DRUMS, 120]
    assert programs(score) == [4, 30, 38, DRUMS, 127]


def test_the_families_with_most_notes_are_kept() -> None:
    score = band((0, 3), (40, 2), (1, 3), (33, 5), (-1, 4))
    assert programs(families.by_family(score, 2)) == [0, 0, 33]
    assert programs(families.by_family(score, 3)) == [0, 0, 33, DRUMS]
    assert programs(families.by_family(band(), 2)) == []


def test_equal_families_are_kept_by_their_number() -> None:
    assert programs(families.by_family(band((73, 2), (25, 2), (48, 2)), 2)) == [25, 48]


def test_what_was_asked_comes_back() -> None:
    asked = families.table((4, 38, DRUMS))
    assert asked == {0: 4, 33: 38, DRUMS: DRUMS}
    assert programs(families.from_families(band((0, 1), (33, 1), (-1, 1), (73, 1)), asked)) == [4, 38, DRUMS, 73]


def test_two_of_one_family_cannot_be_told_apart() -> None:
    with pytest.raises(CannotObey, match="one voice for"):
        families.table((40, 42))
