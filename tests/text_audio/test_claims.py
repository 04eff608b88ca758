"""Folders whose settings ask for more than their weights are, or for code: refused before room is made, and nothing of them is run."""

import contextlib
import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")

from kapelle.errors import UnreadableInput  # noqa: E402
from kapelle.text_audio import claims  # noqa: E402
from kapelle.text_audio.libraries import quietly  # noqa: E402
from kapelle.text_audio.parts import Part, read_part  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402
from tiny_text import t5_config, t5_tokenizer  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture
def encoder(tmp_path):
    from transformers import T5EncoderModel

    with quietly():
        T5EncoderModel(t5_config()).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def projection(tmp_path):
    from diffusers import AudioLDM2ProjectionModel

    AudioLDM2ProjectionModel(8, 16, 16).save_pretrained(tmp_path)
    return tmp_path


def change(folder, **settings):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def read(kind, folder):
    with quietly():
        return read_part(folder, Part(kind), CPU)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"vocab_size": 10**8}, "asks for 1,600,00"),
        ({"d_model": 10**6, "d_ff": 10**6}, "asks for "),
        ({"num_layers": 10**6}, "num_layers is 1000000"),
        ({"dropped_layers": [0] * 2_000}, "dropped_layers is 2000"),
    ],
)
def test_settings_that_ask_for_more_than_the_weights_are_refused(encoder, settings, said):
    from transformers import T5EncoderModel

    assert read(T5EncoderModel, encoder).config.vocab_size == 135
    change(encoder, **settings)
    with pytest.raises(UnreadableInput, match=said):
        read(T5EncoderModel, encoder)


def test_parts_of_diffusers_are_held_to_their_weights_too(projection):
    from diffusers import AudioLDM2ProjectionModel

    assert sum(one.numel() for one in read(AudioLDM2ProjectionModel, projection).parameters()) == 8 * 16 + 16 * 16 + 6 * 16
    change(projection, langauge_model_dim=10**9, text_encoder_dim=10**3)
    with pytest.raises(UnreadableInput, match="asks for "):
        read(AudioLDM2ProjectionModel, projection)


def test_sizes_that_differ_are_told_in_our_words(encoder):
    from transformers import T5EncoderModel

    change(encoder, vocab_size=136)
    with pytest.raises(UnreadableInput, match="other shapes than the settings say"):
        read(T5EncoderModel, encoder)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[1]", "nothing"])
def test_settings_that_are_none_are_refused(encoder, text):
    from transformers import T5EncoderModel

    (encoder / "config.json").write_text(text)
    with pytest.raises(UnreadableInput):
        read(T5EncoderModel, encoder)
    (encoder / "config.json").unlink()
    with pytest.raises(UnreadableInput, match=r"config\.json cannot be read"):
        read(T5EncoderModel, encoder)


def test_looking_draws_no_random_numbers(encoder):
    from transformers import T5EncoderModel

    before = torch.get_rng_state()
    with quietly():
        claims.check(T5EncoderModel, encoder)
    assert torch.equal(before, torch.get_rng_state())


def test_code_in_a_folder_of_words_is_not_run_and_nobody_is_asked(tmp_path, monkeypatch):
    from transformers import AutoTokenizer

    t5_tokenizer().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings |= {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, "tokenizer_class": "Evil"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.setattr("builtins.input", lambda question="": pytest.fail(question))
    with contextlib.suppress(UnreadableInput):
        read(AutoTokenizer, tmp_path)
    assert not (tmp_path / "ran").exists()
