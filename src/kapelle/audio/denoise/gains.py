"""How much of each point of a noisy spectrum is kept: the Wiener gain and that of the log spectral amplitude.

Takes ratios of power, xi (a priori: music to noise, as far as known) and gamma (a posteriori: what is there to noise); gives gains of 0
to 1. A priori ratios come from `DecisionDirected`, frame by frame, and from `second_look`. Pure numpy; what the noise is, is known
elsewhere.

Source: Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square error short-time spectral amplitude estimator", IEEE
Trans. ASSP 32, 1984 (decision-directed ratio), and "... log-spectral amplitude estimator", ASSP 33, 1985. O. Cappé, "Elimination of the
musical noise phenomenon with the Ephraim and Malah noise suppressor", IEEE Trans. SAP 2, 1994. C. Plapous, C. Marro and P. Scalart,
"Improved signal-to-noise ratio estimation for speech enhancement", IEEE Trans. ASLP 14, 2006 (the second look). I. Cohen, "Optimal speech
enhancement under signal presence uncertainty using log-spectral amplitude estimator", IEEE Signal Processing Letters 9, 2002 (gains by
presence; his estimate of it looks at more than ours). M. Abramowitz and
I. Stegun, Handbook of Mathematical Functions, 1964, 5.1.11 and 5.1.22 (the exponential integral).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from kapelle.audio.frames import Table

SMOOTHING = 0.92
"""Weight of the frame before in the a priori ratio: more makes what is left of noise smoother, and strokes softer."""
LOWEST_RATIO = 1e-3
NEIGHBOURS = 2
"""Frequencies on both sides that tell whether a point is music."""
EVEN_RATIO = 0.3
"""A priori ratio about a point at which music is as sure as its absence."""
EULER = 0.5772156649015329
SERIES_UP_TO = 2.0
SERIES_TERMS = 24
FRACTION_STEPS = 60


class DecisionDirected:
    """The a priori ratio of frame after frame: mostly what was kept of the frame before, a little what this one shows.

    Args:
        n_columns: Frequencies of a frame.
        smoothing: Weight of the frame before, 0 to 1.
    """

    def __init__(self, n_columns: int, smoothing: float = SMOOTHING) -> None:
        self._smoothing = smoothing
        self._kept = np.zeros(n_columns)

    def __call__(self, gamma: Table) -> Table:
        """A priori ratios of the next frames, shape (F, K), from their a posteriori ratios."""
        fresh = np.maximum(gamma - 1.0, 0.0) * (1.0 - self._smoothing)
        out = np.empty_like(gamma)
        kept = self._kept
        for number, row in enumerate(gamma):
            xi = np.maximum(self._smoothing * kept + fresh[number], LOWEST_RATIO)
            out[number] = xi
            kept = wiener(xi) ** 2 * row
        self._kept = kept
        return out


def second_look(xi: Table, gamma: Table) -> Table:
    """A priori ratios without the delay of a frame: what the first gains would keep of this very frame."""
    return np.maximum(wiener(xi) ** 2 * gamma, LOWEST_RATIO)


def presence(xi: Table) -> Table:
    """How surely there is music at each point, 0 to 1, from the a priori ratios about it: a tone is wide, a chance peak is not."""
    near = np.cumsum(np.pad(xi, ((0, 0), (NEIGHBOURS + 1, NEIGHBOURS)), mode="edge"), axis=1)
    width = 2 * NEIGHBOURS + 1
    mean = np.maximum((near[:, width:] - near[:, :-width]) / width, 0.5 * LOWEST_RATIO)
    return 1.0 / (1.0 + (EVEN_RATIO / mean) ** 2)


def with_presence(gain: Table, presence: Table, lowest: float) -> Table:
    """Between the gain and the lowest one, by how surely there is music: their geometric mean, weighted."""
    return np.maximum(gain, lowest) ** presence * lowest ** (1.0 - presence)


def wiener(xi: Table) -> Table:
    """The gain with the least squared error of the spectrum: xi / (1 + xi)."""
    return xi / (1.0 + xi)


def log_amplitude(xi: Table, gamma: Table) -> Table:
    """The gain with the least squared error of the logarithm of the amplitude, at most 1."""
    share = wiener(xi)
    places, factors = _half_exponentials()
    near = np.log(np.maximum(share * gamma, 1e-10))
    return np.minimum(share * np.interp(near, places, factors), 1.0)


@cache
def _half_exponentials() -> tuple[Table, Table]:
    """exp(E1(v) / 2) over ln v, close enough for straight lines between: the error is below 1e-5 of the value."""
    places = np.linspace(np.log(1e-10), np.log(100.0), 8001)
    return places, np.exp(0.5 * exponential_integral(np.exp(places)))


def exponential_integral(x: Table) -> Table:
    """E1(x), the integral of exp(-t) / t from x to infinity, for x > 0; exact to 1e-12 of its value.

    Up to 2 the series -euler - ln x - sum (-x)^k / (k k!); above it the continued fraction exp(-x) / (x + 1 / (1 + 1 / (x + 2 / (1 + ...
    """
    x = np.asarray(x, dtype=np.float64)
    out = np.empty_like(x)
    near = x <= SERIES_UP_TO
    small = x[near]
    total, term = -EULER - np.log(small), np.ones_like(small)
    for k in range(1, SERIES_TERMS + 1):
        term = term * (-small / k)
        total = total - term / k
    out[near] = total
    large = x[~near]
    tail = np.zeros_like(large)
    for k in range(FRACTION_STEPS, 0, -1):
        tail = k / (1.0 + k / (large + tail))
    out[~near] = np.exp(-large) / (large + tail)
    return out
