"""A score as MusicXML: what was played, as it would be written.

Takes a `symusic.Score` in ticks and options; gives MusicXML. The way is: bars (`timeline`), parts and hands (`parts`), then for every
staff division, voices, values, letters and clefs (`staves`), and the text (`musicxml`). Dynamics, articulation, pedal, slurs and
ornaments are not written: a MIDI file tells of them too vaguely. Beats are those of the file; a free performance that was recorded
without a click has none that could be read.

It is written here and not by music21, which takes several times as long (`benchmarks/engraving.py`), puts drums on a treble clef and
deals no hands; the tests read the result back with music21.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from symusic import Score

from kapelle.engraving.musicxml import Sheet, Tempo, to_musicxml
from kapelle.engraving.options import EngravingOptions
from kapelle.engraving.parts import parts
from kapelle.engraving.staves import name_ranges, write_part
from kapelle.engraving.timeline import QUARTER, Timeline, timeline
from kapelle.errors import NotEnoughMemory, UsageError
from kapelle.score import units

MAX_NOTES = 100_000
MAX_BARS = 5_000

_OTHER_TEMPO = 0.2
"""From so much faster or slower on, and if it stays so for `_STEADY_BARS`, a tempo is marked anew."""

_STEADY_BARS = 4
"""Half of the bars for which a tempo must hold to be marked: a slowing down at the end is none."""

_FEW_TEMPI = 12

Report = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    """No progress shown."""


def musicxml(score: Score, options: EngravingOptions | None = None, progress: Report = _quiet) -> str:
    """`score` as MusicXML 4.0.

    Args:
        score: A score in ticks.
        options: Title, composer, drums or none.
        progress: Called with (parts written, parts in all).

    Raises:
        UsageError: It holds no note that could be written.
        NotEnoughMemory: It has more than 100,000 notes or 5,000 bars.
    """
    options = options or EngravingOptions()
    n_notes = sum(len(track.notes) for track in score.tracks)
    found = parts(score, drums=options.drums) if n_notes <= MAX_NOTES else []
    if n_notes > MAX_NOTES or units.n_bars(score) > MAX_BARS:
        raise NotEnoughMemory(
            "{notes:,} notes in {bars:,} bars are too many for sheet music", notes=n_notes, bars=units.n_bars(score), hint="cut it first"
        )
    if not found:
        raise UsageError("there are no notes to write", hint="`kapelle info` tells what is in a file")
    lines = timeline(score)
    fifths = name_ranges(found, lines)
    written = []
    for i, part in enumerate(found):
        progress(i, len(found))
        written.append((part, write_part(part, lines, fifths)))
    progress(len(found), len(found))
    return to_musicxml(Sheet(options.title, options.composer, written, lines.bars, tempi(score, lines)))


def tempi(score: Score, lines: Timeline) -> dict[int, Tempo]:
    """The tempo marks, by bar: one at the beginning, and one wherever the music becomes clearly faster or slower and stays so."""
    tempo_map = units.tempo_map(score)
    ticks = [*(bar.ticks for bar in lines.bars), lines.end_ticks]
    seconds = tempo_map.to_seconds(ticks).tolist()
    speeds = [bar.length / QUARTER / max(b - a, 1e-6) * 60 for bar, a, b in zip(lines.bars, seconds[:-1], seconds[1:], strict=True)]
    free = len(tempo_map.mspq) > _FEW_TEMPI
    out: dict[int, Tempo] = {}
    current = 0.0
    for i, bar in enumerate(lines.bars):
        ahead = speeds[i : i + 2 * _STEADY_BARS]
        if current and (len(ahead) < 2 * _STEADY_BARS or any(abs(speed / current - 1) <= _OTHER_TEMPO for speed in ahead)):
            continue
        if current and max(ahead) > (1 + _OTHER_TEMPO) * min(ahead):
            continue
        current = statistics.median(speeds[i : i + 4 * _STEADY_BARS] if free else ahead[:1])
        numerator, denominator = bar.metre
        beats = current / 1.5 if denominator == 8 and numerator % 3 == 0 and numerator > 3 else current
        out[i] = Tempo(f"{'ca. ' if free else ''}{beats:.0f} bpm", round(current, 2))
    return out
