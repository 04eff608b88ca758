"""A picture of an analysis: the pitch classes, how much happens in every bar, and the chords.

Takes a `kapelle.score.analysis.Analysis`; gives an SVG string, or a file as SVG or PNG. Chords stand in rows of bars or beats, coloured
by what they do in the key; the pitch classes of the key's scale are set off from the others. It analyses nothing itself.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from kapelle.engraving import picture_files
from kapelle.engraving.canvas import Canvas, shorten, text_width
from kapelle.engraving.palette import Palette, palette
from kapelle.score.analysis import PITCHES
from kapelle.score.keys import parse_key

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.score.analysis import Analysis
    from kapelle.score.harmony import Chord

WIDTH, MARGIN = 1200, 40
TOP, PANEL = 112, 200
CLASSES_WIDTH = 440
ROW, GAP = 46, 8
IN_A_ROW = {"bar": 16, "beat": 32}
MAX_ROWS = 40
"""Rows of chords; what comes after is told in a line."""

FUNCTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "tonic": {"major": ("I", "iii", "vi"), "minor": ("i", "III", "VI")},
    "before the dominant": {"major": ("ii", "IV"), "minor": ("ii", "iv")},
    "dominant": {"major": ("V", "vii"), "minor": ("V", "v", "vii", "VII")},
}
OTHER = "outside of the key"


def draw(analysis: Analysis, path: Path, *, title: str = "", theme: str = "light") -> Path:
    """`path`, after drawing `analysis` into it; the suffix, .svg or .png, chooses the format. An existing file is replaced.

    Raises:
        UnknownName: The suffix is neither .svg nor .png, or there is no such theme.
        StorageError: The disk is full, or writing is not allowed there.
    """
    picture_files.check_suffix(path)
    return picture_files.write(path, svg(analysis, title=title, theme=theme))


def svg(analysis: Analysis, *, title: str = "", theme: str = "light") -> str:
    """The picture as SVG; see `draw`."""
    colours = palette(theme)
    columns = IN_A_ROW[analysis.per]
    n_rows = min(-(-len(analysis.chords) // columns), MAX_ROWS)
    chords_top = TOP + PANEL + 70
    height = chords_top + n_rows * (ROW + GAP) + 50 if n_rows else TOP + PANEL + 50
    canvas = Canvas(WIDTH, height, colours.ground)
    summary = _summary(analysis)
    canvas.text(MARGIN, 44, shorten(title or "Analysis", 24, WIDTH - 2 * MARGIN), colours.text, size=24, bold=True)
    canvas.text(MARGIN, 70, summary, colours.muted, size=15)
    _draw_classes(canvas, colours, analysis)
    _draw_density(canvas, colours, analysis)
    if n_rows and analysis.key:
        mode = parse_key(analysis.key).mode
        _draw_legend(canvas, colours, chords_top - 18, analysis.per)
        for place, chord in enumerate(analysis.chords[: n_rows * columns]):
            row, column = divmod(place, columns)
            _draw_chord(canvas, colours, chord, (column, columns, chords_top + row * (ROW + GAP)), mode)
        left_out = len(analysis.chords) - n_rows * columns
        if left_out > 0:
            canvas.text(MARGIN, height - 20, f"and {left_out} more", colours.muted, size=13)
    return canvas.to_svg(title or "Analysis", summary)


def _summary(analysis: Analysis) -> str:
    first = [analysis.key or "no key", f"{analysis.n_bars} bars", f"{analysis.duration_s:.0f} s"]
    metres = [metre for _, metre in analysis.metres]
    tempi = [f"{bpm:.0f} bpm" for _, bpm in analysis.tempos]
    return ", ".join([*first, _few(metres), _few(tempi)])


def _few(words: list[str]) -> str:
    return ", ".join(words) if len(words) <= 3 else f"{words[0]} and {len(words) - 1} changes"


def _draw_classes(canvas: Canvas, colours: Palette, analysis: Analysis) -> None:
    scale = parse_key(analysis.key).pitch_classes if analysis.key else ()
    step, most = CLASSES_WIDTH / 12, max(*analysis.pitch_classes, 0.01)
    bottom = TOP + PANEL
    canvas.rect(MARGIN, TOP, CLASSES_WIDTH, PANEL, colours.panel)
    for place, share in enumerate(analysis.pitch_classes):
        x, height = MARGIN + place * step, share / most * (PANEL - 30)
        colour = colours.tracks[0] if place in scale else colours.muted
        canvas.rect(x + 4, bottom - height, step - 8, height, colour, radius=2)
        canvas.text(x + step / 2, bottom + 18, PITCHES[place], colours.text, size=13, anchor="middle")
        if share >= 0.005:
            canvas.text(x + step / 2, bottom - height - 5, f"{share:.0%}", colours.muted, size=11, anchor="middle")
    canvas.text(MARGIN, TOP - 6, "sounding time by pitch class", colours.text, size=13)


def _draw_density(canvas: Canvas, colours: Palette, analysis: Analysis) -> None:
    left, bottom = MARGIN + CLASSES_WIDTH + 60, TOP + PANEL
    width, counts = WIDTH - MARGIN - left, analysis.density.by_bar
    most = max(*counts, 1) if len(counts) > 1 else max(counts[0], 1)
    canvas.rect(left, TOP, width, PANEL, colours.panel)
    canvas.text(left, TOP - 6, "notes that begin in each bar", colours.text, size=13)
    step = width / len(counts)
    tops = [bottom - count / most * (PANEL - 12) for count in counts]
    canvas.rects([(left + i * step, top, step, bottom - top) for i, top in enumerate(tops)], colours.tracks[0], opacity=0.25)
    flat = [(left + i * step, top, left + (i + 1) * step, top) for i, top in enumerate(tops)]
    steep = [(left + (i + 1) * step, a, left + (i + 1) * step, b) for i, (a, b) in enumerate(itertools.pairwise(tops))]
    canvas.lines([*flat, *steep], colours.tracks[0], width=1.5)
    mean = bottom - analysis.density.per_bar / most * (PANEL - 12)
    canvas.lines([(left, mean, left + width, mean)], colours.tracks[1], width=1)
    canvas.text(left - 8, bottom - (PANEL - 12) + 4, str(most), colours.muted, size=12, anchor="end")
    canvas.text(left - 8, mean + 4, f"{analysis.density.per_bar:.0f}", colours.tracks[1], size=12, anchor="end")
    canvas.text(left, bottom + 18, "1", colours.muted, size=12)
    canvas.text(left + width, bottom + 18, str(len(counts)), colours.muted, size=12, anchor="end")


def _draw_legend(canvas: Canvas, colours: Palette, y: float, per: str) -> None:
    canvas.text(MARGIN, y, "chord of each bar" if per == "bar" else "chord of each beat", colours.text, size=13)
    x = MARGIN + 160.0
    for name in (*FUNCTIONS, OTHER):
        canvas.rect(x, y - 11, 12, 12, _colour(name, colours), radius=2, opacity=0.35)
        canvas.text(x + 18, y, name, colours.muted, size=13)
        x += 40 + 8 * len(name)


def _draw_chord(canvas: Canvas, colours: Palette, chord: Chord, place: tuple[int, int, float], mode: str) -> None:
    column, columns, y = place
    step = (WIDTH - 2 * MARGIN) / columns
    x = MARGIN + column * step
    if chord.name:
        canvas.rect(x + 1, y, step - 2, ROW, _colour(_function(chord.roman, mode), colours), radius=3, opacity=0.35)
    else:
        canvas.rect(x + 1, y, step - 2, ROW, colours.panel, radius=3)
    if column == 0:
        canvas.text(MARGIN - 6, y + ROW / 2 + 4, str(chord.bar), colours.muted, size=11, anchor="end")
    for words, baseline, size, colour in ((chord.name, 19, 14.0, colours.text), (chord.roman, 37, 12.0, colours.muted)):
        fitting = min(size, max(8.0, (step - 4) / max(text_width(words, 1.0), 1.0)))
        canvas.text(x + step / 2, y + baseline, shorten(words, fitting, step), colour, size=fitting, anchor="middle")


def _function(roman: str, mode: str) -> str:
    """What a chord does in a major or minor key, by its numeral without figures."""
    degree = re.match(r"[#b]*[IViv]*", roman)[0]  # type: ignore[index]  # it matches anything
    return next((name for name, degrees in FUNCTIONS.items() if degree in degrees[mode]), OTHER)


def _colour(function: str, colours: Palette) -> str:
    places = {name: number for number, name in enumerate(FUNCTIONS)}
    return colours.tracks[(2, 0, 1)[places[function]]] if function in places else colours.muted
