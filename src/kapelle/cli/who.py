"""Who does the work: the flags of every verb that does the same to many things."""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.cli.flags import option
from kapelle.workers import ENGINES, Workers


@dataclass(frozen=True, kw_only=True)
class WorkerFlags:
    """How many processes, and of what."""

    processes: int = option(1, help="how many processes do it", min=1, max=256)
    engine: str = option("local", help="processes of this machine, or of a Ray cluster", choices=ENGINES)

    @property
    def workers(self) -> Workers:
        """Those who do the work."""
        return Workers(self.processes, self.engine)
