"""The page of a blind listening test: players without names, ratings on five points, pairs to choose from.

Takes a `kapelle.study.blind.Blind`; gives HTML. Answers stay in the browser until the listener saves them as a CSV file; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kapelle.pages.markup import page as framed
from kapelle.pages.markup import text
from kapelle.study.blind import CLIPS, LEVELS, QUESTIONS, Blind

SCRIPT = Path(__file__).with_name("blind.js")
TITLE = "Listening test"


def page(blind: Blind) -> str:
    """The page."""
    return framed(TITLE, _body(blind), script=SCRIPT.read_text(encoding="utf-8"))


def _body(blind: Blind) -> Iterator[str]:
    yield f"<header><h1>{TITLE}</h1>"
    yield (
        "<p>Listen to each piece and say what you think of it. Who or what made a piece is not told; the order is random. You need not "
        "answer everything, and you can come back later: this browser keeps your answers.</p>"
    )
    yield (
        "<p>At the end, save your answers as a file and give it to whoever asked you. Nothing is sent by this page.</p>"
        '<p class="muted">1: not at all; 5: very much.</p></header>'
    )
    yield "<noscript><p>Players work as they are; to answer, this page needs JavaScript.</p></noscript>"
    yield f'<main><form data-test="{text(blind.key["test"])}">'
    yield '<p><label for="listener">Your name or initials</label> <input id="listener" autocomplete="off" maxlength="40"></p>'
    for number, clip in enumerate(blind.order, 1):
        yield _rated(number, clip)
    for number, (name, pair) in enumerate(blind.pairs.items(), 1):
        yield _compared(number, name, pair)
    yield "</form>"
    yield (
        '<p role="status" aria-live="polite"></p><p><button type="button" id="save">Save answers as CSV</button> '
        '<button type="button" id="clear">Forget answers</button></p></main>'
    )


def _rated(number: int, clip: str) -> str:
    """A piece and its questions."""
    asked = "".join(_scale(f"clip:{clip}:{name}", name, meaning) for name, meaning in QUESTIONS.items())
    return f'<section class="card"><h2>Piece {number}</h2>{_player(clip, f"piece {number}")}{asked}</section>'


def _scale(name: str, question: str, meaning: str) -> str:
    points = "".join(f'<label><input type="radio" name="{text(name)}" value="{level}"> {level}</label> ' for level in LEVELS)
    return f'<fieldset><legend>{text(question)} <span class="muted">{text(meaning)}</span></legend>{points}</fieldset>'


def _compared(number: int, name: str, pair: tuple[str, str]) -> str:
    """Two pieces, of which one may be the better."""
    players = "".join(f"<p><b>{letter}</b></p>{_player(clip, f'pair {number}, {letter}')}" for letter, clip in zip("AB", pair, strict=True))
    choices = "".join(
        f'<label><input type="radio" name="{text(f"pair:{name}:preferred")}" value="{value}"> {said}</label> '
        for value, said in zip((*pair, "same"), ("A", "B", "no difference"), strict=True)
    )
    asked = f"<fieldset><legend>Which is the better piece?</legend>{choices}</fieldset>"
    return f'<section class="card"><h2>Pair {number}</h2>{players}{asked}</section>'


def _player(clip: str, name: str) -> str:
    return f'<audio controls preload="none" src="{CLIPS}/{clip}.ogg" aria-label="{text(name)}"></audio>'
