from pathlib import Path

import numpy as np
import pytest

import fakes
from kapelle.bundles import load
from kapelle.bundles.load import Bundle
from kapelle.bundles.session import Classifier, Decoder, Embedder, Generator, SymbolDecoder, Translator, open_session
from kapelle.errors import BundleError, NotEnoughMemory, UsageError

pytest.importorskip("onnx")

Bundles = dict[str, Bundle]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    place = tmp_path_factory.mktemp("bundles")
    return {kind: load.load(write(place / kind)) for kind, write in fakes.EVERY_KIND.items()}


def ids_for(batch: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 40, (batch, length))


@pytest.mark.parametrize(
    ("kind", "session"),
    [
        ("autoregressive", Decoder),
        ("recurrent", Decoder),
        ("symbols", SymbolDecoder),
        ("encoder_decoder", Translator),
        ("one_shot", Generator),
        ("classifier", Classifier),
        ("encoder", Embedder),
    ],
)
def test_every_kind_opens_as_its_session(bundles: Bundles, kind: str, session: type) -> None:
    assert type(open_session(bundles[kind])) is session


@pytest.mark.parametrize("kind", ["autoregressive", "recurrent"])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_portions_give_the_logits_of_the_whole(bundles: Bundles, kind: str, batch: int) -> None:
    ids = ids_for(batch, 20)
    decoder = Decoder(bundles[kind], batch=batch)
    whole = decoder.score(ids)
    assert whole.shape == (batch, 20, 40)
    assert whole.std() > 0.1
    decoder.reset()
    for start, stop in ((0, 7), (7, 8), (8, 9), (9, 10), (10, 14), (14, 20)):
        last = decoder.feed(ids[:, start:stop])
        np.testing.assert_allclose(last, whole[:, stop - 1], atol=2e-5)
        assert decoder.position == stop
    decoder.reset()
    decoder.feed(ids[:, :5])
    np.testing.assert_allclose(decoder.score(ids[:, 5:]), whole[:, 5:], atol=2e-5)


@pytest.mark.parametrize("kind", ["autoregressive", "recurrent"])
def test_the_memory_is_forgotten_on_reset(bundles: Bundles, kind: str) -> None:
    decoder = Decoder(bundles[kind])
    first = [decoder.feed([token]).tobytes() for token in (3, 1, 4, 1, 5)]
    decoder.reset()
    assert decoder.position == 0
    assert [decoder.feed([token]).tobytes() for token in (3, 1, 4, 1, 5)] == first


@pytest.mark.parametrize("kind", ["autoregressive", "recurrent"])
def test_another_session_of_the_same_network_has_a_memory_of_its_own(bundles: Bundles, kind: str) -> None:
    one = Decoder(bundles[kind])
    alone = [one.feed([token]).tobytes() for token in (3, 1, 4, 1, 5)]
    one.reset()
    found = [one.feed([3]).tobytes()]
    other = one.another()
    assert other.position == 0
    for token in (1, 4, 1, 5):
        other.feed([7, 7])
        found.append(one.feed([token]).tobytes())
    assert found == alone
    assert (one.position, other.position) == (5, 8)


@pytest.mark.parametrize("kind", ["autoregressive", "recurrent"])
def test_one_thread_and_two_give_the_same_bytes(bundles: Bundles, kind: str) -> None:
    ids = ids_for(1, 30)[0]

    def run(threads: int) -> list[bytes]:
        decoder = Decoder(bundles[kind], threads=threads)
        return [decoder.feed(ids[:10]).tobytes(), *(decoder.feed([token]).tobytes() for token in ids[10:])]

    assert run(1) == run(2)


def test_rows_of_a_batch_do_not_touch_each_other(bundles: Bundles) -> None:
    ids = ids_for(3, 12)
    together = Decoder(bundles["autoregressive"], batch=3).score(ids)
    alone = np.stack([Decoder(bundles["autoregressive"]).score(row) for row in ids])
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_a_full_context_is_usable_and_one_more_is_refused(bundles: Bundles) -> None:
    decoder = Decoder(bundles["autoregressive"])
    assert decoder.context == 32
    decoder.feed(ids_for(1, 32)[0])
    with pytest.raises(UsageError, match="1 tokens after 32 are more than the context of 32"):
        decoder.feed([1])
    decoder.reset()
    decoder.feed([1])


def test_a_shorter_context_gives_the_same_logits(bundles: Bundles) -> None:
    short = Decoder(bundles["autoregressive"], context=8)
    assert short.context == 8
    ids = ids_for(1, 8)[0]
    np.testing.assert_array_equal(short.score(ids), Decoder(bundles["autoregressive"]).score(ids))
    with pytest.raises(UsageError, match="context"):
        short.feed([1])


def test_a_recurrent_memory_has_no_end(bundles: Bundles) -> None:
    decoder = Decoder(bundles["recurrent"])
    assert decoder.context is None
    for _ in range(5):
        decoder.feed(ids_for(1, 500)[0])
    assert decoder.position == 2500


@pytest.mark.parametrize(("threads", "batch", "context"), [(0, 1, None), (1, 0, None), (1, 1, 0), (1, 1, 33)])
def test_impossible_sessions_are_refused(bundles: Bundles, threads: int, batch: int, context: int | None) -> None:
    with pytest.raises(UsageError):
        Decoder(bundles["autoregressive"], threads=threads, batch=batch, context=context)


def test_a_memory_too_large_is_refused_before_it_is_allocated(bundles: Bundles) -> None:
    with pytest.raises(NotEnoughMemory):
        Decoder(bundles["autoregressive"], batch=10**9)


@pytest.mark.parametrize("ids", [[], [40], [-1], [1.5], [[1], [2]], [[[1]]]])
def test_ids_that_cannot_be_fed_are_refused(bundles: Bundles, ids: list) -> None:
    decoder = Decoder(bundles["autoregressive"])
    with pytest.raises(UsageError):
        decoder.feed(ids)
    assert decoder.position == 0


def test_logits_cannot_be_written_into(bundles: Bundles) -> None:
    logits = Decoder(bundles["autoregressive"]).feed([1])
    assert logits.shape == (40,)
    assert logits.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        logits[0] = 1.0


def test_a_table_of_logits_says_what_it_holds(tmp_path: Path) -> None:
    table = np.arange(9.0).reshape(3, 3)
    decoder = Decoder(load.load(fakes.markov(tmp_path / "m", table)))
    np.testing.assert_array_equal(decoder.feed([0, 2]), table[2])
    np.testing.assert_array_equal(decoder.score([1, 0]), table[[1, 0]])
    assert decoder.vocabulary == 3


def test_symbols_have_logits_for_each_of_their_parts(bundles: Bundles) -> None:
    decoder = SymbolDecoder(bundles["symbols"])
    pitch, length = np.array([3, 1, 2]), np.array([0, 4, 2])
    whole = {name: logits.copy() for name, logits in decoder.feed({"pitch": pitch, "length": length}).items()}
    assert {name: logits.shape for name, logits in whole.items()} == {"pitch": (1, 12), "length": (1, 5)}
    decoder.reset()
    for p, n in zip(pitch, length, strict=True):
        stepped = decoder.feed({"pitch": [p], "length": [n]})
    np.testing.assert_allclose(stepped["pitch"], whole["pitch"], atol=1e-6)
    assert decoder.position == 3
    with pytest.raises(UsageError, match=r"ids\.pitch"):
        decoder.feed([1])
    with pytest.raises(UsageError, match="ids must be 0 to 4, found 5 to 5"):
        decoder.feed({"pitch": [1], "length": [5]})
    with pytest.raises(UsageError, match="one length"):
        decoder.feed({"pitch": [1], "length": [1, 2]})


def test_what_was_encoded_moves_every_step(bundles: Bundles) -> None:
    translator = open_session(bundles["encoder_decoder"])
    assert isinstance(translator, Translator)
    with pytest.raises(UsageError, match="encoded"):
        translator.feed([1])
    source = np.random.default_rng(0).normal(size=(1, 5, 8))
    translator.encode({"source": source})
    first = translator.feed([1]).copy()
    np.testing.assert_array_equal(translator.feed([1]), first)
    translator.encode({"source": source[:, :2]})
    assert translator.position == 0
    assert np.abs(translator.feed([1]) - first).max() > 0.01
    translator.encode({"source": source})
    np.testing.assert_array_equal(translator.feed([1]), first)
    with pytest.raises(UsageError, match="source"):
        translator.encode({"other": source})


def test_latents_give_a_roll(bundles: Bundles) -> None:
    generator = open_session(bundles["one_shot"])
    assert isinstance(generator, Generator)
    latents = {"shared": np.ones((2, 4)), "own": np.zeros((2, 5, 4))}
    roll = generator.generate(latents)["roll"]
    assert roll.shape == (2, 5, 16, 12)
    assert 0 < roll.min() < roll.max() < 1
    with pytest.raises(UsageError, match=r"own has the shape \('batch', 5, 4\)"):
        generator.generate({**latents, "own": np.zeros((2, 4, 4))})
    with pytest.raises(UsageError, match="shared, own"):
        generator.generate({"shared": np.ones((2, 4))})


def test_probabilities_sum_to_one(bundles: Bundles) -> None:
    classifier = open_session(bundles["classifier"])
    assert isinstance(classifier, Classifier)
    probabilities = classifier.predict(np.random.default_rng(0).normal(size=(4, 6)))
    assert probabilities.shape == (4, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_an_encoder_gives_points(bundles: Bundles) -> None:
    encoder = open_session(bundles["encoder"])
    assert isinstance(encoder, Embedder) and list(encoder.inputs) == ["ids"]
    points = encoder.embed({"ids": np.array([[1, 2, 3], [1, 2, 3], [4, 5, 6]])})
    assert points.shape == (3, 8) and (points[0] == points[1]).all() and (points[0] != points[2]).any()
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-6)
    with pytest.raises(UsageError, match="takes the inputs ids, not notes"):
        encoder.embed({"notes": np.array([[1]])})
    with pytest.raises(BundleError, match="the output embedding"):
        Embedder(bundles["encoder_decoder"])


def test_a_session_of_another_kind_is_refused(bundles: Bundles) -> None:
    with pytest.raises(UsageError, match="one_shot"):
        Decoder(bundles["one_shot"])
    with pytest.raises(UsageError, match="autoregressive"):
        Classifier(bundles["autoregressive"])
