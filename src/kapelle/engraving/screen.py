"""Pages of sheet music made fit for a web page: safe to put into a document, small, coloured by the document, each bar known by number.

Takes a page of SVG as `pages.svg` gives it; gives SVG of drawing elements alone: no script, no style, no link but to its own glyphs, no
foreign attribute, whatever the words in it. Lines and glyphs take the colour of the text around them, so that a dark page is dark. Every
bar is a ``g`` of the class ``measure`` with the number ``data-bar``; it begins with an invisible ``rect`` over its staves, which can be
coloured or clicked. Paper left empty below the music of the last page is cut off. It does not lay out anything.

Source: SVG 2, W3C Candidate Recommendation 2018; the elements and attributes kept are those that verovio draws with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from xml.etree import ElementTree

from kapelle.errors import UnreadableInput

SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"

_ELEMENTS = frozenset(("svg", "g", "defs", "path", "polygon", "polyline", "ellipse", "circle", "rect", "line", "use", "text", "tspan"))
_ATTRIBUTES = frozenset((
    "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "d", "points", "width", "height", "viewBox", "transform",
    "fill", "fill-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-opacity",
    "font-size", "font-style", "font-weight", "text-anchor", "visibility",
))  # fmt: skip
_BOLD, _ITALIC = ("font-weight", "bold"), ("font-style", "italic")
_WORDS = {"tempo": _BOLD, "reh": _BOLD, "ending": _BOLD, "mNum": _ITALIC}
_LOOK = {
    "fill": "currentColor",
    "stroke": "currentColor",
    "stroke-width": "1",
    "font-family": "STIXGeneral, 'Times New Roman', Times, serif",
}
_HIDDEN = "placeholder"
_STAFF_LINE = re.compile(r"M(-?\d+) (-?\d+) L(-?\d+) (-?\d+)")
_HEIGHTS = re.compile(r"translate\(-?\d+, (-?\d+)\)|[ML]-?\d+ (-?\d+)|-?\d+,(-?\d+)")
_AROUND = 270
"""How far the rectangle of a bar reaches above and below its staves, in verovio's units: one and a half spaces of a staff."""

_BELOW = 900
"""Paper that stays below the lowest sign."""


def for_screen(pages: Sequence[str]) -> tuple[list[str], list[int]]:
    """The `pages` made fit, and the number of the bar with which each begins, counted from 0 through all pages.

    Raises:
        UnreadableInput: A page is no XML.
    """
    out, first_bars, numbers, following = [], [], count(), 0
    for i, page in enumerate(pages):
        root = _parsed(page)
        first_bars.append(following)
        clean = _page(root, f"p{i + 1}", numbers, cut=i + 1 == len(pages))
        following += sum(1 for element in clean.iter() if element.get("class") == "measure")
        out.append(ElementTree.tostring(clean, encoding="unicode"))
    return out, first_bars


def _parsed(page: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(page)
    except ElementTree.ParseError as error:
        raise UnreadableInput("this page of sheet music is no SVG", hint="was it written by another program?") from error


def _page(root: ElementTree.Element, key: str, numbers: Iterator[int], *, cut: bool) -> ElementTree.Element:
    """One svg element with everything in it; verovio nests two."""
    inner = next((child for child in root if _name(child) == "svg"), root)
    _, _, width, height = (round(float(word)) for word in inner.get("viewBox", "0 0 21000 29700").split())
    height = min(height, _lowest(inner) + _BELOW) if cut else height
    shapes = ElementTree.Element("g", _LOOK)
    for child in [*(child for child in root if _name(child) == "defs"), *inner]:
        shapes.extend(_cleaned(child, key, numbers))
    out = ElementTree.Element("svg", {"xmlns": SVG, "viewBox": f"0 0 {width} {height}", "class": "score-page"})
    out.append(shapes)
    return out


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _lowest(inner: ElementTree.Element) -> int:
    """The largest vertical coordinate of what is drawn, within the margin, and that margin."""
    margin = next((child for child in inner if child.get("class") == "page-margin"), None)
    if margin is None:
        return 10**6
    top = int(re.findall(r"-?\d+", margin.get("transform", "translate(0, 0)"))[1])
    found = [0]
    for element in margin.iter():
        words = f"{element.get('transform', '')} {element.get('d', '')} {element.get('points', '')}"
        found += [int(number) for match in _HEIGHTS.findall(words) for number in match if number and element is not margin]
        found.append(round(float(element.get("y", "0"))) if _name(element) == "text" else 0)
    return max(found) + top


def _cleaned(element: ElementTree.Element, key: str, numbers: Iterator[int]) -> Iterator[ElementTree.Element]:
    """`element` with what may stay of it; a group that says nothing is replaced by what is in it."""
    name, classes = _name(element), element.get("class", "").split()
    if name not in _ELEMENTS:
        return
    kept = {attribute: value for attribute, value in element.attrib.items() if attribute in _ATTRIBUTES and "url(" not in value.lower()}
    for word in classes:
        if word in _WORDS:
            kept.setdefault(*_WORDS[word])
    if _HIDDEN in classes:
        return
    box = None
    if "measure" in classes:
        kept |= {"class": "measure", "data-bar": str(next(numbers))}
        box = _box(element)
    if name == "text":
        kept |= {"stroke": "none"}
    if name == "use":
        target = element.get(_LINK) or element.get("href") or ""
        if not target.startswith("#"):
            return
        kept["href"] = f"#{key}-{target[1:]}"
    children = [child for one in element for child in _cleaned(one, key, numbers)]
    if name == "g" and element.get("id") and children and _is_glyph(element):
        kept["id"] = f"{key}-{element.get('id')}"
    if name == "g" and not kept:
        yield from children
        return
    if name in ("g", "defs") and not children:
        return
    out = ElementTree.Element(name, kept)
    out.text = element.text if name in ("text", "tspan") else None
    if box is not None:
        out.append(box)
    out.extend(children)
    yield out


def _is_glyph(group: ElementTree.Element) -> bool:
    """Whether `group` is the outline of a sign of the music font, which others refer to."""
    return re.match(r"[0-9A-F]{4,5}-", group.get("id", "")) is not None


def _box(measure: ElementTree.Element) -> ElementTree.Element | None:
    """The rectangle over the staves of a bar."""
    staves = [child for child in measure if "staff" in child.get("class", "").split()]
    lines = [_STAFF_LINE.fullmatch(path.get("d", "")) for staff in staves for path in staff if _name(path) == "path"]
    flat = [tuple(int(number) for number in line.groups()) for line in lines if line and line[2] == line[4]]
    if not flat:
        return None
    left, right = min(line[0] for line in flat), max(line[2] for line in flat)
    top, bottom = min(line[1] for line in flat) - _AROUND, max(line[1] for line in flat) + _AROUND
    size = {"x": str(left), "y": str(top), "width": str(right - left), "height": str(bottom - top)}
    return ElementTree.Element("rect", size | {"fill": "none", "stroke": "none", "pointer-events": "all"})
