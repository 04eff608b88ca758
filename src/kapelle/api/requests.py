"""Composing: from wishes to requests, from requests to pieces.

Takes names and plain values, gives `ComposeRequest`, events, `Piece`. The same request gives the same bytes, however many
processes make it.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle import composing, config, workers
from kapelle.api.files import midi_bytes
from kapelle.composing.events import Done, Event
from kapelle.composing.piece import Piece, request_of
from kapelle.composing.request import LENGTHS, ComposeRequest, Length
from kapelle.errors import CannotObey, Interrupted, Missing, UsageError
from kapelle.progress import Report, quiet
from kapelle.sampling.options import SamplingOptions
from kapelle.workers import Workers

if TYPE_CHECKING:
    from kapelle.bundles.load import Bundle

DEFAULT_MODELS = ("genre", "genre-small")
"""The first of these that is installed composes when no model is named."""

ACCOMPANISTS = {"": "band-accompany", "band": "band-accompany"}
"""What a name of a model means where it is to play around a lead; others mean themselves."""


def bundle(name: str = "") -> Bundle:
    """The bundle of a name or path, checked and in memory; the default model's if the name is empty.

    Raises:
        Missing: There is none.
        BundleError: It is damaged.
    """
    from kapelle.bundles import load

    if name:
        return load.load(name)
    there = {item.name for item in load.installed()}
    return load.load(next((model for model in DEFAULT_MODELS if model in there), DEFAULT_MODELS[0]))


def request(
    model: str = "",
    *,
    length: Length | None = None,
    seed: int | None = None,
    count: int = 1,
    sampling: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    prompt: bytes | None = None,
    lead: bytes | None = None,
    theme: bytes | None = None,
    band: str = "",
    max_copied_notes: int = 0,
) -> ComposeRequest:
    """A checked request.

    Args:
        model: Bundle name or path; empty for the default.
        length: 16 bars if left out.
        seed: Drawn if left out; it stands in the result.
        count: Pieces; they have the seeds seed, seed + 1 ...
        sampling: Fields of SamplingOptions; the bundle's own for what is left out.
        options: What the model can be told: genre, key, tempo, metre, instruments ...; a file by its path or its bytes.
        prompt: A MIDI file to go on from.
        lead: A MIDI file to play around.
        theme: A MIDI file to develop.
        band: The bundle that is to play around the piece, which is then in 4/4; none if empty.
        max_copied_notes: Compose again while a run of more notes may be in the training music too; 0 for no limit, 11 or more otherwise.

    Raises:
        UsageError: Something is out of range or unknown to the model.
        Missing: No such bundle.
    """
    from kapelle.bundles import load

    model, band = os.fspath(model or ""), os.fspath(band or "")
    held = bundle(model)
    way = composing.way_of(held.manifest.codec, model)
    given = _with_files(way, {name: config.native(value) for name, value in (options or {}).items() if value is not None})
    if band:
        given = _for_a_band(held, way, given)
    composing.options_of(way, given)
    drawn = None
    if sampling:
        drawn = config.build(SamplingOptions, {**(held.manifest.options.get("generation") or {}), **sampling}, "sampling")
    made = ComposeRequest(
        held.path.name if not model or model in load.ALIASES.keys() - composing.COMBINED else model,  # the name by which it is found again
        length or Length(),
        secrets.randbelow(2**31) if seed is None else seed,
        count,
        drawn,
        given,
        prompt,
        lead,
        theme,
        band=ACCOMPANISTS.get(band, band) if band else "",
        max_copied_notes=max_copied_notes,
    )
    if max_copied_notes:
        from kapelle.api.sharing import check

        check(made)
    return made


def _for_a_band(held: Bundle, way: composing.Way, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a piece that a band is to play around: in 4/4."""
    names = {item.name for item in fields(way.Options)}
    if held.manifest.codec == "roll":
        raise CannotObey("{name} is a band already", name=held.name, hint="leave --band out, or compose with another model")
    if given.get("metre", "4/4") != "4/4":
        raise CannotObey("a band plays in 4/4 alone, not in {metre}", metre=given["metre"], hint="leave --metre or --band out")
    return {**given, "metre": "4/4"} if "metre" in names else dict(given)


def _with_files(way: composing.Way, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which MIDI files named by path, or given as bytes, have become text: a request carries them with it."""
    names = {item.name for item in fields(way.Options) if item.metadata.get("media")}
    return {k: b64encode(midi_bytes(value)).decode() if k in names else value for k, value in given.items()}


def compose_events(wish: ComposeRequest, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Events of the first piece of a request as they happen; Done with the Piece is the last."""
    if wish.max_copied_notes:
        from kapelle.api.sharing import original_events

        return original_events(wish.piece(0), lambda one: compose_events(one, cancelled))
    held = bundle(wish.model)
    way = composing.way_of(held.manifest.codec, wish.model)
    one = wish.piece(0)
    events = way.compose(held, one, composing.options_of(way, one.options), cancelled)
    if not wish.band:
        return events
    from kapelle.composing.together import together

    return together(events, bundle(wish.band), one, cancelled)


def compose_one(wish: ComposeRequest, cancelled: Callable[[], bool] = lambda: False) -> Piece:
    """The first piece of a request."""
    for event in compose_events(wish, cancelled):
        if isinstance(event, Done):
            return event.piece
    raise Interrupted("composing ended without a piece")


def compose_many(
    wish: ComposeRequest, *, numbers: Sequence[int] | None = None, processes: int = 1, engine: str = "local", progress: Report = quiet
) -> Iterator[Piece]:
    """The pieces of a request, in order; who makes one changes nothing about it.

    Args:
        wish: `count` pieces.
        numbers: Which of them, from 0; all if left out.
        processes: How many to compose with.
        engine: ``local``, or ``ray``: the machines of a Ray cluster, as `kapelle.workers.Workers` tells.
        progress: Called with (pieces done, pieces in all).
    """
    return Workers(processes, engine).map(
        _compose, [wish.piece(number) for number in (range(wish.count) if numbers is None else numbers)], progress
    )


def _compose(wish: ComposeRequest) -> Piece:
    return compose_one(wish, workers.stopped)


def compose(
    *,
    model: str = "",
    bars: int | None = None,
    seconds: float | None = None,
    tokens: int | None = None,
    notes: int | None = None,
    seed: int | None = None,
    count: int = 1,
    processes: int = 1,
    engine: str = "local",
    band: str | bool = "",
    max_copied_notes: int = 0,
    best: int = 0,
    of: int = 0,
    by: str = "score",
    diverse: bool = False,
    weights: Mapping[str, float] | None = None,
    **settings: Any,
) -> Any:
    """A `Piece`, or a list of them if `count` or `best` is above 1.

    Args:
        model: Bundle name or path; empty for the default.
        bars: Length in bars; one of the four lengths, 16 bars if none.
        seconds: Length in seconds, rounded to whole bars.
        tokens: Length in tokens, rounded to whole bars as the piece goes on.
        notes: Length in notes, likewise; models of notes and chords meet it exactly.
        seed: Drawn if left out.
        count: Pieces.
        processes: To compose several pieces with.
        engine: ``local``, or ``ray``: the machines of a Ray cluster.
        band: Play a band around the piece: True, or the name of the bundle that plays.
        max_copied_notes: Compose again while a run of more notes may be in the training music too; 0 for no limit, 11 or more otherwise.
        best: Compose `of` candidates and give so many, the best; `compose_best` gives the reasons too.
        of: Candidates; 32 if only `best` is given.
        by: What makes one better than another, a name of `kapelle.judging.choosing.WAYS`.
        diverse: Of several that are given, each is from another cluster of candidates.
        weights: Part of the score -> its weight.
        settings: Sampling (temperature, top_k, top_p, min_p, repetition_penalty) and the model's options (genre, key, tempo ...).

    Raises:
        UsageError, CannotObey: What is asked contradicts itself, is out of range or beyond the model.
        Missing: No such bundle.
    """
    sampling, options = split_settings(settings)
    wish = request(model, length=length_of(bars=bars, seconds=seconds, tokens=tokens, notes=notes), seed=seed, count=count,
                   sampling=sampling, options=options, band="band" if band is True else band or "",
                   max_copied_notes=max_copied_notes)  # fmt: skip
    if best or of or by != "score" or diverse:
        from kapelle.api import ranking

        return ranking.best_of(wish, weights, Workers(processes, engine), best=best, of=of, by=by, diverse=diverse)
    pieces = list(compose_many(wish, processes=processes, engine=engine))
    return pieces if count > 1 else pieces[0]


def interpolate(
    seed: int,
    towards: int,
    *,
    count: int = 5,
    model: str = "band",
    bars: int | None = None,
    seconds: float | None = None,
    processes: int = 1,
    **settings: Any,
) -> list[Piece]:
    """Pieces on the way from one seed to another: the first is the first seed's piece, the last the other's, between them they blend.

    Args:
        seed: Where the way begins.
        towards: Where it ends.
        count: Pieces, 2 or more.
        model: A band.
        bars: Length of each; one of the two lengths, 16 bars if none.
        seconds: The same in seconds.
        processes: To compose with.
        settings: The model's options (key, tempo, instruments ...).

    Raises:
        UsageError, CannotObey: What is asked is out of range, or the model has no such way.
    """
    if count < 2:
        raise UsageError("a way between two seeds has at least 2 pieces, not {count}", count=count)
    options = {**settings, "towards": towards}
    wish = request(model, length=length_of(bars=bars, seconds=seconds), seed=seed, count=count, options=options)
    return list(compose_many(wish, processes=processes))


def accompany(
    lead: str | Path | bytes,
    *,
    model: str = "band",
    track: str = "",
    seed: int | None = None,
    count: int = 1,
    processes: int = 1,
    **settings: Any,
) -> Any:
    """A `Piece`, or a list of them if `count` is above 1: a track of `lead`, note for note, and a band around it.

    Args:
        lead: A MIDI file in 4/4, or its bytes.
        model: Bundle name or path of a band that plays around a lead; "band" is the one that ships.
        track: Whose place the lead takes: drums, piano, guitar, bass or strings; that of its instrument if left out.
        seed: Drawn if left out.
        count: Pieces.
        processes: To compose several pieces with.
        settings: The model's options (lead_track, key, instruments, voices ...).

    Raises:
        MidiError: `lead` is no MIDI file.
        UsageError, CannotObey: It has no notes, is in another metre or too long; or what is asked is unknown or beyond the model.
        Missing: No such bundle, or no such file.
    """
    wish = accompaniment(lead, model=model, seed=seed, count=count, options={"track": track or None, **settings})
    pieces = list(compose_many(wish, processes=processes))
    return pieces if count > 1 else pieces[0]


def accompaniment(
    lead: str | Path | bytes, *, model: str = "band", seed: int | None = None, count: int = 1, options: Mapping[str, Any] | None = None
) -> ComposeRequest:
    """The checked request of `accompany`, with its arguments."""
    return request(ACCOMPANISTS.get(model, model), seed=seed, count=count, options=options, lead=midi_bytes(lead))


def extend(
    source: str | Path | bytes,
    *,
    model: str = "",
    bars: int | None = None,
    seconds: float | None = None,
    tokens: int | None = None,
    seed: int | None = None,
    **settings: Any,
) -> Piece:
    """The piece in `source`, note for note, with new music behind its last bar line in its key and tempo.

    Args:
        source: A MIDI file or its bytes.
        model: Bundle name or path; empty for the default.
        bars: Length of what is added; one of the three lengths, 16 bars if none.
        seconds: The same in seconds.
        tokens: The same in tokens.
        seed: Drawn if left out.
        settings: Sampling, and ``genre``; left out, the genre is the one that the model hears in the music.
    """
    sampling, options = split_settings(settings)
    length = length_of(bars=bars, seconds=seconds, tokens=tokens)
    return compose_one(request(model, length=length, seed=seed, sampling=sampling, options=options, prompt=midi_bytes(source)))


def split_settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings that are for sampling, and those that are for the model; None counts as not given."""
    given = {name: value for name, value in settings.items() if value is not None}
    names = {item.name for item in fields(SamplingOptions)}
    return {k: v for k, v in given.items() if k in names}, {k: v for k, v in given.items() if k not in names}


def length_of(**amounts: float | None) -> Length | None:
    """The one length among bars, seconds, tokens, notes that is given; None if none is.

    Raises:
        UsageError: Two are given, or one is out of range.
    """
    given = {unit: amount for unit, amount in amounts.items() if amount is not None}
    if len(given) > 1:
        raise UsageError("{names} contradict each other", names=" and ".join(given), hint="give one length")
    return next((Length(amount, unit) for unit, amount in given.items() if unit in LENGTHS), None)


def remake(path: str | Path) -> ComposeRequest:
    """The request in a file of ``--save-recipe``.

    Raises:
        UnreadableInput: The file is none.
        Missing: The bundle that made the piece is not the one installed under that name.
    """
    wish, hashes = request_of(Path(path))
    for name, hashed in hashes.items():
        held = bundle(name)
        if held.hash != hashed:
            raise Missing(
                "the piece was made by bundle {wanted}, and {name} is now {found}", wanted=hashed[:16], name=name, found=held.hash[:16],
                hint="install that bundle, or give its folder with --model",
            )  # fmt: skip
    return wish
