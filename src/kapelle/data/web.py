"""One answer of a web server, asked for under rules: which hosts, which addresses, how many redirects, how much patience.

Takes an address and `Rules`; gives an `Answer` whose bytes come in pieces. Only http and https; a redirect never leads from https to
http, nor to an address that is not public, nor, if the rules name hosts, to another one. A name is looked up once and the connection
goes to the address that was checked, so a server of names cannot answer twice and differently.

It stands on `http.client` and not on `requests` or `urllib.request`: those connect by name (what was checked is not what is
connected to), follow redirects before they can be judged, decode and buffer, and have no limit against a server that sends a byte
every few seconds. Here the socket is ours: it is connected to a checked address and read piece by piece.

What passes (a cut, a stall, a busy server) comes out as OSError or HTTPException, for the caller to try again; what does not pass is
a NetworkError. With a proxy (HTTPS_PROXY and the like) names are looked up by the proxy, and only written addresses can be checked.
"""

from __future__ import annotations

import base64
import errno
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from kapelle.errors import NetworkError, UsageError

MAX_REDIRECTS = 5
PIECE = 1 << 16
COMMON_HEADERS = {"User-Agent": "kapelle", "Accept-Encoding": "identity"}
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}
_PLAIN = "/%:@!$&'()*+,;=~-._"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to ask again.

    Args:
        connect_s: For a connection.
        stall_s: For the next byte; for all headers together twice as long.
        slow_bytes: Fewer bytes than this within `slow_s` seconds count as a stall.
        slow_s: See `slow_bytes`.
        attempts: Tries in a row that bring fewer new bytes than `slow_bytes`.
        pause_s: Before the second of them; doubled each time, up to `longest_pause_s`.
        longest_pause_s: See `pause_s`; also the most that a server can make us wait by Retry-After.
    """

    connect_s: float = 15.0
    stall_s: float = 30.0
    slow_bytes: int = 16_384
    slow_s: float = 60.0
    attempts: int = 6
    pause_s: float = 1.0
    longest_pause_s: float = 30.0


@dataclass(frozen=True)
class Rules:
    """Where a download may lead.

    Args:
        hosts: The only hosts that may serve it; empty for any public one.
        own: Host and port that the user wrote; only there an address may be private.
    """

    hosts: frozenset[str] = frozenset()
    own: tuple[str, int] | None = None


@dataclass(frozen=True)
class Place:
    """A checked address: where to connect, and what to ask for there."""

    url: str
    scheme: str
    host: str
    port: int
    target: str
    addresses: tuple[str, ...]
    proxy: str = ""


@dataclass
class Answer:
    """What a server answered; the body is read by `pieces`.

    Args:
        place: Who answered, after redirects.
        status: Of HTTP.
        headers: By name, in lower case.
        length: Bytes of the body as announced; None if they were not.
    """

    place: Place
    status: int
    headers: Mapping[str, str]
    length: int | None
    _response: http.client.HTTPResponse = field(repr=False)
    _patience: Patience = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece, up to its announced length.

        Raises:
            OSError, HTTPException: It was cut off, stalled, or became too slow.
        """
        left, since, came = self.length, time.monotonic(), 0
        while left is None or left > 0:
            piece = self._response.read1(PIECE if left is None else min(PIECE, left))
            if not piece:
                if left:
                    raise ConnectionError("the connection was cut off")
                return
            yield piece
            left = None if left is None else left - len(piece)
            came += len(piece)
            if time.monotonic() - since >= self._patience.slow_s:
                if came < self._patience.slow_bytes:
                    raise TimeoutError("the server is too slow")
                since, came = time.monotonic(), 0


def typed(url: str) -> Rules:
    """The rules for an address that the user wrote: it may be private itself, but must not lead to a private one.

    Raises:
        UsageError: It is no http or https address.
    """
    _, host, port, _ = _split(url)
    return Rules(own=(host, port))


@contextmanager
def ask(url: str, rules: Rules, headers: Mapping[str, str], patience: Patience, method: str = "GET") -> Iterator[Answer]:
    """The answer to a request, redirects followed under the rules; the connection ends with the block.

    A header Authorization goes to the host of `url` alone, and to none that it sends us to.

    Raises:
        NetworkError: A rule forbids where it leads, or the certificate is not valid.
        OSError, HTTPException: The connection failed in a way that may pass.
    """
    place, seen = _check(url, None, rules), {url}
    first = place.scheme, place.host, place.port
    for _ in range(MAX_REDIRECTS + 1):
        connection = _connect(place, patience)
        with closing(connection):
            with _deadline(connection, 2 * patience.stall_s):
                by_proxy = place.proxy and place.scheme == "http"
                told = {**COMMON_HEADERS, **headers, **(_proxy_headers(place.proxy) if by_proxy else {})}
                if (place.scheme, place.host, place.port) != first:
                    told.pop("Authorization", None)
                connection.request(method, place.url if by_proxy else place.target, headers=told)
                response = connection.getresponse()
            if response.status not in REDIRECTS or not response.getheader("Location"):
                found = {name.lower(): value for name, value in response.getheaders()}
                length = None if response.chunked else _number(found.get("content-length"))
                yield Answer(place, response.status, found, length, response, patience)
                return
            following = _join(place, response.getheader("Location") or "")
        if following in seen:
            raise NetworkError("{host} sends us in a circle", host=place.host)
        seen.add(following)
        place = _check(following, place, rules)
    raise NetworkError("{host} redirects more than {limit} times", host=place.host, limit=MAX_REDIRECTS)


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Inside, what may pass becomes a NetworkError too: for callers who do not try again."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise failed(host, error) from error


def failed(host: str, error: Exception) -> NetworkError:
    """The NetworkError that tells what went wrong with a host."""
    hint = "is there a network here? the same command goes on where it ended; `kapelle data fetch FILE` reads a file that you have"
    return NetworkError("cannot load from {host}: {why}", host=host, why=reason(error), hint=hint)


def is_absent(error: Exception) -> bool:
    """Whether an exception says that there is no such host, or none that answers: asking again at once would be in vain."""
    return isinstance(error, socket.gaierror | ConnectionRefusedError) or (
        isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
    )


def host_of(url: str) -> str:
    """The host of an address, for messages."""
    return urlsplit(url).hostname or url


def reason(error: Exception) -> str:
    """A few words about an exception of the network."""
    if isinstance(error, socket.gaierror):
        return "the name cannot be looked up"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was cut off"
    return str(error) or type(error).__name__


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _join(place: Place, location: str) -> str:
    try:
        return urljoin(place.url, location)
    except ValueError as error:
        raise NetworkError("{host} sends us to something that is no web address: {url!r}", host=place.host, url=location[:200]) from error


def _split(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and target of an address."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii") if not _is_ip(parts.hostname) else parts.hostname or ""
        port = parts.port or PORTS.get(parts.scheme, 0)
    except (ValueError, UnicodeError) as error:
        raise UsageError("{url!r} is no address of the web", url=url[:200]) from error
    if parts.scheme not in PORTS or not host:
        raise UsageError("{url!r} is no address of the web", url=url[:200], hint="addresses begin with http:// or https://")
    target = quote(parts.path or "/", safe=_PLAIN)
    return parts.scheme, host, port, f"{target}?{quote(parts.query, safe=_PLAIN + '?')}" if parts.query else target


def _check(url: str, before: Place | None, rules: Rules) -> Place:
    """Where an address leads, if the rules allow to go there."""
    origin = before.host if before else ""
    try:
        scheme, host, port, target = _split(url)
    except UsageError as error:
        if before is None:
            raise
        raise NetworkError("{host} sends us to something that is no web address: {url!r}", host=origin, url=url[:200]) from error
    if before and before.scheme == "https" and scheme == "http":
        raise NetworkError("{host} sends us from an encrypted connection to an open one", host=origin)
    own = rules.own == (host, port)
    if rules.hosts and host not in rules.hosts and not own:
        hint = "if you trust it, fetch that address itself: kapelle data fetch URL"
        raise NetworkError("{host} sends us to {target}, which is not known to serve this", host=origin, target=host, hint=hint)
    if before and not own and port not in PORTS.values():
        raise NetworkError("{host} sends us to port {port} of {target}", host=origin, port=port, target=host)
    proxy = _proxy(scheme, host)
    if proxy and not _is_ip(host):
        return Place(url, scheme, host, port, target, (), proxy)
    addresses = _look_up(host, port)
    if not own:
        public = tuple(address for address in addresses if is_public(address))
        if not public:
            raise NetworkError(
                "{target} is at {address}, which is not a public address", target=host, address=addresses[0],
                hint="a download must not lead into a private network",
            )  # fmt: skip
        addresses = public
    return Place(url, scheme, host, port, target, addresses, proxy)


def _is_ip(host: str | None) -> bool:
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also behind the notations that wrap an IPv4 address into an IPv6 one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and (found in _NAT64 or int(found) >> 32 == 0):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast and not found.is_reserved


def _look_up(host: str, port: int) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _proxy(scheme: str, host: str) -> str:
    """The proxy of the environment for a host; empty for none. This machine itself is never asked through one."""
    if host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback):
        return ""
    found = getproxies().get(scheme, "")
    return found if found and not proxy_bypass(host) else ""


def _connect(place: Place, patience: Patience) -> http.client.HTTPConnection:
    """A connection to the checked address, or to the proxy."""
    encrypted = place.scheme == "https"
    if place.proxy:
        return _through_proxy(place, patience)
    connection: http.client.HTTPConnection
    if encrypted:
        connection = http.client.HTTPSConnection(place.host, place.port, timeout=patience.stall_s)
    else:
        connection = http.client.HTTPConnection(place.host, place.port, timeout=patience.stall_s)
    problem: OSError = ConnectionError("no address")
    for address in place.addresses:
        try:
            line = socket.create_connection((address, place.port), timeout=patience.connect_s)
        except OSError as error:
            problem = error
            continue
        try:
            connection.sock = _certificates().wrap_socket(line, server_hostname=place.host) if encrypted else line
        except ssl.SSLCertVerificationError as error:
            line.close()
            why = error.verify_message
            raise NetworkError("the certificate of {host} is not valid: {why}", host=place.host, why=why) from error
        except OSError as error:
            line.close()
            problem = error
            continue
        connection.sock.settimeout(patience.stall_s)
        return connection
    raise problem


def _through_proxy(place: Place, patience: Patience) -> http.client.HTTPConnection:
    proxy = _proxy_parts(place.proxy)
    host, port = proxy.hostname or "", proxy.port or 80
    if place.scheme == "https":
        secure = http.client.HTTPSConnection(host, port, timeout=patience.stall_s, context=_certificates())
        secure.set_tunnel(place.host, place.port, _proxy_headers(place.proxy))
        return secure
    return http.client.HTTPConnection(host, port, timeout=patience.stall_s)


def _proxy_parts(proxy: str) -> SplitResult:
    return urlsplit(proxy if "//" in proxy else f"//{proxy}")


def _proxy_headers(proxy: str) -> dict[str, str]:
    parts = _proxy_parts(proxy)
    if not parts.username:
        return {}
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(secret.encode()).decode("ascii")}


def _certificates() -> ssl.SSLContext:
    """The system's trusted certificates; those of certifi where the system has none, as with some Pythons on macOS."""
    context = ssl.create_default_context()
    places = ssl.get_default_verify_paths()
    if not places.cafile and not places.capath:
        with suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Inside, the connection is ended after so long, however many bytes trickle in: timeouts of sockets begin anew with each byte."""
    passed = threading.Event()

    def end() -> None:
        passed.set()
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if passed.is_set():
            raise TimeoutError("the server is too slow") from error
        raise
    finally:
        timer.cancel()
