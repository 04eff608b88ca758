"""The written graphs of the Theme Transformer against the network: the same logits, however the ids are fed and the themes change."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fakes
from kapelle import config
from kapelle.bundles import load
from kapelle.bundles.export import ExportOptions, Precision, export
from kapelle.bundles.session import Decoder, Translator, open_session
from kapelle.bundles.weights import shape, weights
from kapelle.errors import CheckpointError, UsageError
from kapelle.models import theme

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
safetensors = pytest.importorskip("safetensors.numpy")

FP32_BOUND = 1e-4
EIGHT_BIT_BOUND = 0.2
"""Largest error of a logit, as a share of the logits' standard deviation; these narrow networks round more than the one in use."""

BASE = theme.Config(vocabulary=61, n_positions=48, d_model=64, n_head=4, d_ff=128, n_encoder=2, n_decoder=3, exclusive=(0, 0, 1))
VARIANTS = {"theme": BASE, "ungated": replace(BASE, gated=False), "seq2seq": replace(BASE, variant="seq2seq")}
RNG = np.random.default_rng(3)
N_TOKENS = 40
IDS = RNG.integers(1, 61, N_TOKENS)
LABELS = np.concatenate([np.zeros(5, int), np.arange(1, 14), np.zeros(10, int), np.arange(70, 82)])  # the last run is beyond the codes
FIRST, SECOND = RNG.integers(1, 61, (1, 23)), RNG.integers(1, 61, (1, 9))


def exported(place: Path, made: theme.Config, arrays: dict[str, np.ndarray], precision: Precision) -> load.Bundle:
    """A bundle of some weights, made by way of a run folder."""
    run = place / "run"
    run.mkdir(parents=True)
    table = {name: value for name, value in config.plain(made).items() if name != "vocabulary"}
    model = "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items())
    (run / "recipe.toml").write_text(f'name = "tiny"\nfamily = "theme"\ncodec = "theme"\n[model]\n{model}', encoding="utf-8")
    (run / "shards.json").write_text(json.dumps({"vocabulary": made.vocabulary}), encoding="utf-8")
    (run / "weights.safetensors").write_bytes(safetensors.save(arrays))
    export(run, place / "bundle", ExportOptions(precision=precision))
    return load.load(place / "bundle")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], load.Bundle]:
    place = tmp_path_factory.mktemp("theme")
    precisions: tuple[Precision, ...] = ("fp32", "8bit")
    return {
        (name, precision): exported(place / name / precision, made, fakes.theme_weights(made), precision)
        for name, made in VARIANTS.items()
        for precision in precisions
    }


def network(made: theme.Config) -> Any:
    built = theme.build(made).eval()
    built.load_state_dict({name: torch.from_numpy(array) for name, array in fakes.theme_weights(made).items()})
    return built


def logits(built: Any, ids: np.ndarray, labels: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """The network's logits (T, V)."""
    with torch.no_grad():
        out: np.ndarray = built(*(torch.from_numpy(array) for array in (ids[None], labels[None], heard)))[0].numpy()
    return out


def feed(session: Translator, start: int, stop: int) -> np.ndarray:
    return session.feed({"ids": IDS[start:stop], "theme": LABELS[start:stop]})


def bound(precision: str, expected: np.ndarray) -> float:
    assert expected.std() > 0.5  # else the bounds would mean little
    return FP32_BOUND if precision == "fp32" else float(EIGHT_BIT_BOUND * expected.std())


@pytest.mark.parametrize("precision", ["fp32", "8bit"])
@pytest.mark.parametrize("name", VARIANTS)
def test_any_portions_give_the_logits_of_the_network(bundles: dict[Any, load.Bundle], name: str, precision: str) -> None:
    expected = logits(network(VARIANTS[name]), IDS, LABELS, FIRST)
    session = open_session(bundles[name, precision])
    assert isinstance(session, Translator)
    assert session.takes == ("ids", "theme")
    assert list(session.inputs) == ["theme"]
    assert session.encode({"theme": FIRST}) == {}
    whole = session.score({"ids": IDS, "theme": LABELS})
    assert np.abs(whole - expected).max() <= bound(precision, expected)
    for cuts in ([*range(N_TOKENS + 1)], [0, 17, 18, 25, N_TOKENS], [0, N_TOKENS]):
        session.reset()
        for start, stop in itertools.pairwise(cuts):
            assert np.abs(feed(session, start, stop) - expected[stop - 1]).max() <= bound(precision, expected)
        assert session.position == N_TOKENS


def test_a_theme_can_change_under_way_without_forgetting_the_tokens(bundles: dict[Any, load.Bundle]) -> None:
    made = network(BASE)
    session = Translator(bundles["theme", "fp32"])
    session.encode({"theme": FIRST})
    for at in range(20):
        feed(session, at, at + 1)
    session.encode({"theme": SECOND}, keep=True)
    assert session.position == 20
    # Outside the theme nothing of it is heard, so only what the first region left behind tells the two themes apart.
    np.testing.assert_allclose(feed(session, 20, 28), logits(made, IDS, LABELS, FIRST)[27], atol=FP32_BOUND)
    later = feed(session, 28, 29).copy()
    assert np.abs(later - logits(made, IDS, LABELS, FIRST)[28]).max() > 0.01
    assert np.abs(later - logits(made, IDS, LABELS, SECOND)[28]).max() > 0.01
    np.testing.assert_allclose(later, _heard_in_turn(made, 28)[28], atol=FP32_BOUND)
    session.encode({"theme": SECOND})
    assert session.position == 0


def _heard_in_turn(made: Any, change: int) -> np.ndarray:
    """The network's logits (T, V) where FIRST is heard before the position `change` and SECOND from it on: one memory, told apart."""
    with torch.no_grad():
        memory = torch.cat([made.encode(torch.from_numpy(heard)) for heard in (FIRST, SECOND)], dim=1)  # (1, 32, D)
        second = (torch.arange(N_TOKENS) >= change)[:, None]
        heard = (torch.arange(memory.shape[1]) >= FIRST.shape[1]) == second  # (T, S)
        out: np.ndarray = made.decode(*(torch.from_numpy(array)[None] for array in (IDS, LABELS)), memory, heard[None, None])[0].numpy()
    return out


def test_rows_of_a_batch_do_not_touch_each_other(bundles: dict[Any, load.Bundle]) -> None:
    ids, labels = np.stack([IDS, IDS[::-1]]), np.stack([LABELS, np.zeros_like(LABELS)])
    both = Translator(bundles["theme", "fp32"], batch=2)
    both.encode({"theme": np.concatenate([FIRST, FIRST[:, ::-1]])})
    together = both.score({"ids": ids, "theme": labels})
    one = Translator(bundles["theme", "fp32"])
    for row, heard in enumerate((FIRST, FIRST[:, ::-1])):
        one.encode({"theme": heard})
        np.testing.assert_allclose(together[row], one.score({"ids": ids[row], "theme": labels[row]}), atol=2e-5)
    with pytest.raises(UsageError, match="2 rows are to be encoded, not 1"):
        both.encode({"theme": FIRST})


def test_threads_do_not_change_a_bit(bundles: dict[Any, load.Bundle]) -> None:
    made = []
    for threads in (1, 2):
        session = Translator(bundles["theme", "8bit"], threads=threads)
        session.encode({"theme": FIRST})
        made.append([feed(session, 0, 17).tobytes(), *(feed(session, at, at + 1).tobytes() for at in range(17, N_TOKENS))])
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ids": [1]}, "ids, ids.theme, not ids"),
        ([1], "ids, ids.theme, not ids"),
        ({"ids": [1], "theme": [0, 1]}, "one length"),
        ({"ids": [61], "theme": [0]}, "ids must be 0 to 60"),
        ({"ids": [1], "theme": [-1]}, "ids.theme must be 0 or more, found -1"),
    ],
)
def test_what_cannot_be_fed_is_refused(bundles: dict[Any, load.Bundle], given: Any, message: str) -> None:
    session = Translator(bundles["theme", "8bit"])
    session.encode({"theme": FIRST})
    with pytest.raises(UsageError, match=message):
        session.feed(given)
    assert session.position == 0


@pytest.mark.parametrize("heard", [np.array([[61]]), np.ones((1, 49), int), np.ones(5, int)])
def test_what_cannot_be_encoded_is_refused_and_what_was_heard_stays(bundles: dict[Any, load.Bundle], heard: np.ndarray) -> None:
    session = Translator(bundles["theme", "8bit"])
    session.encode({"theme": FIRST})
    before = feed(session, 0, 9).copy()
    with pytest.raises(UsageError):
        session.encode({"theme": heard})
    session.reset()
    np.testing.assert_array_equal(feed(session, 0, 9), before)


@pytest.mark.parametrize("name", VARIANTS)
def test_weights_come_back_from_a_bundle(bundles: dict[Any, load.Bundle], name: str) -> None:
    given = fakes.theme_weights(VARIANTS[name])
    assert shape(bundles[name, "fp32"].manifest) == VARIANTS[name]
    for precision, tolerance in (("fp32", 0.0), ("8bit", 1 / 127)):
        found = weights(bundles[name, precision])
        assert {key: array.shape for key, array in found.items()} == {key: array.shape for key, array in given.items()}
        for key, array in given.items():
            assert np.abs(found[key] - array).max() <= tolerance * np.abs(array).max(), key


def test_a_card_says_what_rounding_changes(bundles: dict[Any, load.Bundle]) -> None:
    assert 0 < bundles["theme", "8bit"].manifest.provenance.figures["largest_logit_error"] < 1
    assert "largest_logit_error" not in bundles["theme", "fp32"].manifest.provenance.figures


def test_the_prompt_variant_is_a_decoder(tmp_path: Path) -> None:
    made = replace(BASE, variant="prompt")
    bundle = exported(tmp_path, made, fakes.theme_weights(made), "fp32")
    session = open_session(bundle)
    assert type(session) is Decoder
    np.testing.assert_allclose(session.score(IDS), logits(network(made), IDS, LABELS, FIRST), atol=FP32_BOUND)
    assert weights(bundle).keys() == fakes.theme_weights(made).keys()


def test_weights_of_another_shape_are_refused() -> None:
    arrays = fakes.theme_weights(BASE)
    with pytest.raises(CheckpointError, match=r"decoder.layers.2.\S+ must be of the shape None, found"):
        theme.graphs(replace(BASE, n_decoder=2, exclusive=(0, 0)), arrays)
    with pytest.raises(CheckpointError, match=r"output_layer.bias must be of the shape \(60,\), found \(61,\)"):
        theme.graphs(replace(BASE, vocabulary=60), arrays)
