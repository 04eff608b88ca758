"""What every text-to-audio model can do, as a protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from kapelle.audio.waveform import Waveform
from kapelle.progress import Report, never, quiet
from kapelle.text_audio.catalogue import SoundModel
from kapelle.text_audio.request import SoundRequest


class Backend(Protocol):
    """A loaded model."""

    @property
    def model(self) -> SoundModel:
        """Its facts."""

    def imagine(self, request: SoundRequest, *, progress: Report = quiet, cancelled: Callable[[], bool] = never) -> Iterator[Waveform]:
        """The sounds of a request, each as soon as it is ready, so that an end in between keeps those before it.

        Every one has exactly ``request.n_frames(model.sample_rate)`` frames, `model.channels` channels and finite samples, as the model
        made them: levels are not touched. Sound i is drawn with ``seed + i`` alone: it does not depend on the count.
        Threads that draw at the same time take turns, sound by sound.

        Args:
            request: What is asked; `request.check_fits` was called.
            progress: Called after each token or step with how many are done and how many there are, over all sounds.
            cancelled: Asked between tokens or steps.

        Raises:
            Interrupted: `cancelled` said so.
            NotEnoughMemory: It does not fit.
        """
