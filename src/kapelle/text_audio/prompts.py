"""The prompts that come with Kapelle: six by which text-to-audio models were once put side by side, and still can be.

They are data: `kapelle imagine --gallery` makes each with each model. A sound is named after its prompt, with underscores for spaces.
Prompts of one's own are read from a file, one on a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapelle.errors import Missing, StorageError, UnreadableInput, UsageError

if TYPE_CHECKING:
    from pathlib import Path

GALLERY = (
    "80s pop track with bassy drums and synth",
    "90s rock song with loud guitars and heavy drums",
    "Techno music with a strong, upbeat tempo and high melodic riffs",
    "Lo-fi funk",
    "Country instrumental",
    "An uplifting jazz song that makes your head shake",
)

GALLERY_MODELS = ("musicgen-large", "audioldm2-music", "stable-audio-open")
"""The models that the gallery compares unless others are named."""


MOST_PROMPTS = 1_000
MOST_BYTES = 1_000_000
COMMENT = "#"


def read(path: Path) -> tuple[list[str], int]:
    """The prompts in a file, in their order and each once, and how many stood there again.

    Args:
        path: A text in UTF-8, a prompt on a line; empty lines are passed over, and those that begin with ``#``.

    Raises:
        Missing: There is no such file.
        UnreadableInput: It is no text, or too long.
        UsageError: There are no prompts in it.
        StorageError: Reading is not allowed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise Missing("no file of prompts at {path}", path=path) from error
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=path, why=error.strerror or error) from error
    if len(data) > MOST_BYTES:
        raise UnreadableInput("{path} is longer than {limit:,} bytes: too long for a file of prompts", path=path, limit=MOST_BYTES)
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UnreadableInput("{path} is no text in UTF-8", path=path, hint="a file of prompts has one on each line") from error
    found = [line for line in lines if line and not line.startswith(COMMENT)]
    if not found:
        raise UsageError("there are no prompts in {path}", path=path, hint="a file of prompts has one on each line")
    if len(found) > MOST_PROMPTS:
        raise UnreadableInput("{path} holds {n:,} prompts; at most {limit:,} are made at once", path=path, n=len(found), limit=MOST_PROMPTS)
    once = list(dict.fromkeys(found))
    return once, len(found) - len(once)
