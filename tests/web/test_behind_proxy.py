"""Two servers of one folder behind a reverse proxy: nginx and Caddy with the files in deploy/ where they are installed, and a tiny one."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kapelle.bundles import load
from studios import Studio, events_in, start_studio
from tiny_proxy import proxy

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "studio.example.org"
TOKEN = "a-token-for-tests"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    options = ("--servers", "2", "--processes", "1", "--behind-proxy", "--allow-host", NAME, "--token", TOKEN)
    made = start_studio(tmp_path_factory.mktemp("proxied"), *options)
    yield made
    made.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A server, as soon as it listens."""
    log = folder / "proxy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
    try:
        for _ in range(200):
            assert process.poll() is None, log.read_text()
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def behind_nginx(studio: Studio, folder: Path) -> Iterator[str]:
    if not shutil.which("nginx") or not shutil.which("openssl"):
        pytest.skip("nginx or openssl is not installed")
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    subprocess.run([*certificate, "-keyout", "privkey.pem", "-out", "fullchain.pem"], cwd=folder, check=True, capture_output=True)
    port, plain = free_port(), free_port()
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for old, new in ((f"/etc/letsencrypt/live/{NAME}/", f"{folder}/"), ("127.0.0.1:8000", f"127.0.0.1:{studio.port}"),
                     ("listen 443", f"listen 127.0.0.1:{port}"), ("listen 80", f"listen 127.0.0.1:{plain}")):  # fmt: skip
        assert old in site
        site = site.replace(old, new)
    (folder / "site.conf").write_text(site, encoding="utf-8")
    places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; daemon off; error_log stderr; events {{}} http {{ access_log off; {places} include {folder}/site.conf; }}",
        encoding="utf-8",
    )
    with running([str(shutil.which("nginx")), "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "stderr"], port, folder):
        assert httpx.get(f"http://127.0.0.1:{plain}/x", headers={"Host": NAME}).headers["location"] == f"https://{NAME}/x"
        yield f"https://127.0.0.1:{port}"


@contextmanager
def behind_caddy(studio: Studio, folder: Path) -> Iterator[str]:
    if not shutil.which("caddy"):
        pytest.skip("Caddy is not installed")
    port = free_port()
    site = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert f"\n{NAME} {{" in site
    site = site.replace(f"\n{NAME} {{", f"\n:{port} {{").replace("127.0.0.1:8000", f"127.0.0.1:{studio.port}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}", encoding="utf-8")
    with running([str(shutil.which("caddy")), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"], port, folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def behind_tiny_proxy(studio: Studio, folder: Path) -> Iterator[str]:
    with proxy(studio.port) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module", params=[behind_tiny_proxy, behind_nginx, behind_caddy], ids=["tiny", "nginx", "caddy"])
def client(request: pytest.FixtureRequest, studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Who asks through a proxy, by the name under which it is known."""
    headers = {"Host": NAME, "Authorization": f"Bearer {TOKEN}"}
    with request.param(studio, tmp_path_factory.mktemp("proxy")) as url:
        verify = not url.startswith("https")  # a certificate that was made a moment ago
        with httpx.Client(base_url=url, headers=headers, verify=verify, timeout=60) as made:
            yield made


def test_the_page_is_there_under_its_name_alone(client: httpx.Client) -> None:
    assert "Kapelle" in client.get("/").text
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert client.post("/api/compose", json={}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_notes_come_through_while_the_piece_is_composed(client: httpx.Client) -> None:
    wish = {"length": {"amount": 24, "unit": "bars"}, "seed": 7}
    job = client.post("/api/compose", json=wish, headers={"Origin": f"https://{NAME}"})
    assert job.status_code == 202, job.text
    told = []
    with client.stream("GET", f"/api/jobs/{job.json()['id']}/events") as answer:
        for _, name, data in events_in(answer.iter_lines()):
            told.append((time.monotonic(), name, data))
    names = [name for _, name, _ in told]
    assert names[-1] == "done"
    assert told[-1][0] - told[names.index("notes")][0] > 0.1  # not gathered by the proxy
    piece = told[-1][2]["pieces"][0]
    for _ in range(4):  # whichever server answers
        assert client.get(f"/api/pieces/{piece}/file/mid").content.startswith(b"MThd")


def test_the_token_becomes_a_cookie_for_https_alone(client: httpx.Client) -> None:
    answer = client.get("/", params={"token": TOKEN}, headers={"Authorization": "", "X-Forwarded-Proto": "http"}, follow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    if client.base_url.scheme == "https":
        assert "secure" in cookie
        assert client.get("/api/about", headers={"Authorization": ""}).status_code == 200
    client.cookies.clear()
    assert client.get("/api/about", headers={"Authorization": ""}).status_code == 401


def test_too_much_is_refused(client: httpx.Client) -> None:
    try:
        answer = client.post("/api/uploads", params={"name": "x.mid"}, content=bytes(40 << 20))
    except httpx.TransportError:  # some hang up while we still send
        return
    assert answer.status_code in (413, 502)  # Caddy, which is still sending when it is refused, may take that for a failure


def test_the_service_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "kapelle.service").read_text(encoding="utf-8"))
    program, verb, *flags = shlex.split(unit["Service"]["ExecStart"])
    assert (Path(program).name, verb) == ("kapelle", "serve")
    known = (DEPLOY.parent / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert all(flag in known for flag in flags if flag.startswith("--"))
    assert unit["Service"]["KillMode"] == "mixed"  # the server is told, and tells its processes


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_service_is_one_for_systemd(tmp_path: Path) -> None:
    text = (DEPLOY / "kapelle.service").read_text(encoding="utf-8")
    unit = tmp_path / "kapelle.service"
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text), encoding="utf-8")
    answer = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert "kapelle.service" not in answer.stderr, answer.stderr
