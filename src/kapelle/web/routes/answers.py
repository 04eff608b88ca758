"""What routes have in common: which errors they describe, how a job is told, how files are sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from kapelle.web import errors
from kapelle.web.faults import error_of

if TYPE_CHECKING:
    from fastapi import Request

    from kapelle.web.jobs import Job

MEANINGS = {
    400: "what was sent is no JSON, or no HTTP as it should be",
    401: "a token is wanted",
    403: "a foreign page, or a name that is not this server's",
    404: "there is no such thing",
    408: "what was sent came too slowly",
    413: "what was sent is too large",
    415: "what was sent is not what it should be",
    422: "what was asked contradicts itself, is unknown or out of range",
    424: "a model, an extra or a program is not there",
    429: "too many requests; Retry-After says when to come again",
    503: "too much is waiting, or another program locks the library; Retry-After says when to come again",
    507: "the disk is full, or there is too little memory",
}

ERROR = {"$ref": "#/components/schemas/Error"}
EXAMPLE = {"error": {"kind": "UsageError", "message": "bars must be 1 to 512, not 1000", "hint": "", "code": 2}}

EVERYWHERE = (401, 403, 429)
SENDING = (400, 408, 413, 422)


def described(*statuses: int, more: dict[int | str, Any] | None = None) -> dict[int | str, Any]:
    """The errors of a route for OpenAPI, those that every route has included."""
    told: dict[int | str, Any] = {
        status: {"description": MEANINGS[status], "content": {"application/json": {"schema": ERROR, "example": EXAMPLE}}}
        for status in sorted({*EVERYWHERE, *statuses})
    }
    return told | (more or {})


def binary(media_type: str, about: str) -> dict[int | str, Any]:
    """A good answer that is bytes, for OpenAPI."""
    return {200: {"description": about, "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def job_table(job: Job, request: Request) -> dict[str, Any]:
    """A job for JSON: its error in the language of who asks, its addresses as they are for them."""
    table = job.as_dict()
    if job.error is not None:
        table["error"] = error_told(job.error, language(request))
    return table | {"result": result_told(job.result, request)}


def result_told(result: Any, request: Request) -> Any:
    """What came of a job, with the addresses in it as `below` gives them."""
    known = isinstance(result, Mapping) and "report_url" in result
    return {**result, "report_url": below(request, result["report_url"])} if known else result


def below(request: Request, path: str) -> str:
    """A path of ours as an address: a proxy may offer the studio below a path of its own."""
    return f"{request.scope.get('root_path', '')}{path}"


def error_told(table: Any, language: str) -> dict[str, Any]:
    """What is kept of a job's error, as an error is told."""
    return errors.table(error_of(table), language, str(table.get("kind", "")))


def language(request: Request) -> str:
    """The language of who asks."""
    return errors.language_of(request.scope)


def sent_once(path: Path, media_type: str, headers: dict[str, str]) -> Response:
    """The bytes of a file, which is gone as soon as they are on their way, or at the latest when they are through."""
    file = path.open("rb")
    size = path.stat().st_size
    with contextlib.suppress(OSError):  # Windows keeps it while it is open
        path.unlink()

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(1 << 18):
                yield chunk
        path.unlink(missing_ok=True)

    return StreamingResponse(chunks(), 200, {**headers, "Content-Length": str(size)}, media_type)


def kept(request: Request, tag: str, media_type: str, data: bytes | None = None) -> Response | None:
    """Bytes that will never be others, with a tag; an empty 304 if the browser has them; None if they are not given and it has not."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, max-age=86400, immutable"}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return None if data is None else Response(data, 200, headers, media_type)
