from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kapelle.data import shards as shard_files  # noqa: E402
from kapelle.errors import CheckpointError, Missing  # noqa: E402
from kapelle.training import batches, score  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.recipe import TrainingSection  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tiny

CPU = torch.device("cpu")


def test_a_model_that_knows_nothing_needs_the_logarithm_of_the_vocabulary_for_every_id_of_a_part(tiny: Tiny) -> None:
    held = shard_files.read(tiny.shards)
    found = score.score_blocks(
        held, score.blocks_of(held, score.TEST), lambda network, ids: torch.zeros(*ids.shape, held.vocabulary_size), None, CPU
    )
    pieces = held.pieces[held.pieces["part"] == score.TEST]
    assert found.tokens == int((pieces["stop"] - pieces["start"] + 1).sum())  # and one EOS each
    assert found.notes == int(pieces["n_notes"].sum())
    assert found.bits_per_token == pytest.approx(math.log2(held.vocabulary_size), rel=1e-6)
    assert found.bits_per_note == pytest.approx(found.bits / found.notes)


def test_a_model_that_knows_the_next_id_needs_nothing(tiny: Tiny) -> None:
    held = shard_files.read(tiny.shards)
    chosen = score.blocks_of(held, score.VALIDATION, 6)
    rows = {tuple(row[:-1]): row[1:] for row in (held.block(int(i), held.context_len) for i in chosen)}

    def logits(network: object, ids: torch.Tensor) -> torch.Tensor:
        following = torch.from_numpy(np.stack([rows[tuple(row)] for row in ids.numpy()]))
        return 100.0 * torch.nn.functional.one_hot(following, held.vocabulary_size)

    assert score.score_blocks(held, chosen, logits, None, CPU).bits == pytest.approx(0.0, abs=1e-6)


def test_no_blocks_score_nothing(tiny: Tiny) -> None:
    held = shard_files.read(tiny.shards)
    empty = score.score_blocks(held, np.zeros(0, np.int64), lambda network, ids: ids, None, CPU)
    assert empty == score.Score() and empty.bits_per_note == 0.0


def test_a_limit_spreads_over_all_blocks_of_a_part(tiny: Tiny) -> None:
    held = shard_files.read(tiny.shards)
    whole = score.blocks_of(held, score.TRAIN)
    some = score.blocks_of(held, score.TRAIN, 5)
    assert len(some) == 5 and some[0] == whole[0] and some[-1] == whole[-1] and set(some) <= set(whole)
    assert score.blocks_of(held, score.TRAIN, 10**6).tolist() == whole.tolist()


def test_a_run_is_scored_by_genre_and_its_validation_is_found_again(tiny: Tiny, tmp_path: Path) -> None:
    overrides = ("training.steps=4", "training.validation_blocks=1000000")
    figures = fit(tiny.recipe, tiny.shards, tmp_path / "run", FitOptions(overrides=overrides, accelerator="cpu", trackers=()))
    found = score.score_run(tmp_path / "run", tiny.shards, part=score.VALIDATION)
    assert set(found) == {"pop", "jazz"}
    assert (found["pop"] + found["jazz"]).bits_per_note == pytest.approx(figures["last"]["bits_per_note"], rel=1e-5)


def test_a_folder_that_is_no_run_cannot_be_scored(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="is no run"):
        score.score_run(tmp_path, tiny.shards)
    (tmp_path / "recipe.toml").write_text(tiny.recipe.read_text())
    with pytest.raises(Missing, match="no weights at"):
        score.score_run(tmp_path, tiny.shards)
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="damaged"):
        score.score_run(tmp_path, tiny.shards)


def made(tiny: Tiny, **changes: float) -> batches.Batches:
    held = shard_files.read(tiny.shards)
    return batches.Batches(held, TrainingSection(100, **{"batch_size": 32, **changes}), held.context_len)  # type: ignore[arg-type]


def test_a_batch_is_a_function_of_seed_and_step(tiny: Tiny) -> None:
    one, other = made(tiny), made(tiny)
    assert np.array_equal(one.batch(7), other.batch(7)) and not np.array_equal(one.batch(7), one.batch(8))
    assert not np.array_equal(one.batch(7), made(tiny, seed=1).batch(7))


def test_batches_hold_training_pieces_alone_with_a_genre_first(tiny: Tiny) -> None:
    made_of = made(tiny, velocity_levels=0, excerpts=0.0)
    held = made_of.shards
    training = {tuple(held.block(int(i), held.context_len)) for i in score.blocks_of(held, score.TRAIN)}
    rows = np.concatenate([made_of.batch(step) for step in range(4)])
    assert {tuple(row) for row in rows} <= training
    assert set(rows[:, 0].tolist()) <= set(held.info["genre_ids"])


def test_genres_are_balanced_as_asked(tiny: Tiny) -> None:
    held = shard_files.read(tiny.shards)
    few = held.pieces.copy()
    few["part"][np.flatnonzero((few["genre"] == 0) & (few["part"] == 0))[1:]] = 2  # one pop piece is left
    from dataclasses import replace

    uneven = replace(held, pieces=few)

    def share(balance: float) -> float:
        drawn = batches.Batches(uneven, TrainingSection(100, batch_size=400, balance=balance), held.context_len).batch(0)
        return float((drawn[:, 0] == held.info["genre_ids"][0]).mean())

    assert share(0.0) < 0.2 < share(0.5) < 0.4 < share(1.0) < 0.6


def test_excerpts_open_a_piece_at_any_bar(tiny: Tiny) -> None:
    bos = shard_files.read(tiny.shards).info["bos"]
    assert (made(tiny, excerpts=1.0).batch(0) == bos).any(1).all()
    assert not (made(tiny, excerpts=0.0).batch(0) == bos).any(1).all()


def test_transposition_moves_every_block_no_further_than_its_piece_allows(tiny: Tiny) -> None:
    made_of = made(tiny, semitones=3, velocity_levels=0, excerpts=0.0)
    held = made_of.shards
    allowed, shifts = {}, []
    for i in score.blocks_of(held, score.TRAIN):
        piece = held.pieces[held.blocks["piece"][i]]
        for shift in range(max(-3, piece["down"]), min(3, piece["up"]) + 1):
            allowed[tuple(held.transpose[len(held.transpose) // 2 + shift][held.block(int(i), held.context_len)])] = shift
    for step in range(4):
        shifts += [allowed[tuple(row)] for row in made_of.batch(step)]
    assert set(shifts) == set(range(-3, 4))
