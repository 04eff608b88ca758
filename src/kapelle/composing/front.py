"""Music that stands before what is composed, and is kept note for note.

Takes new music from tick 0 on and puts it behind the final bar line, in the resolution of what was there. Nothing of that is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import symusic

from kapelle.score import edit


@dataclass(frozen=True)
class Front:
    """What stands in front.

    Args:
        score: The music.
        end_ticks: Its final bar line.
        program: Of the track that goes on.
    """

    score: symusic.Score
    end_ticks: int
    program: int

    def joined(self, music: symusic.Score, end_ticks: int) -> tuple[symusic.Score, int]:
        """Both, one after the other, and the new final bar line in ticks of the result.

        Args:
            music: New notes from tick 0 on, in its own resolution.
            end_ticks: Where it ends, in that resolution.
        """
        out, tpq = self.score.copy(), self.score.ticks_per_quarter
        new_end = self.end_ticks + round(end_ticks * tpq / music.ticks_per_quarter)
        pitched = [track for track in out.tracks if not track.is_drum and len(track.notes)]
        if len(pitched) == 1:
            target = pitched[0]
        else:
            out.tracks.append(symusic.Track(name="Continuation", program=self.program, is_drum=False))
            target = out.tracks[-1]
        for track in music.tracks:
            for note in track.notes:
                start, stop = (self.end_ticks + round(t * tpq / music.ticks_per_quarter) for t in (note.time, note.time + note.duration))
                target.notes.append(symusic.Note(start, max(1, stop - start), note.pitch, note.velocity))
        return out, new_end

    def added(self, score: symusic.Score, end_ticks: int) -> symusic.Score:
        """What stands behind it in a result of `joined`, from tick 0 on."""
        return edit.clip(score, self.end_ticks, end_ticks)


def busiest_program(score: symusic.Score) -> int:
    """The program of the pitched track with the most notes; of the first among equals."""
    return int(max((track for track in score.tracks if not track.is_drum), key=lambda track: len(track.notes)).program)
