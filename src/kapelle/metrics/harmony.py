"""How a piece moves from chord to chord.

Takes an `Excerpt`; gives one number.

================================  ======================================================================  =======  ==================
function                          what it is                                                             range    nothing to measure
================================  ======================================================================  =======  ==================
`chord_progression_irregularity`  different successions of three chords over all successions of three   0-1      NaN
================================  ======================================================================  =======  ==================

Conventions. One chord a bar, recognised by `kapelle.score.harmony`: root and kind count, the bass does not; a bar in which fewer than two
pitch classes sound has none and is passed over, as is everything beyond 8,192 bars. Drums do not count. A chord that stays is counted
again in each bar, so four bars on one chord and then four on another are more regular than eight chords. 1 says that no succession of
three comes back, and the fewer bars there are the nearer any piece lies to it: compare pieces of one length. There is nothing to measure
with fewer than three chords.

Source: CPI of Wu and Yang 2020, "The Jazz Transformer on the front line", ISMIR, section 4.

Known differences.

1. The paper's chords are tokens of the model; here they are heard in the notes, so any piece can be measured, and two pieces by one ear.
2. MusDr counts one succession too few, the last, and gives 1 for three chords or fewer; here the last one counts, three chords give 1 and
   fewer NaN.
"""

from __future__ import annotations

from kapelle.metrics.excerpt import Excerpt
from kapelle.score import harmony

N = 3


def chord_progression_irregularity(notes: Excerpt) -> float:
    """Different successions of three chords over all of them, above 0 to 1; NaN with fewer than three chords."""
    chords = progression(notes)
    grams = [tuple(chords[i : i + N]) for i in range(len(chords) - N + 1)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def progression(notes: Excerpt) -> list[tuple[int, str]]:
    """Pitch class of the root and kind (of `kapelle.score.harmony.KINDS`) of the chord of each bar that has one."""
    lines = notes.lines[: harmony.MAX_CHORDS + 1]
    found = harmony.roots_and_kinds((notes.onset, notes.end, notes.pitch), lines) if len(notes.onset) else []
    return [chord for chord in found if chord]
