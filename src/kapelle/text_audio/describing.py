"""A piece in the words of a prompt: what its notes say of tempo, key, metre and instruments, as an English sentence.

Takes a `symusic.Score`, and a genre if somebody knows it; gives `Facts`, and from them a sentence such as "A fast jazz piece in B-flat
major at 152 BPM, played by piano, bass and drums". What is not clear is left out rather than guessed: a key that no profile fits, a tempo
that the file does not state or does not keep. It asks no classifier and no model: `kapelle.api.imagining.prompt_of` does.

Known limits: one key, one metre and one tempo stand for the whole piece, those that last longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from symusic import Score, Track

from kapelle.errors import MidiError
from kapelle.score import units
from kapelle.score.instruments import DRUMS, program_name
from kapelle.score.keys import ALL_KEYS, found_key, key_correlations, key_of_signature, pitch_class_durations

MOST_INSTRUMENTS = 5
LEAST_SHARE = 0.03
"""Of all notes, or of the time that notes sound: an instrument with less of both is not heard as one of the players."""

CLEAR_KEY = 0.6
"""Correlation with the key's profile from which a key is told."""

NEAR_TEMPO, STEADY = 0.04, 0.7
"""Tempi that differ by so little count as one; a tempo is told if it lasts for so much of the piece."""

_SPEEDS = ((60, "very slow"), (80, "slow"), (110, "mid-tempo"), (135, "upbeat"), (170, "fast"), (float("inf"), "very fast"))
_SIGNS = {"#": "-sharp", "b": "-flat"}
_GENRES = {"edm": "EDM", "latin": "Latin", "rnb": "R&B"}

_RANGES = (
    (0, 2, "piano"), (3, 3, "honky-tonk piano"), (4, 5, "electric piano"), (7, 7, "clavinet"), (14, 14, "tubular bells"), (16, 18, "organ"),
    (23, 23, "bandoneon"), (24, 25, "acoustic guitar"), (26, 26, "jazz guitar"), (27, 28, "electric guitar"), (29, 30, "distorted guitar"),
    (31, 31, "electric guitar"), (32, 32, "double bass"), (33, 35, "bass"), (36, 37, "slap bass"), (38, 39, "synth bass"),
    (43, 43, "double bass"), (44, 44, "strings"), (45, 45, "pizzicato strings"), (46, 46, "harp"), (48, 49, "strings"),
    (50, 51, "synth strings"), (52, 54, "choir"), (55, 55, "orchestra hits"), (60, 60, "French horn"), (61, 61, "brass"),
    (62, 63, "synth brass"), (64, 67, "saxophone"), (69, 69, "English horn"), (80, 87, "lead synth"), (88, 95, "synth pads"),
    (96, 103, "atmospheric synths"), (107, 107, "koto"), (109, 109, "bagpipes"), (112, 112, "bells"), (118, 118, "synth drums"),
    (119, 127, "sound effects"),
)  # fmt: skip
"""Programs that the text of a prompt calls otherwise than General MIDI does: from, to, name."""

_SPOKEN = {program: name for low, high, name in _RANGES for program in range(low, high + 1)} | {DRUMS: "drums"}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a sentence can tell of a piece.

    Args:
        genre: As classifiers call it; empty where none is known.
        key: As ``Bb major``; None where none is clear.
        bpm: Beats in a minute, of dotted quarters in 6/8 and its like; None where the file states none, or keeps none.
        free: The tempo moves too much to be told.
        metre: As ``3/4``.
        instruments: Names, those that play most first, drums last; not empty.
        more: Other instruments play too.
    """

    instruments: tuple[str, ...]
    genre: str = ""
    key: str | None = None
    bpm: float | None = None
    free: bool = False
    metre: str = "4/4"
    more: bool = False


def facts_of(score: Score, genre: str = "") -> Facts:
    """What can be told of a piece.

    Args:
        score: Any score in ticks.
        genre: Of it, if it is known.

    Raises:
        MidiError: It has no notes.
    """
    if not any(len(track.notes) for track in score.tracks):
        raise MidiError("there are no notes to describe", hint="`kapelle info` tells what is in the file")
    numerator, denominator = _longest_metre(score)
    names = _instruments(score.tracks)
    compound = denominator >= 8 and numerator % 3 == 0
    bpm, free = _tempo(score, 1.5 if compound else max(4 / denominator, 1.0))
    return Facts(
        genre=genre,
        key=_key(score),
        bpm=bpm,
        free=free,
        metre=f"{numerator}/{denominator}",
        instruments=tuple(names[:MOST_INSTRUMENTS] if names[-1] != "drums" else [*names[:-1][: MOST_INSTRUMENTS - 1], "drums"]),
        more=len(names) > MOST_INSTRUMENTS,
    )


def sentence(facts: Facts) -> str:
    """The facts as one English sentence without a full stop.

    What is told is told in this order: speed, genre, metre if it is not 4/4, key, tempo, instruments.
    """
    speed = "" if facts.bpm is None else next(word for limit, word in _SPEEDS if round(facts.bpm) < limit)
    genre = _GENRES.get(facts.genre.lower(), facts.genre)
    what = " ".join(word for word in (speed, genre, "piece") if word)
    where = [f"{facts.metre} time"] if facts.metre != "4/4" else []
    where += [_key_name(facts.key)] if facts.key else []
    pace = " with a free tempo" if facts.free else f" at {facts.bpm:.0f} BPM" if facts.bpm is not None else ""
    place = f" in {' and '.join(where)}" if where else ""
    return f"{_article(what)} {what}{place}{pace}, played by {_players(facts)}"


def _players(facts: Facts) -> str:
    names = list(facts.instruments) + (["other instruments"] if facts.more else [])
    if len(names) == 1:
        return f"{names[0]} alone"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _article(words: str) -> str:
    """The indefinite article that fits; letters of an acronym are read out, and E has a vowel for a name."""
    return "An" if words[0].lower() in "aeiou" else "A"


def _key_name(key: str) -> str:
    """``Bb major`` as people write it in a sentence."""
    tonic, mode = key.split()
    return f"{tonic[0]}{_SIGNS[tonic[1]] if len(tonic) > 1 else ''} {mode}"


def _key(score: Score) -> str | None:
    """The key, if the notes are clearly in it, or if the file states it and they bear it out."""
    durations = pitch_class_durations(score)
    if not durations.any():
        return None
    key = found_key(score)
    stated = any(key == key_of_signature(one.key, bool(one.tonality)) for one in score.key_signatures)
    return str(key) if stated or key_correlations(durations)[ALL_KEYS.index(key)] >= CLEAR_KEY else None


def _instruments(tracks: Sequence[Track]) -> list[str]:
    """Names of those that play a good part, the one that sounds longest first, drums last; at least one."""
    notes: dict[str, int] = {}
    sounding: dict[str, int] = {}
    for track in tracks:
        if len(track.notes):
            program = DRUMS if track.is_drum else int(track.program)
            name = _SPOKEN.get(program) or program_name(program).lower()
            notes[name] = notes.get(name, 0) + len(track.notes)
            sounding[name] = sounding.get(name, 0) + (0 if track.is_drum else int(track.notes.numpy()["duration"].sum()))
    n, ticks = sum(notes.values()), max(sum(sounding.values()), 1)
    order = sorted(notes, key=lambda name: (name == "drums", -sounding[name], name))
    leading = [name for name in order if notes[name] >= LEAST_SHARE * n or sounding[name] >= LEAST_SHARE * ticks]
    return leading or order  # of more than thirty that play alike, none plays so much


def _longest_metre(score: Score) -> tuple[int, int]:
    """The metre that is in force for most of the piece; the earlier one of two."""
    metres = units.metre_map(score)
    lengths: dict[tuple[int, int], int] = {}
    for one, ticks in zip(zip(metres.numerators, metres.denominators, strict=True), _lengths(metres.ticks, score), strict=True):
        metre = (int(one[0]), int(one[1]))
        lengths[metre] = lengths.get(metre, 0) + int(ticks)
    return max(lengths, key=lengths.__getitem__)


def _tempo(score: Score, quarters: float) -> tuple[float | None, bool]:
    """Beats of so many quarters in a minute, and whether the tempo is free; None and False where the file states none."""
    if not len(score.tempos):
        return None, False
    tempos = units.tempo_map(score)
    mspq = tempos.mspq.astype(np.float64)
    seconds = _lengths(tempos.ticks, score) * mspq
    if not seconds.sum():
        return None, False
    near = np.abs(np.log(mspq[:, None] / mspq[None, :])) <= NEAR_TEMPO
    shares = near @ (seconds / seconds.sum())
    best = int(np.argmax(shares))
    if shares[best] < STEADY:
        return None, True
    mean = float(np.average(mspq[near[best]], weights=seconds[near[best]]))
    return 60e6 / mean / quarters, False


def _lengths(ticks: NDArray[np.int64], score: Score) -> NDArray[np.int64]:
    """How long each of some changes is in force, in ticks, up to the end of the last note."""
    end = units.end_ticks(score)
    return np.diff(np.append(np.minimum(ticks, end), end))
