"""What is shown while a band is trained: pictures and sound of phrases from latents that never change, at every validation.

Takes a recipe and its shards, gives callbacks for the training loop; a trained model of another kind shows nothing. With the same latents
at every stage it can be seen and heard how a generator comes to music: noise, blocks, rhythm, chords. The noise at the very beginning
may be seen alone: of hundreds of notes at once no sound is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kapelle.training.fit import Moment
    from kapelle.training.recipe import Recipe

N_PICTURED, N_SOUNDED = 8, 4
"""Phrases in the picture, and those of them that are heard one after the other."""

SAMPLE_RATE = 22_050


def callbacks(recipe: Path, overrides: Sequence[str], data: Path) -> tuple[Callable[[Moment], None], ...]:
    """What to call after every validation of a training of `recipe` on the shards `data`."""
    from kapelle.training.recipe import read

    held = read(recipe, overrides)
    return (_band(held, data),) if held.objective == "adversarial" else ()


def _band(recipe: Recipe, data: Path) -> Callable[[Moment], None]:
    """What shows phrases: the same latents, and to a conditional band the same given tracks, at every call."""
    from kapelle import models
    from kapelle.data import phrase_shards
    from kapelle.score.roll import Form, Roll, to_score
    from kapelle.training.adversarial import Adversarial

    phrases = phrase_shards.read(data)
    objective = Adversarial(phrases, recipe.training, models.family(recipe.family), recipe.model)
    form = Form(**phrases.info["form"])

    def show(moment: Moment) -> None:
        """A picture and a sound to every tracker; no sound of what is too dense to be played."""
        from kapelle.engraving.mosaic import mosaic
        from kapelle.render import render

        network: Any = moment.network
        cells = objective.made(network.averaged, N_PICTURED, moment.device)
        for tracker in moment.trackers:
            tracker.picture(moment.step, "phrases", mosaic(cells, phrases.tracks))
        heard = np.concatenate(list(cells[:N_SOUNDED]), axis=1)  # (M, 4 phrases of bars, S, P)
        try:
            sound = render(to_score(Roll(heard, phrases.tracks, form)), "sine", sample_rate=SAMPLE_RATE)
        except UsageError:
            return
        for tracker in moment.trackers:
            tracker.sound(moment.step, "phrases", sound.samples, sound.sample_rate)

    return show
