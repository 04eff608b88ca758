"""Adapter of DeepFilterNet 3, a network that was trained to free speech of noise, held back so that some music is left.

Takes a `Waveform` and a strength; gives a `Waveform` of the same shape. The network hears 48 kHz and one channel: the sound is resampled
there and back by our own resampler, each channel by itself. It takes instruments for noise; so it may turn anything down by 6 to 12 dB
only (by strength), and its answer is mixed with the sound as it was, in the share that strength says.

The package ``deepfilternet`` is no extra of Kapelle: it forces numpy below 2, needs torch and torchaudio of one older version, and so
cannot live in one environment with the others. In one of its own it works. It downloads its weights at its first use.

Source: H. Schröter et al., "DeepFilterNet: perceptually motivated real-time speech enhancement", Interspeech 2023; package deepfilternet
0.5.6 (MIT or Apache 2.0), https://github.com/Rikorose/DeepFilterNet.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.audio.effects import resample
from kapelle.audio.waveform import Waveform
from kapelle.errors import Missing
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.audio.waveform import Samples

RATE_HZ = 48_000
MODEL = "DeepFilterNet3"
LEAST_DB, MOST_DB = 6.0, 12.0
"""How far anything is turned down by the network, at strength 0 and 1."""
PART_S, MARGIN_S = 30.0, 1.0
"""Sound that the network hears at once, and how much before and after it: it needs a moment to know the noise."""
PACKAGES = ("df", "libdf", "torch", "torchaudio")

Enhance = Callable[["Samples", float], "Samples"]
"""Samples of one channel at 48 kHz and an attenuation in dB in, as many samples out."""


def check_installed() -> None:
    """Raise Missing unless deepfilternet and what it needs are there."""
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        raise Missing(
            "deepfilternet is not installed, and cannot be beside the rest of Kapelle: it needs numpy below 2 and an older torch",
            hint="in an environment of its own, in Kapelle's repository: pip install . deepfilternet torch==2.2.2 torchaudio==2.2.2; "
            "or use --method wiener",
        )


def denoise(
    wave: Waveform,
    strength: float = 0.6,
    *,
    enhance: Enhance | None = None,
    progress: Report = quiet,
) -> Waveform:
    """`wave` with what the network takes for noise turned down by 6 to 12 dB and mixed in; of the same length, rate and channels.

    Args:
        wave: The sound.
        strength: 0 to 1: share of the network's answer in the mixture, and how far it may go.
        enhance: The network; the published weights if left out.
        progress: Called with (work done, work in all).

    Raises:
        Missing: deepfilternet is not installed, or its weights can neither be found nor fetched.
    """
    network = enhance or published()
    limit_db = LEAST_DB + (MOST_DB - LEAST_DB) * strength
    heard = resample(wave, RATE_HZ)
    total = heard.n_frames * heard.n_channels
    answer = np.empty_like(heard.samples)
    for channel in range(heard.n_channels):
        column = np.ascontiguousarray(heard.samples[:, channel])
        for start, stop, low, high in _parts(len(column)):
            answer[start:stop, channel] = network(column[low:high], limit_db)[start - low : stop - low]
            progress(channel * heard.n_frames + stop, total)
    # The difference travels back, not the answer: what is above the band of either rate stays as it was.
    removed = resample(Waveform(answer - heard.samples, RATE_HZ), wave.sample_rate).samples[: wave.n_frames]
    out = wave.samples.copy()
    out[: len(removed)] += np.float32(strength) * removed
    return Waveform(out, wave.sample_rate)


def _parts(n_samples: int) -> list[tuple[int, int, int, int]]:
    """Start and end of each part, and of what is heard for it."""
    part, margin = round(PART_S * RATE_HZ), round(MARGIN_S * RATE_HZ)
    starts = range(0, n_samples, part)
    return [(start, min(start + part, n_samples), max(start - margin, 0), min(start + part + margin, n_samples)) for start in starts]


@cache
def published() -> Enhance:
    """The network with its published weights, which it downloads unless they are in its cache.

    Raises:
        Missing: deepfilternet is not installed, or its weights can neither be found nor fetched.
    """
    check_installed()
    try:
        return opened()
    except OSError as error:  # those of downloading are OSErrors too
        from df.utils import get_cache_dir

        raise Missing(
            "the weights of {model} are not there and cannot be fetched: {why}",
            model=MODEL, why=type(error).__name__, folder=get_cache_dir(),
            hint="fetch them where there is a network, and put the folder {model} into {folder}",
        ) from error  # fmt: skip


def opened(folder: Path | None = None, *, trained: bool = True) -> Enhance:
    """A network as a function.

    Args:
        folder: Of its config.ini and checkpoints; None for the published one.
        trained: Whether to load a checkpoint; weights are random otherwise.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names a part of torchaudio by its older place
        from df.enhance import enhance, init_df
    model, state, _ = init_df(str(folder) if folder else None, log_level="ERROR", log_file=None, epoch="best" if trained else "none")

    def one(samples: Samples, limit_db: float) -> Samples:
        with torch.inference_mode():
            heard: Any = torch.from_numpy(np.array(samples)[None])
            answer: Samples = enhance(model, state, heard, atten_lim_db=limit_db)[0].numpy()
        return answer

    return one
