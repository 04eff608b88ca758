"""The decoder of mel spectrograms: names and sizes as published, its shapes, and where it can see."""

import pytest

torch = pytest.importorskip("torch")

from kapelle.models.mel_vae import Attention, Config, MelDecoder  # noqa: E402

SMALL = Config(embed_dim=4, n_mels=6, ch=32, ch_mult=(1, 2), num_res_blocks=1, up_levels=(1,))

PUBLISHED = {
    "post_quant_conv.weight": (20, 20, 1),
    "decoder.conv_in.weight": (1536, 20, 5),
    "decoder.mid.block_1.norm1.weight": (1536,),
    "decoder.mid.block_1.conv1.weight": (1536, 1536, 3),
    "decoder.mid.attn_1.q.weight": (1536, 1536, 1),
    "decoder.mid.attn_1.proj_out.bias": (1536,),
    "decoder.mid.block_2.conv2.weight": (1536, 1536, 3),
    "decoder.up.2.block.2.conv1.weight": (1536, 1536, 3),
    "decoder.up.1.block.0.conv1.weight": (768, 1536, 3),
    "decoder.up.1.block.0.nin_shortcut.weight": (768, 1536, 1),
    "decoder.up.1.upsample.conv.weight": (768, 768, 3),
    "decoder.up.0.block.0.conv1.weight": (384, 768, 3),
    "decoder.up.0.block.2.norm2.bias": (384,),
    "decoder.norm_out.weight": (384,),
    "decoder.conv_out.weight": (80, 384, 5),
}
"""Read off the published Decoder1D with the published numbers, by hand. Two things are easily missed: it hands its kernel size of 5 only to
its first and last convolution, and adds 1 to the level that the configuration names for time. Its attention at level 3 of 0 to 2 is
nowhere."""


@pytest.fixture(autouse=True)
def _plain(one_thread):
    """No gradients."""
    with torch.inference_mode():
        yield


def shapes(made):
    return {name: tuple(array.shape) for name, array in made.state_dict().items()}


def test_names_and_shapes_are_those_of_the_published_weights():
    with torch.device("meta"):
        published = shapes(MelDecoder(Config()))
    assert {name: published.get(name) for name in PUBLISHED} == PUBLISHED
    assert len(published) == 112
    assert not [name for name in published if "up.2.upsample" in name or "up.0.upsample" in name or ".up.2.block.0.nin" in name]


def test_the_published_decoder_has_99_million_parameters():
    with torch.device("meta"):
        made = MelDecoder(Config())
    assert sum(parameter.numel() for parameter in made.parameters()) == 99_333_236


@pytest.mark.parametrize("config", [Config(), SMALL, Config(ch=32, ch_mult=(1, 1, 3), up_levels=(0, 2))])
def test_shapes_tell_the_configuration(config):
    with torch.device("meta"):
        assert Config.of(shapes(MelDecoder(config))) == config


@pytest.mark.parametrize("n_latents", [1, 2, 31])
def test_two_frames_are_made_for_each_latent(n_latents):
    torch.manual_seed(0)
    assert MelDecoder(SMALL)(torch.randn(2, 4, n_latents)).shape == (2, 6, 2 * n_latents)


def test_attention_is_a_softmax_over_time():
    torch.manual_seed(1)
    layer = Attention(32)
    hidden = torch.randn(1, 32, 7)
    normed = layer.norm(hidden)[0]
    asked, keys, values = (part.weight[..., 0] @ normed + part.bias[:, None] for part in (layer.q, layer.k, layer.v))
    shares = torch.softmax(asked.T @ keys / 32**0.5, dim=1)  # of each moment (row) over all
    expected = hidden[0] + layer.proj_out.weight[..., 0] @ (values @ shares.T) + layer.proj_out.bias[:, None]
    assert torch.allclose(layer(hidden)[0], expected, atol=1e-5)


def written_out(weights, latents):
    """The published decoder once more, for two levels of two blocks, in functions on its names."""
    w, functional = weights, torch.nn.functional

    def convolution(x, name):
        kernel = w[name + ".weight"]
        return functional.conv1d(x, kernel, w[name + ".bias"], padding=kernel.shape[-1] // 2)

    def norm(x, name):
        return functional.group_norm(x, 32, w[name + ".weight"], w[name + ".bias"], eps=1e-6)

    def swish(x):
        return x * torch.sigmoid(x)

    def residual(x, name):
        inner = convolution(swish(norm(x, name + ".norm1")), name + ".conv1")
        inner = convolution(swish(norm(inner, name + ".norm2")), name + ".conv2")
        return inner + (convolution(x, name + ".nin_shortcut") if name + ".nin_shortcut.weight" in w else x)

    def attention(x, name):
        q, k, v = (convolution(norm(x, name + ".norm"), f"{name}.{part}") for part in "qkv")
        shares = torch.softmax(q.transpose(1, 2) @ k * q.shape[1] ** -0.5, dim=2)
        return x + convolution(v @ shares.transpose(1, 2), name + ".proj_out")

    x = convolution(convolution(latents, "post_quant_conv"), "decoder.conv_in")
    x = residual(attention(residual(x, "decoder.mid.block_1"), "decoder.mid.attn_1"), "decoder.mid.block_2")
    for level in (1, 0):
        for block in range(2):
            x = residual(x, f"decoder.up.{level}.block.{block}")
        if level == 1:
            x = convolution(functional.interpolate(x, scale_factor=2.0, mode="nearest"), "decoder.up.1.upsample.conv")
    return convolution(swish(norm(x, "decoder.norm_out")), "decoder.conv_out")


def test_the_decoder_is_its_equations():
    torch.manual_seed(3)
    made = MelDecoder(SMALL)
    for parameter in made.parameters():
        parameter.normal_(0.0, 0.3)
    latents = torch.randn(2, 4, 9)
    expected = written_out(made.state_dict(), latents)
    assert (made(latents) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_latent_moves_the_frames_around_it_most():
    torch.manual_seed(2)
    made = MelDecoder(SMALL)
    latents = torch.randn(1, 4, 60)
    moved = latents.clone()
    moved[..., 30] += 1
    change = (made(moved) - made(latents)).abs().sum(dim=(0, 1))
    assert 55 <= int(change.argmax()) <= 66
