"""A band and a Theme Transformer in one network, to be trained together: MuseGAN's two players, and a listener to what they make.

Takes what the family ``musegan`` takes. The network has that family's parts, ``generator``, ``critic`` and ``averaged``, and beside them
the ``transformer`` of the family ``theme``. Its graphs are the band's alone: each side is exported by itself (see
`kapelle.training.bridge_joint`, which parts the weights). It knows nothing of music; the bridge between the two is `soft_bridge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.config import setting
from kapelle.models import musegan
from kapelle.models import theme as themes
from kapelle.models.musegan import KIND, graphs, latents, real, scores, states, weights

if TYPE_CHECKING:
    import torch

__all__ = ["KIND", "Config", "build", "graphs", "latents", "real", "scores", "states", "weights"]

TRANSFORMER = "transformer."
"""How the names of the transformer's weights begin."""


@dataclass(frozen=True)
class Config(musegan.Config):
    """The band's shape, and the transformer's."""

    transformer: themes.Config = setting(themes.Config(vocabulary=716), help="the Theme Transformer")


def build(config: Config) -> torch.nn.Module:
    """A fresh network of both; random weights come from torch's global generator."""
    network = musegan.build(config)
    network.add_module(TRANSFORMER[:-1], themes.build(config.transformer))
    return network
