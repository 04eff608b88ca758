"""Folders of MusicGen weights: whole ones in every published form are read, and of others it is said what is wrong with them."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kapelle.errors import KapelleError, Missing, UnreadableInput
from kapelle.text_audio.request import SoundRequest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")
safetensors = pytest.importorskip("safetensors.torch")

import tiny_musicgen  # noqa: E402
from kapelle.text_audio.musicgen import MusicGen, load  # noqa: E402
from kapelle.text_audio.opening import open_model  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)
MONO = tiny_musicgen.model()
Ask = partial(SoundRequest, prompt="lo fi funk", duration_s=0.5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tiny_musicgen.save(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A whole folder, to be harmed."""
    return shutil.copytree(whole, tmp_path / "weights")


def sound_of(folder: Path) -> bytes:
    (wave,) = load(folder, MONO, CPU).imagine(Ask())
    return wave.samples.tobytes()


def change(file: Path, **values: Any) -> None:
    """Set keys of a JSON file, ``a__b`` for b in a."""
    tree = json.loads(file.read_text())
    for key, value in values.items():
        *path, last = key.split("__")
        place = tree
        for part in path:
            place = place[part]
        place[last] = value
    file.write_text(json.dumps(tree))


def test_a_model_is_opened_by_its_family(whole: Path):
    backend = open_model(MONO, whole, device="cpu")
    assert isinstance(backend, MusicGen)
    assert backend.model is MONO


def test_what_is_read_is_what_was_saved(whole: Path):
    from transformers import MusicgenForConditionalGeneration

    plain = MusicgenForConditionalGeneration.from_pretrained(whole).state_dict()
    ours = load(whole, MONO, CPU)._net.state_dict()
    assert plain.keys() == ours.keys()
    assert all(torch.equal(plain[name], ours[name]) for name in plain)


def test_shards_are_one_model(tmp_path: Path, whole: Path):
    tiny_musicgen.save(tmp_path, max_shard_size="400KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert not (tmp_path / "model.safetensors").exists()
    assert sound_of(tmp_path) == sound_of(whole)


def test_weights_that_older_libraries_named_otherwise_are_read(folder: Path, whole: Path):
    """The published files call the two parts of a normalised weight ``weight_g`` and ``weight_v``."""
    file = folder / "model.safetensors"
    tensors = safetensors.load_file(file)
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for name, tensor in tensors.items():
        for new, old in names.items():
            name = name.replace(new, old)
        renamed[name] = tensor
    assert renamed.keys() != tensors.keys()
    safetensors.save_file(renamed, file, metadata={"format": "pt"})
    assert sound_of(folder) == sound_of(whole)


def test_loading_says_nothing_and_leaves_the_library_as_it_was(whole: Path, capfd: pytest.CaptureFixture[str]):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    list(load(whole, MONO, CPU).imagine(Ask()))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_loading_leaves_the_random_state_of_others_alone(whole: Path):
    before = torch.random.get_rng_state()
    load(whole, MONO, CPU)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(Missing, match="holds no weights" if name == "model.safetensors" else name):
        load(folder, MONO, CPU)


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(Missing, match="nowhere"):
        load(tmp_path / "nowhere", MONO, CPU)


def test_a_melody_model_needs_the_settings_of_its_features(tmp_path: Path):
    model = tiny_musicgen.save(tmp_path, melody=True)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(Missing, match=r"preprocessor_config\.json"):
        load(tmp_path, model, CPU)


def test_pickles_are_not_opened(folder: Path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnreadableInput, match=r"pytorch_model\.bin, a pickle") as caught:
        load(folder, MONO, CPU)
    assert ".safetensors" in caught.value.hint


@pytest.mark.parametrize(
    "harm",
    [
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:100],
        lambda whole: whole[:3],
        lambda _: b"",
        lambda whole: whole + b"more",
        lambda _: b"\xff" * 4_000,
        lambda _: (2).to_bytes(8, "little") + b"[]",
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    ],
)
def test_damaged_weights_are_named(folder: Path, harm: Callable[[bytes], bytes]):
    file = folder / "model.safetensors"
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(UnreadableInput, match=r"model\.safetensors is damaged"):
        load(folder, MONO, CPU)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "[" * 100_000, "\x00\xff"])
def test_damaged_settings_are_an_error_of_ours(folder: Path, name: str, text: str):
    (folder / name).write_text(text, encoding="latin-1")
    try:
        load(folder, MONO, CPU)
    except KapelleError as error:
        assert str(folder) in str(error)
    else:
        assert name == "generation_config.json"  # nothing of it is used


def test_another_family_is_named(folder: Path):
    change(folder / "config.json", model_type="bart")
    with pytest.raises(UnreadableInput, match="bart"):
        load(folder, MONO, CPU)


@pytest.mark.parametrize(
    ("made", "wanted"), [({"stereo": True}, {}), ({}, {"stereo": True}), ({"melody": True}, {}), ({}, {"melody": True})]
)
def test_another_model_of_the_family_is_refused(tmp_path: Path, made: dict[str, bool], wanted: dict[str, bool]):
    tiny_musicgen.save(tmp_path, **made)
    with pytest.raises(UnreadableInput, match=r"config\.json is of"):
        load(tmp_path, tiny_musicgen.model(**wanted), CPU)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio_encoder__sampling_rate", 24_000),
        ("audio_encoder__audio_channels", 2),
        ("audio_encoder__normalize", True),
        ("audio_encoder__chunk_length_s", 1.0),
        ("audio_encoder__norm_type", "time_group_norm"),
        ("audio_encoder__model_type", "dac"),
        ("text_encoder__model_type", "bert"),
        ("text_encoder__vocab_size", 20),
        ("audio_encoder__upsampling_ratios", []),
        ("audio_encoder__upsampling_ratios", [0, 1]),
        ("audio_encoder__target_bandwidths", []),
        ("audio_encoder__codebook_size", 1_000),
        ("decoder__max_position_embeddings", 10**12),
        ("decoder__max_position_embeddings", -1),
        ("decoder__num_codebooks", 5),
        ("decoder__num_codebooks", 0),
        ("decoder__num_attention_heads", 0),
        ("decoder__num_attention_heads", 3),
        ("decoder__num_hidden_layers", 10**6),
        ("decoder__hidden_size", 32),
        ("decoder__hidden_size", 10**9),
        ("text_encoder__num_layers", 10**6),
        ("audio_encoder__num_lstm_layers", 10**6),
        ("audio_encoder__target_bandwidths", [1.1]),
        ("decoder__hidden_size", "wide"),
        ("decoder__vocab_size", 10),
        ("decoder__activation_function", "os.system"),
        ("decoder__dropout", 1.5),
        ("text_encoder__relative_attention_max_distance", 0),
        ("audio_encoder__pad_mode", "x"),
        ("decoder", None),
        ("audio_encoder", []),
    ],
)
def test_settings_of_another_network_are_refused(folder: Path, key: str, value: object):
    change(folder / "config.json", **{key: value})
    with pytest.raises(UnreadableInput):
        load(folder, MONO, CPU)


@pytest.mark.parametrize(("key", "value"), [("num_chroma", 24), ("chroma_length", 0), ("chroma_length", 10**9), ("chroma_length", "235")])
def test_settings_of_another_melody_are_refused(tmp_path: Path, key: str, value: object):
    model = tiny_musicgen.save(tmp_path, melody=True)
    change(tmp_path / "config.json", **{key: value})
    with pytest.raises(UnreadableInput, match=key):
        load(tmp_path, model, CPU)


def test_a_weight_that_is_missing_is_not_filled_with_random_numbers(folder: Path):
    file = folder / "model.safetensors"
    tensors = safetensors.load_file(file)
    del tensors["decoder.lm_heads.1.weight"]
    safetensors.save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(UnreadableInput, match=r"lacks 1 weights, decoder\.lm_heads\.1\.weight"):
        load(folder, MONO, CPU)


@pytest.mark.parametrize(
    "index", [{}, {"weight_map": []}, {"weight_map": {}}, {"weight_map": {"a": 3}}, {"weight_map": {"a": "../model.safetensors"}}]
)
def test_an_index_of_shards_that_is_none_is_refused(folder: Path, index: dict[str, Any]):
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnreadableInput, match=r"index\.json is damaged"):
        load(folder, MONO, CPU)


def test_a_missing_shard_is_named(tmp_path: Path):
    tiny_musicgen.save(tmp_path, max_shard_size="400KB")
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(Missing, match=shard.name):
        load(tmp_path, MONO, CPU)


def test_no_code_of_a_folder_is_run(folder: Path, tmp_path: Path):
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nclass Evil: pass\n")
    for file in ("config.json", "tokenizer_config.json"):
        change(folder / file, auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    with suppress(UnreadableInput):
        load(folder, MONO, CPU)
    assert not (tmp_path / "run").exists()


def test_both_channels_of_a_loaded_model_are_finite(tmp_path: Path):
    (wave,) = load(tmp_path, tiny_musicgen.save(tmp_path, stereo=True), CPU).imagine(Ask())
    assert np.isfinite(wave.samples).all()
