"""Lumina on tiny weights: the whole path from a sentence to a sound, and what is said when the folder is not as it should be."""

import json
import shutil
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_lumina  # noqa: E402
from kapelle.errors import CannotObey, Missing, NotEnoughMemory, UnreadableInput, UsageError  # noqa: E402
from kapelle.models import flag_dit, mel_vae  # noqa: E402
from kapelle.text_audio import flow, lumina  # noqa: E402
from kapelle.text_audio.catalogue import find  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402
from kapelle.text_audio.request import SoundRequest, check_fits  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)
MODEL = tiny_lumina.facts()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("lumina")
    tiny_lumina.save(made)
    return made


@pytest.fixture(scope="module")
def backend(folder):
    return lumina.load(folder, MODEL, CPU)


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def asked(**changes):
    return SoundRequest(**{"prompt": "lo fi funk", "duration_s": 0.5, "seed": 3} | changes)


def sounds(backend, request, **how):
    return [sound.samples for sound in backend.imagine(request, **how)]


def same(first, second):
    return first.shape == second.shape and bool((first == second).all())


def test_without_guidance_the_network_is_asked_for_the_prompt_alone(backend, monkeypatch):
    rows = []
    forward = flag_dit.FlagDiT.forward
    monkeypatch.setattr(
        flag_dit.FlagDiT, "forward", lambda self, latents, *others: rows.append(len(latents)) or forward(self, latents, *others)
    )
    sounds(backend, asked(guidance=1.0))
    sounds(backend, asked(guidance=1.5))
    assert rows == [1] * 4 + [2] * 4


def test_the_path_is_the_published_one_written_out(backend):
    """Texts padded to 77 tokens that are all attended to, Euler steps at whole times, the scale taken back, decoder, vocoder."""
    with torch.inference_mode():
        ids = backend.tokenizer(["loud", "lo fi funk"], padding="max_length", max_length=77, return_tensors="pt").input_ids
        context = backend.reader(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        latents = torch.randn((1, 4, 32), generator=torch.Generator().manual_seed(3))
        for step in range(10):
            time = torch.full((2,), float(1_000 * step // 10))
            away, towards = backend.velocity(latents.repeat(2, 1, 1), time, context)
            latents = latents + 0.1 * (away + 3.0 * (towards - away))
        expected = backend.vocoder(backend.decoder(latents / 0.7))[0, 0, :16_000]
    made = sounds(backend, asked(duration_s=1.0, negative_prompt="loud", guidance=3.0, steps=10))[0][:, 0]
    assert torch.allclose(torch.from_numpy(made.copy()), expected, atol=1e-4)


@pytest.mark.parametrize("n_steps", [3, 40, 1_000])
def test_the_network_is_asked_at_whole_times(backend, monkeypatch, n_steps):
    times = []
    forward = flag_dit.FlagDiT.forward

    def noted(self, latents, time, context):
        times.append(float(time[0]))
        return forward(self, latents, time, context)

    monkeypatch.setattr(flag_dit.FlagDiT, "forward", noted)
    sounds(backend, asked(steps=n_steps, guidance=1.0))
    assert times == [float(1_000 * step // n_steps) for step in range(n_steps)]


def test_a_prompt_that_would_be_cut_off_is_refused(backend):
    with pytest.raises(UsageError, match="tokens"):
        list(backend.imagine(asked(prompt="jazz " * 90)))
    with pytest.raises(UsageError, match="negative prompt"):
        list(backend.imagine(asked(negative_prompt="jazz " * 90)))


def test_half_precision_works_and_says_so_when_it_does_not(folder):
    near = lumina.load(folder, MODEL, Place(torch.device("cpu"), torch.bfloat16))
    assert next(near.imagine(asked())).rms_db > -50
    with torch.no_grad():
        near.velocity.final_layer.linear.weight.fill_(float("inf"))
    near.decoder.forward = None  # nothing is decoded then
    with pytest.raises(CannotObey) as refused:
        list(near.imagine(asked()))
    assert "--dtype float32" in refused.value.hint


def test_too_little_memory_is_said(backend, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(mel_vae.MelDecoder, "forward", full)
    with pytest.raises(NotEnoughMemory):
        list(backend.imagine(asked()))


def test_the_longest_sound_fills_the_positions_of_the_network():
    model = find("lumina-music")
    assert model.longest_s * model.sample_rate == 512 * flag_dit.Config().max_len
    check_fits(asked(duration_s=32.0), model)
    with pytest.raises(UsageError):
        check_fits(asked(duration_s=32.1), model)


def test_the_networks_account_for_the_size_of_the_published_file():
    """119.ckpt has 4.59 GB: Flag-DiT three times, as training keeps two moments of each number, the text encoder, the autoencoder.

    The half of the autoencoder that encodes is counted by hand from its published shape; it is not built here.
    """
    from transformers import T5Config, T5EncoderModel

    def convolution(before, width, kernel):
        return before * width * kernel + width

    def residual(before, width):
        shortcut = convolution(before, width, 1) if before != width else 0
        return 2 * before + convolution(before, width, 5) + 2 * width + convolution(width, width, 5) + shortcut

    levels = residual(384, 384) + residual(384, 384) + convolution(384, 384, 3)
    levels += residual(384, 768) + residual(768, 768) + residual(768, 1536) + residual(1536, 1536)
    middle = 2 * residual(1536, 1536) + 2 * 1536 + 4 * convolution(1536, 1536, 1)
    encoding = convolution(80, 384, 5) + levels + middle + 2 * 1536 + convolution(1536, 40, 5) + convolution(40, 40, 1)
    large = T5Config(vocab_size=32_128, d_model=1_024, d_kv=64, d_ff=2_816, num_layers=24, num_heads=16, feed_forward_proj="gated-gelu")
    with torch.device("meta"):
        networks = [flag_dit.FlagDiT(flag_dit.Config()), T5EncoderModel(large), mel_vae.MelDecoder(mel_vae.Config())]
    velocity, reader, decoding = (sum(parameter.numel() for parameter in network.parameters()) for network in networks)
    assert reader == 341_231_104
    assert 4 * (3 * velocity + reader + encoding + decoding) / 1e9 == pytest.approx(4.59, abs=0.005)
    loaded = velocity + reader + decoding + 112_199_473
    assert find("lumina-music").n_parameters == pytest.approx(loaded, rel=0.01)


def test_the_facts_are_those_of_the_published_program():
    model = find("lumina-music")
    assert (model.steps, model.guidance, model.sample_rate, model.channels) == (40, 5.0, 16_000, 1)
    assert model.licence.name == "Apache 2.0"
    assert flow.times(40)[1] == 0.025


@pytest.mark.parametrize(
    "file",
    ["music_generation/119.safetensors", "maa2/maa2.safetensors", "bigvnat/best_netG.safetensors", "bigvnat/config.json"],
)
def test_a_file_that_is_not_there_is_named(copied, file):
    (copied / file).unlink()
    with pytest.raises(Missing, match=file):
        lumina.load(copied, MODEL, CPU)


def test_a_folder_that_is_not_there_and_an_empty_one_are_named(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(Missing) as missing:
            lumina.load(folder, MODEL, CPU)
        assert str(folder) in str(missing.value)
        assert "Alpha-VLLM/Lumina-T2Music" in missing.value.hint


def test_pickles_are_never_opened_and_the_command_is_named(tmp_path):
    (tmp_path / "music_generation").mkdir()
    (tmp_path / "music_generation/119.ckpt").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UnreadableInput, match="pickles") as refused:
        lumina.load(tmp_path, MODEL, CPU)
    assert f"python -m kapelle.text_audio.lumina_convert {tmp_path} OUT" in refused.value.hint


@pytest.mark.parametrize("file", ["music_generation/119.safetensors", "maa2/maa2.safetensors", "bigvnat/best_netG.safetensors"])
@pytest.mark.parametrize("left", [0, 5, 200, -8])
def test_a_truncated_file_is_named(copied, file, left):
    whole = (copied / file).read_bytes()
    (copied / file).write_bytes(whole[:left])
    with pytest.raises(UnreadableInput, match=file):
        lumina.load(copied, MODEL, CPU)


def change_arrays(file, change):
    from safetensors.torch import load_file, save_file

    arrays = load_file(file)
    change(arrays)
    save_file(arrays, file)


@pytest.mark.parametrize(
    ("file", "name", "array", "says"),
    [
        ("music_generation/119.safetensors", "proj_in.bias", None, "proj_in.bias"),
        ("music_generation/119.safetensors", "proj_in.weight", None, "lacks proj_in.weight"),
        ("music_generation/119.safetensors", "scale_factor", None, "scale_factor"),
        ("music_generation/119.safetensors", "scale_factor", [0.0], "scale_factor"),
        ("music_generation/119.safetensors", "scale_factor", [], "scale_factor"),
        ("music_generation/119.safetensors", "scale_factor", [1.0, 1.0], "scale_factor"),
        ("music_generation/119.safetensors", "scale_factor", [float("nan")], "scale_factor"),
        ("music_generation/119.safetensors", "proj_in.weight", [1.0], "another network"),
        ("music_generation/119.safetensors", "blocks.0.attention.gate", [1.0, 1.0, 1.0], "3 heads"),
        ("music_generation/119.safetensors", "more", [1.0], "more"),
        ("maa2/maa2.safetensors", "decoder.conv_out.weight", None, "lacks decoder.conv_out.weight"),
        ("maa2/maa2.safetensors", "decoder.conv_in.bias", [1.0], "conv_in.bias"),
        ("bigvnat/best_netG.safetensors", "conv_pre.bias", None, "conv_pre.bias"),
    ],
)
def test_arrays_of_another_network_are_refused(copied, file, name, array, says):
    def change(arrays):
        arrays.pop(name, None)
        if array is not None:
            arrays[name] = torch.tensor(array)

    change_arrays(copied / file, change)
    with pytest.raises(UnreadableInput, match=says):
        lumina.load(copied, MODEL, CPU)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", json.dumps({"resblock": "2", "activation": "snake", "snake_logscale": 1}), "{}"])
def test_settings_that_cannot_be_read_are_named(copied, text):
    (copied / "bigvnat/config.json").write_text(text)
    with pytest.raises(UnreadableInput, match=r"config\.json"):
        lumina.load(copied, MODEL, CPU)


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_text_encoder_that_is_missing_is_told_from_one_that_is_damaged(copied, no_cache):
    weights = copied / "text_encoder/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(UnreadableInput, match="text_encoder"):
        lumina.load(copied, MODEL, CPU)
    weights.unlink()
    with pytest.raises(Missing, match="text_encoder"):
        lumina.load(copied, MODEL, CPU)
    shutil.rmtree(copied / "text_encoder")
    with pytest.raises(Missing, match="no text_encoder") as missing:
        lumina.load(copied, MODEL, CPU)
    assert "google/flan-t5-large" in missing.value.hint


def test_the_text_encoder_is_found_in_the_cache_of_the_hub(copied, no_cache, backend):
    repository = no_cache / "models--google--flan-t5-large"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0" * 40)
    (repository / "snapshots").mkdir()
    shutil.move(copied / "text_encoder", repository / "snapshots" / ("0" * 40))
    assert same(sounds(lumina.load(copied, MODEL, CPU), asked())[0], sounds(backend, asked())[0])


def test_parts_of_different_models_are_refused(copied, tmp_path):
    from transformers import T5EncoderModel

    from tiny_text import t5_config

    T5EncoderModel(t5_config(24)).save_pretrained(copied / "text_encoder")
    with pytest.raises(UnreadableInput, match="24 and 16"):
        lumina.load(copied, MODEL, CPU)


def test_a_tokenizer_with_more_pieces_than_the_encoder_knows_is_refused(copied):
    from transformers import T5EncoderModel

    from tiny_text import t5_config

    config = t5_config()
    config.vocab_size = 20
    T5EncoderModel(config).save_pretrained(copied / "text_encoder")
    with pytest.raises(UnreadableInput, match="tokenizer"):
        lumina.load(copied, MODEL, CPU)


def test_a_text_encoder_that_lacks_an_array_is_refused(copied):
    change_arrays(copied / "text_encoder/model.safetensors", lambda arrays: arrays.pop("encoder.final_layer_norm.weight"))
    with pytest.raises(UnreadableInput, match=r"encoder\.final_layer_norm\.weight"):
        lumina.load(copied, MODEL, CPU)


def test_other_numbers_in_the_catalogue_are_followed(folder):
    slow = lumina.load(folder, replace(MODEL, steps=2, guidance=1.0), CPU)
    told = []
    assert same(sounds(slow, asked(), progress=lambda *step: told.append(step))[0], sounds(slow, asked(steps=2, guidance=1.0))[0])
    assert told == [(1, 2), (2, 2)]
