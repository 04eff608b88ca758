"""How late notes leave for a MIDI port: a file, music that is being composed, and mido's player on the same file in the same run.

    python benchmarks/live_jitter.py [--json] [--rounds 3] [--seconds 20]

The port is in memory: what is measured is the clock, the queue and the work beside it, not a driver. A message is late by the time between
the moment at which it was to leave and the moment at which it had left. While composing: the notes that sound while a piece of 128 bars is
being composed by the default model, until it is done. mido's player (`MidiFile.play`) sleeps from message to message; its messages are
late by what they are behind the sum of all times before them. Percentiles are over the messages of all rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import mido
import numpy as np
import symusic
from numpy.typing import NDArray

from kapelle import api
from kapelle.composing.piece import Piece
from kapelle.ports.port import MemoryPort
from kapelle.ports.sender import Sender
from kapelle.score import write

GOAL_MS = 5.0
"""A delay of 5 ms is that of a loudspeaker 1.7 m further away; nobody hears it."""


class Composed(Exception):
    """The piece is done: what is late afterwards is another figure."""


def file_of(seconds: int) -> bytes:
    """Sixteenths at 120 bpm on four instruments, eight notes at once."""
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm=120.0))
    for program in (0, 25, 33, 48):
        track = symusic.Track(f"{program}", program)
        for step in range(seconds * 8):
            track.notes.extend([symusic.Note(step * 120, 110, 40 + (step * 7 + program) % 40 + 12 * high, 80) for high in (0, 1)])
        score.tracks.append(track)
    return write.to_bytes(score)


def ours(data: bytes) -> list[float]:
    """Seconds late of every message of a file."""
    late: list[float] = []
    with kept(late):
        api.play(data, MemoryPort(now=time.perf_counter))
    return late


def composing(seed: int) -> list[float]:
    """Seconds late of every message that is sent while a long piece is composed."""
    late: list[float] = []

    def end(piece: Piece) -> None:
        raise Composed

    wish = api.request(seed=seed, length=api.length_of(bars=128), options={"tempo": 180})
    with suppress(Composed), kept(late):
        api.live(wish, MemoryPort(now=time.perf_counter), each=end)
    return late


@contextmanager
def kept(late: list[float]) -> Iterator[None]:
    """Inside, what a sender measured is kept when it ends."""
    leave = Sender.__exit__

    def keep(sender: Sender, *error: Any) -> None:
        late.extend(sender.late_s)
        leave(sender, *error)

    Sender.__exit__ = keep  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Sender.__exit__ = leave  # type: ignore[method-assign]


def peer(data: bytes) -> list[float]:
    """Seconds late of every message of mido's player."""
    late, due = [], 0.0
    began = time.perf_counter()
    for message in mido.MidiFile(file=io.BytesIO(data)).play():
        due += message.time
        late.append(max(0.0, time.perf_counter() - began - due))
    return late


def figures(late_s: list[float]) -> dict[str, float]:
    """Milliseconds."""
    late: NDArray[np.float64] = 1000 * np.array(late_s)
    return {
        "messages": len(late),
        "median": float(np.median(late)),
        "p95": float(np.percentile(late, 95)),
        "p99": float(np.percentile(late, 99)),
        "latest": float(late.max()),
    }


def measure(rounds: int, seconds: int) -> dict[str, Any]:
    """Each round measures all three, one after the other."""
    data, late = file_of(seconds), {"a file": [], "while composing": [], "mido, the same file": []}
    for number in range(rounds):
        late["a file"] += ours(data)
        late["while composing"] += composing(number)
        late["mido, the same file"] += peer(data)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {name: figures(values) for name, values in late.items()}
    ratio = found["mido, the same file"]["p99"] / max(found["a file"]["p99"], 1e-6)
    return {"goal_ms": GOAL_MS, "seconds": seconds, "rounds": rounds, "load": load, "late_ms": found, "ratio": ratio}


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20)
    asked = parser.parse_args()
    found = measure(asked.rounds, asked.seconds)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    for name, row in found["late_ms"].items():
        print(
            f"{name:>22}: " + ", ".join(f"{key} {value:g}" if key == "messages" else f"{key} {value:.2f} ms" for key, value in row.items())
        )
    print(f"the 99th percentile of mido is {found['ratio']:.1f} times ours; goal: ours at most {GOAL_MS:g} ms")


if __name__ == "__main__":
    main()
