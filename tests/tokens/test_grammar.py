"""Whatever is drawn under the grammar is valid, exact in length, in its metre, and ends on the bar line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.metrics.degenerate import degeneracy
from kapelle.tokens import remi
from kapelle.tokens.grammar import MAX_BAR_TOKENS, Grammar, Rules

SPEC = remi.RemiSpec(genres=("pop",))
BAND = remi.RemiSpec(genres=("pop",), programs=True, tempos=True, chords=True)
WORDS = {SPEC: remi.vocabulary(SPEC), BAND: remi.vocabulary(BAND)}


def wander(spec: remi.RemiSpec, rules: Rules, seed: int, close: float = 0.0) -> list[int]:
    """Ids drawn evenly from the mask; `close` is the chance to take a bar line or the end where they are allowed."""
    random = np.random.default_rng(seed)
    words = WORDS[spec]
    grammar, out = Grammar(spec, words, rules), []
    while not out or out[-1] != words["EOS_None"]:
        allowed = np.flatnonzero(grammar.mask())
        closing = [i for i in allowed if words.names[i] in ("Bar_None", "EOS_None")]
        token = int(random.choice(closing) if closing and random.random() < close else random.choice(allowed))
        grammar.accept(token)
        out.append(token)
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from(["4/4", "3/4", "6/8"]), st.sampled_from([0.0, 0.2, 1.0]))
def test_any_walk_is_valid_and_exact(seed: int, n_bars: int, metre: str, close: float) -> None:
    ids = wander(SPEC, Rules(n_bars, metre), seed, close)
    decoded = remi.decode(ids, SPEC, WORDS[SPEC])
    assert decoded.dropped == 0
    assert decoded.n_bars == n_bars
    assert decoded.end_ticks == n_bars * SPEC.bar_ticks(metre)
    assert all(note.time + note.duration <= decoded.end_ticks for track in decoded.score.tracks for note in track.notes)
    found = degeneracy(decoded.score, n_bars)
    assert not (found.empty or found.empty_span or found.silent_ending or found.unreleased)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_any_walk_with_programs_is_valid(seed: int, n_bars: int) -> None:
    ids = wander(BAND, Rules(n_bars, programs=(0, 32, -1)), seed, 0.3)
    decoded = remi.decode(ids, BAND, WORDS[BAND])
    assert (decoded.dropped, decoded.n_bars) == (0, n_bars)
    assert {-1 if track.is_drum else track.program for track in decoded.score.tracks} <= {0, 32, -1}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 0.3, 1.0]))
def test_miditok_finds_no_error_in_any_walk(seed: int, n_bars: int, close: float) -> None:
    import miditok_peer as peer

    plain, band = (
        [i for i in wander(spec, rules, seed, close) if WORDS[spec].names[i].split("_")[0] not in ("BarsLeft", "EOS")]
        for spec, rules in ((SPEC, Rules(n_bars)), (BAND, Rules(n_bars, programs=(0, 32, -1))))
    )
    assert peer.tokenizer(SPEC).tokens_errors([plain]) == [0.0]
    assert peer.tokenizer(BAND).tokens_errors(band) == 0.0


def test_only_allowed_pitches_are_drawn() -> None:
    white = tuple(pitch % 12 in (0, 2, 4, 5, 7, 9, 11) for pitch in range(128))
    score = remi.decode(wander(SPEC, Rules(4, pitches=white), 3, 0.05), SPEC, WORDS[SPEC]).score
    assert {note.pitch % 12 for note in score.tracks[0].notes} <= {0, 2, 4, 5, 7, 9, 11}


def test_a_bar_cannot_go_on_for_ever() -> None:
    ids = wander(SPEC, Rules(2), 1, 0.0)
    bars = np.diff([*np.flatnonzero(np.array(ids) == WORDS[SPEC]["Bar_None"]), len(ids)])
    assert bars.max() <= MAX_BAR_TOKENS + 8


def test_a_bar_is_full_after_its_last_token_and_never_before() -> None:
    words = WORDS[SPEC]
    grammar = Grammar(SPEC, words, Rules(1))
    for name in ("Bar_None", "TimeSig_4/4", "BarsLeft_1"):
        grammar.accept(words[name])
    for count in range(2, MAX_BAR_TOKENS + 1):
        assert not grammar.bar_is_full, count
        grammar.accept(words["Duration_0.1.12"])
    assert grammar.bar_is_full
    assert np.flatnonzero(grammar.mask()).tolist() == [words["EOS_None"]]


def test_the_countdown_is_true() -> None:
    names = WORDS[SPEC].spell(wander(SPEC, Rules(3), 5, 0.5))
    assert [n for n in names if n.startswith("BarsLeft")] == ["BarsLeft_3", "BarsLeft_2", "BarsLeft_1"]


def test_what_has_no_choice_is_said_without_a_mask() -> None:
    grammar = Grammar(SPEC, WORDS[SPEC], Rules(2, "3/4"))
    for name in ("Bar_None", "TimeSig_3/4", "BarsLeft_2"):
        assert WORDS[SPEC].names[grammar.forced() or 0] == name
        grammar.accept(WORDS[SPEC][name])
    assert grammar.forced() is None


@pytest.mark.parametrize("name", ["EOS_None", "Bar_None", "Velocity_79", "Duration_1.0.12", "Position_48"])
def test_what_may_not_open_the_last_bar(name: str) -> None:
    words = WORDS[SPEC]
    grammar = Grammar(SPEC, words, Rules(1))
    for opening in ("Bar_None", "TimeSig_4/4", "BarsLeft_1"):
        grammar.accept(words[opening])
    assert not grammar.mask()[words[name]]


def test_an_instrument_that_is_silent_is_missed_more_and_more() -> None:
    words = WORDS[BAND]
    grammar = Grammar(BAND, words, Rules(16, programs=(0, 32, -1)))
    piano, bass, drums = (words[f"Program_{program}"] for program in (0, 32, -1))

    def bar(*programs: int) -> None:
        names = ["Bar_None", "TimeSig_4/4", "BarsLeft_9", "Position_0"]
        for program in programs:
            names += [f"Program_{program}", "PitchDrum_36" if program < 0 else "Pitch_60", f"Velocity_{velocity}", "Duration_1.0.12"]
        for name in names:
            grammar.accept(words[name])

    velocity = words.value(int(words.ids("Velocity")[-1]))
    bar(0)
    assert grammar.leanings() == {}
    bar(0)
    assert grammar.leanings() == {bass: 2.5, drums: 2.5}
    bar(32)
    assert grammar.leanings() == {drums: 5.0}
    bar(-1)
    assert grammar.leanings() == {}
    for _ in range(3):
        bar(-1)
    assert grammar.leanings() == {piano: 5.0, bass: 2.5}
    assert Grammar(BAND, words, Rules(16, programs=(0,))).leanings() == {}


@pytest.mark.parametrize("n_silent", [1, 2, 3, 7])
def test_after_a_prompt_that_ended_in_silence_there_is_always_a_place_to_begin(n_silent: int) -> None:
    words = WORDS[SPEC]
    grammar = Grammar(SPEC, words, Rules(n_silent + 2))
    for bar in range(n_silent + 2):
        for name in ("Bar_None", "TimeSig_4/4", f"BarsLeft_{n_silent + 2 - bar}"):
            grammar.accept(words[name])
        if bar == 0:
            for name in ("Position_0", "Pitch_60", "Velocity_63", "Duration_1.0.12"):
                grammar.accept(words[name])
    assert grammar.mask()[words["Position_0"]]
