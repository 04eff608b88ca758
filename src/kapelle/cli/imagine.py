"""``kapelle imagine``: a sentence, or many, as sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli import imagine_show as showing
from kapelle.cli.flags import argument, group, option
from kapelle.cli.imagine_flags import FinishFlags, GivenFlags, PlaceFlags, SoundFlags, finish_of, requests_of, way_of
from kapelle.cli.pieces import claim
from kapelle.errors import UsageError
from kapelle.text_audio.catalogue import SMALLEST

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    prompt: str | None = argument(None, help="what is to be heard; the published models understand English", metavar="PROMPT")
    output: Path | None = option(
        None, help="sound file to write: .wav, .flac, .ogg, .opus or .mp3, or a folder for several", short="-o", metavar="OUT.wav"
    )
    model: tuple[str, ...] = option((), help="model, one of --models; once for each with --gallery", short="-m", metavar="NAME")
    sound: SoundFlags = group(SoundFlags, "Sound")
    given: GivenFlags = group(GivenFlags, "What is given")
    finish: FinishFlags = group(FinishFlags, "Files")
    place: PlaceFlags = group(PlaceFlags, "Model")
    models: bool = option(False, help="list the models: size, rate, longest sound, what they take, licence, whether they are here")
    gallery: bool = option(False, help="make six prompts with three models, or with those of --model, and a page to listen to them")
    self_test: bool = option(False, help="fetch the smallest model and check on this machine that it makes sound")


def run(arguments: Arguments, console: Console) -> None:
    """Make the sounds, write them as they come, tell."""
    asked = [
        name
        for name, given in (("--models", arguments.models), ("--gallery", arguments.gallery), ("--self-test", arguments.self_test))
        if given
    ]
    if len(asked) > 1:
        raise UsageError("{names} contradict each other", names=" and ".join(asked), hint="leave one of the two out")
    if arguments.models:
        showing.models(console)
    elif arguments.self_test:
        if arguments.prompt is not None or len(arguments.model) > 1:
            raise UsageError("a self-test has a prompt of its own, and tests one model")
        showing.self_test(arguments.model[0] if arguments.model else SMALLEST, way_of(arguments.place), console)
    elif arguments.gallery:
        from kapelle.cli import imagine_gallery

        imagine_gallery.run(arguments, console)
    else:
        _imagine(arguments, console)


def _imagine(arguments: Arguments, console: Console) -> None:
    from kapelle.api import sound_files

    if len(arguments.model) > 1:
        raise UsageError("one model makes the sounds, not {names}", names=", ".join(arguments.model), hint="several make a --gallery")
    if arguments.finish.resume and arguments.sound.seed is None:
        raise UsageError("--resume needs --seed: another seed is another sound", hint="the seed was shown when it was drawn")
    model = arguments.model[0] if arguments.model else SMALLEST
    prompts = prompts_of(arguments.prompt, arguments.given, console)
    way, finish = way_of(arguments.place), finish_of(arguments.finish)
    wishes = requests_of(prompts, arguments.sound, arguments.given, arguments.sound.seed)
    orders = sound_files.sound_orders(wishes, arguments.output, f".{arguments.finish.format}")
    chosen = sound_files.checked_orders(orders, model, way, finish)
    claim([path for order in orders for path in order.files(finish)], force=finish.force or finish.resume)
    if arguments.sound.seed is None:
        console.note("seed {seed}", seed=orders[0].request.seed)
    with showing.working(chosen, way, console) as (way, move):
        made = showing.collected(sound_files.imagine_files(orders, model, way, finish, progress=move), len(orders), console)
    showing.sounds(made, console)


def prompts_of(prompt: str | None, given: GivenFlags, console: Console) -> list[str]:
    """The prompts that are asked for: the one that is typed, those of a file, or what a piece says of itself.

    Raises:
        UsageError: There is none, or there are two kinds of them.
    """
    from kapelle import api
    from kapelle.text_audio import prompts

    if given.prompts is not None:
        if prompt is not None or given.from_ is not None:
            other = "PROMPT" if prompt is not None else "--from"
            raise UsageError("{names} contradict each other", names=f"{other} and --prompts", hint="leave one of the two out")
        found, repeated = prompts.read(given.prompts)
        if repeated:
            console.warn("prompts of {path} that stand there twice, and are made once: {n}", path=given.prompts, n=repeated)
        return found
    if given.from_ is not None:
        said = api.prompt_of(given.from_)
        said = said if prompt is None else f"{said}. {prompt}"
        console.note("prompt: {text}", text=said)
        return [said]
    if prompt is None:
        raise UsageError("{name} is missing: {why}", name="PROMPT", why="what is to be heard", hint='such as: kapelle imagine "Lo-fi funk"')
    return [prompt]
