"""Flag-DiT: the Transformer that learned the velocities of Lumina-T2Music.

Takes latents of a sound on their way from noise (B, C, T), their time (B,) and an encoded text (B, S, E); gives the velocity (B, C, T).
It knows nothing of solvers, tokens or sounds. Read from top to bottom: configuration, parts, network. Letters of the shapes: B rows,
T latents, C channels of a latent, S tokens of the text, E width of the text, H heads, D width of the network.

Names of parameters are those of the published weights without ``model.diffusion_model.``, so that they load as they are.

Source: Gao et al. 2024, "Lumina-T2X: Transforming Text into Any Modality, Resolution, and Duration via Flow-based Large Diffusion
Transformers", and FlagDiTv2 in the folder lumina_music of github.com/Alpha-VLLM/Lumina-T2X (MIT).
Known differences: attention is torch's own operator in every case, where the published file imports flash-attn without asking, whose
kernels need a GPU of NVIDIA's Ampere or newer; rows may have different lengths; no compilation. The published configuration normalises
neither queries nor keys and has as many key heads as query heads, so these options are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

N_WAVES = 128
"""Frequencies that a time is written in; each gives a cosine and a sine."""

SLOWEST = 10_000.0
"""The longest wave of the codes of time and of position, in units of 2π."""


@dataclass(frozen=True)
class Config:
    """The shape of the network; the defaults are Lumina-T2Music's.

    Args:
        in_channels: Channels of a latent (C).
        context_dim: Width of the encoded text (E).
        hidden_size: Width (D).
        depth: Blocks.
        num_heads: Heads of attention (H).
        max_len: Most latents (T) that it can place.
    """

    in_channels: int = 20
    context_dim: int = 1_024
    hidden_size: int = 768
    depth: int = 16
    num_heads: int = 32
    max_len: int = 1_000

    @property
    def feed_forward_size(self) -> int:
        """Width inside the feed-forward layer: two thirds of 4 D, as it has three matrices, then up to a multiple of 256."""
        return 256 * math.ceil(int(8 * self.hidden_size / 3) / 256)

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Config:
        """The configuration that published weights were made with, from the shapes of their arrays.

        Raises:
            KeyError: An array is missing.
            ValueError: The shapes make no sense together.
        """
        hidden_size, in_channels = shapes["proj_in.weight"]
        (n_heads,) = shapes["blocks.0.attention.gate"]
        if not n_heads or hidden_size % (2 * n_heads):
            raise ValueError(f"a width of {hidden_size} cannot be shared by {n_heads} heads")
        return cls(
            in_channels=in_channels,
            context_dim=shapes["blocks.0.attention.wk_y.weight"][1],
            hidden_size=hidden_size,
            depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
            num_heads=n_heads,
        )


class FlagDiT(nn.Module):
    """The network. Its time goes from 0, noise, to 1,000, sound, as in training, where it was a whole number."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.proj_in = nn.Linear(config.in_channels, width)
        self.t_embedder = TimeEmbedder(width)
        self.cap_embedder = nn.Sequential(nn.LayerNorm(config.context_dim), nn.Linear(config.context_dim, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(width, config.in_channels)

    def forward(self, latents: Tensor, time: Tensor, context: Tensor, heard: Tensor | None = None) -> Tensor:
        """The velocity (B, C, T) of `latents` (B, C, T).

        Args:
            latents: (B, C, T), T at most `Config.max_len`.
            time: (B,), 0 to 1,000.
            context: The text (B, S, E). All of it counts, padding too: so the network was trained.
            heard: (B, T), false where a shorter row is padding; None: nowhere. What comes out there means nothing.
        """
        hidden = self.proj_in(latents.transpose(1, 2))  # (B, T, D)
        turns = rotations(latents.shape[2], self.config.hidden_size // self.config.num_heads, latents.device)
        mask = None if heard is None else heard[:, None, None]  # (B, 1, 1, T)
        condition = self.t_embedder(time) + self.cap_embedder(context.mean(dim=1))  # (B, D)
        for block in self.blocks:
            hidden = block(hidden, context, condition, turns, mask)
        out: Tensor = self.final_layer(hidden, condition).transpose(1, 2)  # (B, C, T)
        return out


class TimeEmbedder(nn.Module):
    """A time as cosines and sines of `N_WAVES` frequencies, then two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * N_WAVES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """(B, D) of `time` (B,)."""
        speeds = SLOWEST ** (-torch.arange(N_WAVES, device=time.device, dtype=torch.float32) / N_WAVES)
        angles = time.float()[:, None] * speeds  # (B, N)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        out: Tensor = self.mlp(waves.to(next(self.mlp.parameters()).dtype))
        return out


class Block(nn.Module):
    """Attention to the sound and to the text, then the feed-forward layer.

    The condition, time and mean of the text, says for each channel how both are shifted and scaled beforehand, and how much of their
    result is added (adaptive layer norm).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention = Attention(config)
        self.feed_forward = FeedForward(width, config.feed_forward_size)
        self.attention_norm = nn.RMSNorm(width, eps=1e-5)
        self.attention_y_norm = nn.RMSNorm(config.context_dim, eps=1e-5)
        self.ffn_norm = nn.RMSNorm(width, eps=1e-5)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, hidden: Tensor, context: Tensor, condition: Tensor, turns: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) of `hidden` (B, T, D), `context` (B, S, E), `condition` (B, D); see `Attention` for the others."""
        shift, scale, gate, shift_wide, scale_wide, gate_wide = self.adaLN_modulation(condition)[:, None].chunk(6, dim=-1)  # (B, 1, D)
        asked = self.attention_norm(hidden) * (1 + scale) + shift
        hidden = hidden + gate * self.attention(asked, self.attention_y_norm(context), turns, mask)
        asked = self.ffn_norm(hidden) * (1 + scale_wide) + shift_wide
        out: Tensor = hidden + gate_wide * self.feed_forward(asked)
        return out


class Attention(nn.Module):
    """One set of queries for two memories: the sound itself, whose positions are rotated in, and the text, gated by head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, text = config.hidden_size, config.context_dim
        self.n_heads = config.num_heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.wk_y, self.wv_y = (nn.Linear(text, width, bias=False) for _ in range(2))
        self.gate = nn.Parameter(torch.zeros(self.n_heads))

    def forward(self, hidden: Tensor, context: Tensor, turns: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D).

        Args:
            hidden: (B, T, D).
            context: (B, S, E).
            turns: Of `rotations`.
            mask: (B, 1, 1, T), true where a position may be attended to; None: everywhere.
        """
        queries, keys = rotated(self._heads(self.wq(hidden)), turns), rotated(self._heads(self.wk(hidden)), turns)
        heard = functional.scaled_dot_product_attention(queries, keys, self._heads(self.wv(hidden)), attn_mask=mask)
        read = functional.scaled_dot_product_attention(queries, self._heads(self.wk_y(context)), self._heads(self.wv_y(context)))
        mixed = heard + read * self.gate.tanh()[:, None, None]  # (B, H, T, D/H)
        out: Tensor = self.wo(mixed.transpose(1, 2).flatten(2))
        return out

    def _heads(self, rows: Tensor) -> Tensor:
        """(B, H, T, D/H) of (B, T, D)."""
        return rows.view(*rows.shape[:2], self.n_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two wide views of a position, one gating the other, and back (SwiGLU)."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.w1, self.w3 = nn.Linear(width, wide, bias=False), nn.Linear(width, wide, bias=False)
        self.w2 = nn.Linear(wide, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, D) of (B, T, D)."""
        out: Tensor = self.w2(functional.silu(self.w1(hidden)) * self.w3(hidden))
        return out


class FinalLayer(nn.Module):
    """From the width of the network to the channels of a latent, shifted and scaled by the condition once more."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.linear = nn.Linear(width, channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """(B, T, C) of `hidden` (B, T, D) and `condition` (B, D)."""
        shift, scale = self.adaLN_modulation(condition)[:, None].chunk(2, dim=-1)
        out: Tensor = self.linear(self.norm_final(hidden) * (1 + scale) + shift)
        return out


def rotations(n_positions: int, head_width: int, device: torch.device | None = None) -> Tensor:
    """How far each pair of numbers of a head is turned at each position: cosines and sines (2, T, D/H/2), float32.

    Made on the CPU: other devices lack 64-bit floats or complex numbers.
    """
    speeds = SLOWEST ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angles = torch.outer(torch.arange(n_positions, dtype=torch.float32), speeds)
    return torch.stack([angles.cos(), angles.sin()]).to(device)


def rotated(heads: Tensor, turns: Tensor) -> Tensor:
    """`heads` (B, H, T, D/H) with each pair of neighbouring numbers turned by `turns` (rotary position embedding)."""
    cosine, sine = turns
    first, second = heads.float()[..., ::2], heads.float()[..., 1::2]  # (B, H, T, D/H/2)
    turned = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return turned.flatten(-2).to(heads.dtype)
