"""What a piece on a theme is going to be, settled before its first note: theme, length, returns, key, tempo, instruments.

Takes an opened bundle of codec ``theme`` and a request, gives a `Plan`. A bundle that knows music in C major and A minor alone hears the
theme there, and the result is moved back; in another key, if one is asked for. A theme in major goes to the relative major of a minor
key that is asked for, and the other way round: its notes are then those of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.composing.request import ComposeRequest
from kapelle.composing.theme_given import MAX_THEME_BARS, Given, read_theme
from kapelle.composing.theme_model import Model
from kapelle.composing.theme_returns import Returns, plan_returns
from kapelle.config import setting
from kapelle.errors import CannotObey, UsageError
from kapelle.score import instruments, keys
from kapelle.tokens import theme

BPM_RANGE = (20.0, 300.0)
LIKENESS = 0.8
"""With this, returns are about as like the theme as in real songs, by the F1 of onsets with their pitches: in POP909 the melodies of
later returns have .83 with the first, the accompaniments .61."""


@dataclass(frozen=True)
class Options:
    """What can be asked of a model that develops a theme."""

    theme_bars: str = setting(
        "", help="bars in which the theme begins, such as 1,9,17,25; left out, the model chooses",
        ru="такты, с которых начинается тема: 1,9,17,25; без них выберет модель",
    )  # fmt: skip
    form: str = setting(
        "", help="form, such as AABA: sections of one length, each A opening with the theme",
        ru="форма, например AABA: разделы одной длины, каждый A открывается темой",
    )  # fmt: skip
    theme_length: int | None = setting(
        None, help="bars of the file that are the theme, from its melody on; left out, all, 8 at most", min=1, max=MAX_THEME_BARS, step=1,
        ru="сколько тактов файла — тема, начиная с мелодии; без него все, но не больше 8",
    )  # fmt: skip
    theme_temperature: float | None = setting(
        None, help="temperature inside the theme: how freely it returns", min=0.01, max=5.0, step=0.05,
        ru="температура внутри темы: насколько вольно она возвращается",
    )  # fmt: skip
    likeness: float = setting(
        LIKENESS, help="how much of the theme comes back as it was: 0 what the network makes of it, 1 note for note", min=0.0, max=1.0,
        step=0.05, ru="какая доля темы возвращается как была: 0 — что сделает сеть, 1 — нота в ноту",
    )  # fmt: skip
    theme_track: bool = setting(
        False, help="add a silent track that shows where the theme is", ru="добавить беззвучную дорожку, которая показывает, где тема"
    )
    quote: bool = setting(False, help="begin with the theme as it is, note for note", ru="начать с темы как она есть, нота в ноту")
    melody_track: str = setting(
        "", help="which track of the theme's file is the melody, by name or number",
        ru="какая дорожка файла с темой — мелодия, по имени или номеру",
    )  # fmt: skip
    theme_key: str = setting(
        "", help="key of the theme as it is given; found if left out", ru="тональность самой темы; без неё определится"
    )
    key: str = setting("", help="key, such as C, Am or 'F# minor'", ru="тональность: C, Am или 'F# minor'")
    tempo: float | None = setting(None, help="tempo", ru="темп", unit="bpm", min=BPM_RANGE[0], max=BPM_RANGE[1], step=1)
    instruments: str = setting(
        "", help="who plays the melody, and who the accompaniment, such as flute,piano",
        ru="кто играет мелодию и кто сопровождение: flute,piano",
    )  # fmt: skip
    chromatic: bool = setting(False, help="let notes leave the scale of the key", ru="разрешить нотам выходить из гаммы")


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed before the first note.

    Args:
        given: The theme.
        n_bars: Of the result.
        returns: Where the theme comes back.
        key: Of the result.
        asked_key: The key that the result is measured against; None if none was asked for.
        home: The key that the model hears and plays in.
        there: Semitones from the theme as it was given to where the model hears it.
        back: Semitones from there to the result.
        bpm: Of the result.
        programs: Of the melody and of the accompaniment.
        pitch_classes: Those that the model may play; empty: all.
        phrases: What the encoder hears.
        quoted: Ids that the piece begins with: the theme itself, if that was asked for.
        facts: For the report.
    """

    given: Given
    n_bars: int
    returns: Returns
    key: keys.Key
    asked_key: keys.Key | None
    home: keys.Key
    there: int
    back: int
    bpm: float
    programs: tuple[int, int]
    pitch_classes: frozenset[int]
    phrases: tuple[NDArray[np.int64], ...]
    quoted: tuple[int, ...]
    facts: dict[str, Any]

    @property
    def melody_range(self) -> tuple[int, int] | None:
        """The lowest and the highest note of the theme's melody where the model hears it, at least a fifth apart; None without one."""
        pitches = [int(note.pitch) + self.there for note in self.given.score.tracks[0].notes]
        return (min(*pitches, max(pitches) - 7), max(*pitches, min(pitches) + 7)) if pitches else None

    @property
    def closing(self) -> frozenset[int]:
        """Pitch classes of the last bar: the tonic triad of the model's key."""
        return frozenset((self.home.tonic + step) % 12 for step in ((0, 4, 7) if self.home.mode == "major" else (0, 3, 7)))


def make_plan(model: Model, request: ComposeRequest, options: Options) -> Plan:
    """The plan for a request.

    Raises:
        MidiError: The theme is no MIDI file.
        UsageError, UnknownName, CannotObey: It has no melody or another metre; what is asked contradicts itself or is beyond the model.
    """
    if request.prompt is not None or request.lead is not None:
        raise CannotObey("this model neither extends nor accompanies a piece", hint="`kapelle develop THEME.mid` develops a theme")
    if request.theme is None:
        raise CannotObey(
            "this model develops a theme that is given to it",
            hint="`kapelle develop THEME.mid`; from nothing, `kapelle compose --model bridge`",
        )
    if options.chromatic and options.key:
        raise UsageError("--chromatic leaves the key that --key asks for", hint="leave one of the two out")
    given = read_theme(request.theme, track=options.melody_track, length=options.theme_length or 0, key=options.theme_key)
    bpm = float(np.clip(options.tempo or given.bpm, *BPM_RANGE))
    n_bars = _n_bars(request, bpm)
    if given.n_bars > n_bars:
        if options.theme_length:
            raise CannotObey(
                "a theme of {length} bars has no room in a piece of {bars}", length=given.n_bars, bars=n_bars,
                hint="give a shorter --theme-length, or more --bars",
            )  # fmt: skip
        given = given.shortened(n_bars)
    returns = plan_returns(options.theme_bars, options.form, n_bars=n_bars, length=given.n_bars)
    asked = keys.parse_key(options.key) if options.key else None
    home, there, back = _keys(model.spec.normalise_key, given.key, asked)
    phrases = tuple(theme.theme_ids(one, model.spec, n_bars=n) for one, n in zip(given.phrases(there), given.phrase_bars, strict=True))
    programs = _programs(options.instruments, given.programs)
    key = asked or given.key
    facts = {
        "key": str(key), "tempo": round(bpm, 2), "metre": "4/4", "melody": given.name, "theme_bars": given.n_bars,
        "theme_found": given.found_bars, "theme_pick_up": given.pick_up, "theme_key": str(given.key),
        "instruments": [instruments.program_name(one) for one in programs],
    }  # fmt: skip
    return Plan(
        given, n_bars, returns, key, asked, home, there, back, bpm, programs,
        frozenset() if options.chromatic else _pitch_classes(given, there, home, strict=asked is not None),
        phrases, _quoted(model, given, there, bpm, returns) if options.quote else (), facts,
    )  # fmt: skip


def _n_bars(request: ComposeRequest, bpm: float) -> int:
    """The length in whole bars of four quarters."""
    length = request.length
    if length.unit in ("tokens", "notes"):
        raise CannotObey("a piece on a theme is whole bars and counts no {unit}", unit=length.unit, hint="give --bars or --seconds")
    return length.bars_at(bpm)


def _keys(common_key: bool, found: keys.Key, asked: keys.Key | None) -> tuple[keys.Key, int, int]:
    """The model's key, the semitones that the theme is moved to it, and those that the result is moved back.

    Together they are at most six semitones, and none if no key was asked for.
    """
    key = asked or found
    here, wanted = (one if one.mode == "major" else one.relative for one in (found, key))
    total = (wanted.tonic - here.tonic + 5) % 12 - 5
    if not common_key:
        return key, total, 0
    there = (5 - here.tonic) % 12 - 5
    return keys.Key(0 if key.mode == "major" else 9, key.mode), there, total - there


def _pitch_classes(given: Given, there: int, home: keys.Key, *, strict: bool) -> frozenset[int]:
    """Of the model's key, of the theme in it, and, unless the key was asked for, the leading note of a minor one."""
    of_theme = {(int(pitch) + there) % 12 for track in given.score.tracks for pitch in track.notes.numpy()["pitch"]}
    leading = {(home.tonic + 11) % 12} if home.mode == "minor" and not strict else set()
    return frozenset({*home.pitch_classes, *of_theme, *leading})


def _programs(text: str, own: tuple[int, int]) -> tuple[int, int]:
    """Programs of melody and accompaniment: those named, else the theme's own."""
    named = [instruments.program_of(name) for name in text.split(",") if name.strip()]
    if len(named) > 2:
        raise CannotObey("a melody and its accompaniment are played by two instruments, not {n}", n=len(named))
    if -1 in named:
        raise CannotObey("this model has no drums", hint="`--band` adds a band, drums included")
    return (*named, *own[len(named) :])[0], (*named, *own[len(named) :])[1]


def _quoted(model: Model, given: Given, there: int, bpm: float, returns: Returns) -> tuple[int, ...]:
    """The theme as the piece begins with it.

    Raises:
        UsageError: The piece begins without it.
    """
    if returns.starts is not None and returns.starts[0] != 0:
        raise UsageError(
            "--quote begins with the theme, which is to begin in bar {bar}", bar=returns.starts[0] + 1, hint="leave one of the two out"
        )
    lines = np.cumsum([0, *given.phrase_bars]).tolist()
    moved = given.moved(there, bpm)
    made = theme.encode(moved, model.spec, list(pairwise(lines)), n_bars=given.n_bars)
    return tuple(made.ids.tolist())
