"""The Chopin LSTM: its parameters are the notebook's, its graph says what the network says, temperature is obeyed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kapelle.bundles import load
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.quantise import quantise
from kapelle.bundles.session import Decoder
from kapelle.models import chord_lstm
from kapelle.sampling import filters
from kapelle.sampling.options import SamplingOptions

CONFIGS = [
    chord_lstm.Config(vocabulary=40, embed=12, hidden=(24, 16), dense=20),
    chord_lstm.Config(vocabulary=40, input="scalar", hidden=(24, 16), dense=20),
]
IDS = np.random.default_rng(1).integers(0, 40, 50)


def weights(config: chord_lstm.Config, scale: float = 0.4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"embedding.weight": (config.vocabulary, config.embed)} if config.input == "embedding" else {}
    shapes |= {"dense.weight": (config.dense, config.hidden[-1]), "dense.bias": (config.dense,)}
    shapes |= {"output.weight": (config.vocabulary, config.dense), "output.bias": (config.vocabulary,)}
    for layer, (inner, width) in enumerate(zip(config.inputs, config.hidden, strict=True)):
        rows = {"weight_ih": (4 * width, inner), "weight_hh": (4 * width, width), "bias_ih": (4 * width,), "bias_hh": (4 * width,)}
        shapes |= {f"layers.{layer}.{part}_l0": shape for part, shape in rows.items()}
    return {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()}


def decoder(config: chord_lstm.Config, *, small: bool = False) -> Decoder:
    graph = chord_lstm.graphs(config, weights(config))["step"]
    data = (quantise(graph) if small else graph).SerializeToString()
    manifest = Manifest("probe", "chord_lstm", "autoregressive", {"step": "step.onnx"}, {}, "", chord_lstm.states(config))
    return Decoder(load.Bundle(Path("probe"), manifest, "", {"step.onnx": data}))


@pytest.mark.train
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.input)
def test_the_graph_gives_the_logits_of_the_network(config: chord_lstm.Config) -> None:
    torch = pytest.importorskip("torch")
    network = chord_lstm.build(config).eval()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights(config).items()})
    expected = chord_lstm.logits(network, torch.from_numpy(IDS)[None]).detach().numpy()[0]
    np.testing.assert_allclose(decoder(config).score(IDS), expected, atol=2e-5)


@pytest.mark.train
def test_layers_have_the_parameters_that_keras_counts() -> None:
    pytest.importorskip("torch")
    network = chord_lstm.build(chord_lstm.Config(vocabulary=150, input="scalar"))
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    second_bias = {0: 4 * 256, 1: 4 * 128}  # torch has two where Keras has one
    assert sum(n for name, n in sizes.items() if name.startswith("layers.0.")) - second_bias[0] == 264_192
    assert sum(n for name, n in sizes.items() if name.startswith("layers.1.")) - second_bias[1] == 197_120
    assert dict(network.named_parameters())["layers.0.weight_ih_l0"].shape == (1024, 1)  # (40, 1): one number for an id


@pytest.mark.train
def test_the_faithful_input_is_the_id_as_a_share_of_the_vocabulary() -> None:
    torch = pytest.importorskip("torch")
    network = chord_lstm.build(CONFIGS[1]).eval()
    seen = []
    network.layers[0].register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    chord_lstm.logits(network, torch.tensor([[0, 10, 39]]))
    assert seen[0].flatten().tolist() == pytest.approx([0, 0.25, 0.975])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.input)
def test_the_memory_is_carried_from_token_to_token(config: chord_lstm.Config) -> None:
    single = decoder(config)
    found = np.stack([single.feed(IDS[i : i + 1]).copy() for i in range(len(IDS))])
    np.testing.assert_allclose(found, decoder(config).score(IDS), atol=2e-5)
    assert single.context is None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.input)
def test_the_weights_come_back_from_the_graph(config: chord_lstm.Config) -> None:
    from onnx import numpy_helper

    given = weights(config)
    graph = chord_lstm.graphs(config, given)["step"].graph
    back = chord_lstm.weights(config, {"step": {item.name: numpy_helper.to_array(item) for item in graph.initializer}})
    assert back.keys() == given.keys()
    for name, array in given.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def test_eight_bits_change_little() -> None:
    plain, small = decoder(CONFIGS[0]).score(IDS), decoder(CONFIGS[0], small=True).score(IDS)
    assert np.abs(plain - small).max() < 0.2 * plain.std()


def test_temperature_samples_and_entropy_grows_with_it() -> None:
    logits = decoder(CONFIGS[0]).feed(IDS).copy()
    entropies = []
    for temperature in (0.25, 0.5, 1.0, 1.5, 3.0):
        draw = np.random.default_rng(0)
        options, mask = SamplingOptions(temperature=temperature), np.ones(40, bool)
        counts = np.bincount([filters.sample(logits.copy(), options, draw, mask) for _ in range(1500)], minlength=40) / 1500
        entropies.append(-(counts[counts > 0] * np.log2(counts[counts > 0])).sum())
    assert entropies == sorted(entropies) and entropies[-1] > entropies[0] + 1  # an argmax would give 0 five times
