"""``kapelle study bridge``: stages of a band by latents by stages of the Theme Transformer, on a page to listen to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import group, option
from kapelle.cli.study import SOUNDS, show, whole
from kapelle.cli.who import WorkerFlags

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    output: Path = option(
        Path("study-bridge"), help="folder for pieces, tables and the page; what is there is kept", short="-o", metavar="DIR"
    )
    theme_model: tuple[str, ...] = option((), help="stage of the Theme Transformer; once for each, theme if none is named", metavar="NAME")
    band_model: tuple[str, ...] = option(
        (), help="stage of the band; once for each, the five of band-tutorial if none is named", metavar="NAME"
    )
    latents: int = option(3, help="latents of each band", min=1, max=100)
    seed: int = option(20220529, help="seed of the first latents", short="-s", min=0)
    bars: int = option(32, help="length of every piece in bars", short="-b", min=2, max=512)
    theme_bars: int = option(2, help="bars of the band that are the theme", min=1, max=8)
    sound: str = option("ogg", help="sounds for the page", choices=SOUNDS)
    work: WorkerFlags = group(WorkerFlags, "Work")
    force: bool = option(False, help="make every cell again")


def run(arguments: Arguments, console: Console) -> None:
    """Make what is missing, tell what came of it."""
    from kapelle import api
    from kapelle.api.studies import StudyWay
    from kapelle.study.bridge import BANDS, THEMES, Asked

    latents = tuple(range(arguments.seed, arguments.seed + arguments.latents))
    asked = Asked(arguments.band_model or BANDS, arguments.theme_model or THEMES, latents, arguments.bars, arguments.theme_bars)
    with console.bar("composing") as move:
        way = StudyWay(whole(arguments.sound), workers=arguments.work.workers, force=arguments.force, progress=move)
        results = api.study_bridge(arguments.output, asked, way)
    show(results, arguments.output, console)
