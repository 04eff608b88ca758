"""The MIDI ports of the machine, by python-rtmidi: the one door to it.

Takes names; gives ports that are open. On Linux they are those of ALSA's sequencer, or of JACK where that alone is there; on macOS of
CoreMIDI, on Windows of the system. Where a port of a name is missing, Linux and macOS let one be made, to which a DAW then connects;
Windows does not. It opens outputs only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from kapelle.errors import Missing, UsageError

CLIENT = "Kapelle"
"""What this program is called among those that have ports, and the name of a port that is made without one."""

ALSA = Path("/dev/snd/seq")

_TURN = Lock()


class SystemPort:
    """An output that is open.

    Args:
        out: Of python-rtmidi, open.
        name: What it is called.
        virtual: It was made, not found.
    """

    def __init__(self, out: Any, name: str, virtual: bool) -> None:
        self._out = out
        self.name = name
        self.virtual = virtual

    def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            Missing: The port is gone.
        """
        if self._out is None:
            raise Missing("the MIDI port {name} is closed", name=self.name)
        with _ours(self.name):
            self._out.send_message(message)

    def close(self) -> None:
        """Give the port back to the system; python-rtmidi waits until what was sent is through."""
        out, self._out = self._out, None
        if out is not None:
            out.close_port()
            out.delete()


def names() -> list[str]:
    """The outputs that are there, as the system calls them.

    Raises:
        Missing: python-rtmidi is not installed, or the machine has no MIDI.
    """
    out = _output()
    try:
        return list(map(str, out.get_ports()))
    finally:
        out.delete()


def can_make() -> bool:
    """Whether ports can be made here."""
    return sys.platform != "win32"


def open_port(name: str = "", *, virtual: bool = False) -> SystemPort:
    """The output of a name, open; one that is made where there is none, if the system can.

    Args:
        name: Of the port, or a part of it; case does not matter.
        virtual: Make one of this name in any case; "Kapelle" if the name is empty.

    Raises:
        UsageError: No name is given, or several ports have it.
        Missing: There is no such port and none can be made; python-rtmidi is not installed; or the machine has no MIDI.
    """
    if not name and not virtual:
        raise UsageError("no MIDI port is named", hint="name one: {names}", names=_listed(names()))
    if virtual and not can_make():
        raise Missing("Windows lets no program make a MIDI port", hint="make one with loopMIDI, and name it here")
    out = _output()
    try:
        place = None if virtual else find(name, list(map(str, out.get_ports())))
        called = name or CLIENT if place is None else str(out.get_ports()[place])
        with _ours(called):
            if place is None:
                out.open_virtual_port(called)
            else:
                out.open_port(place, CLIENT)
    except BaseException:
        out.delete()
        raise
    return SystemPort(out, called, place is None)


def find(name: str, there: list[str]) -> int | None:
    """The place of the port of a name among those that are there; None if there is none, and one can be made.

    A port that is called just so comes before those that have the name in theirs.

    Raises:
        UsageError: Several have it.
        Missing: None has it, and none can be made.
    """
    asked = name.casefold()
    exact = [place for place, one in enumerate(there) if one.casefold() == asked]
    found = exact or [place for place, one in enumerate(there) if asked in one.casefold()]
    if len(found) > 1:
        raise UsageError(
            "{n} MIDI ports have {name!r} in their names", n=len(found), name=name, hint="say which: {names}",
            names=_listed([there[place] for place in found]),
        )  # fmt: skip
    if not found and not can_make():
        hint = "there are: {names}; loopMIDI makes new ones"
        raise Missing("there is no MIDI port {name!r}", name=name, hint=hint, names=_listed(there))
    return found[0] if found else None


def _listed(there: list[str]) -> str:
    return ", ".join(there) or "(none)"


def _output() -> Any:
    """An output of python-rtmidi that is not open yet."""
    try:
        import rtmidi
    except ImportError as error:
        raise Missing("{module} is not installed", module="python-rtmidi", extra="midi", hint="pip install 'kapelle[{extra}]'") from error
    asked = rtmidi.API_UNSPECIFIED
    if sys.platform == "linux" and not ALSA.exists():
        asked = rtmidi.API_UNIX_JACK
    try:
        with _quiet(asked == rtmidi.API_UNIX_JACK):
            return rtmidi.MidiOut(asked, name=CLIENT)
    except (rtmidi.RtMidiError, OSError) as error:
        if sys.platform == "linux":
            hint = "`sudo modprobe snd-seq` brings ALSA's sequencer, and a JACK server does too; a container needs --device /dev/snd"
            why = "neither ALSA's sequencer nor a JACK server is running"
            raise Missing("there is no MIDI here: {why}", why=why, hint=hint) from error
        raise Missing("there is no MIDI here: {why}", why=error, hint="look whether the system's own MIDI settings open") from error


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Nothing on stderr: JACK's library tells there, past Python, that no server runs. One thread after the other: it is one for all."""
    if not wanted:
        yield
        return
    with _TURN:
        kept = os.dup(2)
        try:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def _ours(name: str) -> Iterator[None]:
    """Errors of python-rtmidi as ours."""
    import rtmidi

    try:
        yield
    except (rtmidi.RtMidiError, NotImplementedError, OSError) as error:
        hint = "see that no other program holds it and that it is still connected"
        raise Missing("the MIDI port {name} does not answer: {why}", name=name, why=error, hint=hint) from error
