"""Composing on a theme that somebody brings: it comes back, developed, in the bars asked for or where the model likes.

Takes a bundle of codec ``theme`` and a request with the theme's MIDI file, gives events and a piece. The network hears the theme wherever
it sounds; a theme of several phrases of two bars is heard phrase by phrase. What is asked is obeyed by construction: bars, returns and
the cadence on the last bar line by masks, tempo by writing it, the key by moving the theme and by a mask over its scale and the pitch
classes of the theme. Every return is a mark, ``theme``. A result that is degenerate is composed again, and the report says so.

Metre: 4/4 alone. It does not look for the theme in a longer piece (`kapelle.data.themes`), and does not render, rank or judge.

Source: Shih et al. 2022, "Theme Transformer", and its released code (MIT). Known differences: masks in place of resampling what is not
allowed; nucleus sampling keeps the smallest set of tokens that has the mass (the released code keeps all but one token); the tempo
stands after the first Position, as in the training data, and not before the first bar.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import symusic

from kapelle.bundles.load import Bundle
from kapelle.composing.attempts import MAX_ATTEMPTS, Outcome, first_sound, stream
from kapelle.composing.events import BarDone, Event, Note, NotesAdded, Progress
from kapelle.composing.offered import WHOLE_BARS, Offered
from kapelle.composing.theme_likeness import Likeness
from kapelle.composing.theme_model import Model, opened
from kapelle.composing.theme_plan import Options, Plan, make_plan
from kapelle.composing.theme_session import Course, Heat, Listening
from kapelle.errors import Interrupted
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.sampling import decode as decoding
from kapelle.score import edit, units
from kapelle.score.marks import Mark, mark_bars
from kapelle.tokens import theme
from kapelle.tokens.theme_grammar import Grammar
from kapelle.tokens.theme_grammar import Plan as Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from kapelle.bundles.manifest import Manifest
    from kapelle.composing.request import ComposeRequest

__all__ = ["Options", "compose"]

OUTPUT_TPQ = 480
LABEL = "theme"
"""Of the marks of its returns."""

ACCOMPANIMENT = 4
"""The accompaniment keeps less to that of the theme than the melody does: the share of the melody to this power."""

AROUND, FAR = 4, -0.5
"""The melody of the whole piece keeps to the register of the theme: beyond so many semitones around it, every further one takes this from
the logit."""

TONIC = {theme.MELODY: 3.0, theme.PIANO: 1.5}
"""What is added to the logits of the tonic in the last bar, by track: a cadence ends with it, and has a melody."""

BASS, NOT_TONIC = 53, -9.0
"""What is added there to the logits of other notes of the piano below this pitch: the bass of a last chord is its root."""

MIN_MELODY = 2
"""A return of the theme has so many notes of melody, if the theme itself has."""

SILENT = 1
"""Pitch and velocity of the notes that show where the theme is, as published files have them."""


@dataclass
class _Made:
    """One try: what was made so far."""

    decoder: theme.Decoder
    notes: list[theme.ThemeNote] = field(default_factory=list)
    n_tokens: int = 0

    def regions(self, n_phrases: int) -> list[tuple[int, int]]:
        """First bar and end of every return of the whole theme."""
        phrases = self.decoder.regions
        return [(first[0], last[1]) for first, last in zip(phrases[::n_phrases], phrases[n_phrases - 1 :: n_phrases], strict=True)]


def offered(manifest: Manifest) -> Offered:
    """Whole bars, on a theme that is brought."""
    del manifest
    return Offered(("develop",), WHOLE_BARS)


def compose(
    bundle: Bundle, request: ComposeRequest, options: Options, cancelled: Callable[[], bool], most_attempts: int = MAX_ATTEMPTS
) -> Iterator[Event]:
    """Events of one piece, Done with the piece last; of `most_attempts`, the last one is taken as it is.

    Raises:
        UsageError, CannotObey, MidiError: There is no theme, or it is none; what is asked contradicts itself or is beyond the model.
        Interrupted: `cancelled` said so.
    """
    model = opened(bundle)
    plan = make_plan(model, request, options)

    def attempt(number: int) -> Generator[Event, None, Outcome]:
        """One try, from the stream of its own number."""
        made = _Made(theme.Decoder(model.spec))
        yield from _perform(model, plan, request, options, number, made, cancelled)
        score, regions = finished(plan, made), made.regions(len(plan.phrases))
        problems = _problems(score, plan, regions)
        marks = tuple(mark_bars(score, first, end, LABEL) for first, end in regions)
        if options.theme_track:
            score.tracks.append(_theme_track(marks))
        end_ticks = units.bars_to_ticks(score, plan.n_bars)
        facts = {"regions": [list(region) for region in regions]}
        return Outcome(score, end_ticks, problems, plan.n_bars, made.n_tokens, made.decoder.dropped, marks=marks, facts=facts)

    yield from first_sound(bundle, request, plan.facts, attempt, most_attempts)


def _perform(
    model: Model, plan: Plan, request: ComposeRequest, options: Options, number: int, made: _Made, cancelled: Callable[[], bool]
) -> Iterator[Event]:
    """Draw one sequence, telling notes and bars as they come; what was made is left in `made`."""
    where, decoder = theme.layout(model.words), made.decoder
    likeness = Likeness(model.words, plan.phrases) if options.likeness else None
    borders = (where.theme_start, where.theme_end)
    grammar, register = Grammar(model.words, rules(plan)), _register(where, plan)
    course = Course(grammar, len(plan.phrases), borders, plan.quoted, likeness, register, _cadence(where, plan.home.tonic, register))
    sampling = request.sampling or model.sampling
    inside = options.theme_temperature or sampling.temperature * model.focus
    heat = Heat(sampling.temperature, inside, options.likeness, options.likeness**ACCOMPANIMENT)
    session = Listening(model.session, course, plan.phrases, heat)
    pitches = [id for kind in model.words.kinds if kind.startswith("Note-On-") for id in model.words.ids(kind).tolist()]
    frame = decoding.Frame((), (), where.bar, where.end, frozenset(pitches), borders)
    for token in decoding.decode(session, frame, course, sampling, stream(request, number)):
        if cancelled():
            raise Interrupted("composing was cancelled")
        made.n_tokens += 1
        bar = decoder.n_bars - 1
        note = decoder.feed(token)
        if note is not None:
            made.notes.append(note)
            yield NotesAdded((_told(note, plan),))
        if bar >= 0 and token in (where.bar, where.end):
            yield BarDone(bar, plan.n_bars, (bar + 1) * theme.STEPS * 60.0 / plan.bpm / theme.STEPS_PER_BEAT)
            yield Progress((bar + 1) / plan.n_bars)


def _register(where: theme.Layout, plan: Plan) -> dict[int, float]:
    """What takes the melody out of the register of the theme: id -> what is added to its logit."""
    sung = plan.melody_range
    if sung is None:
        return {}
    low, high = sung
    beyond = {pitch: max(low - AROUND - pitch, pitch - high - AROUND, 0) for pitch in range(1, 128)}
    return {where.on[theme.MELODY] + pitch: FAR * steps for pitch, steps in beyond.items() if steps}


def _cadence(where: theme.Layout, tonic: int, register: Mapping[int, float]) -> dict[int, float]:
    """What is likelier in the last bar, and what is not: id -> what is added to its logit."""
    out = dict(register)
    for track, more in TONIC.items():
        for pitch in range(1, 128):
            if pitch % 12 == tonic:
                out[where.on[track] + pitch] = out.get(where.on[track] + pitch, 0.0) + more
            elif track == theme.PIANO and pitch < BASS:
                out[where.on[track] + pitch] = NOT_TONIC
    return out


def rules(plan: Plan) -> Rules:
    """The plan as the grammar takes it."""
    return Rules(
        plan.n_bars,
        starts=plan.returns.starts,
        phrases=plan.given.phrase_bars,
        bpm=plan.bpm,
        pitch_classes=plan.pitch_classes,
        closing=plan.closing,
    )


def _told(note: theme.ThemeNote, plan: Plan) -> Note:
    """A note in seconds and in the key of the result."""
    step = 60.0 / plan.bpm / theme.STEPS_PER_BEAT
    program = plan.programs[note.track != theme.MELODY]
    return Note(note.start * step, note.duration * step, note.pitch + plan.back, note.velocity, program, note.start // theme.STEPS)


def finished(plan: Plan, made: _Made) -> symusic.Score:
    """The score of an attempt as it will be written: nothing sounds beyond its final bar line."""
    notes = _restruck(_held(made.notes, plan.n_bars))
    score = edit.transpose(theme.to_score(notes, [(0, plan.bpm)], OUTPUT_TPQ), plan.back)
    score = edit.clip_to(edit.resolve_overlaps(score), plan.n_bars * theme.STEPS * OUTPUT_TPQ // theme.STEPS_PER_BEAT)
    score = edit.set_programs(score, list(plan.programs))
    score.key_signatures.append(symusic.KeySignature(0, plan.key.sharps, plan.key.mode == "minor"))
    return score


def _n_melody(score: symusic.Score, first: int, end: int) -> int:
    """Notes of melody that begin in the bars from `first` up to `end`."""
    bar = theme.STEPS * OUTPUT_TPQ // theme.STEPS_PER_BEAT
    return sum(first * bar <= note.start < end * bar for note in score.tracks[0].notes)


def _held(notes: list[theme.ThemeNote], n_bars: int) -> list[theme.ThemeNote]:
    """The notes, the last onset of each track in the last bar, and the lowest note there, held to the final bar line."""
    line, end = (n_bars - 1) * theme.STEPS, n_bars * theme.STEPS
    closing = [note for note in notes if note.start >= line]
    latest = {track: max((note.start for note in closing if note.track == track), default=end) for track in (theme.MELODY, theme.PIANO)}
    lowest = min((note.pitch for note in closing), default=0)
    return [
        replace(note, duration=end - note.start)
        if note.start >= line and (note.start == latest[note.track] or (note.pitch == lowest and note.track == theme.PIANO))
        else note
        for note in notes
    ]


def _restruck(notes: list[theme.ThemeNote]) -> list[theme.ThemeNote]:
    """The notes, none of which sounds where its pitch is struck again: the new one rings on for as long as the old one would have."""
    out: list[theme.ThemeNote] = []
    last: dict[tuple[str, int], int] = {}  # where the newest note of a track and pitch is in `out`
    for note in sorted(notes, key=lambda note: note.start):
        before = last.get((note.track, note.pitch))
        if before is not None and (over := out[before].start + out[before].duration - note.start) > 0:
            out[before] = replace(out[before], duration=note.start - out[before].start)
            note = replace(note, duration=max(note.duration, over))
        last[note.track, note.pitch] = len(out)
        out.append(note)
    return out


def _theme_track(marks: tuple[Mark, ...]) -> symusic.Track:
    """A track that shows the returns, as published files have it."""
    track = symusic.Track(theme.THEME_TRACK, 0, False)
    for mark in marks:
        track.notes.append(symusic.Note(mark.start_ticks, mark.end_ticks - mark.start_ticks, SILENT, SILENT))
    return track


def _problems(score: symusic.Score, plan: Plan, regions: list[tuple[int, int]]) -> tuple[str, ...]:
    """What is wrong with a result."""
    found = list(degeneracy(score, plan.n_bars).reasons)
    if plan.given.has_melody and any(_n_melody(score, *region) < MIN_MELODY for region in regions):
        found.append("a theme without melody")
    if plan.asked_key is not None and not obedience.key(score, plan.asked_key).obeyed:
        found.append("not in the key")
    return tuple(found)
