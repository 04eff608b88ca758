"""What a server of the studio is told before it starts: one frozen object, which goes to JSON and back so that other processes have it too.

It neither opens nor checks anything: `kapelle.cli.serve` and `kapelle.web.server` do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kapelle.score import limits

KIB, MIB = 1 << 10, 1 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class BodyLimits:
    """How much may be sent, and how slowly.

    Args:
        json_bytes: A request in JSON.
        midi_bytes: A MIDI file: as many as `kapelle.score.read` reads.
        sound_bytes: A sound to classify.
        seconds: Until a body of JSON is there.
        bytes_a_second: A large body may take longer: so many bytes a second at least.
    """

    json_bytes: int = 256 * KIB
    midi_bytes: int = limits.DEFAULT.bytes
    sound_bytes: int = 32 * MIB
    seconds: float = 15.0
    bytes_a_second: int = 64 * KIB


@dataclass(frozen=True)
class Settings:
    """One studio.

    Args:
        folder: Where pieces, uploads, jobs and the database are; the user's own place if left out.
        host: Address that is listened on.
        token: Who has it may come in; empty: everybody who reaches the port.
        allow_hosts: Names under which the page may be opened, beside those of this machine; ``*``: any.
        studies: Name -> folder of a static site of a study.
        queue: Jobs that may wait.
        rate: Requests a second that one client may make over a longer time; 0: no limit.
        helpers: Processes of each server for what is quick.
        listeners: Streams of events that one server keeps open.
        behind_proxy: Believe X-Forwarded-For and X-Forwarded-Proto.
        root_path: Below which a reverse proxy offers the page, such as ``/studio``.
        body: How much may be sent.
    """

    folder: Path | None = None
    host: str = "127.0.0.1"
    token: str = field(default="", repr=False)
    allow_hosts: tuple[str, ...] = ()
    studies: tuple[tuple[str, Path], ...] = ()
    queue: int = 256
    rate: float = 100.0
    helpers: int = 2
    listeners: int = 512
    behind_proxy: bool = False
    root_path: str = ""
    body: BodyLimits = BodyLimits()

    def to_json(self) -> str:
        """Itself as text; `from_json` gives it back."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """What `to_json` wrote."""
        table: dict[str, Any] = json.loads(text)
        table["folder"] = Path(table["folder"]) if table["folder"] else None
        table["allow_hosts"] = tuple(table["allow_hosts"])
        table["studies"] = tuple((name, Path(path)) for name, path in table["studies"])
        table["body"] = BodyLimits(**table["body"])
        return cls(**table)
