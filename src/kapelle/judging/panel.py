"""Who judges candidates, and what they say of each alone.

Takes a `Candidate` and a `Panel` (the names of bundles); gives a `Measured`: plain numbers that cross a process border. What compares
candidates with each other or with real music is the business of `rank`. A judge that is not there is no error: what it would have said is
missing, and `Measured.absent` says why.

`BUNDLES` names every bundle that has a say here. The judge of the evaluation, by which the results of ranking are measured, is none of
them and never may be: a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import Missing, UnreadableInput, UsageError
from kapelle.judging import likelihood as foretelling
from kapelle.judging import originality
from kapelle.metrics import degenerate, obedience
from kapelle.score import instruments

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.bundles.load import Bundle
    from kapelle.classifiers.midi import MidiClassifier

GENRE, HUMAN = "genre-midi", "human-or-generated"

BUNDLES: tuple[str, ...] = (GENRE, HUMAN)
"""The classifiers that rank; beside them, the model that composed says how likely a piece is."""

OF_HUMANS = "human"
"""The class of `HUMAN` that is wanted."""


@dataclass(frozen=True)
class Reason:
    """A sentence as a template and its values, so that it can be said in another language."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format(**self.values)


@dataclass(frozen=True)
class Asked:
    """What was asked of a piece; what is empty was not.

    Args:
        genre: By its name.
        key: Such as ``F# minor``.
        tempo: Quarters a minute.
        metre: Such as ``3/4``.
        programs: General MIDI programs, -1 for drums.
        bars: Length.
    """

    genre: str = ""
    key: str = ""
    tempo: float | None = None
    metre: str = ""
    programs: tuple[int, ...] = ()
    bars: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A piece that may be chosen.

    Args:
        score: As read from its file.
        name: What tells it from the others: a seed, a file.
        asked: What it was to be.
        genre: Of the piece, as far as known: asked, or drawn by the model.
        n_bars: Bars that it is to have; up to its last note if left out.
    """

    score: Score
    name: str
    asked: Asked = Asked()
    genre: str = ""
    n_bars: int | None = None


@dataclass(frozen=True)
class Panel:
    """Who judges.

    Args:
        model: The bundle that says how likely a piece is, by name or path; empty: nobody says.
        genres: Among which the probability of a genre is told; empty: all that the classifier knows.
        parts: What is asked about; nobody waits for what does not count.
    """

    model: str = ""
    genres: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("genre", "human", "likelihood", "typical", "novelty")


@dataclass(frozen=True)
class Measured:
    """What is known of one candidate alone; None for what is not.

    Args:
        name: Of the candidate.
        asked: What it was to be.
        genre: Of the piece, as far as known.
        features: (F,) of `kapelle.classifiers.midi_features`.
        genres: Probability of every genre.
        human: Probability that a person wrote it.
        bits: Bits per note.
        copied: Share of its notes that are in the model's training music too, in runs of 12 or more.
        degenerate: What is wrong with it; empty if nothing.
        obeyed: What was asked -> whether it was obeyed.
        absent: Part -> why it is not there.
    """

    name: str
    asked: Asked
    genre: str = ""
    features: NDArray[np.float32] | None = None
    genres: Mapping[str, float] | None = None
    human: float | None = None
    bits: float | None = None
    copied: float | None = None
    degenerate: tuple[str, ...] = ()
    obeyed: Mapping[str, bool] = field(default_factory=dict)
    absent: Mapping[str, Reason] = field(default_factory=dict)


def measure(panel: Panel, candidate: Candidate) -> Measured:
    """What the panel says of one candidate.

    Raises:
        BundleError: A bundle of the panel is damaged.
    """
    score = candidate.score
    broken = degenerate.degeneracy(score, candidate.n_bars).reasons
    obeyed = _obeyed(score, candidate.asked)
    if not any(len(track.notes) for track in score.tracks if not track.is_drum):
        nothing = Reason("there are no pitched notes")
        without = dict.fromkeys(panel.parts, nothing)
        return Measured(candidate.name, candidate.asked, candidate.genre, degenerate=broken, obeyed=obeyed, absent=without)
    absent: dict[str, Reason] = {}
    genres = _probabilities(GENRE, "genre", score, panel, absent)
    human = _probabilities(HUMAN, "human", score, panel, absent)
    features = None
    if {"typical", "novelty"} & set(panel.parts):
        from kapelle.classifiers import midi_features

        features = np.asarray(midi_features.features(score), np.float32)
    return Measured(
        candidate.name,
        candidate.asked,
        candidate.genre,
        features,
        None if genres is None else _among(genres, panel.genres),
        None if human is None else human[OF_HUMANS],
        _bits(panel, candidate, absent) if "likelihood" in panel.parts else None,
        _copied(panel, score) if "novelty" in panel.parts else None,
        broken,
        obeyed,
        absent,
    )


def _probabilities(name: str, part: str, score: Score, panel: Panel, absent: dict[str, Reason]) -> Mapping[str, float] | None:
    """What a classifier says; None if nobody asks or it cannot say, which stands in `absent`."""
    if part not in panel.parts:
        return None
    judge = _seat(name)
    if judge is None:
        absent[part] = Reason("the bundle {name} is not installed", {"name": name})
        return None
    try:
        return judge.classify(score).probabilities
    except UnreadableInput as error:
        absent[part] = Reason("{name} cannot read it: {why}", {"name": name, "why": str(error)})
        return None


def _bits(panel: Panel, candidate: Candidate, absent: dict[str, Reason]) -> float | None:
    """Bits per note under the panel's model; why not stands in `absent`."""
    if not panel.model:
        absent["likelihood"] = Reason("no model is named that could say")
        return None
    bundle = _bundle(panel.model)
    if not foretelling.foretells(bundle):
        absent["likelihood"] = Reason("{name} gives no probability of a piece", {"name": bundle.name})
        return None
    try:
        return foretelling.likelihood(candidate.score, bundle, candidate.genre).bits_per_note
    except UnreadableInput as error:
        absent["likelihood"] = Reason("{name} cannot read it: {why}", {"name": bundle.name, "why": str(error)})
        return None


def _copied(panel: Panel, score: Score) -> float | None:
    """What of a piece is in the music that the panel's model learned from; None if it has no index of that."""
    index = _index(panel.model) if panel.model else None
    return None if index is None else originality.lookup(score, index).share_copied


def _among(probabilities: Mapping[str, float], genres: tuple[str, ...]) -> Mapping[str, float]:
    """The probabilities if only `genres` were possible; as they are if the classifier does not know them."""
    known = {name: probabilities[name] for name in genres if name in probabilities}
    total = sum(known.values())
    return {name: share / total for name, share in known.items()} if total > 0 else dict(probabilities)


def _obeyed(score: Score, asked: Asked) -> dict[str, bool]:
    """What was asked of a piece, and whether it was obeyed; a genre is no matter of obedience."""
    out: dict[str, bool] = {}
    if asked.key:
        out["key"] = obedience.key(score, asked.key).obeyed
    if asked.tempo is not None:
        out["tempo"] = obedience.tempo(score, asked.tempo).obeyed
    if asked.metre:
        above, _, below = asked.metre.partition("/")
        out["metre"] = obedience.metre(score, (int(above), int(below))).obeyed
    if asked.programs:
        out["instruments"] = obedience.instruments(score, asked.programs).obeyed
    if asked.bars is not None:
        out["bars"] = obedience.bars(score, asked.bars).obeyed
    return out


def programs_of(text: str) -> tuple[int, ...]:
    """The programs that ``flute,piano,drums`` names.

    Raises:
        UnknownName: One of them is no instrument.
    """
    return tuple(dict.fromkeys(instruments.program_of(name) for name in text.split(",") if name.strip()))


@lru_cache(maxsize=8)
def _seat(name: str) -> MidiClassifier | None:
    """The classifier of a name, kept open; None if it is not installed."""
    if name not in BUNDLES:
        raise UsageError("{name} does not rank", name=name)
    from kapelle.bundles import load

    try:
        held = load.load(name)
    except Missing:
        return None
    from kapelle.classifiers.midi import MidiClassifier

    return MidiClassifier(held)


@lru_cache(maxsize=4)
def _bundle(name: str) -> Bundle:
    from kapelle.bundles import load

    return load.load(name)


@lru_cache(maxsize=4)
def _index(name: str) -> originality.Index | None:
    return originality.of(_bundle(name))
