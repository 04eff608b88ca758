"""What a piece of items is going to be, settled before its first note: the seed that is heard, tempo, metre, key, how long.

Takes an opened bundle of codec ``chords`` and a request, gives a `Plan`. The seed is a MIDI file of the caller's, the end of the piece
that is extended, or the built-in opening; what the vocabulary lacks is brought to the nearest it has, and counted. Tempo and metre
are the seed's unless asked otherwise: the items know neither.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import symusic

from kapelle.bundles.load import Bundle
from kapelle.bundles.session import Decoder
from kapelle.composing import recall, seeds
from kapelle.composing.attempts import stream
from kapelle.composing.front import Front, busiest_program
from kapelle.composing.pacing import Goal
from kapelle.composing.request import MAX_BARS, ComposeRequest, Length
from kapelle.config import setting
from kapelle.errors import BundleError, CannotObey, UnknownName, UsageError
from kapelle.sampling.options import SamplingOptions
from kapelle.score import edit, keys, units
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from kapelle.tokens import chords, vocabulary

SEED_ITEMS = 40
"""So many notes and chords a seed must have, as in the system that this one is after."""

HEARD_NOTES = 240
"""Whole bars with about so many notes are heard of a seed; more would change nothing that a network of this size can remember."""

METRES = ("2/4", "3/4", "4/4", "5/4", "6/4", "3/8", "6/8", "9/8", "12/8")
BPM_RANGE = (20.0, 300.0)


@dataclass(frozen=True)
class Options:
    """What can be asked of a model of notes and chords."""

    seed_from: str = setting(
        "", help="MIDI file to hear first; left out, an opening by Mozart", media="audio/midi",
        ru="MIDI-файл, который модель услышит сначала; без него — начало сонаты Моцарта",
    )  # fmt: skip
    keep_seed: bool = setting(False, help="write what was heard in front of the new music", ru="записать услышанное перед новой музыкой")
    recall: float = setting(
        recall.WEIGHT, help="how much notes lean on the pitch classes of the last ones; 0: the network alone", min=0.0, max=3.0, step=0.1,
        ru="насколько ноты держатся высот последних нот; 0 — одна сеть",
    )  # fmt: skip
    composer: str = setting(
        "", help="composer, for a model of several; left out, the seed chooses", ru="композитор, если модель знает нескольких"
    )
    key: str = setting("", help="key, such as C, Am or 'F# minor'", ru="тональность: C, Am или 'F# minor'")
    tempo: float | None = setting(None, help="tempo", ru="темп", unit="bpm", min=BPM_RANGE[0], max=BPM_RANGE[1], step=1)
    metre: str = setting("", help="metre, such as 4/4 or 3/4", ru="размер: 4/4 или 3/4")


@dataclass(frozen=True)
class Model:
    """A bundle, opened for composing.

    Args:
        session: Gives logits.
        words: The vocabulary.
        spec: What it was made for.
        window: Items that are fed anew at every step; 0: the network's state is carried along.
        sampling: What the bundle recommends.
    """

    session: Decoder
    words: vocabulary.Vocabulary
    spec: chords.ChordSpec
    window: int
    sampling: SamplingOptions


@dataclass(frozen=True)
class _Held:
    """Carries a bundle past the cache, which goes by its hash alone."""

    hash: str
    bundle: Bundle = field(compare=False)


@lru_cache(maxsize=4)
def _opened(held: _Held) -> Model:
    bundle = held.bundle
    if "tokenizer.json" not in bundle.contents:
        raise BundleError("{name} has no tokenizer.json", name=bundle.path)
    words, rest = vocabulary.parse(bundle.contents["tokenizer.json"])
    options = bundle.manifest.options
    if len(words) != int(options.get("vocabulary", len(words))):
        raise BundleError("{name}: tokenizer and network differ in vocabulary", name=bundle.path)
    sampling = SamplingOptions(**(options.get("generation") or {}))
    return Model(Decoder(bundle), words, chords.spec_of(rest), int(options.get("window") or 0), sampling)


def opened(bundle: Bundle) -> Model:
    """The bundle's vocabulary, and a session of its network with a memory of its own; the last few networks are kept open."""
    held = _opened(_Held(bundle.hash, bundle))
    return replace(held, session=held.session.another())


@dataclass(frozen=True)
class Seed:
    """What the model hears before its first note.

    Args:
        score: The music, whole bars of it.
        ids: The same for the network.
        n_items: Notes and chords in it.
        mapped: Those that stand for another, the nearest known.
        dropped: Notes that have no place in the vocabulary.
        is_beginning: It begins where its piece begins.
    """

    score: symusic.Score
    ids: tuple[int, ...]
    n_items: int
    mapped: int
    dropped: int
    is_beginning: bool


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed before the first note.

    Args:
        prefix: The composer's id, if there is one.
        opening: BOS, if the seed is the beginning of a piece.
        seed: What is heard first.
        goal: How long the new music becomes.
        metre: Of the new music.
        bpm: Likewise.
        key: Asked for; None if none was.
        front: Music that is kept before the new; None if the new stands alone.
        recall: How much the notes lean on the last ones.
        facts: For the report.
    """

    prefix: tuple[int, ...]
    opening: tuple[int, ...]
    seed: Seed
    goal: Goal
    metre: tuple[int, int]
    bpm: float
    key: keys.Key | None
    front: Front | None
    recall: float
    facts: dict[str, Any]

    @property
    def earlier_bars(self) -> int:
        """Bars that stand before the new ones in the result."""
        return units.count_bars(units.metre_map(self.front.score), self.front.score.tpq, self.front.end_ticks) if self.front else 0

    @property
    def pitches(self) -> tuple[bool, ...] | None:
        """(128,) true for the pitches of the key asked for."""
        return None if self.key is None else tuple(pitch % 12 in self.key.pitch_classes for pitch in range(128))


def make_plan(model: Model, request: ComposeRequest, options: Options) -> Plan:
    """The plan for a request.

    Raises:
        UsageError: The seed has no notes, or too few; or what is asked contradicts itself.
        UnknownName, CannotObey: What is asked does not exist or is beyond the model.
        MidiError: The seed is no MIDI file.
    """
    if request.lead is not None or request.theme is not None:
        raise CannotObey("this model neither accompanies nor develops a theme", hint="it composes, and it extends a prompt")
    composer = _composer(model, options.composer, stream(request, 0))
    if request.prompt is not None:
        _refuse(options, ("seed_from", "key", "tempo", "metre"))
        source, from_end, name = read(request.prompt), True, ""
    elif options.seed_from:
        source, from_end, name = read(_decoded(options.seed_from)), False, ""
    else:
        source, from_end, name = seeds.opening(), False, seeds.NAME
    key = keys.parse_key(options.key) if options.key else None
    seed = hear(model, source, key=key, from_end=from_end)
    front = _front(source if from_end else seed.score, options.tempo) if from_end or options.keep_seed else None
    bpm, metre = _pulse(model, seed, options, alone=front is None)
    goal = _goal(request.length, bpm, metre, model.spec.positions_per_beat)
    if front is not None:
        most = goal.amount if goal.unit == "bars" else MAX_BARS
        front.check_room(most * metre[0] * 4 / metre[1] * 60 / bpm)
    found = {"seed_name": name, "seed_items": seed.n_items, "seed_mapped": seed.mapped, "seed_dropped": seed.dropped}
    asked = {"composer": composer, "key": str(key) if key else ""}
    known = {name: value for name, value in asked.items() if value} | {"tempo": round(bpm, 2), "metre": f"{metre[0]}/{metre[1]}"}
    return Plan(
        (model.words[f"Composer_{composer}"],) if composer else (),
        (model.words["BOS_None"],) if seed.is_beginning else (),
        seed,
        goal,
        metre,
        bpm,
        key,
        front,
        options.recall,
        known | found,
    )


def _front(score: symusic.Score, tempo: float | None) -> Front:
    """Music that is kept, at the tempo asked for if there is one."""
    if tempo is not None:
        score = score.copy()
        score.tempos = symusic.Score(1).tempos
        score.tempos.append(symusic.Tempo(0, qpm=tempo))
    return Front(score, units.final_bar_line(score), busiest_program(score))


def _refuse(options: Options, names: tuple[str, ...]) -> None:
    """A piece that is extended says all of these itself."""
    for name in names:
        if getattr(options, name):
            raise UsageError("{name} is kept from the piece that is extended", name=name.replace("_", "-"), hint="leave --{name} out")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UsageError("a MIDI file inside a request must be base64: {why}", why=error) from error


def _composer(model: Model, name: str, random: np.random.Generator) -> str:
    known = model.spec.composers
    if name and not known:
        raise CannotObey("this model knows no composers by name", hint="leave --composer out")
    if name and name not in known:
        raise UnknownName("composer", name, known)
    return name or (known[int(random.integers(len(known)))] if known else "")


# --- the seed -----------------------------------------------------------------------------------------------------------


def hear(model: Model, source: symusic.Score, *, key: keys.Key | None = None, from_end: bool = False) -> Seed:
    """What the model hears of a piece: its first bars or its last ones, moved to a key if there is one.

    Raises:
        UsageError: It has no pitched notes, or fewer items than the network needs.
    """
    if not any(len(track.notes) for track in source.tracks if not track.is_drum):
        raise UsageError("the seed music has no pitched notes", hint="give a MIDI file with music in it")
    n_bars = units.n_bars(source)
    n_heard = _bars_heard(source, n_bars, from_end)
    score = edit.crop_bars(source, n_bars - n_heard if from_end else 0, n_heard)
    if key is not None:
        found = keys.estimate_key(score)
        here, there = (one if one.mode == "major" else one.relative for one in (found, key))
        score = edit.transpose(score, (there.tonic - here.tonic + 5) % 12 - 5)
    items = _up_to_bar_line(score, chords.items(to_bytes(score), model.spec.positions_per_beat), n_heard, model.spec)
    made = chords.encode(items, model.spec, model.words, to_nearest=True)
    needed = model.window or SEED_ITEMS
    n_items = min(len(items), int(np.isin(made.ids, model.words.ids("Symbol")).sum()))
    if n_items < needed:
        raise UsageError(
            "the seed music has {found} notes and chords, and the model needs {needed}",
            found=n_items,
            needed=needed,
            hint="give a longer piece",
        )
    return Seed(score, tuple(made.ids.tolist()), len(items), made.mapped, made.dropped, is_beginning=not from_end or n_heard == n_bars)


def _bars_heard(score: symusic.Score, n_bars: int, from_end: bool) -> int:
    """How many bars, from the beginning or the end, hold the notes that are to be heard; all if they are too few."""
    onsets = np.concatenate([track.notes.numpy()["time"].astype(np.int64) for track in score.tracks if not track.is_drum])
    bars = np.sort(np.searchsorted(units.bar_starts(score), onsets, side="right") - 1)
    if len(bars) <= HEARD_NOTES:
        return n_bars
    return n_bars - int(bars[-HEARD_NOTES]) if from_end else int(bars[HEARD_NOTES - 1]) + 1


def _up_to_bar_line(score: symusic.Score, items: list[chords.Item], n_bars: int, spec: chords.ChordSpec) -> list[chords.Item]:
    """The items, the last of them followed by a bar line: there the new music begins."""
    first = min(int(track.notes.numpy()["time"].min()) for track in score.tracks if not track.is_drum and len(track.notes))
    step = score.tpq / spec.positions_per_beat
    last = round(first / step) + sum(item.offset for item in items[:-1])
    line = round(units.bars_to_ticks(score, n_bars) / step)
    return [*items[:-1], replace(items[-1], offset=max(1, line - last))]


# --- tempo, metre, length -----------------------------------------------------------------------------------------------


def _pulse(model: Model, seed: Seed, options: Options, *, alone: bool) -> tuple[float, tuple[int, int]]:
    """Tempo and metre of the new music: as asked, or as at the end of what is heard."""
    if options.metre and not alone:
        raise UsageError("{name} is kept from the seed music", name="metre", hint="leave --metre or --keep-seed out")
    if options.metre and options.metre not in METRES:
        raise UnknownName("metre", options.metre, METRES)
    end = max(units.final_bar_line(seed.score) - 1, 0)
    above, below = (int(x) for x in options.metre.split("/")) if options.metre else units.metre_at(seed.score, end)
    if above * 4 * model.spec.positions_per_beat % below:
        raise CannotObey(
            "the seed music ends in {metre}, whose bars do not fit the model's grid", metre=f"{above}/{below}", hint="give --metre"
        )
    bpm = options.tempo or units.bpm_at(seed.score, end)
    return float(np.clip(bpm, *BPM_RANGE)) if alone else bpm, (above, below)


def _goal(length: Length, bpm: float, metre: tuple[int, int], positions_per_beat: int) -> Goal:
    """When the piece is long enough; seconds become whole bars."""
    quarters = metre[0] * 4 / metre[1]
    bar_steps = metre[0] * 4 * positions_per_beat // metre[1]
    if length.unit == "seconds":
        n_bars = max(1, round(length.amount * bpm / 60 / quarters))
        if n_bars > MAX_BARS:
            raise CannotObey(
                "{seconds:g} s are {bars} bars, and a piece has at most {most}", seconds=length.amount, bars=n_bars, most=MAX_BARS
            )
        return Goal(n_bars, "bars", bar_steps)
    unit: Any = length.unit
    return Goal(round(length.amount), unit, bar_steps)
