"""Whether it learned: bits per note of held-out pieces before and after, beside an n-gram; and how much music there was.

The pieces are those of the validation part, which also chose the best weights: with few pieces there is no other. All are charged for the
same ids of the same blocks, each id once, in 32-bit floats. The n-gram (order 5, discounts in closed form) counts the training part.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config, models
from kapelle.data import shards as shard_files
from kapelle.fitting.schedule import Amount
from kapelle.models import ngram
from kapelle.training import recipe as recipes
from kapelle.training import score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.shards import Shards

ORDER = 5
MOST_BLOCKS = 400
"""Of the held-out part, spread evenly over it where there are more."""


def amount(data: Path) -> Amount:
    """How much there is to learn from."""
    parts = shard_files.read(data).block_parts
    return Amount(int((parts == score.TRAIN).sum()), int((parts == score.VALIDATION).sum()))


def held_out(data: Path, run: Path, start: Path | None) -> dict[str, Any]:
    """Bits per note of the held-out pieces: of the n-gram, of the start if there is one, of the run's best weights; {} without pieces.

    Args:
        data: Folder of shards.
        run: Folder of the run.
        start: What training began with, as the run was told.

    Raises:
        CheckpointError: Weights do not fit.
    """
    import torch

    shards = shard_files.read(data)
    if recipes.read_again(run / "recipe.toml").objective != "language_model":
        return {}  # it does not foretell every id
    chosen = score.blocks_of(shards, score.VALIDATION, MOST_BLOCKS)
    if not len(chosen):
        return {}
    device = torch.device("cpu")
    trained, family = score.load_network(run, shards)
    after = score.score_blocks(shards, chosen, family.logits, trained, device)  # type: ignore[attr-defined]
    found: dict[str, Any] = {
        "pieces": int((shards.pieces["part"] == score.VALIDATION).sum()),
        "notes": after.notes,
        "n-gram": _rounded(_ngram_bits(shards, chosen), after.notes),
    }
    if start is not None:
        before = network_before(run, {"vocabulary": shards.vocabulary_size}, data, start)
        untrained = score.score_blocks(shards, chosen, family.logits, before, device)  # type: ignore[attr-defined]
        found["before"] = _rounded(untrained.bits, after.notes)
    return {**found, "after": _rounded(after.bits, after.notes)}


def network_before(run: Path, sizes: Mapping[str, int], data: Path, start: Path) -> Any:
    """The network of a run as it was before its first step, in eval mode; `sizes` are what the shards in `data` decide of it."""
    import torch

    from kapelle.training import transfer

    recipe = recipes.read_again(run / "recipe.toml")
    family = models.family(recipe.family)
    shape = config.build(family.Config, {**recipe.model, **sizes}, "recipe: model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        made = family.build(shape)
    transfer.begin_with(made, start, data)
    return made.eval()


def markdown(figures: dict[str, Any], name: str, start: str) -> str:
    """The figures of `held_out` as a table for the card."""
    rows = {"n-gram of the same music": "n-gram", f"{start}, before": "before", name: "after"}
    lines = [f"| {label} | {figures[key]:.2f} |" for label, key in rows.items() if key in figures]
    about = (
        f"On {figures['pieces']} pieces ({figures['notes']:,} notes) that training never saw. They also chose the best weights, so that "
        "the last line is a little too good."
    )
    return "\n".join(["### Held-out music", "", about, "", "| model | bits per note |", "|---|---|", *lines])


def music(data: Path) -> dict[str, Any]:
    """How much music shards hold: notes, bars, and minutes where the ids tell metre and tempo."""
    shards = shard_files.read(data)
    told = shards.info  # counts every piece once, though it may be there in several keys
    facts: dict[str, Any] = {"notes": int(told["notes"]), "bars": int(told["bars"]), "tokens": len(shards.tokens)}
    minutes = _minutes(shards)
    return facts if minutes is None else {**facts, "minutes": round(minutes, 1)}


def _minutes(shards: Shards) -> float | None:
    """Bars by their metres, pieces by their tempo tokens, which stand 6 % apart."""
    names = json.loads((shards.path / "tokenizer.json").read_text(encoding="utf-8"))["tokens"]
    quarters = np.zeros(len(names))
    tempi = np.zeros(len(names))
    for place, name in enumerate(names):
        kind, value = name.split("_", 1)
        if kind == "TimeSig":
            above, below = value.split("/")
            quarters[place] = 4 * int(above) / int(below)
        elif kind == "Bpm":
            tempi[place] = float(value)
    if not quarters.any() or not tempi.any():
        return None
    total = 0.0
    for piece, prefix in zip(shards.pieces, shards.prefixes, strict=True):
        bpm = float(tempi[prefix].max())
        total += float(quarters[shards.tokens[int(piece["start"]) : int(piece["stop"])]].sum()) / bpm if bpm else 0.0
    return total


def _ngram_bits(shards: Shards, chosen: NDArray[np.int64]) -> float:
    order = ORDER
    while (shards.vocabulary_size + 1) ** order >= 2**63:
        order -= 1
    model = ngram.train(_whole_pieces(shards), shards.vocabulary_size, order)
    total = 0.0
    for block in chosen.tolist():
        ids = shards.block(block, shards.context_len)
        total += float(ngram.bits(model, ids)[score.counted(shards, block, ids)].sum())
    return total


def _whole_pieces(shards: Shards) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Every piece of the training part in one block that holds it all; controls and BOS are told, not foretold."""
    for place in np.flatnonzero(shards.pieces["part"] == score.TRAIN).tolist():
        ids, n_told = shards.whole(place)
        yield ids, np.arange(len(ids)) >= n_told


def _rounded(bits: float, notes: int) -> float:
    return round(bits / max(notes, 1), 3)
