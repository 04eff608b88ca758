"""The folder with the weights of Lumina-T2Music: what lies where, and how its networks are read.

The layout is the published one, with safetensors in the place of pickles, and one more folder::

    music_generation/119.safetensors     Flag-DiT, and the scale of its latents
    maa2/maa2.safetensors                the decoder of mel spectrograms
    bigvnat/best_netG.safetensors        BigVGAN
    bigvnat/config.json                  its settings: args.yml as published
    text_encoder/                        FLAN-T5-large in the layout of transformers, with its tokenizer

`lumina_convert` makes it from what is published. Takes such a folder; gives networks on a device. The sizes of the networks are told by
the shapes of their arrays. Pickles are never opened here.

Source: the hub repository Alpha-VLLM/Lumina-T2Music, and the configuration beside the published code, lumina-text2music.yaml.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from kapelle.errors import Missing, UnreadableInput
from kapelle.models import bigvgan, flag_dit, mel_vae
from kapelle.text_audio.libraries import quietly
from kapelle.text_audio.parts import Part, read_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from kapelle.text_audio.places import Place

Network = TypeVar("Network", bound="nn.Module")

FLAG_DIT = Path("music_generation/119.safetensors")
MEL_VAE = Path("maa2/maa2.safetensors")
BIGVGAN = Path("bigvnat/best_netG.safetensors")
BIGVGAN_SETTINGS = Path("bigvnat/config.json")
TEXT_ENCODER = Path("text_encoder")

PICKLES = {FLAG_DIT: FLAG_DIT.with_suffix(".ckpt"), MEL_VAE: MEL_VAE.with_suffix(".ckpt"), BIGVGAN: BIGVGAN.with_suffix(".pt")}
"""What each file is converted from."""

TEXT_ENCODER_REPO = "google/flan-t5-large"

SCALE = "scale_factor"
"""The name, among the arrays of Flag-DiT, of what latents were multiplied by so that they vary as much as noise does."""

FETCH = (
    "fetch {repo}, and the .json files of {text_encoder} into its subfolder text_encoder; "
    "then: python -m kapelle.text_audio.lumina_convert FOLDER OUT"
)
WORDS = {"repo": "Alpha-VLLM/Lumina-T2Music", "text_encoder": TEXT_ENCODER_REPO}
"""Of `FETCH`."""
AGAIN = "convert the published weights again: python -m kapelle.text_audio.lumina_convert FOLDER OUT"


def check(folder: Path) -> None:
    """Raise unless all files are there; none is opened.

    Raises:
        Missing: The folder or a file is not there.
        UnreadableInput: There are pickles alone.
    """
    if not folder.is_dir():
        raise Missing("there is no folder {folder}", folder=folder, hint=FETCH, **WORDS)
    for file, pickle in PICKLES.items():
        if (folder / file).is_file():
            continue
        if (folder / pickle).is_file():
            raise UnreadableInput(
                "{folder} holds the weights as published, as pickles, which can run any program when they are opened",
                folder=folder, hint="convert them once, without running anything: python -m kapelle.text_audio.lumina_convert {folder} OUT",
            )  # fmt: skip
        raise Missing("{folder} holds no {file}", folder=folder, file=file.as_posix(), hint=FETCH, **WORDS)
    if not (folder / BIGVGAN_SETTINGS).is_file():
        raise Missing("{folder} holds no {file}", folder=folder, file=BIGVGAN_SETTINGS.as_posix(), hint=AGAIN)


def read_flag_dit(folder: Path, place: Place) -> tuple[flag_dit.FlagDiT, float]:
    """The network of velocities on its device, and the scale of its latents."""
    arrays = read_arrays(folder / FLAG_DIT)
    stored = arrays.pop(SCALE, None)
    scale = float(stored) if stored is not None and stored.numel() == 1 else 0.0
    if not 0 < scale < float("inf"):
        raise UnreadableInput("{file} lacks a {name} above 0", file=folder / FLAG_DIT, name=SCALE, hint=AGAIN)
    network = _filled(folder / FLAG_DIT, flag_dit.FlagDiT, flag_dit.Config, arrays)
    return network.to(place.device, place.dtype), scale


def read_mel_decoder(folder: Path, place: Place) -> mel_vae.MelDecoder:
    """The decoder of mel spectrograms on its device, in float32."""
    return _filled(folder / MEL_VAE, mel_vae.MelDecoder, mel_vae.Config, read_arrays(folder / MEL_VAE)).to(place.device, torch.float32)


def read_vocoder(folder: Path, place: Place) -> bigvgan.BigVGAN:
    """BigVGAN on its device, in float32."""
    settings = folder / BIGVGAN_SETTINGS
    try:
        config = bigvgan.Config.of(json.loads(settings.read_text(encoding="utf-8")))
    except KeyError as error:
        raise UnreadableInput("{file} lacks {name}", file=settings, name=error.args[0], hint=AGAIN) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableInput("{file} cannot be read: {why}", file=settings, why=error, hint=AGAIN) from error
    return _loaded(folder / BIGVGAN, bigvgan.BigVGAN, config, read_arrays(folder / BIGVGAN)).to(place.device, torch.float32)


def read_text_encoder(folder: Path, place: Place) -> tuple[Any, Any]:
    """The tokenizer, and the encoder on its device, in float32: half precision is known to overflow in T5.

    Without the subfolder, the repository of its own is looked for in the cache of the hub's client.
    """
    from transformers import AutoTokenizer, T5EncoderModel

    source = folder / TEXT_ENCODER
    if not (source / "config.json").is_file():
        source = _cached(TEXT_ENCODER_REPO) or source
    if not source.is_dir():
        raise Missing("{folder} has no {file}", folder=folder, file=TEXT_ENCODER.as_posix(), hint=FETCH, **WORDS)
    with quietly():
        tokenizer = read_part(source, Part(AutoTokenizer), place)
        encoder = read_part(source, Part(T5EncoderModel, exact=True), place)
    if len(tokenizer) > encoder.config.vocab_size:
        raise UnreadableInput("{folder}: the tokenizer is of another text encoder", folder=source, hint=AGAIN)
    return tokenizer, encoder


def _cached(repo: str) -> Path | None:
    """The folder of a repository in the cache of the hub's client; no network is used."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def read_arrays(file: Path) -> dict[str, Tensor]:
    """The arrays of a file.

    Raises:
        Missing: It is not there.
        UnreadableInput: It is damaged, or no safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise Missing("there is no {file}", file=file, hint=AGAIN)
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UnreadableInput("{file} is damaged: {why}", file=file, why=_first_line(error), hint=AGAIN) from error


def _filled(file: Path, kind: type[Network], settings: Any, arrays: Mapping[str, Tensor]) -> Network:
    """A network whose configuration the shapes tell."""
    try:
        config = settings.of({name: tuple(array.shape) for name, array in arrays.items()})
    except KeyError as error:
        raise UnreadableInput("{file} lacks {name}", file=file, name=error.args[0], hint=AGAIN) from error
    except (ValueError, IndexError) as error:
        raise UnreadableInput("{file} is of another network: {why}", file=file, why=_first_line(error), hint=AGAIN) from error
    return _loaded(file, kind, config, arrays)


def _loaded(file: Path, kind: type[Network], config: Any, arrays: Mapping[str, Tensor]) -> Network:
    try:
        with torch.device("meta"):
            network = kind(config)
        network.load_state_dict(arrays, strict=True, assign=True)
    except (RuntimeError, ValueError, ZeroDivisionError) as error:
        raise UnreadableInput("{file} is of another network: {why}", file=file, why=_first_line(error), hint=AGAIN) from error
    network.eval().requires_grad_(False)
    return network


def _first_line(error: Exception) -> str:
    """The first line that says something: torch puts a heading before."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1 if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else 0] if lines else type(error).__name__
