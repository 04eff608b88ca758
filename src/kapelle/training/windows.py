"""The objective of the notebooks: given a window of ids, which one comes next; nothing else of the window is foretold.

Takes shards of whole pieces (or of windows dealt singly), gives steps over all windows of the training part, every window once an epoch,
in an order that follows from the seed. The length of a window is what the shards say under ``window``. The optimiser is Adam without
weight decay. `kapelle.training.objectives.LanguageModel` learns from every id of a block instead, which is why it is the default: a
window costs as much as a block of its length and teaches one id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from kapelle.errors import UsageError
from kapelle.training.score import TRAIN, VALIDATION, Logits, Score, notes_per_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.data.shards import Shards
    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import TrainingSection

AT_ONCE = 256
"""Windows scored in one pass."""

DEFAULT_WINDOW = 40


@dataclass
class NextItem:
    """Cross-entropy of the id after a window.

    Args:
        shards: What to learn.
        settings: The recipe's [training]; `batch_size` counts windows.
        logits: (network, ids (B, T)) -> logits (B, T, V).
    """

    shards: Shards
    settings: TrainingSection
    logits: Logits

    def __post_init__(self) -> None:
        self.window = int(self.shards.info.get("window", DEFAULT_WINDOW))
        self.sizes: Mapping[str, Any] = {"vocabulary": self.shards.vocabulary_size}
        self.targets = targets(self.shards, TRAIN, self.window)
        if not len(self.targets):
            raise UsageError(
                "no piece for training has more than {window} ids",
                window=self.window,
                hint="give longer pieces, or lower preprocessing.window in the recipe",
            )
        self.steps_per_epoch = max(1, len(self.targets) // self.settings.batch_size)

    @cached_property
    def held_out(self) -> NDArray[np.int64]:
        """The windows of the validation part, evenly thinned to as many batches as `validation_blocks` says."""
        found = targets(self.shards, VALIDATION, self.window)
        limit = self.settings.validation_blocks * AT_ONCE
        return found[np.linspace(0, len(found) - 1, limit).astype(int)] if 0 < limit < len(found) else found

    def optimizers(self, network: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """One Adam."""
        betas = (self.settings.beta1, self.settings.beta2)
        return {"adam": torch.optim.Adam(network.parameters(), lr=self.settings.learning_rate, betas=betas)}

    def batch(self, step: int) -> NDArray[np.int64]:
        """(B,) places in ``shards.tokens`` of the ids that a step foretells: a piece of the shuffled order of its epoch."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch])).permutation(self.targets)
        size = self.settings.batch_size
        return order[place * size : (place + 1) * size]

    def step(self, turn: Turn) -> Figures:
        """One update by the mean over the windows of the step."""
        whole = self.batch(turn.step)
        mine = whole[turn.rank :: turn.world]
        total, hits = torch.zeros((), device=turn.device), torch.zeros((), device=turn.device)
        for part in np.array_split(mine, -(-len(mine) // (self.settings.micro_batch or len(mine)))) if len(mine) else ():
            turn.pause()
            scores, wanted = self._scores(turn, part)
            loss = F.cross_entropy(scores, wanted, reduction="sum") / len(whole)
            turn.backward(loss)
            total += loss.detach()
            hits += (scores.detach().argmax(dim=1) == wanted).sum() / len(whole)
        norm = turn.update("adam")
        return {"loss": total, "accuracy": hits, "tokens": float(len(mine)), "gradient_norm": norm / turn.world}

    def validate(self, turn: Turn) -> dict[str, float]:
        """Bits per note and per id, loss and accuracy on the windows of the validation part."""
        found = score(self.shards, self.held_out, self.logits, turn)
        if not found.tokens:
            return {}
        bits = found.bits_per_token
        told = {"bits_per_note": found.bits_per_note, "bits_per_token": bits, "validation_accuracy": found.accuracy}
        return {**told, "validation_loss": bits * math.log(2), "perplexity": 2.0**bits, "validation": bits}

    def _scores(self, turn: Turn, places: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        return last_scores(self.shards, places, self.window, self.logits, turn.network, turn.device)


def targets(shards: Shards, part: int, window: int) -> NDArray[np.int64]:
    """Places in ``shards.tokens`` of all ids of a part with a whole window before them in their piece, ascending by piece."""
    rows = shards.pieces[shards.pieces["part"] == part]
    places = [np.arange(int(row["start"]) + window, int(row["stop"])) for row in rows]
    return np.concatenate(places) if places else np.zeros(0, np.int64)


def last_scores(
    shards: Shards, places: NDArray[np.int64], window: int, logits: Logits, network: Any, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (B, V) after the windows before some places, and the ids (B,) that stand there."""
    rows = shards.tokens[places[:, None] + np.arange(-window, 1)].astype(np.int64)  # (B, window + 1)
    ids = torch.from_numpy(rows).to(device)
    return logits(network, ids[:, :-1])[:, -1].float(), ids[:, -1]


@torch.no_grad()
def score(shards: Shards, places: NDArray[np.int64], logits: Logits, turn: Turn) -> Score:
    """The score of the ids at some places, each foretold from the window before it; the network is in eval mode."""
    window, notes_of, total = int(shards.info.get("window", DEFAULT_WINDOW)), notes_per_id(shards), Score()
    for start in range(0, len(places), AT_ONCE):
        turn.pause()
        scores, wanted = last_scores(shards, places[start : start + AT_ONCE], window, logits, turn.network, turn.device)
        bits = float(F.cross_entropy(scores, wanted, reduction="sum")) / math.log(2)
        hits = int((scores.argmax(dim=1) == wanted).sum())
        total += Score(bits, len(wanted), int(notes_of[wanted.cpu().numpy()].sum()), hits)
    return total
