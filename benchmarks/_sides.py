"""Sides that are timed against each other: every side in every round is a process of its own, so that none warms or crowds the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

Figures = dict[str, float]


def rounds(
    script: str, sides: Iterable[str], place: Path, n_rounds: int, n_tokens: int, threads: int, shape: str
) -> dict[str, list[Figures]]:
    """What `script` printed, as JSON in its last line, for every side in every round; the sides take turns.

    Args:
        script: The benchmark itself; it takes the flags below and then does one side alone.
        sides: Their names.
        place: Folder with what they all read.
        n_rounds: Rounds.
        n_tokens: Tokens that each makes.
        threads: Of each.
        shape: Of the network.
    """
    made: dict[str, list[Figures]] = {side: [] for side in sides}
    common = {"--place": place, "--tokens": n_tokens, "--threads": threads, "--shape": shape}
    flags = [str(word) for pair in common.items() for word in pair]
    for _ in range(n_rounds):
        for side, results in made.items():
            command = [sys.executable, script, "--side", side, *flags]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            results.append(json.loads(answer.stdout.splitlines()[-1]))
    return made


def timed(run: Callable[[int], object], n: int, warm_up: int = 20) -> Figures:
    """Tokens per second, by the clock and by CPU seconds, of `n` tokens after a short warm-up."""
    run(warm_up)
    wall, cpu = time.perf_counter(), time.process_time()
    run(n)
    return {"per_s": n / (time.perf_counter() - wall), "per_cpu_s": n / (time.process_time() - cpu)}
