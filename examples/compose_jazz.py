"""Compose a jazz piece; write its notes, its sound and its picture.

python examples/compose_jazz.py [FOLDER]
"""

import sys
from pathlib import Path

import kapelle

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
folder.mkdir(parents=True, exist_ok=True)

piece = kapelle.compose(genre="jazz", bars=16, seed=7)
print(piece)
print(piece.save(folder / "jazz.mid", force=True))
print(piece.to_wav(folder / "jazz.wav"))
print(piece.plot(folder / "jazz.png"))
