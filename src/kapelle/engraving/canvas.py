"""An SVG picture written as text, and its PNG.

Takes shapes in pixels, y downwards, numbers rounded to a tenth; gives one SVG string that needs nothing from outside, and the same
picture as PNG bytes. Names of people and tracks are escaped and stripped of what XML does not allow. No styles, scripts, links or
random ids: the same shapes give the same bytes.

The PNG is made from the SVG by resvg with the DejaVu fonts inside matplotlib (which is found, not imported), so that both agree
on every machine; a viewer of the SVG may choose another sans-serif font.
"""

from __future__ import annotations

import base64
import re

from kapelle.engraving.fonts import font_files, needs_foreign
from kapelle.errors import Missing, NotEnoughMemory

FONTS = "DejaVu Sans, Verdana, sans-serif"
FONT_FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
# An average over English and Russian text in DejaVu Sans; only used to see whether a text fits.
CHARACTER_WIDTH_EM = 0.62
MAX_PNG_PIXELS = 60_000_000

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Canvas:
    """A picture of `width` by `height` pixels on a ground colour; shapes lie on each other in the order they are drawn."""

    def __init__(self, width: float, height: float, ground: str) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []
        self.rect(0, 0, width, height, ground)

    def rect(self, x: float, y: float, width: float, height: float, fill: str, *, radius: float = 0.0, opacity: float = 1.0) -> None:
        """A filled rectangle, its corners rounded by `radius`."""
        rounded = f' rx="{_n(radius)}"' if radius else ""
        self._parts.append(f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{rounded}{_paint(fill, opacity)}/>')

    def rects(self, boxes: list[tuple[float, float, float, float]], fill: str, *, radius: float = 0.0, opacity: float = 1.0) -> None:
        """Many rectangles (x, y, width, height) of one colour, as a group; those that would be drawn alike are drawn once."""
        rounded = f' rx="{_n(radius)}"' if radius else ""
        texts = dict.fromkeys(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{rounded}/>' for x, y, width, height in boxes
        )
        if texts:
            self._parts.append(f"<g{_paint(fill, opacity)}>{''.join(texts)}</g>")

    def lines(self, segments: list[tuple[float, float, float, float]], stroke: str, *, width: float = 1.0) -> None:
        """Straight lines (x1, y1, x2, y2) of one colour."""
        if segments:
            path = "".join(f"M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}" for x1, y1, x2, y2 in segments)
            self._parts.append(f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{_n(width)}"/>')

    def text(self, x: float, y: float, words: str, fill: str, *, size: float, anchor: str = "start", bold: bool = False) -> None:
        """One line of text whose baseline is at `y`; `anchor` is start, middle or end."""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{place}{weight}{_paint(fill, 1.0)}>{escape(words)}</text>')

    def image(self, x: float, y: float, width: float, height: float, png: bytes) -> None:
        """A PNG, stretched over a rectangle; it lies inside the SVG."""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        data = base64.b64encode(png).decode()
        self._parts.append(f'<image {place} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>')

    def to_svg(self, title: str, description: str) -> str:
        """The whole picture; `title` and `description` are for those who cannot see it."""
        size = f'width="{_n(self.width)}" height="{_n(self.height)}" viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}" role="img" aria-labelledby="title description">'
        words = f'<title id="title">{escape(title)}</title><desc id="description">{escape(description)}</desc>'
        return "\n".join([head, words, *self._parts, "</svg>\n"])


def to_png(svg: str, *, scale: float = 2.0) -> bytes:
    """The picture `svg` as PNG bytes, `scale` dots to a pixel.

    Raises:
        Missing: resvg-py or matplotlib's fonts are not installed.
        NotEnoughMemory: The picture would have more than 60 million dots.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise Missing("resvg-py is not installed, which draws PNG", hint="pip install resvg-py, or write .svg") from error
    found = re.search(r'<svg [^>]*width="([\d.]+)" height="([\d.]+)"', svg)
    width, height = (float(number) for number in found.groups()) if found else (0.0, 0.0)
    if width * height * scale * scale > MAX_PNG_PIXELS:
        raise NotEnoughMemory(
            "the picture would be {width:.0f} x {height:.0f} dots", width=width * scale, height=height * scale, hint="write .svg"
        )
    foreign = needs_foreign(svg)
    fonts = [str(path) for path in font_files(FONT_FILES)]
    return bytes(
        resvg_py.svg_to_bytes(svg_string=svg, zoom=scale, skip_system_fonts=not foreign, font_files=fonts, font_family="DejaVu Sans")
    )


def escape(words: str) -> str:
    """`words` as XML text or attribute, without the characters that XML forbids."""
    clean = _FORBIDDEN.sub("", words)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def text_width(words: str, size: float) -> float:
    """About how wide `words` will be, in pixels."""
    return len(words) * size * CHARACTER_WIDTH_EM


def shorten(words: str, size: float, width: float) -> str:
    """`words`, cut with an ellipsis to about `width` pixels."""
    n_most = int(width / (size * CHARACTER_WIDTH_EM))
    return words if len(words) <= n_most else words[: max(n_most - 1, 0)].rstrip() + "…"


def _paint(fill: str, opacity: float) -> str:
    return f' fill="{fill}"' if opacity >= 1.0 else f' fill="{fill}" fill-opacity="{_n(opacity, 2)}"'


def _n(number: float, digits: int = 1) -> str:
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
