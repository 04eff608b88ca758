"""The loops that the runtime is measured against compose with the network's own logits."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from kapelle.models import theme

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
CONFIG = theme.Config(vocabulary=61, n_positions=40, d_model=32, n_head=4, d_ff=64, n_encoder=1, n_decoder=3, exclusive=(0, 0, 1))
LABELS = np.concatenate([np.zeros(4, int), np.arange(1, 12), np.zeros(5, int), np.arange(38, 45)])


@pytest.mark.parametrize("config", [CONFIG, theme.Config(**{**CONFIG.__dict__, "gated": False})], ids=["gated", "ungated"])
@pytest.mark.parametrize("name", ["Again", "Cached"])
def test_a_loop_gives_the_logits_of_the_network(name: str, config: theme.Config) -> None:
    spec = importlib.util.spec_from_file_location("theme_torch", ROOT / "benchmarks" / "_theme_torch.py")
    assert spec is not None
    assert spec.loader is not None
    loops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loops)
    torch.manual_seed(0)
    network = theme.build(config).eval()
    rng = np.random.default_rng(0)
    ids, heard = rng.integers(1, 61, len(LABELS)), rng.integers(1, 61, 12)
    with torch.no_grad():
        wanted = network(*(torch.from_numpy(array)[None] for array in (ids, LABELS, heard)))[0].numpy()
    assert wanted.std() > 0.05
    loop = getattr(loops, name)(network, heard)
    found = [loop.feed(int(token), int(label)).copy() for token, label in zip(ids, LABELS, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
