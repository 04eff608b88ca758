import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("diffusers", "transformers", "torchsde"):
    pytest.importorskip(needed)

import tiny_stable_audio  # noqa: E402
from kapelle.audio.effects import resample  # noqa: E402
from kapelle.audio.waveform import Waveform  # noqa: E402
from kapelle.errors import CannotObey, Interrupted, UnreadableInput, UsageError  # noqa: E402
from kapelle.text_audio import stable_audio  # noqa: E402
from kapelle.text_audio.opening import open_model  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402
from kapelle.text_audio.request import SoundRequest  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]  # of the libraries
PROMPT = "Lo-fi funk with loud guitars and heavy drums"
RATE = 44_100
SECONDS = 0.6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stable_audio")


@pytest.fixture(scope="module")
def facts(folder):
    return tiny_stable_audio.save(folder, n_latents=32)


@pytest.fixture(scope="module")
def backend(folder, facts):
    return open_model(facts, folder, device="cpu")


def asked(**wishes):
    return SoundRequest(**{"prompt": PROMPT, "duration_s": SECONDS, "steps": 3, "seed": 5, **wishes})


def only(backend, **wishes):
    (sound,) = backend.imagine(asked(**wishes))
    return sound


def tone(seconds=SECONDS, rate=RATE, channels=2):
    time = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.2, 329.6)) / 6
    return Waveform(np.stack([chord] * channels, axis=1), rate)


def through_the_codec(backend, sound):
    n_frames = round(SECONDS * RATE)
    with torch.inference_mode():
        return backend._sound(backend._encode(sound, n_frames), n_frames, lambda: None)


def gain_db(kept, sound):
    return 10 * math.log10(float((kept**2).mean() / max(((sound - kept) ** 2).mean(), 1e-12)))


@pytest.mark.parametrize("steps", [3, 16])
def test_it_makes_what_the_pipeline_of_diffusers_makes(backend, steps):
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(backend._shape, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    theirs = backend.pipeline(
        PROMPT, negative_prompt="low quality, average quality", num_inference_steps=steps, audio_end_in_s=SECONDS, guidance_scale=7.0,
        latents=noise, generator=torch.Generator().manual_seed(seed),
    ).audios[0]  # fmt: skip
    np.testing.assert_allclose(only(backend, steps=steps).samples, theirs.numpy().T, atol=1e-4)


def test_the_published_length_ends_where_its_latents_end():
    facts = tiny_stable_audio.find("stable-audio-open")
    assert facts.longest_s == 47.55
    assert 1_024 * 2_048 - 2_048 < facts.longest_s * facts.sample_rate <= 1_024 * 2_048


def test_longer_than_its_latents_is_refused(backend):
    with pytest.raises(UsageError, match=r"at most 1\.48 s"):
        next(backend.imagine(asked(duration_s=1.5)))


def test_the_network_is_told_when_the_sound_ends(backend):
    with torch.inference_mode():
        short, long = (backend._tell(PROMPT, None, seconds) for seconds in (0.5, 1.4))
    assert not torch.equal(short.times, long.times)
    assert not torch.equal(short.states[:, -1], long.states[:, -1])
    assert torch.equal(short.states[:, :-1], long.states[:, :-1])
    shorter = only(backend, duration_s=0.5).samples
    assert not np.array_equal(shorter, only(backend, duration_s=1.4).samples[: len(shorter)])


def test_the_solver_has_noise_of_its_own_on_its_way(backend):
    with torch.inference_mode():
        told = backend._tell(PROMPT, None, SECONDS)
        latents = torch.randn(backend._shape, generator=torch.Generator().manual_seed(0)) * 500
        sigmas = stable_audio.noise_levels(backend.pipeline.scheduler, 3, 1.0)
        course = stable_audio.Course(9, lambda done, total: None, lambda: False)
        ends = [
            backend._denoise(latents, told, 1.0, backend._ready(3, sigmas, torch.Generator().manual_seed(seed)), course)
            for seed in (1, 1, 2)
        ]
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2], atol=1e-3)


def test_the_default_negative_prompt_is_the_recommended(backend):
    assert np.array_equal(only(backend).samples, only(backend, negative_prompt="low quality, average quality").samples)


def test_candidates_are_refused_for_no_judge_comes_with_it(backend):
    with pytest.raises(CannotObey, match="takes no candidates"):
        next(backend.imagine(asked(candidates=2)))


def test_a_prompt_beyond_what_the_encoder_reads_is_refused(backend):
    with pytest.raises(UsageError, match="the prompt has 1001 tokens; tiny-stable-audio reads 128"):
        next(backend.imagine(asked(prompt="x " * 500)))


def test_strength_is_the_share_of_noise_at_the_beginning(backend):
    scheduler = backend.pipeline.scheduler
    assert stable_audio.noise_levels(scheduler, 5, 1.0)[0] == pytest.approx(500.0)
    assert stable_audio.noise_levels(scheduler, 5, 0.5)[0] == pytest.approx(math.tan(math.atan(500) / 2))  # as much noise as signal
    assert stable_audio.noise_levels(scheduler, 5, 0.01)[0] == pytest.approx(0.0157, abs=1e-4)
    for strength in (0.01, 0.3, 0.5, 0.9, 0.99, 1.0):
        sigmas = stable_audio.noise_levels(scheduler, 100, strength)
        assert all(one > other for one, other in pairwise(sigmas))
        assert sigmas[-1] == 0.0
    whole = stable_audio.noise_levels(scheduler, 100, 1.0)
    part = stable_audio.noise_levels(scheduler, 100, 0.7)
    assert part[1:] == whole[-len(part) + 1 :]  # the same levels, from later on


def test_less_strength_keeps_more_of_the_sound_down_to_what_the_codec_keeps(backend):
    kept = through_the_codec(backend, tone())
    near = [gain_db(kept, only(backend, initial=tone(), strength=strength, steps=20).samples) for strength in (0.01, 0.1, 0.3, 0.6)]
    assert near == sorted(near, reverse=True)
    assert near[0] > 15.0
    assert near[-1] < 0.0


def test_at_full_strength_it_begins_anew(backend):
    assert np.array_equal(only(backend, initial=tone(), strength=1.0).samples, only(backend).samples)


def test_nearly_full_strength_is_as_loud_as_from_noise_and_unlike_the_sound(backend):
    anew = np.stack([only(backend, seed=seed, steps=8).samples for seed in range(6)])
    changed = np.stack([only(backend, seed=seed, steps=8, initial=tone(), strength=0.99).samples for seed in range(6)])
    assert changed.std() == pytest.approx(anew.std(), rel=0.2)
    assert abs(changed.mean() - anew.mean()) < 0.05


def test_progress_of_a_changed_sound_counts_the_steps_that_are_gone(backend):
    told = []
    request = asked(initial=tone(), strength=0.5, steps=20, count=2)
    list(backend.imagine(request, progress=lambda done, total: told.append((done, total))))
    n_steps = len(stable_audio.noise_levels(backend.pipeline.scheduler, 20, 0.5)) - 1
    assert 1 < n_steps < 10
    assert told == [(done, 2 * n_steps) for done in range(1, 2 * n_steps + 1)]


def test_a_sound_of_any_rate_channels_and_length_can_be_changed(backend):
    exact = only(backend, initial=tone(), strength=0.05).samples
    others = [tone(rate=32_000), tone(channels=1), tone(seconds=2.0), Waveform(tone(channels=1).samples.repeat(6, axis=1), RATE)]
    for other in others:
        changed = only(backend, initial=other, strength=0.05)
        assert changed.n_frames == round(SECONDS * RATE)
        assert gain_db(exact, changed.samples) > 20.0
    short = only(backend, initial=tone(seconds=0.5), strength=0.05)
    assert short.n_frames == round(SECONDS * RATE)


def test_what_is_changed_is_in_stereo_at_the_rate_of_the_codec(backend):
    with torch.inference_mode():
        direct = backend._encode(tone(rate=32_000, channels=1), 20_000)
        prepared = resample(tone(rate=32_000), RATE).samples[:20_000]
        again = backend._encode(Waveform(prepared, RATE), 20_000)
    assert torch.equal(direct, again)
    assert direct.shape == backend._shape


def test_windows_of_the_codec_join_as_if_there_were_none(backend):
    codec = backend.pipeline.vae
    with torch.inference_mode():
        latents = torch.randn(1, tiny_stable_audio.LATENTS, 300, generator=torch.Generator().manual_seed(0))
        whole, joined = codec.decode(latents).sample, stable_audio.decode(codec, latents)
        whole_again, joined_again = codec.encode(whole).latent_dist.mode(), stable_audio.encode(codec, whole)
    for one, other in ((whole, joined), (whole_again, joined_again)):
        assert one.shape == other.shape
        assert float((one - other).abs().max()) < 1e-5 * float(one.abs().max())


def test_the_margin_is_more_than_the_codec_sees(backend):
    codec = backend.pipeline.vae
    with torch.inference_mode():
        latents = torch.randn(1, tiny_stable_audio.LATENTS, 80, generator=torch.Generator().manual_seed(0))
        other = latents.clone()
        other[..., 40] += 3.0
        samples = codec.decode(latents).sample
        heard = (samples - codec.decode(other).sample).abs().amax((0, 1)).nonzero()[:, 0]
        another = samples.clone()
        another[..., 40 * 2_048 : 41 * 2_048] += 3.0
        seen = (codec.encode(samples).latent_dist.mode() - codec.encode(another).latent_dist.mode()).abs().amax((0, 1)).nonzero()[:, 0]
    for first, last in ((int(heard.min()) / 2_048, int(heard.max()) / 2_048), (int(seen.min()), int(seen.max()))):
        reach = max(40 - first, last - 41)
        assert 5 < reach < 10 < stable_audio.MARGIN


def test_cancelling_stops_between_windows_of_the_decoder_too(backend):
    asked_for = []

    def stop():
        asked_for.append(1)
        if len(asked_for) == 2:
            raise Interrupted("stopped")

    with torch.inference_mode(), pytest.raises(Interrupted):
        stable_audio.decode(backend.pipeline.vae, torch.zeros(1, tiny_stable_audio.LATENTS, 300), stop)
    assert len(asked_for) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_the_network_and_not_the_sound(folder, facts, backend, dtype):
    half = stable_audio.load(folder, facts, Place(torch.device("cpu"), dtype))
    assert half.pipeline.transformer.dtype == dtype
    assert half.pipeline.vae.dtype == torch.float32
    for wishes in ({"steps": 8}, {"steps": 8, "initial": tone(), "strength": 0.5}):
        whole = only(backend, **wishes).samples
        assert np.std(only(half, **wishes).samples - whole) < 0.05 * np.std(whole)


def test_numbers_that_are_none_are_an_error(folder, facts):
    broken = open_model(facts, folder, device="cpu")
    with torch.no_grad():
        broken.pipeline.transformer.proj_out.weight.fill_(float("inf"))
    with pytest.raises(CannotObey, match="float32") as caught:
        only(broken)
    assert "guidance" in caught.value.hint


def test_a_model_of_other_channels_is_not_this_model(folder, facts):
    with pytest.raises(UnreadableInput, match="2 channels at 44100 Hz"):
        open_model(replace(facts, channels=1), folder, device="cpu")
