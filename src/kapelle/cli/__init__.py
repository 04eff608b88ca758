"""The command line: ``kapelle VERB INPUT -o OUTPUT``. One file per verb; each parses, makes one call of the api, and prints.

This file is the border to the shell: it chooses the language, runs a verb, and turns whatever went wrong into one line with a hint
and an exit code. Nothing heavy is imported here.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kapelle.errors import (
    EXIT_DONE,
    Interrupted,
    KapelleError,
    Missing,
    NotEnoughMemory,
    StorageError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from kapelle.cli.console import Console

EXIT_BUG = 1

EXTRAS = {
    "train": ("torch", "transformers", "lightning", "safetensors", "onnx", "tensorboard"),
    "wandb": ("wandb",),
    "fluidsynth": ("fluidsynth",),
    "data": ("kagglehub",),
    "classify": ("catboost",),
    "distributed": ("ray",),
    "midi": ("rtmidi",),
    "audio": ("torch", "transformers", "diffusers", "torchsde", "safetensors", "huggingface_hub", "pyloudnorm"),
    "denoise": ("noisereduce",),
}
"""Extra -> packages that it brings."""

_DISK = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS, errno.ENAMETOOLONG, getattr(errno, "EDQUOT", errno.ENOSPC))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        argv: What follows the program's name; the process's own if left out.
    """
    from kapelle.cli.console import Console
    from kapelle.cli.language import language
    from kapelle.texts import Texts

    words = list(sys.argv[1:] if argv is None else argv)
    options = words[: words.index("--")] if "--" in words else words
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Windows code page may lack a letter
    debug = "--debug" in options or os.environ.get("KAPELLE_DEBUG", "") not in ("", "0")
    console = Console(as_json="--json" in options, debug=debug)
    try:
        console = Console(Texts(language(words, os.environ)), "--json" in options, debug)
        return _run(words, console)
    except BrokenPipeError:
        # whoever read us has seen enough; a second error while Python closes stdout is avoided by giving it nothing to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except BaseException as error:
        if debug and not isinstance(error, SystemExit):
            traceback.print_exception(error)
        known = _ours(error)
        if known is None:
            raise
        return console.fail(known)


def _run(words: list[str], console: Console) -> int:
    """Parse, then do the work outside of the parser, which would swallow interrupts."""
    from kapelle.cli.app import PROGRAM, group

    if words[:1] == ["--version"]:
        from kapelle import __version__

        console.line(f"{PROGRAM} {__version__}")
        return EXIT_DONE
    with _listening(console):
        call = group().main(words, prog_name=PROGRAM, standalone_mode=False, obj=console)
        if callable(call):
            call()
    sys.stdout.flush()
    return EXIT_DONE


class _Warnings(logging.Handler):
    """What the library logs, as warnings of a console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        self.console.warn("{why}", why=record.getMessage())


@contextmanager
def _listening(console: Console) -> Iterator[None]:
    """Show what the library logs, and take SIGTERM as Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    log, handler = logging.getLogger("kapelle"), _Warnings(console)
    log.addHandler(handler)
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if in_main_thread else None
    try:
        yield
    finally:
        log.removeHandler(handler)
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


def _ours(error: BaseException) -> KapelleError | None:
    """The error of our tree that tells what happened; None for what is not to be caught."""
    if isinstance(error, KapelleError):
        return error
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return Interrupted("interrupted; files that were finished are kept")
    if isinstance(error, MemoryError):
        return NotEnoughMemory("there is not enough memory", hint="close other programs, or ask for less at once")
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = next((extra for extra, names in EXTRAS.items() if error.name.partition(".")[0] in names), None)
        if extra:
            return Missing("{module} is not installed", module=error.name, extra=extra, hint="pip install 'kapelle[{extra}]'")
    if isinstance(error, OSError) and error.errno in _DISK:
        return StorageError(
            "cannot use {path}: {why}", path=error.filename, why=error.strerror, hint="choose a folder that you may write to"
        )
    if hasattr(error, "format_message"):
        return _usage_error(error)
    if isinstance(error, Exception):
        return _bug(error)
    return None


def _usage_error(error: Any) -> UsageError:
    """An error of the parser in our words."""
    command = error.ctx.command_path if getattr(error, "ctx", None) else "kapelle"
    kind, name = type(error).__name__, getattr(error, "option_name", "")
    if kind == "NoSuchOption":
        near = next(iter(getattr(error, "possibilities", None) or ()), "")
        hint = "did you mean {near}? `{command} --help` lists all" if near else "`{command} --help` lists all"
        return UsageError("there is no option {name}", name=name, near=near, command=command, hint=hint)
    if kind == "BadOptionUsage":
        return UsageError("option {name} needs a value", name=name, hint="`{command} --help` shows which", command=command)
    return UsageError("{why}", why=error.format_message(), hint="`{command} --help` shows what can be asked", command=command)


def _bug(error: Exception) -> KapelleError:
    return KapelleError(
        "this is a bug in Kapelle: {kind}: {why}", kind=type(error).__name__, why=error,
        hint="the same command with --debug shows where; please report it",
    )  # fmt: skip
