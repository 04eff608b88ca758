"""The Theme Transformer composing in plain torch, token after token: what our runtime is measured against.

Both loops give the same logits as the network does over the whole sequence. `Again` runs the decoder over all tokens so far for every
new one, as the authors' released code does; `Cached` keeps keys and values in buffers of full length, as one would write it by hand.
Both read the theme once. The network is of the variant theme, in evaluation.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch.nn.functional import linear, scaled_dot_product_attention


class Loop(Protocol):
    """What both loops are."""

    def feed(self, token: int, label: int) -> np.ndarray:
        """Logits (V,) after the tokens so far and `token`, which stands at the place `label` of the theme, 0 outside of it."""


class Again:
    """Every token runs the decoder over all of them.

    Args:
        network: What `kapelle.models.theme.build` made.
        theme: Ids (S,).
    """

    def __init__(self, network: Any, theme: np.ndarray) -> None:
        heard = torch.from_numpy(theme)[None]
        self._network, self._mask = network, (heard != 0)[:, None, None]
        self._ids: list[int] = []
        self._labels: list[int] = []
        with torch.inference_mode():
            self._memory = network.encode(heard)

    @torch.inference_mode()
    def feed(self, token: int, label: int) -> np.ndarray:
        """As `Loop.feed`."""
        self._ids.append(token)
        self._labels.append(label)
        ids, labels = torch.tensor([self._ids]), torch.tensor([self._labels])
        out: np.ndarray = self._network.decode(ids, labels, self._memory, self._mask)[0, -1].numpy()
        return out


class Cached:
    """Every token runs alone, beside the keys and values of those before it.

    Args:
        network: What `kapelle.models.theme.build` made.
        theme: Ids (S,).
    """

    @torch.inference_mode()
    def __init__(self, network: Any, theme: np.ndarray) -> None:
        self._network, self._position = network, 0
        memory, config = network.encode(torch.from_numpy(theme)[None])[0], network.config  # (S, D)
        width = self._width = config.d_model
        self._heads = (config.n_head, width // config.n_head)
        shape = (2, config.n_head, config.n_positions, width // config.n_head)
        self._own = [torch.zeros(shape) for _ in network.decoder.layers]  # keys and values (2, H, N, D/H)
        self._theme = []
        for layer in network.decoder.layers:
            cross = layer.multihead_attn
            packed = linear(memory, cross.in_proj_weight[width:], cross.in_proj_bias[width:])  # (S, 2D)
            self._theme.append(packed.view(-1, 2, *self._heads).permute(1, 2, 0, 3).contiguous())  # (2, H, S, D/H)

    @torch.inference_mode()
    def feed(self, token: int, label: int) -> np.ndarray:
        """As `Loop.feed`."""
        network, gate = self._network, float(label > 0)
        hidden = network.token_embedding.weight[token][None]  # (1, D)
        places = network.places
        place, aligned = places[self._position], places[min(label, len(places) - 1)]
        for layer, own, theme in zip(network.decoder.layers, self._own, self._theme, strict=True):
            hidden = self._layer(layer, hidden, (place, aligned), gate, own, theme)
        self._position += 1
        out: np.ndarray = network.output_layer(network.decoder.norm(hidden))[0].numpy()
        return out

    def _layer(self, layer: Any, hidden: Any, codes: tuple[Any, Any], gate: float, own: Any, theme: Any) -> Any:
        here = slice(None, self._position + 1)
        packed = linear(hidden + codes[0], layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).view(3, self._heads[0], 1, -1)
        own[:, :, self._position] = packed[1:, :, 0]
        mixed = scaled_dot_product_attention(packed[0][None], own[0][None, :, here], own[1][None, :, here])  # (1, H, 1, D/H)
        alone = layer.self_attn.out_proj(mixed.reshape(1, -1))
        cross = layer.multihead_attn
        asked = linear(hidden + codes[1], cross.in_proj_weight[: self._width], cross.in_proj_bias[: self._width])
        mixed = scaled_dot_product_attention(asked.view(1, self._heads[0], 1, -1), theme[0][None], theme[1][None])
        told = cross.out_proj(mixed.reshape(1, -1))
        if layer.gated:
            told = gate * told
            alone = (1 - gate) * alone if layer.exclusive else alone
        hidden = layer.norm1(hidden + (alone + told) / 2)
        return layer.norm3(hidden + layer.feed(hidden))
