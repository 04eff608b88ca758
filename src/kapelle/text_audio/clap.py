"""How near a sound is to a sentence, by CLAP: both become a vector of one space, and the cosine between the two is the likeness.

Takes a `ClapModel` of transformers with its tokenizer and its feature extractor; gives a number from -1 to 1, or the best of several
sounds. Sound longer than CLAP hears at once (10 s) is heard in equal windows and the likenesses are averaged; the extractor by itself
would take one window at random, from the global generator.

Source: Y. Wu et al., "Large-Scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption Augmentation", 2023.
Known difference from the ranking of diffusers' AudioLDM2: it resamples with librosa, which the extra ``audio`` does not have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kapelle.audio.effects import resample
from kapelle.audio.waveform import Waveform


@dataclass(frozen=True)
class Clap:
    """CLAP and what prepares its inputs.

    Args:
        model: `ClapModel`.
        tokenizer: `RobertaTokenizer`.
        extractor: `ClapFeatureExtractor`.
    """

    model: Any
    tokenizer: Any
    extractor: Any

    def likenesses(self, prompt: str, sounds: Iterable[Waveform]) -> list[float]:
        """The likeness of each sound to a prompt, -1 to 1."""
        words = self._text(prompt)
        return [float((self._sound(sound) @ words).mean()) for sound in sounds]

    def _text(self, prompt: str) -> torch.Tensor:
        """Of length 1, shape (D,)."""
        asked = self.tokenizer(prompt, return_tensors="pt", truncation=True).to(self.model.device)
        return _unit(self.model.get_text_features(**asked))[0]

    def _sound(self, sound: Waveform) -> torch.Tensor:
        """Of length 1 each, shape (windows, D)."""
        mono = resample(Waveform(sound.samples.mean(axis=1), sound.sample_rate), self.extractor.sampling_rate).samples[:, 0]
        windows = np.array_split(mono, math.ceil(len(mono) / self.extractor.nb_max_samples))
        heard = self.extractor(list(windows), sampling_rate=self.extractor.sampling_rate, return_tensors="pt")
        features = heard.input_features.to(self.model.device, self.model.dtype)
        return _unit(self.model.get_audio_features(input_features=features, is_longer=heard.is_longer.to(self.model.device)))


def _unit(told: Any) -> torch.Tensor:
    """Vectors of length 1, float32; `told` is a tensor, or an output that holds one, by the version of transformers."""
    vectors: torch.Tensor = getattr(told, "pooler_output", told)
    return torch.nn.functional.normalize(vectors.float(), dim=-1)
