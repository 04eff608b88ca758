"""The theme of a MIDI file: found, written as a file to develop, and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.api.files import free, read_midi
from kapelle.errors import CannotObey

if TYPE_CHECKING:
    from kapelle.composing.theme_search import Found
    from kapelle.engraving.themes import Picture


def themes_file(
    source: str | Path | bytes,
    out: str | Path | None = None,
    picture: str | Path | None = None,
    *,
    melody_track: str = "",
    eps: float | None = None,
    theme: str = "light",
    force: bool = False,
) -> Found:
    """The melody of a MIDI file, the two bars of it that come back most, and where.

    Args:
        source: The file, or its bytes; in 4/4.
        out: Where to write the theme as MIDI (MELODY and PIANO), ready for `develop`; nowhere if left out.
        picture: Where to draw it (.png, .svg); nowhere if left out.
        melody_track: The track of the melody, by name or number from 1; found if left out.
        eps: How far apart two returns may be, 0 to 2; what suits the encoder if left out.
        theme: Colours of the picture, "light" or "dark".
        force: Replace files that are there already.

    Raises:
        MidiError: It is no MIDI file.
        UsageError: It has no notes, another metre, or too few bars.
        CannotObey: No track is clearly the melody; or nothing comes back, and `out` was asked for.
        Missing: The bundle `theme-encoder` is not installed.
    """
    from kapelle.composing import theme_search
    from kapelle.composing.embedding import embedder
    from kapelle.engraving import picture_files
    from kapelle.engraving import themes as drawing
    from kapelle.score import write

    for path in (out, picture):
        if path is not None:
            free(path, force)
    if picture is not None:
        picture_files.check_suffix(Path(picture))
    found = theme_search.search(read_midi(source), embedder(), track=melody_track, eps=eps)
    title = "" if isinstance(source, bytes) else Path(source).stem
    if picture is not None:
        drawing.draw(_picture(found, title), Path(picture), theme=theme)
    if out is not None:
        made = theme_search.theme_of(found)
        if made is None:
            raise CannotObey("no two bars of the melody come back", hint="a greater --eps finds what is less alike")
        write.write(made, Path(out), end_ticks=theme_search.end_of(found), force=True)
    return found


def _picture(found: Found, title: str) -> Picture:
    from kapelle.engraving.themes import Picture as Drawn

    return Drawn(
        found.melody,
        found.n_bars,
        [(one.bar, one.end, one.distance) for one in found.returns],
        found.bars,
        found.distances,
        title,
        _summary(found),
    )


def _summary(found: Found) -> str:
    what = f"melody: {found.track_name}, {found.n_bars} bars"
    if found.theme is None:
        return f"{what}; no theme"
    return f"{what}; theme in bars {found.theme.bar + 1}–{found.theme.bar + found.theme.bars}, {len(found.returns)} times in all"
