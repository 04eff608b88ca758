"""The sheet music of a MIDI file as the page shows it: SVG that is safe to put into a document, and when each of its bars sounds.

Takes the bytes of a MIDI file; gives a dict of plain values. Written bars are those of `api.notes` but where no reader would want
them so (see `engraving.timeline`), which is why their seconds are told as well. It writes no file.
"""

from __future__ import annotations

from typing import Any

from kapelle.api.files import read_midi
from kapelle.api.naming import one_line
from kapelle.score import units


def score_pages(data: bytes, title: str = "") -> dict[str, Any]:
    """The pages of sheet music of a MIDI file.

    Args:
        data: The file.
        title: Above the first page.

    Returns:
        ``pages``: how many; ``first_bars``: the bar with which each begins, from 0; ``starts``: where each written bar begins and, last,
        where the final one ends, in seconds; ``title``; ``svgs``: one text per page, see `engraving.screen`; bar i of the seconds is the
        ``g`` with ``data-bar`` i. The bar of a pickup begins at 0 s.

    Raises:
        MidiError: It is no MIDI file, or beyond the limits.
        UsageError: It holds no notes, or more than 48 staves.
        NotEnoughMemory: It would be more than 400 pages.
        Missing: verovio is not installed.
    """
    from kapelle.engraving.notation import musicxml
    from kapelle.engraving.options import EngravingOptions
    from kapelle.engraving.pages import svg
    from kapelle.engraving.screen import for_screen
    from kapelle.engraving.timeline import timeline

    score, words = read_midi(data), one_line(title)
    options = EngravingOptions(title=words)
    drawn, first_bars = for_screen(svg(musicxml(score, options), options))
    lines = timeline(score)
    ticks = [0, *(bar.ticks for bar in lines.bars[1:]), lines.end_ticks]
    starts = [round(second, 5) for second in units.ticks_to_seconds(score, ticks).tolist()]
    return {"pages": len(drawn), "first_bars": first_bars, "starts": starts, "title": words, "svgs": drawn}
