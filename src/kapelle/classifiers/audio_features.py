"""What a classifier of audio hears: 285 numbers of half a minute of sound.

Takes a `Waveform` of any rate and number of channels; gives `AudioFeatures`. The first 57 say how it sounds: means and variances over
frames of chroma, loudness, centroid, bandwidth, roll-off, zero crossings, the lasting and the striking layer and 20 cepstral
coefficients, and the tempo; names, order and meaning are those of the feature table that goes with the GTZAN collection
(`features_30_sec.csv`), less its constant `length`. The next 67 say what it does (`kapelle.classifiers.audio_patterns`), and the last what
is written in it, as far as notes can be heard (`kapelle.classifiers.heard_notes`). A bundle names those that it asks for.

There is one function for training and for use, and no scaler anywhere: the classifiers accept `AudioFeatures` alone, which nothing
but `features` makes, so that rows which somebody scaled cannot reach a model that never saw scaled ones.

Source: G. Tzanetakis and P. Cook, "Musical genre classification of audio signals", IEEE TSAP 2002; the definitions are those of
librosa 0.11 (`kapelle.audio.spectra`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.audio import pitches, spectra
from kapelle.audio.chroma import chroma
from kapelle.audio.effects import resample
from kapelle.audio.layers import layers
from kapelle.audio.onsets import onset_strength, tempo_bpm
from kapelle.audio.waveform import Waveform
from kapelle.classifiers import audio_patterns, heard_notes
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kapelle.audio.waveform import Samples

EXCERPT_S = 30.0
"""Length of sound that the features are taken of; of a longer sound its middle."""
SHORTEST_S = 1.0
SILENT = 1e-5
"""A sound that peaks below this (-100 dB) is silence."""

_PAIRS = (
    "chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff", "zero_crossing_rate", "harmony", "perceptr",
)  # fmt: skip
TABLE_NAMES: tuple[str, ...] = (
    *(f"{name}_{kind}" for name in _PAIRS for kind in ("mean", "var")),
    "tempo",
    *(f"mfcc{number}_{kind}" for number in range(1, spectra.N_CEPSTRA + 1) for kind in ("mean", "var")),
)

NAMES: tuple[str, ...] = (*TABLE_NAMES, *audio_patterns.NAMES, *heard_notes.NAMES)

_OURS = object()


@dataclass(frozen=True, eq=False)
class AudioFeatures:
    """The features of one sound; made by `features` and by nothing else.

    Args:
        values: One number per name in `NAMES`, in its units, never scaled; NaN where there is nothing to measure; read only.
        duration_s: Length of the sound they are taken of, in seconds, at most `EXCERPT_S`.
        maker: Known to this module only.

    Raises:
        UsageError: Something else than `features` made them.
    """

    values: npt.NDArray[np.float32]
    duration_s: float
    maker: object = None

    def __post_init__(self) -> None:
        if self.maker is not _OURS:
            raise UsageError("features of audio are made of a sound, not of numbers", hint="call features(waveform)")
        self.values.flags.writeable = False

    def as_dict(self) -> dict[str, float]:
        """The features by name."""
        return dict(zip(NAMES, self.values.tolist(), strict=True))


def features(wave: Waveform) -> AudioFeatures:
    """The features of the middle 30 seconds of `wave`, or of all of it if it is shorter.

    Raises:
        UsageError: The sound is shorter than a second, or silent.
    """
    if wave.duration_s < SHORTEST_S:
        raise UsageError(
            "a sound of {seconds:.2f} s is too short to be judged",
            seconds=wave.duration_s,
            hint="at least a second is needed, better thirty",
        )
    samples = excerpt(wave)
    if float(np.abs(samples).max()) < SILENT:
        raise UsageError("the sound is silent: there is nothing to judge", hint="is it the right file, or the right part of it?")
    values = np.array(list(_values(samples)), dtype=np.float32)
    return AudioFeatures(values, len(samples) / spectra.RATE_HZ, _OURS)


def excerpt(wave: Waveform) -> Samples:
    """The middle 30 seconds of `wave`, its channels averaged, at 22,050 Hz, shape (N,)."""
    n_wanted = round(EXCERPT_S * wave.sample_rate)
    start = max((wave.n_frames - n_wanted) // 2, 0)
    mono = wave.samples[start : start + n_wanted].mean(axis=1, dtype=np.float32)
    return resample(Waveform(mono, wave.sample_rate), spectra.RATE_HZ).samples[:, 0]


def _values(samples: Samples) -> Iterator[float]:
    """The features in the order of `NAMES`."""
    spectrogram = spectra.transform(samples)
    magnitude = np.abs(spectrogram)
    power = np.square(magnitude)
    decibels = spectra.mel_decibels(power)
    classes, loudness, onsets = chroma(power), spectra.loudness(samples), onset_strength(decibels)
    tempo = tempo_bpm(onsets)
    curves = (
        classes,
        loudness,
        spectra.centroid(magnitude),
        spectra.bandwidth(magnitude),
        spectra.rolloff(magnitude),
        spectra.crossings(samples),
        *layers(samples, spectrogram, magnitude),
    )
    for curve in curves:
        yield from _mean_and_variance(curve)
    yield tempo
    for coefficient in spectra.cepstra(decibels).T:
        yield from _mean_and_variance(coefficient)
    yield from audio_patterns.patterns(power, classes, decibels, onsets, loudness, tempo)
    yield from heard_notes.measure(pitches.roll(samples), onsets, tempo)


def _mean_and_variance(curve: npt.NDArray[np.floating]) -> tuple[float, float]:
    return float(curve.mean(dtype=np.float64)), float(curve.var(dtype=np.float64))
