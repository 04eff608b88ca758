"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import sys

import pytest

# Started in the background of a shell script, Python finds Ctrl-C ignored, and hands that on to every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else what a test left of Ray starts a cluster, and ends this process with it


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread: networks as small as those of tests are several times faster so, above all on a machine that is busy."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
