"""What `kapelle fit` tells: before training what will be done, after it what came of it, and what to type next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kapelle.cli.console import Console
    from kapelle.fitting import Fitted
    from kapelle.training.fit import Progress

ESTIMATE_S = 5.0
"""An estimate of the time left is made after so long: the first steps are slow."""

MUCH_ALIKE = 0.5
"""Variety of a band's phrases below which they are told to be much alike; that of held-out phrases is 1."""


def plan(report: dict[str, Any], console: Console) -> None:
    """Say on stderr what was kept, and how long training will be."""
    split, timing, start = report["split"], report["training"], report["start"]
    console.note("{kept} of {files} files are fit for training", kept=report["kept"], files=report["files"])
    if not split.get("validation"):
        console.warn("there are too few pieces to hold one out: nothing will tell whether the model learned or only remembers")
    if report["joined"]:
        genres = ", ".join(report["genres"])
        console.warn("{name} has fewer genres than the folder: all its music becomes the genre {genres}", name=start["name"], genres=genres)
    for new, old in report["instead_of"].items():
        console.note("genre {new} takes over the token of {old} in {name}", new=new, old=old, name=start["name"])
    console.note("training: {steps:,} steps, which see the music {epochs:g} times", steps=timing["steps"], epochs=timing["epochs"])


def with_estimate(tell: Callable[[Progress], None], console: Console) -> Callable[[Progress], None]:
    """`tell`, and once, when the pace is known, a line on stderr that says how long it will take."""
    from time import monotonic

    began: list[float] = []  # when the first step was done; emptied of meaning once the line is out

    def told(at: Progress) -> None:
        tell(at)
        if not began:
            began.append(monotonic())
        elif len(began) == 1 and monotonic() - began[0] >= ESTIMATE_S and at.step < at.steps:
            began.append(0.0)
            console.note("minutes left: about {minutes:.0f}, or less if it stops learning before", minutes=max(1.0, at.seconds_left / 60))

    return told


def show(made: Fitted, output: Path, console: Console) -> None:
    """Print the report of a fit."""
    report, figures = made.report, made.figures
    music, split, found = report["music"], report["split"], report["held_out"]
    amount = [f"{music[what]:,.0f} {console.texts(what)}" for what in ("phrases", "notes", "bars", "minutes") if what in music]
    best = (figures.get("best") or {}).get("step")
    console.line(str(output))
    console.facts(
        {
            "size": f"{made.manifest.n_bytes / 1e6:.1f} MB",
            "licence": made.manifest.licence,
            "files": f"{report['files']:,}",
            "kept": f"{report['kept']:,}",
            "music": ", ".join(amount),
            "tracks": ", ".join(f"{name} {share:.0%}" for name, share in music.get("tracks", {}).items()),
            "genres": ", ".join(f"{genre} {n}" for genre, n in report["genres"].items()),
            "split": ", ".join(f"{part} {n}" for part, n in sorted(split.items())),
            "steps": f"{figures['step']:,}",
            "best step": "" if best is None else f"{best:,.0f}",
            "seconds": figures["seconds"],
            "curves": report["curves"],
            "report": f"{report['work']}/report.json",
        }
    )
    if report["dropped"]:
        console.line()
        dropped = sorted(report["dropped"].items(), key=lambda item: -item[1])
        console.table(("dropped because", "files"), [(console.texts(why), n) for why, n in dropped], numbers=("files",))
    if found:
        console.line()
        labels = {"n-gram": console.texts("n-gram of the same music"), "music": console.texts("the music that it learned from"),
                  "before": console.texts("before training"), "after": console.texts("after training")}  # fmt: skip
        rows = [(label, f"{found[key]:.2f}") for key, label in labels.items() if key in found]
        if "n-gram" in found:
            console.table(("held-out music", "bits per note"), rows, numbers=("bits per note",))
        else:
            console.table(("held-out music", "distance"), rows, numbers=("distance",))
    _next(made, output, console)


def _next(made: Fitted, output: Path, console: Console) -> None:
    found = made.report["held_out"]
    if "n-gram" in found and found["after"] >= found.get("before", found["n-gram"]):
        console.warn("it foretells held-out music no better than {what}; more music would help",
                     what=console.texts("before training" if "before" in found else "n-gram of the same music"))  # fmt: skip
    if found.get("variety", 1.0) < MUCH_ALIKE:
        console.warn("its phrases are much alike (variety {variety:.2f}; held-out music: 1): more steps or more music would help",
                     variety=found["variety"])  # fmt: skip
    elif "variety" in found and found["after"] >= found.get("before", math.inf):
        console.warn("its phrases are no nearer to held-out music than before training")
    if not made.figures["finished"]:
        console.warn("the time was over before training was; the same command with --force goes on")
    if made.manifest.kind == "encoder":  # nothing is composed with it
        return
    console.line()
    if made.manifest.codec == "theme":
        begin = "kapelle develop theme.mid"
    else:
        begin = "kapelle accompany lead.mid" if made.manifest.options.get("conditional", False) else "kapelle compose"
    console.line(f"{begin} -m {output} -o piece.mid")
