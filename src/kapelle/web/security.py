"""What every request passes before a route sees it: small middlewares of plain ASGI, each for one danger.

From the outside in: `Below` (the path of a proxy), `Headers` (what browsers must not do with our answers), `Hosts` (a foreign name that
leads here), `Origins` (a foreign page that sends something), `Token` (who may come in); `kapelle.web.measure` has those for what is too
much. A refusal is told as every error is: JSON in the language of who asks. Nothing of a body is read before all of them agree. They keep
no state, and they do not know what routes there are.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.datastructures import Headers as Fields
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse

from kapelle.errors import UsageError
from kapelle.web import errors
from kapelle.web.errors import Refused
from kapelle.web.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def path_of(scope: Scope) -> str:
    """The path of a request as the routes know it, without what a proxy put before it."""
    root, path = scope.get("root_path", ""), str(scope["path"])
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path


SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; frame-src 'self'"
)
"""Content-Security-Policy of all that does not bring its own."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "midi=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

OPEN_PATHS = ("/health",)
"""Need no token: they tell nothing."""

SEALED = re.compile(r"/studies/key-([0-9a-f]{32})/")
"""A study's files under a name that only who has the token was told: a sandboxed page brings no cookie for its pictures and sounds."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")


class Below:
    """Serves below the path at which a proxy offers the page, whether the proxy takes that path away or leaves it.

    Args:
        app: What comes next.
        root: The path, such as ``/studio``; empty: the one that the server was started with, if any.
    """

    def __init__(self, app: ASGIApp, root: str = "") -> None:
        self.app = app
        self.root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the whole path and what of it is the proxy's."""
        root = self.root or scope.get("root_path", "")
        if scope["type"] == "http" and root:
            path = scope["path"]
            if path == root and scope["method"] in SAFE:  # as people type it; the page's addresses are relative, and need the slash
                query = scope["query_string"].decode("latin-1")
                there = RedirectResponse(f"{root}/{'?' if query else ''}{query}", 307, {"Cache-Control": "no-store"})
                await Headers(there)(scope, receive, send)
                return
            scope = {**scope, "root_path": root, "path": path if path.startswith(f"{root}/") else root + path}
        await self.app(scope, receive, send)


class Headers:
    """Adds the security headers that an answer does not have yet."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; add to its answer."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # there are none here
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    if name == "X-Frame-Options" and "Content-Security-Policy" in headers and headers["Content-Security-Policy"] != POLICY:
                        continue  # who brings a policy says there who may show it in a frame
                    headers.setdefault(name, value)
                if path_of(scope).startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, receive, add)
        except Refused as error:
            await errors.response(error, errors.language_of(scope))(scope, receive, add)


class Hosts:
    """Refuses requests for another name than ours: a foreign page whose name is made to lead here (DNS rebinding) comes with its own.

    Args:
        app: What comes next.
        settings: The names of this machine are always allowed, and where not only this machine is listened to, plain addresses, which
            no page can take on.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.names = allowed_names(settings)
        self.addresses = settings.host not in LOOPBACK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            values = [value for name, value in scope["headers"] if name == b"host"]
            name = host_name(values[0].decode("latin-1")) if len(values) == 1 else ""
            if not name or not self.allows(name):
                raise Refused(
                    403,
                    UsageError(
                        "this studio does not answer to the name {name!r}", name=name[:80], hint="kapelle serve --allow-host {name}"
                    ),
                    kind="ForeignHost",
                )
        await self.app(scope, receive, send)

    def allows(self, name: str) -> bool:
        """Whether `name` (lower case, no port) is one of ours."""
        return "*" in self.names or name in self.names or (self.addresses and _is_address(name))


def allowed_names(settings: Settings) -> frozenset[str]:
    """Names under which the page may be opened."""
    own = socket.gethostname().lower()
    names = {*LOOPBACK, *(name.lower().rstrip(".").strip("[]") for name in settings.allow_hosts)}
    if settings.host not in LOOPBACK:
        names |= {settings.host.lower(), own, f"{own}.local"} - {"0.0.0.0", "::"}
    return frozenset(names)


def host_name(header: str) -> str:
    """The name in a Host header, without port, dot at its end and brackets; empty if it is none."""
    text = header.strip().lower()
    name, _, port = (text[1:].partition("]")[0], "", text.partition("]")[2][1:]) if text.startswith("[") else text.partition(":")
    if port and not port.isdigit():
        return ""
    return name.rstrip(".") if _is_address(name) or _NAME.fullmatch(name) else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Origins:
    """Refuses what pages of other origins ask of us. Programs that are no browsers send neither header and are let through.

    Whatever changes something must come from our own page; a foreign page may not even load from ``/api``: that would make us work.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and self.foreign(scope):
            raise Refused(
                403, UsageError("another page may not ask this", hint="open the studio's own page, or use a program"), kind="ForeignOrigin"
            )
        await self.app(scope, receive, send)

    @staticmethod
    def foreign(scope: Scope) -> bool:
        """Whether a page that is not ours asks."""
        headers = Fields(scope=scope)
        site, mode = headers.get("sec-fetch-site", "same-origin"), headers.get("sec-fetch-mode", "")
        if scope["method"] in SAFE:
            return path_of(scope).startswith("/api/") and site not in ("same-origin", "none") and mode != "navigate"
        origins = headers.getlist("origin")
        ours = not origins or (len(origins) == 1 and _authority(origins[0]) == _authority("//" + headers.get("host", "")))
        return not ours or site not in ("same-origin", "none")


def _authority(origin: str) -> str:
    """Host and port of an origin, without a port that its scheme implies; ``null`` and the like give what no Host header is."""
    scheme, separator, rest = origin.strip().lower().partition("//")
    if not separator or "/" in rest or "@" in rest:
        return "?"
    for known, port in (("http:", ":80"), ("https:", ":443"), ("", ":80"), ("", ":443")):
        if scheme == known:
            rest = rest.removesuffix(port)
    return rest


class Token:
    """Lets in who has the token: as ``Authorization: Bearer``, or as a cookie that visiting ``/?token=...`` sets.

    Args:
        app: What comes next.
        token: Empty: everybody may come in.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token
        self.proof = proof_of(token, "cookie")
        self.seal = proof_of(token, "studies")[:32]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if not self.token or scope["type"] != "http" or path_of(scope) in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0] if path_of(scope) == "/" else ""
        if asked and _same(asked, self.token):
            await self._welcome(scope)(scope, receive, send)
        elif self.knows(scope):
            await self.app(scope, receive, send)
        elif path_of(scope).startswith("/api/") or scope["method"] not in SAFE:
            raise Refused(
                401,
                UsageError("this studio wants a token", hint="open the address that `kapelle serve` printed, with its token"),
                kind="NoToken",
            )
        else:
            await _ask_for_token(errors.language_of(scope))(scope, receive, send)

    def knows(self, scope: Scope) -> bool:
        """Whether a request brings the token."""
        headers = Fields(scope=scope)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self.token):
            return True
        sealed = SEALED.match(path_of(scope))
        if sealed and scope["method"] in SAFE and _same(sealed[1], self.seal):
            return True
        return _same(_cookie(headers.get("cookie", ""), cookie_name(scope)), self.proof)

    def _welcome(self, scope: Scope) -> RedirectResponse:
        answer = RedirectResponse(scope.get("root_path", "") + "/", 303, {"Cache-Control": "no-store"})
        secure = scope.get("scheme") == "https"
        answer.set_cookie(cookie_name(scope), self.proof, max_age=30 * 86_400, httponly=True, samesite="strict", secure=secure)
        return answer


def proof_of(token: str, purpose: str) -> str:
    """What shows that one has the token without being it: it stands in a cookie, or in an address."""
    return hmac.new(token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def cookie_name(scope: Scope) -> str:
    """Of two studios on one machine, each has its own cookie: browsers do not tell ports apart."""
    host = Fields(scope=scope).get("host", "")
    port = host.rpartition(":")[2]
    return f"kapelle_{port}" if port.isdigit() else "kapelle"


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header[:4096]).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(given: str, wanted: str) -> bool:
    """Equality that takes as long for a near miss as for any other."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


_WELCOME = {
    "en": ("This studio wants a token", "Open the address that “kapelle serve” printed, with its token.", "I have just opened it: go on"),
    "ru": (
        "Этой студии нужен ключ",
        "Откройте адрес с ключом, который напечатала команда «kapelle serve».",
        "Я только что открыл его: дальше",
    ),
}


def _ask_for_token(language: str) -> HTMLResponse:
    """A page for who has none. Its link helps who came from another site: a browser brings a strict cookie only from our own pages."""
    title, text, link = _WELCOME[language]
    body = f"<h1>{title}</h1><p>{text}</p><p><a href='./'>{link}</a></p>"
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width'><meta name=color-scheme content='light dark'>"
    page = f"<!doctype html><html lang={language}>{head}<title>Kapelle</title>{body}</html>"
    return HTMLResponse(page, 401, {"Cache-Control": "no-store", "WWW-Authenticate": "Bearer"})
