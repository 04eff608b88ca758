"""``kapelle study`` with a plan, its listening test and its answers, on the command line."""

import json
from pathlib import Path

import pytest

HEAD = "test,listener,kind,item,question,answer\n"
PLAN = 'kind = "models"\ntitle = "Toy"\nmodels = ["band-early", "band-late"]\nlatents = [1, 2]\nbars = 4\nfirst_try = true\n'


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """A KAPELLE_HOME with two stages of a band."""
    pytest.importorskip("onnx")
    import band_bundles

    place = tmp_path_factory.mktemp("bands")
    band_bundles.build(place / "bundles" / "band-early", seed=1)
    band_bundles.build(place / "bundles" / "band-late", seed=2)
    return place


@pytest.fixture
def study(run, bands, monkeypatch):
    monkeypatch.setenv("KAPELLE_HOME", str(bands))
    Path("plan.toml").write_text(PLAN, encoding="utf-8")
    return run


def test_a_plan_is_carried_out_and_goes_on(study):
    answer = study("study", "plan.toml", "-o", "site")
    assert answer.code == 0, answer
    assert answer.out.splitlines()[0] == str(Path("site/index.html"))
    assert len(list(Path("site/cells").glob("*.mid"))) == 4
    assert not list(Path("site/cells").glob("*.wav"))
    told = study("study", "-o", "site", "plan.toml", "--sound", "wav", "--bit-depth", "24", "--seconds", "2", "--json").data
    assert (told["made"], told["counts"]["made"]) == (0, 4)
    assert len(list(Path("site/cells").glob("*.wav"))) == 4


def test_what_is_wrong_is_told_in_one_clear_line(study):
    Path("bad.toml").write_text(PLAN + "colour = 3\n", encoding="utf-8")
    for words, code, told in (
        (["study", "nothing", "-o", "x"], 4, "no plan 'nothing'"),
        (["study", "bad.toml", "-o", "x"], 2, "unknown key 'colour' in bad.toml"),
        (["study", "plan.toml"], 2, "--output is missing"),
        (["study", "-o", "x"], 2, "PLAN.toml is missing"),
        (["study", "plan.toml", "-o", "x", "--sound", "midi"], 2, "--sound must be one of"),
        (["study", "plan.toml", "more", "-o", "x"], 2, "what is 'more'?"),
        (["study", "blind", "x", "-o", "y"], 4, "x is no folder of a study"),
        (["study", "answers", "a.csv", "--key", "b.json"], 4, "there is no file"),
    ):
        answer = study(*words)
        assert answer.code == code, answer
        assert told in answer.err
        assert len(answer.err.splitlines()) <= 2


def test_a_classifier_that_is_not_there_is_told(study):
    answer = study("study", "plan.toml", "-o", "site", "--classifier", "genre-of-dreams")
    assert answer.code == 0
    assert "the classifier genre-of-dreams is not installed" in answer.err


def test_the_sub_verbs_stand_in_the_help_of_the_verb(study):
    answer = study("study", "--help")
    assert all(f"  {name} " in answer.out for name in ("bridge", "models", "blind", "answers"))
    assert "PLAN.toml" in answer.out


def test_a_listening_test_and_its_answers(study):
    assert study("study", "plan.toml", "-o", "site").code == 0
    words = ["study", "blind", "site", "-o", "page", "--clips", "3", "--pairs", "1", "--seconds", "3", "--synth", "sine"]
    answer = study(*words)
    assert answer.code == 0, answer
    assert "page.key.json" in answer.out
    assert study(*words).code == 2
    key = json.loads(Path("page.key.json").read_text(encoding="utf-8"))
    lines = [f"{key['test']},{who},clip,{clip},overall,{3 + place}\n" for who in ("a", "b") for place, clip in enumerate(key["rated"])]
    (name, pair), *_ = key["pairs"].items()
    Path("a.csv").write_text(HEAD + "".join(lines) + f"{key['test']},a,pair,{name},preferred,{pair[0]}\n", encoding="utf-8")
    told = study("study", "answers", "a.csv", "--key", "page.key.json")
    assert told.code == 0, told
    assert "overall" in told.out and "prefer the first" in told.out
    found = study("study", "answers", "a.csv", "--key", "page.key.json", "--json").data
    assert found["listeners"] == ["a", "b"]
    assert found["agreement"]["overall"]["ordinal"] == 1


def test_why_a_piece_could_not_be_made_is_told(study):
    answer = study("study", "models", "-m", "band-early", "--seeds", 1, "--seed", 10**22, "--bars", 4, "--sound", "none", "-o", "site")
    assert answer.code == 0
    assert "1 pieces could not be made, the first of them model-band-early" in answer.err
    assert "seed must be" in answer.err
