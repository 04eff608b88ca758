"""Whether a published model makes sound on this machine: what no test of Kapelle's own can find out, since they may not download weights.

Takes a loaded model and the folder of its weights; gives a `SelfTest` with a finding for each question. Three short sounds are made: one,
and then two more of which the second has the first one's seed. The sounds are not kept, and not judged: whether they are music is for ears.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kapelle.progress import Report, never, quiet
from kapelle.text_audio import weights
from kapelle.text_audio.prompts import GALLERY
from kapelle.text_audio.request import SILENCE_DB, SoundRequest

if TYPE_CHECKING:
    from kapelle.audio.waveform import Waveform
    from kapelle.text_audio.backend import Backend
    from kapelle.text_audio.catalogue import SoundModel

PROMPT = GALLERY[-1]
SECONDS = 3.0
SEED = 7
N_SOUNDS = 3
FULL = 0.999
MOST_FULL = 0.001
"""Share of samples at full scale from which on a sound counts as clipped."""


@dataclass(frozen=True)
class Finding:
    """The answer to a question.

    Args:
        name: What was asked, in a few words.
        passed: It is as it should be.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class SelfTest:
    """What a self-test found.

    Args:
        model: Name of the model.
        folder: Of its weights.
        seconds: That one second of sound took, without loading.
        findings: In the order in which they were asked.
    """

    model: str
    folder: Path
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """All is as it should be."""
        return all(finding.passed for finding in self.findings)


def self_test(
    backend: Backend, folder: Path, *, given: bool = False, progress: Report = quiet, cancelled: Callable[[], bool] = never
) -> SelfTest:
    """What a model does on this machine.

    Args:
        backend: The model, loaded.
        folder: Its weights.
        given: They were given by hand, so nobody knows what they should be; fetched ones are compared with what was published.
        progress: Called with tokens or steps done and in all, over the three sounds.
        cancelled: Asked between tokens or steps.

    Raises:
        KapelleError: As `Backend.imagine`; a model that fails so has not passed either.
    """
    began = time.perf_counter()
    sounds = _sounds(backend, progress, cancelled)
    took_s = (time.perf_counter() - began) / (N_SOUNDS * SECONDS)
    model = backend.model
    return SelfTest(model.name, folder, took_s, (_identity(model, folder, given=given), *_findings(model, sounds)))


def _sounds(backend: Backend, progress: Report, cancelled: Callable[[], bool]) -> tuple[Waveform, ...]:
    """A sound; then two at once, of which the second has the seed of the first one."""
    one = SoundRequest(prompt=PROMPT, duration_s=SECONDS, seed=SEED)
    two = SoundRequest(prompt=PROMPT, duration_s=SECONDS, seed=SEED - 1, count=N_SOUNDS - 1)
    first = tuple(backend.imagine(one, progress=lambda done, total: progress(done, N_SOUNDS * total), cancelled=cancelled))

    def rest(done: int, total: int) -> None:
        each = total // two.count
        progress(each + done, N_SOUNDS * each)

    return (*first, *backend.imagine(two, progress=rest, cancelled=cancelled))


def _identity(model: SoundModel, folder: Path, *, given: bool) -> Finding:
    """Which weights these are; fetched ones are read through and compared with what was published."""
    if given or model.by_hand:
        return Finding("weights", True, f"sha256 {weights.fingerprint(folder)[:16]}")
    checked = weights.verify(model)
    told = f"{checked.n_files} files as published, commit {checked.commit[:12]}"
    return Finding("weights", not checked.damaged, ", ".join(checked.damaged) or told)


def _findings(model: SoundModel, sounds: tuple[Waveform, ...]) -> tuple[Finding, ...]:
    first, other, again = sounds
    shapes = {(wave.n_frames, wave.n_channels, wave.sample_rate) for wave in sounds}
    wanted = (round(SECONDS * model.sample_rate), model.channels, model.sample_rate)
    quietest = min(wave.rms_db for wave in sounds)
    full = max(float(np.mean(np.abs(wave.samples) >= FULL)) for wave in sounds)
    apart = float(np.abs(first.samples - again.samples).max()) if first.samples.shape == again.samples.shape else np.inf
    differs = first.samples.shape != other.samples.shape or bool(np.any(first.samples != other.samples))
    frames, channels, rate = max(shapes)
    return (
        Finding("length", shapes == {wanted}, f"{frames:,} frames, {channels} channels, {rate:,} Hz"),
        Finding("level", quietest > SILENCE_DB, f"{quietest:.1f} dB at least"),
        Finding("clipping", full <= MOST_FULL, f"{full:.2%} of the samples at full scale"),
        Finding("same seed", apart == 0.0, "the same samples" if apart == 0.0 else f"samples differ by up to {apart:.2g}"),
        Finding("other seed", differs, "another sound" if differs else "the same sound"),
    )
