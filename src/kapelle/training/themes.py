"""The objective of the Theme Transformer: the next id of a song, given the theme of that song and where the theme sounds.

Takes theme shards, gives steps over windows of songs. Every window of the training part is met once an epoch, in an order, with shifts
in time and pitch that follow from the seed: a resumed run, and one of more processes, does the same. What the encoder hears is the first
region of the song, moved by as many semitones as the window. It knows no music: moving a pitch is adding to its id.

Source: Shih et al. 2022, "Theme Transformer: Symbolic Music Generation with Theme-Conditioned Transformer", and its released code (MIT).
Known differences: validation is without transposition, so that its figure does not wander; with ``excerpts`` a window may begin anywhere,
not only at every 512th id; the loss is told apart for ids inside and outside the theme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from kapelle.errors import UsageError
from kapelle.training.objectives import adamw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.data.theme_shards import ThemeShards
    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import TrainingSection

Logits = Callable[[Any, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(network, ids (B, T), labels (B, T), themes (B, S)) -> logits (B, T, V)."""

AT_ONCE = 8
"""Windows scored in one pass."""

NEAR = 128
"""Theme regions among which those of one batch are drawn: of nearly one length, so that little is padding."""


@dataclass(frozen=True)
class Batch:
    """Windows of one step.

    Args:
        ids: (B, T + 1), padded at the end.
        labels: (B, T + 1) 0 outside a theme, 1, 2, 3 ... inside.
        theme: (B, S) the themes of the songs, padded at the end.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    theme: NDArray[np.int64]

    def rows(self, index: slice | NDArray[np.int64]) -> Batch:
        """Some of the windows."""
        return Batch(self.ids[index], self.labels[index], self.theme[index])


class Windows:
    """The windows of theme shards as batches.

    Args:
        shards: What to read.
        settings: The recipe's [training]: seed, batch_size, semitones, excerpts.
    """

    def __init__(self, shards: ThemeShards, settings: TrainingSection) -> None:
        self.shards, self.settings = shards, settings
        info = shards.info
        self.length, self.pad, self.vocabulary = int(info["context_len"]), int(info["pad"]), int(info["vocabulary"])
        self.train, self.validation = shards.of("train"), shards.of("validation")
        self.steps_per_epoch = max(1, len(self.train) // settings.batch_size)
        self.is_pitch = np.zeros(self.vocabulary, np.bool_)
        for first, end in info["pitch_ids"]:
            self.is_pitch[first:end] = True

    def batch(self, step: int) -> Batch:
        """The batch of a step: a piece of the shuffled order of its epoch, each window moved in time and pitch by chance; or an echo."""
        random = np.random.Generator(np.random.Philox(key=[self.settings.seed + 1_000_003, step]))
        size = self.settings.batch_size
        if step < self.settings.themes.echo_steps or random.random() < self.settings.themes.echo_share:
            return self.echo(size, random)
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch])).permutation(self.train)
        return self.read(order[place * size : (place + 1) * size], random)

    def read(self, chosen: NDArray[np.int64], random: np.random.Generator | None = None) -> Batch:
        """Some windows, as they are or, with `random`, moved."""
        rows = []
        for window in self.shards.windows[chosen]:
            song, start = self.shards.songs[int(window["song"])], int(window["start"])
            start = start if random is None else self._start(song, start, random)
            rows.append((song, start, min(start + self.length + 1, int(song["stop"]))))
        return self._batch(rows, self.length + 1, random)

    def echo(self, size: int, random: np.random.Generator) -> Batch:
        """Theme regions of songs for training and nothing else, of about one length, as many as are as long as `size` windows together."""
        first = int(random.integers(max(1, len(self.regions) - NEAR + 1)))
        near = self.regions[first : first + NEAR]
        n_rows = max(1, round(size * self.length / float((near[:, 2] - near[:, 1]).mean())))
        chosen = near[random.permutation(len(near))[:n_rows]].tolist()
        rows = [(self.shards.songs[song], start, min(stop, start + self.length + 1)) for song, start, stop in chosen]
        return self._batch(rows, max(stop - start for _, start, stop in rows), random)

    @cached_property
    def regions(self) -> NDArray[np.int64]:
        """(R, 3) song, start and stop of every theme region of the songs for training, first and last id included; by length."""
        found = []
        for number in self.shards.songs_of("train").tolist():
            song = self.shards.songs[number]
            first = int(song["start"])
            labels = self.shards.labels[first : int(song["stop"])]
            starts = first + np.flatnonzero(labels == 1)
            stops = first + 1 + np.flatnonzero((labels[:-1] > 0) & (labels[1:] == 0))
            found += [(number, start, stop + 1) for start, stop in zip(starts.tolist(), stops.tolist(), strict=False)]
        table = np.array(found, np.int64).reshape(-1, 3)
        return table[np.argsort(table[:, 2] - table[:, 1], kind="stable")]

    def _batch(self, rows: Sequence[tuple[Any, int, int]], width: int, random: np.random.Generator | None) -> Batch:
        """Stretches (song, start, stop) of the ids, padded to `width`, with the themes of their songs; with `random`, moved in pitch."""
        shards = self.shards
        ids = np.full((len(rows), width), self.pad, np.int64)
        labels = np.zeros_like(ids)
        themes = [shards.ids[song["theme_start"] : song["theme_stop"]].astype(np.int64) for song, _, _ in rows]
        theme = np.full((len(rows), max(map(len, themes), default=1)), self.pad, np.int64)
        for i, (song, start, stop) in enumerate(rows):
            shift = 0 if random is None else self._shift(song, random)
            ids[i, : stop - start] = self._moved(shards.ids[start:stop].astype(np.int64), shift)
            labels[i, : stop - start] = shards.labels[start:stop]
            theme[i, : len(themes[i])] = self._moved(themes[i], shift)
        return Batch(ids, labels, theme)

    def _start(self, song: Any, start: int, random: np.random.Generator) -> int:
        """Where a window begins: where it does, or, for the share of `excerpts`, anywhere up to half a window off."""
        if random.random() >= self.settings.excerpts:
            return start
        half, first = self.length // 2, int(song["start"])
        last = max(first, int(song["stop"]) - self.length - 1)
        return int(np.clip(start + random.integers(-half, half + 1), first, last))

    def _shift(self, song: Any, random: np.random.Generator) -> int:
        """Semitones, uniform over all that the recipe and the pitches of the song allow."""
        most = self.settings.semitones
        return int(random.integers(max(-most, int(song["down"])), min(most, int(song["up"])) + 1)) if most else 0

    def _moved(self, ids: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
        return ids + shift * self.is_pitch[ids] if shift else ids


@dataclass
class Themes:
    """Cross-entropy of the next id of a song whose theme is known.

    Args:
        shards: What to learn.
        settings: The recipe's [training].
        logits: (network, ids (B, T), labels (B, T), themes (B, S)) -> logits (B, T, V).
    """

    shards: ThemeShards
    settings: TrainingSection
    logits: Logits

    def __post_init__(self) -> None:
        self.windows = Windows(self.shards, self.settings)
        self.length, self.pad = self.windows.length, self.windows.pad
        self.steps_per_epoch = self.windows.steps_per_epoch
        self.sizes: Mapping[str, Any] = {"vocabulary": self.windows.vocabulary}
        self.is_note = np.zeros(self.windows.vocabulary, np.bool_)
        for first, end in self.shards.info["note_ids"]:
            self.is_note[first:end] = True
        if not len(self.windows.train):
            raise UsageError("no song for training holds a theme", hint="prepare the shards from more songs")

    def optimizers(self, network: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """One AdamW, Adam where the recipe has no weight decay; the encoder may have a lower rate."""
        made = adamw(network, self.settings)
        rate = self.settings.themes.encoder_rate
        slow = {id(parameter) for name, parameter in network.named_parameters() if name.startswith("encoder.")}
        if rate == 1.0 or not slow:
            return {"adamw": made}
        groups = [
            {**group, "params": [p for p in group["params"] if (id(p) in slow) == slowly], "lr": share * group["lr"]}
            for group in made.param_groups
            for slowly, share in ((False, 1.0), (True, rate))
        ]
        return {"adamw": torch.optim.AdamW(groups)}

    def step(self, turn: Turn) -> Figures:
        """One update by the mean over all ids of the step, however the windows are dealt to processes and micro-batches."""
        whole = self.windows.batch(turn.step)
        n_targets = int((whole.ids[:, 1:] != self.pad).sum())
        mine = whole.rows(np.arange(turn.rank, len(whole.ids), turn.world))
        total, hits, n_mine = torch.zeros((), device=turn.device), torch.zeros((), device=turn.device), len(mine.ids)
        size = self.settings.micro_batch or max(1, n_mine)
        for first in range(0, n_mine, size):
            turn.pause()
            part = mine.rows(slice(first, first + size))
            losses, right, _ = self._losses(turn, part)
            loss = losses.sum() / n_targets
            extra = self._extra(turn, part, n_targets / len(whole.ids))
            turn.backward(loss + extra * (len(part.ids) / len(whole.ids)))
            total += loss.detach()
            hits += right.sum() / n_targets
        norm = turn.update("adamw")
        tokens = float((mine.ids[:, 1:] != self.pad).sum())
        return {"loss": total, "accuracy": hits, "tokens": tokens, "gradient_norm": norm / turn.world}

    def _losses(
        self, turn: Turn, part: Batch, theme: NDArray[np.int64] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, NDArray[np.int64]]:
        """Loss (B, T) of every target in nats, 0 for padding; whether it was the likeliest; the targets."""
        ids, labels = (torch.from_numpy(array).to(turn.device) for array in (part.ids, part.labels))
        heard = torch.from_numpy(part.theme if theme is None else theme).to(turn.device)
        scores = self.logits(turn.network, ids[:, :-1], labels[:, :-1], heard)
        wanted = ids[:, 1:]
        losses = F.cross_entropy(scores.float().flatten(0, 1), wanted.flatten(), ignore_index=self.pad, reduction="none")
        right = (scores.detach().argmax(dim=2) == wanted) & (wanted != self.pad)
        return losses.view(wanted.shape), right, part.ids[:, 1:]

    def _extra(self, turn: Turn, part: Batch, n_ids: float) -> torch.Tensor | float:
        """What a network of another kind adds to the mean loss, as the mean over the windows of `part`.

        Args:
            turn: Of the step.
            part: The windows just read, a share of those of the step.
            n_ids: Ids to foretell in a window, on average over the whole step: the same however it is cut.
        """
        return 0.0

    @torch.no_grad()
    def validate(self, turn: Turn) -> dict[str, float]:
        """Bits per note and per id on the validation part, and inside themes alone; there also with the themes of other songs instead.

        ``theme_gain`` is what hearing the right theme saves, in bits per id inside themes, against hearing that of another song: near 0,
        the network does not listen.
        """
        found = self.windows.validation
        limit = self.settings.validation_blocks
        chosen = found[np.linspace(0, len(found) - 1, limit).astype(int)] if 0 < limit < len(found) else found
        if not len(chosen):
            return {}
        sums = np.zeros(6)  # bits, ids, notes, hits; bits and ids inside themes
        wrong_bits = wrong_ids = 0.0
        for first in range(0, len(chosen), AT_ONCE):
            turn.pause()
            part = self.windows.read(chosen[first : first + AT_ONCE])
            losses, right, wanted = self._losses(turn, part)
            bits, hits = losses.double().cpu().numpy() / math.log(2), right.cpu().numpy()
            inside = (part.labels[:, 1:] > 0) & (wanted != self.pad)
            sums += [bits.sum(), (wanted != self.pad).sum(), self.is_note[wanted].sum(), hits.sum(), bits[inside].sum(), inside.sum()]
            others = self._others(chosen[first : first + AT_ONCE])
            kept = others >= 0
            strangers = self.windows.read(np.where(kept, others, chosen[first : first + AT_ONCE])).theme
            wrong, _, _ = self._losses(turn, part, strangers)
            wrong_bits += float((wrong.double().cpu().numpy() / math.log(2))[inside & kept[:, None]].sum())
            wrong_ids += float((inside & kept[:, None]).sum())
        return self._figures(sums, wrong_bits, wrong_ids)

    def _others(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """For every window one of the validation part that is of another song, -1 where there is none."""
        songs = self.shards.windows["song"]
        pool = self.windows.validation
        out = np.full(len(chosen), -1, np.int64)
        for i, window in enumerate(chosen):
            strangers = pool[songs[pool] != songs[window]]
            if len(strangers):
                out[i] = strangers[(int(window) * 7919) % len(strangers)]
        return out

    def _figures(self, sums: NDArray[np.float64], wrong_bits: float, wrong_ids: float) -> dict[str, float]:
        bits, ids, notes, hits, theme_bits, theme_ids = (float(value) for value in sums)
        per_id = bits / max(ids, 1.0)
        told = {
            "bits_per_note": bits / max(notes, 1.0),
            "bits_per_token": per_id,
            "validation_loss": per_id * math.log(2),
            "validation_accuracy": hits / max(ids, 1.0),
        }
        if theme_ids:
            told["theme_bits_per_token"] = theme_bits / theme_ids
        if wrong_ids:
            told["theme_gain"] = wrong_bits / wrong_ids - theme_bits / theme_ids
        return {**told, "validation": per_id}
