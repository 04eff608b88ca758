"""Pictures as files: which formats there are, and writing one that is drawn as SVG."""

from __future__ import annotations

from pathlib import Path

from kapelle.engraving.canvas import to_png
from kapelle.errors import UnknownName
from kapelle.score.write import write_bytes

SUFFIXES = (".svg", ".png")


def check_suffix(path: Path) -> str:
    """The suffix of a picture, in small letters; cheap, to be called before long work.

    Raises:
        UnknownName: It is neither .svg nor .png.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UnknownName("picture format", path.suffix or path.name, SUFFIXES)
    return path.suffix.lower()


def write(path: Path, svg: str, *, scale: float = 2.0) -> Path:
    """`path`, after writing a picture there; its suffix chooses the format. An existing file is replaced.

    Args:
        path: Where to.
        svg: The picture.
        scale: Dots to a pixel, of a PNG.

    Raises:
        UnknownName: The suffix is neither .svg nor .png.
        StorageError: The disk is full, or writing is not allowed there.
    """
    write_bytes(path, to_png(svg, scale=scale) if check_suffix(path) == ".png" else svg.encode())
    return path
