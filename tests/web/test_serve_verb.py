"""``kapelle serve``, as somebody runs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from kapelle.bundles import load
from kapelle.cli import serve
from kapelle.errors import Missing, UsageError
from kapelle.web import server
from studios import start_studio

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")

LONG = {"length": {"amount": 200, "unit": "bars"}, "seed": 1}


def call(*words):
    """What `kapelle serve` says, where it does not serve."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "KAPELLE_LANG": "en"}
    return subprocess.run([sys.executable, "-m", "kapelle", "serve", *words], capture_output=True, text=True, timeout=60, env=environment)


def settings(*words, **environment):
    """The settings of a command line."""
    from kapelle.cli.app import group
    from kapelle.cli.console import Console

    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serve, "run", lambda arguments, console: asked.append(arguments))
        for name, value in environment.items():
            patch.setenv(name, value)
        group().main(["serve", *words], prog_name="kapelle", standalone_mode=False, obj=Console())()
        return serve.settings_of(asked[0])


def test_ctrl_c_ends_within_seconds_and_the_job_goes_on_next_time(tmp_path):
    studio = start_studio(tmp_path, "--processes", "1")
    job = studio.post("/api/compose", LONG).json()
    heard = threading.Event()

    def listen():
        try:
            for _, name, _ in studio.events(job):
                if name == "notes":
                    heard.set()
        except httpx.HTTPError:
            pass

    listener = threading.Thread(target=listen)
    listener.start()
    assert heard.wait(60)
    began = time.monotonic()
    assert studio.stop() == 0
    assert time.monotonic() - began < 6  # 0.4 on a machine that has nothing else to do
    listener.join(10)
    assert not listener.is_alive()
    assert "Traceback" not in studio.errors()

    studio.restart()
    try:
        assert studio.get(f"/api/jobs/{job['id']}").json()["state"] in ("queued", "running")
        assert studio.delete(f"/api/jobs/{job['id']}").status_code == 200
        assert studio.wait(job)["state"] == "cancelled"
        assert studio.compose(length={"amount": 2, "unit": "bars"}, seed=3)["n_bars"] == 2
    finally:
        studio.process.send_signal(signal.SIGTERM)
        assert studio.stop() == 0


def test_several_servers_share_a_port_and_end_with_the_first(tmp_path):
    studio = start_studio(tmp_path, "--processes", "1", "--servers", "2", "--behind-proxy")
    began = time.monotonic()
    assert studio.stop() == 0
    assert time.monotonic() - began < 10
    studio.restart()
    try:
        piece = studio.compose(length={"amount": 2, "unit": "bars"}, seed=3)
        for _ in range(8):
            assert studio.get(f"/api/pieces/{piece['id']}").status_code == 200
        job = studio.post("/api/compose", {"length": {"amount": 2, "unit": "bars"}}).json()
        assert [name for _, name, _ in studio.events(job)][-1] == "done"
    finally:
        studio.kill()
    until = time.monotonic() + 15
    while time.monotonic() < until:
        try:
            httpx.get(studio.url + "/health", timeout=5)
        except httpx.HTTPError:
            return
        time.sleep(0.1)
    raise AssertionError("a server lives on without the one that began it")


def test_a_busy_port_is_told_and_passed_over_where_none_was_asked_for(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("--port", str(port), "--folder", str(tmp_path), "--json")
        told = json.loads(answer.stdout)
        assert answer.returncode == 2 and str(port) in told["error"] and "--port" in told["hint"]
        monkeypatch.setattr(server, "PORT", port)
        with server.listen("127.0.0.1", None) as held:
            assert held.getsockname()[1] != port


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--host", "203.0.113.9"), "203.0.113.9"),
        (("--port", "70000"), "port"),
        (("--study", "nowhere"), "nowhere"),
        (("--root-path", "a b"), "a b"),
        (("--processes", "0"), "processes"),
        (("extra",), "extra"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, words, named):
    answer = call("--folder", str(tmp_path), *words)
    assert answer.returncode in (2, 4) and named in answer.stderr and "Traceback" not in answer.stderr


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    answer = call("--port", "0", "--folder", str(tmp_path / "file"))
    assert answer.returncode == 6 and "--folder" in answer.stderr


def test_other_machines_need_a_token():
    assert settings().token == "" and settings().host == "127.0.0.1"
    assert settings("--host", "127.0.0.2").token == ""
    made = settings("--host", "0.0.0.0").token
    assert len(made) >= 20 and made != settings("--host", "0.0.0.0").token
    assert settings("--host", "0.0.0.0", "--token", "mine").token == "mine"
    assert settings("--token=mine").token == "mine"
    assert len(settings("--token").token) >= 20
    assert len(settings("--token", "--rate", "5").token) >= 20
    assert settings(KAPELLE_TOKEN="kept").token == "kept"


def test_settings_go_to_other_processes_whole(tmp_path):
    site = tmp_path / "My Site"
    site.mkdir()
    (site / "index.html").write_text("x")
    made = settings("--study", str(site), "--study", str(site), "--allow-host", "a.example", "--root-path", "studio/", "--queue", "9")
    assert [name for name, _ in made.studies] == ["my-site", "my-site-2"] and made.root_path == "/studio"
    assert made.from_json(made.to_json()) == made
    assert made.token not in repr(made) or not made.token


def test_the_address_holds_the_token_and_can_be_opened_here():
    from kapelle.web.settings import Settings

    assert server.address_of(Settings(host="0.0.0.0", token="t"), 80) == "http://127.0.0.1:80/?token=t"
    assert server.address_of(Settings(host="::1"), 8000) == "http://[::1]:8000/"
    assert server.address_for_others(Settings(), 8000) == ""
    others = server.address_for_others(Settings(host="0.0.0.0", token="t"), 80)
    assert not others or re.fullmatch(r"http://[\d.]+:80/\?token=t", others)


def test_a_port_below_1024_is_told_if_it_is_not_ours(monkeypatch):
    def refuse(host, port):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(server, "_bound", refuse)
    with pytest.raises(UsageError, match="80"):
        server.listen("127.0.0.1", 80)
    with pytest.raises(Missing):
        server.studies_of([server.Path("nowhere")])


def test_a_connection_that_asks_nothing_whole_is_closed(monkeypatch):
    import uvicorn

    from kapelle.web import patience

    monkeypatch.setattr(patience, "HEAD_S", 0.2)

    async def app(scope, receive, send):
        await asyncio.sleep(0.5)  # answering may take longer than asking
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    held = server.listen("127.0.0.1", 0)
    running = uvicorn.Server(uvicorn.Config(app, http=patience.PatientProtocol, lifespan="off", log_config=None, timeout_keep_alive=2))
    thread = threading.Thread(target=running.run, args=([held],))
    thread.start()
    address = held.getsockname()
    try:
        for said in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            with socket.create_connection(address, 5) as line:
                line.sendall(said)
                began = time.monotonic()
                with contextlib.suppress(ConnectionResetError):
                    assert line.recv(100) == b""
                assert time.monotonic() - began < 2
        with socket.create_connection(address, 5) as line:
            for _ in range(2):
                line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"ok" in line.recv(1000)
            line.sendall(b"GET / HT")
            with contextlib.suppress(ConnectionResetError):
                assert line.recv(100) == b""
    finally:
        running.should_exit = True
        thread.join(10)


def test_a_page_opens_without_a_complaint(studio, page):
    page.goto("/")
    assert page.title()
    page.wait_for_load_state("networkidle")
