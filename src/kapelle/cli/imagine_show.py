"""What ``kapelle imagine`` says: the bar and the licence while it works, the sounds, the table of models, the self-test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from kapelle.errors import Interrupted, KapelleError, UnreadableInput

if TYPE_CHECKING:
    from kapelle.api.imagining import SoundWay
    from kapelle.api.sound_files import SoundFile
    from kapelle.cli.console import Console
    from kapelle.text_audio.catalogue import SoundModel

FACTS = ("prompt", "model", "seed", "seconds", "rate", "channels", "loudness", "denoised", "licence")
COLUMNS = ("file", "prompt", "seed", "seconds", "loudness")
NUMBERS = ("seed", "seconds", "loudness")
FAR_LU = 1.0
"""A sound that is so much quieter than it should be is warned of."""


@contextmanager
def working(model: SoundModel, way: SoundWay, console: Console) -> Iterator[tuple[SoundWay, Callable[[int, int], None]]]:
    """The way to a model that tells its licence if it has to be fetched, and what moves the bar while sounds are made."""
    from kapelle.api import imagining
    from kapelle.text_audio import catalogue

    for told in (imagining.fetch_notice(model, way), catalogue.check_commercial(model) if way.commercial else ""):
        if told:
            console.note("{why}", why=told)
    with console.bar("loading the model") as bar:

        def fetching(done: int, total: int) -> None:
            bar(done, total, f"{done / 1e6:,.0f} / {total / 1e6:,.0f} MB", "fetching")

        def move(done: int, total: int) -> None:
            bar(done, total, label="imagining")

        yield replace(way, notice=lambda text: None, fetching=fetching), move


def collected(made: Iterable[SoundFile], n: int, console: Console) -> list[SoundFile]:
    """All of `n` sounds; if an error ends them early, it is said how many are written. Ctrl-C says so itself."""
    out: list[SoundFile] = []
    written = 0
    try:
        for one in made:
            out.append(one)
            written += not one.kept
    except Interrupted:
        raise
    except KapelleError:
        if written:
            console.note("{done} of {count} sounds are written", done=len(out), count=n)
        raise
    return out


def sounds(made: Sequence[SoundFile], console: Console) -> None:
    """Print what was written, and warn of what is silent, too quiet or clipped."""
    from kapelle.audio.loudness import TARGET_LUFS

    kept = sum(one.kept for one in made)
    for one in made:
        if one.facts.get("lufs") == -math.inf and one.facts.get("true_peak_db") == -math.inf:
            console.warn("{path} is silent", path=one.order.path)
        elif one.facts.get("lufs", TARGET_LUFS) < TARGET_LUFS - FAR_LU:
            console.warn(
                "{path} is at {lufs:.1f} LUFS, not {wanted:g}: its peaks stand too high above the rest",
                path=one.order.path, lufs=one.facts["lufs"], wanted=TARGET_LUFS,
            )  # fmt: skip
        if one.facts.get("clipped"):
            console.warn("{path}: samples beyond full scale, which were clipped: {n}", path=one.order.path, n=one.facts["clipped"])
    if console.as_json:
        console.data({"sounds": [one.facts for one in made], "kept": kept})
        return
    if kept:
        console.note("{kept} of {count} sounds are there already", kept=kept, count=len(made))
    fresh = [_shown(one.facts) for one in made if not one.kept]
    if len(fresh) == 1:
        console.line(fresh[0]["file"])
        console.facts({label: fresh[0][label] for label in FACTS})
    elif fresh:
        console.table(COLUMNS, [[row[label] for label in COLUMNS] for row in fresh], numbers=NUMBERS)
        console.facts({"model": fresh[0]["model"], "licence": fresh[0]["licence"]}, indent="")


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as people read them."""
    level = f"{facts['lufs']:.1f} LUFS" if math.isfinite(facts.get("lufs", math.nan)) else None
    return {
        **facts,
        "seconds": f"{facts['seconds']:.2f}",
        "rate": f"{facts['sample_rate']:,} Hz",
        "loudness": level,
        "denoised": "\n".join(facts["copies"].values()),
        "licence": f"{facts['licence']}, {facts['licence_url']}",
    }


def models(console: Console) -> None:
    """Print the table of models; nothing is loaded and nobody is asked."""
    from kapelle import api

    rows = api.sound_models()
    if console.as_json:
        console.data({"models": rows})
        return
    labels = ("model", "memory", "rate", "channels", "longest", "takes", "licence", "fetched", "about")
    cells = []
    for row in rows:
        takes = ", ".join(name.replace("_", " ") for name in row["takes"])
        here = console.texts("yes" if row["fetched"] else "no")
        memory, rate, longest = f"{row['memory'] / 1e9:.1f} GB", f"{row['sample_rate'] / 1000:g} kHz", f"{row['longest_s']:g} s"
        cells.append((row["name"], memory, rate, row["channels"], longest, takes, row["licence"], here, row["about"]))
    console.table(labels, cells, numbers=("memory", "rate", "channels", "longest"))
    console.note(
        "`kapelle imagine PROMPT --model NAME` makes sound with one of them; the memory is that on a CPU: a GPU needs little more than half"
    )
    console.note("`kapelle imagine --models --json` tells more, such as the addresses of their licences")


def self_test(name: str, way: SoundWay, console: Console) -> None:
    """Make sound with a published model, and tell what was checked.

    Raises:
        UnreadableInput: The model does not do what it should.
    """
    from kapelle.api import imagining
    from kapelle.text_audio import catalogue

    with working(catalogue.find(name), way, console) as (way, move):
        found = imagining.self_test(name, way, progress=move)
    failed = [f"{one.name} ({one.detail})" for one in found.findings if not one.passed]
    if console.as_json and not failed:
        console.data({**asdict(found), "passed": found.passed})
    elif not console.as_json:
        rows = [(console.texts(one.name), console.texts("yes" if one.passed else "no"), one.detail) for one in found.findings]
        console.table(("check", "passed", "found"), rows)
        console.note("{name}: a second of sound took {seconds:.1f} s", name=name, seconds=found.seconds)
    if failed:
        raise UnreadableInput(
            "{model} does not do what it should on this machine: {what}", model=name, what=", ".join(failed),
            hint="`kapelle doctor` tells about the machine; --dtype float32 and --device cpu are the surest",
        )  # fmt: skip
