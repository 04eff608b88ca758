"""The grammar of pieces on a theme: whatever is drawn under its masks is whole, as long as it should be, and returns where it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.errors import UsageError
from kapelle.tokens import theme
from kapelle.tokens.theme_grammar import MAX_BAR_TOKENS, Grammar, Plan

SPECS = {mode: theme.ThemeSpec(mode) for mode in ("paper", "released")}
PAPER = theme.vocabulary("paper")
C_MAJOR = frozenset({0, 2, 4, 5, 7, 9, 11})
TRIAD = frozenset({0, 4, 7})


def uniform(random):
    return lambda mask: int(random.choice(np.flatnonzero(mask)))


def sharp(random):
    """Logits drawn once for a piece: the same ids are wanted again and again."""
    logits = random.normal(0, 5, 1033)
    return lambda mask: int(np.where(mask, logits[: len(mask)] + random.gumbel(size=len(mask)), -np.inf).argmax())


def highest(_random):
    return lambda mask: int(np.flatnonzero(mask)[-1])


def lowest(_random):
    return lambda mask: int(mask.argmax())


def longest(random):
    """Never closes a bar that need not be closed, and takes the lowest note of the piano, or the highest."""
    position = PAPER["Position_0"]
    return lambda mask: int(mask.argmax()) if mask[: position + 16].any() and random.random() < 0.9 else int(np.flatnonzero(mask)[-1])


WAYS = (uniform, sharp, highest, lowest, longest)


def compose(plan, choose, mode="paper"):
    """All ids of a piece, drawn under the masks."""
    grammar, ids = Grammar(theme.vocabulary(mode), plan), []
    while not grammar.done:
        token = grammar.forced()
        mask = grammar.mask()
        assert (token is None) == (mask.sum() > 1)
        assert mask.any()
        token = choose(mask) if token is None else token
        grammar.accept(token)
        ids.append(token)
        assert len(ids) <= plan.n_bars * (MAX_BAR_TOKENS + 12) + 1
    return ids


def check(ids, plan, mode="paper"):
    """Everything that a piece promises, without the help of the grammar."""
    spec, words = SPECS[mode], theme.vocabulary(mode)
    names = words.spell(ids)
    assert names[-1] == "Phrase_End"
    assert names.count("Phrase_End") == 1
    decoded = theme.decode(ids, spec)
    assert (decoded.dropped, decoded.n_bars) == (0, plan.n_bars)
    tempo = "none" if plan.bpm is None else "first"
    again = theme.encode(decoded.score, spec, decoded.regions, n_bars=plan.n_bars, tempo=tempo)
    assert again.ids.tolist() == ids[:-1]
    assert not any(again.lost.values())
    assert again.labels.max(initial=0) < 512
    check_themes(decoded.regions, plan)
    check_notes(decoded.score, plan)
    return decoded


def check_themes(regions, plan):
    whole = [regions[i : i + len(plan.phrases)] for i in range(0, len(regions), len(plan.phrases))]
    for parts in whole:
        assert tuple(end - start for start, end in parts) == plan.phrases
        assert [start for start, _ in parts[1:]] == [end for _, end in parts[:-1]]
    starts = [parts[0][0] for parts in whole]
    if plan.starts is not None:
        assert tuple(starts) == plan.starts
        return
    if plan.first is not None:
        assert starts[0] == plan.first
    assert len(starts) >= (2 if (plan.first or 0) + 2 * plan.theme_bars <= plan.n_bars and plan.first is not None else 1)
    ends = [0] * (plan.first is None) + [parts[-1][1] for parts in whole]
    for end, start in zip(ends, [*(starts[1:] if plan.first is not None else starts), plan.n_bars], strict=True):
        if start < plan.n_bars or end + plan.longest_gap <= plan.n_bars - plan.theme_bars:
            assert start - end <= plan.longest_gap


def check_notes(score, plan):
    melody, piano = ({name: np.array(column) for name, column in track.notes.numpy().items()} for track in score.tracks)
    line = 480 * 4
    last_line = (plan.n_bars - 1) * line
    starts = np.concatenate([melody["time"], piano["time"]])
    ends = starts + np.concatenate([melody["duration"], piano["duration"]])
    pitches = np.concatenate([melody["pitch"], piano["pitch"]]).astype(int)
    assert (melody["time"][1:] >= (melody["time"] + melody["duration"])[:-1]).all()
    assert np.unique(piano["time"], return_counts=True)[1].max(initial=0) <= plan.piano_notes
    assert ends.max() <= plan.n_bars * line
    filled = np.isin(np.arange(plan.n_bars), starts // line)
    assert filled[0]
    assert filled[-1]
    assert (filled[1:] | filled[:-1]).all()
    assert plan.pitch_low <= pitches.min() <= pitches.max() <= plan.pitch_high
    body = starts < last_line
    if plan.pitch_classes:
        assert set((pitches[body] % 12).tolist()) <= plan.pitch_classes
    if plan.closing:
        assert set((pitches[ends > last_line] % 12).tolist()) <= plan.closing
        assert starts.max() <= last_line + line // 2
        assert ends.max() == plan.n_bars * line


@st.composite
def plans(draw):
    phrases = tuple(draw(st.lists(st.integers(1, 8), min_size=1, max_size=4).filter(lambda bars: sum(bars) <= 8)))
    length = sum(phrases)
    n_bars = draw(st.integers(length, 64))
    classes = st.frozensets(st.integers(0, 11))
    low = draw(st.integers(0, 100))
    starts, first = None, 0
    if draw(st.booleans()):
        starts, bar = [], draw(st.integers(0, n_bars))
        while bar + length <= n_bars:
            starts.append(bar)
            bar += length + draw(st.sampled_from([0, 0, 1, 5, 64]))
        starts = tuple(starts)
    else:
        first = draw(st.one_of(st.none(), st.integers(0, n_bars - length)))
    return Plan(
        n_bars, starts, phrases, first,
        longest_gap=draw(st.integers(0, 20)), bpm=draw(st.one_of(st.none(), st.floats(10, 300))),
        pitch_classes=draw(classes), closing=draw(classes), pitch_low=low, pitch_high=draw(st.integers(low + 12, 127)),
        piano_notes=draw(st.integers(1, 10)),
    )  # fmt: skip


@given(plan=plans(), way=st.sampled_from(WAYS), seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["paper", "released"]))
@settings(max_examples=60, deadline=None)
def test_whatever_is_drawn_reaches_the_end_as_a_whole_piece(plan, way, seed, mode):
    check(compose(plan, way(np.random.default_rng(seed)), mode), plan, mode)


def test_500_seeds_of_random_logits_make_500_whole_pieces():
    plans = [
        Plan(4, bpm=120.0, closing=TRIAD, pitch_classes=C_MAJOR),
        Plan(6, starts=(0, 2, 4), pitch_classes=C_MAJOR),
        Plan(8, starts=(1,), phrases=(2, 1), closing=TRIAD),
        Plan(5, longest_gap=1, closing=frozenset({1}), piano_notes=2),
        Plan(3, first=None, phrases=(1,), bpm=60.0),
    ]
    for seed in range(500):
        plan = plans[seed % len(plans)]
        check(compose(plan, (uniform, sharp)[seed // 5 % 2](np.random.default_rng(seed))), plan)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_bars", [1, 2, 64])
@pytest.mark.parametrize("pitch_class", [0, 11])
def test_the_greediest_choices_make_whole_pieces_of_one_pitch_class(way, n_bars, pitch_class):
    only = frozenset({pitch_class})
    plan = Plan(n_bars, phrases=(1,), bpm=119.0, pitch_classes=only, closing=only, pitch_low=60, pitch_high=71)
    check(compose(plan, way(np.random.default_rng(0))), plan)


def test_what_has_no_choice_is_forced():
    grammar = Grammar(PAPER, Plan(4, bpm=100.0))
    opening = []
    for _ in range(2):
        opening.append(grammar.forced())
        grammar.accept(opening[-1])
    assert PAPER.spell(opening) == ["Theme_Start", "Bar_None"]
    assert (grammar.forced(), grammar.bar, grammar.region, grammar.label) == (None, 0, 0, 3)
    grammar.accept(PAPER["Position_3"])
    assert PAPER.names[grammar.forced()] == "Tempo_101"


def test_the_labels_told_are_those_of_the_codec():
    plan = Plan(12, phrases=(2, 1))
    ids = compose(plan, uniform(np.random.default_rng(3)))
    labels = theme.labels_of(ids, PAPER)
    grammar = Grammar(PAPER, plan)
    for token, label in zip(ids, labels.tolist(), strict=True):
        told = {PAPER["Theme_Start"]: 1, PAPER["Theme_End"]: 0}.get(token, grammar.label)
        assert told == label
        grammar.accept(token)
        assert (grammar.region is not None) == (label > 0)


def feed(grammar, *names):
    for name in names:
        grammar.accept(grammar.words[name])
    return set(grammar.words.spell(np.flatnonzero(grammar.mask())))


def test_a_melody_note_waits_for_the_end_of_the_one_before():
    grammar = Grammar(PAPER, Plan(4, starts=()))
    feed(grammar, "Bar_None", "Position_0", "Note-On-MELODY_60", "Note-Duration-MELODY_8", "Note-Velocity-MELODY_90")
    assert "Note-On-MELODY_60" not in feed(grammar, "Position_4")
    feed(grammar, "Note-On-PIANO_60", "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90")
    assert "Note-On-MELODY_60" in feed(grammar, "Position_8")


def test_pitches_descend_and_their_number_is_bounded():
    grammar = Grammar(PAPER, Plan(4, starts=(), piano_notes=2))
    after = feed(grammar, "Bar_None", "Position_5", "Note-On-PIANO_60", "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90")
    assert {"Note-On-PIANO_59", "Note-On-PIANO_21", "Position_6", "Bar_None"} <= after
    assert not {"Note-On-PIANO_60", "Note-On-MELODY_60", "Position_5", "Theme_Start", "PAD_None"} & after
    after = feed(grammar, "Note-On-PIANO_50", "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90")
    assert after == {"Bar_None", *(f"Position_{step}" for step in range(6, 16))}


def test_two_bars_in_a_row_are_never_empty():
    grammar = Grammar(PAPER, Plan(4, starts=()))
    assert "Bar_None" not in feed(grammar, "Bar_None")
    feed(grammar, "Position_0", "Note-On-PIANO_60", "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90")
    assert "Bar_None" in feed(grammar, "Bar_None")
    assert "Bar_None" not in feed(grammar, "Bar_None")


def test_a_note_ends_with_the_piece_and_leaves_the_last_bar_to_the_cadence():
    grammar = Grammar(PAPER, Plan(2, starts=(), closing=TRIAD))
    assert f"Note-Duration-PIANO_{17}" not in feed(grammar, "Bar_None", "Position_0", "Note-On-PIANO_62")
    assert "Note-Duration-PIANO_16" in feed(grammar)
    after = feed(grammar, "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90", "Note-On-PIANO_60")
    assert "Note-Duration-PIANO_32" in after
    assert "Note-Duration-PIANO_33" not in after
    feed(grammar, "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90", "Bar_None")
    assert feed(grammar, "Position_8") >= {"Note-On-MELODY_72", "Note-On-PIANO_67"}
    assert not any(PAPER.value(int(i)) == "62" for i in np.flatnonzero(grammar.mask()))
    assert feed(grammar, "Note-On-PIANO_60") == {"Note-Duration-PIANO_8"}
    after = feed(grammar, "Note-Duration-PIANO_8", "Note-Velocity-PIANO_90")
    assert "Phrase_End" in after
    assert not any(name.startswith("Position") for name in after)
    assert feed(grammar, "Phrase_End") == {"Phrase_End"}
    assert grammar.done


def test_a_cadence_that_rings_may_have_short_notes_too_and_one_that_was_quoted_may_end_anywhere():
    note = ("Note-Duration-PIANO_1", "Note-Velocity-PIANO_90")
    grammar = Grammar(PAPER, Plan(1, starts=(), closing=TRIAD))
    feed(grammar, "Bar_None", "Position_0", "Note-On-PIANO_60", "Note-Duration-PIANO_16", "Note-Velocity-PIANO_90")
    assert "Phrase_End" in feed(grammar, "Position_4", "Note-On-PIANO_55", *note)
    grammar = Grammar(PAPER, Plan(1, starts=(), closing=TRIAD))
    assert "Phrase_End" not in feed(grammar, "Bar_None", "Position_4", "Note-On-PIANO_60", *note)
    assert "Phrase_End" in feed(grammar, "Position_12", "Note-On-PIANO_60", *note)


def test_a_bar_that_grows_too_long_is_closed():
    plan = Plan(2, starts=())
    grammar = Grammar(PAPER, plan)
    grammar.accept(PAPER["Bar_None"])
    for step in range(16):
        grammar.accept(PAPER[f"Position_{step}"])
        for pitch in range(60, 52, -1):
            if grammar.mask()[PAPER[f"Note-On-PIANO_{pitch}"]]:
                feed(grammar, f"Note-On-PIANO_{pitch}", "Note-Duration-PIANO_1", "Note-Velocity-PIANO_90")
        if grammar.forced() is not None:
            break
    assert PAPER.names[grammar.forced()] == "Bar_None"
    assert step == 6


@pytest.mark.parametrize("seed", range(60))
def test_a_quoted_theme_may_break_every_rule_and_the_piece_still_ends_whole(seed):
    random = np.random.default_rng(seed)
    quoted_bars = int(random.integers(1, 4))
    n_bars = quoted_bars + int(random.integers(0, 3))
    notes = [
        theme.ThemeNote(track, int(random.integers(0, 16 * quoted_bars)), int(random.integers(1, 65)), int(random.integers(1, 128)), 60)
        for track in random.choice(["MELODY", "PIANO"], random.integers(1, 200))
    ]
    quote = theme.encode(theme.to_score(notes, [(0, 90)]), SPECS["paper"], [(0, quoted_bars)], n_bars=quoted_bars).ids.tolist()
    plan = Plan(n_bars, phrases=(quoted_bars,), bpm=90.0, closing=TRIAD, pitch_low=60, pitch_high=80)
    grammar, ids = Grammar(PAPER, plan), quote[: int(random.integers(0, len(quote) + 1))]
    for token in ids:
        grammar.accept(token)
    while not grammar.done:
        ids.append(uniform(random)(grammar.mask()))
        grammar.accept(ids[-1])
        assert len(ids) < 3000
    decoded = theme.decode(ids, SPECS["paper"])
    assert (decoded.dropped, decoded.n_bars) == (0, n_bars)
    assert decoded.regions[0] == (0, quoted_bars)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"starts": (0, 1)}, "begins in bar 2 overlaps"),
        ({"starts": (4, 0)}, "begins in bar 1 overlaps"),
        ({"starts": (-1,)}, "begins in bar 0 overlaps"),
        ({"starts": (7,)}, "begins in bar 8 ends in bar 9, and the piece has 8"),
        ({"starts": (90,)}, "begins in bar 91"),
        ({"first": 7}, "begins in bar 8"),
        ({"phrases": (8, 1)}, "a theme of 9 bars is longer than a piece of 8"),
        ({"phrases": ()}, "phrases of a theme"),
        ({"phrases": (9,)}, "phrases of a theme"),
        ({"n_bars": 0, "starts": ()}, "1 bar or more"),
        ({"piano_notes": 0}, "1 note at once"),
        ({"pitch_classes": frozenset({0}), "pitch_low": 61, "pitch_high": 71}, "no pitch from 61 to 71"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_one_line(wrong, says):
    with pytest.raises(UsageError, match=says):
        Plan(**{"n_bars": 8, **wrong})
