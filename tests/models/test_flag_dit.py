"""Flag-DiT: its arithmetic against a second, plain version, its masks, and its names and sizes against what is published."""

import math

import pytest

torch = pytest.importorskip("torch")

from kapelle.models.flag_dit import Attention, Config, FlagDiT, rotated, rotations  # noqa: E402

SMALL = Config(in_channels=3, context_dim=6, hidden_size=16, depth=2, num_heads=2, max_len=50)

PUBLISHED = {
    "t_embedder.mlp.0.weight": (768, 256),
    "t_embedder.mlp.2.bias": (768,),
    "proj_in.weight": (768, 20),
    "cap_embedder.0.weight": (1024,),
    "cap_embedder.1.weight": (768, 1024),
    "blocks.0.attention.wq.weight": (768, 768),
    "blocks.0.attention.wo.weight": (768, 768),
    "blocks.7.attention.wk_y.weight": (768, 1024),
    "blocks.15.attention.wv_y.weight": (768, 1024),
    "blocks.15.attention.gate": (32,),
    "blocks.0.feed_forward.w1.weight": (2048, 768),
    "blocks.0.feed_forward.w2.weight": (768, 2048),
    "blocks.0.feed_forward.w3.weight": (2048, 768),
    "blocks.0.attention_norm.weight": (768,),
    "blocks.0.attention_y_norm.weight": (1024,),
    "blocks.0.ffn_norm.weight": (768,),
    "blocks.0.adaLN_modulation.1.weight": (4608, 768),
    "blocks.0.adaLN_modulation.1.bias": (4608,),
    "final_layer.linear.weight": (20, 768),
    "final_layer.linear.bias": (20,),
    "final_layer.adaLN_modulation.1.weight": (1536, 768),
}
"""Read off the published class FlagDiTv2 with the published numbers (lumina-text2music.yaml), by hand: attributes of its modules give the
names, arguments of its layers the shapes. Its feed-forward layer: int(2 · 4 · 768 / 3) = 2048 is a multiple of 256 already. Its table of
rotations is no parameter and no buffer, and its last norm has no weight, so neither has a name."""


def network(config=SMALL, seed=0):
    """With all parameters drawn: the gates of the published start are 0, which would hide most of the network."""
    torch.manual_seed(seed)
    made = FlagDiT(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0, 0.2)
    return made


@pytest.fixture(autouse=True)
def _plain(one_thread):
    """No gradients."""
    with torch.inference_mode():
        yield


def shapes(made):
    return {name: tuple(array.shape) for name, array in made.state_dict().items()}


def test_names_and_shapes_are_those_of_the_published_weights():
    with torch.device("meta"):
        published = shapes(FlagDiT(Config()))
    assert {name: published.get(name) for name in PUBLISHED} == PUBLISHED
    in_a_block = {name.split(".", 2)[2] for name in published if name.startswith("blocks.3.")}
    assert in_a_block == {name.split(".", 2)[2] for name in PUBLISHED if name.startswith("blocks.")} | {
        "attention.wk.weight",
        "attention.wv.weight",
    }
    assert len(published) == 254  # 16 blocks of 15, and 14 around them


def test_the_published_network_has_198_million_parameters():
    with torch.device("meta"):
        made = FlagDiT(Config())
    assert sum(parameter.numel() for parameter in made.parameters()) == 197_940_244


@pytest.mark.parametrize("config", [Config(), SMALL])
def test_shapes_tell_the_configuration(config):
    with torch.device("meta"):
        told = Config.of(shapes(FlagDiT(config)))
    assert told == Config(**{**vars(config), "max_len": told.max_len})


def turned_as_complex_numbers(heads):
    """Rotary positions once more, by complex numbers, as they are usually written."""
    n_positions, width = heads.shape[-2:]
    angles = torch.arange(n_positions)[:, None] * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    pairs = torch.view_as_complex(heads.reshape(*heads.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def plain_attention(layer, hidden, context, heard):
    """The layer written out: softmax, loops over rows and heads, padding left out instead of masked."""
    out = torch.zeros_like(hidden)
    width = hidden.shape[-1] // layer.n_heads
    for row in range(len(hidden)):
        kept = hidden[row][heard[row]]
        mixed = []
        for head in range(layer.n_heads):
            part = slice(head * width, (head + 1) * width)
            queries = turned_as_complex_numbers(kept @ layer.wq.weight[part].T)
            keys = turned_as_complex_numbers(kept @ layer.wk.weight[part].T)
            own = torch.softmax(queries @ keys.T / math.sqrt(width), dim=-1) @ (kept @ layer.wv.weight[part].T)
            scores = queries @ (context[row] @ layer.wk_y.weight[part].T).T / math.sqrt(width)
            text = torch.softmax(scores, dim=-1) @ (context[row] @ layer.wv_y.weight[part].T)
            mixed.append(own + torch.tanh(layer.gate[head]) * text)
        out[row][heard[row]] = torch.cat(mixed, dim=-1) @ layer.wo.weight.T
    return out


def test_attention_is_a_softmax_over_what_is_heard():
    torch.manual_seed(1)
    layer = Attention(SMALL)
    layer.gate.copy_(torch.tensor([0.7, -1.2]))
    hidden, context = torch.randn(3, 9, 16), torch.randn(3, 5, 6)
    heard = torch.arange(9) < torch.tensor([9, 4, 1])[:, None]
    made = layer(hidden, context, rotations(9, 8), heard[:, None, None])
    assert torch.allclose(made[heard], plain_attention(layer, hidden, context, heard)[heard], atol=1e-5)
    everywhere = torch.ones(3, 9, dtype=torch.bool)
    assert torch.allclose(layer(hidden, context, rotations(9, 8), None), plain_attention(layer, hidden, context, everywhere), atol=1e-5)


def written_out(weights, latents, time, context, n_heads):
    """The whole network once more, from its equations and its published names, in functions and 64-bit floats."""
    w = {name: array.double() for name, array in weights.items()}
    silu, latents, context = torch.nn.functional.silu, latents.double(), context.double()

    def linear(rows, name):
        return rows @ w[name + ".weight"].T + w.get(name + ".bias", 0.0)

    def root_mean_square(rows, name):
        return w[name + ".weight"] * rows / (rows.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    def standard(rows, eps):
        return (rows - rows.mean(-1, keepdim=True)) / (rows.var(-1, keepdim=True, unbiased=False) + eps).sqrt()

    def split(rows):
        return rows.reshape(*rows.shape[:2], n_heads, -1).movedim(2, 1)

    def attend(queries, keys, values):
        return torch.softmax(queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1]), -1) @ values

    angles = time.double()[:, None] * torch.exp(-math.log(10_000) * torch.arange(128).double() / 128)
    waves = torch.cat([torch.cos(angles), torch.sin(angles)], -1)
    pooled = standard(context.mean(1), 1e-5) * w["cap_embedder.0.weight"] + w["cap_embedder.0.bias"]
    condition = linear(silu(linear(waves, "t_embedder.mlp.0")), "t_embedder.mlp.2") + linear(pooled, "cap_embedder.1")
    x = linear(latents.transpose(1, 2), "proj_in")
    for block in (f"blocks.{number}." for number in range(2)):
        six = linear(silu(condition), block + "adaLN_modulation.1")[:, None].chunk(6, -1)
        moved = root_mean_square(x, block + "attention_norm") * (1 + six[1]) + six[0]
        text = root_mean_square(context, block + "attention_y_norm")
        part = {name: split(linear(moved, f"{block}attention.{name}")) for name in ("wq", "wk", "wv")}
        queries, keys = turned_as_complex_numbers(part["wq"]), turned_as_complex_numbers(part["wk"])
        read = attend(queries, split(linear(text, block + "attention.wk_y")), split(linear(text, block + "attention.wv_y")))
        mixed = attend(queries, keys, part["wv"]) + torch.tanh(w[block + "attention.gate"])[:, None, None] * read
        x = x + six[2] * linear(mixed.movedim(1, 2).flatten(2), block + "attention.wo")
        moved = root_mean_square(x, block + "ffn_norm") * (1 + six[4]) + six[3]
        wide = silu(linear(moved, block + "feed_forward.w1")) * linear(moved, block + "feed_forward.w3")
        x = x + six[5] * linear(wide, block + "feed_forward.w2")
    shift, scale = linear(silu(condition), "final_layer.adaLN_modulation.1")[:, None].chunk(2, -1)
    return linear(standard(x, 1e-6) * (1 + scale) + shift, "final_layer.linear").transpose(1, 2)


def test_the_network_is_its_equations():
    made = network()
    torch.manual_seed(7)
    latents, context, time = torch.randn(2, 3, 11), torch.randn(2, 5, 6), torch.tensor([37.0, 812.0])
    expected = written_out(made.state_dict(), latents, time, context, 2)
    assert (made(latents, time, context) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_row_beside_longer_rows_is_what_it_is_alone():
    made = network()
    torch.manual_seed(2)
    latents, context, time = torch.randn(3, 3, 12), torch.randn(3, 5, 6), torch.tensor([10.0, 500.0, 999.0])
    lengths = [12, 7, 1]
    together = made(latents, time, context, torch.arange(12) < torch.tensor(lengths)[:, None])
    for row, length in enumerate(lengths):
        alone = made(latents[row : row + 1, :, :length], time[row : row + 1], context[row : row + 1])
        assert torch.allclose(together[row : row + 1, :, :length], alone, atol=1e-5)


def test_what_is_under_the_padding_does_not_matter():
    made = network()
    torch.manual_seed(3)
    latents, context, time = torch.randn(1, 3, 8), torch.randn(1, 5, 6), torch.tensor([100.0])
    heard = torch.arange(8)[None] < 5
    other = torch.where(heard[:, None], latents, 100.0)
    assert torch.equal(made(latents, time, context, heard)[..., :5], made(other, time, context, heard)[..., :5])


def test_time_and_text_and_order_matter():
    made = network()
    torch.manual_seed(4)
    latents, context, time = torch.randn(1, 3, 8), torch.randn(1, 5, 6), torch.tensor([100.0])
    at_first = made(latents, time, context)
    for other in (made(latents, time + 1, context), made(latents, time, context + 0.1), made(latents.flip(-1), time, context).flip(-1)):
        assert (other - at_first).abs().max() > 1e-4


def test_rotation_keeps_lengths_and_tells_distances_alone():
    torch.manual_seed(5)
    query, key = torch.randn(8), torch.randn(8)
    turns = rotations(40, 8)
    queries, keys = rotated(query.expand(1, 1, 40, 8), turns)[0, 0], rotated(key.expand(1, 1, 40, 8), turns)[0, 0]
    assert torch.allclose(queries.norm(dim=-1), query.norm().expand(40), atol=1e-5)
    assert torch.allclose(queries[3] @ keys[10], queries[29] @ keys[36], atol=1e-4)


def test_half_precision_gives_about_the_same():
    made = network()
    torch.manual_seed(6)
    latents, context, time = torch.randn(1, 3, 8), torch.randn(1, 5, 6), torch.tensor([100.0])
    exact = made(latents, time, context)
    near = made.to(torch.bfloat16)(latents.bfloat16(), time, context.bfloat16())
    assert near.dtype == torch.bfloat16
    assert (near - exact).abs().max() < 0.05 * exact.abs().max()
