from __future__ import annotations

import pytest

from kapelle.fitting.schedule import BAND_FRESH, BAND_ON, FRESH, ON, Amount, kept, schedule
from kapelle.training.recipe import TrainingSection

SETTINGS = TrainingSection(steps=6000, batch_size=8, learning_rate=2e-3, warmup_steps=200)
BAND = TrainingSection(steps=6000, batch_size=32, learning_rate=1e-3, warmup_steps=0, validate_every=250)


def test_twenty_files_are_seen_twenty_times_from_nothing_and_five_times_from_a_model() -> None:
    fresh, on = (schedule(Amount(400, 60), SETTINGS, rule) for rule in (FRESH, ON))
    assert (fresh.steps, fresh.epochs, fresh.validate_every, fresh.patience) == (1000, 20, 50, 4)
    assert (fresh.learning_rate, fresh.warmup_steps) == (2e-3, 100)
    assert (on.steps, on.epochs, on.validate_every) == (250, 5, 50)
    assert on.learning_rate == pytest.approx(2e-4)
    assert on.warmup_steps == 25


def test_one_short_piece_gets_the_fewest_steps_and_nothing_to_be_patient_about() -> None:
    fresh, on = (schedule(Amount(3, 0), SETTINGS, rule) for rule in (FRESH, ON))
    assert (fresh.steps, fresh.patience, fresh.validate_every) == (200, 0, 10)
    assert (on.steps, on.validate_every) == (40, 2)


def test_much_music_gets_the_steps_of_the_recipe() -> None:
    made = schedule(Amount(40_000, 2_000), SETTINGS, FRESH)
    assert (made.steps, made.epochs, made.warmup_steps) == (6000, 1.2, 200)
    assert made.validate_every == SETTINGS.validate_every == 500


def test_what_is_asked_for_is_done() -> None:
    assert schedule(Amount(400, 60), SETTINGS, FRESH, epochs=0.5).steps == 25
    assert schedule(Amount(400, 60), SETTINGS, ON, epochs=1000).steps == 50_000
    assert schedule(Amount(3, 0), SETTINGS, ON, epochs=0.01).steps == 1


def test_the_changes_are_those_of_a_recipe() -> None:
    made = schedule(Amount(400, 60), SETTINGS, ON).overrides()
    assert sorted(text.partition("=")[0] for text in made) == [
        "training.learning_rate", "training.patience", "training.steps", "training.validate_every", "training.warmup_steps",
    ]  # fmt: skip


def test_a_training_that_keeps_to_its_recipe_tells_its_epochs() -> None:
    assert kept(SETTINGS, Amount(4000, 10)) == {"steps": 6000, "epochs": 12.0, "blocks": 4000}


def test_a_band_gets_the_steps_that_it_takes_until_phrases_differ_and_does_them_all() -> None:
    few, on = (schedule(Amount(300, 40, "phrases"), BAND, rule) for rule in (BAND_FRESH, BAND_ON))
    assert (few.steps, few.validate_every, few.patience, few.warmup_steps) == (1500, 75, 0, 0)
    assert (on.steps, on.validate_every, on.learning_rate) == (400, 20, pytest.approx(1e-4))
    assert schedule(Amount(12_000, 700, "phrases"), BAND, BAND_FRESH).steps == 6000
    assert kept(BAND, Amount(12_000, 700, "phrases")) == {"steps": 6000, "epochs": 16.0, "phrases": 12_000}
