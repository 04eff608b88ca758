"""Which files are MIDI files, by their names, and those that lie in a folder.

Takes paths; gives paths, in the order of their names, so that the same folder always gives the same list. It opens no file: whether
there is music in one is found out by `read`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
"""Of files that `read` may be able to read, in lower case."""


def files_in(path: Path, suffixes: Sequence[str] = MIDI_SUFFIXES) -> list[Path]:
    """The files in a folder, and in the folders in it, that end in one of `suffixes`; what is no folder is itself, whatever it is.

    Args:
        path: A folder, or a file that is named outright.
        suffixes: With their dots, in lower case; those of files may be of any case.
    """
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.rglob("*") if one.suffix.lower() in suffixes and one.is_file())
