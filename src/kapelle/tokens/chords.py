"""Notes and chords as symbols: a piece as items in order of onset, items as ids and back.

Takes a MIDI file, gives items; takes items, gives ids of one flat vocabulary; and back to a Score. An item is a note, or the notes
of one hand that begin and end together: a chord. It reads ``Symbol Duration Velocity Offset``, where the offset is the way to the
next item (0: it begins at once), so time is told by the items alone and nothing knows of bars. A spec without attributes writes
``Symbol`` and no more; every item then lasts a quarter note, as in the notebooks that this codec comes from.

music21 reads the notes. Its chords, measures and ties are not used: ties would cut notes at bar lines, and that part of it takes nine
tenths of the time. Tempo changes are ignored: time is counted in beats. Drums are left out.

Source: the public notebook "Music Generation: LSTM" and its copies, in which chords are normal orders of pitch classes.
Known differences: real pitches in chords, durations and offsets (``real_pitches``, ``attributes``); what is rare is filtered once,
not taken out of the list while it is walked; a chord is added once; a pitch class sounds in a stated octave (the one from middle C).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kapelle.config import build, setting
from kapelle.errors import UnreadableInput, UsageError
from kapelle.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    import symusic

Ids = NDArray[np.int64]
Pitches = tuple[int, ...]

MIDDLE_C = 60
CLASSES = "pc."
"""What a chord of pitch classes begins with: ``Symbol_pc.0.4.7``."""

PLAIN_VELOCITY = 72
"""Of items without a loudness."""


@dataclass(frozen=True)
class ChordSpec:
    """The [tokenizer] section of a recipe of codec ``chords``: everything that decides which ids there are, the corpus aside."""

    composers: tuple[str, ...] = setting((), help="composers that have a token, which stands in front of every block; empty: none")
    real_pitches: bool = setting(True, help="chords as pitches; false: as pitch classes, their octave lost")
    attributes: bool = setting(True, help="a duration and an offset for every item; false: symbols alone, each a quarter note")
    velocities: int = setting(8, help="loudness levels of an item; 0: none", min=0, max=127)
    min_count: int = setting(100, help="symbols seen fewer times are rare", min=1)
    rare: str = setting("split", help="a rare chord becomes its notes, or is left out; rare notes are left out", choices=("split", "drop"))
    positions_per_beat: int = setting(12, help="grid steps in a quarter note; 12 holds sixteenths and triplets", min=1, max=48)
    max_beats: int = setting(8, help="longest duration and offset", unit="beats", min=1, max=32)

    @property
    def max_steps(self) -> int:
        """The longest duration and offset in grid steps."""
        return self.max_beats * self.positions_per_beat


@dataclass(frozen=True)
class Item:
    """A note or a chord.

    Args:
        pitches: MIDI pitches, ascending.
        duration: In grid steps, 1 or more.
        offset: Grid steps until the next item begins; 0: at once.
        velocity: 1 to 127.
    """

    pitches: Pitches
    duration: int
    offset: int
    velocity: int


@dataclass(frozen=True)
class Encoded:
    """Items as ids, and what it took.

    Args:
        ids: (T,) without BOS and EOS.
        notes: Notes that have ids.
        split: Chords that became their notes.
        mapped: Symbols that stand for another one, the nearest known.
        dropped: Notes that have no ids.
    """

    ids: Ids
    notes: int = 0
    split: int = 0
    mapped: int = 0
    dropped: int = 0


# --- reading ----------------------------------------------------------------------------------------------------------------------


def items(source: str | Path | bytes, positions_per_beat: int = 12) -> list[Item]:
    """The items of a MIDI file, in order of onset and then of the lowest pitch.

    Args:
        source: A path, or the bytes of a file.
        positions_per_beat: Grid steps in a quarter note; onsets and durations go to the nearest step, durations last at least one.

    Raises:
        UnreadableInput: It cannot be read, or has no notes.
        Missing: There is no such file.
    """
    from kapelle.score import edit
    from kapelle.score.read import read
    from kapelle.score.write import to_bytes

    score = read(source)  # the door: what music21 sees is a sound file of ours
    for place in reversed(range(len(score.tracks))):
        if score.tracks[place].is_drum:
            del score.tracks[place]
    if not any(len(track.notes) for track in score.tracks):
        raise UnreadableInput("no notes to encode")
    found: dict[tuple[int, int, int], dict[int, int]] = {}  # (onset, duration, hand) -> pitch -> velocity
    for hand, notes in enumerate(_hands(to_bytes(edit.resolve_overlaps(score)), positions_per_beat)):
        for onset, duration, pitch, velocity in notes:
            found.setdefault((onset, duration, hand), {}).setdefault(pitch, velocity)
    return _in_order(found)


def _hands(data: bytes, positions_per_beat: int) -> list[list[tuple[int, int, int, int]]]:
    """Onset, duration (in grid steps), pitch and velocity of the notes of every track, as music21 reads them."""
    from music21 import midi
    from music21.midi import translate

    file = midi.MidiFile()
    file.readstr(data)
    steps = positions_per_beat / file.ticksPerQuarterNote
    hands = []
    for track in file.tracks:
        notes = []
        for note in translate.getNotesFromEvents(translate.getTimeForEvents(track)):
            onset, end = int(note.onTime * steps + 0.5), int(note.offTime * steps + 0.5)
            event: Any = note.event
            notes.append((onset, max(1, end - onset), int(event.pitch), max(1, int(event.velocity))))
        hands.append(notes)
    return hands


def _in_order(found: dict[tuple[int, int, int], dict[int, int]]) -> list[Item]:
    """Items with their offsets; a pitch that two of them begin at one time is left to the one that lasts longer."""
    sounding: set[tuple[int, int]] = set()
    kept: list[tuple[int, Pitches, int, int]] = []
    for (onset, duration, _), notes in sorted(found.items(), key=lambda entry: (entry[0][0], -entry[0][1], entry[0][2])):
        pitches = tuple(sorted(pitch for pitch in notes if (onset, pitch) not in sounding))
        sounding |= {(onset, pitch) for pitch in pitches}
        if pitches:
            kept.append((onset, pitches, duration, round(sum(notes[pitch] for pitch in pitches) / len(pitches))))
    kept.sort()
    onsets = [entry[0] for entry in kept] + [kept[-1][0] + kept[-1][2]]
    return [Item(pitches, duration, onsets[i + 1] - onset, velocity) for i, (onset, pitches, duration, velocity) in enumerate(kept)]


# --- symbols ----------------------------------------------------------------------------------------------------------------------


def symbol(pitches: Sequence[int], spec: ChordSpec) -> str:
    """How a note or chord is written: ``"60"``, ``"60.64.67"``, or ``"pc.0.4.7"`` where the octave of chords is lost."""
    if len(pitches) == 1 or spec.real_pitches:
        return ".".join(str(pitch) for pitch in sorted(pitches))
    return CLASSES + ".".join(str(pitch_class) for pitch_class in normal_order(pitches))


def pitches_of(written: str) -> Pitches:
    """The pitches that a symbol sounds; pitch classes go upwards from the octave of middle C."""
    if not written.startswith(CLASSES):
        return tuple(int(part) for part in written.split("."))
    out: list[int] = []
    for part in written.removeprefix(CLASSES).split("."):
        pitch = MIDDLE_C + int(part)
        while out and pitch <= out[-1]:
            pitch += 12
        out.append(pitch)
    return tuple(out)


def normal_order(pitches: Iterable[int]) -> Pitches:
    """The pitch classes in their most compact cyclic order; of equally compact ones that with its notes closest to the first.

    Source: Straus, "Introduction to Post-Tonal Theory"; what is then still undecided begins with the lowest pitch class, as in music21.
    """
    classes = sorted({pitch % 12 for pitch in pitches})
    turns = [classes[i:] + [pitch_class + 12 for pitch_class in classes[:i]] for i in range(len(classes))]
    best = min(turns, key=lambda turn: (turn[-1] - turn[0], [pitch - turn[0] for pitch in turn[1:]], turn[0]))
    return tuple(pitch % 12 for pitch in best)


def vocabulary(corpus: Iterable[Sequence[Item]], spec: ChordSpec) -> Vocabulary:
    """The vocabulary of some pieces: symbols seen at least `spec.min_count` times, chords before the notes of the rarer ones.

    Raises:
        UsageError: No symbol is seen that often.
    """
    seen = Counter(item.pitches for piece in corpus for item in piece)
    written: Counter[str] = Counter()
    for pitches, count in seen.items():
        written[symbol(pitches, spec)] += count
    chords = {name for name, count in written.items() if "." in name and count >= spec.min_count}
    notes = Counter({name: count for name, count in written.items() if "." not in name})
    if spec.rare == "split":
        for pitches, count in seen.items():
            if len(pitches) > 1 and symbol(pitches, spec) not in chords:
                notes.update({str(pitch): count for pitch in pitches})
    singles = {name for name, count in notes.items() if count >= spec.min_count}
    if not singles | chords:
        hint = "lower tokenizer.min_count in the recipe, or give more music"
        most = max([*written.values(), *notes.values()], default=0)
        raise UsageError("no symbol is seen {min_count} times; the most frequent one is seen {most} times",
                         min_count=spec.min_count, most=most, hint=hint)  # fmt: skip
    steps = range(1, spec.max_steps + 1) if spec.attributes else ()
    return Vocabulary((
        "PAD_None", "BOS_None", "EOS_None",
        *(f"Composer_{name}" for name in spec.composers),
        *(f"Symbol_{name}" for name in sorted(singles, key=int)),
        *(f"Symbol_{name}" for name in sorted(chords, key=lambda name: [int(part) for part in name.removeprefix(CLASSES).split(".")])),
        *(f"Duration_{step}" for step in steps),
        *(f"Velocity_{level}" for level in range(1, (spec.velocities if spec.attributes else 0) + 1)),
        *(f"Offset_{step}" for step in ((0, *steps) if spec.attributes else ())),
    ))  # fmt: skip


def notes_per_id(words: Vocabulary) -> list[int]:
    """How many notes each id of the kind Symbol stands for, in the order of the ids."""
    return [len(pitches_of(written)) for written in words.values("Symbol")]


def spec_of(table: dict[str, object]) -> ChordSpec:
    """The spec in what a tokenizer file says beside its tokens."""
    return build(ChordSpec, cast("dict[str, Any]", table.get("spec", {})), "tokenizer.json: spec")


# --- ids --------------------------------------------------------------------------------------------------------------------------


def nearest(written: str, spec: ChordSpec, words: Vocabulary) -> list[int]:
    """The ids of the known symbols that come nearest to an unknown one; empty if the vocabulary has nothing of its kind.

    A note goes to the known note of its pitch class that is closest, and only then to another pitch class. A chord is taken apart
    into its notes; where chords are pitch classes, it goes to the known chord that shares the greatest part with it.
    """
    known = _known(words)
    if "." not in written:
        wanted = int(written)
        found = min(known.notes, key=lambda p: ((p - wanted) % 12 != 0, abs(p - wanted), p), default=None)
        return [] if found is None else [known.notes[found]]
    classes = {pitch % 12 for pitch in pitches_of(written)}
    if spec.real_pitches or not known.chords:
        parts = [known.notes.get(pitch) for pitch in pitches_of(written)]
        ids = [[i] if i is not None else nearest(str(p), spec, words) for i, p in zip(parts, pitches_of(written), strict=True)]
        return list(dict.fromkeys(i for group in ids for i in group))
    return [min(known.chords, key=lambda i: (-len(known.chords[i] & classes) / len(known.chords[i] | classes), i))]


@dataclass(frozen=True)
class _Known:
    """The symbols of a vocabulary: notes by pitch, chords by id as sets of pitch classes."""

    notes: dict[int, int]
    chords: dict[int, frozenset[int]]


@lru_cache(maxsize=4)
def _known(words: Vocabulary) -> _Known:
    notes, chords = {}, {}
    for i in words.ids("Symbol").tolist():
        written = words.value(i)
        if "." in written:
            chords[i] = frozenset(pitch % 12 for pitch in pitches_of(written))
        else:
            notes[int(written)] = i
    return _Known(notes, chords)


def encode(music: Sequence[Item], spec: ChordSpec, words: Vocabulary, *, to_nearest: bool = False) -> Encoded:
    """The ids of items, without BOS and EOS.

    Args:
        music: Items.
        spec: What the vocabulary was made for.
        words: ``vocabulary(corpus, spec)``.
        to_nearest: Unknown symbols become the nearest known ones (for a seed); otherwise rare chords become their notes or are left
            out, as the spec says, and rare notes are left out; what is left out leaves its time behind.
    """
    placed: list[tuple[int, int, list[int]]] = []  # onset, lowest pitch, ids
    notes = split = mapped = dropped = onset = 0
    for item in music:
        name = symbol(item.pitches, spec)
        if f"Symbol_{name}" in words:
            symbols = [words[f"Symbol_{name}"]]
        elif to_nearest:
            symbols = nearest(name, spec, words)
            mapped += 1
        elif spec.rare == "split":
            symbols = [words[f"Symbol_{pitch}"] for pitch in item.pitches if f"Symbol_{pitch}" in words]
            split += len(item.pitches) > 1
        else:
            symbols = []
        sounding = [pitches_of(words.value(i)) for i in symbols]
        notes += sum(map(len, sounding))
        dropped += max(0, len(item.pitches) - sum(map(len, sounding)))
        attributes = _attributes(item, spec, words)
        placed += [(onset, pitches[0], [i, *attributes]) for i, pitches in zip(symbols, sounding, strict=True)]
        onset += item.offset
    if spec.attributes:  # notes of a chord that was taken apart go between those that begin with them
        placed.sort(key=lambda entry: entry[:2])
        onsets = [entry[0] for entry in placed] + [onset]
        for i, (begin, _, ids) in enumerate(placed):
            ids.append(words[f"Offset_{min(onsets[i + 1] - begin, spec.max_steps)}"])
    return Encoded(np.array([i for _, _, ids in placed for i in ids], np.int64), notes, split, mapped, dropped)


def _attributes(item: Item, spec: ChordSpec, words: Vocabulary) -> list[int]:
    """The ids of duration and loudness."""
    if not spec.attributes:
        return []
    duration = words[f"Duration_{min(max(item.duration, 1), spec.max_steps)}"]
    if not spec.velocities:
        return [duration]
    return [duration, words[f"Velocity_{1 + min(max(item.velocity, 0), 127) * spec.velocities // 128}"]]


def level_velocity(level: int, spec: ChordSpec) -> int:
    """The MIDI velocity in the middle of a loudness level (1 and up)."""
    return min(127, max(1, (2 * level - 1) * 64 // spec.velocities))


@dataclass
class Decoder:
    """Items from ids, one id at a time. Never raises on an id in range: symbols that are not finished are counted in `dropped`.

    The offset of an item is known when its last id is there; `end_steps` is where the last item ends.
    """

    spec: ChordSpec
    words: Vocabulary
    dropped: int = 0
    onset: int = 0  # grid steps from the start to the next item
    end_steps: int = 0
    _open: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _parts(self) -> list[tuple[str, str]]:
        return [cast("tuple[str, str]", tuple(name.split("_", 1))) for name in self.words.names]

    @property
    def _wanted(self) -> tuple[str, ...]:
        return order_of(self.spec)

    def feed(self, token: int) -> Item | None:
        """The item that this id completes, if it completes one."""
        kind, value = self._parts[token]
        if kind not in self._wanted:
            return None
        if kind == "Symbol":
            self.dropped += bool(self._open)
            self._open = {}
        elif not self._open or kind in self._open:
            return None
        self._open[kind] = value
        if tuple(self._open) != self._wanted[: len(self._open)]:
            self.dropped += 1
            self._open = {}
        return self._finished() if len(self._open) == len(self._wanted) else None

    def _finished(self) -> Item:
        told, self._open = self._open, {}
        beat = self.spec.positions_per_beat
        velocity = level_velocity(int(told["Velocity"]), self.spec) if "Velocity" in told else PLAIN_VELOCITY
        item = Item(pitches_of(told["Symbol"]), int(told.get("Duration", beat)), int(told.get("Offset", beat)), velocity)
        self.end_steps = max(self.end_steps, self.onset + item.duration)
        self.onset += item.offset
        return item


def order_of(spec: ChordSpec) -> tuple[str, ...]:
    """The kinds of ids that make an item, in their order."""
    if not spec.attributes:
        return ("Symbol",)
    return ("Symbol", "Duration", *(("Velocity",) if spec.velocities else ()), "Offset")


def decode(ids: Iterable[int], spec: ChordSpec, words: Vocabulary) -> list[Item]:
    """The items of ids. Never raises on ids in range."""
    decoder = Decoder(spec, words)
    return [item for token in ids if (item := decoder.feed(int(token)))]


def to_score(
    music: Iterable[Item],
    *,
    positions_per_beat: int = 12,
    bpm: float = 120.0,
    ticks_per_quarter: int = 480,
) -> symusic.Score:
    """A Score of items, in one piano track, the first at the beginning.

    Args:
        music: Items.
        positions_per_beat: Grid steps in a quarter note.
        bpm: Quarter notes in a minute.
        ticks_per_quarter: Resolution; a multiple of `positions_per_beat` keeps every onset exact.
    """
    import symusic

    from kapelle.score import edit

    score = symusic.Score(ticks_per_quarter)
    score.tempos.append(symusic.Tempo(0, qpm=bpm))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    track = symusic.Track(name="Piano", program=0, is_drum=False)
    onset = 0
    for item in music:
        first, last = (step * ticks_per_quarter // positions_per_beat for step in (onset, onset + item.duration))
        for pitch in item.pitches:
            track.notes.append(symusic.Note(first, last - first, min(pitch, 127), item.velocity))
        onset += item.offset
    track.notes.sort(key=lambda note: (note.time, note.pitch, -note.duration))
    score.tracks.append(track)
    return edit.resolve_overlaps(score)
