"""BigVGAN: names and sizes as published, its resampling, its activation against folding, and weights that are joined."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kapelle.models.bigvgan import TAPS, Activation, BigVGAN, Config, Snake, doubled, folded, halved, lowpass  # noqa: E402

SMALL = Config(num_mels=5, upsample_rates=(4, 3), upsample_kernel_sizes=(8, 5), upsample_initial_channel=16)

ARGS = {
    "resblock": "1", "num_gpus": 0, "batch_size": 64, "num_mels": 80, "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4], "upsample_initial_channel": 1536, "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "activation": "snakebeta", "snake_logscale": True,
}  # fmt: skip
"""What counts of bigvnat/args.yml in the published weights of Lumina-T2Music."""

PUBLISHED = {
    "conv_pre.weight": (1536, 80, 7),
    "ups.0.0.weight": (1536, 768, 8),
    "ups.2.0.weight": (384, 192, 4),
    "ups.5.0.bias": (24,),
    "resblocks.0.convs1.0.weight": (768, 768, 3),
    "resblocks.2.convs1.2.weight": (768, 768, 11),
    "resblocks.4.convs2.1.weight": (384, 384, 7),
    "resblocks.17.activations.5.act.alpha": (24,),
    "resblocks.17.activations.5.act.beta": (24,),
    "activation_post.act.alpha": (24,),
    "conv_post.weight": (1, 24, 7),
    "conv_post.bias": (1,),
}
"""Read off the published classes with these numbers, by hand; the published file has ``weight_g`` and ``weight_v`` for each weight of a
convolution, and a filter twice for each activation (``upsample.filter``, ``downsample.lowpass.filter``)."""


@pytest.fixture(autouse=True)
def _plain(one_thread):
    """No gradients."""
    with torch.inference_mode():
        yield


def test_names_and_shapes_are_those_of_the_published_weights_once_joined():
    with torch.device("meta"):
        published = {name: tuple(array.shape) for name, array in BigVGAN(Config()).state_dict().items()}
    assert {name: published.get(name) for name in PUBLISHED} == PUBLISHED
    assert len(published) == 450


def test_the_parameters_account_for_the_size_of_the_published_file():
    """112,199,473 numbers of 4 bytes are 448.8 MB, and the lengths that weight norm stores beside them 0.2; best_netG.pt has 449 MB."""
    with torch.device("meta"):
        made = BigVGAN(Config())
    n_parameters = sum(parameter.numel() for parameter in made.parameters())
    n_lengths = sum(array.shape[0] for name, array in made.state_dict().items() if name.endswith(".weight"))
    assert n_parameters == 112_199_473
    assert 4 * (n_parameters + n_lengths) / 1e6 == pytest.approx(449, abs=0.5)


def test_the_published_settings_are_the_defaults():
    assert Config.of(ARGS) == Config()
    assert Config().hop == 256


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"activation": "snake"}, "snakebeta"),
        ({"resblock": "2"}, "resblock"),
        ({"num_mels": 0}, "whole number"),
        ({"num_mels": "80"}, "whole number"),
        ({"upsample_rates": []}, "whole number"),
        ({"upsample_rates": [4, 4]}, "do not fit"),
        ({"upsample_kernel_sizes": [7, 8, 4, 4, 4, 4]}, "do not fit"),
        ({"resblock_kernel_sizes": [3, 7]}, "do not fit"),
    ],
)
def test_settings_of_another_network_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Config.of(ARGS | change)


@pytest.mark.parametrize("n_frames", [1, 2, 17])
def test_a_frame_becomes_a_hop_of_samples(n_frames):
    torch.manual_seed(0)
    made = BigVGAN(SMALL)(torch.randn(2, 5, n_frames))
    assert made.shape == (2, 1, 12 * n_frames)
    assert made.abs().max() <= 1


def written_out(weights, mels, config):
    """The published generator once more, in functions on its names: resampling as zeros between samples and a plain convolution."""
    w, functional = weights, torch.nn.functional
    taps = lowpass()[0, 0]

    def filtered(row, before, after):
        held = torch.cat([row[:1].expand(before), row, row[-1:].expand(after)])
        return functional.conv1d(held[None, None], taps.flip(0)[None, None])[0, 0]

    def activation(x, name):
        out = torch.empty_like(x)
        for channel, row in enumerate(x[0]):
            held = torch.cat([row[:1].expand(6), row, row[-1:].expand(6)])
            between = torch.stack([held, torch.zeros_like(held)], dim=1).flatten()  # 12 samples more on either side
            higher = 2 * functional.conv1d(between[None, None], taps[None, None])[0, 0][6 : 6 + 2 * len(row)]
            speed, height = w[f"{name}.act.alpha"][channel].exp(), w[f"{name}.act.beta"][channel].exp()
            bent = higher + torch.sin(speed * higher) ** 2 / (height + 1e-9)
            out[0, channel] = filtered(bent, 5, 6)[::2]
        return out

    def convolution(x, name, dilation=1):
        kernel = w[name + ".weight"]
        return functional.conv1d(x, kernel, w[name + ".bias"], padding=dilation * (kernel.shape[-1] - 1) // 2, dilation=dilation)

    x = convolution(mels, "conv_pre")
    for level, (rate, kernel) in enumerate(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)):
        up = f"ups.{level}.0"
        x = functional.conv_transpose1d(x, w[up + ".weight"], w[up + ".bias"], stride=rate, padding=(kernel - rate) // 2)
        total = torch.zeros_like(x)
        for number, dilations in enumerate(config.resblock_dilation_sizes):
            block, y = f"resblocks.{level * 3 + number}", x
            for pair, dilation in enumerate(dilations):
                inner = convolution(activation(y, f"{block}.activations.{2 * pair}"), f"{block}.convs1.{pair}", dilation)
                y = y + convolution(activation(inner, f"{block}.activations.{2 * pair + 1}"), f"{block}.convs2.{pair}")
            total = total + y
        x = total / 3
    return torch.tanh(convolution(activation(x, "activation_post"), "conv_post"))


def test_the_generator_is_its_equations():
    torch.manual_seed(2)
    made = BigVGAN(SMALL)
    for name, parameter in made.named_parameters():
        parameter.normal_(0.0, 0.3 if ".act." in name else 0.1)
    mels = torch.randn(1, 5, 6)
    expected = written_out(made.state_dict(), mels, SMALL)
    assert expected.abs().max() > 0.01
    assert torch.allclose(made(mels), expected, atol=1e-5)


def test_the_filter_is_the_one_that_scipy_designs():
    """A sinc with its edge at a quarter of the rate, in a window of Kaiser for a transition of 0.3 of the rate on either side."""
    signal = pytest.importorskip("scipy.signal")
    attenuation = 2.285 * (TAPS // 2 - 1) * np.pi * 1.2 + 7.95
    designed = signal.firwin(TAPS, 0.5, window=("kaiser", signal.kaiser_beta(attenuation)), scale=True)
    assert np.allclose(lowpass()[0, 0].numpy(), designed, atol=1e-6)


def test_doubling_and_halving_keeps_a_slow_wave():
    wave = torch.sin(torch.arange(400) * 0.3)[None, None]
    filters = lowpass()
    higher = doubled(wave, filters)
    assert higher.shape[-1] == 800
    back = halved(higher, filters)
    assert (back - wave)[..., 10:-10].abs().max() < 0.02


def test_an_activation_folds_less_than_its_function_alone():
    """The square of a tone at a third of the rate lies beyond what can be heard, and would come back as a tone that is not there.

    The filter has twelve taps: 13 dB is what it can do.
    """
    n_frames, tone = 1_024, 340  # periods
    wave = torch.cos(2 * math.pi * tone * torch.arange(n_frames) / n_frames)[None, None]
    inner = Activation(1)
    folded_to = n_frames - 2 * tone  # where 2 · tone, beyond n_frames / 2, comes back

    def level(sound):
        return float(torch.fft.rfft(sound[0, 0])[folded_to].abs())

    assert level(inner(wave)) < 0.25 * level(Snake(1)(wave))


def test_snake_is_x_plus_a_squared_sine():
    made = Snake(2)
    made.alpha.copy_(torch.tensor([0.0, math.log(3)]))
    made.beta.copy_(torch.tensor([0.0, math.log(2)]))
    x = torch.tensor([[[0.5], [0.5]]])
    expected = [0.5 + math.sin(0.5) ** 2, 0.5 + math.sin(1.5) ** 2 / 2]
    assert made(x)[0, :, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_joined_weights_are_those_of_weight_norm():
    from torch.nn.utils.parametrizations import weight_norm

    torch.manual_seed(1)
    for layer in (torch.nn.Conv1d(3, 5, 7), torch.nn.ConvTranspose1d(4, 2, 8, 4)):
        expected = layer.weight.clone()
        normed = weight_norm(layer)
        length, direction = (
            array.clone() for array in (normed.parametrizations.weight.original0, normed.parametrizations.weight.original1)
        )
        joined = folded({"ups.0.0.weight_g": length, "ups.0.0.weight_v": 2.5 * direction, "ups.0.0.bias": layer.bias})
        assert list(joined) == ["ups.0.0.weight", "ups.0.0.bias"]
        assert torch.allclose(joined["ups.0.0.weight"], expected, atol=1e-6)


def test_half_of_a_weight_and_a_foreign_filter_are_refused():
    with pytest.raises(KeyError):
        folded({"conv_pre.weight_v": torch.ones(1, 1, 1)})
    with pytest.raises(KeyError):
        folded({"conv_pre.weight_g": torch.ones(1, 1, 1)})
    with pytest.raises(ValueError, match=r"upsample\.filter is not the filter"):
        folded({"activation_post.upsample.filter": torch.ones(1, 1, TAPS)})
    assert folded({"activation_post.upsample.filter": lowpass()}) == {}
