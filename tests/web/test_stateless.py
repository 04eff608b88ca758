"""Composing without a memory: the same bytes as from Python, events in their order, errors as the studio tells them."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from kapelle import api
from kapelle.bundles import load
from kapelle.errors import MidiError
from kapelle.web import stateless

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")

FOUR = {"length": {"amount": 4, "unit": "bars"}, "seed": 7}


@contextmanager
def served(composer: stateless.Composer = stateless.composed, **more: Any) -> Iterator[httpx.Client]:
    config = uvicorn.Config(stateless.application(composer, **more), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with served() as one:
        yield one


def events_of(lines: Iterator[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    row: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            key, _, value = line.partition(": ")
            row[key] = value
        elif row:
            yield int(row["id"]), row["event"], json.loads(row["data"])
            row = {}


def test_a_piece_has_the_bytes_of_the_python_function(client: httpx.Client) -> None:
    answer = client.post("/compose", json=FOUR)
    assert answer.content == api.compose(bars=4, seed=7).to_midi()
    assert answer.headers["content-type"] == "audio/midi"
    assert answer.headers["kapelle-seed"] == "7"


def test_a_seed_that_was_drawn_makes_the_piece_again(client: httpx.Client) -> None:
    answer = client.post("/compose", json={"length": {"amount": 2}})
    again = client.post("/compose", json={"length": {"amount": 2}, "seed": int(answer.headers["kapelle-seed"])})
    assert again.content == answer.content


def test_events_come_in_order_and_hold_every_note_and_the_pieces(client: httpx.Client) -> None:
    with client.stream("POST", "/compose/events", json={**FOUR, "count": 2, "title": "ignored"}) as answer:
        told = list(events_of(answer.iter_lines()))
    assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
    assert [name for _, name, _ in told if name in ("piece", "done")] == ["piece", "piece", "done"]
    pieces = {data["number"]: data for _, name, data in told if name == "piece"}
    for number in (0, 1):
        piece = api.compose(bars=4, seed=7 + number)
        assert base64.b64decode(pieces[number]["midi"]) == piece.to_midi()
        first = next(i for i, name, _ in told if name == "piece")
        assert any(name == "notes" and i < first for i, name, _ in told)
        bars = [data["bar"] for _, name, data in told if name == "bar" and data["number"] == number]
        assert bars == [0, 1, 2, 3]
        restarted = any(name == "restarted" and data["number"] == number for _, name, data in told)
        notes = [note for _, name, data in told if name == "notes" and data["number"] == number for note in data["notes"]]
        assert restarted or len(notes) == piece.report.n_notes


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"length": {"amount": 1000}}, 422, "UsageError"),
        ({"options": {"genre": "polka"}}, 422, "UnknownName"),
        ({"model": "../genre"}, 422, "UsageError"),
        ({"model": "nobody"}, 422, "UnknownName"),
        ({"best": 2}, 422, "CannotObey"),
        ({"count": 2}, 422, "UsageError"),
        ({"volume": 11}, 422, "UsageError"),
        ({"model": "chopin", "options": {"seed_from": "/etc/hostname"}}, 422, "UsageError"),
        ({"model": "chopin", "options": {"seed_from": {"piece": "k3v7qm2xw5ab"}}}, 422, "CannotObey"),
    ],
)
def test_what_cannot_be_is_told_as_the_studio_tells_it(client: httpx.Client, body: dict[str, Any], status: int, kind: str) -> None:
    answer = client.post("/compose", json=body)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)
    assert set(answer.json()["error"]) == {"kind", "message", "hint", "code"}
    assert "Traceback" not in answer.text


def test_a_message_comes_in_the_language_of_who_asks(client: httpx.Client) -> None:
    told = client.post("/compose", json={"length": {"amount": 1000}}, headers={"Accept-Language": "ru-RU,ru;q=0.9"}).json()["error"][
        "message"
    ]
    assert "такты" in told


def test_too_much_is_refused_and_nonsense_is_no_bug(client: httpx.Client) -> None:
    assert client.post("/compose", content=b" " * 1_000_000).status_code == 413
    for body in (b"[" * 10_000, b"\xff", b"{", b'{"seed": NaN}', b'{"seed": 1e999}'):
        answer = client.post("/compose", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
    assert client.get("/nothing").status_code == 404
    assert client.get("/compose").status_code == 405


def test_models_and_health_are_told(client: httpx.Client) -> None:
    assert client.get("/health").json()["ok"] is True
    names = [model["name"] for model in client.get("/models").json()]
    assert names[0] == api.offer().name
    assert client.get(f"/models/{names[0]}").json()["options"]["properties"]
    assert client.get("/models/nobody").status_code == 422


def test_without_the_token_only_health_is_told() -> None:
    with served(token="secret") as client:
        assert client.get("/health").status_code == 200
        assert client.post("/compose", json=FOUR).status_code == 401
        assert client.post("/compose", json=FOUR, headers={"Authorization": "Bearer secret"}).status_code == 200


def test_composing_ends_when_nobody_listens_any_more() -> None:
    ended = threading.Event()

    async def endless(_: Mapping[str, Any]) -> AsyncIterator[list[stateless.Message]]:
        try:
            for number in range(1000):
                yield [("progress", {"done": number / 1000, "left_s": 1})]
                await asyncio.sleep(0.02)
        finally:
            ended.set()

    with served(endless) as client:
        with client.stream("POST", "/compose/events", json=FOUR) as answer:
            next(events_of(answer.iter_lines()))
        assert ended.wait(2)
        ended.clear()
        with pytest.raises(httpx.TimeoutException):
            client.post("/compose", json=FOUR, timeout=0.3)
        assert ended.wait(2)


def test_what_goes_wrong_while_composing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Iterator[Any]:
        raise MidiError("the file {name} is damaged", name="x.mid", hint="send another")
        yield

    monkeypatch.setattr(api, "compose_events", broken)
    with served() as client:
        answer = client.post("/compose", json=FOUR)
        assert (answer.status_code, answer.json()["error"]["message"]) == (415, "the file x.mid is damaged")
        with client.stream("POST", "/compose/events", json=FOUR) as answer:
            (number, name, data), *rest = events_of(answer.iter_lines())
    assert (number, name, rest) == (1, "failed", [])
    assert data["error"]["hint"] == "send another"
