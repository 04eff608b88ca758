"""Renderings: repeatable, varied within their bounds, and what is refused."""

import numpy as np
import pytest
from symusic import Note, Score, Tempo, Track

from kapelle.audio import spectra
from kapelle.classifiers import renderings
from kapelle.classifiers.audio_features import NAMES, TABLE_NAMES
from kapelle.data.render_rules import RenderRules
from kapelle.errors import UsageError

STILL = RenderRules(players=("sine",), own_program=1.0, tempo=0.0, semitones_down=0, semitones_up=0, noise=0.0, muffled=0.0)
CENTROID, TEMPO, CROSSINGS = (NAMES.index(name) for name in ("spectral_centroid_mean", "tempo", "zero_crossing_rate_mean"))


def scale(seconds: float = 40.0, bpm: float = 120.0) -> Score:
    score = Score(480)
    score.tempos.append(Tempo(0, bpm))
    track = Track(program=0)
    for number in range(int(seconds * bpm / 60)):
        track.notes.append(Note(number * 480, 400, 60 + number % 12, 80))
    score.tracks.append(track)
    return score


def test_a_rendering_is_half_a_minute_of_one_channel_and_the_same_again():
    wave, player = renderings.rendering(scale(), STILL, 7)
    again, _ = renderings.rendering(scale(), STILL, 7)
    other, _ = renderings.rendering(scale(), STILL, 8)
    assert player == "sine"
    assert (wave.n_channels, wave.sample_rate, wave.duration_s) == (1, spectra.RATE_HZ, pytest.approx(30.0))
    np.testing.assert_array_equal(wave.samples, again.samples)
    assert not np.array_equal(wave.samples, other.samples)


def test_rows_are_of_all_features_one_for_each_view_and_do_not_depend_on_how_many_there_are():
    many = renderings.RenderMeasure(RenderRules(players=("sine",), views=3))
    rows = many.rows(scale(), "00ff")
    assert rows.shape == (3, len(NAMES)) and many.names == NAMES
    assert len(np.unique(rows, axis=0)) == 3
    one = renderings.RenderMeasure(RenderRules(players=("sine",), views=1)).rows(scale(), "00ff")
    np.testing.assert_array_equal(rows[:1], one)


def test_levels_lie_within_the_bounds():
    peaks = [renderings.rendering(scale(), STILL, number)[0].peak_db for number in range(6)]
    assert all(STILL.quietest_db - 0.01 <= peak <= 0.01 for peak in peaks)
    assert max(peaks) - min(peaks) > 2


def test_keys_and_speeds_are_varied_and_the_score_is_left_alone():
    score = scale()
    before = score.copy()
    rules = RenderRules(players=("sine",), own_program=1.0, noise=0.0, muffled=0.0, views=6)
    rows = renderings.RenderMeasure(rules).rows(score, "1")
    assert np.ptp(rows[:, CENTROID]) > 50
    assert len(np.unique(rows[:, TEMPO])) > 2
    assert score == before


def test_muffling_takes_away_the_treble_only():
    noise = np.random.default_rng(0).standard_normal(spectra.RATE_HZ * 2).astype(np.float32)
    low = renderings.muffled(noise, 3_000.0, 2)
    before, after = (np.abs(np.fft.rfft(samples)) for samples in (noise, low))
    hz = np.fft.rfftfreq(len(noise), 1 / spectra.RATE_HZ)
    assert after[(hz > 50) & (hz < 1_000)].mean() == pytest.approx(before[(hz > 50) & (hz < 1_000)].mean(), rel=0.03)
    assert after[(hz > 5_900) & (hz < 6_100)].mean() == pytest.approx(before[(hz > 5_900) & (hz < 6_100)].mean() / np.sqrt(17), rel=0.1)
    assert len(low) == len(noise) and low.dtype == np.float32


def test_programs_are_those_of_the_rules():
    rules = RenderRules(programs=(48,), own_program=0.0)
    chance = np.random.default_rng(0)
    assert {track.program for track in renderings._varied(scale(), rules, chance).tracks} == {48}


@pytest.mark.parametrize(("seconds", "why"), [(5.0, "too short"), (0.0, "too short")])
def test_pieces_that_are_too_short_are_refused(seconds, why):
    with pytest.raises(UsageError, match=why):
        renderings.RenderMeasure(STILL).rows(scale(seconds), "1")


def test_excerpts_with_few_notes_are_refused():
    sparse = scale(30.0, bpm=40.0)
    with pytest.raises(UsageError, match="too few notes"):
        renderings.RenderMeasure(STILL).rows(sparse, "1")


def test_without_fluidsynth_the_sampler_plays(monkeypatch):
    monkeypatch.setattr(renderings.soundfont, "fluidsynth_available", lambda: False)
    rules = RenderRules(players=("fluidsynth",))
    assert renderings.rendering(scale(20.0), rules, 1)[1] == "sampler"
    assert renderings.RenderMeasure(rules).settings()[-1] is False


def test_the_names_of_the_known_table_come_first():
    assert NAMES[: len(TABLE_NAMES)] == TABLE_NAMES
