"""The decoder of Make-An-Audio 2's variational autoencoder: from latents to a mel spectrogram.

Takes latents (B, Z, T), as they were encoded; gives a spectrogram (B, M, 2 T): logarithms to base ten of M mel bands. One-dimensional
throughout: a band is a channel, only time is a direction. The encoder is left out: a sound made from text is never encoded.

Names of parameters are those of the published weights, so that they load as they are.

Source: Huang et al. 2023, "Make-An-Audio 2: Temporal-Enhanced Text-to-Audio Generation"; its autoencoder1d.py, as in the folder
lumina_music of github.com/Alpha-VLLM/Lumina-T2X (MIT).
Known differences: none in what it computes. (The published attention divides by the root of a number that it calls time; it is the
number of channels, as everywhere.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

N_GROUPS = 32
"""Groups of channels that are normalised together; every width is a multiple of it."""

INNER_KERNEL = 3
"""Of the convolutions inside; the first and the last are as wide as `Config.kernel_size`."""


@dataclass(frozen=True)
class Config:
    """The shape of the decoder; the defaults are Make-An-Audio 2's, and Lumina-T2Music's.

    Args:
        embed_dim: Channels of a latent (Z).
        n_mels: Bands of the spectrogram (M).
        ch: Channels of the widest level in time, a multiple of 32.
        ch_mult: How many times wider each level is, from the finest to the coarsest.
        num_res_blocks: Blocks of a level, less one.
        kernel_size: Of the first and the last convolution, odd.
        up_levels: Levels after which time is doubled.
    """

    embed_dim: int = 20
    n_mels: int = 80
    ch: int = 384
    ch_mult: tuple[int, ...] = (1, 2, 4)
    num_res_blocks: int = 2
    kernel_size: int = 5
    up_levels: tuple[int, ...] = (1,)

    @property
    def stretch(self) -> int:
        """Frames of the spectrogram for each latent."""
        return int(2 ** len(self.up_levels))

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Config:
        """The configuration that published weights were made with, from the shapes of their arrays.

        Raises:
            KeyError: An array is missing.
            ValueError: The shapes make no sense together.
        """
        n_mels, ch, kernel_size = shapes["decoder.conv_out.weight"]
        n_levels = len({name.split(".")[2] for name in shapes if name.startswith("decoder.up.")})
        if not ch or ch % N_GROUPS:
            raise ValueError(f"a width of {ch} is no multiple of {N_GROUPS}")
        n_blocks = len({name.split(".")[4] for name in shapes if name.startswith("decoder.up.0.block.")})
        return cls(
            embed_dim=shapes["post_quant_conv.weight"][1],
            n_mels=n_mels,
            ch=ch,
            ch_mult=tuple(shapes[f"decoder.up.{level}.block.0.conv1.weight"][0] // ch for level in range(n_levels)),
            num_res_blocks=n_blocks - 1,
            kernel_size=kernel_size,
            up_levels=tuple(level for level in range(n_levels) if f"decoder.up.{level}.upsample.conv.weight" in shapes),
        )


class MelDecoder(nn.Module):
    """The second half of the autoencoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.post_quant_conv = nn.Conv1d(config.embed_dim, config.embed_dim, 1)
        self.decoder = Decoder(config)

    def forward(self, latents: Tensor) -> Tensor:
        """The spectrogram (B, M, 2 T) of `latents` (B, Z, T)."""
        out: Tensor = self.decoder(self.post_quant_conv(latents))
        return out


class Decoder(nn.Module):
    """A middle with attention at the coarsest level, then level by level to the finest."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = [config.ch * times for times in config.ch_mult]
        self.conv_in = _conv(config.embed_dim, widths[-1], config.kernel_size)
        self.mid = Middle(widths[-1])
        befores = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            Level(before, width, config.num_res_blocks + 1, doubled=level in config.up_levels)
            for level, (before, width) in enumerate(zip(befores, widths, strict=True))
        )
        self.norm_out = _norm(widths[0])
        self.conv_out = _conv(widths[0], config.n_mels, config.kernel_size)

    def forward(self, latents: Tensor) -> Tensor:
        """(B, M, 2 T) of (B, Z, T)."""
        hidden = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            hidden = level(hidden)
        out: Tensor = self.conv_out(functional.silu(self.norm_out(hidden)))
        return out


class Middle(nn.Module):
    """The only place where moments far apart meet."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block_1 = Residual(width, width)
        self.attn_1 = Attention(width)
        self.block_2 = Residual(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, T) of (B, C, T)."""
        out: Tensor = self.block_2(self.attn_1(self.block_1(hidden)))
        return out


class Level(nn.Module):
    """Residual blocks of a width, and twice the time after them where that is asked for."""

    def __init__(self, before: int, width: int, n_blocks: int, *, doubled: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(Residual(before if number == 0 else width, width) for number in range(n_blocks))
        self.upsample = Doubling(width) if doubled else None

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, width, T or 2 T) of (B, before, T)."""
        for block in self.block:
            hidden = block(hidden)
        return hidden if self.upsample is None else self.upsample(hidden)


class Doubling(nn.Module):
    """Every frame twice, then smoothed by a learned convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _conv(width, width, INNER_KERNEL)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, 2 T) of (B, C, T)."""
        out: Tensor = self.conv(hidden.repeat_interleave(2, dim=-1))
        return out


class Residual(nn.Module):
    """Two convolutions, each after a norm and SiLU, added to what came in."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(before), _conv(before, width, INNER_KERNEL)
        self.norm2, self.conv2 = _norm(width), _conv(width, width, INNER_KERNEL)
        self.nin_shortcut = nn.Identity() if before == width else nn.Conv1d(before, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, width, T) of (B, before, T)."""
        inner = self.conv1(functional.silu(self.norm1(hidden)))
        inner = self.conv2(functional.silu(self.norm2(inner)))
        out: Tensor = self.nin_shortcut(hidden) + inner
        return out


class Attention(nn.Module):
    """Attention of one head over time, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.q, self.k, self.v, self.proj_out = (nn.Conv1d(width, width, 1) for _ in range(4))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, T) of (B, C, T)."""
        normed = self.norm(hidden)
        asked, keys, values = (part(normed).transpose(1, 2)[:, None] for part in (self.q, self.k, self.v))  # (B, 1, T, C)
        mixed = functional.scaled_dot_product_attention(asked, keys, values)[:, 0].transpose(1, 2)
        out: Tensor = hidden + self.proj_out(mixed)
        return out


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(N_GROUPS, width, eps=1e-6)


def _conv(before: int, width: int, kernel: int) -> nn.Conv1d:
    return nn.Conv1d(before, width, kernel, padding=kernel // 2)
