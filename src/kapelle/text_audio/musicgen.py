"""MusicGen: a sentence becomes sound, token by token; a sound is gone on with, or its melody is followed.

Takes requests; gives waveforms at 32 kHz, of one channel or two. The models ``small``, ``medium`` and ``large`` go on from a sound, the
``melody`` ones follow one. Beyond 30 s windows are joined as codes (`musicgen_windows`), so that there is no seam in the sound. Loading is
in `musicgen_loading`, the token loop in `musicgen_decoding`, the codec in `musicgen_codec`, the melody in `musicgen_melody`.

A sound to go on from is kept as it was given, but for its last 50 ms: there it fades into what the codec made of it, so that what follows,
which only the codec can make, follows without a click. Its codes end where it ends: what does not fill the codec's first moment (20 ms)
is not heard by the model, and still in the result.

Source: J. Copet et al., "Simple and Controllable Music Generation", 2023; the weights of its authors, and transformers' networks for them.
Known difference: the authors separate the melody from drums and bass first (see `musicgen_melody`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle.audio.effects import fade_curve, resample
from kapelle.audio.waveform import Waveform
from kapelle.progress import Report, never, quiet
from kapelle.text_audio.drawing import Course, check_finite, draw_all
from kapelle.text_audio.libraries import guarded, quietly
from kapelle.text_audio.musicgen_codec import Codec
from kapelle.text_audio.musicgen_decoding import Conditions, Sampling, Stepper, draw_codes, n_steps, picker
from kapelle.text_audio.musicgen_loading import read_folder, read_json, translated
from kapelle.text_audio.musicgen_melody import Melody, MelodySettings, no_melody
from kapelle.text_audio.musicgen_windows import Room, Window, plan, room
from kapelle.text_audio.patterns import of_channels
from kapelle.text_audio.places import Place

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.audio.waveform import Samples
    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.patterns import Codes
    from kapelle.text_audio.request import SoundRequest

FADE_S = 0.05
EXACT = Place(torch.device("cpu"), torch.float32)
"""What the codec computes with, whatever the place of the language model."""


def load(folder: Path, model: SoundModel, place: Place) -> MusicGen:
    """A model read from a folder in the layout of the hub.

    Raises:
        Missing: The folder lacks a file.
        UnreadableInput: A file is damaged, is a pickle, or belongs to another model.
        NotEnoughMemory: It does not fit.
    """
    net, tokenizer = read_folder(folder, model, place)
    settings = None
    if "melody" in model.takes:
        file = folder / "preprocessor_config.json"
        settings = MelodySettings.of(read_json(file), file)
    backend = MusicGen(model, net, tokenizer, place, settings)
    with quietly(), translated(folder, place), torch.inference_mode():
        backend.try_out()
    return backend


@dataclass(frozen=True)
class _Work:
    """What all sounds of a request share.

    Args:
        prompt: Hidden states of the prompt and, with guidance, of what to keep away from: (R, L, D), and their mask.
        given: The sound to go on from, at the model's rate and of its channels, (F, C), none: no frames.
        codes: Of its last moments, (K, P).
        n_given: Moments of it that count; `codes` may lack the first of them.
        windows: To be drawn.
        n_frames: Of the result.
    """

    prompt: tuple[torch.Tensor, torch.Tensor | None]
    melody: Melody | None
    sampling: Sampling
    given: Samples
    codes: Codes
    n_given: int
    windows: tuple[Window, ...]
    n_frames: int


class MusicGen:
    """A loaded MusicGen.

    Args:
        model: Its facts.
        net: transformers' network.
        tokenizer: Of its text encoder.
        place: Where it runs.
        melody: Settings of the melody's features, of the models that follow one.
        fit: The room of a window; None: as published.
    """

    def __init__(
        self, model: SoundModel, net: Any, tokenizer: Any, place: Place, melody: MelodySettings | None = None, fit: Room | None = None
    ) -> None:
        self._model = model
        self._net = net
        self._tokenizer = tokenizer
        self._place = place
        self._melody_settings = melody
        self._fit = fit
        codec_device = torch.device("cpu") if place.device.type == "mps" else place.device  # Metal refuses its long convolutions
        self._codec = Codec(net.audio_encoder, model.channels, codec_device)
        self._pattern = of_channels(net.config.decoder.num_codebooks, model.channels)

    @property
    def model(self) -> SoundModel:
        """Its facts."""
        return self._model

    def try_out(self) -> None:
        """Compute a little with every part, so that settings that only fail in use fail where a model is opened."""
        states, mask = self._heard("a", "a b")
        work = _Work((states, mask), None, Sampling(), self._as_ours(None), self._no_codes(), 0, (), 0)
        codes = np.full((self._pattern.n_codebooks, 2), 0)
        Stepper(self._net.decoder, self._conditions(work, Window(0, 0, 1))).step(codes)
        self._codec.encode(self._codec.decode(codes))

    def imagine(self, request: SoundRequest, *, progress: Report = quiet, cancelled: Callable[[], bool] = never) -> Iterator[Waveform]:
        """The sounds of a request, each as soon as it is ready: as `Backend.imagine` says.

        Raises:
            Interrupted: `cancelled` said so.
            NotEnoughMemory: It does not fit.
            CannotObey: The model gave numbers that are none; the hint says what to do.
        """
        with quietly(), guarded(self._place), torch.inference_mode():
            work = self._prepare(request)
        n_each = sum(n_steps(self._pattern, window.known - window.start, window.end - window.start) for window in work.windows)
        course = Course(n_each * request.count * request.candidates, progress, cancelled)

        def draw(generator: torch.Generator, course: Course) -> Samples:
            return self._one(work, generator, course)

        yield from draw_all(request, self._model, self._place, course, draw, choose=lambda _: 0)

    def _prepare(self, request: SoundRequest) -> _Work:
        """What is the same for every seed."""
        guidance = request.guidance_of(self._model)
        prompt = self._heard(request.prompt, request.negative_prompt if guidance > 1.0 else None)
        n_frames = request.n_frames(self._model.sample_rate)
        given = self._as_ours(request.continuation)
        n_given = len(given) // self._codec.hop
        n_new = max(1, -(-(n_frames - len(given)) // self._codec.hop))  # one, if resampling gave all frames that are asked for
        n_moments = n_given + n_new
        fit = self._fit or room(self._model.sample_rate / self._codec.hop, self._positions(prompt[0]))
        windows = plan(n_moments, fit, n_given)
        n_heard = n_given - windows[0].start
        codes = self._codec.encode(given[len(given) - n_heard * self._codec.hop :]) if n_heard else self._no_codes()
        melody = Melody(request.melody, self._melody_settings) if request.melody and self._melody_settings else None
        sampling = Sampling(guidance, request.temperature, request.top_k, request.top_p)
        return _Work(prompt, melody, sampling, given, codes, n_given, windows, n_frames)

    def _one(self, work: _Work, generator: torch.Generator, course: Course) -> Samples:
        """One sound, (F, C)."""
        pick = picker(work.sampling, generator, lambda numbers: check_finite(numbers, self._place))
        codes, first = work.codes, work.n_given - work.codes.shape[1]
        for window in work.windows:
            stepper = Stepper(self._net.decoder, self._conditions(work, window))
            heard = codes[:, window.start - first : window.known - first]
            drawn = draw_codes(stepper, heard, window.end - window.start, self._pattern, pick, course.step)
            codes = np.concatenate([codes, drawn[:, heard.shape[1] :]], axis=1)
        sound = self._codec.decode(codes, check=course.check)
        check_finite(torch.from_numpy(sound), EXACT)
        n_known = work.codes.shape[1] * self._codec.hop
        return _joined(work.given, sound, n_known, round(FADE_S * self._model.sample_rate))[: work.n_frames]

    def _heard(self, prompt: str, negative: str | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Hidden states (R, L, D) of a prompt, and with guidance of what to keep away from: zeros if nothing is said (""), and a mask."""
        states = self._text(prompt)
        if negative is None:
            return states, None
        if not negative:
            return torch.cat([states, torch.zeros_like(states)]), None  # zeros add nothing in the attention: no mask is needed
        rows = [states[0], self._text(negative)[0]]
        mask = torch.nn.utils.rnn.pad_sequence(
            [torch.ones(len(row), dtype=torch.long, device=row.device) for row in rows], batch_first=True
        )
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask

    def _text(self, text: str) -> torch.Tensor:
        """Hidden states (1, L, D) of a text, as wide as the language model, in its numbers."""
        tokens = self._tokenizer([text], return_tensors="pt").to(self._place.device)
        states = self._net.text_encoder(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        if hasattr(self._net, "enc_to_dec_proj"):
            states = self._net.enc_to_dec_proj(states)
        projected: torch.Tensor = states.to(self._place.dtype)
        return projected

    def _conditions(self, work: _Work, window: Window) -> Conditions:
        """What the model listens to in a window."""
        states, mask = work.prompt
        if self._melody_settings is None:
            return Conditions(states, mask)
        n_rows = self._net.config.chroma_length
        from_s = window.start * self._codec.hop / self._model.sample_rate
        tunes = [work.melody.features(from_s, n_rows) if work.melody else no_melody(n_rows), no_melody(n_rows)][: len(states)]
        chroma = torch.stack(tunes).to(states.device)
        if hasattr(self._net, "audio_enc_to_dec_proj"):
            chroma = self._net.audio_enc_to_dec_proj(chroma)
        # A shorter row is padded with zeros that are heard, as in the batches of its training; so no mask here.
        return Conditions(torch.cat([chroma.to(states.dtype), states], dim=1), prefix=True)

    def _positions(self, states: torch.Tensor) -> int:
        """Moments for which the language model has positions, besides what stands before them."""
        before = self._net.config.chroma_length + states.shape[1] if self._melody_settings else 0
        delays = self._pattern.n_steps(1) - 1
        return max(2, int(self._net.config.decoder.max_position_embeddings) - before - delays)

    def _as_ours(self, sound: Waveform | None) -> Samples:
        """A sound at the model's rate and of its channels, (F, C); no frames for none."""
        if sound is None:
            return np.zeros((0, self._model.channels), dtype=np.float32)
        samples = resample(sound, self._model.sample_rate).samples
        if samples.shape[1] == self._model.channels:
            return samples
        mono = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return np.repeat(mono, self._model.channels, axis=1)

    def _no_codes(self) -> Codes:
        return np.zeros((self._pattern.n_codebooks, 0), dtype=np.int64)


def _joined(given: Samples, sound: Samples, n_known: int, n_fade: int) -> Samples:
    """A sound with what it was gone on from put back before it.

    Args:
        given: The original (F, C).
        sound: What the codec made, (G, C): its first `n_known` frames are of the end of the original.
        n_known: 0 if nothing was given.
        n_fade: Frames in which the first becomes the second, before the original's end.
    """
    if not n_known:
        return sound
    n_fade = min(n_fade, n_known)
    rise = fade_curve(n_fade)[:, None]
    ending = given[len(given) - n_fade :] * (1.0 - rise) + sound[n_known - n_fade : n_known] * rise
    return np.concatenate([given[: len(given) - n_fade], ending, sound[n_known:]])
