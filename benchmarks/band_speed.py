"""How fast a band composes: 64 bars of five parts, 100 pieces of 16 bars, and its network against the same network in torch.

    python benchmarks/band_speed.py [--model band] [--rounds 3] [--pieces 100] [--json]

Seconds are CPU seconds of one process with one thread, so that a busy machine changes them little; every round is a fresh process, and
the median of the rounds is told. Loading (reading and checking the bundle, opening the runtime) stands apart. Composing is
everything from the request to the piece: the network, the rules that clean what it gives, attempts that were not taken. Writing the MIDI
bytes stands apart too. A band that plays around a lead is given one, of as many bars.

The peer is the network itself in torch, evaluated phrase by phrase as the band does it, with fresh weights, which take as long as any
(needs the extra `train`; else it is left out).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import _bands
import _texts

if TYPE_CHECKING:
    from kapelle.bundles.load import Bundle

LONG, SHORT = 64, 16
GOALS = {"long_s": 1.0, "short_s": 30.0}
PHRASES, WARM_UP = 200, 5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="band")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--phrases", type=int, default=PHRASES, help="for the comparison with torch")
    parser.add_argument("--json", action="store_true", help="print the result for machines")
    parser.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.round:
        print(json.dumps(one_round(options.model, options.pieces, options.phrases)))
        return 0
    rows = [_in_a_process(options) for _ in range(options.rounds)]
    numbers = [key for key, value in rows[0].items() if isinstance(value, float)]
    report = {**rows[0], **{key: median(row[key] for row in rows) for key in numbers}, "rounds": options.rounds, "goals": GOALS}
    print(json.dumps(_bands.plain(report), indent=1) if options.json else told(report))
    return 0


def _in_a_process(options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--round", "--model", options.model, "--pieces", str(options.pieces)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--phrases", str(options.phrases)], check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_round(name: str, n_pieces: int, n_phrases: int) -> dict[str, Any]:
    """All figures, once, in this process."""
    from kapelle import api
    from kapelle.composing import band_model

    began = time.process_time()
    bundle = api.bundle(name)
    model = band_model.opened(bundle)
    out: dict[str, Any] = {**_bands.identity(bundle), "pieces": n_pieces, "load_s": time.process_time() - began}
    _compose(name, model.conditional, 4, 0)  # what is imported at the first piece is not composing
    out |= _timed("long", name, model.conditional, LONG, 1)
    out |= _timed("short", name, model.conditional, SHORT, n_pieces)
    out |= _network(bundle, model, n_phrases)
    return out


def _timed(what: str, name: str, conditional: bool, n_bars: int, count: int) -> dict[str, Any]:
    """CPU seconds of composing and of writing."""
    began = time.process_time()
    pieces = [_compose(name, conditional, n_bars, seed) for seed in range(1, count + 1)]
    composed = time.process_time()
    n_bytes = sum(len(piece.to_midi()) for piece in pieces)
    notes = sum(piece.report.n_notes for piece in pieces)
    return {
        f"{what}_s": composed - began, f"{what}_midi_s": time.process_time() - composed, f"{what}_notes": notes, f"{what}_bytes": n_bytes,
        f"{what}_parts": min(sum(1 for track in piece.score.tracks if len(track.notes)) for piece in pieces),
    }  # fmt: skip


def _compose(name: str, conditional: bool, n_bars: int, seed: int) -> Any:
    from kapelle import api

    return api.accompany(_lead(n_bars), model=name, seed=seed) if conditional else api.compose(model=name, bars=n_bars, seed=seed)


def _lead(n_bars: int) -> bytes:
    """Broken triads in C major and A minor for the piano, two notes a beat."""
    import symusic

    from kapelle.score import write

    score = symusic.Score(480)
    track = symusic.Track("lead", 0, False)
    for bar in range(n_bars):
        root = (0, 9, 5, 7)[bar % 4]
        for step in range(8):
            track.notes.append(symusic.Note(bar * 1920 + step * 240, 240, 60 + (root + (0, 4 if root != 9 else 3, 7)[step % 3]) % 12, 80))
    score.tracks.append(track)
    return write.to_bytes(score)


def _network(bundle: Bundle, model: Any, n: int) -> dict[str, Any]:
    """Milliseconds a phrase takes in the bundle's runtime and in torch, and their ratio."""
    latents = _bands.draw_latents(model.latents, n + WARM_UP, 0)
    rows = [{key: values[place] for key, values in latents.items()} for place in range(n + WARM_UP)]
    out: dict[str, Any] = {"phrase_ms": _per_phrase(model.phrase, rows)}
    if torch_phrase := _in_torch(bundle, model):
        out["torch_phrase_ms"] = _per_phrase(torch_phrase, rows)
        out["ratio"] = out["torch_phrase_ms"] / out["phrase_ms"]
    return out


def _per_phrase(make: Any, rows: list[Any]) -> float:
    for row in rows[:WARM_UP]:
        make(row)
    began = time.process_time()
    for row in rows[WARM_UP:]:
        make(row)
    return 1000 * (time.process_time() - began) / max(1, len(rows) - WARM_UP)


def _in_torch(bundle: Bundle, model: Any) -> Any:
    """The same network in torch, one phrase at a time; None without torch, or if the bundle does not tell its shape."""
    try:
        import torch
    except ImportError:
        return None
    if "model" not in bundle.manifest.options:
        return None
    from kapelle import config, models

    torch.set_num_threads(1)
    family: Any = models.family(bundle.manifest.family)
    shape = config.build(family.Config, dict(bundle.manifest.options["model"]), "model")
    network: Any = family.build(shape).eval().averaged
    lead = family.real(shape, torch.zeros(1, *model.shape, dtype=torch.bool)) if model.conditional else None

    @torch.inference_mode()
    def make(latents: Any) -> Any:
        return family.scores(shape, network({key: torch.from_numpy(values[None]) for key, values in latents.items()}, lead)).numpy()

    return make


def told(report: dict[str, Any]) -> str:
    """For people, each goal beside its figure."""
    per_note = (report["long_notes"] + report["short_notes"]) / max(report["long_s"] + report["short_s"], 1e-9)
    rows = [
        ("loading", f"{report['load_s']:.2f}", ""),
        (f"{LONG} bars of five parts", f"{report['long_s']:.2f}", f"<= {GOALS['long_s']:g}"),
        ("... writing its MIDI", f"{report['long_midi_s']:.2f}", ""),
        (f"{report['pieces']} pieces of {SHORT} bars", f"{report['short_s']:.2f}", f"<= {GOALS['short_s']:g} for 100"),
        ("... writing their MIDI", f"{report['short_midi_s']:.2f}", ""),
    ]
    lines = [f"{per_note:,.0f} notes per CPU second. The network alone: {report['phrase_ms']:.2f} ms CPU a phrase"]
    if "ratio" in report:
        lines.append(f"in torch {report['torch_phrase_ms']:.2f} ms: {report['ratio']:.1f} x")
    head = f"{report['bundle']}, one thread, median of {report['rounds']} rounds; parts that sound: {report['long_parts']}.\n\n"
    return head + _texts.table(("what", "CPU s", "goal"), rows) + "\n" + "; ".join(lines) + ".\n"


if __name__ == "__main__":
    sys.exit(main())
