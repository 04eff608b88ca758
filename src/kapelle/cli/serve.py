"""``kapelle serve``: the studio, a page on which one composes, hears, keeps and takes away."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import group, option

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.web.settings import Settings

GENERATED = "new"


@dataclass(frozen=True, kw_only=True)
class ProxyFlags:
    """For a studio that is reached through another server."""

    servers: int = option(1, help="how many processes answer", min=1, max=64)
    behind_proxy: bool = option(False, help="believe what the proxy says of who asks: X-Forwarded-For and X-Forwarded-Proto")
    root_path: str = option("", help="path below which the proxy offers the page", metavar="/PATH")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    port: int | None = option(None, help="port; 8000 or the next free one if left out, 0 for any free one", short="-p", min=0, max=65535)
    host: str = option("127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in, who need a token", metavar="ADDRESS")
    folder: Path | None = option(None, help="where pieces are kept; KAPELLE_STUDIO or a place of your own if left out", metavar="FOLDER")
    processes: int | None = option(None, help="how many processes compose; all processors but one, at most 4, if left out", min=1, max=64)
    token: str = option(
        "", help="let in only who has it; made for you if only --token is said, or take KAPELLE_TOKEN", metavar="TEXT", implied=GENERATED,
        suffixes=("",),
    )  # fmt: skip
    allow_host: tuple[str, ...] = option((), help="a name under which the page may be opened, beside this machine's own", metavar="NAME")
    study: tuple[Path, ...] = option((), help="folder of a study's site to show", metavar="FOLDER")
    queue: int = option(256, help="how many jobs may wait", min=1, max=100_000)
    rate: float = option(100.0, help="requests a second that one client may make; 0 for any number", min=0, max=1e6)
    open_: bool | None = option(None, help="open the page in the browser; done by itself at a terminal")
    proxy: ProxyFlags = group(ProxyFlags, "Behind another server")


def run(arguments: Arguments, console: Console) -> None:
    """Listen, tell where, serve."""
    from kapelle.web import server

    settings = settings_of(arguments)
    held = server.listen(settings.host, arguments.port)
    port = held.getsockname()[1]
    way = server.Way(arguments.processes or server.default_processes(), arguments.proxy.servers)
    shown = os.environ.get("KAPELLE_SHOWN_PORT")  # in a container: the port by which it is reached from outside
    address = server.address_of(settings, int(shown or port))
    outside = "" if shown else server.address_for_others(settings, port)

    def ready() -> None:
        if console.as_json:
            console.data({"url": address, "host": settings.host, "port": port, "token": settings.token, "folder": settings.folder})
        else:
            console.line(console.texts("The studio is open at {address}", address=address))
            if outside:
                console.line(console.texts("for other machines: {address}", address=outside))
            console.note("Ctrl-C ends it; what is being composed then goes on next time.")
        if _wanted(arguments.open_, console):
            import webbrowser

            webbrowser.open(address)

    server.run(settings, way, held, ready)


def settings_of(arguments: Arguments) -> Settings:
    """The settings that the flags ask for; other machines need a token, which is made if none is given."""
    from kapelle.web import server
    from kapelle.web.folder import place
    from kapelle.web.settings import Settings

    token = arguments.token or os.environ.get("KAPELLE_TOKEN", "")
    if token == GENERATED or (not token and not server.is_private(arguments.host)):
        token = secrets.token_urlsafe(18)
    return Settings(
        folder=place(arguments.folder), host=arguments.host, token=token, allow_hosts=arguments.allow_host,
        studies=server.studies_of(arguments.study), queue=arguments.queue, rate=arguments.rate,
        behind_proxy=arguments.proxy.behind_proxy, root_path=server.root_path_of(arguments.proxy.root_path),
    )  # fmt: skip


def _wanted(asked: bool | None, console: Console) -> bool:
    """Whether to open the browser: as asked, else at a terminal with a screen."""
    if asked is not None:
        return asked
    screen = sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return console.out.isatty() and not console.as_json and screen
