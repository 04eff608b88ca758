"""Training a generator against a critic: Wasserstein distance with a gradient penalty, on phrases of piano-roll.

Takes shards of phrases and a network with the parts ``generator``, ``critic`` and ``averaged``. In every step the critic is updated a
number of times, on real phrases, made ones and mixtures of both; then the generator once; then the averaged generator follows it by a
little. It is the averaged one that is validated, shown and exported. What a network of several critics says of a track is the business
of that track alone.

A song that lacks a track teaches nothing about it: in phrases of such a song that track is blank for the critic, in real and in made
phrases. A track that no song has is silent in all of them, and so it becomes in what is made. A conditional network is given one track of
each real phrase, drawn anew every time, and makes the others.

Validation compares the five MuseGAN metrics of made phrases with those of held-out ones of all tracks (or of the most that a song has:
tracks that it lacks are then left out of made phrases too), in bootstrap deviations; the mean over all is "distance". Of a conditional
network the given tracks stand among the made ones. "variety" tells a generator that makes one phrase whatever the latents from one that
does not: it is as much as held-out phrases differ where it is 1. "validation" is the distance, or more where variety is under a half.

Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs"; Dong et al. 2018, "MuseGAN"; its released code (MIT).
Known differences: the penalty's slope is per critic where there are several; the averaged generator; validation by metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from kapelle.config import build
from kapelle.errors import ShardError
from kapelle.metrics import musegan
from kapelle.training.objectives import adamw

if TYPE_CHECKING:
    from kapelle.data.phrase_shards import Phrases
    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import AdversarialSection, TrainingSection

Flags = NDArray[np.bool_]

SLOPE_EPSILON = 1e-8
"""Below the root of the slope, so that its gradient is finite where the slope is 0."""

MAKE_AT_ONCE = 64
"""Phrases in one batch of validation."""

ENOUGH_VARIETY = 0.5
"""With less, a set of phrases counts as so much farther away than it is."""

N_REFERENCE = 4096
"""Held-out phrases compared with, at most."""


@dataclass(frozen=True)
class Batch:
    """Real phrases, as the critic sees them.

    Args:
        rolls: (B, M, L, S, P) in the network's range, tracks that the song lacks all off.
        known: (B, M, 1, 1, 1) true where the song has the track.
        given: (B, M, 1, 1, 1) true for the track that a conditional network is given; None for others.
    """

    rolls: torch.Tensor
    known: torch.Tensor
    given: torch.Tensor | None

    def shown(self, made: torch.Tensor, off: float) -> torch.Tensor:
        """Made phrases as the critic sees them: given tracks in their places, lacking tracks off."""
        whole = made if self.given is None else torch.where(self.given, self.rolls, made)
        return torch.where(self.known, whole, off)

    def lead(self, off: float) -> torch.Tensor | None:
        """What the generator is given: (B, M, L, S, P), all off but the given track."""
        return None if self.given is None else torch.where(self.given, self.rolls, off)


@dataclass
class Adversarial:
    """WGAN-GP.

    Args:
        phrases: What to learn.
        settings: The recipe's [training].
        family: Module of the network; see `kapelle.models`.
        model: The recipe's [model].
    """

    phrases: Phrases
    settings: TrainingSection
    family: Any
    model: Mapping[str, Any]
    config: Any = field(init=False)

    def __post_init__(self) -> None:
        self.sizes: Mapping[str, Any] = dict(self.phrases.sizes)
        self.config = build(self.family.Config, {**self.model, **self.sizes}, "recipe: model")
        self.rules: AdversarialSection = self.settings.adversarial
        self.conditional = bool(self.config.conditional)
        self.shapes: Mapping[str, tuple[int, ...]] = self.family.latents(self.config)
        silence = self.family.real(self.config, torch.zeros(1, *self.phrases.sizes.values(), dtype=torch.bool))
        self.off = float(silence.flatten()[0])
        self.items = len(silence)  # that the network makes of a phrase: 1, or its bars
        self.n_items = self.items * self.settings.batch_size
        self.training = self.phrases.of("train")
        if not len(self.training):
            raise ShardError("the shards in {path} hold no phrases to train on", path=self.phrases.path, hint="prepare them again")
        self.nobodys = ~self.phrases.present(self.training).any(axis=0)  # (M,) tracks that no song has
        self.steps_per_epoch = max(1, len(self.training) // self.settings.batch_size)
        self.pitched = np.array([track != "drums" for track in self.phrases.tracks])
        self._weights = _balanced(self.phrases.phrases["source"][self.training], self.settings.balance)

    def optimizers(self, network: Any) -> dict[str, torch.optim.Optimizer]:
        """One AdamW for each side; without decay it is the Adam of the papers."""
        slower = replace(self.settings, learning_rate=self.settings.learning_rate * self.rules.generator_rate)
        return {"critic": adamw(network.critic, self.settings), "generator": adamw(network.generator, slower)}

    def step(self, turn: Turn) -> Figures:
        """Updates of the critic, one of the generator, one of the average."""
        opening = turn.step < self.rules.opening_steps and self.rules.opening_critic_steps
        n_turns = opening or self.rules.critic_steps
        losses, slopes = [], []
        for number in range(n_turns):
            loss, slope = self._update_critic(turn, number)
            losses.append(loss)
            slopes.append(slope)
        generator_loss = self._update_generator(turn, n_turns)
        self._average(turn.network, turn.step)
        mean = {"loss": torch.stack(losses).mean(), "slope": torch.stack(slopes).mean()}
        seen = float(self.settings.batch_size * n_turns) / turn.world
        return {**mean, "generator_loss": generator_loss, "tokens": seen}

    def validate(self, turn: Turn) -> dict[str, float]:
        """Every metric of made phrases, the mean of their distances from held-out ones in deviations, and the variety."""
        made = self.made(turn.network.averaged, self.rules.validation_phrases, turn.device)
        compared_with = np.resize(self._reference_places, self.rules.validation_phrases)
        known = (self.phrases.present(compared_with) | self.nobodys).repeat(self.items, axis=0)
        return self.judged(made & known[:, :, None, None, None])

    def judged(self, made: Flags) -> dict[str, float]:
        """The same of any phrases (N, M, L, S, P)."""
        found = musegan.measure(made, self.phrases.tracks)
        apart = musegan.distance(found, *self._reference)
        told = {name: value for name, value in found.items() if np.isfinite(value)}
        variety = _variety(made) / max(self._reference_variety, 1e-9)
        worse = max(1.0, ENOUGH_VARIETY / max(variety, 1e-3))  # one good phrase for all latents is no good generator
        return {**told, "variety": variety, "distance": apart["mean"], "validation": apart["mean"] * worse}

    # --- data -----------------------------------------------------------------------------------------------------------

    def batch(self, step: int, number: int, turn: Turn) -> Batch:
        """This process's share of the phrases of the update `number` within a step."""
        draw = np.random.Generator(np.random.Philox(key=[self.settings.seed, step * 1_000 + number]))
        places = self.training[draw.choice(len(self.training), self.settings.batch_size, p=self._weights)]
        rows = self.phrases.phrases[places]
        low, high = (np.clip(rows[name], -self.settings.semitones, self.settings.semitones) for name in ("down", "up"))
        shifts = draw.integers(low, high + 1)
        present = self.phrases.present(places)
        known, given = present | self.nobodys, _one_of(present, draw) if self.conditional else None
        mine = slice(turn.rank, None, turn.world)
        return self._batch(self.phrases.cells(places[mine], shifts[mine]), known[mine], None if given is None else given[mine], turn.device)

    def _batch(self, cells: Flags, known: Flags, given: Flags | None, device: torch.device) -> Batch:
        """Cells (B, M, L, S, P) and flags (B, M) as the network takes them; a network of single bars makes L items of each phrase."""
        rolls = self.family.real(self.config, torch.from_numpy(cells).to(device))
        return Batch(rolls, _flags(known, self.items, device), None if given is None else _flags(given, self.items, device))

    def latents(self, n: int, draw: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        """Standard normal latents of `n` phrases by name."""
        return {name: torch.randn(n, *shape, generator=draw).to(device) for name, shape in self.shapes.items()}

    # --- the two sides --------------------------------------------------------------------------------------------------

    def _update_critic(self, turn: Turn, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; this process's share of the loss and of the mean slope."""
        network, n = turn.network, self.n_items
        batch, draw = self.batch(turn.step, number, turn), self._draw(turn, number)
        with torch.no_grad():
            made = network.generator(self.latents(len(batch.rolls), draw, turn.device), batch.lead(self.off))
        made = batch.shown(made, self.off)
        mix = torch.rand(len(made), 1, 1, 1, 1, generator=draw).to(turn.device)
        between = (mix * batch.rolls + (1 - mix) * made).requires_grad_()
        slope = _slopes(network.critic(between), between)  # (B, K)
        weight = _weights_of_critics(batch.known, slope.shape[1])
        gap = (weight * (network.critic(made) - network.critic(batch.rolls))).sum() / n
        penalty = (weight * (slope - 1) ** 2).sum() / n
        turn.backward(gap + self.rules.gradient_penalty * penalty)
        turn.update("critic")
        return gap.detach() + self.rules.gradient_penalty * penalty.detach(), (weight * slope.detach()).sum() / n / max(1, slope.shape[1])

    def _update_generator(self, turn: Turn, number: int) -> torch.Tensor:
        """One update; this process's share of the loss."""
        network = turn.network
        network.critic.requires_grad_(False)  # its gradients would be thrown away
        batch = self.batch(turn.step, number, turn)
        made = network.generator(self.latents(len(batch.rolls), self._draw(turn, number), turn.device), batch.lead(self.off))
        told = network.critic(batch.shown(made, self.off))
        loss: torch.Tensor = -(_weights_of_critics(batch.known, told.shape[1]) * told).sum() / self.n_items + self._extra(turn, made)
        turn.backward(loss)
        network.critic.requires_grad_(True)
        turn.update("generator")
        return loss.detach()

    def _extra(self, turn: Turn, made: torch.Tensor) -> torch.Tensor | float:
        """What an objective with other judges beside the critic adds to the generator's loss; `made` is as the generator made it."""
        return 0.0

    @torch.no_grad()
    def _average(self, network: Any, step: int) -> None:
        """Move the averaged generator; early on it follows faster, so that it does not remember its first random weights."""
        stay = min(self.rules.average, (1 + step) / (10 + step)) if self.rules.average else 0.0
        own, followed = network.averaged.state_dict(), network.generator.state_dict()
        for name, value in own.items():
            if value.is_floating_point():
                value.lerp_(followed[name], 1 - stay)
            else:
                value.copy_(followed[name])

    def _draw(self, turn: Turn, number: int) -> torch.Generator:
        """Latents and mixtures: a function of seed, step, update and process."""
        return torch.Generator().manual_seed(((self.settings.seed * 1_000_003 + turn.step) * 1_000 + number) * 101 + turn.rank)

    # --- judging --------------------------------------------------------------------------------------------------------

    def made(self, generator: Any, n: int, device: torch.device) -> Flags:
        """(n, M, L, S, P) phrases, or n L single bars, by a generator from latents that never change.

        To a conditional one tracks of held-out phrases are given.
        """
        draw = torch.Generator().manual_seed(self.settings.seed + 1)
        places = np.resize(self._reference_places, n)
        given = _one_of(self.phrases.present(places), np.random.Generator(np.random.Philox(key=[self.settings.seed, 1])))
        out = []
        for start in range(0, n, MAKE_AT_ONCE):
            here = slice(start, min(n, start + MAKE_AT_ONCE))
            batch = self._batch(
                self.phrases.cells(places[here]), np.ones_like(given[here]), given[here] if self.conditional else None, device
            )
            with torch.no_grad():
                rolls = generator(self.latents(len(batch.rolls), draw, device), batch.lead(self.off))
            out.append((self.family.scores(self.config, batch.shown(rolls, self.off)) > 0).cpu().numpy())
        return np.concatenate(out)

    @cached_property
    def _reference_places(self) -> NDArray[np.int64]:
        """Held-out phrases of songs that have all tracks, or as many as any has; of the training part if there are none held out."""
        held_out = self.phrases.of("validation")
        places = held_out if len(held_out) else self.training
        n_present = self.phrases.present(places).sum(axis=1)
        whole: NDArray[np.int64] = places[n_present == n_present.max()]
        return whole[:: max(1, len(whole) // N_REFERENCE)][:N_REFERENCE]

    @cached_property
    def _reference_variety(self) -> float:
        return _variety(self.phrases.cells(self._reference_places))

    @cached_property
    def _reference(self) -> tuple[dict[str, float], dict[str, float]]:
        """Metrics of the held-out phrases, and their bootstrap deviations."""
        cells = self.phrases.cells(self._reference_places)
        return musegan.measure(cells, self.phrases.tracks), musegan.deviations(cells, self.phrases.tracks)


def _variety(cells: Flags) -> float:
    """How many cells differ between one phrase and the next, of those that sound in either; 0: all phrases are the same, 1: nothing is."""
    one, other = cells[:-1], cells[1:]
    return float((one ^ other).sum() / max(1, (one | other).sum()))


def _slopes(told: torch.Tensor, between: torch.Tensor) -> torch.Tensor:
    """(B, K) the length of the gradient of every critic's score (B, K) at `between` (B, M, L, S, P); several see one track each."""
    gradient = torch.autograd.grad(told.sum(), between, create_graph=True)[0]
    squares = gradient.square().flatten(2).sum(2)  # (B, M)
    return (SLOPE_EPSILON + (squares if told.shape[1] > 1 else squares.sum(1, keepdim=True))).sqrt()


def _weights_of_critics(known: torch.Tensor, n_critics: int) -> torch.Tensor:
    """(B, K) 1 where a critic has something to judge: always, or for one critic a track, where the song has the track."""
    flat = known.flatten(1).float()
    return flat if n_critics > 1 else torch.ones_like(flat[:, :1])


def _one_of(known: Flags, draw: np.random.Generator) -> Flags:
    """(B, M) true for one of the known tracks of every row."""
    chosen = np.where(known, draw.random(known.shape), -1).argmax(axis=1)
    out: Flags = np.eye(known.shape[1], dtype=bool)[chosen]
    return out


def _flags(rows: Flags, times: int, device: torch.device) -> torch.Tensor:
    """(B, M) as (B times, M, 1, 1, 1), each row repeated."""
    return torch.from_numpy(rows.repeat(times, axis=0)).to(device)[:, :, None, None, None]


def _balanced(sources: NDArray[np.integer], balance: float) -> NDArray[np.float64]:
    """(N,) chances of the phrases: with balance 1 every source is met equally often, with 0 as often as it has phrases."""
    counts = np.bincount(sources)
    chances = counts[sources] ** -float(balance)
    out: NDArray[np.float64] = chances / chances.sum()
    return out
