"""Stand-ins for a machine with MIDI: a module that is called rtmidi, and a JACK server that makes no sound."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import types
from contextlib import contextmanager


class RtMidiError(Exception):
    """The root of errors of the stand-in, as of the real one."""


def pretend(monkeypatch, names=(), *, fails="", gone_after=None):
    """Put a module rtmidi in place whose outputs have these names; the list of what happens to them is given back."""
    log = []

    class MidiOut:
        def __init__(self, api, name=""):
            log.append(("made", api, name))
            if fails:
                raise RtMidiError(fails)
            self.sent = 0

        def get_ports(self):
            return list(names)

        def open_port(self, place, name):
            log.append(("opened", place, name))

        def open_virtual_port(self, name):
            log.append(("made port", name))

        def send_message(self, message):
            self.sent += 1
            if gone_after is not None and self.sent > gone_after:
                raise RtMidiError("the device was unplugged")
            log.append(("sent", bytes(message)))

        def close_port(self):
            log.append(("closed",))

        def delete(self):
            log.append(("deleted",))

    module = types.ModuleType("rtmidi")
    module.MidiOut, module.RtMidiError = MidiOut, RtMidiError
    module.API_UNSPECIFIED, module.API_UNIX_JACK = 0, 3
    monkeypatch.setitem(sys.modules, "rtmidi", module)
    return log


@contextmanager
def jack():
    """A JACK server without sound; None where there is no such program, or it does not start."""
    program = shutil.which("jackd")
    if program is None or shutil.which("jack_lsp") is None:
        yield None
        return
    words = [program, "-r", "-d", "dummy", "-r", "48000", "-p", "4096"]  # a long period: 85 ms
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 5
            while time.monotonic() < until and server.poll() is None:
                if subprocess.run(["jack_lsp"], capture_output=True, timeout=5).returncode == 0:
                    yield server
                    return
                time.sleep(0.1)
            yield None
        finally:
            server.terminate()
            server.wait(timeout=5)
