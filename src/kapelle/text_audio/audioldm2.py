"""AudioLDM2: a latent diffusion model of mel spectrograms, led by two text encoders and a language model between them.

Takes a folder in the published layout; gives mono sound at 16 kHz. The sentence goes through CLAP and Flan-T5; from both, GPT-2 goes on
with eight vectors; a U-Net that looks at these and at T5's states takes the noise out of a latent picture of the spectrogram; an
autoencoder makes the spectrogram of it, and HiFi-GAN the sound. Candidates are ranked by the CLAP that is in the folder anyway.
It does not join windows: the network was trained on sound of 10.24 s, and makes longer sound in one piece.

Source: H. Liu et al., "AudioLDM 2: Learning Holistic Audio Generation with Self-supervised Pretraining", 2023; `AudioLDM2Pipeline` of
diffusers, whose parts do the work.
Known differences from that pipeline: the language model is read with its head, because the published folders name a class that can no
longer generate; steps that do not divide 1,000 begin at the full noise all the same, where its scheduler begins lower (600 steps: at
level 600 of 1,000); a negative prompt longer than the prompt is not cut to its length. Spectrogram and sound are made in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle.audio.waveform import Waveform
from kapelle.errors import UnreadableInput
from kapelle.progress import Report, never, quiet
from kapelle.text_audio.clap import Clap
from kapelle.text_audio.drawing import Course, Drawn, check_finite, check_length, draw_all, guided
from kapelle.text_audio.libraries import guarded, quietly
from kapelle.text_audio.parts import Part, bound, read_parts
from kapelle.text_audio.request import check_fits

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.places import Place
    from kapelle.text_audio.request import SoundRequest

NEGATIVE_PROMPT = "Low quality."  # as its authors recommend
N_SPOKEN = 8  # vectors that the language model adds


def load(folder: Path, model: SoundModel, place: Place) -> AudioLDM2:
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
    from diffusers import AudioLDM2Pipeline

    parts = read_parts(folder, "AudioLDM2Pipeline", _parts(), place)
    for tokenizer in ("tokenizer", "tokenizer_2"):
        bound(parts[tokenizer])
    with quietly():
        pipeline = AudioLDM2Pipeline(**parts)
    rate, settings = int(parts["vocoder"].config.sampling_rate), parts["scheduler"].config
    if rate != model.sample_rate or settings.prediction_type != "epsilon":
        raise UnreadableInput(
            "{folder} makes sound at {rate} Hz from a prediction of {what}: it is not {model}",
            folder=folder, rate=rate, what=settings.prediction_type, model=model.name,
        )  # fmt: skip
    return AudioLDM2(model, place, pipeline)


def _parts() -> dict[str, Part]:
    from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler
    from transformers import (
        ClapFeatureExtractor,
        ClapModel,
        GPT2LMHeadModel,
        RobertaTokenizerFast,
        SpeechT5HifiGan,
        T5EncoderModel,
        T5TokenizerFast,
    )

    return {
        "text_encoder": Part(ClapModel),
        "text_encoder_2": Part(T5EncoderModel),
        "projection_model": Part(AudioLDM2ProjectionModel),
        "language_model": Part(GPT2LMHeadModel, names=("GPT2Model",)),
        "tokenizer": Part(RobertaTokenizerFast, names=("RobertaTokenizer", "RobertaTokenizerFast")),
        "tokenizer_2": Part(T5TokenizerFast, names=("T5Tokenizer", "T5TokenizerFast")),
        "feature_extractor": Part(ClapFeatureExtractor),
        "unet": Part(AudioLDM2UNet2DConditionModel),
        "scheduler": Part(DDIMScheduler),
        "vae": Part(AutoencoderKL, exact=True),
        "vocoder": Part(SpeechT5HifiGan, exact=True),
    }


@dataclass(frozen=True)
class Told:
    """What the U-Net is told, rows of the contrary first if there is guidance.

    Args:
        spoken: Of the language model, shape (R, 8, D).
        text: Of T5, shape (R, L, E).
        mask: Shape (R, L), 0 where `text` is padding.
    """

    spoken: torch.Tensor
    text: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class AudioLDM2:
    """A loaded AudioLDM2: a `Backend`."""

    model: SoundModel
    place: Place
    pipeline: Any

    def imagine(self, request: SoundRequest, *, progress: Report = quiet, cancelled: Callable[[], bool] = never) -> Iterator[Waveform]:
        """The sounds of a request, as `Backend` says."""
        check_fits(request, self.model)
        guidance = request.guidance_of(self.model)
        negative = (request.negative_prompt or NEGATIVE_PROMPT) if guidance > 1.0 else None
        for tokenizer in (self.pipeline.tokenizer, self.pipeline.tokenizer_2):
            check_length("prompt", request.prompt, tokenizer, self.model)
            check_length("negative prompt", negative or "", tokenizer, self.model)
        steps = levels(self.pipeline.scheduler, request.steps or self.model.steps)
        course = Course(len(steps) * request.count * request.candidates, progress, cancelled)
        course.check()
        with quietly(), guarded(self.place), torch.inference_mode():
            told = self._tell(request.prompt, negative)
        n_frames = request.n_frames(self.model.sample_rate)

        def draw(generator: torch.Generator, course: Course) -> Drawn:
            latents = torch.randn(self._shape(n_frames), generator=generator)
            return self._sound(self._denoise(latents, told, guidance, steps, course))

        def choose(drawn: Sequence[Drawn]) -> int:
            clap = Clap(self.pipeline.text_encoder, self.pipeline.tokenizer, self.pipeline.feature_extractor)
            sounds = [Waveform(samples, self.model.sample_rate) for samples in drawn]
            return int(np.argmax(clap.likenesses(request.prompt, sounds)))

        yield from draw_all(request, self.model, self.place, course, draw, choose)

    def _tell(self, prompt: str, negative: str | None) -> Told:
        tokenizer = self.pipeline.tokenizer_2
        if negative is not None and len(tokenizer(negative).input_ids) <= len(tokenizer(prompt).input_ids):
            text, mask, spoken = self._encode(prompt, negative)
            return Told(spoken, text, mask)
        text, mask, spoken = self._encode(prompt, None)
        if negative is None:
            return Told(spoken, text, mask)
        # the pipeline would cut the contrary to the length of the prompt; so each is read alone, and the shorter one is padded here
        contrary_text, contrary_mask, contrary_spoken = self._encode(negative, None)
        n_more = contrary_text.shape[1] - text.shape[1]
        text, mask = torch.nn.functional.pad(text, (0, 0, 0, n_more)), torch.nn.functional.pad(mask, (0, n_more))
        return Told(torch.cat([contrary_spoken, spoken]), torch.cat([contrary_text, text]), torch.cat([contrary_mask, mask]))

    def _encode(self, prompt: str, negative: str | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        encoded: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = self.pipeline.encode_prompt(
            prompt, self.place.device, 1, negative is not None, negative_prompt=negative, max_new_tokens=N_SPOKEN
        )
        return encoded

    def _shape(self, n_frames: int) -> tuple[int, int, int, int]:
        """Of latents whose sound has at least so many frames."""
        n_bands = self.pipeline.vocoder.config.model_in_dim
        scale = self.pipeline.vae_scale_factor
        hop = math.prod(self.pipeline.vocoder.config.upsample_rates)
        return 1, self.pipeline.unet.config.in_channels, math.ceil(n_frames / (hop * scale)), n_bands // scale

    def _denoise(self, noise: torch.Tensor, told: Told, guidance: float, steps: Sequence[Level], course: Course) -> torch.Tensor:
        """Latents without noise, float32: DDIM, which draws nothing on its way."""
        unet, rows = self.pipeline.unet, len(told.text)
        latents = noise.to(self.place.device)
        for level in steps:
            both = unet(
                latents.to(unet.dtype).repeat(rows, 1, 1, 1), level.timestep, encoder_hidden_states=told.spoken,
                encoder_hidden_states_1=told.text, encoder_attention_mask_1=told.mask, return_dict=False,
            )[0]  # fmt: skip
            noise_told = guided(both, guidance) if rows == 2 else both.float()
            clean = (latents - (1.0 - level.before) ** 0.5 * noise_told) / level.before**0.5
            latents = level.after**0.5 * clean + (1.0 - level.after) ** 0.5 * noise_told
            check_finite(latents, self.place)
            course.step()
        return latents

    def _sound(self, latents: torch.Tensor) -> Drawn:
        """Samples (F, 1)."""
        vae = self.pipeline.vae
        spectrogram = vae.decode(latents / vae.config.scaling_factor).sample
        samples = self.pipeline.mel_spectrogram_to_waveform(spectrogram)
        check_finite(samples, self.place)
        return np.ascontiguousarray(samples.numpy().T)


@dataclass(frozen=True)
class Level:
    """A step of denoising.

    Args:
        timestep: What the network is told of the noise.
        before: Part of the latents' power that is signal, 0 to 1.
        after: The same after the step.
    """

    timestep: int
    before: float
    after: float


def levels(scheduler: Any, n_steps: int) -> list[Level]:
    """The steps from noise to signal, evenly over the levels that the network was trained on.

    Args:
        scheduler: `DDIMScheduler`; of it only the levels are taken.
        n_steps: From 1 to the number of levels.
    """
    n_levels = int(scheduler.config.num_train_timesteps)
    even = [(n_steps - 1 - step) * n_levels // n_steps for step in range(n_steps)]
    offset = min(int(scheduler.config.steps_offset), n_levels - 1 - even[0])  # with all levels there is no room for one
    times = [time + offset for time in even]
    signal = [float(scheduler.alphas_cumprod[time]) for time in times] + [float(scheduler.final_alpha_cumprod)]
    return [Level(time, signal[step], signal[step + 1]) for step, time in enumerate(times)]
