from __future__ import annotations

import numpy as np

from kapelle.engraving.mosaic import MARGIN, mosaic

TRACKS = ("drums", "piano")


def cells(n: int = 5) -> np.ndarray:
    return np.zeros((n, 2, 4, 16, 72), bool)


def test_phrases_stand_side_by_side_in_rows() -> None:
    height, width = 2 * 73 + MARGIN, 192 + MARGIN
    assert mosaic(cells(5), TRACKS, columns=3).shape == (2 * height + MARGIN, 3 * width + MARGIN, 3)
    assert mosaic(cells(1), TRACKS, columns=3).shape == (height + MARGIN, width + MARGIN, 3)


def test_a_cell_is_a_block_at_its_time_and_pitch() -> None:
    on = cells(1)
    on[0, 1, 0, 3, 0] = True  # the lowest pitch of the second track, fourth step
    changed = np.argwhere((mosaic(on, TRACKS) != mosaic(cells(1), TRACKS)).any(axis=2))
    assert changed.tolist() == [[MARGIN + 73 + 71, MARGIN + 9 + x] for x in range(3)]


def test_a_fine_grid_has_a_pixel_for_every_step() -> None:
    assert mosaic(np.zeros((1, 5, 4, 96, 84), bool), ("a", "b", "c", "d", "e")).shape[1] == 384 + 2 * MARGIN


def test_drums_have_their_own_colour_and_the_theme_is_heard() -> None:
    on = cells(1)
    on[0, :, 0, 5, 10] = True
    light, dark = mosaic(on, TRACKS), mosaic(on, TRACKS, theme="dark")
    drum, piano = ((MARGIN + row * 73 + 61, MARGIN + 15) for row in range(2))
    assert tuple(light[drum]) == (0x52, 0x5B, 0x70) and tuple(dark[drum]) == (0xA7, 0xB0, 0xC2)
    assert tuple(light[piano]) == (0xE4, 0x76, 0x1B)
