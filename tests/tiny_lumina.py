"""A tiny Lumina-T2Music: every class is the real one, the weights are few and random, the sound is noise.

`publish` writes it as the real one is published, in pickles with the remains of a training; `save` converts this by the real converter.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from kapelle.text_audio.catalogue import SoundModel, find
from tiny_text import t5_config, t5_tokenizer

WIDTH_OF_TEXT = 16


def save(folder: Path, *, seed: int = 0) -> SoundModel:
    """The facts of a tiny Lumina-T2Music that now lies in `folder`, ready to be loaded.

    Args:
        folder: To be made or filled.
        seed: Of the weights; torch's own generator is left as it was.
    """
    from kapelle.text_audio.lumina_convert import convert

    with tempfile.TemporaryDirectory() as published:
        publish(Path(published), seed=seed)
        convert(Path(published), folder)
    return facts()


def facts() -> SoundModel:
    """Of the tiny model."""
    return replace(find("lumina-music"), name="tiny-lumina", steps=4, n_parameters=100_000)


def publish(folder: Path, *, seed: int = 0, all_in_one: bool = True) -> None:
    """Write the files of the published repository, and those of the text encoder's.

    Args:
        folder: To be made or filled.
        seed: Of the weights.
        all_in_one: The file of Flag-DiT holds text encoder and autoencoder too, as the published one must, by its size; otherwise they
            lie in files of their own.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _publish(folder, all_in_one)


def _publish(folder: Path, all_in_one: bool) -> None:
    import torch
    import yaml
    from transformers import T5EncoderModel

    for name in ("music_generation", "maa2", "bigvnat"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    encoder = T5EncoderModel(t5_config(WIDTH_OF_TEXT))
    whole = {"betas": torch.linspace(0, 1, 10), "scale_factor": torch.tensor(0.7)} | _under("model.diffusion_model.", flag_dit())
    vae = autoencoder()
    if all_in_one:
        whole |= _under("first_stage_model.", vae) | _under("cond_stage_model.transformer.", encoder.state_dict())
        encoder.config.save_pretrained(folder / "text_encoder")
    else:
        torch.save(_training(vae | {"loss.logvar": torch.zeros(())}), folder / "maa2/maa2.ckpt")
        encoder.save_pretrained(folder / "text_encoder")
    torch.save(_training(whole), folder / "music_generation/119.ckpt")
    tokenizer = t5_tokenizer()
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(folder / "text_encoder")
    settings, generator = bigvgan()
    torch.save({"generator": generator}, folder / "bigvnat/best_netG.pt")
    (folder / "bigvnat/args.yml").write_text(yaml.safe_dump(settings))


def flag_dit() -> dict[str, Any]:
    """The arrays of a Flag-DiT of two blocks for 4 channels."""
    from kapelle.models.flag_dit import Config, FlagDiT

    network = FlagDiT(Config(in_channels=4, context_dim=WIDTH_OF_TEXT, hidden_size=16, depth=2, num_heads=2))
    for parameter in network.parameters():
        parameter.data.normal_(0.0, 0.3)
    return dict(network.state_dict())


def autoencoder() -> dict[str, Any]:
    """The arrays of an autoencoder for 8 bands; of the half that encodes, which nothing reads, only a name."""
    import torch

    from kapelle.models.mel_vae import Config, MelDecoder

    decoder = MelDecoder(Config(embed_dim=4, n_mels=8, ch=32, ch_mult=(1, 2), num_res_blocks=1))
    return dict(decoder.state_dict()) | {"encoder.conv_in.weight": torch.zeros(32, 8, 5), "quant_conv.bias": torch.zeros(8)}


def bigvgan() -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and arrays of a BigVGAN with a hop of 256, in the form of its training: weights as length and direction."""
    from kapelle.models.bigvgan import BigVGAN, Config, lowpass

    settings: dict[str, Any] = {
        "resblock": "1", "batch_size": 64, "num_mels": 8, "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8],
        "upsample_initial_channel": 32, "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]],
        "activation": "snakebeta", "snake_logscale": True, "dist_config": {"dist_backend": "nccl"},
    }  # fmt: skip
    arrays: dict[str, Any] = {}
    for name, array in BigVGAN(Config.of(settings)).state_dict().items():
        if name.endswith(".weight"):
            lengths = array.flatten(1).norm(dim=1).view(-1, 1, 1)
            arrays |= {f"{name}_g": lengths, f"{name}_v": array}
        else:
            arrays[name] = array
            if name.endswith("act.alpha"):
                stem = name.removesuffix("act.alpha")
                arrays |= {f"{stem}upsample.filter": lowpass(), f"{stem}downsample.lowpass.filter": lowpass()}
    return settings, arrays


def _under(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: array for name, array in arrays.items()}


def _training(arrays: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of Lightning, with some numbers of numpy as the published ones have."""
    import numpy as np
    import torch

    return {
        "epoch": 119, "global_step": 1, "pytorch-lightning_version": "1.9", "state_dict": arrays, "lr_schedulers": [],
        "callbacks": {"best_model_score": np.float64(0.5), "k": np.int64(3)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 3e-6}]}],
    }  # fmt: skip
