"""How a band learns: what the small band makes of the same four latents at six stages of its training, as a picture and as pieces.

python examples/band_stages.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

import kapelle
from kapelle import api
from kapelle.composing.band_model import opened
from kapelle.engraving.mosaic import mosaic

MODELS = (*(f"band-tutorial-{steps}" for steps in (500, 1000, 2000, 4000, 8000)), "band-tutorial")
PHRASES = 4


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "stages")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in MODELS:
        model = opened(api.bundle(name))
        draw = np.random.default_rng(3)
        latents = [{key: draw.standard_normal(shape, dtype=np.float32) for key, shape in model.latents.items()} for _ in range(PHRASES)]
        rows.append(np.stack([model.phrase(one, None) > 0 for one in latents]))  # as the network makes them, no rules
        kapelle.compose(model=name, bars=8, seed=3).save(folder / f"{name}.mid", force=True)
        print(f"{name}: {rows[-1].sum() / PHRASES:.0f} cells in a phrase")
    imsave(folder / "stages.png", mosaic(np.concatenate(rows), model.tracks, columns=PHRASES))
    print(folder / "stages.png")


if __name__ == "__main__":
    main()
