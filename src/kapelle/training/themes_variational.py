"""The objective of the variational theme encoder: that of `themes`, and a price for what its slots say about a theme.

To the mean loss of a piece's ids comes the divergence of the theme's slots from the standard normal, `weight` nats for a nat, shared out
among the ids of the window: with weight 1 and nothing free, their sum is the bound of the variational autoencoder. Each slot has some
bits free, and the weight grows from 0 over the first steps, so that the decoder has learned to listen before it costs something.

Validation hears the means. Beside the figures of `themes` it tells ``kl_bits``, what the slots say of a theme, and ``silent_slots``, the
share that says less than a tenth of a bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from kapelle.models.theme_variational import divergence
from kapelle.training.themes import Batch, Themes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.training.objectives import Turn

SILENT_BITS = 0.1


@dataclass
class VariationalThemes(Themes):
    """Cross-entropy of the next id, and the price of the theme.

    Args:
        bits: What each slot said of each theme of the validation under way, (K,) each.
    """

    bits: list[NDArray[np.float64]] = field(init=False, default_factory=list)

    def _extra(self, turn: Turn, part: Batch, n_ids: float) -> torch.Tensor | float:
        rules = self.settings.variational
        free = rules.free_bits * math.log(2)
        mean, spread = turn.network.slots.said
        nats = divergence(mean, spread, free).sum(1).mean()
        out: torch.Tensor = rules.weight * min(1.0, (turn.step + 1) / rules.ramp_steps) * nats / n_ids
        return out

    def _losses(
        self, turn: Turn, part: Batch, theme: NDArray[np.int64] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, NDArray[np.int64]]:
        """As in `Themes`; outside training, what the slots said of the themes of the windows themselves is kept."""
        out = super()._losses(turn, part, theme)
        if theme is None and not torch.is_grad_enabled():
            mean, spread = turn.network.slots.said
            self.bits += list(divergence(mean, spread).double().cpu().numpy() / math.log(2))
        return out

    @torch.no_grad()
    def validate(self, turn: Turn) -> dict[str, float]:
        """The figures of `Themes`, and what the slots say."""
        self.bits = []
        told = super().validate(turn)
        if not self.bits:
            return told
        bits, self.bits = np.array(self.bits), []
        return {**told, "kl_bits": float(bits.sum(1).mean()), "silent_slots": float((bits.mean(0) < SILENT_BITS).mean())}
