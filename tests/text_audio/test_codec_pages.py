"""What the pages on codecs and on MusicGen count is what transformers' networks of the published configurations have."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PAGES = Path(__file__).parents[2] / "docs" / "explanation"


def numbers(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def text(page: str) -> str:
    return " ".join((PAGES / page).read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def encodec():
    config = transformers.EncodecConfig(
        target_bandwidths=[2.2], sampling_rate=32_000, num_filters=64, hidden_size=128, codebook_size=2048, codebook_dim=128,
        upsampling_ratios=[8, 5, 4, 4], num_lstm_layers=2, use_causal_conv=False, use_conv_shortcut=False,
    )  # fmt: skip
    with torch.device("meta"):
        return transformers.EncodecModel(config)


def test_the_codec_has_so_many_numbers_codebooks_and_moments(encodec):
    assert (round(numbers(encodec.encoder) / 1e6, 1), round(numbers(encodec.decoder) / 1e6, 1)) == (28.4, 28.4)
    assert "28.4 million in the encoder, as many in the decoder, 1.0 million in the codebooks" in text("codecs.md")
    assert (encodec.config.num_quantizers, encodec.config.frame_rate, encodec.config.hop_length) == (4, 50, 640)


def test_there_is_an_lstm_of_two_layers_on_both_sides(encodec):
    for side in (encodec.encoder, encodec.decoder):
        assert [part.num_layers for part in side.modules() if isinstance(part, torch.nn.LSTM)] == [2]
    convolutions = [part for part in encodec.encoder.modules() if isinstance(part, torch.nn.Conv1d)]
    assert [part.stride[0] for part in convolutions if part.stride[0] > 1] == [4, 4, 5, 8]


@pytest.mark.parametrize(("width", "layers", "heads"), [(1024, 24, 16), (1536, 48, 24), (2048, 48, 32)])
def test_the_language_models_have_so_many_numbers(width, layers, heads):
    config = transformers.MusicgenDecoderConfig(hidden_size=width, ffn_dim=4 * width, num_hidden_layers=layers, num_attention_heads=heads)
    with torch.device("meta"):
        count = numbers(transformers.MusicgenForCausalLM(config))
    assert f"assert parameters({width}, {layers}) == {count:_}" in text("musicgen.md")
