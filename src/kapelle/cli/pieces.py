"""What `compose` and `extend` share: how long, which files, the bar while it composes, and what is said of the result.

Takes a request and what was asked about files; writes files and gives one table per piece. Names are settled and checked before the
first note is drawn, so that nobody waits for a file that cannot be written.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli import originality
from kapelle.cli.flags import option
from kapelle.composing import COMBINED, WAYS, way_of
from kapelle.composing.events import Done, Progress, Restarted
from kapelle.composing.request import MAX_BARS, ComposeRequest
from kapelle.errors import Interrupted, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from kapelle.cli.console import Bar, Console
    from kapelle.composing.piece import Piece
    from kapelle.engraving.options import EngravingOptions
    from kapelle.workers import Workers

AUTO = "auto"
SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".mp3")
PICTURES = (".png", ".svg")
SCORES = (".pdf", ".svg", ".png", ".musicxml", ".xml", ".mxl")
MIDI = (".mid", ".midi")

FACTS = (
    *("wav", "plot", "score", "recipe", "genre", "bars", "notes", "seconds", "key", "tempo", "metre", "seed", "model", "attempts"),
    *("heard", "mapped"),  # of the music that a model was given to begin from
    *("lead", "track", "band"),  # of a band around a lead
    *("theme by", "melody", "returns"),  # of a theme
    *("tries", "originality"),
)
COLUMNS = ("file", "bars", "notes", "seconds", "key", "tempo", "metre", "seed", "attempts", "shared run")
NUMBERS = ("bars", "notes", "seconds", "tempo", "seed", "attempts")


def model_options() -> list[type[Any]]:
    """The dataclasses of options of all ways of composing."""
    return [*(way_of(codec).Options for codec in WAYS), *(way_of(None, name).Options for name in COMBINED)]


@dataclass(frozen=True, kw_only=True)
class LengthFlags:
    """How long; one of the four."""

    bars: int | None = option(None, help="length in bars; 16 if no length is given", short="-b", min=1, max=MAX_BARS)
    seconds: float | None = option(None, help="length in seconds, rounded to whole bars", min=1, max=3600)
    tokens: int | None = option(None, help="length in tokens, to the end of a bar or of a note", min=16, max=100_000)
    notes: int | None = option(None, help="length in notes; exact, or to the end of a bar", min=1, max=50_000)


@dataclass(frozen=True, kw_only=True)
class FileFlags:
    """What to write beside the MIDI file."""

    wav: str = option("", help="write the sound too", metavar="FILE.wav", implied=AUTO, suffixes=SOUNDS)
    plot: str = option("", help="draw the piano roll too", metavar="FILE.png", implied=AUTO, suffixes=PICTURES)
    score: str = option("", help="write sheet music too", metavar="FILE.pdf", implied=AUTO, suffixes=SCORES)
    synth: str = option("soundfont", help="what plays it", choices=("soundfont", "sine"))
    soundfont: Path | None = option(None, help="the SoundFont to play it with", metavar="FILE.sf2")
    save_recipe: Path | None = option(None, help="write down how the piece is made, for --from", metavar="FILE.json")
    force: bool = option(False, help="replace files that are there already")
    resume: bool = option(False, help="keep the pieces that are there already, and make the others")


@dataclass(frozen=True)
class Files:
    """The files of one piece."""

    midi: Path
    wav: Path | None = None
    plot: Path | None = None
    score: Path | None = None
    recipe: Path | None = None

    @property
    def all(self) -> list[Path]:
        """Those that are asked for."""
        return [path for path in (self.midi, self.wav, self.plot, self.score, self.recipe) if path]

    @property
    def are_there(self) -> bool:
        """Whether nothing is missing."""
        return all(path.exists() for path in self.all)


def files_of(wish: ComposeRequest, output: Path | None, flags: FileFlags, stem: str) -> list[Files]:
    """The files of every piece of a request, checked to be free and writable.

    Args:
        wish: What will be composed.
        output: What ``-o`` says: a MIDI file, or a folder.
        flags: The other files.
        stem: Beginning of names that were not given; the seed follows.

    Raises:
        UsageError: One file is named for several pieces, has a wrong suffix or is there already.
        StorageError: A folder does not let itself be written to.
    """
    names = _names(wish, stem)
    if wish.count > 1 and (flags.save_recipe or any(named not in ("", AUTO) for named in (flags.wav, flags.plot, flags.score))):
        raise UsageError(
            "{count} pieces cannot share one file",
            count=wish.count,
            hint="give --wav, --plot and --score without a name; --save-recipe takes one piece",
        )
    is_file = output is not None and output.suffix.lower() in MIDI and not output.is_dir()
    if wish.count > 1 and is_file:
        raise UsageError("{count} pieces need a folder, not {path}", count=wish.count, path=output, hint="give -o a folder")
    if output is not None and wish.count == 1 and not is_file and output.suffix and not output.is_dir():
        raise UsageError("{path} must end in .mid", path=output, hint="or name a folder that is there")
    folder = output if output is not None and not is_file else Path() if wish.count == 1 else Path(names[0])
    midi = [output] if is_file and output else [folder / f"{name}.mid" for name in names]
    out = [
        Files(
            path,
            wav=_beside(path, flags.wav, ".wav"),
            plot=_beside(path, flags.plot, ".png"),
            score=_beside(path, flags.score, ".pdf"),
            recipe=flags.save_recipe,
        )
        for path in midi
    ]
    _check_formats(out[0], flags)
    paths = [path for files in out if not (flags.resume and files.are_there) for path in files.all]
    claim(paths, force=flags.force or flags.resume)
    return out


def _names(wish: ComposeRequest, stem: str) -> list[str]:
    """Names of the files, without suffixes: by their seeds, or by their number on the way from one seed to another."""
    towards = wish.options.get("towards")
    if towards is None:
        return [f"{stem}-{wish.seed + number}" for number in range(wish.count)]
    way = f"{stem}-{wish.seed}-to-{towards}"
    if wish.count == 1:
        return [f"{way}-{wish.options.get('blend', 0.0):.0%}".rstrip("%")]
    return [f"{way}-{number + 1:0{len(str(wish.count))}}" for number in range(wish.count)]


def row_of(wish: ComposeRequest, files: list[Files]) -> Path | None:
    """The picture of all pieces on the way from one seed to another, if pictures are drawn."""
    if wish.count == 1 or wish.options.get("towards") is None or files[0].plot is None:
        return None
    return files[0].plot.with_stem(files[0].plot.stem.rpartition("-")[0] + "-row")


def _check_formats(files: Files, flags: FileFlags) -> None:
    """Refuse what could not be written after composing: an unknown format, a SoundFont that is none."""
    if files.plot:
        from kapelle.engraving.picture_files import check_suffix as check_picture

        check_picture(files.plot)
    if files.score:
        from kapelle.engraving.sheet import check_suffix as check_score

        check_score(files.score)
    if files.wav:
        from kapelle.audio.files import check_suffix
        from kapelle.render.soundfont_file import load

        check_suffix(files.wav)
        if flags.soundfont is not None and flags.synth == "sine":
            raise UsageError("the sine synth plays no SoundFont", hint="leave out --soundfont, or use --synth soundfont")
        if flags.soundfont is not None:
            load(flags.soundfont)


def _beside(midi: Path, named: str, suffix: str) -> Path | None:
    if not named:
        return None
    return midi.with_suffix(suffix) if named == AUTO else Path(named)


def claim(paths: list[Path], *, force: bool) -> None:
    """Make sure that files can be written, before work begins.

    Raises:
        UsageError: One of them is there and `force` is not set, or it is named twice.
        StorageError: Its folder is none, or may not be written to.
    """
    if len(set(paths)) < len(paths):
        raise UsageError("one file is named twice: {paths}", paths=", ".join(map(str, paths)))
    for path in paths:
        if path.exists() and not force:
            raise UsageError("{path} exists already", path=path, hint="choose another name, or overwrite it with --force")
        place = next(folder for folder in path.absolute().parents if folder.exists())
        if path.is_dir() or not place.is_dir() or not os.access(place, os.W_OK):
            raise StorageError("cannot write {path}", path=path, hint="choose a folder that you may write to")


def compose_all(wish: ComposeRequest, files: list[Files], flags: FileFlags, workers: Workers, console: Console) -> list[dict[str, Any]]:
    """Compose and write every piece of a request; a table of facts for each.

    Raises:
        Interrupted: Ctrl-C between two of several pieces; those written are kept.
    """
    numbers = [number for number, place in enumerate(files) if not (flags.resume and place.are_there)]
    if len(numbers) < len(files):
        _check_kept(wish, files, numbers)
        console.note("{kept} of {count} pieces are there already", kept=len(files) - len(numbers), count=len(files))
    out: list[dict[str, Any]] = []
    with console.bar("composing") as bar:
        pieces = _one(wish, bar) if wish.count == 1 and numbers else _many(wish, numbers, workers, bar)
        try:
            for piece, number in zip(pieces, numbers, strict=True):
                out.append(write_piece(piece, files[number], flags))
        except KeyboardInterrupt:
            pieces.close()  # ends its processes
            done = sum(place.midi.exists() for place in files)
            if not done:
                raise
            hint = "the same command with --seed {seed} --resume goes on"
            raise Interrupted(
                "interrupted: {done} of {count} pieces are written", done=done, count=wish.count, seed=wish.seed, hint=hint
            ) from None
    for table in out:
        for problem in table["problems"]:
            console.warn("{path}: {why}", path=table["file"], why=problem)
    return out


def _one(wish: ComposeRequest, bar: Bar) -> Generator[Piece, None, None]:
    from kapelle import api

    note = ""
    for event in api.compose_events(wish):
        if isinstance(event, Progress):
            bar(event.done, 1.0, note)
        elif isinstance(event, Restarted):
            note = f"({event.attempt})"
        elif isinstance(event, Done):
            yield event.piece


def _many(wish: ComposeRequest, numbers: list[int], workers: Workers, bar: Bar) -> Generator[Piece, None, None]:
    from kapelle import api

    bar(0, len(numbers))
    yield from api.compose_many(wish, numbers=numbers, processes=workers.processes, engine=workers.engine, progress=bar)


def _check_kept(wish: ComposeRequest, files: list[Files], missing: list[int]) -> None:
    """Refuse to take for pieces of a request what another bundle or another seed made."""
    from kapelle import api
    from kapelle.composing.piece import provenance_of

    hashed = api.bundle(wish.model).hash
    for number in sorted(set(range(len(files))) - set(missing)):
        path = files[number].midi
        found = provenance_of(path.read_bytes())
        if found is None or (found.bundle, found.seed) != (hashed[:16], wish.piece(number).seed):
            raise UsageError("{path} is another piece", path=path, hint="choose another folder, or overwrite it with --force")


def write_piece(piece: Piece, files: Files, flags: FileFlags) -> dict[str, Any]:
    """Write the files of a piece, the MIDI file first; its facts."""
    piece.save(files.midi, force=flags.force or flags.resume)
    if files.wav:
        piece.to_wav(files.wav, flags.synth, **({"soundfont": flags.soundfont} if flags.soundfont else {}))
    if files.plot:
        piece.plot(files.plot)
    if files.score:
        piece.engrave(files.score, _look(files.midi.stem))
    if files.recipe:
        piece.save_recipe(files.recipe)
    return (
        {
            name: str(path) if path else None
            for name, path in zip(("file", "wav", "plot", "score", "recipe"), asdict(files).values(), strict=True)
        }
        | _facts(piece)
        | {"originality": _originality(piece)}
    )


def _look(title: str) -> EngravingOptions:
    from kapelle.engraving.options import EngravingOptions

    return EngravingOptions(title=title)


def _facts(piece: Piece) -> dict[str, Any]:
    from kapelle.score import units
    from kapelle.score.info import info

    found, facts = info(piece.score), piece.report.facts
    return {
        "bars": piece.report.n_bars,
        "notes": found.n_notes,
        "seconds": round(float(units.tempo_map(piece.score).to_seconds(piece.end_ticks)), 2),
        "genre": facts.get("genre"),
        "key": facts.get("key") or found.signature or found.key,
        "tempo": facts.get("tempo") or found.tempos_bpm[0],
        "metre": facts.get("metre") or found.metres[0],
        "seed": piece.request.seed,
        "model": piece.model,
        "bundle": piece.bundle_hash,
        "attempts": piece.report.attempts,
        "heard": facts.get("seed_items"),
        "mapped": facts.get("seed_mapped"),
        "lead": facts.get("lead"),
        "track": facts.get("track"),
        "band": facts.get("band"),
        "theme by": _theme_by(facts),
        "melody": facts.get("melody"),
        "returns": ", ".join(f"{first + 1}-{end}" for first, end in facts.get("regions", ())) or None,
        "theme": {name: facts[f"theme_{name}"] for name in ("bars", "found", "pick_up")} if "theme_bars" in facts else None,
        "tries": facts.get("tries"),
        "problems": list(piece.report.problems),
    }


def _originality(piece: Piece) -> dict[str, Any] | None:
    """What of the piece is also in the music that its model learned from, without the places; None if there is no index."""
    from kapelle import api

    found = api.originality(piece)
    return {name: value for name, value in found.as_dict().items() if name != "runs"} if found else None


def _theme_by(facts: Mapping[str, Any]) -> str | None:
    """``band-composer, phrase 3 (seed 7)``: the band that made the theme, if one did, and how many phrases it took."""
    if "from_band" not in facts:
        return None
    later = f", phrase {facts['band_phrases']}" if facts["band_phrases"] > 1 else ""
    return f"{facts['from_band']}{later} (seed {facts['band_seed']})"


def show(tables: list[dict[str, Any]], console: Console, row: Path | None = None, **more: Any) -> None:
    """Print what was composed, and where the picture of all of it is; `more` is for machines."""
    if console.as_json:
        console.data({"pieces": tables} | ({"row": str(row)} if row else {}) | more)
        return
    if not tables:  # all of them were there already, which was said
        return
    shown = [_shown(table, console) for table in tables]
    if len(shown) == 1:
        table = shown[0]
        console.line(table["file"])
        console.facts({label: table[label] for label in FACTS})
        return
    console.table(COLUMNS, [[table[label] for label in COLUMNS] for table in shown], numbers=NUMBERS)
    originality.human_lines((table["originality"] for table in tables), console)
    if row is not None:
        console.line(str(row))


def _shown(table: dict[str, Any], console: Console) -> dict[str, Any]:
    """A table of facts as people read it."""
    return {
        **table,
        "key": console.texts.key(str(table["key"])),
        "tempo": f"{table['tempo']:g}",
        "originality": originality.lines(table["originality"], console.texts),
        "shared run": originality.short(table["originality"]),
    }
