"""``kapelle train``: train a model on shards, or go on training it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kapelle.cli.console import Bar, Console
    from kapelle.training.fit import Progress

SHOWN = {
    "loss": "loss {value:.3f}",
    "bits_per_note": "bits per note {value:.2f}",
    "distance": "distance {value:.2f}",
    "variety": "variety {value:.2f}",
    "tokens_per_s": "tokens/s {value:,.0f}",
    "phrases_per_s": "phrases/s {value:,.0f}",
}
"""Figures that stand behind the bar, the last known of each."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    recipe: str = argument(help="recipe, by file or by the name of one that comes with Kapelle", metavar="RECIPE")
    overrides: tuple[str, ...] = argument((), help="changes to the recipe, such as training.steps=2000", metavar="SECTION.KEY=VALUE")
    data: Path = option(help="folder of shards made by `kapelle data prepare`", short="-d", metavar="SHARDS")
    output: Path = option(help="folder of the run; an unfinished run in it is continued", short="-o", metavar="RUN")
    tracker: tuple[str, ...] = option(
        ("tensorboard",),
        help="where figures go beside the log; repeat for several; jsonl or none: the log alone",
        choices=("tensorboard", "wandb", "jsonl", "none"),
    )
    devices: int = option(1, help="how many processes or GPUs train together", min=1, max=1024)
    accelerator: str = option("auto", help="what computes", choices=("auto", "cpu", "cuda", "mps"))
    max_minutes: float = option(0.0, help="stop, saved, after so many minutes; 0: no limit", min=0)
    from_: Path | None = option(None, help="run or weights to begin with (fine-tuning)", metavar="RUN")


def run(arguments: Arguments, console: Console) -> None:
    """Train with a bar, then tell the figures."""
    from kapelle import api
    from kapelle.training.fit import FitOptions
    from kapelle.training.processes import is_first_process

    with console.bar("training") as bar:
        options = FitOptions(
            overrides=arguments.overrides,
            devices=arguments.devices,
            accelerator=arguments.accelerator,
            trackers=tuple(name for name in arguments.tracker if name != "none"),
            max_minutes=arguments.max_minutes,
            start_from=arguments.from_,
            progress=told(bar, console),
        )
        figures = api.train(arguments.recipe, arguments.data, arguments.output, options)
    if is_first_process():
        show(figures, arguments.output, console)


def told(bar: Bar, console: Console) -> Callable[[Progress], None]:
    """A function that takes the `Progress` of training and shows it on a bar."""
    last: dict[str, float] = {}

    def tell(at: Progress) -> None:
        last.update(_named(at.figures))
        note = ", ".join(console.texts(text, value=last[name]) for name, text in SHOWN.items() if name in last)
        bar(at.step, at.steps, note, "training")

    return tell


def _named(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures of the log by names that people understand: what a band is trained on, against a critic, are phrases."""
    phrases = "generator_loss" in figures
    return {"phrases_per_s" if phrases and name == "tokens_per_s" else name: value for name, value in figures.items()}


def show(figures: Mapping[str, Any], output: Path, console: Console) -> None:
    """Print the figures of a run."""
    if console.as_json:
        console.data({"run": output, **figures})
        return
    console.line(str(output))
    best = {f"best {name}": f"{value:.4g}" for name, value in (figures.get("best") or {}).items()}
    console.facts({"steps": figures["step"], "seconds": figures["seconds"], "parameters": f"{figures['parameters']:,}", **best})
