"""How like itself a theme returns: note for note, not at all, or as often as asked."""

from __future__ import annotations

import numpy as np
import pytest

from kapelle.composing.theme_likeness import Likeness
from kapelle.composing.theme_session import _raised
from kapelle.tokens import theme

SPEC = theme.ThemeSpec("paper")
WORDS = theme.vocabulary("paper")
NOTES = [("MELODY", 0, 4, 64), ("PIANO", 0, 8, 55), ("PIANO", 0, 8, 48), ("MELODY", 6, 2, 67), ("PIANO", 8, 8, 50), ("MELODY", 16, 16, 60)]
PHRASE = theme.theme_ids(theme.to_score([theme.ThemeNote(*note, 80) for note in NOTES]), SPEC, n_bars=2)


def follow(*names: str) -> list[str]:
    """What the theme would go on with, after these ids."""
    likeness = Likeness(WORDS, [PHRASE])
    for name in names:
        likeness.accept(WORDS[name])
    found = likeness.wanted(0)
    return [] if found is None else WORDS.spell(list(found.ids))


def note(track: str, pitch: int, duration: int) -> tuple[str, str, str]:
    return f"Note-On-{track}_{pitch}", f"Note-Duration-{track}_{duration}", f"Note-Velocity-{track}_80"


BEGUN = ("Theme_Start", "Bar_None")
CLOSING = ["Bar_None", "Theme_End", "Theme_Start", "Phrase_End"]


def test_the_theme_itself_is_what_is_wanted_all_along():
    likeness = Likeness(WORDS, [PHRASE])
    asked = 0
    for i, token in enumerate(PHRASE.tolist()):
        found = likeness.wanted(0) if i > 1 else None
        if found is not None:
            assert token in found.ids
            asked += 1
        likeness.accept(token)
    assert asked == len(PHRASE) - 2 - len(NOTES)  # all but Theme_Start, the first Bar, and velocities
    assert follow(*WORDS.spell(PHRASE[:-1])) == CLOSING


def test_it_is_met_again_where_the_piece_has_left_it():
    assert follow(*BEGUN) == ["Position_0"]
    assert follow(*BEGUN, "Position_2") == []  # nothing begins there in the theme
    assert follow(*BEGUN, "Position_2", *note("MELODY", 70, 1)) == ["Position_6"]
    assert follow(*BEGUN, "Position_0", "Tempo_119") == ["Note-On-MELODY_64"]
    assert follow(*BEGUN, "Position_0", "Note-On-MELODY_65") == []  # its length is anybody's
    assert follow(*BEGUN, "Position_0", *note("MELODY", 65, 4)) == ["Note-On-PIANO_55"]
    assert follow(*BEGUN, "Position_0", *note("PIANO", 52, 4)) == ["Note-On-PIANO_48"]
    assert follow(*BEGUN, "Position_0", *note("PIANO", 48, 4)) == ["Position_6"]
    assert follow(*BEGUN, "Position_9", *note("PIANO", 48, 4)) == CLOSING
    assert follow(*BEGUN, "Bar_None", "Position_0") == ["Note-On-MELODY_60"]
    assert follow(*BEGUN, "Position_0", "Note-On-MELODY_64", "Note-Duration-MELODY_4") == []


def test_what_is_about_the_melody_is_told_from_the_rest():
    def melody(*names: str) -> bool:
        likeness = Likeness(WORDS, [PHRASE])
        for name in names:
            likeness.accept(WORDS[name])
        found = likeness.wanted(0)
        assert found is not None
        return found.melody

    assert melody(*BEGUN)
    assert not melody(*BEGUN, "Position_0", *note("MELODY", 64, 4))
    assert not melody(*BEGUN, "Position_6", *note("MELODY", 67, 2))  # the piano alone comes next


@pytest.mark.parametrize("temperature", [0.7, 1.2])
def test_a_share_of_the_probability_is_given_whatever_the_network_says(temperature):
    random = np.random.default_rng(0)
    logits, mask = random.normal(0, 3, 20).astype(np.float32), random.random(20) < 0.7
    mask[4] = True

    def chance(row: np.ndarray) -> float:
        weights = np.exp(row.astype(np.float64) / temperature) * mask
        return float(weights[4] / weights.sum())

    for share in (0.0, 0.3, 0.9):
        raised = logits.copy()
        raised[4] = _raised(logits, 4, mask, share, temperature)
        assert chance(raised) == pytest.approx(share + (1 - share) * chance(logits), abs=1e-5)
    assert _raised(logits, 4, mask, 1.0, temperature) > 1e8
    alone = np.zeros(20, bool)
    alone[4] = True
    assert _raised(logits, 4, alone, 0.5, temperature) == pytest.approx(float(logits[4]))
