"""EB, UPC, QN, DP and TD: literal values, the released code's differences, resampling, and a plain version that agrees."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from kapelle.errors import UsageError
from kapelle.metrics import musegan
from kapelle.metrics.musegan import measure

BAND = ("drums", "piano", "guitar", "bass", "strings")
PAIRS = ("TD/bass-guitar", "TD/bass-strings", "TD/bass-piano", "TD/guitar-strings", "TD/guitar-piano", "TD/strings-piano")


def silence(n: int = 1, tracks: int = 1, bars: int = 1, steps: int = 16, pitches: int = 72) -> np.ndarray:
    return np.zeros((n, tracks, bars, steps, pitches), np.bool_)


def noise(n: int, density: float = 0.03, seed: int = 0, tracks: int = 5, steps: int = 16, pitches: int = 72) -> np.ndarray:
    """Random phrases of which a third of the bars of each track is empty."""
    draw = np.random.default_rng(seed)
    cells = draw.random((n, tracks, 4, steps, pitches)) < density
    return cells & (draw.random((n, tracks, 4, 1, 1)) < 2 / 3)


# --- the five -----------------------------------------------------------------------------------------------------------


def test_the_keys_stand_in_the_order_of_the_published_tables() -> None:
    found = measure(noise(2), BAND)
    assert list(found) == [
        *(f"EB/{name}" for name in BAND),
        *(f"UPC/{name}" for name in BAND[1:]),
        *(f"QN/{name}" for name in BAND[1:]),
        *(f"QN8/{name}" for name in BAND[1:]),
        "DP/drums",
        *PAIRS,
    ]
    assert list(measure(noise(2), BAND, legacy=True)) == list(found)


def test_nothing_gives_nan_and_empty_bars_only() -> None:
    found = measure(silence(2, 5, 4), BAND)
    assert all(found[f"EB/{name}"] == 100 for name in BAND)
    assert all(math.isnan(value) for key, value in found.items() if not key.startswith("EB"))
    assert all(math.isnan(value) for value in measure(silence(0, 5, 4), BAND).values())
    assert all(math.isnan(value) for value in musegan.extras(silence(2, 5, 4), BAND).values())
    assert all(math.isnan(value) for value in musegan.deviations(silence(0, 5, 4), BAND).values())


def test_empty_bars_are_counted_per_track() -> None:
    cells = silence(2, 2, 4)
    cells[0, 0, 1, 5, 5] = cells[1, 0, :3, 0, 0] = True
    found = measure(cells, ("drums", "bass"))
    assert (found["EB/drums"], found["EB/bass"]) == (50, 100)


def test_a_triad_over_two_octaves_has_three_pitch_classes_and_four_bands_in_the_released_code() -> None:
    cells = silence(pitches=84)
    for pitch in (48, 52, 55, 60, 64, 67):  # C, E, G from C3 and C4
        cells[0, 0, 0, 0:4, pitch - 24] = True
    assert measure(cells, ("piano",))["UPC/piano"] == 3
    assert measure(cells, ("piano",), legacy=True)["UPC/piano"] == 4


def test_pitch_classes_are_counted_by_bar_and_empty_bars_are_passed_over() -> None:
    cells = silence(bars=4)
    cells[0, 0, 0, [0, 5, 9], [0, 12, 24]] = True  # C three times
    cells[0, 0, 2, :, [1, 2, 3, 16]] = True  # C#, D, D#, E
    assert measure(cells, ("bass",))["UPC/bass"] == 2.5


def test_rows_that_are_no_whole_octaves_fold_too() -> None:
    cells = silence(pitches=40)
    cells[0, 0, 0, 0, [3, 15, 27, 39]] = True
    assert measure(cells, ("bass",))["UPC/bass"] == 1
    assert measure(cells, ("bass",), legacy=True)["UPC/bass"] == 4


@pytest.mark.parametrize(
    ("steps", "lengths", "short", "eighth"), [(96, (1, 2, 3, 11), 50, 25), (16, (1, 2, 3, 4), 100, 75), (48, (1, 4, 5, 5), 75, 50)]
)
def test_notes_qualify_from_a_32nd_and_from_an_eighth_on(steps: int, lengths: tuple[int, ...], short: float, eighth: float) -> None:
    cells = silence(steps=steps)
    for row, length in enumerate(lengths):
        cells[0, 0, 0, 2 : 2 + length, row] = True
    found = measure(cells, ("piano",))
    assert (found["QN/piano"], found["QN8/piano"]) == (short, eighth)


def test_the_shortest_note_can_be_chosen() -> None:
    cells = silence()
    cells[0, 0, 0, 0:3, 0] = cells[0, 0, 0, 0:5, 7] = True
    assert [measure(cells, ("piano",), qualified_steps=steps)["QN/piano"] for steps in (3, 4, 6, 40)] == [100, 50, 0, 0]


def test_the_released_code_takes_two_steps_for_a_note_whatever_the_resolution_and_means_over_bars() -> None:
    cells = silence(bars=3, steps=96)
    cells[0, 0, 0, 0:2, 0] = cells[0, 0, 0, 5, 0] = True  # one of two
    cells[0, 0, 1, 0:9, 0:3] = True  # three of three
    assert measure(cells, ("piano",), legacy=True)["QN/piano"] == 75
    assert measure(cells, ("piano",))["QN/piano"] == 60
    coarse = silence()
    coarse[0, 0, 0, 0:2, 0] = coarse[0, 0, 0, 5, 0] = True
    assert measure(coarse, ("piano",), legacy=True)["QN/piano"] == 50


def test_notes_are_paired_by_pitch_and_go_over_bar_lines_but_not_over_phrases() -> None:
    cells = silence(n=2, bars=2)
    cells[0, 0, 0, 15, 5] = cells[0, 0, 1, 0, 5] = True  # one note of two steps
    cells[0, 0, 0, 15, 6] = cells[0, 0, 1, 0, 7] = True  # two of one
    cells[0, 0, 1, 15, 9] = cells[1, 0, 0, 0, 9] = True  # two of one
    assert measure(cells, ("piano",))["QN8/piano"] == pytest.approx(100 / 5)
    assert measure(cells, ("piano",), legacy=True)["QN8/piano"] == 0


def test_a_crowd_of_overlapping_notes_is_paired_right() -> None:
    cells = silence()
    for row in range(8):
        cells[0, 0, 0, row : row + 1 + row, row * 3] = True  # lengths 1 to 8, begun one after another
    assert measure(cells, ("piano",), qualified_steps=5)["QN/piano"] == 50


@pytest.mark.parametrize(
    ("steps", "hits", "expected"),
    [
        (16, [0, 2, 4, 14], 100),
        (16, [1, 3], 10),
        (16, [0, 1], 55),
        (96, [0, 6, 12, 90], 100),
        (96, [1, 5], 10),
        (96, [2, 3, 4], 0),
        (48, [0, 3, 4, 5], 55),
        (72, [6, 66, 8, 7], 52.5),
        (32, [30, 31], 55),
        (20, [0], float("nan")),
    ],
)
def test_drum_patterns_of_every_resolution(steps: int, hits: list[int], expected: float) -> None:
    cells = silence(steps=steps)
    cells[0, 0, 0, hits, 12] = True
    assert measure(cells, ("drums",))["DP/drums"] == pytest.approx(expected, nan_ok=True)


def test_every_pattern_fills_its_bar() -> None:
    assert {len(cell) * times for cell, times in musegan.DRUM_PATTERNS.values()} == set(musegan.DRUM_PATTERNS)
    assert all(len(cell) * times == steps for steps, (cell, times) in musegan.DRUM_PATTERNS.items())


def test_every_drum_cell_is_an_onset_and_the_released_code_sees_edges_in_the_best_place() -> None:
    cells = silence(bars=2)
    cells[0, 0, 0, 1:4, 12] = True  # off the pattern, on it, off it: one edge, which a shifted pattern fits
    assert measure(cells, ("drums",))["DP/drums"] == pytest.approx(100 * 1.2 / 3)
    assert measure(cells, ("drums",), legacy=True)["DP/drums"] == pytest.approx(100)
    cells[0, 0, 1, [0, 2, 5], 12] = True  # of the second bar two of three fit
    assert measure(cells, ("drums",), legacy=True)["DP/drums"] == pytest.approx((100 + 230 / 3) / 2)
    fine = silence(steps=96)
    fine[0, 0, 0, [4, 10], 12] = True
    assert measure(fine, ("drums",), legacy=True)["DP/drums"] == pytest.approx(100)


MAJOR = {"C": (0, 4, 7), "Am": (9, 0, 4), "G": (7, 11, 2), "F#": (6, 10, 1)}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (MAJOR["C"], MAJOR["C"], 0),
        (MAJOR["C"], MAJOR["Am"], 0.799305),
        (MAJOR["C"], MAJOR["G"], 1.213352),
        (MAJOR["C"], MAJOR["F#"], 1.970003),
        (MAJOR["C"], (0,), 1.029342),
        ((0,), (7,), 1.737225),
        ((0,), (1,), 2.545987),
        ((0,), (6,), 2.828427),
    ],
)
def test_golden_tonal_distances(first: tuple[int, ...], second: tuple[int, ...], expected: float) -> None:
    cells = silence(tracks=2)
    cells[0, 0, 0, 0:4, [row + 24 for row in first]] = True
    cells[0, 1, 0, 0:4, [row + 36 for row in second]] = True
    assert measure(cells, ("bass", "piano"))["TD/bass-piano"] == pytest.approx(expected, abs=1e-6)
    assert measure(cells, ("piano", "bass"))["TD/bass-piano"] == pytest.approx(expected, abs=1e-6)


def test_tonal_distance_is_the_mean_over_beats_in_which_both_sound() -> None:
    cells = silence(tracks=2)
    cells[0, 0, 0, :, 24] = True  # C in four beats
    cells[0, 1, 0, 4:8, 24] = cells[0, 1, 0, 8, 31] = cells[0, 1, 0, 10, 31] = True  # C, then G, in two
    assert measure(cells, ("guitar", "strings"))["TD/guitar-strings"] == pytest.approx(1.737225 / 2, abs=1e-6)
    assert math.isnan(measure(cells, ("guitar", "strings"), legacy=True)["TD/guitar-strings"])  # a beat is silent


def test_within_a_beat_what_sounds_longer_counts_more() -> None:
    cells = silence(tracks=2)
    cells[0, 0, 0, 0:4, 24] = True
    cells[0, 1, 0, 0:3, 24] = cells[0, 1, 0, 3, 31] = True  # 3/4 C and 1/4 G
    assert measure(cells, ("guitar", "strings"))["TD/guitar-strings"] == pytest.approx(1.737225 / 4, abs=1e-6)


def test_tracks_of_other_names_have_pitches_and_follow_in_pairs() -> None:
    found = measure(noise(3, tracks=3), ("flute", "piano", "bass"))
    assert [key for key in found if key.startswith("TD")] == ["TD/bass-piano", "TD/bass-flute", "TD/piano-flute"]
    assert "UPC/flute" in found


def test_drums_have_no_pitches_whatever_their_place() -> None:
    found = measure(noise(3, tracks=2), ("bass", "drums"))
    assert [key for key in found if "drums" in key] == ["EB/drums", "DP/drums"]


def test_what_sounds_beside_the_five() -> None:
    cells = silence(bars=2)
    cells[0, 0, 0, 0:8, [24, 30]] = cells[0, 0, 0, 8:12, 28] = True  # C and F# for half a bar, E for a beat
    found = musegan.extras(cells, ("piano",))
    assert found == {"PR/piano": 50, "IS/piano": pytest.approx(60), "UP/piano": 3}


# --- the plain version --------------------------------------------------------------------------------------------------


def plain(cells: np.ndarray, tracks: tuple[str, ...]) -> dict[str, float]:
    """The definitions, cell by cell."""
    n, _, n_bars, n_steps, n_pitches = cells.shape
    out: dict[str, list[float]] = {}
    chroma: dict[tuple[int, str], list[np.ndarray]] = {}
    for phrase in range(n):
        for track, name in enumerate(tracks):
            lines = cells[phrase, track].reshape(n_bars * n_steps, n_pitches)
            for bar in cells[phrase, track]:
                out.setdefault(f"EB/{name}", []).append(0 if bar.any() else 100)
                if name != "drums" and bar.any():
                    out.setdefault(f"UPC/{name}", []).append(len({row % 12 for row in np.flatnonzero(bar.any(axis=0))}))
                if name == "drums":
                    for step in np.nonzero(bar)[0]:
                        out.setdefault("DP/drums", []).append(10 if step % 2 else 100)
            if name == "drums":
                continue
            chroma[phrase, name] = []
            for beat in lines.reshape(-1, n_steps // 4, n_pitches):
                chroma[phrase, name].append(np.bincount(np.nonzero(beat)[1] % 12, minlength=12))
            for row in range(n_pitches):
                text = "".join(".#"[cell] for cell in lines[:, row].tolist())
                for note in text.replace(".", " ").split():
                    out.setdefault(f"QN/{name}", []).append(100)
                    out.setdefault(f"QN8/{name}", []).append(100 if len(note) >= 2 else 0)
    for key in PAIRS:
        first, second = key[3:].split("-")
        for phrase in range(n):
            for one, other in zip(chroma[phrase, first], chroma[phrase, second], strict=True):
                if one.any() and other.any():
                    apart = musegan.TONAL_MATRIX @ (one / one.sum() - other / other.sum())
                    out.setdefault(key, []).append(math.sqrt(float(apart @ apart)))
    return {key: float(np.mean(values)) for key, values in out.items()}


@pytest.mark.parametrize("density", [0.002, 0.03, 0.4])
def test_the_metrics_are_what_the_plain_definitions_say(density: float) -> None:
    cells = noise(6, density, seed=int(density * 1000))
    assert measure(cells, BAND) == pytest.approx(plain(cells, BAND))


def test_many_phrases_are_measured_in_parts_with_one_result() -> None:
    cells = noise(7, seed=3)
    many = np.tile(cells, (150, 1, 1, 1, 1))  # 1,050 phrases: three parts
    assert measure(many, BAND) == pytest.approx(measure(cells, BAND))
    assert measure(many, BAND, legacy=True) == pytest.approx(measure(cells, BAND, legacy=True))


def test_256_phrases_take_well_under_a_second() -> None:
    cells = noise(256)
    began = time.process_time()
    measure(cells, BAND)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("shape", [(5, 4, 16, 72), (1, 4, 4, 16, 72), (1, 5, 4, 18, 72), (1, 5, 4, 0, 72)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="phrases are bool"):
        measure(np.zeros(shape, np.bool_), BAND)
    with pytest.raises(UsageError, match="float32"):
        measure(np.zeros((1, 5, 4, 16, 72), np.float32), BAND)
    with pytest.raises(UsageError, match="named twice"):
        measure(silence(tracks=2), ("bass", "bass"))


# --- deviations, distances, shuffling -----------------------------------------------------------------------------------


def test_deviations_shrink_with_more_phrases_and_repeat_with_a_seed() -> None:
    few, many = musegan.deviations(noise(20), BAND), musegan.deviations(noise(320), BAND)
    assert list(few) == list(measure(noise(2), BAND))
    assert few == pytest.approx(musegan.deviations(noise(20), BAND), nan_ok=True)
    assert few["EB/bass"] != musegan.deviations(noise(20), BAND, seed=1)["EB/bass"]
    for key in ("EB/bass", "UPC/guitar", "QN8/piano", "DP/drums", "TD/bass-piano"):
        assert 2 < few[key] / many[key] < 8  # four times, by the square root of sixteen


def test_a_deviation_is_that_of_the_mean() -> None:
    cells = silence(400, bars=4)
    cells[:200, 0, :, 0, 0] = True  # half of the phrases are full, half are empty: 50 % +- 100 * sqrt(1/4 / 400)
    assert musegan.deviations(cells, ("bass",), draws=2000)["EB/bass"] == pytest.approx(2.5, rel=0.1)


def test_what_has_one_value_by_definition_has_no_deviation() -> None:
    coarse, fine = musegan.deviations(noise(20), BAND), musegan.deviations(noise(20, steps=96, pitches=84), BAND)
    assert math.isnan(coarse["QN/bass"])
    assert coarse["QN8/bass"] > 0
    assert fine["QN/bass"] > 0
    assert musegan.tally(noise(20), BAND, qualified_steps=3).deviations()["QN/bass"] > 0


def test_what_never_moved_has_the_least_deviation() -> None:
    cells = silence(10, bars=4)
    cells[..., 0:2, 0] = True
    found = musegan.deviations(cells, ("bass",))
    assert (found["EB/bass"], found["UPC/bass"], found["QN8/bass"]) == (100 / 40, 1 / 40, 100 / 40)


def test_distance_is_in_deviations_and_passes_over_what_is_missing() -> None:
    nan = float("nan")
    data = {"EB/bass": 10.0, "EB/drums": 20.0, "QN/bass": 100.0, "TD/bass-piano": 1.5}
    found = {"EB/bass": 14.0, "EB/drums": 19.0, "QN/bass": 100.0, "TD/bass-piano": nan}
    apart = musegan.distance(found, data, {"EB/bass": 2.0, "EB/drums": 0.5, "QN/bass": nan, "TD/bass-piano": 0.1})
    assert apart == pytest.approx({"EB/bass": 2, "EB/drums": 2, "QN/bass": nan, "TD/bass-piano": nan, "mean": 2}, nan_ok=True)
    assert musegan.by_kind(apart) == pytest.approx({"EB": 2, "QN": nan, "TD": nan}, nan_ok=True)
    assert math.isnan(musegan.distance({}, data, {})["mean"])


def test_data_are_nearer_to_data_than_noise_of_another_kind() -> None:
    data, same, other = noise(64, seed=1), noise(64, seed=2), noise(64, 0.2, seed=3)
    of_data, by = measure(data, BAND), musegan.deviations(data, BAND)
    assert musegan.distance(of_data, of_data, by)["mean"] == 0
    assert musegan.distance(measure(same, BAND), of_data, by)["mean"] < 3
    assert musegan.distance(measure(other, BAND), of_data, by)["mean"] > 20


def harmonies(n: int) -> np.ndarray:
    """Phrases in which the bass plays the root of the piano's chord, bar by bar."""
    cells = silence(n, 2, 4)
    roots = np.random.default_rng(5).integers(0, 12, (n, 4))
    for phrase in range(n):
        for bar in range(4):
            root = roots[phrase, bar]
            cells[phrase, 0, bar, :, 12 + root] = True
            cells[phrase, 1, bar, :, [24 + root, 28 + root, 31 + root]] = True
    return cells


def test_shuffled_bars_keep_their_track_and_lose_their_company() -> None:
    cells = harmonies(40)
    mixed = musegan.shuffle_bars(cells, 1)
    before, after = measure(cells, ("bass", "piano")), measure(mixed, ("bass", "piano"))
    assert before["TD/bass-piano"] == pytest.approx(1.029342, abs=1e-6)
    assert after["TD/bass-piano"] > 1.6
    assert all(after[key] == pytest.approx(before[key]) for key in ("EB/bass", "UPC/piano"))
    for track in range(2):
        rows = [sorted(bar.tobytes() for bar in part[:, track].reshape(160, 16, 72)) for part in (cells, mixed)]
        assert rows[0] == rows[1]
    assert (mixed == musegan.shuffle_bars(cells, 1)).all()
    assert (mixed != musegan.shuffle_bars(cells, 2)).any()
    assert (cells == harmonies(40)).all()
