"""A real server and whoever means it harm, or sends nonsense: it answers politely or hangs up, and goes on serving the others."""

from __future__ import annotations

import os
import random
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

import hostile
from kapelle.bundles import load
from kapelle.web import feed
from kapelle.web.settings import Settings
from raw_http import Line, error_in, line
from studios import Studio, start_studio

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")

DATA = os.environ.get("KAPELLE_DATA")
TWO = {"length": {"amount": 2, "unit": "bars"}, "seed": 7}
LONG = {"length": {"amount": 400, "unit": "bars"}, "seed": 7}
LISTENERS, EACH = Settings().listeners, feed.EACH
"""Streams of events that a server keeps open at most, of all jobs and of one."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = start_studio(tmp_path_factory.mktemp("hostile"), "--processes", "1", "--rate", "0")
    yield made
    assert made.get("/health").status_code == 200, made.errors()
    assert "a bug in Kapelle" not in made.errors()
    assert made.stop() in (0, 130)


def answers_soon(studio: Studio, seconds: float = 5.0) -> bool:
    began = time.monotonic()
    return studio.get("/api/about").status_code == 200 and time.monotonic() - began < seconds


def patience() -> float:
    """Two seconds, or as many more as this machine has more to do than it has processors."""
    return 2 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


# --- slow and cut lines -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def slow_lines(studio: Studio) -> Iterator[tuple[float, dict[str, list[Line]]]]:
    """When they began; lines that send nothing, a part of a head, a part of a body: they are held while the other tests run."""
    lines = {kind: [Line(studio.port) for _ in range(100)] for kind in ("silent", "head", "body")}
    for one in lines["head"]:
        one.send(b"POST /api/compose HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    for one in lines["body"]:
        one.head("POST", "/api/compose", "Content-Type: application/json", "Content-Length: 20")
        one.send(b"{")
    yield time.monotonic(), lines
    for one in (*lines["silent"], *lines["head"], *lines["body"]):
        one.close()


def test_slow_lines_hold_up_nobody(studio: Studio, slow_lines: tuple[float, dict[str, list[Line]]]) -> None:
    for _ in range(3):
        assert answers_soon(studio)
        for one in (*slow_lines[1]["head"], *slow_lines[1]["body"]):
            one.send(b" ")
    assert studio.compose(**TWO)["n_bars"] == 2


@pytest.mark.parametrize("path", ["/api/compose", "/api/uploads", "/api/classify/sound", "/api/pieces", "/", "/nothing"])
def test_a_hundred_megabytes_are_refused_before_they_are_sent(studio: Studio, path: str) -> None:
    with line(studio.port) as one:
        one.head("POST", path, "Content-Type: application/json", "Content-Length: 104857600")
        status, _, body = one.answer(5)
    assert status in (413, 404, 405)
    assert error_in(body)["message"]


def test_megabytes_without_a_length_are_refused_and_held_nowhere(studio: Studio) -> None:
    before = memory_mb(studio)
    with line(studio.port) as one:
        one.head("POST", "/api/uploads?name=x.mid", "Transfer-Encoding: chunked")
        try:
            for _ in range(1600):
                one.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        except ConnectionError:
            pass
        else:
            assert one.answer(5)[0] == 413
    assert memory_mb(studio) < before + 40
    assert answers_soon(studio)


def memory_mb(studio: Studio) -> float:
    """What the server holds in memory; 0 where the system does not tell."""
    assert studio.process is not None
    try:
        lines = Path(f"/proc/{studio.process.pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next(int(row.split()[1]) / 1024 for row in lines if row.startswith("VmRSS"))


def test_lines_cut_in_the_midst_of_an_upload_leave_nothing(studio: Studio) -> None:
    tune = hostile.song(random.Random(1))
    for end in ("close", "reset", "half_close"):
        with line(studio.port) as one:
            one.head("POST", "/api/uploads?name=cut.mid", f"Content-Length: {len(tune)}")
            one.send(tune[: len(tune) // 2])
            getattr(one, end)()
            if end == "half_close":
                assert one.answer(5)[0] in (0, 400)
    assert answers_soon(studio)
    assert not list((studio.folder / "uploads").iterdir())


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Many: x\r\n" * 200_000 + b"\r\n",
        b"POST /api/compose HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/compose HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ",
        b"POST /api/compose HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET /static/../../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /static/%2e%2e/%2e%2e/app.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\r\n" * 5000,
    ],
    ids=["tls", "version", "long-path", "many-headers", "negative", "two-lengths", "no-chunk", "two-hosts", "dots", "coded-dots",
         "absolute", "connect", "empty-lines"],
)  # fmt: skip
def test_what_is_no_request_of_ours_is_refused(studio: Studio, data: bytes) -> None:
    with line(studio.port) as one:
        try:
            one.send(data)
            one.half_close()
            status, _, body = one.answer(10)
        except OSError:  # it hung up before we were done
            status, body = 0, b""
    assert status == 0 or 400 <= status < 500, (status, body[:200])
    assert b"root:" not in body
    assert b"Traceback" not in body
    assert answers_soon(studio)


# --- listeners --------------------------------------------------------------------------------------------------------------------


def test_a_job_ends_though_nobody_listens_any_more(studio: Studio) -> None:
    job = studio.post("/api/compose", {**TWO, "length": {"amount": 16, "unit": "bars"}}).json()
    for _, name, _ in studio.events(job):
        if name in ("notes", "bar"):
            break
    assert studio.wait(job)["state"] == "done"


def test_two_tabs_are_told_the_same(studio: Studio) -> None:
    job = studio.post("/api/compose", {**TWO, "seed": 8}).json()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: list(studio.events(job)), range(2))
    assert first == second
    piece = first[-1][2]["pieces"][0]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: studio.patch(f"/api/pieces/{piece}", {"title": f"tab {n}", "favourite": bool(n % 2)}), range(8)))
    assert {answer.status_code for answer in codes} == {200}
    assert studio.get(f"/api/pieces/{piece}").json()["title"].startswith("tab ")


def test_a_wish_sent_many_times_at_once_with_one_key_is_one_job(studio: Studio) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: studio.post("/api/compose", TWO, headers={"Idempotency-Key": "once-more"}), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1


# --- nonsense in JSON and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"options":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"options": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b'{"seed": ' + b"9" * 5_000 + b"}",
        b'{"seed": 1e400}',
        b'{"seed": NaN}',
        b'{"seed": -1}',
        b'{"seed": 1.5}',
        b'{"seed": "7"}',
        b'{"length": {"amount": Infinity}}',
        b'{"length": {"amount": -1e308}}',
        b'{"length": {"amount": 1e308, "unit": "seconds"}}',
        b'{"length": {"amount": 0.2}}',
        b'{"sampling": {"temperature": NaN}}',
        b'{"sampling": {"temperature": 1e999}}',
        b'{"sampling": {"temperature": -1}}',
        b'{"options": {"tempo": 1e300}}',
        b'{"count": 100000}',
        b'{"title": "' + b"x" * 100_000 + b'"}',
        b'{"tags": [' + b'"a",' * 5_000 + b'"a"]}',
        b'{"model": "../../genre"}',
        b'{"model": "\\u0000"}',
        b'{"band": "/etc/passwd"}',
        b"\xff\xfe{}",
        b"null",
        b'"text"',
        b"",
        b"{" * 200_000,
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_nonsense_in_json_is_told_and_starts_nothing(studio: Studio, body: bytes) -> None:
    before = len(studio.get("/api/jobs?limit=500").json())
    answer = studio.request("POST", "/api/compose", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.json()["error"]["message"]
    assert len(answer.content) < 4096
    assert len(studio.get("/api/jobs?limit=500").json()) == before


def test_a_thousand_bars_are_refused_in_words_that_a_musician_understands(studio: Studio) -> None:
    answer = studio.post("/api/compose?lang=en", {"length": {"amount": 1000, "unit": "bars"}})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "bars must be 1 to 512, not 1000"
    assert "такты" in studio.post("/api/compose?lang=ru", {"length": {"amount": 1000, "unit": "bars"}}).json()["error"]["message"]


NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "evil\r\nSet-Cookie: a=b",
    "\u202egnp.dim",
    "a\0b\x07\x1b[31m",
    "../../../etc/passwd",
    "C:\\windows\\system32",
    "CON",
    "n" * 190,
    "👩‍👩‍👧‍👦" * 20,
    "'; DROP TABLE pieces; --",
    "%s%n{0}{title}",
    " . ",
]


@pytest.fixture(scope="module")
def piece(studio: Studio) -> str:
    """The id of a piece with the worst of names."""
    return str(studio.compose(**TWO, title=NAMES[0], tags=[NAMES[1][:40]])["id"])


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_stay_text_and_become_names_of_files_that_harm_nobody(studio: Studio, piece: str, name: str) -> None:
    assert studio.get("/api/pieces", params={"search": name}).status_code == 200
    assert studio.patch(f"/api/pieces/{piece}", {"title": name, "tags": [name[:40], "\u202e"]}).status_code in (200, 422)
    for kind in ("mid", "svg", "recipe.json"):
        answer = studio.get(f"/api/pieces/{piece}/file/{kind}")
        assert answer.status_code == 200, answer.text
        told = answer.headers["content-disposition"]
        assert told.startswith("attachment")
        assert not any(char in told for char in "<>\r\n\0/\\")
        assert "set-cookie" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
    text = studio.get(f"/api/pieces/{piece}/file/svg").text
    assert "<script" not in text
    assert "<img" not in text


def test_names_in_files_stay_text(studio: Studio) -> None:
    for name in NAMES:
        body = hostile.meta(0x03, name.encode()) + hostile.meta(0x06, name.encode()) + hostile.NOTES + hostile.END
        answer = studio.request("POST", "/api/uploads", params={"name": name}, content=hostile.file(body))
        assert answer.status_code == 201, answer.text
        told = studio.get(f"/api/uploads/{answer.json()['id']}/notes")
        assert told.headers["content-type"].startswith("application/json")
        assert all(ord(char) >= 32 for track in told.json()["tracks"] for char in track["name"])
        kept = studio.post("/api/pieces", {"upload": answer.json()["id"], "title": name})
        assert kept.status_code == 201, kept.text
        stems = studio.get(f"/api/pieces/{kept.json()['id']}/file/stems.zip")
        assert stems.status_code == 200, stems.text
        for inside in zipfile.ZipFile(BytesIO(stems.content)).namelist():
            assert inside == Path(inside).name
            assert not any(char in inside for char in '<>:"|?*\\\0\r\n')


# --- files ------------------------------------------------------------------------------------------------------------------------

SLOW = (
    "huge",
    "million",
    "thousand",
    "open_notes",
    "notes_up_to",
    "stray",
    "tracks_",
    "aliens",
    "patterns",
    "metre_change",
    "tempo_change",
)


def sampled() -> list[hostile.Case]:
    cases = list(hostile.corpus())
    heavy = [case for case in cases if case.name.startswith(SLOW) or len(case.data) > 200_000]
    draw = random.Random(7)
    return [*draw.sample(heavy, 16), *draw.sample([case for case in cases if case not in heavy], 24)]


def test_hostile_files_are_answered_within_two_seconds(studio: Studio) -> None:
    slow = {}
    before = set((studio.folder / "uploads").iterdir())
    for case in sampled():
        began = time.monotonic()
        answer = studio.request("POST", "/api/uploads", params={"name": f"{case.name}.mid"}, content=case.data)
        took = time.monotonic() - began
        assert answer.status_code in (201, 413, 415), (case.name, answer.text)
        if case.verdict == "error":
            assert answer.status_code != 201, case.name
        if answer.status_code == 201:
            studio.delete(f"/api/uploads/{answer.json()['id']}")
        else:
            assert answer.json()["error"]["message"]
        if took > patience():
            slow[case.name] = round(took, 1)
    assert not slow
    assert set((studio.folder / "uploads").iterdir()) == before


@pytest.mark.skipif(not DATA or not (Path(DATA or "") / "odd_midi").is_dir(), reason="KAPELLE_DATA with odd_midi is not set")
def test_odd_files_of_the_wild_are_answered_within_two_seconds(studio: Studio) -> None:
    files = sorted(path for path in Path(str(DATA), "odd_midi").rglob("*") if path.is_file())
    for path in random.Random(7).sample(files, min(30, len(files))):
        began = time.monotonic()
        answer = studio.request("POST", "/api/uploads", params={"name": path.name}, content=path.read_bytes() or b"\0")
        assert answer.status_code in (201, 413, 415), (path, answer.text)
        assert time.monotonic() - began < patience(), path
        if answer.status_code == 201:
            id = answer.json()["id"]
            assert studio.get(f"/api/uploads/{id}/notes").status_code in (200, 415, 422), path
            studio.delete(f"/api/uploads/{id}")


@pytest.mark.parametrize("kind", ["RIFF....WAVE", "\x89PNG\r\n", "%PDF-1.7", "PK\x03\x04", "<html>", "MThd"])
def test_files_of_another_kind_are_told_in_both_languages(studio: Studio, kind: str) -> None:
    for language in ("en", "ru"):
        answer = studio.request("POST", f"/api/uploads?name=x.mid&lang={language}", content=kind.encode("latin-1") * 10)
        assert answer.status_code == 415
        message = answer.json()["error"]["message"]
        assert message
        assert ("а" <= message.lower()[-2] <= "я" or any("а" <= char <= "я" for char in message)) == (language == "ru"), message


def test_slow_lines_were_given_up(studio: Studio, slow_lines: tuple[float, dict[str, list[Line]]]) -> None:
    began, lines = slow_lines
    left = max(0.0, began + 20 - time.monotonic())  # 15 s, and a machine that is busy
    assert {one.answer(1 + left)[0] for one in lines["body"]} == {408}
    assert all(one.closed(1 + left) for one in (*lines["head"], *lines["silent"]))
    assert answers_soon(studio)


def test_thousands_of_listeners_are_refused_politely_and_places_become_free_again(studio: Studio) -> None:
    running = studio.post("/api/compose", LONG).json()["id"]
    waiting = [studio.post("/api/compose", {**TWO, "seed": seed}).json()["id"] for seed in range(LISTENERS // EACH)]
    lines: list[Line] = []
    try:
        for job in [running, *waiting]:
            for _ in range(EACH + 4):
                one = Line(studio.port)
                one.head("GET", f"/api/jobs/{job}/events")
                lines.append(one)
        answers = [one.answer(60) for one in lines]
        refused = [answer for answer in answers if answer[0] != 200]
        assert sum(answer[0] == 200 for answer in answers) <= LISTENERS + 64  # some come between the question and the seat
        assert len(refused) >= 4 * len(waiting)
        assert all(status == 503 and int(headers["retry-after"]) >= 1 for status, headers, _ in refused)
        assert error_in(refused[0][2])["message"]
        assert answers_soon(studio)
        for number, one in enumerate(lines):
            (one.reset if number % 2 else one.half_close)()
    finally:
        for one in lines:
            one.close()
    studio.delete(f"/api/jobs/{running}")
    assert [name for _, name, _ in studio.events(running)][-1] == "cancelled"
    assert studio.wait(waiting[-1])["state"] == "done"
