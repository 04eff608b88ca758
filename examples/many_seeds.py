"""One wish, several seeds: compose four waltzes and say how each came about. Seed 22 alone would give the third of them again.

python examples/many_seeds.py [FOLDER]
"""

import sys
from pathlib import Path

import kapelle


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    folder.mkdir(parents=True, exist_ok=True)
    for piece in kapelle.compose(genre="classical", metre="3/4", bars=8, seed=20, count=4, processes=2):
        path = piece.save(folder / f"waltz-{piece.request.seed}.mid", force=True)
        tries = f"{piece.report.attempts} tries" if piece.report.attempts > 1 else "first try"
        print(f"{path}: {piece.report.n_notes} notes, {tries}")


if __name__ == "__main__":  # the processes that compose read this file too
    main()
