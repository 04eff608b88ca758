"""Three small scores of our own: a chorale of four voices, a piano piece for two hands with triplets, a band of five with drums.

Their MusicXML is kept in tests/engraving/golden/; after a change that is meant to change it: python tests/scores.py
"""

from __future__ import annotations

from pathlib import Path

import symusic

from pieces import score, track

Q = 480

SOPRANO = ((67, 1), (69, 1), (71, 1), (72, 1), (74, 1.5), (72, 0.5), (71, 2), (72, 1), (71, 1), (69, 1), (69, 1), (67, 4))
ALTO = ((62, 1), (66, 1), (67, 1), (67, 1), (67, 1), (66, 1), (67, 2), (67, 1), (67, 1), (67, 0.5), (66, 0.5), (66, 1), (62, 4))
TENOR = ((59, 1), (60, 1), (62, 1), (64, 1), (62, 2), (62, 2), (64, 1), (62, 1), (64, 1), (60, 1), (59, 4))
BASS = ((55, 1), (50, 1), (55, 0.5), (54, 0.5), (52, 1), (47, 1), (50, 1), (55, 2), (48, 1), (50, 1), (48, 1), (50, 1), (43, 4))


def line(notes, start=0.0, velocity=80):
    """Notes one after another from (pitch, quarters)."""
    out, at = [], start
    for pitch, quarters in notes:
        out.append((round(at * Q), round(quarters * Q), pitch, velocity))
        at += quarters
    return out


def chorale() -> symusic.Score:
    """Four bars in G major, four single lines on unnamed piano tracks."""
    piece = score(*(track(*line(notes)) for notes in (SOPRANO, ALTO, TENOR, BASS)), bpm=72)
    piece.key_signatures.append(symusic.KeySignature(0, 1, 0))
    return piece


def piano() -> symusic.Score:
    """Six bars in D minor for two hands, with a pickup, triplets, a held bass and a change to three quarters."""
    right = [(0, 480, 69, 90)]
    third = Q / 3
    for bar, root in enumerate((62, 65, 64)):
        at = Q + bar * 4 * Q
        right += [(round(at + i * third), 150, root + step, 80) for i, step in enumerate((12, 7, 3, 12, 7, 3))]
        right += [(at + 2 * Q, 700, root + 12, 90), (at + 2 * Q + 720, 230, root + 11, 80)]
    left = []
    for bar, root in enumerate((38, 41, 37)):
        at = Q + bar * 4 * Q
        left += [(at, 4 * Q - 10, root, 80)] + [(at + beat * Q, Q - 20, root + 12 + step, 70) for beat, step in ((1, 7), (2, 12), (3, 7))]
    at = 13 * Q
    right += [(at + i * Q, Q, pitch, 80) for i, pitch in enumerate((74, 73, 74))]
    left += [(at, 3 * Q, 38, 80), (at, 3 * Q, 50, 80)]
    piece = score(track(*right, name="Piano right"), track(*left, name="Piano left"), bpm=96)
    piece.time_signatures.extend([symusic.TimeSignature(0, 1, 4), symusic.TimeSignature(Q, 4, 4), symusic.TimeSignature(13 * Q, 3, 4)])
    piece.key_signatures.append(symusic.KeySignature(0, -1, 1))
    return piece


def band() -> symusic.Score:
    """Four bars in E flat major for flute, guitar, strings, bass and drums."""
    flute, guitar, strings, bass, drums = [], [], [], [], []
    for bar, root in enumerate((51, 48, 44, 46)):
        at = bar * 4 * Q
        minor = root == 48
        third = 3 if minor else 4
        flute += [(at + i * Q // 2, Q // 2, root + 24 + step, 90) for i, step in enumerate((0, third, 7, 12))] + [
            (at + 2 * Q, 2 * Q, root + 31, 90)
        ]
        guitar += [(at + beat * Q + Q // 2, Q // 4, root + step, 70) for beat in range(4) for step in (0, third, 7)]
        strings += [(at, 4 * Q, root + step, 60) for step in (0, third, 7)]
        bass += [(at + i * Q, Q - 10, root - 12 - 12 * (root > 46), 90) for i in range(4)]
        drums += [(at + eighth * Q // 2, 60, 42, 80) for eighth in range(8)]
        drums += [(at + beat * Q, 60, 36 if beat % 2 == 0 else 38, 100) for beat in range(4)]
    drums.append((0, 60, 49, 110))
    parts = (
        track(*flute, name="Flute", program=73),
        track(*guitar, name="", program=27),
        track(*strings, name="Strings", program=48),
        track(*bass, name="", program=33),
        track(*drums, name="", drums=True),
    )
    return score(*parts, bpm=112)


ALL = {"chorale": chorale, "piano": piano, "band": band}


def write_golden() -> None:
    """Write the golden files anew."""
    from kapelle.engraving.notation import musicxml
    from kapelle.engraving.options import EngravingOptions

    for name, make in ALL.items():
        path = Path(__file__).parent / "engraving" / "golden" / f"{name}.musicxml"
        path.write_text(musicxml(make(), EngravingOptions(title=name.capitalize(), composer="Kapelle")), encoding="utf-8")


if __name__ == "__main__":
    write_golden()
