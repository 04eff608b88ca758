"""What holds for all tests."""

from __future__ import annotations

import signal

# Started in the background of a shell script, Python finds Ctrl-C ignored, and hands that on to every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
