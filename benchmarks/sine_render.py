"""Speed of the sine renderer against pretty_midi.synthesize on the same score, in one run.

    python benchmarks/sine_render.py [--json] [--rounds 5] [FILE.mid]

Without a file the score is made here: 150 seconds for piano, strings and bass, about 1,700 notes, no drums (pretty_midi plays none).
Both sides get the score in memory and give samples at 44.1 kHz; ours are stereo with envelopes and overtones, pretty_midi's are mono
with one sine per note. Each round times both, one after the other, in CPU seconds; the ratio is taken within each round, and figures
are medians over the rounds. The goal is in GOAL.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from pathlib import Path

import numpy as np
import pretty_midi
import symusic

from kapelle.render import sine
from kapelle.score import units

GOAL = 10.0
RATE_HZ = 44_100
SECONDS = 150


def make_score(seed: int = 0) -> symusic.Score:
    """A score of SECONDS seconds at 120 bpm: broken chords, held chords and a bass over a circle of four harmonies."""
    random = np.random.default_rng(seed)
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm=120.0))
    piano, strings, bass = (symusic.Track(name, program) for name, program in (("Piano", 0), ("Strings", 48), ("Bass", 33)))
    for bar in range(SECONDS // 2):
        root = (60, 57, 65, 67)[bar % 4]
        third = 3 if bar % 4 == 1 else 4
        for eighth in range(16):
            pitch = root + int(random.choice([0, third, 7, 12, 12 + third])) + 12 * (eighth % 4 == 0)
            piano.notes.append(symusic.Note(bar * 1920 + eighth * 120, 180, pitch, int(random.integers(50, 110))))
        for step in (0, third, 7):
            strings.notes.append(symusic.Note(bar * 1920, 1900, root + step, 70))
        for beat in range(4):
            bass.notes.append(symusic.Note(bar * 1920 + beat * 480, 440, root - 24, 90))
    score.tracks.extend([piano, strings, bass])
    return score


def measure(score: symusic.Score, rounds: int) -> dict[str, float]:
    """Medians over the rounds of CPU seconds of both sides, their ratio, and times real time."""
    peer = pretty_midi.PrettyMIDI(io.BytesIO(score.dumps_midi()))
    ours_s, peer_s = [], []
    sine.render(score, sample_rate=RATE_HZ)  # the first call of each side is not counted
    peer.synthesize(fs=RATE_HZ)
    for _ in range(rounds):
        started = time.process_time()
        sine.render(score, sample_rate=RATE_HZ)
        middle = time.process_time()
        peer.synthesize(fs=RATE_HZ)
        ours_s.append(middle - started)
        peer_s.append(time.process_time() - middle)
    length_s = units.duration_s(score)
    ratio = statistics.median(theirs / mine for mine, theirs in zip(ours_s, peer_s, strict=True))
    ours, theirs = statistics.median(ours_s), statistics.median(peer_s)
    return {
        "music_s": round(length_s, 1),
        "notes": sum(len(track.notes) for track in score.tracks),
        "kapelle_cpu_s": round(ours, 4),
        "pretty_midi_cpu_s": round(theirs, 4),
        "kapelle_x_real_time": round(length_s / ours, 1),
        "pretty_midi_x_real_time": round(length_s / theirs, 1),
        "ratio": round(ratio, 2),
        "goal": GOAL,
        "rounds": rounds,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    score = symusic.Score(str(options.file)) if options.file else make_score()
    found = measure(score, options.rounds)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['notes']:.0f} notes, {found['music_s']} s of music, median of {options.rounds} rounds")
    for name, what in (("kapelle", "stereo, envelopes, overtones"), ("pretty_midi", "mono, one sine per note")):
        print(f"{name:12} {found[f'{name}_cpu_s']:8.3f} CPU s {found[f'{name}_x_real_time']:7.0f} x real time   ({what})")
    print(f"ratio        {found['ratio']:8.1f}   goal >= {GOAL:.0f}   {'reached' if found['ratio'] >= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
