"""What a band piece is going to be, settled before its first phrase: who plays, how long, key, tempo, lead.

Takes an opened bundle of codec ``roll`` and a request, gives a `Plan`. What the request leaves open is drawn from a stream of its own, so
that another attempt keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kapelle.composing.attempts import stream
from kapelle.composing.band_finish import MOST, Rules
from kapelle.composing.band_lead import Lead, read_lead
from kapelle.composing.band_model import Model
from kapelle.composing.request import MAX_SEED, ComposeRequest
from kapelle.config import setting
from kapelle.errors import CannotObey, UsageError
from kapelle.score import instruments, keys
from kapelle.score.roll import PROGRAMS, family_of

BPM_DRAWN = (100, 120)
"""Between these the tempo is drawn where neither the request nor the model says it."""

CHORDAL = ("piano", "guitar", "strings")
"""Tracks that play chords: ``--voices`` is theirs."""

FAMILY_OF_MODELS = "band-composer, band-hybrid, band-jamming"


@dataclass(frozen=True)
class Options:
    """What can be asked of a band."""

    key: str = setting("", help="key, such as C, Am or 'F# minor'", ru="тональность: C, Am или 'F# minor'")
    tempo: float | None = setting(None, help="tempo", ru="темп", unit="bpm", min=20, max=300, step=1)
    instruments: str = setting(
        "", help="who plays, such as drums,honky-tonk piano,bass; the others are silent",
        ru="кто играет: drums,honky-tonk piano,bass; остальные молчат",
    )  # fmt: skip
    walk: float = setting(
        0.5, help="how far the phrases of a band wander: 0 all alike, 1 as strangers", min=0.0, max=1.0, step=0.05,
        ru="как далеко уходят фразы ансамбля: 0 — одинаковые, 1 — как чужие",
    )  # fmt: skip
    voices: int = setting(
        4, help="notes that piano, guitar and strings of a band play at once, each", min=1, max=8, step=1,
        ru="сколько нот сразу играют фортепиано, гитара и струнные ансамбля, каждый",
    )  # fmt: skip
    dynamics: float = setting(
        1.0,
        help="how much the loudness of a band's notes varies",
        min=0.0,
        max=2.0,
        step=0.1,
        ru="насколько меняется громкость нот ансамбля",
    )
    chromatic: bool = setting(False, help="let a band leave the scale of its key", ru="разрешить ансамблю выходить из гаммы")
    towards: int | None = setting(
        None, help="seed to go towards: --count pieces are the way from --seed to it", min=0, step=1,
        ru="к какому зерну идти: --count пьес — путь от --seed к нему",
    )  # fmt: skip
    blend: float = setting(
        0.0, help="how far on the way --towards another seed", min=0.0, max=1.0, step=0.05, ru="какая часть пути --towards пройдена"
    )
    track: str = setting(
        "", help="whose place the lead takes: drums, piano, guitar, bass or strings",
        ru="чьё место занимает ведущая партия: drums, piano, guitar, bass или strings",
    )  # fmt: skip
    lead_track: str = setting(
        "", help="which track of the file leads, by name or number, or all",
        ru="какая дорожка файла ведёт, по имени или номеру, или all",
    )  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed before the first phrase.

    Args:
        n_bars: Of the result.
        programs: Track -> program of those that are made, in the model's order.
        shift: Semitones from the model's key to the result's.
        asked_key: The key that the result is measured against; None if none was asked for.
        bpm: Of the new music where there is no lead.
        rules: For the cells.
        must_play: Tracks that were asked for by name; around a lead of a phrase or more, all of them.
        lead: Played around; None if the band plays alone.
        facts: For the report.
    """

    n_bars: int
    programs: Mapping[str, int]
    shift: int
    asked_key: keys.Key | None
    bpm: float
    rules: Rules
    must_play: tuple[str, ...]
    lead: Lead | None
    facts: dict[str, Any]


def make_plan(model: Model, request: ComposeRequest, options: Options) -> Plan:
    """The plan for a request.

    Raises:
        UsageError, UnknownName, CannotObey: What is asked contradicts itself, does not exist or is beyond the model.
        MidiError: The lead is no MIDI file.
    """
    if request.prompt is not None or request.theme is not None:
        raise CannotObey("a band neither extends a piece nor develops a theme", hint="it composes, and band-accompany plays around a lead")
    if model.conditional and request.lead is None:
        raise CannotObey(
            "this model plays around a track that is given to it",
            hint="`kapelle accompany LEAD.mid`; from nothing compose {models}", models=FAMILY_OF_MODELS,
        )  # fmt: skip
    if not model.conditional and request.lead is not None:
        raise CannotObey("this model cannot play around a lead", hint="band-accompany can")
    if options.blend and options.towards is None:
        raise UsageError("--blend says how far to go --towards a seed", hint="give --towards too")
    if options.towards is not None and options.towards > MAX_SEED:
        raise UsageError("seed must be 0 to {limit}, not {seed}", limit=MAX_SEED, seed=options.towards)
    if options.chromatic and options.key and request.lead is None:
        raise UsageError("--chromatic leaves the key that --key asks for", hint="leave one of the two out")
    return _alone(model, request, options) if request.lead is None else _around(model, request, options, request.lead)


def _alone(model: Model, request: ComposeRequest, options: Options) -> Plan:
    if options.track or options.lead_track:
        raise UsageError("--track and --lead-track speak of a lead, and there is none", hint="`kapelle accompany LEAD.mid` takes one")
    bpm = options.tempo or _bpm(model, request, options)
    asked = keys.parse_key(options.key) if options.key else None
    home = keys.Key(0)
    shift = 0
    if asked is not None and model.common_key:
        home = keys.Key(0 if asked.mode == "major" else 9, asked.mode)
        shift = (asked.tonic - home.tonic + 5) % 12 - 5
    elif asked is not None:
        home = asked
    named = _programs(options.instruments)
    programs = _playing(model, named, ())
    facts = {"tempo": round(bpm, 2), "metre": "4/4"} | ({"key": str(asked)} if asked else {})
    return Plan(
        _n_bars(request, bpm),
        programs,
        shift,
        asked,
        bpm,
        _rules(model, options, home, programs),
        tuple(named),
        None,
        facts,
    )


def _around(model: Model, request: ComposeRequest, options: Options, data: bytes) -> Plan:
    if options.tempo is not None:
        raise UsageError("{name} is kept from the lead", name="tempo", hint="leave --{name} out")
    lead = read_lead(data, model, track=options.track, which=options.lead_track, key=options.key)
    home = keys.Key(0) if model.common_key else lead.key
    named = _programs(options.instruments)
    facts = {"key": str(lead.key), "lead": lead.name, "track": ", ".join(lead.names)}
    programs = _playing(model, named, lead.names)
    if not programs:
        raise UsageError("the lead is all that would play", hint="name one more of --instruments")
    rules = _rules(model, options, home, programs)
    must_play = tuple(programs) if named or lead.n_bars >= model.n_bars else ()
    return Plan(lead.n_bars, programs, lead.shift, None, 0.0, rules, must_play, lead, facts)


def _rules(model: Model, options: Options, home: keys.Key, programs: Mapping[str, int]) -> Rules:
    """The rules for the tracks that are made."""
    most = {**MOST, **dict.fromkeys(CHORDAL, options.voices)}
    scale = None if options.chromatic else home.pitch_classes
    return Rules(tuple(programs), model.form.steps_per_bar, model.form.lowest_pitch, model.n_bars, scale, most)


def _bpm(model: Model, request: ComposeRequest, options: Options) -> float:
    """The model's tempo, or one drawn by the seed; between two seeds, one between theirs."""
    if model.bpm is not None:
        return model.bpm

    def drawn(seed: int) -> float:
        low, high = BPM_DRAWN
        return float(stream(replace(request, seed=seed), 0).integers(low, high + 1))

    first = drawn(request.seed)
    if options.towards is None:
        return first
    return round((1 - options.blend) * first + options.blend * drawn(options.towards), 1)


def _n_bars(request: ComposeRequest, bpm: float) -> int:
    """The length in whole bars of four quarters."""
    length = request.length
    if length.unit in ("tokens", "notes"):
        raise CannotObey("a band plays whole bars and counts no {unit}", unit=length.unit, hint="give --bars or --seconds")
    return length.bars_at(bpm)


def _programs(text: str) -> dict[str, int]:
    """Track -> program of the instruments named."""
    out: dict[str, int] = {}
    for name in text.split(","):
        if not name.strip():
            continue
        program = instruments.program_of(name)
        family = family_of(program)
        if family is None:
            raise CannotObey(
                "no member of the band plays {name}", name=instruments.program_name(program),
                hint="it has drums, piano or organ, guitar, bass and strings",
            )  # fmt: skip
        if out.setdefault(family, program) != program:
            raise CannotObey(
                "the band has one {family}: it cannot play {first} and {second}",
                family=family, first=instruments.program_name(out[family]), second=instruments.program_name(program),
                hint="name one instrument of each family",
            )  # fmt: skip
    return out


def _playing(model: Model, named: Mapping[str, int], taken: tuple[str, ...]) -> dict[str, int]:
    """Track -> program of those that play, in the model's order.

    Raises:
        CannotObey: One is named that the model has not, or that the lead takes.
    """
    for name in named:
        if name in taken:
            raise CannotObey("the lead is the {track}", track=name, hint="leave it out of --instruments, or choose another --track")
        if name not in model.tracks:
            raise CannotObey("this band has no {track}", track=name, hint="its tracks: {known}", known=", ".join(model.tracks))
    return {name: named.get(name, PROGRAMS[name]) for name in model.tracks if (name in named or not named) and name not in taken}
