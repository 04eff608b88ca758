"""The training loop: one for every model, read from top to bottom.

Takes a recipe and a data folder, gives a run folder::

    recipe.toml  shards.json  tokenizer.json   what the run was made from (copies)
    checkpoints/step-00001234/                 the newest two, whole or absent
    log.jsonl  curves.png  tensorboard/        what happened
    examples/                                  pictures and sounds of callbacks
    weights.safetensors                        the best weights by validation, without the optimiser
    stages/                                    weights of the steps that the recipe names
    figures.json                               steps, time, tokens, best and last figures

The loop steps, logs, validates, saves and stops; what a step is, the objective says. Ctrl-C and SIGTERM finish the step, save
and leave. Starting again with the same folder goes on, bit for bit as if it had never stopped (on one machine type).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kapelle import models
from kapelle.config import build
from kapelle.data.storage import writing
from kapelle.errors import CheckpointError, Interrupted, NotEnoughMemory, UsageError
from kapelle.training import checkpoint, objectives, run_folder, trackers, transfer
from kapelle.training.objectives import Figures, Turn
from kapelle.training.processes import add_up_gradients, is_first_process, launched, summed, unannounced
from kapelle.training.recipe import Recipe, TrainingSection, read
from kapelle.training.stopping import LeaveOff, Stop

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)

MIN_EPOCH_S = 10.0
"""An epoch shorter than this is no occasion for a checkpoint of its own: on a handful of pieces saving would outlast training."""


KEPT = ("validated", "seconds", "tokens", "best", "last", "damaged")
"""What of a run its checkpoints keep, tensors aside."""


@dataclass(frozen=True)
class Progress:
    """Told after every step: where the run is and how long it will take.

    Args:
        step: Steps done.
        steps: Steps in all.
        seconds_left: At the pace of this call; 0 at the end.
        figures: As of the last line of the log.
    """

    step: int
    steps: int
    seconds_left: float
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Moment:
    """Told to callbacks after every validation, on the first process: they compose, draw, and hand pictures and sounds to trackers.

    Args:
        step: Steps done.
        figures: Of the validation.
        network: The bare network in eval mode; gradients are off, and what is drawn from torch's generator disturbs nothing.
        device: Where the network is.
        run: The run folder.
        trackers: Where to show what was made.
    """

    step: int
    figures: Mapping[str, float]
    network: torch.nn.Module
    device: torch.device
    run: Path
    trackers: Sequence[trackers.Tracker]


@dataclass(frozen=True)
class FitOptions:
    """How to run, as opposed to what to learn.

    Args:
        overrides: ``section.key=value`` changes to the recipe.
        devices: Processes; with CPU each is a process, with GPU each has its own.
        accelerator: "auto", "cpu" or "cuda".
        trackers: Of `trackers.NAMES`; the log and the curves are always written.
        max_minutes: Save and return after so long, finished or not; 0: no limit.
        start_from: A run or ``weights.safetensors`` to begin with (fine-tuning); of a run with another vocabulary, by the tokens' names.
        progress: Called after every step on the first process.
        callbacks: Called after every validation on the first process; one that fails is reported and training goes on.
    """

    overrides: Sequence[str] = ()
    devices: int = 1
    accelerator: str = "auto"
    trackers: Sequence[str] = ("tensorboard",)
    max_minutes: float = 0.0
    start_from: Path | None = None
    progress: Callable[[Progress], None] = lambda progress: None
    callbacks: Sequence[Callable[[Moment], None]] = ()


def fit(recipe_path: Path, data: Path, run: Path, options: FitOptions | None = None) -> dict[str, Any]:
    """Train, or go on training, and return the figures of ``figures.json``; "finished" is false if the time limit came first.

    With several devices the program is started again for each of them, and each returns; `is_first_process` tells who speaks.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; everything is saved.
        CheckpointError: The folder holds a run of another recipe or other shards, or all its checkpoints are damaged.
        UsageError: The recipe, the shards and the machine do not go together, or the loss is no longer a number.
        Missing: No such recipe, shards, tracker or weights.
        StorageError: The folder cannot be written.
        NotEnoughMemory: A step does not fit.
    """
    options = options or FitOptions()
    recipe = read(recipe_path, options.overrides)
    trackers.check(options.trackers)
    objective = objectives.make(data, recipe, models.family(recipe.family))
    with ExitStack() as held, _translated(run):
        if is_first_process():
            held.enter_context(run_folder.alone(run))
            run_folder.begin(run, recipe_path, data, options.overrides)
        held.enter_context(unannounced())
        fabric = launched(options.accelerator, options.devices, recipe.training.precision)
        cuda = [fabric.device] if fabric.device.type == "cuda" else []
        held.enter_context(torch.random.fork_rng(devices=cuda))
        return _Run(fabric, recipe, objective, data, run, options).go()


@contextmanager
def _translated(run: Path) -> Iterator[None]:
    """Inside, what the system and torch refuse becomes an error of ours."""
    try:
        with writing(run):
            yield
    except KeyboardInterrupt as error:
        raise Interrupted("stopped at once; {run} holds what was saved before", run=run) from error
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            hint = "training.micro_batch=1 gives the same result, but for rounding, with the least memory"
            raise NotEnoughMemory("a step does not fit into memory", hint=hint) from error
        raise


class _Run:
    """One call of `fit`: what the loop carries from step to step."""

    def __init__(self, fabric: Fabric, recipe: Recipe, objective: objectives.Objective, data: Path, run: Path, options: FitOptions) -> None:
        self.fabric, self.recipe, self.settings, self.run, self.options = fabric, recipe, recipe.training, run, options
        self.objective, self.data = objective, data
        self.network = self._build()  # the bare network, for saving
        self.optimizers = objective.optimizers(self.network)
        self.rates = {name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in self.optimizers.items()}
        prepared = torch.compile(self.network) if self.settings.compile else self.network
        model, *ready = fabric.setup(prepared, *self.optimizers.values())  # type: ignore[arg-type,unused-ignore]
        self.model: Any = model
        self.ready = dict(zip(self.optimizers, ready, strict=True))
        self.stop = Stop(options.max_minutes)
        self.asked = self.late = False  # all processes agree on these
        self.step = self.validated = self.first = 0
        self.seconds = self.tokens = 0.0  # over all calls
        self.started = self.saved = self.seconds_before = 0.0
        self.marked = (0.0, 0.0)  # seconds and tokens at the last line of the log
        self.best: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.told: dict[str, float] = {}
        self.damaged: list[str] = []
        self.trackers: list[trackers.Tracker] = []
        self.updated = False
        kept = self.network.state_dict()
        self.remembers = any(name in kept for name, _ in self.network.named_buffers())  # a forward pass alone changes it

    def _build(self) -> torch.nn.Module:
        family = models.family(self.recipe.family)
        config = build(family.Config, {**self.recipe.model, **self.objective.sizes}, "recipe: model")
        needed, longest = getattr(self.objective, "length", 0), getattr(config, "n_positions", math.inf)
        if needed > longest:
            hint = "raise model.n_positions, or prepare shards with a smaller preprocessing.context_len"
            raise UsageError(
                "blocks of {needed} ids do not fit a network of {longest} positions", needed=needed, longest=longest, hint=hint
            )
        torch.manual_seed(self.settings.seed)
        network = family.build(config)
        if self.options.start_from:
            transfer.begin_with(network, self.options.start_from, self.data)
        return network

    def go(self) -> dict[str, Any]:
        """The loop."""
        self._resume()
        if self._finished:
            return self._figures()
        with self.stop.listening(), self._open_trackers():
            try:
                if self._validation_is_due:  # the call before was stopped in it
                    self._tell({}, self._validate())
                    self._save()
                while not (self._finished or self.asked or self.late):
                    shares = self._train_step()
                    validation = self._validate() if self._validation_is_due else {}
                    self._tell(shares, validation)
                    if self._save_is_due():
                        self._save()
            except LeaveOff:
                self.asked = True
                self._save()
        if self.asked and not self._finished:
            hint = "the same command goes on from there"
            raise Interrupted(
                "stopped after step {step} of {steps}; saved in {run}", step=self.step, steps=self.settings.steps, run=self.run, hint=hint
            )
        return self._figures()

    @property
    def _elapsed(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    @property
    def _finished(self) -> bool:
        return (self.step == self.settings.steps or self._stale) and not self._validation_is_due

    @property
    def _stale(self) -> bool:
        """Validation has not improved for as long as the recipe is patient."""
        since = self.validated - self.best.get("step", float(self.validated))
        return 0 < self.settings.patience * self.settings.validate_every <= since

    @property
    def _validation_is_due(self) -> bool:
        now = self.step % self.settings.validate_every == 0 or self.step == self.settings.steps
        return now and 0 < self.step != self.validated

    def _train_step(self) -> Figures:
        factor = schedule(self.step, self.settings)
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * factor
        self.network.zero_grad(set_to_none=True)
        self.model.train()
        self._seed(self.step)
        self.updated = False
        with self.fabric.no_backward_sync(self.model, enabled=self.fabric.world_size > 1):
            figures = self.objective.step(self._turn(self._pause_step))
        self.step += 1
        self.tokens += summed(self.fabric, [float(figures.get("tokens", 0.0))])[0]
        self.seconds = self._elapsed
        if self.step in self.settings.stages and self.fabric.is_global_zero:
            run_folder.write_weights(self.run, self.network, self.step, run_folder.stage(self.step))
        return figures

    def _validate(self) -> dict[str, float]:
        self.model.eval()
        self._seed(self.step)
        own = self.objective.validate(self._turn(self._pause))
        # Batch norms saw other rows in every process, and all must agree on which validation is the best: the first one's figures count.
        figures: dict[str, float] = self.fabric.broadcast(own)
        self.validated, self.last = self.step, figures
        if figures.get("validation", math.inf) < self.best.get("validation", math.inf):
            self.best = {**figures, "step": float(self.step)}
        if self.fabric.is_global_zero:
            moment = Moment(self.step, figures, self.network, self.fabric.device, self.run, tuple(self.trackers))
            for callback in self.options.callbacks:
                _call(callback, moment)
        return figures

    def _seed(self, step: int) -> None:
        """Dropout is a function of (seed, step, process): a resumed run draws what it would have drawn."""
        torch.manual_seed((self.settings.seed * 1_000_003 + step) * 1_009 + self.fabric.global_rank)

    def _turn(self, pause: Callable[[], None]) -> Turn:
        fabric = self.fabric
        return Turn(self.model, fabric.device, self.step, fabric.global_rank, fabric.world_size, fabric.backward, self._update, pause)

    def _update(self, name: str) -> torch.Tensor:
        optimizer = self.ready[name]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        add_up_gradients(self.fabric, parameters)
        if self.settings.clip_norm:
            limit = self.settings.clip_norm
            norm: torch.Tensor = self.fabric.clip_gradients(self.model, optimizer, max_norm=limit, error_if_nonfinite=False)
        else:
            norm = _norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        optimizer.step()
        self.network.zero_grad(set_to_none=True)
        self.updated = True
        return norm

    def _pause(self) -> None:
        if self.stop.asked and self.fabric.world_size == 1:  # several processes leave together, at the end of a step
            raise LeaveOff

    def _pause_step(self) -> None:
        if not self.updated and not self.remembers:
            self._pause()

    def _tell(self, shares: Figures, validation: Mapping[str, float]) -> None:
        """Log now and then, and tell the progress."""
        if validation or self.step % self.settings.log_every == 0:
            told = dict(zip(shares, summed(self.fabric, [float(value) for value in shares.values()]), strict=True))
            self._check_number(told.get("loss", 0.0))
            seconds, tokens = self.marked
            told |= {"learning_rate": next(iter(self.optimizers.values())).param_groups[0]["lr"], "weight_norm": self._weight_norm()}
            if tokens < self.tokens:
                told["tokens_per_s"] = (self.tokens - tokens) / max(self.seconds - seconds, 1e-9)
            self.told = {**told, **validation}
            for tracker in self.trackers:
                tracker.log(self.step, self.told)
            self.marked = (self._elapsed, self.tokens)  # validating and drawing do not count as pace
        if self.fabric.is_global_zero:
            pace = (time.monotonic() - self.started) / max(1, self.step - self.first)
            self.options.progress(Progress(self.step, self.settings.steps, pace * (self.settings.steps - self.step), self.told))

    def _save_is_due(self) -> bool:
        """After a best validation, an epoch, N minutes and the last step, and before leaving; the same on all processes."""
        age = time.monotonic() - self.saved
        epoch = self.step % self.objective.steps_per_epoch == 0 and age > MIN_EPOCH_S
        wishes = summed(self.fabric, [self.stop.asked, self.stop.late, epoch or age >= self.settings.checkpoint_minutes * 60])
        self.asked, self.late, due = (wish > 0 for wish in wishes)
        return due or self.asked or self.late or self._finished or self.best.get("step") == self.step

    def _save(self) -> None:
        self._check_number(self._weight_norm())
        if self.fabric.is_global_zero:
            state = {name: getattr(self, name) for name in KEPT} | {"precision": self.fabric.strategy.precision.state_dict()}
            checkpoint.save(self.run / "checkpoints", self.step, self.network, self.optimizers, state)
            self._write_weights()
            run_folder.write_figures(self.run, self._figures())
        self.saved = time.monotonic()
        self.fabric.barrier()

    def _write_weights(self) -> None:
        """The best by validation; while there was no validation, the latest."""
        if self.best.get("step", self.step) == self.step != run_folder.weights_step(self.run):
            run_folder.write_weights(self.run, self.network, self.step)

    def _resume(self) -> None:
        place, damaged = checkpoint.newest(self.run / "checkpoints")
        if damaged:
            log.warning("%s in %s cannot be used: damaged", " and ".join(damaged), self.run / "checkpoints")
        if place:
            state = checkpoint.load(place, self.network, self.optimizers)
            self.step = self.validated = int(state["step"])
            for name in KEPT:
                setattr(self, name, state.get(name, getattr(self, name)))
            if state.get("precision"):  # the scale of 16-bit gradients
                self.fabric.strategy.precision.load_state_dict(state["precision"])
            if self.fabric.is_global_zero:
                self._write_weights()  # a kill may have come between the checkpoint and them
        elif damaged:
            hint = "delete {run} to begin anew"
            raise CheckpointError("all checkpoints in {run} are damaged", run=self.run, hint=hint)
        self.damaged = [*self.damaged, *damaged]
        self.first, self.seconds_before, self.marked = self.step, self.seconds, (self.seconds, self.tokens)
        self.started = self.saved = time.monotonic()

    def _figures(self) -> dict[str, Any]:
        return {"step": self.step, "finished": self._finished, "seconds": round(self.seconds, 1), "tokens": self.tokens,
                "parameters": sum(p.numel() for p in self.network.parameters()), "best": self.best, "last": self.last,
                "damaged_checkpoints": self.damaged}  # fmt: skip

    @contextmanager
    def _open_trackers(self) -> Iterator[None]:
        if self.fabric.is_global_zero:
            self.trackers = trackers.open_trackers(self.run, self.recipe.name, self.options.trackers, self.step)
        try:
            yield
        finally:
            trackers.close(self.trackers)

    def _weight_norm(self) -> float:
        """Global L2 norm of the weights: grows without end in a run that over-fits."""
        return float(_norm(list(self.network.parameters())))

    def _check_number(self, value: float) -> None:
        if not math.isfinite(value):
            hint = "lower training.learning_rate or training.clip_norm; the checkpoints before are sound"
            raise UsageError("the loss is no longer a number at step {step}", step=self.step, hint=hint)


def _norm(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The L2 norm of all numbers of some tensors; 0 of none."""
    return torch.stack([tensor.detach().float().norm() for tensor in tensors]).norm() if tensors else torch.zeros(())


def _call(callback: Callable[[Moment], None], moment: Moment) -> None:
    cuda = [moment.device] if moment.device.type == "cuda" else []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=cuda):
            callback(moment)
    except Exception:
        log.warning("a callback failed after step %d; training goes on", moment.step, exc_info=True)


def schedule(step: int, settings: TrainingSection) -> float:
    """Share of the highest learning rate: linear warm-up, then a cosine down to `final_rate`; 0 to 1.

    Args:
        step: Steps done.
        settings: The recipe's [training].
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.final_rate + (1 - settings.final_rate) * 0.5 * (1 + math.cos(math.pi * share))
