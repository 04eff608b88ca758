"""Errors that cross processes: whatever was raised as one of our own, and our own by its parts, for JSON.

Takes exceptions of workers and helpers; gives errors of `kapelle.errors`, and tables that a database or another machine keeps until
somebody reads them in a language. What nobody foresaw is logged here, once, and told by its kind alone. It knows nothing of HTTP:
`kapelle.web.errors` does.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Mapping
from typing import Any

from kapelle import errors
from kapelle.errors import KapelleError, NotEnoughMemory, StorageError

_log = logging.getLogger("kapelle.web")

_DISK = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, getattr(errno, "EDQUOT", errno.ENOSPC))


def ours(error: BaseException) -> KapelleError:
    """Any error as one of ours; what nobody foresaw is a bug, which is logged."""
    if isinstance(error, KapelleError):
        return error
    if isinstance(error, MemoryError):
        return NotEnoughMemory("there is not enough memory", hint="close other programs, or ask for less at once")
    if isinstance(error, OSError) and error.errno in _DISK:
        return StorageError("the disk is full, or writing there is not allowed", hint="free some space, then try again")
    _log.error("a bug in Kapelle", exc_info=error)
    name = type(error).__name__
    return KapelleError("this is a bug in Kapelle: {kind}", kind=name, hint="what the server printed shows where; please report it")


def error_table(error: KapelleError) -> dict[str, Any]:
    """An error by its parts, for JSON; `error_of` gives it back, to be said in any language."""
    return {
        "kind": type(error).__name__,
        "template": error.template,
        "hint_template": error.hint_template,
        "values": {name: _plain(value) for name, value in error.values.items()},
        "code": error.exit_code,
    }


def error_of(table: Mapping[str, Any]) -> KapelleError:
    """The error in a table of `error_table`: of its class where that is one of `kapelle.errors`."""
    kind = getattr(errors, str(table.get("kind")), None)
    kind = kind if isinstance(kind, type) and issubclass(kind, KapelleError) else KapelleError
    values = {name: error_of(value) if isinstance(value, Mapping) else value for name, value in dict(table.get("values", {})).items()}
    return with_values(kind, table["template"], table.get("hint_template", ""), values)


def with_values(kind: type[KapelleError], template: str, hint: str, values: Mapping[str, Any]) -> KapelleError:
    """An error of a class from its parts, whatever the class itself is made from."""
    error = kind.__new__(kind)
    KapelleError.__init__(error, template, hint=hint, **values)
    return error


def _plain(value: object) -> Any:
    """A value of a message for JSON; numbers stay numbers, since the message may format them, and errors stay errors."""
    if isinstance(value, KapelleError):
        return error_table(value)
    value = value.item() if hasattr(value, "item") else value  # numpy's
    return value if isinstance(value, int | float) and math.isfinite(value) else str(value).encode("utf-8", "replace").decode()
