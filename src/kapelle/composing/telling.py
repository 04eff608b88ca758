"""Notes told with the instruments that they will have, while a model of one piano is still composing.

The voices of such a model are dealt to instruments when the piece is done, by `edit.split_voices`. Whoever listens meanwhile must hear the
same: so the rule is applied onset by onset, and a note is told when all that begin with it are known. It changes nothing about the piece.

Known difference: a note that the key moves by octaves back into the range of MIDI is compared at its height before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kapelle.composing.events import Note
from kapelle.composing.plan import Plan
from kapelle.score import edit
from kapelle.tokens import remi


@dataclass
class Teller:
    """Follows the notes of one attempt.

    Args:
        plan: Says which instruments there are.
        spec: The resolution of the notes.
    """

    plan: Plan
    spec: remi.RemiSpec
    _waiting: list[tuple[remi.DecodedNote, int]] = field(default_factory=list)
    _ends: dict[int, int] = field(default_factory=dict)  # pitch -> where it ends; of two notes of one pitch the later cuts the earlier

    def take(self, note: remi.DecodedNote, bar: int) -> tuple[Note, ...]:
        """What can be told, now that `note` of bar `bar` is there; notes come in the order of their onsets."""
        if self.plan.model_has_programs or len(self.plan.programs) < 2:
            return (self.plan.told(note, bar, self.spec),)
        ready = self.rest() if self._waiting and note.time != self._waiting[0][0].time else ()
        self._waiting.append((note, bar))
        return ready

    def rest(self) -> tuple[Note, ...]:
        """What waits for others of its onset, of which no more will come."""
        if not self._waiting:
            return ()
        onset = self._waiting[0][0].time
        self._ends = {pitch: end for pitch, end in self._ends.items() if end > onset}
        fresh: dict[int, int] = {}
        for note, _ in self._waiting:
            fresh[note.pitch] = max(fresh.get(note.pitch, 0), onset + max(note.duration, 1))
        self._ends |= fresh
        told = tuple(self._dealt(note, bar) for note, bar in self._waiting)
        self._waiting.clear()
        return told

    def _dealt(self, note: remi.DecodedNote, bar: int) -> Note:
        told = self.plan.told(note, bar, self.spec)
        above = sum(pitch > note.pitch for pitch in self._ends)
        below = sum(pitch < note.pitch for pitch in self._ends)
        return replace(told, program=self.plan.programs[edit.voice(above, below, told.pitch, len(self.plan.programs))])
