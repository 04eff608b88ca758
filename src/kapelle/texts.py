"""What the command line and the page say, in English or Russian.

Takes English templates, which are the keys of ``ru.json``, and values; gives text. A template without a Russian entry is shown in
English, and a test fails. It knows nothing of grammar: templates are worded so that no ending depends on a value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kapelle.errors import KapelleError

LANGUAGES = ("en", "ru")

_WORD_FIELDS = frozenset({"what", "unit", "why"})
"""Fields of a message that hold words, not names: they are looked up in the table too."""

_TONIC = re.compile(r"([A-G])([#b]?) (major|minor)")


@cache
def russian() -> dict[str, str]:
    """English template -> Russian template."""
    table: dict[str, str] = json.loads(Path(__file__).with_name("ru.json").read_text(encoding="utf-8"))
    return table


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
        if self.language == "ru" and (name in _WORD_FIELDS or value == "the file") and str(value) in russian():
            return russian()[str(value)]
        return value
