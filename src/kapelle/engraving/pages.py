"""MusicXML as pages: SVG by verovio, and each page as PNG.

Takes MusicXML and options; gives one SVG text per page, the same bytes for the same input. Where no scale is asked for, the staves
are made smaller until the tallest system fits a page. verovio logs to the standard error of the process; what it says about the music
is kept from there.

The pages are drawn with verovio's own music font as outlines; their words are text in a serif font. PNG takes that font from inside
matplotlib, so that it is the same on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from kapelle.engraving.canvas import MAX_PNG_PIXELS
from kapelle.engraving.fonts import font_files, needs_foreign
from kapelle.engraving.options import PAGES_MM, EngravingOptions
from kapelle.errors import Missing, NotEnoughMemory, UnreadableInput, UsageError

FONT_FILES = ("STIXGeneral.ttf", "STIXGeneralBol.ttf", "STIXGeneralItalic.ttf", "STIXGeneralBolIta.ttf", "DejaVuSans.ttf")
FONT = "STIXGeneral"

_SCALES = (100, 88, 76, 66, 58, 50, 42, 34, 28)
MAX_PAGES = 400
MAX_STAVES = 48
_STAFF_MM = 18.0
"""About the height that a staff and the room below it take at a scale of 100."""


Report = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    """No progress shown."""


def svg(musicxml: str, options: EngravingOptions | None = None, progress: Report = _quiet) -> list[str]:
    """The pages of `musicxml` as SVG.

    Args:
        musicxml: MusicXML, as `notation.musicxml` writes it or any other.
        options: Paper and size of the staves.
        progress: Called with (pages drawn, pages in all).

    Raises:
        Missing: verovio is not installed.
        UnreadableInput: It is no MusicXML.
        UsageError: It has more than 48 staves.
        NotEnoughMemory: It would be more than 400 pages.
    """
    options = options or EngravingOptions()
    toolkit = _toolkit()
    words = _Words.of(musicxml)
    scales = (options.scale,) if options.scale else _SCALES[_first_scale(musicxml) :]
    out: list[str] = []
    for scale in scales:
        toolkit.setOptions(_layout(options, scale))
        if not toolkit.loadData(musicxml):
            raise UnreadableInput("verovio cannot read this MusicXML", hint="was it written by another program?")
        count = int(toolkit.getPageCount())
        if count > MAX_PAGES:
            raise NotEnoughMemory("{pages} pages are too many", pages=count, hint="cut the piece first, or write .musicxml")
        out = []
        for page in range(1, count + 1):
            progress(page - 1, count)
            drawn = toolkit.renderToSVG(page, False)
            if scale != scales[-1] and not _fits(drawn):
                break
            out.append(_finished(drawn, words, page, options))
        if len(out) == count:
            break
    progress(len(out), len(out))
    return out


def _first_scale(musicxml: str) -> int:
    """Where in `_SCALES` to begin: a score of many staves is printed smaller than a piano piece."""
    n_staves = musicxml.count("<score-part ") + musicxml.count("<staves>2")
    if n_staves > MAX_STAVES:
        raise UsageError("{staves} staves do not fit a page", staves=n_staves, hint="leave tracks out, or write .musicxml")
    usual = 0 if n_staves <= 3 else 2 if n_staves <= 6 else 3 if n_staves <= 10 else 4
    fitting = next((i for i, scale in enumerate(_SCALES) if n_staves * _STAFF_MM * scale / 100 <= PAGES_MM["a4"][1]), len(_SCALES) - 1)
    return max(usual, fitting)


def _toolkit() -> Any:
    try:
        import verovio
    except ImportError as error:
        raise Missing("verovio is not installed, which draws the pages", hint="pip install verovio, or write .musicxml") from error
    verovio.enableLog(verovio.LOG_OFF)
    verovio.setDefaultResourcePath(str(resources.files("verovio") / "data"))  # each thread has its own, and one alone imported it
    return verovio.toolkit()


def _layout(options: EngravingOptions, scale: int) -> dict[str, Any]:
    """verovio's options."""
    width, height = page_mm(options)
    zoom = 100 / scale  # verovio's staves are 7.2 mm high on a page measured in tenths of millimetres, as in printed piano music
    return {
        "pageWidth": round(width * 10 * zoom),
        "pageHeight": round(height * 10 * zoom),
        "pageMarginLeft": round(150 * zoom),
        "pageMarginRight": round(130 * zoom),
        "pageMarginTop": round(130 * zoom),
        "pageMarginBottom": round(130 * zoom),
        "scale": scale,
        "breaks": "auto",
        "breaksNoWidow": True,
        "condense": "none",
        "footer": "none",
        "header": "auto",
        "justifyVertically": True,
        "smuflTextFont": "none",
        "spacingBraceGroup": 9,
        "spacingStaff": 10,
        "spacingSystem": 8,
        "svgFormatRaw": True,
        "xmlIdSeed": 1,
    }


def page_mm(options: EngravingOptions) -> tuple[int, int]:
    """Width and height of the paper."""
    width, height = PAGES_MM[options.page]
    return (height, width) if options.landscape else (width, height)


# What verovio draws, made fit to be shown -----------------------------------------------------------------------------------------


_STAFF_LINE = re.compile(r'<path d="M-?\d+ (-?\d+) L-?\d+ (-?\d+)"')
_PAGE = re.compile(r'viewBox="0 0 (\d+) (\d+)"')
_MARGIN = re.compile(r'class="page-margin" transform="translate\((\d+), (\d+)\)"')
_TEXT = re.compile(r"<text\b([^>]*?)(?:/>|>(.*?)</text>)", re.DOTALL)
_SPAN = re.compile(r"<tspan\b([^>]*)>|(</tspan>)|<title\b.*?</title>|([^<]+)", re.DOTALL)
_HEADER = re.compile(r'<g [^>]*class="pgHead[^"]*"[^>]*>.*?</text></g>', re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_KEPT = ("text-anchor", "font-weight", "font-style", "x", "y", "font-size")


def _fits(drawn: str) -> bool:
    """Whether all staves of a page lie on the paper."""
    page, margin = _PAGE.search(drawn), _MARGIN.search(drawn)
    lowest = max((int(y) for line in _STAFF_LINE.findall(drawn) for y in line), default=0)
    return page is None or margin is None or lowest + int(margin[2]) < int(page[2]) - int(margin[2]) // 3


@dataclass(frozen=True)
class _Words:
    """What stands above the music, as XML text."""

    title: str = ""
    composer: str = ""

    @classmethod
    def of(cls, musicxml: str) -> _Words:
        """The title and composer in the head of a MusicXML file."""
        head = musicxml[: musicxml.find("<part ")]
        title = re.search(r"<work-title>([^<]*)<", head) or re.search(r"<movement-title>([^<]*)<", head)
        composer = re.search(r'<creator type="composer">([^<]*)<', head)
        return cls(title[1] if title else "", composer[1] if composer else "")


def _finished(drawn: str, words: _Words, number: int, options: EngravingOptions) -> str:
    """A page of verovio with a size on paper, our header, and each text in one element: nested ones are misplaced by many viewers."""
    width, height = page_mm(options)
    drawn = re.sub(r'^(.*?<svg )width="[^"]*" height="[^"]*"', rf'\1width="{width}mm" height="{height}mm"', drawn, count=1, flags=re.DOTALL)
    drawn = _HEADER.sub("", drawn)
    drawn = _TEXT.sub(lambda match: _flat(match[1], match[2] or ""), drawn)
    page, margin = _PAGE.search(drawn), _MARGIN.search(drawn)
    if page is None or margin is None:
        return drawn
    header = _header(words, number, int(page[1]), int(margin[1]), int(margin[2]))
    cut = drawn.rfind("</g></svg>")
    return drawn[:cut] + header + drawn[cut:] if cut >= 0 else drawn


def _header(words: _Words, number: int, width: int, left: int, top: int) -> str:
    """Title and composer on the first page, the number on the others; coordinates within the margins, verovio's units."""
    inner = width - left - round(left * 130 / 150)
    if number > 1:
        return f'<text x="{inner}" y="{-top // 4}" font-size="360px" text-anchor="end">{number}</text>' if inner else ""
    size = min(900, int(1.7 * inner / max(len(words.title), 1)))
    out = f'<text x="{inner // 2}" y="60" font-size="{size}px" text-anchor="middle">{words.title}</text>' if words.title else ""
    low = 640 if words.title else 300
    return out + (f'<text x="{inner}" y="{low}" font-size="430px" text-anchor="end">{words.composer}</text>' if words.composer else "")


def _flat(attributes: str, inside: str) -> str:
    """A text of nested spans as one element: the innermost size, place and style count."""
    found = {name: value for name, value in _ATTRIBUTE.findall(attributes) if name in _KEPT}
    words = []
    for span, _, text in _SPAN.findall(inside):
        found.update({name: value for name, value in _ATTRIBUTE.findall(span) if name in _KEPT and value != "0px"})
        words.append(text)
    content = "".join(words).strip()
    kept = "".join(f' {name}="{value}"' for name, value in sorted(found.items()))
    return f"<text{kept}>{content}</text>" if content else ""


# Pictures ------------------------------------------------------------------------------------------------------------------------


def png(page: str, options: EngravingOptions | None = None) -> bytes:
    """One page of SVG as PNG.

    Raises:
        Missing: resvg-py or matplotlib's fonts are not installed.
        NotEnoughMemory: It would have more than 60 million dots.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise Missing("resvg-py is not installed, which draws PNG", hint="pip install resvg-py, or write .svg") from error
    options = options or EngravingOptions()
    width, height = (mm / 25.4 * options.dpi for mm in page_mm(options))
    if width * height > MAX_PNG_PIXELS:
        raise NotEnoughMemory("the picture would be {width:.0f} x {height:.0f} dots", width=width, height=height, hint="write .svg or .pdf")
    foreign = needs_foreign(page)
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=page,
            dpi=96,
            zoom=options.dpi / 96,
            skip_system_fonts=not foreign,
            font_files=[str(path) for path in font_files(FONT_FILES)],
            font_family=FONT,
            serif_family=FONT,
            background="white",
        )
    )
