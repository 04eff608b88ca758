"""A piece as a file to take away, in every format that Kapelle writes.

Takes the bytes of a MIDI file and the name of a format of `FORMATS`; gives bytes, media type and suffix. The same piece, title and format
give the same bytes. What the file is to be called, `naming` tells.

An SVG holds all pages of the score, one below the other, and a zip of the score a file for each; a PNG is the piano roll, which every
piece has, and which fits where a picture is wanted. Nothing stays on the disk.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.files import midi_bytes, read_midi
from kapelle.api.naming import file_stem, one_line
from kapelle.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symusic import Score


@dataclass(frozen=True)
class Format:
    """A kind of file that a piece can become.

    Args:
        name: By which it is asked for.
        media_type: Of its bytes.
        suffix: Of the file, with the dot.
        label: What it is called, by language.
        about: What it is good for, by language.
        group: "notes", "sound", "score" or "more".
    """

    name: str
    media_type: str
    suffix: str
    label: Mapping[str, str]
    about: Mapping[str, str]
    group: str

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON."""
        return {
            "name": self.name, "media_type": self.media_type, "suffix": self.suffix,
            "label": dict(self.label), "about": dict(self.about), "group": self.group,
        }  # fmt: skip


def _format(name: str, media_type: str, group: str, label: tuple[str, str], about: tuple[str, str]) -> Format:
    suffix = {"stems.zip": " stems.zip", "score.zip": " score.zip", "recipe.json": ".json"}.get(name, f".{name}")
    return Format(name, media_type, suffix, dict(zip(("en", "ru"), label, strict=True)), dict(zip(("en", "ru"), about, strict=True)), group)


_TABLE = (
    _format("mid", "audio/midi", "notes", ("MIDI", "MIDI"), ("notes for a DAW, a notation program or a synthesizer",
                                                             "ноты для DAW, нотного редактора или синтезатора")),
    _format("wav", "audio/wav", "sound", ("WAV", "WAV"), ("sound without loss, 16 bits, large", "звук без потерь, 16 бит, большой")),
    _format("flac", "audio/flac", "sound", ("FLAC", "FLAC"), ("sound without loss, half as large", "звук без потерь, вдвое меньше")),
    _format("mp3", "audio/mpeg", "sound", ("MP3", "MP3"), ("small sound that plays everywhere", "небольшой звук, играет везде")),
    _format("ogg", "audio/ogg", "sound", ("OGG Vorbis", "OGG Vorbis"),
            ("small sound in an open format", "небольшой звук в открытом формате")),
    _format("opus", "audio/ogg; codecs=opus", "sound", ("Opus", "Opus"), ("small sound for messengers", "небольшой звук для мессенджеров")),
    _format("stems.zip", "application/zip", "sound", ("Stems", "Дорожки"),
            ("each track as WAV, from the same start: lay them side by side in a DAW",
             "каждая дорожка в WAV с общего начала: разложите их в DAW одну под другой")),
    _format("pdf", "application/pdf", "score", ("PDF", "PDF"), ("the score, to print", "партитура для печати")),
    _format("musicxml", "application/vnd.recordare.musicxml+xml", "score", ("MusicXML", "MusicXML"),
            ("the score for MuseScore, Sibelius, Dorico, Finale", "партитура для MuseScore, Sibelius, Dorico, Finale")),
    _format("mxl", "application/vnd.recordare.musicxml", "score", ("MusicXML, packed", "MusicXML, сжатый"),
            ("the same, a tenth as large", "то же, в десять раз меньше")),
    _format("svg", "image/svg+xml", "score", ("SVG", "SVG"),
            ("all pages of the score in one drawing", "все страницы партитуры одним рисунком")),
    _format("score.zip", "application/zip", "score", ("SVG pages", "Страницы SVG"),
            ("each page of the score as a drawing", "каждая страница партитуры отдельным рисунком")),
    _format("png", "image/png", "more", ("PNG", "PNG"), ("a picture of the piano roll", "картинка с нотами-полосками (piano roll)")),
    _format("recipe.json", "application/json", "more", ("Recipe", "Рецепт"),
            ("all settings and the seed: `kapelle compose --from` makes the piece again",
             "все настройки и зерно: `kapelle compose --from` сочинит пьесу снова")),
)  # fmt: skip

FORMATS: Mapping[str, Format] = {row.name: row for row in _TABLE}
"""Every format, in the order of a menu."""

_SOUNDS = ("wav", "flac", "mp3", "ogg", "opus")
_ENGRAVED = ("pdf", "musicxml", "mxl")


def download(data: bytes, format: str, *, title: str = "", request: Mapping[str, Any] | None = None) -> tuple[bytes, str, str]:
    """A piece in a format: its bytes, their media type, and the suffix for the name of the file.

    Args:
        data: A MIDI file.
        format: A name of `FORMATS`.
        title: Stands above the score, in the picture, and in the names inside zips.
        request: The piece's recipe, a table for JSON; ``recipe.json`` alone needs it.

    Raises:
        UnknownName: There is no such format.
        MidiError: `data` is no MIDI file.
        UsageError: The piece cannot be written so: nothing to engrave, too dense to play, no recipe.
        NotEnoughMemory: It is too long for the format.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    form = FORMATS[format]
    return _bytes(data, format, one_line(title), request), form.media_type, form.suffix


def _bytes(data: bytes, format: str, title: str, request: Mapping[str, Any] | None) -> bytes:
    if format == "recipe.json":
        if request is None:
            raise UsageError("this piece was not composed here, so that it has no recipe", hint="take the MIDI file")
        return (json.dumps(request, indent=1, ensure_ascii=False) + "\n").encode()
    if format == "mid":
        return midi_bytes(data)
    score = read_midi(data)
    if format in _SOUNDS:
        return _sound(score, format)
    if format in _ENGRAVED:
        return _engraved(score, format, title)[0]
    if format == "svg":
        return _stacked([page.decode() for page in _engraved(score, "svg", title)]).encode()
    if format == "score.zip":
        pages = _engraved(score, "svg", title)
        width = len(str(len(pages)))
        return _zip((f"{file_stem(title)} {number:0{width}}.svg", page) for number, page in enumerate(pages, 1))
    if format == "png":
        from kapelle.engraving import pianoroll

        return pianoroll.png(score, pianoroll.PictureOptions(title=title))
    return _stems(data, title)


def _sound(score: Score, format: str) -> bytes:
    from kapelle.audio import files
    from kapelle.render import render

    with tempfile.TemporaryDirectory(prefix="kapelle-") as folder:
        path = Path(folder) / f"piece.{format}"
        files.write(path, render(score))
        return path.read_bytes()


def _engraved(score: Score, format: str, title: str) -> list[bytes]:
    """The files of the engraver, one or one per page."""
    from kapelle.engraving import sheet
    from kapelle.engraving.options import EngravingOptions

    with tempfile.TemporaryDirectory(prefix="kapelle-") as folder:
        made = sheet.engrave(score, Path(folder) / f"score.{format}", EngravingOptions(title=title))
        return [path.read_bytes() for path in made.files]


def _stems(data: bytes, title: str) -> bytes:
    from kapelle.api.sound import stems

    return _zip(((f"{file_stem(title)} {name}", sound) for name, sound in stems(data)), level=1)


def _zip(members: Iterable[tuple[str, bytes]], level: int = 6) -> bytes:
    """Files in a zip, dated as early as a zip can be, so that bytes repeat. Sounds hardly shrink, and drawings much."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in members:
            item = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            item.compress_type, item.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(item, content)
    return out.getvalue()


# Pages of a score as one drawing -----------------------------------------------------------------------------------------------------

_ROOT = re.compile(r'<svg width="(\d+)mm" height="(\d+)mm"')
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'\bhref="#([^"]+)"')


def _stacked(pages: list[str]) -> str:
    """Pages of one size below each other, a hair apart; a single page as it is. Names that pages share are made different."""
    if len(pages) == 1:
        return pages[0]
    found = _ROOT.search(pages[0])
    assert found is not None, "pages.svg gives a size in millimetres"
    width, height, gap = int(found[1]), int(found[2]), 4
    total = len(pages) * (height + gap) - gap
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}mm" height="{total}mm" '
        f'viewBox="0 0 {width} {total}">'
    ]
    for number, page in enumerate(pages):
        top = number * (height + gap)
        inner = page[page.index("<svg ") :]
        inner = _REFERENCE.sub(rf'href="#\1-{number + 1}"', _ID.sub(rf'id="\1-{number + 1}"', inner))
        inner = _ROOT.sub(f'<svg x="0" y="{top}" width="{width}" height="{height}"', inner, count=1)
        out.append(f'<rect x="0" y="{top}" width="{width}" height="{height}" fill="#fff"/>{inner}')
    return "".join((*out, "</svg>\n"))
