"""Names that came from outside, fit to be shown and to be names of files.

Takes any text: a title that somebody typed, the name of a track in a file; gives one line of what can be seen, a name that every system
takes, and the header by which a browser learns it. Letters of all languages stay. HTML stays too, as text: whoever shows it escapes it.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

MAX_LINE = 200
MAX_STEM_BYTES = 120
_UNSAFE = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """A text on one line, without what cannot be seen or turns the direction of writing.

    Args:
        text: Anything.
        limit: Characters at most.
    """
    return " ".join("".join(" " if unicodedata.category(char) == "Cc" else char for char in text if _visible(char)).split())[:limit].strip()


def _visible(character: str) -> bool:
    """It is no half of a pair, no private sign, no noncharacter, and of those that format only a joiner: others turn the direction of
    writing, so that a name may lie about its suffix.
    """
    if character in "\ufffe\uffff":
        return False
    return unicodedata.category(character) not in ("Cf", "Cs", "Co") or character in "\u200c\u200d"


def file_stem(title: str) -> str:
    """A title as the name of a file without suffix, safe on every system; ``piece`` if nothing is left of it.

    Signs that systems forbid become hyphens, names of devices get an underscore in front, and it has at most 120 bytes in UTF-8. Letters
    of all languages stay.
    """
    name = _UNSAFE.sub("-", unicodedata.normalize("NFC", one_line(title))).strip(" .")
    name = name.encode()[:MAX_STEM_BYTES].decode("utf-8", "ignore").strip(" .")
    if not name.strip("-"):
        return "piece"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def file_name(title: str, suffix: str) -> str:
    """A name for the file of a piece: its title, made safe, and the suffix of its format."""
    return f"{file_stem(title)}{suffix}"


def content_disposition(name: str) -> str:
    """The header ``Content-Disposition`` that lets a browser save a file under `name`: in ASCII for the oldest, in Unicode for all others.

    Source: RFC 6266, section 4.3; RFC 8187, section 3.2.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'[^\x20-\x7e]|["\\%;]', "_", plain).strip() or "piece"
    if plain.startswith("."):  # nothing but the suffix was ASCII
        plain = f"piece{plain}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
