"""The training loop: one for every model, read from top to bottom.

Takes a recipe and shards, gives a run folder::

    recipe.toml  shards.json  tokenizer.json   what the run was made from (copies)
    checkpoints/step-00001234/                 the newest two, whole or absent
    log.jsonl    curves.png    tensorboard/    what happened
    weights.safetensors                        the best weights by validation, without the optimiser
    figures.json                               steps, time, tokens, best and last figures

The loop steps, logs, validates, saves and stops; what a step is, the objective says. Ctrl-C and SIGTERM finish the step, save
and leave. Starting again with the same folder goes on, bit for bit as if it had never stopped (on one machine type).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from safetensors.torch import save_file

from kapelle import models
from kapelle.config import build
from kapelle.data import shards as shard_files
from kapelle.errors import CheckpointError, Interrupted, StorageError, UnknownName
from kapelle.training import checkpoint, objectives, trackers
from kapelle.training.recipe import Recipe, TrainingSection, read


@dataclass(frozen=True)
class Progress:
    """Told after every step: where the run is and how long it will take."""

    step: int
    steps: int
    seconds_left: float
    figures: dict[str, float]


@dataclass(frozen=True)
class FitOptions:
    """How to run, as opposed to what to learn.

    Args:
        overrides: ``section.key=value`` changes to the recipe.
        devices: Processes; with CPU each is a process, with GPU each has its own.
        accelerator: "auto", "cpu" or "cuda".
        trackers: Of `trackers.NAMES`; the log and the curves are always written.
        max_minutes: Stop, saved, after so long; 0: no limit.
        start_from: A run or ``weights.safetensors`` to begin with (fine-tuning).
        progress: Called after every step on the first process.
    """

    overrides: Sequence[str] = ()
    devices: int = 1
    accelerator: str = "auto"
    trackers: Sequence[str] = ("tensorboard",)
    max_minutes: float = 0.0
    start_from: Path | None = None
    progress: Callable[[Progress], None] = field(default=lambda progress: None)


def fit(recipe_path: Path, shards_path: Path, run: Path, options: FitOptions | None = None) -> dict[str, Any]:
    """Train, or go on training, and return the figures of ``figures.json``.

    Raises:
        Interrupted: Ctrl-C, SIGTERM or the time limit; everything is saved.
        CheckpointError: The folder holds a run of another recipe.
        StorageError: The folder cannot be written.
    """
    options = options or FitOptions()
    recipe = read(recipe_path, options.overrides)
    fabric = Fabric(accelerator=options.accelerator, devices=options.devices, precision=recipe.training.precision)  # type: ignore[arg-type]
    fabric.launch()
    shards = shard_files.read(shards_path)
    if fabric.is_global_zero:
        _begin(run, recipe_path, shards_path, options)
    fabric.barrier()
    return _Run(fabric, recipe, shards, run, options).go()


def _begin(run: Path, recipe_path: Path, shards_path: Path, options: FitOptions) -> None:
    """Make the run folder, or check that it belongs to this recipe."""
    text = recipe_path.read_text(encoding="utf-8") + "".join(f"# override: {item}\n" for item in options.overrides)
    try:
        run.mkdir(parents=True, exist_ok=True)
        mine = run / "recipe.toml"
        if mine.is_file() and mine.read_text(encoding="utf-8") != text and any((run / "checkpoints").glob("step-*")):
            raise CheckpointError("{run} holds a run of another recipe", run=run, hint="choose another folder with -o, or delete this one")
        mine.write_text(text, encoding="utf-8")
        for name in ("shards.json", "tokenizer.json"):
            if (shards_path / name).is_file():
                shutil.copyfile(shards_path / name, run / name)
    except OSError as error:
        raise StorageError("cannot write to {run}: {why}", run=run, why=error.strerror or error) from error


class _Run:
    """One call of `fit`: what the loop carries from step to step."""

    def __init__(self, fabric: Fabric, recipe: Recipe, shards: shard_files.Shards, run: Path, options: FitOptions) -> None:
        self.fabric, self.recipe, self.settings, self.run, self.options = fabric, recipe, recipe.training, run, options
        family = models.family(recipe.family)
        config = build(family.Config, {**recipe.model, "vocabulary": shards.vocabulary_size}, "recipe: model")
        torch.manual_seed(self.settings.seed)
        network = family.build(config)
        if options.start_from:
            _begin_with(network, options.start_from)
        self.network = network  # the bare network, for saving
        if recipe.objective not in objectives.OBJECTIVES:
            raise UnknownName("objective", recipe.objective, objectives.OBJECTIVES)
        length = int(shards.info["context_len"])
        self.objective = objectives.OBJECTIVES[recipe.objective](shards, self.settings, length, family)
        self.optimizers = self.objective.optimizers(network)
        prepared = torch.compile(network) if self.settings.compile else network
        model, *ready = fabric.setup(prepared, *self.optimizers.values())  # type: ignore[arg-type]
        self.model: Any = model
        self.ready = dict(zip(self.optimizers, ready, strict=True))
        self.step, self.seconds, self.tokens = 0, 0.0, 0.0
        self.best: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def go(self) -> dict[str, Any]:
        """The loop."""
        self._resume()
        started, saved, before = time.monotonic(), time.monotonic(), self.seconds
        log = trackers.open_trackers(self.run, self.recipe.name, self.options.trackers) if self.fabric.is_global_zero else []
        with _stop_asked() as stopped:
            while self.step < self.settings.steps:
                figures = self._train_step()
                self.step += 1
                self.seconds = before + time.monotonic() - started
                done = self.step == self.settings.steps
                if self.step % self.settings.validate_every == 0 or done:
                    figures |= self._validate()
                if self.step % self.settings.log_every == 0 or "validation" in figures:
                    figures |= {"weight_norm": self._weight_norm(), "tokens_per_s": self.tokens / max(self.seconds, 1e-9)}
                    for tracker in log:
                        tracker.log(self.step, figures)
                if self.fabric.is_global_zero:
                    left = (self.seconds - before) / (self.step - self.first) * (self.settings.steps - self.step)
                    self.options.progress(Progress(self.step, self.settings.steps, left, figures))
                late = 0 < self.options.max_minutes * 60 < time.monotonic() - started
                stop = self._agree(bool(stopped) or late)
                epoch = self.step % self.objective.steps_per_epoch == 0
                if done or stop or epoch or self._agree(time.monotonic() - saved > self.settings.checkpoint_minutes * 60):
                    self._save()
                    saved = time.monotonic()
                if stop and not done:
                    for tracker in log:
                        tracker.close()
                    raise Interrupted("stopped after step {step} of {steps}; saved in {run}", step=self.step, steps=self.settings.steps, run=self.run,
                                      hint="the same command goes on from there")  # fmt: skip
        for tracker in log:
            tracker.close()
        return self._figures()

    def _train_step(self) -> dict[str, float]:
        rate = learning_rate(self.step, self.settings)
        for optimizer in self.ready.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        self.model.train()
        # dropout is a function of (seed, step, process), so a resumed run draws what it would have drawn
        torch.manual_seed((self.settings.seed * 1_000_003 + self.step) * 1_009 + self.fabric.global_rank)
        figures = self.objective.step(self.model, self.step, self.fabric.global_rank, self.fabric.world_size, self.fabric.backward)
        norm = 0.0
        for optimizer in self.ready.values():
            if self.settings.clip_norm:
                norm = float(self.fabric.clip_gradients(self.model, optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False))
            optimizer.step()
        self.tokens += figures.get("tokens", 0.0)
        return figures | {"learning_rate": rate, "gradient_norm": norm}

    def _validate(self) -> dict[str, float]:
        self.model.eval()
        figures = self.objective.validate(self.model, self.fabric.device)
        self.last = figures
        if figures and figures["validation"] < self.best.get("validation", math.inf):
            self.best = {**figures, "step": float(self.step)}
            if self.fabric.is_global_zero:
                _write_weights(self.network, self.run / "weights.safetensors")
        return figures

    def _weight_norm(self) -> float:
        """Global L2 norm of the weights: grows without end in a run that over-fits."""
        return math.sqrt(sum(float(p.detach().float().square().sum()) for p in self.network.parameters()))

    def _agree(self, wish: bool) -> bool:
        """True on all processes if it is on any."""
        if self.fabric.world_size == 1:
            return wish
        return bool(self.fabric.all_reduce(torch.tensor(float(wish)), reduce_op="sum") > 0)

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            extra = {"seconds": self.seconds, "tokens": self.tokens, "best": self.best, "last": self.last}
            checkpoint.save(self.run / "checkpoints", self.step, self.network, self.optimizers, extra)
            if not self.best:
                _write_weights(self.network, self.run / "weights.safetensors")
            self._figures()
        self.fabric.barrier()

    def _resume(self) -> None:
        place, self.damaged = checkpoint.newest(self.run / "checkpoints")
        if place:
            state = checkpoint.load(place, self.network, self.optimizers)
            self.step, self.seconds, self.tokens = int(state["step"]), float(state["seconds"]), float(state["tokens"])
            self.best, self.last = dict(state["best"]), dict(state["last"])
            if self.fabric.is_global_zero:
                trackers.forget_after(self.run / "log.jsonl", self.step)
        self.first = self.step

    def _figures(self) -> dict[str, Any]:
        parameters = sum(p.numel() for p in self.network.parameters())
        out = {"step": self.step, "seconds": round(self.seconds, 1), "tokens": self.tokens, "parameters": parameters,
               "best": self.best, "last": self.last, "damaged_checkpoints": self.damaged}  # fmt: skip
        if self.fabric.is_global_zero:
            (self.run / "figures.json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
        return out


def learning_rate(step: int, settings: TrainingSection) -> float:
    """Linear warm-up, then a cosine down to `final_rate` of the highest."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (settings.final_rate + (1 - settings.final_rate) * 0.5 * (1 + math.cos(math.pi * share)))


@contextmanager
def _stop_asked() -> Iterator[list[int]]:
    """A list that is no longer empty once Ctrl-C or SIGTERM came; the handlers of before are put back at the end."""
    asked: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(kind, lambda number, frame: asked.append(number)) for kind in kinds]
    except ValueError:  # not in the main thread: whoever started us stops us
        yield asked
        return
    try:
        yield asked
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _write_weights(network: torch.nn.Module, path: Path) -> None:
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    save_file({name: value.detach().float().cpu().contiguous() for name, value in network.named_parameters()}, temporary)
    temporary.replace(path)


def _begin_with(network: torch.nn.Module, place: Path) -> None:
    from safetensors.torch import load_file

    held = load_file(place / "weights.safetensors" if place.is_dir() else place)
    own = dict(network.named_parameters())
    if {name: value.shape for name, value in held.items()} != {name: value.shape for name, value in own.items()}:
        raise CheckpointError("the weights in {place} belong to another network", place=place)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(held[name])
