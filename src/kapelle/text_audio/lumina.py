"""Lumina-T2Music: sound from a sentence by flow matching, without flash-attn and so on every device.

Takes a folder in the layout of `lumina_folder`; gives a backend. A sentence is read by FLAN-T5; Flag-DiT says in which direction noise
moves towards a sound of this kind; a fixed number of Euler steps follows it to latents, 31.25 for each second; a decoder makes them a
mel spectrogram, and BigVGAN samples at 16 kHz.

Flag-DiT, which runs at every step, computes in the numbers of the place; what runs once stays in 32-bit floats, as published.

Source: Gao et al. 2024, "Lumina-T2X"; demo_music.py, ddpm_audio.py and encoders/modules.py in the folder lumina_music of
github.com/Alpha-VLLM/Lumina-T2X (MIT): Euler, 40 steps, guidance 5, texts padded to 77 tokens that are all attended to.
Known differences: guidance goes away from the empty or the negative prompt. (The published program means the empty one, but hands it on
in a form that its tokenizer refuses, and then takes the prompt itself: its guidance does nothing. In training one caption in five was
empty.) 40 steps are 40, not 39. The length is the one that is asked for, not always 9.984 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from kapelle.errors import UnreadableInput
from kapelle.progress import never, quiet
from kapelle.text_audio import drawing, flow
from kapelle.text_audio import lumina_folder as layout
from kapelle.text_audio.libraries import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from kapelle.audio.waveform import Waveform
    from kapelle.models.bigvgan import BigVGAN
    from kapelle.models.flag_dit import FlagDiT
    from kapelle.models.mel_vae import MelDecoder
    from kapelle.progress import Report
    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.places import Place
    from kapelle.text_audio.request import SoundRequest

N_TOKENS = 77
"""Of every text, with padding: the network was trained on this number, and its padding counts."""

N_TIMES = 1_000
"""The network was trained at the whole times 0 to 999."""


def load(folder: Path, model: SoundModel, place: Place) -> Lumina:
    """The model, ready.

    Raises:
        Missing: The folder or a file is not there.
        UnreadableInput: A file is damaged, of another network, or a pickle.
        NotEnoughMemory: It does not fit.
    """
    layout.check(folder)
    with guarded(place):
        velocity, scale = layout.read_flag_dit(folder, place)
        tokenizer, reader = layout.read_text_encoder(folder, place)
        decoder, vocoder = layout.read_mel_decoder(folder, place), layout.read_vocoder(folder, place)
    handed_on = (
        ("text encoder and Flag-DiT", reader.config.d_model, velocity.config.context_dim),
        ("Flag-DiT and the decoder", velocity.config.in_channels, decoder.config.embed_dim),
        ("the decoder and BigVGAN", decoder.config.n_mels, vocoder.config.num_mels),
    )
    for parts, given, taken in handed_on:
        if given != taken:
            raise UnreadableInput(
                "{folder} holds parts of different models: {parts} do not fit, {given} and {taken}",
                folder=folder, parts=parts, given=given, taken=taken, hint=layout.AGAIN,
            )  # fmt: skip
    tokenizer.model_max_length = N_TOKENS
    return Lumina(model, place, tokenizer, reader, velocity, scale, decoder, vocoder)


@dataclass(frozen=True, eq=False)
class Lumina:
    """A loaded model: see `kapelle.text_audio.backend.Backend`."""

    model: SoundModel
    place: Place
    tokenizer: Any
    reader: nn.Module
    velocity: FlagDiT
    scale: float
    decoder: MelDecoder
    vocoder: BigVGAN

    def imagine(self, request: SoundRequest, *, progress: Report = quiet, cancelled: Callable[[], bool] = never) -> Iterator[Waveform]:
        """The sounds of a request; see the protocol.

        Raises:
            UsageError: The prompt has more than 76 tokens.
            CannotObey: The numbers left their range.
        """
        for what, text in (("prompt", request.prompt), ("negative prompt", request.negative_prompt)):
            drawing.check_length(what, text, self.tokenizer, self.model)
        n_steps = self.model.steps if request.steps is None else request.steps
        course = drawing.Course(n_steps * request.count, progress, cancelled)

        def draw(generator: torch.Generator, course: drawing.Course) -> drawing.Drawn:
            return self._draw(request, n_steps, generator, course)

        return drawing.draw_all(request, self.model, self.place, course, draw, lambda drawn: 0)

    def _draw(self, request: SoundRequest, n_steps: int, generator: torch.Generator, course: drawing.Course) -> drawing.Drawn:
        """Samples (F, 1) of one sound, F at least as many as are asked for."""
        guidance = request.guidance_of(self.model)
        shape = (1, self.velocity.config.in_channels, math.ceil(request.n_frames(self.model.sample_rate) / self.n_frames_of_latent))
        noise = torch.randn(shape, generator=generator).to(self.place.device)
        field = self._field(self._read([request.negative_prompt, request.prompt]), guidance)
        latents = flow.integrate(field, noise, flow.times(n_steps), stepped=lambda done: course.step())
        drawing.check_finite(latents, self.place)
        samples = self.vocoder(self.decoder(latents / self.scale))  # (1, 1, F)
        drawing.check_finite(samples, self.place)
        drawn: drawing.Drawn = samples[0].T.float().cpu().numpy()
        return drawn

    @property
    def n_frames_of_latent(self) -> int:
        """Samples that one latent becomes: 512, 32 ms."""
        return self.vocoder.config.hop * self.decoder.config.stretch

    def _read(self, texts: list[str]) -> Tensor:
        """Texts as the network was trained to take them, (B, S, E): padded, and the padding attended to."""
        ids = self.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        encoded: Tensor = self.reader(input_ids=ids.to(self.place.device)).last_hidden_state
        return encoded.to(self.place.dtype)

    def _field(self, context: Tensor, guidance: float) -> flow.Field:
        """The velocity of latents, guided from the first text to the second; at guidance 1 the second is all that counts."""
        if guidance == 1.0:
            context = context[1:]

        def velocity(latents: Tensor, time: float) -> Tensor:
            whole = min(math.floor(N_TIMES * time), N_TIMES - 1)
            at = torch.full((len(context),), float(whole), device=latents.device)
            both = self.velocity(latents.to(self.place.dtype).expand(len(context), -1, -1), at, context).float()
            guided: Tensor = both if guidance == 1.0 else flow.guided(both[:1], both[1:], guidance)
            return guided

        return velocity
