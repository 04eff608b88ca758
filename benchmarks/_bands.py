"""What the benchmarks of bands share: phrases of shards, phrases of bundles and networks, figures for JSON.

Phrases are cells (N, M, L, S, P); a band's bundle is asked for one phrase at a time, as it is when it composes, and what it gives is
taken at the threshold 0 with none of composing's rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import UsageError
from kapelle.metrics import musegan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.bundles.load import Bundle
    from kapelle.composing.band_model import Model
    from kapelle.data.phrase_shards import Phrases

    Cells = NDArray[np.bool_]
    Places = NDArray[np.int64]
    Latents = dict[str, NDArray[np.float32]]
    Make = Callable[[Latents, Cells | None], Cells]

KINDS = ("EB", "UPC", "QN8", "DP", "TD")
"""The five metrics; with 16 steps a bar QN has one value by definition, and QN8 stands for it."""

WORDS = {
    "EB": "empty bars, %", "UPC": "pitch classes a bar", "QN8": "notes of an eighth or more, %", "DP": "drum onsets in the pattern, %",
    "TD": "tonal distance",
}  # fmt: skip


def whole_phrases(phrases: Phrases, part: str, most: int = 0) -> Places:
    """Places of the phrases of a part whose songs have all tracks, `most` of them taken evenly over all; 0: all.

    Raises:
        UsageError: There are none.
    """
    places = phrases.of(part)
    places = places[phrases.present(places).all(axis=1)]
    if not len(places):
        raise UsageError("the shards in {path} have no phrases of all tracks in the part {part}", path=phrases.path, part=part)
    return places[np.linspace(0, len(places) - 1, most).astype(int)] if 0 < most < len(places) else places


def draw_latents(shapes: Mapping[str, tuple[int, ...]], n: int, seed: int) -> Latents:
    """Standard normal latents of `n` phrases, by name."""
    draw = np.random.Generator(np.random.Philox(seed))
    return {name: draw.standard_normal((n, *shape)).astype(np.float32) for name, shape in shapes.items()}


def made_by(model: Model, latents: Latents, given: Cells | None = None) -> Cells:
    """The phrases that a bundle makes from latents, and around given tracks, which then stand in their places as they are."""
    n = len(next(iter(latents.values())))
    out: Cells = np.zeros((n, *model.shape), np.bool_)
    for place in range(n):
        around = None if given is None else given[place]
        out[place] = model.phrase({name: values[place] for name, values in latents.items()}, around) > 0
        if around is not None:
            heard = around.any(axis=(1, 2, 3))
            out[place, heard] = around[heard]
    return out


def identity(bundle: Bundle) -> dict[str, str]:
    """A bundle's name and the digest of its network, which stays the same when only its card changes."""
    return {"bundle": bundle.name, "network": bundle.manifest.files[bundle.manifest.graphs["generate"]].sha256}


def alone(cells: Cells, track: int) -> Cells:
    """Phrases of which one track is left."""
    out = np.zeros_like(cells)
    out[:, track] = cells[:, track]
    return out


def in_turn(make: Make, tracks: tuple[str, ...], latents: Latents, leads: Cells | None) -> dict[str, Cells]:
    """What is made, by the track that is given ("" for none): of `leads` every track gets its share of the phrases."""
    if leads is None:
        return {"": make(latents, None)}
    out = {}
    for track, name in enumerate(tracks):
        mine = slice(track, None, len(tracks))
        out[name] = make({key: values[mine] for key, values in latents.items()}, alone(leads[mine], track))
    return out


def tally_of(parts: Mapping[str, Cells], tracks: tuple[str, ...], *, legacy: bool = False) -> musegan.Tally:
    """Of all parts of `in_turn` together; where a track was given, what is said of it is left out."""
    tallies = {given: musegan.tally(cells, tracks, legacy=legacy) for given, cells in parts.items()}
    first = next(iter(tallies.values()))

    def joined(name: str) -> dict[str, NDArray[np.float64]]:
        return {
            key: np.concatenate([getattr(one, name)[key] * (given not in _tracks_of(key)) for given, one in tallies.items()])
            for key in first.sums
        }

    return musegan.Tally(joined("sums"), joined("counts"), first.certain)


def _tracks_of(key: str) -> list[str]:
    return key.split("/")[1].split("-")


def means_by_kind(found: Mapping[str, float]) -> dict[str, float]:
    """The mean of every metric over its tracks or pairs, those without a value left out."""
    groups = {kind: [v for key, v in found.items() if key.split("/")[0] == kind and math.isfinite(v)] for kind in KINDS}
    return {kind: float(np.mean(values)) if values else math.nan for kind, values in groups.items()}


def plain(value: Any) -> Any:
    """What JSON can hold: NaN becomes None, and numbers get five digits."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
