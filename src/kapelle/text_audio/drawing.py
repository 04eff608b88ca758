"""Sound after sound, each from a generator of its own; what all families of models share while they draw.

Takes a function that draws one sound; gives the sounds of a request, and tells how far it is (`Course`). What the networks give is looked
at: numbers that are none end the work, with what to do about it. It knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from kapelle.audio.waveform import Waveform
from kapelle.errors import CannotObey, Interrupted, UnreadableInput, UsageError
from kapelle.text_audio.libraries import guarded, quietly
from kapelle.text_audio.safe_files import REFETCH

if TYPE_CHECKING:
    from kapelle.progress import Report
    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.places import Place
    from kapelle.text_audio.request import SoundRequest

Drawn = npt.NDArray[np.float32]


@dataclass
class Course:
    """How far a request is: told at each step, and stopped there.

    Args:
        total: Steps of all sounds and candidates.
        progress: Told how many are done.
        cancelled: Asked before each.
    """

    total: int
    progress: Report
    cancelled: Callable[[], bool]
    done: int = field(default=0, init=False)
    n_sounds: int = field(default=0, init=False)

    def check(self) -> None:
        """Raise Interrupted if somebody wants it to stop."""
        if self.cancelled():
            raise Interrupted("stopped after {n} whole sounds", n=self.n_sounds, hint="what was made so far is kept")

    def step(self) -> None:
        """One step is done."""
        self.done += 1
        self.progress(self.done, self.total)
        self.check()


Draw = Callable[[torch.Generator, Course], Drawn]
"""Draws one sound, samples (F, C), from what the generator says, and tells the course each step."""


def draw_all(
    request: SoundRequest, model: SoundModel, place: Place, course: Course, draw: Draw, choose: Callable[[Sequence[Drawn]], int]
) -> Iterator[Waveform]:
    """The sounds of a request, as soon as each is ready.

    Sound i has a generator of its own, seeded with ``seed + i``; its candidates are drawn from it one after the other, so that the first
    candidate is the sound that is drawn without candidates.

    Args:
        request: What is asked for.
        model: Facts of the model.
        place: Where it runs.
        course: Of all steps.
        draw: Draws one sound of `request.n_frames` frames or more.
        choose: The place of the best among candidates; called if there are several.

    Raises:
        Interrupted: The course was stopped.
        NotEnoughMemory: It would not fit.
        CannotObey: The model gave numbers that are none.
    """
    n_frames = request.n_frames(model.sample_rate)
    course.check()
    for index in range(request.count):
        generator = torch.Generator("cpu").manual_seed(request.seed + index)
        with quietly(), guarded(place), torch.inference_mode():  # never over a yield: the caller is not to live in these
            drawn = [draw(generator, course)[:n_frames] for _ in range(request.candidates)]
            best = drawn[choose(drawn)] if len(drawn) > 1 else drawn[0]
        if best.shape != (n_frames, model.channels):
            raise UnreadableInput(
                "{model} gave samples of shape {found}, not {wanted}",
                model=model.name, found=best.shape, wanted=(n_frames, model.channels), hint=REFETCH,
            )  # fmt: skip
        course.n_sounds += 1
        yield Waveform(best, model.sample_rate)


def check_finite(numbers: torch.Tensor, place: Place) -> None:
    """Raise CannotObey if a number is NaN or infinite: nothing good comes after it."""
    if torch.isfinite(numbers).all():
        return
    dtype = str(place.dtype).removeprefix("torch.")
    hint = "take less guidance; if that does not help, fetch the model again" if dtype == "float32" else "take --dtype float32"
    raise CannotObey("the model left the range of {dtype}: it gave numbers that are none", dtype=dtype, hint=hint)


def check_length(what: str, text: str, tokenizer: Any, model: SoundModel) -> None:
    """Raise UsageError if a model would not read a text to its end."""
    with quietly():
        n_tokens = len(tokenizer(text).input_ids)
    if n_tokens > tokenizer.model_max_length:
        raise UsageError(
            "the {what} has {n} tokens; {model} reads {limit}",
            what=what, n=n_tokens, model=model.name, limit=tokenizer.model_max_length, hint="say it in fewer words",
        )  # fmt: skip


def guided(both: torch.Tensor, guidance: float) -> torch.Tensor:
    """What the network says of the prompt, drawn away from what it says of its contrary: rows 0 contrary, 1 prompt; float32."""
    against, wanted = both.float().chunk(2)
    return against + guidance * (wanted - against)
