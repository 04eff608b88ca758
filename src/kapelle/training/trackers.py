"""Where the figures of a run go: always a JSONL log and a picture of the curves, TensorBoard by default, wandb if asked.

Takes figures by step, gives files in the run folder. Nothing leaves the machine: wandb runs offline unless its own settings say
otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from kapelle.errors import Missing, UnknownName

NAMES = ("tensorboard", "wandb")
CURVES = (("loss",), ("bits_per_note",), ("weight_norm",), ("learning_rate",))


class Tracker(Protocol):
    """Takes figures."""

    def log(self, step: int, figures: dict[str, float]) -> None:
        """Keep the figures of a step."""

    def close(self) -> None:
        """Finish writing."""


def open_trackers(run: Path, name: str, wanted: Sequence[str]) -> list[Tracker]:
    """The JSONL log and the trackers asked for.

    Raises:
        UnknownName: No such tracker.
        Missing: Its package is not installed.
    """
    out: list[Tracker] = [_Log(run)]
    for tracker in wanted:
        if tracker not in NAMES:
            raise UnknownName("tracker", tracker, NAMES)
        try:
            out.append(_TensorBoard(run) if tracker == "tensorboard" else _Wandb(run, name))
        except ImportError as error:
            raise Missing("the tracker {name} is not installed", name=tracker, hint="pip install {name}") from error
    return out


class _Log:
    def __init__(self, run: Path) -> None:
        self.run = run
        self.file = (run / "log.jsonl").open("a", encoding="utf-8")

    def log(self, step: int, figures: dict[str, float]) -> None:
        self.file.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in figures.items()}}) + "\n")
        self.file.flush()
        if "validation" in figures:
            draw_curves(self.run)

    def close(self) -> None:
        self.file.close()
        draw_curves(self.run)


class _TensorBoard:
    def __init__(self, run: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(run / "tensorboard"))

    def log(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class _Wandb:
    def __init__(self, run: Path, name: str) -> None:
        os.environ.setdefault("WANDB_MODE", "offline")
        import wandb

        self.run: Any = wandb.init(project="kapelle", name=name, dir=str(run))

    def log(self, step: int, figures: dict[str, float]) -> None:
        self.run.log(figures, step=step)

    def close(self) -> None:
        self.run.finish()


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a log, a half-written last one left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def forget_after(path: Path, step: int) -> None:
    """Drop the lines of a log after a step: the run goes on from there and will write them again."""
    kept = [line for line in read_log(path) if line["step"] <= step]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def draw_curves(run: Path) -> None:
    """Write ``curves.png`` from the log."""
    from matplotlib.figure import Figure

    lines = read_log(run / "log.jsonl")
    shown = [names for names in CURVES if any(name in line for line in lines for name in names)]
    if not shown:
        return
    figure = Figure(figsize=(4.2 * len(shown), 3.2), layout="constrained")
    for place, names in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        for name in names:
            points = [(line["step"], line[name]) for line in lines if name in line]
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
        axes.set_title(names[0].replace("_", " "))
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    figure.savefig(run / "curves.png", dpi=110)
