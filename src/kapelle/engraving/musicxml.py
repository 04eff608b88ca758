"""Written parts as MusicXML 4.0, byte for byte the same for the same score.

Takes parts with their written staves and the bars; gives one text. It holds no date, no version and no random id. Rests of a second
voice are there and hidden, so that every voice fills its bars. Tempi are words and a `sound` element: a `metronome` element asks for
a note sign that many text fonts lack.

Source: MusicXML 4.0, W3C Community Group Final Report 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kapelle.engraving.canvas import escape
from kapelle.engraving.clefs import Clef
from kapelle.engraving.drumset import Stroke, stroke_of
from kapelle.engraving.parts import Part
from kapelle.engraving.rhythm import WHOLE_BAR, Piece
from kapelle.engraving.spelling import Accidentals, Name
from kapelle.engraving.staves import Staff, Voice
from kapelle.engraving.timeline import QUARTER, Bar

_SIGNS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
_SHOWN_TUPLET_BARS = 2
"""Bars in which a run of triplets shows its numbers; after them the reader knows."""

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
    '<score-partwise version="4.0">\n'
)


@dataclass(frozen=True)
class Tempo:
    """A tempo mark: its words, and quarter notes per minute for players."""

    words: str
    bpm: float


@dataclass(frozen=True)
class Sheet:
    """All that a page shows."""

    title: str
    composer: str
    parts: Sequence[tuple[Part, Sequence[Staff]]]
    bars: Sequence[Bar]
    tempi: Mapping[int, Tempo]


def to_musicxml(sheet: Sheet) -> str:
    """`sheet` as MusicXML."""
    lines = [_HEAD]
    if sheet.title:
        lines.append(f" <work><work-title>{escape(sheet.title)}</work-title></work>\n")
    creator = f'<creator type="composer">{escape(sheet.composer)}</creator>' if sheet.composer else ""
    lines.append(f" <identification>{creator}<encoding><software>Kapelle</software></encoding></identification>\n <part-list>\n")
    lines += [_score_part(f"P{i}", part) for i, (part, _) in enumerate(sheet.parts, 1)]
    lines.append(" </part-list>\n")
    for i, (part, staves) in enumerate(sheet.parts, 1):
        lines.append(f' <part id="P{i}">\n')
        lines += _measures(sheet, part, staves, f"P{i}")
        lines.append(" </part>\n")
    return "".join([*lines, "</score-partwise>\n"])


def _score_part(key: str, part: Part) -> str:
    hidden = "" if part.name else ' print-object="no"'
    name = f"<part-name{hidden}>{escape(part.name)}</part-name>"
    short = f"<part-abbreviation>{escape(part.short)}</part-abbreviation>" if part.short else ""
    if part.is_drum:
        pitches = sorted({int(pitch) for pitch in part.staves[0].pitches})
        instruments = "".join(
            f'<score-instrument id="{key}-I{pitch}"><instrument-name>{pitch}</instrument-name></score-instrument>' for pitch in pitches
        )
        sounds = "".join(
            f'<midi-instrument id="{key}-I{pitch}"><midi-channel>10</midi-channel>'
            f"<midi-unpitched>{pitch + 1}</midi-unpitched></midi-instrument>"
            for pitch in pitches
        )
    else:
        label = escape(part.name or "Piano")
        instruments = f'<score-instrument id="{key}-I1"><instrument-name>{label}</instrument-name></score-instrument>'
        sounds = f'<midi-instrument id="{key}-I1"><midi-program>{min(max(part.program, 0), 127) + 1}</midi-program></midi-instrument>'
    return f'  <score-part id="{key}">{name}{short}{instruments}{sounds}</score-part>\n'


# Measures ----------------------------------------------------------------------------------------------------------------------


def _measures(sheet: Sheet, part: Part, staves: Sequence[Staff], key: str) -> Iterator[str]:
    """The bars of a part."""
    signs = [Accidentals() for _ in staves]
    runs = {(s, v): 0 for s, staff in enumerate(staves) for v in range(len(staff.voices))}
    number = 0 if sheet.bars[0].pickup else 1
    for i, bar in enumerate(sheet.bars):
        implicit = ' implicit="yes"' if bar.pickup else ""
        yield f'  <measure number="{number + i}"{implicit}>\n'
        yield _attributes(sheet.bars, i, staves)
        if i in sheet.tempi and key == "P1":
            yield _tempo(sheet.tempi[i])
        first = True
        for s, staff in enumerate(staves):
            signs[s].begin_bar(bar.sharps)
            printed = {} if staff.is_drum else _accidentals(staff, i, signs[s])
            for v, voice in enumerate(staff.voices):
                pieces = voice.bars[i]
                if not pieces:
                    runs[s, v] = 0
                    continue
                if not first:
                    yield f"   <backup><duration>{bar.length}</duration></backup>\n"
                first = False
                runs[s, v] = runs[s, v] + 1 if any(piece.tuplet for piece in pieces) else 0
                writer = _NoteWriter(staff, voice, s, v, key, printed, runs[s, v] <= _SHOWN_TUPLET_BARS, len(staves) > 1)
                yield from writer.write(pieces)
        if i + 1 == len(sheet.bars):
            yield '   <barline location="right"><bar-style>light-heavy</bar-style></barline>\n'
        yield "  </measure>\n"


def _attributes(bars: Sequence[Bar], i: int, staves: Sequence[Staff]) -> str:
    """What is new in a bar: key, metre, clefs."""
    bar, before = bars[i], bars[i - 1] if i else None
    out = []
    if before is None:
        out.append(f"<divisions>{QUARTER}</divisions>")
    if not staves[0].is_drum and (before is None or before.sharps != bar.sharps):
        mode = "minor" if bar.minor else "major"
        out.append(f"<key><fifths>{bar.sharps}</fifths><mode>{mode}</mode></key>")
    if before is None or before.metre != bar.metre:
        out.append(f"<time><beats>{bar.metre[0]}</beats><beat-type>{bar.metre[1]}</beat-type></time>")
    if before is None and len(staves) > 1:
        out.append(f"<staves>{len(staves)}</staves>")
    for s, staff in enumerate(staves):
        if before is None or staff.clefs[i] != staff.clefs[i - 1]:
            out.append(_clef(staff.clefs[i], s, len(staves)))
    return f"   <attributes>{''.join(out)}</attributes>\n" if out else ""


def _clef(clef: Clef, s: int, n_staves: int) -> str:
    which = f' number="{s + 1}"' if n_staves > 1 else ""
    line = "" if clef.sign == "percussion" else f"<line>{clef.line}</line>"
    octave = f"<clef-octave-change>{clef.octave}</clef-octave-change>" if clef.octave else ""
    return f"<clef{which}><sign>{clef.sign}</sign>{line}{octave}</clef>"


def _tempo(tempo: Tempo) -> str:
    return (
        '   <direction placement="above"><direction-type><words font-weight="bold">'
        f'{escape(tempo.words)}</words></direction-type><staff>1</staff><sound tempo="{tempo.bpm:g}"/></direction>\n'
    )


def _accidentals(staff: Staff, i: int, signs: Accidentals) -> dict[tuple[int, int, int], int | None]:
    """What is printed before each note of a bar, by voice, start and pitch, as the eye meets them."""
    notes = []
    for v, voice in enumerate(staff.voices):
        for piece in voice.bars[i]:
            if piece.chord >= 0:
                chord = voice.chords[piece.chord]
                notes += [(piece.start, pitch, v, piece.tied, name) for pitch, name in zip(chord.pitches, chord.names, strict=True)]
    out: dict[tuple[int, int, int], int | None] = {}
    for start, pitch, v, tied, name in sorted(notes, key=lambda note: note[:3]):
        out[v, start, pitch] = signs.sign(name, tied=tied)
    return out


# Notes -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _NoteWriter:
    """Writes the pieces of one voice of one bar."""

    staff: Staff
    voice: Voice
    s: int
    v: int
    key: str
    printed: Mapping[tuple[int, int, int], int | None]
    numbered: bool
    many_staves: bool

    def write(self, pieces: Sequence[Piece]) -> Iterator[str]:
        """One text per note or rest."""
        brackets = _brackets(pieces)
        for place, piece in enumerate(pieces):
            if piece.chord < 0:
                yield self._rest(piece, brackets[place])
                continue
            for n, pitch in enumerate(self.voice.chords[piece.chord].pitches):
                yield self._note(piece, pitch, n > 0, brackets[place])

    def _rest(self, piece: Piece, bracket: bool) -> str:
        whole = piece.kind == WHOLE_BAR
        hidden = ' print-object="no"' if self.v else ""
        rest = '<rest measure="yes"/>' if whole else "<rest/>"
        kind = "" if whole else self._value(piece)
        return (
            f"   <note{hidden}>{rest}<duration>{piece.length}</duration><voice>{self._number}</voice>{kind}"
            f"{self._staff}{self._notations(piece, False, bracket)}</note>\n"
        )

    def _note(self, piece: Piece, pitch: int, is_chord: bool, bracket: bool) -> str:
        ties = ('<tie type="stop"/>' if piece.tied else "") + ('<tie type="start"/>' if piece.ties else "")
        stroke = stroke_of(pitch) if self.staff.is_drum else None
        what, head, sign, stem, instrument = self._looks(piece, pitch, stroke)
        beams = "" if is_chord else "".join(f'<beam number="{level}">{word}</beam>' for level, word in enumerate(piece.beams, 1))
        return (
            f"   <note>{'<chord/>' if is_chord else ''}{what}<duration>{piece.length}</duration>{ties}{instrument}"
            f"<voice>{self._number}</voice>{self._value(piece, sign)}{stem}{head}{self._staff}{beams}"
            f"{self._notations(piece, is_chord, bracket)}</note>\n"
        )

    def _looks(self, piece: Piece, pitch: int, stroke: Stroke | None) -> tuple[str, str, str, str, str]:
        """Pitch, head, accidental, stem and instrument of a note."""
        if stroke is None:
            chord = self.voice.chords[piece.chord]
            name = chord.names[chord.pitches.index(pitch)]
            sign = self.printed.get((self.v, piece.start, pitch))
            return _pitch(name), "", "" if sign is None else f"<accidental>{_SIGNS[sign]}</accidental>", "", ""
        place = f"<display-step>{stroke.step}</display-step><display-octave>{stroke.octave}</display-octave>"
        head = f"<notehead>{stroke.head}</notehead>" if stroke.head else ""
        stem = f"<stem>{'down' if self.v else 'up'}</stem>"
        return f"<unpitched>{place}</unpitched>", head, "", stem, f'<instrument id="{self.key}-I{pitch}"/>'

    @property
    def _number(self) -> int:
        return 4 * self.s + self.v + 1

    @property
    def _staff(self) -> str:
        return f"<staff>{self.s + 1}</staff>" if self.many_staves else ""

    def _value(self, piece: Piece, sign: str = "") -> str:
        ratio = ""
        if piece.tuplet:
            actual, normal = piece.tuplet
            ratio = f"<time-modification><actual-notes>{actual}</actual-notes><normal-notes>{normal}</normal-notes></time-modification>"
        return f"<type>{piece.kind}</type>{'<dot/>' * piece.dots}{sign}{ratio}"

    def _notations(self, piece: Piece, is_chord: bool, bracket: bool) -> str:
        out = []
        if piece.chord >= 0:
            out += (['<tied type="stop"/>'] if piece.tied else []) + (['<tied type="start"/>'] if piece.ties else [])
        if piece.opens and not is_chord:
            shown = "" if self.numbered else ' show-number="none"'
            drawn = "yes" if bracket and self.numbered else "no"
            out.append(f'<tuplet type="start" number="1" bracket="{drawn}"{shown}/>')
        if piece.closes and not is_chord:
            out.append('<tuplet type="stop" number="1"/>')
        return f"<notations>{''.join(out)}</notations>" if out else ""


def _brackets(pieces: Sequence[Piece]) -> list[bool]:
    """For each piece, whether the tuplet that it opens needs a bracket: its notes are not under one beam of their own."""
    out = [False] * len(pieces)
    for i, piece in enumerate(pieces):
        if piece.opens:
            last = next((j for j in range(i, len(pieces)) if pieces[j].closes), i)
            inside = pieces[i : last + 1]
            joined = all(member.beams for member in inside) and inside[0].beams[0] == "begin" and inside[-1].beams[0] == "end"
            out[i] = not joined
    return out


def _pitch(name: Name) -> str:
    alter = f"<alter>{name.alter}</alter>" if name.alter else ""
    return f"<pitch><step>{name.step}</step>{alter}<octave>{name.octave}</octave></pitch>"
