"""MuseGAN: phrases of several tracks as binary piano-rolls, made in one go from latents.

Takes latents (standard normal, by the names of `latents`) and, in a conditional model, the cells of given tracks; gives cells
(B, M, L, S, P): phrases, tracks, bars, steps, pitches, in -1 to 1, where more than 0 sounds. Three models:

- *jamming*: M generators, each with latents of its own, and M critics that each hear one track;
- *composer*: one generator with M outputs, one critic;
- *hybrid*: M generators that share a latent and have one of their own, one critic.

`temporal` networks make phrases: temporal generators turn one latent into one for every bar, and the critic hears whole phrases.
Others make single bars. `layers` has the tables, `network` the parts in torch, `rows` the arithmetic, `graph` the file for the runtime.
It knows neither which track is which nor what a pitch is called.

Source: Dong, Hsiao, Yang and Yang 2018, "MuseGAN: Multi-track Sequential Generative Adversarial Networks for Symbolic Music Generation and
Accompaniment" (AAAI); layer tables from the released code (MIT). Where the two differ, this follows the paper:
1. A critic of phrases hears one vector per bar, all bars in order. The released one cuts the features of bars at the wrong places,
   so that no product ever sees two bars.
2. The jamming model has M critics; released: one over all tracks.
3. Shared and private temporal generators are different networks; released: one for all tracks and the shared latent.
4. The encoder's features of bar t reach the generators of bar t; released for phrases: computed and dropped.
5. Batch norm uses its running statistics once trained, so that a sample does not depend on its batch; released: always the batch's.
Own choices, where the paper has none:
6. The encoder reads all M tracks, silent but for those given, so that one network accompanies any of them; the paper trains one for each.
7. `width` scales the channels (the encoder's excepted), and other forms than 96 x 84 get layers by the same rules (see `layers`).
8. Binary neurons at the end (from the authors' later work, Dong and Yang 2018, "Convolutional Generative Adversarial Networks with Binary
   Neurons for Polyphonic Music Generation"): critics hear nothing but -1 and 1, and the gradient is the sigmoid's.
9. Fresh weights have He's deviation, not 0.02, and critics hear silence as 0, not -1. As published, the first 1,200 steps
   went to a generator that makes one phrase whatever its latents: against a background of -1 a fresh critic is all but linear, and a linear
   critic sees no difference between one phrase and the mean of many. With both, variety comes at about step 500.
10. `hears_beats` gives critics a second way to hear: along time before pitch, which tells held notes from repeated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.config import setting
from kapelle.errors import CannotObey, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

    from kapelle.models import Kind, StateSpec

KIND: Kind = "one_shot"

PARTS = {"jamming": ("z_it", "z_i"), "composer": ("z_t", "z"), "hybrid": ("z_t", "z_it", "z", "z_i")}
"""The latents of each model in the order in which a bar generator reads them; those with a t are for phrases only."""


@dataclass(frozen=True)
class Config:
    """The shape of the network; the first four are told by the data."""

    n_tracks: int = setting(help="tracks", min=1, max=16)
    n_bars: int = setting(help="bars of a phrase", min=1, max=64)
    n_steps: int = setting(help="steps of a bar", min=4, max=192)
    n_pitches: int = setting(help="pitches", min=12, max=120)
    model: str = setting("hybrid", help="who makes and who judges the tracks", choices=("jamming", "composer", "hybrid"))
    temporal: bool = setting(True, help="phrases; else single bars")
    conditional: bool = setting(False, help="plays to given tracks")
    width: float = setting(1.0, help="share of the paper's channels", min=0.02, max=4.0)
    latent: int = setting(128, help="numbers that make a bar", min=4)
    latent_std: float = setting(0.1, help="deviation of a latent inside the network", min=1e-3, max=10.0)
    binary: str = setting("none", help="neurons at the end of the generator", choices=("none", "deterministic", "stochastic"))
    hears_beats: bool = setting(False, help="critics also hear time before pitch: how long notes are held")
    slope: float = setting(1.0, help="steepness of binary neurons", min=0.1, max=100.0)

    def __post_init__(self) -> None:
        from kapelle.models.musegan import layers

        layers.time_factors(self.n_steps)
        layers.octaves(self.n_pitches)
        parts = len(self.parts)
        if self.latent % parts:
            raise UsageError("latent must be a multiple of {parts}, not {latent}", parts=parts, latent=self.latent)
        if self.temporal and self.n_bars < 2:
            raise UsageError("a phrase has at least 2 bars", hint="temporal = false makes single bars")

    @property
    def parts(self) -> tuple[str, ...]:
        """The latents that the network has, in the order in which a bar generator reads them."""
        return tuple(name for name in PARTS[self.model] if self.temporal or "t" not in name)

    @property
    def bars(self) -> int:
        """Bars of one item: a phrase's, or 1."""
        return self.n_bars if self.temporal else 1

    @property
    def n_generators(self) -> int:
        """Bar generators."""
        return 1 if self.model == "composer" else self.n_tracks

    @property
    def n_critics(self) -> int:
        """Critics, and columns of their marks."""
        return self.n_tracks if self.model == "jamming" else 1


def latents(config: Config) -> dict[str, tuple[int, ...]]:
    """Name -> shape without batch of every latent: shared ones (d,), private ones (M, d), so that ``latent`` numbers make a bar."""
    size = config.latent // len(config.parts)
    return {name: (config.n_tracks, size) if "i" in name else (size,) for name in sorted(config.parts)}


def build(config: Config) -> torch.nn.Module:
    """A fresh network: ``generator``, ``critic`` and ``averaged``; random weights come from torch's global generator."""
    from kapelle.models.musegan import network

    return network.players(config)


def real(config: Config, cells: torch.Tensor) -> torch.Tensor:
    """Cells of data (B, M, L, S, P) bool in the network's own range, -1 and 1; for a network of single bars (B L, M, 1, S, P)."""
    if not config.temporal and cells.ndim == 5:  # a single cell has no bars to part
        cells = cells.transpose(1, 2).flatten(0, 1).unsqueeze(2)
    return cells.float() * 2 - 1


def scores(config: Config, made: torch.Tensor) -> torch.Tensor:
    """What a generator made, so that a cell sounds where it is more than 0."""
    return made


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The averaged generator in 32-bit floats, from the arrays of the network's ``state_dict()``."""
    from kapelle.models.musegan.graph import generate

    return {"generate": generate(config, weights)}


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Never: a bundle has no critic, and its norms are folded into its products.

    Raises:
        CannotObey: Always.
    """
    raise CannotObey(
        "a bundle of this family cannot be trained on: it holds no critic", hint="begin with the run that it was exported from"
    )


def states(config: Config) -> tuple[StateSpec, ...]:
    """None: everything is made in one go."""
    return ()
