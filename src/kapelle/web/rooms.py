"""The listening rooms: pages of studies and reports that were written elsewhere, and cards of models as HTML.

Takes a folder and what stands in an address, gives the file that may be shown and the headers with which it is; takes Markdown, gives
HTML. What lies in a folder of a study is not trusted: no file outside of it is ever reached, by ``..`` or by a link, and its pages run in
a sandbox, as pages of nobody, from where they reach neither our API nor the page around them. They load only what lies beside them.

It sends nothing: `kapelle.web.routes.rooms` does.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.naming import content_disposition, file_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INDEX = "index.html"
MAX_PATH = 1000
MAX_POLICY_BYTES = 64 * 1024

MEDIA_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".json": "application/json", ".csv": "text/csv; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".md": "text/plain; charset=utf-8",
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml",
    ".ogg": "audio/ogg", ".opus": "audio/ogg", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".wav": "audio/wav",
    ".mid": "audio/midi", ".midi": "audio/midi", ".pdf": "application/pdf", ".musicxml": "application/vnd.recordare.musicxml+xml",
    ".mxl": "application/vnd.recordare.musicxml", ".zip": "application/zip",
}  # fmt: skip
"""Files that a site may consist of; others are as if they were not there."""

SANDBOX = "sandbox allow-scripts allow-downloads allow-modals"
"""Scripts of the site run, files can be saved; without ``allow-same-origin`` it is a page of nobody."""

BASE_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""What no page may exceed: nothing can be loaded from elsewhere, and nothing sent."""


@dataclass(frozen=True)
class Shown:
    """A file that may be shown.

    Args:
        path: Where it is; no part of it is a link that leads out.
        media_type: Of its bytes.
        headers: With which it is sent.
    """

    path: Path
    media_type: str
    headers: Mapping[str, str]


def shown(folder: Path, asked: str) -> Shown | None:
    """The file of a site that an address names; None if there is none that may be shown.

    Args:
        folder: Of the site.
        asked: The rest of the address, percent signs already resolved; empty, or ending in a slash, for a folder's ``index.html``.
    """
    path = inside(folder, f"{asked}{INDEX}" if not asked or asked.endswith("/") else asked)
    media_type = MEDIA_TYPES.get(path.suffix.lower()) if path is not None else None
    if path is None or media_type is None:
        return None
    return Shown(path, media_type, headers_of(path, media_type))


def inside(folder: Path, asked: str) -> Path | None:
    """The plain file that `asked` names below `folder`; None if there is none, or it lies elsewhere in truth.

    Names with a dot in front, with backslashes, colons or control characters are refused: they mean something else on some system.
    """
    parts = asked.split("/")
    if len(asked) > MAX_PATH or any(not part or part.startswith(".") or re.search(r"[\\:\x00-\x1f\x7f]", part) for part in parts):
        return None
    try:
        root = folder.resolve(strict=True)
        path = root.joinpath(*parts).resolve(strict=True)
        if not path.is_relative_to(root) or any(part.startswith(".") for part in path.relative_to(root).parts):
            return None
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # not there, no permission, a name that cannot be, links in a circle
        return None


def headers_of(path: Path, media_type: str) -> dict[str, str]:
    """Headers for a file of a site: its policy, and that other things than pages are saved under their names when they are opened."""
    page = media_type.startswith("text/html")
    own = policy_of(path) if page else ""
    out = {
        "Content-Security-Policy": ", ".join(filter(None, (f"{SANDBOX}; {BASE_POLICY}", own))),
        "Cross-Origin-Resource-Policy": "cross-origin",  # a page of nobody is foreign to its own pictures
        "Cross-Origin-Opener-Policy": "unsafe-none",  # browsers open no sandboxed page that asks for more
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    if not page:
        out["Content-Disposition"] = content_disposition(file_name(path.stem, path.suffix.lower()))
    return out


def policy_of(path: Path) -> str:
    """The Content-Security-Policy in the head of a page, fit for a header; empty if it has none.

    Several policies hold side by side, so that a page's own can only forbid more.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_POLICY_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    found = _Policy()
    found.feed(text)
    directives = [part.strip() for part in found.content.split(";")]
    kept = [part for part in directives if part and not part.split()[0].lower().startswith(("report-", "sandbox", "frame-ancestors"))]
    policy = "; ".join(kept).replace(",", " ")
    return policy if policy.isascii() and policy.isprintable() and len(policy) < 4000 else ""


class _Policy(HTMLParser):
    """Finds the first policy in a page's head."""

    def __init__(self) -> None:
        super().__init__()
        self.content = ""
        self._over = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "body":
            self._over = True
        if tag == "meta" and not self._over and not self.content and given.get("http-equiv", "").lower() == "content-security-policy":
            self.content = given.get("content", "")


def title_of(folder: Path) -> str:
    """The title of a site's first page; empty if it has none."""
    path = inside(folder, INDEX)
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_POLICY_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r"<title>([^<]*)</title>", text, re.IGNORECASE)
    return " ".join(html.unescape(found[1]).split())[:200] if found else ""


# Cards of models -------------------------------------------------------------------------------------------------------------------------


def card_html(markdown: str) -> str:
    """A model's card as HTML, its headings one step lower. HTML in it stays text; links lead to http and https alone, pictures are named
    by their words.
    """
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    renderer.validateLink = lambda url: bool(re.match(r"https?://", url, re.IGNORECASE))  # type: ignore[method-assign]
    tokens = renderer.parse(markdown)
    _lower(tokens)
    _outward(tokens)
    made: str = renderer.renderer.render(tokens, renderer.options, {})
    return made.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")


def _lower(tokens: Sequence[Any]) -> None:
    """Headings one step lower: the page has its own first heading."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _outward(tokens: Sequence[Any]) -> None:
    """Links open beside the studio and tell nobody where they came from."""
    for token in tokens:
        if token.type == "link_open":
            token.attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
        _outward(token.children or ())
