"""Where a verb speaks: its result on stdout, everything else on stderr, in one language, for people or for machines.

Takes tables and texts; prints. With ``--json`` the result is one JSON object on stdout, and so is an error. Bars and warnings go to
stderr, bars only if that is a terminal.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from kapelle.texts import Texts

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from kapelle.errors import KapelleError

PIPE_WIDTH = 400
"""Columns of a table that no terminal limits: lines are not broken for a program that reads them."""


MAX_HINT = 400


class Bar(Protocol):
    """A bar that can be moved."""

    def __call__(self, done: float, total: float, note: str = "", label: str = "") -> None:
        """Show so much of so much, with a note behind it, and from now on another label before it."""


@dataclass(frozen=True)
class Console:
    """Where a verb speaks.

    Args:
        texts: The language.
        as_json: One JSON object instead of text.
        debug: Show tracebacks.
        out: For the result.
        err: For the rest.
    """

    texts: Texts = field(default_factory=Texts)
    as_json: bool = False
    debug: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    def data(self, value: Any) -> None:
        """Print one JSON value as the result."""
        print(json.dumps(_finite(value), ensure_ascii=False, default=_plain, allow_nan=False), file=self.out, flush=True)

    def line(self, text: str = "") -> None:
        """Print a line of the result."""
        print(text, file=self.out, flush=True)

    def facts(self, facts: Mapping[str, object], indent: str = "  ") -> None:
        """Print labels (translated) and their values, one below the other; what is None or empty is left out."""
        shown = {self.texts(label): str(value) for label, value in facts.items() if value is not None and value != ""}
        width = max(map(len, shown), default=0)
        for label, value in shown.items():
            first, *more = value.split("\n")
            self.line(f"{indent}{label:<{width}}  {first}")
            for text in more:
                self.line(f"{indent}{'':<{width}}  {text}")

    def table(self, labels: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[str] = ()) -> None:
        """Print a table with translated labels; the columns named in `numbers` are aligned to the right."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for label in labels:
            table.add_column(self.texts(label), justify="right" if label in numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*("" if cell is None else str(cell) for cell in row))
        self._rich(self.out).print(table)

    def note(self, template: str, /, **values: object) -> None:
        """Print a line on stderr."""
        print(self.texts(template, **values), file=self.err, flush=True)

    def warn(self, template: str, /, **values: object) -> None:
        """Print a warning on stderr."""
        print(f"{self.texts('warning')}: {self.texts(template, **values)}", file=self.err, flush=True)

    def fail(self, error: KapelleError) -> int:
        """Print an error, and return its exit code."""
        message, hint = self.texts.error(error), self.texts.hint(error)
        if self.as_json:
            self.data({"error": message, "hint": hint, "exit_code": error.exit_code})
            return error.exit_code
        print(f"{self.texts('error')}: {_one_line(message)}", file=self.err)
        if hint:
            print(f"  {_shortened(_one_line(hint))}", file=self.err)
        return error.exit_code

    @contextmanager
    def bar(self, label: str) -> Iterator[Bar]:
        """A bar on stderr with time left, gone when it is done; nothing if stderr is no terminal."""
        if not self.err.isatty():
            yield lambda done, total, note="", label="": None
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self._rich(self.err), transient=True) as progress:
            task = progress.add_task(self.texts(label), total=None, note="")
            shown = label

            def move(done: float, total: float, note: str = "", label: str = "") -> None:
                nonlocal shown
                if label not in ("", shown):  # another piece of work: its time left is its own
                    shown = label
                    progress.reset(task, description=self.texts(label))
                progress.update(task, completed=done, total=total or None, note=note)  # a total of 0 is not known yet

            yield move

    def _rich(self, file: TextIO) -> RichConsole:
        from rich.console import Console as RichConsole

        width = None if file.isatty() else PIPE_WIDTH
        return RichConsole(file=file, width=width, highlight=False, markup=False, soft_wrap=False, no_color="NO_COLOR" in os.environ)


def _one_line(text: str) -> str:
    """A message without line breaks or control characters, whatever a file's name holds."""
    return "".join(char if char.isprintable() else " " for char in text)


def _shortened(text: str) -> str:
    """A list of all instruments helps nobody on a terminal: it is cut at a comma."""
    return text if len(text) <= MAX_HINT else text[:MAX_HINT].rpartition(", ")[0] + ", ..."


def _finite(value: Any) -> Any:
    """The same with null for what is no number: JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> object:
    """What `json` does not know: paths, and numbers of numpy."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")
