"""One MIDI file as phrases of a band: read, checked, put on the right bars, moved to the common key, arranged, cut where sections begin.

Takes bytes, gives packed cells with what is known of the song, or the reason why not. The order matters: a song is arranged in the common
key, so that ranges hold in it, and cut when it is on the grid, by `structure`. What a phrase must have:

- its bars are in one key, where the file tells its keys;
- its chords begin on first beats more than on any other, where the file tells its chords;
- at least `min_tracks` tracks sound, each in half of its bars at least, counting drums that are still to come.

Instruments of none of the five families play with the strings, as in the paper, or are left out (`others`); melodic percussion and sound
effects (programs 112 to 127) are left out always, since they are no pitches that belong to the harmony. What is left out is counted.

Source: Dong et al. 2018, "MuseGAN", AAAI: 4/4 alone, phrases of four bars from sections, three tracks at least. Differences: the paper
asks for three tracks in every bar, drops the first and the last section, and takes the key of C alone instead of moving songs to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kapelle import config
from kapelle.config import setting
from kapelle.data import align, band, grooves, structure
from kapelle.data.clean import Rejected
from kapelle.data.phrase_shards import pack
from kapelle.errors import KapelleError
from kapelle.score import keys, roll, units
from kapelle.score.edit import note_arrays, note_list
from kapelle.score.read import read
from kapelle.score.roll import FORMS, TRACKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from symusic import Score

    from kapelle.data.cleaning import Arrays, File
    from kapelle.data.recipe import BandSource

EDITION = 1
"""Raise it when `song` gives other results for the same bytes: older cache entries are then not used."""

FIRST_EFFECT = 112
"""Programs from here on are melodic percussion and sound effects."""

DRUMS = TRACKS.index("drums")


@dataclass(frozen=True)
class RollSpec:
    """The [tokenizer] section of a recipe of codec ``roll``: what a phrase is as numbers."""

    form: str = setting("tutorial", help="how a bar becomes cells", choices=tuple(FORMS))
    bars: int = setting(4, help="bars in a phrase", min=1, max=16)
    normalise_key: bool = setting(True, help="move every song to C major or A minor")


@dataclass(frozen=True)
class PhraseRules:
    """The [preprocessing] section of a recipe of codec ``roll``: what a song and a phrase must be."""

    min_bars: int = setting(8, help="shorter songs are left out", min=1)
    min_tracks: int = setting(3, help="phrases in which fewer tracks sound are left out", min=1, max=len(TRACKS))
    sounding: float = setting(0.5, help="share of a phrase's bars in which a track must sound to count", min=0.0, max=1.0)
    hop: int = setting(4, help="bars from one phrase of a section to the next", min=1)
    sections: bool = setting(True, help="phrases begin where sections begin; else they are counted from the first bar that sounds")
    others: str = setting("strings", help="who plays instruments of none of the five families", choices=("strings", "none"))
    kit: str = setting("nine", help="drums: the nine of a usual kit, or all", choices=("nine", "all"))
    max_off_grid: float = setting(0.3, help="songs with a larger share of notes far from the grid are left out", min=0.0, max=1.0)
    transpose: int = setting(0, help="training may move pitched tracks by up to so far each way", unit="semitones", min=0, max=11)


@dataclass(frozen=True)
class Song:
    """The phrases of one song, n of them, without the drums that come from elsewhere.

    Args:
        cells: (n, M, L, S, ceil(P / 8)) packed, as in the shards.
        bars: (n,) where each phrase begins, in bars of the song.
        resting: (n,) phrases in which drums that come from elsewhere rest.
        present: Bit m is set if track m sounds anywhere in the song.
        bpm: Its tempo on average.
        n_bars: Its length.
        dropped: Phrases left out, by reason.
        lost: Notes that the roll does not hold as they were, as `roll.Lost` counts them, and "effects" and "kit", left out.
        digest: First 16 hexadecimal digits of the file's SHA-256.
    """

    cells: NDArray[np.uint8]
    bars: NDArray[np.int32]
    resting: NDArray[np.bool_]
    present: int
    bpm: float
    n_bars: int
    dropped: dict[str, int]
    lost: dict[str, int]
    digest: str


@dataclass(frozen=True)
class PhraseReading:
    """Files as phrases; see `cleaning.Reading`."""

    spec: RollSpec
    rules: PhraseRules
    sources: tuple[BandSource, ...]
    arrays: ClassVar[tuple[str, ...]] = ("cells", "bars", "resting")

    def settings(self, files: Sequence[File]) -> list[Any]:
        """All that decides the results of these files beside their contents."""
        own = [self.sources[file.source] for file in files]
        ways = [[source.arrange, source.key, bool(source.drums)] for source in own]
        return ["phrases", EDITION, version("symusic"), config.plain(self.spec), config.plain(self.rules), ways]

    def read(self, data: bytes, file: File, grid: bytes | None) -> Song | Rejected:
        """What a file's bytes are."""
        return song(data, self.spec, self.rules, self.sources[file.source], grid)

    def taken_apart(self, result: Song) -> tuple[dict[str, Any], Arrays]:
        """A song as facts and arrays."""
        facts = {key: value for key, value in vars(result).items() if key not in self.arrays}
        return facts, {name: getattr(result, name) for name in self.arrays}

    def put_together(self, facts: Mapping[str, Any], arrays: Arrays) -> Song:
        """The song of which these are the parts."""
        return Song(**facts, **arrays)  # type: ignore[arg-type]


def song(data: bytes, spec: RollSpec, rules: PhraseRules, source: BandSource, grid: bytes | None = None) -> Song | Rejected:
    """The phrases of one file, or why there are none. Never raises on any bytes.

    Args:
        data: The file.
        spec: What a phrase is.
        rules: What songs and phrases must be.
        source: How files of this source are taken.
        grid: A copy of the song whose bars are right.
    """
    try:
        score = read(data)
        other = None if grid is None else read(grid)
    except KapelleError:
        return Rejected("not readable as MIDI")
    try:
        return _song(score, other, _Way(spec, rules, source, hashlib.sha256(data).hexdigest()[:16]))
    except KapelleError:
        return Rejected("cannot be put on the grid")
    except Exception:  # a fault of ours is counted, but one file must not end the preparation of thousands
        return Rejected("cannot be encoded")


@dataclass(frozen=True)
class _Way:
    """How one file is taken."""

    spec: RollSpec
    rules: PhraseRules
    source: BandSource
    digest: str


def _song(score: Score, grid: Score | None, way: _Way) -> Song | Rejected:
    form, bpm = FORMS[way.spec.form], _bpm(score)  # a copy with right bars need not have the right tempo
    if grid is not None:
        aligned = align.onto(score, grid)
        if aligned is None:
            return Rejected("not the same music as its copy on the right bars")
        score = aligned
        if way.source.arrange:
            score, grid = band.on_downbeats(score, grid)
    if why := _unfit(score, way):
        return Rejected(why)
    spans = keys_of(score, signatures=way.source.key == "signature")
    if way.spec.normalise_key:
        score, grid = moved(score, spans), grid and moved(grid, spans)
    if way.source.arrange:
        made = band.RULES[way.source.arrange](score, grid) if grid is not None else None
        if made is None:
            return Rejected("without the tracks that the arrangement is made of")
        score = made
    score, effects = _without_effects(score)
    score, beyond = grooves.reduced(score) if way.rules.kit == "nine" else (score, 0)
    held, lost = roll.from_score(score, form, others=way.rules.others.replace("none", ""))
    if held.n_bars < way.rules.min_bars:
        return Rejected("too few bars")
    beats = band.chord_beats(grid, held.n_bars) if way.source.arrange and grid is not None else np.zeros((held.n_bars, 4))
    starts, resting, dropped = _phrases(held, way, _key_changes(score, spans), beats)
    if not starts:
        return Rejected("no phrase in which enough tracks sound")
    cells = np.stack([pack(held.cells[:, bar : bar + way.spec.bars]) for bar in starts])
    present = sum(1 << m for m in range(len(TRACKS)) if held.cells[m].any())
    counts = {**asdict(lost), "effects": effects, "kit": beyond}
    return Song(cells, np.array(starts, np.int32), np.array(resting), present, bpm, held.n_bars, dict(dropped), counts, way.digest)


def _unfit(score: Score, way: _Way) -> str:
    """Why a score cannot become phrases, as far as can be seen before any work; "" if it can."""
    end = units.end_ticks(score)
    metres = units.metre_map(score)
    used = metres.ticks < max(end, 1)
    if not end:
        return "no notes"
    if ((metres.numerators != 4) | (metres.denominators != 4))[used].any():
        return "not in 4/4 throughout"
    if units.n_bars(score) > roll.MAX_BARS:
        return "too many bars"
    grids = (4, 3) if FORMS[way.spec.form].detached else (4,)
    return "off the grid" if grooves.off_grid(score, grids) > way.rules.max_off_grid else ""


def keys_of(score: Score, *, signatures: bool) -> list[tuple[int, keys.Key]]:
    """The keys of a score and the ticks at which they begin, the first one 0.

    Args:
        score: Any score.
        signatures: Believe its key signatures, if it has any; else one key is found in the notes.
    """
    if signatures and len(score.key_signatures):
        at = {int(sign.time): keys.key_of_signature(sign.key, bool(sign.tonality)) for sign in score.key_signatures}
        first, *rest = sorted(at)
        return [(0, at[first]), *((time, at[time]) for time in rest)]
    return [(0, keys.estimate_key(score))]


def moved(score: Score, spans: list[tuple[int, keys.Key]]) -> Score:
    """`score` with every stretch moved to C major or A minor by the shortest way; drums stay."""
    begins = np.array([time for time, _ in spans])
    shifts = np.array([(home_of(key) - key.tonic + 5) % 12 - 5 for _, key in spans])
    out = score.copy()
    for track in out.tracks:
        if not track.is_drum and len(track.notes):
            notes = note_arrays(track)
            pitch = notes["pitch"] + shifts[np.searchsorted(begins, notes["time"], side="right") - 1]
            notes["pitch"] = pitch + 12 * ((pitch < 0).astype(np.int64) - (pitch > 127))
            track.notes = note_list(notes)
    return out


def home_of(key: keys.Key) -> int:
    """The tonic of the common key: C for major, A for minor."""
    return 0 if key.mode == "major" else 9


def _key_changes(score: Score, spans: list[tuple[int, keys.Key]]) -> list[int]:
    """The bars in which another key begins, up to the last one that sounds."""
    signed = {key.sharps for _, key in spans}
    if len(signed) < 2:
        return []
    changes = [later[0] for earlier, later in pairwise(spans) if earlier[1].sharps != later[1].sharps]
    return [int(bar) for bar in units.ticks_to_bars(score, np.array(changes, np.int64))] if changes else []


def _without_effects(score: Score) -> tuple[Score, int]:
    """`score` without melodic percussion and sound effects, and how many notes these had."""
    out, lost = score.copy(), 0
    for place in reversed(range(len(out.tracks))):
        track = out.tracks[place]
        if not track.is_drum and track.program >= FIRST_EFFECT:
            lost += len(track.notes)
            del out.tracks[place]
    return out, lost


def _phrases(held: roll.Roll, way: _Way, key_changes: list[int], beats: NDArray[np.float64]) -> tuple[list[int], list[bool], Counter[str]]:
    """Where the phrases begin, in which of them drums from elsewhere rest, and what was left out; `beats` as `band.chord_beats` has it."""
    rules, n_bars = way.rules, way.spec.bars
    sounding = np.asarray(held.cells.any((2, 3)))  # (M, L)
    found = np.flatnonzero(sounding.any(0))
    if not len(found):
        return [], [], Counter()
    first, stop = int(found[0]), int(found[-1]) + 1
    begins = structure.borders(held.cells) if rules.sections else [first]
    begins = sorted({*begins, *(bar for bar in key_changes if first < bar < stop)})
    starts = structure.phrase_starts(begins, stop, n_bars, rules.hop)
    opening = _opening(held, way)
    dropped: Counter[str] = Counter()
    kept, resting = [], []
    for bar in starts:
        active = (sounding[:, bar : bar + n_bars].mean(1) >= max(rules.sounding, 1e-9)).sum()
        rests = bar + n_bars <= opening
        chords = beats[bar : bar + n_bars].sum(0)
        if chords[0] < chords.max():
            dropped["chords begin off the bar lines"] += 1
            continue
        if active + bool(way.source.drums and not rests) < rules.min_tracks:
            dropped["too few tracks sound"] += 1
            continue
        kept.append(bar)
        resting.append(rests)
    return kept, resting, dropped


def _opening(held: roll.Roll, way: _Way) -> int:
    """The bar up to which drums from elsewhere rest: where the guitar enters, if that is the lead of an arrangement."""
    lead = np.flatnonzero(held.track("guitar").any((1, 2))) if way.source.arrange else np.zeros(0)
    return int(lead[0]) if len(lead) else 0


def _bpm(score: Score) -> float:
    seconds = units.duration_s(score)
    return 60 * units.end_ticks(score) / max(score.tpq, 1) / seconds if seconds > 0 else 120.0
