"""Speed of sheet music against music21 on the same score, in one run.

    python benchmarks/engraving.py [--json] [--rounds 3] [FILE.mid]

Without a file the score is made here: five minutes of piano for two hands on one track, about 2,500 notes. Ours goes from the score in
memory to MusicXML, then to pages of SVG and to a PDF; music21 goes from the MIDI bytes to MusicXML, which is where it ends. Figures
are CPU seconds, medians over the rounds; the ratio is of the two ways to MusicXML, taken within each round. The goals are in GOALS.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import symusic

from kapelle.engraving import pages
from kapelle.engraving.notation import musicxml
from kapelle.engraving.pdf import pdf
from kapelle.score import units
from kapelle.score.read import read
from kapelle.score.write import to_bytes

GOALS = {"all_cpu_s": 5.0, "ratio": 4.0}
"""At most so many seconds from the score to the PDF; at least so many times as fast as music21."""

BARS = 150


def make_score(seed: int = 0) -> symusic.Score:
    """150 bars at 120 bpm: a melody with triplets and held notes over broken chords, all on one track."""
    random = np.random.default_rng(seed)
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm=120.0))
    track = symusic.Track("Piano", 0)
    for bar in range(BARS):
        root, at = (48, 45, 41, 43)[bar % 4], bar * 1920
        third = 3 if bar % 4 == 1 else 4
        for eighth in range(8):
            track.notes.append(symusic.Note(at + 240 * eighth, 230, root + (0, 7, 12, 7)[eighth % 4], 60))
        for beat in range(4):
            n = int(random.choice([1, 2, 3]))
            for i in range(n):
                pitch = root + 24 + int(random.choice([0, third, 7, 12]))
                track.notes.append(symusic.Note(at + 480 * beat + 480 * i // n, 480 // n - 10, pitch, 90))
        track.notes.append(symusic.Note(at, 1900, root + 12 + third, 70))
    score.tracks.append(track)
    return score


def measure(score: symusic.Score, rounds: int) -> dict[str, Any]:
    """Medians over the rounds of CPU seconds of each step, the whole, music21's, and the ratio."""
    from music21 import converter
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    data = to_bytes(score)
    found: dict[str, list[float]] = {
        name: [] for name in ("musicxml_cpu_s", "svg_cpu_s", "pdf_cpu_s", "all_cpu_s", "music21_cpu_s", "ratio")
    }
    n_pages = 0
    for number in range(rounds + 1):
        times = [time.process_time()]
        text = musicxml(score)
        times.append(time.process_time())
        drawn = pages.svg(text)
        times.append(time.process_time())
        pdf(drawn)
        times.append(time.process_time())
        GeneralObjectExporter(converter.parseData(data, format="midi")).parse()
        times.append(time.process_time())
        n_pages = len(drawn)
        steps = np.diff(times).tolist()
        if number:  # the first round warms both sides
            for name, value in zip(found, [*steps[:3], sum(steps[:3]), steps[3], steps[3] / steps[0]], strict=True):
                found[name].append(value)
    medians = {name: round(statistics.median(values), 3) for name, values in found.items()}
    n_notes = sum(len(track.notes) for track in score.tracks)
    return {"music_s": round(units.duration_s(score), 1), "notes": n_notes, "pages": n_pages, **medians, "rounds": rounds, "goals": GOALS}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(read(options.file) if options.file else make_score(), options.rounds)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['notes']:.0f} notes, {found['music_s']} s of music, {found['pages']:.0f} pages, median of {options.rounds} rounds")
    for name in ("musicxml_cpu_s", "svg_cpu_s", "pdf_cpu_s", "all_cpu_s", "music21_cpu_s"):
        print(f"{name:16} {found[name]:8.3f}")
    print(f"{'ratio':16} {found['ratio']:8.1f}   goal >= {GOALS['ratio']:g}; all steps <= {GOALS['all_cpu_s']:g} s")


if __name__ == "__main__":
    main()
