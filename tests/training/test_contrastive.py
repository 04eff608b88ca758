"""Contrastive learning: the loss, the batches, and that a little training finds what it should."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import melodies  # noqa: E402
from kapelle.bundles.export import export  # noqa: E402
from kapelle.composing.embedding import embedder  # noqa: E402
from kapelle.data import fragment_shards, themes  # noqa: E402
from kapelle.errors import UsageError  # noqa: E402
from kapelle.training import contrastive  # noqa: E402
from kapelle.training.contrastive import Contrastive, nt_xent  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.objectives import Turn  # noqa: E402
from kapelle.training.recipe import TrainingSection  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = """
name = "tiny-encoder"
family = "theme_encoder"
codec = "fragments"
objective = "contrastive"

[model]
d_model = 16
n_head = 2
n_layer = 1
d_ff = 16
d_out = 8

[training]
steps = 30
batch_size = 8
learning_rate = 1e-2
warmup_steps = 5
precision = "32-true"
validate_every = 15
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return melodies.write_shards(tmp_path_factory.mktemp("fragments"), n_songs=14)


def objective(shards: Path, **settings: Any) -> Contrastive:
    return Contrastive(fragment_shards.read(shards), TrainingSection(steps=1, batch_size=8, **settings))


def turn(network: Any, step: int = 0, rank: int = 0, world: int = 1) -> Turn:
    return Turn(network, torch.device("cpu"), step, rank, world, lambda loss: None, lambda name: 0.0, lambda: None)


class Spy:
    """A network that gives points of nothing but the first ids, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def __call__(self, ids: dict[str, Any]) -> Any:
        self.given.append(ids)
        return torch.nn.functional.normalize(torch.stack([ids["pitch"][:, 0].float(), ids["onset"].sum(1).float()], 1))


def test_the_loss_is_that_of_the_paper() -> None:
    draw = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(10, 4, generator=draw, dtype=torch.float64))
    total, tau = 0.0, 0.3
    for i in range(10):
        pair = (i + 5) % 10
        cosines = [math.exp(float(points[i] @ points[k]) / tau) for k in range(10)]
        total -= math.log(cosines[pair] / (sum(cosines) - cosines[i]))
    loss, _ = nt_xent(points, tau)
    assert float(loss) == pytest.approx(total / 10, rel=1e-6)


def test_pairs_that_lie_together_are_found() -> None:
    points = torch.eye(4).repeat(2, 1)
    loss, found = nt_xent(points, 0.1)
    assert float(found) == 1 and float(loss) < 1e-3
    _, found = nt_xent(torch.cat([torch.eye(4), torch.eye(4).roll(1, 0)]), 0.1)
    assert float(found) == 0


def test_a_step_takes_one_fragment_of_each_song_twice(shards: Path) -> None:
    made = objective(shards)
    spy = Spy()
    figures = made.step(turn(spy, 3))
    assert sum(len(ids["pitch"]) for ids in spy.given) == 16 and figures["tokens"] == 8
    widths = [ids["pitch"].shape[1] for ids in spy.given]
    assert widths == sorted(widths)
    again, other = Spy(), Spy()
    made.step(turn(again, 3))
    made.step(turn(other, 4))
    assert all((one["pitch"] == two["pitch"]).all() for one, two in zip(spy.given, again.given, strict=True))
    assert any(one["pitch"].shape != two["pitch"].shape or (one["pitch"] != two["pitch"]).any()
               for one, two in zip(spy.given, other.given, strict=True))  # fmt: skip


def test_reading_in_portions_changes_no_point(shards: Path) -> None:
    from kapelle.models import theme_encoder

    made, network = objective(shards), theme_encoder.build(theme_encoder.Config(**themes.SIZES, d_model=16, n_head=2)).eval()
    found = [made.fragments.fragment(i) for i in (5, 0, 3, 9, 1, 7)]
    with torch.no_grad():
        portions = made._points(turn(network), found)
        whole = network({kind: torch.from_numpy(rows) for kind, rows in themes.features(found).items()})
    torch.testing.assert_close(portions, whole, atol=1e-5, rtol=0)


def test_processes_share_a_step(shards: Path) -> None:
    made = objective(shards)
    assert [made.step(turn(Spy(), 0, rank, 2))["tokens"] for rank in (0, 1)] == [4, 4]


def test_one_song_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two songs"):
        objective(melodies.write_shards(tmp_path, n_songs=1))


def test_validation_is_always_the_same(shards: Path) -> None:
    made = objective(shards)
    first, second = made.validate(turn(Spy())), made.validate(turn(Spy()))
    assert first == second and set(first) == {"validation", "validation_found"}


def test_a_trained_encoder_is_exported_and_finds_a_theme(shards: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny-encoder.toml"
    recipe.write_text(RECIPE)
    figures = fit(recipe, shards, tmp_path / "run", FitOptions(accelerator="cpu", trackers=()))
    assert figures["finished"] and figures["best"]["validation_found"] > 0.5
    manifest = export(tmp_path / "run", tmp_path / "tiny-encoder")
    assert (manifest.kind, manifest.codec, set(manifest.graphs)) == ("encoder", "fragments", {"encode"})
    assert 0 < manifest.provenance.figures["largest_distance"] < 0.2
    embed = embedder(tmp_path / "tiny-encoder")
    held = fragment_shards.read(shards)
    found = [held.fragment(i) for i in range(6)]
    together, alone = embed(found), embed(found[2:3])
    assert together.shape == (6, 8) and (together[2] == alone[0]).all()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert embed([]).shape[0] == 0


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    import fakes

    with pytest.raises(UsageError, match="does not embed fragments"):
        embedder(fakes.encoder(tmp_path / "other"))
    assert contrastive.GROUPS >= 1
