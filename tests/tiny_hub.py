"""A hub of weights on this machine: enough of the real one's protocol for its own client and for ours, with every fault on order.

::

    with hub() as server:
        commit = server.add("facebook/musicgen-small", folder)      # a folder of files becomes a repository
        monkeypatch.setenv("HF_ENDPOINT", server.url)

Large files (``.safetensors``) are kept as LFS has them: the sha256 is told, and the bytes come from another address of the same server,
as from a network of caches. Faults are those of `hostile_server.Served`: ``server.file(repo, path).cuts = [1000]``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

from hostile_server import Answering, Served, Server, serving

LARGE = (".safetensors", ".bin", ".ckpt")
CLOSE = {"Connection": "close"}


@dataclass
class Repository:
    """What the hub knows of one.

    Args:
        commit: The newest.
        files: By path.
        gated: Only for accounts in `consented`.
        told: Digests that are told in place of the true ones.
        wrong: How often a file is given out with another first byte.
        branch: At whose end the commit stands.
    """

    commit: str
    files: dict[str, Served]
    gated: bool = False
    told: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    branch: str = "main"


class Hub:
    """Repositories by name, tokens, and who agreed to what."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}"
        self.repositories: dict[str, Repository] = {}
        self.tokens: set[str] = set()
        self.consented: set[str] = set()
        self.busy = 0
        self.cdn = self.url

    def add(self, repo: str, folder: Path, *, gated: bool = False) -> str:
        """A folder becomes a repository; its commit."""
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        return self.put(repo, files, gated=gated)

    def put(self, repo: str, files: dict[str, bytes], *, gated: bool = False) -> str:
        """Files become a repository; its commit, which tells of nothing but their names and bytes."""
        whole = hashlib.sha1(repo.encode())
        for path, data in files.items():
            whole.update(path.encode() + data)
        served = {path: Served(data, etag=f'"{digest(path, data)}"', headers=dict(CLOSE)) for path, data in files.items()}
        self.repositories[repo] = Repository(whole.hexdigest(), served, gated)
        return whole.hexdigest()

    def file(self, repo: str, path: str) -> Served:
        """How a file is given out."""
        return self.repositories[repo].files[path]

    def asked(self, part: str) -> list[tuple[str, str, dict[str, str]]]:
        """The requests with a text in their path."""
        return [one for one in self.server.asked if part in one[1]]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        parts = [unquote(part) for part in handler.path.partition("?")[0].strip("/").split("/")]
        if self.busy:
            self.busy -= 1
            send(handler, 503, {})
        elif parts[:2] == ["api", "models"] and "/".join(parts[2:4]) in self.repositories:
            self._tell(handler, "/".join(parts[2:4]), parts[4:])
        elif parts[0] == "cdn" and "/".join(parts[1:3]) in self.repositories:
            Answering(handler, self._large("/".join(parts[1:3]), "/".join(parts[3:]))).answer()
        elif "/".join(parts[:2]) in self.repositories and parts[2:3] == ["resolve"]:
            self._give(handler, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            send(handler, 404, {"X-Error-Code": "RepoNotFound"})

    def _tell(self, handler: BaseHTTPRequestHandler, repo: str, rest: list[str]) -> None:
        kept = self.repositories[repo]
        if rest == ["auth-check"]:
            self._let_in(handler, kept) and send(handler, 200, {}, b"{}")
            return
        if rest and rest[0] == "tree":
            rows = [self._row(kept, path) for path in kept.files]
            send(handler, 200, {}, json.dumps(rows).encode())
            return
        if rest and (rest[0] != "revision" or rest[1] not in (kept.branch, kept.commit)):
            send(handler, 404, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for path in kept.files:
            row = self._row(kept, path)
            lfs = {"lfs": {"sha256": row["lfs"]["oid"], "size": row["size"], "pointerSize": 134}} if "lfs" in row else {}
            siblings.append({"rfilename": path, "size": row["size"], "blobId": row["oid"], **lfs})
        facts = {"id": repo, "sha": kept.commit, "gated": "auto" if kept.gated else False, "private": False, "siblings": siblings}
        send(handler, 200, {}, json.dumps(facts).encode())

    def _large(self, repo: str, path: str) -> Served:
        kept, served = self.repositories[repo], self.file(repo, path)
        served.headers = {"X-Repo-Commit": kept.commit, **CLOSE}  # the client follows a redirect to the same host by itself
        if not kept.wrong.get(path):
            return served
        kept.wrong[path] -= 1
        return replace(served, data=bytes([served.data[0] ^ 1]) + served.data[1:])

    def _row(self, kept: Repository, path: str) -> dict:
        data = kept.files[path].data
        row = {"type": "file", "path": path, "size": len(data), "oid": git_digest(data)}
        told = kept.told.get(path) or digest(path, data)
        if path.endswith(LARGE):
            row["lfs"] = {"oid": told, "size": len(data), "pointerSize": 134}
        else:
            row["oid"] = told
        return row

    def _let_in(self, handler: BaseHTTPRequestHandler, kept: Repository) -> bool:
        """Whether somebody may have the files; if not, it is answered."""
        who = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        if who and who not in self.tokens:
            send(handler, 401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif kept.gated and who not in self.consented:
            send(handler, 403 if who else 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted"})
        else:
            return True
        return False

    def _give(self, handler: BaseHTTPRequestHandler, repo: str, revision: str, path: str) -> None:
        kept = self.repositories[repo]
        if revision not in (kept.branch, kept.commit):
            send(handler, 404, {"X-Error-Code": "RevisionNotFound"})
        elif path not in kept.files:
            send(handler, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": kept.commit})
        elif self._let_in(handler, kept):
            served, told = kept.files[path], kept.told.get(path) or digest(path, kept.files[path].data)
            linked = {"X-Repo-Commit": kept.commit, "X-Linked-Etag": f'"{told}"', "X-Linked-Size": str(len(served.data))}
            if path.endswith(LARGE):
                send(handler, 302, {**linked, "Location": f"{self.cdn}/cdn/{repo}/{path}"})
            else:
                served.headers = {**linked, **CLOSE}
                Answering(handler, served).answer()


def digest(path: str, data: bytes) -> str:
    """By which the hub names contents: sha256 for large files, git's for the others."""
    return hashlib.sha256(data).hexdigest() if path.endswith(LARGE) else git_digest(data)


def git_digest(data: bytes) -> str:
    """As ``git hash-object`` gives it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    """An answer in whole."""
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **CLOSE, **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@contextlib.contextmanager
def hub() -> Iterator[Hub]:
    """A hub for as long as the block lasts."""
    with serving() as server:
        made = Hub(server)
        handler = server.http.RequestHandlerClass

        class Handling(handler):  # type: ignore[misc, valid-type]
            def do_GET(self) -> None:  # noqa: N802
                server.asked.append((self.command, self.path, dict(self.headers)))
                self.close_connection = True
                with contextlib.suppress(OSError):
                    made.answer(self)

        server.http.RequestHandlerClass = Handling
        yield made
