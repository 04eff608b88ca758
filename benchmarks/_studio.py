"""A studio and a browser for the scripts that measure the page: begun for one block, and ended with it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def server(folder: Path, processes: int, servers: int = 1) -> Iterator[str]:
    """The address of a studio in `folder` that ends with the block, begun as `kapelle serve` begins it.

    Args:
        folder: Where its pieces are, and ``server.log``.
        processes: That compose.
        servers: Processes that answer.
    """
    command = [sys.executable, "-m", "kapelle", "serve", "--json", "--no-open", "--port", "0", "--folder", str(folder)]
    command += ["--processes", str(processes), "--servers", str(servers)]
    log = folder / "server.log"
    with log.open("wb") as out:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, stdin=subprocess.DEVNULL, text=True)
    try:
        assert running.stdout is not None
        told = running.stdout.readline()
        if not told:
            raise RuntimeError(f"the server does not answer: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        yield json.loads(told)["url"].rstrip("/")
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()


def chromium(playwright: Any, *options: str) -> Any:
    """The Chromium of this machine, launched."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *options])
    raise SystemExit("there is no Chromium")
