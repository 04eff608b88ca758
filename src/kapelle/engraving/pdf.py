"""Pages of sheet music as one PDF, drawn as vectors.

Takes the SVG pages that `pages.svg` makes; gives the bytes of a PDF 1.4 file, the same for the same pages. Each music glyph is kept once
in the file and placed where it is needed; words are drawn as outlines of the fonts inside matplotlib, so that a printer needs no font.
It reads what verovio writes and not SVG in general: groups, uses, paths, polygons, lines, ellipses and single lines of text, all black.

Source: PDF Reference, sixth edition (1.7), Adobe Systems 2006; Scalable Vector Graphics 1.1, W3C 2011, chapter 8.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from xml.etree import ElementTree

from kapelle.engraving.fonts import font_files
from kapelle.engraving.pages import FONT_FILES

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_TOKENS = re.compile(r"[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TRANSFORM = re.compile(r"(translate|scale|rotate)\(([^)]*)\)")
_BYTE_ORDER = "\ufeff"
_KAPPA = 0.5523
_POINTS_PER_MM = 72 / 25.4
_BOLD, _ITALIC = ("tempo", "ending", "reh"), ("mNum", "dir", "dynam")


def pdf(pages: Sequence[str], title: str = "", composer: str = "") -> bytes:
    """The `pages` as one PDF.

    Args:
        pages: SVG pages of `pages.svg`.
        title: Of the document.
        composer: Its author.

    Raises:
        Missing: matplotlib's fonts are not installed.
    """
    book = _Book()
    for page in pages:
        book.add(page)
    return book.to_bytes(title, composer)


@dataclass
class _Book:
    """A PDF that grows: pages, and the glyphs that they share."""

    pages: list[tuple[str, float, float, list[str]]] = field(default_factory=list)
    glyphs: dict[str, str] = field(default_factory=dict)

    def add(self, svg: str) -> None:
        """One more page."""
        root = ElementTree.fromstring(svg)
        width, height = (float(root.get(name, "0").removesuffix("mm")) * _POINTS_PER_MM for name in ("width", "height"))
        inner = next(element for element in root if element.tag == f"{_SVG}svg")
        _, _, wide, high = (float(number) for number in inner.get("viewBox", "0 0 1 1").split())
        shapes = {group.get("id", ""): group for defs in root.iter(f"{_SVG}defs") for group in defs}
        used: list[str] = []
        out = [f"{_n(width / wide)} 0 0 {_n(-height / high)} 0 {_n(height)} cm"]
        out += _draw(inner, shapes, self.glyphs, used, "")
        self.pages.append(("\n".join(out), width, height, sorted(set(used))))

    def to_bytes(self, title: str, composer: str) -> bytes:
        """The file."""
        objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
        about = f"<< /Title {_text(title)} /Author {_text(composer)} /Creator (Kapelle) >>"
        objects.append(about.encode("ascii"))
        number = {}
        for name, content in self.glyphs.items():
            objects.append(_stream(content, "/Type /XObject /Subtype /Form /BBox [-10000 -10000 10000 10000]"))
            number[name] = len(objects)
        kids = []
        for content, width, height, used in self.pages:
            objects.append(_stream(content))
            shapes = " ".join(f"/{name} {number[name]} 0 R" for name in used)
            objects.append(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_n(width)} {_n(height)}] /Contents {len(objects)} 0 R "
                f"/Resources << /XObject << {shapes} >> >> >>".encode("ascii")
            )
            kids.append(f"{len(objects)} 0 R")
        objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>".encode("ascii")
        out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
        for i, body in enumerate(objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n" % i + body + b"\nendobj\n"
        table = "".join(f"{place:010} 00000 n \n" for place in places)
        start = len(out)
        out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode("ascii")
        out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{start}\n%%EOF\n".encode("ascii")
        return bytes(out)


def _stream(content: str, more: str = "") -> bytes:
    data = zlib.compress(content.encode("ascii"), 9)
    return f"<< {more} /Length {len(data)} /Filter /FlateDecode >>\nstream\n".encode("ascii") + data + b"\nendstream"


def _text(words: str) -> str:
    """A text string of a document's information."""
    return f"<{(_BYTE_ORDER + words).encode('utf-16-be', 'replace').hex()}>"


def _n(number: float) -> str:
    return f"{number:.5f}".rstrip("0").rstrip(".") or "0"


# Shapes ------------------------------------------------------------------------------------------------------------------------


def _draw(element: Any, shapes: dict[str, Any], glyphs: dict[str, str], used: list[str], kind: str) -> Iterator[str]:
    """The operators that draw what is in `element`; `kind` is the class of the nearest group that has one."""
    for child in element:
        tag = child.tag.removeprefix(_SVG)
        if "placeholder" in child.get("class", "").split():
            continue
        if tag == "g":
            inside = list(_draw(child, shapes, glyphs, used, child.get("class") or kind))
        elif tag == "use":
            inside = [_glyph(child, shapes, glyphs, used)]
        elif tag == "text":
            inside = list(_words(child, kind))
        else:
            inside = list(_shape(tag, child))
        if child.get("transform") and inside:
            yield f"q {_matrix(child.get('transform', ''))} cm"
            yield from inside
            yield "Q"
        else:
            yield from inside


def _matrix(text: str) -> str:
    """A transform of SVG as the six numbers of PDF: translations and scales only, which is what verovio writes."""
    a = d = 1.0
    e = f = 0.0
    for name, inside in _TRANSFORM.findall(text):
        numbers = [float(number) for number in re.split(r"[,\s]+", inside.strip())]
        if name == "translate":
            e, f = e + a * numbers[0], f + d * (numbers[1] if len(numbers) > 1 else 0.0)
        elif name == "scale":
            a, d = a * numbers[0], d * numbers[-1]
    return f"{_n(a)} 0 0 {_n(d)} {_n(e)} {_n(f)}"


def _glyph(use: Any, shapes: dict[str, Any], glyphs: dict[str, str], used: list[str]) -> str:
    """A placed music glyph, which is remembered when it is seen first."""
    key = (use.get(_HREF) or use.get("href", "")).removeprefix("#")
    name = re.sub(r"\W", "", key.partition("-")[0])
    if key not in shapes:
        return ""
    if name not in glyphs:
        glyphs[name] = "\n".join(_draw(shapes[key], {}, {}, [], ""))
    used.append(name)
    return f"/{name} Do"


def _shape(tag: str, element: Any) -> Iterator[str]:
    """The operators of a path, polygon, line, rectangle or ellipse."""
    stroke = float(element.get("stroke-width", "0"))
    if stroke:
        cap, join = (int(element.get(name) == "round") for name in ("stroke-linecap", "stroke-linejoin"))
        yield f"{_n(stroke)} w {cap} J {join} j"
    if tag == "path":
        yield from _path(element.get("d", ""))
        yield "B" if stroke and "C" in element.get("d", "") else "S" if stroke else "f"
    elif tag in ("polygon", "polyline"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", element.get("points", ""))]
        corners = list(zip(numbers[::2], numbers[1::2], strict=False))
        yield " ".join(f"{_n(x)} {_n(y)} {'l' if i else 'm'}" for i, (x, y) in enumerate(corners))
        yield "h f" if tag == "polygon" else "S"
    elif tag == "rect":
        yield " ".join(_n(float(element.get(name, "0"))) for name in ("x", "y", "width", "height")) + " re f"
    elif tag in ("ellipse", "circle"):
        x, y = float(element.get("cx", "0")), float(element.get("cy", "0"))
        rx = float(element.get("rx") or element.get("r", "0"))
        ry = float(element.get("ry") or element.get("r", "0"))
        yield f"{_n(x + rx)} {_n(y)} m"
        turns = ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))
        for a, b, c, d in turns:
            first = x + rx * (a + _KAPPA * c), y + ry * (b + _KAPPA * d)
            second = x + rx * (c + _KAPPA * a), y + ry * (d + _KAPPA * b)
            yield " ".join(map(_n, (*first, *second, x + rx * c, y + ry * d))) + " c"
        yield "f"


def _path(text: str) -> Iterator[str]:
    """The operators of a path of SVG: moves, lines and curves, absolute or relative."""
    tokens = _TOKENS.findall(text)
    i, command = 0, ""
    x = y = begin_x = begin_y = last_x = last_y = 0.0
    counts = {"m": 2, "l": 2, "h": 1, "v": 1, "c": 6, "s": 4, "q": 4, "t": 2, "z": 0}
    while i < len(tokens):
        if tokens[i].isalpha():
            command = tokens[i]
            i += 1
        kind, n = command.lower(), counts[command.lower()]
        values = [float(token) for token in tokens[i : i + n]]
        i += n
        if command.islower():
            values = [value + (y if (kind == "v" or (kind != "h" and place % 2)) else x) for place, value in enumerate(values)]
        if kind == "z":
            x, y = begin_x, begin_y
            yield "h"
        elif kind == "m":
            x, y = begin_x, begin_y = values[0], values[1]
            yield f"{_n(x)} {_n(y)} m"
            command = "l" if command == "m" else "L"
        elif kind in "lhv":
            x, y = (values[0], y) if kind == "h" else (x, values[0]) if kind == "v" else (values[0], values[1])
            yield f"{_n(x)} {_n(y)} l"
        else:
            if kind in "st":
                values = [2 * x - last_x, 2 * y - last_y, *values]
            if kind in "qt":
                (qx, qy, ex, ey), third = values, 2 / 3
                values = [x + third * (qx - x), y + third * (qy - y), ex + third * (qx - ex), ey + third * (qy - ey), ex, ey]
                last_x, last_y = qx, qy
            else:
                last_x, last_y = values[2], values[3]
            x, y = values[4], values[5]
            yield " ".join(map(_n, values)) + " c"
            continue
        last_x, last_y = x, y


# Words -------------------------------------------------------------------------------------------------------------------------


def _words(element: Any, kind: str) -> Iterator[str]:
    """A line of text as outlines."""
    words, size = "".join(element.itertext()), float(element.get("font-size", "0").removesuffix("px"))
    first = kind.partition(" ")[0]
    bold = element.get("font-weight") == "bold" or first in _BOLD
    italic = element.get("font-style") == "italic" or first in _ITALIC
    outlines, at = [], 0.0
    for character in words:
        operators, advance = _outline(character, bold, italic)
        outlines.append((at, operators))
        at += advance
    if not words.strip() or not size:
        return
    shift = {"middle": at / 2, "end": at}.get(element.get("text-anchor", "start"), 0.0)
    x, y = float(element.get("x", "0")), float(element.get("y", "0"))
    for place, operators in outlines:
        if operators:
            yield f"q {_n(size)} 0 0 {_n(-size)} {_n(x + (place - shift) * size)} {_n(y)} cm {operators} f Q"


@cache
def _fonts() -> tuple[Any, ...]:
    """Plain, bold, italic and bold italic, and one for signs that they lack."""
    from matplotlib.ft2font import FT2Font

    return tuple(FT2Font(str(path)) for path in font_files(FONT_FILES))


@cache
def _unscaled() -> Any:
    """FreeType's flag for outlines in the units of the font."""
    from matplotlib import ft2font

    flags: Any = getattr(ft2font, "LoadFlags", None)  # since matplotlib 3.10; plain numbers before
    return flags.NO_SCALE if flags else 1


@cache
def _outline(character: str, bold: bool, italic: bool) -> tuple[str, float]:
    """The operators that draw a character one unit high, and how far the next one stands; a box where no font has it."""
    *serif, other = _fonts()
    fonts = (serif[bold + 2 * italic], serif[0], other)
    font = next((font for font in fonts if font.get_char_index(ord(character))), other)
    glyph = font.load_glyph(font.get_char_index(ord(character)), _unscaled())  # 0, a box, where it is not; load_char fails there
    em = float(font.units_per_EM)
    vertices, codes = font.get_path()  # a sixty-fourth of the font's units
    points = [(float(x) * 64 / em, float(y) * 64 / em) for x, y in vertices]
    out, i, last = [], 0, (0.0, 0.0)
    while i < len(codes):
        code = int(codes[i])  # as matplotlib counts: 1 move, 2 line, 3 a curve with one handle, 4 with two, 79 close
        if code == 3:
            (qx, qy), (ex, ey) = points[i], points[i + 1]
            handles = (last[0] + (qx - last[0]) * 2 / 3, last[1] + (qy - last[1]) * 2 / 3, ex + (qx - ex) * 2 / 3, ey + (qy - ey) * 2 / 3)
            out.append(" ".join(map(_n, (*handles, ex, ey))) + " c")
        elif code == 4:
            out.append(" ".join(_n(number) for point in points[i : i + 3] for number in point) + " c")
        elif code in (1, 2):
            out.append(f"{_n(points[i][0])} {_n(points[i][1])} {'m' if code == 1 else 'l'}")
        else:
            out.append("h")
        i += {3: 2, 4: 3}.get(code, 1)
        last = points[i - 1]
    return " ".join(out), float(glyph.horiAdvance) / em
