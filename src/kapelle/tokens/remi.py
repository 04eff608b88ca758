"""REMI: a Score as bars, positions, pitches, velocities and durations, with Kapelle's control tokens around them.

Takes a Score, gives ids; takes ids, gives notes. One bar reads ``Bar TimeSig BarsLeft (Position (Pitch Velocity Duration)+)*``;
with programs a Program stands before every Pitch. ``BarsLeft_3`` opens the third bar from the end: the countdown by which a
model knows when to close. Names, ids and rounding are those of miditok 3.1, with which the shipped weights were made; a test holds
the two equal. `remi_encode` tells what that means for a note off the grid. Decoding gives notes while tokens arrive.

It does not judge music and does not sample.

Source: Huang and Yang 2020, "Pop Music Transformer"; Fradet et al. 2021, miditok 3.1 (MIT).
Known differences: the countdown after every TimeSig; tempo, key and genre stand before a block, not inside it, unless the spec
asks for tempo tokens; metres outside the spec are not approximated, the piece is refused; a genre may hold an underscore.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import symusic
from numpy.typing import NDArray

from kapelle.config import build, setting
from kapelle.errors import UnreadableInput
from kapelle.score import families
from kapelle.tokens import remi_chords, remi_encode
from kapelle.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

Ids = NDArray[np.int64]

MAX_COUNTDOWN = 64  # bars; further from the end the countdown reads "more"
N_COMPOSERS = 32
N_SPARE = 16
TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class RemiSpec:
    """The [tokenizer] section of a recipe: everything that decides which ids there are."""

    genres: tuple[str, ...] = setting(help="genre names, one token each")
    pitch_low: int = setting(21, help="lowest MIDI pitch", min=0, max=127)
    pitch_high: int = setting(108, help="highest MIDI pitch", min=0, max=127)
    positions_per_beat: int = setting(12, help="grid steps in a beat; 12 holds sixteenths and triplets", min=1, max=24)
    fine_beats: int = setting(4, help="durations up to so many beats keep the full grid", min=1, max=8)
    max_beats: int = setting(12, help="longest duration", unit="beats", min=1, max=32)
    coarse_steps: int = setting(4, help="grid steps in a beat of longer durations", min=1, max=24)
    velocities: int = setting(16, help="loudness levels", min=1, max=127)
    metres: tuple[str, ...] = setting(("2/4", "3/4", "4/4", "5/4", "6/4", "3/8", "6/8", "9/8", "12/8"), help="metres with a token")
    programs: bool = setting(False, help="a Program token before every note, for pieces of several instruments")
    chords: bool = setting(False, help="Chord tokens")
    tempos: bool = setting(False, help="Tempo tokens inside the piece")
    bpm_low: float = setting(40.0, help="slowest tempo of the control tokens", unit="bpm")
    bpm_high: float = setting(240.0, help="fastest tempo of the control tokens", unit="bpm")
    bpm_levels: int = setting(32, help="tempo control tokens, spaced evenly in logarithm", min=2)
    normalise_key: bool = setting(False, help="every piece is moved to C major or A minor; keys are obeyed by moving back")

    @property
    def grid(self) -> int:
        """Positions in a beat: long notes may ask for a finer grid than onsets do."""
        return max(self.positions_per_beat, self.coarse_steps)

    @property
    def ticks_per_quarter(self) -> int:
        """Resolution of decoded scores: every grid step of every metre is a whole number of ticks."""
        return self.grid * max(int(metre.split("/")[1]) for metre in self.metres) // 4

    def bar_positions(self, metre: str) -> int:
        """Grid steps in a bar; a beat is the lower number of the metre."""
        return int(metre.split("/", maxsplit=1)[0]) * self.grid

    def position_ticks(self, metre: str) -> int:
        """Ticks of one grid step in this metre."""
        return self.ticks_per_quarter * 4 // int(metre.split("/")[1]) // self.grid

    def bar_ticks(self, metre: str) -> int:
        """Ticks of one bar in this metre."""
        return self.bar_positions(metre) * self.position_ticks(metre)

    def bpm_values(self) -> NDArray[np.float64]:
        """The tempi that have a control token, ascending, whole numbers."""
        return np.unique(np.round(np.geomspace(self.bpm_low, self.bpm_high, self.bpm_levels)))


def control_names(spec: RemiSpec) -> list[str]:
    """The tokens that Kapelle adds to REMI, in the order of their ids, PAD first."""
    return [
        "PAD_None", "BOS_None", "EOS_None",
        *(f"Genre_{name}" for name in spec.genres),
        *(f"Key_{tonic}-{mode}" for mode in ("major", "minor") for tonic in TONICS),
        *(f"Bpm_{bpm:g}" for bpm in spec.bpm_values()),
        *(f"Instrument_{name}" for name in families.NAMES),
        *(f"Composer_{i}" for i in range(N_COMPOSERS)),
        *(f"BarsLeft_{i}" for i in range(1, MAX_COUNTDOWN + 1)), "BarsLeft_more",
        "Theme_start", "Theme_end",
        *(f"Spare_{i}" for i in range(N_SPARE)),
    ]  # fmt: skip


@lru_cache(maxsize=4)
def vocabulary(spec: RemiSpec) -> Vocabulary:
    """The vocabulary of a spec: control tokens first, then those of REMI."""
    metres = [metre.split("/") for metre in spec.metres]
    below = dict.fromkeys(lower for _, lower in metres)
    values: dict[str, Iterable[object]] = {
        "Bar": ["None"],
        "Pitch": range(spec.pitch_low, spec.pitch_high + 1),
        "Velocity": remi_encode.velocities(spec),
        "Duration": (".".join(map(str, parts)) for parts in remi_encode.durations(spec)),
        "Position": range(spec.grid * max(int(upper) for upper, _ in metres)),
        "PitchDrum": range(remi_encode.DRUM_PITCHES[0], remi_encode.DRUM_PITCHES[1] + 1) if spec.programs else [],
        "Chord": remi_chords.SHAPES if spec.chords else [],
        "Tempo": remi_encode.tempi() if spec.tempos else [],
        "Program": [*range(128), remi_encode.DRUMS] if spec.programs else [],
        "TimeSig": dict.fromkeys(f"{upper}/{lower}" for family in below for upper, lower in metres if lower == family),
    }
    return Vocabulary((*control_names(spec), *(f"{kind}_{value}" for kind in values for value in values[kind])))


def countdown_name(bars_left: int) -> str:
    """The countdown token that opens a bar with so many bars left, itself counted."""
    return f"BarsLeft_{bars_left}" if bars_left <= MAX_COUNTDOWN else "BarsLeft_more"


def encode(score: symusic.Score, spec: RemiSpec, words: Vocabulary, n_bars: int = 0, following: int = 0) -> Ids:
    """The ids of a score from its first bar on, countdown included, without controls, BOS and EOS.

    Args:
        score: Any score; without `spec.programs` all its pitched tracks are merged into one and drums left out.
        spec: What the vocabulary was made from.
        words: ``vocabulary(spec)``.
        n_bars: Bars that the piece has if the last ones are empty; 0 counts to the last onset.
        following: Bars that will come after it, for the countdown.

    Raises:
        UnreadableInput: No notes, or a metre that has no token.
    """
    if not any(len(track.notes) for track in score.tracks if spec.programs or not track.is_drum):
        raise UnreadableInput("no notes to encode")
    opening = "4/4" if not score.time_signatures or score.time_signatures[0].time else ""
    for metre in (opening, *(f"{sign.numerator}/{sign.denominator}" for sign in score.time_signatures)):
        if metre and metre not in spec.metres:
            raise UnreadableInput("metre {metre} has no token", metre=metre)
    return with_countdown(remi_encode.encode(score, spec, words), words, n_bars, following)


def with_countdown(ids: Ids, words: Vocabulary, n_bars: int = 0, following: int = 0) -> Ids:
    """Ids with a BarsLeft after every TimeSig.

    Args:
        ids: Bars that open with Bar and TimeSig, without countdown.
        words: The vocabulary.
        n_bars: Bars that the piece has; empty ones are added at the end up to so many.
        following: Bars that will come after these, counted as left.
    """
    bar, kind = words["Bar_None"], words.kinds.index("TimeSig")
    metre_places = np.flatnonzero(words.kind_of[ids] == kind)
    missing = n_bars - int((ids == bar).sum())
    if missing > 0:
        ids = np.concatenate([ids, np.tile([bar, ids[metre_places[-1]]], missing)])
        metre_places = np.flatnonzero(words.kind_of[ids] == kind)
    total = len(metre_places)
    marks = [words[countdown_name(total + following - i)] for i in range(total)]
    return np.insert(ids, metre_places + 1, marks)


@dataclass(frozen=True)
class DecodedNote:
    """One note as it leaves the decoder, in ticks of the spec's resolution from the start of the piece."""

    time: int
    duration: int
    pitch: int
    velocity: int
    program: int = 0  # -1: drums


@dataclass
class Decoder:
    """Notes from ids, one id at a time. Never raises on an id in range: what has no place is dropped and counted in `dropped`."""

    spec: RemiSpec
    words: Vocabulary
    dropped: int = 0
    bar: int = -1
    metres: list[tuple[int, str]] = field(default_factory=list)  # (bar, metre) where it changes
    tempos: list[tuple[int, float]] = field(default_factory=list)  # (tick, bpm), only from Tempo tokens inside the piece
    _bar_start: int = 0
    _metre: str = ""
    _position: int = -1
    _program: int = 0
    _pitch: int = -1
    _velocity: int = -1

    @cached_property
    def _parts(self) -> list[tuple[str, str]]:
        return [cast("tuple[str, str]", tuple(name.split("_", 1))) for name in self.words.names]

    @property
    def metre(self) -> str:
        """The metre in force; 4/4 before the first bar says otherwise."""
        return self._metre or "4/4"

    @property
    def end_ticks(self) -> int:
        """The final bar line: the end of the bar that was opened last."""
        return self._bar_start + (self.spec.bar_ticks(self.metre) if self.bar >= 0 else 0)

    def feed(self, token: int) -> DecodedNote | None:
        """The note that this id completes, if it completes one."""
        kind, value = self._parts[token]
        if kind == "Bar":
            if self.bar >= 0:
                self._bar_start += self.spec.bar_ticks(self.metre)
            self.bar += 1
            self._position, self._pitch, self._velocity = -1, -1, -1
        elif kind == "TimeSig":
            if value != self._metre:
                self._metre = value
                self.metres.append((max(self.bar, 0), value))
        elif kind == "Position":
            self._position, self._pitch, self._velocity = int(value), -1, -1
        elif kind == "Program":
            self._program = int(value)
        elif kind in ("Pitch", "PitchDrum"):
            self.dropped += self._pitch >= 0
            self._pitch, self._velocity = int(value), -1
        elif kind == "Velocity":
            self._velocity = int(value)
        elif kind == "Tempo":
            self.tempos.append((self._bar_start + max(self._position, 0) * self.spec.position_ticks(self.metre), float(value)))
        elif kind == "Duration":
            return self._note(value)
        return None

    def _note(self, value: str) -> DecodedNote | None:
        complete = self.bar >= 0 and 0 <= self._position < self.spec.bar_positions(self.metre) and self._pitch >= 0 and self._velocity >= 0
        pitch, self._pitch = self._pitch, -1
        if not complete:
            self.dropped += 1
            return None
        step = self.spec.position_ticks(self.metre)
        beats, part, resolution = (int(x) for x in value.split("."))
        ticks = (beats * resolution + part) * step * self.spec.grid // resolution
        return DecodedNote(self._bar_start + self._position * step, ticks, pitch, self._velocity, self._program)


@dataclass(frozen=True)
class Decoded:
    """A whole sequence, decoded: the score, its length in bars, and how many notes were dropped as incomplete."""

    score: symusic.Score
    n_bars: int
    end_ticks: int
    dropped: int


def decode(ids: Iterable[int], spec: RemiSpec, words: Vocabulary, bpm: float = 120.0) -> Decoded:
    """The score of ids, at the tempo `bpm` unless Tempo tokens say otherwise. Never raises on ids in range."""
    decoder = Decoder(spec, words)
    notes = [note for token in ids if (note := decoder.feed(int(token)))]
    if notes and decoder._pitch >= 0:
        decoder.dropped += 1
    return Decoded(to_score(notes, decoder, bpm), decoder.bar + 1, decoder.end_ticks, decoder.dropped)


def to_score(notes: Iterable[DecodedNote], decoder: Decoder, bpm: float) -> symusic.Score:
    """A Score of decoded notes, one track per program in ascending order, drums last."""
    import symusic

    spec = decoder.spec
    score = symusic.Score(spec.ticks_per_quarter)
    bar_lines, tick, changes = {0: 0}, 0, dict(decoder.metres)
    metre = "4/4"
    for bar in range(max(decoder.bar, 0) + 1):
        bar_lines[bar], metre = tick, changes.get(bar, metre)
        tick += spec.bar_ticks(metre)
    for bar, name in decoder.metres or [(0, "4/4")]:
        above, below = name.split("/")
        score.time_signatures.append(symusic.TimeSignature(bar_lines.get(bar, 0), int(above), int(below)))
    for time, value in decoder.tempos or [(0, bpm)]:
        score.tempos.append(symusic.Tempo(time, qpm=value))
    by_program: dict[int, Any] = {}
    for note in sorted(notes, key=lambda n: (n.time, n.pitch, n.duration)):
        track = by_program.get(note.program)
        if track is None:
            track = by_program[note.program] = symusic.Track(program=max(note.program, 0), is_drum=note.program < 0)
        track.notes.append(symusic.Note(note.time, note.duration, note.pitch, note.velocity))
    for program in sorted(by_program, key=lambda p: (p < 0, p)):
        score.tracks.append(by_program[program])
    return score


def spec_of(table: dict[str, object]) -> RemiSpec:
    """The spec in what a tokenizer file says beside its tokens."""
    return build(RemiSpec, cast("dict[str, Any]", table.get("spec", {})), "tokenizer.json: spec")
