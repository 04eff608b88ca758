from __future__ import annotations

import json
import math
import os
import signal
import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hostile
import tunes
from kapelle.data import cleaning, shards, themes
from kapelle.data import prepare as module
from kapelle.data.clean import CleanPiece, Rejected, Take, clean
from kapelle.data.phrase_shards import SIZES
from kapelle.data.prepare import find_files, preparation, prepare
from kapelle.errors import Interrupted, Missing, RecipeError, StorageError, UsageError
from kapelle.score.roll import FORMS, TRACKS
from kapelle.tokens import remi
from kapelle.tokens.vocabulary import load

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(tunes.RECIPE)
    return path


@pytest.fixture(scope="module")
def midi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 good pieces, and six files that are left out for six reasons."""
    folder = tunes.write_folder(tmp_path_factory.mktemp("midi"))
    place = folder / "pop" / "Nobody"
    place.mkdir()
    (place / "text.mid").write_text("this is no music")
    (place / "short.mid").write_bytes(tunes.tune(900, n_bars=3, notes_per_bar=40).dumps_midi())
    (place / "few.mid").write_bytes(tunes.tune(901, n_bars=8, notes_per_bar=1).dumps_midi())
    (place / "five.mid").write_bytes(tunes.tune(902, metre=(5, 4)).dumps_midi())
    (place / "again.mid").write_bytes((folder / "pop" / "Artist 0pop" / "song 0.mid").read_bytes())
    (place / "dense.mid").write_bytes(tunes.tune(903, notes_per_bar=60).dumps_midi())
    (place / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def made(recipe: Path, midi: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    prepare(midi, preparation(recipe), out)
    return out


def files_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def test_two_runs_give_identical_bytes_of_all_files(recipe: Path, midi: Path, made: Path, tmp_path: Path) -> None:
    prepare(midi, preparation(recipe), tmp_path)
    assert files_of(tmp_path) == files_of(made)


def test_two_processes_give_the_bytes_of_one(recipe: Path, midi: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 5)
    seen: list[tuple[int, int]] = []
    prepare(midi, preparation(recipe), tmp_path, processes=2, progress=lambda done, total: seen.append((done, total)))
    assert files_of(tmp_path) == files_of(made)
    assert seen[0] == (0, 30) and seen[-1] == (30, 30) and len(seen) == 7


def test_the_report_adds_up_and_says_why(made: Path) -> None:
    info = json.loads((made / "shards.json").read_text())
    assert info["files"] == 30 and info["kept"] == 24
    assert info["dropped"] == {
        "a metre without a token": 1, "not readable as MIDI": 1, "the same as another piece": 1,
        "too few bars": 1, "too few notes": 1, "a bar longer than a block": 1,
    }  # fmt: skip
    assert info["kept"] + sum(info["dropped"].values()) == info["files"]
    assert [(source["files"], source["kept"]) for source in info["sources"]] == [(18, 12), (12, 12)]
    assert sum(sum(parts.values()) for parts in info["pieces"].values()) == info["kept"]
    held = shards.read(made)
    assert info["notes"] == held.pieces["n_notes"].sum() and info["blocks"] == len(held.blocks) and info["tokens"] == len(held.tokens)


def test_an_artist_is_in_one_part_and_every_block_has_the_part_of_its_piece(made: Path, recipe: Path, midi: Path) -> None:
    from kapelle.data.split import PARTS

    held, parts = shards.read(made), {}
    good = [file for file in find_files(midi, preparation(recipe).data.sources) if file.path.parent.name != "Nobody"]
    for file, piece in zip(good, held.pieces, strict=True):
        assert parts.setdefault(file.group, int(piece["part"])) == piece["part"]
    assert set(parts.values()) == set(range(len(PARTS)))
    assert np.array_equal(held.block_parts, held.pieces["part"][held.blocks["piece"]])


def test_every_block_begins_with_its_genre_and_has_the_fixed_length(made: Path) -> None:
    held = shards.read(made)
    words, _ = load(made / "tokenizer.json")
    for i, (piece, _) in enumerate(held.blocks):
        ids = held.block(i, held.context_len)
        assert words.names[ids[0]] == f"Genre_{held.genres[held.pieces['genre'][piece]]}" and len(ids) == 64
        assert {words.names[int(j)].split("_")[0] for j in ids[1:3]} == {"Key", "Bpm"}


def test_a_piece_in_the_shards_is_the_file_that_went_in(made: Path, midi: Path, recipe: Path) -> None:
    from kapelle.score import edit
    from kapelle.score.read import read

    held, spec = shards.read(made), preparation(recipe).tokenizer
    words, extra = load(made / "tokenizer.json")
    first = sorted((midi / "pop").rglob("*.mid"))[0]
    piece = held.pieces[0]
    expected = remi.encode(edit.resolve_overlaps(read(first.read_bytes())), spec, words)
    assert held.tokens[piece["start"] : piece["stop"]].tolist() == expected.tolist()
    assert extra["codec"] == "remi"


def test_an_interrupted_preparation_goes_on_and_gives_the_same_bytes(
    recipe: Path, midi: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 4)

    def interrupt(done: int, total: int) -> None:
        if done == 12:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"stopped after 12 of 30 files; they are kept in .*") as caught:
        prepare(midi, preparation(recipe), tmp_path, progress=interrupt)
    assert caught.value.exit_code == 130
    with pytest.raises(Missing):
        shards.read(tmp_path)
    read: list[int] = []
    monkeypatch.setattr(cleaning, "clean", lambda *args: read.append(1) or clean(*args))
    prepare(midi, preparation(recipe), tmp_path)
    assert len(read) == 30 - 12
    assert files_of(tmp_path) == files_of(made)


def test_a_stop_signal_ends_several_processes_promptly(
    recipe: Path, midi: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import multiprocessing

    monkeypatch.setattr(cleaning, "BATCH", 1)

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        prepare(midi, preparation(recipe), tmp_path, processes=2, progress=interrupt)
    assert not multiprocessing.active_children()
    n_kept = len(list((tmp_path / ".cache").glob("*.npz")))
    assert 2 <= n_kept < 30
    prepare(midi, preparation(recipe), tmp_path)
    assert files_of(tmp_path) == files_of(made)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_cache_entry_is_made_again(recipe: Path, midi: Path, made: Path, tmp_path: Path, damage: bytes | None) -> None:
    prepare(midi, preparation(recipe), tmp_path)
    entry = next((tmp_path / ".cache").glob("*.npz"))
    sound = entry.read_bytes()
    entry.write_bytes(sound[: len(sound) // 2] if damage is None else damage)
    (entry.parent / ".123-half.npz").write_bytes(b"left by a kill")
    prepare(midi, preparation(recipe), tmp_path)
    assert files_of(tmp_path) == files_of(made)
    assert entry.stat().st_size == len(sound) and not list(entry.parent.glob(".*"))


def test_other_settings_do_not_use_the_cache(recipe: Path, midi: Path, made: Path, tmp_path: Path) -> None:
    prepare(midi, preparation(recipe), tmp_path)
    prepare(midi, preparation(recipe, ["tokenizer.velocities=8"]), tmp_path)
    assert (tmp_path / "tokens.npy").read_bytes() != (made / "tokens.npy").read_bytes()


def test_a_folder_that_is_not_there(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no folder"):
        prepare(tmp_path / "nowhere", preparation(recipe), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_midi_says_where_it_was_looked(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "pop").mkdir()
    (tmp_path / "pop" / "readme.txt").write_text("nothing")
    with pytest.raises(Missing, match="no MIDI files in") as caught:
        prepare(tmp_path, preparation(recipe), tmp_path / "out")
    assert caught.value.hint == "the recipe looks in: pop, jazz"


def test_a_folder_with_nothing_fit_says_why(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "pop").mkdir()
    (tmp_path / "pop" / "a.mid").write_text("no music")
    (tmp_path / "pop" / "b.MID").write_bytes(tunes.tune(1, n_bars=1, notes_per_bar=2).dumps_midi())
    with pytest.raises(UsageError) as caught:
        prepare(tmp_path, preparation(recipe), tmp_path / "out")
    assert str(caught.value) == "none of 2 files is fit for training: 1 not readable as MIDI, 1 too few notes"


def test_a_genre_without_a_token_is_an_error(recipe: Path, midi: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="genre 'jazz' of source 'jazz' has no token"):
        prepare(midi, preparation(recipe, ['tokenizer.genres=["pop"]']), tmp_path)


def test_an_output_that_cannot_be_written_is_a_storage_error(recipe: Path, midi: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write to"):
        prepare(midi, preparation(recipe), tmp_path / "file" / "out")


def test_a_file_that_cannot_be_opened_is_counted(recipe: Path, midi: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "midi"
    shutil.copytree(midi, copy)
    locked = copy / "pop" / "Nobody" / "text.mid"
    locked.unlink()
    locked.symlink_to(copy / "pop")  # a folder cannot be read as a file
    file = cleaning.File(locked, 0, "x")
    found = list(cleaning.clean_all([file], preparation(recipe).tokenizer, preparation(recipe).preprocessing, tmp_path / "cache", 1))
    assert found[0][1] == [Rejected("cannot be opened")]


def test_workers_other_than_the_main_thread_can_prepare(recipe: Path, midi: Path, made: Path, tmp_path: Path) -> None:
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(prepare(midi, preparation(recipe), tmp_path)))
    thread.start()
    thread.join()
    assert done[0]["kept"] == 24


def test_no_bytes_make_cleaning_raise(recipe: Path) -> None:
    sections = preparation(recipe)
    words = remi.vocabulary(sections.tokenizer)
    rules = replace(sections.preprocessing, min_notes=1, min_bars=1, min_pitch_classes=1)
    kinds = {type(clean(case.data, sections.tokenizer, words, rules)) for case in hostile.corpus(3)}
    assert kinds == {CleanPiece, Rejected}


def test_only_the_first_tracks_are_kept_if_a_source_says_so(recipe: Path) -> None:
    sections = preparation(recipe)
    words = remi.vocabulary(sections.tokenizer)
    score = tunes.tune(5)
    alone = clean(score.dumps_midi(), sections.tokenizer, words, sections.preprocessing)
    score.tracks.append(tunes.tune(6).tracks[0])
    both = clean(score.dumps_midi(), sections.tokenizer, words, sections.preprocessing)
    first = clean(score.dumps_midi(), sections.tokenizer, words, sections.preprocessing, Take(tracks=1))
    assert isinstance(alone, CleanPiece) and isinstance(first, CleanPiece) and isinstance(both, CleanPiece)
    assert first.ids.tolist() == alone.ids.tolist() != both.ids.tolist()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_read_by_both_readers_and_is_short(path: Path) -> None:
    from kapelle import models
    from kapelle.config import build
    from kapelle.training import recipe as training

    assert len(path.read_text().splitlines()) <= 60
    table = tomllib.loads(path.read_text())
    sections, whole = preparation(path), training.read(path)
    assert whole.name == path.stem and whole.family in models.FAMILIES
    if whole.codec == "remi":
        assert {source.genre for source in sections.data.sources} <= set(sections.tokenizer.genres)
    told_by_data: dict[str, int] = {"vocabulary": 500}
    if whole.codec == "roll":
        form = FORMS[sections.tokenizer.form]
        told_by_data = dict(zip(SIZES, (len(TRACKS), sections.tokenizer.bars, form.steps_per_bar, form.n_pitches), strict=True))
    if whole.codec == "fragments":
        told_by_data = themes.SIZES
    if whole.codec in ("features", "renderings", "table"):
        told_by_data = {"features": 57, "classes": len(sections.tokenizer.classes)}
    if whole.codec == "rolls":
        told_by_data = {"classes": len(sections.tokenizer.classes)}
    shape = build(models.family(whole.family).Config, {**table["model"], **told_by_data}, "model")
    if whole.codec in ("remi", "chords", "theme"):
        assert getattr(shape, "n_positions", math.inf) >= sections.preprocessing.context_len


def test_both_readers_know_the_same_sections() -> None:
    from dataclasses import fields

    from kapelle.data import recipe as data_side
    from kapelle.training.recipe import Recipe

    assert {field.name for field in fields(Recipe)} == {field.name for field in fields(data_side._RecipeFile)}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [("min_bars", "min_bar", "min_bar"), ("[preprocessing]", "[preprocesing]", "preprocesing"), ("licence", "license", "license")],
)
def test_a_misspelt_key_is_an_error_that_names_it(tmp_path: Path, old: str, new: str, named: str) -> None:
    (tmp_path / "r.toml").write_text(tunes.RECIPE.replace(old, new))
    with pytest.raises(RecipeError, match=named):
        preparation(tmp_path / "r.toml")


def test_the_names_that_others_use_are_here() -> None:
    assert set(module.__all__) == {"DataSection", "Preparation", "Progress", "Source", "find_files", "preparation", "prepare"}
