"""How much a client may ask: small middlewares of plain ASGI that refuse what is too often, too large or too slow.

Takes requests; passes them on, or refuses them with 429, 413 or 408 before their bodies are read. `Rates` keeps a bucket for each client,
which belongs to one application; `Bodies` keeps nothing. Who may ask at all is a matter of `kapelle.web.security`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kapelle.errors import UsageError
from kapelle.web.errors import Refused
from kapelle.web.security import SAFE, path_of
from kapelle.web.settings import BodyLimits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Rates:
    """Refuses a client that asks more often than it may: a bucket of tokens for each, filled again as time goes by.

    Args:
        app: What comes next.
        rate: Requests a second below ``/api``, over a longer time; 0: as many as they like.
        burst: Seconds' worth that a client may spend at once.
        clock: Seconds that never go back.
    """

    MOST = 4096  # clients that are remembered; the one that was silent longest is forgotten

    def __init__(self, app: ASGIApp, rate: float, burst: float = 4.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.rate, self.size, self.clock = app, rate, max(1.0, rate * burst), clock
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if self.rate > 0 and scope["type"] == "http" and not path_of(scope).startswith("/static/"):
            wait = self.wait(client_of(scope), 1.0 if scope["method"] in SAFE else 4.0)
            if wait > 0:
                raise Refused(
                    429, UsageError("too many requests", hint="wait a moment, then try again"), retry_after_s=wait, kind="TooManyRequests"
                )
        await self.app(scope, receive, send)

    def wait(self, client: str, cost: float) -> float:
        """0 if a client may go on, which is noted; else seconds until it may."""
        now = self.clock()
        held, then = self.buckets.pop(client, (self.size, now))
        held = min(self.size, held + (now - then) * self.rate)
        cost = min(cost, self.size)
        allowed = held >= cost
        self.buckets[client] = held - cost if allowed else held, now
        if len(self.buckets) > self.MOST:
            self.buckets.popitem(last=False)
        return 0.0 if allowed else (cost - held) / self.rate


def client_of(scope: Scope) -> str:
    """Who asks, for counting: an address, of IPv6 the network that one household has."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


class Bodies:
    """Refuses a body that is too large before it is read, or while; and one that comes too slowly.

    Args:
        app: What comes next.
        limits: How much, how slowly.
        sounds: Paths whose body is a sound.
        files: Paths whose body is a MIDI file.
    """

    def __init__(self, app: ASGIApp, limits: BodyLimits, sounds: Iterable[str], files: Iterable[str]) -> None:
        self.app, self.limits = app, limits
        self.by_path = dict.fromkeys(sounds, limits.sound_bytes) | dict.fromkeys(files, limits.midi_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.by_path.get(path_of(scope), self.limits.json_bytes)
        lengths = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-length"]
        if any(not (length.isascii() and length.isdigit()) for length in lengths) or len(set(lengths)) > 1:
            raise Refused(400, UsageError("Content-Length is no number"), kind="BadRequest")
        if lengths and (len(lengths[0]) > 18 or int(lengths[0]) > most):
            raise too_large(most)
        await self.app(scope, self.counted(receive, most), send)

    def counted(self, receive: Receive, most: int) -> Receive:
        """`receive`, which stops at too many bytes and at the end of patience."""
        loop = asyncio.get_running_loop()
        begun, held, whole = loop.time(), 0, False

        async def counting() -> Message:
            """The next message, if it comes in time and is not too much."""
            nonlocal held, whole
            if whole:
                return await receive()  # all is there: what comes is that the client goes away
            patience = self.limits.seconds + held / self.limits.bytes_a_second
            try:
                async with asyncio.timeout_at(begun + patience):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, UsageError("the body came too slowly"), kind="TooSlow") from None
            if message["type"] == "http.request":
                held += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if held > most:
                    raise too_large(most)
            return message

        return counting


def too_large(most: int) -> Refused:
    """413, with how much is allowed."""
    return Refused(
        413,
        UsageError("that is too large: at most {mib:g} MiB are taken", mib=round(most / (1 << 20), 2), hint="send a smaller file"),
        kind="TooLarge",
    )
