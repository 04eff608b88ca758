"""The parts of MuseGAN in torch, read from top to bottom: layers, generators, critics, and the two together.

Shapes in comments: B phrases, M tracks, L bars, S steps, P pitches, R rows, C channels, Z numbers of a bar's latent. Between layers cells
are rows of channels in the order phrase, bar, step, pitch (see `rows`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from kapelle.errors import UsageError
from kapelle.models.musegan import latents as latent_shapes
from kapelle.models.musegan import layers
from kapelle.models.musegan.rows import Players, grow, merge, slide, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kapelle.models.musegan import Config
    from kapelle.models.musegan.layers import Layer

SLOPE = 0.2
"""Of the leaky ReLUs in critics and encoder."""


def _fresh(*shape: int, fan: int) -> nn.Parameter:
    """Weights of the deviation that keeps the size of what `fan` numbers make, none beyond twice that."""
    deviation = (2 / fan) ** 0.5
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=deviation, a=-2 * deviation, b=2 * deviation))


class Grow(nn.Module):
    """A generator's layer: each row becomes `kernel` rows; batch norm and ReLU unless it is the last."""

    def __init__(self, inputs: int, kernel: int, channels: int, *, norm: bool = True) -> None:
        super().__init__()
        self.weight = _fresh(inputs, kernel, channels, fan=inputs)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = nn.BatchNorm1d(channels) if norm else None

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(R, C) to (R k, C')."""
        made = grow(rows, self.weight, self.bias)
        return made if self.norm is None else F.relu(self.norm(made))


class Shrink(nn.Module):
    """A critic's or the encoder's layer: `kernel` rows of an item become one; leaky ReLU, batch norm before it in the encoder only."""

    def __init__(self, inputs: int, kernel: int, stride: int, channels: int, *, norm: bool = False) -> None:
        super().__init__()
        self.weight = _fresh(kernel, inputs, channels, fan=kernel * inputs)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = nn.BatchNorm1d(channels) if norm else None
        self.stride, self.overlaps = stride, stride != kernel

    def forward(self, rows: torch.Tensor, n_items: int) -> torch.Tensor:
        """(R, C) to (R', C'); `n_items` bars or phrases share the rows, and overlapping kernels stay inside one."""
        if self.overlaps:
            made = slide(rows.view(n_items, -1, rows.shape[1]), self.weight, self.bias, self.stride).flatten(0, 1)
        else:
            made = merge(rows, self.weight, self.bias)
        return F.leaky_relu(made if self.norm is None else self.norm(made), SLOPE)


class TemporalGenerator(nn.Module):
    """One latent (B, d) to one for every bar (B, L, d)."""

    def __init__(self, size: int, hidden: int, n_bars: int) -> None:
        super().__init__()
        self.halves = Grow(size, 2, hidden)
        self.weight = _fresh(hidden, n_bars - 1, size, fan=hidden)
        self.bias = nn.Parameter(torch.zeros(size))
        self.norm = nn.BatchNorm1d(size)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """(B, d) to (B, L, d)."""
        halves = self.halves(latent).view(len(latent), 2, -1)  # (B, 2, hidden)
        bars = spread(halves, self.weight, self.bias)  # (B, L, d): each half reaches all bars but one
        return F.relu(self.norm(bars.flatten(0, 1))).view_as(bars)


class BarGenerator(nn.Module):
    """The latent of a bar to its cells, before anything squashes them."""

    def __init__(self, table: Sequence[Layer]) -> None:
        super().__init__()
        first, *others = table
        wide = first.kernel * first.channels
        self.h0 = Grow(first.inputs, 1, wide)  # one norm for each number, as published, and not one for each channel
        self.width = first.channels
        self.others = [layer.name for layer in others]
        for layer in others:
            self.add_module(layer.name, Grow(layer.inputs, layer.kernel, layer.channels, norm=layer is not others[-1]))

    def forward(self, bars: torch.Tensor, features: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Latents (B L, Z), and the encoder's features from e0 on, to cells (B L S P, outputs)."""
        rows: torch.Tensor = self.h0(bars).view(-1, self.width)
        for number, name in enumerate(self.others, start=1):
            if features:
                rows = torch.cat([rows, features[-number]], dim=1)
            rows = self.get_submodule(name)(rows)
        return rows


class Encoder(nn.Module):
    """The given tracks to features for every layer of the bar generators."""

    def __init__(self, table: Sequence[Layer]) -> None:
        super().__init__()
        self.names = [layer.name for layer in table]
        for layer in table:
            self.add_module(layer.name, Shrink(layer.inputs, layer.kernel, layer.stride, layer.channels, norm=True))

    def forward(self, given: torch.Tensor) -> list[torch.Tensor]:
        """(B, M, L, S, P) to e0, e1, ..., each of as many rows as the layer has that reads it."""
        rows, features = _rows(given), []
        for name in self.names:
            rows = self.get_submodule(name)(rows, 0)
            features.append(rows)
        return features


class Generator(nn.Module):
    """Latents by name, and what is given, to rolls (B, M, L, S, P)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        size, hidden = config.latent // len(config.parts), layers.scaled(config, layers.HIDDEN)
        if "z_t" in config.parts:
            self.shared = TemporalGenerator(size, hidden, config.n_bars)
        if "z_it" in config.parts:
            self.private = nn.ModuleList(TemporalGenerator(size, hidden, config.n_bars) for _ in range(config.n_tracks))
        table = layers.bar_generator(config, config.n_tracks if config.n_generators == 1 else 1)
        self.bars = nn.ModuleList(BarGenerator(table) for _ in range(config.n_generators))
        if config.conditional:
            self.encoder = Encoder(layers.encoder(config))

    def forward(self, latents: Mapping[str, torch.Tensor], given: torch.Tensor | None = None) -> torch.Tensor:
        """Rolls from -1 to 1; with binary neurons nothing but these two."""
        raw = self.raw(latents, given)
        return torch.tanh(raw) if self.config.binary == "none" else self._binary(raw)

    def raw(self, latents: Mapping[str, torch.Tensor], given: torch.Tensor | None = None) -> torch.Tensor:
        """The cells before the last function, of any size: more than 0 sounds."""
        config = self.config
        if config.conditional != (given is not None):
            raise UsageError("a conditional model needs given tracks, and no other takes them")
        features = self.encoder(given) if config.conditional else ()
        scaled = {name: latents[name] * config.latent_std for name in latent_shapes(config)}
        shared = self.shared(scaled["z_t"]) if "z_t" in scaled else None
        made = [bars(self._latent(scaled, shared, index), features) for index, bars in enumerate(self.bars)]
        cells = torch.stack([rows.view(-1, config.bars, config.n_steps, config.n_pitches, rows.shape[1]) for rows in made])
        return (cells[0].movedim(-1, 1) if len(made) == 1 else cells[..., 0].transpose(0, 1)).contiguous()  # (B, M, L, S, P)

    def _latent(self, scaled: Mapping[str, torch.Tensor], shared: torch.Tensor | None, index: int) -> torch.Tensor:
        """(B L, Z): what the bar generator `index` reads, in the order of `PARTS`."""
        parts = []
        for name in self.config.parts:
            if name == "z_t" and shared is not None:
                parts.append(shared)
            elif name == "z_it":
                parts.append(self.private[index](scaled[name][:, index]))
            else:
                whole = scaled[name][:, index] if name == "z_i" else scaled[name]
                parts.append(whole[:, None].expand(-1, self.config.bars, -1))
        return torch.cat(parts, dim=2).flatten(0, 1)

    def _binary(self, raw: torch.Tensor) -> torch.Tensor:
        """-1 and 1, with the gradient of the sigmoid; once trained, a stochastic neuron takes what is likelier."""
        likely = torch.sigmoid(self.config.slope * raw)
        drawn = self.config.binary == "stochastic" and self.training
        hard = (likely > (torch.rand_like(likely) if drawn else 0.5)).to(likely.dtype)
        return 2 * (likely + (hard - likely).detach()) - 1


class Ear(nn.Module):
    """One way of hearing a bar: what a critic knows of it, from its layers along time and pitch."""

    def __init__(self, table: Sequence[Layer]) -> None:
        super().__init__()
        self.names = [layer.name for layer in table]
        self.held = [layer.axis for layer in table].index("pitch")  # layers along time that come first
        self.n_pitches = table[0].pitches
        for layer in table:
            self.add_module(layer.name, Shrink(layer.inputs, layer.kernel, layer.stride, layer.channels))
        self.width = table[-1].steps * table[-1].pitches * table[-1].channels

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """(B, n_in, L, S, P) to (B L, width)."""
        n_bars = cells.shape[0] * cells.shape[2]
        rows = cells.permute(0, 2, 4, 3, 1).flatten(0, 3) if self.held else _rows(cells)
        for number, name in enumerate(self.names):
            if number == self.held and number:  # (B L P S', C) to (B L S' P, C)
                rows = rows.view(n_bars, self.n_pitches, -1, rows.shape[1]).transpose(1, 2).flatten(0, 2)
            rows = self.get_submodule(name)(rows, n_bars)
        return rows.reshape(n_bars, -1)


class Critic(nn.Module):
    """Rolls of `n_in` tracks (B, n_in, L, S, P) to one mark each (B, 1), high for real ones; no norms: the penalty is each roll's own."""

    def __init__(self, config: Config, n_in: int) -> None:
        super().__init__()
        self.n_bars = config.bars
        ears = [Ear(table) for table in layers.ears(config, n_in)]
        self.ears, width = nn.ModuleList(ears), sum(ear.width for ear in ears)
        if config.temporal:
            bar, wide = layers.scaled(config, layers.BAR), layers.scaled(config, 512)
            self.bar = Shrink(width, 1, 1, bar)
            self.phrase0 = Shrink(bar, 2, 1, wide)
            self.phrase1 = Shrink(wide, config.n_bars - 1, config.n_bars - 1, bar)
            width = bar
        hidden = layers.scaled(config, layers.HIDDEN)
        self.hidden = Shrink(width, 1, 1, hidden)
        self.mark = nn.Linear(hidden, 1)
        nn.init.zeros_(self.mark.bias)

    def forward(self, rolls: torch.Tensor) -> torch.Tensor:
        """(B, n_in, L, S, P) to (B, 1)."""
        n_items, cells = rolls.shape[0], (rolls + 1) / 2  # silence is 0: what sounds is heard, and not how little does
        rows, n_bars = torch.cat([ear(cells) for ear in self.ears], dim=1), n_items * self.n_bars  # all that is known of a bar
        if self.n_bars > 1:
            rows = self.phrase0(self.bar(rows, n_bars), n_items)  # (B (L - 1), C): every bar with the next
            rows = self.phrase1(rows, n_items)  # (B, C): all of them
        mark: torch.Tensor = self.mark(self.hidden(rows, n_items))
        return mark


class Critics(nn.Module):
    """Rolls (B, M, L, S, P) to marks (B, K): of one critic that hears everything, or of one for each track."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n_in = config.n_tracks // config.n_critics
        self.critics = nn.ModuleList(Critic(config, n_in) for _ in range(config.n_critics))

    def forward(self, rolls: torch.Tensor) -> torch.Tensor:
        """(B, M, L, S, P) to (B, K)."""
        heard = [rolls] if len(self.critics) == 1 else [rolls[:, track : track + 1] for track in range(rolls.shape[1])]
        return torch.cat([critic(part) for critic, part in zip(self.critics, heard, strict=True)], dim=1)


def players(config: Config) -> Players:
    """A fresh network of both."""
    return Players(Generator(config), Critics(config))


def _rows(rolls: torch.Tensor) -> torch.Tensor:
    """(B, M, L, S, P) as rows (B L S P, M)."""
    return rolls.permute(0, 2, 3, 4, 1).reshape(-1, rolls.shape[1])
