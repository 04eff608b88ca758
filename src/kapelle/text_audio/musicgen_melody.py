"""The melody that a MusicGen is to follow: the strongest pitch class of each eighth of a second.

Takes a sound of any rate and number of channels; gives one-hot rows (F, 12), C to B, one every 4,096 frames at 32 kHz. It is computed on
the whole mix. The authors of the models first took vocals and other instruments out of it with Demucs, whose weights are pickles and are
not read here: drums and bass mislead the melody, so give a sound without them, or a piece rendered from its notes.

Source: `ChromaExtractor` of the models' authors, with the numbers in each model's ``preprocessor_config.json``; a test holds it equal to
the feature extractor of transformers, which needs torchaudio, and ours does not. Known difference: a sound shorter than the window is
repeated from its end on, as its features are there; in later windows the sound itself is repeated, as its authors do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle.audio.effects import resample
from kapelle.errors import UnreadableInput
from kapelle.text_audio.safe_files import REFETCH

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.audio.waveform import Samples, Waveform

N_CLASSES = 12
RANGES = {"sampling_rate": (4_000, 192_000), "n_fft": (512, 2**18), "hop_length": (64, 2**18), "chunk_length": (1, 600)}


@dataclass(frozen=True)
class MelodySettings:
    """How features are computed, by the names of ``preprocessor_config.json``.

    Args:
        sampling_rate: Hertz of the sound.
        n_fft: Frames of a spectrum.
        hop_length: Frames from one spectrum to the next.
        chunk_length: Seconds that a model hears at once.
    """

    sampling_rate: int = 32_000
    n_fft: int = 16_384
    hop_length: int = 4_096
    chunk_length: int = 30

    @classmethod
    def of(cls, values: dict[str, Any], file: Path) -> MelodySettings:
        """Those of a file.

        Raises:
            UnreadableInput: A number is none, or not in range.
        """
        found = {field.name: values.get(field.name, field.default) for field in fields(cls)}
        for name, value in found.items():
            least, most = RANGES[name]
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise UnreadableInput("{file}: {name} is {value!r}", file=file, name=name, value=value, hint=REFETCH)
        return cls(**found)


class Melody:
    """A sound to be followed, ready for the windows of a longer one.

    Args:
        sound: The sound; beyond its end it begins again.
        settings: Of the model.
    """

    def __init__(self, sound: Waveform, settings: MelodySettings) -> None:
        self._settings = settings
        self._samples: Samples = resample(sound, settings.sampling_rate).samples.mean(axis=1, dtype=np.float32)

    def features(self, from_s: float, n_rows: int) -> torch.Tensor:
        """The melody of the window that begins at a time, (n_rows, 12)."""
        length = self._settings.chunk_length * self._settings.sampling_rate
        first = round(from_s * self._settings.sampling_rate)
        samples = self._samples[:length] if not first else self._samples.take(np.arange(first, first + length), mode="wrap")
        rows = strongest_classes(torch.from_numpy(np.ascontiguousarray(samples)), self._settings)
        return rows.repeat(-(-n_rows // len(rows)), 1)[:n_rows]


def strongest_classes(samples: torch.Tensor, settings: MelodySettings) -> torch.Tensor:
    """One-hot rows (1 + F // hop_length, 12) of samples (F,): the strongest pitch class; C where there is silence."""
    from transformers.audio_utils import chroma_filter_bank

    missing = settings.n_fft - len(samples)
    if missing > 0:
        samples = torch.nn.functional.pad(samples, (missing // 2, missing - missing // 2))
    bank = chroma_filter_bank(sampling_rate=settings.sampling_rate, num_frequency_bins=settings.n_fft, tuning=0, num_chroma=N_CLASSES)
    window = torch.hann_window(settings.n_fft)
    spectra = torch.stft(samples, settings.n_fft, settings.hop_length, window=window, return_complex=True)
    strength = torch.from_numpy(bank).float() @ spectra.abs().square()  # (12, F); its scale does not matter to what is strongest
    return torch.nn.functional.one_hot(strength.argmax(dim=0), N_CLASSES).float()


def no_melody(n_rows: int) -> torch.Tensor:
    """What stands for no melody in the published models: C throughout, (n_rows, 12)."""
    rows = torch.zeros(n_rows, N_CLASSES)
    rows[:, 0] = 1.0
    return rows
