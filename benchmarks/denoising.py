"""What each way to denoise does to music: to noises at several levels, and to music that holds none.

    python benchmarks/denoising.py [--data DIR] [--seconds 10] [--speed] [--json FILE]

Pieces are composed here with the bundled models (seeds that the filter was not developed with) and, with --data, taken from the data packs;
all are rendered with the SoundFont. Every figure is a mean over pieces, with the worst piece beside it. Methods: ``wiener`` (ours),
``noisereduce`` as Kapelle calls it, ``noisereduce as it comes`` (its own defaults), ``deepfilternet`` if it and its weights are there.
SNR: power of the clean music over the power of the difference. LSD: log spectral distance, see `kapelle.audio.measures`. With
--speed each method also cleans a minute of stereo, in CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # whoever loads this file by its path

from _noises import NOISES, noise  # noqa: E402

from kapelle import api  # noqa: E402
from kapelle.audio import measures  # noqa: E402
from kapelle.audio.denoise import check, denoise  # noqa: E402
from kapelle.audio.waveform import Waveform  # noqa: E402
from kapelle.errors import KapelleError  # noqa: E402
from kapelle.render import render  # noqa: E402
from kapelle.score.folders import files_in  # noqa: E402
from kapelle.score.read import read  # noqa: E402

LEVELS_DB = (0, 10, 20, 30)
SEED = 301
COMPOSED = (
    ("genre-small", {"genre": "pop"}), ("genre-small", {"genre": "jazz"}), ("genre-small", {"genre": "classical"}),
    ("chopin", {}), ("ensemble", {}), ("band-composer", {}),
)  # fmt: skip
PACKS = {"multitrack_genre": 2, "giantmidi_subset": 1, "multitrack_free": 1}
GOALS = {"snr_gain_white_10": 8.0, "clean_octave_db": 1.0, "clean_si_sdr_db": 20.0}

Method = Callable[[Waveform], Waveform]


def pieces(data: Path | None, seconds: float) -> Iterator[tuple[str, Waveform]]:
    """Names and sounds, each cut to `seconds` from its first third."""
    for model, options in COMPOSED:
        genre = options.get("genre", "")
        made = api.compose(model=model, bars=12, seed=SEED, **options)
        yield " ".join(filter(None, (model, genre))), _cut(render(made.score), seconds)
    for pack, count in PACKS.items() if data else ():
        for path in random.Random(SEED).sample(files_in(data / pack), count):
            yield f"{pack}: {path.stem}", _cut(render(read(path)), seconds)


def _cut(wave: Waveform, seconds: float) -> Waveform:
    length = round(seconds * wave.sample_rate)
    start = max((wave.n_frames - length) // 3, 0)
    return Waveform(wave.samples[start : start + length], wave.sample_rate)


def methods() -> tuple[dict[str, Method], dict[str, str]]:
    """What can be measured here, and why the others cannot."""
    found: dict[str, Method] = {}
    missing: dict[str, str] = {}
    for name in ("wiener", "noisereduce", "deepfilternet"):
        try:
            check(name)
            denoise(Waveform(np.full((4800, 1), 0.1, np.float32), 48_000), name)
            found[name] = lambda wave, name=name: denoise(wave, name)
        except KapelleError as error:
            missing[name] = str(error)
    if "noisereduce" in found:
        found["noisereduce as it comes"] = _as_it_comes
    return found, missing


def _as_it_comes(wave: Waveform) -> Waveform:
    from noisereduce import reduce_noise

    samples = reduce_noise(y=wave.samples.T.copy(), sr=wave.sample_rate)
    return Waveform(np.ascontiguousarray(samples.T, dtype=np.float32), wave.sample_rate)


def noisy_figures(music: Waveform, method: Method, kind: str, level: float, seed: int) -> dict[str, float]:
    """What a method makes of music with noise."""
    noisy = Waveform(music.samples + noise(music, kind, level, seed).samples, music.sample_rate)
    cleaned = method(noisy)
    before, after = (measures.log_spectral_distance_db(music, wave) for wave in (noisy, cleaned))
    return {
        "snr_gain": measures.snr_db(music, cleaned) - measures.snr_db(music, noisy),
        "si_sdr": measures.si_sdr_db(music, cleaned),
        "lsd_gain": before - after,
    }


def clean_figures(music: Waveform, method: Method) -> dict[str, float]:
    """What a method does to music alone; octaves down to 60 dB below the loudest."""
    cleaned = method(music)
    changes = measures.octave_changes_db(music, cleaned)
    return {"si_sdr": measures.si_sdr_db(music, cleaned), "octave": max(map(abs, changes.values()))}


def measure(data: Path | None, seconds: float) -> dict[str, Any]:
    """All figures; see the head of this file."""
    ways, missing = methods()
    noisy: dict[str, Any] = {name: {kind: {level: [] for level in LEVELS_DB} for kind in NOISES} for name in ways}
    clean: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    names = []
    for number, (title, music) in enumerate(pieces(data, seconds)):
        names.append(title)
        print(f"{number + 1}: {title}", file=sys.stderr, flush=True)
        for name, method in ways.items():
            clean[name].append(clean_figures(music, method))
            for kind in NOISES:
                for level in LEVELS_DB:
                    noisy[name][kind][level].append(noisy_figures(music, method, kind, level, number))
    return {
        "pieces": names, "seconds": seconds, "strength": 0.6, "goals": GOALS, "not_measured": missing,
        "noisy": {
            name: {kind: {str(level): _mean(rows, "snr_gain") for level, rows in levels.items()} for kind, levels in kinds.items()}
            for name, kinds in noisy.items()
        },
        "clean": {
            name: {
                "si_sdr": round(statistics.mean(row["si_sdr"] for row in rows), 1),
                "si_sdr_worst": round(min(row["si_sdr"] for row in rows), 1),
                "octave": round(statistics.mean(row["octave"] for row in rows), 2),
                "octave_worst": round(max(row["octave"] for row in rows), 2),
            }
            for name, rows in clean.items()
        },
    }  # fmt: skip


def _mean(rows: list[dict[str, float]], worst: str) -> dict[str, float]:
    means = {key: round(statistics.mean(row[key] for row in rows), 2) for key in rows[0]}
    return {**means, f"{worst}_worst": round(min(row[worst] for row in rows), 2)}


def speed(rounds: int = 3) -> dict[str, float]:
    """Times real time of each method: a minute of noisy stereo at 44.1 kHz, CPU seconds, median of some rounds."""
    random_ = np.random.default_rng(0)
    time_s = np.arange(60 * 44_100) / 44_100
    tones = 0.1 * sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.2, 329.6))
    wave = Waveform((tones[:, None] + 0.01 * random_.standard_normal((len(time_s), 2))).astype(np.float32), 44_100)
    found = {}
    for name, method in methods()[0].items():
        taken = []
        for _ in range(rounds):
            started = time.process_time()
            method(wave)
            taken.append(time.process_time() - started)
        found[name] = round(wave.duration_s / statistics.median(taken), 1)
    return found


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    for name, kinds in found["noisy"].items():
        print(f"\n{name}: SNR gain in dB, mean (worst piece) | gain of log spectral distance")
        for kind, levels in kinds.items():
            cells = [f"{row['snr_gain']:+6.1f} ({row['snr_gain_worst']:+5.1f}) |{row['lsd_gain']:+5.1f}" for row in levels.values()]
            print(f"  {kind:10}" + "   ".join(cells))
        row = found["clean"][name]
        print(f"  no noise: SI-SDR {row['si_sdr']} dB (worst {row['si_sdr_worst']}), octaves change by {row['octave_worst']} dB at most")
    for name, why in found["not_measured"].items():
        print(f"\n{name}: not measured: {why}")
    for name, times in found.get("speed", {}).items():
        print(f"{name}: {times} x real time")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--only-speed", action="store_true", help="add the speed to the figures that are in --json")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = json.loads(options.json.read_text(encoding="utf-8")) if options.only_speed else measure(options.data, options.seconds)
    if options.speed or options.only_speed:
        found["speed"] = speed()
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
