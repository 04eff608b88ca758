"""A web server on this machine that lies, dawdles, breaks off and leads astray, each file in its own way.

::

    with serving() as server:
        url = server.put("set.zip", Served(data, cuts=[1000]))

What was asked is in `server.asked`: (method, path, headers) of every request.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """A file and how it is given out.

    Args:
        data: The bytes.
        etag: Empty for none.
        modified: Last-Modified; empty for none.
        ranges: Whether Range is understood.
        conditions: Whether If-Range is.
        begins: Where an answer to Range begins, if not where it was asked for.
        cuts: One for each request: break off after so many bytes of the body; when the list is used up, no more.
        announced: Content-Length, if it is not the truth; None for none at all.
        chunked: Send in chunks, without a length.
        statuses: Answers before the real one.
        headers: More of them, which go with every answer.
        redirect: Where to, instead of the file.
        piece: Bytes sent at once.
        pause_s: After each piece.
        dawdle_s: Between the bytes of the headers.
        change: Called after each answer.
        methods: Others are answered 405.
        kind: Content-Type.
    """

    data: bytes = b""
    etag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    conditions: bool = True
    begins: int | None = None
    cuts: list[int] = field(default_factory=list)
    announced: int | None = -1
    chunked: bool = False
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str = ""
    piece: int = 1 << 16
    pause_s: float = 0.0
    dawdle_s: float = 0.0
    change: Callable[[Served], None] = lambda served: None
    methods: tuple[str, ...] = ("GET", "HEAD")
    kind: str = "application/octet-stream"


class Server:
    """Files by path, and what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.scheme = "http"

    @property
    def port(self) -> int:
        return self.http.server_address[1]

    def put(self, name: str, served: Served) -> str:
        """Serve a file; its address."""
        self.files["/" + name] = served
        return f"{self.scheme}://127.0.0.1:{self.port}/{name}"

    def encrypt(self, certificate: Path) -> None:
        """Speak TLS from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.scheme = "https"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: object) -> None:
                pass

            def do_GET(self) -> None:
                server.asked.append((self.command, self.path, dict(self.headers)))
                served = server.files.get(self.path.partition("?")[0])
                self.close_connection = True
                with contextlib.suppress(OSError):
                    if served is None:
                        self.send_error(404)
                    else:
                        Answering(self, served).answer()
                        served.change(served)

            def do_HEAD(self) -> None:
                self.do_GET()

        return Handler


class Answering:
    """One answer."""

    def __init__(self, handler: BaseHTTPRequestHandler, served: Served) -> None:
        self.handler, self.served = handler, served

    def answer(self) -> None:
        served = self.served
        if self.handler.command not in served.methods:
            self.head(405, {"Content-Length": "0"})
        elif served.redirect:
            self.head(302, {"Location": served.redirect, "Content-Length": "0"})
        elif served.statuses:
            self.head(served.statuses.pop(0), {"Content-Length": "0"})
        else:
            self.file()

    def file(self) -> None:
        served, wanted = self.served, self.handler.headers.get("Range", "")
        condition = self.handler.headers.get("If-Range", "")
        still = not served.conditions or condition in ("", served.etag, served.modified)
        first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and served.ranges and still else 0
        if wanted and served.ranges and first >= len(served.data):
            self.head(416, {"Content-Range": f"bytes */{len(served.data)}", "Content-Length": "0"})
            return
        if wanted and served.ranges and served.begins is not None:
            first = served.begins
        last = len(served.data) - 1
        if wanted == "bytes=0-0" and served.ranges:
            last = 0
        body = served.data[first : last + 1]
        headers = {"Content-Type": served.kind}
        if wanted and served.ranges and still:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(served.data)}"
        if served.etag:
            headers["ETag"] = served.etag
        if served.modified:
            headers["Last-Modified"] = served.modified
        if served.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif served.announced is not None:
            headers["Content-Length"] = str(len(body) if served.announced < 0 else served.announced)
        self.head(206 if "Content-Range" in headers else 200, headers)
        if self.handler.command != "HEAD":
            self.body(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        text = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in {**headers, **self.served.headers}.items()) + "\r\n"
        step = 1 if self.served.dawdle_s else len(text)
        for start in range(0, len(text), step):
            self.handler.connection.sendall(text[start : start + step].encode("latin-1"))
            time.sleep(self.served.dawdle_s)

    def body(self, body: bytes) -> None:
        served, sent = self.served, 0
        cut = served.cuts.pop(0) if served.cuts else None
        limit = len(body) if cut is None else min(cut, len(body))
        while sent < limit:
            piece = body[sent : min(sent + served.piece, limit)]
            frame = b"%x\r\n%s\r\n" % (len(piece), piece) if served.chunked else piece
            self.handler.connection.sendall(frame)
            sent += len(piece)
            time.sleep(served.pause_s)
        if served.chunked and cut is None:
            self.handler.connection.sendall(b"0\r\n\r\n")
        with contextlib.suppress(OSError):
            self.handler.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    server = Server()
    if certificate:
        server.encrypt(certificate)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


def zipped(files: dict[str, bytes], stored: bool = False) -> bytes:
    """A zip file of names and contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tarred(files: dict[str, bytes | tarfile.TarInfo], compression: str = "") -> bytes:
    """A tar file; what stands for bytes may be a TarInfo of anything, a link for example, which is added under the name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                data.name = name
                archive.addfile(data)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A tar member that is no file: tarfile.SYMTYPE, LNKTYPE, CHRTYPE, FIFOTYPE ..."""
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info
