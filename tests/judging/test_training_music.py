"""The music in shards of every kind, decoded as the model sees it."""

import hashlib

import numpy as np
import pytest

import tunes
from kapelle.data import phrase_shards, shards
from kapelle.data.prepare import preparation, prepare
from kapelle.errors import Missing, ShardError, UsageError
from kapelle.judging import originality, originality_figures, training_music
from kapelle.score.read import read


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """A folder of MIDI and the token shards made of it."""
    folder = tmp_path_factory.mktemp("tokens")
    recipe = folder / "tiny.toml"
    recipe.write_text(tunes.RECIPE)
    prepare(tunes.write_folder(folder / "midi"), preparation(recipe), folder / "shards")
    return folder


def test_pieces_of_token_shards_bear_the_names_of_their_files(tokens):
    music = training_music.opened(tokens / "shards")
    held = shards.read(tokens / "shards")
    counts = {part: music.count(part) for part in ("train", "validation", "test")}
    assert sum(counts.values()) == len(held.pieces)
    named = dict(music.pieces("train"))
    assert len(named) == counts["train"]
    for name, score in named.items():
        source = read(tokens / "midi" / f"{name}.mid")
        assert sum(len(track.notes) for track in score.tracks) == len({(n.time, n.pitch) for track in source.tracks for n in track.notes})


def test_names_are_found_by_digest_where_shards_do_not_tell_them(tokens):
    (tokens / "shards" / "files.json").rename(tokens / "files.json")
    try:
        plain = [name for name, _ in training_music.opened(tokens / "shards").pieces("test")]
        names = training_music.names_in(tokens / "midi")
        told = [name for name, _ in training_music.opened(tokens / "shards", names).pieces("test")]
    finally:
        (tokens / "files.json").rename(tokens / "shards" / "files.json")
    for digest, name in zip(plain, told, strict=True):
        assert hashlib.sha256((tokens / "midi" / f"{name}.mid").read_bytes()).hexdigest().startswith(digest)


def test_a_training_file_is_found_in_the_index_of_its_shards_and_a_test_file_is_not(tokens):
    music = training_music.opened(tokens / "shards")
    steps = []
    index = originality.parse(originality_figures.indexed(music, lambda done, total: steps.append((done, total))))
    assert steps[-1][0] == steps[-1][1] == music.count("train") + music.count("test")
    for name, score in music.pieces("train"):
        seen = originality.lookup(read(tokens / "midi" / f"{name}.mid"), index)
        assert seen.nearest == name, name
        assert seen.share_copied > 0.8
        assert originality.lookup(score, index).share_copied > 0.8
    assert index.human.n_pieces == music.count("test")
    assert max(index.human.longest) < 20


def test_phrases_that_follow_one_another_are_one_stretch_of_a_song(tmp_path):
    cells = np.zeros((3, 2, 1, 16, 12), np.bool_)
    cells[:, 1, 0, ::2, 3] = True
    rows = np.zeros(3, phrase_shards.PHRASE)
    rows["song"], rows["bar"] = [0, 0, 1], [0, 1, 4]
    info = {
        "codec": "roll", "tracks": ["drums", "piano"], "sizes": {"n_tracks": 2, "n_bars": 1, "n_steps": 16, "n_pitches": 12},
        "form": {"name": "tiny", "steps_per_bar": 16, "n_pitches": 12, "lowest_pitch": 60}, "sources": [{"name": "own", "licence": "ours"}],
    }  # fmt: skip
    phrase_shards.write(tmp_path / "band", info, {"cells": phrase_shards.pack(cells), "phrases": rows})
    music = training_music.opened(tmp_path / "band")
    assert music.count("train") == 2
    assert music.grid == 4
    assert [(name, len(score.tracks[0].notes)) for name, score in music.pieces("train")] == [("song 1", 16), ("song 2", 8)]


def test_shards_that_nothing_composes_from_are_refused(tmp_path):
    with pytest.raises(Missing, match="no shards"):
        training_music.opened(tmp_path)
    (tmp_path / "shards.json").write_text('{"codec": "fragments"}')
    with pytest.raises(UsageError, match="'fragments'"):
        training_music.opened(tmp_path)
    (tmp_path / "shards.json").write_text("{}")
    with pytest.raises(ShardError):
        training_music.opened(tmp_path)


def test_a_long_name_keeps_its_end(tmp_path):
    name = "a" * 200 + "/title"
    assert training_music._plain(name).endswith("aaa/title")
    assert len(training_music._plain(name)) == training_music.MAX_NAME


def test_a_folder_of_names_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(Missing, match="no folder"):
        training_music.names_in(tmp_path / "nowhere")
