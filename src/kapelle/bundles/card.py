"""The card of a bundle: what it is, what it learned from and under which licences, how good it is, how to make it again.

Takes a manifest, gives Markdown. Every figure in it comes from the manifest; here they are only rounded to four digits. A figure named
``measured`` is Markdown of its own (tables of held-out figures and counts) and stands as it is; ``tables`` are for programs alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapelle.bundles.manifest import Manifest

PRECISIONS = {"8bit": "8-bit blocks", "fp32": "32-bit floats", "fp16": "16-bit floats"}


def text(manifest: Manifest, precision: str) -> str:
    """The card, in Markdown, with one newline at the end."""
    source = manifest.provenance
    sizes = ", ".join(f"{key} {manifest.options[key]}" for key in ("vocabulary", "context") if key in manifest.options) or _cells(manifest)
    parts = [
        f"# {manifest.name}",
        _table(
            ("", ""),
            [
                ("family", manifest.family),
                ("kind", manifest.kind),
                ("sizes", sizes or "see bundle.json"),
                ("weights", PRECISIONS.get(precision, precision)),
                ("codec", manifest.codec or "none"),
                ("licence of the weights", manifest.licence),
            ],
        ),
        "## Data",
        _data(source.data),
        "## Training",
        f"{source.steps:,} steps" + ("" if source.seconds is None else f", {source.seconds / 3600:.2f} hours") + ".",
        "## Figures",
        _table(("figure", "value"), _flat(source.figures)) if source.figures else "None were measured.",
        *([str(source.figures["measured"]).strip()] if "measured" in source.figures else []),
        "## Making it again",
        "With the recipe below as `recipe.toml`, and the data above below one folder:",
        _commands(manifest.name, source.figures.get("stage")),
        f"```toml\n{source.recipe.strip()}\n```" if source.recipe else "The recipe was not kept.",
    ]
    return "\n\n".join(parts) + "\n"


def _cells(manifest: Manifest) -> str:
    """What a model that makes piano-rolls makes in one go, or what a classifier tells apart by what; empty for others."""
    options, form = manifest.options, manifest.options.get("form") or {}
    if manifest.kind == "classifier" and "classes" in options:
        by = f" by {len(options['features'])} features" if "features" in options else ""
        return f"{', '.join(options['classes'])}{by}"
    if manifest.codec != "roll" or "tracks" not in options or not form:
        return ""
    return f"{', '.join(options['tracks'])}; bars {options['bars']}, steps of a bar {form['steps_per_bar']}, pitches {form['n_pitches']}"


def _data(sources: tuple[Mapping[str, Any], ...]) -> str:
    if not sources:
        return "None is named."
    rows = [(str(source["name"]), str(source["licence"]), _learned(source)) for source in sources]
    if not any(learned for *_, learned in rows):
        return _table(("data", "licence"), [(name, licence) for name, licence, _ in rows])
    return _table(("data", "licence", "phrases that it learned from"), rows)


def _learned(source: Mapping[str, Any]) -> str:
    """How many phrases of a data set were trained on; empty where music is not counted in phrases."""
    phrases = source.get("phrases")
    return f"{int(phrases['train']):,}" if isinstance(phrases, Mapping) and "train" in phrases else ""


def _commands(name: str, stage: object) -> str:
    return "\n".join(
        (
            "```sh",
            "kapelle data prepare DATA --recipe recipe.toml -o shards",
            "kapelle train recipe.toml --data shards -o run",
            f"kapelle export run -o {name}" + (f" --name {name} --stage {stage}" if stage else ""),
            "```",
        )
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in line)} |" for line in lines)


def _flat(figures: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested figures as rows: ``best.validation`` and its value; those of the last validation are left out where there are best ones."""
    rows = []
    for key, value in figures.items():
        if (key == "last" and figures.get("best")) or key == "tables":
            continue
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{key}.")
        elif key != "measured" and value not in ([], ()):
            rows.append((f"{before}{key}", _shown(value)))
    return rows


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value == int(value) or abs(value) >= 10_000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
