"""``data prepare``, ``train`` and ``export``: from a folder of MIDI to a bundle that composes."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

import tunes

pytestmark = pytest.mark.train
SMALL = (
    *("training.steps=4", "training.validate_every=2", "training.validation_blocks=2", "training.batch_size=2", "training.warmup_steps=1"),
    *("model.n_layer=1", "model.n_embd=16", "model.n_head=2"),
)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    for package in ("torch", "transformers", "lightning", "onnx", "safetensors"):
        pytest.importorskip(package)
    place = tmp_path_factory.mktemp("music")
    tunes.write_folder(place, n_artists=4)
    (place / "tiny.toml").write_text(tunes.RECIPE, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def shards(music):
    from kapelle import api

    api.prepare(music, music / "tiny.toml", music / "shards", processes=1)
    return music / "shards"


def test_preparing_tells_what_was_kept_and_why_the_rest_was_not(run, music, tmp_path):
    folder = tmp_path / "music"
    shutil.copytree(music / "pop", folder / "pop")
    shutil.copytree(music / "jazz", folder / "jazz")
    (folder / "pop" / "broken.mid").write_bytes(b"MThd")
    (folder / "pop" / "copy.mid").write_bytes(next((folder / "jazz").rglob("*.mid")).read_bytes())
    answer = run("data", "prepare", folder, "--recipe", music / "tiny.toml", "-o", "shards", "--processes", 1)
    assert answer.code == 0, answer.err
    told = dict(line.split(maxsplit=1) for line in answer.out.splitlines()[1:7])
    assert (told["files"], told["kept"]) == ("18", "16")
    assert "not readable as MIDI" in answer.out
    assert Path("shards", "shards.json").is_file()
    told = run("data", "prepare", folder, "--recipe", music / "tiny.toml", "-o", "again", "--processes", 1, "--json").data
    assert (told["files"], told["kept"]) == (18, 16)


def test_the_split_by_windows_is_offered_where_there_are_windows(run, music, tmp_path):
    recipe = tmp_path / "chords.toml"
    source = '[[data.sources]]\nfolder = "jazz"\ngenre = "jazz"\ngroup = "file"\n'
    recipe.write_text(f'name = "chords"\ncodec = "chords"\n{source}[tokenizer]\nmin_count = 2\n[preprocessing]\nmin_notes = 20\n')
    told = run("data", "prepare", music, "--recipe", recipe, "-o", "leaky", "--processes", 1, "--split", "windows", "--json").data
    assert told["split"] == "windows" and told["kept"] == 8
    answer = run("data", "prepare", music, "--recipe", music / "tiny.toml", "-o", "other", "--split", "windows")
    assert answer.code == 2 and "unknown key 'split'" in answer.err


def test_training_exporting_and_composing_follow_one_another(run, music, shards):
    answer = run("train", music / "tiny.toml", *SMALL, "--data", shards, "-o", "run", "--tracker", "none", "--accelerator", "cpu")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0] == "run"
    assert "bits_per_note" in answer.out
    answer = run("export", "run", "-o", "mine", "--licence", "CC0-1.0", "--shards", shards, "--json")
    assert answer.code == 0, answer.err
    assert Path("mine", "originality.idx").is_file()
    assert answer.data["licence"] == "CC0-1.0"
    assert run("compose", "--model", "mine", "--bars", 1, "--seed", 1, "-o", "a.mid").code == 0
    again = run("export", "run", "-o", "mine")
    assert again.code == 2
    assert "--force" in again.err


def test_ctrl_c_in_training_saves_and_says_how_to_go_on(start, music, shards, tmp_path):
    words = [word for word in SMALL if "steps=4" not in word]
    process = start("train", music / "tiny.toml", *words, "training.steps=100000", "training.log_every=1",
                    "--data", shards, "-o", "run", "--tracker", "none", "--accelerator", "cpu")  # fmt: skip
    log = tmp_path / "run" / "log.jsonl"
    for _ in range(1200):
        if (log.is_file() and log.stat().st_size) or process.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    *_, message, hint = err.splitlines()
    assert message.startswith("error: stopped after step ")
    assert hint == "  the same command goes on from there"
    assert "Traceback" not in err
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))


def test_a_run_of_another_recipe_is_not_touched(run, music, shards):
    words = ["train", music / "tiny.toml", "--data", shards, "-o", "run", "--tracker", "none", "--accelerator", "cpu"]
    assert run(*words, *SMALL).code == 0
    answer = run(*words, *SMALL, "training.learning_rate=0.5")
    assert answer.code == 3
    assert "another recipe" in answer.err


def test_training_without_shards(run, music):
    answer = run("train", music / "tiny.toml", "--data", "nowhere", "-o", "run")
    assert answer.code == 4
    assert "kapelle data prepare" in answer.err
    assert not Path("run").exists()
