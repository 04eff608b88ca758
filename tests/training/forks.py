"""Training in a process of its own, forked so that it starts at once: to be killed, stopped, run in pairs."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

AVAILABLE = sys.platform == "linux"


def start(work: Callable[[], Any], result: Path, environment: dict[str, str] | None = None) -> BaseProcess:
    """Run `work` in a fork with one thread; what it returns, or the error, is written to `result` as JSON."""

    def child() -> None:
        import torch

        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, signal.default_int_handler if kind == signal.SIGINT else signal.SIG_DFL)
        torch.set_num_threads(1)
        os.environ.update(environment or {})
        try:
            told = {"returned": work()}
        except BaseException as error:
            told = {"error": type(error).__name__, "message": str(error)}
        result.write_text(json.dumps(told))

    result.unlink(missing_ok=True)
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    return process


def finish(process: BaseProcess, result: Path, timeout_s: float = 240) -> dict[str, Any]:
    """Wait for a fork and read what it wrote; nothing if it was killed."""
    process.join(timeout_s)
    if process.is_alive():
        process.kill()
        raise TimeoutError("a training process did not end")
    told: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else {}
    return told
