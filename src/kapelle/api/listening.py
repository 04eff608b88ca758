"""Listening: pages on which people hear pieces, and what they answer.

Takes folders of studies, of pieces and files of answers; gives pages and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.errors import UsageError
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from kapelle.study.answers import Outcome
    from kapelle.study.blind import Asked, Blind


def listening_test(
    site: str | Path,
    out: str | Path,
    asked: Asked | None = None,
    *,
    key: str | Path | None = None,
    beside: str | Path | None = None,
    force: bool = False,
    progress: Report = quiet,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Blind, Path]:
    """A blind listening test of a study, and the file of its key.

    Args:
        site: Folder of a study.
        out: Folder for the page and its clips; it must be empty or not there.
        asked: How many pieces and pairs, drawn how.
        key: Where the key goes; beside `out` if left out, since who listens must not have it.
        beside: A folder of MIDI files that are tested among the others, as real music.
        force: Replace a page and a key that are there.
        progress: Called with (clips rendered, clips in all).
        cancelled: Asked before every clip.

    Raises:
        Missing: `site` is no folder of a study.
        UsageError: There are too few pieces, nothing to compare, or something is there already.
        Interrupted: `cancelled` said so.
    """
    from kapelle.score.write import write_bytes
    from kapelle.study import blind
    from kapelle.study.site import blind as pages

    out = Path(out)
    key = Path(key) if key is not None else out.with_name(f"{out.name}.key.json")
    if key.resolve().is_relative_to(out.resolve()):
        raise UsageError("the key {path} would lie with the page, where listeners find it", path=key, hint="--key elsewhere.json")
    if not force:
        for path in (key, out / "index.html"):
            if path.exists():
                raise UsageError("{path} exists already", path=path, hint="choose another name, or overwrite it with --force")
    for path in (out / blind.CLIPS).glob("*.ogg"):
        path.unlink()  # of another test: nobody should find more clips than there are pieces
    beside = Path(beside) if beside is not None else None
    made = blind.make(Path(site), out, asked or blind.Asked(), beside=beside, progress=progress, cancelled=cancelled)
    write_bytes(out / "index.html", pages.page(made).encode())
    blind.write_key(key, made)
    return made, key


def listening_answers(paths: Sequence[str | Path], keys: Sequence[str | Path], *, seed: int = 0) -> Outcome:
    """What the answers in some files come to: means with intervals, preferences, agreement.

    Args:
        paths: CSV files that listeners saved.
        keys: Of the tests that they answer.
        seed: Of the draws for the intervals.

    Raises:
        Missing: A file is not there.
        UnreadableInput: A file is damaged, or is none.
        UsageError: A key is missing, or there are no answers.
    """
    from kapelle.study import answers

    return answers.count([Path(path) for path in paths], [Path(key) for key in keys], seed)


def gallery(folder: str | Path) -> Path:
    """The page ``index.html`` of all pieces in a folder, the newest first, with their sounds and pictures.

    Args:
        folder: Holds MIDI files, and beside them sounds and pictures of the same names; made if it is not there.
    """
    from kapelle.score.write import write_bytes
    from kapelle.study.site.gallery import page

    path = Path(folder) / "index.html"
    write_bytes(path, page(Path(folder)).encode(errors="replace"))
    return path
