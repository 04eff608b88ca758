"""The verbs, each a plain function. The command line and the page are thin skins over this file.

Takes paths, names and plain values; gives scores, pieces, reports. Heavy libraries are loaded when a verb needs them.
"""

from __future__ import annotations

import os
import secrets
import signal
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle import composing, config, interrupts
from kapelle.composing.events import Done, Event
from kapelle.composing.piece import Piece, request_of
from kapelle.composing.request import LENGTHS, ComposeRequest, Length
from kapelle.errors import CannotObey, Interrupted, Missing, NotEnoughMemory, UnreadableInput, UsageError
from kapelle.sampling.options import SamplingOptions

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event as Flag

    import symusic

    from kapelle.bundles.load import Bundle, Installed
    from kapelle.bundles.manifest import Manifest
    from kapelle.data.catalogue import Check, Dataset
    from kapelle.data.fetch import Fetched, Order
    from kapelle.diagnosis import Finding
    from kapelle.engraving.options import EngravingOptions
    from kapelle.engraving.sheet import Engraved
    from kapelle.fitting import Fitted, Fitting
    from kapelle.score.analysis import Analysis
    from kapelle.score.info import Info
    from kapelle.score.velocity import Struck
    from kapelle.training.fit import FitOptions

DEFAULT_MODELS = ("genre", "genre-small")
"""The first of these that is installed composes when no model is named."""

ACCOMPANISTS = {"": "band-accompany", "band": "band-accompany"}
"""What a name of a model means where it is to play around a lead; others mean themselves."""

RECIPES = (
    "genre", "genre-small", "remi-lstm", "ensemble", "chopin", "chopin-composers", "chopin-faithful",
    "band-composer", "band-hybrid", "band-jamming", "band-accompany", "band-tutorial",
)  # fmt: skip

Report = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    """No progress shown."""


# --- composing ----------------------------------------------------------------------------------------------------------


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
    band: str = "",
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
        band: The bundle that is to play around the piece, which is then in 4/4; none if empty.

    Raises:
        UsageError: Something is out of range or unknown to the model.
        Missing: No such bundle.
    """
    from kapelle.bundles import load

    held = bundle(model)
    way = composing.way_of(held.manifest.codec)
    given = _with_files(way, {name: value for name, value in (options or {}).items() if value is not None})
    if band:
        given = _for_a_band(held, way, given)
    composing.options_of(way, given)
    drawn = None
    if sampling:
        drawn = config.build(SamplingOptions, {**(held.manifest.options.get("generation") or {}), **sampling}, "sampling")
    return ComposeRequest(
        held.path.name if not model or model in load.ALIASES else model,  # the name by which it is found again
        length or Length(),
        secrets.randbelow(2**31) if seed is None else seed,
        count,
        drawn,
        given,
        prompt,
        lead,
        band=ACCOMPANISTS.get(band, band) if band else "",
    )


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
    held = bundle(wish.model)
    way = composing.way_of(held.manifest.codec)
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


def compose_many(wish: ComposeRequest, *, processes: int = 1, progress: Report = _quiet) -> Iterator[Piece]:
    """The pieces of a request, in order; which process makes one changes nothing about it.

    Args:
        wish: `count` pieces.
        processes: How many to compose with.
        progress: Called with (pieces done, pieces in all).
    """
    wishes = [wish.piece(number) for number in range(wish.count)]
    if processes <= 1 or wish.count == 1:
        for done, one in enumerate(wishes, 1):
            yield compose_one(one)
            progress(done, wish.count)
        return
    from multiprocessing import get_context

    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(processes, wish.count), context, _begin_worker, (stop,))
    try:
        with interrupts.held_back():
            pieces = pool.map(_compose_in_worker, wishes)
        for done, piece in enumerate(pieces, 1):
            yield piece
            progress(done, wish.count)
    except BrokenProcessPool as error:
        raise NotEnoughMemory("the system ended a process that was composing", hint="use fewer processes") from error
    finally:  # also when the caller wants no more
        stop.set()
        pool.shutdown(cancel_futures=True)


_stopped: Callable[[], bool] = bool
"""In a worker: whether its master wants no more."""


def _begin_worker(stop: Flag) -> None:
    """In a new worker: Ctrl-C is its master's business, who says when to stop."""
    global _stopped
    _stopped = stop.is_set
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _compose_in_worker(wish: ComposeRequest) -> Piece:
    return compose_one(wish, _stopped)


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
    band: str | bool = "",
    **settings: Any,
) -> Any:
    """A `Piece`, or a list of them if `count` is above 1.

    Args:
        model: Bundle name or path; empty for the default.
        bars: Length in bars; one of the four lengths, 16 bars if none.
        seconds: Length in seconds, rounded to whole bars.
        tokens: Length in tokens, rounded to whole bars as the piece goes on.
        notes: Length in notes, likewise; models of notes and chords meet it exactly.
        seed: Drawn if left out.
        count: Pieces.
        processes: To compose several pieces with.
        band: Play a band around the piece: True, or the name of the bundle that plays.
        settings: Sampling (temperature, top_k, top_p, min_p, repetition_penalty) and the model's options (genre, key, tempo ...).

    Raises:
        UsageError, CannotObey: What is asked contradicts itself, is out of range or beyond the model.
        Missing: No such bundle.
    """
    sampling, options = split_settings(settings)
    wish = request(model, length=length_of(bars=bars, seconds=seconds, tokens=tokens, notes=notes), seed=seed, count=count,
                   sampling=sampling, options=options, band="band" if band is True else band or "")  # fmt: skip
    pieces = list(compose_many(wish, processes=processes))
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


# --- files --------------------------------------------------------------------------------------------------------------


def midi_bytes(source: str | Path | bytes) -> bytes:
    """The bytes of a MIDI file, checked to be one."""
    from kapelle.score.read import read

    read(source)
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def read_midi(source: str | Path | bytes) -> symusic.Score:
    """The score in a MIDI file; any bytes are safe to try.

    Raises:
        MidiError: It is no MIDI file, or beyond the limits.
        Missing: There is no such file.
    """
    from kapelle.score.read import read

    return read(source)


def info_file(source: str | Path | bytes) -> Info:
    """What is in a MIDI file: tracks, bars, key, tempo, metre, range."""
    from kapelle.score.info import info

    return info(read_midi(source))


def render_file(
    source: str | Path, out: str | Path, *, synth: str = "soundfont", soundfont: Path | None = None, bits: int = 16, force: bool = False
) -> Path:
    """Play a MIDI file into a sound file (.wav, .flac, .ogg, .opus, .mp3), whose path is returned."""
    from kapelle.audio import files
    from kapelle.render import render

    out = _free(out, force)
    files.check_suffix(out)
    files.write(out, render(read_midi(source), synth, soundfont=soundfont), bits=bits)  # type: ignore[arg-type]
    return out


def plot_file(source: str | Path, out: str | Path, *, theme: str = "light", force: bool = False) -> Path:
    """Draw a MIDI file as a piano roll (.png, .svg), whose path is returned."""
    from kapelle.engraving import pianoroll

    out = _free(out, force)
    pianoroll.draw(read_midi(source), out, pianoroll.PictureOptions(theme=theme, title=Path(source).stem))
    return out


def plot_row(
    sources: Sequence[str | Path],
    out: str | Path,
    labels: Sequence[str] = (),
    *,
    title: str = "",
    theme: str = "light",
    force: bool = False,
) -> Path:
    """Draw several MIDI files of one length as one picture (.png, .svg), a row each, and return its path.

    Args:
        sources: The files.
        out: The picture.
        labels: What each is called in it.
        title: Above it.
        theme: Colours, "light" or "dark".
        force: Replace a picture that is there already.
    """
    from kapelle.engraving import rows

    names = [*labels, *(Path(source).stem for source in sources[len(labels) :])]
    return rows.draw([read_midi(source) for source in sources], _free(out, force), names, title=title, theme=theme)


def velocity_file(
    source: str | Path,
    out: str | Path,
    *,
    value: int = 50,
    every: bool = False,
    humanise: bool = False,
    seed: int = 0,
    force: bool = False,
) -> Struck:
    """Write a MIDI file whose notes have velocity 0 or 1 with velocities that can be heard, and tell what was changed.

    Args:
        source: The MIDI file.
        out: Where to.
        value: Velocity of every note, 1 to 127.
        every: Also where notes have velocities of their own.
        humanise: Louder on bars and beats, softer between, a little by chance.
        seed: Of that chance.
        force: Replace a file that is there.

    Raises:
        UsageError: The notes have velocities of their own, or `out` is there already.
        MidiError: It is no MIDI file, or has no notes.
    """
    from kapelle.score import velocity, write

    out = _free(out, force)
    made = velocity.with_velocity(source, value, every=every, humanise=humanise, seed=seed)
    write.write_bytes(out, made.data)
    return made


def engrave_file(
    source: str | Path,
    out: str | Path,
    options: EngravingOptions | None = None,
    *,
    engraver: str = "verovio",
    force: bool = False,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Engraved:
    """Write a MIDI file as sheet music (.pdf, .svg, .png, .musicxml, .mxl) and tell the files: one, or one per page of SVG or PNG.

    Args:
        source: The MIDI file.
        out: Where to; the suffix chooses the format.
        options: Title, composer, paper, size ...; the title is the name of the file if left out.
        engraver: ``verovio``, or ``musescore`` if that is installed.
        force: Replace files that are there.
        progress: Called with (work done, work in all).
    """
    from kapelle.engraving import sheet
    from kapelle.engraving.options import EngravingOptions

    out = _free(out, force)
    sheet.check_suffix(out)
    options = options or EngravingOptions(title=Path(source).stem)
    return sheet.engrave(read_midi(source), out, options, engraver=engraver, force=force, progress=progress)


def analyse_file(
    source: str | Path | bytes, picture: str | Path | None = None, *, per: str = "bar", theme: str = "light", force: bool = False
) -> Analysis:
    """What a MIDI file is made of: key, ranges, metre, tempo, density, pitch classes, and a chord for each bar or beat.

    Args:
        source: The file, or its bytes.
        picture: Where to draw it (.png, .svg); nowhere if left out.
        per: "bar" or "beat".
        theme: Colours of the picture, "light" or "dark".
        force: Replace a picture that is there already.

    Raises:
        MidiError: It is no MIDI file, or has no notes.
        UnknownName: No such picture format.
    """
    from kapelle.score.analysis import analyse

    if picture is None:
        return analyse(read_midi(source), per)  # type: ignore[arg-type]
    from kapelle.engraving import analysis as drawing

    out = _free(picture, force)
    drawing.check_suffix(out)
    found = analyse(read_midi(source), per)  # type: ignore[arg-type]
    drawing.draw(found, out, title="" if isinstance(source, bytes) else Path(source).stem, theme=theme)
    return found


def _free(out: str | Path, force: bool) -> Path:
    out = Path(out)
    if out.exists() and not force:
        raise UsageError("{path} exists already", path=out, hint="choose another name, or overwrite it with --force")
    return out


# --- models -------------------------------------------------------------------------------------------------------------


def models() -> list[Installed]:
    """The bundles that can be named in ``--model``."""
    from kapelle.bundles import load

    return load.installed()


def recipes() -> dict[str, Path]:
    """The recipes that ship with Kapelle: name -> file."""
    return {name: recipe_path(name) for name in RECIPES}


def diagnose() -> list[Finding]:
    """What was found on this machine, and how to add what is missing."""
    from kapelle import diagnosis

    return diagnosis.diagnose()


def recipe_path(name: str | Path) -> Path:
    """The file of a recipe, by path or by the name of one that ships with Kapelle.

    Raises:
        Missing: There is none.
    """
    if Path(name).is_file():
        return Path(name)
    here = Path(__file__).parent
    for folder in (here / "recipes", here.parents[1] / "recipes"):
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    raise Missing("no recipe {name!r}", name=str(name), hint="recipes that come with Kapelle: {known}", known=", ".join(RECIPES))


def prepare(
    folder: str | Path, recipe: str | Path, out: str | Path, *, processes: int = 0, progress: Report = _quiet, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Turn folders of MIDI into token shards and return the report: what was kept, and why the rest was not."""
    from kapelle.data import prepare as preparing

    plan = preparing.preparation(recipe_path(recipe), overrides)
    return preparing.prepare(Path(folder), plan, Path(out), processes=processes or os.cpu_count() or 1, progress=progress)


def datasets() -> list[tuple[Dataset, Check | None]]:
    """The datasets that can be fetched by name, each with what was found when it was last compared with its server, if it was."""
    from kapelle.data import catalogue

    checks = catalogue.read_checks(_checks())
    return [(row, checks.get(row.name)) for row in catalogue.CATALOGUE]


def order_dataset(what: str, out: str | Path = "data", *, sha256: str = "", force: bool = False) -> Order:
    """What would be fetched: a dataset by name, an address, an archive or a folder. Nothing is downloaded; show it, then `fetch_dataset`.

    Args:
        what: See above.
        out: The data folder, in which the dataset gets a folder of its own.
        sha256: That the file must have.
        force: What is there may be replaced.
    """
    from kapelle.data import fetch

    return fetch.order(what, Path(out), sha256=sha256, force=force)


def fetch_dataset(order: Order, *, keep: bool = False, progress: Report = _quiet) -> Fetched:
    """Download, check and unpack what was ordered, and tell what is there and which recipes read it.

    Raises:
        NetworkError, UnreadableInput, StorageError, Missing: See `kapelle.data.fetch.fetch`.
        Interrupted: Stopped; the same call goes on from there.
    """
    from kapelle.data import fetch

    return fetch.fetch(order, recipes(), state=_checks(), keep=keep, progress=progress)


def verify_dataset(name: str, *, full: bool = False, progress: Report = _quiet) -> Check:
    """What the server of a dataset says today, compared with the catalogue and remembered; `full` downloads it and compares its sha256.

    Raises:
        UnknownName: There is no such dataset.
        NetworkError: There is no answer.
    """
    from kapelle.data import catalogue, fetch

    return fetch.verify(catalogue.find(name), _checks(), _checks().parent / fetch.WORK / name, full=full, progress=progress)


def _checks() -> Path:
    """The file in which comparisons of datasets with their servers are remembered."""
    from kapelle.bundles import load

    return load.home() / "datasets.json"


def train(recipe: str | Path, shards: str | Path, run: str | Path, options: FitOptions | None = None) -> dict[str, Any]:
    """Train a model, or go on training it, and return its figures; bands show phrases at every validation.

    Raises:
        Missing: The train extra is not installed.
        Interrupted: Stopped; everything is saved.
    """
    _needs_train()
    from kapelle.fitting import showing
    from kapelle.training.fit import FitOptions
    from kapelle.training.fit import fit as loop

    options, place = options or FitOptions(), recipe_path(recipe)
    shown = showing.callbacks(place, options.overrides, Path(shards))
    return loop(place, Path(shards), Path(run), replace(options, callbacks=(*options.callbacks, *shown)))


def export(
    run: str | Path,
    out: str | Path,
    *,
    name: str = "",
    precision: str = "8bit",
    licence: str = "",
    measured: Path | None = None,
    stage: int = 0,
    force: bool = False,
) -> Manifest:
    """Write a run as a bundle, card included, and return its manifest.

    Args:
        run: Folder of a training run.
        out: Folder of the bundle.
        name: Name of the bundle; the recipe's if left out.
        precision: "8bit" or "fp32".
        licence: Of the weights; the recipe's if left out.
        measured: A Markdown file of figures for the card.
        stage: The step whose weights the run kept that are wanted; 0: its best.
        force: Replace a bundle that is there already.
    """
    _needs_train()
    from kapelle.bundles.export import ExportOptions
    from kapelle.bundles.export import export as write

    try:
        figures = {"measured": measured.read_text(encoding="utf-8")} if measured else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput("cannot read {path}: {why}", path=measured, why=error) from error
    options = ExportOptions(name=name, precision=precision, licence=licence, figures=figures, force=force, stage=stage)  # type: ignore[arg-type]
    return write(Path(run), Path(out), options)


def fit(recipe: str | Path, folder: str | Path, out: str | Path, how: Fitting | None = None) -> Fitted:
    """Train a recipe on a folder of MIDI, from reading the files to writing the bundle `out`; see `kapelle.fitting`."""
    _needs_train()
    from kapelle import fitting

    return fitting.fit(recipe_path(recipe), Path(folder), Path(out), how)


def _needs_train() -> None:
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in ("torch", "transformers", "lightning", "safetensors", "onnx")):
        raise Missing("training needs packages that are not installed", hint="pip install 'kapelle[train]'")
