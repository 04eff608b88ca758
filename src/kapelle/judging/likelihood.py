"""How surprising a piece is to a model: bits per note, by a bundle that foretells notes.

Takes a score and a bundle of codec ``remi`` or ``chords``; gives a `Likelihood`. The score is written as ids again, as a file of the same
music would be, so that it does not matter who composed it: what a model made and what a person wrote are asked the same question. The
genre (if known), the key as estimated, the tempo and the instruments are told; everything after them is foretold, bars and positions
too, and EOS. A piece longer than the context is read in windows that begin at a bar line and repeat a quarter of the one before.

A low figure is no merit. The likeliest music of all is a note repeated for ever; real music has a surprise of its own, and `rank` asks how
near to that a piece is. Rules of composing (a key, a length) are not part of it, nor is how tokens were drawn.

Known gaps: bands make a bar in one go and give no probability of it; a model of themes foretells notes only with a theme in its ear;
the faithful variant of the chord LSTM hears a window anew for every id. For those there is no likelihood (`foretells`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UnreadableInput, UsageError
from kapelle.score import edit, families, keys, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from symusic import Score

    from kapelle.bundles.load import Bundle
    from kapelle.composing.language import Model

Ids = NDArray[np.int64]

OVERLAP = 0.25
"""Of a window, heard again by the next one."""

MOST_IDS = 8192
"""Of a longer piece, the beginning is asked about: some hundred bars."""


class Session(Protocol):
    """Something that foretells ids."""

    @property
    def context(self) -> int | None:
        """The most ids it hears; None: no limit."""

    def reset(self) -> None:
        """Forget everything."""

    def score(self, ids: Ids) -> NDArray[np.float32]:
        """(T, V) logits after every one of `ids`."""


@dataclass(frozen=True)
class Likelihood:
    """What a model makes of a piece.

    Args:
        bits: Information of all that was foretold.
        notes: Notes among it; a note of a chord counts.
        cut: Only the beginning was asked about.
    """

    bits: float
    notes: int
    cut: bool = False

    @property
    def bits_per_note(self) -> float:
        """Bits of everything, bars and positions too, per note; NaN without notes."""
        return self.bits / self.notes if self.notes else float("nan")


def foretells(bundle: Bundle) -> bool:
    """Whether a bundle can say how surprising a piece is."""
    manifest = bundle.manifest
    known = manifest.codec in ("remi", "chords") and manifest.kind == "autoregressive" and "tokenizer.json" in bundle.contents
    return known and not manifest.options.get("window")


def likelihood(score: Score, bundle: Bundle, genre: str = "") -> Likelihood:
    """How surprising `score` is to a bundle.

    Args:
        score: In ticks; it is not changed.
        bundle: One that `foretells`.
        genre: Told to the model if it knows it.

    Raises:
        UsageError: The bundle does not foretell notes.
        UnreadableInput: The music has nothing that the model can read: no notes, or a metre that it does not know.
    """
    if not foretells(bundle):
        raise UsageError("{name} gives no probability of a piece", name=bundle.name, hint="name a model of notes or chords with --model")
    return _of_chords(score, bundle) if bundle.manifest.codec == "chords" else _of_remi(score, bundle, genre)


def _of_remi(score: Score, bundle: Bundle, genre: str) -> Likelihood:
    from kapelle.composing.language import opened

    model = opened(bundle)
    told, ids = _written(score, model, genre)
    words = model.words
    music = np.append(ids, words["EOS_None"])
    note = words.kind_of == words.kinds.index("Duration")
    starts = np.flatnonzero(ids == words["Bar_None"])
    return _foretold(model.session, told, np.array([words["BOS_None"]]), music, starts, note.astype(np.int64))


def _written(score: Score, model: Model, genre: str) -> tuple[list[int], Ids]:
    """The controls of a piece, and its ids in the model's key."""
    from kapelle.composing.front import program_of_track
    from kapelle.tokens import controls, remi

    spec = model.spec
    if not any(len(track.notes) for track in score.tracks if spec.programs or not track.is_drum):
        raise UnreadableInput("no notes to encode")
    key = keys.estimate_key(score)
    home = keys.Key(0 if key.mode == "major" else 9, key.mode) if spec.normalise_key else key
    heard = edit.transpose(score, -((key.tonic - home.tonic + 5) % 12 - 5))
    if model.families:
        heard = families.by_family(heard, model.families)
    heard = edit.resolve_overlaps(heard)
    programs = dict.fromkeys(program_of_track(track) for track in heard.tracks if len(track.notes)) if model.families else {}
    wish = controls.Controls(
        genre if genre in model.genres else "",
        key=f"{remi.TONICS[home.tonic]}-{home.mode}",
        bpm=units.bpm_at(score, 0),
        instruments=tuple(families.name_of(program) for program in programs),
    )
    return controls.prefix(wish, model.words), remi.encode(heard, spec, model.words)


def _of_chords(score: Score, bundle: Bundle) -> Likelihood:
    from kapelle.composing.chopin_plan import opened
    from kapelle.score.write import to_bytes
    from kapelle.tokens import chords

    model = opened(bundle)
    words = model.words
    items = chords.items(to_bytes(score), model.spec.positions_per_beat)
    if not items:
        raise UnreadableInput("no notes to encode")
    music = chords.encode(items, model.spec, words, to_nearest=True).ids
    symbols = words.kind_of == words.kinds.index("Symbol")
    notes = np.zeros(len(words), np.int64)
    notes[symbols] = chords.notes_per_id(words)
    starts = np.flatnonzero(symbols[music])
    return _foretold(model.session, [], np.array([words["BOS_None"]]), music, starts, notes)


def _foretold(session: Session, told: Sequence[int], opening: Ids, music: Ids, starts: Ids, notes: Ids) -> Likelihood:
    """The sum over windows, every id of `music` foretold once.

    Args:
        session: Foretells.
        told: Ids that stand in front of every window.
        opening: Ids between them and the beginning.
        music: What is foretold.
        starts: Places in it where a window may begin.
        notes: (V,) notes that an id stands for.
    """
    asked = music[:MOST_IDS]
    room = len(told) + len(opening) + len(asked) if session.context is None else session.context
    bits, done, begin = 0.0, 0, 0
    while done < len(asked):
        front = np.array([*told, *(opening if begin == 0 else ())], np.int64)
        window = asked[begin : begin + room - len(front)]
        ids = np.concatenate([front, window])
        session.reset()
        # the first id of a window without anything in front cannot be foretold; it has been, by the window before
        first = max(done - begin, 1 - len(front))
        logits = session.score(ids)[len(front) + first - 1 : len(ids) - 1]
        bits += _bits(logits, window[first:])
        done = begin + len(window)
        again = starts[(starts > begin) & (starts <= done - int(OVERLAP * room)) & (starts < done)]
        begin = int(again[-1]) if len(again) else max(begin + 1, done - int(OVERLAP * room))
    return Likelihood(bits, int(notes[asked].sum()), cut=len(asked) < len(music))


def _bits(logits: NDArray[np.float32], ids: Ids) -> float:
    """Information of `ids` (T,), each under the row of `logits` (T, V) that foretells it."""
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    own = rows[np.arange(len(ids)), ids]
    return float((np.log(np.exp(rows).sum(axis=1)) - own).sum() / np.log(2))
