"""A tiny AudioLDM2 in the published layout: every class is the real one, the weights are few and random, the sound is noise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kapelle.text_audio.catalogue import SoundModel, find
from tiny_text import TEXT, t5_config, t5_tokenizer

JOINT = 32  # width of CLAP's joint space
LOOKS = 16  # width of the language model
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def save(folder: Path, *, as_published: bool = True, seed: int = 0) -> SoundModel:
    """The facts of a tiny AudioLDM2 that now lies in `folder`.

    Args:
        folder: To be made or filled.
        as_published: Declare the language model as the published checkpoints do: as a GPT2Model, which cannot generate any more.
        seed: Of the weights; torch's own generator is left as it was.
    """
    import torch
    from diffusers import AudioLDM2Pipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = AudioLDM2Pipeline(**_components())
    pipeline.save_pretrained(folder, safe_serialization=True)
    if as_published:
        _declare_as_published(folder)
    return replace(find("audioldm2-music"), name="tiny-audioldm2", n_parameters=300_000)


def _components() -> dict[str, Any]:
    from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler
    from transformers import ClapFeatureExtractor, GPT2Config, GPT2LMHeadModel, SpeechT5HifiGan, SpeechT5HifiGanConfig, T5EncoderModel

    roberta, t5, text_config = roberta_tokenizer(), t5_tokenizer(), t5_config()
    t5.model_max_length = 512
    language = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(roberta), n_positions=640, n_embd=LOOKS, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=2)
    )
    language.config.max_new_tokens = 8
    unet = AudioLDM2UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, sample_size=256, in_channels=8, out_channels=8,
        attention_head_dim=(2, 2), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=((None, LOOKS, text_config.d_model),) * 2,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(4, 8, 8), in_channels=1, out_channels=1, norm_num_groups=4, layers_per_block=1, latent_channels=8,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, scaling_factor=0.41407,
    )  # fmt: skip
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=64, sampling_rate=16_000, upsample_initial_channel=32, upsample_rates=[5, 4, 2, 2, 2],
        upsample_kernel_sizes=[16, 16, 8, 4, 4], resblock_kernel_sizes=[3, 7], resblock_dilation_sizes=[[1, 3], [1, 3]],
        normalize_before=False, initializer_range=0.2,
    )  # fmt: skip
    return {
        "vae": vae, "unet": unet, "vocoder": SpeechT5HifiGan(vocoder), "language_model": language,
        "text_encoder": clap_model(), "tokenizer": roberta, "feature_extractor": ClapFeatureExtractor(truncation="rand_trunc"),
        "text_encoder_2": T5EncoderModel(text_config), "tokenizer_2": t5,
        "projection_model": AudioLDM2ProjectionModel(JOINT, text_config.d_model, LOOKS),
        "scheduler": DDIMScheduler(
            beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    }  # fmt: skip


def roberta_tokenizer() -> Any:
    """A RoBERTa tokenizer whose byte pairs were learned from a few words."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizer

    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator([TEXT], vocab_size=400, special_tokens=list(SPECIAL), show_progress=False)
    model = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
    return RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=512)


def clap_model() -> Any:
    """A CLAP of four stages for sound at 48 kHz, and two layers for text."""
    from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig

    text = ClapTextConfig(
        vocab_size=len(roberta_tokenizer()), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=514, pad_token_id=1, bos_token_id=0, eos_token_id=2, projection_dim=JOINT,
    )  # fmt: skip
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=8, hidden_size=64, depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], num_hidden_layers=4,
        projection_dim=JOINT,
    )  # fmt: skip
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=JOINT)
    return ClapModel(config)


def _declare_as_published(folder: Path) -> None:
    """The language model's head goes, as does the name of the class that has one."""
    from transformers import GPT2Model

    index = folder / "model_index.json"
    declared = json.loads(index.read_text())
    declared["language_model"] = ["transformers", "GPT2Model"]
    declared |= {"tokenizer": ["transformers", "RobertaTokenizerFast"], "tokenizer_2": ["transformers", "T5TokenizerFast"]}
    index.write_text(json.dumps(declared, indent=2))
    bare = GPT2Model.from_pretrained(folder / "language_model")
    bare.config.architectures = ["GPT2Model"]
    bare.save_pretrained(folder / "language_model")
    config = folder / "language_model" / "config.json"
    settings = json.loads(config.read_text())
    settings["max_new_tokens"] = 8  # where the published file has it
    config.write_text(json.dumps(settings, indent=2))
    (folder / "language_model" / "generation_config.json").unlink(missing_ok=True)
