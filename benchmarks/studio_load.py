"""The studio under load: many users at once compose, listen and take away, on a server of this machine that runs for this alone.

    python benchmarks/studio_load.py [--users 32] [--seconds 60] [--processes 2] [--servers 1] [--json PATH] [--url URL]

Every user does this again and again until the time is over: asks for 4 to 8 bars by the default model with a seed of their own, follows the
events to the end, fetches the sound of each program of the first chunk as soon as it is told, then the piece's notes, its MIDI file and a
chunk of its sound. A server that says 503 or 429 is obeyed: the user waits as long as Retry-After says. Then what is under way is
awaited, and the server is asked what became of every job that it accepted: each must be done, and the library must hold each piece once.
Before, one user composes one piece, so that all processes have begun. Times are by the clock of the user; server, composing processes and
users share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import secrets
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from _studio import server

GOALS = {"lost": 0, "post_p95_s": 0.5}
PATIENCE_S = 180.0
"""How long what is under way at the end may take."""
TRUST = ssl.create_default_context()
"""Made once: for each user it would be the work of 20 ms, while the others wait."""

MIDI, FLAC = b"MThd", b"fLaC"


@dataclass
class Found:
    """What the users saw."""

    post_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    notes_s: list[float] = field(default_factory=list)
    sound_s: list[float] = field(default_factory=list)
    done_s: list[float] = field(default_factory=list)
    fetch_s: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    reconnects: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def fault(self, what: str) -> None:
        """Something that must not be."""
        self.faults[what] += 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=2, help="that compose")
    parser.add_argument("--servers", type=int, default=1, help="processes that answer")
    parser.add_argument("--url", default="", help="a server that runs already, in place of one begun for this")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.url:
        found = asyncio.run(load(options.url, options.users, options.seconds))
    else:
        with tempfile.TemporaryDirectory() as folder, server(Path(folder), options.processes, options.servers) as url:
            found = asyncio.run(load(url, options.users, options.seconds))
    found |= {"processes": options.processes, "servers": options.servers, "cores": os.cpu_count(), "machine": platform.machine()}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return 0 if kept(found) else 1


def kept(found: dict[str, Any]) -> bool:
    """Whether the promises were kept."""
    return not (found["lost"] or found["doubled"] or found["faults"]) and found["post_s"]["p95"] < GOALS["post_p95_s"]


async def load(url: str, users: int, seconds: float, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """So many users for so long; the figures."""
    await _user(url, users, time.monotonic() + 0.001, Found())
    held = await _n_pieces(url)
    found = Found()
    began = time.monotonic()
    end = began + seconds
    tasks = [asyncio.create_task(_user(url, number, end, found)) for number in range(users)]
    _, late = await asyncio.wait(tasks, timeout=seconds + patience_s)
    for task in late:
        task.cancel()
        found.fault("a user still waits at the end of all patience")
    for problem in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(problem, Exception):
            found.fault(f"{type(problem).__name__}: {problem}"[:200])
    took = time.monotonic() - began
    states = await _aftermath(url, found)
    pieces = await _n_pieces(url) - held
    return {
        "users": users,
        "seconds": seconds,
        "took_s": round(took, 1),
        "accepted": len(found.accepted),
        "done": states["done"],
        "lost": len(found.accepted) - states["done"],
        "pieces": pieces,
        "doubled": max(0, pieces - states["done"]),
        "jobs_a_minute": round(60 * states["done"] / took, 1),
        "answers_to_post": {str(code): n for code, n in sorted(found.answers.items())},
        "reconnects": found.reconnects,
        "post_s": _spread(found.post_s),
        "refusal_s": _spread(found.refused_s),
        "first_notes_s": _spread(found.notes_s),
        "first_sound_s": _spread(found.sound_s),
        "done_s": _spread(found.done_s),
        "fetch_s": _spread(found.fetch_s),
        "faults": dict(found.faults),
        "goals": GOALS,
    }


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {"n": 0, "p50": 0.0, "p95": 0.0, "max": 0.0}
    cut = statistics.quantiles(values, n=20, method="inclusive") if len(values) > 1 else [values[0]] * 19
    return {"n": len(values), "p50": round(cut[9], 4), "p95": round(cut[18], 4), "max": round(max(values), 4)}


async def _user(url: str, number: int, end: float, found: Found) -> None:
    draw = random.Random(number)
    async with httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(30, read=60), verify=TRUST) as client:
        turn = 0
        while time.monotonic() < end:
            body = {"length": {"amount": draw.randint(4, 8), "unit": "bars"}, "seed": number * 1_000_000 + turn}
            began = time.monotonic()
            job = await _ask(client, body, end, found)
            if job is None:
                return
            found.accepted.append(job)
            name, pieces = await _follow(client, job, began, found)
            found.ended[name] += 1
            if name == "done":
                found.done_s.append(time.monotonic() - began)
                for piece in pieces:
                    await _take(client, piece, found)
            turn += 1


async def _ask(client: httpx.AsyncClient, body: dict[str, Any], end: float, found: Found) -> str | None:
    """The id of the job, asked for until it is accepted; None once the time is over."""
    key = secrets.token_hex(8)
    while True:
        began = time.perf_counter()
        answer = await client.post("/api/compose", json=body, headers={"Idempotency-Key": key})
        took = time.perf_counter() - began
        found.answers[answer.status_code] += 1
        if answer.status_code == 202:
            found.post_s.append(took)
            return str(answer.json()["id"])
        if answer.status_code not in (429, 503):
            found.fault(f"POST answered {answer.status_code}: {answer.text[:100]}")
            return None
        found.refused_s.append(took)
        wait = answer.headers.get("Retry-After", "")
        if not wait.isdigit() or not answer.json().get("error", {}).get("message"):
            found.fault(f"{answer.status_code} without Retry-After or message")
            return None
        await asyncio.sleep(float(wait))
        if time.monotonic() >= end:
            return None


async def _follow(client: httpx.AsyncClient, job: str, began: float, found: Found) -> tuple[str, list[str]]:
    """How the job ended, and its pieces. A connection that ends before is made again from the last event on."""
    last, heard, noted = "", False, False
    for _ in range(20):
        try:
            async for number, name, data in _events(client, job, last):
                last = number or last
                if name == "notes" and not noted:
                    noted = True
                    found.notes_s.append(time.monotonic() - began)
                elif name == "sound" and data["chunk"] == 0 and not heard:
                    heard = True
                    for program in data["programs"]:
                        await _expect(client, f"/api/jobs/{job}/sound/{data['number']}/0/{program}.flac", FLAC, found)
                    found.sound_s.append(time.monotonic() - began)
                elif name in ("done", "failed", "cancelled"):
                    if name == "failed":
                        found.fault(f"failed: {json.dumps(data)[:200]}")
                    return name, list(data.get("pieces", []))
        except httpx.TransportError:
            await asyncio.sleep(0.2)
        found.reconnects += 1
    found.fault("events ended before their end")
    return "lost", []


async def _events(client: httpx.AsyncClient, job: str, last: str) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """(number, name, data) of every event after `last`."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    async with client.stream("GET", f"/api/jobs/{job}/events", headers=headers) as answer:
        if answer.status_code in (429, 503):
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
            return
        answer.raise_for_status()
        row: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                key, _, value = line.partition(":")
                row[key] = row.get(key, "") + value.removeprefix(" ")
            elif "event" in row:
                yield row.get("id", ""), row["event"], json.loads(row.get("data") or "{}")
                row = {}
            else:
                row = {}


async def _take(client: httpx.AsyncClient, piece: str, found: Found) -> None:
    """The notes, the MIDI file and a chunk of sound of a piece of the library."""
    notes = await _get(client, f"/api/pieces/{piece}/notes", found)
    if notes is None or not notes.json()["tracks"]:
        found.fault("a piece without notes")
        return
    await _expect(client, f"/api/pieces/{piece}/file/mid", MIDI, found)
    await _expect(client, f"/api/pieces/{piece}/sound/0/{notes.json()['tracks'][0]['index']}.flac", FLAC, found)


async def _get(client: httpx.AsyncClient, path: str, found: Found) -> httpx.Response | None:
    """The answer 200, however often the server asks to come again; None if it answers anything else."""
    for _ in range(10):
        began = time.perf_counter()
        answer = await client.get(path)
        if answer.status_code == 200:
            found.fetch_s.append(time.perf_counter() - began)
            return answer
        if answer.status_code not in (429, 503) or "Retry-After" not in answer.headers:
            break
        await asyncio.sleep(float(answer.headers["Retry-After"]))
    found.fault(f"GET of {'/'.join(path.split('/')[:3])}/.../{path.rsplit('/', 1)[-1]} answered {answer.status_code}")
    return None


async def _expect(client: httpx.AsyncClient, path: str, magic: bytes, found: Found) -> None:
    answer = await _get(client, path, found)
    if answer is not None and not answer.content.startswith(magic):
        found.fault(f"{path.rsplit('/', 1)[-1]} does not begin with {magic!r}")


async def _aftermath(url: str, found: Found) -> Counter[str]:
    """What the server says became of the accepted jobs."""
    states: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for job in found.accepted:
            answer = await _get(client, f"/api/jobs/{job}", found)
            states[answer.json()["state"] if answer else "unknown"] += 1
    return states


async def _n_pieces(url: str) -> int:
    """Pieces that the library holds."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = await _get(client, "/api/pieces?limit=1", Found())
    return int(answer.json()["total"]) if answer else 0


if __name__ == "__main__":
    sys.exit(main())
