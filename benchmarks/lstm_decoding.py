"""Tokens per second of the REMI LSTM as a bundle against torch with the same weights, one token at a time, the memory carried; in one run.

    python benchmarks/lstm_decoding.py [--json] [--rounds 3] [--tokens 1000] [--threads 2] [--shape 2x512]

Random weights, vocabulary 500, embedding 192: at the width for which the goal was set (2 layers of 512) and at that of
recipes/remi-lstm.toml, where drawing takes about a third of a token's time on our side. Each round runs three processes of its own, one
after the other: the 8-bit bundle over onnxruntime, torch as it comes (with mkldnn), torch with mkldnn switched off. All draw with the
same function, top-p 0.95. Figures are medians over the rounds; the ratio is taken within each round, against the faster of the two.
It needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import _sides
import numpy as np

from kapelle.models import lstm
from kapelle.sampling.filters import sample
from kapelle.sampling.options import SamplingOptions

RECIPE = Path(__file__).parents[1] / "recipes" / "remi-lstm.toml"
SHIPPED = lstm.Config(vocabulary=500, **tomllib.loads(RECIPE.read_text(encoding="utf-8"))["model"])
GOAL_SHAPE, SHIPPED_SHAPE = "2x512", f"{SHIPPED.num_layers}x{SHIPPED.hidden_size}"
CONFIG = SHIPPED
SAMPLING = SamplingOptions(top_p=0.95)
GOAL = 12.0


def config_of(shape: str) -> lstm.Config:
    """The network of a shape such as "2x512"."""
    layers, width = (int(part) for part in shape.split("x"))
    return replace(SHIPPED, num_layers=layers, hidden_size=width)


def ours(place: Path, n_tokens: int, threads: int) -> dict[str, float]:
    from kapelle.bundles import load
    from kapelle.bundles.session import Decoder

    decoder = Decoder(load.load(place / "bundle"), threads=threads)

    def run(n: int) -> None:
        rng = np.random.default_rng(2)
        decoder.reset()
        token = 1
        for _ in range(n):
            token = sample(decoder.feed(np.array([token])), SAMPLING, rng)

    return _sides.timed(run, n_tokens)


def peer(place: Path, n_tokens: int, threads: int, *, mkldnn: bool) -> dict[str, float]:
    import torch

    torch.set_num_threads(threads)
    torch.backends.mkldnn.enabled = mkldnn
    network: Any = lstm.build(CONFIG).eval()
    held = np.load(place / "weights.npz")
    network.load_state_dict({name: torch.from_numpy(held[name]) for name in held.files})

    @torch.inference_mode()
    def run(n: int) -> None:
        rng = np.random.default_rng(2)
        token, memory = torch.ones((1, 1), dtype=torch.int64), None
        for _ in range(n):
            hidden, memory = network.lstm(network.embedding(token), memory)
            token[0, 0] = sample(network.output(hidden[0, -1]).numpy(), SAMPLING, rng)

    return _sides.timed(run, n_tokens)


SIDES: dict[str, Any] = {
    "kapelle": ours,
    "torch": lambda *given: peer(*given, mkldnn=True),
    "torch without mkldnn": lambda *given: peer(*given, mkldnn=False),
}


def write_inputs(folder: Path) -> None:
    from kapelle.bundles.export import write_bundle
    from kapelle.bundles.manifest import Manifest
    from kapelle.bundles.quantise import quantise

    rng = np.random.default_rng(0)
    wide, gates = CONFIG.hidden_size, 4 * CONFIG.hidden_size
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (CONFIG.vocabulary, CONFIG.embed_size)}
    for layer in range(CONFIG.num_layers):
        shapes |= {f"lstm.weight_ih_l{layer}": (gates, wide if layer else CONFIG.embed_size), f"lstm.weight_hh_l{layer}": (gates, wide)}
        shapes |= {f"lstm.bias_{part}_l{layer}": (gates,) for part in ("ih", "hh")}
    shapes |= {"output.weight": (CONFIG.vocabulary, wide), "output.bias": (CONFIG.vocabulary,)}
    weights = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]
    draft = Manifest("benchmark", "lstm", "autoregressive", {}, {}, "none", lstm.states(CONFIG))
    write_bundle(folder / "bundle", draft, {"step": quantise(lstm.graphs(CONFIG, weights)["step"]).SerializeToString()}, {})


def measure(rounds: int, n_tokens: int, threads: int, shape: str) -> dict[str, Any]:
    global CONFIG
    CONFIG = config_of(shape)
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        made = _sides.rounds(__file__, SIDES, Path(folder), rounds, n_tokens, threads, shape)

    def ratio(key: str) -> float:
        rows = zip(*made.values(), strict=True)
        return statistics.median(mine[key] / max(one[key], other[key]) for mine, one, other in rows)

    return {
        "shape": f"{shape}, embedding {CONFIG.embed_size}, vocabulary {CONFIG.vocabulary}",
        "new_tokens": n_tokens,
        "threads": threads,
        "rounds": rounds,
        "tokens_per_s": {side: statistics.median(item["per_s"] for item in results) for side, results in made.items()},
        "tokens_per_cpu_s": {side: statistics.median(item["per_cpu_s"] for item in results) for side, results in made.items()},
        "ratio": ratio("per_s"),
        "ratio_cpu": ratio("per_cpu_s"),
        "goal": GOAL,
    }


def told(result: dict[str, Any]) -> str:
    """The result for people."""
    rows = [
        f"{result['shape']}; {result['new_tokens']} tokens, {result['threads']} threads, median of {result['rounds']} rounds",
        *(f"{side:>20}: {speed:8.0f} tokens/s  {result['tokens_per_cpu_s'][side]:8.0f} tokens/CPU-s"
          for side, speed in result["tokens_per_s"].items()),
        f"ratio to the faster torch: {result['ratio']:.1f} (by CPU seconds {result['ratio_cpu']:.1f}); goal >= {GOAL:g}",
    ]  # fmt: skip
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result for machines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shape", default="", help=f"layers x width; both {GOAL_SHAPE} and {SHIPPED_SHAPE} if left out")
    given = parser.parse_args()
    if given.side:
        global CONFIG
        CONFIG = config_of(given.shape)
        print(json.dumps(SIDES[given.side](given.place, given.tokens, given.threads)))
        return
    shapes = [given.shape] if given.shape else [GOAL_SHAPE, SHIPPED_SHAPE]
    results = [measure(given.rounds, given.tokens, given.threads, shape) for shape in shapes]
    print(json.dumps({"shapes": results}, indent=1) if given.json else "\n".join(map(told, results)))


if __name__ == "__main__":
    main()
