"""Write docs/reference/figures.md from benchmarks/results/*.json, so that every figure of the docs stands where its command put it.

    python benchmarks/_page.py

A test holds the page to the files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # whoever loads this file by its path

import _page_audio  # noqa: E402
import _page_bridge  # noqa: E402
import _page_bulk  # noqa: E402
import _page_classifiers  # noqa: E402
import _page_codecs  # noqa: E402
import _page_denoising  # noqa: E402
import _page_extensions  # noqa: E402
import _page_genres  # noqa: E402
import _page_metrics  # noqa: E402
import _page_originality  # noqa: E402
import _page_ports  # noqa: E402
import _page_ranking  # noqa: E402
import _page_retrieval  # noqa: E402
import _page_sound_models  # noqa: E402
import _page_studio  # noqa: E402
import _page_studio_load  # noqa: E402
import _page_themes  # noqa: E402

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
    rows = [(name, f"{value:.2f}", goals.get(name, "")) for name, value in found["figures"].items()]
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


def _band_metrics(found: dict[str, Any]) -> str:
    first = next(iter(found.values()))
    sides = [side for side in ("data", "training", "shuffled", "untrained") if side in first["metrics"]]
    columns = {**{side: first["metrics"][side] for side in sides}, **{name: one["metrics"]["model"] for name, one in found.items()}}
    columns["published"] = first["published"]["data"]
    shown = [key for key in first["metrics"]["data"] if not key.startswith("QN/")]
    rows = [(key, *(_or_dash(column.get(key)) for column in columns.values())) for key in shown]
    apart = [
        (name, side, *(_or_dash(one["distances"][side].get(kind), 1) for kind in KINDS))
        for name, one in found.items()
        for side in ("model", "untrained")
        if side in one["distances"]
    ]
    apart += [
        ("the same music", side, *(_or_dash(first["distances"][side][kind], 1) for kind in KINDS)) for side in ("training", "shuffled")
    ]
    around = [name for name, one in found.items() if one["conditional"]]
    given = f" To {', '.join(around)} each track was given in turn, and only what it made is measured." if around else ""
    return (
        f"## Bands beside their data\n\n`python benchmarks/band_metrics.py SHARDS BUNDLE...`; data: {first['phrases']:,} phrases of the "
        f"{first['part']} part whose songs have all tracks; each band made {first['made']:,}, without composing's rules.{given} Training: "
        "as many phrases of the training part. Shuffled: the data, every track's bars in an order of their own. Untrained: the network of "
        f"{first['bundle']} with fresh weights. Published: training data of Dong et al. 2018, tables 1 and 2: other music, 96 steps a bar, "
        "UPC and TD by another definition (see below). QN8 is ours.\n\n"
        + _table(("metric", *columns), rows)
        + f"\n|x − data| / deviation of the data over resamples of {first['phrases']:,} phrases, mean over tracks or pairs. Shuffling bars "
        "changes no bar, so its EB, UPC and DP are the data's own and cannot be beaten.\n\n" + _table(("band", "weights", *KINDS), apart)
    )


def _band_encoder(found: dict[str, Any]) -> str:
    rows = []
    for given, one in found["given"].items():
        low, high = one["interval"]
        means = tuple(f"{one[name]:.3f}" for name in ("own", "other", "written"))
        rows.append(
            (
                given,
                one["phrases"],
                *means,
                f"{one['difference']:+.3f} ({low:+.3f} to {high:+.3f})",
                f"{one['p']:.2g}",
                f"{one['effect']:.2f}",
            )
        )
    head = ("given", "phrases", "heard", "another heard", "written for it", "worse by", "p", "effect")
    return (
        f"## Does a band hear its lead\n\n`python benchmarks/band_encoder.py SHARDS {found['bundle']}`; tonal distance between the given "
        "track and what was made for the other pitched tracks, from the same latents, when that track was heard and when another song's "
        f"was; by phrase of the {found['part']} part. Wilcoxon's signed-rank test; effect: matched-pairs rank-biserial correlation.\n\n"
        + _table(head, rows)
    )


def _band_speed(found: dict[str, Any]) -> str:
    goals = found["goals"]
    rows = [
        ("loading", f"{found['load_s']:.2f}", ""),
        ("64 bars of five parts", f"{found['long_s']:.2f}", f"<= {goals['long_s']:g}"),
        ("... writing the MIDI", f"{found['long_midi_s']:.3f}", ""),
        (f"{found['pieces']} pieces of 16 bars", f"{found['short_s']:.2f}", f"<= {goals['short_s']:g}"),
        ("... writing the MIDI", f"{found['short_midi_s']:.2f}", ""),
    ]
    against = ""
    if "ratio" in found:
        against = (
            f" The network alone: {found['phrase_ms']:.2f} ms a phrase, in torch {found['torch_phrase_ms']:.2f} ms: {found['ratio']:.1f} x."
        )
    return (
        f"## Speed of a band\n\n`python benchmarks/band_speed.py --model {found['bundle']}`; CPU seconds of one thread, median of "
        f"{found['rounds']} processes; composing's rules and further attempts included.{against}\n\n"
        + _table(("what", "CPU s", "goal"), rows)
    )


def _accompany(found: dict[str, Any]) -> str:
    meaning = {
        "notes": "the melody's notes, to the tick", "clock": "resolution, tempi, metres", "bars": "as many bars as the lead's music",
        "band": "all four others play, in half of the bars or more", "sound": "nothing to complain of",
    }  # fmt: skip
    rows = [(meaning[check], found["asked"], held) for check, held in found["held"].items()]
    return (
        f"## Leads that come back\n\n`python benchmarks/accompany.py DATA --model {found['bundle']} --shards SHARDS`; melodies of POP909, "
        "of songs of the test part, read back from the written bytes.\n\n" + _table(("what", "asked", "held"), rows)
    )


def _band_overfit(found: dict[str, Any]) -> str:
    data, made = found["kinds"]["data"], found["kinds"]["model"]
    rows = [(kind, _or_dash(data[kind]), _or_dash(made[kind]), f"{100 * (made[kind] / data[kind] - 1):+.1f} %") for kind in KINDS]
    given = ", each of their tracks given in turn" if found["conditional"] else ""
    return (
        f"## Can the loop of bands learn\n\n`python benchmarks/band_overfit.py SHARDS`: {found['recipe']} trained on {found['phrases']} "
        f"phrases alone, {found['steps']:,} steps in {found['seconds'] / 60:.0f} minutes of a busy core, weights of {found['step']:,}, "
        f"then {found['made']:,} phrases made{given}. Means over tracks or pairs; goal: within {found['goal']:.0%}, which "
        f"{sum(abs(made[kind] / data[kind] - 1) <= found['goal'] for kind in KINDS)} of {len(KINDS)} are.\n\n"
        + _table(("metric", "the phrases", "the band", "apart"), rows)
    )


KINDS = ("EB", "UPC", "QN8", "DP", "TD")


def _or_dash(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


SECTIONS = {
    "acceptance": _acceptance,
    "acceptance-remi-lstm": _acceptance_of,
    "acceptance-chopin": _acceptance_of,
    "acceptance-ensemble": _acceptance_of,
    "acceptance-band-hybrid": _acceptance_of,
    "acceptance-band-composer": _acceptance_of,
    "acceptance-band-jamming": _acceptance_of,
    "recall": _recall,
    "decoding": _decoding,
    "lstm_decoding": _lstm_decoding,
    "startup": _startup,
    "engraving": _engraving,
    "sine_render": _sine,
    "band_metrics": _band_metrics,
    "band_encoder": _band_encoder,
    "band_definitions": _band_definitions,
    "band_speed": _band_speed,
    "accompany": _accompany,
    "band_overfit": _band_overfit,
    **_page_retrieval.SECTIONS,
    **_page_themes.SECTIONS,
    **_page_bridge.SECTIONS,
    **_page_extensions.SECTIONS,
    **_page_bulk.SECTIONS,
    **_page_classifiers.SECTIONS,
    **_page_audio.SECTIONS,
    **_page_genres.SECTIONS,
    **_page_metrics.SECTIONS,
    **_page_originality.SECTIONS,
    **_page_ranking.SECTIONS,
    **_page_ports.SECTIONS,
    **_page_sound_models.SECTIONS,
    **_page_denoising.SECTIONS,
    **_page_studio.SECTIONS,
    **_page_studio_load.SECTIONS,
    **_page_codecs.SECTIONS,
}

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
