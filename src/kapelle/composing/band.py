"""Composing with a band: drums, piano, guitar, bass and strings, phrase by phrase, alone or around a lead.

Takes a bundle of codec ``roll`` and a request, gives events and a piece. The phrases of a piece share what stands for its character and
walk through what stands for time (`band_path`); the cells are made clean by stated rules (`band_finish`); notes get velocities
(`band_touch`). The length in bars, the tempo, the key and the instruments are met by construction. Around a lead (`band_lead`), the
lead comes back note for note, in its own resolution, tempi and key. A result that is degenerate is composed again from the next
stream of random numbers, and the report says so.

Between two seeds lies a row of pieces: every latent of one goes to the other's along an arc, and at its ends stand the pieces of the
two seeds themselves. Metre: 4/4 alone. It does not render, rank or judge.

Source: Dong et al. 2018, "MuseGAN", AAAI; the publication glues four unrelated phrases, this does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import symusic

from kapelle.bundles.load import Bundle
from kapelle.composing import band_finish
from kapelle.composing.attempts import MAX_ATTEMPTS, Outcome, first_sound, stream
from kapelle.composing.band_finish import Changed
from kapelle.composing.band_model import Model, opened
from kapelle.composing.band_path import Latents, Place, between, form_of, path
from kapelle.composing.band_plan import Options, Plan, make_plan
from kapelle.composing.band_touch import mean_velocity, touched
from kapelle.composing.events import BarDone, Event, Note, NotesAdded, Progress
from kapelle.composing.offered import WHOLE_BARS, Offered
from kapelle.errors import Interrupted
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.score import edit, keys, units
from kapelle.score.instruments import program_name
from kapelle.score.marks import Mark, mark_bars, marks_of
from kapelle.score.roll import Roll, to_score

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from kapelle.bundles.manifest import Manifest
    from kapelle.composing.request import ComposeRequest

__all__ = ["Options", "compose"]

SOFTER = 6.0
"""An accompaniment is so much softer than its lead."""


@dataclass
class _Made:
    """What an attempt made: its cells, and how many each rule changed."""

    score: symusic.Score
    changed: Changed


def offered(manifest: Manifest) -> Offered:
    """Whole bars; from nothing, or, if it listens to a track, around a lead and only so."""
    if manifest.options.get("conditional"):
        lead = {"track": tuple(manifest.options["tracks"]), "towards": (), "blend": ()}
        return Offered(("accompany",), (), lead, sampled=False)
    return Offered(("compose",), WHOLE_BARS, dict.fromkeys(("track", "lead_track"), ()), sampled=False)


def compose(
    bundle: Bundle, request: ComposeRequest, options: Options, cancelled: Callable[[], bool], most_attempts: int = MAX_ATTEMPTS
) -> Iterator[Event]:
    """Events of one piece, Done with the piece last; of `most_attempts`, the last one is taken as it is.

    Raises:
        UsageError, CannotObey, MidiError: What is asked is unknown or beyond the model, or the lead is none.
        Interrupted: `cancelled` said so.
    """
    model = opened(bundle)
    plan = make_plan(model, request, options)
    form = form_of(-(-plan.n_bars // model.n_bars))

    def attempt(number: int) -> Generator[Event, None, Outcome]:
        """One try, from the stream of its own number."""
        randoms = _streams(request, options, number)
        scores = yield from _phrases(model, plan, options, form, randoms, cancelled)
        made = _finished(model, plan, options, scores, randoms[-1] if options.blend >= 0.5 else randoms[0])
        score, end_ticks = _whole(plan, made.score)
        yield from _told(made.score if plan.lead is None else _band_of(score, made.score), end_ticks)
        return Outcome(
            score,
            end_ticks,
            _problems(plan, score, made.score),
            plan.n_bars,
            n_tokens=0,
            marks=marks_of(score) if plan.lead is not None else _marks(score, form, model.n_bars, plan.n_bars),
            facts={"instruments": _playing(score), "changed": made.changed.counts()},
        )

    yield from first_sound(bundle, request, plan.facts, attempt, most_attempts)


def _streams(request: ComposeRequest, options: Options, number: int) -> list[np.random.Generator]:
    """The random numbers of an attempt: of its seed, and of the seed that it goes towards."""
    seeds = [request.seed] if options.towards is None else [request.seed, options.towards]
    return [stream(replace(request, seed=seed), number) for seed in seeds]


def _phrases(
    model: Model, plan: Plan, options: Options, form: list[Place], randoms: list[np.random.Generator], cancelled: Callable[[], bool]
) -> Generator[Event, None, NDArray[np.float32]]:
    """Scores (M, T, P) of all phrases, one after the other; the last is cut where the piece ends."""
    n_steps, n_pitches = model.n_steps, model.form.n_pitches
    scores = np.empty((len(model.tracks), len(form) * n_steps, n_pitches), np.float32)
    paths = [path(model.latents, form, options.walk, random) for random in randoms]
    for number, ways in enumerate(zip(*paths, strict=True)):
        if cancelled():
            raise Interrupted("composing was cancelled")
        here = slice(number * n_steps, (number + 1) * n_steps)
        given = None if plan.lead is None else plan.lead.given[:, here].reshape(model.shape)
        scores[:, here] = model.phrase(_blended(ways, options.blend), given).reshape(len(model.tracks), n_steps, n_pitches)
        yield Progress((number + 1) / (len(form) + 1))
    return scores[:, : plan.n_bars * model.form.steps_per_bar]


def _blended(ways: tuple[Latents, ...], share: float) -> Latents:
    return ways[0] if len(ways) == 1 else between(ways[0], ways[1], share)


def _finished(model: Model, plan: Plan, options: Options, scores: NDArray[np.float32], random: np.random.Generator) -> _Made:
    """The band's own music from tick 0 on, in its key and at 480 ticks a quarter; without a lead that is the key of the result."""
    names = tuple(plan.programs)
    heard = None if plan.lead is None else plan.lead.tones(model)[: scores.shape[1]]
    cells, changed = band_finish.finished(scores[[model.tracks.index(name) for name in names]], plan.rules, heard)
    roll = Roll(cells.reshape(len(names), plan.n_bars, model.form.steps_per_bar, model.form.n_pitches), names, model.form)
    music = to_score(roll, bpm=plan.bpm or 120.0, programs=plan.programs, keep_empty=False)
    louder = 0.0 if plan.lead is None else float(np.clip(mean_velocity(list(plan.lead.score.tracks)), 50, 110)) - 72 - SOFTER
    music = touched(music, random, dynamics=options.dynamics, louder=louder, phrase_bars=model.n_bars)
    return _Made(music if plan.lead is not None else edit.transpose(music, plan.shift), changed)


def _whole(plan: Plan, music: symusic.Score) -> tuple[symusic.Score, int]:
    """The piece as it will be written, and its final bar line."""
    if plan.lead is not None:
        return plan.lead.joined(music), plan.lead.end_ticks
    out = music.copy()
    key = plan.asked_key or _home(out)
    out.key_signatures.append(symusic.KeySignature(0, key.sharps, key.mode == "minor"))
    return out, units.bars_to_ticks(out, plan.n_bars)


def _home(score: symusic.Score) -> keys.Key:
    """C major or A minor, whichever the notes suggest more."""
    found = dict(zip(keys.ALL_KEYS, keys.key_correlations(keys.pitch_class_durations(score)), strict=True))
    return max((keys.Key(0), keys.Key(9, "minor")), key=lambda key: float(found[key]))


def _band_of(score: symusic.Score, music: symusic.Score) -> symusic.Score:
    """The tracks of a joined score that are the band's."""
    out = score.copy()
    out.tracks = list(out.tracks)[len(out.tracks) - len(music.tracks) :]
    return out


def _told(band: symusic.Score, end_ticks: int) -> Iterator[Event]:
    """The notes of the band, bar by bar."""
    lines = units.bar_starts(band, end_ticks)
    tempi, n_bars = units.tempo_map(band), len(lines) - 1
    ends = tempi.to_seconds(lines[1:])
    told: list[list[Note]] = [[] for _ in range(n_bars)]
    for track in band.tracks:
        notes = edit.note_arrays(track)
        bars = np.searchsorted(lines, notes["time"], side="right") - 1
        start, stop = tempi.to_seconds(notes["time"]), tempi.to_seconds(notes["time"] + notes["duration"])
        program = -1 if track.is_drum else int(track.program)
        columns = (start, stop - start, notes["pitch"], notes["velocity"], bars)
        for at, long, pitch, velocity, bar in zip(*(column.tolist() for column in columns), strict=True):
            told[bar].append(Note(at, long, pitch, velocity, program, bar))
    for bar, notes_of_bar in enumerate(told):
        if notes_of_bar:
            yield NotesAdded(tuple(sorted(notes_of_bar, key=lambda note: (note.start_s, note.pitch))))
        yield BarDone(bar, n_bars, float(ends[bar]))
    yield Progress(1.0)


def _marks(score: symusic.Score, form: list[Place], phrase_bars: int, n_bars: int) -> tuple[Mark, ...]:
    """The phrases by the letters of the form."""
    lines = [*range(0, n_bars, phrase_bars), n_bars]
    return tuple(mark_bars(score, first, last, place.label) for first, last, place in zip(lines, lines[1:], form, strict=False))


def _playing(score: symusic.Score) -> list[str]:
    return [program_name(int(track.program), is_drum=track.is_drum) for track in score.tracks if len(track.notes)]


def _problems(plan: Plan, score: symusic.Score, band: symusic.Score) -> tuple[str, ...]:
    """What is wrong with a result; around a lead, what is wrong with the band."""
    pitched = any(name != "drums" for name in plan.programs)
    found = degeneracy(band, plan.n_bars)
    if plan.lead is not None or not pitched:
        found = replace(found, few_pitch_classes=False, stuck_loop=found.stuck_loop and pitched)
    problems = list(found.reasons)
    if plan.asked_key is not None and pitched and not obedience.key(score, plan.asked_key).obeyed:
        problems.append("not in the key")
    if not set(plan.must_play) <= {track.name.lower() for track in band.tracks if len(track.notes)}:
        problems.append("an instrument is missing")
    return tuple(problems)
