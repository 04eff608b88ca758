"""Originality: what of a piece its model has from the music that it learned from, and composing until that is little.

Takes pieces, paths and names of models; gives `Originality`, or None where a model has no index of its music. Indexes are read when they
are first asked for, never before a piece is composed, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.composing.events import Done, Event, Restarted
from kapelle.composing.piece import Piece, provenance_of
from kapelle.composing.request import MAX_COUNT, MAX_SEED, ComposeRequest
from kapelle.errors import CannotObey, Interrupted, Missing, UsageError
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from kapelle.bundles.manifest import Manifest
    from kapelle.judging.originality import Index, Originality

TRIES = 16
"""Pieces that are composed before the one that shares least is taken."""

SEED_STEP = 1 << 32
"""Between the seeds of two tries: far beyond the seeds of the pieces of one request."""

TOO_LONG = "a longer run than asked for is in the training music too"
"""What is wrong with a piece beyond the limit."""

HOW_TO_INDEX = "`kapelle originality --index SHARDS --bundle FOLDER` makes one from the shards that it learned from"


def originality(source: str | Path | bytes | Piece, *, model: str = "") -> Originality | None:
    """What of a piece is also in the music that a model learned from; None if the model has no index of that.

    Args:
        source: A MIDI file or its bytes, or a piece that was just composed.
        model: Bundle name or path; left out, the one that composed the piece, as the piece or the file tells.

    Raises:
        MidiError: It is no MIDI file.
        UsageError: No model is named, and the file does not tell which one composed it.
        Missing: No such bundle, or no such file.
        BundleError: The index is damaged.
    """
    from kapelle.api.files import midi_bytes
    from kapelle.judging import originality as judging
    from kapelle.score.read import read

    if isinstance(source, Piece):
        index = _index(model or source.request.model)
        return judging.lookup(source.score, index) if index else None
    data = midi_bytes(source)
    score = read(data)
    index = _index(model or model_of(data))
    return judging.lookup(score, index) if index else None


def model_of(data: bytes) -> str:
    """The name of the bundle that composed a MIDI file, as the file tells.

    Raises:
        UsageError: It does not tell.
    """
    found = provenance_of(data)
    if found is None:
        raise UsageError("the file does not tell which model composed it", hint="name the model to compare with: --model NAME")
    return found.model


def _index(name: str) -> Index | None:
    """The index of a bundle by name or path; the default model's if the name is empty."""
    from kapelle.api.requests import bundle
    from kapelle.bundles import load, manifest

    folder = load.find(name) if name else bundle().path
    return _opened(folder, manifest.digest(load.manifest_of(folder)))


@lru_cache(maxsize=4)
def _opened(folder: Path, bundle_hash: str) -> Index | None:
    """The index of a bundle; by its hash too, so that one that was written anew is not taken for the old one."""
    from kapelle.judging import originality as judging

    return judging.at(folder)


def originality_plot(source: str | Path | bytes, out: str | Path, *, model: str = "", theme: str = "light", force: bool = False) -> Path:
    """Draw a MIDI file as a piano roll (.png, .svg) in which shared notes have a colour of their own; its path is returned.

    Args:
        source: A MIDI file or its bytes.
        out: The picture.
        model: Bundle name or path; left out, the one that composed the piece.
        theme: Colours, "light" or "dark".
        force: Replace a picture that is there already.

    Raises:
        Missing: The model has no index.
    """
    from kapelle.api.files import free, midi_bytes, read_midi
    from kapelle.engraving import pianoroll
    from kapelle.judging import originality as judging

    out, data = free(out, force), midi_bytes(source)
    index = _index(model or model_of(data))
    if index is None:
        raise Missing("the model {name} has no index of the music that it learned from", name=model or model_of(data), hint=HOW_TO_INDEX)
    score = read_midi(data)
    marked = judging.marked(score, judging.lookup(score, index))
    title = "" if isinstance(source, bytes) else Path(source).stem
    pianoroll.draw(marked, out, pianoroll.PictureOptions(theme=theme, title=title))
    return out


def add_index(
    bundle: str | Path, shards: str | Path, *, names: str | Path | None = None, progress: Report = quiet
) -> tuple[Manifest, Index]:
    """Put the index of the music in a folder of shards into a bundle, and return its new manifest and the index.

    Args:
        bundle: Bundle name or path; its folder is written anew, and its hash becomes another.
        shards: What it learned from.
        names: The data folder: token shards know their files by digests alone, which are looked up there.
        progress: Called with (pieces done, pieces in all).

    Raises:
        Missing: There is no bundle, or there are no shards.
        UsageError: The shards hold no music that a model composes from.
        StorageError: The bundle cannot be written.
    """
    from kapelle.bundles import amend, load
    from kapelle.judging import originality as judging

    folder = load.find(str(bundle))
    data = index_of(shards, names=names, progress=progress)
    made = amend.amend(folder, {judging.FILE_NAME: data}, {"originality": None})
    return made, judging.parse(data)


def index_of(shards: str | Path, *, names: str | Path | None = None, progress: Report = quiet) -> bytes:
    """The bytes of an ``originality.idx`` of the music in a folder of shards; arguments as of `add_index`."""
    from kapelle.judging import originality_figures, training_music

    known: Mapping[str, str] = training_music.names_in(Path(names)) if names else {}
    return originality_figures.indexed(training_music.opened(Path(shards), known), progress)


def original_events(wish: ComposeRequest, compose: Callable[[ComposeRequest], Iterator[Event]]) -> Iterator[Event]:
    """Events of a piece no run of which is known to be shared beyond `wish.max_copied_notes`; Done with the piece last.

    Try k, from 0, composes the same request with the seed + k times 2 to the 32nd, and the first piece within the limit is taken; after 16
    tries the one with the shortest run, with what is wrong among its problems. The piece bears the request of its own try, without a limit:
    that makes it again, index or not.

    Args:
        wish: One piece.
        compose: Gives the events of a request.

    Raises:
        CannotObey: The model has no index, or the piece is on the way between two seeds.
    """
    limit, index = wish.max_copied_notes, check(wish)
    best: tuple[int, int, Piece] | None = None
    for number in range(TRIES):
        piece, at_most = yield from _tried(replace(wish, seed=seed_of(wish.seed, number), max_copied_notes=0), compose, index)
        if best is None or at_most < best[0]:
            best = at_most, number, piece
        if at_most <= limit:
            break
        if number + 1 < TRIES:
            yield Restarted(number + 2, (TOO_LONG,))
    assert best is not None
    yield Done(_told(*best, limit))


def _tried(
    wish: ComposeRequest, compose: Callable[[ComposeRequest], Iterator[Event]], index: Index
) -> Generator[Event, None, tuple[Piece, int]]:
    """The events of one try but the last; the piece, and how many notes its longest shared run has at most."""
    from kapelle.judging import originality as judging

    for event in compose(wish):
        if isinstance(event, Done):
            return event.piece, judging.lookup(event.piece.score, index).at_most
        yield event
    raise Interrupted("composing ended without a piece")


def _told(at_most: int, number: int, piece: Piece, limit: int) -> Piece:
    report = piece.report
    problems = (*report.problems, TOO_LONG) if at_most > limit else report.problems
    facts = {**report.facts, "tries": number + 1}
    return replace(piece, report=replace(report, problems=problems, facts=facts))


def seed_of(seed: int, number: int) -> int:
    """The seed of a try, from 0."""
    return (seed + number * SEED_STEP) % (MAX_SEED - MAX_COUNT + 1)


def check(wish: ComposeRequest) -> Index:
    """The index by which a request with a limit is judged.

    Raises:
        UsageError: The limit is so low that runs beyond it may be overlooked.
        CannotObey: The model has no index, or the piece is on the way between two seeds.
    """
    from kapelle.metrics.fingerprints import GUARANTEED

    if wish.max_copied_notes < GUARANTEED - 1:
        raise UsageError(
            "a limit of {notes} copied notes is too low: shared runs are found for sure from {least} notes on",
            notes=wish.max_copied_notes, least=GUARANTEED, lowest=GUARANTEED - 1, hint="the lowest limit is {lowest}",
        )  # fmt: skip
    if wish.options.get("towards") is not None:
        raise CannotObey("a piece on the way between two seeds cannot be composed again", hint="leave --towards or --max-copied-notes out")
    index = _index(wish.model)
    if index is None:
        raise CannotObey("the model {name} has no index of the music that it learned from", name=wish.model, hint=HOW_TO_INDEX)
    return index
