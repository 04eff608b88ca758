"""BigVGAN: from a mel spectrogram to a waveform.

Takes a spectrogram (B, M, T): logarithms of M mel bands; gives samples (B, 1, hop · T) between -1 and 1. Transposed convolutions stretch
time step by step; after each, residual blocks of several reaches are averaged. Their activation is periodic (`Snake`) and would fold
harmonics back into the audible band, so it is applied at twice the rate, between two low-pass filters (`Activation`).

Names of parameters are those of the published weights, except that each convolution has one weight instead of a direction and a length
(weight norm, a device of training): `folded` joins them. The low-pass filter is computed, not loaded.

Source: Lee et al. 2023, "BigVGAN: A Universal Neural Vocoder with Large-Scale Training"; github.com/NVIDIA/BigVGAN (MIT); the numbers of
the 16 kHz model from its args.yml in the weights of Lumina-T2Music.
Known differences: only what this model uses, residual blocks of the first kind and snakebeta with logarithmic parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = 12
"""Of the low-pass filter around an activation."""

TINY = 1e-9


@dataclass(frozen=True)
class Config:
    """The shape of the network, by the names of its authors' files; the defaults are those of the 16 kHz model.

    Args:
        num_mels: Bands of the spectrogram (M).
        upsample_rates: How many times longer each transposed convolution makes time; their product is the hop.
        upsample_kernel_sizes: Their kernels, each as odd or even as its rate.
        upsample_initial_channel: Channels before the first; each halves them.
        resblock_kernel_sizes: One residual block for each, after every transposed convolution.
        resblock_dilation_sizes: The dilations of each block's convolutions.
    """

    num_mels: int = 80
    upsample_rates: tuple[int, ...] = (4, 4, 2, 2, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (8, 8, 4, 4, 4, 4)
    upsample_initial_channel: int = 1_536
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    @property
    def hop(self) -> int:
        """Samples for each frame of the spectrogram."""
        return math.prod(self.upsample_rates)

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Config:
        """The configuration in an ``args.yml``.

        Raises:
            KeyError: A value is missing.
            ValueError: It is another kind of BigVGAN, or a value is not as described.
        """
        kind = tuple(str(published[name]) for name in ("resblock", "activation", "snake_logscale"))
        if kind != ("1", "snakebeta", "True"):
            raise ValueError(f"resblock, activation and snake_logscale are {', '.join(kind)}, not 1, snakebeta, True")
        values = {field.name: _whole(published[field.name]) for field in fields(cls)}
        config = cls(**values)
        if not len(config.upsample_rates) == len(config.upsample_kernel_sizes) or not all(
            kernel >= rate and (kernel - rate) % 2 == 0
            for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
        ):
            raise ValueError("upsample_rates and upsample_kernel_sizes do not fit each other")
        if len(config.resblock_kernel_sizes) != len(config.resblock_dilation_sizes):
            raise ValueError("resblock_kernel_sizes and resblock_dilation_sizes do not fit each other")
        return config


def _whole(value: Any) -> Any:
    """Whole numbers above 0, lists of them as tuples."""
    if isinstance(value, list | tuple) and value:
        return tuple(_whole(part) for part in value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r} is not a whole number above 0")
    return value


class BigVGAN(nn.Module):
    """The generator."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = [config.upsample_initial_channel // 2**level for level in range(len(config.upsample_rates) + 1)]
        self.conv_pre = nn.Conv1d(config.num_mels, widths[0], 7, padding=3)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose1d(widths[level], widths[level + 1], kernel, rate, padding=(kernel - rate) // 2))
            for level, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True))
        )
        shapes = list(zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True))
        self.resblocks = nn.ModuleList(Residual(width, kernel, dilations) for width in widths[1:] for kernel, dilations in shapes)
        self.activation_post = Activation(widths[-1])
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3)

    def forward(self, mels: Tensor) -> Tensor:
        """Samples (B, 1, hop · T) of `mels` (B, M, T)."""
        hidden = self.conv_pre(mels)
        n_blocks = len(self.resblocks) // len(self.ups)
        for level, up in enumerate(self.ups):
            hidden = up(hidden)
            blocks = self.resblocks[level * n_blocks : (level + 1) * n_blocks]
            hidden = sum(block(hidden) for block in blocks) / n_blocks
        return torch.tanh(self.conv_post(self.activation_post(hidden)))


class Residual(nn.Module):
    """Pairs of convolutions, the first of each dilated, each after an activation and added to what came in."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2) for dilation in dilations
        )
        self.convs2 = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=(kernel - 1) // 2) for _ in dilations)
        self.activations = nn.ModuleList(Activation(width) for _ in range(2 * len(dilations)))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, F) of (B, C, F)."""
        for before, dilated, between, plain in zip(self.activations[::2], self.convs1, self.activations[1::2], self.convs2, strict=True):
            hidden = hidden + plain(between(dilated(before(hidden))))
        return hidden


class Activation(nn.Module):
    """`Snake` at twice the rate."""

    lowpass: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.act = Snake(width)
        self.register_buffer("lowpass", lowpass(), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, F) of (B, C, F)."""
        filters = self.lowpass.expand(hidden.shape[1], 1, TAPS).to(hidden.dtype)
        return halved(self.act(doubled(hidden, filters)), filters)


class Snake(nn.Module):
    """x + sin²(a x) / b, with a and b of each channel stored as logarithms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, F) of (B, C, F)."""
        speed, height = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return hidden + (hidden * speed).sin().square() / (height + TINY)


def lowpass() -> Tensor:
    """The filter (1, 1, TAPS), summing to 1, that keeps the lower half of the band: a sinc in a window of Kaiser."""
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * (4 * 0.3) + 7.95  # Kaiser's formula; a transition of 0.3 of the rate
    beta = 0.1102 * (attenuation - 8.7)  # his rule above 50 dB
    places = torch.arange(TAPS, device="cpu") - (TAPS - 1) / 2
    taps = torch.kaiser_window(TAPS, periodic=False, beta=beta, device="cpu") * torch.sinc(places / 2)
    return (taps / taps.sum()).view(1, 1, TAPS)


def doubled(hidden: Tensor, filters: Tensor) -> Tensor:
    """`hidden` (B, C, F) at twice the rate (B, C, 2 F), by `filters` (C, 1, TAPS); the ends are held."""
    margin = TAPS // 2 - 1
    held = functional.pad(hidden, (margin, margin), mode="replicate")
    longer = 2 * functional.conv_transpose1d(held, filters, stride=2, groups=hidden.shape[1])
    cut = 2 * margin + (TAPS - 2) // 2
    return longer[..., cut:-cut]


def halved(hidden: Tensor, filters: Tensor) -> Tensor:
    """`hidden` (B, C, 2 F) at half the rate (B, C, F), by `filters` (C, 1, TAPS); the ends are held."""
    held = functional.pad(hidden, (TAPS // 2 - 1, TAPS // 2), mode="replicate")
    return functional.conv1d(held, filters, stride=2, groups=hidden.shape[1])


def folded(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published arrays by this file's names: each ``weight_g`` and ``weight_v`` joined to a ``weight``, filters left out.

    Raises:
        KeyError: One of a pair is missing.
        ValueError: A stored filter is not `lowpass`.
    """
    joined: dict[str, Tensor] = {}
    for name, array in published.items():
        stem, _, last = name.rpartition(".")
        match last:
            case "weight_v":
                length = array.flatten(1).norm(dim=1).view(-1, 1, 1)
                joined[f"{stem}.weight"] = published[f"{stem}.weight_g"] * (array / length)
            case "weight_g":
                published[f"{stem}.weight_v"]
            case "filter":
                if array.shape != (1, 1, TAPS) or not torch.allclose(array.float(), lowpass(), atol=1e-5):
                    raise ValueError(f"{name} is not the filter that is known")
            case _:
                joined[name] = array
    return joined
