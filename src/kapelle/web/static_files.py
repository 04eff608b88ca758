"""The page's own files: plain ES modules, styles, texts and pictures, with their types and with entity tags.

Browsers ask again each time and are mostly told that nothing has changed, so that a new version is seen at once and nothing is sent twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.staticfiles import StaticFiles as Files

if TYPE_CHECKING:
    import os

    from starlette.responses import Response
    from starlette.types import Scope

FOLDER = Path(__file__).with_name("static")

TYPES = {
    ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json; charset=utf-8",
    ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon",
    ".woff2": "font/woff2", ".webmanifest": "application/manifest+json",
}  # fmt: skip
"""Suffix -> media type. The system's own table may say otherwise, and a module of the wrong type is not run."""


class StaticFiles(Files):
    """The files of the page."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, check_dir=False)

    def file_response(
        self, full_path: os.PathLike[str] | str, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file of a known type, to be asked for again each time."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        kind = TYPES.get(Path(full_path).suffix)
        if kind and "content-type" in answer.headers:
            answer.headers["content-type"] = kind
        answer.headers["cache-control"] = "no-cache"
        return answer
