"""The Theme Transformer in torch, with its two baselines: see `kapelle.models.theme` for what goes in and comes out.

Read from bottom to top of the flow: attention, a layer of either stack, the stacks, the network. All layers are post-norm. Letters of
the shapes: B rows, T tokens of the piece, S tokens of the theme, H heads, D width, F width of the feed-forward layer, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from kapelle.models.theme import codes

if TYPE_CHECKING:
    from torch import Tensor

    from kapelle.models.theme import Config


WIDE_HEAD = 64
"""Width of a head from which on plain products are the faster attention on a CPU: 37 ms against 72 (8 rows of 512 tokens, bf16)."""


class Attention(nn.Module):
    """Attention of several heads; one matrix makes queries, keys and values."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.d_model
        self.n_head, self.dropped = config.n_head, config.attention_dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, memory: Tensor | None = None, *, heard: Tensor | None = None, causal: bool = False) -> Tensor:
        """(B, T, D) of `query` (B, T, D), which attends to itself or to `memory` (B, S, D) where `heard` (B, 1, 1, S) is true."""
        width = query.shape[-1]
        if memory is None:
            parts = functional.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            asked = functional.linear(query, self.in_proj_weight[:width], self.in_proj_bias[:width])
            parts = (asked, *functional.linear(memory, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, dim=-1))
        asked, keys, values = (part.view(*part.shape[:2], self.n_head, -1).transpose(1, 2) for part in parts)  # (B, H, T or S, D/H)
        dropped = self.dropped if self.training else 0.0
        mixed = attend(asked, keys, values, heard, dropped, causal=causal)  # (B, H, T, D/H)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


def attend(asked: Tensor, keys: Tensor, values: Tensor, heard: Tensor | None, dropped: float, *, causal: bool) -> Tensor:
    """Attention (B, H, T, D/H) of queries (B, H, T, D/H) over keys and values (B, H, S, D/H).

    On a CPU, heads as wide as `WIDE_HEAD` are multiplied out: torch's fused operator takes twice as long there.
    """
    if asked.device.type != "cpu" or asked.shape[-1] < WIDE_HEAD or dropped:
        return functional.scaled_dot_product_attention(asked, keys, values, heard, dropped, causal)
    scores = (asked * asked.shape[-1] ** -0.5) @ keys.transpose(-1, -2)  # (B, H, T, S)
    if causal:
        scores = scores + torch.full(scores.shape[-2:], -torch.inf, dtype=scores.dtype).triu(1)
    if heard is not None:
        scores = scores.masked_fill(~heard, -torch.inf)
    return torch.softmax(scores, dim=-1).to(values.dtype) @ values


class Layer(nn.Module):
    """What all layers share: self-attention, the feed-forward layer, and the norms around them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.linear1 = nn.Linear(config.d_model, config.d_ff)
        self.linear2 = nn.Linear(config.d_ff, config.d_model)
        self.norm1 = nn.LayerNorm(config.d_model)
        self.drop = nn.Dropout(config.dropout)

    def feed(self, hidden: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), by way of F."""
        wide = functional.gelu(self.linear1(hidden))  # (B, T, F)
        out: Tensor = self.drop(self.linear2(self.drop(wide)))
        return out


class EncoderLayer(Layer):
    """Self-attention without order, then the feed-forward layer. With `causal`, a layer of the decoder that hears no theme."""

    def __init__(self, config: Config, *, causal: bool = False) -> None:
        super().__init__(config)
        self.norm2 = nn.LayerNorm(config.d_model)
        self.causal = causal

    def forward(self, hidden: Tensor, heard: Tensor | None = None) -> Tensor:
        """(B, S, D) of `hidden` (B, S, D); padding is where `heard` (B, 1, 1, S) is false."""
        hidden = self.norm1(hidden + self.drop(self.self_attn(hidden, heard=heard, causal=self.causal)))
        out: Tensor = self.norm2(hidden + self.feed(hidden))
        return out


class SerialLayer(Layer):
    """A decoder layer of the usual kind: self-attention, then attention to the theme, then the feed-forward layer."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.multihead_attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.d_model)
        self.norm3 = nn.LayerNorm(config.d_model)

    def forward(self, hidden: Tensor, memory: Tensor, heard: Tensor) -> Tensor:
        """(B, T, D) of `hidden` (B, T, D) and `memory` (B, S, D)."""
        hidden = self.norm1(hidden + self.drop(self.self_attn(hidden, causal=True)))
        hidden = self.norm2(hidden + self.drop(self.multihead_attn(hidden, memory, heard=heard)))
        out: Tensor = self.norm3(hidden + self.feed(hidden))
        return out


class ThemeLayer(Layer):
    """The authors' decoder layer: both attentions side by side, each with its own code of position, joined by the gate.

    Keys and values of the self-attention carry the code too, what is added to does not. Without theme the mean still halves the
    self-attention.

    Args:
        exclusive: Inside the theme, only attention to the theme counts.
    """

    def __init__(self, config: Config, *, exclusive: bool) -> None:
        super().__init__(config)
        self.multihead_attn = Attention(config)
        self.norm3 = nn.LayerNorm(config.d_model)
        self.gated, self.exclusive = config.gated, exclusive

    def forward(self, hidden: Tensor, places: Tensor, aligned: Tensor, gate: Tensor, memory: Tensor, heard: Tensor) -> Tensor:
        """(B, T, D) of `hidden` (B, T, D).

        Args:
            hidden: (B, T, D).
            places: Codes (T, D) of the positions.
            aligned: Codes (B, T, D) of the labels.
            gate: (B, T, 1), 1 inside the theme and 0 outside.
            memory: The theme (B, S, D).
            heard: (B, 1, 1, S), false where the theme is padding.
        """
        own = self.drop(self.self_attn(self.drop(hidden + places), causal=True))
        cross = self.drop(self.multihead_attn(self.drop(hidden + aligned), memory, heard=heard))
        if self.gated:
            cross = gate * cross
            if self.exclusive:
                own = (1 - gate) * own
        hidden = self.norm1(hidden + (own + cross) / 2)
        out: Tensor = self.norm3(hidden + self.feed(hidden))
        return out


class Stack(nn.Module):
    """Layers and a last norm; how the layers are called is the network's business."""

    def __init__(self, layers: list[nn.Module], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)


class ThemeTransformer(nn.Module):
    """Encoder, decoder, one embedding for both, an output of its own."""

    places: Tensor
    places_encoder: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.token_embedding = nn.Embedding(config.vocabulary, width, padding_idx=0)
        if config.variant != "prompt":
            self.encoder = Stack([EncoderLayer(config) for _ in range(config.n_encoder)], width)
        if config.variant == "seq2seq":
            self.segment_embedding = nn.Embedding(2, width)
        self.decoder = Stack([_decoder_layer(config, layer) for layer in range(config.n_decoder)], width)
        self.output_layer = nn.Linear(width, config.vocabulary)
        self.drop = nn.Dropout(config.dropout)
        self.register_buffer("places", torch.from_numpy(codes(config.n_positions, width)), persistent=False)
        self.register_buffer("places_encoder", torch.from_numpy(codes(config.n_positions, width, config.encoder_offset)), persistent=False)
        self._start()

    def _start(self) -> None:
        """Xavier for every matrix, nothing for what padding embeds, 0 for the biases of attention."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if self.config.embedding_std:
            nn.init.normal_(self.token_embedding.weight, 0.0, self.config.embedding_std)
        with torch.no_grad():
            self.token_embedding.weight[0].zero_()
        for module in self.modules():
            if isinstance(module, Attention):
                nn.init.zeros_(module.out_proj.bias)

    def forward(self, ids: Tensor, labels: Tensor, theme: Tensor, theme_labels: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) after each of `ids` (B, T).

        Args:
            ids: The piece (B, T).
            labels: (B, T): 0 outside the theme, 1, 2, 3 ... inside it; counts beyond the longest block are taken for its last.
            theme: Ids of the theme (B, S).
            theme_labels: (B, S) for the variant seq2seq: above 0 where the theme's text is theme; None: all of it.
        """
        if self.config.variant == "prompt":
            return self.decode(ids, labels, None, None)
        return self.decode(ids, labels, self.encode(theme, theme_labels), (theme != 0)[:, None, None])

    def encode(self, theme: Tensor, theme_labels: Tensor | None = None, *, embedded: Tensor | None = None) -> Tensor:
        """The memory (B, S, D) of `theme` (B, S); `embedded` (B, S, D) stands in the place of what its ids embed."""
        hidden = (self.token_embedding(theme) if embedded is None else embedded) + self.places_encoder[: theme.shape[1]]
        if self.config.variant == "seq2seq":
            inside = theme if theme_labels is None else theme_labels
            hidden = hidden + self.segment_embedding((inside > 0).long())
        hidden = self.drop(hidden)
        heard = (theme != 0)[:, None, None]  # (B, 1, 1, S)
        for layer in self.encoder.layers:
            hidden = layer(hidden, heard)
        out: Tensor = self.encoder.norm(hidden)
        return out

    def decode(self, ids: Tensor, labels: Tensor, memory: Tensor | None, heard: Tensor | None, *, embedded: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) after each of `ids` (B, T), hearing `memory` (B, S, D) where `heard` (B, 1, 1, S) is true.

        `embedded` (B, T, D) stands in the place of what the ids embed.
        """
        hidden = self.token_embedding(ids) if embedded is None else embedded  # (B, T, D)
        places = self.places[: ids.shape[1]]
        if self.config.variant == "theme":
            aligned = functional.embedding(labels.clamp(max=len(self.places) - 1), self.places)  # (B, T, D)
            gate = (labels > 0)[..., None].to(hidden.dtype)  # (B, T, 1)
            for layer in self.decoder.layers:
                hidden = layer(hidden, places, aligned, gate, memory, heard)
        else:
            hidden = hidden + places
            if self.config.variant == "seq2seq":
                hidden = hidden + self.segment_embedding((labels > 0).long())
            hidden = self.drop(hidden)
            for layer in self.decoder.layers:
                hidden = layer(hidden) if memory is None else layer(hidden, memory, heard)
        out: Tensor = self.output_layer(self.decoder.norm(hidden))
        return out


def _decoder_layer(config: Config, layer: int) -> nn.Module:
    match config.variant:
        case "theme":
            return ThemeLayer(config, exclusive=config.gated and bool(config.exclusive[layer]))
        case "seq2seq":
            return SerialLayer(config)
        case _:
            return EncoderLayer(config, causal=True)
