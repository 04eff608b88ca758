"""Sheet music in files: the format by the suffix, one file or one per page.

Takes a score, a path and options; writes ``.musicxml`` (or ``.xml``), ``.mxl`` (the same, packed), ``.pdf`` with all pages, ``.svg`` or
``.png``. One page of SVG or PNG gets the name that was asked for; of several, page 2 of ``tune.svg`` is ``tune-2.svg``. All bytes are
made before the first file is written, and each file appears whole or not at all.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.engraving.options import ENGRAVERS, EngravingOptions
from kapelle.errors import UnknownName, UsageError
from kapelle.score.write import write_bytes

if TYPE_CHECKING:
    from symusic import Score

XML_SUFFIXES = (".musicxml", ".xml", ".mxl")
SUFFIXES = (".pdf", ".svg", ".png", *XML_SUFFIXES)

Report = Callable[[float, float], None]


def _quiet(done: float, total: float) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Engraved:
    """What was written: the files in order of the pages, and how many pages they hold (0 for MusicXML, which has none)."""

    files: tuple[Path, ...]
    n_pages: int


def check_suffix(path: Path) -> str:
    """The suffix of `path` in small letters.

    Raises:
        UnknownName: It is no format of sheet music.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UnknownName("format of sheet music", path.suffix or path.name, SUFFIXES)
    return suffix


def engrave(
    score: Score,
    path: Path,
    options: EngravingOptions | None = None,
    *,
    engraver: str = "verovio",
    force: bool = True,
    progress: Report = _quiet,
) -> Engraved:
    """The files written for `score`.

    Args:
        score: A score in ticks.
        path: Where to; the suffix chooses the format.
        options: How it looks.
        engraver: ``verovio``, or ``musescore`` if that is installed.
        force: Replace files that are there.
        progress: Called with (work done, work in all).

    Raises:
        UnknownName: The suffix or the engraver is unknown.
        UsageError: There is nothing to write, or a file is there and `force` is not set.
        Missing: MuseScore, or a library that draws, is not installed.
        NotEnoughMemory: The score is too long.
        StorageError: The disk is full, or writing is not allowed there.
    """
    from kapelle.config import check

    options = options or EngravingOptions()
    check(options)
    suffix = check_suffix(path)
    if engraver not in ENGRAVERS:
        raise UnknownName("engraver", engraver, ENGRAVERS)
    if engraver == "musescore" and suffix not in XML_SUFFIXES:
        from kapelle.engraving import musescore

        musescore.program()  # before any work
    made, n_pages = _made(score, suffix, options, engraver, progress)
    files = [path] if len(made) == 1 else [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, len(made) + 1)]
    for file in files:
        if not force and file.exists():
            raise UsageError("{path} exists already", path=file, hint="choose another name, or overwrite it with --force")
    for file, data in zip(files, made, strict=True):
        write_bytes(file, data)
    progress(1, 1)
    return Engraved(tuple(files), n_pages)


def _made(score: Score, suffix: str, options: EngravingOptions, engraver: str, progress: Report) -> tuple[list[bytes], int]:
    """The bytes of each file, and the number of pages."""
    from kapelle.engraving.notation import musicxml

    text = musicxml(score, options, lambda done, total: progress(0.3 * done, total))
    if suffix in XML_SUFFIXES:
        return [_packed(text) if suffix == ".mxl" else text.encode()], 0
    if engraver == "musescore":
        from kapelle.engraving import musescore

        made = musescore.convert(text, suffix, dpi=options.dpi)
        return made, len(made)
    from kapelle.engraving import pages

    drawn = pages.svg(text, options, lambda done, total: progress(0.3 + 0.5 * done / max(total, 1), 1))
    if suffix == ".pdf":
        from kapelle.engraving.pdf import pdf

        return [pdf(drawn, options.title, options.composer)], len(drawn)
    if suffix == ".svg":
        return [page.encode() for page in drawn], len(drawn)
    out = []
    for number, page in enumerate(drawn):
        progress(0.8 + 0.2 * number / len(drawn), 1)
        out.append(pages.png(page, options))
    return out, len(out)


def _packed(text: str) -> bytes:
    """MusicXML in its zip container, dated as early as a zip file can be, so that bytes repeat."""
    container = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles>'
        '<rootfile full-path="score.musicxml" media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>\n'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("META-INF/container.xml", container), ("score.musicxml", text)):
            item = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            item.compress_type, item.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(item, content)
    return out.getvalue()
