"""The written graph against the network that was trained: the same logits at every position, however the ids are fed."""

from pathlib import Path

import numpy as np
import pytest

from kapelle.bundles import load
from kapelle.bundles.export import write_bundle
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.quantise import quantise
from kapelle.bundles.session import Decoder
from kapelle.models import gpt

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")

FP32_BOUND = 1e-4
EIGHT_BIT_BOUND = 0.1
"""Largest error of a logit, as a share of the logits' standard deviation."""

CONFIG = gpt.Config(vocabulary=61, n_positions=40, n_embd=64, n_layer=3, n_head=4)
N_TOKENS = 40


@pytest.fixture(scope="module")
def network() -> "torch.nn.Module":
    torch.manual_seed(0)
    made = gpt.build(CONFIG).eval()
    with torch.no_grad():  # fresh weights give logits that hardly differ; trained ones are larger
        for name, value in made.named_parameters():
            value.mul_(4) if value.ndim == 2 else value.add_(0.1 * torch.randn_like(value)) if "bias" in name else None
    return made


@pytest.fixture(scope="module")
def places(network: "torch.nn.Module", tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gpt")
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    graph = gpt.graphs(CONFIG, weights)["step"]
    draft = Manifest("tiny", "gpt", "autoregressive", {}, {}, "none", gpt.states(CONFIG), "remi", {"context": CONFIG.n_positions})
    for name, model in (("fp32", graph), ("8bit", quantise(graph))):
        write_bundle(folder / name, draft, {"step": model.SerializeToString()}, {})
    return {name: folder / name for name in ("fp32", "8bit")}


@pytest.fixture(scope="module", params=[1, 8])
def sequences(request: pytest.FixtureRequest, network: "torch.nn.Module") -> tuple[np.ndarray, np.ndarray]:
    """Ids (B, T) and the network's logits (B, T, V)."""
    ids = np.random.default_rng(request.param).integers(0, CONFIG.vocabulary, (request.param, N_TOKENS))
    with torch.no_grad():
        expected = gpt.logits(network, torch.from_numpy(ids)).numpy()
    assert expected.std() > 0.5  # else the bounds below would mean little
    return ids, expected


def bound(precision: str, expected: np.ndarray) -> float:
    return FP32_BOUND if precision == "fp32" else float(EIGHT_BIT_BOUND * expected.std())


@pytest.mark.parametrize("precision", ["fp32", "8bit"])
def test_all_positions_at_once_agree(places: dict[str, Path], sequences: tuple, precision: str) -> None:
    ids, expected = sequences
    found = Decoder(load.load(places[precision]), batch=len(ids)).score(ids)
    assert np.abs(found - expected).max() <= bound(precision, expected)


@pytest.mark.parametrize("precision", ["fp32", "8bit"])
def test_every_single_step_agrees(places: dict[str, Path], sequences: tuple, precision: str) -> None:
    ids, expected = sequences
    decoder = Decoder(load.load(places[precision]), batch=len(ids))
    for at in range(N_TOKENS):
        assert np.abs(decoder.feed(ids[:, at : at + 1]) - expected[:, at]).max() <= bound(precision, expected)


@pytest.mark.parametrize("precision", ["fp32", "8bit"])
def test_a_prefill_of_every_length_and_the_step_after_it_agree(places: dict[str, Path], sequences: tuple, precision: str) -> None:
    ids, expected = sequences
    decoder = Decoder(load.load(places[precision]), batch=len(ids))
    for length in range(1, N_TOKENS):
        decoder.reset()
        assert np.abs(decoder.feed(ids[:, :length]) - expected[:, length - 1]).max() <= bound(precision, expected)
        assert np.abs(decoder.feed(ids[:, length : length + 1]) - expected[:, length]).max() <= bound(precision, expected)


@pytest.mark.parametrize("precision", ["fp32", "8bit"])
def test_threads_do_not_change_a_bit(places: dict[str, Path], precision: str) -> None:
    ids = np.random.default_rng(3).integers(0, CONFIG.vocabulary, N_TOKENS)
    made = []
    for threads in (1, 2):
        decoder = Decoder(load.load(places[precision]), threads=threads)
        made.append([decoder.feed(ids[:17]).tobytes(), *(decoder.feed([token]).tobytes() for token in ids[17:])])
    assert made[0] == made[1]
