from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fakes
from kapelle import config, models
from kapelle.bundles import load
from kapelle.bundles.export import ExportOptions, Precision, export
from kapelle.bundles.session import Decoder
from kapelle.bundles.weights import constants, shape, weights
from kapelle.errors import BundleError, UsageError
from kapelle.models import gpt, lstm

pytest.importorskip("onnx")
safetensors = pytest.importorskip("safetensors.numpy")

GPT = gpt.Config(vocabulary=50, n_positions=16, n_embd=40, n_layer=2, n_head=1)  # 40: the last of its blocks of 16 is half empty
LSTM = lstm.Config(vocabulary=50, embed_size=24, hidden_size=32, num_layers=2)
IDS = np.random.default_rng(1).integers(0, 50, 16)


def lstm_weights(shape: lstm.Config) -> dict[str, np.ndarray]:
    rng, width = np.random.default_rng(0), shape.hidden_size
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (shape.vocabulary, shape.embed_size)}
    for layer in range(shape.num_layers):
        inner = width if layer else shape.embed_size
        shapes |= {f"lstm.weight_ih_l{layer}": (4 * width, inner), f"lstm.weight_hh_l{layer}": (4 * width, width)}
        shapes |= {f"lstm.bias_{part}_l{layer}": (4 * width,) for part in ("ih", "hh")}
    shapes |= {"output.weight": (shape.vocabulary, width), "output.bias": (shape.vocabulary,)}
    return {name: rng.normal(0, 0.3, sides).astype(np.float32) for name, sides in shapes.items()}


FAMILIES: dict[str, tuple[Any, dict[str, np.ndarray]]] = {"gpt": (GPT, fakes.gpt_weights(GPT)), "lstm": (LSTM, lstm_weights(LSTM))}


def exported(place: Path, family: str, arrays: dict[str, np.ndarray], precision: Precision) -> load.Bundle:
    """A bundle of some weights, made by way of a run folder."""
    run = place / "run"
    run.mkdir(parents=True)
    table = {name: value for name, value in config.plain(FAMILIES[family][0]).items() if name != "vocabulary"}
    model = "".join(f"{name} = {value}\n" for name, value in table.items())
    (run / "recipe.toml").write_text(f'name = "tiny"\nfamily = "{family}"\n[model]\n{model}', encoding="utf-8")
    (run / "shards.json").write_text(json.dumps({"vocabulary_size": 50}), encoding="utf-8")
    (run / "weights.safetensors").write_bytes(safetensors.save(arrays))
    export(run, place / "bundle", ExportOptions(precision=precision))
    return load.load(place / "bundle")


@pytest.mark.parametrize("family", FAMILIES)
def test_unrounded_weights_come_back_as_they_were_and_give_the_same_bytes(family: str, tmp_path: Path) -> None:
    made, given = FAMILIES[family]
    bundle = exported(tmp_path / "a", family, given, "fp32")
    assert shape(bundle.manifest) == made
    found = weights(bundle)
    assert found.keys() == given.keys()
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert exported(tmp_path / "b", family, found, "fp32").hash == bundle.hash


@pytest.mark.parametrize("family", FAMILIES)
def test_rounded_weights_come_back_with_the_logits_of_the_bundle(family: str, tmp_path: Path) -> None:
    given = FAMILIES[family][1]
    bundle = exported(tmp_path / "a", family, given, "8bit")
    found = weights(bundle)
    assert {name: array.shape for name, array in found.items()} == {name: array.shape for name, array in given.items()}
    for name, array in given.items():
        assert np.abs(found[name] - array).max() <= np.abs(array).max() / 127, name
    wanted = Decoder(exported(tmp_path / "plain", family, given, "fp32")).score(IDS)
    shipped = Decoder(bundle).score(IDS)
    again = Decoder(exported(tmp_path / "b", family, found, "fp32")).score(IDS)
    rounding = np.abs(shipped - wanted).max()
    assert 0 < np.abs(again - wanted).max() < 1.5 * rounding < 0.2 * wanted.std()
    assert np.abs(again - shipped).max() < 1.5 * rounding  # what is left is the rounding of activations


@pytest.mark.parametrize("family", FAMILIES)
def test_rounding_what_was_rounded_changes_nothing_more(family: str, tmp_path: Path) -> None:
    once = weights(exported(tmp_path / "a", family, FAMILIES[family][1], "8bit"))
    twice = weights(exported(tmp_path / "b", family, once, "8bit"))
    for name, array in once.items():
        np.testing.assert_allclose(twice[name], array, rtol=1e-6, atol=0, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_takes_them(family: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    made, given = FAMILIES[family]
    module: Any = models.family(family)
    network = module.build(made)
    assert {name: tuple(value.shape) for name, value in network.named_parameters()} == {name: a.shape for name, a in given.items()}
    bundle = exported(tmp_path, family, given, "fp32")
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.copy_(torch.tensor(weights(bundle)[name]))
        found = module.logits(network.eval(), torch.tensor(IDS)[None])[0].numpy()
    np.testing.assert_allclose(found, Decoder(bundle).score(IDS), atol=1e-4)


def test_an_older_bundle_tells_its_shape_by_its_recipe(tmp_path: Path) -> None:
    manifest = exported(tmp_path, "gpt", FAMILIES["gpt"][1], "fp32").manifest
    older = replace(manifest, options={name: value for name, value in manifest.options.items() if name != "model"})
    assert shape(older) == GPT
    silent = replace(older, provenance=replace(older.provenance, recipe=""))
    with pytest.raises(BundleError, match="does not tell the shape"):
        shape(silent)


def test_a_bundle_without_the_weights_of_its_family_is_refused(tmp_path: Path) -> None:
    other = exported(tmp_path, "gpt", FAMILIES["gpt"][1], "fp32")
    bundle = replace(other, manifest=replace(other.manifest, family="lstm", options={"model": config.plain(LSTM)}))
    with pytest.raises(BundleError, match=r"lacks the weights .*embedding\.weight"):
        weights(bundle)


def test_a_family_that_cannot_be_read_back_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = exported(tmp_path, "gpt", FAMILIES["gpt"][1], "fp32")
    monkeypatch.delattr(gpt, "weights")
    with pytest.raises(UsageError, match="cannot be read back"):
        weights(bundle)


@pytest.mark.skipif(all(item.name != "genre-small" for item in load.installed()), reason="genre-small is not installed")
def test_the_shipped_composer_is_read_back() -> None:
    bundle = load.load("genre-small")
    found = weights(bundle)
    assert sum(array.size for array in found.values()) == bundle.manifest.provenance.figures["parameters"]
    assert all(np.isfinite(array).all() for array in found.values())
    assert constants(bundle.graph("step"))["lm_head"].shape == (256, 533)
