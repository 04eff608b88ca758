"""A mosaic becomes a PNG file that others read."""

from __future__ import annotations

import io

import numpy as np
import pytest

from kapelle.engraving.mosaic import to_png


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 2)])
def test_pixels_come_back_as_they_were(shape: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert (np.asarray(image.open(io.BytesIO(to_png(pixels)))) == pixels).all()
