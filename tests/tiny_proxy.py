"""A reverse proxy in forty lines that does to requests what nginx and Caddy do with our files in deploy/.

It says who asked and by which scheme, in place of what the client says of itself, hands bytes on as they come, and keeps no line open.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

OURS = (b"x-forwarded-for", b"x-forwarded-proto", b"connection")


@contextmanager
def proxy(to: int, scheme: str = "https") -> Iterator[int]:
    """The port at which a proxy listens that leads to another port of this machine."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(lambda reader, writer: _serve(reader, writer, to, scheme), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int, scheme: str) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rows = head[:-4].split(b"\r\n")
        rows = [row for row in rows if row.partition(b":")[0].strip().lower() not in OURS]
        client = writer.get_extra_info("peername")[0].encode()
        rows += [b"X-Forwarded-For: " + client, b"X-Forwarded-Proto: " + scheme.encode(), b"Connection: close"]
        theirs, ours = await asyncio.open_connection("127.0.0.1", to)
        ours.write(b"\r\n".join([first, *rows]) + b"\r\n\r\n")
        sending = asyncio.create_task(_hand_on(reader, ours))
        await _hand_on(theirs, writer)
        sending.cancel()
        ours.close()
    writer.close()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
