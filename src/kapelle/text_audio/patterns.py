"""In which order the codes of several codebooks are written by a language model of sound: interleaving patterns, as data.

A codec turns sound into codes (K, T): K codebooks, T moments. A language model writes a sequence (K, S): S steps, in each at most one
code per codebook. A `Pattern` says at which step every code is written; step 0 is the start and holds the special id alone. Takes and
gives numpy arrays of integers; it neither draws nor decodes anything: that is `musicgen_decoding`.

Source: J. Copet et al., "Simple and Controllable Music Generation", 2023, section 2.2 and figure 1. Codebooks count from 0 here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from kapelle.errors import UsageError

Codes = npt.NDArray[np.int64]

SPECIAL = 2_048
"""The id of "nothing here" in the published models, after the codes 0 to 2,047."""


@dataclass(frozen=True)
class Stage:
    """Codebooks that are written together, from the first moment to the last.

    Args:
        codebooks: Which.
        offsets: Of each, steps that it lies behind the stage's first; 0 or more.
        pace: Steps from one moment to the next; 1 or more.
    """

    codebooks: tuple[int, ...]
    offsets: tuple[int, ...]
    pace: int = 1

    def n_steps(self, n_moments: int) -> int:
        """Steps of the whole stage."""
        return (n_moments - 1) * self.pace + max(self.offsets) + 1 if n_moments else 0


@dataclass(frozen=True)
class Pattern:
    """Stages, one after another.

    Args:
        name: As the paper calls it.
        stages: At least one; each codebook from 0 on is in just one of them.

    Raises:
        UsageError: A codebook is missing or written twice, or two codes of one codebook would meet in a step.
    """

    name: str
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        written = sorted(chain.from_iterable(stage.codebooks for stage in self.stages))
        if not written or written != list(range(len(written))):
            raise UsageError("a pattern writes every codebook once, not {codebooks}", codebooks=written)
        for stage in self.stages:
            if len(stage.offsets) != len(stage.codebooks) or min(stage.offsets) < 0 or stage.pace < 1:
                raise UsageError("a stage has an offset of 0 or more for each codebook, and a pace of 1 or more")

    @property
    def n_codebooks(self) -> int:
        """K."""
        return sum(len(stage.codebooks) for stage in self.stages)

    def n_steps(self, n_moments: int) -> int:
        """S, with the start: steps until all codes of `n_moments` moments are out."""
        return 1 + sum(stage.n_steps(n_moments) for stage in self.stages)

    def steps(self, n_moments: int) -> Codes:
        """Where each code is written: shape (K, T), whole numbers from 1 to S - 1."""
        places = np.empty((self.n_codebooks, n_moments), dtype=np.int64)
        first = 1
        for stage in self.stages:
            for codebook, offset in zip(stage.codebooks, stage.offsets, strict=True):
                places[codebook] = first + offset + stage.pace * np.arange(n_moments)
            first += stage.n_steps(n_moments)
        return places

    def interleave(self, codes: Codes, special: int = SPECIAL) -> Codes:
        """The sequence that a language model sees.

        Args:
            codes: Of shape (K, T).
            special: What stands where no code is.

        Returns:
            Shape (K, S), `n_steps` steps.
        """
        self._check(codes)
        sequence = np.full((self.n_codebooks, self.n_steps(codes.shape[1])), special, dtype=np.int64)
        np.put_along_axis(sequence, self.steps(codes.shape[1]), codes, axis=1)
        return sequence

    def undo(self, sequence: Codes, n_moments: int) -> Codes:
        """The codes of a sequence: the inverse of `interleave`.

        Args:
            sequence: Of shape (K, S), at least `n_steps(n_moments)` steps.
            n_moments: T.

        Returns:
            Shape (K, T).
        """
        self._check(sequence)
        if sequence.shape[1] < self.n_steps(n_moments):
            raise UsageError(
                "{n} moments take {needed} steps, not {steps}", n=n_moments, needed=self.n_steps(n_moments), steps=sequence.shape[1]
            )
        return np.take_along_axis(sequence, self.steps(n_moments), axis=1)

    def _check(self, array: Codes) -> None:
        if array.ndim != 2 or array.shape[0] != self.n_codebooks:
            raise UsageError("the pattern has {n} codebooks; codes of shape {shape} do not fit", n=self.n_codebooks, shape=array.shape)


def delay(delays: tuple[int, ...]) -> Pattern:
    """Codebook k written `delays[k]` steps late, so that it can look at the coarser ones of its moment; of MusicGen: 0, 1, 2, 3."""
    return Pattern("delay", (Stage(tuple(range(len(delays))), delays),))


def parallel(n_codebooks: int) -> Pattern:
    """All codebooks of a moment in one step, none seeing the others."""
    return Pattern("parallel", (Stage(tuple(range(n_codebooks)), (0,) * n_codebooks),))


def flatten(n_codebooks: int) -> Pattern:
    """One code per step: exact, and K times as long."""
    return grouped(n_codebooks, n_codebooks, name="flatten")


def grouped(n_codebooks: int, group: int = 2, *, name: str = "grouped") -> Pattern:
    """Each group of codebooks flattened through all moments before the next group begins, much as MusicLM does."""
    codebooks = tuple(range(n_codebooks))
    groups = [codebooks[first : first + group] for first in range(0, n_codebooks, group)]
    return Pattern(name, tuple(Stage(members, tuple(range(len(members))), pace=len(members)) for members in groups))


def coarse_first(n_codebooks: int, delays: tuple[int, ...] | None = None) -> Pattern:
    """The first codebook through all moments, then the others together, delayed by `delays` (n_codebooks - 1 numbers; none: 0)."""
    rest = Stage(tuple(range(1, n_codebooks)), delays or (0,) * (n_codebooks - 1))
    return Pattern("coarse first", (Stage((0,), (0,)), rest))


def of_channels(n_codebooks: int, channels: int = 1) -> Pattern:
    """MusicGen's delays: a step more for each codebook; codebooks of two channels alternate, left and right at once.

    Args:
        n_codebooks: Of all channels together: 4 of the mono models, 8 of the stereo ones.
        channels: 1 or 2.
    """
    return delay(tuple(codebook // channels for codebook in range(n_codebooks)))
