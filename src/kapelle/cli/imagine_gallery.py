"""``kapelle imagine --gallery``: prompts by models, with a page to listen to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapelle.cli import imagine_show as showing
from kapelle.cli.imagine_flags import finish_of, requests_of, way_of
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kapelle.api.imagining import SoundWay
    from kapelle.api.sound_gallery import Gallery
    from kapelle.cli.console import Console
    from kapelle.cli.imagine import Arguments
    from kapelle.progress import Report
    from kapelle.text_audio.catalogue import SoundModel

SEED = 0
"""Of a gallery for which none is given: what is there already is kept, so it must be the same each time."""


def run(arguments: Arguments, console: Console) -> None:
    """Make what is missing, tell where the page is."""
    from kapelle.api.sound_gallery import sound_gallery
    from kapelle.text_audio.prompts import GALLERY, GALLERY_MODELS

    if arguments.output is None:
        raise UsageError("{name} is missing: {why}", name="-o", why="a folder for the gallery", hint="-o site/")
    if arguments.prompt is not None or arguments.given.from_ is not None:
        raise UsageError("a gallery has prompts of its own", hint="others are given by a file: --prompts FILE.txt")
    prompts = list(GALLERY)
    if arguments.given.prompts is not None:
        from kapelle.cli.imagine import prompts_of

        prompts = prompts_of(None, arguments.given, console)
    seed = SEED if arguments.sound.seed is None else arguments.sound.seed
    wishes = requests_of(prompts, arguments.sound, arguments.given, seed)

    def working(model: SoundModel, way: SoundWay) -> AbstractContextManager[tuple[SoundWay, Report]]:
        console.note("{name}: {about}", name=model.name, about=model.repo)
        return showing.working(model, way, console)

    made = sound_gallery(
        arguments.output, wishes, arguments.model or GALLERY_MODELS, way=way_of(arguments.place), finish=finish_of(arguments.finish),
        suffix=f".{arguments.finish.format}", working=working,
    )  # fmt: skip
    _show(made, console)


def _show(made: Gallery, console: Console) -> None:
    for name, error in made.failed.items():
        console.warn("{name} made nothing, or not all: {why}", name=name, why=error)
    if console.as_json:
        failed = {name: console.texts.error(error) for name, error in made.failed.items()}
        console.data({"page": made.page, "sounds": [one.facts for one in made.sounds], "failed": failed})
        return
    console.line(str(made.page))
    console.facts({"sounds": len(made.sounds), "there before": sum(one.kept for one in made.sounds) or None})
