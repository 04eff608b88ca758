"""Little pieces of our own making, as MIDI files in genre folders: the same bytes for the same seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import symusic

if TYPE_CHECKING:
    from pathlib import Path

TPQ = 24
SCALES = {"jazz": (0, 2, 3, 5, 7, 9, 10), "pop": (0, 2, 4, 5, 7, 9, 11)}


def tune(seed: int, genre: str = "pop", n_bars: int = 12, notes_per_bar: int = 6, metre: tuple[int, int] = (4, 4)) -> symusic.Score:
    """A melody that wanders over a scale, one hand, with a note on every first beat."""
    draw = random.Random(f"{seed}-{genre}")
    score = symusic.Score(TPQ)
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    score.tempos.append(symusic.Tempo(0, qpm=draw.choice((90, 120, 150))))
    track = symusic.Track(name="Piano", program=0)
    bar = TPQ * 4 * metre[0] // metre[1]
    grid = TPQ // 4
    tonic, place = draw.randrange(55, 66), draw.randrange(7)
    for number in range(n_bars):
        starts = {0, *(draw.randrange(bar // grid) * grid for _ in range(notes_per_bar - 1))}
        for start in sorted(starts):
            place = max(-7, min(13, place + draw.randint(-2, 2)))
            pitch = tonic + 12 * (place // 7) + SCALES[genre][place % 7]
            track.notes.append(symusic.Note(number * bar + start, draw.choice((grid, 2 * grid, 4 * grid)), pitch, draw.randrange(40, 110)))
    score.tracks.append(track)
    return score


def write_folder(folder: Path, n_artists: int = 6, n_songs: int = 2, n_bars: int = 12) -> Path:
    """``folder/jazz/Artist 3/song 1.mid`` and the like, `n_artists` times `n_songs` for each of the two genres."""
    for genre in SCALES:
        for artist in range(n_artists):
            place = folder / genre / f"Artist {artist}{genre}"
            place.mkdir(parents=True, exist_ok=True)
            for song in range(n_songs):
                seed = artist * 100 + song
                (place / f"song {song}.mid").write_bytes(tune(seed, genre, n_bars + seed % 5).dumps_midi())
    return folder


RECIPE = """
name = "tiny"
family = "gpt"
codec = "remi"

[data]
validation = 0.15
test = 0.15

[[data.sources]]
folder = "pop"
genre = "pop"
licence = "ours"

[[data.sources]]
folder = "jazz"
genre = "jazz"
licence = "ours"

[tokenizer]
genres = ["pop", "jazz"]
positions_per_beat = 4
velocities = 4
metres = ["3/4", "4/4"]

[preprocessing]
context_len = 64
min_bars = 4
min_notes = 20

[model]
n_embd = 16
n_layer = 1
n_head = 2
n_positions = 64

[training]
steps = 24
batch_size = 4
learning_rate = 1e-2
warmup_steps = 4
precision = "32-true"
validate_every = 8
validation_blocks = 8
log_every = 2
"""
