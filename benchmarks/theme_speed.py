"""How fast a theme is developed: 32 bars, tokens and notes a second, and the network against the same network in torch.

    python benchmarks/theme_speed.py [--model theme] [--rounds 3] [--pieces 5] [--json FILE]

Developing is everything from the request to the piece, as `kapelle develop` does it: the theme read, the grammar, the network, attempts
that were not taken; loading stands apart. Seconds are CPU seconds, which a busy machine changes little; those of the clock beside them.

The network alone: 512 tokens, one after the other, drawn by one function, the first 128 of them inside the theme. Three sides, each in
processes of its own with as many threads: the bundle over onnxruntime; torch with its keys and values kept; torch that runs the decoder
over all tokens again for each, as the published code does (measured at 8 lengths, the mean over all). All read the theme once. The same
weights; ratios are taken within a round. It needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import _bands
import _texts
import numpy as np

from kapelle.sampling.filters import sample
from kapelle.sampling.options import SamplingOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

BARS, GOAL_S = 32, 10.0
TOKENS, INSIDE, LENGTHS = 512, 128, 8
SAMPLING = SamplingOptions(temperature=1.2, top_p=0.9)
SIDES = ("kapelle", "torch, kept", "torch, anew")
THREADS = [1, 2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="theme", help="bundle name or path")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pieces", type=int, default=5, help="pieces a round")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--at", type=int, nargs="+", default=THREADS, help="numbers of threads of the network alone")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.side:
        print(json.dumps(one_side(given.side, given)))
        return 0
    report = run(given)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    print(told(report))
    return 0


def run(given: argparse.Namespace) -> dict[str, Any]:
    """All figures, medians over the rounds."""
    from kapelle import api

    held = api.bundle(given.model)
    sides = [side for side in SIDES if side == "kapelle" or _has_torch()]
    network: dict[str, Any] = {}
    composed = []
    for _ in range(given.rounds):
        composed.append(_in_a_process("develop", 1, given))
        for threads in given.at:
            for side in sides:
                network.setdefault(f"{threads}", {}).setdefault(side, []).append(_in_a_process(side, threads, given))
    return {
        "bundle": held.name, "hash": held.hash, "bars": BARS, "goal_s": GOAL_S, "rounds": given.rounds, "pieces": given.pieces,
        "tokens": given.tokens, **{key: median(row[key] for row in composed) for key in composed[0]},
        "network": {threads: _speeds(rows) for threads, rows in network.items()},
    }  # fmt: skip


def _speeds(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Tokens a second of every side, and how many times faster ours is, round by round."""
    return {
        side: {
            "tokens_per_s": median(1 / row["wall_s"] for row in found), "tokens_per_cpu_s": median(1 / row["cpu_s"] for row in found),
            "ratio": median(row["wall_s"] / own["wall_s"] for row, own in zip(found, rows["kapelle"], strict=True)),
            "ratio_cpu": median(row["cpu_s"] / own["cpu_s"] for row, own in zip(found, rows["kapelle"], strict=True)),
        }
        for side, found in rows.items()
    }  # fmt: skip


def _has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None and find_spec("onnx") is not None


def _in_a_process(side: str, threads: int, given: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--threads", threads, "--model", given.model]
    command += ["--pieces", given.pieces, "--tokens", given.tokens]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_side(side: str, given: argparse.Namespace) -> dict[str, float]:
    """The figures of one side in this process."""
    if side == "develop":
        return developing(given.model, given.pieces)
    from kapelle import api

    make = {"kapelle": ours, "torch, kept": kept, "torch, anew": anew}[side]
    return make(api.bundle(given.model), given.tokens, given.threads)


# --- developing -----------------------------------------------------------------------------------------------------------


def developing(model: str, n_pieces: int) -> dict[str, float]:
    """Seconds of loading and of a piece of 32 bars, mean over pieces; its tokens and notes a CPU second."""
    import kapelle
    from kapelle.composing import theme_model

    began = time.process_time()
    theme_model.opened(kapelle.bundle(model))
    loaded = time.process_time() - began
    kapelle.develop(theme(), model=model, bars=2, seed=0)  # what is imported at the first piece is not developing
    cpu, wall = time.process_time(), time.perf_counter()
    pieces = [kapelle.develop(theme(), model=model, bars=BARS, seed=seed) for seed in range(1, n_pieces + 1)]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    tokens, notes = (sum(getattr(piece.report, name) for piece in pieces) for name in ("n_tokens", "n_notes"))
    return {
        "load_s": loaded, "develop_s": cpu / n_pieces, "develop_wall_s": wall / n_pieces, "develop_tokens": tokens / n_pieces,
        "develop_notes": notes / n_pieces, "tokens_per_s": tokens / cpu, "notes_per_s": notes / cpu,
        "attempts": sum(piece.report.attempts for piece in pieces) / n_pieces,
    }  # fmt: skip


def theme() -> bytes:
    """Two bars as full as a pop song's: eight notes of melody over broken triads."""
    import symusic

    from kapelle.score import write

    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm=100))
    melody, piano = symusic.Track("MELODY", 0, False), symusic.Track("PIANO", 0, False)
    for beat, pitch in enumerate((76, 74, 72, 74, 76, 79, 77, 74)):
        melody.notes.append(symusic.Note(beat * 480, 480, pitch, 90))
    for step in range(16):
        root, third = ((48, 4), (53, 4), (45, 3), (43, 4))[step // 4]
        piano.notes.append(symusic.Note(step * 240, 240, root + (0, 7, 12 + third, 7)[step % 4], 60))
    score.tracks.append(melody)
    score.tracks.append(piano)
    return write.to_bytes(score)


# --- the network alone ------------------------------------------------------------------------------------------------------


def labels(n: int) -> NDArray[np.int64]:
    """Where the theme sounds in `n` tokens: in the first 128."""
    places = np.arange(1, n + 1)
    return np.where(places <= INSIDE, places, 0)


def heard(bundle: Any) -> NDArray[np.int64]:
    """The ids of the theme, as the encoder hears them."""
    from kapelle.composing.theme_model import spec_of
    from kapelle.score import read
    from kapelle.tokens import theme as tokens
    from kapelle.tokens import vocabulary

    _, rest = vocabulary.parse(bundle.contents["tokenizer.json"])
    return tokens.theme_ids(read.read(theme()), spec_of(rest))


def ours(bundle: Any, n: int, threads: int) -> dict[str, float]:
    """Seconds a token of the bundle in the runtime."""
    from kapelle.bundles.session import Translator

    session, marks, ids = Translator(bundle, threads=threads), labels(n), heard(bundle)

    def loop(n: int) -> None:
        session.encode({"theme": ids[None]})
        step = lambda token, place: session.feed({"ids": np.array([token]), "theme": marks[place : place + 1]})  # noqa: E731
        drawn(step, n)

    return timed(loop, n)


def kept(bundle: Any, n: int, threads: int) -> dict[str, float]:
    """The same of torch with keys and values kept."""
    import torch
    from _theme_torch import Cached

    torch.set_num_threads(threads)
    network, marks, ids = in_torch(bundle), labels(n), heard(bundle)

    def loop(n: int) -> None:
        side = Cached(network, ids)
        drawn(lambda token, place: side.feed(token, int(marks[place])), n)

    return timed(loop, n)


def anew(bundle: Any, n: int, threads: int) -> dict[str, float]:
    """The same of torch that reads all tokens again for each: the mean over lengths up to `n`; the theme is read once."""
    import torch

    torch.set_num_threads(threads)
    network, ids = in_torch(bundle), torch.from_numpy(heard(bundle))[None]
    marks, random = torch.from_numpy(labels(n))[None], np.random.default_rng(2)
    piece = torch.from_numpy(random.integers(1, network.config.vocabulary, n))[None]

    @torch.inference_mode()
    def read(length: int) -> None:
        logits = network.decode(piece[:, :length], marks[:, :length], memory, (ids != 0)[:, None, None])[0, -1]
        sample(logits.numpy().copy(), SAMPLING, random)

    with torch.inference_mode():
        memory = network.encode(ids)
    read(n)
    found = []
    for length in np.linspace(1, n, LENGTHS).astype(int).tolist():
        cpu, wall = time.process_time(), time.perf_counter()
        read(length)
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_s, wall_s = np.array(found).mean(axis=0).tolist()
    return {"cpu_s": cpu_s, "wall_s": wall_s}


def drawn(step: Callable[[int, int], NDArray[np.float32]], n: int) -> list[int]:
    """`n` tokens, each drawn from what the one before gave; padding is not drawn."""
    random, token, out = np.random.default_rng(2), 1, []
    for place in range(n):
        logits = step(token, place).copy()
        logits[0] = -1e9
        token = sample(logits, SAMPLING, random)
        out.append(token)
    return out


def timed(loop: Callable[[int], None], n: int) -> dict[str, float]:
    """CPU seconds and seconds by the clock a token, after a warm-up."""
    loop(min(n, 32))
    cpu, wall = time.process_time(), time.perf_counter()
    loop(n)
    return {"cpu_s": (time.process_time() - cpu) / n, "wall_s": (time.perf_counter() - wall) / n}


def in_torch(bundle: Any) -> Any:
    """The bundle's network with its weights."""
    import torch

    from kapelle.bundles import weights
    from kapelle.models import theme as family

    network = family.build(weights.shape(bundle.manifest)).eval()
    arrays = {name: torch.tensor(array) for name, array in weights.weights(bundle).items()}
    network.load_state_dict(arrays)
    return network


# --- telling --------------------------------------------------------------------------------------------------------------


def told(report: dict[str, Any]) -> str:
    """For people."""
    rows = [
        (f"{BARS} bars, CPU s", f"{report['develop_s']:.2f}", f"<= {GOAL_S:g}"),
        (f"{BARS} bars, s by the clock", f"{report['develop_wall_s']:.2f}", ""),
        ("... tokens", f"{report['develop_tokens']:,.0f}", ""),
        ("... tokens a CPU second", f"{report['tokens_per_s']:,.0f}", ""),
        ("... notes a CPU second", f"{report['notes_per_s']:,.0f}", ""),
        ("loading, CPU s", f"{report['load_s']:.2f}", ""),
    ]
    sides = [
        (
            threads,
            side,
            f"{one['tokens_per_s']:,.0f}",
            f"{one['tokens_per_cpu_s']:,.0f}",
            f"{one['ratio']:.1f} x",
            f"{one['ratio_cpu']:.1f} x",
        )
        for threads, found in report["network"].items()
        for side, one in found.items()
    ]
    return (
        f"{report['bundle']}, composing on one thread, {report['pieces']} pieces, median of {report['rounds']} rounds.\n\n"
        + _texts.table(("what", "value", "goal"), rows)
        + f"\nThe network alone, {report['tokens']} tokens; ratios: how many times faster the bundle is.\n\n"
        + _texts.table(("threads", "side", "tokens/s", "tokens per CPU second", "ratio", "ratio, CPU"), sides)
    )


if __name__ == "__main__":
    sys.exit(main())
