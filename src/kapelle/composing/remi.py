"""Composing with a language model on REMI tokens: from nothing, or on from a prompt.

Takes a bundle of codec ``remi`` and a request, gives events and a piece. What is asked is obeyed by construction where that is
possible: length and metre by the countdown and a mask, tempo by writing it, the key by a mask over the scale and, where the
model knows one common key only, by moving the result; instruments by a mask over programs, or, for a model of one piano, by
dealing its voices to the instruments. The result is then measured; a piece that fails is composed again from the next stream of
random numbers of the same seed, and the report says so.

It does not render, rank or judge beyond the definition of a degenerate piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kapelle.bundles.load import Bundle
from kapelle.composing.attempts import Outcome, first_sound, stream
from kapelle.composing.events import BarDone, Event, NotesAdded, Progress
from kapelle.composing.language import Model, Options, opened
from kapelle.composing.offered import Offered
from kapelle.composing.plan import Plan, make_plan
from kapelle.composing.telling import Teller
from kapelle.errors import Interrupted
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.sampling import decode as decoding
from kapelle.score import edit, families
from kapelle.tokens import remi
from kapelle.tokens.grammar import Grammar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import symusic

    from kapelle.bundles.manifest import Manifest
    from kapelle.composing.request import ComposeRequest

OUTPUT_TPQ = 480


@dataclass
class _Attempt:
    """One try: what was made, and how."""

    decoder: remi.Decoder
    notes: list[remi.DecodedNote] = field(default_factory=list)
    n_tokens: int = 0
    closed: str = ""

    def amount(self, unit: str) -> int:
        """How many tokens there are, or else notes."""
        return self.n_tokens if unit == "tokens" else len(self.notes)


def offered(manifest: Manifest) -> Offered:
    """All lengths, the genres it knows, and going on from a prompt."""
    return Offered(("compose", "extend"), choices={"genre": tuple(manifest.options.get("genres") or ())})


def compose(bundle: Bundle, request: ComposeRequest, options: Options, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Events of one piece, Done with the piece last.

    Raises:
        UsageError, CannotObey: What is asked is unknown or beyond the model.
        Interrupted: `cancelled` said so.
    """
    model = opened(bundle)
    plan = make_plan(model, request, options)

    def attempt(number: int) -> Generator[Event, None, Outcome]:
        """One try, from the stream of its own number."""
        made = _Attempt(remi.Decoder(model.spec, model.words))
        yield from _perform(model, plan, request, number, made, cancelled)
        score, end_ticks = finished(plan, made)
        n_bars = made.decoder.bar + 1 + plan.earlier_bars
        return Outcome(score, end_ticks, _problems(score, plan, made, end_ticks), n_bars, made.n_tokens, made.decoder.dropped, made.closed)

    yield from first_sound(bundle, request, plan.facts(), attempt)


def _perform(
    model: Model, plan: Plan, request: ComposeRequest, number: int, attempt: _Attempt, cancelled: Callable[[], bool]
) -> Iterator[Event]:
    """Draw one sequence, telling notes and bars as they come; what was made is left in `attempt`."""
    words, spec = model.words, model.spec
    grammar = Grammar(spec, words, plan.rules)
    decoder, teller = attempt.decoder, Teller(plan, spec)
    prompt = [] if plan.prompt is None else plan.prompt.ids
    for token in prompt:
        grammar.accept(token)
    if prompt:
        decoder.feed(prompt[-1])  # the bar line that the new music begins with
    pitches = frozenset(words.ids("Pitch").tolist())
    frame = decoding.Frame(tuple(plan.prefix), tuple(plan.opening), words["Bar_None"], words["EOS_None"], pitches)
    options = request.sampling or model.sampling
    for token in decoding.decode(model.session, frame, grammar, options, stream(request, number), prompt):
        if cancelled():
            raise Interrupted("composing was cancelled")
        attempt.n_tokens += 1
        closed_bar = decoder.bar if token in (words["Bar_None"], words["EOS_None"]) else -1
        end_ticks = decoder.end_ticks
        note = decoder.feed(token)
        if note is not None:
            attempt.notes.append(note)
            if told := teller.take(note, decoder.bar):
                yield NotesAdded(told)
        if closed_bar >= 0:
            if told := teller.rest():
                yield NotesAdded(told)
            yield BarDone(closed_bar, grammar.rules.n_bars - plan.prompt_bars, plan.seconds_at(end_ticks, spec))
            yield Progress((closed_bar + 1) / (grammar.rules.n_bars - plan.prompt_bars))
            grammar.rules = plan.replanned(grammar.rules, closed_bar + 1, attempt.amount(plan.length.unit))
    if told := teller.rest():
        yield NotesAdded(told)
    cut_short = plan.cut_short(grammar.bars, attempt.amount(plan.length.unit))
    attempt.closed = "longest piece" if cut_short else "full bar" if grammar.bar_is_full else "bar line"


def finished(plan: Plan, attempt: _Attempt) -> tuple[symusic.Score, int]:
    """The score of an attempt as it will be written, and its final bar line."""
    decoder = attempt.decoder
    music = edit.transpose(remi.to_score(attempt.notes, decoder, plan.bpm), plan.shift)
    music = edit.clip_to(edit.resolve_overlaps(music), decoder.end_ticks)
    if plan.prompt is not None:
        return plan.prompt.front.joined(music, decoder.end_ticks)
    music = edit.resample(music, OUTPUT_TPQ)
    plan.write_key(music)
    programs = plan.programs
    if not plan.model_has_programs:
        music = edit.split_voices(music, programs) if len(programs) > 1 else _one_track(music, programs[0])
    elif plan.voices:
        music = families.from_families(music, plan.voices)
    return edit.without_empty_tracks(music), decoder.end_ticks * OUTPUT_TPQ // decoder.spec.ticks_per_quarter


def _one_track(score: symusic.Score, program: int) -> symusic.Score:
    from kapelle.score.instruments import program_name

    out = edit.set_programs(score, [program] * len(score.tracks))
    for track in out.tracks:
        track.name = program_name(program)
    return out


def _problems(score: symusic.Score, plan: Plan, attempt: _Attempt, end_ticks: int) -> tuple[str, ...]:
    """What is wrong with a result; for a continuation only what was added is looked at."""
    new = score if plan.prompt is None else plan.prompt.front.added(score, end_ticks)
    found = list(degeneracy(new, attempt.decoder.bar + 1).reasons)
    if plan.checked_key is not None and not obedience.key(new, plan.checked_key).obeyed:
        found.append("not in the key")
    present = {-1 if track.is_drum else track.program for track in score.tracks}
    if plan.prompt is None and not set(plan.programs) <= present:
        found.append("an instrument is missing")
    return tuple(found)
