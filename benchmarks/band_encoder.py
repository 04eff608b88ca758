"""Whether a band hears the track that it plays around: tonal distance to it, when it was given that track and when it was given another's.

    python benchmarks/band_encoder.py SHARDS BUNDLE [--phrases 400] [--json PATH]

SHARDS is a folder of phrase shards, BUNDLE a band that plays around given tracks. Phrases are of the test part, of songs that have all
tracks, taken evenly. Each pitched track is given in turn (drums have no pitch, so nothing can be far from them), in the phrases in which
it sounds. From the same latents the band plays twice: around the track itself, and around the same track of a phrase of another song. Both
times the tonal distance between the phrase's own track and what was made for the other pitched tracks is measured, over the beats in
which both sound. If what is given did not reach the music, both would be the same.

Differences are paired by phrase. Test: Wilcoxon's signed-rank test, two-sided; effect: the matched-pairs rank-biserial correlation, from
-1 to 1 (1: every phrase is nearer to its own track). Intervals of the mean difference are 95 %, over the phrases. Beside it stands the
music of the data, which was written for the track. The network's cells are taken at the threshold 0, with none of composing's rules. It
needs scipy.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _bands
import _texts
import numpy as np
from scipy import stats

from kapelle.bundles import load
from kapelle.composing import band_model
from kapelle.data import phrase_shards
from kapelle.errors import UsageError
from kapelle.metrics import bootstrap, musegan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.composing.band_model import Model
    from kapelle.data.phrase_shards import Phrases

    Cells = NDArray[np.bool_]
    Floats = NDArray[np.float64]

SEED = 5
SIGNIFICANT = 0.01


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("bundle")
    parser.add_argument("--part", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--phrases", type=int, default=400, help="for each given track; 0: all")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    bundle, phrases = load.load(options.bundle), phrase_shards.read(options.shards)
    model = band_model.opened(bundle)
    if not model.conditional:
        raise UsageError("{name} plays from nothing: it has no encoder", name=bundle.name)
    pitched = [name for name in model.tracks if name != musegan.DRUMS]
    rows = {given: of_track(model, phrases, given, options.part, options.phrases) for given in pitched}
    report = {**_bands.identity(bundle), "part": options.part, "significant": SIGNIFICANT, "given": rows}
    if options.json:
        options.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    print(told(report))
    return 0


def of_track(model: Model, phrases: Phrases, given: str, part: str, most: int) -> dict[str, Any]:
    """What happens when a track is given."""
    track = phrases.tracks.index(given)
    places = _bands.whole_phrases(phrases, part)
    sounds = phrases.cells(places)[:, track].any(axis=(1, 2, 3))
    places = places[sounds]
    places = places[np.linspace(0, len(places) - 1, most).astype(int)] if 0 < most < len(places) else places
    others = np.roll(places, len(places) // 2)  # songs stand together: half the list away is another song
    apart = phrases.phrases["song"][places] != phrases.phrases["song"][others]
    own, other = phrases.cells(places[apart]), phrases.cells(others[apart])
    latents = _bands.draw_latents(model.latents, len(own), SEED)
    heard, misheard = (_bands.made_by(model, latents, _bands.alone(lead, track)) for lead in (own, other))
    values = [distances(own, music, model.tracks, track) for music in (heard, misheard, own)]
    return compared(*values)


def distances(lead: Cells, music: Cells, tracks: tuple[str, ...], track: int) -> Floats:
    """(N,) tonal distance between a track of `lead` and the other pitched tracks of `music`; NaN where they never sound together."""
    cells = music.copy()
    cells[:, track] = lead[:, track]
    tally = musegan.tally(cells, tracks)
    pairs = [key for key in tally.sums if key.startswith("TD/") and tracks[track] in key.split("/")[1].split("-")]
    sums, counts = (np.sum([values[key] for key in pairs], axis=0) for values in (tally.sums, tally.counts))
    return np.divide(sums, counts, out=np.full(len(cells), np.nan), where=counts > 0)


def compared(heard: Floats, misheard: Floats, written: Floats) -> dict[str, Any]:
    """Means, difference, test and effect over the phrases that have a value in all."""
    both = np.isfinite(heard) & np.isfinite(misheard)
    difference = misheard[both] - heard[both]
    out = {"phrases": int(both.sum()), "own": _mean(heard[both]), "other": _mean(misheard[both]), "written": _mean(written)}
    moved = difference[difference != 0]
    if not len(moved):
        return {**out, "difference": 0.0, "interval": [0.0, 0.0], "p": 1.0, "effect": 0.0}
    ranks = stats.rankdata(np.abs(moved))
    mean = bootstrap.ratio(difference, np.ones_like(difference))
    return {
        **out, "difference": mean.value, "interval": [mean.low, mean.high], "p": float(stats.wilcoxon(moved).pvalue),
        "effect": float((ranks * np.sign(moved)).sum() / ranks.sum()),
    }  # fmt: skip


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def told(report: dict[str, Any]) -> str:
    """For people."""
    figure = _texts.figure
    rows = [
        (given, one["phrases"], figure(one["own"], 3), figure(one["other"], 3),
         f"{one['difference']:+.3f} ({one['interval'][0]:+.3f} to {one['interval'][1]:+.3f})", f"{one['p']:.2g}", figure(one["effect"]),
         figure(one["written"], 3)) for given, one in report["given"].items()
    ]  # fmt: skip
    worse = [given for given, one in report["given"].items() if one["difference"] > 0 and one["p"] < report["significant"]]
    head = ("given", "phrases", "distance, heard", "distance, another heard", "worse by", "p", "effect", "distance, written for it")
    return (
        f"{report['bundle']}, {report['part']} part: tonal distance between the given track and what was made.\n\n"
        + _texts.table(head, rows)
        + f"\nFurther away when another track was heard (p < {report['significant']}): {', '.join(worse) or 'none'}; "
        f"{len(worse)} of {len(rows)}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
