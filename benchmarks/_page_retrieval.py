"""The sections of docs/reference/figures.md about finding themes: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts


def stability(found: dict[str, Any]) -> str:
    rows = [
        (f"{row['eps']:.2f}", f"{row['index']:.3f}", f"{row['index_3']:.3f}", f"{row['clusters']:.1f}", f"{row['largest']:.0%}")
        for row in found["curve"]
        if round(row["eps"] * 100) % 10 == 0 or row["eps"] == found["eps"]
    ]
    fewest = ", ".join(f"{n}: {told['index']:.3f} ({told['kept']:.0%} of the fragments)" for n, told in found["fewest_notes"].items())
    hops, head = found["hop_kappa"], ("eps", "adjusted Rand index", "the same, 3 to a core", "clusters", "largest cluster")
    return (
        f"## Eps of themes\n\n`python benchmarks/theme_eps.py SHARDS`; {found['songs']} songs that the encoder has not learned from and "
        f"nobody has marked, {found['fragments']:,} fragments, {found['draws']} draws. Chosen: {found['eps']:g}, the largest whose index "
        f"is within 0.01 of the best, {found['best']:.3f}. Index by the fewest notes of a fragment: {fewest}. Kappa of the theme's bars "
        f"with and without a song's first bar: {hops['1']:.2f} if fragments begin in every bar, {hops['2']:.2f} in every other.\n\n"
    ) + _texts.table(head, rows)


def retrieval(found: dict[str, Any]) -> str:
    published, songs = found["averages"]["published"], list(found["published"]["contrastive"])
    rows = []
    for way, scores in found["ours"].items():
        theirs = found["published"].get(way, {})
        cells = [_threes(scores[song]) + (f" ({_threes(theirs[song])})" if theirs else "") for song in songs]
        average = f"{found['averages']['ours'][way]:.3f}" + (f" ({published[way]:.3f})" if way in published else "")
        rows.append((way, f"{found['eps'][way]:g}" if way in found["eps"] else "", *cells, average))
    sweep = ", ".join(f"{eps} {value:.3f}" for eps, value in found["sweep"].items())
    apart, met = found["released_apart"], "met" if found["met"] else "not met"
    return (
        "## Themes that people mark\n\n`python benchmarks/theme_retrieval.py REFERENCE`; F1 of beats on three songs of POP909 against each "
        "of three annotators, ours and in brackets the published value. The released files of the authors' ways give the published values "
        f"to within {apart['mean']:.4f} on average, {apart['most']:.3f} at most. Goal: contrastive at least {found['goal']:.2f} on "
        f"average, and no less than the other two ways; {met}. Encoders trained without a change, or from another seed, have their own "
        f"eps by the same rule. Contrastive by eps: {sweep}.\n\n"
    ) + _texts.table(("way", "eps", *songs, "average"), rows)


def _threes(values: list[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


SECTIONS = {"theme_eps": stability, "theme_retrieval": retrieval}
