"""Music that a band plays around: read, its tracks chosen, its key found, and its notes as cells for the model.

Takes the bytes of a MIDI file; gives a `Lead`. Its notes, controls, tempi and resolution are never changed: the cells are a copy, brought
to the model's grid, range and key. Of several tracks one is the lead: the one named in the request, or else one that is called a melody,
one of the instrument's family, or the fullest. ``all`` makes every track the lead. Bars must have four quarters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import symusic
from numpy.typing import NDArray

from kapelle.composing.band_model import Model
from kapelle.composing.request import MAX_BARS
from kapelle.errors import CannotObey, UnknownName, UsageError
from kapelle.score import edit, keys, units
from kapelle.score.read import read
from kapelle.score.roll import PROGRAMS, family_of, from_score

ALL = "all"
MELODY = re.compile(r"melod|lead|vocal|voice|мелод|голос", re.IGNORECASE)


@dataclass(frozen=True)
class Lead:
    """What the band plays around.

    Args:
        score: The file with the tracks of the lead alone.
        name: What they are called in the file.
        names: The tracks of the band whose place they take.
        given: (M, T, P) their cells in the model's key; T is whole phrases.
        n_bars: Bars up to the end of its last note.
        end_ticks: Its final bar line.
        key: Stated, or estimated.
        shift: Semitones from the model's key to the lead's.
    """

    score: symusic.Score
    name: str
    names: tuple[str, ...]
    given: NDArray[np.bool_]
    n_bars: int
    end_ticks: int
    key: keys.Key
    shift: int

    def tones(self, model: Model) -> NDArray[np.bool_]:
        """(T, 12) the pitch classes that sound in the lead, in the model's key."""
        tracks = [m for m, name in enumerate(model.tracks) if name != "drums"]
        pitched: NDArray[np.bool_] = np.asarray(self.given[tracks].any(axis=0))  # (T, P)
        rows = (np.arange(pitched.shape[1]) + model.form.lowest_pitch) % 12
        return np.stack([pitched[:, rows == tone].any(axis=1) for tone in range(12)], axis=1)

    def joined(self, band: symusic.Score) -> symusic.Score:
        """The lead with the tracks of `band`, which begins with it, in the lead's resolution and key."""
        out = self.score.copy()
        out.tracks.extend(edit.fitted(edit.transpose(band, self.shift), out.tpq, self.end_ticks).tracks)
        return out


def read_lead(data: bytes, model: Model, *, track: str = "", which: str = "", key: str = "") -> Lead:
    """The lead in the bytes of a MIDI file.

    Args:
        data: Any bytes.
        model: Who plays around it.
        track: The track of the band whose place it takes; that of its instrument's family if empty, and the piano's if it has none.
        which: Its name or number (from 1) in the file, or ``all``; chosen if empty.
        key: Its key; found if empty.

    Raises:
        MidiError: The bytes are no MIDI file.
        UsageError: It has no notes, or not those that are asked for.
        UnknownName: There is no such track, in the file or in the band.
        CannotObey: Its metre or its length is beyond the band.
    """
    if track and track not in model.tracks:
        raise UnknownName("track", track, model.tracks)
    source = read(data)
    chosen = _chosen(source, track, which)
    score = source.copy()
    score.tracks = [source.tracks[i] for i in chosen]
    _check_bars(score)
    places = [_place(own, track, model) for own in score.tracks]
    found = keys.parse_key(key) if key else keys.found_key(score)
    home = keys.Key(0 if found.mode == "major" else 9, found.mode) if model.common_key else found
    shift = (found.tonic - home.tonic + 5) % 12 - 5
    n_bars = units.n_bars(score)
    name = ", ".join(dict.fromkeys(own.name or str(i + 1) for i, own in zip(chosen, score.tracks, strict=True)))
    return Lead(
        score, name, tuple(dict.fromkeys(places)), _cells(score, places, -shift, model, n_bars), n_bars, units.final_bar_line(score),
        found, shift,
    )  # fmt: skip


def _chosen(score: symusic.Score, track: str, which: str) -> list[int]:
    """The indices of the lead's tracks."""
    tracks = list(score.tracks)
    sounding = [i for i, own in enumerate(tracks) if len(own.notes)]
    if not sounding:
        raise UsageError("the lead has no notes", hint="give a MIDI file with music in it")
    if which.casefold() == ALL:
        return sounding
    if which:
        named = [i for i in sounding if which.casefold() in (tracks[i].name.strip().casefold(), str(i + 1))]
        if not named:
            raise UnknownName("track of the lead", which, [tracks[i].name.strip() or str(i + 1) for i in sounding])
        if track and tracks[named[0]].is_drum != (track == "drums"):
            raise UsageError("track {name} of the lead cannot be the {track}", name=which, track=track, hint="choose another --track")
        return named[:1]
    able = [i for i in sounding if tracks[i].is_drum == (track == "drums")]
    able = able or ([] if track else sounding)  # drums alone lead if nothing else is asked for
    if not able:
        raise UsageError("the lead has no drums" if track == "drums" else "the lead has no pitched notes", hint="choose another --track")
    family = [i for i in able if track and _family(tracks[i]) == track]
    melody = [i for i in able if MELODY.search(tracks[i].name)]
    groups = [family, melody, able] if track in ("drums", "bass") else [melody, family, able]
    return [max(next(group for group in groups if group), key=lambda i: len(tracks[i].notes))]


def _family(track: symusic.Track) -> str | None:
    return family_of(-1 if track.is_drum else int(track.program))


def _place(own: symusic.Track, track: str, model: Model) -> str:
    """The track of the band that a track of the lead stands for."""
    place = "drums" if own.is_drum else track if track not in ("", "drums") else _family(own) or "piano"
    if place not in model.tracks:
        raise CannotObey(
            "this band has no {track}, which the lead would be", track=place, hint="its tracks: {known}", known=", ".join(model.tracks)
        )
    return place


def _check_bars(score: symusic.Score) -> None:
    """Refuse bars of other lengths than four quarters, and more of them than a piece may have."""
    tpq, end = max(score.tpq, 1), units.end_ticks(score)
    n_bars = units.count_bars(units.metre_map(score), tpq, end)
    if n_bars <= MAX_BARS:
        lines = units.bar_starts(score, end)
        wrong = np.flatnonzero(np.diff(lines) != 4 * tpq)
        if len(wrong):
            above, below = units.metre_at(score, int(lines[wrong[0]]))
            raise CannotObey(
                "the band plays in 4/4, and bar {bar} of the lead is in {metre} or cut short",
                bar=int(wrong[0]) + 1, metre=f"{above}/{below}", hint="give a lead, or the part of it, that is in 4/4",
            )  # fmt: skip
    else:
        raise CannotObey("the lead has {bars} bars, and a piece has at most {most}", bars=n_bars, most=MAX_BARS, hint="cut it into parts")


def _cells(score: symusic.Score, places: list[str], shift: int, model: Model, n_bars: int) -> NDArray[np.bool_]:
    """The notes as the model is given them, (M, T, P)."""
    copy = symusic.Score(score.tpq)
    for own, place in zip(edit.transpose(score, shift).tracks, places, strict=True):
        track = symusic.Track(place, max(PROGRAMS[place], 0), place == "drums")
        track.notes = own.notes
        copy.tracks.append(track)
    n_phrases = -(-n_bars // model.n_bars)
    roll, _ = from_score(copy, model.form, bars=n_phrases * model.n_bars)
    return np.stack([roll.track(name) for name in model.tracks]).reshape(len(model.tracks), -1, model.form.n_pitches)
