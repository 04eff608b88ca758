"""The picture of before and after is what the sounds are."""

import numpy as np
import pytest

from kapelle.audio.waveform import Waveform
from kapelle.engraving import spectrograms
from kapelle.errors import UnknownName
from sounds import RATE_HZ, notes


def sine(hz):
    return Waveform(0.5 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32), RATE_HZ)


def test_a_tone_is_a_line_at_its_place():
    power = spectrograms.log_spectrogram(sine(1000.0))
    assert power.shape[0] == spectrograms.ROWS
    row = int(np.argmax(power[:, power.shape[1] // 2]))
    span = np.log2(RATE_HZ / 2 / spectrograms.LOWEST_HZ)
    assert 1.0 - (row + 0.5) / spectrograms.ROWS == pytest.approx(np.log2(1000.0 / spectrograms.LOWEST_HZ) / span, abs=0.01)


def test_what_was_taken_away_is_the_difference():
    first, second = sine(500.0), sine(5000.0)
    both = Waveform(first.samples + second.samples, RATE_HZ)
    assert np.allclose(spectrograms.log_spectrogram(both, minus=first), spectrograms.log_spectrogram(second), atol=1e-6)


def test_louder_is_lighter():
    greys = spectrograms.coloured(np.linspace(-100.0, 10.0, 50)) @ np.array([0.3, 0.59, 0.11])
    assert np.all(np.diff(greys) >= -0.5)


@pytest.mark.parametrize("seconds", [0.0001, 0.3])
def test_pictures_are_drawn(tmp_path, seconds):
    music = notes(0.5)
    wave = Waveform(music.samples[: max(round(seconds * RATE_HZ), 1)], RATE_HZ)
    svg = spectrograms.svg(wave, wave, title="a <b>")
    assert svg.count("<image") == 4
    assert "a &lt;b&gt;" in svg
    assert svg == spectrograms.svg(wave, wave, title="a <b>")
    out = spectrograms.draw(wave, wave, tmp_path / "a.svg")
    assert out.read_text(encoding="utf-8") == spectrograms.svg(wave, wave)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(UnknownName, match="picture format"):
        spectrograms.draw(sine(500.0), sine(500.0), tmp_path / "a.bmp")


@pytest.mark.parametrize("n_frames", [0, 1, 2])
def test_sounds_of_hardly_a_sample_have_a_picture_too(n_frames):
    wave = Waveform(np.zeros((n_frames, 2)), RATE_HZ)
    assert spectrograms.svg(wave, wave).startswith("<svg")
