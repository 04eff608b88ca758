"""Processes that are started while Ctrl-C is held back do not die of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from kapelle import interrupts

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")


def test_what_is_started_inside_never_hears_of_it() -> None:
    with interrupts.held_back():
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    os.kill(child.pid, signal.SIGINT)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == 0


def test_it_arrives_at_the_end() -> None:
    lines = [
        "import os, signal",
        "from kapelle import interrupts",
        "signal.signal(signal.SIGINT, signal.default_int_handler)",
        "try:",
        "    with interrupts.held_back():",
        "        os.kill(os.getpid(), signal.SIGINT)",
        "        print('inside', end=' ')",
        "    print('too late')",
        "except KeyboardInterrupt:",
        "    print('arrived')",
    ]
    answer = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "inside arrived\n"
