"""``kapelle themes``, ``kapelle study`` and ``kapelle compose --model bridge`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import themed
from kapelle.bundles import load
from kapelle.errors import Missing
from kapelle.score.read import read
from kapelle.score.write import write


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    """A song whose first two bars come back in bars 9 and 17."""
    try:
        load.find("theme-encoder")
    except Missing:
        pytest.skip("the bundle theme-encoder is not installed")
    return write(themed.song(3), tmp_path / "tune.mid")


@pytest.fixture
def stages(run, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bands and a model that develops themes are installed."""
    monkeypatch.setenv("KAPELLE_HOME", str(places))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    import band_bundles
    import theme_bundles

    home = tmp_path_factory.mktemp("stages")
    theme_bundles.build(home / "bundles" / "theme")
    band_bundles.build(home / "bundles" / "band-early", seed=1)
    band_bundles.build(home / "bundles" / "band-mute", silent=("piano", "guitar", "strings"))
    return home


def test_themes_tells_where_the_theme_comes_back_and_writes_and_draws_it(run, tune):
    answer = run("themes", tune, "-o", "theme.mid", "--plot", "theme.svg")
    assert answer.code == 0, answer
    assert all(words in answer.out for words in ("MELODY", "1-2", "the theme", "9-10", "17-18", "theme.mid", "theme.svg"))
    assert [track.name for track in read(Path("theme.mid")).tracks] == ["MELODY", "PIANO"]
    assert "9–10" in Path("theme.svg").read_text(encoding="utf-8")
    assert run("themes", tune, "-o", "theme.mid").code == 2  # it is there already


def test_themes_speaks_russian_and_json(run, tune):
    assert "тема" in run("themes", tune, "--lang", "ru").out
    told = run("themes", tune, "--json").data
    assert told["theme"] == {"first_bar": 1, "last_bar": 2, "distance": 0.0}
    assert [row["first_bar"] for row in told["returns"]] == [9, 17]


def test_themes_takes_bad_input_in_one_clear_line(run, tune, tmp_path):
    waltz, empty = themed.song(3), themed.song(3)
    waltz.time_signatures[0].numerator = 3
    for track in empty.tracks:
        track.notes.clear()
    for words, code, told in (
        (["nothing.mid"], 4, "nothing.mid"),
        ([write(waltz, tmp_path / "waltz.mid")], 2, "this piece is in 3/4"),
        ([write(empty, tmp_path / "empty.mid")], 2, "there are no notes"),
        ([tune, "--melody-track", "viola"], 2, "unknown track 'viola'"),
        ([tune, "--eps", "3"], 2, "eps must be 0.01 to 2"),
        ([tune, "--plot", "theme.gif"], 2, ".gif"),
    ):
        answer = run("themes", *words)
        assert answer.code == code, answer
        assert told in answer.err
        assert len(answer.err.splitlines()) <= 2


def test_the_bridge_composes_and_says_who_made_the_theme(run, stages):
    answer = run(
        "compose", "--model", "bridge", "--from-band", "band-early", "--bars", "4", "--seed", "7", "-o", "a.mid", "--save-recipe", "a.json"
    )
    assert answer.code == 0, answer
    assert "fake-one-shot (seed 7)" in answer.out
    assert json.loads(Path("a.json").read_text(encoding="utf-8"))["request"]["model"] == "bridge"
    assert "from_band" in run("compose", "--model", "remi-lstm", "--from-band", "band-early").err


def test_a_study_is_one_command_and_goes_on(run, stages):
    words = ["study", "bridge", "-o", "grid", "--band-model", "band-early", "--band-model", "band-mute", "--latents", "2", "--bars", "4"]
    answer = run(*words, "--sound", "none")
    assert answer.code == 0, answer
    assert answer.out.splitlines()[0].endswith("index.html")
    assert Path("grid/index.html").is_file()
    told = run(*words, "--sound", "none", "--json").data
    assert (told["made"], told["counts"]["cells"], told["counts"]["empty"]) == (0, 4, 2)
    refused = run(*words, "--bars", "8")
    assert refused.code == 2
    assert "another study" in refused.err


def test_models_are_studied_by_seeds(run, stages):
    told = run("study", "models", "--model", "band-early", "--seeds", "2", "--bars", "4", "--sound", "none", "-o", "m", "--json").data
    assert told["counts"]["cells"] == 2
    assert run("study", "models", "-o", "n").code == 2
