"""The published weights of Lumina-T2Music, from pickles to safetensors, once::

    python -m kapelle.text_audio.lumina_convert FOLDER OUT

FOLDER is what is published: ``music_generation/119.ckpt`` (4.6 GB) and ``bigvnat`` (0.4 GB) of Alpha-VLLM/Lumina-T2Music, and the .json
files of google/flan-t5-large in a subfolder ``text_encoder``. OUT becomes what `kapelle.text_audio.lumina` reads. The first of these
files holds more than Flag-DiT: the state of its training, which is dropped, and, by its size, the encoder of texts and the autoencoder
of spectrograms, too; so ``maa2/maa2.ckpt`` (7.3 GB, most of it the state of another training) and the weights of google/flan-t5-large
(3.1 GB) are needed only if it does not.

A pickle can run any program when it is opened, so these are opened by torch's restricted reader, which knows arrays, plain containers
and, allowed here in addition, single numbers of numpy; anything else in them is refused before it is called.

Source: names as the published code makes them: `LatentDiffusion_audio`, `AutoencoderKL`, `VocoderBigVGAN` in lumina_music.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle.data.storage import writing
from kapelle.errors import KapelleError, Missing, UnreadableInput, UsageError
from kapelle.models import bigvgan
from kapelle.text_audio import lumina_folder as layout

if TYPE_CHECKING:
    from torch import Tensor

Arrays = Mapping[str, "Tensor"]

OF_FLAG_DIT = "model.diffusion_model."
OF_VAE = "first_stage_model."
OF_TEXT_ENCODER = "cond_stage_model.transformer."
DECODING = ("decoder.", "post_quant_conv.")
TIED = "encoder.embed_tokens.weight"
"""The same array as ``shared.weight``; safetensors stores an array once."""

_scalar = np.float64(0).__reduce__()[0]
NUMPY_NUMBERS: list[Any] = [
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")),
]
"""What single numbers of numpy, such as a best loss, are made of in a pickle, by the names that numpy 1 and 2 give them."""


def convert(folder: Path, out: Path) -> list[Path]:
    """The files that were written into `out`.

    Args:
        folder: What is published.
        out: To be made or filled; may be `folder`.

    Raises:
        Missing: A published file is not there.
        UnreadableInput: A file is damaged, holds more than numbers and containers, or lacks an array.
        StorageError: There is no room or no permission.
    """
    whole = _arrays(folder / layout.PICKLES[layout.FLAG_DIT], "state_dict")
    written = [
        _write(out / layout.FLAG_DIT, _below(whole, OF_FLAG_DIT) | {layout.SCALE: _scale(whole, folder)}),
        _write(out / layout.MEL_VAE, _decoder(whole, folder)),
    ]
    written += _write_text_encoder(whole, folder, out)
    del whole
    vocoder = folder / layout.PICKLES[layout.BIGVGAN]
    try:
        joined = bigvgan.folded(_arrays(vocoder, "generator"))
    except (KeyError, ValueError, RuntimeError) as error:
        raise UnreadableInput("{file} is of another network: {why}", file=vocoder, why=error) from error
    written.append(_write(out / layout.BIGVGAN, joined))
    written.append(_write_settings(vocoder.with_name("args.yml"), out / layout.BIGVGAN_SETTINGS))
    return written


def _arrays(file: Path, key: str) -> Arrays:
    """The arrays below `key` of a pickle."""
    if not file.is_file():
        raise Missing("there is no {file}", file=file, hint=layout.FETCH, **layout.WORDS)
    try:
        with torch.serialization.safe_globals(NUMPY_NUMBERS):
            # mapped, as most of it is never looked at
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:  # a damaged pickle raises anything
        if "WeightsUnpickler" in str(error) or "weights_only" in str(error):
            raise UnreadableInput(
                "{file} holds more than arrays and plain containers, and was not opened", file=file, hint="fetch it again from {repo}",
                **layout.WORDS,
            ) from error  # fmt: skip
        raise UnreadableInput("{file} is damaged: {why}", file=file, why=str(error).split("\n", 1)[0]) from error
    arrays = held.get(key) if isinstance(held, Mapping) else None
    if not isinstance(arrays, Mapping) or not all(isinstance(array, torch.Tensor) for array in arrays.values()):
        raise UnreadableInput("{file} holds no arrays by the name of {key}", file=file, key=key)
    return arrays


def _below(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """The arrays whose names begin so, without this beginning."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _scale(whole: Arrays, folder: Path) -> Tensor:
    if layout.SCALE not in whole:
        raise UnreadableInput("{file} lacks {name}", file=folder / layout.PICKLES[layout.FLAG_DIT], name=layout.SCALE)
    return whole[layout.SCALE].reshape(1)


def _decoder(whole: Arrays, folder: Path) -> dict[str, Tensor]:
    """The half of the autoencoder that decodes; what the large file holds wins, as in the published program."""
    vae: Arrays = _below(whole, OF_VAE) or _arrays(folder / layout.PICKLES[layout.MEL_VAE], "state_dict")
    return {name: array for name, array in vae.items() if name.startswith(DECODING)}


def _write_text_encoder(whole: Arrays, folder: Path, out: Path) -> list[Path]:
    """Its settings and vocabulary as they are in `folder`, its weights from wherever they are."""
    source, target = folder / layout.TEXT_ENCODER, out / layout.TEXT_ENCODER
    encoder = _below(whole, OF_TEXT_ENCODER)
    encoder.pop(TIED, None)
    copied = [path for path in sorted(source.glob("*")) if path.suffix in (".json", ".model") and not path.name.endswith(".index.json")]
    if not encoder:
        copied += sorted(source.glob("*.safetensors")) + sorted(source.glob("*.safetensors.index.json"))
    written = [_copied(path, target / path.name) for path in copied]
    return [*written, _write(target / "model.safetensors", encoder)] if encoder else written


def _copied(source: Path, target: Path) -> Path:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.resolve() != target.resolve():
            shutil.copyfile(source, target)
    return target


def _write(file: Path, arrays: Mapping[str, Tensor]) -> Path:
    """The file, in 32-bit floats; put in its place when it is whole."""
    from safetensors.torch import save_file

    part = file.with_name(file.name + ".part")
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: array.detach().to(torch.float32).contiguous().clone() for name, array in arrays.items()}, part, {"format": "pt"})
        part.replace(file)
    return file


def _write_settings(args: Path, file: Path) -> Path:
    """The settings of BigVGAN, from YAML to JSON."""
    import yaml  # type: ignore[import-untyped]  # comes with transformers

    if not args.is_file():
        raise Missing("there is no {file}", file=args, hint=layout.FETCH, **layout.WORDS)
    try:
        settings: Any = yaml.safe_load(args.read_text(encoding="utf-8"))
        bigvgan.Config.of(settings)
    except KeyError as error:
        raise UnreadableInput("{file} lacks {name}", file=args, name=error.args[0]) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UnreadableInput("{file} cannot be read: {why}", file=args, why=str(error).split("\n", 1)[0]) from error
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return file


def main(arguments: list[str]) -> int:
    """The exit code of the command in the head of this file."""
    try:
        if len(arguments) != 2:
            raise UsageError("two folders are needed", hint="python -m kapelle.text_audio.lumina_convert FOLDER OUT")
        for file in convert(Path(arguments[0]), Path(arguments[1])):
            print(file)
    except KapelleError as error:
        print(error, *([error.hint] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
