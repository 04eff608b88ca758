"""The five metrics of MuseGAN of bands that ship, beside those of the music they learned from, of an untrained network and of chance.

    python benchmarks/band_metrics.py SHARDS BUNDLE... [--json PATH] [--card FILE]

SHARDS is a folder of phrase shards; BUNDLE a folder or a name. What stands beside each other, by track and by pair of tracks:

data        phrases of the test part whose songs have all tracks; no band has met these songs
training    as many of the training part, evenly over it: how far apart two halves of the same music are
model       as many, and 1,000 at least: cells above the threshold 0 as the network gives them, none of composing's rules; latents
            standard normal of a fixed seed. A band that plays around a track is given each track in turn, of phrases of the data, and only
            what it makes itself is measured
untrained   the same network with fresh weights (needs the extra `train`; else it is left out)
shuffled    the data, every track's bars in an order of their own: what tonal distance is by chance

A distance is |x - data| / the deviation of the data over bootstrap resamples of its phrases; the mean over tracks or pairs stands for a
metric. Intervals are 95 %, over the phrases made. The published figures (Dong et al. 2018, tables 1 and 2) are of other music, of 96
steps a bar and by the definitions of the released code; beside them stand ours by those definitions, where the form has them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _bands
import _texts
import numpy as np

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

SEED = 3
AT_LEAST = 1000
AT_ONCE = 64
SIDES = ("data", "training", "model", "untrained", "shuffled")


def _published(eb: str, upc: str, dp: float, td: str) -> dict[str, float]:
    names = {
        "EB": ("bass", "drums", "guitar", "piano", "strings"), "UPC": ("bass", "guitar", "piano", "strings"),
        "TD": ("bass-guitar", "bass-strings", "bass-piano", "guitar-strings", "guitar-piano", "strings-piano"),
    }  # fmt: skip
    rows = {"EB": eb, "UPC": upc, "TD": td}
    out = {f"{kind}/{name}": float(v) for kind, row in rows.items() for name, v in zip(names[kind], row.split(), strict=True) if v != "-"}
    return {**out, "DP/drums": dp}


PUBLISHED = {
    "data": _published("8.06 8.06 19.4 24.8 10.1", "1.71 3.08 3.28 3.38", 88.6, "1.57 1.58 1.51 1.10 1.02 1.04"),
    "jamming": _published("6.59 2.33 18.3 22.6 6.10", "1.53 3.69 4.13 4.09", 93.2, "1.56 1.60 1.54 1.05 0.99 1.05"),
    "composer": _published("0.01 28.9 1.34 0.02 0.01", "2.51 4.20 4.89 5.19", 75.3, "1.37 1.36 1.30 0.95 0.98 0.91"),
    "hybrid": _published("2.14 29.7 11.7 17.8 6.04", "2.35 4.76 5.45 5.24", 71.3, "1.34 1.35 1.32 0.85 0.85 0.83"),
    "jamming, conditional": _published("4.60 3.47 13.3 - 3.44", "2.05 3.79 - 4.23", 91.6, "1.51 1.53 1.50 1.04 0.95 1.00"),
    "composer, conditional": _published("0.65 20.7 1.97 - 1.49", "2.51 4.57 - 5.10", 84.5, "1.41 1.36 1.40 0.96 1.01 0.95"),
    "hybrid, conditional": _published("2.09 4.53 10.3 - 4.05", "2.86 4.43 - 4.32", 71.8, "1.39 1.36 1.38 0.96 0.94 0.95"),
}
"""Dong et al. 2018; QN is left out, as 16 steps a bar have no note shorter than its threshold. The conditional ones are given the piano."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--part", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--phrases", type=int, default=0, help="of the data, taken evenly; 0: all")
    parser.add_argument("--made", type=int, default=0, help="phrases that are made; 0: as many as of the data, and 1,000 at least")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--card", type=Path, help="Markdown for `kapelle export --measured`; of several bundles a folder of such files")
    options = parser.parse_args(arguments)
    data = Data(phrase_shards.read(options.shards), options.part, options.phrases)
    reports = {}
    for name in options.bundles:
        bundle = load.load(name)
        report = reports[bundle.name] = measured(data, bundle, options.made)
        print(f"## {bundle.name}\n\n{told(report)}")
        if options.card:
            path = options.card if len(options.bundles) == 1 else options.card / f"{bundle.name}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"### Beside the data\n\n{told(report)}", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(_bands.plain(reports), indent=1) + "\n", encoding="utf-8")
    return 0


class Data:
    """The phrases that everything is measured against, and what follows from them alone."""

    def __init__(self, phrases: Phrases, part: str, most: int) -> None:
        self.phrases, self.part = phrases, part
        self.cells = phrases.cells(_bands.whole_phrases(phrases, part, most))
        training = phrases.cells(_bands.whole_phrases(phrases, "train", len(self.cells)))
        self.tallies = {
            side: musegan.tally(cells, phrases.tracks)
            for side, cells in (("data", self.cells), ("training", training), ("shuffled", musegan.shuffle_bars(self.cells, SEED)))
        }
        self.deviations = self.tallies["data"].deviations()
        self.legacy = musegan.measure(self.cells, phrases.tracks, legacy=True)


def measured(data: Data, bundle: load.Bundle, n_made: int) -> dict[str, Any]:
    """Everything about one bundle, as JSON holds it."""
    model = band_model.opened(bundle)
    if (model.tracks, model.shape) != (data.phrases.tracks, data.cells.shape[1:]):
        raise UsageError("{name} makes other phrases than those in {path}", name=bundle.name, path=data.phrases.path)
    n = n_made or max(AT_LEAST, len(data.cells))
    latents, leads = _bands.draw_latents(model.latents, n, SEED), None
    if model.conditional:
        leads = data.cells[np.resize(np.arange(len(data.cells)), n)]
    made = {"model": _bands.in_turn(partial(_bands.made_by, model), model.tracks, latents, leads)}
    if fresh := _untrained(bundle, model):
        made["untrained"] = _bands.in_turn(fresh, model.tracks, latents, leads)
    tallies = {**data.tallies, **{side: _bands.tally_of(parts, model.tracks) for side, parts in made.items()}}
    found = {side: tallies[side].means() for side in SIDES if side in tallies}
    distances = {side: musegan.distance(found[side], found["data"], data.deviations) for side in found if side != "data"}
    kind = str((bundle.manifest.options.get("model") or {}).get("model", "tutorial")) + (", conditional" if model.conditional else "")
    return {
        **_bands.identity(bundle), "kind": kind, "conditional": model.conditional, "part": data.part,
        "phrases": len(data.cells), "made": n, "metrics": found, "deviations": data.deviations,
        "intervals": {key: _interval(tallies["model"], key) for key in found["model"]},
        "distances": {side: {**musegan.by_kind(apart), "mean": apart["mean"]} for side, apart in distances.items()},
        "legacy": {"data": data.legacy, "model": _bands.tally_of(made["model"], model.tracks, legacy=True).means()},
        "published": {"data": PUBLISHED["data"], "model": PUBLISHED.get(kind, {})},
        "command": "python benchmarks/band_metrics.py SHARDS " + bundle.name,
    }  # fmt: skip


# --- making -------------------------------------------------------------------------------------------------------------


def _untrained(bundle: load.Bundle, model: Model) -> Any:
    """What makes phrases with the network of a bundle and fresh weights; None without torch, or if the bundle does not tell its shape."""
    try:
        import torch
    except ImportError:
        return None
    if "model" not in bundle.manifest.options:
        return None
    from kapelle import config, models

    family: Any = models.family(bundle.manifest.family)
    shape = config.build(family.Config, dict(bundle.manifest.options["model"]), "model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network: Any = family.build(shape).eval().averaged

    @torch.inference_mode()
    def make(latents: _bands.Latents, given: Cells | None) -> Cells:
        n = len(next(iter(latents.values())))
        out = np.zeros((n, *model.shape), np.bool_)
        for start in range(0, n, AT_ONCE):
            here = slice(start, start + AT_ONCE)
            lead = None if given is None else family.real(shape, torch.from_numpy(given[here]))
            rolls = network({key: torch.from_numpy(values[here]) for key, values in latents.items()}, lead)
            out[here] = (family.scores(shape, rolls) > 0).numpy()
        return out

    return make


def _interval(tally: musegan.Tally, key: str) -> list[float]:
    found = bootstrap.ratio(tally.sums[key], tally.counts[key])
    return [found.low, found.high]


# --- telling ------------------------------------------------------------------------------------------------------------


def told(report: Mapping[str, Any]) -> str:
    """Tables and verdicts for people."""
    sides = [side for side in SIDES if side in report["metrics"]]
    figure = _texts.figure
    shown = [key for key in report["metrics"]["data"] if key.split("/")[0] in _bands.KINDS]
    rows = [
        (key, *(figure(report["metrics"][side][key]) + (_span(report, key) if side == "model" else "") for side in sides)) for key in shown
    ]
    others = [side for side in sides if side != "data"]
    apart = [(_bands.WORDS[kind], *(figure(report["distances"][side].get(kind), 1) for side in others)) for kind in _bands.KINDS]
    around = " Each track was given in turn, of held-out phrases; only what the band made is measured." if report["conditional"] else ""
    return (
        f"Measured with `{report['command']}`: data are {report['phrases']:,} phrases of the {report['part']} part whose songs have all "
        f"tracks, the model made {report['made']:,}, without composing's rules.{around} Intervals are 95 %.\n\n"
        + _texts.table(("metric", *sides), rows)
        + f"\nDistance from the data, in deviations of the data over resamples of {report['phrases']:,} phrases, mean over tracks or "
        "pairs:\n\n"
        + _texts.table(("metric", *others), apart)
        + "\n"
        + "\n".join(f"- {line}" for line in verdicts(report))
        + "\n\n"
        + _beside_published(report)
    )


def _span(report: Mapping[str, Any], key: str) -> str:
    low, high = report["intervals"][key]
    return f" ({_texts.figure(low)} to {_texts.figure(high)})" if _texts.figure(low) != "-" else ""


def verdicts(report: Mapping[str, Any]) -> list[str]:
    """Whether the model is nearer to the data than what it must beat."""
    apart = report["distances"]
    out = []
    if "untrained" in apart:
        fresh = apart["untrained"]
        silent = [kind for kind in _bands.KINDS if not np.isfinite(fresh[kind])]
        nearer = ", ".join(f"{kind} {_yes(apart['model'][kind] < fresh[kind])}" for kind in _bands.KINDS if kind not in silent)
        unheard = f" Fresh, this one is silent: it has no {', '.join(silent)}." if silent else ""
        out.append(f"Nearer to the data than an untrained network: {nearer}.{unheard}")
    ours, chance = apart["model"]["TD"], apart["shuffled"]["TD"]
    out.append(f"Nearer in tonal distance than shuffled bars: {_yes(ours < chance)} ({ours:.1f} against {chance:.1f} deviations).")
    out.append(
        "In the drum pattern nothing can be nearer than shuffled bars: their order changes no bar, so the shuffled data has the data's "
        f"own DP (EB and UPC likewise). The model is {_texts.figure(apart['model']['DP'], 1)} deviations from it, other training phrases "
        f"{_texts.figure(apart['training']['DP'], 1)}."
    )
    return out


def _yes(held: bool) -> str:
    return "yes" if held else "no"


def _beside_published(report: Mapping[str, Any]) -> str:
    """The published figures beside ours by their definitions."""
    theirs, ours = report["published"], report["legacy"]
    figure = _texts.figure
    rows = [
        (key, figure(value), figure(theirs["model"].get(key)), figure(ours["data"].get(key)), figure(ours["model"].get(key)))
        for key, value in theirs["data"].items()
    ]
    return (
        "Published (Dong et al. 2018: other music, 96 steps a bar, pitch classes folded into twelve bands) beside ours by those "
        "definitions, at 16 steps a bar:\n\n"
        + _texts.table(("metric", "published data", f"published {report['kind']}", "data", "model"), rows)
    )


if __name__ == "__main__":
    sys.exit(main())
