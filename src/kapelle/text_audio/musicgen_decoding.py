"""The token loop of MusicGen: from conditions to codes, one step of all codebooks at a time.

Takes the language model of transformers, conditions and the codes so far; gives codes (K, T). Codes are delayed by a
`patterns.Pattern`; what the prompt says and what it does not is played against each other (classifier-free guidance); ids are drawn on
the CPU with a generator of their own, so that a seed means the same on every device. It knows no text and no sound.

Source: J. Copet et al., "Simple and Controllable Music Generation", 2023; J. Ho, T. Salimans, "Classifier-Free Diffusion Guidance", 2022.
Known difference from `generate` of transformers: none in the codes (a test holds them equal, drawn and greedy); ours reports and can be
stopped at each step, keeps the global random state as it was, and goes on from codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle import chance

if TYPE_CHECKING:
    from kapelle.text_audio.patterns import Codes, Pattern

UNKNOWN = -1
"""Stands where a code is still to be drawn."""


@dataclass(frozen=True)
class Conditions:
    """What the model listens to.

    Args:
        states: Of shape (R, L, D): one row without guidance, else two, the second saying what to keep away from.
        mask: Of shape (R, L), 0 where a row is padding; None: nothing is.
        prefix: Whether they stand before the codes, as in the melody models, and not in a cross-attention.
    """

    states: torch.Tensor
    mask: torch.Tensor | None = None
    prefix: bool = False


@dataclass(frozen=True)
class Sampling:
    """How ids are drawn; the meaning is that of `SoundRequest`.

    Args:
        guidance: 1 for none.
        temperature: Above 0.
        top_k: 0: all.
        top_p: 0 or 1: all.
    """

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 0.0


class Stepper:
    """A language model with its memory: `step` takes codes and gives the logits of the next.

    Args:
        causal: `MusicgenForCausalLM`, or the same of the melody models.
        conditions: What it listens to.
    """

    def __init__(self, causal: Any, conditions: Conditions) -> None:
        from transformers import DynamicCache, EncoderDecoderCache

        self._causal = causal
        self._conditions = conditions
        self._cache: Any = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self._begun = False

    def step(self, codes: Codes) -> torch.Tensor:
        """Logits (R, K, V) after the codes (K, n) that follow all codes given before, float32."""
        ids = torch.from_numpy(codes).to(self._conditions.states.device)
        n_rows = len(self._conditions.states)
        heard: dict[str, Any] = {"encoder_hidden_states": self._conditions.states, "encoder_attention_mask": self._conditions.mask}
        if self._conditions.prefix and self._begun:
            heard = {}
        with chance.kept():  # the library draws at every layer, for a dropout that only training uses
            hidden = self._causal.model(ids.repeat(n_rows, 1), past_key_values=self._cache, use_cache=True, **heard).last_hidden_state
        self._begun = True
        last = hidden[:, -1]
        return torch.stack([head(last) for head in self._causal.lm_heads], dim=1).float()


def draw_codes(
    stepper: Stepper, given: Codes, n_moments: int, pattern: Pattern, pick: Callable[[torch.Tensor], Codes], tick: Callable[[], None]
) -> Codes:
    """Codes that begin with those given.

    Args:
        stepper: Fresh.
        given: Codes (K, P) to go on from, P from 0 to T.
        n_moments: T, how many are wanted with those given.
        pattern: Of the model.
        pick: From logits (R, K, V) to ids (K,).
        tick: Called after each step; `n_steps` says how often.

    Returns:
        Shape (K, T).
    """
    known = np.full((pattern.n_codebooks, n_moments), UNKNOWN, dtype=np.int64)
    known[:, : given.shape[1]] = given
    sequence = pattern.interleave(known)
    first = sequence.shape[1] - n_steps(pattern, given.shape[1], n_moments)
    ready = sequence[:, :first]
    for step in range(first, sequence.shape[1]):
        ids = pick(stepper.step(ready))
        column = sequence[:, step]
        sequence[:, step] = np.where(column == UNKNOWN, ids, column)
        ready = sequence[:, step : step + 1]
        tick()
    return pattern.undo(sequence, n_moments)


def n_steps(pattern: Pattern, n_given: int, n_moments: int) -> int:
    """Steps that `draw_codes` takes: from the first with an unknown code to the end."""
    if n_given >= n_moments:
        return 0
    return pattern.n_steps(n_moments) - int(pattern.steps(n_moments)[:, n_given:].min())


def picker(sampling: Sampling, generator: torch.Generator, check: Callable[[torch.Tensor], None]) -> Callable[[torch.Tensor], Codes]:
    """A function from logits (R, K, V) to one id drawn for each codebook, (K,); `check` raises if they are not finite."""

    def pick(logits: torch.Tensor) -> Codes:
        scores = guided(logits.cpu(), sampling.guidance)
        check(scores)
        weights = keep_likely(scores / sampling.temperature, sampling.top_k, sampling.top_p).softmax(dim=-1)
        drawn: Codes = torch.multinomial(weights, 1, generator=generator)[:, 0].numpy()
        return drawn

    return pick


def guided(logits: torch.Tensor, guidance: float) -> torch.Tensor:
    """Logits (K, V) of rows (R, K, V): the second row plus `guidance` times what the first has more; the only row if there is one."""
    if len(logits) == 1:
        return logits[0]
    with_prompt, without = logits[0], logits[1]
    return without + (with_prompt - without) * guidance


def keep_likely(scores: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Scores (K, V) with minus infinity for ids beyond the `top_k` likeliest, and then beyond the fewest with probability `top_p`."""
    if 0 < top_k < scores.shape[-1]:
        least = scores.topk(top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if 0.0 < top_p < 1.0:
        ordered, places = scores.sort(dim=-1, descending=True)
        weights = ordered.softmax(dim=-1)
        before = weights.cumsum(dim=-1) - weights  # the probability of all that are likelier: 0 for the first, which always stays
        unlikely: torch.Tensor = (before >= top_p).gather(-1, places.argsort(dim=-1))
        scores = scores.masked_fill(unlikely, -torch.inf)
    return scores
