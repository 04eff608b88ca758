"""Theme Transformer with a variational encoder: between the theme and the piece stands a vector of fixed size, and it is uncertain.

Takes and gives what the family ``theme`` does. After the encoder, K slots ask what they want of the theme; each has a normal distribution
over Z numbers, mean and logarithm of the variance. In training a draw from it, else its mean, is all that the decoder hears of the theme:
a memory of K rows, however long the theme was. So two themes of any lengths have a way between them (`between`), and training pays for
what the slots say with `divergence` from the standard normal, the first nats of each slot free, so that not all of them fall silent.

All other parts are those of `theme` by name, so that training may begin with a run without slots. Of the three variants it has
the one, "theme". No graphs are written for it: it answers a question and is not shipped.

Source: the idea is the thesis' ("variational encoder in the transformer"); Kingma and Welling 2014, "Auto-Encoding Variational Bayes";
free bits: Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow". Slots that ask: ours, after the pooling
by attention of Lee et al. 2019, "Set Transformer".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.config import setting
from kapelle.errors import CannotObey, UsageError
from kapelle.models import theme
from kapelle.models.theme import KIND, logits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

    from kapelle.models import StateSpec

__all__ = ["KIND", "Config", "between", "build", "divergence", "graphs", "logits", "states", "weights"]


@dataclass(frozen=True)
class Config(theme.Config):
    """The shape of the network."""

    slots: int = setting(16, help="rows of the memory, whatever the theme", min=1, max=256)
    latent: int = setting(16, help="numbers in each slot", min=1, max=1024)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant != "theme":
            raise UsageError("a variational encoder needs the variant theme, not {variant}", variant=self.variant)


def build(config: Config) -> torch.nn.Module:
    """A fresh network, called as that of `theme`; its ``posterior(theme)`` gives mean and log-variance, ``memory(z)`` what is heard."""
    from kapelle.models.theme_variational_network import VariationalTheme

    return VariationalTheme(config)


def divergence(mean: torch.Tensor, spread: torch.Tensor, free: float = 0.0) -> torch.Tensor:
    """(B, K) nats by which the distribution of each slot differs from the standard normal, none of them below `free`.

    Args:
        mean: (B, K, Z).
        spread: (B, K, Z) logarithms of the variances.
        free: Nats that cost nothing, for each slot; where a slot has less there is no gradient.
    """
    nats = 0.5 * (mean.square() + spread.exp() - 1 - spread).sum(dim=2)
    return nats.clamp(min=free) if free else nats


def between(one: torch.Tensor, other: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The way from `one` (K, Z) to `other` (K, Z), as (N, K, Z): straight, `shares` (N,) of the way, 0 to 1."""
    return one + shares[:, None, None] * (other - one)


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """Never: no graph is written for slots.

    Raises:
        CannotObey: Always.
    """
    raise CannotObey("a variational theme network is trained and measured, not exported", hint="export the run of a recipe theme")


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Never, as there are no graphs.

    Raises:
        CannotObey: Always.
    """
    raise CannotObey("a variational theme network is trained and measured, not exported", hint="export the run of a recipe theme")


def states(config: Config) -> tuple[StateSpec, ...]:
    """Keys and values of every decoder layer's self-attention."""
    return theme.states(config)
