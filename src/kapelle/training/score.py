"""How well a network foretells held-out music: bits per note and per token, every id counted once though blocks overlap.

Takes shards and a network (or a finished run), gives a `Score`. Control tokens, BOS and PAD are told, not foretold, and do not
count; EOS counts. It compares nothing and draws no conclusions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from kapelle import models
from kapelle.config import build
from kapelle.data import shards as shard_files
from kapelle.errors import Missing
from kapelle.training import recipe as recipes
from kapelle.training import run_folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.shards import Shards

Logits = Callable[[Any, torch.Tensor], torch.Tensor]

TRAIN, VALIDATION, TEST = 0, 1, 2
"""Parts of the shards, as in `kapelle.data.split`."""

AT_ONCE = 8
"""Blocks scored in one pass."""


@dataclass(frozen=True)
class Score:
    """A sum over held-out ids.

    Args:
        bits: Information of all ids under the network.
        tokens: Ids that counted.
        notes: Notes among them.
        hits: Ids among them that the network held to be the likeliest.
    """

    bits: float = 0.0
    tokens: int = 0
    notes: int = 0
    hits: int = 0

    @property
    def bits_per_token(self) -> float:
        """Bits per id; 0 for nothing."""
        return self.bits / max(self.tokens, 1)

    @property
    def bits_per_note(self) -> float:
        """Bits of everything, bars and positions too, per note; 0 for nothing."""
        return self.bits / max(self.notes, 1)

    @property
    def accuracy(self) -> float:
        """Share of ids that were the likeliest ones, 0 to 1; 0 for nothing."""
        return self.hits / max(self.tokens, 1)

    def __add__(self, other: Score) -> Score:
        return Score(self.bits + other.bits, self.tokens + other.tokens, self.notes + other.notes, self.hits + other.hits)


def blocks_of(shards: Shards, part: int, limit: int = 0) -> NDArray[np.int64]:
    """Blocks of a part, all or `limit` of them spread evenly."""
    found = np.flatnonzero(shards.block_parts == part)
    return found[np.linspace(0, len(found) - 1, limit).astype(int)] if 0 < limit < len(found) else found


def notes_per_id(shards: Shards) -> NDArray[np.int64]:
    """(V,) notes that an id stands for: as ``notes_per_id`` of the shards says for the ids of ``note_ids``, or 1 for each of those."""
    low, high = shards.info["note_ids"]
    out = np.zeros(shards.vocabulary_size, np.int64)
    out[low:high] = shards.info.get("notes_per_id", 1)
    return out


def counted(shards: Shards, block: int, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T,) true where an id of a block counts: music and EOS that no earlier block of the piece held.

    Args:
        shards: Where the block is from.
        block: Its place in ``shards.blocks``.
        ids: ``shards.block(block, T)``.
    """
    piece_index, bar = (int(x) for x in shards.blocks[block])
    piece, length = shards.pieces[piece_index], len(ids)
    bars = shards.bars[int(piece["first_bar"]) : int(piece["first_bar"]) + int(piece["n_bars"])]
    pad, bos = int(shards.info["pad"]), int(shards.info["bos"])
    head = int((shards.prefixes[piece_index] != pad).sum())
    first = head + (ids[head] == bos)
    already = 0
    if bar > 0:  # the block before this one reached so far; EOS stands at `stop`
        before = int(shards.blocks[block - 1]["bar"])
        reached = int(bars[before]) + length - head - (before == 0)
        already = max(0, min(reached, int(piece["stop"]) + 1) - int(bars[bar]))
    out: NDArray[np.bool_] = (np.arange(length) >= first + already) & (ids != pad)
    return out


@torch.no_grad()
def score_blocks(
    shards: Shards,
    chosen: NDArray[np.int64],
    logits: Logits,
    network: Any,
    device: torch.device,
    *,
    pause: Callable[[], None] = lambda: None,
) -> Score:
    """The score of some blocks.

    Args:
        shards: Where they are from.
        chosen: Places in ``shards.blocks``.
        logits: (network, ids (B, T)) -> logits (B, T, V).
        network: In eval mode.
        device: Where it is.
        pause: Called before every pass, so that a caller can stop.
    """
    notes_of = notes_per_id(shards)
    total = Score()
    for group in np.array_split(chosen, math.ceil(len(chosen) / AT_ONCE)) if len(chosen) else []:
        pause()
        ids = np.stack([shards.block(int(block), shards.context_len) for block in group])
        counts = np.stack([counted(shards, int(b), row) for b, row in zip(group, ids, strict=True)])[:, 1:]
        batch = torch.from_numpy(ids).to(device)
        scores = logits(network, batch[:, :-1]).float()  # (B, T-1, V)
        loss = F.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten(), reduction="none").view(len(group), -1)
        bits = float(loss.double().cpu()[torch.from_numpy(counts)].sum()) / math.log(2)
        hits = (scores.argmax(dim=2) == batch[:, 1:]).cpu().numpy()[counts]
        total += Score(bits, int(counts.sum()), int(notes_of[ids[:, 1:][counts]].sum()), int(hits.sum()))
    return total


def load_network(run: Path, shards: Shards) -> tuple[torch.nn.Module, models.Family]:
    """The network of a run with its best weights, in eval mode on the CPU, and its family.

    Raises:
        Missing: The folder is no run, or it has no weights yet.
        CheckpointError: The weights do not fit the recipe or the shards' vocabulary.
    """
    if not (run / "recipe.toml").is_file():
        raise Missing("{run} is no run", run=run, hint="`kapelle train` makes one")
    recipe = recipes.read_again(run / "recipe.toml")
    family = models.family(recipe.family)
    network = family.build(build(family.Config, {**recipe.model, "vocabulary": shards.vocabulary_size}, "recipe: model"))
    run_folder.begin_with(network, run)
    return network.eval(), family


def score_run(run: Path, data: Path, *, part: int = TEST, limit: int = 0) -> dict[str, Score]:
    """The score of a language model's run on a part of shards, by genre, in 32-bit floats on the CPU; `limit` blocks of all, or 0.

    Raises:
        Missing: There is no such run or there are no such shards.
        CheckpointError: They do not belong together.
    """
    shards = shard_files.read(data)
    network, family = load_network(run, shards)
    logits: Logits = family.logits  # type: ignore[attr-defined]  # families of language models have it
    chosen = blocks_of(shards, part, limit)
    genres = shards.pieces["genre"][shards.blocks["piece"][chosen]]
    device = torch.device("cpu")
    return {genre: score_blocks(shards, chosen[genres == number], logits, network, device) for number, genre in enumerate(shards.genres)}
