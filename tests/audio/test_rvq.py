"""Residual vector quantisation: rules by hand-computed numbers, promises on random vectors, and transformers' quantiser as a peer."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.audio import rvq
from kapelle.audio.rvq import Rvq, RvqConfig
from kapelle.errors import UsageError


def vectors(n: int, width: int = 4, seed: int = 0) -> np.ndarray:
    """Few large, many small, as coefficients of sound are."""
    return np.random.default_rng(seed).laplace(size=(n, width)).astype(np.float32)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_hand(*codebooks, sizes=None, **settings) -> Rvq:
    """A quantiser with these rows, each of which has named ten vectors equal to it."""
    codes = np.array(codebooks, dtype=np.float32)
    counts = np.full(codes.shape[:2], 10.0) if sizes is None else np.array(sizes, dtype=np.float64)
    config = RvqConfig(n_codebooks=len(codes), size=codes.shape[1], **settings)
    return Rvq(config, codes, counts, codes.astype(np.float64) * counts[:, :, None])


def test_each_codebook_names_the_row_nearest_to_what_is_left():
    one = by_hand([[0, 0], [10, 0]], [[1, 0], [0, 2]], [[0, 0], [0.5, 0.5]])
    found = one.quantise(np.array([[11, 0.4], [0, 2.2]], dtype=np.float32))
    assert found.ids.tolist() == [[1, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(found.residuals[:, 0], [[11, 0.4], [1, 0.4], [0, 0.4], [0, 0.4]], atol=1e-6)
    np.testing.assert_allclose(found.vectors, [[11, 0], [0, 2]], atol=1e-6)
    np.testing.assert_allclose(one.decode(found.ids), [[11, 0], [0, 2]])
    np.testing.assert_allclose(one.decode(found.ids[:, :1]), [[10, 0], [0, 0]])
    np.testing.assert_array_equal(one.encode(found.vectors, 2), found.ids[:, :2])


def test_the_nearest_of_equals_is_the_first():
    assert rvq.nearest(np.array([[0.0]], dtype=np.float32), np.array([[1.0], [-1.0], [1.0]], dtype=np.float32)).tolist() == [0]


def test_the_commitment_is_the_mean_square_over_codebooks():
    found = by_hand([[0, 0], [4, 0]], [[0, 0], [0, 1]]).quantise(np.array([[3, 1], [0, 0]], dtype=np.float32))
    # r1 = (-1, 1), (0, 0): 2 / 4; r2 = (-1, 0), (0, 0): 1 / 4
    assert found.errors.tolist() == [2.5, 0.5, 0.25]
    assert found.commitment == 0.375


# ------------------------------------------------------------------------------------------------------------------ running means


def test_a_row_steps_towards_the_mean_of_its_vectors():
    one = by_hand([[0.0], [10.0]], sizes=[[8, 4]], decay=0.75, epsilon=0.0, dead_below=0.0)
    after = one.updated(np.array([[1], [2], [12], [12], [12], [12], [13], [13]], dtype=np.float32), draw())
    # sizes: 0.75 * 8 + 0.25 * 2 = 6.5, 0.75 * 4 + 0.25 * 6 = 4.5; sums: 0 + 0.25 * 3, 0.75 * 40 + 0.25 * 74
    assert after.sizes.tolist() == [[6.5, 4.5]]
    assert after.sums.tolist() == [[[0.75], [48.5]]]
    np.testing.assert_allclose(after.codes, [[[0.75 / 6.5], [48.5 / 4.5]]], rtol=1e-6)


def test_what_is_added_to_sizes_is_taken_from_all():
    one = by_hand([[4.0], [-4.0]], sizes=[[6, 2]], decay=0.5, epsilon=1.0, dead_below=0.0)
    after = one.updated(np.array([[4.0]] * 4 + [[-4.0]] * 2, dtype=np.float32), draw())
    # sizes 5 and 2, of 7; smoothed: (5 + 1) / 9 * 7 and (2 + 1) / 9 * 7; sums 20 and -8
    np.testing.assert_allclose(after.codes, [[[20 * 9 / 42], [-8 * 9 / 21]]], rtol=1e-6)


def test_the_second_codebook_learns_from_what_the_first_leaves():
    one = by_hand([[0.0], [8.0]], [[-1.0], [1.0]], decay=0.0, epsilon=0.0, dead_below=0.0)
    after = one.updated(np.array([[1], [2], [6], [9]], dtype=np.float32), draw())
    # left: 1, 2, -2, 1; the first codebook moves to the means of (1, 2) and (6, 9), the second to those of (-2) and (1, 2, 1)
    np.testing.assert_allclose(after.codes, [[[1.5], [7.5]], [[-2], [4 / 3]]], rtol=1e-6)


def test_a_dead_row_becomes_a_vector_of_the_batch_and_lasts():
    one = by_hand([[0.0], [500.0]], sizes=[[10, 2.001]])
    batch = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    after = one.updated(batch, draw())  # 500 names nothing: 0.99 * 2.001 < 2
    assert after.codes[0, 1, 0] in batch
    assert after.sizes[0, 1] == 2.0
    assert after.sums[0, 1, 0] == 2.0 * after.codes[0, 1, 0]
    np.testing.assert_allclose(after.sizes[0, 0], 0.99 * 10 + 0.01 * 20)
    later = after.updated(batch, draw(1))
    assert later.sizes[0, 1] > 2.0  # it names vectors now


def test_a_row_that_names_enough_lives():
    one = by_hand([[0.0], [500.0]], sizes=[[10, 2.1]])
    after = one.updated(np.zeros((20, 1), dtype=np.float32), draw())
    np.testing.assert_allclose(after.codes[0, 1], 500.0, rtol=1e-3)


def test_running_means_find_what_the_vectors_have_become():
    config = RvqConfig(n_codebooks=2, size=16)
    learned = rvq.begin(vectors(2000), config)
    other = 3.0 + vectors(2000, seed=1)
    before = learned.quantise(other).errors[-1]
    for step in range(100):
        learned = learned.updated(other, draw(step))
    assert learned.quantise(other).errors[-1] < 0.5 * before


# ------------------------------------------------------------------------------------------------------------------------ k-means


def test_kmeans_finds_two_groups_from_whatever_it_begins_with():
    groups = np.concatenate([vectors(50) * 0.1, 100 + vectors(30, seed=1) * 0.1])
    for seed in range(20):
        rows = rvq.kmeans(groups, 2, 50, draw(seed))
        np.testing.assert_allclose(sorted(rows.tolist()), [groups[:50].mean(axis=0), groups[50:].mean(axis=0)], rtol=1e-4)


def test_kmeans_finds_groups_that_it_began_in():
    middles = np.array([[0, 0], [50, 0], [0, 50], [50, 50]], dtype=np.float32)
    groups = (middles[:, None] + vectors(80, 2).reshape(4, 20, 2)).reshape(80, 2)
    tries = [rvq.kmeans(groups, 4, 50, draw(seed)) for seed in range(10)]
    spread = [np.square(groups - rows[rvq.nearest(groups, rows)]).sum() for rows in tries]
    best = tries[int(np.argmin(spread))]
    np.testing.assert_allclose(sorted(best.tolist()), sorted(groups.reshape(4, 20, 2).mean(axis=1).tolist()), rtol=1e-4)


def test_rows_of_a_settled_kmeans_are_the_means_of_their_cells():
    data = vectors(500)
    rows = rvq.kmeans(data, 8, 1000, draw())
    ids = rvq.nearest(data, rows)
    np.testing.assert_allclose(rows, [data[ids == row].mean(axis=0) for row in range(8)], atol=1e-5)


# ---------------------------------------------------------------------------------------------------- does the error fall, and for whom


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 200), width=st.integers(1, 5), size=st.integers(1, 20), rounds=st.integers(1, 4), seed=st.integers(0, 99))
def test_on_the_batch_of_kmeans_no_codebook_raises_the_error(n, width, size, rounds, seed):
    data = vectors(n, width, seed)
    errors = rvq.begin(data, RvqConfig(n_codebooks=5, size=size, rounds=rounds), seed).quantise(data).errors
    assert (np.diff(errors) <= 1e-6 * errors[0]).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(0.01, 100))
def test_with_a_row_of_zeros_no_vector_gets_worse(seed, scale):
    learned = rvq.begin(vectors(100, seed=seed), RvqConfig(n_codebooks=4, size=8, rounds=3), seed)
    codes = learned.codes.copy()
    codes[:, 0] = 0.0
    left = replace(learned, codes=codes).quantise(vectors(50, seed=seed + 1) * np.float32(scale)).residuals
    lengths = np.square(left, dtype=np.float64).sum(axis=2)
    assert (np.diff(lengths, axis=0) <= 1e-5 * lengths[0]).all()


def test_without_one_a_vector_can_get_worse():
    assert by_hand([[3.0], [-3.0]]).quantise(np.array([[1.0]], dtype=np.float32)).errors.tolist() == [1.0, 4.0]


def test_codebooks_help_vectors_that_they_have_not_seen():
    learned = rvq.learn(vectors(4000), RvqConfig(n_codebooks=6, size=32), batch=1000)
    for seed in (0, 7):
        errors = learned.quantise(vectors(4000, seed=seed)).errors
        assert (np.diff(errors) < 0).all()
    assert errors[-1] < 0.05 * errors[0]


# ------------------------------------------------------------------------------------------------------------------ straight through


def test_what_reaches_the_quantised_vectors_reaches_the_encoder():
    found = by_hand([[0, 0], [4, 0]], [[0, 0], [0, 1]]).quantise(np.array([[3, 1], [0, 0]], dtype=np.float32))
    slope = np.array([[7, 8], [9, 10]], dtype=np.float32)
    np.testing.assert_allclose(found.encoder_gradient(slope, weight=0.0), slope)
    # left after both codebooks: (-1, 1) + (-1, 0), times 2 / (2 codebooks x 4 numbers)
    np.testing.assert_allclose(found.encoder_gradient(slope), slope + np.array([[-0.5, 0.25], [0, 0]]))


def test_the_gradient_is_that_of_torch():
    torch = pytest.importorskip("torch")
    learned = rvq.begin(vectors(300), RvqConfig(n_codebooks=3, size=16))
    data = vectors(20, seed=1)
    target = torch.tensor(vectors(20, seed=2))
    x = torch.tensor(data, requires_grad=True)
    left, summed, commitment = x, torch.zeros_like(x), torch.zeros(())
    for codes in torch.tensor(learned.codes):
        q = codes[torch.cdist(left, codes).argmin(dim=1)].detach()
        commitment = commitment + ((left - q) ** 2).mean() / len(learned.codes)
        summed, left = summed + q, left - q
    through = x + (summed - x).detach()
    (((through - target) ** 2).sum() + 0.7 * commitment).backward()
    found = learned.quantise(data)
    assert found.commitment == pytest.approx(commitment.item(), rel=1e-5)
    mine = found.encoder_gradient(2 * (found.vectors - target.numpy()), weight=0.7)
    np.testing.assert_allclose(mine, x.grad.numpy(), atol=1e-5)


def reconstruction_losses(*, encoder_learns: bool) -> list[float]:
    """What a linear encoder and decoder make of 12 numbers that 4 are enough for, with two codebooks between them, step by step."""
    data = vectors(1000) @ np.random.default_rng(5).standard_normal((4, 12)).astype(np.float32)
    data /= data.std()
    random = draw(1)
    inwards, outwards = (0.1 * random.standard_normal(shape).astype(np.float32) for shape in ((12, 4), (4, 12)))
    codebooks = rvq.begin(data @ inwards, RvqConfig(n_codebooks=2, size=32))
    losses = []
    for _ in range(200):
        found = codebooks.quantise(data @ inwards)
        error = found.vectors @ outwards - data
        losses.append(float(np.square(error).mean()))
        slope = 2 * error / error.size
        if encoder_learns:
            inwards -= 0.5 * data.T @ found.encoder_gradient(slope @ outwards.T, weight=0.1)
        outwards -= 0.5 * found.vectors.T @ slope
        codebooks = codebooks.updated(data @ inwards, random)
    return losses


def test_an_encoder_learns_through_the_quantiser():
    losses, alone = reconstruction_losses(encoder_learns=True), reconstruction_losses(encoder_learns=False)
    assert losses[0] == alone[0] > 0.9
    assert losses[-1] < 0.15
    assert alone[-1] > 2 * losses[-1]  # the decoder alone cannot


# -------------------------------------------------------------------------------------------------------------------------- the peer


def test_ids_and_vectors_are_those_of_transformers():
    torch = pytest.importorskip("torch")
    modeling = pytest.importorskip("transformers.models.encodec.modeling_encodec")
    from transformers import EncodecConfig

    learned = rvq.begin(vectors(800, 16), RvqConfig(n_codebooks=4, size=64))
    peer = modeling.EncodecResidualVectorQuantizer(EncodecConfig(codebook_size=64, codebook_dim=16, upsampling_ratios=[8, 5, 4, 4]))
    for layer, codes in zip(peer.layers, learned.codes, strict=False):
        layer.codebook.embed.copy_(torch.tensor(codes))
    peer.num_quantizers = 4
    data = vectors(500, 16, seed=3)
    ids = peer.encode(torch.tensor(data.T[None]))[:, 0].T
    np.testing.assert_array_equal(ids.numpy(), learned.encode(data))
    np.testing.assert_allclose(peer.decode(ids.T[:, None])[0].T.numpy(), learned.decode(ids.numpy()), atol=1e-5)


# -------------------------------------------------------------------------------------------------------------------- little and wrong


@pytest.mark.parametrize("data", [vectors(1), np.ones((50, 4), dtype=np.float32), np.zeros((9, 4), dtype=np.float32), vectors(3)])
def test_few_or_equal_vectors_are_learned_by_heart(data):
    learned = rvq.learn(data, RvqConfig(n_codebooks=3, size=8), batch=16)
    assert np.isfinite(learned.codes).all()
    np.testing.assert_allclose(learned.decode(learned.encode(data)), data, atol=1e-3)


@pytest.mark.parametrize("n", [0, 1, 5000])
@pytest.mark.parametrize("n_codebooks", [1, 3])
def test_shapes_of_a_round_trip(n, n_codebooks):
    learned = rvq.begin(vectors(100), RvqConfig(n_codebooks=3, size=8))
    ids = learned.encode(vectors(n), n_codebooks)
    assert ids.shape == (n, n_codebooks)
    assert ids.dtype == np.int64
    out = learned.decode(ids)
    assert out.shape == (n, 4)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, learned.quantise(vectors(n), n_codebooks).vectors, atol=1e-5)


def test_no_vectors_have_no_error():
    found = rvq.begin(vectors(100), RvqConfig(n_codebooks=2, size=8)).quantise(vectors(0))
    assert found.errors.tolist() == [0, 0, 0]
    assert found.commitment == 0.0
    assert found.encoder_gradient(vectors(0)).shape == (0, 4)


def test_the_same_seed_gives_the_same_codebooks_and_another_others():
    one, same, other = (rvq.learn(vectors(500), RvqConfig(n_codebooks=2, size=8), batch=100, seed=seed).codes for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_bits():
    assert rvq.bitrate(50, 4, 2048) == 2200.0
    assert rvq.bitrate(4000, 8, 256) == 256_000.0
    ids = np.array([[0, 0, 1], [1, 0, 1], [2, 0, 1], [3, 0, 0]])
    np.testing.assert_allclose(rvq.entropy_bits(ids, 4), [2.0, 0.0, 0.811278], atol=1e-6)
    assert rvq.entropy_bits(ids[:0], 4).tolist() == [0, 0, 0]


def test_what_makes_no_sense_is_refused():
    learned = rvq.begin(vectors(100), RvqConfig(n_codebooks=2, size=8))
    bad = vectors(3)
    bad[1, 2] = np.nan
    for wrong, message in (
        (lambda: learned.encode(vectors(3, 5)), "4 columns"),
        (lambda: learned.encode(np.zeros(4, dtype=np.float32)), "table"),
        (lambda: learned.encode(bad), "NaN"),
        (lambda: learned.encode(vectors(3), 3), "1 to 2"),
        (lambda: learned.decode(np.full((1, 2), 8)), "8 rows"),
        (lambda: learned.decode(np.full((1, 2), -1)), "8 rows"),
        (lambda: learned.decode(np.zeros((1, 3), dtype=np.int64)), "up to 2 codebooks"),
        (lambda: learned.updated(vectors(0), draw()), "no vectors"),
        (lambda: rvq.begin(vectors(0), RvqConfig()), "no vectors"),
        (lambda: rvq.begin(np.zeros((3, 0), dtype=np.float32), RvqConfig()), "no vectors"),
        (lambda: rvq.begin(bad, RvqConfig()), "NaN"),
        (lambda: rvq.learn(vectors(9), RvqConfig(), batch=0), "batch"),
        (lambda: RvqConfig(size=0), "size"),
        (lambda: RvqConfig(decay=1.5), "decay"),
    ):
        with pytest.raises(UsageError, match=message):
            wrong()


def test_nothing_heavy_is_loaded():
    code = "import sys, kapelle.audio.rvq, kapelle.audio.mdct; print([n for n in ('torch', 'scipy', 'matplotlib') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
