"""Tokens per second of a bundle against transformers.generate with the same weights, in one run; share of the memory floor; peak memory.

    python benchmarks/decoding.py [--json] [--rounds 3] [--tokens 500] [--threads 2] [--shape 4x256]

Random weights of a shape (4x256 is that of the default composer, 6x512 that of the recipe `genre`; vocabulary 700) are written as an
8-bit bundle and as arrays. Each round runs three processes of its own, one after the other: the bundle, the peer, and a plain read of the
bundle's bytes by as many threads, which no step that uses every weight once can beat. Both sides draw with top-p 0.97 from a prompt of 16
ids. Figures are medians over the rounds; the ratio is taken within each round. CPU seconds stand beside, since they are less moved by
what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import _sides
import numpy as np

from kapelle.bundles import load
from kapelle.bundles.export import write_bundle
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.session import Decoder
from kapelle.models import gpt
from kapelle.sampling.filters import sample
from kapelle.sampling.options import SamplingOptions

HEAD_WIDTH = 64
N_PROMPT = 16
SAMPLING = SamplingOptions(top_p=0.97)
GOALS = {"ratio": 10.0, "floor_share": 0.33, "peak_mb": 250.0}


def config_of(shape: str) -> gpt.Config:
    """The network of a shape such as "6x512"."""
    layers, width = (int(part) for part in shape.split("x"))
    return gpt.Config(vocabulary=700, n_positions=1024, n_embd=width, n_layer=layers, n_head=width // HEAD_WIDTH)


CONFIG = config_of("4x256")


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """GPT-2's first weights: normal values of deviation 0.02, norms of one, no biases."""
    rng = np.random.default_rng(seed)
    width = CONFIG.n_embd
    out = {
        "transformer.wte.weight": rng.normal(0, 0.02, (CONFIG.vocabulary, width)),
        "transformer.wpe.weight": rng.normal(0, 0.02, (CONFIG.n_positions, width)),
    }
    norms = ["transformer.ln_f"]
    for layer in range(CONFIG.n_layer):
        name = f"transformer.h.{layer}"
        norms += [f"{name}.ln_1", f"{name}.ln_2"]
        for part, inner, outer in (("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4), ("mlp.c_proj", 4, 1)):
            out[f"{name}.{part}.weight"] = rng.normal(0, 0.02, (inner * width, outer * width))
            out[f"{name}.{part}.bias"] = np.zeros(outer * width)
    for name in norms:
        out |= {f"{name}.weight": np.ones(width), f"{name}.bias": np.zeros(width)}
    return {name: array.astype(np.float32) for name, array in out.items()}


def peak_mb() -> float:
    """The most memory that this process has held."""
    try:  # getrusage would count the parent's memory as well
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def ours(place: Path, n_tokens: int, threads: int) -> dict[str, float]:
    began = time.process_time()
    decoder = Decoder(load.load(place / "bundle"), threads=threads, context=N_PROMPT + n_tokens)
    prompt = np.random.default_rng(1).integers(0, CONFIG.vocabulary, N_PROMPT)
    decoder.feed(prompt)
    ready = time.process_time() - began

    def run(n: int) -> None:
        rng = np.random.default_rng(2)
        decoder.reset()
        logits = decoder.feed(prompt)
        for _ in range(n):
            logits = decoder.feed(np.array([sample(logits, SAMPLING, rng)]))

    return timed(run, n_tokens) | {"load_cpu_s": ready}


def peer(place: Path, n_tokens: int, threads: int) -> dict[str, float]:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network: Any = gpt.build(CONFIG).eval()
    held = np.load(place / "weights.npz")
    network.load_state_dict({name: torch.from_numpy(held[name]) for name in held.files}, strict=False)
    network.config.use_cache = network.generation_config.use_cache = True
    prompt = torch.from_numpy(np.random.default_rng(1).integers(0, CONFIG.vocabulary, (1, N_PROMPT)))
    mask = torch.ones_like(prompt)

    def run(n: int) -> None:
        options = {"do_sample": True, "top_p": SAMPLING.top_p, "top_k": 0, "min_new_tokens": n, "max_new_tokens": n, "pad_token_id": 0}
        with torch.inference_mode():
            made = network.generate(prompt, attention_mask=mask, **options)
        if made.shape[1] != N_PROMPT + n:
            raise SystemExit(f"the peer made {made.shape[1] - N_PROMPT} tokens instead of {n}")

    return timed(run, n_tokens)


def floor(place: Path, n_tokens: int, threads: int) -> dict[str, float]:
    """Steps per second of a process that does nothing but read the step graph's bytes once a step."""
    data = np.frombuffer((place / "bundle" / "step.onnx").read_bytes(), np.uint8)
    words = data[: data.size // 64 * 64].view(np.uint64)
    parts = np.array_split(words, threads)

    def run(n: int) -> None:
        workers = [threading.Thread(target=lambda part=part: [np.bitwise_or.reduce(part) for _ in range(n)]) for part in parts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return timed(run, n_tokens)


def timed(run: Any, n: int) -> dict[str, float]:
    """Tokens per second of `n` tokens, and the peak of memory."""
    return _sides.timed(run, n) | {"peak_mb": peak_mb()}


SIDES = {"kapelle": ours, "transformers": peer, "floor": floor}


def measure(rounds: int, n_tokens: int, threads: int, shape: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        size = (Path(folder) / "bundle" / "step.onnx").stat().st_size
        made = _sides.rounds(__file__, SIDES, Path(folder), rounds, n_tokens, threads, shape)

    def middle(values: list[float]) -> float:
        return statistics.median(values)

    def ratio(key: str, other: str) -> float:
        return middle([a[key] / b[key] for a, b in zip(made["kapelle"], made[other], strict=True)])

    return {
        "shape": f"{shape}, vocabulary 700, prompt 16",
        "new_tokens": n_tokens,
        "threads": threads,
        "rounds": rounds,
        "bundle_mb": size / 1e6,
        "tokens_per_s": {side: middle([item["per_s"] for item in results]) for side, results in made.items()},
        "tokens_per_cpu_s": {side: middle([item["per_cpu_s"] for item in results]) for side, results in made.items()},
        "peak_mb": {side: middle([item["peak_mb"] for item in made[side]]) for side in ("kapelle", "transformers")},
        "load_cpu_s": middle([item["load_cpu_s"] for item in made["kapelle"]]),
        "ratio": ratio("per_s", "transformers"),
        "ratio_cpu": ratio("per_cpu_s", "transformers"),
        "floor_share": ratio("per_s", "floor"),
        "goals": GOALS,
    }


def write_inputs(folder: Path) -> None:
    from kapelle.bundles.quantise import quantise

    held = weights()
    np.savez(folder / "weights.npz", **held)
    draft = Manifest("benchmark", "gpt", "autoregressive", {}, {}, "none", gpt.states(CONFIG), None, {"context": CONFIG.n_positions})
    write_bundle(folder / "bundle", draft, {"step": quantise(gpt.graphs(CONFIG, held)["step"]).SerializeToString()}, {})


def told(result: dict[str, Any]) -> str:
    """The result for people, each goal beside its figure."""
    rows = [
        f"{result['shape']}, {result['new_tokens']} new tokens, {result['threads']} threads, median of {result['rounds']} rounds",
        *(
            f"{side:>13}: {result['tokens_per_s'][side]:8.0f} tokens/s  {result['tokens_per_cpu_s'][side]:8.0f} tokens/CPU-s"
            for side in SIDES
        ),
        f"ratio to transformers: {result['ratio']:.1f} (by CPU seconds {result['ratio_cpu']:.1f}); goal >= {GOALS['ratio']:.0f}",
        f"share of the floor:    {result['floor_share']:.0%}; goal >= {GOALS['floor_share']:.0%}",
        f"peak memory:           {result['peak_mb']['kapelle']:.0f} MB (transformers {result['peak_mb']['transformers']:.0f}); "
        f"goal <= {GOALS['peak_mb']:.0f}",
        f"load and first logits: {result['load_cpu_s']:.2f} CPU-s",
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result for machines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shape", default="4x256", help="layers x width; 4x256 composes by default, 6x512 is the recipe genre")
    given = parser.parse_args()
    global CONFIG
    CONFIG = config_of(given.shape)
    if given.side:
        print(json.dumps(SIDES[given.side](given.place, given.tokens, given.threads)))
        return
    result = measure(given.rounds, given.tokens, given.threads, given.shape)
    print(json.dumps(result, indent=1) if given.json else told(result))


if __name__ == "__main__":
    main()
