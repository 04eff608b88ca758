"""Write docs/reference/figures.md from benchmarks/results/*.json, so that every figure of the docs stands where its command put it.

    python benchmarks/_page.py

A test holds the page to the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "reference" / "figures.md"
HEAD = """# Figures

Made by `make acceptance` on a machine with two shared cores, written by `benchmarks/_page.py` from the files in `benchmarks/results/`.
Ratios are of two sides measured in the same run. The figures of a model on held-out music stand in its card.
"""


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for name, write in SECTIONS.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            parts.append(write(json.loads(path.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _startup(found: dict[str, Any]) -> str:
    goals = {**{k: f"<= {v:g}" for k, v in found["at_most"].items()}, **{k: f">= {v:g}" for k, v in found["at_least"].items()}}
    rows = [(name, f"{value:.2f}", goals[name]) for name, value in found["figures"].items()]
    return "## Start, memory, size\n\n`python benchmarks/startup.py`; seconds are CPU seconds.\n\n" + _table(
        ("figure", "value", "goal"), rows
    )


def _decoding(found: dict[str, Any]) -> str:
    goals = found["goals"]
    rows = [
        ("tokens/s against transformers.generate, by the clock", f"{found['ratio']:.1f} x", f">= {goals['ratio']:g} x"),
        ("the same by CPU seconds", f"{found['ratio_cpu']:.1f} x", ""),
        ("share of the floor: reading the weights once a token", f"{found['floor_share']:.0%}", f">= {goals['floor_share']:.0%}"),
        ("peak memory", f"{found['peak_mb']['kapelle']:.0f} MB", f"<= {goals['peak_mb']:g} MB"),
    ]
    return (
        "## Decoding\n\n`python benchmarks/decoding.py`; GPT-2 of the default composer's shape, the same weights, sampling included.\n\n"
        + _table(("figure", "value", "goal"), rows)
    )


def _sine(found: dict[str, Any]) -> str:
    return "## Sine renderer\n\n`python benchmarks/sine_render.py`, against pretty_midi.synthesize.\n\n" + _table(
        ("figure", "value"), [(name, f"{value:.3g}" if isinstance(value, float) else value) for name, value in found.items()]
    )


def _acceptance_of(found: dict[str, Any]) -> str:
    share = f" --share {found['share']:g}" if found.get("share", 1.0) != 1.0 else ""
    return _acceptance(found, f"python benchmarks/acceptance.py --model {found['model']}{share}")


def _engraving(found: dict[str, Any]) -> str:
    about = f"{found['notes']:,} notes, {found['music_s']:g} s of music, {found['pages']} pages"
    rows = [
        ("score to MusicXML, CPU s", f"{found['musicxml_cpu_s']:.2f}", ""),
        ("MusicXML to pages, CPU s", f"{found['svg_cpu_s']:.2f}", ""),
        ("pages to PDF, CPU s", f"{found['pdf_cpu_s']:.2f}", ""),
        ("all of it, CPU s", f"{found['all_cpu_s']:.2f}", f"<= {found['goals']['all_cpu_s']:g}"),
        ("MIDI to MusicXML by music21, CPU s", f"{found['music21_cpu_s']:.2f}", ""),
        ("ratio of the two ways to MusicXML", f"{found['ratio']:.1f} x", f">= {found['goals']['ratio']:g} x"),
    ]
    return f"## Sheet music\n\n`python benchmarks/engraving.py`; {about}.\n\n" + _table(("figure", "value", "goal"), rows)


def _acceptance(found: dict[str, Any], command: str = "python benchmarks/acceptance.py") -> str:
    counts = found["counts"]
    names = sorted({key for row in counts.values() for key in row if not key.startswith("first try") and key != "asked"})
    rows = [(name, row["asked"], *(row.get(key, "") for key in names)) for name, row in counts.items()]
    pieces = [row for name, row in counts.items() if name.startswith("compose")]
    failed = 1 - sum(row["first"] for row in pieces) / sum(row["asked"] for row in pieces)
    others = "" if command == "python benchmarks/acceptance.py" else f": {found['model']}"
    return (
        f"## Promises, counted{others}\n\n`{command}`, model {found['model']}. `first`: taken at the first try; "
        f"{failed:.1%} of the compositions were not (goal: at most 5 %).\n\n" + _table(("what", "asked", *names), rows)
    )


def _lstm_decoding(found: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = []
    for one in found["shapes"]:
        rows += [(f"{one['shape']}: {side}", f"{speed:,.0f}", f"{one['tokens_per_cpu_s'][side]:,.0f}")
                 for side, speed in one["tokens_per_s"].items()]  # fmt: skip
        rows.append(("the bundle against the faster torch", f"{one['ratio']:.1f} x", f"{one['ratio_cpu']:.1f} x"))
    rows.append(("goal, for 2x512", f">= {found['shapes'][0]['goal']:g} x", ""))
    head = "## Decoding, LSTM\n\n`python benchmarks/lstm_decoding.py`; the memory carried, sampling included. The second shape ships.\n\n"
    return head + _table(("side", "tokens/s", "tokens per CPU second"), rows)


def _recall(found: dict[str, Any]) -> str:
    bits = found["bits_per_note"]
    rows = [(part, bits[part]["alone"], bits[part]["recalling"]) for part in bits]
    return (
        "## Recall of pitch classes\n\n`python benchmarks/recall.py --shards SHARDS --data DIR`, model "
        f"{found['model']}: bits per note of the network alone, and leaning on what it has just heard; chosen on the validation part.\n\n"
        + _table(("part", "alone", "recalling"), rows)
    )


def _band_definitions(found: dict[str, Any]) -> str:
    ways = {"published": "published", "legacy": "ours by that definition", "defined": "pitch classes"}
    kinds = [(way, name) for way in ways for name in ("data", "shuffled")]
    pairs = [key for key in found["defined"]["data"] if key.startswith("TD/")]
    rows = [(key[3:], *(f"{found[way][name][key]:.2f}" for way, name in kinds)) for key in pairs]
    return (
        "## Tonal distance of a band, by definition\n\n`python benchmarks/band_definitions.py FOLDER`; published: training data of "
        f"Dong et al. 2018, table 2; ours: {found['phrases']:,} phrases of {found['pieces']} pieces of {found['folder']}. "
        "Shuffled: every track's bars in an order of their own.\n\n"
        + _table(("pair", *(f"{ways[way]}, {name}" for way, name in kinds)), rows)
    )


SECTIONS = {
    "acceptance": _acceptance,
    "acceptance-remi-lstm": _acceptance_of,
    "acceptance-chopin": _acceptance_of,
    "acceptance-ensemble": _acceptance_of,
    "recall": _recall,
    "decoding": _decoding,
    "lstm_decoding": _lstm_decoding,
    "startup": _startup,
    "engraving": _engraving,
    "sine_render": _sine,
    "band_definitions": _band_definitions,
}

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
