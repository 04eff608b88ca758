"""Does the theme return: are regions marked as theme nearer to the theme than all else is, in real songs and in what models make of them.

    python benchmarks/theme_returns.py SHARDS [--model theme] [--ablation BUNDLE --gated BUNDLE] [--bridge 29] [--json FILE]

SHARDS are those of `kapelle data prepare DATA --recipe theme`; their test part is the 29 songs that the published code names. The model
gets the first region of each, and makes a piece of `--bars` bars of it. Each region of a piece is compared with the theme that it was given
(in real songs: with the first region, each but the first), and so are all fragments of two bars that are not marked. Two distances: that
of the encoder, which also found the regions of the training data, and one that counts notes and knows none
(`metrics.theme.melody_distance`).

The model is heard twice: as it composes, where `likeness` gives the theme's own notes a share of the probability inside its returns, and
as the network alone, without that. `--ablation` names a bundle without the gate, heard alike, and `--gated` one with it that was trained
as long; `--bridge` adds so many pieces that a band begins. Controls: pieces made on the wrong theme (the regions of all other pieces
against the theme of this one); and, without composing, what the real returns of a song cost the network in bits, told the song's theme and
told another song's.

Test: Wilcoxon's signed-rank test over songs, each with the mean of its marked and of its unmarked fragments; effect: matched-pairs
rank-biserial correlation, 1 if marked fragments are nearer in every song. Needs scipy.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import _bands
import _texts
import _theme_hearing
import _themes
import numpy as np
from scipy import stats

import kapelle
from kapelle.metrics import bootstrap
from kapelle.metrics import theme as metrics

SIGNIFICANT, WORSE = 0.01, 0.05
MODEL, GATED, ABLATION, ALONE = "model", "with gate, trained as long", "without gate", ", network alone"
"""Sides; `ALONE` is added to those that compose without `likeness`."""

BARS = 32
KEYS = (
    "pitch_class_consistency", "grooving_consistency", "grooving_consistency_48", "grooving_consistency_corrected", "melody_inconsistency",
    "theme_inconsistency", "theme_uncontrollability", "theme_gap", "regions", "share_marked", "notes_per_bar",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--model", default="theme", help="bundle name or path")
    parser.add_argument("--ablation", default="", help="bundle of a network without the gate")
    parser.add_argument("--gated", default="", help="bundle with the gate that was trained as long; the model if left out")
    parser.add_argument("--bridge", type=int, default=0, help="pieces of the bridge to measure beside")
    parser.add_argument("--bars", type=int, default=BARS)
    parser.add_argument("--songs", type=int, default=0, help="so many of the songs; 0: all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    report = run(given)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    print(told(report))
    return 0


def run(given: argparse.Namespace) -> dict[str, Any]:
    """All sides, measured."""
    embedding = _themes.embed()
    songs = _themes.songs(given.shards, "test")[: given.songs or None]
    sides = {"real": songs, "real, as long": [_themes.cropped(song, given.bars) for song in songs]}
    bundles = {side: name for side, name in ((MODEL, given.model), (GATED, given.gated), (ABLATION, given.ablation)) if name}
    whole = GATED if given.gated else MODEL
    heard = {side: hearing(name, given) for side, name in bundles.items()}
    for side, name in bundles.items():
        for kind, settings in ((side, {}), (f"{side}{ALONE}", _themes.ALONE)):
            print(f"{kind}: {len(songs)} pieces of {given.bars} bars", file=sys.stderr, flush=True)
            sides[kind] = _themes.made(songs, name, given.bars, processes=given.processes, **settings)
    if given.bridge:
        sides["bridge"] = _themes.bridged(given.bridge, given.bars, processes=given.processes)
    return {
        "bars": given.bars,
        "songs": len(songs),
        "bundles": {side: _identity(name) for side, name in bundles.items()},
        "significant": SIGNIFICANT,
        "returns": {side: returns(pieces, embedding) for side, pieces in sides.items()},
        "metrics": {side: _themes.means(_themes.figures(piece, embedding) for piece in pieces) for side, pieces in sides.items()},
        "deviations": _themes.deviations(_themes.figures(song, embedding) for song in sides["real, as long"]),
        "between": {kind: nearer(sides[whole + kind], sides[ABLATION + kind], embedding) for kind in ("", ALONE) if ABLATION in sides},
        "hearing": {side: told_and_other(*costs) for side, costs in heard.items()},
        "hearing between": compared(_gain(heard[ABLATION]), _gain(heard[whole])) if ABLATION in heard else {},
    }


def _identity(name: str) -> dict[str, str]:
    held = kapelle.bundle(name)
    return {"bundle": held.name, "hash": held.hash}


def hearing(name: str, given: argparse.Namespace) -> tuple[_themes.Floats, _themes.Floats]:
    """(S,) and (S,) bits a token that real returns cost a network that is told the song's theme, and one that is told another."""
    own, other = _theme_hearing.bits(name, given.shards, "test", given.songs).T
    return own, other


def told_and_other(own: _themes.Floats, other: _themes.Floats) -> dict[str, Any]:
    """Means, and whether the own theme saves bits."""
    return {"own": _mean(own), "other": _mean(other), **compared(own, other)}


def _gain(costs: tuple[_themes.Floats, _themes.Floats]) -> _themes.Floats:
    return costs[1] - costs[0]


# --- distances of one side --------------------------------------------------------------------------------------------------


def returns(pieces: Sequence[_themes.Music], embedding: metrics.Embed) -> dict[str, Any]:
    """For each distance: of marked and unmarked fragments from the theme, and of the marked ones of pieces on other themes."""
    out = {}
    for name, compare in _themes.compares(embedding).items():
        cut = [piece.parts() for piece in pieces]
        marked, unmarked = _apart(pieces, compare).T
        wrong = [[one for one, other in zip(cut, pieces, strict=True) if other.name != piece.name] for piece in pieces]
        others = np.array([
            _mean(np.concatenate([metrics.distances(one, piece.condition, compare)[0] for one in strange] or [np.zeros(0)]))
            for piece, strange in zip(pieces, wrong, strict=True)
        ])  # fmt: skip
        out[name] = {
            "marked": _mean(marked), "unmarked": _mean(unmarked), "given another theme": _mean(others),
            "nearer than unmarked": compared(marked, unmarked), "nearer than given another theme": compared(marked, others),
            "by song": [{"song": piece.name, "marked": a, "unmarked": b} for piece, a, b in zip(pieces, marked, unmarked, strict=True)],
        }  # fmt: skip
    return out


def _apart(pieces: Sequence[_themes.Music], compare: metrics.Compare) -> _themes.Floats:
    """(S, 2) mean distances of every piece from its theme: of what is marked, and of what is not."""
    return np.array([[_mean(column) for column in metrics.distances(piece.parts(), piece.condition, compare)] for piece in pieces])


def compared(near: _themes.Floats, far: _themes.Floats) -> dict[str, Any]:
    """Whether `near` (S,) is below `far` (S,), by pairs that have both: test, effect, how many, mean difference with its interval."""
    both = np.isfinite(near) & np.isfinite(far)
    difference = far[both] - near[both]
    moved = difference[difference != 0]
    out = {"pairs": int(both.sum()), "nearer": int((difference > 0).sum())}
    if not len(moved):
        return {**out, "difference": 0.0, "interval": [0.0, 0.0], "p": 1.0, "effect": 0.0}
    ranks = stats.rankdata(np.abs(moved))
    mean = bootstrap.ratio(difference, np.ones_like(difference))
    return {
        **out, "difference": mean.value, "interval": [mean.low, mean.high], "p": float(stats.wilcoxon(moved).pvalue),
        "effect": float((ranks * np.sign(moved)).sum() / ranks.sum()),
    }  # fmt: skip


def nearer(ours: Sequence[_themes.Music], theirs: Sequence[_themes.Music], embedding: metrics.Embed) -> dict[str, Any]:
    """Whether a model's regions are nearer to the theme than another's on the same themes, and whether they stand out more."""
    out = {}
    for name, compare in _themes.compares(embedding).items():
        a, b = _apart(ours, compare), _apart(theirs, compare)
        out[name] = {"marked": compared(a[:, 0], b[:, 0]), "marked over unmarked": compared(_ratio(a), _ratio(b))}
    return out


def _ratio(rows: _themes.Floats) -> _themes.Floats:
    return np.divide(rows[:, 0], rows[:, 1], out=np.full(len(rows), np.nan), where=rows[:, 1] > 0)


def _mean(values: _themes.Floats) -> float:
    held = np.asarray(values, np.float64)
    held = held[np.isfinite(held)]
    return float(held.mean()) if len(held) else float("nan")


# --- telling --------------------------------------------------------------------------------------------------------------


def told(report: Mapping[str, Any]) -> str:
    """Tables and verdicts for people."""
    figure = _texts.figure
    head = ("distance", "side", "marked", "unmarked", "given another theme", "nearer", "p", "effect")
    rows = []
    for name in ("embedding", "notes"):
        for side, found in report["returns"].items():
            one, test = found[name], found[name]["nearer than unmarked"]
            rows.append((name, side, figure(one["marked"], 3), figure(one["unmarked"], 3), figure(one["given another theme"], 3),
                         f"{test['nearer']} of {test['pairs']}", f"{test['p']:.2g}", figure(test["effect"])))  # fmt: skip
    columns = report["metrics"]
    measured = [(key, *(figure(column.get(key), 3) for column in columns.values())) for key in KEYS]
    return (
        f"{report['songs']} test songs, pieces of {report['bars']} bars.\n\n"
        + _texts.table(head, rows)
        + "\n"
        + _texts.table(("metric (our definitions)", *columns), measured)
        + "\n"
        + "\n".join(verdicts(report))
        + "\n"
    )


def verdicts(report: Mapping[str, Any]) -> list[str]:
    """What was asked for, and whether it is so."""
    out = []
    for side in (MODEL, MODEL + ALONE):
        for name, found in report["returns"][side].items():
            test = found["nearer than unmarked"]
            held = "yes" if test["p"] < report["significant"] and test["effect"] > 0 else "NO"
            out.append(f"- the theme returns, {side}, by {name}: {held} (p {test['p']:.2g}, effect {test['effect']:.2f})")
    for kind, distances in report["between"].items():
        for name, found in distances.items():
            for what, test in found.items():
                worse = "yes" if test["effect"] > 0 and test["p"] < WORSE else "no"
                out.append(
                    f"- without the gate{kind}, it is worse, {what}, by {name}: {worse} (p {test['p']:.2g}, effect {test['effect']:+.2f})"
                )
    for side, one in report["hearing"].items():
        out.append(
            f"- {side}: real returns cost {one['own']:.3f} bits a token told their theme, {one['other']:.3f} told another "
            f"(p {one['p']:.2g}, effect {one['effect']:+.2f})"
        )
    if one := report.get("hearing between"):
        worse = "yes" if one["effect"] > 0 and one["p"] < WORSE else "no"
        out.append(
            f"- without the gate, its own theme saves it less: {worse} (by {one['difference']:.3f} bits a token, p {one['p']:.2g}, "
            f"effect {one['effect']:+.2f})"
        )
    return out


if __name__ == "__main__":
    sys.exit(main())
