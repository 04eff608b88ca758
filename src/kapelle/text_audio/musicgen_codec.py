"""Sound to codes and back, by the EnCodec of a MusicGen.

Takes frames (F, C) at the codec's rate and codes (K, T); C channels go through the codec one by one, and their codebooks alternate: left
0, right 0, left 1 ... Long sounds are decoded in pieces, so that memory does not grow with their length, and the pieces fit sample for
sample: what remembers (the LSTM) runs over the whole row of codes, at 50 moments a second, and only what looks a few moments around
itself (the upsampling layers) is cut. It works in float32 always: half precision is heard here, and hardly faster.

Source: A. Defossez et al., "High Fidelity Neural Audio Compression", 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

if TYPE_CHECKING:
    from kapelle.audio.waveform import Samples
    from kapelle.text_audio.patterns import Codes

PIECE = 500
"""Moments decoded at once: 10 s."""
AROUND = 8
"""Moments decoded on each side of a piece and thrown away. The upsampling layers of the published codec look less than 3 moments far."""
N_WHOLE = 2
"""Layers of the decoder, from the first, that see the whole sound: a convolution and the LSTM."""


class Codec:
    """Encoder and decoder.

    Args:
        net: `EncodecModel` of one channel, without chunks and without loudness scales.
        channels: Of the sound.
        device: Where it runs.
    """

    def __init__(self, net: Any, channels: int, device: torch.device) -> None:
        self._net = net.to(device).float()
        self._channels = channels
        self._device = device

    @property
    def hop(self) -> int:
        """Frames of a moment: 640 of the published models."""
        return int(self._net.config.hop_length)

    def encode(self, samples: Samples) -> Codes:
        """The codes of frames (F, C): shape (K, ceil(F / hop))."""
        sound = torch.from_numpy(np.ascontiguousarray(samples.T))[:, None].to(self._device)
        each = self._net.encode(sound).audio_codes[0]  # (C, K / C, T)
        codes: Codes = each.transpose(0, 1).reshape(-1, each.shape[-1]).cpu().numpy()
        return codes

    def decode(self, codes: Codes, piece: int = PIECE, *, check: Callable[[], None] = lambda: None) -> Samples:
        """The frames of codes (K, T): shape (T x hop, C), float32.

        Args:
            codes: Codes of all channels.
            piece: Moments decoded at once.
            check: Called before each piece; may raise, to stop.
        """
        each = torch.from_numpy(codes.reshape(-1, self._channels, codes.shape[1])).to(self._device)  # (K / C, C, T)
        layers = self._net.decoder.layers
        hidden = self._net.quantizer.decode(each)  # (C, D, T)
        for layer in layers[:N_WHOLE]:
            hidden = layer(hidden)
        pieces = []
        for start in range(0, hidden.shape[-1], piece):
            check()
            pieces.append(self._upsample(hidden, start, min(start + piece, hidden.shape[-1])))
        return cast("Samples", torch.cat(pieces, dim=-1)[:, 0].T.cpu().numpy())

    def _upsample(self, hidden: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """Frames of the moments `start` to `end`, (C, 1, F), from what the LSTM made of all."""
        first = max(0, start - AROUND)
        sound = hidden[..., first : end + AROUND]
        for layer in self._net.decoder.layers[N_WHOLE:]:
            sound = layer(sound)
        return sound[..., (start - first) * self.hop : (end - first) * self.hop]
