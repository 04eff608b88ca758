"""Count the numbers in published text-to-audio models, without their weights, and keep the counts.

    python benchmarks/sound_models.py

The published configurations are built with the real classes on torch's meta device, where an array has a shape and no contents, so that
this needs no download and no memory. What is counted is what a file of weights holds: parameters and buffers. AudioLDM2 is not counted
here: of its two sizes the bytes of the published safetensors are known instead, and divided by four.

Source: the config.json of t5-base, google/flan-t5-large, facebook/encodec_32khz and facebook/musicgen-*, as transformers' own scripts
made them; the defaults of diffusers' StableAudioDiTModel and AutoencoderOobleck, which are those of the published pipeline; for Lumina
the configuration of its authors, as the defaults of `kapelle.models` have it. AudioLDM2: ayutaz/vokra, a public repository on GitHub,
records 4,474,362,800 bytes of safetensors at cvssp/audioldm2@c8e7e189 and 5,958,866,688 at cvssp/audioldm2-large@4b0b875a.
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MUSICGEN = {"small": (1_024, 16, 24), "medium": (1_536, 24, 48), "large": (2_048, 32, 48)}
"""Width, heads and layers."""

AUDIOLDM2_BYTES = {"audioldm2": 4_474_362_800, "audioldm2-large": 5_958_866_688}


def count(network: Any) -> int:
    """The numbers in a network's parameters and buffers."""
    return sum(array.numel() for array in (*network.parameters(), *network.buffers()))


def musicgen(size: str, *, stereo: bool, melody: bool) -> Any:
    """A MusicGen as it is published."""
    import transformers

    width, heads, layers = MUSICGEN[size]
    kind = "MusicgenMelody" if melody else "Musicgen"
    decoder = getattr(transformers, f"{kind}DecoderConfig")(
        hidden_size=width, ffn_dim=4 * width, num_hidden_layers=layers, num_attention_heads=heads, vocab_size=2_048,
        num_codebooks=8 if stereo else 4, audio_channels=2 if stereo else 1,
    )  # fmt: skip
    parts = {"text_encoder": t5_base().to_dict(), "audio_encoder": encodec().to_dict(), "decoder": decoder.to_dict()}
    return getattr(transformers, f"{kind}ForConditionalGeneration")(getattr(transformers, f"{kind}Config")(**parts))


def t5_base() -> Any:
    """The text encoder of MusicGen and of Stable Audio."""
    from transformers import T5Config

    return T5Config(d_model=768, d_ff=3_072, d_kv=64, num_layers=12, num_heads=12, vocab_size=32_128, feed_forward_proj="relu")


def flan_t5_large() -> Any:
    """The text encoder of Lumina and of AudioLDM2."""
    from transformers import T5Config

    return T5Config(d_model=1_024, d_ff=2_816, d_kv=64, num_layers=24, num_heads=16, vocab_size=32_128, feed_forward_proj="gated-gelu")


def encodec() -> Any:
    """The codec of MusicGen."""
    from transformers import EncodecConfig

    return EncodecConfig(
        sampling_rate=32_000, audio_channels=1, target_bandwidths=[2.2], upsampling_ratios=[8, 5, 4, 4], codebook_size=2_048,
        hidden_size=128, codebook_dim=128, num_filters=64, num_lstm_layers=2, use_causal_conv=False, use_conv_shortcut=False,
        normalize=False, pad_mode="reflect", norm_type="weight_norm",
    )  # fmt: skip


def parts() -> dict[str, int]:
    """Name of a part -> how many numbers it has."""
    import torch
    from diffusers import AutoencoderOobleck, StableAudioDiTModel
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel
    from transformers import EncodecModel, T5EncoderModel

    from kapelle.models import bigvgan, flag_dit, mel_vae

    with torch.device("meta"):
        return {
            "T5-base, encoder": count(T5EncoderModel(t5_base())),
            "FLAN-T5-large, encoder": count(T5EncoderModel(flan_t5_large())),
            "EnCodec 32 kHz": count(EncodecModel(encodec())),
            "Stable Audio: diffusion transformer": count(StableAudioDiTModel()),
            "Stable Audio: autoencoder": count(AutoencoderOobleck()),
            "Stable Audio: projection": count(StableAudioProjectionModel(768, 768, 0, 512)),
            "Lumina: Flag-DiT": count(flag_dit.FlagDiT(flag_dit.Config())),
            "Lumina: mel decoder": count(mel_vae.MelDecoder(mel_vae.Config())),
            "Lumina: BigVGAN": count(bigvgan.BigVGAN(bigvgan.Config())),
        }


def models(of: dict[str, int]) -> dict[str, int]:
    """Name of a model in the catalogue -> how many numbers it has."""
    import torch

    found = {}
    with torch.device("meta"):
        for size in MUSICGEN:
            for stereo in (False, True):
                named = "musicgen-" + ("stereo-" if stereo else "")
                found[f"{named}{size}"] = count(musicgen(size, stereo=stereo, melody=False))
                if size != "small":
                    melody = "melody" if size == "medium" else "melody-large"
                    found[f"{named}{melody}"] = count(musicgen(size, stereo=stereo, melody=True))
    found["stable-audio-open"] = of["T5-base, encoder"] + sum(n for name, n in of.items() if name.startswith("Stable Audio"))
    found["lumina-music"] = of["FLAN-T5-large, encoder"] + sum(n for name, n in of.items() if name.startswith("Lumina"))
    found["audioldm2"] = found["audioldm2-music"] = AUDIOLDM2_BYTES["audioldm2"] // 4
    found["audioldm2-large"] = AUDIOLDM2_BYTES["audioldm2-large"] // 4
    return found


def main() -> None:
    """Count, keep and show."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    of = parts()
    found = {"parts": of, "models": models(of)}
    (HERE / "results" / "sound_models.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, n in {**found["parts"], **found["models"]}.items():
        print(f"{name:40} {n:15,}")


if __name__ == "__main__":
    main()
