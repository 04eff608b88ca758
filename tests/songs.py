"""Songs of our own making for a band: with sections, as three tracks with a copy with chords, and drumming to go with them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import symusic

if TYPE_CHECKING:
    from pathlib import Path

TPQ = 480
BAR = 4 * TPQ
PROGRAMS = {"drums": -1, "piano": 0, "guitar": 25, "bass": 33, "strings": 48}
TRIADS = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (57, 60, 64))

Notes = list[tuple[int, int, int]]
"""Time and duration in ticks, and pitch."""


def score(parts: list[tuple[int, Notes]], metre: tuple[int, int] = (4, 4)) -> symusic.Score:
    """A score of tracks given as (program, notes); -1 is drums."""
    out = symusic.Score(TPQ)
    out.time_signatures.append(symusic.TimeSignature(0, *metre))
    out.tempos.append(symusic.Tempo(0, qpm=100))
    for program, notes in parts:
        track = symusic.Track(program=max(program, 0), is_drum=program < 0)
        for time, duration, pitch in sorted(notes):
            track.notes.append(symusic.Note(time, duration, pitch, 90))
        out.tracks.append(track)
    return out


def section(name: str, n_bars: int = 8) -> dict[str, list[Notes]]:
    """What each part plays in each bar of a section: the same for the same name, every bar with its own melody."""
    out: dict[str, list[Notes]] = {part: [] for part in PROGRAMS}
    draw = random.Random(name)
    steps = sorted(draw.sample(range(16), 6))
    for _ in range(n_bars):
        triad = draw.choice(TRIADS)
        out["drums"].append([(step * TPQ // 4, TPQ // 4, draw.choice((36, 38, 42))) for step in steps])
        out["piano"].append([(beat * TPQ, TPQ, pitch) for beat in sorted(draw.sample(range(4), 2)) for pitch in triad])
        out["guitar"].append([(eighth * TPQ // 2, TPQ // 2, draw.choice(triad) + 12) for eighth in sorted(draw.sample(range(8), 5))])
        out["bass"].append([(0, BAR, triad[0] - 24)])
        out["strings"].append([(0, BAR, pitch) for pitch in triad])
    return out


def song(form: str, n_bars: int = 8, seed: int = 0, parts: tuple[str, ...] = tuple(PROGRAMS)) -> symusic.Score:
    """A band playing sections in turn: ``AABA`` is four of them, ``-`` one bar of silence."""
    played: dict[str, Notes] = {part: [] for part in parts}
    bar = 0
    for letter in form:
        if letter == "-":
            bar += 1
            continue
        bars = section(f"{letter}{seed}", n_bars)
        for part in parts:
            for number, notes in enumerate(bars[part]):
                played[part] += [(time + (bar + number) * BAR, duration, pitch) for time, duration, pitch in notes]
        bar += n_bars
    return score([(PROGRAMS[part], played[part]) for part in parts])


def lead_and_chords(seed: int = 0, n_bars: int = 12, early: int = 0) -> tuple[symusic.Score, symusic.Score]:
    """A song as melody, second voice and piano, and its copy in one track with chords; `early` beats stand before the first bar line.

    The melody rests in the first four bars, and the second voice sounds in the bars 8 to 11 alone.
    """
    draw = random.Random(seed)
    lead: Notes = []
    second: Notes = []
    piano: Notes = []
    chords: Notes = []
    for bar in range(n_bars):
        at, triad = bar * BAR + early * TPQ, draw.choice(TRIADS)
        chords += [(at, BAR, pitch) for pitch in triad]
        piano += [(at, 2 * TPQ, triad[0] - 12), (at + 2 * TPQ, 2 * TPQ, triad[2] - 24)]
        piano += [(at + eighth * TPQ // 2, TPQ // 2, draw.choice(triad)) for eighth in range(1, 8, 2)]
        if bar >= 4:
            lead += [(at + eighth * TPQ // 2, TPQ // 2, draw.choice(triad) + 12) for eighth in sorted(draw.sample(range(8), 5))]
        if 8 <= bar < 12:
            second += [(at + beat * TPQ, TPQ, draw.choice(triad)) for beat in range(4)]
    whole = score([(0, lead), (0, second), (0, piano)])
    return whole, score([(0, lead + second + piano), (0, chords)])


def drumming(seed: int, n_bars: int = 8, swing: int = 0) -> symusic.Score:
    """Bars of rock; a crash opens every fourth bar from the second on; `swing` ticks late off the beat."""
    draw = random.Random(seed)
    steps = sorted(draw.sample(range(16), 5))
    notes: Notes = []
    for bar in range(n_bars):
        at = bar * BAR
        notes += [(at + step * TPQ // 4 + (swing if step % 2 else 0), 60, 42) for step in (range(16) if swing else steps)]
        notes += [(at, 60, 36), (at + TPQ, 60, 38), (at + 3 * TPQ, 60, 38), (at + 2 * TPQ, 60, 58)]
        notes += [(at, 60, 55)] if bar % 4 == 1 else []
    return score([(-1, notes)])


def write_drums(folder: Path, n_performances: int = 12) -> Path:
    """A folder of drumming with names as the Groove MIDI Dataset has them, fills and other metres among them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_performances):
        drumming(number).dump_midi(folder / f"drummer1_session1_{number}_rock-groove_{90 + 5 * number}_beat_4-4.mid")
    drumming(50).dump_midi(folder / "drummer1_session1_50_rock_100_fill_4-4.mid")
    drumming(51).dump_midi(folder / "drummer1_session1_51_rock_100_beat_3-4.mid")
    drumming(52).dump_midi(folder / "drummer1_session1_52_jazz_100_beat_4-4.mid")
    drumming(53, swing=60).dump_midi(folder / "drummer1_session1_53_rock_100_beat_4-4.mid")
    return folder
