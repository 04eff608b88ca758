"""Composing with a model of notes and chords: a seed is heard, and the music goes on from it.

Takes a bundle of codec ``chords`` and a request, gives events and a piece. The seed feeds the network's state and is left out of the
piece unless asked for; the piece that is extended is kept. Every note and chord is drawn from the distribution that the temperature
shapes. A length in notes, bars or seconds is met exactly, one in tokens at the next end of an item; the last notes are held to the
bar line that ends the piece, and nothing sounds beyond it. A result that is degenerate is composed again, and the report says so.

The model knows no bars: the metre is where they are drawn. It does not render, rank or judge.

Source: the public notebook "Music Generation: LSTM" and its copies.
Known differences: sampling in place of an argmax, which no temperature changes; the network's state is carried along in place of
reading the last 40 items anew at every step, unless the bundle is of the faithful variant.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import symusic

from kapelle.bundles.load import Bundle
from kapelle.composing.attempts import Outcome, first_sound, stream
from kapelle.composing.chopin_plan import Model, Options, Plan, make_plan, opened
from kapelle.composing.events import BarDone, Event, Note, NotesAdded, Progress
from kapelle.composing.offered import Offered
from kapelle.composing.pacing import Pace
from kapelle.composing.recall import Recalling
from kapelle.errors import Interrupted
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.sampling import decode as decoding
from kapelle.score import keys, units
from kapelle.tokens import chords
from kapelle.tokens.chord_grammar import Grammar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from kapelle.bundles.manifest import Manifest
    from kapelle.composing.request import ComposeRequest

__all__ = ["Options", "compose"]

OUTPUT_TPQ = 480


@dataclass
class _Attempt:
    """One try: what was made so far."""

    pace: Pace
    decoder: chords.Decoder
    items: list[chords.Item] = field(default_factory=list)


@dataclass
class _Windowed:
    """A session that hears the last `window` ids anew at every step, as the network of the faithful variant was trained."""

    session: decoding.Session
    window: int
    _ids: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self._ids = deque(maxlen=self.window)

    @property
    def context(self) -> None:
        """It forgets by itself."""
        return

    @property
    def position(self) -> int:
        """Ids it hears."""
        return len(self._ids)

    def feed(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (V,) after the last ids."""
        self._ids.extend(ids.tolist())
        self.session.reset()
        return self.session.feed(np.array(self._ids, np.int64))

    def reset(self) -> None:
        """Forget everything."""
        self._ids.clear()


def offered(manifest: Manifest) -> Offered:
    """All lengths, the composers it knows by name, and going on from a prompt."""
    named = manifest.options.get("genre_ids")  # composers have tokens, if there are several
    return Offered(("compose", "extend"), choices={"composer": tuple(manifest.options["genres"]) if named else ()})


def compose(bundle: Bundle, request: ComposeRequest, options: Options, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Events of one piece, Done with the piece last.

    Raises:
        UsageError, CannotObey, MidiError: What is asked is unknown or beyond the model, or the seed is none.
        Interrupted: `cancelled` said so.
    """
    model = opened(bundle)
    plan = make_plan(model, request, options)

    def attempt(number: int) -> Generator[Event, None, Outcome]:
        """One try, from the stream of its own number."""
        silence = 2 * plan.goal.bar_steps - 1
        grammar = Grammar(model.spec, model.words, longest_silence=silence, pitches=plan.pitches)
        made = _Attempt(Pace(grammar, plan.goal), chords.Decoder(model.spec, model.words))
        yield from _perform(model, plan, request, number, made, cancelled)
        score, end_ticks = finished(model, plan, made)
        return Outcome(
            score,
            end_ticks,
            _problems(score, plan, made, end_ticks),
            made.pace.end_steps // plan.goal.bar_steps + plan.earlier_bars,
            made.pace.n_tokens,
            made.decoder.dropped,
            "longest piece" if made.pace.cut_short else "bar line",
        )

    yield from first_sound(bundle, request, plan.facts, attempt)


def _session(model: Model, plan: Plan) -> decoding.Session:
    """What proposes the next id; the faithful variant hears its window and recalls nothing."""
    if model.window:
        return _Windowed(model.session, model.window)
    return Recalling(model.session, model.words, plan.recall, plan.key) if plan.recall else model.session


def _perform(
    model: Model, plan: Plan, request: ComposeRequest, number: int, made: _Attempt, cancelled: Callable[[], bool]
) -> Iterator[Event]:
    """Draw one sequence, telling notes and bars as they come; what was made is left in `made`."""
    words, pace = model.words, made.pace
    end = words["EOS_None"]
    frame = decoding.Frame(plan.prefix, plan.opening, end, end, frozenset(words.ids("Symbol").tolist()))
    options = request.sampling or model.sampling
    start_s, second = _clock(plan, model.spec)
    bar_s = plan.goal.bar_steps * second
    bar = 0
    for token in decoding.decode(_session(model, plan), frame, pace, options, stream(request, number), plan.seed.ids):
        if cancelled():
            raise Interrupted("composing was cancelled")
        item = made.decoder.feed(token)
        if item is not None:
            made.items.append(item)
            at, of_bar = pace.last_onset, pace.last_onset // plan.goal.bar_steps + plan.earlier_bars
            yield NotesAdded(
                tuple(Note(start_s + at * second, item.duration * second, pitch, item.velocity, 0, of_bar) for pitch in item.pitches)
            )
        n_bars = _expected_bars(pace)
        while bar < min(pace.bar, n_bars):
            yield BarDone(bar, n_bars, start_s + (bar + 1) * bar_s)
            yield Progress(pace.share)
            bar += 1
        if pace.done:
            break
    n_bars = pace.end_steps // plan.goal.bar_steps
    for last in range(bar, n_bars):
        yield BarDone(last, n_bars, start_s + (last + 1) * bar_s)
    yield Progress(1.0)


def _clock(plan: Plan, spec: chords.ChordSpec) -> tuple[float, float]:
    """Seconds before the new music, and seconds of a grid step."""
    start = float(units.ticks_to_seconds(plan.front.score, plan.front.end_ticks)) if plan.front else 0.0
    return start, 60.0 / plan.bpm / spec.positions_per_beat


def _expected_bars(pace: Pace) -> int:
    """Bars that the piece will have, as far as can be said now."""
    if pace.goal.unit == "bars":
        return pace.goal.amount
    return max(pace.bar, round(pace.onset / pace.goal.bar_steps / max(pace.share, 1e-9)), 1)


def finished(model: Model, plan: Plan, made: _Attempt) -> tuple[symusic.Score, int]:
    """The score of an attempt as it will be written, and its final bar line: what begins last is held to it, and nothing sounds beyond."""
    spec, last, end = model.spec, made.pace.last_onset, made.pace.end_steps
    onset, items = 0, []
    for item in made.items:
        room = end - onset
        items.append(replace(item, duration=room if onset == last else min(item.duration, room)))
        onset += item.offset
    music = chords.to_score(items, positions_per_beat=spec.positions_per_beat, bpm=plan.bpm, ticks_per_quarter=OUTPUT_TPQ)
    end_ticks = end * OUTPUT_TPQ // spec.positions_per_beat
    if plan.front is not None:
        return plan.front.joined(music, end_ticks)
    music.time_signatures[0] = symusic.TimeSignature(0, *plan.metre)
    key = plan.key or keys.estimate_key(music)
    music.key_signatures.append(symusic.KeySignature(0, key.sharps, key.mode == "minor"))
    return music, end_ticks


def _problems(score: symusic.Score, plan: Plan, made: _Attempt, end_ticks: int) -> tuple[str, ...]:
    """What is wrong with a result; only what was added is looked at."""
    new = score if plan.front is None else plan.front.added(score, end_ticks)
    found = list(degeneracy(new, made.pace.end_steps // plan.goal.bar_steps).reasons)
    if plan.key is not None and not obedience.key(new, plan.key).obeyed:
        found.append("not in the key")
    if plan.goal.unit == "notes" and not made.pace.cut_short and sum(len(track.notes) for track in new.tracks) != plan.goal.amount:
        found.append("another number of notes")
    return tuple(found)
