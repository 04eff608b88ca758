"""A studio that runs: a socket, processes that compose, and one or several servers of the application, until somebody ends it.

Takes `Settings` and a `Way`; gives back when Ctrl-C or SIGTERM ended it. Whoever composes at that moment gives the job back to the queue,
where it waits for the next time. It knows nothing of what is asked or answered.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import logging
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import Missing, UsageError
from kapelle.web.settings import LOOPBACK, Settings
from kapelle.workers import end_with_master

if TYPE_CHECKING:
    from fastapi import FastAPI

PORT = 8000
TRIED = 20
"""Ports that are tried, from `PORT` on, if none is asked for."""

SETTINGS = "KAPELLE_STUDIO_SETTINGS"
"""Where servers in processes of their own find their settings."""

GRACE_S = 1
"""So long answers that are under way may take when the server ends."""

WORKERS_S = 0.3
"""So long a worker may take to end its job when the server ends; then it gives it back."""

KEEP_ALIVE_S = 15
BACKLOG = 512
FILES = 4096
"""Files and lines that may be open at a time, if the system lets us: some allow 256 to who does not ask for more."""

_log = logging.getLogger("kapelle.web")


@dataclass(frozen=True)
class Way:
    """How a studio runs.

    Args:
        processes: That compose.
        servers: That answer; more than one behind a reverse proxy with much to do.
    """

    processes: int = 1
    servers: int = 1


def default_processes() -> int:
    """Processes that compose, if nobody says how many: one processor is left for the server, and four are enough for one person."""
    return min(4, max(1, (os.cpu_count() or 1) - 1))


def listen(host: str, port: int | None) -> socket.socket:
    """A socket at an address of this machine.

    Args:
        host: The address.
        port: 0: any that is free; None: `PORT`, or the next free one.

    Raises:
        UsageError: The port is busy or not ours to take; the address is not of this machine.
    """
    ports = [port] if port is not None else [*range(PORT, PORT + TRIED), 0]
    for number in ports:
        try:
            return _bound(host, number)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and number != ports[-1]:
                continue
            raise _refusal(host, number, error) from error
    raise AssertionError("the last port was tried")


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo("127.0.0.1" if host == "localhost" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    held = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended leaves its port in doubt for a minute
        held.bind(address)
        held.listen(BACKLOG)
    except BaseException:
        held.close()
        raise
    held.set_inheritable(True)
    return held


def _refusal(host: str, port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError("port {port} is busy", port=port, hint="choose another with --port, or end the program that listens there")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError("you may not listen on port {port}", port=port, hint="choose one from 1024 on: --port")
    return UsageError(
        "{host} is no address of this machine", host=host, hint="127.0.0.1 is this machine alone, 0.0.0.0 all of its addresses"
    )


def address_of(settings: Settings, port: int) -> str:
    """Where the page is opened from this machine, with the token."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    host = everywhere.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"http://{host}:{port}/" + (f"?token={settings.token}" if settings.token else "")


def address_for_others(settings: Settings, port: int) -> str:
    """Where other machines of the network open the page; empty if they cannot, or if this machine has no network."""
    if settings.host not in ("0.0.0.0", "::"):
        return ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: the system says which of its addresses it would take
        except OSError:
            return ""
        return address_of(replace(settings, host=probe.getsockname()[0]), port)


def is_private(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host in LOOPBACK or host.startswith("127.")


def studies_of(folders: Sequence[Path]) -> tuple[tuple[str, Path], ...]:
    """A name for each site, made of its folder's, none twice.

    Raises:
        Missing: There is no page in a folder.
    """
    out: dict[str, Path] = {}
    for folder in folders:
        if not (folder / "index.html").is_file():
            raise Missing("{path} holds no index.html", path=folder, hint="`kapelle study` writes such a folder")
        stem = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "study"
        name = next(name for name in (stem, *(f"{stem}-{i}" for i in range(2, len(folders) + 2))) if name not in out)
        out[name] = folder.resolve()
    return tuple(out.items())


def root_path_of(text: str) -> str:
    """A path below which a page is offered, with a slash before it and none behind.

    Raises:
        UsageError: It is no path of an address.
    """
    path = f"/{text.strip('/')}" if text.strip("/") else ""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise UsageError("{text!r} is no path of an address", text=text, hint="such as /studio")
    return path


def run(settings: Settings, way: Way, held: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        settings: What, and to whom.
        way: With how many processes.
        held: Where it listens; it is closed at the end.
        ready: Called once when the first answer can be given.

    Raises:
        StorageError: The folder cannot be used.
    """
    from kapelle.web.app import PASSING
    from kapelle.web.studio import open_studio
    from kapelle.web.supervisor import Supervisor

    _ask_for_files()
    with contextlib.closing(held):
        studio = open_studio(settings.folder, most_waiting=settings.queue, repair=True)
        for left in studio.folder.path.glob(f"{PASSING}*"):
            shutil.rmtree(left, ignore_errors=True)
        supervisor = Supervisor(studio, way.processes)
        supervisor.start()
        stopping = threading.Thread(target=supervisor.stop, args=(WORKERS_S,))
        try:
            _serve_many(settings, way, held, ready) if way.servers > 1 else _serve_one(settings, held, ready, stopping.start)
        except KeyboardInterrupt:
            pass  # how a studio is meant to end
        finally:
            if stopping.ident is None:
                stopping.start()
            stopping.join()


def _ask_for_files() -> None:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _options(settings: Settings) -> dict[str, Any]:
    from kapelle.web.patience import PatientProtocol

    return {
        "http": PatientProtocol,
        "log_config": None,
        "log_level": "error",  # that a stranger sends no HTTP is no news
        "access_log": False,  # it would hold the token
        "server_header": False,
        "proxy_headers": settings.behind_proxy,
        "forwarded_allow_ips": "*" if settings.behind_proxy else "",
        "timeout_graceful_shutdown": GRACE_S,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "backlog": BACKLOG,
        "ws": "none",
        "lifespan": "on",
    }


def _serve_one(settings: Settings, held: socket.socket, ready: Callable[[], None], ending: Callable[[], None]) -> None:
    """Answer in this process; `ending` is called when the end begins."""
    import uvicorn

    from kapelle.web.app import create_app

    app = create_app(settings)

    class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
        """Tells when it answers, and lets listeners go when it ends: their answers would never be done."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ending()
            await app.state.served.feed.close()
            await super().shutdown(sockets)

    Server(uvicorn.Config(app, **_options(settings))).run([held])


def _serve_many(settings: Settings, way: Way, held: socket.socket, ready: Callable[[], None]) -> None:
    """Answer in processes of their own, which share the socket."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config("kapelle.web.server:application", factory=True, workers=way.servers, **_options(settings))
    servers = Multiprocess(config, [held])
    threading.Thread(target=_tell, args=(held.getsockname(), servers.should_exit, ready), daemon=True).start()
    with _told(settings):
        servers.run()


def _tell(address: tuple[Any, ...], ended: threading.Event, ready: Callable[[], None]) -> None:
    """Call `ready` when the first of several servers answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    while not ended.wait(0.1):
        line = http.client.HTTPConnection(host, address[1], timeout=5)
        try:
            line.request("GET", "/health", headers={"Host": "localhost"})
            line.getresponse().read()
        except (OSError, http.client.HTTPException):
            continue
        finally:
            line.close()
        ready()
        return


def application() -> FastAPI:
    """The application of a server in a process of its own, which ends with the process that began it."""
    from kapelle.web.app import create_app

    end_with_master()
    return create_app(Settings.from_json(os.environ[SETTINGS]))


@contextlib.contextmanager
def _told(settings: Settings) -> Iterator[None]:
    """Inside, new processes know the settings."""
    os.environ[SETTINGS] = settings.to_json()
    try:
        yield
    finally:
        del os.environ[SETTINGS]
