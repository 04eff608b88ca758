"""Nothing is sent anywhere, and nothing is written but what was asked for: composing, and the studio with all of its processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kapelle.bundles import load
from studios import start_studio

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")

SRC = str(Path(__file__).parents[1] / "src")

GUARD = """
import os, sys

PLACES = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind")

def watch(event, given):
    if event not in PLACES:
        return
    address = given[0] if event.startswith("socket.get") else given[1]
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(address, (str, bytes)) and not event.startswith("socket.get"):
        return  # a socket of this machine, named by a path
    if host in (None, "", "localhost", "127.0.0.1", "::1", os.uname().nodename):
        return
    with open(os.environ["GUARD"], "a") as out:
        out.write(f"{event} {address} {sys.argv}\\n")

sys.addaudithook(watch)
with open(os.environ["GUARD"], "a") as out:
    out.write(f"watched {os.getpid()}\\n")
"""

COMPOSE = """
from kapelle import api
api.compose(bars=2, seed=7).to_midi()
"""

TELLING = re.compile(r"AF_INET6?\b")
LOOPBACK = re.compile(r'inet_addr\("127\.|"::1"|SOCK_DGRAM, IPPROTO_IP\)')


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a cache and a place for what is temporary, all of them empty."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TMPDIR"):
        place = tmp_path / "home" / name.lower()
        place.mkdir(parents=True)
        monkeypatch.setenv(name, str(place))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))  # matplotlib keeps a list of fonts
    return tmp_path / "home"


def written(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SRC, **more}


def test_composing_writes_nothing_into_anybody_s_home_or_temporary_folder(home: Path) -> None:
    subprocess.run([sys.executable, "-c", COMPOSE], env=environment(), check=True, timeout=100)
    assert not written(home)


def test_what_runs_the_graphs_is_told_to_keep_silent_before_it_loads() -> None:
    code = "import kapelle, os, sys; assert 'onnxruntime' not in sys.modules; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    told = {**environment(), "ORT_DISABLE_TELEMETRY": "0"}
    assert subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True).stdout == "1\n"


def test_a_studio_and_all_of_its_processes_call_nobody(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    log = tmp_path / "calls.txt"
    monkeypatch.setenv("GUARD", str(log))
    monkeypatch.setattr(sys, "path", [str(guard), *sys.path])  # whence a studio's processes have theirs
    studio = start_studio(tmp_path / "studio", "--processes", "1", "--servers", "2")
    try:
        piece = studio.compose(length={"amount": 2, "unit": "bars"}, seed=7)["id"]
        for path in ("notes", "file/wav", "file/musicxml", "analysis", "score"):
            assert studio.get(f"/api/pieces/{piece}/{path}").status_code == 200
        time.sleep(1)
    finally:
        studio.stop()
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len({line for line in lines if line.startswith("watched ")}) >= 4  # the guard was there: server, its two, a worker
    assert not [line for line in lines if not line.startswith("watched ")]
    assert not written(home)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_composing_opens_no_socket_that_leaves_this_machine(tmp_path: Path, home: Path) -> None:
    trace = tmp_path / "trace.txt"
    code = f"{COMPOSE}\nimport time; time.sleep(3)"
    command = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg", "-o", str(trace), sys.executable, "-c", code]
    if subprocess.run(command, env=environment(), timeout=200, capture_output=True).returncode:
        pytest.skip("processes may not be traced here")
    calls = [line for line in trace.read_text(encoding="utf-8").splitlines() if TELLING.search(line) and not LOOPBACK.search(line)]
    assert not calls
