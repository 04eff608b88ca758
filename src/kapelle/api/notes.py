"""The notes of a MIDI file in seconds, as the page's piano roll draws them.

Takes the bytes of a MIDI file; gives plain dicts and lists, ready for JSON: tracks in the order of the score, so that the index of a
track here is its index there, with notes in order of time; the bar lines and beats; the regions that are marked. Names stay what the
file says, as text: whoever shows them must escape them. It does not say what sounds: pedal and pitch bend do not appear.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.api.files import read_midi
from kapelle.api.naming import one_line
from kapelle.score import units
from kapelle.score.edit import note_arrays
from kapelle.score.instruments import DRUMS
from kapelle.score.marks import marks_of

if TYPE_CHECKING:
    from symusic import Score, Track

    from kapelle.score.units import TempoMap

MAX_NAME = 120
"""Characters of a name that are kept."""

MAX_LINES = 40_000
"""Beats that are told; a piece with more has its bar lines alone."""

_DECIMALS = 5

_THEME = re.compile(r"(theme|motif|melody|subject|тема|мотив)\b.*", re.IGNORECASE)
_SECTION = re.compile(
    r"[A-ZА-Я]\d{0,2}'{0,3}|((pre-?)?chorus|verse|intro|outro|bridge|refrain|solo|coda|ending|interlude|exposition|development"
    r"|recapitulation|part|section|куплет|припев|вступление|часть|кода|проигрыш|реприза)\b.*",
    re.IGNORECASE,
)


def notes(data: bytes) -> dict[str, Any]:
    """The notes, bars and marks of a MIDI file.

    Args:
        data: The file.

    Returns:
        ``tracks``: a list of {index, name, program (0 to 127, -1 for drums), drum, notes}, each note [start_s, duration_s, pitch,
        velocity]; ``bars``: where each bar begins and, last, where the final one ends, in seconds, [0.0] without notes; ``beats``: the
        same for beats, one per denominator of the metre, empty if they are more than 40,000; ``metres``: [bar, numerator, denominator]
        where a metre begins; ``marks``: {label, start_s, end_s, kind}, the kind "theme", "section" or "other"; ``duration_s``: to the
        end of the last note; ``chunk_s``: seconds of a chunk of sound.

    Raises:
        MidiError: It is no MIDI file, or beyond the limits.
    """
    from kapelle.render.chunks import CHUNK_S

    score = read_midi(data)
    tempi = units.tempo_map(score)
    return {
        "tracks": [_track(index, track, tempi) for index, track in enumerate(score.tracks)],
        "bars": _seconds(tempi, units.bar_starts(score)),
        "beats": _beats(score, tempi),
        "metres": _metres(score),
        "marks": _marks(score, tempi),
        "duration_s": round(units.duration_s(score), _DECIMALS),
        "chunk_s": CHUNK_S,
    }


def kind_of(label: str) -> str:
    """What a mark of this label is: "theme", "section" (A, B2, Verse 1, Coda ...) or "other"."""
    words = " ".join(label.split())
    if _THEME.fullmatch(words):
        return "theme"
    return "section" if _SECTION.fullmatch(words) else "other"


def _seconds(tempi: TempoMap, ticks: Any) -> list[float]:
    return [round(second, _DECIMALS) for second in tempi.to_seconds(ticks).tolist()]


def _track(index: int, track: Track, tempi: TempoMap) -> dict[str, Any]:
    found = note_arrays(track)
    begin = np.maximum(found["time"], 0)
    starts = tempi.to_seconds(begin)
    lengths = tempi.to_seconds(begin + found["duration"]) - starts
    columns = (
        np.round(starts, _DECIMALS).tolist(),
        np.round(lengths, _DECIMALS).tolist(),
        found["pitch"].tolist(),
        found["velocity"].tolist(),
    )
    return {
        "index": index,
        "name": one_line(track.name, MAX_NAME),
        "program": DRUMS if track.is_drum else int(track.program),
        "drum": bool(track.is_drum),
        "notes": [list(row) for row in zip(*columns, strict=True)],
    }


def _beats(score: Score, tempi: TempoMap) -> list[float]:
    metres, until = units.metre_map(score), units.final_bar_line(score)
    beats = units.MetreMap(metres.ticks, np.ones_like(metres.numerators), metres.denominators)
    if units.count_bars(beats, max(score.tpq, 1), until) > MAX_LINES:
        return []
    return _seconds(tempi, units.beat_starts(score, until))


def _metres(score: Score) -> list[list[int]]:
    metres, lines = units.metre_map(score), units.bar_starts(score)
    bars = np.searchsorted(lines, metres.ticks)
    rows = zip(bars.tolist(), metres.numerators.tolist(), metres.denominators.tolist(), strict=True)
    return [list(row) for row in rows if row[0] < max(len(lines) - 1, 1)]


def _marks(score: Score, tempi: TempoMap) -> list[dict[str, Any]]:
    found = [mark for mark in marks_of(score) if mark.end_ticks > mark.start_ticks]
    spans = tempi.to_seconds([(mark.start_ticks, mark.end_ticks) for mark in found]).reshape(-1, 2)
    return [
        {"label": one_line(mark.label, MAX_NAME), "start_s": round(a, _DECIMALS), "end_s": round(b, _DECIMALS), "kind": kind_of(mark.label)}
        for mark, (a, b) in zip(found, spans.tolist(), strict=True)
    ]
