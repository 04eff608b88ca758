"""Stable Audio Open: a latent diffusion transformer that is told when its sound begins and ends, in stereo at 44.1 kHz.

Takes a folder in the published layout; gives stereo sound of up to 47.55 s, or changes a given sound. The sentence goes through T5, the
times through two embeddings of their own; a transformer takes the noise out of 1,024 latent frames whatever the length, and what lies
beyond the end that it was told is cut off. The codec's decoder is run only over what is kept, in windows that overlap by more than it
sees, so that the sound is the same and the memory small. It ranks no candidates: no CLAP comes with it.

A given sound is changed by beginning in the midst of the way from noise to sound: with strength s, at the noise level
tan(s x atan(sigma_max)), so that 0 is the sound, 1/2 as much noise as signal, and 1 noise alone, from which nothing of it comes back.

Source: Z. Evans et al., "Stable Audio Open", 2024; `StableAudioPipeline` and `CosineDPMSolverMultistepScheduler` of diffusers.
Known differences from that pipeline: with a given sound it begins at the full noise whatever is given (500 times the signal), so that
nothing is heard of it; the solver's noise is drawn on the CPU, so that a seed means the same on every device; the latents stay in
float32 between the steps, and the sound is made in float32.
Known limit: in bfloat16 the network is told the first 6 of 100 noise levels as one, so coarse are these numbers near 1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle.audio.effects import resample
from kapelle.errors import UnreadableInput
from kapelle.progress import Report, never, quiet
from kapelle.text_audio.drawing import Course, Drawn, check_finite, check_length, draw_all, guided
from kapelle.text_audio.libraries import guarded, quietly
from kapelle.text_audio.parts import Part, bound, read_parts
from kapelle.text_audio.request import check_fits

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.audio.waveform import Waveform
    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.places import Place
    from kapelle.text_audio.request import SoundRequest

NEGATIVE_PROMPT = "low quality, average quality"
# Of latent frames. The codec sees fewer than 10 to each side (a test measures it): in the decoder 3 by the first filter, and by the
# residual units 39 samples of each stage, whose rates are 8, 64, 256, 1,024 and 2,048 times that of the latents; the encoder likewise.
MARGIN = 16
WINDOW = 128


def load(folder: Path, model: SoundModel, place: Place) -> StableAudio:
    """The model of a folder.

    Args:
        folder: As published: one folder for each part, and model_index.json.
        model: Its facts.
        place: Where it runs.

    Raises:
        Missing: A file is not there.
        UnreadableInput: A file is damaged, or of something else.
        NotEnoughMemory: It would not fit.
    """
    from diffusers import StableAudioPipeline

    parts = read_parts(folder, "StableAudioPipeline", _parts(), place)
    bound(parts["tokenizer"])
    with quietly():
        pipeline = StableAudioPipeline(**parts)
    codec = pipeline.vae.config
    if (codec.sampling_rate, codec.audio_channels) != (model.sample_rate, model.channels):
        raise UnreadableInput(
            "{folder} makes {channels} channels at {rate} Hz: it is not {model}",
            folder=folder, channels=codec.audio_channels, rate=codec.sampling_rate, model=model.name,
        )  # fmt: skip
    return StableAudio(model, place, pipeline)


def _parts() -> dict[str, Part]:
    from diffusers import AutoencoderOobleck, CosineDPMSolverMultistepScheduler, StableAudioDiTModel, StableAudioProjectionModel
    from transformers import T5EncoderModel, T5TokenizerFast

    return {
        "text_encoder": Part(T5EncoderModel),
        "tokenizer": Part(T5TokenizerFast, names=("T5Tokenizer", "T5TokenizerFast")),
        "projection_model": Part(StableAudioProjectionModel),
        "transformer": Part(StableAudioDiTModel),
        "scheduler": Part(CosineDPMSolverMultistepScheduler),
        "vae": Part(AutoencoderOobleck, exact=True),
    }


@dataclass(frozen=True)
class Told:
    """What the transformer is told, rows of the contrary first if there is guidance.

    Args:
        states: Words and times, shape (R, L, D).
        times: Shape (R, 1, 2 D).
    """

    states: torch.Tensor
    times: torch.Tensor


@dataclass(frozen=True)
class StableAudio:
    """A loaded Stable Audio Open: a `Backend`."""

    model: SoundModel
    place: Place
    pipeline: Any

    def imagine(self, request: SoundRequest, *, progress: Report = quiet, cancelled: Callable[[], bool] = never) -> Iterator[Waveform]:
        """The sounds of a request, as `Backend` says."""
        check_fits(request, self.model)
        guidance = request.guidance_of(self.model)
        negative = (request.negative_prompt or NEGATIVE_PROMPT) if guidance > 1.0 else None
        check_length("prompt", request.prompt, self.pipeline.tokenizer, self.model)
        check_length("negative prompt", negative or "", self.pipeline.tokenizer, self.model)
        strength = 1.0 if request.initial is None else request.strength
        n_steps = request.steps or self.model.steps
        sigmas = noise_levels(self.pipeline.scheduler, n_steps, strength)
        course = Course((len(sigmas) - 1) * request.count * request.candidates, progress, cancelled)
        course.check()
        n_frames = request.n_frames(self.model.sample_rate)
        with quietly(), guarded(self.place), torch.inference_mode():
            told = self._tell(request.prompt, negative, request.duration_s)
            # at full strength nothing is to come back, and a sound at 1/500 of the noise would
            given = self._encode(request.initial, n_frames) if request.initial is not None and strength < 1.0 else None

        def draw(generator: torch.Generator, course: Course) -> Drawn:
            latents = self._begin(given, sigmas[0], generator)
            clean = self._denoise(latents, told, guidance, self._ready(n_steps, sigmas, generator), course)
            return self._sound(clean, n_frames, course.check)

        yield from draw_all(request, self.model, self.place, course, draw, _first)

    def _tell(self, prompt: str, negative: str | None, duration_s: float) -> Told:
        against = negative is not None
        words = self.pipeline.encode_prompt(prompt, self.place.device, against, negative_prompt=negative)
        begin, end = self.pipeline.encode_duration(0.0, duration_s, self.place.device, against, 1)
        return Told(torch.cat([words, begin, end], dim=1), torch.cat([begin, end], dim=2))

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of latents; their number is always the same."""
        return 1, self.pipeline.transformer.config.in_channels, self.pipeline.transformer.config.sample_size

    def _encode(self, sound: Waveform, n_frames: int) -> torch.Tensor:
        """Latents of a sound as it is changed: in stereo at the codec's rate, cut to the length asked for, silence after it."""
        there = resample(sound, self.model.sample_rate).samples[:n_frames]
        if there.shape[1] != self.model.channels:
            there = np.repeat(there.mean(axis=1, keepdims=True), self.model.channels, axis=1)
        samples = np.zeros((self.model.channels, self._shape[2] * self.pipeline.vae.hop_length), dtype=np.float32)
        samples[:, : len(there)] = there.T
        return encode(self.pipeline.vae, torch.from_numpy(samples)[None].to(self.place.device))

    def _begin(self, given: torch.Tensor | None, sigma: float, generator: torch.Generator) -> torch.Tensor:
        noise = torch.randn(self._shape, generator=generator).to(self.place.device)
        if given is None:
            return noise * float(self.pipeline.scheduler.init_noise_sigma)
        return given + sigma * noise

    def _ready(self, n_steps: int, sigmas: Sequence[float], generator: torch.Generator) -> Any:
        """The scheduler at its beginning, with noise of our own."""
        from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

        scheduler = self.pipeline.scheduler
        scheduler.set_timesteps(n_steps)  # forgets what it remembers of the sound before
        scheduler.sigmas = torch.tensor(sigmas)
        scheduler.timesteps = scheduler.precondition_noise(scheduler.sigmas[:-1]).to(self.place.device)
        scheduler.set_begin_index(0)
        seed = int(torch.randint(2**62, (), generator=generator))
        low, high = scheduler.config.sigma_min, scheduler.config.sigma_max
        scheduler.noise_sampler = BrownianTreeNoiseSampler(torch.zeros(self._shape), low, high, seed)
        return scheduler

    def _denoise(self, latents: torch.Tensor, told: Told, guidance: float, scheduler: Any, course: Course) -> torch.Tensor:
        """Latents without noise, float32."""
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        transformer, rows = self.pipeline.transformer, len(told.states)
        places = get_1d_rotary_pos_embed(
            self.pipeline.rotary_embed_dim, latents.shape[2] + told.times.shape[1], use_real=True, repeat_interleave_real=False
        )
        for moment in scheduler.timesteps:
            seen = scheduler.scale_model_input(latents, moment).to(transformer.dtype).repeat(rows, 1, 1)
            both = transformer(
                seen, moment.unsqueeze(0), encoder_hidden_states=told.states, global_hidden_states=told.times,
                rotary_embedding=places, return_dict=False,
            )[0]  # fmt: skip
            direction = guided(both, guidance) if rows == 2 else both.float()
            latents = scheduler.step(direction, moment, latents, return_dict=False)[0]
            check_finite(latents, self.place)
            course.step()
        return latents

    def _sound(self, latents: torch.Tensor, n_frames: int, check: Callable[[], None]) -> Drawn:
        """Samples (F, C) of the first frames."""
        samples = decode(self.pipeline.vae, latents[..., : math.ceil(n_frames / self.pipeline.vae.hop_length) + MARGIN], check)
        check_finite(samples, self.place)
        return np.ascontiguousarray(samples[0, :, :n_frames].numpy().T)


def noise_levels(scheduler: Any, n_steps: int, strength: float) -> list[float]:
    """The noise levels from the first to 0, one more than there are steps.

    Args:
        scheduler: `CosineDPMSolverMultistepScheduler`.
        n_steps: Of the whole way, 1 or more.
        strength: How much of a given sound is changed, above 0 to 1; below 1, the way begins later and has fewer steps.
    """
    own = copy.copy(scheduler)  # another thread may be in the midst of a sound with this one
    own.set_timesteps(n_steps)
    sigmas: list[float] = own.sigmas.tolist()
    if strength >= 1.0:
        return sigmas
    first = math.tan(strength * math.atan(scheduler.config.sigma_max))
    return [first, *(sigma for sigma in sigmas if sigma < first)]


def encode(codec: Any, samples: torch.Tensor) -> torch.Tensor:
    """Latents (1, D, T) of samples (1, C, F), the likeliest; the same as of one call of the encoder, with the memory of a window."""
    hop = codec.hop_length
    pieces = []
    for left, begin, end, right in _windows(samples.shape[2] // hop):
        seen = codec.encode(samples[..., left * hop : right * hop]).latent_dist.mode()
        pieces.append(seen[..., begin - left : end - left])
    return torch.cat(pieces, dim=2)


def decode(codec: Any, latents: torch.Tensor, check: Callable[[], None] = lambda: None) -> torch.Tensor:
    """Samples (1, C, F) of latents (1, D, T), on the CPU; the same as of one call of the decoder, with the memory of a window.

    Args:
        codec: `AutoencoderOobleck`.
        latents: Without noise.
        check: Called before each window; it may raise.
    """
    hop = codec.hop_length
    pieces = []
    for left, begin, end, right in _windows(latents.shape[2]):
        check()
        heard = codec.decode(latents[..., left:right]).sample
        pieces.append(heard[..., (begin - left) * hop : (end - left) * hop].cpu())
    return torch.cat(pieces, dim=2)


def _windows(n_latents: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows that follow each other from begin to end, and what is to be seen for them, from left to right."""
    for begin in range(0, n_latents, WINDOW):
        end = min(begin + WINDOW, n_latents)
        yield max(begin - MARGIN, 0), begin, end, min(end + MARGIN, n_latents)


def _first(drawn: Sequence[Drawn]) -> int:
    """Without a judge there is one candidate only, as `check_fits` says."""
    return 0
