"""The diagrams of the documentation, drawn anew: `docs/pictures/NAME.png` from the functions of the files `_diagrams_*.py`.

    python benchmarks/diagrams.py [NAME ...] [--into docs/pictures] [--list]

Takes no data and no network. A file `_diagrams_*.py` beside this one has a table ``DIAGRAMS`` of names and functions; each function
gives something with ``save(path)``: a `_diagram.Diagram`, which refuses to be saved while a text leaves its box, or a plot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol

BENCHMARKS = Path(__file__).parent
PICTURES = BENCHMARKS.parent / "docs" / "pictures"


class Picture(Protocol):
    """What can be written as a PNG file."""

    def save(self, path: Path) -> None: ...


def diagrams() -> dict[str, Callable[[], Picture]]:
    """Every diagram there is, by its name."""
    found: dict[str, Callable[[], Picture]] = {}
    for path in sorted(BENCHMARKS.glob("_diagrams_*.py")):
        found |= import_module(path.stem).DIAGRAMS
    return found


def main() -> int:
    every = diagrams()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="those alone; all, if none is named")
    parser.add_argument("--into", type=Path, default=PICTURES)
    parser.add_argument("--list", action="store_true", help="print the names")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(every)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(every)}")
    for name in options.names or every:
        if options.list:
            print(name)
            continue
        path = options.into / f"{name}.png"
        every[name]().save(path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
