"""Sounds longer than a window, and sounds that go on from another: no seam is heard, and the codes are those of transformers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kapelle.audio.effects import resample
from kapelle.audio.waveform import Waveform
from kapelle.errors import UsageError
from kapelle.text_audio.musicgen_windows import Room, Window, plan, room
from kapelle.text_audio.request import SoundRequest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")

import tiny_musicgen  # noqa: E402
from kapelle.text_audio.musicgen import MusicGen, load  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)
RATE, HOP = 32_000, 640
SMALL = Room(window=20, stride=12)
EDGE = 200
Ask = partial(SoundRequest, prompt="lo fi funk")
Make = Callable[..., MusicGen]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Gives a backend of one channel or two, with a window of a given room."""
    loaded: dict[bool, MusicGen] = {}

    def of(*, stereo: bool = False, fit: Room | None = None) -> MusicGen:
        if stereo not in loaded:
            folder = tmp_path_factory.mktemp("weights")
            loaded[stereo] = load(folder, tiny_musicgen.save(folder, stereo=stereo), CPU)
        first = loaded[stereo]
        return MusicGen(first.model, first._net, first._tokenizer, CPU, fit=fit)

    return of


def samples_of(backend: MusicGen, **wishes: Any) -> np.ndarray:
    (wave,) = backend.imagine(Ask(**wishes))
    return wave.samples


def burst(samples: np.ndarray, at: int | None = None) -> float:
    """The strongest 5 ms of what changes fastest (the second difference), of all but the edges, or within 5 ms of a place."""
    fast = np.diff(samples.astype(np.float64), 2, axis=0)[EDGE:-EDGE] ** 2
    if at is not None:
        fast = fast[at - EDGE - 160 : at - EDGE + 160]
    return float(np.apply_along_axis(np.convolve, 0, fast, np.ones(160), "valid").max())


def jump(samples: np.ndarray, at: int | None = None) -> float:
    """The largest step from a frame to the next, of all but the edges, or at a place."""
    steps = np.abs(np.diff(samples, axis=0))
    return float((steps[EDGE:-EDGE] if at is None else steps[at - 2 : at + 2]).max())


def is_click(samples: np.ndarray, at: int) -> bool:
    """Whether a place stands out of the sound by its step or by its burst: more than three times what is anywhere 10 ms away from it."""
    away = [samples[: at - 320 + EDGE], samples[at + 320 - EDGE :]]
    return jump(samples, at) > 3 * max(map(jump, away)) or burst(samples, at) > 9 * max(map(burst, away))


def tone(seconds: float, *, rate: int = RATE, channels: int = 1, level: float = 0.3) -> Waveform:
    """A slow chord, so that a click would show."""
    times = np.arange(round(seconds * rate))[:, None] / rate
    return Waveform((level * np.sin(2 * np.pi * np.array([110.0, 165.0])[:channels] * times)).astype(np.float32), rate)


def test_what_fits_is_one_window():
    assert plan(20, SMALL) == (Window(0, 0, 20),)
    assert plan(1, SMALL) == (Window(0, 0, 1),)


def test_later_windows_hear_the_end_of_the_one_before():
    assert plan(45, SMALL) == (Window(0, 0, 20), Window(12, 20, 32), Window(24, 32, 44), Window(36, 44, 45))


def test_a_given_beginning_is_heard_whole_if_all_fits():
    assert plan(20, SMALL, 15) == (Window(0, 15, 20),)


def test_of_a_long_beginning_the_end_is_heard():
    assert plan(60, SMALL, 40) == (Window(32, 40, 52), Window(44, 52, 60))
    assert plan(30, SMALL, 6) == (Window(0, 6, 20), Window(12, 20, 30))


def test_the_published_windows_are_30_s_every_18_s():
    assert room(50.0, 2_045) == Room(1_500, 900)
    assert [(window.start, window.end) for window in plan(3_000, room(50.0, 2_045))] == [(0, 1_500), (900, 2_400), (1_800, 3_000)]


def test_windows_stay_within_the_positions():
    assert room(50.0, 1_000) == Room(1_000, 600)
    assert room(50.0, 2) == Room(2, 1)


@pytest.mark.parametrize(("window", "stride"), [(20, 20), (20, 0), (1, 1)])
def test_a_stride_that_hears_nothing_again_is_refused(window: int, stride: int):
    with pytest.raises(UsageError):
        Room(window, stride)


@given(st.integers(2, 40), st.integers(1, 39), st.integers(1, 300), st.integers(0, 100))
def test_windows_draw_every_moment_once(window: int, stride: int, n_new: int, n_given: int):
    fit = Room(window, min(stride, window - 1))
    windows = plan(n_given + n_new, fit, n_given)
    drawn = [moment for one in windows for moment in range(one.known, one.end)]
    assert drawn == list(range(n_given, n_given + n_new))
    assert all(0 <= one.start <= one.known < one.end <= one.start + window for one in windows)
    assert all(one.known - one.start == fit.heard_again for one in windows[1:])


@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize("piece", [1, 7, 50, 500])
def test_a_sound_decoded_in_pieces_is_the_sound_decoded_at_once(make: Make, stereo: bool, piece: int):
    backend = make(stereo=stereo)
    codes = np.random.default_rng(0).integers(0, 2_048, (8 if stereo else 4, 101))
    net = backend._net.audio_encoder
    with torch.inference_mode():
        each = [codes[0::2], codes[1::2]] if stereo else [codes]
        whole = [net.decode(torch.from_numpy(one)[None, None], [None]).audio_values[0, 0].numpy() for one in each]
        assert_allclose(backend._codec.decode(codes, piece), np.stack(whole, axis=1), atol=5e-7)


def test_windows_join_without_a_click(make: Make):
    backend = make(fit=SMALL)
    for wave in backend.imagine(Ask(duration_s=1.2, count=6)):
        assert [is_click(wave.samples, moment * HOP) for moment in (20, 32, 44, 56)] == [False] * 4


def test_windows_that_are_joined_as_sound_do_click(make: Make):
    """So the measure finds what it looks for: the same codes, decoded in two and concatenated, and decoded at once."""
    codec = make()._codec
    for seed in range(6):
        codes = np.random.default_rng(seed).integers(0, 2_048, (4, 60))
        with torch.inference_mode():
            naive = np.concatenate([codec.decode(codes[:, :30]), codec.decode(codes[:, 30:])])
            assert is_click(naive, 30 * HOP)
            assert not is_click(codec.decode(codes), 30 * HOP)


def test_at_seams_a_long_sound_is_no_rougher_than_elsewhere(make: Make):
    """Steps at the seams of 12 sounds, against those half-way between seams."""
    backend = make(fit=SMALL)
    waves = [wave.samples for wave in backend.imagine(Ask(duration_s=1.2, count=12))]
    at_seams = [jump(samples, moment * HOP) for samples in waves for moment in (20, 32, 44)]
    between = [jump(samples, moment * HOP) for samples in waves for moment in (14, 26, 38, 50)]
    assert max(at_seams) <= 1.5 * max(between)
    assert np.median(at_seams) <= 1.5 * np.median(between)


@pytest.mark.parametrize("stereo", [False, True])
def test_a_long_sound_begins_as_one_window_would(make: Make, stereo: bool):
    fit = Room(window=30, stride=18)
    backend = make(stereo=stereo, fit=fit)
    short, long = (samples_of(backend, duration_s=seconds, seed=4) for seconds in (0.6, 1.2))
    n_same = len(short) - 4 * HOP  # the codec looks a little ahead
    assert_allclose(long[:n_same], short[:n_same], atol=5e-7)
    assert long.shape == (38_400, 2 if stereo else 1)
    assert not np.array_equal(long, samples_of(make(stereo=stereo), duration_s=1.2, seed=4))


def test_windows_are_what_transformers_goes_on_with(make: Make):
    """Each window by `generate`, from the codes before it, greedy."""
    backend = make(fit=SMALL)
    net, inputs = backend._net, backend._tokenizer(["lo fi funk"], return_tensors="pt")
    codes = torch.zeros((4, 0), dtype=torch.long)
    with torch.inference_mode():
        for window in plan(40, SMALL):
            heard = {"decoder_input_ids": codes[:, window.start :]} if window.known else {}
            drawn = codes_of_generate(net, **inputs, **heard, do_sample=False, max_new_tokens=window.end - window.known + 3)
            codes = torch.cat([codes[:, : window.start], drawn], dim=1)
        theirs = backend._codec.decode(codes.numpy())
    assert codes.shape == (4, 40)
    assert_allclose(samples_of(backend, duration_s=0.8, top_k=1), theirs, atol=1e-6)


def codes_of_generate(net: Any, **asked: Any) -> Any:
    """The codes (K, T) that transformers' `generate` hands to its codec."""
    handed: list[Any] = []
    plain = net.audio_encoder.decode

    def decode(codes: Any, **others: Any) -> Any:
        handed.append(codes)
        return plain(codes, **others)

    net.audio_encoder.decode = decode
    try:
        net.generate(**asked, guidance_scale=3.0)
    finally:
        del net.audio_encoder.decode
    return handed[0][0, 0]


def test_progress_counts_the_steps_of_all_windows(make: Make):
    told: list[tuple[int, int]] = []
    list(make(fit=SMALL).imagine(Ask(duration_s=0.8), progress=lambda done, total: told.append((done, total))))
    n_steps = (20 + 3) + (12 + 3) + (8 + 3)
    assert told == [(done, n_steps) for done in range(1, n_steps + 1)]


@pytest.mark.parametrize("stereo", [False, True])
def test_a_given_sound_is_gone_on_with_as_by_transformers(make: Make, stereo: bool):
    backend = make(stereo=stereo)
    given = tone(0.6, channels=2 if stereo else 1)
    ours = samples_of(backend, duration_s=0.9, continuation=given, top_k=1)
    inputs = backend._tokenizer(["lo fi funk"], return_tensors="pt")
    with torch.inference_mode():
        sound = torch.from_numpy(np.ascontiguousarray(given.samples.T))[None]
        theirs = backend._net.generate(**inputs, input_values=sound, do_sample=False, guidance_scale=3.0, max_new_tokens=15 + 3)
    n_given = given.n_frames
    assert ours.shape == (28_800, 2 if stereo else 1)
    assert_allclose(ours[n_given:], theirs[0].T.numpy()[n_given:], atol=1e-6)


@pytest.mark.parametrize("fit", [None, SMALL])
@pytest.mark.parametrize("seconds", [0.5012, 0.6123, 0.9039])
def test_a_given_sound_is_the_beginning_and_is_left_without_a_click(make: Make, fit: Room | None, seconds: float):
    """The samples given, but for the last 50 ms; then no step or burst above what is elsewhere. A plain concatenation has one."""
    backend = make(fit=fit)
    given = tone(seconds)
    ours = samples_of(backend, duration_s=1.3, continuation=given, seed=2)
    n_given, n_fade = given.n_frames, 1_600
    assert ours.shape == (41_600, 1)
    assert np.array_equal(ours[: n_given - n_fade], given.samples[:-n_fade])
    assert not is_click(ours, n_given)
    assert not is_click(ours, n_given - n_fade)
    assert is_click(np.concatenate([given.samples, ours[n_given:]]), n_given)


def test_a_given_sound_of_another_rate_and_other_channels_is_changed_first(make: Make):
    given = tone(0.5, rate=44_100, channels=2)
    expected = resample(given, RATE).samples
    mono = samples_of(make(), duration_s=0.8, continuation=given)
    assert np.array_equal(mono[:14_000], expected.mean(axis=1, keepdims=True, dtype=np.float32)[:14_000])
    stereo = samples_of(make(stereo=True), duration_s=0.8, continuation=tone(0.5, rate=44_100))
    assert np.array_equal(stereo[:14_000, 0], stereo[:14_000, 1])


def test_what_is_given_matters_to_what_follows(make: Make):
    backend = make()
    ends = [samples_of(backend, duration_s=0.8, continuation=tone(0.5, level=level), seed=3)[17_000:] for level in (0.3, 0.05)]
    assert not np.array_equal(*ends)


def test_going_on_for_less_than_a_moment(make: Make):
    given = tone(0.5)
    assert samples_of(make(), duration_s=0.50005, continuation=given).shape == (16_002, 1)


def test_going_on_for_less_than_a_frame(make: Make):
    given = Waveform(tone(0.5, rate=44_100).samples, 44_100)
    assert samples_of(make(), duration_s=0.50001, continuation=given).shape == (16_000, 1)
