"""The graphs of the variational theme network give its logits, with a memory of one size whatever the theme."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kapelle import config
from kapelle.bundles import load
from kapelle.bundles.export import ExportOptions, export
from kapelle.bundles.session import Translator, open_session
from kapelle.errors import CannotObey, CheckpointError
from kapelle.models import theme_variational

if TYPE_CHECKING:
    pass

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
safetensors = pytest.importorskip("safetensors.torch")

SMALL = theme_variational.Config(
    vocabulary=61, n_positions=48, d_model=64, n_head=4, d_ff=128, n_encoder=2, n_decoder=2, exclusive=(0, 1), slots=5, latent=6
)
RNG = np.random.default_rng(3)
IDS, LABELS = RNG.integers(1, 61, 30), np.concatenate([np.zeros(5, int), np.arange(1, 14), np.zeros(12, int)])
SHORT, LONG = RNG.integers(1, 61, (1, 9)), RNG.integers(1, 61, (1, 23))


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    made = theme_variational.build(SMALL).eval()
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return made


@pytest.fixture(scope="module")
def bundle(network: Any, tmp_path_factory: pytest.TempPathFactory) -> load.Bundle:
    run = tmp_path_factory.mktemp("variational")
    table = {name: value for name, value in config.plain(SMALL).items() if name != "vocabulary"}
    model = "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items())
    (run / "recipe.toml").write_text(f'name = "tiny"\nfamily = "theme_variational"\ncodec = "theme"\n[model]\n{model}', encoding="utf-8")
    (run / "shards.json").write_text(json.dumps({"vocabulary": SMALL.vocabulary}), encoding="utf-8")
    safetensors.save_file(network.state_dict(), run / "weights.safetensors")
    export(run, run / "bundle", ExportOptions(precision="fp32"))
    return load.load(run / "bundle")


@pytest.mark.parametrize("heard", [SHORT, LONG], ids=["short", "long"])
def test_the_bundle_gives_the_logits_of_the_network_that_hears_the_means(network: Any, bundle: load.Bundle, heard: np.ndarray) -> None:
    with torch.no_grad():
        expected = network(*(torch.from_numpy(array) for array in (IDS[None], LABELS[None], heard)))[0].numpy()
    session = open_session(bundle)
    assert isinstance(session, Translator)
    session.encode({"theme": heard})
    found = session.score({"ids": IDS, "theme": LABELS})
    assert np.abs(found - expected).max() < 1e-4 < expected.std()


def test_what_is_heard_can_change_under_way_to_a_theme_of_another_length(bundle: load.Bundle) -> None:
    session = Translator(bundle)
    session.encode({"theme": LONG})
    session.feed({"ids": IDS[:10], "theme": LABELS[:10]})
    session.encode({"theme": SHORT}, keep=True)
    assert session.feed({"ids": IDS[10:12], "theme": LABELS[10:12]}).shape == (SMALL.vocabulary,) and session.position == 12


def test_weights_that_lack_slots_make_no_graph_and_a_bundle_is_not_trained_on(network: Any) -> None:
    held = {name: value.numpy() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"slots\.attention"):
        theme_variational.graphs(SMALL, {name: value for name, value in held.items() if "slots" not in name})
    with pytest.raises(CannotObey, match="no variances"):
        theme_variational.weights(SMALL, {})
