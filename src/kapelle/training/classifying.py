"""Training a network to tell the class of a piece from windows of its piano roll, and to notice disorder in it.

Takes roll shards; a step draws windows, classes as often as `balance` says, moves them by some semitones, leaves out some notes, now and
then shortens them. How often a class is drawn is added to the logits in training alone: what the network says is as if all classes were
equally frequent, and the few pieces of a rare one need not be drawn again and again. Some windows of every step are put into disorder:
their bars are shuffled, or their pitches, or their onsets. They have no class to be told, but the kind of disorder; that is what makes the
network's points fit to compare sets of pieces, since a class alone can be told without hearing whether a piece makes sense.

Validation cuts the pieces of the validation part into windows as in use, and averages each piece's probabilities. The network's
temperature is set there so that they are as good as can be, after the statistics of its normalisations are settled. "validation" is what
training makes small, on held-out pieces: the negative log likelihood of the classes, in nats, all classes counting the same, and that of
the kinds of disorder with its weight.

Source: the shift of logits, Menon et al. 2021, "Long-tail learning via logit adjustment".

Known limit: the temperature is chosen on the validation part, and the best step too; what the probabilities are worth is for the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from kapelle.data import roll_windows
from kapelle.data.roll_windows import STEPS_PER_QUARTER, WINDOW
from kapelle.errors import UsageError
from kapelle.training.objectives import adamw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.data.roll_shards import Rolls
    from kapelle.data.roll_windows import Notes
    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import ClassifierSection, TrainingSection

WINDOWS = 4
"""Of a piece, at most, in validation."""

TEMPERATURES = np.exp(np.linspace(np.log(0.3), np.log(3), 61))

KINDS = IN_ORDER, BARS, PITCHES, ONSETS = tuple(range(4))
"""As `kapelle.models.genre_judge.DISORDERS`."""

BAR = 4 * STEPS_PER_QUARTER
"""What is shuffled as a bar, whatever the metre."""

SETTLING = 8
"""Batches from which the normalisations are settled before a validation."""

BatchNorm = torch.nn.BatchNorm1d | torch.nn.BatchNorm2d

DISORDERLY = 0.25
"""Share of the windows of a step."""


@dataclass
class Classifying:
    """Cross-entropy of the classes of windows, and of what was shuffled in them.

    Args:
        rolls: What to learn from.
        settings: The recipe's [training]; `batch_size` counts windows.
    """

    rolls: Rolls
    settings: TrainingSection

    def __post_init__(self) -> None:
        self.own: ClassifierSection = self.settings.classifier
        self.sizes: Mapping[str, Any] = self.rolls.info["sizes"]
        places = self.rolls.of("train")
        labels = self.rolls.pieces["label"][places]
        self.by_class = [places[labels == label] for label in np.unique(labels)]
        if len(self.by_class) < 2:
            raise UsageError("a classifier needs training pieces of two classes at least", hint="give more music, or another half of it")
        sizes = np.array([len(group) for group in self.by_class], float) ** (1 - self.settings.balance)
        self.shares = sizes / sizes.sum()
        self.offsets = np.zeros(len(self.rolls.classes), np.float32)
        self.offsets[np.unique(labels)] = np.log(self.shares)
        self.steps_per_epoch = max(1, len(places) // self.settings.batch_size)

    def optimizers(self, network: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """One AdamW."""
        return {"adamw": adamw(network, self.settings)}

    def step(self, turn: Turn) -> Figures:
        """One update by the windows of the step, this process's share of them."""
        cells, labels, disorder = self.batch(turn.step)
        mine = slice(turn.rank, None, turn.world)
        turn.pause()
        wanted, kind = (torch.from_numpy(values[mine]).to(turn.device) for values in (labels, disorder))
        scores, _, order = turn.network(torch.from_numpy(cells[mine]).to(turn.device).float())
        sound = kind == IN_ORDER
        total = max(1, int((disorder == IN_ORDER).sum()))
        common = torch.from_numpy(self.offsets).to(turn.device)
        loss = F.cross_entropy(scores[sound] + common, wanted[sound], label_smoothing=self.own.smoothing, reduction="sum") / total
        if self.own.disorder:
            loss = loss + self.own.disorder * F.cross_entropy(order.float(), kind, reduction="sum") / len(disorder)
        turn.backward(loss)
        norm = turn.update("adamw")
        right = (scores.detach().argmax(1) == wanted)[sound].sum() / total
        noticed = (order.detach().argmax(1) == kind).sum() / len(disorder)
        figures = {"loss": loss.detach(), "accuracy": right, "noticed": noticed, "gradient_norm": norm / turn.world}
        return {**figures, "tokens": float(len(wanted))}

    def batch(self, step: int) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
        """Windows (B, planes, pitches, steps), their classes (B,), what was shuffled in them (B,); a function of seed and step."""
        draw = np.random.Generator(np.random.Philox(key=[self.settings.seed, step]))
        cells, labels, kinds = [], [], []
        for group in draw.choice(len(self.by_class), self.settings.batch_size, p=self.shares):
            place = int(draw.choice(self.by_class[group]))
            kind = int(draw.integers(1, 4)) if self.own.disorder and draw.random() < DISORDERLY else IN_ORDER
            notes = disordered(varied(self._excerpt(place, draw), self.own.thin, self.own.lengths, draw), kind, draw)
            reach = self.settings.semitones
            cells.append(roll_windows.cells(notes, int(draw.integers(-reach, reach + 1))))
            labels.append(int(self.rolls.pieces["label"][place]))
            kinds.append(kind)
        return np.stack(cells), np.array(labels, np.int64), np.array(kinds, np.int64)

    def _excerpt(self, place: int, draw: np.random.Generator) -> Notes:
        """A window of a piece from a random bar on, sometimes shorter than the others."""
        lines = self.rolls.lines(place)
        room = max(1, int(np.searchsorted(lines, lines[-1] - WINDOW, side="right")))
        length = WINDOW // 16 * int(draw.integers(4, 16)) if draw.random() < self.own.short else WINDOW
        return roll_windows.cut(self.rolls.notes(place), int(lines[draw.integers(room)]), length)

    @cached_property
    def held_out(self) -> tuple[NDArray[np.int64], list[list[Notes]]]:
        """Labels of the validation pieces, and their windows."""
        places = self.rolls.of("validation")
        return self.rolls.pieces["label"][places].astype(np.int64), [windows(self.rolls, int(place), WINDOWS) for place in places]

    @torch.no_grad()
    def validate(self, turn: Turn) -> dict[str, float]:
        """Likelihood and accuracies of the validation pieces, after the temperature is set."""
        labels, pieces = self.held_out
        if not len(labels):
            return {}
        self._settle(turn)
        turn.network.temperature.fill_(1.0)
        scores = []
        for notes in pieces:
            turn.pause()
            cells = torch.from_numpy(np.stack([roll_windows.cells(one) for one in notes])).to(turn.device).float()
            scores.append(turn.network(cells)[0].float().cpu().numpy())
        losses = [likelihood(scores, labels, temperature) for temperature in TEMPERATURES]
        best = int(np.argmin(losses))
        turn.network.temperature.fill_(float(TEMPERATURES[best]))
        right = np.array([mean.argmax() for mean in _means(scores, float(TEMPERATURES[best]))]) == labels
        balanced = float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
        told = {"validation_accuracy": float(right.mean()), "balanced_accuracy": balanced, "temperature": float(TEMPERATURES[best])}
        order, noticed = self._order(turn)
        told |= {"validation_noticed": noticed, "class_loss": losses[best]}
        return {**told, "validation": losses[best] + self.own.disorder * order}

    def _order(self, turn: Turn) -> tuple[float, float]:
        """Loss in nats of the kinds of disorder, and how often they are told: each kind of the first window of each validation piece."""
        draw = np.random.Generator(np.random.Philox(key=[self.settings.seed, 2**33]))
        losses, hits = [], []
        for notes in self.held_out[1] if self.own.disorder else ():
            turn.pause()
            cells = np.stack([roll_windows.cells(disordered(notes[0], kind, draw)) for kind in KINDS])
            scores = turn.network(torch.from_numpy(cells).to(turn.device).float())[2].float().cpu()
            losses.append(float(F.cross_entropy(scores, torch.tensor(KINDS))))
            hits.append(float((scores.argmax(1) == torch.tensor(KINDS)).float().mean()))
        return (float(np.mean(losses)), float(np.mean(hits))) if losses else (0.0, 1.0)

    def _settle(self, turn: Turn) -> None:
        """Give the normalisations the statistics of music in order, all classes alike, by the weights as they are."""
        norms = [(layer, layer.momentum) for layer in turn.network.modules() if isinstance(layer, BatchNorm)]
        plain = replace(self.settings, balance=1.0, classifier=replace(self.own, disorder=0.0))
        for layer, _ in norms:
            layer.reset_running_stats()
            layer.momentum = None  # torch's word for a plain mean over all that is seen
            layer.train()  # they alone: what dropout does to a spread is not met in use
        for number in range(SETTLING if norms else 0):
            turn.pause()
            turn.network(torch.from_numpy(Classifying(self.rolls, plain).batch(2**32 + number)[0]).to(turn.device).float())
        turn.network.eval()
        for layer, momentum in norms:
            layer.momentum = momentum


def windows(rolls: Rolls, place: int, most: int) -> list[Notes]:
    """The notes of the windows of a piece, as in use."""
    notes = rolls.notes(place)
    return [roll_windows.cut(notes, start) for start in roll_windows.starts(rolls.lines(place), most)]


def varied(notes: Notes, thin: float, lengths: float, draw: np.random.Generator) -> Notes:
    """The notes of a window, some left out, all of them held longer or shorter; onsets stay.

    Args:
        notes: Of a window.
        thin: Largest share that is left out, 0 to 1.
        lengths: Largest change of their length, as a share.
        draw: What chance is drawn from.
    """
    kept = np.array(notes[draw.random(len(notes)) >= draw.random() * thin])
    factor = 1 + lengths * (2 * draw.random() - 1)
    kept["end"] = np.minimum(kept["start"] + np.maximum(np.rint((kept["end"] - kept["start"]) * factor), 1), WINDOW)
    return kept


def disordered(notes: Notes, kind: int, draw: np.random.Generator) -> Notes:
    """The notes of a window with its bars, its pitches or its onsets shuffled, or as they are.

    Args:
        notes: Of a window.
        kind: IN_ORDER, BARS, PITCHES or ONSETS.
        draw: What chance is drawn from.
    """
    out = np.array(notes)
    if kind == PITCHES:
        out["pitch"] = draw.permutation(out["pitch"])
    elif kind == ONSETS:
        lasts = out["end"] - out["start"]
        end = int(out["end"].max(initial=1))
        out["start"] = draw.integers(0, end, len(out))
        out["end"] = np.minimum(out["start"] + lasts, WINDOW)
    elif kind == BARS:
        new = draw.permutation(max(1, -(-int(out["end"].max(initial=1)) // BAR)))
        bar = out["start"] // BAR
        lasts = np.minimum(out["end"], (bar + 1) * BAR) - out["start"]
        out["start"] += (new[bar] - bar).astype(np.int32) * BAR
        out["end"] = out["start"] + lasts
    return out


def likelihood(scores: list[NDArray[np.float32]], labels: NDArray[np.int64], temperature: float) -> float:
    """Negative log likelihood of the labels in nats, pieces averaged over their windows, every class counting the same.

    Args:
        scores: Logits (windows, classes) of every piece.
        labels: Of every piece.
        temperature: What logits are divided by.
    """
    given = np.array([mean[label] for mean, label in zip(_means(scores, temperature), labels, strict=True)])
    losses = -np.log(np.maximum(given, 1e-12))
    return float(np.mean([losses[labels == label].mean() for label in np.unique(labels)]))


def _means(scores: list[NDArray[np.float32]], temperature: float) -> list[NDArray[np.float64]]:
    """The probabilities of every piece."""
    out = []
    for rows in scores:
        powers = np.exp((rows - rows.max(axis=1, keepdims=True)).astype(float) / temperature)
        out.append((powers / powers.sum(axis=1, keepdims=True)).mean(axis=0))
    return out
