"""Tokens per second of the Theme Transformer as a bundle against torch with the same weights, one piece of music; in one run.

    python benchmarks/theme_decoding.py [--json] [--rounds 3] [--tokens 480] [--threads 2]

Random weights in the shape of recipes/theme.toml with the 1,033 ids of the released vocabulary; a theme of 90 tokens, in which one token
of four stands. Each round runs three processes of its own, one after the other: the 8-bit bundle over onnxruntime, torch with a cache of
keys and values, torch that runs the decoder over all tokens again for each, as the authors' program does. All read the theme once, which
is not counted, and draw with the same function, top-p 0.9. Figures are medians over the rounds; ratios are taken within each round.
It needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import _sides
import numpy as np

from kapelle import config
from kapelle.models import theme
from kapelle.models.theme_onnx import shapes
from kapelle.sampling.filters import sample
from kapelle.sampling.options import SamplingOptions

RECIPE = Path(__file__).parents[1] / "recipes" / "theme.toml"
CONFIG = config.build(theme.Config, tomllib.loads(RECIPE.read_text(encoding="utf-8"))["model"] | {"vocabulary": 1033}, str(RECIPE))
THEME = np.random.default_rng(1).integers(1, CONFIG.vocabulary, 90)
SAMPLING = SamplingOptions(top_p=0.9)
IN_THEME, PERIOD = 90, 360
"""Tokens of a region, and from the start of one to the start of the next."""


def draw(feed: Any, n_tokens: int) -> None:
    """`n_tokens` tokens, each drawn from what `feed` (token, label) says of the one before it."""
    rng, token = np.random.default_rng(2), 1
    for at in range(n_tokens):
        place = at % PERIOD
        token = sample(feed(token, place + 1 if place < IN_THEME else 0), SAMPLING, rng)


def ours(place: Path, n_tokens: int, threads: int) -> dict[str, float]:
    from kapelle.bundles import load
    from kapelle.bundles.session import Translator

    session = Translator(load.load(place / "bundle"), threads=threads)
    session.encode({"theme": THEME[None]})
    ids, labels = np.zeros(1, np.int64), np.zeros(1, np.int64)

    def feed(token: int, label: int) -> np.ndarray:
        ids[0], labels[0] = token, label
        return session.feed({"ids": ids, "theme": labels})

    def run(n: int) -> None:
        session.reset()
        draw(feed, n)

    return _sides.timed(run, n_tokens)


def peer(place: Path, n_tokens: int, threads: int, *, cached: bool) -> dict[str, float]:
    import torch
    from _theme_torch import Again, Cached

    torch.set_num_threads(threads)
    network = theme.build(CONFIG).eval()
    held = np.load(place / "weights.npz")
    network.load_state_dict({name: torch.from_numpy(held[name]) for name in held.files})
    return _sides.timed(lambda n: draw((Cached if cached else Again)(network, THEME).feed, n), n_tokens)


SIDES: dict[str, Any] = {
    "kapelle": ours,
    "torch with a cache": lambda *given: peer(*given, cached=True),
    "torch, all again": lambda *given: peer(*given, cached=False),
}


def write_inputs(folder: Path) -> int:
    """The weights for both kinds of sides; returns the bytes of the bundle's graphs."""
    from kapelle.bundles.export import write_bundle
    from kapelle.bundles.manifest import Manifest
    from kapelle.bundles.quantise import quantise

    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(float("norm" in name and name.endswith("weight")), 0.05, sides).astype(np.float32)
        for name, sides in shapes(CONFIG).items()
    }
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]
    draft = Manifest("benchmark", "theme", "encoder_decoder", {}, {}, "none", theme.states(CONFIG), options={"context": CONFIG.n_positions})
    graphs = {role: quantise(graph).SerializeToString() for role, graph in theme.graphs(CONFIG, weights).items()}
    return write_bundle(folder / "bundle", draft, graphs, {}).n_bytes


def measure(rounds: int, n_tokens: int, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        n_bytes = write_inputs(Path(folder))
        made = _sides.rounds(__file__, SIDES, Path(folder), rounds, n_tokens, threads, "theme")

    def ratio(side: str, key: str) -> float:
        return statistics.median(mine[key] / other[key] for mine, other in zip(made["kapelle"], made[side], strict=True))

    peers = [side for side in SIDES if side != "kapelle"]
    return {
        "bundle_mb": n_bytes / 1e6,
        "new_tokens": n_tokens,
        "threads": threads,
        "rounds": rounds,
        "tokens_per_s": {side: statistics.median(item["per_s"] for item in results) for side, results in made.items()},
        "tokens_per_cpu_s": {side: statistics.median(item["per_cpu_s"] for item in results) for side, results in made.items()},
        "ratio": {side: ratio(side, "per_s") for side in peers},
        "ratio_cpu": {side: ratio(side, "per_cpu_s") for side in peers},
    }


def told(result: dict[str, Any]) -> str:
    """The result for people."""
    said = "bundle {bundle_mb:.1f} MB; {new_tokens} tokens, {threads} threads, median of {rounds} rounds"
    rows = [said.format(**result)]
    for side, speed in result["tokens_per_s"].items():
        row = f"{side:>20}: {speed:8.0f} tokens/s  {result['tokens_per_cpu_s'][side]:8.0f} tokens/CPU-s"
        if side in result["ratio"]:
            row += f"  ours is {result['ratio'][side]:.1f} times as fast, by CPU seconds {result['ratio_cpu'][side]:.1f}"
        rows.append(row)
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result for machines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=480, help=f"at most {CONFIG.n_positions}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shape", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(SIDES[given.side](given.place, given.tokens, given.threads)))
        return
    result = measure(given.rounds, given.tokens, given.threads)
    print(json.dumps(result, indent=1) if given.json else told(result))


if __name__ == "__main__":
    main()
