"""A piece analysed: key, ranges, metre, tempo, density, pitch classes, chords.

Takes a `symusic.Score` in ticks; gives an `Analysis`, whose `as_dict` is ready for JSON. The key is estimated twice, by `keys` and by
music21, because two methods that agree are worth more than one figure; the numerals of the chords are in the first. music21 is given
twelve notes, as long as each pitch class sounds in all: that is all its estimate looks at, and takes milliseconds for any piece.

It counts what is written; see `harmony` for what a chord is here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from symusic import Score

from kapelle.errors import MidiError
from kapelle.score import harmony, units
from kapelle.score.info import Info, info
from kapelle.score.keys import ALL_KEYS, Key, key_correlations, parse_key, pitch_class_durations

if TYPE_CHECKING:
    from numpy.typing import NDArray

PITCHES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
MAX_CHANGES = 256


@dataclass(frozen=True)
class KeyEstimate:
    """A key, how well the piece correlates with it (-1 to 1), and how far the next key lies behind (0 to 2)."""

    key: str
    correlation: float
    lead: float


@dataclass(frozen=True)
class Range:
    """The lowest and the highest note of a track, as MIDI pitches and by name, C4 being the middle C; None and empty for drums."""

    track: str
    instrument: str
    n_notes: int
    lowest: int | None
    highest: int | None
    lowest_name: str
    highest_name: str


@dataclass(frozen=True)
class Density:
    """How much happens.

    Attributes:
        by_bar: Notes that begin in each bar, drums too.
        per_bar: Their mean.
        per_s: Notes per second.
        polyphony: Notes that sound at once while any does, on average, drums left out.
        most_at_once: The greatest number of them.
    """

    by_bar: tuple[int, ...]
    per_bar: float
    per_s: float
    polyphony: float
    most_at_once: int


@dataclass(frozen=True)
class Analysis:
    """What `analyse` found.

    Attributes:
        n_notes: Of all tracks.
        n_bars: Bars that hold them.
        duration_s: Seconds to the end of the last note.
        key: The key, in which the numerals are: of two estimates that differ, the one with the accidentals of the key signature, else
            Kapelle's own. None without pitched notes.
        estimate: Kapelle's; None without pitched notes.
        estimate_music21: music21's; None where it has none.
        signature: The key that the first key signature states; None if there is none.
        metres: Bar (from 1) and metre, wherever it changes, the first 256.
        tempos: Bar (from 1) and tempo in bpm, wherever it changes, the first 256.
        ranges: One for each track with notes.
        density: How much happens.
        pitch_classes: Share of the sounding time of C, C# ... B, drums left out; they add up to 1, or to 0 without pitched notes.
        chords: One for each bar or beat; empty without pitched notes.
        per: "bar" or "beat".
    """

    n_notes: int
    n_bars: int
    duration_s: float
    key: str | None
    estimate: KeyEstimate | None
    estimate_music21: KeyEstimate | None
    signature: str | None
    metres: tuple[tuple[int, str], ...]
    tempos: tuple[tuple[int, float], ...]
    ranges: tuple[Range, ...]
    density: Density
    pitch_classes: tuple[float, ...]
    chords: tuple[harmony.Chord, ...]
    per: harmony.Per

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists, numbers and texts, ready for JSON."""
        out = dataclasses.asdict(self)
        out["metres"] = [{"bar": bar, "metre": metre} for bar, metre in self.metres]
        out["tempos"] = [{"bar": bar, "bpm": bpm} for bar, bpm in self.tempos]
        out["pitch_classes"] = dict(zip(PITCHES, self.pitch_classes, strict=True))
        return out


def analyse(score: Score, per: harmony.Per = "bar") -> Analysis:
    """What `score` is made of.

    Args:
        score: A score in ticks.
        per: Whether chords are told by "bar" or by "beat".

    Raises:
        MidiError: It has no notes.
    """
    found = info(score)
    if not found.n_notes:
        raise MidiError("there are no notes to analyse", hint="`kapelle info` tells what is in the file")
    durations = pitch_class_durations(score)
    own = _estimate(durations) if durations.any() else None
    other = _estimate_by_music21(durations) if own else None
    key = _chosen(own.key, other.key if other else own.key, found.signature) if own else None
    return Analysis(
        n_notes=found.n_notes,
        n_bars=found.n_bars,
        duration_s=round(found.duration_s, 3),
        key=key,
        estimate=own,
        estimate_music21=other,
        signature=found.signature,
        metres=_metres(score),
        tempos=_tempos(score),
        ranges=_ranges(found),
        density=_density(score, found),
        pitch_classes=tuple(round(float(share), 4) for share in durations / max(durations.sum(), 1.0)),
        chords=harmony.chords(score, parse_key(key), per) if key else (),
        per=per,
    )


def pitch_name(pitch: int) -> str:
    """The name of a MIDI pitch, such as ``F#3``; 60 is C4."""
    return f"{PITCHES[pitch % 12]}{pitch // 12 - 1}"


def _chosen(own: str, other: str, signature: str | None) -> str:
    """One key of two estimates."""
    if signature and parse_key(own).sharps != parse_key(signature).sharps == parse_key(other).sharps:
        return other
    return own


def _estimate(durations: NDArray[np.float64]) -> KeyEstimate:
    correlations = key_correlations(durations)
    second, first = np.argsort(correlations, kind="stable")[-2:]
    best = int(np.argmax(correlations))
    lead = float(correlations[first] - correlations[second])
    return KeyEstimate(str(ALL_KEYS[best]), round(float(correlations[best]), 3), round(lead, 3))


def _estimate_by_music21(durations: NDArray[np.float64]) -> KeyEstimate | None:
    """The key by music21's profiles; None where it finds none, as for twelve pitch classes of one length."""
    from music21 import note, stream
    from music21.exceptions21 import Music21Exception

    notes = stream.Stream()
    for pitch_class, share in enumerate(durations / durations.sum()):
        if share:
            one = note.Note(60 + pitch_class)
            one.quarterLength = float(share) * 64
            notes.append(one)
    try:
        first = notes.analyze("key")
    except (Music21Exception, ValueError, ZeroDivisionError):
        return None
    lead = float(first.correlationCoefficient - first.alternateInterpretations[0].correlationCoefficient)
    name = str(Key(first.tonic.pitchClass, first.mode))
    return KeyEstimate(name, round(float(first.correlationCoefficient), 3), round(lead, 3))


def _metres(score: Score) -> tuple[tuple[int, str], ...]:
    metres = units.metre_map(score)
    ticks = metres.ticks[:MAX_CHANGES]
    rows = zip(_bars(score, ticks), metres.numerators, metres.denominators, strict=False)
    return tuple((bar, f"{numerator}/{denominator}") for bar, numerator, denominator in rows)


def _tempos(score: Score) -> tuple[tuple[int, float], ...]:
    tempos = units.tempo_map(score)
    ticks = tempos.ticks[:MAX_CHANGES]
    return tuple((bar, round(60e6 / int(mspq), 2)) for bar, mspq in zip(_bars(score, ticks), tempos.mspq, strict=False))


def _bars(score: Score, ticks: NDArray[np.int64]) -> list[int]:
    """The bars, from 1, that `ticks` lie in."""
    return [int(bar) + 1 for bar in units.ticks_to_bars(score, ticks)]


def _ranges(found: Info) -> tuple[Range, ...]:
    out = []
    for track in found.tracks:
        if track.n_notes:
            low, high = (None, None) if track.is_drum else (track.lowest, track.highest)
            names = ["" if pitch is None else pitch_name(pitch) for pitch in (low, high)]
            out.append(Range(track.name, track.instrument, track.n_notes, low, high, *names))
    return tuple(out)


def _density(score: Score, found: Info) -> Density:
    lines = units.bar_starts(score)
    starts = np.concatenate([track.notes.numpy()["time"].astype(np.int64) for track in score.tracks if len(track.notes)])
    by_bar = np.bincount(np.searchsorted(lines, starts, side="right") - 1, minlength=found.n_bars)[: found.n_bars]
    pitched = [track.notes.numpy() for track in score.tracks if not track.is_drum and len(track.notes)]
    return Density(
        by_bar=tuple(by_bar.tolist()),
        per_bar=round(found.n_notes / max(found.n_bars, 1), 2),
        per_s=round(found.notes_per_s, 2),
        polyphony=round(_mean_polyphony(pitched), 2),
        most_at_once=found.polyphony,
    )


def _mean_polyphony(columns: list[Any]) -> float:
    """Notes that sound at once, on average over the time in which any does; 0 without notes."""
    if not columns:
        return 0.0
    starts = np.concatenate([notes["time"].astype(np.int64) for notes in columns])
    lengths = np.concatenate([notes["duration"].astype(np.int64) for notes in columns])
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate((starts + lengths)[order])
    covered = ends - np.maximum(starts, np.concatenate(([starts[0]], ends[:-1])))
    return float(lengths.sum() / max(int(np.maximum(covered, 0).sum()), 1))
