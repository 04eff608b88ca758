"""What the command line says, in English or Russian.

Takes English templates, which are the keys of ``ru.json``, and values; gives text. A template without a Russian entry is shown in
English, and a test fails. Which language: ``--lang``, else KAPELLE_LANG, else the locale. It knows nothing of grammar: templates
are worded so that no ending depends on a value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import KapelleError, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LANGUAGES = ("en", "ru")

RUSSIAN, RUSSIAN_MASK = 0x19, 0x3FF
"""Windows: LANG_RUSSIAN, and where in a language identifier it stands."""

_WORD_FIELDS = frozenset({"what", "unit", "why"})
"""Fields of a message that hold words, not names: they are looked up in the table too."""

_TONIC = re.compile(r"([A-G])([#b]?) (major|minor)")


@cache
def russian() -> dict[str, str]:
    """English template -> Russian template."""
    table: dict[str, str] = json.loads(Path(__file__).with_name("ru.json").read_text(encoding="utf-8"))
    return table


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


@dataclass(frozen=True)
class Texts:
    """Templates to text in one language.

    Args:
        language: ``en`` or ``ru``.
        more: Further Russian texts: those that stand beside the English ones in the settings of a model.
    """

    language: str = "en"
    more: dict[str, str] = field(default_factory=dict)

    def __call__(self, template: str, /, **values: object) -> str:
        """`template` in this language, with its values filled in."""
        if self.language == "ru":
            template = self.more.get(template) or russian().get(template, template)
        return template.format(**{name: self._value(name, value) for name, value in values.items()})

    def error(self, error: KapelleError) -> str:
        """The message of an error."""
        return self(error.template, **error.values)

    def hint(self, error: KapelleError) -> str:
        """The hint of an error; empty if it has none."""
        return self(error.hint_template, **error.values) if error.hint_template else ""

    def key(self, name: str) -> str:
        """The name of a musical key: ``F# minor``, and in Russian ``фа-диез минор``."""
        found = _TONIC.fullmatch(name)
        if self.language != "ru" or not found:
            return name
        tonic, sign, mode = found.groups()
        return f"{self(tonic)}{self(sign) if sign else ''} {self(mode)}"

    def _value(self, name: str, value: object) -> object:
        if isinstance(value, KapelleError):
            return self.error(value)
        if self.language == "ru" and name in _WORD_FIELDS and str(value) in russian():
            return russian()[str(value)]
        return value
