"""HTTP by hand, for what no well-behaved client sends: bytes as they are, when we like, and lines that are cut in the midst."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator


class Line:
    """A connection to a server of this machine."""

    def __init__(self, port: int, timeout: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.port = port

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self, method: str, path: str, *headers: str) -> None:
        """Send a head, the empty line behind it included."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"))

    def answer(self, seconds: float = 30.0) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and the body as far as it comes; status 0 if the server hung up."""
        data = self._until(b"\r\n\r\n", seconds)
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            return 0, {}, data
        first, *rows = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        length = int(headers.get("content-length", "0"))
        if len(body) < length:
            body += self._read(length - len(body), seconds)
        return int(first.split()[1]), headers, body

    def closed(self, seconds: float) -> bool:
        """Whether the server hangs up within a time; what it sends before does not matter."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False

    def half_close(self) -> None:
        """Say that nothing more is sent, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Cut the line as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def _until(self, mark: bytes, seconds: float) -> bytes:
        data = b""
        until = time.monotonic() + seconds
        while mark not in data:
            self.socket.settimeout(max(0.01, until - time.monotonic()))
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                break
            if not more:
                break
            data += more
        return data

    def _read(self, size: int, seconds: float) -> bytes:
        data = b""
        self.socket.settimeout(seconds)
        while len(data) < size and (more := self.socket.recv(65536)):
            data += more
        return data


@contextlib.contextmanager
def line(port: int) -> Iterator[Line]:
    made = Line(port)
    try:
        yield made
    finally:
        made.close()


def error_in(body: bytes) -> dict[str, object]:
    """The error that an answer tells."""
    found: dict[str, object] = json.loads(body)["error"]
    return found
