"""Training on songs with themes: batches, figures, the loop, and that what is learned is the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from theme_songs_tiny import BAR, END_PITCH, FIRST_PITCH, LENGTH, RECIPE, THEME, songs

torch = pytest.importorskip("torch")

from kapelle import models  # noqa: E402
from kapelle.data import theme_shards  # noqa: E402
from kapelle.errors import UsageError  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.objectives import make  # noqa: E402
from kapelle.training.recipe import ThemesSection, TrainingSection, read  # noqa: E402
from kapelle.training.themes import Windows  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


def settings(**changes: Any) -> TrainingSection:
    return TrainingSection(**{"steps": 10, "batch_size": 6, "excerpts": 0.0, **changes})


def test_an_epoch_meets_every_window_of_training_once(tmp_path: Path) -> None:
    held = theme_shards.read(songs(tmp_path))
    windows = Windows(held, settings())
    assert windows.steps_per_epoch == 4
    met = [tuple(row) for step in range(4) for row in windows.batch(step).ids[:, :LENGTH].tolist()]
    plain = [tuple(row) for row in windows.read(held.of("train")).ids[:, :LENGTH].tolist()]
    assert sorted(met) == sorted(plain)
    assert met != [tuple(row) for step in range(4, 8) for row in windows.batch(step).ids[:, :LENGTH].tolist()]


def test_the_theme_moves_with_the_window_and_only_pitches_move(tmp_path: Path) -> None:
    held = theme_shards.read(songs(tmp_path))
    plain, moved = Windows(held, settings()), Windows(held, settings(semitones=2))
    shifts = set()
    for step in range(4):
        was, now = plain.batch(step), moved.batch(step)
        assert np.array_equal(was.labels, now.labels)
        for i in range(6):
            pitched = (was.ids[i] >= FIRST_PITCH) & (was.ids[i] < END_PITCH)
            difference = now.ids[i] - was.ids[i]
            assert set(difference[~pitched]) <= {0} and len(set(difference[pitched])) == 1
            heard = now.theme[i] - was.theme[i]
            shift = int(difference[pitched][0])
            assert set(heard[(was.theme[i] < END_PITCH) & (was.theme[i] > 0)]) == {shift} and set(heard[was.theme[i] >= BAR]) == {0}
            shifts.add(shift)
    assert shifts == {-2, -1, 0, 1, 2}


def test_excerpts_begin_elsewhere_within_their_song_and_labels_go_with_them(tmp_path: Path) -> None:
    held = theme_shards.read(songs(tmp_path))
    batch = Windows(held, settings(excerpts=1.0)).batch(0)
    inside = (batch.ids[:, :-1] == THEME) & (batch.labels[:, :-1] == 1)
    assert (inside == (batch.ids[:, :-1] == THEME)).all()
    assert len({int(row[0]) for row in batch.ids}) > 1 and (batch.ids != 0).sum(axis=1).min() > LENGTH / 2


def test_a_step_is_the_same_however_it_is_cut(tmp_path: Path) -> None:
    recipe, data = tmp_path / "r.toml", songs(tmp_path / "shards")
    recipe.write_text(RECIPE)
    whole = fit(recipe, data, tmp_path / "whole", FitOptions(trackers=(), overrides=["training.steps=4"]))
    pieces = fit(recipe, data, tmp_path / "pieces", FitOptions(trackers=(), overrides=["training.steps=4", "training.micro_batch=3"]))
    assert pieces["last"]["bits_per_token"] == pytest.approx(whole["last"]["bits_per_token"], abs=1e-4)


def test_it_learns_to_follow_the_theme_it_hears(tmp_path: Path) -> None:
    recipe, data = tmp_path / "r.toml", songs(tmp_path / "shards", n_songs=60)
    recipe.write_text(RECIPE)
    overrides = ["training.steps=120", "training.validate_every=120", "training.themes.echo_steps=80"]
    figures = fit(recipe, data, tmp_path / "run", FitOptions(trackers=(), overrides=overrides))
    last = figures["last"]
    assert last["theme_gain"] > 1.0, "another song's theme must cost bits"
    assert last["theme_bits_per_token"] < last["bits_per_token"] < np.log2(13)
    assert last["bits_per_note"] == pytest.approx(last["bits_per_token"] * 47 / 24, rel=0.1)


def test_songs_that_are_not_for_training_are_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE)
    with pytest.raises(UsageError, match="no song for training"):
        make(songs(tmp_path / "shards", part=2), read(recipe), models.family("theme"))


def test_the_first_steps_are_theme_regions_alone(tmp_path: Path) -> None:
    held = theme_shards.read(songs(tmp_path))
    windows = Windows(held, settings(themes=ThemesSection(echo_steps=2), batch_size=6))
    assert len(windows.regions) == 8 * 6, "six regions in each of the eight songs for training"
    for step in (0, 1):
        batch = windows.batch(step)
        assert batch.ids.shape == (16, 6), "6 windows of 16 ids are as long as 16 regions of 6"
        assert (batch.ids == batch.theme).all(), "here every region repeats the theme to the note"
        assert (batch.labels == [1, 2, 3, 4, 5, 0]).all()
    assert windows.batch(2).ids.shape == (6, LENGTH + 1)
    mixed = Windows(held, settings(themes=ThemesSection(echo_share=0.25), batch_size=6))
    assert 15 <= sum(len(mixed.batch(step).ids) == 16 for step in range(100)) <= 35


def test_the_encoder_may_learn_more_slowly(tmp_path: Path) -> None:
    recipe, data = tmp_path / "r.toml", songs(tmp_path / "shards")
    recipe.write_text(RECIPE)
    asked = read(recipe, ["training.themes.encoder_rate=0.25", "training.learning_rate=0.008"])
    family = models.family("theme")
    made = make(data, asked, family)
    network = family.build(family.Config(**{**asked.model, **made.sizes, "exclusive": (0, 1)}))
    rates = {id(parameter): group["lr"] for group in made.optimizers(network)["adamw"].param_groups for parameter in group["params"]}
    assert {name.startswith("encoder."): rates[id(parameter)] for name, parameter in network.named_parameters()} == {
        True: 0.002,
        False: 0.008,
    }
    assert len(rates) == len(list(network.parameters()))
