import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_audioldm2  # noqa: E402
from kapelle.audio.effects import resample  # noqa: E402
from kapelle.audio.waveform import Waveform  # noqa: E402
from kapelle.text_audio.clap import Clap  # noqa: E402

PROMPT = "Lo-fi funk with loud guitars"
RATE = 16_000


@pytest.fixture(scope="module")
def clap():
    from transformers import ClapFeatureExtractor

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tiny_audioldm2.clap_model().eval()
    return Clap(model, tiny_audioldm2.roberta_tokenizer(), ClapFeatureExtractor(truncation="rand_trunc"))


def sounds(n=6, seconds=2.0, rate=RATE):
    noise = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    pitches = 110.0 * 2.0 ** noise.uniform(0, 5, n)
    return [Waveform((np.sin(2 * np.pi * pitch * time) * noise.uniform(0.1, 0.9)).astype(np.float32), rate) for pitch in pitches]


def likenesses(clap, heard):
    with torch.inference_mode():
        return clap.likenesses(PROMPT, heard)


def of_diffusers(clap, at_48_khz):
    """As the pipeline scores, except for the resampling: one batch, logits instead of cosines."""
    told = clap.tokenizer(PROMPT, return_tensors="pt", padding=True)
    heard = clap.extractor(at_48_khz, return_tensors="pt", sampling_rate=48_000)
    with torch.inference_mode():
        logits = clap.model(**told, input_features=heard.input_features, is_longer=heard.is_longer).logits_per_text[0]
        return (logits / clap.model.logit_scale_a.exp()).numpy()


def test_likeness_is_the_cosine_that_the_pipeline_ranks_by(clap):
    heard = sounds()
    theirs = of_diffusers(clap, [resample(sound, 48_000).samples[:, 0] for sound in heard])
    np.testing.assert_allclose(likenesses(clap, heard), theirs, atol=1e-5)


def test_our_resampling_ranks_as_that_of_librosa_does(clap):
    librosa = pytest.importorskip("librosa")
    heard = sounds()
    theirs = of_diffusers(clap, [librosa.resample(sound.samples[:, 0], orig_sr=RATE, target_sr=48_000) for sound in heard])
    ours = np.array(likenesses(clap, heard))
    spread = theirs.max() - theirs.min()
    assert np.abs(ours - theirs).max() < 0.05 * spread
    assert ours.argmax() == theirs.argmax()


def test_the_pipeline_itself_puts_the_same_sound_first(tmp_path):
    pytest.importorskip("librosa")
    from kapelle.text_audio.opening import open_model

    pipeline = open_model(tiny_audioldm2.save(tmp_path), tmp_path, device="cpu").pipeline
    heard = sounds()
    with torch.inference_mode():
        batch = torch.from_numpy(np.stack([sound.samples[:, 0] for sound in heard]))
        ranked = pipeline.score_waveforms(PROMPT, batch, len(heard), torch.device("cpu"), torch.float32)
    ours = likenesses(Clap(pipeline.text_encoder, pipeline.tokenizer, pipeline.feature_extractor), heard)
    assert np.array_equal(ranked[0].numpy(), heard[int(np.argmax(ours))].samples[:, 0])


def test_likeness_is_a_cosine_and_depends_on_the_prompt(clap):
    heard = sounds(3)
    scores = likenesses(clap, heard)
    assert all(-1.0 <= score <= 1.0 for score in scores)
    with torch.inference_mode():
        assert scores != clap.likenesses("Country instrumental", heard)


def test_sound_longer_than_clap_hears_is_heard_to_its_end_without_chance(clap):
    quiet = sounds(1, seconds=15.0)[0]
    end = np.array(quiet.samples)
    end[-RATE:] = np.random.default_rng(1).normal(0, 0.5, (RATE, 1))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, again, other = likenesses(clap, [quiet, quiet, Waveform(end, RATE)])
    assert one == again
    assert one != other
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_two_channels_are_heard_as_their_mean(clap):
    (mono,) = sounds(1)
    both = Waveform(np.repeat(mono.samples, 2, axis=1), RATE)
    np.testing.assert_allclose(likenesses(clap, [both]), likenesses(clap, [mono]), atol=1e-5)
