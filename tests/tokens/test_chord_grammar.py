from __future__ import annotations

import numpy as np
import pytest

from kapelle.tokens import chords
from kapelle.tokens.chord_grammar import MAX_NOTES_AT_ONCE, Grammar
from kapelle.tokens.chords import ChordSpec, Item

SPEC = ChordSpec(min_count=1, max_beats=2, velocities=2)
MUSIC = [Item((pitch,), 12, 12, 72) for pitch in range(40, 80)] + [Item((60, 64, 67), 12, 12, 72), Item((62, 65), 12, 12, 72)]
WORDS = chords.vocabulary([MUSIC], SPEC)
PLAIN = ChordSpec(min_count=1, attributes=False, velocities=0)
PLAIN_WORDS = chords.vocabulary([MUSIC], PLAIN)


def fed(grammar: Grammar, *names: str) -> Grammar:
    for name in names:
        token = grammar.words[name]
        assert grammar.mask()[token], name
        grammar.accept(token)
    return grammar


def allowed(grammar: Grammar) -> set[str]:
    return {name.split("_", maxsplit=1)[0] for name in WORDS.spell(np.flatnonzero(grammar.mask()))}


def test_an_item_reads_symbol_duration_velocity_offset_and_then_the_next() -> None:
    grammar = Grammar(SPEC, WORDS)
    for name, kind in (("Symbol_60", "Symbol"), ("Duration_12", "Duration"), ("Velocity_1", "Velocity"), ("Offset_12", "Offset")):
        assert allowed(grammar) == {kind}
        fed(grammar, name)
    assert allowed(grammar) == {"Symbol"} and grammar.n_items == 1


def test_without_attributes_symbol_follows_symbol() -> None:
    grammar = Grammar(PLAIN, PLAIN_WORDS)
    grammar.accept(PLAIN_WORDS["Symbol_60"])
    assert {name.split("_")[0] for name in PLAIN_WORDS.spell(np.flatnonzero(grammar.mask()))} == {"Symbol"}
    grammar.may_end = True
    assert grammar.mask()[PLAIN_WORDS["EOS_None"]]


def test_the_end_comes_when_the_caller_says_so_and_never_inside_an_item() -> None:
    grammar = Grammar(SPEC, WORDS, may_end=True, must_end=True)
    assert not grammar.mask()[WORDS["EOS_None"]]  # a piece without an item is none
    fed(grammar, "Symbol_60", "Duration_12", "Velocity_1")
    assert grammar.forced() is None
    fed(grammar, "Offset_0")
    assert grammar.forced() is None  # something was promised to begin at once
    fed(grammar, "Symbol_64", "Duration_12", "Velocity_1", "Offset_12")
    assert grammar.forced() == WORDS["EOS_None"]


def test_at_one_moment_pitches_go_upwards_and_none_sounds_twice() -> None:
    grammar = fed(Grammar(SPEC, WORDS), "Symbol_60.64.67", "Duration_12", "Velocity_1", "Offset_0")
    found = {chords.pitches_of(WORDS.value(i)) for i in np.flatnonzero(grammar.mask()).tolist()}
    assert (59,) not in found and (64,) not in found and (65,) in found and (62, 65) in found
    fed(grammar, "Symbol_65", "Duration_12", "Velocity_1", "Offset_12")
    assert grammar.mask()[WORDS["Symbol_40"]]


def test_nothing_is_promised_to_begin_at_once_where_nothing_can() -> None:
    grammar = fed(Grammar(SPEC, WORDS), "Symbol_79", "Duration_12", "Velocity_1")
    assert not grammar.mask()[WORDS["Offset_0"]]


def test_two_hands_hold_no_more_than_they_can() -> None:
    grammar = Grammar(SPEC, WORDS)
    for pitch in range(40, 40 + MAX_NOTES_AT_ONCE - 1):
        fed(grammar, f"Symbol_{pitch}", "Duration_12", "Velocity_1", "Offset_0")
    assert not grammar.mask()[WORDS["Symbol_60.64.67"]]
    fed(grammar, "Symbol_70", "Duration_12", "Velocity_1")
    assert not grammar.mask()[WORDS["Offset_0"]]


def test_silence_lasts_no_longer_than_the_caller_wants() -> None:
    grammar = fed(Grammar(SPEC, WORDS, longest_silence=6), "Symbol_60", "Duration_12", "Velocity_1")
    offsets = [int(WORDS.value(i)) for i in np.flatnonzero(grammar.mask()).tolist()]
    assert max(offsets) == 18


def test_pitches_that_the_caller_forbids_do_not_come_while_there_are_others() -> None:
    grammar = Grammar(SPEC, WORDS, pitches=tuple(pitch in (60, 64, 67, 72) for pitch in range(128)))
    assert {WORDS.value(i) for i in np.flatnonzero(grammar.mask()).tolist()} == {"60", "64", "67", "72", "60.64.67"}


@pytest.mark.parametrize("spec, words", [(SPEC, WORDS), (PLAIN, PLAIN_WORDS)])
@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_drawn_decodes_without_a_dropped_item(spec: ChordSpec, words: chords.Vocabulary, seed: int) -> None:
    draw, decoder, grammar = np.random.default_rng(seed), chords.Decoder(spec, words), Grammar(spec, words, longest_silence=24)
    made = []
    for number in range(900):
        grammar.must_end = number > 800
        choice = np.flatnonzero(grammar.mask())
        token = grammar.forced()
        token = int(draw.choice(choice)) if token is None else token
        grammar.accept(token)
        if token == words["EOS_None"]:
            break
        if item := decoder.feed(token):
            made.append(item)
    assert token == words["EOS_None"] and decoder.dropped == 0 and len(made) == grammar.n_items > 150
    notes = chords.to_score(made).tracks[0].notes
    assert len({(note.time, note.pitch) for note in notes}) == len(notes) == sum(len(item.pitches) for item in made)
