"""Where the figures of a run go: always a JSONL log and a picture of the curves, TensorBoard by default, wandb if asked.

Takes figures by step, pictures and sounds, gives files in the run folder. Nothing leaves the machine: wandb runs offline unless
its own settings say otherwise.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import wave
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kapelle.data.storage import put, put_text
from kapelle.errors import Missing, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = {"tensorboard": "tensorboard", "wandb": "wandb"}
"""Tracker -> the package that it needs."""

CURVES = ("loss", "bits_per_note", "weight_norm", "learning_rate")
"""What is drawn, from left to right; what a run does not log is left out."""

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
    if "tensorboard" in wanted:
        opened.append(_TensorBoard(run, step))
    if "wandb" in wanted:
        opened.append(_Wandb(run, name))
    return opened


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
        os.environ.setdefault("WANDB_MODE", "offline")
        import wandb

        self.wandb: Any = wandb
        self.run: Any = wandb.init(project="kapelle", name=name, dir=str(run))

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
    shown = [name for name in CURVES if any(name in line for line in lines)]
    if not shown:
        return
    figure = Figure(figsize=(4.2 * len(shown), 3.2), layout="constrained")
    for place, name in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        points = [(line["step"], line[name]) for line in lines if name in line]
        axes.plot(*zip(*points, strict=True), linewidth=1.2, marker="." if len(points) < 3 else "")
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    put(run / PICTURE, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))
