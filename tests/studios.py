"""Studios that run, for tests: a server in a process of its own, its events, and what a page of a browser complains about."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx


@dataclass
class Studio:
    """A server.

    Attributes:
        folder: Where its pieces are.
        url: Where it answers, without a slash at the end.
        token: Who has it may come in.
    """

    folder: Path
    options: tuple[str, ...] = ()
    url: str = ""
    token: str = ""
    process: subprocess.Popen[str] | None = None
    told: dict = field(default_factory=dict)

    def start(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "kapelle", "serve", "--json", "--port", str(port), "--folder", str(self.folder), "--no-open"]
        self.log = (self.folder.parent / "server.log").open("a")
        self.process = subprocess.Popen(
            [*command, *self.options], stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True,
            env={**os.environ, "KAPELLE_LANG": "en", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, f"the server did not start: {self.errors()}"
        self.told = json.loads(line)
        assert "url" in self.told, self.told
        parts = urlsplit(self.told["url"])
        self.url, self.token = f"{parts.scheme}://{parts.netloc}", self.told["token"]

    @property
    def port(self) -> int:
        return self.told["port"]

    def errors(self) -> str:
        """What it printed on stderr."""
        return (self.folder.parent / "server.log").read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """End it as a power cut would, workers left alone."""
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()
        self.log.close()

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.log.close()
        return code

    def restart(self) -> None:
        """Start it again at the same address."""
        self.start(self.port)

    def request(self, method: str, path: str, **more) -> httpx.Response:
        headers = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **more.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=more.pop("timeout", 60), **more)

    def get(self, path: str, **more) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body=None, **more) -> httpx.Response:
        return self.request("POST", path, **({"json": body} if body is not None else {}), **more)

    def delete(self, path: str, **more) -> httpx.Response:
        return self.request("DELETE", path, **more)

    def patch(self, path: str, body, **more) -> httpx.Response:
        return self.request("PATCH", path, json=body, **more)

    def wait(self, job: dict | str, seconds: float = 120) -> dict:
        """A job once it has ended."""
        id = job if isinstance(job, str) else job["id"]
        until = time.monotonic() + seconds
        while True:
            table = self.get(f"/api/jobs/{id}").json()
            if table["state"] in ("done", "failed", "cancelled"):
                return table
            assert time.monotonic() < until, table
            time.sleep(0.05)

    def compose(self, verb: str = "compose", **body) -> dict:
        """The record of a piece that was composed for this."""
        answer = self.post(f"/api/{verb}", body)
        assert answer.status_code == 202, answer.text
        job = self.wait(answer.json())
        assert job["state"] == "done", job
        return self.get(f"/api/pieces/{job['pieces'][0]}").json()

    def upload(self, data: bytes, name: str = "tune.mid") -> dict:
        answer = self.request("POST", "/api/uploads", params={"name": name}, content=data)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def events(self, job: dict | str, after: int = 0, **more):
        """(number, name, data) of each event of a job until its last."""
        id = job if isinstance(job, str) else job["id"]
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with httpx.stream(
            "GET", f"{self.url}/api/jobs/{id}/events", params={"after": after}, headers=headers, timeout=60, **more
        ) as answer:
            assert answer.status_code == 200, answer.read()
            yield from events_in(answer.iter_lines())


def events_in(lines):
    """(number, name, data) of each server-sent event among lines."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields.get("event"):
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
        else:
            fields = {}


def start_studio(folder: Path, *options: str) -> Studio:
    """A server with options of its own; whoever starts it stops it."""
    made = Studio(folder / "studio", options)
    made.folder.mkdir(parents=True, exist_ok=True)
    made.start()
    return made


def watch(page) -> list[str]:
    """A list that grows with what a page complains about, and with requests that leave this machine."""
    found: list[str] = []
    page.on("console", lambda message: found.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))

    def look(request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname not in ("127.0.0.1", "localhost"):
            found.append(f"request: {request.url}")

    page.on("request", look)
    return found
