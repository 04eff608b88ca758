import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("diffusers", "transformers"):
    pytest.importorskip(needed)

import tiny_audioldm2  # noqa: E402
from kapelle.errors import CannotObey, UnreadableInput, UsageError  # noqa: E402
from kapelle.text_audio import audioldm2  # noqa: E402
from kapelle.text_audio.catalogue import find  # noqa: E402
from kapelle.text_audio.clap import Clap  # noqa: E402
from kapelle.text_audio.opening import open_model  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402
from kapelle.text_audio.request import SoundRequest  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]  # of the libraries
PROMPT = "Lo-fi funk with loud guitars and heavy drums"
RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audioldm2")


@pytest.fixture(scope="module")
def facts(folder):
    return tiny_audioldm2.save(folder)


@pytest.fixture(scope="module")
def backend(folder, facts):
    return open_model(facts, folder, device="cpu")


def asked(**wishes):
    return SoundRequest(**{"prompt": PROMPT, "duration_s": 0.5, "steps": 2, "seed": 5, **wishes})


def only(backend, **wishes):
    (sound,) = backend.imagine(asked(**wishes))
    return sound


def test_a_folder_as_published_runs_though_it_declares_a_model_that_cannot_generate(folder, backend):
    assert json.loads((folder / "model_index.json").read_text())["language_model"] == ["transformers", "GPT2Model"]
    assert json.loads((folder / "language_model" / "config.json").read_text())["architectures"] == ["GPT2Model"]
    assert type(backend.pipeline.language_model).__name__ == "GPT2LMHeadModel"
    assert only(backend).rms_db > -40.0


def test_weights_of_the_published_class_are_those_of_the_class_with_a_head(folder, backend):
    from transformers import GPT2Model

    bare = dict(GPT2Model.from_pretrained(folder / "language_model").named_parameters())
    read = dict(backend.pipeline.language_model.transformer.named_parameters())
    assert all(torch.equal(bare[name], read[name]) for name in bare)


@pytest.mark.parametrize("mask", [[1] * 12, [1] * 7 + [0] * 4 + [1]])
def test_what_the_language_model_says_is_the_same_without_its_memory(backend, mask):
    model, kept = backend.pipeline.language_model, torch.tensor([mask])
    given = torch.randn(1, 12, tiny_audioldm2.LOOKS, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        said = backend.pipeline.generate_language_model(given, attention_mask=kept, max_new_tokens=8)
        for _ in range(8):
            last = model.transformer(inputs_embeds=given, attention_mask=kept, use_cache=False).last_hidden_state[:, -1:]
            given, kept = torch.cat([given, last], dim=1), torch.cat([kept, torch.ones(1, 1, dtype=kept.dtype)], dim=1)
    torch.testing.assert_close(said, given[:, -8:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("steps", [2, 8])
def test_it_makes_what_the_pipeline_of_diffusers_makes(backend, steps):
    theirs = backend.pipeline(
        PROMPT, negative_prompt="Low quality.", num_inference_steps=steps, audio_length_in_s=1.0,
        generator=torch.Generator().manual_seed(5), guidance_scale=3.5,
    ).audios[0]  # fmt: skip
    np.testing.assert_allclose(only(backend, duration_s=1.0, steps=steps).samples[:, 0], theirs, atol=1e-4)


def test_judging_candidates_leaves_global_randomness_as_it_was(backend):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(backend.imagine(asked(candidates=2, steps=1)))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_progress_goes_over_all_sounds_and_candidates_to_the_end(backend):
    told = []
    list(backend.imagine(asked(count=2, candidates=2), progress=lambda done, total: told.append((done, total))))
    assert told == [(done, 8) for done in range(1, 9)]


def test_the_default_negative_prompt_is_that_of_its_authors(backend):
    assert np.array_equal(only(backend).samples, only(backend, negative_prompt="Low quality.").samples)


def test_a_negative_prompt_longer_than_the_prompt_is_read_to_its_end(backend):
    one, other = (only(backend, prompt="funk", negative_prompt="rock with loud " + end).samples for end in ("drums", "synth"))
    assert not np.allclose(one, other, atol=1e-6)


def test_a_prompt_shorter_than_its_contrary_is_heard_as_if_alone(backend):
    with torch.inference_mode():
        alone, beside = backend._tell("funk", None), backend._tell("funk", "rock with loud drums")
        noise = torch.randn(backend._shape(8_000), generator=torch.Generator().manual_seed(0))
        one, (_, other) = (
            backend.pipeline.unet(
                noise.repeat(len(told.text), 1, 1, 1), 500, encoder_hidden_states=told.spoken, encoder_hidden_states_1=told.text,
                encoder_attention_mask_1=told.mask,
            ).sample
            for told in (alone, beside)
        )  # fmt: skip
    assert beside.text.shape[1] > alone.text.shape[1]
    assert int(beside.mask[1].sum()) == alone.text.shape[1]
    torch.testing.assert_close(one[0], other, atol=1e-5, rtol=1e-5)


def test_a_prompt_beyond_what_the_encoders_read_is_refused(backend):
    with pytest.raises(UsageError, match="tokens; tiny-audioldm2 reads 512"):
        next(backend.imagine(asked(prompt="é" * 999)))


def test_of_candidates_the_likest_is_kept_and_the_first_is_the_sound_without_candidates(backend):
    made = []
    judge = Clap.likenesses

    def listening(self, prompt, sounds):
        made.extend(sounds)
        return judge(self, prompt, made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clap, "likenesses", listening)
        kept = only(backend, candidates=3)
    pipeline = backend.pipeline
    scores = Clap(pipeline.text_encoder, pipeline.tokenizer, pipeline.feature_extractor).likenesses(PROMPT, made)
    assert np.array_equal(made[0].samples, only(backend).samples)
    assert np.array_equal(kept.samples, made[int(np.argmax(scores))].samples)
    assert len({round(score, 6) for score in scores}) == 3


@pytest.mark.parametrize("steps", [1, 2, 10, 100, 200, 250, 500])
def test_steps_that_divide_the_levels_are_those_of_diffusers(backend, steps):
    scheduler = backend.pipeline.scheduler
    scheduler.set_timesteps(steps)
    assert [level.timestep for level in audioldm2.levels(scheduler, steps)] == scheduler.timesteps.tolist()


@pytest.mark.parametrize("steps", [3, 251, 600, 999, 1000])
def test_any_number_of_steps_begins_in_noise_and_goes_down_level_by_level(backend, steps):
    levels = audioldm2.levels(backend.pipeline.scheduler, steps)
    assert len(levels) == steps
    assert all(one.timestep > other.timestep and one.after == other.before for one, other in pairwise(levels))
    assert levels[0].timestep >= 1000 - 1000 // steps - 1
    assert levels[-1].after == float(backend.pipeline.scheduler.alphas_cumprod[0])


def test_more_seconds_than_three_times_what_it_was_trained_on_are_refused(backend):
    with pytest.raises(UsageError, match="at most"):
        next(backend.imagine(asked(duration_s=60.0)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_the_network_and_not_the_sound(folder, facts, backend, dtype):
    half = audioldm2.load(folder, facts, Place(torch.device("cpu"), dtype))
    assert half.pipeline.unet.dtype == dtype
    assert half.pipeline.vae.dtype == half.pipeline.vocoder.dtype == torch.float32
    whole = only(backend, steps=8).samples
    assert np.std(only(half, steps=8).samples - whole) < 0.05 * np.std(whole)
    assert only(half, candidates=2).rms_db > -40.0


def test_numbers_that_are_none_are_an_error_that_names_the_way_out(folder, facts):
    half = open_model(facts, folder, device="cpu", dtype="bfloat16")
    with torch.no_grad():
        half.pipeline.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(CannotObey, match="bfloat16") as caught:
        only(half)
    assert "--dtype float32" in caught.value.hint


def test_a_model_of_another_rate_is_not_this_model(folder, facts):
    with pytest.raises(UnreadableInput, match="16000 Hz"):
        open_model(replace(facts, sample_rate=48_000), folder, device="cpu")


def test_the_catalogue_says_what_it_can_do():
    assert find("audioldm2-music").takes == {"negative_prompt", "candidates", "steps"}
