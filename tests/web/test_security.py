"""Nobody gets in who should not, and nothing gets in that is too large, too slow or a trap."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
from starlette.testclient import TestClient

import scores
from kapelle.score import write
from kapelle.web import measure, security
from kapelle.web.app import create_app
from kapelle.web.settings import BodyLimits, Settings
from studios import start_studio

HOME = "http://127.0.0.1:8000"
TOKEN = "right-token"
FOREIGN = "http://evil.example"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An application that wants a token, without one."""
    settings = Settings(folder=tmp_path_factory.mktemp("studio"), token=TOKEN, rate=0, helpers=1, allow_hosts=("studio.example",))
    with TestClient(create_app(settings), base_url=HOME, follow_redirects=False) as made:
        yield made


@pytest.fixture(autouse=True)
def forgetful(request):
    """Cookies of one test are not those of the next."""
    if "guarded" in request.fixturenames:
        request.getfixturevalue("guarded").cookies.clear()


def kind(answer):
    return answer.json()["error"]["kind"]


# --- hosts ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b",
                                  "[::2]",
                                  "192.0.2.7", "127.0.0.1:port", "studio.example"])  # fmt: skip
def test_a_foreign_name_is_not_answered(client, host):
    for path in ("/", "/api/about", "/static/js/api.js"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 403 and kind(answer) == "ForeignHost"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:8000", "localhost."])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/api/about", headers={"Host": host}).status_code == 200


def test_further_names_are_answered_where_they_are_allowed(guarded):
    assert guarded.get("/health", headers={"Host": "studio.example:443"}).status_code == 200
    assert guarded.get("/health", headers={"Host": "other.example"}).status_code == 403


def test_on_a_network_plain_addresses_are_answered_and_foreign_names_are_not():
    hosts = security.Hosts(None, Settings(host="0.0.0.0"))
    assert hosts.allows("192.168.1.20") and hosts.allows("fe80::1") and hosts.allows("localhost")
    assert not hosts.allows("evil.example")
    assert security.Hosts(None, Settings(allow_hosts=("*",))).allows("anything.example")


# --- origins ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{"Origin": FOREIGN}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://127.0.0.1:9000"}, {"Origin": "http://localhost:8000"},
     {"Origin": "http://127.0.0.1:8000.evil.example"}, {"Origin": "http://evil.example@127.0.0.1:8000"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}, {"Origin": HOME, "Sec-Fetch-Site": "cross-site"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/compose"), ("DELETE", "/api/jobs/aaaaaaaaaaaa"), ("PATCH", "/api/pieces/aaaaaaaaaaaa")]
)
def test_a_foreign_page_changes_nothing(client, headers, method, path):
    answer = client.request(method, path, headers=headers, json={})
    assert answer.status_code == 403 and kind(answer) == "ForeignOrigin"
    assert "access-control-allow-origin" not in answer.headers


def test_our_own_page_and_programs_may(client):
    for headers in ({}, {"Origin": HOME}, {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert client.post("/api/compose", json={"count": 0}, headers=headers).status_code == 422


def test_behind_a_proxy_with_a_certificate_the_origin_is_the_name(client):
    headers = {"Host": "localhost", "Origin": "https://localhost"}
    assert client.post("/api/compose", json={"count": 0}, headers=headers).status_code == 422


def test_a_foreign_page_cannot_make_us_work_by_showing_pictures(client):
    hidden = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/api/models", headers=hidden).status_code == 403
    assert client.get("/api/about", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert client.get("/", headers=hidden).status_code == 200


def test_a_preflight_is_not_granted(client):
    headers = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/compose", headers=headers)
    assert answer.status_code == 405 and "access-control-allow-origin" not in answer.headers


# --- headers ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/static/js/api.js", "/api/about", "/none", "/api/jobs/x"])
def test_every_answer_says_what_a_browser_must_not_do(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == security.POLICY and "unsafe" not in security.POLICY
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "midi=(self)" in headers["permissions-policy"] and "server" not in headers


# --- tokens -----------------------------------------------------------------------------------------------------------------------


def test_without_the_token_nothing_is_told(guarded):
    for path in ("/api/about", "/api/models", "/api/openapi.json", "/api/pieces", "/api/none"):
        answer = guarded.get(path)
        assert answer.status_code == 401 and kind(answer) == "NoToken"
    assert guarded.post("/api/compose", json={}).status_code == 401
    page = guarded.get("/", headers={"Accept-Language": "ru"})
    assert page.status_code == 401 and "ключ" in page.text and "<script" not in page.text
    assert guarded.get("/static/js/api.js").status_code == 401
    assert guarded.get("/health").json() == {"ok": True}


@pytest.mark.parametrize(
    "given", ["Bearer wrong-token", "Bearer", "Bearer  ", f"Basic {TOKEN}", TOKEN, "Bearer right-toke", f"Bearer {TOKEN}x"]
)
def test_a_wrong_token_is_refused(guarded, given):
    assert guarded.get("/api/about", headers={"Authorization": given}).status_code == 401
    assert guarded.get("/", params={"token": given + "."}).status_code == 401


def test_programs_bring_it_in_a_header(guarded):
    assert guarded.get("/api/about", headers={"Authorization": f"Bearer {TOKEN}"}).json()["token"] is True
    assert guarded.get(f"/api/about?token={TOKEN}").status_code == 401  # an address is kept in histories


def test_browsers_bring_it_in_a_cookie_that_no_script_reads(guarded):
    welcome = guarded.get(f"/?token={TOKEN}")
    assert welcome.status_code == 303 and welcome.headers["location"] == "/"
    cookie = welcome.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and cookie.startswith("kapelle_8000=") and TOKEN not in cookie
    name, value = cookie.partition(";")[0].split("=")
    guarded.cookies.clear()
    assert guarded.get("/api/about", headers={"Cookie": f"{name}={value}"}).status_code == 200
    assert guarded.get("/", headers={"Cookie": f"other=1; {name}={value}"}).status_code == 200
    for wrong in (f"{name}={value[:-1]}", f"{name}={TOKEN}", f"kapelle_9000={value}", "=;;;", f"{name}={'x' * 9000}"):
        assert guarded.get("/api/about", headers={"Cookie": wrong}).status_code == 401


def test_a_study_is_shown_to_who_has_the_token(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<title>Bands</title><img src=a.png>", encoding="utf-8")
    (site / "a.png").write_bytes(b"\x89PNG")
    settings = Settings(folder=tmp_path / "studio", token=TOKEN, rate=0, helpers=1, studies=(("bands", site),))
    with TestClient(create_app(settings), base_url=HOME) as asker:
        assert asker.get("/studies/bands/").status_code == 401
        page = asker.get("/studies/bands/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert page.status_code == 200 and page.headers["content-security-policy"].startswith("sandbox")
        asker.cookies.clear()
        assert asker.get(str(page.url) + "a.png").status_code == 200  # as a sandboxed page asks, without cookies
        assert asker.get("/studies/key-" + "0" * 32 + "/bands/a.png").status_code == 401
        assert asker.get(str(page.url).replace("/bands/", "/../../api/about")).status_code == 401


# --- bodies -----------------------------------------------------------------------------------------------------------------------


def ask(app, path, chunks, headers=(), method="POST"):
    """What is sent back to a body in chunks, straight to the application; and how many of them were taken."""
    taken = 0

    async def receive():
        nonlocal taken
        if taken >= len(chunks):
            await asyncio.sleep(60)
        chunk = chunks[taken]
        taken += 1
        if isinstance(chunk, float):
            await asyncio.sleep(chunk)
            chunk = b" "
        return {"type": "http.request", "body": chunk, "more_body": taken < len(chunks)}

    sent = []

    async def send(message):
        sent.append(message)

    fields = [(b"host", b"127.0.0.1"), *((name.encode(), value.encode(errors="surrogateescape")) for name, value in headers)]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": fields,
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "scheme": "http",
             "http_version": "1.1", "root_path": ""}  # fmt: skip

    async def call():
        async with asyncio.timeout(20):
            await app(scope, receive, send)

    asyncio.run(call())
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body), taken


@pytest.mark.parametrize(("path", "length"), [("/api/uploads", 100 * 2**20), ("/api/compose", 2**20), ("/api/classify/sound", 10**15),
                                               ("/api/compose", 10**40), ("/", 2**30)])  # fmt: skip
def test_a_body_that_says_it_is_too_large_is_refused_unread(client, path, length):
    status, answer, taken = ask(client.app, path, [b"x" * 1000], [("content-length", str(length))])
    assert (status, answer["error"]["kind"], taken) == (413, "TooLarge", 0)


def test_a_body_without_a_length_is_refused_when_it_is_too_large(client):
    chunks = [b"x" * 2**16] * 3000  # 187 MiB
    status, answer, taken = ask(client.app, "/api/uploads", chunks, [("transfer-encoding", "chunked")])
    assert status == 413 and answer["error"]["kind"] == "TooLarge" and taken <= 130
    status, _, taken = ask(client.app, "/api/compose", chunks, [("content-type", "application/json")])
    assert status == 413 and taken <= 6


def test_who_goes_away_in_the_middle_leaves_no_trace(client, caplog):
    async def call():
        messages = iter([{"type": "http.request", "body": b"MThd", "more_body": True}, {"type": "http.disconnect"}])

        async def receive():
            return next(messages)

        async def send(message):
            pass

        scope = {"type": "http", "method": "POST", "path": "/api/uploads", "raw_path": b"/api/uploads", "query_string": b"",
                 "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "scheme": "http",
                 "http_version": "1.1", "root_path": ""}  # fmt: skip
        await client.app(scope, receive, send)

    asyncio.run(call())
    assert not caplog.records


def test_below_a_path_of_a_proxy_the_same_rules_hold(tmp_path):
    settings = Settings(folder=tmp_path, token=TOKEN, rate=0, helpers=1, root_path="/studio")
    with TestClient(create_app(settings), base_url=HOME, follow_redirects=False) as asker:
        for start in ("", "/studio"):
            assert asker.get(f"{start}/health").status_code == 200
            assert kind(asker.get(f"{start}/api/about")) == "NoToken"
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            assert asker.get(f"{start}/api/about", headers=bearer).status_code == 200
            assert asker.get(f"{start}/static/js/api.js", headers=bearer).status_code == 200
            assert asker.get(f"{start}/api/models", headers={**bearer, "Sec-Fetch-Site": "cross-site"}).status_code == 403
            assert asker.post(f"{start}/api/uploads", content=b"x" * 2**19, headers=bearer).status_code == 415
            welcome = asker.get(f"{start}/?token={TOKEN}")
            assert welcome.status_code == 303 and welcome.headers["location"] == "/studio/"
            typed = asker.get(f"/studio?token={TOKEN}")
            assert (typed.status_code, typed.headers["location"]) == (307, f"/studio/?token={TOKEN}")
            assert typed.headers["Content-Security-Policy"] == security.POLICY
            assert asker.get(f"{start}/api/openapi.json", headers=bearer).json()["servers"] == [{"url": "/studio"}]
            asker.cookies.clear()


def test_below_a_path_of_a_proxy_addresses_hold_it(tmp_path):
    settings = Settings(folder=tmp_path, rate=0, helpers=1, root_path="/studio")
    tune = write.to_bytes(scores.band())
    with TestClient(create_app(settings), base_url=HOME) as asker:
        jobs = asker.app.state.served.studio.jobs
        upload = asker.post("/api/uploads", content=tune).json()["id"]
        piece = asker.post("/api/pieces", json={"upload": upload}).headers["location"]
        assert asker.get(piece).status_code == 200 and piece.startswith("/studio/api/pieces/")
        id = piece.rpartition("/")[2]
        job = asker.post("/api/evaluate", json={"made": [id], "reference": [id]}).headers["location"]
        found = jobs.claim("worker")
        jobs.finish(found.id, "worker", {"report_url": f"/reports/{found.id}.html"})
        assert job == f"/studio/api/jobs/{found.id}"
        url = f"/studio/reports/{found.id}.html"
        assert asker.get(job).json()["result"]["report_url"] == url
        assert url in asker.get(f"{job}/events").text


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "0x10", "٣", "\udcb2"])
def test_a_length_that_is_no_number_is_refused(client, length):
    fields = [("content-length", length)]
    assert ask(client.app, "/api/compose", [b"{}"], fields)[0] == 400


def test_a_body_that_comes_too_slowly_is_given_up(tmp_path):
    settings = Settings(folder=tmp_path, rate=0, body=BodyLimits(seconds=0.2))
    app = create_app(settings)
    status, answer, taken = ask(app, "/api/compose", [0.05] * 50, [("content-type", "application/json")])
    assert status == 408 and answer["error"]["kind"] == "TooSlow" and taken < 10


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"options":' * 20_000, b'{"a":' + b"9" * 100_000 + b"}", b'{"seed": NaN}', b'{"seed": 1e999}', b"\xff\xfe", b"nul",
     b'{"options": {"x": [' + b"1," * 50_000 + b"1]}}", b'{"seed": 1' + b"0" * 5000 + b"}", b'{"title": "\\ud800"}', b"{}{}", b"",
     b'{"length": {"amount": Infinity}}', b'{"options": {"tempo": NaN}}', b'{"model": "\\u0000"}'],
    ids=range(15),
)  # fmt: skip
def test_a_trap_in_json_is_an_error_like_any_other(client, body):
    answer = client.post("/api/compose", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["error"]["message"] and "Traceback" not in answer.text


@pytest.mark.parametrize("given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None])
def test_a_form_of_a_foreign_page_is_no_json(client, given):
    answer = client.post("/api/compose", content=b'{"seed": 1}', headers={"Content-Type": given} if given else {})
    assert answer.status_code in (400, 422)


# --- names ------------------------------------------------------------------------------------------------------------------------


def test_html_in_names_stays_text(client):
    trap = "<img src=x onerror=alert(1)>\r\nSet-Cookie: a=b"
    upload = client.post("/api/uploads", params={"name": trap}, content=write.to_bytes(scores.piano())).json()
    kept = client.post("/api/pieces", json={"upload": upload["id"], "title": trap}).json()
    answer = client.get(f"/api/pieces/{kept['id']}/file/mid")
    assert answer.headers["content-type"] == "audio/midi" and "set-cookie" not in answer.headers
    assert re.match(r"attachment; filename=", answer.headers["content-disposition"]) and "<" not in answer.headers["content-disposition"]
    for path in ("/api/pieces", f"/api/pieces/{kept['id']}", f"/api/pieces/{kept['id']}/notes"):
        assert client.get(path).headers["content-type"] == "application/json"
    page = client.get(f"/api/pieces/{kept['id']}/score/1.svg").text
    assert "<img" not in page and "onerror=" not in page.replace("onerror=alert(1)&gt;", "")
    error = client.get("/api/pieces/<script>alert(1)</script>")
    assert error.headers["content-type"] == "application/json" and error.status_code in (404, 422)


def test_places_of_this_machine_are_not_told():
    from kapelle.errors import Missing, StorageError
    from kapelle.web import errors

    told = errors.table(
        StorageError("cannot use {path}: {why}", path="/home/me/secret/studio.sqlite", why="no room on C:\\Users\\me\\x.bin")
    )
    assert told["message"] == "cannot use studio.sqlite: no room on x.bin"
    told = errors.table(
        Missing("there is no bundle in {path}", path="~/.kapelle/bundles/genre", hint="see https://example.org/a/b or /api/models")
    )
    assert told["message"] == "there is no bundle in genre" and told["hint"] == "see https://example.org/a/b or /api/models"


# --- rates ------------------------------------------------------------------------------------------------------------------------


def test_who_asks_too_often_is_told_when_to_come_again():
    now = [0.0]
    rates = measure.Rates(None, rate=2.0, burst=2.0, clock=lambda: now[0])
    assert [rates.wait("a", 1.0) for _ in range(4)] == [0.0] * 4
    assert rates.wait("a", 1.0) == 0.5
    assert rates.wait("b", 4.0) == 0.0  # others do not suffer
    now[0] += 0.5
    assert rates.wait("a", 1.0) == 0.0
    now[0] += 1e6
    assert [rates.wait("a", 1.0) > 0 for _ in range(5)] == [False] * 4 + [True]
    for number in range(10_000):
        rates.wait(str(number), 1.0)
    assert len(rates.buckets) == rates.MOST


def test_a_client_of_ipv6_is_a_network():
    assert measure.client_of({"client": ("2001:db8:1:2:3:4:5:6", 1)}) == measure.client_of({"client": ("2001:db8:1:2::9", 2)})
    assert measure.client_of({"client": ("::ffff:192.0.2.1", 1)}) == "192.0.2.1"
    assert measure.client_of({"client": None}) == ""


def test_too_many_requests_and_a_full_queue_say_when_to_come_again(tmp_path):
    with TestClient(create_app(Settings(folder=tmp_path, rate=1, helpers=1)), base_url=HOME) as asker:
        answers = [asker.get("/api/about") for _ in range(8)]
        last = answers[-1]
        assert last.status_code == 429 and int(last.headers["retry-after"]) >= 1 and kind(last) == "TooManyRequests"
        assert asker.get("/static/js/api.js").status_code == 200
    with TestClient(create_app(Settings(folder=tmp_path, rate=0, queue=2, helpers=1)), base_url=HOME) as asker:
        statuses = [asker.post("/api/compose", json={}).status_code for _ in range(3)]
        assert statuses == [202, 202, 503]
        assert int(asker.post("/api/compose", json={}).headers["retry-after"]) >= 1


# --- a server that runs -----------------------------------------------------------------------------------------------------------


def test_over_a_line_too_much_is_refused_before_it_is_sent_and_the_token_is_asked(tmp_path):
    studio = start_studio(tmp_path, "--processes", "1", "--token=wanted", "--rate", "0")
    try:
        assert studio.token == "wanted" and studio.get("/api/about").status_code == 200
        assert httpx.get(studio.url + "/api/about").status_code == 401

        def flood():
            for _ in range(200):
                yield b"x" * 2**19

        with pytest.raises((httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)) as caught:
            answer = studio.request("POST", "/api/uploads", content=flood())
            assert answer.status_code == 413
            raise httpx.WriteError("answered")
        assert caught.value
        answer = studio.request("POST", "/api/uploads", content=b"x" * 9 * 2**20)
        assert answer.status_code == 413
    finally:
        assert studio.stop() == 0
    assert "wanted" not in studio.errors()
