"""``fit`` with the recipe of the Theme Transformer: songs of one's own, whose melody is looked for, to a bundle."""

import json
from pathlib import Path

import pytest

import themed
from kapelle.bundles import load

pytestmark = pytest.mark.train
RECIPE = Path(__file__).parents[2] / "recipes" / "theme.toml"
TINY = ("model.d_model=16", "model.n_head=2", "model.d_ff=16", "model.n_encoder=1", "model.n_decoder=2", "model.exclusive=[0,1]")
SMALL = ("training.steps=2", "training.validate_every=2", "training.batch_size=4", "training.validation_blocks=4", "training.stages=[]")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    torch = pytest.importorskip("torch")
    for package in ("lightning", "onnx", "safetensors"):
        pytest.importorskip(package)
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("themed") / "Our Songs"
    place.mkdir()
    for number in range(12):
        whole = themed.song(number)
        for track, name in zip(whole.tracks, ("Voice", "Strings", "Piano"), strict=True):
            track.name = name
        whole.dump_midi(place / f"{number}.mid")
    (place / "broken.mid").write_bytes(b"MThd")
    return place


@pytest.fixture
def embed(monkeypatch):
    """An embedding without a bundle."""
    monkeypatch.setattr("kapelle.fitting.melodies.embedding", lambda sections: themed.embed)


@pytest.fixture(scope="module")
def first(music):
    """A bundle, and the report of how it came about."""
    from kapelle import api
    from kapelle.fitting import Fitting
    from kapelle.training.fit import FitOptions

    how = Fitting(processes=1, training=FitOptions((*TINY, *SMALL), accelerator="cpu", trackers=()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kapelle.fitting.melodies.embedding", lambda sections: themed.embed)
        return api.fit(RECIPE, music, music.parent / "first", how)


def test_songs_of_one_s_own_become_a_bundle_with_a_report(music, first):
    report = first.report
    assert (report["files"], report["kept"], report["dropped"]) == (13, 12, {"not readable as MIDI": 1})
    assert report["music"]["songs"] == 12 and report["music"]["bars"] == 12 * 24 and report["genres"] == {}
    assert report["split"] == {"train": 10, "validation": 2} and report["training"]["windows"] > 16
    found = report["held_out"]
    assert set(found) == {"pieces", "notes", "n-gram", "after", "theme_gain"} and found["pieces"] == 2
    assert found["after"] == pytest.approx(first.figures["best"]["bits_per_note"], abs=1e-3)
    assert 1 < found["n-gram"] < found["after"]
    assert "| n-gram of the same music |" in (music.parent / "first" / "card.md").read_text()
    manifest = load.load(music.parent / "first").manifest
    assert (manifest.codec, manifest.kind) == ("theme", "encoder_decoder")


def test_a_run_can_be_begun_with(run, music, first, embed):
    begin = Path(first.report["work"], "run")
    words = ["fit", RECIPE, music, "--from", begin, "-o", "mine", *SMALL, "--processes", 1]
    stopped = run(*words, "--max-minutes", 1e-6)
    assert stopped.code == 0 and "notes, 288 bars" in stopped.out, stopped.err
    assert stopped.out.splitlines()[-1] == "kapelle develop theme.mid -m mine -o piece.mid"
    answer = run(*words, "--force", "--json")
    assert answer.code == 0, answer.err
    assert answer.data["start"]["name"] == "run" and answer.data["figures"]["finished"]
    assert answer.data["held_out"]["before"] == pytest.approx(first.report["held_out"]["after"], abs=2e-3)


def test_a_few_songs_are_too_few_and_it_says_what_is_needed(run, music, embed):
    Path("few").mkdir()
    for number in range(3):
        Path("few", f"{number}.mid").write_bytes((music / f"{number}.mid").read_bytes())
    answer = run("fit", RECIPE, "few", *TINY, *SMALL, "--processes", 1, "-o", "mine")
    assert answer.code == 2, answer.err
    assert "windows are too few to learn from, which takes 16" in answer.err and "Traceback" not in answer.err


def test_preparing_without_the_encoder_of_melodies_is_one_line(run, music, monkeypatch):
    from kapelle.errors import Missing

    def absent():
        raise Missing("no model {name!r}", name="theme-encoder")

    monkeypatch.setattr("kapelle.composing.embedding.embedder", absent)
    answer = run("data", "prepare", music.parent, "--recipe", RECIPE, "-o", "shards")
    assert answer.code == 4 and "theme-encoder" in answer.err and "Traceback" not in answer.err
    assert not Path("shards").exists()


def test_prepare_reads_songs_with_the_encoder_s_embedding(run, music, embed):
    sources = 'data.sources=[{folder="Our Songs", melody="found"}]'
    answer = run("data", "prepare", music.parent, "--recipe", RECIPE, sources, "-o", "shards", "--processes", 1)
    assert answer.code == 0, answer.err
    assert "regions per song" in answer.out and "not readable as MIDI" in answer.out
    told = json.loads(Path("shards/shards.json").read_text())
    assert told["kept"] == 12 and told["statistics"]["regions_per_song"] == 3
