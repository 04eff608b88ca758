"""A MusicGen of a few thousand weights in the folder layout of the published ones: real classes, real files, random and loud sound."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kapelle.text_audio.catalogue import SoundModel, find
from tiny_text import t5_config, t5_tokenizer

WIDTH = 16
CHROMA_LENGTH = 20
LOUDNESS = 0.1
MELODY_FEATURES = {
    "feature_extractor_type": "MusicgenMelodyFeatureExtractor", "feature_size": 12, "sampling_rate": 32_000, "hop_length": 4_096,
    "n_fft": 16_384, "chunk_length": 30, "n_samples": 960_000, "padding_value": 0.0, "padding_side": "left",
    "return_attention_mask": False, "stem_indices": [3, 2], "processor_class": "MusicgenMelodyProcessor",
}  # fmt: skip


def save(folder: Path, *, stereo: bool = False, melody: bool = False, max_shard_size: str = "5GB") -> SoundModel:
    """Write the folder; gives the facts of its model. 32 kHz and 50 moments per second, as published."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        net = _network(stereo=stereo, melody=melody)
    net.save_pretrained(folder, max_shard_size=max_shard_size)
    _save_inputs(folder, stereo=stereo, melody=melody)
    return model(stereo=stereo, melody=melody)


def model(*, stereo: bool = False, melody: bool = False) -> SoundModel:
    """The facts alone."""
    name = "musicgen-" + ("stereo-" if stereo else "") + ("melody" if melody else "small")
    return replace(find(name), n_parameters=300_000)


def _network(*, stereo: bool, melody: bool) -> Any:
    import torch
    from transformers import (
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        MusicgenMelodyConfig,
        MusicgenMelodyDecoderConfig,
        MusicgenMelodyForConditionalGeneration,
    )

    sizes = {
        "hidden_size": WIDTH, "ffn_dim": 2 * WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 2_048,
        "num_codebooks": 8 if stereo else 4, "audio_channels": 2 if stereo else 1,
    }  # fmt: skip
    parts = {"text_encoder": t5_config(24).to_dict(), "audio_encoder": _codec_config().to_dict()}
    if melody:
        config = MusicgenMelodyConfig(**parts, decoder=MusicgenMelodyDecoderConfig(**sizes).to_dict(), chroma_length=CHROMA_LENGTH)
        net = MusicgenMelodyForConditionalGeneration(config)
    else:
        net = MusicgenForConditionalGeneration(MusicgenConfig(**parts, decoder=MusicgenDecoderConfig(**sizes).to_dict()))
    with torch.no_grad():
        for name, weights in net.named_parameters():
            if weights.ndim > 1 and not name.startswith("audio_encoder"):
                weights.normal_(0.0, 0.3)  # far from even odds, so that a wrong condition shows
    _make_loud(net.audio_encoder)
    special = dict.fromkeys(("bos_token_id", "pad_token_id", "decoder_start_token_id"), 2_048)
    net.generation_config.update(do_sample=True, guidance_scale=3.0, max_length=1_500, **special)
    return net.eval()


def _codec_config() -> Any:
    from transformers import EncodecConfig

    return EncodecConfig(
        sampling_rate=32_000, audio_channels=1, target_bandwidths=[2.2], upsampling_ratios=[8, 5, 4, 4], codebook_size=2_048,
        hidden_size=8, codebook_dim=8, num_filters=2, num_lstm_layers=2, use_causal_conv=False, use_conv_shortcut=False,
        normalize=False, pad_mode="reflect", norm_type="weight_norm",
    )  # fmt: skip


def _make_loud(codec: Any) -> None:
    """Codebooks that fit the encoder and halve from one to the next, and a last layer that gives `LOUDNESS` in root mean square."""
    import torch

    codec.eval()
    with torch.no_grad():
        for name, weights in codec.named_parameters():
            if name.endswith("conv.bias"):
                weights.zero_()  # what sounds then comes from the codes alone
        for layer in codec.decoder.layers:
            if hasattr(layer, "trim_right_ratio"):  # straight lines between its inputs: a smooth sound, where a click shows
                weights = layer.conv.parametrizations.weight.original1
                half = weights.shape[-1] // 2
                rise = (torch.arange(half) + 0.5) / half
                weights.copy_(torch.randn(*weights.shape[:2], 1) * torch.cat([rise, rise.flip(0)]))
        spread = codec.encoder(torch.randn(1, 1, 32_000) * LOUDNESS).std().item()
        for place, layer in enumerate(codec.quantizer.layers):
            layer.codebook.embed.normal_(0.0, spread * 0.5**place)
        sound = codec.decode(torch.randint(0, 2_048, (1, 1, 4, 100)), audio_scales=[None]).audio_values
        codec.decoder.layers[-1].conv.parametrizations.weight.original0.mul_(LOUDNESS / sound.std().item())


def _save_inputs(folder: Path, *, stereo: bool, melody: bool) -> None:
    from transformers import EncodecFeatureExtractor

    tokenizer = t5_tokenizer()
    tokenizer.save_pretrained(folder)
    if melody:  # its class wants torchaudio; the file is what the hub has
        (folder / "preprocessor_config.json").write_text(json.dumps(MELODY_FEATURES))
    else:
        channels = 2 if stereo else 1
        EncodecFeatureExtractor(feature_size=channels, sampling_rate=32_000, padding_side="left").save_pretrained(folder)
