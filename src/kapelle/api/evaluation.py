"""Evaluating: folders of generated pieces against a folder of real ones.

Takes folders or files; gives an `Evaluation`, and writes reports: a page, Markdown or JSON, by suffix.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.errors import Missing, UsageError
from kapelle.judging.evaluate import Stage, Work
from kapelle.judging.evaluate import evaluate as run
from kapelle.judging.evaluation import Evaluation, Options
from kapelle.score.folders import files_in
from kapelle.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

REPORTS = (".html", ".md", ".json")

Folder = str | Path


def evaluate(
    made: Folder | Sequence[Folder] | Mapping[str, Folder | Sequence[Folder]],
    reference: Folder | Sequence[Folder],
    out: Folder | Sequence[Folder] = (),
    *,
    options: Options | None = None,
    by: Workers | None = None,
    force: bool = False,
    progress: Stage = lambda stage, done, total: None,
) -> Evaluation:
    """What generated pieces have and lack beside real ones, real music beside real music, and baselines.

    What was measured is kept in a file beside the first report until that is written: the same call goes on where it was interrupted.

    Args:
        made: A folder of MIDI files, several of them (each a row of the table), or names and their folders.
        reference: Folders of MIDI files that no model learned from.
        out: Reports to write: .html, .md or .json.
        options: Length, seed, embedding, language model ...
        by: Processes.
        force: Replace reports that are there.
        progress: Called with (what is being done, done, in all).

    Raises:
        UsageError: A folder holds no MIDI file, or a report has another suffix or is there already.
        Missing: There is no such folder, or a bundle that is asked for is not installed.
    """
    reports = [Path(path) for path in _list(out)]
    for path in reports:
        if path.suffix.lower() not in REPORTS:
            raise UsageError("{path} must end in {suffixes}", path=path, suffixes=", ".join(REPORTS))
        if path.exists() and not force:
            raise UsageError("{path} is there already", path=path, hint="name another one, or replace it with --force")
    sets = made if isinstance(made, Mapping) else _named([Path(folder) for folder in _list(made)])
    files = {name: midi_files(_list(folders)) for name, folders in sets.items()}
    kept = reports[0].with_name(f".{reports[0].name}.partial") if reports else None
    found = run(files, midi_files(_list(reference)), options, Work(by or Workers(), kept, progress))
    for path in reports:
        write_report(found, path)
    if kept is not None:
        kept.unlink(missing_ok=True)
    return found


def write_report(found: Evaluation, path: Path) -> Path:
    """`path`, after writing a report into it, in the format of its suffix; what is there is replaced."""
    from kapelle.judging import report, report_page
    from kapelle.score.write import write_bytes

    writers: dict[str, Callable[[], str]] = {
        ".html": lambda: report_page.page_of(found),
        ".md": lambda: report.markdown(found),
        ".json": lambda: json.dumps(found.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    write_bytes(path, writers[path.suffix.lower()]().encode())
    return path


def midi_files(folders: Iterable[Folder]) -> list[Path]:
    """The MIDI files in folders and the folders in them, by suffix; a file is itself. Each once, by path.

    Raises:
        Missing: There is no such folder or file.
        UsageError: One of them holds no MIDI file.
    """
    found: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.exists():
            raise Missing("there is no {path}", path=folder)
        some = files_in(folder)
        if not some:
            raise UsageError("there are no MIDI files in {name}", name=folder, hint="a MIDI file ends in .mid, .midi, .kar or .rmi")
        found |= dict.fromkeys(some)
    return list(found)


def _named(folders: Sequence[Path]) -> dict[str, list[Folder]]:
    """Folders by their names, or by their paths where two have one name."""
    names = [path.resolve().name for path in folders]
    return {str(path) if names.count(name) > 1 else name: [path] for name, path in zip(names, folders, strict=True)}


def _list(given: Folder | Sequence[Folder]) -> list[Folder]:
    return [given] if isinstance(given, str | Path) else list(given)
