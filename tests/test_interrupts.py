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


@pytest.mark.parametrize("others", [0, 1])
def test_it_arrives_at_the_end_whichever_thread_hears_it(others: int) -> None:
    lines = [
        "import os, signal, threading, time",
        "from kapelle import interrupts",
        "signal.signal(signal.SIGINT, signal.default_int_handler)",
        f"for _ in range({others}): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
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


def test_what_is_done_about_it_is_afterwards_what_it_was() -> None:
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGINT, hear)
    try:
        with interrupts.held_back(), interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            assert not heard
        assert heard == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is hear
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
    finally:
        signal.signal(signal.SIGINT, before)
