"""How long it takes to measure many pieces: every metric of a piece, and, for those that muspy has too, muspy.

    python benchmarks/metrics_speed.py FOLDER [--pieces 1000] [--bars 16] [--compared 50] [--json PATH]

FOLDER holds MIDI files, read in order of their names, one process, one thread. Times are CPU seconds; reading is timed apart. The peer is
asked for the seven figures that both have, on `compared` of the pieces, each piece measured by both one after the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import MidiError
from kapelle.metrics import pitch, polyphony, rhythm
from kapelle.metrics.excerpt import excerpt
from kapelle.metrics.piece import METRICS, measure
from kapelle.score.read import read

if TYPE_CHECKING:
    from symusic import Score

GOAL_S = 180.0
"""For 1,000 pieces of 16 bars on two cores; one is used here."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=1000)
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--compared", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    scores, reading_s = _read(options.folder, options.pieces)
    if not scores:
        print(f"no MIDI files that can be read in {options.folder}", file=sys.stderr)
        return 2
    taken_s = np.array([_seconds(lambda score=score: measure(score, options.bars)) for score in scores])
    found: dict[str, Any] = {
        "pieces": len(scores),
        "bars": options.bars,
        "metrics": len(METRICS),
        "reading_s": round(reading_s, 2),
        "measuring_s": round(float(taken_s.sum()), 2),
        "median_ms": round(1e3 * float(np.median(taken_s)), 2),
        "slowest_ms": round(1e3 * float(taken_s.max()), 2),
        "goal_s": GOAL_S,
        **_against_muspy(scores[:: max(len(scores) // options.compared, 1)][: options.compared]),
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return 0


def _read(folder: Path, most: int) -> tuple[list[Score], float]:
    """The first scores of a folder, and the CPU seconds that reading took."""
    scores: list[Score] = []
    began = time.process_time()
    for path in sorted(folder.rglob("*.mid")):
        if len(scores) == most:
            break
        try:
            scores.append(read(path))
        except MidiError as error:
            print(f"left out: {error}", file=sys.stderr)
    return scores, time.process_time() - began


def _seconds(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _against_muspy(scores: list[Score]) -> dict[str, Any]:
    """Median milliseconds of the seven common figures on both sides, and the median of the ratios; nothing where muspy is not installed."""
    try:
        import muspy
    except ImportError:
        return {}
    ours, theirs = [], []
    for score in scores:
        music = muspy.Music(
            resolution=score.tpq,
            tracks=[
                muspy.Track(is_drum=track.is_drum, notes=[muspy.Note(note.time, note.pitch, note.duration) for note in track.notes])
                for track in score.tracks
            ],
        )
        ours.append(_seconds(lambda score=score: _ours(score)))
        theirs.append(_seconds(lambda music=music: _theirs(muspy, music)))
    return {
        "compared": len(scores),
        "ours_ms": round(1e3 * float(np.median(ours)), 2),
        "muspy_ms": round(1e3 * float(np.median(theirs)), 2),
        "ratio": round(float(np.median(np.array(theirs) / np.array(ours))), 1),
    }


def _ours(score: Score) -> tuple[float, ...]:
    notes = excerpt(score)
    return (
        pitch.pitch_class_entropy(notes), pitch.scale_consistency(notes), polyphony.polyphony(notes), polyphony.polyphony_rate(notes),
        polyphony.empty_beat_rate(notes), polyphony.empty_bar_rate(notes), rhythm.groove_consistency(notes),
    )  # fmt: skip


def _theirs(muspy: Any, music: Any) -> tuple[float, ...]:
    bar = 4 * music.resolution
    return (
        muspy.pitch_class_entropy(music), muspy.scale_consistency(music), muspy.polyphony(music), muspy.polyphony_rate(music),
        muspy.empty_beat_rate(music), muspy.empty_measure_rate(music, bar), muspy.groove_consistency(music, bar),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
