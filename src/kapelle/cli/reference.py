"""The reference page of the command line, made from the same flags as the help: ``python -m kapelle.cli.reference``.

Takes the table of verbs, gives Markdown in English. A test compares it with docs/reference/cli.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from kapelle.cli.app import COMMON, VERBS, Verb, describe, spelling, usage
from kapelle.cli.flags import Flag, flags_of
from kapelle.texts import Texts

HEAD = """# The command line

Made by `python -m kapelle.cli.reference > docs/reference/cli.md`; a test keeps it in step with `kapelle --help`.

The result goes to stdout; progress, warnings and errors go to stderr. `--json` gives one JSON object on stdout, for errors too:
`{"error": ..., "hint": ..., "exit_code": ...}`. Nothing is overwritten without `--force`. Messages and help are English or Russian:
`--lang`, else the variable `KAPELLE_LANG`, else the locale. `KAPELLE_HOME` moves the folder that holds your bundles; `KAPELLE_DEBUG=1`
does what `--debug` does.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a bug in Kapelle |
| 2 | what was asked contradicts itself, is out of range or unknown |
| 3 | a file was found and is not what it should be |
| 4 | a program, an extra, a bundle or a file is not there |
| 5 | a download failed |
| 6 | the disk is full, or writing is not allowed there |
| 7 | it would not fit into memory |
| 130 | interrupted; what was finished is kept |
"""


def verbs(table: Mapping[str, Verb] = VERBS, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Verb]]:
    """Every verb that does something, with its words: ``("data", "prepare")``."""
    for name, verb in table.items():
        if verb.module:
            yield (*before, name), verb
        yield from verbs(verb.verbs or {}, (*before, name))


def module(words: tuple[str, ...]) -> Any:
    """The module of a verb."""
    return importlib.import_module(dict(verbs())[words].module)


def page() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    for words, verb in verbs():
        flags = flags_of(module(words).Arguments)
        parts.append(f"## {' '.join(words)}\n\n```\nkapelle {' '.join(words)} {usage(flags, Texts())}\n```\n\n{_sentence(verb.help)}\n")
        sections: dict[str, list[Flag]] = {}
        for flag in flags:
            sections.setdefault("Arguments" if flag.positional else flag.section, []).append(flag)
        parts += [_table(title, [(spelling(flag), describe(flag, Texts())) for flag in held]) for title, held in sections.items()]
    parts.append(f"## Everywhere\n\n{_table('', [(name, help) for name, help in COMMON.items()])}")
    return "\n".join(parts)


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {title.lower() or 'option'} | meaning |", "|---|---|"]
    lines += [f"| `{name.replace('|', chr(92) + '|')}` | {help} |" for name, help in rows]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    print(page(), end="")
