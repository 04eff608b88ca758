"""``fit``: a folder of MIDI to a bundle that composes, from nothing or from a model that is there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tunes
from kapelle.bundles import load
from kapelle.judging import originality
from kapelle.tokens import vocabulary

pytestmark = pytest.mark.train
SMALL = (
    *("training.steps=4", "training.validate_every=2", "training.validation_blocks=2", "training.batch_size=2", "training.warmup_steps=1"),
    *("model.n_layer=1", "model.n_embd=16", "model.n_head=2"),
)
FEW = ("training.steps=4", "training.validate_every=2", "training.batch_size=2")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    for package in ("torch", "transformers", "lightning", "onnx", "safetensors"):
        pytest.importorskip(package)
    place = tmp_path_factory.mktemp("music")
    tunes.write_folder(place / "all", n_artists=4)
    (place / "tiny.toml").write_text(tunes.RECIPE, encoding="utf-8")
    shutil.copytree(place / "all" / "pop", place / "Own Tunes" / "Folk Songs")
    (place / "Own Tunes" / "Folk Songs" / "broken.mid").write_bytes(b"MThd")
    return place


@pytest.fixture(scope="module")
def base(music):
    """A bundle of the two genres, and the run behind it."""
    from kapelle import api
    from kapelle.fitting import Fitting
    from kapelle.training.fit import FitOptions

    api.fit(music / "tiny.toml", music / "all", music / "base", Fitting(processes=1, training=FitOptions(SMALL, accelerator="cpu")))
    return music / "base"


def test_music_of_one_s_own_becomes_a_bundle_with_a_report(run, music):
    words = ["fit", music / "tiny.toml", music / "Own Tunes", *SMALL, "-o", "mine", "--processes", 1]
    answer = run(*words, "--json")
    assert answer.code == 0, answer.err
    told = answer.data
    assert (told["name"], told["files"], told["kept"]) == ("mine", 9, 8)
    assert told["dropped"] == {"not readable as MIDI": 1}
    assert {"file": "Folk Songs/broken.mid", "dropped": "not readable as MIDI"} in told["list"]
    assert sum(told["split"].values()) == 8 and told["split"]["validation"] >= 1
    assert told["music"]["minutes"] > 0 and told["music"]["notes"] > 100
    assert set(told["held_out"]) == {"pieces", "notes", "n-gram", "after"}
    assert told["start"] is None
    assert Path(told["curves"]).is_file()
    saved = json.loads(Path(told["work"], "report.json").read_text())
    assert saved == {key: value for key, value in told.items() if key != "licence"}
    assert load.load(Path("mine")).manifest.options["genres"] == ["folk-songs"]
    assert "n-gram of the same music" in Path("mine", "card.md").read_text()
    assert originality.at("./mine").names[0].startswith("Folk Songs/")
    again = run(*words)
    assert again.code == 2
    assert "mine is there already" in again.err


def test_the_report_for_people_ends_with_what_to_type_next(run, music):
    answer = run("fit", music / "tiny.toml", music / "Own Tunes", *SMALL, "-o", "mine", "--processes", 1)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "mine"
    assert lines[-1] == "kapelle compose -m mine -o piece.mid"
    assert any(line.split() == ["not", "readable", "as", "MIDI", "1"] for line in lines)
    assert "8 of 9 files are fit for training" in answer.err
    assert "training: 4 steps" in answer.err
    assert run(*lines[-1].split()[1:], "--bars", 1, "--seed", 1).code == 0


def test_a_shipped_model_is_trained_on(run, music, base):
    answer = run("fit", music / "tiny.toml", music / "Own Tunes", *FEW, "--from", base, "-o", "mine", "--processes", 1, "--json")
    assert answer.code == 0, answer.err
    told, (old, new) = answer.data, instead(answer.data)
    assert new == "folk-songs" and old in ("pop", "jazz")
    assert set(told["held_out"]) == {"pieces", "notes", "n-gram", "before", "after"}
    first, made = load.load(base), load.load(Path("mine"))
    assert told["start"] == {"name": "base", "identity": first.hash}
    assert made.manifest.options["genres"] == ["folk-songs"]
    words, before = (vocabulary.parse(bundle.contents["tokenizer.json"])[0] for bundle in (made, first))
    assert made.manifest.options["genre_ids"] == [words["Genre_folk-songs"]] == [before[f"Genre_{old}"]]
    assert [source["name"] for source in made.manifest.provenance.data] == ["Folk Songs", "pop", "jazz"]
    assert f"| began_with_sha256 | {first.hash} |" in Path("mine", "card.md").read_text().splitlines()
    assert run("compose", "-m", "mine", "--genre", "folk-songs", "--bars", 1, "--seed", 1, "-o", "a.mid").code == 0
    refused = run("compose", "-m", "mine", "--genre", "jazz" if old == "pop" else "pop", "--bars", 1, "-o", "b.mid")
    assert refused.code == 2 and "folk-songs" in refused.err


def instead(told):
    ((new, old),) = told["instead_of"].items()
    return old, new


def test_a_run_and_its_weights_can_be_begun_with_too(run, music, base):
    work = base.with_name("base-work")
    words = ["fit", music / "tiny.toml", music / "all" / "jazz", *FEW, "--processes", 1, "--json"]
    told = [run(*words, "--from", place, "-o", f"mine{number}").data for number, place in enumerate(
        (work / "run", work / "run" / "weights.safetensors"))]  # fmt: skip
    assert told[0]["start"]["identity"] == told[1]["start"]["identity"]
    assert told[0]["instead_of"] == {}  # the folder is called as a genre of the model
    assert load.load(Path("mine0")).contents["step.onnx"] == load.load(Path("mine1")).contents["step.onnx"]


def test_an_unfinished_fine_tuning_goes_on_by_the_same_command_and_by_no_other(run, music, base):
    words = ["fit", music / "tiny.toml", music / "Own Tunes", *FEW, "-o", "mine", "--processes", 1]
    first = run(*words, "--from", base, "--max-minutes", 1e-6)
    assert first.code == 0, first.err
    assert "the same command with --force goes on" in first.err
    other = run(*words, "--force")
    assert other.code == 3 and "mine-work holds a run that began with base" in other.err
    answer = run(*words, "--from", base, "--force", "--json")
    assert answer.code == 0, answer.err
    assert answer.data["figures"]["finished"] and answer.data["figures"]["step"] == 4
    steps = [json.loads(line)["step"] for line in Path("mine-work", "run", "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))  # nothing was done twice


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--from", "nowhere"), 4, "no bundle named 'nowhere' is installed"),
        (("--from", "./empty"), 3, "is no bundle: it has no bundle.json"),
        (("--from", "{base}", "model.n_embd=32"), 2, "model.n_embd is settled by base"),
        (("--from", "{base}", "tokenizer.velocities=8"), 2, "tokenizer.velocities is settled by base"),
        (("--from", "{base}", 'family="lstm"'), 2, "base is of the family 'gpt', the recipe tiny of 'lstm'"),
        (("--from", "{other}"), 3, "start/weights.safetensors belong to another network"),
        (("--epochs", "-1"), 2, "epochs must be 0 or more"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, music, base, words, code, message):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    Path("empty").mkdir()
    other = base.with_name("other.safetensors")
    save_file({"a": np.zeros(3, np.float32)}, other)
    words = [word.format(base=base, other=other) for word in words]
    answer = run("fit", music / "tiny.toml", music / "Own Tunes", *FEW, *words, "-o", "mine", "--processes", 1)
    assert answer.code == code, answer.err
    assert message in answer.err
    assert "Traceback" not in answer.err
    assert not Path("mine").exists()


def test_a_single_file_is_trained_on_with_a_warning(run, music):
    folder = Path("One Song")
    folder.mkdir()
    shutil.copy(next((music / "all" / "pop").rglob("*.mid")), folder)
    answer = run("fit", music / "tiny.toml", folder, *SMALL, "-o", "mine", "--processes", 1, "--json")
    assert answer.code == 0, answer.err
    assert "too few pieces to hold one out" in answer.err
    assert answer.data["held_out"] == {} and answer.data["split"] == {"train": 1}


def test_a_folder_without_music_is_told(run, music):
    Path("none").mkdir()
    answer = run("fit", music / "tiny.toml", "none", "-o", "mine")
    assert answer.code == 4 and "no MIDI files in none" in answer.err
    Path("none", "a.mid").write_text("no music")
    answer = run("fit", music / "tiny.toml", "none", "-o", "mine")
    assert answer.code == 2 and "none of 1 files is fit for training: 1 not readable as MIDI" in answer.err
    assert run("fit", music / "tiny.toml", "nowhere", "-o", "mine").code == 4
