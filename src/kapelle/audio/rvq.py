"""Residual vector quantisation: a vector becomes a few whole numbers, each naming a row of a codebook, and their rows add up to it.

Takes vectors (float32, shape (N, D)), which a front end makes of sound (`kapelle.audio.mdct`, or a network's encoder); gives ids (int64,
shape (N, K), one for each of K codebooks of V rows) and vectors again. The first codebook names the row nearest to the vector; the second
the one nearest to what is left, and so on: r[0] = x, q[k] = the row of codebook k nearest to r[k], r[k+1] = r[k] - q[k].

Codebooks are learned as neural codecs learn theirs: k-means on the first batch, then running means over the batches (`begin`, `updated`,
`learn`). The quantiser has no slope; an encoder learns through it by the straight-through estimator, which numpy cannot derive, so
`Quantised.encoder_gradient` tells it. Pure numpy; nothing is trained here but the codebooks.

**Does the error fall with every codebook?** On the batch on which k-means ran it must: rows are means of their cells, so a codebook takes
the energy of its rows from the residual. On other vectors, and after running means, it falls as a rule, not by law: a vector may lie
nearer to zero than to any row. With a row of zeros in each codebook no vector's error can rise.

Source: N. Zeghidour et al., "SoundStream", 2021 (algorithm 1); A. Défossez et al., "High Fidelity Neural Audio Compression" (EnCodec),
2022, and its released code. Known differences from that code, which change training only: running sums begin as rows times counts (there
as the rows alone, so that the first updates shrink every row); a row that replaces a dead one brings its own sum and size (there the old
sum writes over it in the same step); the commitment of every codebook reaches the encoder (in its first release that of the first alone).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kapelle.config import check, setting
from kapelle.errors import UsageError

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Curve = npt.NDArray[np.float64]

BLOCK_ROWS = 512  # vectors that are compared with all rows at once: their distances stay in the cache
STACK_ROWS = 32  # vectors of one product: larger ones are dealt to threads, which on a busy machine wait for each other for long


@dataclass(frozen=True, kw_only=True)
class RvqConfig:
    """How codebooks are learned; the defaults are EnCodec's, but for the number and size of the codebooks."""

    n_codebooks: int = setting(8, help="codebooks, one after another", min=1, max=64)
    size: int = setting(256, help="rows of a codebook", min=1, max=65_536)
    rounds: int = setting(50, help="rounds of k-means on the first batch", min=1, max=10_000)
    decay: float = setting(0.99, help="share of a running mean that stays in an update", min=0.0, max=1.0)
    epsilon: float = setting(1e-5, help="what is added to every count before dividing by it", min=0.0, max=1.0)
    dead_below: float = setting(2.0, help="a row that names fewer vectors of a batch, on the running mean, is replaced", min=0.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, eq=False)
class Quantised:
    """What became of vectors.

    Args:
        ids: The rows that were named, shape (N, K), each 0 to V - 1.
        residuals: What was left after each codebook, shape (K + 1, N, D); the first are the vectors themselves.
    """

    ids: Ids
    residuals: Vectors

    @property
    def vectors(self) -> Vectors:
        """The sums of the rows that were named, shape (N, D)."""
        out: Vectors = self.residuals[0] - self.residuals[-1]
        return out

    @property
    def errors(self) -> Curve:
        """The mean square of what is left after 0, 1 ... K codebooks, shape (K + 1,); 0 without vectors."""
        if not self.residuals.size:
            return np.zeros(len(self.residuals))
        errors: Curve = np.square(self.residuals, dtype=np.float64).mean(axis=(1, 2))
        return errors

    @property
    def commitment(self) -> float:
        """How far the vectors are from the rows that stand for them: the mean square of r[k] - q[k] over all codebooks, 0 or more."""
        return float(self.errors[1:].mean())

    def encoder_gradient(self, gradient: Vectors, weight: float = 1.0) -> Vectors:
        """The slope at the vectors, shape (N, D), of a loss of the quantised vectors plus `weight` times the commitment.

        Straight through: what reaches the quantised vectors reaches the vectors unchanged, as if the quantiser were not there.

        Args:
            gradient: The slope of the loss at the quantised vectors, shape (N, D).
            weight: Of the commitment, which draws each vector towards its rows; the rows are not drawn, they are learned by means.
        """
        left = self.residuals[1:].sum(axis=0)
        out: Vectors = gradient + np.float32(weight * 2.0 / max(self.residuals[1:].size, 1)) * left
        return out


@dataclass(frozen=True, eq=False)
class Rvq:
    """Codebooks, and what their running means need.

    Args:
        config: How they are learned.
        codes: The rows, shape (K, V, D).
        sizes: How many vectors of a batch each row names, a running mean, shape (K, V).
        sums: The sums of these vectors, a running mean, shape (K, V, D).
    """

    config: RvqConfig
    codes: Vectors
    sizes: Curve
    sums: Curve

    def encode(self, vectors: Vectors, n_codebooks: int | None = None) -> Ids:
        """The ids of `vectors`, shape (N, K).

        Args:
            vectors: Shape (N, D), finite; N may be 0.
            n_codebooks: How many of the codebooks, from the first, 1 to K; None: all.

        Raises:
            UsageError: The vectors have another shape or hold NaN, or there are not so many codebooks.
        """
        return self.quantise(vectors, n_codebooks).ids

    def decode(self, ids: Ids) -> Vectors:
        """The vectors of `ids`, shape (N, D): of each, the sum of the rows it names.

        Args:
            ids: Shape (N, k), k of 0 to K: the ids of the first k codebooks; each 0 to V - 1.

        Raises:
            UsageError: There are not so many codebooks, or a codebook has no such row.
        """
        n_codebooks, size, width = self.codes.shape
        if ids.ndim != 2 or ids.shape[1] > n_codebooks:
            raise UsageError("ids must be (vectors, up to {n_codebooks} codebooks), not {shape}", n_codebooks=n_codebooks, shape=ids.shape)
        if ids.size and not 0 <= ids.min() <= ids.max() < size:
            raise UsageError("an id is outside of the codebook's {size} rows", size=size)
        out = np.zeros((len(ids), width), dtype=np.float32)
        for number, column in enumerate(ids.T):
            out += self.codes[number, column]
        return out

    def quantise(self, vectors: Vectors, n_codebooks: int | None = None) -> Quantised:
        """`vectors` quantised, with what is left after each codebook; arguments and errors as of `encode`."""
        n_codebooks = len(self.codes) if n_codebooks is None else n_codebooks
        if not 1 <= n_codebooks <= len(self.codes):
            raise UsageError(
                "{name} must be {low} to {high}, not {value}", name="n-codebooks", low=1, high=len(self.codes), value=n_codebooks
            )
        residuals = np.empty((n_codebooks + 1, *_checked(vectors, self.codes.shape[2]).shape), dtype=np.float32)
        ids = np.empty((len(vectors), n_codebooks), dtype=np.int64)
        residuals[0] = vectors
        for number in range(n_codebooks):
            ids[:, number] = nearest(residuals[number], self.codes[number])
            residuals[number + 1] = residuals[number] - self.codes[number, ids[:, number]]
        return Quantised(ids, residuals)

    def updated(self, vectors: Vectors, draw: np.random.Generator) -> Rvq:
        """The codebooks after one more batch: each row a step nearer to the mean of the vectors that it names.

        Sizes and sums move by ``1 - decay`` towards those of the batch; the rows are the quotients, with `epsilon` added to each size and
        taken from all (Laplace), so that none is divided by zero. Then rows whose size is below `dead_below` become vectors
        of the batch, with that size.

        Args:
            vectors: The batch, shape (N, D), N of 1 or more; best many more than ``dead_below`` for each row, or all rows die in turn.
            draw: Chooses the vectors that replace dead rows.

        Raises:
            UsageError: As of `encode`, or there are no vectors.
        """
        if not len(vectors):
            raise UsageError("codebooks cannot be learned from no vectors")
        found = self.quantise(vectors)
        parts = [self._book_updated(number, found, draw) for number in range(len(self.codes))]
        codes, sizes, sums = (np.stack(part) for part in zip(*parts, strict=True))
        return replace(self, codes=codes.astype(np.float32), sizes=sizes, sums=sums)

    def _book_updated(self, number: int, found: Quantised, draw: np.random.Generator) -> tuple[Curve, Curve, Curve]:
        """(codes, sizes, sums) of one codebook after a batch."""
        config, batch = self.config, found.residuals[number]
        counts, totals = _cells(batch, found.ids[:, number], config.size)
        sizes = config.decay * self.sizes[number] + (1.0 - config.decay) * counts
        sums = config.decay * self.sums[number] + (1.0 - config.decay) * totals
        all_sizes = sizes.sum()
        smoothed = (sizes + config.epsilon) / (all_sizes + config.size * config.epsilon) * all_sizes
        codes = sums / np.maximum(smoothed, np.finfo(np.float64).tiny)[:, None]
        dead = np.flatnonzero(sizes < config.dead_below)
        codes[dead] = batch[_chosen(len(batch), len(dead), draw)]
        sizes[dead] = config.dead_below
        sums[dead] = codes[dead] * config.dead_below
        return codes, sizes, sums


def begin(vectors: Vectors, config: RvqConfig, seed: int = 0) -> Rvq:
    """Codebooks by k-means, the first on `vectors`, each further one on what those before it leave of them.

    Args:
        vectors: The first batch, shape (N, D), N of 1 or more; with fewer different vectors than rows, rows repeat.
        config: How many codebooks, of which size.
        seed: Of the rows that k-means begins with.

    Raises:
        UsageError: There are no vectors, or they have no finite numbers.
    """
    draw = np.random.default_rng(seed)
    residual = _checked(vectors, vectors.shape[-1] if vectors.ndim else 0)
    if not residual.size:
        raise UsageError("codebooks cannot be learned from no vectors")
    codes, sizes = [], []
    for _ in range(config.n_codebooks):
        rows = kmeans(residual, config.size, config.rounds, draw)
        ids = nearest(residual, rows)
        residual = residual - rows[ids]
        codes.append(rows)
        sizes.append(np.bincount(ids, minlength=config.size).astype(np.float64))
    table, counts = np.stack(codes), np.stack(sizes)
    return Rvq(config, table, counts, table * counts[:, :, None])


def learn(vectors: Vectors, config: RvqConfig, *, batch: int = 16_384, epochs: int = 8, seed: int = 0) -> Rvq:
    """Codebooks learned from `vectors`: k-means on a first batch, then running means over all of them.

    Args:
        vectors: Shape (N, D), N of 1 or more.
        config: How many codebooks, of which size.
        batch: Vectors of a batch, drawn in an order of the seed; all of them if there are fewer.
        epochs: How often every vector is seen by the running means, 0 or more.
        seed: Of the order, and of all else that is drawn. The same seed gives the same codebooks.

    Raises:
        UsageError: As of `begin`, or the batch is not 1 or more.
    """
    if batch < 1:
        raise UsageError("{name} must be {low} or more, not {value}", name="batch", low=1, value=batch)
    draw = np.random.default_rng(seed)
    learned = begin(vectors[draw.permutation(len(vectors))[:batch]], config, seed)
    for _ in range(epochs):
        order = draw.permutation(len(vectors))
        for start in range(0, max(len(order) - batch, 0) + 1, batch):  # a last batch that is not full is left out
            learned = learned.updated(vectors[order[start : start + batch]], draw)
    return learned


def kmeans(vectors: Vectors, size: int, rounds: int, draw: np.random.Generator) -> Vectors:
    """`size` rows, shape (size, D), each the mean of the vectors nearest to it, or nearly so after `rounds` rounds.

    It begins with vectors drawn evenly, so that where vectors are dense, rows are. Groups of vectors that no row began near may share one.

    Args:
        vectors: Shape (N, D), N of 1 or more.
        size: How many rows, 1 or more; beyond the number of different vectors they repeat.
        rounds: At most so many; fewer when nothing changes any more.
        draw: Chooses the vectors to begin with.
    """
    rows = vectors[_chosen(len(vectors), size, draw)].astype(np.float32)
    before: Ids | None = None
    for _ in range(rounds):
        ids = nearest(vectors, rows)
        if before is not None and np.array_equal(ids, before):
            break
        counts, totals = _cells(vectors, ids, size)
        filled = counts > 0  # a row of no vector stays where it is
        rows[filled] = (totals[filled] / counts[filled, None]).astype(np.float32)
        before = ids
    return rows


def nearest(vectors: Vectors, rows: Vectors) -> Ids:
    """The row nearest to each vector by Euclidean distance, shape (N,); the first of several.

    Args:
        vectors: Shape (N, D).
        rows: Shape (V, D), V of 1 or more.
    """
    lengths = np.square(rows).sum(axis=1)
    table = np.ascontiguousarray(rows.T)
    out = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS]
        scores = np.empty((len(block), len(rows)), dtype=np.float32)
        whole = len(block) // STACK_ROWS * STACK_ROWS
        stacks = (-1, STACK_ROWS)
        np.matmul(block[:whole].reshape(*stacks, block.shape[1]), table, out=scores[:whole].reshape(*stacks, len(rows)))
        np.matmul(block[whole:], table, out=scores[whole:])
        scores *= -2.0  # |x - c|^2 = |x|^2 - 2 x c + |c|^2, and |x|^2 changes no order
        scores += lengths
        out[start : start + BLOCK_ROWS] = scores.argmin(axis=1)
    return out


def bitrate(vectors_per_s: float, n_codebooks: int, size: int) -> float:
    """Bits a second of so many vectors a second, each `n_codebooks` ids of log2 `size` bits: 2200 for EnCodec's 50, 4 and 2048."""
    return float(vectors_per_s * n_codebooks * np.log2(size))


def entropy_bits(ids: Ids, size: int) -> Curve:
    """How many bits an id of each codebook needs where frequent ids are written shorter, shape (K,): 0 to log2 `size`.

    The entropy of how often the rows are named; 0 where one row is named always, or without ids.
    """
    out = np.zeros(ids.shape[1])
    for number, column in enumerate(ids.T):
        counts = np.bincount(column, minlength=size)
        shares = counts[counts > 0] / len(column)
        out[number] = abs(float(-(shares * np.log2(shares)).sum()))
    return out


def _cells(vectors: Vectors, ids: Ids, size: int) -> tuple[Curve, Curve]:
    """How many vectors each row names, shape (size,), and their sums, shape (size, D)."""
    counts = np.bincount(ids, minlength=size).astype(np.float64)
    totals = [np.bincount(ids, weights=column, minlength=size).astype(np.float64) for column in vectors.T]
    return counts, np.stack(totals, axis=1)


def _chosen(n_vectors: int, n: int, draw: np.random.Generator) -> Ids:
    """`n` places among vectors, none twice if there are enough."""
    return draw.choice(n_vectors, n, replace=n > n_vectors)


def _checked(vectors: Vectors, width: int) -> Vectors:
    """The vectors as float32; refused unless they are a table of `width` finite columns."""
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise UsageError("vectors must be a table of {width} columns, not {shape}", width=width, shape=vectors.shape)
    vectors = vectors.astype(np.float32, copy=False)
    if not np.isfinite(vectors).all():
        raise UsageError("the vectors hold NaN or infinity")
    return vectors
