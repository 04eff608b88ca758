"""``kapelle play``: a MIDI file into a MIDI port."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli import port as ports
from kapelle.cli.flags import argument, group, option
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path | None = argument(None, help="MIDI file to play", metavar="FILE.mid")
    to: ports.PortFlags = group(ports.PortFlags, "Port")
    from_: int = option(1, help="the bar to begin with", min=1, metavar="BAR")
    loop: bool = option(False, help="play on and on, until Ctrl-C")
    panic: bool = option(False, help="end every sound at the port and do nothing else")


def run(arguments: Arguments, console: Console) -> None:
    """Open, play, tell."""
    from kapelle import api

    flags = arguments.to
    if flags.list_:
        ports.listed(console)
    elif arguments.panic:
        console.line(api.panic(flags.port))
    elif arguments.source is None:
        raise UsageError("{name} is missing: {why}", name="FILE.mid", why="MIDI file to play", hint="see {name} in --help")
    else:
        api.midi_bytes(arguments.source)  # before a port is made for it
        manner = api.Manner(arguments.from_, arguments.loop, flags.clock)
        with ports.opened(flags, console) as port, ports.watched(console) as told:
            played = api.play(arguments.source, port, manner, told=told)
        ports.show(played, console, file=arguments.source)
