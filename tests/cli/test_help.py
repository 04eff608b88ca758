"""Help is complete, in both languages, quick, and stands in the reference page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kapelle.cli import app, reference
from kapelle.cli.flags import flags_of

HEAVY = ("torch", "onnxruntime", "miditok", "music21", "matplotlib", "symusic", "numpy", "rich", "onnx", "transformers")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
WORDS = [words for words, _ in reference.verbs()]


def test_help_loads_nothing_heavy_and_takes_less_than_a_third_of_a_second(environment):
    code = (
        "import sys, time; from kapelle.cli import main; assert main(['--help']) == 0;"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]; assert not loaded, loaded;"
        "spent = time.process_time(); assert spent < 0.3, spent"
    )
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert "compose" in answer.stdout


@pytest.mark.parametrize("words", [[], ["--help"], ["--lang", "en"]])
def test_without_a_verb_the_verbs_are_listed(run, words):
    answer = run(*words)
    assert answer.code == 0
    assert all(f"  {name} " in answer.out for name in app.VERBS)


@pytest.mark.parametrize("words", WORDS, ids="-".join)
def test_every_flag_of_a_verb_is_in_its_help(run, words):
    answer = run(*words, "--help")
    assert answer.code == 0
    for flag in flags_of(reference.module(words).Arguments):
        assert flag.label in answer.out
    for name in app.COMMON:
        assert name.split()[0] in answer.out


@pytest.mark.parametrize("words", [[], *WORDS], ids="-".join)
def test_russian_help_has_no_english_sentence(run, words):
    answer = run(*words, "--help", "--lang", "ru")
    assert answer.code == 0
    for line in answer.out.splitlines():
        text = re.sub(r"`[^`]*`|kapelle .*", "", line)  # commands are as they are
        if re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{3,}", text):
            raise AssertionError(line)


def test_a_group_without_a_verb_lists_its_verbs(run):
    answer = run("data")
    assert answer.code == 0
    assert "prepare" in answer.out
    assert "--install-completion" not in answer.out


def test_the_version_is_the_package_s(run):
    import kapelle

    assert run("--version").out == f"kapelle {kapelle.__version__}\n"


def test_the_reference_page_says_what_the_command_line_says():
    assert PAGE.read_text(encoding="utf-8") == reference.page(), "make it again: python -m kapelle.cli.reference > docs/reference/cli.md"
