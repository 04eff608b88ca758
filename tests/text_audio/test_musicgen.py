"""MusicGen held equal to transformers' own generation, and what every backend promises, on tiny weights of the real classes."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kapelle.errors import CannotObey, Interrupted
from kapelle.text_audio.request import SoundRequest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")

import tiny_musicgen  # noqa: E402
from kapelle.text_audio.musicgen import MusicGen, load  # noqa: E402
from kapelle.text_audio.musicgen_decoding import guided, keep_likely  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)
RATE = 32_000
Ask = partial(SoundRequest, prompt="lo fi funk")


@pytest.fixture(scope="module")
def mono_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mono")
    tiny_musicgen.save(folder)
    return folder


@pytest.fixture(scope="module")
def mono(mono_folder: Path) -> MusicGen:
    return load(mono_folder, tiny_musicgen.model(), CPU)


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> MusicGen:
    folder = tmp_path_factory.mktemp("stereo")
    return load(folder, tiny_musicgen.save(folder, stereo=True), CPU)


@pytest.fixture(params=["mono", "stereo"])
def either(request: pytest.FixtureRequest) -> MusicGen:
    backend: MusicGen = request.getfixturevalue(request.param)
    return backend


def samples_of(backend: MusicGen, **wishes: Any) -> np.ndarray:
    (wave,) = backend.imagine(Ask(**wishes))
    return wave.samples


def by_transformers(backend: MusicGen, n_moments: int, *, seed: int = 0, negative: str = "", **wishes: Any) -> np.ndarray:
    """The same sound by `generate`, (F, C)."""
    net = backend._net
    inputs = backend._tokenizer(["lo fi funk"], return_tensors="pt")
    if negative:
        both = backend._tokenizer(["lo fi funk", negative], return_tensors="pt", padding=True)
        inputs["encoder_outputs"] = net.text_encoder(**both)
        inputs["attention_mask"] = both["attention_mask"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sound = net.generate(**inputs, max_new_tokens=n_moments + 3, **wishes)
    samples: np.ndarray = sound[0].T.numpy()
    return samples


def test_the_two_channels_differ(stereo: MusicGen):
    left, right = samples_of(stereo, duration_s=0.5).T
    assert np.corrcoef(left, right)[0, 1] < 0.9


def test_the_likeliest_codes_are_those_of_transformers(either: MusicGen):
    ours = samples_of(either, duration_s=0.6, top_k=1)
    assert_allclose(ours, by_transformers(either, 30, do_sample=False, guidance_scale=3.0), atol=1e-6)


def test_drawn_codes_are_those_of_transformers(either: MusicGen):
    ours = samples_of(either, duration_s=0.6, seed=5, temperature=0.9, top_k=50, top_p=0.8, guidance=2.0)
    theirs = by_transformers(either, 30, seed=5, do_sample=True, temperature=0.9, top_k=50, top_p=0.8, guidance_scale=2.0)
    assert_allclose(ours, theirs, atol=1e-6)


def test_without_guidance_it_is_transformers_too(mono: MusicGen):
    ours = samples_of(mono, duration_s=0.6, seed=3, guidance=1.0)
    assert_allclose(ours, by_transformers(mono, 30, seed=3, do_sample=True, top_k=250, guidance_scale=1.0), atol=1e-6)


@pytest.mark.parametrize("negative", ["low quality rock with loud drums", "rock"])
def test_a_negative_prompt_stands_where_nothing_stood(either: MusicGen, negative: str):
    ours = samples_of(either, duration_s=0.6, top_k=1, negative_prompt=negative)
    theirs = by_transformers(either, 30, negative=negative, do_sample=False, guidance_scale=3.0)
    assert_allclose(ours, theirs, atol=1e-6)
    assert not np.array_equal(ours, samples_of(either, duration_s=0.6, top_k=1))


def test_what_is_asked_matters(mono: MusicGen):
    sounds = [samples_of(mono, duration_s=0.5, **wish).tobytes() for wish in ({}, {"guidance": 1.0}, {"temperature": 0.5}, {"top_k": 3})]
    sounds.append(next(mono.imagine(Ask(prompt="loud techno drums", duration_s=0.5))).samples.tobytes())
    assert len(set(sounds)) == 5


def test_it_can_be_stopped_after_its_last_code(mono: MusicGen):
    """The codec works for minutes on a long sound, and asks before each of its pieces too."""
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1 + 28  # before all, and after each step

    with pytest.raises(Interrupted):
        list(mono.imagine(Ask(duration_s=0.5), cancelled=cancelled))
    assert len(asked) == 30


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_for_the_language_model_alone(mono_folder: Path, dtype: Any):
    half = load(mono_folder, tiny_musicgen.model(), Place(torch.device("cpu"), dtype))
    net = half._net
    assert {weights.dtype for weights in net.decoder.parameters()} == {dtype}
    for part in (net.text_encoder, net.audio_encoder, net.enc_to_dec_proj):
        assert {weights.dtype for weights in part.parameters()} == {torch.float32}
    assert samples_of(half, duration_s=0.5).shape == (16_000, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_numbers_that_are_none_are_an_error_that_says_what_to_do(mono_folder: Path, dtype: Any):
    backend = load(mono_folder, tiny_musicgen.model(), Place(torch.device("cpu"), dtype))
    with torch.no_grad():
        backend._net.decoder.lm_heads[2].weight[5, 0] = float("nan")
    with pytest.raises(CannotObey) as caught:
        samples_of(backend, duration_s=0.5)
    assert ("--dtype float32" in caught.value.hint) == (dtype is torch.float16)


def test_a_codec_that_makes_no_numbers_is_an_error(mono_folder: Path):
    backend = load(mono_folder, tiny_musicgen.model(), CPU)
    with torch.no_grad():
        backend._net.audio_encoder.quantizer.layers[0].codebook.embed.fill_(float("inf"))
    with pytest.raises(CannotObey):
        samples_of(backend, duration_s=0.5)


def test_the_longest_prompt_is_read(mono: MusicGen):
    (wave,) = mono.imagine(Ask(prompt="q#" * 500, duration_s=0.5))
    assert wave.n_frames == 16_000


def test_guidance_goes_from_without_to_with_and_beyond():
    with_prompt, without = torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 2.0]])
    assert guided(torch.stack([with_prompt, without]), 3.0).tolist() == [[3.0, 8.0]]
    assert guided(with_prompt[None], 3.0).tolist() == [[1.0, 4.0]]


def test_only_the_likely_are_kept():
    scores = torch.log(torch.tensor([[0.1, 0.4, 0.2, 0.3]]))

    def kept(top_k: int, top_p: float) -> list[int]:
        return torch.isfinite(keep_likely(scores, top_k, top_p))[0].nonzero()[:, 0].tolist()

    assert kept(0, 0.0) == kept(9, 1.0) == [0, 1, 2, 3]
    assert kept(2, 0.0) == [1, 3]
    assert kept(0, 0.5) == [1, 3]
    assert kept(0, 0.01) == kept(1, 0.9) == [1]
    assert kept(3, 0.99) == [1, 2, 3]
