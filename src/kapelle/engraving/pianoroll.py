"""The piano roll: any score as a picture, time to the right, pitch upwards, one colour per track.

Takes a `symusic.Score` in ticks; gives an SVG string or PNG bytes. Long pieces wrap into systems of equal scale, like staves on a
page. Bars are numbered from 1; velocity shows as strength of colour; drums have a lane of their own below; marks (themes and
sections) lie as shaded regions behind the notes. It shows what is written, not what sounds: pedal and pitch bend do not appear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle.config import check, setting
from kapelle.engraving import picture_files
from kapelle.engraving.canvas import Canvas, shorten, text_width, to_png
from kapelle.engraving.layout import Layout, System, lay_out
from kapelle.engraving.palette import Palette, palette
from kapelle.score import units
from kapelle.score.instruments import program_name
from kapelle.score.keys import key_of_signature
from kapelle.score.marks import Mark, marks_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from symusic import Score, Track

BLACK_KEYS = (1, 3, 6, 8, 10)
VELOCITY_STEPS = 8
FAINTEST = 0.4
SHORTEST_NOTE_PX = 1.8
DRUM_WIDTH_PX = 5.0
MAX_NAME = 40

DRUM_ROWS = ("Cymbals", "Hi-hat", "Percussion", "Toms", "Snare", "Kick")
_DRUM_ROW = {
    **dict.fromkeys((35, 36), "Kick"), **dict.fromkeys((37, 38, 39, 40), "Snare"), **dict.fromkeys((42, 44, 46), "Hi-hat"),
    **dict.fromkeys((41, 43, 45, 47, 48, 50), "Toms"), **dict.fromkeys((49, 51, 52, 53, 55, 57, 59), "Cymbals"),
}  # fmt: skip


@dataclass(frozen=True)
class PictureOptions:
    """How a piano roll looks."""

    title: str = setting("", help="Title above the picture", ru="Заголовок над рисунком")
    theme: str = setting("light", help="Colours", ru="Цвета", choices=("light", "dark"))
    width: int = setting(1600, help="Width of the picture", ru="Ширина рисунка", unit="px", min=480, max=6000)
    bars_per_system: int = setting(
        0, help="Bars in a row, 0 for as many as fit", ru="Тактов в строке, 0 - сколько поместится", min=0, max=512
    )
    legend: bool = setting(True, help="Name the tracks", ru="Подписать дорожки")
    summary: bool = setting(True, help="Metre, tempo and length below the title", ru="Размер, темп и длина под заголовком")
    scale: float = setting(2.0, help="Dots to a pixel, PNG only", ru="Точек на пиксель, только для PNG", min=0.5, max=4.0)


def draw(score: Score, path: Path, options: PictureOptions | None = None, marks: Iterable[Mark] | None = None) -> Path:
    """`path`, after drawing `score` into it; the suffix, .svg or .png, chooses the format. An existing file is replaced.

    Args:
        score: A score in ticks.
        path: Where to.
        options: How it looks.
        marks: Regions to shade; those that the score's own markers tell of, if None.

    Raises:
        UnknownName: The suffix is neither .svg nor .png.
        StorageError: The disk is full, or writing is not allowed there.
    """
    options = options or PictureOptions()
    picture_files.check_suffix(path)
    return picture_files.write(path, svg(score, options, marks), scale=options.scale)


def png(score: Score, options: PictureOptions | None = None, marks: Iterable[Mark] | None = None) -> bytes:
    """The piano roll of `score` as PNG bytes; see `draw`."""
    options = options or PictureOptions()
    return to_png(svg(score, options, marks), scale=options.scale)


def svg(score: Score, options: PictureOptions | None = None, marks: Iterable[Mark] | None = None) -> str:
    """The piano roll of `score` as SVG; see `draw`."""
    options = options or PictureOptions()
    check(options)
    colours = palette(options.theme)
    voices = _voices(score, colours, options.title)
    regions = sorted(marks_of(score) if marks is None else marks)
    summary = _summary(score) if options.summary else ""
    entries = [(name, colour) for name, colour, _ in voices] if options.legend and len(voices) else []
    drum_rows = [row for row in DRUM_ROWS if any(row in _drum_rows(track) for _, _, tracks in voices for track in tracks if track.is_drum)]
    header = _Header(shorten(options.title, 24, options.width - 90), summary, entries, options.width)
    layout = lay_out(
        score,
        width=options.width,
        top=header.height,
        bars_per_system=options.bars_per_system,
        n_drum_rows=len(drum_rows),
        marked=bool(regions),
    )
    canvas = Canvas(layout.width, layout.height, colours.ground)
    header.draw(canvas, colours)
    for system in layout.systems:
        _draw_ground(canvas, colours, layout, system, drum_rows)
        _draw_marks(canvas, colours, layout, system, regions)
        _draw_grid(canvas, colours, layout, system)
        for _, colour, tracks in voices:
            _draw_notes(canvas, colour, layout, system, tracks, drum_rows)
        _draw_edge(canvas, colours, layout, system)
    return canvas.to_svg(options.title or "Piano roll", summary or _summary(score))


# What is shown -----------------------------------------------------------------------------------------------------------------


def _voices(score: Score, colours: Palette, title: str) -> list[tuple[str, str, list[Track]]]:
    """Name, colour and tracks of each part; tracks of one name share a colour, and all drums are one part, drawn last.

    A track without a name, or called like the piece, goes by its instrument.
    """
    named: dict[str, list[Track]] = {}
    drums = []
    for track in score.tracks:
        if not len(track.notes):
            continue
        if track.is_drum:
            drums.append(track)
        else:
            name = " ".join(track.name.split())[:MAX_NAME]
            name = name if name and name != title else program_name(track.program)
            named.setdefault(name, []).append(track)
    parts = [(name, colours.tracks[i % len(colours.tracks)], tracks) for i, (name, tracks) in enumerate(named.items())]
    return [*parts, ("Drums", colours.drums, drums)] if drums else parts


def _drum_rows(track: Track) -> set[str]:
    return {_DRUM_ROW.get(pitch, "Percussion") for pitch in np.unique(track.notes.numpy()["pitch"]).tolist()}


def _summary(score: Score) -> str:
    n_notes = sum(len(track.notes) for track in score.tracks)
    tempi = 60e6 / units.tempo_map(score).mspq
    seconds = round(units.duration_s(score))
    low, high = round(float(tempi.min())), round(float(tempi.max()))
    metres = units.metre_map(score)
    names = dict.fromkeys(f"{n}/{d}" for n, d in zip(metres.numerators.tolist(), metres.denominators.tolist(), strict=True))
    parts = [", ".join(list(names)[:3]) + (" …" if len(names) > 3 else ""), f"{low} bpm" if low == high else f"{low}–{high} bpm"]
    signatures = sorted(score.key_signatures, key=lambda signature: int(signature.time))
    if signatures and -7 <= signatures[0].key <= 7:
        parts.insert(0, str(key_of_signature(signatures[0].key, bool(signatures[0].tonality))))
    n_bars = units.n_bars(score)
    parts += [f"{n_bars:,} {'bar' if n_bars == 1 else 'bars'}", f"{n_notes:,} {'note' if n_notes == 1 else 'notes'}"]
    return "   ·   ".join([*parts, f"{seconds // 60}:{seconds % 60:02}"])


# How it is drawn ---------------------------------------------------------------------------------------------------------------


class _Header:
    """Title, summary and legend above the systems; `height` is where they end."""

    SIDE, TITLE_PX, SUMMARY_PX, LEGEND_PX, MAX_ENTRIES = 24, 24, 13, 13, 24

    def __init__(self, title: str, summary: str, entries: list[tuple[str, str]], width: float) -> None:
        self._title, self._summary = title, summary
        y = 20.0 + (34 if title else 0) + (22 if summary else 0)
        self._entries: list[tuple[float, float, str, str]] = []
        x = float(self.SIDE)
        more = len(entries) - self.MAX_ENTRIES
        shown = entries if more <= 0 else [*entries[: self.MAX_ENTRIES], (f"and {more} more", "none")]
        for name, colour in shown:
            step = 22 + text_width(name, self.LEGEND_PX) + 14
            if x > self.SIDE and x + step > width - self.SIDE:
                x, y = float(self.SIDE), y + 22
            self._entries.append((x, y + 8, name, colour))
            x += step
        self.height = y + (30 if shown else 6)

    def draw(self, canvas: Canvas, colours: Palette) -> None:
        y = 20.0
        if self._title:
            canvas.text(self.SIDE, y + 22, self._title, colours.text, size=self.TITLE_PX, bold=True)
            y += 34
        if self._summary:
            canvas.text(self.SIDE, y + 14, self._summary, colours.muted, size=self.SUMMARY_PX)
        for x, at, name, colour in self._entries:
            if colour != "none":
                canvas.rect(x, at, 13, 13, colour, radius=3)
            canvas.text(x + 20, at + 11.3, name, colours.text, size=self.LEGEND_PX)


def _draw_ground(canvas: Canvas, colours: Palette, layout: Layout, system: System, drum_rows: list[str]) -> None:
    """The panel behind the notes, darker behind the black keys, and the drum lane."""
    x, width = layout.left, system.width
    canvas.rect(x, system.top, width, layout.pitch_height, colours.panel)
    black = [pitch for pitch in range(layout.low, layout.high + 1) if pitch % 12 in BLACK_KEYS]
    canvas.rects([(x, layout.y_of(system, pitch), width, layout.row) for pitch in black], colours.shade)
    if drum_rows:
        top = layout.drum_top(system)
        canvas.rect(x, top, width, layout.drum_height, colours.panel)
        shaded = [(x, top + i * layout.drum_row, width, layout.drum_row) for i in range(0, len(drum_rows), 2)]
        canvas.rects(shaded, colours.shade)
        for i, name in enumerate(drum_rows):
            canvas.text(x - 6, top + (i + 0.5) * layout.drum_row + 3, name, colours.muted, size=8.5, anchor="end")


def _draw_marks(canvas: Canvas, colours: Palette, layout: Layout, system: System, marks: list[Mark]) -> None:
    """Shaded regions with their labels on tabs; one label always has one colour."""
    hues = {label: colours.marks[i % len(colours.marks)] for i, label in enumerate(dict.fromkeys(mark.label for mark in marks))}
    free_from = -1.0
    for mark in marks:
        start, end = max(mark.start_ticks, system.start), min(mark.end_ticks, system.end)
        if start >= end:
            continue
        x, width = layout.x_of(system, start), (end - start) * layout.px_per_tick
        hue = hues[mark.label]
        canvas.rect(x, system.top, width, layout.panel_height, hue, opacity=0.12)
        tab = system.top - layout.MARK_PX
        canvas.rect(x, tab, width, layout.MARK_PX - 2, hue, opacity=0.55)
        words = shorten(" ".join(mark.label.split())[:MAX_NAME], 10, width - 8)
        if words.strip("…") and x + 5 >= free_from:
            canvas.text(x + 5, tab + 10.5, words, colours.text, size=10, bold=True)
            free_from = x + 5 + text_width(words, 10)


def _draw_grid(canvas: Canvas, colours: Palette, layout: Layout, system: System) -> None:
    """Octave, beat and bar lines; bar numbers, and the metre where it changes."""
    top, bottom = system.top, system.top + layout.panel_height
    pitch_bottom = system.top + layout.pitch_height
    right = layout.left + system.width
    octaves = [layout.y_of(system, pitch) + layout.row for pitch in range(layout.low, layout.high + 1) if pitch % 12 == 0]
    canvas.lines([(layout.left, y, right, y) for y in octaves], colours.octave)
    parts = [(top, pitch_bottom)] + ([(layout.drum_top(system), bottom)] if layout.n_drum_rows else [])
    canvas.lines([(x, a, x, b) for x in layout.beat_lines(system) for a, b in parts], colours.beat)
    bars = layout.bar_lines(system)
    canvas.lines([(x, a, x, b) for _, x in bars for a, b in parts], colours.bar)
    number_y = system.top - (layout.MARK_PX if layout.marked else 0) - 5
    free_from = 0.0
    for number, x in bars[:-1] if len(bars) > 1 else bars:
        metre = layout.new_metres.get(number, "")
        first = number == system.first_bar
        if not (first or metre or number % layout.number_step == 1 % layout.number_step) or x < free_from or (x > right - 16 and not first):
            continue
        canvas.text(x + 1, number_y, str(number + 1), colours.muted, size=10.5, bold=first)
        free_from = x + 8 + text_width(str(number + 1), 10.5)
        if metre and free_from + text_width(metre, 10.5) < right:
            canvas.text(free_from, number_y, metre, colours.text, size=10.5, bold=True)
            free_from += 8 + text_width(metre, 10.5)
    canvas.text(layout.left - 8, number_y, system.time, colours.muted, size=10.5, anchor="end")


def _draw_notes(canvas: Canvas, colour: str, layout: Layout, system: System, tracks: list[Track], drum_rows: list[str]) -> None:
    """The notes of one part within one system, grouped by strength of colour."""
    boxes: list[list[tuple[float, float, float, float]]] = [[] for _ in range(VELOCITY_STEPS)]
    row_of = {name: i for i, name in enumerate(drum_rows)}
    for track in tracks:
        notes = track.notes.numpy()
        starts = np.maximum(notes["time"].astype(np.int64), 0)
        ends = starts + notes["duration"]
        inside = (starts < system.end) & ((ends > system.start) | (starts >= system.start))
        starts, ends, pitch = starts[inside], ends[inside], notes["pitch"][inside].astype(np.int64)
        step = np.clip(notes["velocity"][inside].astype(np.int64), 0, 127) * VELOCITY_STEPS // 128
        x = layout.left + (np.maximum(starts, system.start) - system.start) * layout.px_per_tick
        width = (np.minimum(ends, system.end) - np.maximum(starts, system.start)) * layout.px_per_tick
        if track.is_drum:
            struck = starts >= system.start
            rows = np.array([row_of[_DRUM_ROW.get(number, "Percussion")] for number in pitch.tolist()])
            y = layout.drum_top(system) + (rows if len(rows) else np.zeros(0)) * layout.drum_row + 1
            width = np.full(len(x), min(DRUM_WIDTH_PX, max(layout.px_per_quarter / 5, 1.5)))
            height = np.where(struck, layout.drum_row - 2, 0.0)
        else:
            y = layout.y_of(system, 0) - pitch * layout.row + layout.gap / 2
            width = np.maximum(width - layout.gap, SHORTEST_NOTE_PX)
            height = np.full(len(x), layout.row - layout.gap)
        for at, *box in zip(step.tolist(), x.tolist(), y.tolist(), width.tolist(), height.tolist(), strict=True):
            if box[3] > 0:
                boxes[at].append((box[0], box[1], box[2], box[3]))
    radius = 1.5 if layout.row >= 4.5 else 0.0
    for at, group in enumerate(boxes):
        canvas.rects(group, colour, radius=radius, opacity=FAINTEST + (1.0 - FAINTEST) * at / (VELOCITY_STEPS - 1))


def _draw_edge(canvas: Canvas, colours: Palette, layout: Layout, system: System) -> None:
    """The keyboard at the left, with the names of the Cs."""
    x, width = layout.left - layout.KEYBOARD_PX, layout.KEYBOARD_PX - 2
    canvas.rect(x, system.top, width, layout.pitch_height, colours.key_white)
    pitches = range(layout.low, layout.high + 1)
    seams = [layout.y_of(system, pitch) for pitch in pitches if pitch % 12 in (4, 11) and pitch < layout.high]
    canvas.rects(
        [(x, layout.y_of(system, pitch), width * 0.62, layout.row) for pitch in pitches if pitch % 12 in BLACK_KEYS], colours.key_black
    )
    bottom = system.top + layout.pitch_height
    frame = [(x, system.top, x + width, system.top), (x, bottom, x + width, bottom), (x, system.top, x, bottom)]
    frame.append((x + width, system.top, x + width, bottom))
    canvas.lines([*((x, y, x + width, y) for y in seams), *frame], colours.bar, width=0.8)
    for pitch in pitches:
        if pitch % 12 == 0:
            canvas.text(
                x - 5, layout.y_of(system, pitch) + layout.row / 2 + 3.5, f"C{pitch // 12 - 1}", colours.muted, size=10, anchor="end"
            )
