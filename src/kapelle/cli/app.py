"""The command line itself: which verbs there are, how their options are found, how help looks.

Takes the dataclass and the function of each verb (one module per verb, loaded when it is asked for); gives typer commands. Typer
cuts the command line into words and completes them in the shell; what the words mean, how errors read and how help looks is
decided here, so that both languages are served and every error is one of ours.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from kapelle.cli.console import Console
from kapelle.cli.flags import Flag, build, flags_of
from kapelle.errors import UnknownName, UsageError
from kapelle.texts import LANGUAGES, Texts

PROGRAM = "kapelle"
WIDTH = 100


@dataclass(frozen=True)
class Verb:
    """A row of the table of verbs.

    Args:
        help: One line about it.
        module: Where its `Arguments` and its `run` are; empty for a group.
        verbs: Of a group. With a module too, it is a verb of its own unless one of these follows it.
    """

    help: str
    module: str = ""
    verbs: Mapping[str, Verb] | None = None


VERBS: Mapping[str, Verb] = {
    "compose": Verb("compose a piece, or many", "kapelle.cli.compose"),
    "extend": Verb("go on where a MIDI file ends", "kapelle.cli.extend"),
    "accompany": Verb("play a band around a MIDI file", "kapelle.cli.accompany"),
    "develop": Verb("compose a piece on a theme that you bring", "kapelle.cli.develop"),
    "render": Verb("turn a MIDI file into sound", "kapelle.cli.render"),
    "imagine": Verb("turn a sentence into sound", "kapelle.cli.imagine"),
    "denoise": Verb("turn down the noise of sounds", "kapelle.cli.denoise"),
    "velocity": Verb("make the notes of a MIDI file audible whose velocities are all 0 or 1", "kapelle.cli.velocity"),
    "plot": Verb("draw a MIDI file as a piano roll", "kapelle.cli.plot"),
    "engrave": Verb("write a MIDI file as sheet music", "kapelle.cli.engrave"),
    "themes": Verb("find the theme of a MIDI file, and where it comes back", "kapelle.cli.themes"),
    "analyse": Verb("tell key, chords, ranges, metre, tempo and density of a MIDI file", "kapelle.cli.analyse"),
    "info": Verb("tell what is in a MIDI file", "kapelle.cli.info"),
    "classify": Verb("tell the genre of MIDI files and sounds, every class with its probability", "kapelle.cli.classify"),
    "rank": Verb("order MIDI files, the best first, and tell why", "kapelle.cli.rank"),
    "evaluate": Verb("measure folders of pieces against a folder of real music, beside baselines", "kapelle.cli.evaluate"),
    "originality": Verb("tell what of a piece stands in the music that its model learned from", "kapelle.cli.originality"),
    "study": Verb(
        "put many pieces side by side, on a page to listen to",
        "kapelle.cli.study",
        verbs={
            "bridge": Verb("study stages of a band by latents by stages of the Theme Transformer", "kapelle.cli.study_bridge"),
            "models": Verb("study models by seeds", "kapelle.cli.study_models"),
            "blind": Verb("make a blind listening test of a study", "kapelle.cli.study_blind"),
            "answers": Verb("count what listeners answered", "kapelle.cli.study_answers"),
        },
    ),
    "play": Verb("play a MIDI file into a MIDI port, for a DAW or a synthesizer", "kapelle.cli.play"),
    "live": Verb("compose, and play into a MIDI port what is composed so far", "kapelle.cli.live"),
    "serve": Verb("open the studio: a page to compose, hear, keep and take away", "kapelle.cli.serve"),
    "models": Verb("list the models that are installed", "kapelle.cli.models"),
    "doctor": Verb("tell what was found on this machine, and how to add what is missing", "kapelle.cli.doctor"),
    "data": Verb(
        "work on training data",
        verbs={
            "list": Verb("list the datasets that can be fetched, with size, licence and use", "kapelle.cli.datasets"),
            "fetch": Verb("download a dataset, or take in an archive or folder of your own", "kapelle.cli.fetch"),
            "verify": Verb("ask the server of a dataset whether it still has what the catalogue says", "kapelle.cli.verify"),
            "prepare": Verb("turn folders of MIDI into token shards", "kapelle.cli.prepare"),
        },
    ),
    "train": Verb("train a model on token shards, or go on training it", "kapelle.cli.train"),
    "export": Verb("write a training run as a bundle", "kapelle.cli.export"),
    "fit": Verb("train a model on a folder of your own, from MIDI to bundle", "kapelle.cli.fit"),
}

COMMON = {
    "--json": "print the result as one JSON object, for programs",
    "--lang en|ru": "language of messages and help",
    "--debug": "show where an error happened",
    "--help": "show this help",
}
"""Options of every verb. They are read off the command line before it is parsed, so that errors in it obey them too."""

Call = Callable[[], Any]


def command(name: str, module: Any) -> TyperCommand:
    """The typer command of a verb's module; invoked, it gives a function that does the work."""
    flags = flags_of(module.Arguments)

    def prepare(context: typer.Context, **given: Any) -> Call:
        if context.args:
            raise UsageError(
                "what is {text!r}? it was not expected",
                text=context.args[0],
                hint="`{command} --help` shows what is",
                command=context.command_path,
            )
        arguments = build(module.Arguments, given)
        return lambda: module.run(arguments, context.obj)

    prepare.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [_parameter("context", typer.Context), *map(_parameter_of, flags), *(_parameter(*common) for common in _COMMON_PARAMETERS)]
    )
    prepare.__annotations__ = {name: item.annotation for name, item in inspect.signature(prepare).parameters.items()}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=_Command, context_settings={"allow_extra_args": True})(prepare)
    made = typer.main.get_command(app)
    assert isinstance(made, _Command)
    made.flags = flags
    return made


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_COMMON_PARAMETERS: tuple[tuple[str, Any, Any], ...] = (
    ("as_json", Annotated[bool, typer.Option("--json")], False),
    ("lang", Annotated[str | None, typer.Option("--lang")], None),
    ("debug", Annotated[bool, typer.Option("--debug")], False),
)


def _parameter_of(flag: Flag) -> inspect.Parameter:
    """What typer needs to know of a flag: its names, and whether it takes a text, many, or none."""
    if flag.positional:
        return _parameter(flag.name, Annotated[list[str] | None if flag.many else str | None, typer.Argument(metavar=flag.metavar)], None)
    names = [flag.label, *([flag.meta["short"]] if flag.meta.get("short") else []), *flag.meta.get("aliases", ())]
    if flag.kind is not bool:
        return _parameter(flag.name, Annotated[list[str] | None if flag.many else str | None, typer.Option(*names)], None)
    if flag.default is False:
        return _parameter(flag.name, Annotated[bool, typer.Option(*names)], False)
    names[0] += f"/--no-{flag.label[2:]}"
    return _parameter(flag.name, Annotated[bool | None, typer.Option(*names)], None)


class _Command(TyperCommand):
    """A verb: its flags, and help in the language of the console."""

    flags: list[Flag]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give bare options such as ``--wav`` the value that they imply."""
        implied = {flag.label: flag for flag in self.flags if flag.meta.get("implied")}
        out: list[str] = []
        for place, text in enumerate(args):
            flag = implied.get(text)
            following = args[place + 1] if place + 1 < len(args) else ""
            given = bool(following) and not following.startswith("-")
            bare = flag is not None and not (given and following.lower().endswith(tuple(flag.meta["suffixes"])))
            out.append(f"{text}={flag.meta['implied']}" if bare and flag else text)
        return super().parse_args(ctx, out)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, what the verb does, its arguments and options."""
        texts = _texts(ctx)
        places = [flag for flag in self.flags if flag.positional]
        formatter.width = min(max(formatter.width, 60), WIDTH)
        formatter.write_usage(ctx.command_path, usage(self.flags, texts), prefix=f"{texts('Usage')}: ")
        with formatter.indentation():
            formatter.write_paragraph()
            formatter.write_text(texts(verb_of(ctx.command_path.split()[1:]).help))
        sections: dict[str, list[tuple[str, str]]] = {
            "Arguments": [(flag.metavar, describe(flag, texts)) for flag in places],
            "Options": [],
        }
        for flag in self.flags:
            if not flag.positional:
                sections.setdefault(flag.section, []).append((spelling(flag), describe(flag, texts)))
        more = verb_of(ctx.command_path.split()[1:]).verbs or {}
        sections["Verbs"] = [(name, texts(verb.help)) for name, verb in more.items()]
        sections["Everywhere"] = _common(texts)
        for title, rows in sections.items():
            if rows:
                with formatter.section(texts(title)):
                    formatter.write_dl(rows)


class Verbs(TyperGroup):
    """The verbs, each loaded when it is called; `table` says which there are."""

    table: Mapping[str, Verb] = VERBS

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a verb; None if there is none of the name."""
        verb = self.table.get(cmd_name)
        if verb is None:
            return None
        if verb.verbs is not None:
            return group(verb.verbs, cmd_name)
        return _command_of(cmd_name, verb)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Without a verb, show help."""
        return super().parse_args(ctx, args if _said(args) else ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that `args` begin with, by our own error if there is none."""
        if args[0] not in self.table:
            raise UnknownName("verb", args[0], self.table)
        verb = self.table[args[0]]
        if verb.module and verb.verbs is not None and not set(verb.verbs) & set(_said(args[1:])[:1]):
            return args[0], _command_of(args[0], verb), args[1:]
        return args[0], self.get_command(ctx, args[0]), args[1:]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage and a line about every verb."""
        texts = _texts(ctx)
        formatter.width = min(max(formatter.width, 60), WIDTH)
        formatter.write_usage(ctx.command_path, texts("VERB INPUT -o OUTPUT [options]"), prefix=f"{texts('Usage')}: ")
        with formatter.section(texts("Verbs")):
            formatter.write_dl([(name, texts(verb.help)) for name, verb in self.table.items()])
        own: list[Any] = self.params if self.table is VERBS else []
        rows = [(", ".join(item.opts), texts(item.help)) for item in own if item.help]
        with formatter.section(texts("Options")):
            formatter.write_dl([*rows, *_common(texts)])
        formatter.write_paragraph()
        formatter.write_text(texts("`{command} VERB --help` tells more about a verb.", command=ctx.command_path))


def _said(args: list[str]) -> list[str]:
    """Words without the options of every verb."""
    return [text for text in args if text not in ("--json", "--debug", "--lang", *LANGUAGES) and not text.startswith("--lang=")]


def _command_of(name: str, verb: Verb) -> TyperCommand:
    return command(name, importlib.import_module(verb.module))


def group(verbs: Mapping[str, Verb] = VERBS, name: str = PROGRAM) -> Verbs:
    """The typer group of a table of verbs."""
    app = typer.Typer(name=name, cls=Verbs, add_completion=verbs is VERBS, rich_markup_mode=None)

    def root(
        version: bool = typer.Option(False, "--version", help="show the version"),
        as_json: bool = typer.Option(False, "--json"),
        lang: str | None = typer.Option(None, "--lang"),
        debug: bool = typer.Option(False, "--debug"),
    ) -> None:
        del version, as_json, lang, debug  # they were read before parsing began

    app.callback(invoke_without_command=False, no_args_is_help=False)(root)
    made = typer.main.get_command(app)
    assert isinstance(made, Verbs)
    made.table = verbs
    return made


def verb_of(path: list[str]) -> Verb:
    """The row of a verb, by its words: ``["data", "prepare"]``."""
    verb = VERBS[path[0]]
    for name in path[1:]:
        verb = (verb.verbs or {})[name]
    return verb


def _texts(ctx: Any) -> Texts:
    console = ctx.find_object(Console)
    return console.texts if console else Texts()


def usage(flags: list[Flag], texts: Texts) -> str:
    """What may follow a verb: ``IN.mid [options]``."""
    places = [f"{flag.metavar}{'...' if flag.many else ''}" for flag in flags if flag.positional and flag.required]
    places += [f"[{flag.metavar}{'...' if flag.many else ''}]" for flag in flags if flag.positional and not flag.required]
    return " ".join([*places, texts("[options]")])


def spelling(flag: Flag) -> str:
    """How a flag is written: ``-b, --bars N``."""
    if flag.positional:
        return flag.metavar
    written = f"{flag.meta['short']}, {flag.label}" if flag.meta.get("short") else flag.label
    if flag.meta.get("implied"):
        return f"{written} [{flag.metavar}]"
    return f"{written} {flag.metavar}".rstrip()


def describe(flag: Flag, texts: Texts) -> str:
    """The help of a flag, with its unit, range and default."""
    help = texts(flag.meta.get("help", "")) if texts.language == "en" or not flag.meta.get("ru") else flag.meta["ru"]
    low, high = flag.meta.get("min"), flag.meta.get("max")
    notes = []
    if flag.meta.get("unit"):
        notes.append(texts(flag.meta["unit"]))
    if low is not None and high is not None:
        notes.append(texts("{low} to {high}", low=f"{low:g}", high=f"{high:g}"))
    elif low is not None:
        notes.append(texts("from {low}", low=f"{low:g}"))
    if flag.default not in (None, "", False, ()):
        shown = ", ".join(flag.default) if flag.many else flag.default
        notes.append(texts("default: {value}", value=shown))
    if flag.required and not flag.positional:
        notes.append(texts("required"))
    return f"{help} ({'; '.join(notes)})" if notes else help


def _common(texts: Texts) -> list[tuple[str, str]]:
    return [(name, texts(help)) for name, help in COMMON.items()]
