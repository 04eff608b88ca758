"""The judge's network: silence changes nothing, and its graph gives what torch gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from kapelle.bundles.runtime import open_graph  # noqa: E402
from kapelle.bundles.weights import constants  # noqa: E402
from kapelle.data import roll_windows  # noqa: E402
from kapelle.errors import UsageError  # noqa: E402
from kapelle.models import genre_judge  # noqa: E402
from kapelle.models.genre_judge import Config  # noqa: E402

SMALL = Config(classes=5, channels=(4, 6, 6, 8), d_model=12, d_embed=7)


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    made = genre_judge.build(SMALL)
    made.train()
    for seed in range(3):  # so that the normalisation has seen something
        made(cells(8, seed))
    made.temperature.fill_(1.7)
    return made.eval()


def cells(n: int, seed: int, quarters: int = 64) -> Any:
    draw = np.random.default_rng(seed)
    made = draw.random((n, *roll_windows.SHAPE)) < 0.02
    made[..., quarters * 12 :] = False
    return torch.from_numpy(made).float()


def test_the_shape_is_that_of_the_windows() -> None:
    assert (genre_judge.PLANES, genre_judge.PITCHES, genre_judge.STEPS) == roll_windows.SHAPE


def test_the_graph_gives_what_the_network_gives(network: Any) -> None:
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = open_graph(genre_judge.graphs(SMALL, arrays)["predict"].SerializeToString(), "judge", threads=1)
    features = torch.cat([cells(3, 9), cells(2, 10, 5), torch.zeros(1, *roll_windows.SHAPE)])
    with torch.no_grad():
        scores, points, _ = network(features)
    made = graph.run({"features": features.numpy()})
    np.testing.assert_allclose(made["probabilities"], scores.softmax(1).numpy(), atol=1e-5)
    np.testing.assert_allclose(made["embedding"], points.numpy(), atol=1e-5)
    assert np.isfinite(made["embedding"]).all()


def test_the_weights_of_a_graph_come_back(network: Any) -> None:
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = genre_judge.graphs(SMALL, arrays)["predict"].SerializeToString()
    back = genre_judge.weights(SMALL, {"predict": constants(graph)})
    wanted = {name for name in arrays if not name.startswith("disorder") and not name.endswith("num_batches_tracked")}
    assert set(back) == wanted
    assert all((back[name] == arrays[name]).all() for name in wanted)


def test_silence_after_the_music_does_not_count(network: Any) -> None:
    with torch.no_grad():
        rows = network.filters(cells(1, 4, 64))
        _, short, _ = network(cells(1, 4, 16))
        _, other, _ = network(cells(1, 4, 64))
    assert rows.shape == (1, 8, genre_judge.HEIGHT, 16)
    assert torch.isfinite(short).all() and not torch.allclose(short, other)


def test_the_temperature_is_for_use_and_not_for_training(network: Any) -> None:
    features = cells(2, 5)
    with torch.no_grad():
        scores, points, _ = network(features)
        torch.testing.assert_close(scores * 1.7, network.classes(points))
        network.train()
        plain, points, _ = network(features)
        network.eval()
    torch.testing.assert_close(plain, network.classes(points))


def test_four_layers_are_asked_for() -> None:
    with pytest.raises(UsageError, match="must be 4 numbers"):
        Config(classes=2, channels=(4, 4))
