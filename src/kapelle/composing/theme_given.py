"""The theme that somebody brings: any MIDI file as a few whole bars of melody and accompaniment on the grid.

Takes the bytes of a MIDI file; gives a `Given`. The melody is found, or named by its track; what else sounds is its accompaniment, drums
left out; everything goes to sixteenths. Bars before the melody begins are left out, and so is a pick-up: a theme begins on a bar line.
At most eight bars are kept, from the first on. What was left out is counted.

The file is in 4/4: other metres are refused. It does not look for the bars of a long piece that are its theme (`kapelle.data.themes`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import symusic

from kapelle.composing.front import busiest_program
from kapelle.errors import CannotObey, UnknownName, UsageError
from kapelle.score import edit, keys, units
from kapelle.score.melody import PIANO, STEPS_PER_BAR, check_metre, find_melody, two_tracks
from kapelle.score.read import read
from kapelle.tokens.theme import THEME_TRACK

MAX_THEME_BARS = 8
PHRASE_BARS = 2
"""The network has learned themes of so many bars: a longer one is heard in phrases, one after the other."""

PICK_UP_STEPS = STEPS_PER_BAR // 2
"""Notes in the last half of a bar that is empty before them are a pick-up."""


@dataclass(frozen=True)
class Given:
    """A theme.

    Args:
        score: The tracks MELODY and PIANO from the first bar line of the theme on, in the key of the file.
        n_bars: Its bars, 1 to 8.
        key: The one that the file states, or the notes suggest.
        bpm: Where it begins.
        programs: Of the melody and of the accompaniment.
        name: What the file calls the track of the melody.
        found_bars: Bars of the file from where the theme begins: `n_bars` of them are kept.
        bars_before: Bars before the theme, left out.
        pick_up: Notes before the first bar line of the theme, left out.
    """

    score: symusic.Score
    n_bars: int
    key: keys.Key
    bpm: float
    programs: tuple[int, int]
    name: str
    found_bars: int
    bars_before: int = 0
    pick_up: int = 0

    @property
    def phrase_bars(self) -> tuple[int, ...]:
        """Bars of each phrase: two, and one in the last if their number is odd."""
        return tuple(min(PHRASE_BARS, self.n_bars - first) for first in range(0, self.n_bars, PHRASE_BARS))

    @property
    def has_melody(self) -> bool:
        """It has two notes of melody, and not accompaniment alone."""
        return len(self.score.tracks[0].notes) > 1

    def phrases(self, shift: int = 0) -> list[symusic.Score]:
        """The phrases, each from tick 0 on, `shift` semitones higher."""
        moved = edit.transpose(self.score, shift)
        return [edit.crop_bars(moved, PHRASE_BARS * i, n_bars) for i, n_bars in enumerate(self.phrase_bars)]

    def moved(self, shift: int, bpm: float) -> symusic.Score:
        """The theme `shift` semitones higher, in another tempo."""
        out = edit.transpose(self.score, shift)
        out.tempos = [symusic.Tempo(0, qpm=bpm)]
        return out

    def shortened(self, n_bars: int) -> Given:
        """The theme up to the bar `n_bars`."""
        return replace(self, score=edit.crop_bars(self.score, 0, n_bars), n_bars=n_bars)


def read_theme(data: bytes, *, track: str = "", length: int = 0, key: str = "") -> Given:
    """The theme in the bytes of a MIDI file.

    Args:
        data: Any bytes.
        track: The track of the melody, by name or number from 1; found if empty.
        length: Bars to keep, from the first on, 8 at most; 0: all, up to 8.
        key: Its key; found if empty.

    Raises:
        MidiError: The bytes are no MIDI file.
        UsageError: It has no melody of two notes, is in another metre, or shorter than `length`.
        UnknownName: There is no track of that name.
        CannotObey: No track is clearly the melody.
    """
    source = read(data)
    source.tracks = [own for own in source.tracks if len(own.notes) and own.name.strip().casefold() != THEME_TRACK.casefold()]
    check_metre(source)
    which = _melody_track(source, track)
    music = two_tracks(source, melody=which)
    first, bars_before, pick_up = _first_bar(music)
    found = _n_bars(music) - first
    n_bars = length or min(found, MAX_THEME_BARS)
    if length > found:
        raise UsageError("the theme has {found} bars, not {length}", found=found, length=length, hint="leave --theme-length out")
    score = edit.crop_bars(music, first, n_bars)
    if sum(len(own.notes) for own in score.tracks) < 2:
        raise UsageError("the first {bars} bars of the theme have a single note", bars=n_bars, hint="a theme has two notes or more")
    name = source.tracks[which].name.strip() or str(which + 1)
    own_key = keys.parse_key(key) if key else keys.found_key(score)
    return Given(score, n_bars, own_key, units.bpm_at(score), _programs(source, music, which), name, found, bars_before, pick_up)


def _melody_track(source: symusic.Score, track: str) -> int:
    """The index of the track that is named, or of the one that carries the melody."""
    pitched = [i for i, own in enumerate(source.tracks) if not own.is_drum]
    names = [source.tracks[i].name.strip() or str(i + 1) for i in pitched]
    if sum(len(source.tracks[i].notes) for i in pitched) < 2:
        two_tracks(source)  # says what is missing
    if track:
        asked = track.strip().casefold()
        named = [i for i in pitched if asked in (source.tracks[i].name.strip().casefold(), str(i + 1))]
        if not named:
            raise UnknownName("track of the theme", track, names)
        return named[0]
    found = find_melody(source)
    if found is None:
        raise CannotObey("no track of the theme is clearly its melody", hint="name it: --melody-track {known}", known=" | ".join(names))
    return found


def _first_bar(music: symusic.Score) -> tuple[int, int, int]:
    """The bar in which the theme begins, the bars left out before it, and the notes of its pick-up.

    A file no longer than a theme begins with its first note, a longer one with its melody. What begins in the last half of that bar is a
    pick-up if it leaves an even number of bars behind it, or more than a theme has: else it is a late beginning of the first bar.
    """
    bar = 4 * music.tpq
    melody, rest = (edit.note_arrays(track)["time"] for track in music.tracks)
    whole = np.sort(np.concatenate([melody, rest]))
    n_bars = _n_bars(music)
    starts = whole if n_bars - whole[0] // bar <= MAX_THEME_BARS + 1 else melody
    before, after = int(starts[0]) // bar, n_bars - int(starts[0]) // bar - 1
    late = int(starts[0]) % bar * STEPS_PER_BAR >= PICK_UP_STEPS * bar
    if late and after >= PHRASE_BARS and (after % PHRASE_BARS == 0 or after > MAX_THEME_BARS):
        return before + 1, before, int((starts < (before + 1) * bar).sum())
    return before, before, 0


def _n_bars(music: symusic.Score) -> int:
    """Bars up to the last that has an onset; one more if that completes a phrase, and most of it is sounded through."""
    bar = 4 * music.tpq
    found: int = max(int(note.start) for track in music.tracks for note in track.notes) // bar + 1
    held = units.end_ticks(music) - found * bar
    return found + (found % PHRASE_BARS > 0 and held > bar // 2)


def _programs(source: symusic.Score, music: symusic.Score, which: int) -> tuple[int, int]:
    """Of the melody, and of the fullest track beside it; a track that is both plays both."""
    own = int(source.tracks[which].program)
    rest = symusic.Score(source.tpq)
    rest.tracks = [track for i, track in enumerate(source.tracks) if i != which and not track.is_drum]
    if len(rest.tracks):
        return own, busiest_program(rest)
    return own, own if any(len(track.notes) for track in music.tracks if track.name == PIANO) else 0
