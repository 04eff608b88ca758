"""Every error that Kapelle raises on purpose, and the exit code that the command line gives it.

::

    KapelleError                 1   a bug if it is ever seen bare
    ├── UsageError               2   what was asked contradicts itself or is out of range
    │   ├── UnknownName          2   no such genre, model, option, instrument ...: lists the known ones
    │   ├── CannotObey           2   the model has no means to do what was asked
    │   └── RecipeError          2   a recipe key is unknown, missing or of the wrong type
    ├── UnreadableInput          3   a file was found and is not what it should be
    │   ├── MidiError            3   bytes that are no MIDI file, or one beyond the limits
    │   ├── BundleError          3   a bundle that is damaged or not a bundle
    │   ├── ShardError           3   a data folder that is damaged or not one
    │   └── CheckpointError      3   a checkpoint that is damaged or belongs to something else
    ├── Missing                  4   a program, an extra, a bundle or a file is not there
    ├── NetworkError             5   a download failed
    ├── StorageError             6   disk full, or no permission
    ├── NotEnoughMemory          7   would not fit
    └── Interrupted            130   Ctrl-C or SIGTERM; what was made so far is kept

A message is a template and its values, kept apart, so that the command line can show it in another language:
``UsageError("bars must be 1 to {limit}, not {bars}", bars=0, limit=512, hint="choose a length in range")``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0


class KapelleError(Exception):
    """Base of the tree. ``str(error)`` is the English message; `hint` says what to do next.

    Args:
        template: The message, with ``{name}`` fields for the values.
        hint: A second template on the same values: what the reader can do now. Empty when there is nothing to add.
        values: The things that the message names.
    """

    exit_code = 1

    def __init__(self, template: str, /, *, hint: str = "", **values: object) -> None:
        self.template = template
        self.hint_template = hint
        self.values = values
        super().__init__(template.format(**values))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by parts, so that an error crosses a process border whole."""
        return _rebuild, (type(self), self.template, self.hint_template, self.values)

    @property
    def hint(self) -> str:
        """What to do next, in English; empty if the message says all."""
        return self.hint_template.format(**self.values)


def _rebuild(kind: type[KapelleError], template: str, hint: str, values: dict[str, object]) -> KapelleError:
    error = kind.__new__(kind)
    KapelleError.__init__(error, template, hint=hint, **values)
    return error


class UsageError(KapelleError):
    """What was asked contradicts itself or is out of range."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not in its table; the message lists the names that are.

    Args:
        what: The kind of thing, in the singular: ``"genre"``.
        name: What was asked for.
        known: The names that exist.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = difflib.get_close_matches(name, names, n=1)
        hint = "did you mean {near}? known: {known}" if near else "known: {known}"
        super().__init__(
            "unknown {what} {name!r}", hint=hint, what=what, name=name, near=near[0] if near else "", known=", ".join(names) or "(none)"
        )


class CannotObey(UsageError):
    """The model has no means to do what was asked; the hint names what has."""


class RecipeError(UsageError):
    """A recipe key is unknown, missing or of the wrong type."""


class UnreadableInput(KapelleError):
    """A file was found and is not what it should be."""

    exit_code = 3


class MidiError(UnreadableInput):
    """Bytes that are no MIDI file, or one beyond the limits."""


class BundleError(UnreadableInput):
    """A bundle that is damaged, or a folder that is none."""


class ShardError(UnreadableInput):
    """A folder of token shards that is damaged or is none."""


class CheckpointError(UnreadableInput):
    """A checkpoint that is damaged, or belongs to another recipe."""


class Missing(KapelleError):
    """A program, an extra, a bundle or a file is not there; the hint says how to get it."""

    exit_code = 4


class NetworkError(KapelleError):
    """A download failed."""

    exit_code = 5


class StorageError(KapelleError):
    """The disk is full, or writing is not allowed there."""

    exit_code = 6


class NotEnoughMemory(KapelleError):
    """The work would not fit into memory."""

    exit_code = 7


class Interrupted(KapelleError):
    """Stopped by Ctrl-C or SIGTERM; the message says what was kept."""

    exit_code = 130
