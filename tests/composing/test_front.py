"""Music that stands before what is composed."""

from __future__ import annotations

import pytest
import symusic

from kapelle import api
from kapelle.composing.front import Front
from kapelle.errors import CannotObey
from kapelle.score import write


def test_nothing_is_put_behind_music_that_could_then_not_be_read_again() -> None:
    """Three hours are the longest that is read; the check stands before the first note is composed."""
    long = symusic.Score(480)
    long.tempos.append(symusic.Tempo(0, qpm=60))
    front = Front(long, 10_790 * 480, 0)
    front.check_room(10.0)
    with pytest.raises(CannotObey, match="lasts 180 minutes already, and with up to 1 more"):
        front.check_room(60.0)


@pytest.mark.parametrize("model", ["genre-small", "chopin"])
def test_a_piece_of_nearly_three_hours_is_not_extended_beyond(model: str) -> None:
    score, track = symusic.Score(480), symusic.Track(name="Piano")
    score.tempos.append(symusic.Tempo(0, qpm=60))
    for beat in range(0, 10_790, 10):
        track.notes.append(symusic.Note(beat * 480, 240, 60 + beat % 12, 80))
    track.notes.extend([symusic.Note((10_700 + beat) * 480, 240, 60 + beat % 12, 80) for beat in range(89)])
    score.tracks.append(track)
    with pytest.raises(CannotObey, match="too long to be read again"):
        api.extend(write.to_bytes(score), model=model, bars=16, seed=1)
