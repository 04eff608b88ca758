"""One MIDI file as a song of melody and piano on the 4/4 grid of sixteenths: read, checked, put on the right bars, moved, trimmed.

Takes bytes, gives notes with what is known of the song, or the reason why not; where its theme is, is looked for later. In order:

1. its bars: those of its corrected copy if there is one (`align`), moved so that chords begin on first beats (`band.on_downbeats`);
2. refused: other metres than 4/4, more than one key, many notes far from the grid;
3. its tracks: MELODY and PIANO by name, all others dropped (POP909 has a BRIDGE); or, in music from anywhere, the melody that is found
   and everything else that is no drum (`score.melody.two_tracks`);
4. C major or A minor, if wanted;
5. starts and ends to the nearest sixteenth, a note lasting one at least; of the piano's notes that are the same then, one is kept; the
   melody is the one line on top of its track (`score.melody.line`), as it is found in the themes that people bring;
6. trimmed to the bars from the melody's first to its last one.

Source: Shih et al. 2022, "Theme Transformer": 4/4 alone, sixteenths, pieces that modulate removed. Differences from their released code:
it floors to the grid, here the nearest line counts; it drops what the piano plays before the melody in its first bar, here bars are whole;
their bars are those of beat tracking, twice as long or as short as ours in some songs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from symusic import Score, Tempo, TimeSignature, Track

from kapelle.config import setting
from kapelle.data import align, band, grooves, phrases
from kapelle.data.clean import Rejected
from kapelle.errors import KapelleError
from kapelle.score import roll, units
from kapelle.score.edit import note_arrays, note_list, without_overlaps
from kapelle.score.melody import MELODY, MELODY_NOTE, PIANO, line, on_grid, two_tracks
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kapelle.data.cleaning import Arrays, File
    from kapelle.data.recipe import ThemeSource
    from kapelle.score.keys import Key
    from kapelle.tokens.theme import ThemeSpec

EDITION = 2
"""Raise it when `song` gives other results for the same bytes: older cache entries are then not used."""

STEPS = 16
"""In a bar."""

REACH = 32.0
"""Quarters that a song and its copy may be apart."""

TICKS_PER_QUARTER = 480
_STEP = TICKS_PER_QUARTER // 4

Notes = NDArray[Any]
"""An array of `MELODY_NOTE`; those of the piano may sound together."""


@dataclass(frozen=True)
class ThemeRules:
    """The [preprocessing] section of a recipe of codec ``theme``: what a song must be, and how it is cut into windows."""

    context_len: int = setting(512, help="ids of a window before the one to foretell", min=64, max=4096)
    windows: str = setting("themes", help="windows in which a theme begins or ends, or all", choices=("themes", "all"))
    min_bars: int = setting(16, help="songs with fewer bars from the melody's first to its last are left out", min=4)
    max_off_grid: float = setting(0.4, help="songs with a larger share of notes far from the grid are left out", min=0.0, max=1.0)
    one_key: bool = setting(True, help="leave out songs that modulate, where key signatures tell")
    trim: bool = setting(True, help="drop the bars before the melody's first and after its last")
    eps: float = setting(0.0, help="how far apart the fragments of a theme may be; 0: as data/themes.py says", min=0.0, max=2.0)


@dataclass(frozen=True)
class ThemeSong:
    """One song.

    Args:
        melody: (N,) `MELODY_NOTE`, no two sound at once.
        piano: (M,) `MELODY_NOTE`, by start and pitch.
        n_bars: Its length.
        bpm: Its tempo.
        key: Before it was moved: "C major".
        trimmed: Bars dropped before and after.
        lost: Notes changed or dropped, by what happened to them.
        digest: First 16 hexadecimal digits of the file's SHA-256.
    """

    melody: Notes
    piano: Notes
    n_bars: int
    bpm: float
    key: str
    trimmed: int
    lost: dict[str, int]
    digest: str

    @property
    def score(self) -> Score:
        """The song as a score: tracks MELODY and PIANO, 480 ticks to a quarter, one tempo."""
        out = Score(TICKS_PER_QUARTER)
        out.time_signatures = [TimeSignature(0, 4, 4)]
        out.tempos = [Tempo(0, self.bpm)]
        out.tracks = [_track(MELODY, self.melody), _track(PIANO, self.piano)]
        return out


@dataclass(frozen=True)
class ThemeReading:
    """Files as songs; see `cleaning.Reading`."""

    spec: ThemeSpec
    rules: ThemeRules
    sources: tuple[ThemeSource, ...]
    arrays: ClassVar[tuple[str, ...]] = ("melody", "piano")

    def settings(self, files: Sequence[File]) -> list[Any]:
        """All that decides the results of these files beside their contents."""
        rules = self.rules
        held = [self.spec.normalise_key, rules.min_bars, rules.max_off_grid, rules.one_key, rules.trim]
        ways = [[self.sources[file.source].melody, self.sources[file.source].key] for file in files]
        return ["theme songs", EDITION, version("symusic"), held, ways]

    def read(self, data: bytes, file: File, grid: bytes | None) -> ThemeSong | Rejected:
        """What a file's bytes are."""
        return song(data, self.spec.normalise_key, self.rules, self.sources[file.source], grid)

    def taken_apart(self, result: ThemeSong) -> tuple[dict[str, Any], Arrays]:
        """A song as facts and arrays."""
        facts = {key: value for key, value in vars(result).items() if key not in self.arrays}
        return facts, {name: getattr(result, name) for name in self.arrays}

    def put_together(self, facts: Mapping[str, Any], arrays: Arrays) -> ThemeSong:
        """The song of which these are the parts."""
        return ThemeSong(**facts, **arrays)  # type: ignore[arg-type]


def song(data: bytes, normalise_key: bool, rules: ThemeRules, source: ThemeSource, grid: bytes | None = None) -> ThemeSong | Rejected:
    """The song of one file, or why there is none. Never raises on any bytes.

    Args:
        data: The file.
        normalise_key: Move it to C major or A minor.
        rules: What a song must be.
        source: How files of this source are taken.
        grid: A copy of the song whose bars are right.
    """
    try:
        score = read(data)
        other = None if grid is None else read(grid)
    except KapelleError:
        return Rejected("not readable as MIDI")
    try:
        return _song(score, other, _Way(normalise_key, rules, source, hashlib.sha256(data).hexdigest()[:16]))
    except KapelleError:
        return Rejected("no clear melody, or not fit for the grid")
    except Exception:  # a fault of ours is counted, but one file must not end the preparation of thousands
        return Rejected("cannot be encoded")


@dataclass(frozen=True)
class _Way:
    """How one file is taken."""

    normalise_key: bool
    rules: ThemeRules
    source: ThemeSource
    digest: str


def _song(score: Score, grid: Score | None, way: _Way) -> ThemeSong | Rejected:
    bpm = median_bpm(score)  # a copy with right bars need not have the right tempo
    if grid is not None:
        aligned = align.onto(score, grid, reach=REACH)
        if aligned is None:
            return Rejected("not the same music as its copy on the right bars")
        score, grid = band.on_downbeats(aligned, grid)
    if why := _unfit(score, way):
        return Rejected(why)
    spans = phrases.keys_of(score, signatures=way.source.key == "signature")
    if way.rules.one_key and len({key.sharps for _, key in spans}) > 1:
        return Rejected("modulates")
    if way.normalise_key:
        score = phrases.moved(score, spans)
    parts = _named_parts(score) if way.source.melody == "named" else _found_parts(score)
    if parts is None:
        return Rejected("without the tracks MELODY and PIANO")
    return _on_grid(*parts, way, bpm, spans[0][1])


def median_bpm(score: Score) -> float:
    """The tempo that holds for the longest time or one between: the median over the beats of `score`."""
    end, tempi = units.end_ticks(score), units.tempo_map(score)
    lengths = np.diff(np.clip(np.append(tempi.ticks, max(end, 1)), 0, max(end, 1)))
    order = np.argsort(tempi.mspq, kind="stable")
    half = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
    return round(60e6 / float(tempi.mspq[order[half]]), 2)


def _unfit(score: Score, way: _Way) -> str:
    """Why a score cannot become a song, as far as can be seen before any work; "" if it can."""
    end, metres = units.end_ticks(score), units.metre_map(score)
    used = metres.ticks < max(end, 1)
    if not end:
        return "no notes"
    if ((metres.numerators != 4) | (metres.denominators != 4))[used].any():
        return "not in 4/4 throughout"
    if units.n_bars(score) > roll.MAX_BARS:
        return "too many bars"
    return "off the grid" if grooves.off_grid(score) > way.rules.max_off_grid else ""


def _named_parts(score: Score) -> tuple[Score, Track, Track] | None:
    """The score and its tracks MELODY and PIANO; None if either is missing or silent."""
    found = {track.name.strip().upper(): track for track in score.tracks if len(track.notes) and not track.is_drum}
    return (score, found[MELODY], found[PIANO]) if MELODY in found and PIANO in found else None


def _found_parts(score: Score) -> tuple[Score, Track, Track]:
    """The score as two tracks, and these.

    Raises:
        KapelleError: No melody is clear.
    """
    made = two_tracks(score)
    melody, piano = made.tracks
    return made, melody, piano


def _on_grid(score: Score, melody: Track, piano: Track, way: _Way, bpm: float, key: Key) -> ThemeSong | Rejected:
    lost: dict[str, int] = {}
    lead, rest = _lead(melody, score.tpq, lost), _rest(piano, score.tpq, lost)
    n_bars = _bars_until(lead, rest)
    first, stop = (int(lead["start"][0]) // STEPS, _bars_until(lead)) if way.rules.trim else (0, n_bars)
    if stop - first < way.rules.min_bars:
        return Rejected("too few bars")
    lead, rest = _between(lead, first, stop), _between(rest, first, stop)
    return ThemeSong(lead, rest, stop - first, bpm, str(key), n_bars - (stop - first), lost, way.digest)


def _lead(track: Track, tpq: int, lost: dict[str, int]) -> Notes:
    """The one line on top of a track; what is lost is counted in `lost`."""
    notes = on_grid(note_arrays(track), tpq)
    found = line(notes)
    before = np.sort(notes["time"][found.kept] + notes["duration"][found.kept])
    lost["below the melody"] = int((~found.kept).sum())
    lost["cut by the next note of the melody"] = int((np.sort(found.notes["start"] + found.notes["duration"]) < before).sum())
    return found.notes


def _rest(track: Track, tpq: int, lost: dict[str, int]) -> Notes:
    """The notes of a track, no pitch twice at once; what is lost is counted in `lost`."""
    notes = on_grid(note_arrays(track), tpq)
    held = without_overlaps(notes)
    lost["the same on the grid"] = len(notes["time"]) - len(held["time"])
    out = np.zeros(len(held["time"]), MELODY_NOTE)
    for name, column in (("start", "time"), ("duration", "duration"), ("pitch", "pitch"), ("velocity", "velocity")):
        out[name] = held[column]
    return out


def _bars_until(*parts: Notes) -> int:
    """Bars up to the one in which the last of all notes sounds."""
    return int(max((part["start"] + part["duration"]).max(initial=0) + STEPS - 1 for part in parts)) // STEPS


def _between(notes: Notes, first: int, stop: int) -> Notes:
    """The notes that begin in the bars `first` to `stop`, as if those were all; cut where these end."""
    out = notes[(notes["start"] >= STEPS * first) & (notes["start"] < STEPS * stop)].copy()
    out["duration"] = np.minimum(out["duration"], STEPS * stop - out["start"])
    out["start"] -= STEPS * first
    return out


def _track(name: str, notes: Notes) -> Track:
    out = Track(name, 0)
    out.notes = note_list(
        {"time": _STEP * notes["start"], "duration": _STEP * notes["duration"], "pitch": notes["pitch"], "velocity": notes["velocity"]}
    )
    return out
