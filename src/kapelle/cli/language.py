"""Which language the command line speaks: that of ``--lang``, else of KAPELLE_LANG, else of the locale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapelle.errors import UnknownName, UsageError
from kapelle.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RUSSIAN, RUSSIAN_MASK = 0x19, 0x3FF
"""Windows: LANG_RUSSIAN, and where in a language identifier it stands."""


def language(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """``en`` or ``ru``, from what was typed, else from the environment.

    Raises:
        UnknownName: ``--lang`` names another one.
    """
    named = _asked(argv)
    if named is not None:
        if named not in LANGUAGES:
            raise UnknownName("language", named, LANGUAGES)
        return named
    if environ.get("KAPELLE_LANG") in LANGUAGES:
        return environ["KAPELLE_LANG"]
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "ru" if locale.lower().startswith("ru") or (not locale and _windows_speaks_russian()) else "en"


def _asked(argv: Sequence[str]) -> str | None:
    """The value of the last ``--lang``; None without one."""
    named = None
    for place, text in enumerate(argv):
        if text == "--":
            break
        if text == "--lang":
            if place + 1 == len(argv):
                raise UsageError("option {name} needs a value", name="--lang")
            named = argv[place + 1]
        elif text.startswith("--lang="):
            named = text.partition("=")[2]
    return named


def _windows_speaks_russian() -> bool:
    import ctypes

    library: Any = getattr(ctypes, "windll", None)
    return library is not None and library.kernel32.GetUserDefaultUILanguage() & RUSSIAN_MASK == RUSSIAN
