from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tunes
from kapelle.data import chords as module
from kapelle.data import shards
from kapelle.data.prepare import preparation, prepare
from kapelle.data.split import PARTS
from kapelle.errors import RecipeError, StorageError, UsageError
from kapelle.tokens import chords, vocabulary

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = """
name = "tiny-chords"
family = "chord_lstm"
codec = "chords"

[data]
validation = 0.15
test = 0.15

[[data.sources]]
folder = "jazz"
genre = "jazz"
group = "file"
licence = "our own"

[tokenizer]
min_count = 2
max_beats = 4

[preprocessing]
context_len = 64
transpositions = 2
min_notes = 20

[model]
embed = 8
hidden = [12, 8]
dense = 8

[training]
steps = 3
batch_size = 4
"""


@pytest.fixture(scope="module")
def midi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tunes.write_folder(tmp_path_factory.mktemp("midi"), n_bars=8)
    place = folder / "jazz" / "Nobody"
    place.mkdir()
    (place / "text.mid").write_text("this is no music")
    (place / "short.mid").write_bytes(tunes.tune(900, n_bars=1).dumps_midi())
    (place / "again.mid").write_bytes((folder / "jazz" / "Artist 0jazz" / "song 0.mid").read_bytes())
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def made(recipe: Path, midi: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    prepare(midi, preparation(recipe), out)
    return out


def test_the_report_adds_up_and_says_why(made: Path) -> None:
    info = json.loads((made / "shards.json").read_text())
    assert info["files"] == 15 and info["kept"] == 12
    assert info["dropped"] == {"not readable as MIDI, or no notes": 1, "the same as another piece": 1, "too few notes": 1}
    assert sum(info["pieces"]["jazz"].values()) == 12 and info["copies_in_other_keys"] == 4 * info["pieces"]["jazz"]["train"]
    fates = json.loads((made / "files.json").read_text())
    assert sum("dropped" in fate for fate in fates) == 3 and {fate.get("part") for fate in fates} == {None, "train", "validation", "test"}


def test_two_processes_give_the_bytes_of_one(recipe: Path, midi: Path, made: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    prepare(midi, preparation(recipe), tmp_path, processes=2, progress=lambda done, total: seen.append((done, total)))
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in made.iterdir() if path.is_file())
    assert seen[0] == (0, 15) and seen[-1] == (15, 15)


def test_what_was_parsed_is_not_parsed_again(recipe: Path, midi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(midi, preparation(recipe), tmp_path)

    def never(*given: Any) -> Any:
        raise AssertionError("parsed again")

    monkeypatch.setattr(chords, "items", never)
    assert prepare(midi, preparation(recipe, ["tokenizer.min_count=1"]), tmp_path)["vocabulary_size"] >= first["vocabulary_size"]
    for entry in (tmp_path / ".cache").iterdir():
        entry.write_bytes(b"damaged")
    with pytest.raises(AssertionError, match="parsed again"):
        prepare(midi, preparation(recipe), tmp_path)


def test_a_full_disk_while_caching_is_one_clear_line(recipe: Path, midi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "put", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        prepare(midi, preparation(recipe), tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_corpus_without_a_frequent_symbol_names_the_threshold(recipe: Path, midi: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no symbol is seen 99999 times"):
        prepare(midi, preparation(recipe, ["tokenizer.min_count=99999"]), tmp_path)
    assert not (tmp_path / "shards.json").exists()


def test_a_folder_of_nothing_fit_is_refused(recipe: Path, midi: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of 15 files is fit for training"):
        prepare(midi, preparation(recipe, ["preprocessing.min_notes=9999"]), tmp_path)


def test_held_out_pieces_have_no_block_and_no_symbol_in_training(made: Path) -> None:
    held = shards.read(made)
    parts = {part: set(held.digests[held.pieces["part"] == part].tolist()) for part in range(3)}
    assert not parts[0] & (parts[1] | parts[2]) and not parts[1] & parts[2]
    train = {int(i) for row in held.pieces[held.pieces["part"] == 0] for i in held.tokens[int(row["start"]) : int(row["stop"])]}
    low, high = held.info["note_ids"]
    assert set(range(low, high)) <= train  # the vocabulary was counted on the training pieces alone


def test_every_item_begins_a_bar_and_blocks_of_a_piece_hold_it_whole(made: Path) -> None:
    held, words = shards.read(made), vocabulary.load(made / "tokenizer.json")[0]
    assert (words.kind_of[held.tokens[held.bars]] == words.kinds.index("Symbol")).all()
    piece = held.pieces[0]
    blocks = held.blocks[held.blocks["piece"] == 0]["bar"].tolist()
    assert blocks[0] == 0 and held.block(0, 64)[0] == words["BOS_None"]
    last = held.cut(0, blocks[-1], 64)
    assert words["EOS_None"] in last and int(piece["n_bars"]) * 4 == int(piece["stop"] - piece["start"])


def test_copies_in_other_keys_are_the_piece_moved(made: Path) -> None:
    held, (words, rest) = shards.read(made), vocabulary.load(made / "tokenizer.json")
    spec = chords.spec_of(rest)
    same = np.flatnonzero(held.digests == held.digests[np.flatnonzero(held.pieces["part"] == 0)[0]])
    assert len(same) == 5
    pieces = [chords.decode(held.tokens[int(row["start"]) : int(row["stop"])], spec, words) for row in held.pieces[same]]
    moves = {moved[0].pitches[0] - pieces[0][0].pitches[0] for moved in pieces[1:]}
    assert moves == {-2, -1, 1, 2}
    assert all(len(moved) == len(pieces[0]) for moved in pieces)


def test_the_split_by_windows_leaks_and_says_so(recipe: Path, midi: Path, tmp_path: Path) -> None:
    windows = ["preprocessing.split=windows", "preprocessing.window=8", "data.test=0.2"]
    info = prepare(midi, preparation(recipe, [*windows, "preprocessing.transpositions=0"]), tmp_path)
    held = shards.read(tmp_path)
    assert info["split"] == "windows" and info["window"] == 8
    parts = [set(held.digests[held.pieces["part"] == part].tolist()) for part in range(3)]
    assert parts[0] == parts[2]  # every piece is on both sides
    share = float((held.pieces["part"] == 2).mean())
    assert 0.1 < share < 0.3
    assert {fate.get("part") for fate in json.loads((tmp_path / "files.json").read_text())} == {None, "windows"}


def test_held_out_windows_are_in_the_key_of_their_piece_alone(recipe: Path, midi: Path, tmp_path: Path) -> None:
    info = prepare(midi, preparation(recipe, ["preprocessing.split=windows", "preprocessing.window=8", "data.test=0.2"]), tmp_path)
    found = np.bincount(shards.read(tmp_path).pieces["part"])
    told = [sum(row[part] for row in info["pieces"].values()) for part in PARTS]  # copies aside
    assert info["copies_in_other_keys"] > 0 and found.tolist() == [told[0] + info["copies_in_other_keys"], *told[1:]]


def test_a_composer_token_stands_before_every_block_of_the_composer(recipe: Path, midi: Path, tmp_path: Path) -> None:
    names = [f"Artist {i}jazz" for i in range(4)]
    info = prepare(midi, preparation(recipe, [f"tokenizer.composers={json.dumps(names)}"]), tmp_path)
    held, words = shards.read(tmp_path), vocabulary.load(tmp_path / "tokenizer.json")[0]
    assert info["genres"] == names and info["dropped"]["a composer without a token"] == 4 + 3 - 1  # text.mid is no music
    for block in range(len(held.blocks)):
        row = held.pieces[int(held.blocks[block]["piece"])]
        assert words.names[int(held.block(block, 64)[0])] == f"Composer_{names[int(row['genre'])]}"


def test_sections_of_another_codec_are_refused_by_name(recipe: Path) -> None:
    with pytest.raises(RecipeError, match="unknown key 'genres'"):
        preparation(recipe, ["tokenizer.genres=['jazz']"])
    with pytest.raises(RecipeError, match="codec must be one of remi, chords"):
        preparation(recipe, ["codec=morse"])
