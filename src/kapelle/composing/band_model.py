"""A bundle of codec ``roll``, opened for composing: what it is made of, and one call that makes a phrase.

Takes a checked bundle and latents; gives scores, above 0 where a cell sounds. Phrases are made one at a time: in an 8-bit graph the
rounding of a phrase depends on what stands in its batch, and the same seed must give the same bytes for any length.
It knows nothing of keys, forms or notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.bundles.load import Bundle
from kapelle.bundles.session import Generator
from kapelle.composing.band_path import Latents
from kapelle.errors import BundleError, KapelleError
from kapelle.score.roll import TRACKS, Form

Scores = NDArray[np.float32]
"""(M, L, S, P): a cell sounds where it is above 0."""

GIVEN = "given"
OUTPUT = "scores"


@dataclass(frozen=True)
class Model:
    """A bundle, opened.

    Args:
        session: Runs it.
        tracks: Names of the M tracks, in the order of the cells.
        form: What a cell is.
        n_bars: Bars of a phrase.
        latents: Name -> shape, without the batch.
        conditional: It plays around tracks that are given.
        common_key: It knows music in C major and A minor alone.
        bpm: The tempo that it recommends; None for none.
    """

    session: Generator
    tracks: tuple[str, ...]
    form: Form
    n_bars: int
    latents: Mapping[str, tuple[int, ...]]
    conditional: bool
    common_key: bool
    bpm: float | None

    @property
    def n_steps(self) -> int:
        """Steps of a phrase."""
        return self.n_bars * self.form.steps_per_bar

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(M, L, S, P) of a phrase."""
        return len(self.tracks), self.n_bars, self.form.steps_per_bar, self.form.n_pitches

    def phrase(self, latents: Latents, given: NDArray[np.bool_] | None = None) -> Scores:
        """The scores of a phrase.

        Args:
            latents: By name.
            given: Cells (M, L, S, P) of the tracks to play around, for a conditional model.
        """
        inputs = {name: values[None] for name, values in latents.items()}
        if self.conditional:
            inputs[GIVEN] = np.zeros((1, *self.shape), np.float32) if given is None else given[None].astype(np.float32)
        out: Scores = self.session.generate(inputs)[OUTPUT][0]
        return out


@dataclass(frozen=True)
class _Held:
    """Carries a bundle past the cache, which goes by its hash alone."""

    hash: str
    bundle: Bundle = field(compare=False)


def opened(bundle: Bundle) -> Model:
    """The bundle's session and what its manifest tells; the last few are kept open.

    Raises:
        BundleError: It tells not what a band needs, or its graph is another.
    """
    return _opened(_Held(bundle.hash, bundle))


@lru_cache(maxsize=4)
def _opened(held: _Held) -> Model:
    bundle, options = held.bundle, held.bundle.manifest.options
    try:
        tracks = tuple(str(name) for name in options["tracks"])
        form = Form(**options["form"])
        latents = {str(name): tuple(int(side) for side in shape) for name, shape in options["latents"].items()}
        model = Model(
            Generator(bundle), tracks, form, int(options["bars"]), latents, bool(options.get("conditional")),
            bool(options.get("normalised_key")), _bpm(options),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(bundle, error) from error
    inputs = set(latents) | ({GIVEN} if model.conditional else set())
    if not set(tracks) <= set(TRACKS) or len(set(tracks)) < len(tracks) or model.n_bars < 1 or set(model.session.inputs) != inputs:
        raise _wrong(bundle, "tracks, bars and latents are not those of a band")
    _try(bundle, model)
    return model


def _try(bundle: Bundle, model: Model) -> None:
    """Run it once: what its graph gives must have the shape that the manifest tells."""
    try:
        made = model.phrase({name: np.zeros(shape, np.float32) for name, shape in model.latents.items()})
    except (KeyError, KapelleError) as error:
        raise _wrong(bundle, error) from error
    if made.shape != model.shape:
        raise _wrong(bundle, f"a phrase has the shape {made.shape}, not {model.shape}")


def _bpm(options: Mapping[str, Any]) -> float | None:
    return None if options.get("bpm") is None else float(options["bpm"])


def _wrong(bundle: Bundle, why: object) -> BundleError:
    return BundleError("the bundle {name} does not describe a band: {why}", name=bundle.name, why=why, hint="export the model again")
