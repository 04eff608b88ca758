"""The sound of a piece while it is composed: chunk by chunk, as soon as all notes of a chunk are known.

Takes notes and the ends of bars as they are told; writes FLAC files and tells which are there. A note that comes late, as those of a band
do that plays around a finished piece, has its chunk made again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kapelle.errors import UsageError
from kapelle.render import chunks
from kapelle.render.performance import Seats
from kapelle.score.write import write_bytes

if TYPE_CHECKING:
    from kapelle.composing.events import Note
    from kapelle.web.folder import Folder

LONGEST_S = 3600.0
"""No sound is made of what begins later."""

LIVE_PIECES = 8
"""Pieces of a job that sound while they are composed. Nobody listens to more before they are done, and their sounds would fill the disk."""


class LiveSound:
    """The chunks of one piece.

    Args:
        folder: Where the files go.
        job: Id of the job.
        number: Of the piece in the job.
        tell: Hears of chunks.
    """

    def __init__(self, folder: Folder, job: str, number: int, tell: Callable[[str, dict[str, Any]], None]) -> None:
        self._folder, self._job, self._number, self._tell = folder, job, number, tell
        self._notes: dict[int, dict[int, list[Note]]] = defaultdict(lambda: defaultdict(list))  # chunk -> program -> notes
        self._made: dict[tuple[int, int], int] = {}  # chunk and program -> notes in it
        self._seats = Seats()  # much as the tracks of the piece will sit

    def add(self, notes: Sequence[Note]) -> None:
        """Take notes that are to sound."""
        for note in notes if self._number < LIVE_PIECES else ():
            if 0 <= note.start_s < LONGEST_S:
                self._notes[int(note.start_s / chunks.CHUNK_S)][note.program].append(note)

    def known_to(self, end_s: float) -> None:
        """Make the chunks that end before `end_s`, where no note will begin any more."""
        for k in sorted(self._notes):
            if (k + 1) * chunks.CHUNK_S <= end_s + 1e-6:
                self._make(k)

    def finish(self) -> None:
        """Make all that is not made."""
        self.known_to(LONGEST_S + chunks.CHUNK_S)

    def restart(self) -> None:
        """Forget all. The files stay until others take their names: a page that was told of them may be fetching them just now."""
        self._notes.clear()
        self._made.clear()
        self._seats = Seats()

    def _make(self, k: int) -> None:
        programs = []
        for program, notes in sorted(self._notes[k].items()):
            if self._made.get((k, program)) == len(notes):
                continue
            self._made[k, program] = len(notes)
            with suppress(UsageError):  # too many notes for a sound; the piece itself is well
                data = chunks.flac(chunks.chunk_of_notes(notes, k, pan=self._seats.of(program)))
                write_bytes(self._folder.sound(self._job, self._number, k, program), data, durable=False)
                programs.append(program)
        if programs:
            self._tell("sound", {"number": self._number, "chunk": k, "programs": programs})
