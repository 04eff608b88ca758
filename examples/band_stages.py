"""How a band learns: pieces of one seed by the small band at six stages of its training, as files and as one picture.

python examples/band_stages.py [FOLDER]
"""

import sys
from pathlib import Path

import kapelle
from kapelle import api

STAGES = (500, 1000, 2000, 4000, 8000)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "stages")
    folder.mkdir(parents=True, exist_ok=True)
    files, labels = [], []
    for model in (*(f"band-tutorial-{steps}" for steps in STAGES), "band-tutorial"):
        piece = kapelle.compose(model=model, bars=8, seed=3)
        files.append(piece.save(folder / f"{model}.mid", force=True))
        labels.append(model.removeprefix("band-tutorial-") if model != "band-tutorial" else "last")
        print(f"{model}: {piece.report.n_notes} notes, try {piece.report.attempts}")
    print(api.plot_row(files, folder / "stages.png", labels, title="The same seed, after so many steps", force=True))


if __name__ == "__main__":
    main()
