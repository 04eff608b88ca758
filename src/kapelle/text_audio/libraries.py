"""The libraries that run the models of others, kept quiet, and their want of memory told as ours.

Two blocks to work within: `quietly`, in which transformers and diffusers draw no bars and warn of nothing, and `guarded`, in which
running out of memory is an error of Kapelle's. Neither changes anything for the process once it has ended.

Threads take turns in `quietly`: what it changes is the process's, and so is what these libraries change while they work, such as the
numbers that torch takes by default while weights are read, or the place in its steps that a scheduler keeps.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import TYPE_CHECKING

import torch

from kapelle.errors import NotEnoughMemory

if TYPE_CHECKING:
    from kapelle.text_audio.places import Place

OUT_OF_MEMORY = ("out of memory", "allocate memory", "invalid buffer size", "not enough memory")

_TURN = RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Within it the libraries draw no bars of their own and warn of nothing; after it they are as before. Never to be held over a yield.

    Other threads wait until it has ended.
    """
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    with ExitStack() as after:
        after.enter_context(_TURN)
        after.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for logging in (of_transformers, of_diffusers):
            after.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity(logging.CRITICAL)
            if logging.is_progress_bar_enabled():
                after.callback(logging.enable_progress_bar)
                logging.disable_progress_bar()
        yield


@contextmanager
def guarded(place: Place) -> Iterator[None]:
    """Within it, running out of memory is an error of ours."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        hint = "ask for a shorter sound, or take --device cpu or --dtype float16"
        if place.device.type == "cpu":
            hint = "ask for a shorter sound, close other programs, or take a smaller model"
        raise NotEnoughMemory("the {device} has not enough memory for this", device=place.device.type, hint=hint) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch, by its class or its words, is want of memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)
