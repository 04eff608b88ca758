"""A folder of MusicGen weights, as the hub has them, looked at and read.

Takes a folder and what the catalogue says of its model; gives transformers' network and the tokenizer. Files are checked before anything
is allocated: what is missing, cut short, a pickle or another model is said by name. Only safetensors and JSON are read, no code of the
folder is run, and nothing is fetched. The language model gets the numbers that were asked for; text encoder, projections and codec stay in
float32, in which they are small, exact and safe from overflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import KapelleError, Missing, UnreadableInput
from kapelle.text_audio import claims
from kapelle.text_audio.libraries import guarded, quietly
from kapelle.text_audio.safe_files import REFETCH, check_whole, weightless

if TYPE_CHECKING:
    from kapelle.text_audio.catalogue import SoundModel
    from kapelle.text_audio.places import Place

LARGEST_JSON = 64 * 2**20
MOST = {
    "decoder": {"num_hidden_layers": 512, "num_codebooks": 32, "hidden_size": 2**14, "max_position_embeddings": 2**14},
    "text_encoder": {"num_layers": 512, "d_model": 2**14},
    "audio_encoder": {"num_lstm_layers": 32, "num_residual_layers": 32, "num_filters": 2**12, "hidden_size": 2**14},
}
"""Far above the largest published model; beyond them a folder could keep a machine busy before its weights are even looked at."""
EXACT = ("text_encoder", "audio_encoder", "enc_to_dec_proj", "audio_enc_to_dec_proj")
"""Parts that stay in float32."""


def read_folder(folder: Path, model: SoundModel, place: Place) -> tuple[Any, Any]:
    """The network, on its device and ready to draw, and the tokenizer.

    Raises:
        Missing: The folder, or a file of it, is not there.
        UnreadableInput: A file is damaged, is a pickle, or belongs to another model.
        NotEnoughMemory: The weights do not fit.
    """
    check_folder(folder, model)
    with quietly(), translated(folder, place):
        net = _network(folder, model, place)
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if len(tokenizer) > net.config.text_encoder.vocab_size:
        raise UnreadableInput("{folder}: the tokenizer is of another text encoder", folder=folder, hint=REFETCH)
    config = net.config
    if config.decoder.num_codebooks != config.audio_encoder.num_quantizers * model.channels:
        raise UnreadableInput("{folder}: language model and codec have different numbers of codebooks", folder=folder, hint=REFETCH)
    return net, tokenizer


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        Missing: There is no such file.
        UnreadableInput: It is none, or larger than 64 MiB.
    """
    if not file.is_file():
        raise Missing("{folder} has no {file}", folder=file.parent, file=file.name, hint=REFETCH)
    try:
        if file.stat().st_size > LARGEST_JSON:
            raise ValueError("too large")
        value = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise UnreadableInput("{file} is damaged: {why}", file=file, why=str(error)[:200], hint=REFETCH) from error
    return value


def check_folder(folder: Path, model: SoundModel) -> None:
    """Raise unless a folder looks whole and is of a model, by its files alone."""
    if not folder.is_dir():
        raise Missing("there is no folder {folder}", folder=folder, hint=REFETCH)
    _check_config(folder / "config.json", model)
    for file in _weight_files(folder):
        check_whole(file)
    if "melody" in model.takes:
        read_json(folder / "preprocessor_config.json")
    if not (folder / "tokenizer.json").is_file() and not (folder / "spiece.model").is_file():
        raise Missing("{folder} has no {file}", folder=folder, file="tokenizer.json", hint=REFETCH)


def _check_config(file: Path, model: SoundModel) -> None:
    """Raise unless a configuration is what the code of this family was written for."""
    config = read_json(file)
    decoder, codec, text = (config.get(part) for part in ("decoder", "audio_encoder", "text_encoder"))
    kind = "musicgen_melody" if "melody" in model.takes else "musicgen"
    if config.get("model_type") != kind or not all(isinstance(part, dict) for part in (decoder, codec, text)):
        raise UnreadableInput(
            "{file} is of another family of models ({found}), and {model} is {kind}",
            file=file, found=config.get("model_type"), model=model.name, kind=kind, hint=REFETCH,
        )  # fmt: skip
    assert isinstance(decoder, dict) and isinstance(codec, dict) and isinstance(text, dict)
    if decoder.get("audio_channels", 1) != model.channels:
        raise UnreadableInput(
            "{file} is of a model of {found} channels, and {model} has {channels}",
            file=file, found=decoder.get("audio_channels", 1), model=model.name, channels=model.channels,
            hint=REFETCH,
        )  # fmt: skip
    wanted = {
        "audio_encoder.model_type": (codec.get("model_type"), "encodec"),
        "audio_encoder.sampling_rate": (codec.get("sampling_rate"), model.sample_rate),
        "audio_encoder.audio_channels": (codec.get("audio_channels", 1), 1),
        "audio_encoder.chunk_length_s": (codec.get("chunk_length_s"), None),
        "audio_encoder.normalize": (codec.get("normalize", False), False),
        "audio_encoder.norm_type": (codec.get("norm_type", "weight_norm"), "weight_norm"),
        "text_encoder.model_type": (text.get("model_type"), "t5"),
        "num_chroma": (config.get("num_chroma", 12), 12),
    }
    for key, (found, expected) in wanted.items():
        if found != expected:
            raise UnreadableInput("{file}: {key} is {found!r}, not {expected!r}", file=file, key=key, found=found, expected=expected)
    for part, most in MOST.items():
        for name, limit in most.items():
            value = config[part].get(name, 1)
            if not isinstance(value, int) or not 1 <= value <= limit:
                raise UnreadableInput("{file}: {name} is {value!r}", file=file, name=f"{part}.{name}", value=value, hint=REFETCH)
    rows = config.get("chroma_length", 1)
    if not isinstance(rows, int) or not 1 <= rows <= decoder.get("max_position_embeddings", 2_048) // 2:
        raise UnreadableInput("{file}: {name} is {value!r}", file=file, name="chroma_length", value=rows, hint=REFETCH)


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors of a folder: one, or the shards that its index names."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        if (folder / "model.safetensors").is_file():
            return [folder / "model.safetensors"]
        raise weightless(folder)
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise UnreadableInput("{file} is damaged: {why}", file=index, why="no weight_map", hint=REFETCH)
    names = sorted(set(places.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UnreadableInput("{file} is damaged: {why}", file=index, why=f"a shard is named {name[:100]!r}", hint=REFETCH)
        if not (folder / name).is_file():
            raise Missing("{folder} has no {file}", folder=folder, file=name, hint=REFETCH)
    return [folder / name for name in names]


def _network(folder: Path, model: SoundModel, place: Place) -> Any:
    """The network of a folder that was looked at, all its weights read from files."""
    from transformers import MusicgenForConditionalGeneration, MusicgenMelodyForConditionalGeneration

    family: Any = MusicgenMelodyForConditionalGeneration if "melody" in model.takes else MusicgenForConditionalGeneration
    # A class of our own, and not an attribute set on the library's: what stays exact here must not change what others load.
    exact: Any = type(family.__name__, (family,), {"_keep_in_fp32_modules_strict": list(EXACT)})
    claims.check(exact, folder)
    net, report = exact.from_pretrained(
        folder, dtype=place.dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False, output_loading_info=True
    )
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would fill them with random numbers and warn
        raise UnreadableInput(
            "{folder} lacks {n} weights, {name} among them",
            folder=folder,
            n=len(missing),
            name=missing[0],
            hint=REFETCH,
        )
    net.eval()
    for part in net.children():
        if part is not net.audio_encoder:  # the codec finds its own place
            part.to(place.device)
    return net


@contextmanager
def translated(folder: Path, place: Place) -> Iterator[None]:
    """Errors of the libraries that read a folder, or compute with what they read, told as ours."""
    try:
        with guarded(place):
            yield
    except KapelleError:
        raise
    except Exception as error:
        raise UnreadableInput("{folder} cannot be loaded: {why}", folder=folder, why=claims.reason(error), hint=REFETCH) from error
