"""A band around a melody: four other tracks are made, the melody comes back note for note.

python examples/band_around_a_melody.py [MELODY.mid]
"""

import sys
from pathlib import Path

import kapelle


def main() -> None:
    lead = (
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else kapelle.compose(model="chopin", bars=8, seed=5, metre="4/4").save("melody.mid", force=True)
    )
    piece = kapelle.accompany(lead, track="piano", seed=1)
    piece.save("with-band.mid", force=True)
    piece.plot("with-band.png")
    print(f"{piece.report.n_bars} bars: {', '.join(piece.report.facts['instruments'])}")


if __name__ == "__main__":
    main()
