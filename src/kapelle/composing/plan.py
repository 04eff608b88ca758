"""What a REMI piece is going to be, settled before its first note: controls, rules, tempo, key, instruments, prompt.

Takes an opened model and a request, gives a `Plan`. What the request leaves open is drawn from the model itself (which key and
tempo go with the genre) with random numbers of their own, so that another attempt keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.composing.attempts import stream
from kapelle.composing.events import Note
from kapelle.composing.language import Model, Options
from kapelle.composing.prompt import PromptMusic, read_prompt
from kapelle.composing.request import MAX_BARS, ComposeRequest, Length
from kapelle.errors import CannotObey, UnknownName, UsageError
from kapelle.sampling import filters
from kapelle.sampling.options import SamplingOptions
from kapelle.score import families, instruments, keys
from kapelle.tokens import controls, remi
from kapelle.tokens.grammar import Rules

if TYPE_CHECKING:
    import symusic


TOKENS_PER_BAR = 50.0  # first guess of how much fills a bar, corrected at every bar line
NOTES_PER_BAR = 13.0
MAX_VOICES = 4


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed before the first note.

    Args:
        prefix: Control ids in front of every window.
        opening: BOS, unless the piece goes on from the middle of another.
        rules: For the grammar.
        length: As asked.
        genre: Empty if the model knows none.
        key: The key of the result.
        checked_key: The key that the result is measured against; None if none was asked for.
        shift: Semitones from the model's key to the result's.
        bpm: Written into the file.
        programs: Instruments from the top voice down; -1: drums.
        model_has_programs: Whether the model itself names instruments.
        voices: Program that the model names -> the one it stands for in the result; what is not in it stays.
        prompt: The music to go on from.
    """

    prefix: tuple[int, ...]
    opening: tuple[int, ...]
    rules: Rules
    length: Length
    genre: str
    key: keys.Key
    checked_key: keys.Key | None
    shift: int
    bpm: float
    programs: tuple[int, ...]
    model_has_programs: bool
    voices: Mapping[int, int] = field(default_factory=dict)
    prompt: PromptMusic | None = None

    @property
    def prompt_bars(self) -> int:
        """Bars of the prompt that the model hears."""
        return self.prompt.n_bars if self.prompt else 0

    @property
    def earlier_bars(self) -> int:
        """Bars that stand before the new ones in the result."""
        return self.prompt.all_bars if self.prompt else 0

    def facts(self) -> dict[str, Any]:
        """What was chosen or found, for the report."""
        names = [instruments.program_name(program) for program in self.programs]
        genre = {"genre": self.genre} if self.genre else {}
        return {**genre, "key": str(self.key), "tempo": round(self.bpm, 2), "metre": self.rules.metre, "instruments": names}

    def told(self, note: remi.DecodedNote, bar: int, spec: remi.RemiSpec) -> Note:
        """A decoded note in seconds and in the key of the result."""
        second = 60.0 / self.bpm / spec.ticks_per_quarter
        start = self.seconds_at(note.time, spec)
        program = self.voices.get(note.program, note.program) if self.model_has_programs else self.programs[0]
        return Note(start, note.duration * second, note.pitch + self.shift, note.velocity, program, bar + self.earlier_bars)

    def seconds_at(self, ticks: int, spec: remi.RemiSpec) -> float:
        """Seconds from the start of the piece to `ticks` of the new music, in the resolution of `spec`."""
        return (self.prompt.seconds if self.prompt else 0.0) + ticks * 60.0 / self.bpm / spec.ticks_per_quarter

    def replanned(self, rules: Rules, bars_done: int, amount_done: float) -> Rules:
        """The rules with the number of bars that the amount asked for now seems to need, if it was asked in tokens or notes."""
        if self.length.unit not in ("tokens", "notes"):
            return rules
        per_bar = max(amount_done, 1.0) / bars_done
        left = max(1, round((self.length.amount - amount_done) / per_bar))
        return replace(rules, n_bars=min(self.prompt_bars + bars_done + left, MAX_BARS))

    def cut_short(self, n_bars: int, amount_done: float) -> bool:
        """Whether a piece of `n_bars` bars, the prompt's included, has less than was asked for because it can have no more bars."""
        return self.length.unit in ("tokens", "notes") and n_bars >= MAX_BARS and amount_done < self.length.amount

    def write_key(self, score: symusic.Score) -> None:
        """Put the key signature of the result into a score."""
        import symusic

        score.key_signatures.append(symusic.KeySignature(0, self.key.sharps, self.key.mode == "minor"))


def make_plan(model: Model, request: ComposeRequest, options: Options) -> Plan:
    """The plan for a request.

    Raises:
        UnknownName, UsageError, CannotObey: What is asked does not exist or is beyond the model.
    """
    if request.lead is not None or request.theme is not None:
        raise CannotObey("this model neither accompanies nor develops a theme", hint="it composes, and it extends a prompt")
    random = stream(request, 0)
    genre = _genre(model, options.genre, random) if request.prompt is None or options.genre else ""
    if request.prompt is not None:
        return _plan_extension(model, request, options, genre)
    return _plan_new(model, request, options, genre, random)


def _plan_new(model: Model, request: ComposeRequest, options: Options, genre: str, random: np.random.Generator) -> Plan:
    words, spec = model.words, model.spec
    programs = _programs(model, options.instruments)
    asked = keys.parse_key(options.key) if options.key else None
    wish = controls.Controls(genre)
    draw = _Draw(model, random)
    prefix = controls.prefix(wish, words)
    if asked is None:
        names = words.spell(draw.ids(prefix, words.ids("Key")))[0].removeprefix("Key_").split("-")
        home = keys.Key(remi.TONICS.index(names[0]), "major" if names[1] == "major" else "minor")
        key = replace(home, tonic=(home.tonic + int(random.integers(12))) % 12) if spec.normalise_key else home
    else:
        key = asked
        home = keys.Key(0 if key.mode == "major" else 9, key.mode) if spec.normalise_key else key
    shift = (key.tonic - home.tonic + 5) % 12 - 5
    wish = replace(wish, key=f"{remi.TONICS[home.tonic]}-{home.mode}")
    bpm = options.tempo or float(words.value(draw.ids(controls.prefix(wish, words), words.ids("Bpm"))[0]))
    wish = replace(wish, bpm=bpm)
    if model.families and not programs:
        programs = _drawn_band(model, wish, draw)
    if spec.programs:
        wish = replace(wish, instruments=_families(programs))
    prefix = controls.prefix(wish, words)
    metre = _metre(model, options.metre) or words.value(draw.ids([*prefix, words["BOS_None"], words["Bar_None"]], words.ids("TimeSig"))[0])
    pitches = tuple(pitch % 12 in home.pitch_classes for pitch in range(128)) if asked else None
    voices = families.table(programs) if model.families else {}
    named = tuple(voices) or programs
    rules = Rules(_first_bars(request.length, bpm, metre), metre, pitches, named if spec.programs else ())
    return Plan(tuple(prefix), (words["BOS_None"],), rules, request.length, genre, key, asked, shift, bpm, programs, spec.programs, voices)


def _plan_extension(model: Model, request: ComposeRequest, options: Options, genre: str) -> Plan:
    for name in ("key", "tempo", "metre", "instruments"):
        if getattr(options, name):
            raise UsageError("{name} is kept from the piece that is extended", name=name, hint="leave --{name} out")
    assert request.prompt is not None
    words, spec = model.words, model.spec
    prompt = read_prompt(request.prompt, model, lambda bpm, metre: _first_bars(request.length, bpm, metre))
    wish = controls.Controls(genre, key=prompt.model_key, bpm=prompt.bpm, instruments=_families(prompt.programs))
    opening = (words["BOS_None"],) if prompt.n_bars == prompt.all_bars else ()
    if not genre and model.genres:
        genre = _likeliest_genre(model, wish, [*opening, *prompt.ids])
        wish = replace(wish, genre=genre)
    n_new = _first_bars(request.length, prompt.bpm, prompt.metre)
    above, below = (int(x) for x in prompt.metre.split("/"))
    most = n_new if request.length.unit in ("bars", "seconds") else MAX_BARS
    prompt.front.check_room(most * above * 4 / below * 60 / prompt.bpm)
    rules = Rules(prompt.n_bars + n_new, prompt.metre, prompt.pitches, prompt.programs)
    return Plan(
        tuple(controls.prefix(wish, words)), opening, rules, request.length, genre, prompt.key, None, prompt.shift, prompt.bpm,
        (prompt.front.program,), spec.programs, {}, prompt,
    )  # fmt: skip


def _genre(model: Model, name: str, random: np.random.Generator) -> str:
    if name and name not in model.genres:
        raise UnknownName("genre", name, model.genres)
    if name or not model.genres:
        return name
    return model.genres[int(random.integers(len(model.genres)))]


def _metre(model: Model, name: str) -> str:
    if name and name not in model.spec.metres:
        raise UnknownName("metre", name, model.spec.metres)
    return name


def _programs(model: Model, text: str) -> tuple[int, ...]:
    """The programs named; for a model of one piano, those that its voices can be dealt to."""
    programs = tuple(dict.fromkeys(instruments.program_of(name) for name in text.split(",") if name.strip()))
    if model.families and len(programs) > model.families:
        raise CannotObey("this model plays at most {most} instruments at once, not {n}", most=model.families, n=len(programs))
    if model.spec.programs:
        return programs
    if -1 in programs:
        raise CannotObey("this model has no drums", hint="it writes pitched voices only; leave drums out of --instruments")
    if len(programs) > MAX_VOICES:
        raise CannotObey("this model deals its voices to at most {most} instruments, not {n}", most=MAX_VOICES, n=len(programs))
    return programs or (0,)


def _drawn_band(model: Model, wish: controls.Controls, draw: _Draw) -> tuple[int, ...]:
    """The programs of a band as the model expects one after the other controls: families in their order, at least one."""
    words, names = model.words, families.NAMES
    chosen: list[str] = []
    left = list(names)
    while left and len(chosen) < model.families:
        among = [words[f"Instrument_{name}"] for name in left] + ([words["BOS_None"]] if chosen else [])
        drawn = draw.ids(controls.prefix(replace(wish, instruments=tuple(chosen)), words), np.array(among))[0]
        if drawn == words["BOS_None"]:
            break
        chosen.append(words.value(drawn))
        left = list(names[names.index(chosen[-1]) + 1 :])
    return tuple(families.representative_of(name) for name in chosen)


def _families(programs: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(families.name_of(program) for program in programs))


def _first_bars(length: Length, bpm: float, metre: str) -> int:
    """How many bars an amount makes, as far as that is known before the first one.

    Raises:
        CannotObey: So many seconds are more bars than a piece can have.
    """
    above, below = (int(x) for x in metre.split("/"))
    per_bar = {
        "bars": 1.0,
        "seconds": 60.0 / bpm * above * 4 / below,
        "tokens": TOKENS_PER_BAR * above * 4 / below / 4,
        "notes": NOTES_PER_BAR * above * 4 / below / 4,
    }[length.unit]
    n_bars = round(length.amount / per_bar)
    if length.unit == "seconds" and n_bars > MAX_BARS:
        raise CannotObey("{seconds:g} s are {bars} bars, and a piece has at most {most}", seconds=length.amount, bars=n_bars, most=MAX_BARS)
    return int(np.clip(n_bars, 1, MAX_BARS))


@dataclass(frozen=True)
class _Draw:
    """Draws what the request leaves open from the model's own distribution."""

    model: Model
    random: np.random.Generator

    def ids(self, before: list[int], among: Any) -> list[int]:
        """One of the ids `among`, as the model expects it after `before`; uniformly if it has heard nothing yet."""
        if not before:
            return [int(among[self.random.integers(len(among))])]
        self.model.session.reset()
        logits = self.model.session.feed(np.asarray(before, np.int64))
        mask = np.zeros(len(logits), bool)
        mask[among] = True
        return [filters.sample(logits, SamplingOptions(top_p=0.9), self.random, mask)]


def _likeliest_genre(model: Model, wish: controls.Controls, music: list[int]) -> str:
    """The genre under which the model finds the music least surprising."""
    costs = []
    for genre in model.genres:
        ids = np.array([*controls.prefix(replace(wish, genre=genre), model.words), *music], np.int64)[: model.session.context]
        model.session.reset()
        logits = model.session.score(ids).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        steps = logits[np.arange(len(ids) - 1), ids[1:]] - np.log(np.exp(logits[:-1]).sum(axis=1))
        costs.append(-float(steps[3:].sum()))
    return model.genres[int(np.argmin(costs))]
