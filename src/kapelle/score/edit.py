"""Changes to a score, each a pure function: a `symusic.Score` in ticks goes in, a new one comes out, the first is untouched.

Where music is cut, notes are shortened at the cut and never moved; what starts outside is left out. Controls, tempi, metres,
keys and markers follow the notes. None of these functions quantises or decides what is musical.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic import ControlChange, KeySignature, Note, Pedal, PitchBend, Score, Tempo, TextMeta, TimeSignature, Track

from kapelle.errors import UsageError
from kapelle.score import units
from kapelle.score.instruments import program_name

NoteArrays = dict[str, NDArray[Any]]
"""Notes as columns of one length: ``time`` and ``duration`` in ticks, ``pitch`` and ``velocity`` 0 to 127; all int64."""

_EVENTS = {"controls": ControlChange, "pitch_bends": PitchBend}
_GLOBALS = {"tempos": Tempo, "time_signatures": TimeSignature, "key_signatures": KeySignature}


def note_arrays(track: Track) -> NoteArrays:
    """The notes of `track` as int64 columns, in order of time, then pitch; copies, free to be changed."""
    notes = {name: column.astype(np.int64) for name, column in track.notes.numpy().items()}
    order = np.lexsort((notes["pitch"], notes["time"]))
    return {name: column[order] for name, column in notes.items()}


def note_list(notes: Mapping[str, NDArray[Any]]) -> Any:
    """The columns of `note_arrays` as symusic's list of notes."""
    return Note.from_numpy(
        notes["time"].astype(np.int32),
        notes["duration"].astype(np.int32),
        notes["pitch"].astype(np.int8),
        notes["velocity"].astype(np.int8),
    )


def transpose(score: Score, semitones: int) -> Score:
    """`score` with every pitched note `semitones` higher; drums stay. Notes that leave 0 to 127 are moved back by octaves.

    Key signatures move along.
    """
    out = score.copy()
    for track in out.tracks:
        if not track.is_drum:
            notes = note_arrays(track)
            pitch = notes["pitch"] + semitones
            pitch = np.where(pitch > 127, 116 + (pitch - 116) % 12, pitch)
            notes["pitch"] = np.where(pitch < 0, pitch % 12, pitch)
            track.notes = note_list(notes)
    for signature in out.key_signatures:
        fifths = (signature.key + 7 * semitones) % 12
        signature.key = fifths if fifths <= 6 else fifths - 12
    return out


def resolve_overlaps(score: Score) -> Score:
    """`score` in which no pitch of a track sounds twice at once: the earlier note ends where the later begins.

    Of several notes with one pitch and one onset the longest is kept, with the greatest velocity among them: MIDI cannot
    tell them apart.
    """
    out = score.copy()
    for track in out.tracks:
        if len(track.notes):
            track.notes = note_list(without_overlaps(note_arrays(track)))
    return out


def without_overlaps(notes: NoteArrays) -> NoteArrays:
    """The columns `notes` with the rule of `resolve_overlaps` applied; every note lasts at least one tick."""
    order = np.lexsort((-notes["duration"], notes["time"], notes["pitch"]))
    time, pitch = notes["time"][order], notes["pitch"][order]
    duration, velocity = np.maximum(notes["duration"][order], 1), notes["velocity"][order]
    if not len(time):
        return {name: column.copy() for name, column in notes.items()}
    first = np.append(True, (time[1:] != time[:-1]) | (pitch[1:] != pitch[:-1]))
    velocity = np.maximum.reduceat(velocity, np.flatnonzero(first))
    time, pitch, duration = time[first], pitch[first], duration[first]
    room = np.append(np.where(pitch[1:] == pitch[:-1], time[1:] - time[:-1], np.iinfo(np.int64).max), np.iinfo(np.int64).max)
    duration = np.minimum(duration, room)
    order = np.lexsort((pitch, time))
    return {"time": time[order], "duration": duration[order], "pitch": pitch[order], "velocity": velocity[order]}


def clip(score: Score, start_ticks: int, end_ticks: int) -> Score:
    """The music of `score` from `start_ticks` up to `end_ticks`, beginning at tick 0.

    Notes that begin before the start or at or after the end are left out; those that reach over the end are cut there. The
    tempo, metre, key and the state of every control in force at the start are stated at tick 0.
    """
    out = score.copy()
    for track in out.tracks:
        notes = note_arrays(track)
        inside = (notes["time"] >= start_ticks) & (notes["time"] < end_ticks)
        notes = {name: column[inside] for name, column in notes.items()}
        notes["duration"] = np.minimum(notes["duration"], end_ticks - notes["time"])
        notes["time"] = notes["time"] - start_ticks
        track.notes = note_list(notes)
        for name, kind in _EVENTS.items():
            setattr(track, name, _clip_events(kind, getattr(track, name), start_ticks, end_ticks, by="number"))
        track.pedals = [pedal for pedal in (_clip_pedal(p, start_ticks, end_ticks) for p in track.pedals) if pedal is not None]
        track.lyrics = _clip_texts(track.lyrics, start_ticks, end_ticks)
    for name, kind in _GLOBALS.items():
        setattr(out, name, _clip_events(kind, getattr(out, name), start_ticks, end_ticks))
    out.markers = _clip_texts(out.markers, start_ticks, end_ticks + 1)
    return out


def _clip_pedal(pedal: Any, start: int, end: int) -> Any:
    first, last = max(pedal.time, start), min(pedal.time + pedal.duration, end)
    if first >= last:
        return None
    pedal = pedal.copy()
    pedal.time, pedal.duration = first - start, last - first
    return pedal


def _clip_texts(texts: Any, start: int, end: int) -> list[Any]:
    return [TextMeta(text.time - start, text.text) for text in texts if start <= text.time < end]


def _clip_events(kind: Any, events: Any, start: int, end: int, by: str = "") -> Any:
    """Events from `start` to `end`, and of those before `start` the last one (of each value of the column `by`), moved to 0."""
    columns = events.numpy()
    order = np.argsort(columns["time"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    time = columns["time"]
    keep = (time >= start) & (time < end)
    before = np.flatnonzero(time < start)
    if len(before):
        groups = columns[by][before] if by in columns else np.zeros(len(before), np.int64)
        _, last = np.unique(groups[::-1], return_index=True)
        keep[before[len(before) - 1 - last]] = True
    columns = {name: column[keep] for name, column in columns.items()}
    columns["time"] = np.maximum(columns["time"] - start, 0).astype(np.int32)
    return kind.from_numpy(**columns)


def clip_to(score: Score, end_ticks: int) -> Score:
    """`score` up to `end_ticks`: notes that reach over it are cut there, what begins at or after it is left out."""
    return clip(score, 0, end_ticks)


def crop_bars(score: Score, first: int, n: int) -> Score:
    """Bars `first` (from 0) to `first` + `n` - 1 of `score`, as a piece of its own.

    Raises:
        UsageError: `first` is negative or `n` is below 1.
    """
    if first < 0 or n < 1:
        raise UsageError("bars {first} to {last} are no part of a piece", first=first, last=first + n - 1, hint="count bars from 0")
    return clip(score, units.bars_to_ticks(score, first), units.bars_to_ticks(score, first + n))


def shift(score: Score, ticks: int) -> Score:
    """`score` beginning `ticks` (0 or more) later; what stood at tick 0 stands at `ticks`."""
    return score.shift_time(ticks)


def concat(scores: Sequence[Score], gap_bars: int = 0) -> Score:
    """The `scores` one after another, each beginning on the first bar line after the one before it, then `gap_bars` empty bars.

    All are brought to the resolution of the first. Each piece states its tempo and metre anew where it begins. Tracks with the
    same name, program and kind become one track.

    Raises:
        UsageError: There is no score to join.
    """
    if not scores:
        raise UsageError("there is nothing to join: no score was given")
    tpq = scores[0].tpq
    out = Score(tpq)
    tracks: dict[tuple[str, int, bool], Track] = {}
    start = 0
    for score in scores:
        part = score if score.tpq == tpq else resample(score, tpq)
        _state_defaults(part, out, start)
        moved = part.shift_time(start)
        for name in (*_GLOBALS, "markers"):
            getattr(out, name).extend(getattr(moved, name))
        for track in moved.tracks:
            key = (track.name, track.program, track.is_drum)
            if key not in tracks:
                tracks[key] = Track(track.name, track.program, track.is_drum)
            for name in ("notes", "controls", "pitch_bends", "pedals", "lyrics"):
                getattr(tracks[key], name).extend(getattr(track, name))
        start += units.bars_to_ticks(part, units.n_bars(part) + gap_bars)
    out.tracks = list(tracks.values())
    return out


def _state_defaults(part: Score, out: Score, start: int) -> None:
    """Put the tempo and metre with which `part` begins into `out` at `start`, where `part` takes them for granted."""
    if not any(event.time == 0 for event in part.tempos):
        out.tempos.append(Tempo(start, mspq=units.DEFAULT_MSPQ))
    if not any(event.time == 0 for event in part.time_signatures):
        out.time_signatures.append(TimeSignature(start, *units.DEFAULT_METRE))


def resample(score: Score, tpq: int) -> Score:
    """`score` at `tpq` ticks per quarter note; onsets and ends are rounded to the nearest tick, no note becomes shorter than one.

    Raises:
        UsageError: `tpq` is not 1 to 32767.
    """
    if not 1 <= tpq <= 32767:
        raise UsageError("a resolution is 1 to 32767 ticks per quarter note, not {tpq}", tpq=tpq)
    old, out = max(score.tpq, 1), Score(tpq)
    for name, kind in _GLOBALS.items():
        setattr(out, name, _rescaled_events(kind, getattr(score, name), tpq, old))
    out.markers = [TextMeta(_rescaled(text.time, tpq, old), text.text) for text in score.markers]
    for track in score.tracks:
        new = Track(track.name, track.program, track.is_drum)
        notes = {name: column.astype(np.int64) for name, column in track.notes.numpy().items()}
        end = _rescaled(notes["time"] + notes["duration"], tpq, old)
        notes["time"] = _rescaled(notes["time"], tpq, old)
        notes["duration"] = np.maximum(end - notes["time"], 1)
        new.notes = note_list(notes)
        for name, kind in _EVENTS.items():
            setattr(new, name, _rescaled_events(kind, getattr(track, name), tpq, old))
        pedals = track.pedals.numpy()
        start = _rescaled(pedals["time"].astype(np.int64), tpq, old)
        end = _rescaled(pedals["time"].astype(np.int64) + pedals["duration"], tpq, old)
        new.pedals = Pedal.from_numpy(start.astype(np.int32), np.maximum(end - start, 1).astype(np.int32))
        new.lyrics = [TextMeta(_rescaled(text.time, tpq, old), text.text) for text in track.lyrics]
        out.tracks.append(new)
    return out


def fitted(score: Score, tpq: int, end_ticks: int) -> Score:
    """`score` at `tpq` ticks per quarter note up to `end_ticks` of those; notes that a coarse resolution lays upon each other are one."""
    return clip_to(resolve_overlaps(resample(score, tpq)), end_ticks)


def _rescaled(ticks: Any, tpq: int, old: int) -> Any:
    """`ticks` times `tpq` / `old`, rounded to the nearest, halves up."""
    return (2 * ticks * tpq + old) // (2 * old)


def _rescaled_events(kind: Any, events: Any, tpq: int, old: int) -> Any:
    columns = events.numpy()
    columns["time"] = _rescaled(columns["time"].astype(np.int64), tpq, old).astype(np.int32)
    return kind.from_numpy(**columns)


def set_programs(score: Score, programs: Sequence[int | None]) -> Score:
    """`score` with General MIDI program `programs[i]` on its track i; None leaves a track as it is, -1 makes it the drums.

    Raises:
        UsageError: There are more programs than tracks, or one is not -1 to 127.
    """
    out = score.copy()
    if len(programs) > len(out.tracks):
        raise UsageError("{given} programs for {tracks} tracks", given=len(programs), tracks=len(out.tracks))
    for track, program in zip(out.tracks, programs, strict=False):
        if program is not None:
            if not -1 <= program <= 127:
                raise UsageError("a program is 0 to 127 (or -1 for drums), not {program}", program=program)
            track.is_drum, track.program = program < 0, max(program, 0)
    return out


def split_voices(score: Score, programs: Sequence[int]) -> Score:
    """`score` with its pitched notes dealt to one track per program by register; every note is kept exactly once, drums stay.

    At its onset a note is compared with all pitched notes that sound then, those that begin with it included. The highest goes
    to the first program, the lowest to the last, what lies between to the middle ones in order of height (with two programs, to
    the last). A note that sounds alone goes to the first program, or to the last if it is below C3 (48). Equal pitches share a
    voice. Controls of pitched tracks are left out: they belong to an instrument that is no more.

    Args:
        score: Any score; all its pitched tracks are taken together.
        programs: 1 to 4 General MIDI programs, from the top voice to the bass.

    Raises:
        UsageError: There are no programs, more than four, or one is not 0 to 127.
    """
    if not 1 <= len(programs) <= 4 or not all(0 <= program <= 127 for program in programs):
        raise UsageError("voices need 1 to 4 programs of 0 to 127, not {programs}", programs=list(programs))
    out = score.copy()
    pitched = [note_arrays(track) for track in out.tracks if not track.is_drum]
    names = ("time", "duration", "pitch", "velocity")
    notes = {name: np.concatenate([part[name] for part in pitched] or [np.zeros(0, np.int64)]) for name in names}
    voices = _voices(notes, len(programs))
    tracks = []
    for voice, program in enumerate(programs):
        track = Track(program_name(program), program, False)
        track.notes = note_list({name: column[voices == voice] for name, column in notes.items()})
        tracks.append(track)
    out.tracks = [*tracks, *(track for track in out.tracks if track.is_drum)]
    return out


def _voices(notes: NoteArrays, n_voices: int) -> NDArray[np.int64]:
    """The voice 0 (top) to `n_voices` - 1 (bass) of each note, by the rule of `split_voices`."""
    voices = np.zeros(len(notes["time"]), np.int64)
    sounding = [0] * 128
    pitches, onsets = notes["pitch"].tolist(), notes["time"].tolist()
    ends = (notes["time"] + np.maximum(notes["duration"], 1)).tolist()
    by_end = np.argsort(notes["time"] + np.maximum(notes["duration"], 1), kind="stable").tolist()
    by_onset = np.argsort(notes["time"], kind="stable").tolist()
    done = first = 0
    while first < len(by_onset):
        onset, last = onsets[by_onset[first]], first
        while ends[by_end[done]] <= onset:
            sounding[pitches[by_end[done]]] -= 1
            done += 1
        while last < len(by_onset) and onsets[by_onset[last]] == onset:
            sounding[pitches[by_onset[last]]] += 1
            last += 1
        for i in by_onset[first:last]:
            voices[i] = voice(sum(sounding[pitches[i] + 1 :]), sum(sounding[: pitches[i]]), pitches[i], n_voices)
        first = last
    return voices


def voice(above: int, below: int, pitch: int, n_voices: int) -> int:
    """The voice, from 0 (top), of a note with so many others sounding above and below it, by the rule of `split_voices`."""
    if above == 0 and below == 0:
        return n_voices - 1 if pitch < 48 else 0
    if above == 0:
        return 0
    if below == 0 or n_voices <= 2:
        return n_voices - 1
    return 1 + (above - 1) * (n_voices - 2) // max(above + below - 1, 1)


def without_empty_tracks(score: Score) -> Score:
    """`score` without the tracks that hold no note."""
    out = score.copy()
    out.tracks = [track for track in out.tracks if len(track.notes)]
    return out
