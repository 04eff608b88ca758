"""The network against its equations, written out a second time in 64-bit floats, and against what it must never do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kapelle.errors import UsageError
from kapelle.models import theme
from kapelle.models.theme_onnx import shapes

torch = pytest.importorskip("torch")

SMALL = theme.Config(vocabulary=23, n_positions=24, d_model=16, n_head=4, d_ff=20, n_encoder=2, n_decoder=2, exclusive=(0, 1), dropout=0.0)
RNG = np.random.default_rng(5)
IDS = RNG.integers(1, 23, (2, 12))
LABELS = np.array([[0, 1, 2, 3, 4, 0, 0, 0, 1, 2, 3, 0], [5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2]])
THEME = np.concatenate([RNG.integers(1, 23, (2, 7)), np.array([[3, 1], [0, 0]])], axis=1)  # the second is two ids shorter
VARIANTS = {"theme": SMALL, "ungated": replace(SMALL, gated=False), "seq2seq": replace(SMALL, variant="seq2seq")}


def network(config: theme.Config = SMALL, seed: int = 0) -> Any:
    """A network with biases and gains that are not 0 and 1, in evaluation."""
    torch.manual_seed(seed)
    made = theme.build(config).eval()
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return made


def tensors(*arrays: np.ndarray) -> list[Any]:
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def run(made: Any, ids: np.ndarray = IDS, labels: np.ndarray = LABELS, heard: np.ndarray = THEME) -> np.ndarray:
    with torch.no_grad():
        out: np.ndarray = made(*tensors(ids, labels, heard)).numpy()
    return out


# The equations of one decoder layer, one row, in 64-bit floats: no batch, no fused products, no mask but where it is written.


def code(position: float, width: int) -> np.ndarray:
    """Sine at the even places, cosine at the odd ones, of wavelengths from 2 pi up to 10,000 times that."""
    angles = [position / 10_000 ** (2 * pair / width) for pair in range(width // 2)]
    return np.array([wave(angle) for angle in angles for wave in (math.sin, math.cos)])


def attend(weights: dict[str, np.ndarray], name: str, asked: np.ndarray, given: np.ndarray, n_head: int, may: np.ndarray) -> np.ndarray:
    """Softmax attention of every row of `asked` (T, D) to the rows of `given` (S, D) that `may` (T, S) allows."""
    width = asked.shape[1]
    matrices, biases = np.split(weights[f"{name}.in_proj_weight"], 3), np.split(weights[f"{name}.in_proj_bias"], 3)
    query, key, value = (x @ m.T + b for x, m, b in zip((asked, given, given), matrices, biases, strict=True))
    out = np.zeros_like(asked)
    for head in range(n_head):
        part = slice(head * width // n_head, (head + 1) * width // n_head)
        for t in range(len(asked)):
            scores = [query[t, part] @ key[s, part] / math.sqrt(width / n_head) if may[t, s] else -math.inf for s in range(len(given))]
            shares = np.exp(np.array(scores) - max(scores))
            out[t, part] = (shares / shares.sum()) @ value[:, part]
    return out @ weights[f"{name}.out_proj.weight"].T + weights[f"{name}.out_proj.bias"]


def norm(weights: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def feed_forward(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    wide = x @ weights["linear1.weight"].T + weights["linear1.bias"]
    active = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
    return active @ weights["linear2.weight"].T + weights["linear2.bias"]


def equations(
    weights: dict[str, np.ndarray], x: np.ndarray, labels: np.ndarray, memory: np.ndarray, real: np.ndarray, *, exclusive: bool
) -> np.ndarray:
    """s, c, y and out of the paper's decoder layer; a last row of the memory where `real` is false is padding."""
    length, width = x.shape
    at_place = x + np.stack([code(position, width) for position in range(length)])
    at_label = x + np.stack([code(label, width) for label in labels])
    s = attend(weights, "self_attn", at_place, at_place, 4, np.tri(length, dtype=bool))
    c = attend(weights, "multihead_attn", at_label, memory, 4, np.tile(real, (length, 1)))
    for t, label in enumerate(labels):
        if label == 0:
            c[t] = 0
        elif exclusive:
            s[t] = 0
    y = norm(weights, "norm1", x + (s + c) / 2)
    return norm(weights, "norm3", y + feed_forward(weights, y))


PATTERNS = {
    "outside": [0] * 9,
    "inside": [1, 2, 3, 4, 5, 6, 7, 8, 9],
    "in the middle": [0, 0, 1, 2, 3, 4, 0, 0, 0],
    "twice, the second begun before the block": [12, 13, 0, 0, 1, 2, 3, 0, 1],
}


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_decoder_layer_is_its_equations(pattern: str, padding: int, exclusive: bool) -> None:
    layer = network().double().decoder.layers[int(exclusive)]
    weights = {name: value.numpy() for name, value in layer.state_dict().items()}
    rng = np.random.default_rng(0)
    labels, x, memory = np.array(PATTERNS[pattern]), rng.normal(size=(9, 16)), rng.normal(size=(6, 16))
    real = np.arange(6) < 6 - padding
    wanted = equations(weights, x, labels, memory, real, exclusive=exclusive)
    places = np.stack([code(position, 16) for position in range(24)])
    given = tensors(
        x[None], places[:9], places[labels][None], (labels > 0).astype(float)[None, :, None], memory[None], real[None, None, None]
    )
    with torch.no_grad():
        found = layer(*given)[0].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_the_whole_is_its_layers_in_a_row() -> None:
    made = network().double()
    weights = {name: value.numpy() for name, value in made.state_dict().items()}

    def of(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}

    heard, every = THEME[1][:7], np.ones((7, 7), bool)
    memory = weights["token_embedding.weight"][heard] + np.stack([code(position + 0.1, 16) for position in range(7)])
    for layer in range(2):
        parts = of(f"encoder.layers.{layer}.")
        memory = norm(parts, "norm1", memory + attend(parts, "self_attn", memory, memory, 4, every))
        memory = norm(parts, "norm2", memory + feed_forward(parts, memory))
    memory = norm(weights, "encoder.norm", memory)
    x = weights["token_embedding.weight"][IDS[1]]
    for layer in range(2):
        x = equations(of(f"decoder.layers.{layer}."), x, LABELS[1], memory, np.ones(7, bool), exclusive=bool(layer))
    wanted = norm(weights, "decoder.norm", x) @ weights["output_layer.weight"].T + weights["output_layer.bias"]
    assert np.abs(run(made)[1] - wanted).max() < 2e-6  # codes are kept in 32 bits


def test_the_released_shape_has_its_number_of_parameters() -> None:
    config = theme.Config(vocabulary=1033)
    made = theme.build(config)
    assert sum(value.numel() for value in made.parameters()) == 11_587_081
    assert not made.token_embedding.weight[0].any()
    assert list(made.state_dict()) == [name for name, _ in made.named_parameters()]  # the codes of position are not stored


@pytest.mark.parametrize("variant", ["theme", "seq2seq", "prompt"])
def test_every_parameter_is_named_with_its_shape(variant: str) -> None:
    config = replace(SMALL, variant=variant)
    assert {name: tuple(value.shape) for name, value in theme.build(config).state_dict().items()} == shapes(config)


@pytest.mark.parametrize("config", [*VARIANTS.values(), replace(SMALL, variant="prompt")], ids=[*VARIANTS, "prompt"])
def test_no_logit_knows_what_comes_after_it(config: theme.Config) -> None:
    made = network(config)
    before = run(made)
    for at in (0, 5, 11):
        ids, labels = IDS.copy(), LABELS.copy()
        ids[:, at:], labels[:, at:] = 1 + ids[:, at:] % 22, 1 + labels[:, at:]
        after = run(made, ids, labels)
        np.testing.assert_array_equal(after[:, :at], before[:, :at])
        assert np.abs(after[:, at:] - before[:, at:]).max(axis=-1).min() > 1e-4


def test_outside_its_regions_the_theme_has_no_influence() -> None:
    made, outside = network(), np.zeros_like(LABELS)
    np.testing.assert_array_equal(run(made, labels=outside), run(made, labels=outside, heard=1 + THEME % 22))
    first = LABELS.argmax(axis=1) > 0  # rows that begin outside: nothing changes before the region
    changed = np.abs(run(made) - run(made, heard=1 + THEME % 22)).max(axis=-1)
    assert first[0]
    assert changed[0, 0] == 0
    assert (changed[LABELS > 0] > 1e-3).all()


@pytest.mark.parametrize("name", ["ungated", "seq2seq"])
def test_without_a_gate_the_theme_is_heard_everywhere(name: str) -> None:
    made, outside = network(VARIANTS[name]), np.zeros_like(LABELS)
    assert (np.abs(run(made, labels=outside) - run(made, labels=outside, heard=1 + THEME % 22)).max(axis=-1) > 1e-3).all()


def test_in_exclusive_layers_the_theme_alone_is_heard_inside() -> None:
    made = network(replace(SMALL, n_decoder=1, exclusive=(1,)))
    inside = 1 + np.tile(np.arange(12), (2, 1))
    ids = IDS.copy()
    ids[:, :6] = 1 + ids[:, :6] % 22
    np.testing.assert_array_equal(run(made, ids, inside)[:, 6:], run(made, IDS, inside)[:, 6:])


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_padding_of_a_theme_is_not_heard(config: theme.Config) -> None:
    made = network(config)
    alone = run(made, IDS[1:], LABELS[1:], THEME[1:, :7])
    np.testing.assert_allclose(run(made)[1:], alone, atol=1e-5)


def test_the_prompt_variant_looks_at_ids_alone() -> None:
    made = network(replace(SMALL, variant="prompt"))
    np.testing.assert_array_equal(run(made), run(made, labels=np.zeros_like(LABELS), heard=1 + THEME % 22))


def test_labels_beyond_the_longest_block_count_as_its_last() -> None:
    made = network()
    np.testing.assert_array_equal(run(made, labels=np.full_like(LABELS, 23)), run(made, labels=np.full_like(LABELS, 400)))


def test_segments_of_the_seq2seq_theme_can_be_told() -> None:
    made = network(VARIANTS["seq2seq"])
    all_inside, none = np.ones_like(THEME), np.zeros_like(THEME)
    with torch.no_grad():
        plain, told, other = (
            made(*tensors(IDS[:1], LABELS[:1], THEME[:1], *extra)).numpy() for extra in ([], [all_inside[:1]], [none[:1]])
        )
    np.testing.assert_array_equal(plain, told)
    assert np.abs(other - plain).max() > 1e-3


@pytest.mark.parametrize("config", [*VARIANTS.values(), replace(SMALL, variant="prompt")], ids=[*VARIANTS, "prompt"])
def test_every_parameter_learns(config: theme.Config) -> None:
    made = network(replace(config, dropout=0.1, attention_dropout=0.1)).train()
    made(*tensors(IDS, LABELS, THEME)).logsumexp(-1).square().mean().backward()
    for name, value in made.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.abs().max() > 0, name
    assert not made.token_embedding.weight.grad[0].any()


def test_half_precision_changes_little() -> None:
    made = network()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = made(*tensors(IDS, LABELS, THEME)).float().numpy()
    assert np.abs(rough - run(made)).max() < 0.05 * run(made).std() + 0.05


@pytest.mark.parametrize("wrong", [{"n_head": 3}, {"exclusive": (0, 1, 1)}, {"d_model": 15, "n_head": 5}])
def test_shapes_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must"):
        replace(SMALL, **wrong)


@pytest.mark.parametrize("causal", [True, False])
def test_wide_heads_on_a_cpu_attend_as_the_fused_operator_does(causal: bool) -> None:
    from kapelle.models import theme_network

    torch.manual_seed(0)
    asked, keys, values = (torch.randn(2, 3, 9, theme_network.WIDE_HEAD) for _ in range(3))
    heard = None if causal else (torch.arange(9) < torch.tensor([9, 4])[:, None])[:, None, None]
    found = theme_network.attend(asked, keys, values, heard, 0.0, causal=causal)
    wanted = torch.nn.functional.scaled_dot_product_attention(asked, keys, values, heard, is_causal=causal)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_embeddings_begin_as_wide_as_asked() -> None:
    torch.manual_seed(0)
    weight = theme.build(theme.Config(vocabulary=700, d_model=64, n_head=2, embedding_std=0.5)).token_embedding.weight
    assert weight[1:].std().item() == pytest.approx(0.5, rel=0.03) and not weight[0].any()
