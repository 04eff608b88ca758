"""The sections of docs/reference/figures.md about themes: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts

KEYS = {
    "pitch_class_consistency": "pitch-class consistency",
    "grooving_consistency": "grooving consistency, 16 steps a bar",
    "grooving_consistency_48": "... 48 steps a bar",
    "grooving_consistency_corrected": "... corrected for chance",
    "melody_inconsistency": "melody inconsistency",
    "theme_inconsistency": "theme inconsistency",
    "theme_uncontrollability": "theme uncontrollability",
    "theme_gap": "theme gap, bars",
    "regions": "regions a piece",
    "share_marked": "share of bars that are marked",
    "notes_per_bar": "notes a bar",
}
RATIOS = ("ratio", "ratio_cpu")
DISTANCES = {"notes": "by counting changed notes, 0 to 1", "embedding": "by the encoder, 0 to 2"}


def returns(found: dict[str, Any]) -> str:
    """Whether the theme returns."""
    rows = []
    for name, meaning in DISTANCES.items():
        for side, distances in found["returns"].items():
            one, test = distances[name], distances[name]["nearer than unmarked"]
            values = (_figure(one[key], 3) for key in ("marked", "unmarked", "given another theme"))
            rows.append((meaning, side, *values, f"{test['nearer']} of {test['pairs']}", f"{test['p']:.1g}", _figure(test["effect"])))
    columns = found["metrics"]
    measured = [(word, *(_figure(column.get(key), 3) for column in columns.values())) for key, word in KEYS.items()]
    head = ("distance from the theme", "music", "marked", "not marked", "made on another theme", "marked is nearer", "p", "effect")
    about = (
        f"## Does the theme return\n\n`python benchmarks/theme_returns.py SHARDS{_flags(found)}`; the {found['songs']} test songs, and "
        f"pieces of {found['bars']} bars on their themes; in songs the first region is the theme and is compared with nothing. Not "
        "marked: all other fragments of two bars. Made on another theme: regions of the other pieces. Wilcoxon's signed-rank test over "
        "songs; effect: matched-pairs rank-biserial correlation, 1 if marked fragments are nearer in every song. Real, as long: songs "
        "cropped to as many bars from their theme on. Network alone: with `--likeness 0`.\n\n"
    )
    metrics = "\nThe metrics of themes, [defined by us](metrics.md#themes-thememeasure-melody_distance); means over songs or pieces.\n\n"
    return about + _texts.table(head, rows) + _between(found) + _hearing(found) + metrics + _texts.table(("metric", *columns), measured)


def _flags(found: dict[str, Any]) -> str:
    ablation = " --ablation BUNDLE" if "without gate" in found["bundles"] else ""
    ablation += " --gated BUNDLE" if "with gate, trained as long" in found["bundles"] else ""
    return ablation + (" --bridge N" if "bridge" in found["returns"] else "")


def _between(found: dict[str, Any]) -> str:
    """The network without its gate, against the one with it."""
    rows = []
    for kind, distances in found["between"].items():
        for name, meaning in DISTANCES.items():
            for what, test in distances[name].items():
                values = (f"{test['nearer']} of {test['pairs']}", f"{test['p']:.1g}", f"{test['effect']:+.2f}")
                rows.append((kind.removeprefix(", ") or "as it composes", meaning, what, *values))
    if not rows:
        return ""
    head = ("heard", "distance", "of", "less with the gate, songs", "p", "effect")
    return "\nWith the gate and without, trained alike, song by song:\n\n" + _texts.table(head, rows)


def _hearing(found: dict[str, Any]) -> str:
    """What real returns cost in bits."""
    rows = [
        (
            side,
            _figure(one["own"], 3),
            _figure(one["other"], 3),
            f"{one['nearer']} of {one['pairs']}",
            f"{one['p']:.1g}",
            f"{one['effect']:+.2f}",
        )
        for side, one in found["hearing"].items()
    ]
    head = ("network", "told the song's theme", "told another song's", "less with its own", "p", "effect")
    out = "\nBits a token of the returns in real test songs, nothing composed:\n\n" + _texts.table(head, rows)
    if one := found.get("hearing between"):
        out += (
            f"\nTrained as long, its own theme saves the network with the gate {one['difference']:.3f} bits a token more than the one "
            f"without, in {one['nearer']} of {one['pairs']} songs (p {one['p']:.1g}, effect {one['effect']:+.2f}).\n"
        )
    return out


def pieces(found: dict[str, Any]) -> str:
    """Pieces that were counted."""
    meaning = {
        "written": "composed and written", "exact": "exact in bars", "ends": "an onset in the last bar, all released at the final bar line",
        "tokens": "valid by the grammar: ids and music again without a change", "one voice": "a melody of one voice",
        "mido": "read by another parser: the same notes", "theme": "the theme is marked at least once", "sound": "not degenerate",
        "first": "taken at the first try",
    }  # fmt: skip
    rows = [(meaning[check], found["asked"], n) for check, n in found["held"].items()]
    rows += [("30 s or more, of 32 bars", found["long"], found["long of 30 s"]), ("unlike all others", found["asked"], found["different"])]
    failed = 1 - found["held"]["first"] / max(found["asked"], 1)
    return (
        f"## Pieces on themes, counted\n\n`python benchmarks/theme_pieces.py SHARDS`, model {found['bundle']}; themes of the test "
        f"songs, 16, 24 and 32 bars, read back from the written bytes. {failed:.1%} were not taken at the first try (goal: at most "
        "5 %).\n\n" + _texts.table(("what", "asked", "held"), rows)
    )


def speed(found: dict[str, Any]) -> str:
    """How fast a theme is developed."""
    rows = [
        (f"{found['bars']} bars, CPU s", f"{found['develop_s']:.2f}", f"<= {found['goal_s']:g}"),
        (f"{found['bars']} bars, s by the clock", f"{found['develop_wall_s']:.2f}", ""),
        ("tokens a CPU second", f"{found['tokens_per_s']:,.0f}", ""),
        ("notes a CPU second", f"{found['notes_per_s']:,.0f}", ""),
        ("loading, CPU s", f"{found['load_s']:.2f}", ""),
    ]
    sides = [
        (threads, side, *(f"{one[key]:,.0f}" for key in ("tokens_per_s", "tokens_per_cpu_s")), *(f"{one[key]:.1f} x" for key in RATIOS))
        for threads, by_side in found["network"].items()
        for side, one in by_side.items()
    ]
    about = (
        f"## Speed of developing a theme\n\n`python benchmarks/theme_speed.py`, model {found['bundle']}; composing uses one thread; "
        f"grammar and further attempts included. Median of {found['rounds']} rounds.\n\n"
    )
    alone = (
        f"\nThe network alone, {found['tokens']} tokens, the same weights: torch with keys and values kept, and torch that runs the "
        "decoder over all tokens again for each, as the published code does. The ratio is how many times faster the bundle is.\n\n"
    )
    head = ("threads", "side", "tokens/s", "tokens per CPU second", "ratio", "by CPU seconds")
    return about + _texts.table(("what", "value", "goal"), rows) + alone + _texts.table(head, sides)


def stages(found: dict[str, Any]) -> str:
    """What the stages of a run compose."""
    rows = found["stages"]
    head = ("", "real songs", *(f"step {row['step']:,}: {', '.join(row['names'])}" for row in rows))
    shown = {
        **KEYS,
        "marked, by notes": "marked bars from the theme, by notes",
        "unmarked, by notes": "other bars from the theme, by notes",
    }
    lines: list[tuple[Any, ...]] = [("validation loss, bits per token", "", *(_figure(row["loss"], 3) for row in rows))]
    for key, word in shown.items():
        lines.append((word, _figure(found["real"].get(key), 3), *(_figure(row["metrics"].get(key), 3) for row in rows)))
    lines.append(("distance from real songs, deviations", "0", *(_figure(row["distance"]) for row in rows)))
    best, lowest = (min(rows, key=lambda row: row[key]) for key in ("distance", "loss"))
    other = f"The lowest loss is that of step {lowest['step']:,}, {lowest['distance']:.2f} away."
    verdict = "It has the lowest loss too." if best is lowest else other
    about = (
        f"## Is the lowest loss the best music\n\n`python benchmarks/theme_stages.py RUN SHARDS`; {found['songs']} themes of validation "
        f"songs, {found['bars']} bars each, the network alone. Distance: mean over the six metrics of |it - real| / deviation of the real "
        f"songs. Nearest to real songs is step {best['step']:,}, {best['distance']:.2f} deviations away. {verdict}\n\n"
    )
    return about + _texts.table(head, lines)


def _figure(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


SECTIONS = {"theme_returns": returns, "theme_stages": stages, "theme_pieces": pieces, "theme_speed": speed}
