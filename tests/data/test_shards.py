"""Blocks, their overlap, and what of them counts: on shards made of numbers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.data import shards, storage
from kapelle.errors import Missing, ShardError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

PAD, BOS, EOS, GENRE, KEY, BAR, FIRST = 0, 1, 2, 3, 4, 5, 6
VOCABULARY = 40


def arrays(pieces: list[list[int]], prefix_len: int, context: int, overlap: float) -> dict[str, Any]:
    """Arrays of pieces given by the lengths of their bars; ids after a bar's first count up, so that neighbours differ."""
    tokens, table, bars, blocks = [], [], [], []
    for number, lengths in enumerate(pieces):
        start, first_bar = len(tokens), len(bars)
        for length in lengths:
            bars.append(len(tokens))
            tokens += [BAR, *(FIRST + (len(tokens) + i) % (VOCABULARY - FIRST) for i in range(length - 1))]
        table.append((start, len(tokens), first_bar, len(lengths), 0, number % 3, 0, 0, 0))
        own = np.array(bars[first_bar:]) - start
        blocks += [(number, bar) for bar in shards.cut_blocks(own, len(tokens) - start, context - prefix_len, overlap)]
    prefixes = np.full((len(pieces), shards.PREFIX_WIDTH), PAD, np.uint16)
    prefixes[:, :prefix_len] = [GENRE, KEY, KEY, KEY][:prefix_len]
    identity = np.arange(VOCABULARY, dtype=np.uint16)[None]
    return {
        "tokens": np.array(tokens, np.uint16),
        "pieces": np.array(table, shards.PIECE),
        "prefixes": prefixes,
        "bars": np.array(bars, np.int64),
        "blocks": np.array(blocks, shards.BLOCK),
        "transpose": identity,
        "velocity": identity,
        "digests": np.array(["0" * 16] * len(pieces), "S16"),
    }


def info(context: int) -> dict[str, Any]:
    return {
        "vocabulary_size": VOCABULARY,
        "context_len": context,
        "pad": PAD,
        "bos": BOS,
        "eos": EOS,
        "genres": ["pop"],
        "note_ids": [30, 40],
    }


@st.composite
def made(draw: st.DrawFn) -> shards.Shards:
    context, prefix_len = draw(st.integers(16, 40)), draw(st.integers(1, 4))
    bar = st.integers(1, context - shards.PREFIX_WIDTH - 2)
    pieces = draw(st.lists(st.lists(bar, min_size=1, max_size=14), min_size=1, max_size=4))
    return shards.Shards(None, info(context), **arrays(pieces, prefix_len, context, draw(st.floats(0, 0.9))))  # type: ignore[arg-type]


@settings(deadline=None)
@given(made())
def test_every_block_has_its_controls_first_bos_at_openings_alone_and_eos_in_the_last_block_alone(held: shards.Shards) -> None:
    last = {int(piece): i for i, piece in enumerate(held.blocks["piece"])}
    for i, (piece, bar) in enumerate(held.blocks):
        ids = held.block(i, held.context_len)
        assert len(ids) == held.context_len
        assert ids[0] == GENRE
        head = int((held.prefixes[piece] != PAD).sum())
        assert (ids[head] == BOS) == (bar == 0) and BOS not in ids[head + 1 :]
        assert (EOS in ids) == (i == last[int(piece)])
        music = ids[head + (bar == 0) :]
        assert music[0] == BAR
        end = list(ids).index(EOS) if EOS in ids else len(ids)
        assert PAD not in ids[:end] and not ids[end + 1 :].any()


@settings(deadline=None)
@given(made())
def test_blocks_in_order_give_the_piece_back_without_a_gap(held: shards.Shards) -> None:
    for number, piece in enumerate(held.pieces):
        reached = int(piece["start"])
        for i in np.flatnonzero(held.blocks["piece"] == number):
            start = int(held.bars[piece["first_bar"] + held.blocks["bar"][i]])
            assert start <= reached
            ids = held.block(int(i), held.context_len)
            music = ids[(ids != PAD) & (ids != BOS) & (ids != EOS)][int((held.prefixes[number] != PAD).sum()) :]
            assert np.array_equal(music, held.tokens[start : start + len(music)])
            reached = start + len(music)
        assert reached == piece["stop"]


@settings(deadline=None)
@given(made())
def test_every_id_and_every_end_counts_exactly_once_over_overlapping_blocks(held: shards.Shards) -> None:
    pytest.importorskip("torch")
    from kapelle.training.score import counted

    for number, piece in enumerate(held.pieces):
        found: list[int] = []
        for i in np.flatnonzero(held.blocks["piece"] == number):
            ids = held.block(int(i), held.context_len)
            found += ids[counted(held, int(i), ids)].tolist()
        assert found == [*held.tokens[piece["start"] : piece["stop"]].tolist(), EOS]


@settings(deadline=None)
@given(made())
def test_a_whole_piece_is_its_controls_bos_all_music_and_eos(held: shards.Shards) -> None:
    for place, piece in enumerate(held.pieces):
        ids, n_given = held.whole(place)
        controls = held.prefixes[place][held.prefixes[place] != PAD].tolist()
        assert ids.tolist() == [*controls, BOS, *held.tokens[int(piece["start"]) : int(piece["stop"])].tolist(), EOS]
        assert n_given == len(controls) + 1


def test_an_excerpt_opens_with_bos_at_any_bar() -> None:
    held = shards.Shards(None, info(16), **arrays([[4, 4, 4]], 2, 16, 0.25))  # type: ignore[arg-type]
    ids = held.cut(0, 2, 16, opening=True)
    assert ids[:4].tolist() == [GENRE, KEY, BOS, BAR] and ids[7:].tolist() == [EOS] + [PAD] * 8


def test_blocks_overlap_by_the_share_asked_for() -> None:
    assert shards.cut_blocks(np.arange(0, 200, 10), 200, 102, 0.25) == [0, 7, 14]  # 7 bars of 10 in three quarters of 100
    assert shards.cut_blocks(np.arange(0, 200, 10), 200, 102, 0.0) == [0, 10]
    assert shards.cut_blocks(np.array([0]), 5, 102, 0.25) == [0]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    held = arrays([[4, 5], [6]], 2, 16, 0.25)
    written = shards.write(tmp_path / "s", info(16), held)
    read = shards.read(tmp_path / "s")
    assert read.info == written and len(written["fingerprint"]) == 64
    assert all(np.array_equal(getattr(read, name), held[name]) for name in shards.ARRAYS)


def test_the_fingerprint_is_that_of_every_array(tmp_path: Path) -> None:
    held = arrays([[4, 5], [6]], 2, 16, 0.25)
    one = shards.write(tmp_path / "s", info(16), held)["fingerprint"]
    held["digests"] = np.array(["1" * 16] * 2, "S16")
    assert shards.write(tmp_path / "s", info(16), held)["fingerprint"] != one


def test_a_folder_that_is_no_shards_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        shards.read(tmp_path)
    assert "kapelle data prepare" in caught.value.hint


@pytest.mark.parametrize("name", [*shards.ARRAYS, "shards"])
@pytest.mark.parametrize("damage", ["empty", "cut", "gone", "other"])
def test_damaged_shards_are_an_error_of_ours(tmp_path: Path, name: str, damage: str) -> None:
    shards.write(tmp_path, info(16), arrays([[4, 5], [6]], 2, 16, 0.25))
    path = tmp_path / ("shards.json" if name == "shards" else f"{name}.npy")
    if damage == "gone":
        path.unlink()
    elif damage == "other" and name != "shards":
        np.save(path, np.zeros((3, 3), np.float32))
    else:
        path.write_bytes({"empty": b"", "cut": path.read_bytes()[:-9], "other": b"[]"}[damage])
    if name == "digests" and damage == "other":
        pytest.skip("nothing in training reads them")
    with pytest.raises((ShardError, Missing)):
        shards.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("blocks", lambda a: a["blocks"]["bar"].__setitem__(0, 9)),
        ("blocks", lambda a: a["blocks"]["piece"].__setitem__(0, -1)),
        ("pieces", lambda a: a["pieces"]["stop"].__setitem__(1, 1000)),
        ("pieces", lambda a: a["pieces"]["genre"].__setitem__(1, 7)),
        ("tokens", lambda a: a["tokens"].__setitem__(3, VOCABULARY)),
        ("bars", lambda a: a["bars"].__setitem__(0, -5)),
    ],
)
def test_an_index_that_points_nowhere_is_found_on_reading(tmp_path: Path, name: str, change: Any) -> None:
    held = arrays([[4, 5], [6]], 2, 16, 0.25)
    change(held)
    shards.write(tmp_path, info(16), held)
    with pytest.raises(ShardError):
        shards.read(tmp_path)


def test_older_shards_stay_readable_for_who_has_them_open(tmp_path: Path) -> None:
    shards.write(tmp_path, info(16), arrays([[4, 5], [6]], 2, 16, 0.25))
    opened = shards.read(tmp_path)
    before = opened.tokens.tolist()
    shards.write(tmp_path, info(16), arrays([[2]], 2, 16, 0.25))
    assert opened.tokens.tolist() == before and len(shards.read(tmp_path).tokens) == 2


def test_shards_of_phrases_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "shards.json").write_text('{"codec": "roll"}')
    with pytest.raises(ShardError, match="hold phrases, not tokens"):
        shards.read(tmp_path)


def test_a_full_disk_leaves_no_half_written_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.write(tmp_path, info(16), arrays([[4, 5], [6]], 2, 16, 0.25))

    def full(place: Path, array: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "_save", full)
    with pytest.raises(StorageError, match="No space left on device"):
        shards.write(tmp_path, info(16), arrays([[2]], 2, 16, 0.25))
    with pytest.raises(Missing):
        shards.read(tmp_path)
    assert not list(tmp_path.glob(".*"))
