"""Ranking: parts of a score and their reasons, the ways of choosing, who may judge and who may not."""

import math
from pathlib import Path

import numpy as np
import pytest

import pieces
from kapelle import judging
from kapelle.errors import UnknownName, UsageError
from kapelle.judging import choosing, panel, rank
from kapelle.judging.choosing import Choice
from kapelle.judging.outliers import fit
from kapelle.judging.panel import Asked, Candidate, Measured, Panel, Reason
from kapelle.judging.rank import Weights, ranked, weights_of
from kapelle.judging.reference import Reference

GENRES = {"pop": 0.2, "jazz": 0.7, "edm": 0.1}


def made(name="a", **known):
    known.setdefault("features", np.array([0.0, 0.0], np.float32))
    return Measured(name, known.pop("asked", Asked()), **known)


def real():
    """Real music around (0, 0), at 10 ± 1 bits per note."""
    draw = np.random.default_rng(0)
    return Reference(fit(draw.normal(size=(100, 2)), [""] * 100, ("x", "y")), {"": (10.0, 1.0)})


def parts(ranking, name):
    return {part.name: part for row in ranking.rows if row.name == name for part in row.parts}


# --- parts ------------------------------------------------------------------------------------------------------------------------


def test_the_score_is_the_weighted_geometric_mean_of_the_parts_that_are_there():
    one = made(genres=GENRES, human=0.4, asked=Asked(genre="jazz"))
    ranking = ranked([one], Weights(genre=3, human=1, likelihood=1))
    (row,) = ranking.rows
    assert {part.name: part.weight for part in row.parts} == {"genre": 0.75, "human": 0.25}
    assert row.score == pytest.approx(0.7**0.75 * 0.4**0.25)
    assert str(ranking.absent["obedience"]) == "nothing was asked"
    assert str(ranking.absent["novelty"]) == "there are too few candidates"
    assert str(ranking.absent["likelihood"]) == "there is no real music to compare with"


def test_without_a_genre_the_surest_one_counts():
    part = parts(ranked([made(genres=GENRES)]), "a")["genre"]
    assert part.value == 0.7
    assert str(part.reason) == "most probably jazz: 70%"
    part = parts(ranked([made(genres=GENRES, asked=Asked(genre="pop"))]), "a")["genre"]
    assert (part.value, str(part.reason)) == (0.2, "pop with a probability of 20%")


def test_a_genre_that_the_classifier_does_not_know_is_told():
    found = panel._among({"pop": 0.3, "jazz": 0.1, "rock": 0.6}, ("pop", "jazz", "game"))
    assert found == {"pop": pytest.approx(0.75), "jazz": pytest.approx(0.25)}
    assert panel._among(GENRES, ()) == GENRES
    ranking = ranked([made(genres=GENRES, asked=Asked(genre="game"))])
    assert "genre" not in parts(ranking, "a")
    assert str(ranking.absent["genre"]) == "the classifier does not know the genre game"


ALL = Weights(*[1.0] * len(rank.PARTS))


def test_a_part_of_0_counts_as_a_thousandth():
    (row,) = ranked([made(human=0.0, genres={"pop": 1.0})], Weights(genre=1, human=1)).rows
    assert row.score == pytest.approx(math.sqrt(rank.LEAST))


@pytest.mark.parametrize(("bits", "value"), [(10.0, 1.0), (9.0, math.exp(-0.5)), (11.0, math.exp(-0.5)), (2.0, 0.0)])
def test_a_piece_is_likely_that_is_as_surprising_as_real_music_not_less(bits, value):
    part = parts(ranked([made(bits=bits)], ALL, reference=real()), "a")["likelihood"]
    assert part.value == pytest.approx(value, abs=1e-9)
    assert str(part.reason) == f"{bits:.1f} bits per note; real music has 10.0 ± 1.0"


def test_the_middle_of_real_music_is_typical():
    candidates = [made("middle"), made("far", features=np.array([4.0, -3.0], np.float32))]
    ranking = ranked(candidates, ALL, reference=real())
    assert parts(ranking, "middle")["typical"].value > 0.9
    assert parts(ranking, "far")["typical"].value < 0.1


def test_a_copy_of_another_candidate_is_no_novelty():
    places = [(0, 0), (0, 0), (1, 0), (0, 1), (1, 1)]
    ranking = ranked([made(str(i), features=np.array(place, np.float32)) for i, place in enumerate(places)])
    assert parts(ranking, "0")["novelty"].value == 0.0
    assert parts(ranking, "4")["novelty"].value == 1.0


def test_what_was_asked_and_is_not_there_costs():
    score = pieces.score(pieces.track(*[(480 * i, 480, 60 + i % 5, 80) for i in range(16)]), bpm=90)
    one = panel.measure(Panel(parts=()), Candidate(score, "a", Asked(tempo=90, metre="4/4", key="F# major", programs=(0,), bars=4)))
    assert one.obeyed == {"key": False, "tempo": True, "metre": True, "instruments": True, "bars": True}
    part = parts(ranked([one]), "a")["obedience"]
    assert part.value == pytest.approx(0.8)
    assert str(part.reason) == "not as asked: key"


def test_a_piece_without_notes_is_measured_and_comes_last():
    empty = panel.measure(Panel(), Candidate(pieces.score(pieces.track()), "empty"))
    ranking = ranked([empty, made("full", genres=GENRES)])
    assert [row.name for row in ranking.rows] == ["full", "empty"]
    assert ranking.rows[1].degenerate == ("no notes",)
    assert math.isnan(ranking.rows[1].score)


def test_a_degenerate_piece_is_out_of_the_running_unless_all_are():
    broken = made("broken", human=1.0, degenerate=("silence of 2 bars or more",))
    poor = made("poor", human=0.1)
    assert [row.name for row in ranked([broken, poor]).rows] == ["poor", "broken"]
    for way in choosing.WAYS:
        genres = {"jazz": 1.0}
        both = [made("broken", human=1.0, genres=genres, degenerate=("no",)), made("poor", human=0.1, genres=genres)]
        assert ranked(both, choice=Choice(by=way), reference=real()).chosen[0].name == "poor"
    assert ranked([broken, broken]).chosen[0].name == "broken"


# --- weights ----------------------------------------------------------------------------------------------------------------------


def test_weights_are_read_from_text_and_keep_what_is_not_named():
    assert weights_of("genre=2, human=0") == Weights(genre=2, human=0)
    assert weights_of("") == Weights()


@pytest.mark.parametrize("text", ["taste=1", "genre", "genre=much", "genre=-1", "genre=nan"])
def test_weights_that_are_none_are_refused(text):
    with pytest.raises(UsageError):
        weights_of(text)


def test_nobody_is_asked_about_what_does_not_count():
    assert rank.needed(Weights(), Choice()) == tuple(name for name, weight in Weights().as_dict().items() if weight and name != "obedience")
    only = Weights(genre=0, likelihood=0, typical=0, human=1, obedience=1, novelty=0)
    assert rank.needed(only, Choice()) == ("human",)
    assert rank.needed(only, Choice(by="outlier")) == ("typical", "human")
    assert rank.needed(only, Choice(by="genre", diverse=True)) == ("genre", "human", "novelty")


def test_all_weights_cannot_be_0():
    with pytest.raises(UsageError, match="all weights are 0"):
        Weights(*[0.0] * len(rank.PARTS))


# --- ways of choosing ---------------------------------------------------------------------------------------------------------------


def crowd():
    """Ten candidates in two clusters of features; the seventh is human, the third jazz."""
    out = []
    for number in range(10):
        near = np.array([0.0 + 0.01 * number, 0.0] if number < 6 else [5.0, 5.0 + 0.01 * number], np.float32)
        genres = {"jazz": 0.9 if number == 3 else 0.5, "pop": 0.1 if number == 3 else 0.5}
        out.append(made(str(number), features=near, genres=genres, human=0.9 if number == 7 else 0.2))
    return out


@pytest.mark.parametrize(("way", "name"), [("genre", "3"), ("human", "7"), ("outlier", "0")])
def test_a_way_of_choosing_takes_what_is_best_by_it(way, name):
    ranking = ranked(crowd(), choice=Choice(by=way), reference=real())
    assert ranking.chosen[0].name in ({name, "1"} if way == "outlier" else {name})
    assert sorted(row.index for row in ranking.rows) == list(range(10))


def test_by_random_any_is_taken_and_the_seed_decides():
    orders = {tuple(row.name for row in ranked(crowd(), choice=Choice(by="random", seed=seed)).rows) for seed in range(5)}
    assert len(orders) == 5
    again = {tuple(row.name for row in ranked(crowd(), choice=Choice(by="random", seed=3)).rows) for _ in range(3)}
    assert len(again) == 1


def test_diverse_takes_the_best_of_each_cluster():
    plain = ranked(crowd(), Weights(), Choice(best=2, by="human"))
    assert {row.name for row in plain.chosen} == {"7", "0"}
    diverse = ranked(crowd(), Weights(), Choice(best=2, by="genre", diverse=True))
    assert {row.cluster for row in diverse.chosen} == {0, 1}
    assert "3" in {row.name for row in diverse.chosen}


def test_by_cluster_takes_the_middle_of_each():
    ranking = ranked(crowd(), choice=Choice(best=2, by="cluster"))
    assert {row.cluster for row in ranking.chosen} == {0, 1}
    assert {row.name for row in ranking.chosen} <= {"2", "3", "7", "8"}


def test_more_may_be_wanted_than_there_are():
    for way in choosing.WAYS:
        ranking = ranked(crowd(), choice=Choice(best=20, by=way), reference=real())
        assert len(ranking.chosen) == 10


def test_a_way_that_has_nothing_to_go_by_is_refused_with_the_reason():
    with pytest.raises(UsageError, match="no real music"):
        ranked([made()], choice=Choice(by="outlier"))
    bare = [made(absent={"human": Reason("the bundle {name} is not installed", {"name": "human-or-generated"})})]
    with pytest.raises(UsageError, match="human-or-generated is not installed"):
        ranked(bare, choice=Choice(by="human"))


def test_choices_that_are_none_are_refused():
    with pytest.raises(UnknownName, match="taste"):
        Choice(by="taste")
    with pytest.raises(UsageError, match="best 0"):
        Choice(best=0)
    with pytest.raises(UsageError, match="nothing to choose"):
        ranked([])


def test_a_ranking_is_plain_data_for_machines():
    table = ranked(crowd(), ALL, Choice(best=2, diverse=True), real()).as_dict()
    assert (table["best"], table["of"], table["by"], table["diverse"]) == (2, 10, "score", True)
    assert table["weights"] == ALL.as_dict()
    first = table["candidates"][0]
    assert first["place"] == 1
    assert first["chosen"] is True
    assert set(first["parts"]) == {"genre", "human", "typical", "novelty"}
    assert sum(part["weight"] for part in first["parts"].values()) == pytest.approx(1.0)


# --- who judges -------------------------------------------------------------------------------------------------------------------


def test_the_judge_of_the_evaluation_never_ranks():
    """A result is measured by a stranger: neither its name nor its module occurs where pieces are chosen."""
    assert "genre-judge" not in panel.BUNDLES
    with pytest.raises(UsageError, match="does not rank"):
        panel._seat("genre-judge")
    folder = Path(judging.__file__).parent
    for name in ("rank", "panel", "choosing", "likelihood", "outliers", "clusters", "reference"):
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        assert "genre-judge" not in text, name
        assert "classifiers.judge" not in text, name
        assert "classifiers import judge" not in text, name
    api = (folder.parent / "api" / "ranking.py").read_text(encoding="utf-8")
    assert "genre-judge" not in api
    assert "classifiers.judge" not in api


def test_only_the_bundles_that_rank_are_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(panel, "_seat", lambda name: asked.append(name))
    score = pieces.score(pieces.track(*[(480 * i, 480, 60 + i % 5, 80) for i in range(16)]))
    one = panel.measure(Panel(), Candidate(score, "a"))
    assert tuple(asked) == panel.BUNDLES
    assert str(one.absent["genre"]) == "the bundle genre-midi is not installed"


def test_the_shipped_reference_knows_the_models_that_ship():
    """Where real music lies, and how surprising it is to the model: for every model that composes from ids or rolls."""
    from kapelle.classifiers import midi_features
    from kapelle.judging import reference

    for name in (
        "genre-small",
        "remi-lstm",
        "ensemble",
        "chopin",
        "band-composer",
        "band-hybrid",
        "band-jamming",
        "band-accompany",
        "theme",
    ):
        found = reference.of_model(name)
        assert found.middle is not None, name
        assert found.middle.names == midi_features.NAMES
        assert bool(found.bits_per_note) == (name in ("genre-small", "remi-lstm", "ensemble", "chopin")), name
    small = reference.of_model("genre-small")
    assert {"pop", "jazz", "classical"} <= set(small.bits_per_note)
    assert reference.of_model("a-model-of-yours") is reference.NOTHING
    assert (Path(judging.__file__).parent / reference.FILE).stat().st_size < 1_000_000
