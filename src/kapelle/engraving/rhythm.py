"""Lengths as note values: cut at beats, tied, grouped into triplets and beamed, as the metre asks.

Takes the chords of one voice in one bar, in whole units; gives `Piece`s, each one written note value. Which values may cross which
beat follows the usual rules: a note may hide a beat only if it begins or ends on a place at least as strong, or lies evenly around
it (the simple syncopation); rests hide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from kapelle.engraving.timeline import QUARTER, SIXTEENTH, Bar

TYPES = {384: "breve", 192: "whole", 96: "half", 48: "quarter", 24: "eighth", 12: "16th", 6: "32nd", 3: "64th"}
_VALUES = {
    **{length: (name, 0) for length, name in TYPES.items()},
    **{length * 3 // 2: (name, 1) for length, name in TYPES.items() if length > 3},
}
WHOLE_BAR = "bar"
"""The kind of the rest that fills a bar of any metre."""

_FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}


@dataclass
class Piece:
    """One written value.

    Args:
        start: In units from the start of the bar.
        length: In units.
        chord: Index of the chord it belongs to; -1 for a rest.
        kind: Name of the value: ``"quarter"``.
        dots: Behind it.
        tied: It goes on from the piece before; `ties`: into the next.
        tuplet: (notes, in the time of), or None.
        opens: It begins a tuplet; `closes`: it ends one.
        beams: MusicXML's word for each level of beams.
    """

    start: int
    length: int
    chord: int
    kind: str = ""
    dots: int = 0
    tied: bool = False
    ties: bool = False
    tuplet: tuple[int, int] | None = None
    opens: bool = False
    closes: bool = False
    beams: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Span:
    """A chord (its index), or silence (-1), from `start` to `end`, in units from the start of the bar."""

    start: int
    end: int
    chord: int
    tied: bool = False
    ties: bool = False


def write_bar(spans: Sequence[Span], bar: Bar) -> list[Piece]:
    """The pieces of one voice in one bar.

    Args:
        spans: They fill the bar from 0 to its length without gaps.
        bar: The bar.
    """
    tuplets = _tuplet_cells(spans, bar)
    edges = sorted({0, bar.length, *(edge for cell in tuplets for edge in cell)})
    out: list[Piece] = []
    for span in spans:
        parts: list[Piece] = []
        cuts = [span.start, *(edge for edge in edges if span.start < edge < span.end), span.end]
        for left, right in pairwise(cuts):
            cell = next(((a, b) for a, b in tuplets if a <= left and right <= b), None)
            # A note that fills the whole of a triplet beat is no part of a triplet.
            parts += (
                _in_tuplet(left, right, cell, span.chord) if cell and (left, right) != cell else _straight(left, right, bar, span.chord)
            )
        if span.chord >= 0:
            _tie(parts, span)
        out += parts
    _bracket(out, tuplets)
    _beam(out, bar)
    return out


def _tie(parts: list[Piece], span: Span) -> None:
    for i, piece in enumerate(parts):
        piece.tied = span.tied or i > 0
        piece.ties = span.ties or i + 1 < len(parts)


# Tuplets -----------------------------------------------------------------------------------------------------------------------


def _tuplet_cells(spans: Sequence[Span], bar: Bar) -> list[tuple[int, int]]:
    """The beats (from, to) that this voice divides by three; two beats of one triplet of quarters come as one."""
    places = {place for span in spans for place in (span.start, span.end)}
    out: list[tuple[int, int]] = []
    for left in range(-(bar.shift % bar.cell), bar.length, bar.cell):
        right = left + bar.cell
        inside = [place - left for place in places if left < place < right]
        if left >= 0 and right <= bar.length and any(place % 3 for place in inside):
            out.append((left, right))
    merged: list[tuple[int, int]] = []
    for left, right in out:
        wide = merged and merged[-1] == (left - bar.cell, left) and (left - bar.cell + bar.shift) % (2 * bar.cell) == 0
        start = left - bar.cell
        if wide and left not in places and all((place - start) % (2 * bar.cell // 3) == 0 for place in places if start < place < right):
            merged[-1] = (start, right)
        else:
            merged.append((left, right))
    return merged


def _in_tuplet(left: int, right: int, cell: tuple[int, int], chord: int) -> list[Piece]:
    """Pieces inside of a triplet: written as in a bar of three, one and a half times as long as they sound."""
    length = cell[1] - cell[0]
    a, b = (left - cell[0]) * 3 // 2, (right - cell[0]) * 3 // 2
    out = []
    for start, end in _split(a, b, _levels((length * 3 // 2, length // 2)), is_rest=chord < 0):
        kind, dots = _VALUES[end - start]
        out.append(Piece(cell[0] + start * 2 // 3, (end - start) * 2 // 3, chord, kind, dots, tuplet=(3, 2)))
    return out


def _bracket(pieces: list[Piece], cells: Sequence[tuple[int, int]]) -> None:
    """Mark where tuplets begin and end, and call those of sixes what they are."""
    for left, right in cells:
        inside = [piece for piece in pieces if left <= piece.start < right and piece.tuplet]
        if not inside:
            continue
        inside[0].opens = inside[-1].closes = True
        ratio = (6, 4) if len(inside) > 3 and all(piece.length % ((right - left) // 6) == 0 for piece in inside) else (3, 2)
        for piece in inside:
            piece.tuplet = ratio


# Values ------------------------------------------------------------------------------------------------------------------------


def _straight(left: int, right: int, bar: Bar, chord: int) -> list[Piece]:
    if chord < 0 and left == 0 and right == bar.length == bar.full:
        return [Piece(0, bar.length, -1, WHOLE_BAR)]
    levels = _levels(_groups(bar.metre))
    out = []
    for start, end in _split(left + bar.shift, right + bar.shift, levels, is_rest=chord < 0):
        kind, dots = _VALUES[end - start]
        out.append(Piece(start - bar.shift, end - start, chord, kind, dots))
    return out


def _groups(metre: tuple[int, int]) -> tuple[int, ...]:
    """The lengths that bars of a metre divide into, from the bar down; ends with the beat that is halved from there on."""
    numerator, denominator = metre
    beat = 4 * QUARTER // denominator
    full = numerator * beat
    if denominator >= 8 and numerator % 3 == 0:
        return (full, 6 * beat, 3 * beat, beat) if numerator == 12 else (full, 3 * beat, beat)
    if numerator % 4 == 0 and numerator > 4:
        return (full, 4 * beat, 2 * beat, beat)
    if numerator == 4:
        return (full, 2 * beat, beat)
    return (full, beat)


@cache
def _levels(groups: tuple[int, ...]) -> tuple[int, ...]:
    """`groups` and all halves of the last of them, down to a sixty-fourth."""
    out = list(groups)
    while out[-1] % 2 == 0 and out[-1] > 3:
        out.append(out[-1] // 2)
    return tuple(dict.fromkeys(out))


def _weight(place: int, levels: tuple[int, ...]) -> int:
    """How strong a place in a bar is: 0 the strongest."""
    return next((i for i, length in enumerate(levels) if place % length == 0), len(levels))


def _split(start: int, end: int, levels: tuple[int, ...], *, is_rest: bool) -> list[tuple[int, int]]:
    """The spans, each of one written value, that a note or rest from `start` to `end` is made of."""
    if end - start < 3:
        return [] if end <= start else [(start, start + 3)]
    inner = [(weight, place) for place in range(start // 3 * 3 + 3, end, 3) if (weight := _weight(place, levels)) < len(levels)]
    strongest = min((weight for weight, _ in inner), default=len(levels))
    if end - start in _VALUES and _readable(start, end, levels, strongest, is_rest=is_rest):
        return [(start, end)]
    if not inner:
        return _greedy(start, end)
    at = [place for weight, place in inner if weight == strongest]
    cut = at[-1] if _weight(start, levels) <= strongest else at[0]
    return [*_split(start, cut, levels, is_rest=is_rest), *_split(cut, end, levels, is_rest=is_rest)]


def _readable(start: int, end: int, levels: tuple[int, ...], strongest: int, *, is_rest: bool) -> bool:
    """Whether one value may stand for a span whose strongest inner place has the weight `strongest`."""
    length = end - start
    dotted = _VALUES[length][1] > 0
    if is_rest:
        return _weight(start, levels) < strongest and (not dotted or length in levels)
    if strongest >= min(_weight(start, levels), _weight(end, levels)):
        return True
    return strongest > 0 and length == levels[strongest] and start % length == length // 2 and not dotted


def _greedy(start: int, end: int) -> list[tuple[int, int]]:
    """Values from the longest down, where the metre says nothing."""
    out = []
    while start < end:
        length = max((value for value in _VALUES if value <= end - start), default=3)
        out.append((start, start + length))
        start += length
    return out


# Beams -------------------------------------------------------------------------------------------------------------------------


def _beam(pieces: list[Piece], bar: Bar) -> None:
    """Join short values that follow each other within a beat, or within the longer group that plain eighths make."""
    groups: list[list[Piece]] = []
    last = (-1, -1)
    own = -1  # the tuplet that a piece stands in, if a beam over its edge would cut it
    for i, piece in enumerate(pieces):
        if piece.opens:
            members = pieces[i : next((j for j in range(i, len(pieces)) if pieces[j].closes), i) + 1]
            own = -1 if all(member.chord >= 0 and member.kind in _FLAGS for member in members) else piece.start
        within, own = own, -1 if piece.closes else own
        if piece.chord < 0 or piece.kind not in _FLAGS:
            last = (-1, -1)
            continue
        group = (_beam_group(piece, pieces, bar), within)
        if group != last:
            groups.append([])
        groups[-1].append(piece)
        last = group
    for members in groups:
        if len(members) > 1:
            _beam_levels(members)


def _beam_group(piece: Piece, pieces: Sequence[Piece], bar: Bar) -> int:
    """The start of the group that a piece is beamed in."""
    numerator, denominator = bar.metre
    place = piece.start + bar.shift
    if denominator >= 8:
        beat = 4 * QUARTER // denominator
        size = 3 * beat if numerator % 3 == 0 else 2 * beat
        if numerator % 3 and numerator % 2:  # 5/8 and 7/8: twos, and a three at the end
            return min(place // size, numerator // 2 - 1) * size
        return place // size * size
    wide = bar.full if numerator == 3 else 2 * QUARTER
    left = place // wide * wide
    inside = [other for other in pieces if left <= other.start + bar.shift < left + wide]
    plain = all(other.kind == "eighth" and not other.tuplet and not other.dots and other.chord >= 0 for other in inside)
    return left if plain and place < left + wide else place // QUARTER * QUARTER


def _beam_levels(members: list[Piece]) -> None:
    depth = [_FLAGS[piece.kind] for piece in members]
    for level in range(1, max(depth) + 1):
        for i, piece in enumerate(members):
            if depth[i] < level:
                continue
            before = i > 0 and depth[i - 1] >= level
            after = i + 1 < len(members) and depth[i + 1] >= level
            if before or after:
                piece.beams.append("continue" if before and after else "end" if before else "begin")
            else:
                forward = i == 0 or (i + 1 < len(members) and piece.start % (2 * SIXTEENTH) == 0)
                piece.beams.append("forward hook" if forward else "backward hook")
