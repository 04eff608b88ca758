"""What the protocol of backends promises, held to a small model of the real classes of every family."""

import random
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("diffusers", "transformers", "torchsde", "safetensors"):
    pytest.importorskip(needed)

import tiny_audioldm2  # noqa: E402
import tiny_lumina  # noqa: E402
import tiny_musicgen  # noqa: E402
import tiny_stable_audio  # noqa: E402
from kapelle.errors import Interrupted, NotEnoughMemory  # noqa: E402
from kapelle.text_audio.opening import open_model  # noqa: E402
from kapelle.text_audio.request import MAX_SEED, SoundRequest  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]  # of the libraries
FAMILIES = {
    "musicgen": tiny_musicgen.save,
    "musicgen in stereo": partial(tiny_musicgen.save, stereo=True),
    "audioldm2": tiny_audioldm2.save,
    "stable audio": partial(tiny_stable_audio.save, n_latents=64),
    "lumina": tiny_lumina.save,
}


@pytest.fixture(scope="module", params=FAMILIES)
def backend(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return open_model(FAMILIES[request.param](folder), folder, device="cpu")


def asked(backend, **wishes):
    steps = {"steps": 3} if backend.model.steps else {}
    return SoundRequest(**{"prompt": "lo fi funk", "duration_s": 0.5, "seed": 5, **steps, **wishes})


def only(backend, **wishes):
    (sound,) = backend.imagine(asked(backend, **wishes))
    return sound.samples


@pytest.mark.parametrize("seconds", [0.5, 0.50001, 0.512, 0.7771, 1.3])
def test_a_sound_is_as_long_as_asked_to_the_frame_and_heard(backend, seconds):
    (sound,) = backend.imagine(asked(backend, duration_s=seconds))
    model = backend.model
    assert (sound.n_frames, sound.sample_rate, sound.n_channels) == (round(seconds * model.sample_rate), model.sample_rate, model.channels)
    assert sound.samples.dtype == np.float32
    assert np.isfinite(sound.samples).all()
    assert -50.0 < sound.rms_db < 0.0


def test_a_sound_depends_on_its_own_seed_alone(backend):
    three = [sound.samples for sound in backend.imagine(asked(backend, count=3))]
    again = [only(backend, seed=5 + index) for index in range(3)]
    assert all(np.array_equal(one, other) for one, other in zip(three, again, strict=True))
    assert not np.array_equal(three[0], three[1])


def test_two_requests_at_once_do_not_mix(backend):
    ways = backend.imagine(asked(backend, count=2)), backend.imagine(asked(backend, count=2, seed=50, guidance=2.0))
    mixed = [next(ways[place]).samples for place in (0, 1, 0, 1)]
    alone = [only(backend), only(backend, seed=50, guidance=2.0), only(backend, seed=6), only(backend, seed=51, guidance=2.0)]
    assert all(np.array_equal(one, other) for one, other in zip(mixed, alone, strict=True))


def test_the_largest_seed_is_taken(backend):
    assert len(list(backend.imagine(asked(backend, seed=MAX_SEED - 1, count=2)))) == 2


def test_global_randomness_neither_matters_nor_changes(backend):
    def state():
        return torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

    outside = torch.random.get_rng_state()
    try:
        torch.manual_seed(1)
        before = state()
        one = only(backend, negative_prompt="rock")
        assert state() == before
        torch.manual_seed(2)
        assert np.array_equal(one, only(backend, negative_prompt="rock"))
    finally:
        torch.random.set_rng_state(outside)


def test_the_caller_may_still_learn_between_two_sounds(backend):
    for _ in backend.imagine(asked(backend, count=2)):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_every_step_of_every_sound_is_told(backend):
    told = []
    list(backend.imagine(asked(backend, count=2), progress=lambda done, total: told.append((done, total))))
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
    assert len(told) == 2 * ((backend.model.steps and 3) or 25 + 3)  # tokens: 25 moments, and delays of the last


def test_stopping_keeps_whole_sounds_and_leaves_no_trace(backend):
    n_each = 3 if backend.model.steps else 28
    second = only(backend, seed=6)
    told = []
    sounds = backend.imagine(
        asked(backend, count=3), progress=lambda done, total: told.append(done), cancelled=lambda: len(told) > 1.5 * n_each
    )
    assert np.array_equal(next(sounds).samples, only(backend))
    with pytest.raises(Interrupted, match="after 1 whole sounds"):
        next(sounds)
    assert n_each < len(told) < 2 * n_each
    assert np.array_equal(only(backend, seed=6), second)


def test_stopped_before_the_first_step_it_does_nothing(backend):
    told = []
    with pytest.raises(Interrupted):
        next(backend.imagine(asked(backend), progress=lambda done, total: told.append(done), cancelled=lambda: True))
    assert told == []


@pytest.mark.parametrize("fault", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_said(backend, fault):
    def fails(done, total):
        raise fault

    with pytest.raises(NotEnoughMemory):
        next(backend.imagine(asked(backend), progress=fails))


def test_prompt_negative_prompt_and_guidance_are_heard(backend):
    plain = only(backend)
    for wishes in ({"prompt": "country instrumental"}, {"negative_prompt": "synth"}, {"guidance": 9.0}, {"guidance": 1.0}):
        assert not np.array_equal(plain, only(backend, **wishes)), wishes
    assert np.array_equal(plain, only(backend, guidance=backend.model.guidance))
