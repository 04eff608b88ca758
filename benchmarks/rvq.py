"""What each codebook of a residual vector quantiser adds: rendered pieces, coded with codebooks that were learned from other pieces.

    python benchmarks/rvq.py [--picture docs/pictures/rvq.png] [--json benchmarks/results/rvq.json]

Pieces of `--bars` bars are composed in four genres and rendered to 32 kHz, one channel. Of each, rows of 640 coefficients (a modified
discrete cosine transform, 50 a second) are cut into vectors of 8; a codebook has 256 rows, so every codebook costs one bit a coefficient.
One piece a genre is learned from, `--pieces` others a genre are measured.

SI-SDR and log spectral distance are those of `kapelle.audio.measures`. Ids cost 8 bits; "entropy": what they would cost if frequent ones
were written shorter, by the frequencies in the measured pieces.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import kapelle
from kapelle.audio import Waveform, mdct, measures, rvq, spectra
from kapelle.engraving.palette import LIGHT

RATE_HZ, HOP, WIDTH = 32_000, 640, 8
GENRES = ("classical", "edm", "jazz", "pop")
CONFIG = rvq.RvqConfig(n_codebooks=8, size=256)
BATCH, EPOCHS, SEED = 16_384, 8, 0
SHOWN = (1, 2, 4, 8)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--pieces", type=int, default=3)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = [composed(genre, 100, options.bars) for genre in GENRES]
    unknown = [composed(genre, 200 + number, options.bars) for genre in GENRES for number in range(options.pieces)]
    heard = np.concatenate([vectors(samples) for samples in known])
    begun = time.process_time()
    learned = rvq.learn(heard, CONFIG, batch=BATCH, epochs=EPOCHS, seed=SEED)
    seconds = time.process_time() - begun
    found = {
        "rate_hz": RATE_HZ, "hop": HOP, "width": WIDTH, "size": CONFIG.size, "bars": options.bars,
        "known_s": sum(map(len, known)) / RATE_HZ, "unknown_s": sum(map(len, unknown)) / RATE_HZ, "pieces": len(unknown),
        "vectors": len(heard), "learning_cpu_s": round(seconds, 1),
        **measured(learned, unknown), "ways": ways(learned, heard, unknown),
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        draw(found, learned, unknown[2 * options.pieces], options.picture)
    return 0


def composed(genre: str, seed: int, bars: int) -> np.ndarray:
    """A rendered piece, one channel."""
    samples: np.ndarray = kapelle.compose(genre=genre, bars=bars, seed=seed).render(sample_rate=RATE_HZ).samples.mean(axis=1)
    return samples


def vectors(samples: np.ndarray) -> np.ndarray:
    return mdct.transform(samples, HOP).reshape(-1, WIDTH)


def sound(rows: np.ndarray, n_samples: int) -> np.ndarray:
    return mdct.sound(rows.reshape(-1, HOP), n_samples)


def measured(learned: rvq.Rvq, pieces: list[np.ndarray]) -> dict[str, Any]:
    """Means over pieces for every number of codebooks, and what ids would cost."""
    ids = [learned.encode(vectors(samples)) for samples in pieces]
    entropy = rvq.entropy_bits(np.concatenate(ids), CONFIG.size)
    per_s = RATE_HZ / WIDTH
    rows = []
    for n in range(1, CONFIG.n_codebooks + 1):
        coded = [sound(learned.decode(one[:, :n]), len(samples)) for one, samples in zip(ids, pieces, strict=True)]
        pairs = [tuple(Waveform(samples, RATE_HZ) for samples in pair) for pair in zip(pieces, coded, strict=True)]
        ratios = [measures.si_sdr_db(*pair) for pair in pairs]
        rows.append({
            "codebooks": n,
            "kbit_s": rvq.bitrate(per_s, n, CONFIG.size) / 1000,
            "entropy_kbit_s": round(per_s * entropy[:n].sum() / 1000, 1),
            "si_sdr_db": _mean(ratios),
            "least_si_sdr_db": round(min(ratios), 2),
            "log_spectral_db": _mean([measures.log_spectral_distance_db(*pair) for pair in pairs]),
        })  # fmt: skip
    return {"codebooks": rows, "entropy_bits": entropy.round(2).tolist()}


def ways(learned: rvq.Rvq, heard: np.ndarray, pieces: list[np.ndarray]) -> dict[str, Any]:
    """Error in dB after each codebook, by how codebooks were learned; and how many vectors a codebook made worse."""
    coded = np.concatenate([vectors(samples) for samples in pieces])
    begun = rvq.learn(heard, CONFIG, batch=BATCH, epochs=0, seed=SEED)
    zeros = learned.codes.copy()
    zeros[range(len(zeros)), np.square(zeros).sum(axis=2).argmin(axis=1)] = 0.0  # the smallest row of each gives way
    as_released = updated(replace(begun, sums=begun.codes.astype(np.float64)), heard)
    sides = {
        "k-means alone": begun, "k-means, then running means": learned, "with a row of zeros": replace(learned, codes=zeros),
        "sums begun as rows": as_released,
    }  # fmt: skip
    out = {}
    for name, side in sides.items():
        found = side.quantise(coded)
        lengths = np.square(found.residuals, dtype=np.float64).sum(axis=2)
        out[name] = {
            "error_db": (10 * np.log10(found.errors[1:] / found.errors[0])).round(2).tolist(),
            "heard_db": (10 * np.log10((errors := side.quantise(heard).errors)[1:] / errors[0])).round(2).tolist(),
            "worse": (np.diff(lengths, axis=0) > 1e-12).mean(axis=1).round(4).tolist(),
            "energy_of_worse": float(f"{lengths[0][lengths[1] > lengths[0] + 1e-12].sum() / lengths[0].sum():.2g}"),
        }
    return out


def updated(begun: rvq.Rvq, heard: np.ndarray) -> rvq.Rvq:
    """As `rvq.learn` goes on."""
    draw = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        order = draw.permutation(len(heard))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            begun = begun.updated(heard[order[start : start + BATCH]], draw)
    return begun


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 2)


def draw(found: dict[str, Any], learned: rvq.Rvq, samples: np.ndarray, path: Path) -> None:
    """Spectrograms of a piece and of what 1, 2, 4 and 8 codebooks make of it, over the error by number of codebooks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2), layout="constrained", facecolor=LIGHT.ground)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    ids = learned.encode(vectors(samples))
    shown = {"the piece": samples}
    shown |= {f"{n} codebook{'s' * (n > 1)}": sound(learned.decode(ids[:, :n]), len(samples)) for n in SHOWN}
    axes = above.subplots(1, len(shown), sharey=True)
    peak = np.abs(spectra.transform(samples)).max()
    for axis, (name, one) in zip(axes, shown.items(), strict=True):
        levels = 20 * np.log10(np.maximum(np.abs(spectra.transform(one[2 * RATE_HZ : 5 * RATE_HZ])) / peak, 1e-4))
        image = axis.imshow(levels.T, origin="lower", aspect="auto", extent=(2, 5, 0, RATE_HZ / 2000), vmin=-70, vmax=0, cmap="magma")
        axis.set(title=name, xlabel="s", ylim=(0, 5))
    axes[0].set_ylabel("kHz")
    above.colorbar(image, ax=list(axes), label="dB below the loudest", pad=0.01)
    left, right = below.subplots(1, 2)
    numbers = range(1, CONFIG.n_codebooks + 1)
    kinds = (("heard_db", "pieces learned from", LIGHT.tracks[0]), ("error_db", "other pieces", LIGHT.tracks[1]))
    for way, style in (("k-means, then running means", "-"), ("k-means alone", ":")):
        for key, name, colour in kinds:
            label = name if style == "-" else f"{name}, k-means alone"
            left.plot(numbers, found["ways"][way][key], marker="o", markersize=4, linestyle=style, color=colour, label=label)
    left.set(xlabel="codebooks", ylabel="error, dB of the sound", xticks=list(numbers))
    left.legend(fontsize=8)
    rows = found["codebooks"]
    for key, name, colour in (("kbit_s", "8 bits an id", LIGHT.tracks[2]), ("entropy_kbit_s", "frequent ids shorter", LIGHT.tracks[4])):
        right.plot([row[key] for row in rows], [row["si_sdr_db"] for row in rows], marker="o", markersize=4, color=colour, label=name)
    right.set(xlabel="kbit/s", ylabel="SI-SDR, dB, other pieces", xlim=(0, None))
    right.legend(fontsize=8)
    for axis in (left, right):
        axis.grid(color=LIGHT.beat)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    sys.exit(main())
