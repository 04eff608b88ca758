"""How near the themes that are found come to those that people mark: F1 of beats on three songs, beside the published values.

    python benchmarks/theme_retrieval.py REFERENCE [--bundle theme-encoder] [--also NAME=BUNDLE:EPS ...] [--picture PATH] [--json PATH]

REFERENCE is the folder theme_reference: of the songs 065, 310 and 449 of POP909 it holds the marks of three annotators, and what the
authors' contrastive clustering, two ablations of it, the correlative matrix and COSIATEC found. A beat belongs to a theme if one of the
theme's notes begins in it (`kapelle.data.patterns`); by this rule the released files give the published values, which is printed first.

Then ours: contrastive clustering with the shipped encoder, the correlative matrix and COSIATEC, on the melody that all files of a song
share. Neither the encoder nor eps has met these songs: eps comes from `benchmarks/theme_eps.py`. How F1 would be with another eps, and with
fragments that begin in every other bar alone, is told as well, and `--also` adds encoders that were trained in another way, each with the
eps that `benchmarks/theme_eps.py` gives it. Three songs are few: an average moves by .05 when one of them changes its mind.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import symusic

from kapelle.composing.embedding import NAME, embedder
from kapelle.data import patterns, themes
from kapelle.engraving import themes as engraving
from kapelle.score.melody import MELODY_NOTE

Melody = np.ndarray
Beats = frozenset[int]
Way = Callable[[Melody, int], Beats]

PUBLISHED = {
    "contrastive": {"065": (0.789, 0.816, 0.710), "310": (0.561, 0.000, 0.727), "449": (0.667, 0.349, 0.000)},
    "without note durations": {"065": (0.562, 0.585, 0.497), "310": (0.000, 0.000, 0.288), "449": (0.667, 0.349, 0.000)},
    "without pitch shift": {"065": (0.808, 0.813, 0.773), "310": (0.690, 0.184, 0.798), "449": (0.667, 0.349, 0.000)},
    "correlative matrix": {"065": (0.677, 0.702, 0.637), "310": (0.340, 0.000, 0.783), "449": (0.306, 0.776, 0.253)},
    "COSIATEC": {"065": (0.551, 0.574, 0.486), "310": (0.664, 0.000, 0.486), "449": (0.057, 0.367, 0.467)},
}
FILES = {
    "contrastive": "cl",
    "without note durations": "Cl_wo_NoteDur",
    "without pitch shift": "cl_wo_PthSft",
    "correlative matrix": "Cm",
    "COSIATEC": "Cosiatec",
}
SONGS = ("065", "310", "449")
ANNOTATORS = 3
SWEEP = tuple(round(0.05 * step, 2) for step in range(6, 22))
GOAL = 0.5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("--bundle", default=NAME)
    parser.add_argument("--also", action="append", default=[], metavar="NAME=BUNDLE:EPS")
    parser.add_argument("--picture", type=Path, help="draw the first song with its theme")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    found = measured(options.reference, options.bundle, dict(item.split("=", 1) for item in options.also))
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        picture(options.reference, SONGS[0], embedder(_place(options.bundle)), options.picture)
    return 0 if found["met"] else 1


def measured(reference: Path, bundle: str, also: dict[str, str] | None = None) -> dict[str, Any]:
    """All figures: of the released files, of our ways, and of ours with other settings."""
    folder = reference / "retrieval"
    marks = {song: [marked(folder / song / f"{song}_Annotator_{number}.mid")[1] for number in range(ANNOTATORS)] for song in SONGS}
    released = {way: {song: _scores(marked(folder / song / f"{song}_{name}.mid")[1], marks[song]) for song in SONGS}
                for way, name in FILES.items()}  # fmt: skip
    melodies = {song: marked(folder / song / f"{song}_Annotator_0.mid")[0] for song in SONGS}
    embed = embedder(_place(bundle))

    def scored(way: Way) -> dict[str, list[float]]:
        return {song: _scores(way(melody, bars_of(melody)), marks[song]) for song, melody in melodies.items()}

    ours = {
        "contrastive": scored(contrastive(embed)),
        "correlative matrix": scored(by_pattern(patterns.correlative_matrix)),
        "COSIATEC": scored(by_pattern(patterns.cosiatec)),
    }
    for name, told in (also or {}).items():
        place, _, eps = told.rpartition(":")
        ours[name] = scored(contrastive(embedder(_place(place)), float(eps)))
    average = {way: mean(scores) for way, scores in ours.items()}
    apart = [abs(released[way][song][a] - PUBLISHED[way][song][a]) for way in FILES for song in SONGS for a in range(ANNOTATORS)]
    return {
        "published": PUBLISHED, "released": released, "ours": ours,
        "averages": {
            "published": {way: mean(scores) for way, scores in PUBLISHED.items()},
            "released": {way: mean(scores) for way, scores in released.items()},
            "ours": average,
        },
        "released_apart": {"mean": round(float(np.mean(apart)), 4), "most": round(max(apart), 4)},
        "eps": {"contrastive": themes.EPS, **{name: float(told.rpartition(":")[2]) for name, told in (also or {}).items()}},
        "sweep": {f"{eps:.2f}": mean(scored(contrastive(embed, eps))) for eps in SWEEP},
        "hop_2": {f"{eps:.2f}": mean(scored(contrastive(embed, eps, themes.Search(hop=2)))) for eps in (themes.EPS, SWEEP[-1])},
        "themes": {song: list(found.recurrences) for song, one in melodies.items() if (found := themes.find(one, bars_of(one), embed))},
        "goal": GOAL,
        "met": average["contrastive"] >= max(GOAL, average["correlative matrix"], average["COSIATEC"]),
    }  # fmt: skip


def marked(path: Path) -> tuple[Melody, Beats]:
    """The melody of a file of marks, both tracks together, and the beats in which a marked note begins."""
    score = symusic.Score(path)
    step = score.ticks_per_quarter // 4
    notes = sorted(
        (n.time // step, n.pitch, n.duration // step, track.name == "Theme Regions") for track in score.tracks for n in track.notes
    )
    melody = np.array([(start, max(1, duration), pitch, 80) for start, pitch, duration, _ in notes], MELODY_NOTE)
    return melody, patterns.beats(melody, [place for place, note in enumerate(notes) if note[3]])


def bars_of(melody: Melody) -> int:
    """Bars up to the end of the last note."""
    return -(-int((melody["start"] + melody["duration"]).max()) // themes.STEPS_PER_BAR)


def contrastive(embed: themes.Embed, eps: float = themes.EPS, search: themes.Search | None = None) -> Way:
    """Clustering, as it is used everywhere."""

    def way(melody: Melody, n_bars: int) -> Beats:
        found = themes.find(melody, n_bars, embed, eps=eps, search=search)
        regions = [(start * themes.STEPS_PER_BAR, stop * themes.STEPS_PER_BAR) for start, stop in found.regions] if found else []
        return patterns.beats_of_regions(melody, regions)

    return way


def by_pattern(find: Callable[[Melody], patterns.Pattern | None]) -> Way:
    """A classical way."""

    def way(melody: Melody, n_bars: int) -> Beats:
        found = find(melody)
        return patterns.beats(melody, found.notes) if found else frozenset()

    return way


def mean(scores: dict[str, Any]) -> float:
    """Over songs and annotators."""
    return round(float(np.mean([value for values in scores.values() for value in values])), 4)


def picture(reference: Path, song: str, embed: themes.Embed, path: Path) -> None:
    """Draw a song: its melody with the theme, and how far apart its fragments are."""
    melody, _ = marked(reference / "retrieval" / song / f"{song}_Annotator_0.mid")
    n_bars = bars_of(melody)
    own = [one for one in themes.fragments(melody, n_bars) if len(one.notes) >= themes.Search().min_notes]
    apart = themes.distances(embed(own))
    bars = np.array([one.bar for one in own])
    found = themes.find(melody, n_bars, embed)
    first = int(np.flatnonzero(bars == found.bar)[0]) if found else 0
    regions = [(start, stop, float(apart[first, np.searchsorted(bars, start)])) for start, stop in found.regions] if found else []
    summary = f"{n_bars} bars, {len(own)} fragments, {len(regions)} theme regions"
    engraving.draw(engraving.Picture(melody, n_bars, regions, bars, apart, f"POP909 {song}", summary), path)


def _scores(found: Beats, marks: list[Beats]) -> list[float]:
    return [round(patterns.f1(found, one), 4) for one in marks]


def _place(bundle: str) -> str | Path:
    return Path(bundle) if Path(bundle).is_dir() else bundle


def show(found: dict[str, Any]) -> None:
    """Tables, ours beside the published values."""
    print(f"released files against published values: apart by {found['released_apart']['mean']:.4f} on average", file=sys.stderr)
    for way, scores in found["ours"].items():
        print(f"{way}: {found['averages']['ours'][way]:.3f} (published {found['averages']['published'].get(way, float('nan')):.3f})")
        for song in SONGS:
            theirs = PUBLISHED[way][song] if way in PUBLISHED else [float("nan")] * ANNOTATORS
            print(f"  {song}", "  ".join(f"{one:.3f} ({other:.3f})" for one, other in zip(scores[song], theirs, strict=True)))
    print("contrastive by eps:", "  ".join(f"{eps} {value:.3f}" for eps, value in found["sweep"].items()))
    print("every other bar:", "  ".join(f"{eps} {value:.3f}" for eps, value in found["hop_2"].items()))
    print("met" if found["met"] else "not met")


if __name__ == "__main__":
    raise SystemExit(main())
