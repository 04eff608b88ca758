"""Watch a piece being composed: notes are printed while they are drawn, long before the last bar is there.

python examples/stream_events.py
"""

import kapelle
from kapelle.composing.events import BarDone, Done, NotesAdded, Restarted

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

wish = kapelle.request(length=kapelle.Length(8, "bars"), seed=7, options={"genre": "pop"})
for event in kapelle.compose_events(wish):
    match event:
        case NotesAdded(notes):
            for note in notes:
                print(f"{note.start_s:7.2f} s  {NAMES[note.pitch % 12]}{note.pitch // 12 - 1}", flush=True)
        case BarDone(bar, n_bars):
            print(f"--- bar {bar + 1} of {n_bars}")
        case Restarted(attempt, reasons):
            print(f"=== begins again ({', '.join(reasons)}); this is attempt {attempt}")
        case Done(piece):
            print(piece)
