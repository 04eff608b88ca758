"""``render``, ``plot``, ``info``, ``models`` and ``doctor``: what they write and what they say."""

import json
import tomllib
import zipfile
from pathlib import Path

import pytest

import kapelle
from kapelle import diagnosis
from kapelle.cli import EXTRAS
from kapelle.diagnosis import diagnose, size


@pytest.mark.parametrize(("suffix", "begins"), [(".wav", b"RIFF"), (".flac", b"fLaC"), (".ogg", b"OggS")])
def test_render_writes_the_format_of_the_suffix(run, song, suffix, begins):
    answer = run("render", song, "-o", f"out{suffix}", "--synth", "sine")
    assert (answer.code, answer.out, answer.err) == (0, f"out{suffix}\n", "")
    assert Path(f"out{suffix}").read_bytes().startswith(begins)


def test_render_writes_stems_into_a_zip(run, song):
    answer = run("render", song, "-o", "stems.zip", "--stems", "flac", "--json")
    assert answer.code == 0
    told = json.loads(answer.out)
    with zipfile.ZipFile("stems.zip") as archive:
        assert archive.namelist() == told["stems"]
        assert all(name.endswith(".flac") for name in told["stems"])
    assert run("render", song, "-o", "stems.zip").code == 2  # it is there already
    assert run("render", song, "-o", "stems.zip", "--force").out == "stems.zip\n"
    assert run("render", song, "-o", "stems.wav", "--stems", "wav").code == 2
    assert run("render", song, "-o", "sines.zip", "--synth", "sine").code == 2


def test_without_a_name_the_result_lies_beside_the_input(run, song):
    assert run("render", song, "--synth", "sine").code == 0
    assert run("plot", song).code == 0
    assert song.with_suffix(".wav").exists()
    assert song.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_themes_differ(run, song):
    pictures = []
    for theme in ("light", "dark"):
        assert run("plot", song, "-o", f"{theme}.svg", "--theme", theme).code == 0
        pictures.append(Path(f"{theme}.svg").read_text(encoding="utf-8"))
    assert pictures[0] != pictures[1]


def test_info_tells_what_is_in_the_file(run, song):
    answer = run("info", song)
    assert answer.code == 0
    told = dict(line.strip().split(maxsplit=1) for line in answer.out.splitlines()[1:7])
    assert told["bars"] == "2"
    assert told["notes"] == "8"
    assert told["seconds"] == "4.00"
    assert told["key"] == "C major"
    assert told["tempo"] == "120"
    assert told["metre"] == "4/4"
    assert "C4 - C5" in answer.out


def test_info_speaks_russian(run, song):
    answer = run("info", song, "--lang", "ru")
    assert "до мажор" in answer.out
    assert "Рояль" in answer.out
    assert "тактов" in answer.out or "такты" in answer.out


def test_info_for_machines_has_the_same_facts(run, song):
    told = run("info", song, "--json").data
    assert told["n_notes"] == 8
    assert told["n_bars"] == 2
    assert told["tracks"][0]["lowest"] == 60


def test_models_lists_licence_size_and_data(compose):
    answer = compose("models")
    assert answer.code == 0
    assert "genre" in answer.out.splitlines()
    assert "CC0-1.0" in answer.out
    assert "random numbers: none needed" in answer.out
    model = next(model for model in compose("models", "--json").data["models"] if model["name"] == "genre")
    assert model["kind"] == "autoregressive"
    assert model["bytes"] > 1000
    assert model["problem"] is None


def test_a_damaged_model_is_listed_with_its_problem(run, empty_home):
    broken = empty_home.parent / "home" / "bundles" / "broken"
    broken.mkdir(parents=True)
    (broken / "bundle.json").write_text("{}", encoding="utf-8")
    answer = run("models", "--json")
    assert answer.code == 0
    broken = next(model for model in answer.data["models"] if model["name"] == "broken")
    assert "bundle.json" in broken["problem"]


def test_the_recipes_are_listed(run):
    answer = run("models", "--recipes", "--json")
    names = [recipe["name"] for recipe in answer.data["recipes"]]
    assert {"genre", "genre-small"} <= set(names)
    assert all(tomllib.loads(Path(recipe["file"]).read_text(encoding="utf-8")) for recipe in answer.data["recipes"])


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_doctor_tells_what_is_there_and_how_to_add_the_rest(run, lang):
    answer = run("doctor", "--lang", lang)
    assert answer.code == 0
    assert answer.err == ""
    for name in ("Python", "FluidSynth", "MuseScore", "GPU", "train", "wandb", "SoundFont"):
        assert name in answer.out


def test_doctor_for_machines_names_every_finding(compose):
    told = compose("doctor", "--json").data
    parts = {finding["part"] for finding in told["findings"]}
    assert parts == {"Python", "package", "program", "extra", "sound", "model", "sound model", "place"}
    assert told["ready"] is True
    missing = [finding for finding in told["findings"] if not finding["found"]]
    assert all(finding["advice"] for finding in missing)


def test_without_a_model_doctor_says_that_nothing_can_be_composed(run, monkeypatch):
    from kapelle.bundles import load

    monkeypatch.setattr(load, "installed", list)
    told = run("doctor", "--json").data
    assert told["ready"] is False
    assert "cannot compose here yet" in run("doctor").out


def test_a_damaged_model_is_found(empty_home):
    broken = empty_home.parent / "home" / "bundles" / "broken"
    broken.mkdir(parents=True)
    (broken / "bundle.json").write_text("{}", encoding="utf-8")
    found = next(finding for finding in diagnose() if finding.name == "broken")
    assert not found.found
    assert "bundle.json" in found.advice.format(**found.values)


def test_the_extras_that_doctor_knows_are_those_of_the_package():
    project = Path(kapelle.__file__).parents[2] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("installed without its pyproject.toml")
    declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = declared["optional-dependencies"]
    plain = {name: {word.split(">")[0] for word in words} for name, words in extras.items() if name != "all"}
    assert {name: set(packages.values()) for name, (_, packages) in diagnosis.EXTRAS.items()} == plain
    assert {name: set(modules) for name, modules in EXTRAS.items()} == {name: set(held) for name, (_, held) in diagnosis.EXTRAS.items()}
    needed = {line.split(">")[0].strip() for line in declared["dependencies"]}
    assert needed == set(diagnosis.PACKAGES) - {"kapelle"}


@pytest.mark.parametrize(("n_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (21_400_000, "21.4 MB"), (3e12, "3.0 TB")])
def test_sizes_read_as_people_write_them(n_bytes, text):
    assert size(n_bytes) == text


def test_figures_that_are_no_numbers_are_null_in_json(capsys):
    from kapelle.cli.console import Console

    Console().data({"a": float("nan"), "b": [float("inf"), 1]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1]}
