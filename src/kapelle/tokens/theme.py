"""The codec of music with a theme: a Score as bars, positions and notes of two tracks, with its theme regions marked.

Takes a Score in 4/4 with the tracks MELODY and PIANO, and the bars that are theme; gives ids and labels. Takes ids; gives a Score and
the regions. One bar reads ``[Theme_Start] Bar (Position [Tempo] (On Duration Velocity)*)* [Theme_End]``. Positions are sixteenths; at
one position the melody stands before the piano, and pitches of a track descend. A label is 0 outside the theme; from Theme_Start on
it counts 1, 2, 3, ...; Theme_End has 0.

The mode ``released`` has the 1,033 ids of the published code and data, ``paper`` its two-track part: 716 ids. What is not on the grid
or not in the vocabulary is moved to the nearest that is, and counted.

It does not look for themes, does not choose the melody, moves nothing to another key (`ThemeSpec.normalise_key` is a note for those
who do), and does not judge whether a sequence is sensible: that is the grammar.

Source: Shih et al. 2022, "Theme Transformer"; github.com/atosystem/ThemeTransformer (MIT).
Known differences: padding and Bar are called ``PAD_None`` and ``Bar_None``; nothing is trimmed, nothing is lost on the last bar line,
starts go to the nearest sixteenth and not to the one before, one tempo is written and not each change, unless `encode` is asked for
``legacy``; regions are whole bars, where the published code writes the last onset of a theme as its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import symusic

from kapelle.tokens.theme_encode import LOST, Encoded, encode, theme_ids
from kapelle.tokens.theme_words import (
    MELODY,
    PIANO,
    STEPS,
    STEPS_PER_BEAT,
    TEMPI,
    THEME_TRACK,
    Layout,
    Regions,
    ThemeSpec,
    labels_of,
    layout,
    layout_of,
    tempo_id,
    vocabulary,
)

__all__ = [
    "LOST", "MELODY", "PIANO", "STEPS", "STEPS_PER_BEAT", "TEMPI", "THEME_TRACK", "Decoded", "Decoder", "Encoded", "Layout", "Regions",
    "ThemeNote", "ThemeSpec", "decode", "encode", "labels_of", "layout", "layout_of", "tempo_id", "theme_ids", "to_score", "vocabulary",
]  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """Ids as a piece.

    Args:
        score: With the tracks MELODY and PIANO, in 4/4.
        regions: The bars that are theme.
        dropped: Ids that began or belonged to something that never became whole, and notes of tracks that cannot be written.
        n_bars: Bars opened, empty ones included.
    """

    score: symusic.Score
    regions: tuple[tuple[int, int], ...]
    dropped: int
    n_bars: int


@dataclass(frozen=True)
class ThemeNote:
    """A note in steps from the first bar line."""

    track: str
    start: int
    duration: int
    pitch: int
    velocity: int


@dataclass
class Decoder:
    """Notes from ids, one id at a time. It never raises on an id in range; what never becomes whole is counted in `dropped`."""

    spec: ThemeSpec
    dropped: int = 0
    n_bars: int = 0
    tempi: list[tuple[int, int]] = field(default_factory=list)  # step, bpm
    _regions: list[tuple[int, int]] = field(default_factory=list)
    _theme: int = -1  # the bar in which the open region begins
    _step: int = -1  # of the Position in force
    _open: list[int] = field(default_factory=list)  # what there is of a note: pitch, duration
    _track: str = ""

    def __post_init__(self) -> None:
        words = vocabulary(self.spec.mode)
        self._parts = [(words.kinds[kind], words.value(i)) for i, kind in enumerate(words.kind_of.tolist())]

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """The regions so far; one that is open reaches to the end of the last bar."""
        rest = [(self._theme, self.n_bars)] if 0 <= self._theme < self.n_bars else []
        return (*self._regions, *rest)

    def feed(self, token: int) -> ThemeNote | None:
        """The note that this id completes, if it completes one."""
        kind, value = self._parts[token]
        if kind.startswith("Note-"):
            part, track = kind.removeprefix("Note-").split("-")
            return self._note(("On", "Duration", "Velocity").index(part), track, int(value))
        if kind == "PAD":
            return None
        self.finish()
        if kind == "Phrase":
            return None
        if kind == "Bar":
            self.n_bars, self._step = self.n_bars + 1, -1
        elif kind == "Position" and self.n_bars:
            self._step = (self.n_bars - 1) * STEPS + int(value)
        elif kind == "Tempo" and (self._step >= 0 or not self.n_bars):
            self.tempi.append((max(self._step, 0), int(value)))
        elif kind == "Theme" and value == "Start" and self._theme < 0:
            self._theme = self.n_bars
        elif kind == "Theme" and value == "End" and 0 <= self._theme < self.n_bars:
            self._regions.append((self._theme, self.n_bars))
            self._theme = -1
        else:
            self.dropped += 1
        return None

    def finish(self) -> None:
        """Count the note that is still open, if there is one: nothing that comes can complete it."""
        self.dropped += bool(self._open)
        self._open = []

    def _note(self, part: int, track: str, value: int) -> ThemeNote | None:
        if part == 0:
            self.finish()
            if self._step < 0:
                self.dropped += 1
                return None
            self._open, self._track = [value], track
            return None
        if len(self._open) != part or track != self._track:
            self.dropped += not self._open
            self.finish()
            return None
        self._open.append(value)
        if part == 1:
            return None
        (pitch, duration, velocity), self._open = self._open, []
        if track not in (MELODY, PIANO):
            self.dropped += 1
            return None
        return ThemeNote(track, self._step, duration, pitch, velocity)


def decode(ids: Iterable[int], spec: ThemeSpec, *, ticks_per_quarter: int = 480) -> Decoded:
    """The piece that ids tell of. Never raises on ids in range.

    Args:
        ids: From `encode` or from a model; a Tempo before the first Bar is the tempo of the beginning.
        spec: The vocabulary.
        ticks_per_quarter: Resolution; a multiple of 4.
    """
    decoder = Decoder(spec)
    notes = [note for token in ids if (note := decoder.feed(int(token)))]
    decoder.finish()
    return Decoded(to_score(notes, decoder.tempi, ticks_per_quarter), decoder.regions, decoder.dropped, decoder.n_bars)


def to_score(notes: Iterable[ThemeNote], tempi: Iterable[tuple[int, float]] = (), ticks_per_quarter: int = 480) -> symusic.Score:
    """A Score in 4/4 with the tracks MELODY and PIANO, both also where they are empty.

    Args:
        notes: In any order.
        tempi: Step and quarter notes a minute.
        ticks_per_quarter: Resolution; a multiple of 4.
    """
    score, ticks = symusic.Score(ticks_per_quarter), ticks_per_quarter // STEPS_PER_BEAT
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for step, bpm in tempi:
        score.tempos.append(symusic.Tempo(step * ticks, qpm=bpm))
    tracks = {name: symusic.Track(name=name, program=0, is_drum=False) for name in (MELODY, PIANO)}
    for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
        tracks[note.track].notes.append(symusic.Note(note.start * ticks, note.duration * ticks, note.pitch, note.velocity))
    score.tracks.extend(tracks.values())
    return score
