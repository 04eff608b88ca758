"""A tiny Stable Audio Open in the published layout: every class is the real one, the weights are few and random, the sound is noise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from kapelle.text_audio.catalogue import SoundModel, find
from tiny_text import t5_config, t5_tokenizer

LATENTS = 8  # channels; the published model has 64
LOUDER = 60.0  # makes random latents about -20 dB of sound


def save(folder: Path, *, n_latents: int = 1024, seed: int = 0) -> SoundModel:
    """The facts of a tiny Stable Audio Open that now lies in `folder`.

    Args:
        folder: To be made or filled.
        n_latents: Latent frames of 2,048 samples that it makes; the published 1,024 are 47.55 s.
        seed: Of the weights; torch's own generator is left as it was.
    """
    import torch
    from diffusers import StableAudioPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = StableAudioPipeline(**_components(n_latents))
    pipeline.save_pretrained(folder, safe_serialization=True)
    longest_s = n_latents * 2_048 // 441 / 100
    return replace(find("stable-audio-open"), name="tiny-stable-audio", window_s=longest_s, longest_s=longest_s, n_parameters=300_000)


def _components(n_latents: int) -> dict[str, Any]:
    from diffusers import AutoencoderOobleck, CosineDPMSolverMultistepScheduler, StableAudioDiTModel, StableAudioProjectionModel
    from transformers import T5EncoderModel

    text_config, tokenizer = t5_config(), t5_tokenizer()
    tokenizer.model_max_length = 128
    width = text_config.d_model
    transformer = StableAudioDiTModel(
        sample_size=n_latents, in_channels=LATENTS, out_channels=LATENTS, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        num_key_value_attention_heads=2, cross_attention_dim=width, cross_attention_input_dim=width, global_states_input_dim=2 * width,
        time_proj_dim=16,
    )  # fmt: skip
    codec = AutoencoderOobleck(
        encoder_hidden_size=2 * LATENTS, downsampling_ratios=[2, 4, 4, 8, 8], channel_multiples=[1, 1, 2, 2, 2], decoder_channels=4,
        decoder_input_channels=LATENTS, audio_channels=2, sampling_rate=44_100,
    )  # fmt: skip
    _make_loud(codec)
    return {
        "vae": codec, "transformer": transformer, "text_encoder": T5EncoderModel(text_config), "tokenizer": tokenizer,
        "projection_model": StableAudioProjectionModel(text_encoder_dim=width, conditioning_dim=width, min_value=0, max_value=512),
        "scheduler": CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500),
    }  # fmt: skip


def _make_loud(codec: Any) -> None:
    """Without this a random decoder gives a constant, and the latents are hardly heard."""
    import torch

    with torch.no_grad():
        for name, weights in codec.decoder.named_parameters():
            if name.endswith("bias"):
                weights.zero_()
        codec.decoder.conv2.weight_g.mul_(LOUDER)
