"""Beginning with a network of another vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kapelle.errors import CheckpointError, Missing

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("transformers")
pytestmark = pytest.mark.train

from kapelle.models import gpt  # noqa: E402
from kapelle.training import run_folder, transfer  # noqa: E402

OLD = ["PAD", "A", "B", "C"]
NEW = ["PAD", "X", "C", "A", "Y"]


def network(names: list[str], n_positions: int = 8, n_embd: int = 8) -> torch.nn.Module:
    return gpt.build(gpt.Config(vocabulary=len(names), n_positions=n_positions, n_embd=n_embd, n_layer=1, n_head=2))


def folder(path: Path, names: list[str], held: torch.nn.Module | None = None) -> Path:
    path.mkdir()
    (path / "tokenizer.json").write_text(json.dumps({"tokens": names}))
    if held is not None:
        run_folder.write_weights(path, held, 1)
    return path


def parameters(held: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in held.named_parameters()}


def test_rows_go_by_the_names_of_tokens_and_new_ones_stay_fresh(tmp_path: Path) -> None:
    old, new = network(OLD), network(NEW)
    before, fresh = parameters(old), parameters(new)
    transfer.begin_with(new, folder(tmp_path / "run", OLD, old), folder(tmp_path / "shards", NEW))
    table = parameters(new)["transformer.wte.weight"]
    assert torch.equal(table[[0, 2, 3]], before["transformer.wte.weight"][[0, 3, 1]])
    assert torch.equal(table[[1, 4]], fresh["transformer.wte.weight"][[1, 4]])
    assert torch.equal(parameters(new)["transformer.h.0.mlp.c_fc.weight"], before["transformer.h.0.mlp.c_fc.weight"])


def test_a_longer_table_of_positions_repeats_the_old_one(tmp_path: Path) -> None:
    old, new = network(OLD), network(NEW, n_positions=20)
    transfer.begin_with(new, folder(tmp_path / "run", OLD, old), folder(tmp_path / "shards", NEW))
    places, before = parameters(new)["transformer.wpe.weight"], parameters(old)["transformer.wpe.weight"]
    assert torch.equal(places[:8], before)
    assert torch.equal(places[8:16], before)
    assert torch.equal(places[16:], before[:4])


def test_the_same_vocabulary_is_taken_as_it_is(tmp_path: Path) -> None:
    old, new = network(OLD), network(OLD)
    transfer.begin_with(new, folder(tmp_path / "run", OLD, old), folder(tmp_path / "shards", OLD))
    assert all(torch.equal(value, parameters(old)[name]) for name, value in parameters(new).items())


def test_another_shape_is_refused_and_nothing_missing_is_made_up(tmp_path: Path) -> None:
    run, shards = folder(tmp_path / "run", OLD, network(OLD)), folder(tmp_path / "shards", NEW)
    with pytest.raises(CheckpointError, match="belong to another network"):
        transfer.begin_with(network(NEW, n_embd=16), run, shards)
    with pytest.raises(Missing):
        transfer.begin_with(network(NEW), shards, shards)
