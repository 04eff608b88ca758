"""Everything that Kapelle says on the command line exists in Russian, with the same fields.

The sources are scanned: messages and hints of errors, texts of the console, help, names of things. To see what lacks a Russian text
after adding an error or an option::

    python -m pytest tests/cli/test_translations.py -k russian -q

The failing test prints the missing templates as JSON, with the file and line of each; put them into ``src/kapelle/ru.json`` with
their translations. ``python tests/cli/test_translations.py`` prints the same without pytest, and also lists entries that nothing uses.
"""

import ast
import errno
import importlib
import json
import os
import re
import string
from functools import cache
from pathlib import Path

import pytest

from kapelle import diagnosis, errors
from kapelle.cli import app, pieces, train
from kapelle.cli.flags import flags_of
from kapelle.cli.language import language
from kapelle.errors import KapelleError, UnknownName, UsageError
from kapelle.texts import LANGUAGES, Texts, russian

SOURCES = Path(errors.__file__).parent
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, KapelleError)}
SPEAKING = {"note", "warn", "texts", "t", "bar"}
TEXT_KEYWORDS = {"hint", "help", "advice", "part"}
LABELS = {"facts", "table"}
SYSTEM_WORDS = {os.strerror(number) for number in errno.errorcode}
PARSER_WORDS = {
    "Missing command.",
    "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.",
}
FROM_ERRORS = ("unknown {what} {name!r}", "did you mean {near}? known: {known}", "known: {known}")


@cache
def sources():
    """Module, as ``score/read.py`` -> its syntax tree."""
    paths = sorted(SOURCES.rglob("*.py"))
    return {path.relative_to(SOURCES).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def literals(node):
    """The texts that an expression may be: a constant, or the constants of a choice."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) and node.value else []
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    return []


def called(node):
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def errors_in(tree):
    """Templates and hints of the errors that a module makes."""
    hints = {}  # variables that are given as hints: name -> texts
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and literals(node.value):
            hints.setdefault(node.targets[0].id, []).extend((text, node.lineno) for text in literals(node.value))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if called(node).startswith("_"):  # a helper that makes an error from a template
            yield from ((text, node.lineno) for text in literals(node.args[0] if node.args else None) if re.search(r"\{\w+[^}]*\}", text))
        if called(node) not in ERRORS:
            continue
        for text in literals(node.args[0]) if node.args else []:
            yield text, node.lineno
        for keyword in node.keywords:
            if keyword.arg == "hint":
                found = [(text, node.lineno) for text in literals(keyword.value)]
                yield from found or (hints.get(keyword.value.id, []) if isinstance(keyword.value, ast.Name) else [])


def spoken_in(tree):
    """Texts that the command line shows: first arguments of what speaks, labels of tables, and texts given by keyword."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if called(node) in SPEAKING and node.args:
            for text in literals(node.args[0]):
                yield text, node.lineno
        if called(node) in LABELS:
            for argument in node.args[:1]:
                for part in [*getattr(argument, "keys", []), *getattr(argument, "elts", [])]:
                    for text in literals(part):
                        yield text, node.lineno
        for keyword in node.keywords:
            if keyword.arg in TEXT_KEYWORDS:
                for text in literals(keyword.value):
                    yield text, node.lineno


def verbs(table=app.VERBS):
    for verb in table.values():
        yield verb
        yield from verbs(verb.verbs or {})


def modules():
    return [importlib.import_module(verb.module) for verb in verbs() if verb.module]


@cache
def templates():
    """Everything that must exist in Russian: template -> where it stands."""
    out = dict.fromkeys(FROM_ERRORS, "errors.py")
    for name, tree in sources().items():
        for text, line in errors_in(tree):
            out.setdefault(text, f"{name}:{line}")
        if name.startswith("cli/"):
            for text, line in spoken_in(tree):
                out.setdefault(text, f"{name}:{line}")
    for module in modules():
        for flag in flags_of(module.Arguments):
            if not flag.meta.get("ru"):
                out.setdefault(flag.meta["help"], f"{module.__name__}: {flag.label}")
            for text in (flag.section, flag.meta.get("unit")):
                if text:
                    out.setdefault(text, f"{module.__name__}: {flag.label}")
    for verb in verbs():
        out.setdefault(verb.help, "cli/app.py: VERBS")
    for help in app.COMMON.values():
        out.setdefault(help, "cli/app.py: COMMON")
    for text in diagnosis_texts():
        out.setdefault(text, "diagnosis.py")
    for text in (*pieces.FACTS, *pieces.COLUMNS, *train.SHOWN.values()):
        out.setdefault(text, "cli: labels")
    return out


def diagnosis_texts():
    """Advice that depends on the machine: every literal that a `Finding` may carry."""
    yield from diagnosis.FLUIDSYNTH_LINES.values()
    yield from (purpose for purpose, _ in diagnosis.EXTRAS.values())
    for node in ast.walk(sources()["diagnosis.py"]):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "advice":
            yield from literals(node.value)
            if isinstance(node.value, ast.Call):
                yield from literals(node.value.args[-1])
        if isinstance(node, ast.Call) and called(node) == "Finding":
            for argument in [*node.args[:1], *node.args[4:5]]:
                yield from literals(argument)


def missing():
    return {text: where for text, where in templates().items() if text not in russian()}


def fields(template):
    return sorted({name for _, name, _, _ in string.Formatter().parse(template) if name})


def test_everything_has_a_russian_text():
    found = missing()
    assert not found, "put these into src/kapelle/ru.json:\n" + json.dumps(found, indent=1, ensure_ascii=False)


def test_a_russian_text_has_the_fields_of_the_english_one():
    wrong = {english: text for english, text in russian().items() if fields(english) != fields(text)}
    assert not wrong


def test_no_russian_text_is_left_over():
    assert not unused()


def unused():
    """Entries that stand for no template, and for no word that the sources hold as a literal."""
    words = {"major", "minor", *"ABCDEFG", "#", "b", *SYSTEM_WORDS, *PARSER_WORDS}
    held = {
        node.value
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return [text for text in russian() if text not in templates() and text not in words and text not in held]


def test_messages_are_literal_templates():
    """An f-string cannot be translated: its values must be given by name."""
    found = []
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) in ERRORS:
                given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "hint")]
                found += [f"{name}:{node.lineno}" for text in given if isinstance(text, ast.JoinedStr)]
    assert not found


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ([], {}, "en"),
        ([], {"LANG": "ru_RU.UTF-8"}, "ru"),
        ([], {"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, "en"),
        ([], {"LANG": "de_DE.UTF-8", "KAPELLE_LANG": "ru"}, "ru"),
        (["--lang", "en"], {"KAPELLE_LANG": "ru"}, "en"),
        (["info", "x.mid", "--lang=ru"], {}, "ru"),
        (["info", "--", "--lang=ru"], {}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_one_of_the_locale(argv, environ, expected):
    assert language(argv, environ) == expected


def test_an_unknown_language_lists_the_known_ones():
    with pytest.raises(UnknownName, match="klingon") as caught:
        language(["--lang", "klingon"], {})
    assert all(name in caught.value.hint for name in LANGUAGES)


def test_an_error_speaks_russian_with_its_values():
    error = UnknownName("genre", "jaz", ["jazz", "pop"])
    texts = Texts("ru")
    assert texts.error(error) == "нет такого: жанр «jaz»"
    assert texts.hint(error) == "может быть, jazz? Есть: jazz, pop"


def test_an_error_inside_an_error_is_translated_too():
    inner = UsageError("{name} must be {low} to {high}, not {value}", name="steps", low=1, high=9, value=0)
    outer = UsageError("in {where}: {why}", where="a.toml", why=inner)
    assert str(outer) == "in a.toml: steps must be 1 to 9, not 0"
    assert "steps: " in Texts("ru").error(outer)


def test_keys_have_their_russian_names():
    assert Texts("ru").key("F# minor") == "фа-диез минор"
    assert Texts("ru").key("Eb major") == "ми-бемоль мажор"
    assert Texts("en").key("Eb major") == "Eb major"


if __name__ == "__main__":
    print(json.dumps(missing(), indent=1, ensure_ascii=False))
    print("unused:", unused())
