"""A listening test hides where its pieces are from, and its answers are counted as they were given."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from symusic import Note, Score, Tempo, TimeSignature, Track

from kapelle import api
from kapelle.audio import files
from kapelle.errors import Missing, UnknownName, UnreadableInput, UsageError
from kapelle.score.write import to_bytes
from kapelle.study import answers
from kapelle.study.answers import Preference, Rating
from kapelle.study.blind import Asked
from kapelle.study.cell import Music
from kapelle.study.plan import Axis, Plan
from kapelle.study.run import run

Q = 480
HEAD = "test,listener,kind,item,question,answer\n"
QUICK = {"seconds": 3, "synth": "sine"}


def music(pitch: int, velocity: int = 80) -> Music:
    score = Score(Q)
    score.time_signatures.append(TimeSignature(0, 4, 4))
    score.tempos.append(Tempo(0, 120))
    track = Track("Secret model")
    for beat in range(8):
        track.notes.append(Note(beat * Q, Q, pitch + beat % 3, velocity))
    score.tracks.append(track)
    return Music(score, to_bytes(score), 2, 8 * Q)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "site"
    axes = (Axis("model", ("early-secret", "late-secret"), paged=True), Axis("seed", ("1", "2", "3")))
    pitches = {"early-secret": 48, "late-secret": 72}
    run(Plan("toy", "Toy", axes), lambda cell: music(pitches[cell.values["model"]] + int(cell.values["seed"]), 40), folder)
    return folder


def test_a_page_tells_nothing_and_the_key_tells_all(site: Path, tmp_path: Path) -> None:
    made, key = api.listening_test(site, tmp_path / "page", Asked(4, 3, **QUICK))
    assert key == tmp_path / "page.key.json"
    table = json.loads(key.read_bytes())
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    names = sorted(path.name for path in (tmp_path / "page").rglob("*") if path.is_file())
    assert names == sorted(["index.html", *(f"{name}.ogg" for name in table["clips"])])
    for secret in ("secret", "early", "seed"):
        assert secret not in page.lower()
        assert not any(secret.encode() in path.read_bytes() for path in (tmp_path / "page" / "clips").iterdir())
    groups = [table["clips"][clip]["group"] for clip in table["rated"]]
    assert sorted(groups) == ["early-secret"] * 2 + ["late-secret"] * 2
    for first, second in table["pairs"].values():
        one, other = table["clips"][first], table["clips"][second]
        assert one["group"] != other["group"]
        assert one["cell"].partition("_")[2] == other["cell"].partition("_")[2]  # of the same seed
    assert list(made.order) == table["rated"]


def test_the_same_seed_gives_the_same_test_and_another_seed_another(site: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        api.listening_test(site, tmp_path / name, Asked(4, 2, seed, **QUICK))
    keys = [(tmp_path / f"{name}.key.json").read_bytes() for name in "abc"]
    assert keys[0] == keys[1] != keys[2]
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()


def test_clips_are_equally_loud_and_cut(site: Path, tmp_path: Path) -> None:
    made, _ = api.listening_test(site, tmp_path / "page", Asked(6, 0, **QUICK))
    waves = [files.read(path) for path in (tmp_path / "page" / "clips").iterdir()]
    assert {round(wave.duration_s, 3) for wave in waves} == {3.0}
    assert made.n_quieter == 0
    assert np.ptp([wave.rms_db for wave in waves]) < 0.3


def test_real_music_can_stand_among_the_pieces(site: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "<b>song.mid").write_bytes(music(60).data)
    _, key = api.listening_test(site, tmp_path / "page", Asked(7, 1, **QUICK), beside=tmp_path / "real")
    assert [clip["cell"] for clip in json.loads(key.read_bytes())["clips"].values()].count("real music: <b>song.mid") == 1
    assert "song" not in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_what_cannot_be_is_refused(site: Path, tmp_path: Path) -> None:
    refused = (
        ({"site": tmp_path / "nothing"}, Asked(**QUICK), Missing, "no folder of a study"),
        ({}, Asked(7, 0, **QUICK), UsageError, "has 6 pieces, and 7"),
        ({}, Asked(0, 40, **QUICK), UsageError, "pairs, and 40"),
        ({}, Asked(1, 0, by="colour", **QUICK), UnknownName, "unknown axis 'colour'"),
        ({"key": tmp_path / "page" / "key.json"}, Asked(1, 0, **QUICK), UsageError, "would lie with the page"),
    )
    for words, asked, error, told in refused:
        with pytest.raises(error, match=told):
            api.listening_test(**({"site": site} | words), out=tmp_path / "page", asked=asked)
    with pytest.raises(UsageError, match="clips or pairs"):
        Asked(0, 0)
    api.listening_test(site, tmp_path / "page", Asked(1, 0, **QUICK))
    with pytest.raises(UsageError, match="exists already"):
        api.listening_test(site, tmp_path / "page", Asked(1, 0, **QUICK))
    api.listening_test(site, tmp_path / "page", Asked(1, 0, 9, **QUICK), force=True)
    assert len(list((tmp_path / "page" / "clips").iterdir())) == 1
    (tmp_path / "results.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnreadableInput, match="no result of a study"):
        api.listening_test(tmp_path, tmp_path / "other", Asked(1, 0, **QUICK))


KEY = {
    "kapelle": 1,
    "test": "t1",
    "clips": {"aa": {"group": "early", "cell": "e1"}, "bb": {"group": "late", "cell": "l1"}, "cc": {"group": "late", "cell": "l2"}},
    "pairs": {"aa-bb": ["aa", "bb"], "cc-aa": ["cc", "aa"]},
}


def counted(folder: Path, lines: str, key=KEY):
    (folder / "key.json").write_text(json.dumps(key), encoding="utf-8")
    (folder / "answers.csv").write_text(HEAD + lines, encoding="utf-8")
    return api.listening_answers([folder / "answers.csv"], [folder / "key.json"])


def test_answers_are_counted_by_group(tmp_path: Path) -> None:
    found = counted(tmp_path, "".join(f"t1,{who},clip,{clip},overall,{value}\n" for who, clip, value in (
        ("ann", "aa", 1), ("ann", "bb", 4), ("ann", "cc", 5), ("bob", "aa", 2), ("bob", "bb", 4), ("bob", "cc", 5))) + "".join(
        f"t1,{who},pair,{pair},preferred,{said}\n" for who, pair, said in (
            ("ann", "aa-bb", "bb"), ("ann", "cc-aa", "cc"), ("bob", "aa-bb", "same"), ("bob", "cc-aa", "aa"))))  # fmt: skip
    assert found.listeners == ("ann", "bob")
    assert found.ratings["early"]["overall"].value == 1.5
    assert found.ratings["late"]["overall"].value == 4.5
    assert (found.ratings["late"]["overall"].low, found.ratings["late"]["overall"].high) == (4, 5)
    assert math.isnan(found.ratings["late"]["rhythmic"].value)
    assert found.counts == {"early": 2, "late": 4}
    ((first, second, n, share),) = found.preferences
    assert (first, second, n, share.value) == ("early", "late", 4, (0 + 0 + 0.5 + 1) / 4)
    assert found.agreement["overall"]["ordinal"] == pytest.approx(answers.alpha([[1, 4, 5], [2, 4, 5]]))
    assert json.loads(json.dumps(found.as_dict()))["listeners"] == ["ann", "bob"]


def test_of_an_answer_given_twice_the_last_counts(tmp_path: Path) -> None:
    found = counted(tmp_path, "t1,ann,clip,aa,overall,1\n\nt1,ann,clip,aa,overall,5\n")
    assert (found.ratings["early"]["overall"].value, found.replaced) == (5, 1)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("t1,ann,clip,aa,overall,6\n", "line 2 of .*answers.csv is no answer"),
        ("t1,ann,clip,aa,overall,five\n", "line 2 of"),
        ("t1,ann,clip,zz,overall,5\n", "line 2 of"),
        ("t1,ann,clip,aa,beauty,5\n", "line 2 of"),
        ("t1,ann,pair,aa-bb,preferred,cc\n", "line 2 of"),
        ("t1,ann,wish,aa-bb,preferred,aa\n", "line 2 of"),
        ("t1,ann,clip,aa,overall,5\nt1,ann\n", "line 3 of"),
    ],
)
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, lines: str, told: str) -> None:
    with pytest.raises(UnreadableInput, match=told):
        counted(tmp_path, lines)


def test_names_are_told_apart_by_every_character_and_lines_end_as_in_any_system(tmp_path: Path) -> None:
    lines = ["t1,an\u2028n,clip,aa,overall,1", "t1,an\x0bn,clip,aa,overall,2", "t1,ann,clip,aa,overall,3"]
    for end in ("\n", "\r\n"):
        (tmp_path / "answers.csv").write_bytes((HEAD.strip() + end + end.join([*lines, ""])).encode())
        (tmp_path / "key.json").write_text(json.dumps(KEY), encoding="utf-8")
        found = api.listening_answers([tmp_path / "answers.csv"], [tmp_path / "key.json"])
        assert (len(found.listeners), found.replaced) == (3, 0)
    (tmp_path / "key.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(UnreadableInput, match="is no key"):
        api.listening_answers([tmp_path / "answers.csv"], [tmp_path / "key.json"])


def test_answers_without_their_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the test t2, whose key is not given"):
        counted(tmp_path, "t2,ann,clip,aa,overall,5\n")
    with pytest.raises(UsageError, match="no answers in these files"):
        counted(tmp_path, "")
    with pytest.raises(UnreadableInput, match="is no key"):
        counted(tmp_path, "t1,ann,clip,aa,overall,5\n", key={"test": "t1"})
    (tmp_path / "other.csv").write_text("a,b\n", encoding="utf-8")
    (tmp_path / "key.json").write_text(json.dumps(KEY), encoding="utf-8")
    for name, error, told in (("other.csv", UnreadableInput, "holds no answers"), ("none.csv", Missing, "there is no file")):
        with pytest.raises(error, match=told):
            api.listening_answers([tmp_path / name], [tmp_path / "key.json"])
    (tmp_path / "other.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableInput, match="no table of answers"):
        api.listening_answers([tmp_path / "other.csv"], [tmp_path / "key.json"])


def test_the_interval_is_wider_where_listeners_are_drawn_too() -> None:
    draw = np.random.default_rng(0)
    strict = {"ann": -1, "bob": 0, "cat": 1}
    ratings = [Rating(who, "g", f"c{i}", "overall", 3 + strict[who] + int(draw.integers(-1, 2))) for who in strict for i in range(20)]
    all_of_one = [Rating("ann", one.group, f"{one.listener}{one.cell}", one.question, one.value) for one in ratings]
    wide = answers.outcome(ratings, []).ratings["g"]["overall"]
    narrow = answers.outcome(all_of_one, []).ratings["g"]["overall"]
    assert wide.value == narrow.value
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_preferences_do_not_depend_on_which_was_a() -> None:
    found = answers.outcome([], [Preference("ann", ("a", "b"), "x", 1.0), Preference("ann", ("a", "b"), "y", 0.0)])
    assert found.preferences[0][3].value == 0.5
    assert found.ratings == {}
