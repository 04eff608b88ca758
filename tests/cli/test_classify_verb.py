"""``kapelle classify`` on the command line, and `api.classify`."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

import numpy as np

import genre_trees
from kapelle import api
from kapelle.errors import KapelleError, Missing, UnreadableInput, UsageError
from kapelle.score.write import write


@pytest.fixture
def music(empty_home):
    """A home with a classifier called genre-midi, and a folder of a dense and a sparse piece."""
    from kapelle.classifiers.opening import opened

    opened.cache_clear()
    genre_trees.build(empty_home.parent / "home" / "bundles" / "genre-midi")
    folder = empty_home / "music"
    folder.mkdir()
    write(genre_trees.piece(4), folder / "dense.mid")
    write(genre_trees.piece(1), folder / "sparse.mid")
    yield folder
    opened.cache_clear()


def test_one_file_shows_every_class_with_a_bar(run, music):
    answer = run("classify", music / "dense.mid")
    assert answer.code == 0 and answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0].endswith("dense.mid") and "genre-midi" in answer.out
    assert lines[-3].split()[:2] == ["dense", "80.3%"] and lines[-3].count("█") == 32
    assert {line.split()[0] for line in lines[-3:]} == {"dense", "sparse", "other"}


def test_it_speaks_russian(run, music):
    assert "уверенность" in run("classify", music / "dense.mid", "--lang", "ru").out


def test_several_files_and_folders_are_a_table(run, music):
    answer = run("classify", music)
    assert answer.code == 0 and "dense.mid" in answer.out and "sparse.mid" in answer.out
    assert "80.3%" in answer.out and "other" in answer.out


def test_for_machines_the_whole_vector_is_there(run, music):
    told = run("classify", music, "--json").data["files"]
    assert [Path(one["file"]).name for one in told] == ["dense.mid", "sparse.mid"]
    assert [one["label"] for one in told] == ["dense", "sparse"]
    assert sum(told[0]["probabilities"].values()) == pytest.approx(1) and told[0]["warnings"] == []
    assert told == api.classify(music)


def test_bad_files_among_good_ones_are_told(run, music):
    (music / "text.mid").write_text("a shopping list")
    answer = run("classify", music)
    assert answer.code == 0 and "text.mid" in answer.err and "warning" in answer.err and "dense.mid" in answer.out
    told = run("classify", music, "--json").data["files"]
    assert "not a MIDI file" in told[2]["error"] and "label" not in told[2]


def test_all_bad_is_exit_code_3(run, music):
    for name in ("a.mid", "b.mid"):
        (music.parent / name).write_text("a shopping list")
    answer = run("classify", "a.mid", "b.mid")
    assert answer.code == 3 and "none of 2 files" in answer.err and answer.err.count("\n") <= 2
    assert run("classify", "a.mid").code == 3
    assert run("classify", "nothing.mid").code == 4


def test_nothing_to_classify(run, music):
    (music.parent / "empty").mkdir()
    answer = run("classify", "empty")
    assert answer.code == 2 and "neither MIDI files nor sounds" in answer.err
    assert run("classify").code == 2


def test_a_model_that_is_none(run, music):
    assert run("classify", music, "--model", "genre-polka").code == 4
    with pytest.raises(Missing):
        api.classify(music, "genre-polka")


def test_a_model_that_is_no_classifier(run, music, home):
    answer = run("classify", music, "--model", home / "bundles" / "genre")
    assert answer.code == 2 and "no classifier" in answer.err


def test_drums_alone_are_refused_by_name(run, music):
    drums = genre_trees.piece(4)
    drums.tracks[0].is_drum = True
    write(drums, music.parent / "drums.mid")
    answer = run("classify", "drums.mid")
    assert answer.code == 3 and "no pitched notes" in answer.err


def test_a_classifier_of_scores_hears_no_sound(music):
    from kapelle.audio import files
    from kapelle.audio.waveform import Waveform

    files.write(music.parent / "a.wav", Waveform(np.zeros((100, 1), np.float32), 8000))
    with pytest.raises(UsageError, match="does not hear"):
        api.classify(music.parent / "a.wav", "genre-midi")


def test_errors_are_ours(music):
    (music / "dense.mid").write_bytes(b"MThd")
    with pytest.raises(UnreadableInput):
        api.classify(str(music / "dense.mid"))
    with pytest.raises(KapelleError):
        api.classify([])


def test_progress_is_told(music):
    told = []
    api.classify(music, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_what_ships_tells_a_walking_bass_from_a_chorale_in_words_of_its_classes():
    from kapelle.bundles import load

    try:
        bundle = load.load(load.find("genre-midi"))
    except Missing:
        pytest.skip("the bundle genre-midi is not installed")
    assert bundle.manifest.options["classes"][:4] == ["pop", "jazz", "edm", "classical"]
    assert bundle.manifest.n_bytes < 600_000
