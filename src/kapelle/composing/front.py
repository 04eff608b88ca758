"""Music that stands before what is composed, and is kept note for note.

Takes new music from tick 0 on and puts it behind the final bar line, in the resolution of what was there. Nothing of that is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import symusic

from kapelle.errors import CannotObey
from kapelle.score import edit, families, limits, units


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

    def check_room(self, new_s: float) -> None:
        """Refuse `new_s` seconds behind it if the whole could then not be read again."""
        before_s, most_s = float(units.ticks_to_seconds(self.score, self.end_ticks)), limits.DEFAULT.duration_s
        if before_s + new_s > most_s:
            raise CannotObey(
                "the piece lasts {before:.0f} minutes already, and with up to {new:.0f} more it would be too long to be read again",
                before=before_s / 60, new=new_s / 60, hint="ask for fewer bars, or go on from a part of the piece",
            )  # fmt: skip

    def joined(self, music: symusic.Score, end_ticks: int) -> tuple[symusic.Score, int]:
        """Both, one after the other, and the new final bar line in ticks of the result.

        Args:
            music: New notes from tick 0 on, in its own resolution.
            end_ticks: Where it ends, in that resolution.
        """
        out, tpq = self.score.copy(), self.score.ticks_per_quarter
        new_end = self.end_ticks + round(end_ticks * tpq / music.ticks_per_quarter)
        for track in edit.fitted(music, tpq, new_end - self.end_ticks).tracks:
            target = _target(out, track, several=len(music.tracks) > 1)
            if target is None:
                name = "Continuation" if len(music.tracks) == 1 else track.name
                program = self.program if len(music.tracks) == 1 else track.program
                out.tracks.append(symusic.Track(name=name, program=program, is_drum=track.is_drum))
                target = out.tracks[-1]
            for note in track.notes:
                target.notes.append(symusic.Note(self.end_ticks + note.time, note.duration, note.pitch, note.velocity))
        return out, new_end

    def added(self, score: symusic.Score, end_ticks: int) -> symusic.Score:
        """What stands behind it in a result of `joined`, from tick 0 on."""
        return edit.clip(score, self.end_ticks, end_ticks)


def _target(score: symusic.Score, track: symusic.Track, *, several: bool) -> symusic.Track | None:
    """The track of `score` that goes on with the notes of `track`; None if it takes a new one.

    One voice goes on in the only pitched track there is; each of several in the fullest track of its own family.
    """
    sounding = [own for own in score.tracks if len(own.notes)]
    if not several and not track.is_drum:
        pitched = [own for own in sounding if not own.is_drum]
        return pitched[0] if len(pitched) == 1 else None
    family = families.representative(program_of_track(track))
    same = [own for own in sounding if families.representative(program_of_track(own)) == family]
    return max(same, key=lambda own: len(own.notes), default=None)


def program_of_track(track: symusic.Track) -> int:
    """Its program, -1 for drums."""
    return -1 if track.is_drum else int(track.program)


def busiest_program(score: symusic.Score) -> int:
    """The program of the pitched track with the most notes; of the first among equals."""
    return int(max((track for track in score.tracks if not track.is_drum), key=lambda track: len(track.notes)).program)
