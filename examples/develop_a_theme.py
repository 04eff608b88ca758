"""Develop a theme three times: as the network remembers it, as songs repeat theirs, and note for note.

python examples/develop_a_theme.py [THEME.mid]
"""

import sys
from pathlib import Path

import kapelle

Path("out").mkdir(exist_ok=True)
theme = sys.argv[1] if len(sys.argv) > 1 else kapelle.compose(model="chopin", bars=8, seed=5, metre="4/4").save("out/theme.mid", force=True)

for likeness in (0.0, 0.8, 1.0):
    piece = kapelle.develop(theme, bars=16, form="AABA", theme_length=2, likeness=likeness, seed=1)
    path = piece.save(f"out/developed-{likeness}.mid", force=True)
    piece.plot(path.with_suffix(".png"))
    returns = ", ".join(f"{first + 1}-{end}" for first, end in piece.report.facts["regions"])
    print(f"{path}: {piece.report.n_notes} notes in {piece.report.facts['key']}, the theme in bars {returns}")
