"""The page's words: both languages say the same things, every text that is asked for is there, and none is left over."""

import json
import re
from pathlib import Path

import pytest

import kapelle.web
from kapelle import api

STATIC = Path(kapelle.web.__file__).with_name("static")
TEXTS = {language: json.loads((STATIC / f"strings.{language}.json").read_text("utf-8")) for language in ("en", "ru")}
COMMENT = re.compile(r"/\*\*?\s.*?\*/", re.DOTALL)
SOURCES = {path.name: COMMENT.sub("", path.read_text("utf-8")) for path in [*STATIC.glob("js/*.js"), STATIC / "index.html"]}
FORMS = {"en": 2, "ru": 3}


def fields(text):
    """Names of values in a text, with the number of forms that follow a name."""
    return sorted((name, forms.count("|")) for name, forms in re.findall(r"\{(\w+)((?:\|[^{}|]*)*)\}", text))


def asked():
    """Keys that the page asks for by name, and patterns of those that it puts together."""
    keys, patterns = set(), set()
    areas = "|".join(sorted({key.split(".")[0] for key in TEXTS["en"]}))
    for source in SOURCES.values():
        keys |= set(re.findall(rf"""["'`]((?:{areas})\.[\w.# -]+)["'`]""", source))
        for template in re.findall(rf"`((?:{areas}|\$\{{\w+\}})[^`\s]*\$\{{[^`]*|\$\{{key\}}_hint)`", source):
            patterns.add(re.sub(r"\\\$\\\{.*?\\\}", "[^|]+", re.escape(template)))
    return keys, patterns


def test_both_languages_have_the_same_keys_in_order():
    assert list(TEXTS["en"]) == list(TEXTS["ru"]) == sorted(TEXTS["en"])


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_text_is_empty_or_padded(language):
    assert [key for key, text in TEXTS[language].items() if not text or text != text.strip()] == []


def test_both_languages_take_the_same_values():
    names = {language: {key: {name for name, _ in fields(text)} for key, text in texts.items()} for language, texts in TEXTS.items()}
    assert names["en"] == names["ru"]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_number_has_all_forms_of_its_language(language):
    odd = {key for key, text in TEXTS[language].items() for _, forms in fields(text) if forms and forms != FORMS[language]}
    assert odd == set()


def test_every_text_that_the_page_asks_for_is_there():
    keys, _ = asked()
    files = {key for key in keys if re.search(r"\.(js|css|svg|json|mid|midi|html)$", key)}
    assert sorted(keys - files - set(TEXTS["en"])) == []


def test_every_text_is_asked_for():
    keys, patterns = asked()
    made = re.compile("|".join(patterns))
    assert [key for key in TEXTS["en"] if key not in keys and not made.fullmatch(key)] == []


def test_texts_of_the_page_are_not_written_into_its_markup():
    """What is read on the page comes from the tables: index.html names keys alone, but for its own name and the line without scripts."""
    body = re.sub(r"<noscript>.*?</noscript>|<title>.*?</title>|<!--.*?-->", "", SOURCES["index.html"], flags=re.S)
    shown = {text.strip() for text in re.findall(r">([^<>]+)<", body)} - {"", "Kapelle"}
    assert shown == set()


def test_options_of_every_model_have_names_and_hints_in_both_languages():
    for offer in api.offers():
        for schema in filter(None, (offer.options, offer.sampling)):
            for name, entry in schema["properties"].items():
                assert {"en", "ru"} <= set(entry["x-label"]), (offer.name, name)


def test_russian_is_russian():
    """A Russian text has Russian letters, unless it has no words of its own."""
    plain = {key: re.sub(r"\{.*?\}|Kapelle|MIDI", "", text) for key, text in TEXTS["ru"].items() if text == TEXTS["en"][key]}
    assert [key for key, text in plain.items() if re.search("[a-z]{4}", text)] == []
