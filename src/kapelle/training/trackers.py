"""Where the figures of a run go: always a JSONL log and a picture of the curves; TensorBoard by default, wandb if asked.

Takes figures by step, pictures and sounds, gives files in the run folder. Nothing leaves the machine: wandb runs offline unless
its own settings say otherwise.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import wave
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kapelle.data.storage import put, put_text
from kapelle.errors import Missing, UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LOG_ALONE = "jsonl"
"""The tracker that is always there; asked for alone, it keeps the others away."""

NAMES = {"tensorboard": "tensorboard", "wandb": "wandb", LOG_ALONE: "json"}
"""Tracker -> the package that it needs."""

CURVES = {
    "loss": ("loss", "validation_loss", "generator_loss"),
    "distance from held-out music (deviations)": ("distance",),
    "variety (held-out music: 1)": ("variety",),
    "slope of the critic": ("slope",),
    "perplexity, held-out": ("perplexity",),
    "accuracy": ("accuracy", "validation_accuracy"),
    "bits per note, held-out": ("bits_per_note",),
    "weight norm": ("weight_norm",),
    "learning rate": ("learning_rate",),
}
"""What is drawn: title -> figures of one diagram, training first. What a run does not log is left out."""

LABELS = {"validation_loss": "held-out", "validation_accuracy": "held-out", "generator_loss": "generator"}
"""What the curves of one diagram are called; the others are of the training."""

COLUMNS = 3

DRAW_EVERY_S = 30.0
"""The curves are not drawn more often than this, and once more at the end."""

LOG, PICTURE, EXAMPLES = "log.jsonl", "curves.png", "examples"


class Tracker(Protocol):
    """Takes what a run tells."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Keep the figures of a step."""

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Keep a picture, (height, width, 3)."""

    def sound(self, step: int, name: str, samples: NDArray[np.float32], sample_rate: int) -> None:
        """Keep a sound, (frames, channels), -1 to 1."""

    def close(self) -> None:
        """Finish writing."""


def check(wanted: Sequence[str]) -> None:
    """See that all trackers asked for can be opened.

    Raises:
        UnknownName: No such tracker.
        Missing: Its package is not installed.
    """
    for tracker in wanted:
        if tracker not in NAMES:
            raise UnknownName("tracker", tracker, NAMES)
        if importlib.util.find_spec(NAMES[tracker]) is None:
            raise Missing("the tracker {name} is not installed", name=tracker, hint="pip install {package}", package=NAMES[tracker])


def open_trackers(run: Path, name: str, wanted: Sequence[str], step: int) -> list[Tracker]:
    """The log and the trackers asked for; what they hold of steps after `step` is forgotten, the run will tell it again."""
    check(wanted)
    _forget_after(run / LOG, step)
    opened: list[Tracker] = [_Log(run)]
    try:
        if "tensorboard" in wanted:
            opened.append(_TensorBoard(run, step))
        if "wandb" in wanted:
            opened.append(_Wandb(run, name))
    except BaseException:  # what has begun writes from a thread of its own
        close(opened)
        raise
    return opened


def close(opened: Sequence[Tracker]) -> None:
    """Close trackers, each of them even where another cannot write any more; the error of that one is raised then."""
    with ExitStack() as ends:
        for tracker in reversed(opened):
            ends.callback(tracker.close)


class _Log:
    """``log.jsonl``, ``curves.png``, and ``examples/`` for pictures and sounds."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.file = (run / LOG).open("a", encoding="utf-8")
        self.drawn = 0.0

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self.file.write(json.dumps({"step": step, **{name: float(f"{value:.7g}") for name, value in figures.items()}}) + "\n")
        self.file.flush()
        if "validation" in figures and time.monotonic() - self.drawn > DRAW_EVERY_S:
            draw_curves(self.run)
            self.drawn = time.monotonic()

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        from matplotlib.image import imsave

        imsave(self._example(step, name, "png"), pixels)

    def sound(self, step: int, name: str, samples: NDArray[np.float32], sample_rate: int) -> None:
        with wave.open(str(self._example(step, name, "wav")), "wb") as file:
            file.setnchannels(samples.shape[1])
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())

    def _example(self, step: int, name: str, suffix: str) -> Path:
        folder = self.run / EXAMPLES
        folder.mkdir(exist_ok=True)
        return folder / f"{step:08d}-{name}.{suffix}"

    def close(self) -> None:
        self.file.close()
        draw_curves(self.run)


class _TensorBoard:
    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        self.writer.add_image(name, pixels, step, dataformats="HWC")

    def sound(self, step: int, name: str, samples: NDArray[np.float32], sample_rate: int) -> None:
        self.writer.add_audio(name, np.ascontiguousarray(samples[:, :1].T), step, sample_rate=sample_rate)

    def close(self) -> None:
        self.writer.close()


class _Wandb:
    def __init__(self, run: Path, name: str) -> None:
        import wandb

        self.wandb: Any = wandb
        try:
            self.run: Any = wandb.init(project="kapelle", name=name, dir=str(run), mode=os.environ.get("WANDB_MODE") or "offline")
        except wandb.errors.Error as error:
            hint = "`wandb login`, or WANDB_MODE=offline"
            raise UsageError("wandb does not begin: {why}", why=error, hint=hint) from error

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self.run.log(dict(figures), step=step)

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        self.run.log({name: self.wandb.Image(pixels)}, step=step)

    def sound(self, step: int, name: str, samples: NDArray[np.float32], sample_rate: int) -> None:
        self.run.log({name: self.wandb.Audio(samples, sample_rate)}, step=step)

    def close(self) -> None:
        self.run.finish()


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a log; a half-written last one is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            lines.append({**json.loads(text)})
        except (ValueError, TypeError):
            break
    return lines


def _forget_after(path: Path, step: int) -> None:
    kept = [line for line in read_log(path) if line["step"] <= step]
    put_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def draw_curves(run: Path) -> None:
    """Write ``curves.png`` from the log; nothing if the log is empty."""
    from matplotlib.figure import Figure

    lines = read_log(run / LOG)
    logged = {name for line in lines for name in line}
    shown = {title: [name for name in names if name in logged] for title, names in CURVES.items() if logged & set(names)}
    if not shown:
        return
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
    for place, (title, names) in enumerate(shown.items(), 1):
        axes = figure.add_subplot(rows, columns, place)
        for name in names:
            points = [(line["step"], line[name]) for line in lines if name in line]
            label = LABELS.get(name, "training")
            axes.plot(*zip(*points, strict=True), linewidth=1.2, marker="." if len(points) < 3 else "", label=label)
        if len(names) > 1:
            axes.legend(frameon=False)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    put(run / PICTURE, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))
