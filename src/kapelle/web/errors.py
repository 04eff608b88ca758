"""Errors as answers: a status and JSON in the language of who asks, never a traceback and never a path of this machine.

Takes errors of `kapelle.errors`, and whatever else a route let through; gives ``{"error": {kind, message, hint, code}}``. What was wrong
about how something was sent, not about what was asked, is a `Refused`: an error with a status of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from kapelle import errors
from kapelle.errors import KapelleError, UsageError
from kapelle.texts import LANGUAGES, Texts
from kapelle.web.faults import ours, with_values

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

STATUS: tuple[tuple[type[KapelleError], int], ...] = (
    (errors.UsageError, 422),
    (errors.UnreadableInput, 415),
    (errors.Missing, 424),
    (errors.NetworkError, 502),
    (errors.StorageError, 507),
    (errors.NotEnoughMemory, 507),
    (errors.Interrupted, 503),
)
"""The first class that an error belongs to says its status; 500 if there is none."""

_OWN_STATUS = {"NotFound": 404, "QueueFull": 503, "DatabaseBusy": 503}
"""Names of the errors of the studio that mean something else than their class does elsewhere."""

MAX_TEXT = 600
"""Characters of a message or hint: a value that was sent may be long."""

_PATH = re.compile(r"(?<![\w./:~])(?:~?/(?!api/|studies/|reports/)|[A-Za-z]:[\\/])(?:[^\s/\\'\":;,]+[/\\])+([^\s/\\'\":;,]*)")
"""A place in the file system, of which the last name may be told."""


class Refused(HTTPException):
    """An error with a status and headers of its own.

    Args:
        status: Of HTTP.
        error: What is told.
        retry_after_s: When trying again may help; it becomes Retry-After.
        kind: Its name in the answer; that of the error's class if left out.
    """

    def __init__(self, status: int, error: KapelleError, *, retry_after_s: float | None = None, kind: str = "") -> None:
        super().__init__(status, str(error))  # frameworks hand their own kind of error through, and wrap all others
        self.error, self.retry_after_s, self.kind = error, retry_after_s, kind or type(error).__name__


def unknown(what: str, name: str) -> Refused:
    """404: there is no such thing; `what` is its kind in the singular."""
    hint = "it may have been deleted" if what in ("piece", "upload", "sound", "report") else ""
    return Refused(404, UsageError("there is no {what} {name}", what=what, name=name[:40], hint=hint), kind="NotFound")


def busy(seconds: float) -> Refused:
    """503: too many wait already."""
    return Refused(503, UsageError("too much is being done at once", hint="try again in a few seconds"), retry_after_s=seconds, kind="Busy")


def status_of(error: KapelleError) -> int:
    """The status of an error."""
    own = _OWN_STATUS.get(type(error).__name__)
    return own or next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def language_of(scope: Scope) -> str:
    """``en`` or ``ru``: of ``?lang=``, else the first known one of Accept-Language, else English."""
    query = scope.get("query_string", b"").decode("latin-1")
    asked = re.search(r"(?:^|&)lang=(\w\w)(?:&|$)", query)
    if asked and asked[1] in LANGUAGES:
        return asked[1]
    header = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"accept-language"), "")
    return _accepted(header[:200])


def _accepted(header: str) -> str:
    """The known language that a header wants most."""
    best, wanted = "en", 0.0
    for part in header.split(","):
        name, _, rest = part.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        found = re.fullmatch(r"\s*q=([\d.]{1,5})\s*", rest)
        try:
            weight = float(found[1]) if found else 1.0
        except ValueError:
            weight = 0.0
        if language in LANGUAGES and weight > wanted:
            best, wanted = language, weight
    return best


def without_paths(text: str) -> str:
    """The same with only the last name of every place in the file system."""
    return _PATH.sub(r"\1", text)


def table(error: KapelleError, language: str = "en", kind: str = "") -> dict[str, Any]:
    """An error for JSON: kind, message, hint, code."""
    texts = Texts(language)
    shown = _with_names(error)
    return {
        "kind": kind or type(error).__name__,
        "message": without_paths(texts.error(shown))[:MAX_TEXT],
        "hint": without_paths(texts.hint(shown))[:MAX_TEXT],
        "code": error.exit_code,
    }


def _with_names(error: KapelleError) -> KapelleError:
    """The same error, in whose values a path is only a name."""
    values = {name: _name(value) for name, value in error.values.items()}
    return with_values(type(error), error.template, error.hint_template, values)


def _name(value: object) -> object:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, KapelleError):
        return _with_names(value)
    return without_paths(value) if isinstance(value, str) else value


def response(error: BaseException, language: str = "en", headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells an error."""
    from starlette.responses import Response

    known = _known(error)
    told = {"error": table(known.error, language, known.kind)}
    more = dict(headers or {})
    if known.retry_after_s is not None:
        more["Retry-After"] = str(max(1, math.ceil(known.retry_after_s)))
    content = json.dumps(told, ensure_ascii=False)
    return Response(content, known.status_code, {**more, "Cache-Control": "no-store"}, "application/json")


def _known(error: BaseException) -> Refused:
    """Any error as one with a status."""
    if isinstance(error, Refused):
        return error
    known = ours(error)
    return Refused(status_of(known), known, retry_after_s=getattr(known, "retry_after_s", None))


def of_framework(request: Request, error: Exception) -> BaseException:
    """What the framework refuses, in our words; any other error as it is."""
    from fastapi.exceptions import RequestValidationError  # helpers load this module, and need no framework

    if isinstance(error, RequestValidationError):
        return invalid(error.errors())
    if isinstance(error, ClientDisconnect):
        return Refused(400, UsageError("the connection was closed too early"), kind="Closed")
    if isinstance(error, Refused) or not isinstance(error, HTTPException):
        return error
    if error.status_code == 404:
        return unknown("page", request.url.path)
    if error.status_code == 405:
        return Refused(405, UsageError("{method} is not possible here", method=request.method), kind="MethodNotAllowed")
    return _no_json(error.status_code)


async def refuse(request: Request, error: Exception) -> Response:
    """Any error of an application as its answer."""
    return response(of_framework(request, error), language_of(request.scope), getattr(error, "headers", None))


def install(app: FastAPI) -> None:
    """Have an application answer every error by `refuse`."""
    from fastapi.exceptions import RequestValidationError

    for kind in (KapelleError, Refused, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, refuse)


def _no_json(status: int) -> Refused:
    return Refused(
        status,
        UsageError("the body is no JSON", hint="send one JSON object, with Content-Type: application/json"),
        kind="UsageError" if status == 422 else "BadRequest",
    )


def invalid(problems: Sequence[Mapping[str, Any]]) -> Refused:
    """422: what the schemas have against a request; the first problem is told, as one sentence."""
    first = problems[0] if problems else {}
    where = [str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path", "header")]
    name, kind, context = ".".join(where)[:80] or "JSON", str(first.get("type", "")), first.get("ctx") or {}
    if isinstance(context.get("error"), KapelleError):
        return Refused(422, context["error"])
    if kind == "json_invalid" or (not where and kind.startswith(("model", "dict"))):  # the latter: sent as a form, as curl does
        return _no_json(422)
    if kind == "extra_forbidden":
        return Refused(422, UsageError("there is no field {name}", name=name, hint="the documentation lists what can be asked"))
    if kind == "missing":
        return Refused(422, UsageError("{name} is missing", name=name, hint="the documentation shows an example"))
    low, high = context.get("ge", context.get("gt")), context.get("le", context.get("lt"))
    if low is not None:
        return Refused(422, UsageError("{name} must be {low} or more", name=name, low=low))
    if high is not None:
        return Refused(422, UsageError("{name} must be {high} or less", name=name, high=high))
    for part, word in _NEEDS.items():
        if kind.startswith(part):
            return Refused(422, UsageError("{name} needs {why}", name=name, why=word))
    return Refused(422, UsageError("{name} is not as it should be", name=name, hint="the documentation shows an example"))


_NEEDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string_type": "a text",
    "string_too_long": "a shorter text",
    "string_too_short": "a longer text",
    "list": "a list",
    "too_long": "a shorter list",
    "too_short": "a longer list",
    "dict": "a table",
    "model": "a table",
}
"""Kinds of problem, by how their names begin -> what is needed."""
