"""Every route that OpenAPI tells of, asked with nonsense in path, query, headers and body: an error of ours, never a bug."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest

from kapelle.bundles import load

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")

WORDS = [
    "", " ", "0", "-1", "1e400", "NaN", "9" * 400, "a" * 5000, "../../etc/passwd", "%00", "\u202e", "<script>", "'; DROP TABLE pieces",
    "k3v7qm2xw5ab", "K3V7QM2XW5AB", "null", "[]", "{}", "true", "genre", "\U0001f469\u200d\U0001f467", "a,b,c,", "*", "?", "#", ";",
]  # fmt: skip
VALUES: list[Any] = [None, True, 0, -1, 7, 10**30, 1.5, -1e308, "", "x" * 5000, "k3v7qm2xw5ab", [], [[]], {}, {"a": {}}, {"upload": 7},
                     ["k3v7qm2xw5ab"] * 300, {"amount": 8, "unit": "bars"}, {"amount": "8"}, {"unit": "years"}, "\0", "\ud800"]  # fmt: skip
SLOW = ("/api/jobs/{id}/events",)
"""Answers that do not end by themselves."""


def routes(client) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, what OpenAPI says of it)."""
    paths = client.get("/api/openapi.json").json()["paths"]
    return [(method, path, about) for path, ways in paths.items() for method, about in ways.items() if path not in SLOW]


def filled(path: str, draw: random.Random) -> str:
    from urllib.parse import quote

    parts = [quote(draw.choice(WORDS[1:]), safe="") if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def well(answer, asked) -> None:
    """An answer that is none of a bug, and an error in our form if it is one."""
    assert answer.status_code < 500 or answer.status_code in (503, 507), (asked, answer.status_code, answer.text[:300])
    if answer.status_code >= 400 and "Range" not in str(asked):  # those are starlette's to answer
        assert answer.json()["error"]["message"], asked
        assert len(answer.content) < 4096, asked


def test_nonsense_in_paths_and_queries_is_an_error_of_ours(client, caplog) -> None:
    draw = random.Random(1)
    with caplog.at_level(logging.ERROR, "kapelle.web"):
        for method, path, about in routes(client):
            names = [one["name"] for one in about.get("parameters", ()) if one["in"] == "query"]
            for _ in range(6):
                query = {name: draw.choice(WORDS) for name in names if draw.random() < 0.7}
                where = filled(path, draw)
                well(client.request(method, where, params=query), (method, where, query))
    assert "a bug in Kapelle" not in caplog.text


def test_nonsense_in_bodies_is_an_error_of_ours_and_starts_nothing_slow(client, caplog) -> None:
    schemas = client.get("/api/openapi.json").json()["components"]["schemas"]
    fields = sorted({name for schema in schemas.values() for name in schema.get("properties", {})})
    draw = random.Random(2)
    with caplog.at_level(logging.ERROR, "kapelle.web"):
        for method, path, about in routes(client):
            if "requestBody" not in about:
                continue
            for _ in range(25):
                body = {draw.choice(fields): draw.choice(VALUES) for _ in range(draw.randrange(1, 4))}
                where = filled(path, draw) if draw.random() < 0.2 else path.replace("{id}", "k3v7qm2xw5ab")
                data = json.dumps(body).encode()
                well(client.request(method, where, content=data, headers={"Content-Type": "application/json"}), (method, where, body))
    assert "a bug in Kapelle" not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Language": "ru;q=" + "9" * 3000},
        {"Accept-Language": "\xff\xfe"},
        {"Last-Event-ID": "9" * 300},
        {"Idempotency-Key": "x" * 5000},
        {"Idempotency-Key": "a b"},
        {"If-None-Match": '"' * 4000},
        {"Range": "bytes=9-1,-,5-"},
        {"Cookie": "kapelle=" + "=;" * 2000},
        {"Authorization": "Bearer " + "\xe9" * 100},
        {"Content-Type": "application/json; charset=utf-7"},
        {"Content-Encoding": "gzip"},
        {"Expect": "100-continue"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "?"},
        {"X-Forwarded-For": "<script>"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_nonsense_in_headers_is_an_error_of_ours(client, headers, caplog) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    with caplog.at_level(logging.ERROR, "kapelle.web"):
        for method, path, body in (
            ("GET", "/api/pieces", b""),
            ("GET", "/", b""),
            ("POST", "/api/compose", b'{"length": {"amount": 1000}}'),
        ):
            well(client.request(method, path, headers=raw, content=body), (method, path, headers))
    assert "a bug in Kapelle" not in caplog.text
