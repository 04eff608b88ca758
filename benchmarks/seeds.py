"""How much the seed of training matters: several runs of one recipe on the same held-out music, each beside the n-gram baseline.

    python benchmarks/seeds.py SHARDS RUN [RUN ...] [--json PATH]

Each RUN was trained with its own ``training.seed``. The figures are those of `benchmarks/held_out.py`, which this script calls for
every run; a Markdown table goes to stdout. It needs the extra `train`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import held_out

from kapelle.training.recipe import read_again

GOAL = 0.10
"""Share by which every seed must stay below the n-gram."""


def measured(shards: Path, run: Path) -> dict[str, Any]:
    """Bits per note of one run and of the n-gram, with intervals, and its seed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "held_out.json"
        with contextlib.redirect_stdout(io.StringIO()):
            held_out.main([str(shards), str(run), "--json", str(place)])
        found = json.loads(place.read_text(encoding="utf-8"))
    recipe = read_again(run / "recipe.toml")
    model, ngram = (found["figures"][name]["bits_per_note"] for name in ("model", "n-gram"))
    below = found["figures"]["model"]["below_ngram"]
    files = found["held_out"]["sha256_of_files"]
    return {"seed": recipe.training.seed, "bits_per_note": model, "ngram": ngram, "below_ngram": below, "sha256_of_files": files}


def told(rows: list[dict[str, Any]]) -> str:
    """The table, its mean and its spread."""
    lines = ["| training seed | bits per note | below the n-gram |", "|---|---|---|"]
    for row in rows:
        bits, below = row["bits_per_note"], row["below_ngram"]
        interval = f"{below['value']:.1%} ({below['low']:.1%} to {below['high']:.1%})"
        lines.append(f"| {row['seed']} | {bits['value']:.2f} ({bits['low']:.2f} to {bits['high']:.2f}) | {interval} |")
    values = [row["bits_per_note"]["value"] for row in rows]
    spread = f", standard deviation {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    worst = min(row["below_ngram"]["value"] for row in rows)
    lines += [
        "",
        f"Mean {statistics.mean(values):.2f} bits per note{spread}; n-gram {rows[0]['ngram']['value']:.2f}. "
        f"The worst seed is {worst:.1%} below it; goal {GOAL:.0%}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--json", type=Path, help="write all figures there")
    given = parser.parse_args()
    rows = sorted((measured(given.shards, run) for run in given.runs), key=lambda row: int(row["seed"]))
    if given.json:
        given.json.write_text(json.dumps({"goal": GOAL, "runs": rows}, indent=1) + "\n", encoding="utf-8")
    print(told(rows))


if __name__ == "__main__":
    main()
