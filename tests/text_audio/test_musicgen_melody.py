"""Following a melody: features as transformers has them, conditions as transformers concatenates them."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kapelle.audio.waveform import Waveform
from kapelle.errors import UnreadableInput
from kapelle.text_audio.request import SoundRequest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")

import tiny_musicgen  # noqa: E402
from kapelle.text_audio.musicgen import MusicGen, load  # noqa: E402
from kapelle.text_audio.musicgen_melody import Melody, MelodySettings, no_melody, strongest_classes  # noqa: E402
from kapelle.text_audio.musicgen_windows import Room  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)
RATE = 32_000
SETTINGS = MelodySettings()
Ask = partial(SoundRequest, prompt="lo fi funk")
A, C_SHARP, E = 9, 1, 4


def tones(*hz: float, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> Waveform:
    """Tones one after another."""
    times = np.arange(round(seconds * rate)) / rate
    line = np.concatenate([0.3 * np.sin(2 * np.pi * one * times) for one in hz]).astype(np.float32)
    return Waveform(np.repeat(line[:, None], channels, axis=1), rate)


TUNE = tones(440.0, 554.37, 659.26)


@pytest.fixture(scope="module")
def mono(tmp_path_factory: pytest.TempPathFactory) -> MusicGen:
    folder = tmp_path_factory.mktemp("melody")
    return load(folder, tiny_musicgen.save(folder, melody=True), CPU)


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> MusicGen:
    folder = tmp_path_factory.mktemp("stereo_melody")
    return load(folder, tiny_musicgen.save(folder, melody=True, stereo=True), CPU)


@pytest.fixture(params=["mono", "stereo"])
def either(request: pytest.FixtureRequest) -> MusicGen:
    backend: MusicGen = request.getfixturevalue(request.param)
    return backend


def samples_of(backend: MusicGen, **wishes: Any) -> np.ndarray:
    (wave,) = backend.imagine(Ask(**wishes))
    return wave.samples


def features_of_transformers(samples: Any) -> Any:
    """Of the real feature extractor, (F, 12); its one use of torchaudio is done by torch where torchaudio is not installed."""
    from transformers.audio_utils import chroma_filter_bank
    from transformers.models.musicgen_melody.feature_extraction_musicgen_melody import MusicgenMelodyFeatureExtractor

    if find_spec("torchaudio"):
        extractor = MusicgenMelodyFeatureExtractor()
    else:
        extractor = MusicgenMelodyFeatureExtractor.__new__(MusicgenMelodyFeatureExtractor)
        bank = chroma_filter_bank(sampling_rate=RATE, num_frequency_bins=16_384, tuning=0, num_chroma=12)
        extractor.n_fft, extractor.chroma_filters, extractor.spectrogram = 16_384, torch.from_numpy(bank).float(), spectrogram
    return extractor._torch_extract_fbank_features(samples[None, None])[0]


def spectrogram(sound: Any) -> Any:
    """As `torchaudio.transforms.Spectrogram` with power 2, normalised by its window."""
    window = torch.hann_window(16_384)
    spectra = torch.stft(sound[:, 0], 16_384, 4_096, window=window, return_complex=True) / window.square().sum().sqrt()
    return spectra.abs().square()[:, None]


def test_the_strongest_class_of_each_tone_is_found():
    rows = Melody(TUNE, SETTINGS).features(0.0, 24)
    assert rows.shape == (24, 12)
    assert rows.argmax(dim=1)[[2, 3, 4, 10, 11, 12, 18, 19, 20]].tolist() == [A] * 3 + [C_SHARP] * 3 + [E] * 3
    assert rows.sum(dim=1).tolist() == [1.0] * 24


@pytest.mark.parametrize("n_frames", [16_000, 16_384, 96_000, 100_001])
def test_features_are_those_of_transformers(n_frames: int):
    random = np.random.default_rng(n_frames)
    samples = torch.from_numpy((random.standard_normal(n_frames) * 0.2).astype(np.float32).cumsum() * 0.01)
    assert torch.equal(strongest_classes(samples, SETTINGS), features_of_transformers(samples))


def test_silence_is_told_as_no_melody():
    assert torch.equal(strongest_classes(torch.zeros(40_000), SETTINGS), no_melody(10))


def test_rate_and_channels_of_the_melody_do_not_matter():
    plain = Melody(TUNE, SETTINGS).features(0.0, 24)
    other = Melody(tones(440.0, 554.37, 659.26, rate=44_100, channels=2), SETTINGS).features(0.0, 24)
    assert (plain != other).any(dim=1).sum() <= 1  # where a tone ends both classes are about as strong


def test_a_short_melody_is_repeated():
    once = Melody(TUNE, SETTINGS).features(0.0, 24)
    assert torch.equal(Melody(TUNE, SETTINGS).features(0.0, 60), torch.cat([once, once, once])[:60])


def test_later_windows_hear_what_the_melody_has_there():
    """Three tones of a second each, again and again: a window from second 19 on begins with the second tone."""
    rows = Melody(TUNE, SETTINGS).features(19.0, 235).argmax(dim=1)
    at = [int((second + 0.5) * RATE / 4_096) for second in range(29)]
    assert rows[at].tolist() == ([C_SHARP, E, A] * 10)[:29]


def test_of_a_long_melody_the_first_window_hears_its_beginning():
    rows = Melody(tones(440.0, 554.37, seconds=30.0), SETTINGS).features(0.0, 235)
    assert set(rows[:230].argmax(dim=1).tolist()) == {A}
    assert set(Melody(tones(440.0, 554.37, seconds=30.0), SETTINGS).features(30.0, 200).argmax(dim=1).tolist()) == {C_SHARP}


def by_transformers(backend: MusicGen, n_moments: int, melody: Waveform | None, **asked: Any) -> np.ndarray:
    inputs = backend._tokenizer(["lo fi funk"], return_tensors="pt")
    if melody:
        samples = torch.from_numpy(melody.samples.mean(axis=1))
        inputs["input_features"] = features_of_transformers(samples)[None]
    with torch.inference_mode():
        sound: np.ndarray = backend._net.generate(**inputs, do_sample=False, max_new_tokens=n_moments + 3, **asked)[0].T.numpy()
    return sound


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("melody", [None, TUNE])
def test_a_melody_is_followed_as_by_transformers(either: MusicGen, melody: Waveform | None, guidance: float):
    ours = samples_of(either, duration_s=0.6, top_k=1, melody=melody, guidance=guidance)
    assert ours.shape == (19_200, either.model.channels)
    assert_allclose(ours, by_transformers(either, 30, melody, guidance_scale=guidance), atol=1e-6)


def test_the_melody_and_what_to_keep_away_from_matter(either: MusicGen):
    wishes: list[dict[str, Any]] = [
        {}, {"melody": TUNE}, {"melody": tones(392.0, 294.0)}, {"melody": TUNE, "negative_prompt": "rock"},
        {"negative_prompt": "low quality rock with loud drums"},
    ]  # fmt: skip
    assert len({samples_of(either, duration_s=0.5, seed=1, **wish).tobytes() for wish in wishes}) == len(wishes)


def test_a_longer_sound_hears_the_melody_go_on(mono: MusicGen):
    """Two melodies with the same first second: windows that begin in it go the same way, later ones do not."""
    small = MusicGen(mono.model, mono._net, mono._tokenizer, CPU, MelodySettings(chunk_length=1), Room(window=50, stride=30))
    first, second = (samples_of(small, duration_s=1.9, melody=tones(440.0, hz), seed=3) for hz in (554.37, 294.0))
    n_same = 46 * 640
    assert_allclose(first[:n_same], second[:n_same], atol=1e-6)
    assert not np.allclose(first[50 * 640 :], second[50 * 640 :], atol=1e-3)


def test_windows_leave_room_for_what_stands_before_the_codes(mono: MusicGen):
    prompt = "q#" * 500
    n_text = len(mono._tokenizer(prompt).input_ids)
    with torch.inference_mode():
        states, _ = mono._heard(prompt, None)
    assert states.shape[1] == n_text
    assert mono._positions(states) == 2_048 - tiny_musicgen.CHROMA_LENGTH - n_text - 4


@pytest.mark.parametrize("value", [0, 1, -1, "16384", None, 2.5, True, 10**9])
def test_settings_that_are_none_are_refused(value: object, tmp_path: Path):
    with pytest.raises(UnreadableInput, match="n_fft"):
        MelodySettings.of({"n_fft": value}, tmp_path / "preprocessor_config.json")


def test_settings_have_the_published_numbers_if_nothing_else_is_said(tmp_path: Path):
    assert MelodySettings.of({}, tmp_path) == MelodySettings(32_000, 16_384, 4_096, 30)
