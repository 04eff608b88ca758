"""Go on from a MIDI file: what is there stays note for note, eight bars follow in its key and tempo.

python examples/extend_a_file.py [IN.mid OUT.mid]
"""

import sys
from pathlib import Path

import kapelle

if len(sys.argv) > 2:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
else:  # nothing at hand: go on from a piece of our own
    Path("out").mkdir(exist_ok=True)
    source = kapelle.compose(genre="pop", bars=4, seed=1).save("out/beginning.mid", force=True)
    target = Path("out/longer.mid")

before = sum(len(track.notes) for track in kapelle.read_midi(source).tracks)
piece = kapelle.extend(source, bars=8, seed=2)
piece.save(target, force=True)
print(f"{source}: {before} notes; {target}: {piece.report.n_notes} notes in {piece.report.n_bars} bars")
