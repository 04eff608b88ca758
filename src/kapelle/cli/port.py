"""What verbs that play into a MIDI port share: the flags, the line that says where the music is, and what is said at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.cli.flags import option

if TYPE_CHECKING:
    from kapelle.api.playing import Moment, Played, Told
    from kapelle.cli.console import Console
    from kapelle.ports.port import Port


@dataclass(frozen=True, kw_only=True)
class PortFlags:
    """Where to."""

    port: str = option("", help="MIDI port to play into, or a part of its name; made where there is none", short="-p", metavar="NAME")
    virtual: bool = option(False, help="make a port of that name in any case, for a DAW to listen to")
    wait: float | None = option(None, help="seconds to wait before the first note", min=0, max=3600)
    clock: bool = option(False, help="send MIDI clock, start and stop too, so that a DAW or drum machine runs along")
    list_: bool = option(False, help="list the MIDI ports and do nothing else")


def listed(console: Console) -> None:
    """Print the ports that are there."""
    from kapelle import api

    names = api.ports()
    if console.as_json:
        console.data({"ports": names})
        return
    for name in names:
        console.line(name)
    if not names:
        console.note("there are no MIDI ports; --virtual makes one, except on Windows, where loopMIDI does")


@contextmanager
def opened(flags: PortFlags, console: Console) -> Iterator[Port]:
    """The port of the flags, once somebody had time to connect to it."""
    from kapelle import api

    with closing(api.open_port(flags.port, virtual=flags.virtual)) as port:
        if port.virtual:
            console.note("made the MIDI port {name}: choose it as an input in your DAW", name=port.name)
        if flags.wait is not None:
            from kapelle.ports.sender import SystemTimer

            timer = SystemTimer()
            timer.wait(timer.now() + flags.wait)
        elif port.virtual and sys.stdin.isatty() and console.err.isatty():
            console.note("press Enter when it is connected")
            sys.stdin.readline()
        yield port


@contextmanager
def watched(console: Console) -> Iterator[Told]:
    """What shows where the music is."""
    with console.bar("playing") as bar:

        def told(moment: Moment) -> None:
            if not moment.n_bars:
                bar(0, 0, console.texts("composing"))
                return
            minutes, seconds = divmod(int(moment.seconds), 60)
            note = console.texts("bar {bar} of {n_bars}, {time}", bar=moment.bar + 1, n_bars=moment.n_bars, time=f"{minutes}:{seconds:02}")
            if moment.state != "playing":
                note += ", " + console.texts("waiting for notes" if moment.state == "waiting" else "beginning anew")
            bar(moment.seconds, moment.duration_s, note)

        yield told


def show(played: Played, console: Console, **more: object) -> None:
    """Print what was played; `more` is for machines."""
    if console.as_json:
        console.data({**played.as_dict(), **more})
        return
    console.line(
        console.texts(
            "{notes} notes to {port} in {seconds} s; half of them at most {median} ms late, the latest {latest} ms",
            notes=played.notes,
            port=played.port,
            seconds=f"{played.seconds:.1f}",
            median=f"{1000 * played.late.median_s:.1f}",
            latest=f"{1000 * played.late.latest_s:.1f}",
        )
    )
    if played.shared:
        console.warn("there are 15 channels for instruments: some share one, with a program change between them")
    if played.waited_s > 0:
        console.warn("composing fell behind: the music waited {seconds} s; --lead gives it more time", seconds=f"{played.waited_s:.1f}")
    if played.restarts:
        console.note("a piece was given up while it sounded, and begun anew; how often: {n}", n=played.restarts)
