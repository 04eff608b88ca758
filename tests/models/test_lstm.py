"""The LSTM: its graph says what the network says, and its memory is carried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kapelle import models
from kapelle.bundles import load
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.quantise import columns, quantise
from kapelle.bundles.session import Decoder
from kapelle.models import lstm
from kapelle.models.recurrent_onnx import _gates, torch_gates

CONFIG = lstm.Config(vocabulary=40, embed_size=12, hidden_size=24, num_layers=3)


def weights(config: lstm.Config = CONFIG, scale: float = 0.4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"embedding.weight": (config.vocabulary, config.embed_size), "output.weight": (config.vocabulary, config.hidden_size),
              "output.bias": (config.vocabulary,)}  # fmt: skip
    for layer in range(config.num_layers):
        inner, gates = config.hidden_size if layer else config.embed_size, 4 * config.hidden_size
        shapes |= {f"lstm.weight_ih_l{layer}": (gates, inner), f"lstm.weight_hh_l{layer}": (gates, config.hidden_size)}
        shapes |= {f"lstm.bias_{part}_l{layer}": (gates,) for part in ("ih", "hh")}
    return {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()}


def decoder(*, small: bool = False, batch: int = 1) -> Decoder:
    graph = lstm.graphs(CONFIG, weights())["step"]
    data = (quantise(graph) if small else graph).SerializeToString()
    manifest = Manifest("probe", "lstm", "autoregressive", {"step": "step.onnx"}, {}, "", lstm.states(CONFIG))
    return Decoder(load.Bundle(Path("probe"), manifest, "", {"step.onnx": data}), batch=batch)


IDS = np.random.default_rng(1).integers(0, CONFIG.vocabulary, 50)


@pytest.mark.train
def test_the_graph_gives_the_logits_of_the_network() -> None:
    torch = pytest.importorskip("torch")
    network = lstm.build(CONFIG).eval()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights().items()})
    expected = lstm.logits(network, torch.from_numpy(IDS)[None]).detach().numpy()[0]
    np.testing.assert_allclose(decoder().score(IDS), expected, atol=2e-5)


def test_the_memory_is_carried_from_token_to_token() -> None:
    whole, single = decoder(), decoder()
    expected = whole.score(IDS)
    found = np.stack([single.feed(IDS[i : i + 1]).copy() for i in range(len(IDS))])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert single.position == len(IDS)
    assert single.context is None


def test_a_memory_that_is_cleared_begins_anew() -> None:
    session = decoder()
    first = session.feed(IDS[:7]).copy()
    session.feed(IDS)
    session.reset()
    np.testing.assert_array_equal(session.feed(IDS[:7]), first)


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    both = decoder(batch=2).feed(np.stack([IDS[:9], IDS[9:18]]))
    np.testing.assert_allclose(both[0], decoder().feed(IDS[:9]), atol=2e-5)
    np.testing.assert_allclose(both[1], decoder().feed(IDS[9:18]), atol=2e-5)


def test_eight_bits_change_little_and_take_a_quarter() -> None:
    plain, small = decoder().score(IDS), decoder(small=True).score(IDS)
    assert np.abs(plain - small).max() < 0.15 * plain.std()
    graph = lstm.graphs(CONFIG, weights())["step"]
    kinds = {node.op_type for node in quantise(graph).graph.node}
    assert "DynamicQuantizeLSTM" in kinds
    assert "LSTM" not in kinds
    wide = lstm.Config(vocabulary=400, embed_size=128, hidden_size=128, num_layers=2)
    graph = lstm.graphs(wide, weights(wide))["step"]
    assert quantise(graph).ByteSize() < 0.3 * graph.ByteSize()


def test_columns_of_eight_bits_are_off_by_half_a_step_at_most() -> None:
    matrix = np.random.default_rng(3).normal(0, 1, (30, 8)).astype(np.float32)
    matrix[:, 5] = 0
    levels, scales = columns(matrix)
    assert levels.dtype == np.int8
    assert (np.abs(levels * scales - matrix) <= scales / 2 + 1e-7).all()


def test_the_order_of_gates_goes_there_and_back() -> None:
    rows = np.arange(24).reshape(12, 2)
    np.testing.assert_array_equal(torch_gates(_gates(rows)), rows)
    assert _gates(np.arange(4)).tolist() == [0, 3, 1, 2]


@pytest.mark.train
def test_a_fresh_network_forgets_little() -> None:
    pytest.importorskip("torch")
    network = models.family("lstm").build(CONFIG)
    biases = dict(network.named_parameters())["lstm.bias_ih_l1"].detach().numpy()
    assert (biases[24:48] == 1).all()
    assert np.abs(biases[:24]).max() < 1
