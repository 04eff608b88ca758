"""A piece in 1, 2, 4 and 8 numbers for every 8 coefficients of its sound: codebooks are learned from one piece, and code another.

python examples/rvq_of_a_piece.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import kapelle
from kapelle.audio import Waveform, files, mdct, rvq

RATE_HZ, HOP, WIDTH = 32_000, 640, 8  # EnCodec's rate and frames: 50 a second, of 640 coefficients, in 80 vectors of 8


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    known, unknown = (kapelle.compose(genre=genre, bars=8, seed=7).render(sample_rate=RATE_HZ) for genre in ("jazz", "pop"))
    known, unknown = (wave.samples.mean(axis=1) for wave in (known, unknown))
    heard, coded = (mdct.transform(samples, HOP).reshape(-1, WIDTH) for samples in (known, unknown))
    codebooks = rvq.learn(heard, rvq.RvqConfig(n_codebooks=8, size=256))
    ids = codebooks.encode(coded)
    for n in (1, 2, 4, 8):
        samples = mdct.sound(codebooks.decode(ids[:, :n]).reshape(-1, HOP), len(unknown))
        files.write(folder / f"codebooks-{n}.wav", Waveform(samples, RATE_HZ))
        rate = rvq.bitrate(RATE_HZ / WIDTH, n, 256) / 1000
        print(f"{n} codebooks, {rate:.0f} kbit/s: the error is {10 * np.log10(np.mean((samples - unknown) ** 2 / np.var(unknown))):.1f} dB")
    axes = Figure(figsize=(6, 4), layout="constrained").subplots()
    for vectors, name in ((heard, "learned from"), (coded, "not heard before")):
        errors = codebooks.quantise(vectors).errors
        axes.plot(10 * np.log10(errors / errors[0]), marker="o", label=name)
    axes.set(xlabel="codebooks", ylabel="error, dB of the sound", xticks=range(9))
    axes.legend()
    axes.figure.savefig(folder / "codebooks.png")


if __name__ == "__main__":
    main()
