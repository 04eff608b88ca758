"""Let a model of Chopin's music go on from Mozart, cooler and hotter, and say what the temperature did to the choice of notes.

python examples/compose_from_mozart.py [SEED.mid]
"""

import math
import sys
from collections import Counter
from pathlib import Path

import kapelle

seed = {"seed_from": sys.argv[1]} if len(sys.argv) > 1 else {}  # otherwise the built-in opening
Path("out").mkdir(exist_ok=True)

for temperature in (0.7, 1.0, 1.5):
    piece = kapelle.compose(model="chopin", notes=100, temperature=temperature, seed=1, **seed)
    path = piece.save(f"out/chopin-{temperature}.mid", force=True)
    counts = Counter(note.pitch for track in piece.score.tracks for note in track.notes)
    entropy = -sum(n / 100 * math.log2(n / 100) for n in counts.values())
    facts = piece.report.facts
    print(f"{path}: {entropy:.2f} bits per pitch; heard {facts['seed_items']} notes and chords, {facts['seed_mapped']} by the nearest")
