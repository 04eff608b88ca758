"""One MIDI file as training music: read, checked, moved to the common key, encoded, long rests closed up.

Takes bytes and a spec, gives ids with what is known about them, or the reason why not. A piano part cut out of an arrangement
is silent for many bars while others play; runs of empty bars are therefore shortened to one, and empty bars at both ends go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.config import setting
from kapelle.data import align
from kapelle.data.shards import PREFIX_WIDTH
from kapelle.errors import KapelleError
from kapelle.score import edit, families, keys, units
from kapelle.score.read import read
from kapelle.tokens import remi

if TYPE_CHECKING:
    import symusic

    from kapelle.tokens.vocabulary import Vocabulary

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class CleaningRules:
    """The [preprocessing] section of a recipe: what a piece must be, and how it is cut into blocks."""

    context_len: int = setting(512, help="ids in a block, specials included", min=16)
    overlap: float = setting(0.25, help="share of a block that the next one repeats", min=0.0, max=0.9)
    min_bars: int = setting(8, help="shorter pieces are left out", min=1)
    min_notes: int = setting(50, help="pieces with fewer notes are left out", min=1)
    max_notes_per_bar: float = setting(64.0, help="denser pieces are left out", min=1.0)
    min_pitch_classes: int = setting(4, help="pieces with fewer pitch classes are left out", min=1, max=12)
    families: int = setting(
        0, help="keep so many instrument families, those with most notes, each as one program; 0: programs as they come", min=0, max=5
    )


@dataclass(frozen=True)
class CleanPiece:
    """A piece ready for the shards."""

    ids: Ids
    key: str  # after the move, if there was one: "C-major"
    bpm: float
    n_notes: int
    n_left_out: int  # notes of the file that have no ids: doubled by another track, or out of the pitch range
    digest: str  # first 16 hexadecimal digits of the file's SHA-256
    instruments: tuple[str, ...] = ()  # families of score.families.NAMES, in their order; none where programs have no tokens


@dataclass(frozen=True)
class Rejected:
    """Why a file is not in the shards; `reason` is one of few short phrases, so that they can be counted."""

    reason: str


@dataclass(frozen=True)
class Take:
    """What is taken of every file of a source.

    Args:
        tracks: So many tracks from the first on; 0: all.
        programs: Of the first tracks, where the files do not tell them; -1: drums.
    """

    tracks: int = 0
    programs: tuple[int, ...] = ()


ALL = Take()


def clean(
    data: bytes, spec: remi.RemiSpec, words: Vocabulary, rules: CleaningRules, take: Take = ALL, grid: bytes | None = None
) -> CleanPiece | Rejected:
    """One file's bytes as a CleanPiece, or why not; put on the bars of `grid`, the same music, if given. Never raises on any bytes."""
    try:
        score = read(data)
        aligned = score if grid is None else align.onto(score, read(grid))
    except KapelleError:
        return Rejected("not readable as MIDI")
    if aligned is None:
        return Rejected("not the same music as its copy on the right bars")
    score = _taken(aligned, take, rules)
    n_notes = sum(len(track.notes) for track in score.tracks if spec.programs or not track.is_drum)
    if n_notes < rules.min_notes:
        return Rejected("too few notes")
    metres = {f"{sign.numerator}/{sign.denominator}" for sign in score.time_signatures}
    if not metres <= set(spec.metres):
        return Rejected("a metre without a token")
    seconds = units.duration_s(score)
    bpm = 60 * units.end_ticks(score) / score.ticks_per_quarter / seconds if seconds > 0 else 120.0
    key = keys.estimate_key(score)
    if spec.normalise_key:
        score, key = to_common_key(score, key)
    score = edit.resolve_overlaps(score)
    try:
        ids = close_rests(remi.encode(score, spec, words), words)
    except KapelleError:
        return Rejected("no notes in range")
    except Exception:  # a fault of ours is counted, but one file must not end the preparation of thousands
        return Rejected("cannot be encoded")
    kept_notes = int((words.kind_of[ids] == words.kinds.index("Duration")).sum())
    digest = hashlib.sha256(data).hexdigest()[:16]
    home = f"{remi.TONICS[key.tonic]}-{key.mode}"
    return _judge(ids, words, rules) or CleanPiece(
        ids, home, bpm, kept_notes, n_notes - kept_notes, digest, instruments_of(ids, words) if rules.families else ()
    )


def _taken(score: symusic.Score, take: Take, rules: CleaningRules) -> symusic.Score:
    if take.tracks:
        del score.tracks[take.tracks :]
    score = edit.set_programs(score, take.programs[: len(score.tracks)])
    return families.by_family(score, rules.families) if rules.families else score


def instruments_of(ids: Ids, words: Vocabulary) -> tuple[str, ...]:
    """The families of score.families.NAMES that `ids` name, in their order."""
    programs = {int(words.value(int(token))) for token in np.unique(ids[np.isin(ids, words.ids("Program"))])}
    named = {families.name_of(program) for program in programs}
    return tuple(name for name in families.NAMES if name in named)


def to_common_key(score: symusic.Score, key: keys.Key) -> tuple[symusic.Score, keys.Key]:
    """The score moved to C major or A minor by the shortest way, and that key."""
    home = 0 if key.mode == "major" else 9
    shift = (home - key.tonic + 5) % 12 - 5
    return edit.transpose(score, shift), keys.Key(home, key.mode)


def close_rests(ids: Ids, words: Vocabulary, longest: int = 1) -> Ids:
    """Ids without the empty bars at both ends, and with runs of empty bars shortened to `longest`; the countdown is written anew."""
    bars = np.split(ids, np.flatnonzero(ids == words["Bar_None"]))[1:]
    position = words.kinds.index("Position")
    filled = [bool((words.kind_of[bar] == position).any()) for bar in bars]
    kept, run = [], longest
    for bar, has_notes in zip(bars, filled, strict=True):
        run = 0 if has_notes else run + 1
        if run <= longest:
            kept.append(bar)
    while kept and not (words.kind_of[kept[-1]] == position).any():
        kept.pop()
    if not kept:
        return np.zeros(0, np.int64)
    joined = np.concatenate(kept)
    without = joined[words.kind_of[joined] != words.kinds.index("BarsLeft")]
    return remi.with_countdown(without, words)


def _judge(ids: Ids, words: Vocabulary, rules: CleaningRules) -> Rejected | None:
    n_bars = int((ids == words["Bar_None"]).sum())
    pitches = ids[np.isin(ids, words.ids("Pitch"))]
    if n_bars < rules.min_bars:
        return Rejected("too few bars")
    if len(pitches) < rules.min_notes:
        return Rejected("too few notes")
    if len(pitches) / n_bars > rules.max_notes_per_bar:
        return Rejected("too dense")
    starts = np.append(np.flatnonzero(ids == words["Bar_None"]), len(ids))
    if int(np.diff(starts).max()) > rules.context_len - PREFIX_WIDTH - 2:
        return Rejected("a bar longer than a block")
    classes = {int(words.value(int(i))) % 12 for i in np.unique(pitches)}
    return Rejected("too few pitch classes") if len(classes) < rules.min_pitch_classes else None
