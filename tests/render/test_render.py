"""`render`: the choice of synth, normalised, with a tail; and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import symusic

from kapelle.errors import NotEnoughMemory, UnknownName, UsageError
from kapelle.render import SYNTHS, render
from pieces import score, track


def piece() -> symusic.Score:
    return score(track(*((i * 240, 220, 60 + i, 80) for i in range(8))), track((0, 240, 36, 100), drums=True))


@pytest.mark.parametrize("synth", SYNTHS)
def test_the_peak_is_at_minus_1_decibel_and_the_tail_as_long_as_asked(synth):
    wave = render(piece(), synth)
    assert wave.peak_db == pytest.approx(-1.0, abs=1e-3)
    assert (wave.sample_rate, wave.n_channels) == (44_100, 2)
    assert wave.duration_s == pytest.approx((7 * 240 + 220) / 960 + 1.5, abs=1e-3)
    other = render(piece(), synth, sample_rate=22_050, tail_s=0.0, peak_db=-6.0)
    assert other.peak_db == pytest.approx(-6.0, abs=1e-3)
    assert other.duration_s == pytest.approx((7 * 240 + 220) / 960, abs=1e-3)


@pytest.mark.parametrize("synth", SYNTHS)
def test_silence_stays_silence(synth):
    assert render(score(), synth).peak == 0.0
    assert render(score(), synth, tail_s=0.0).n_frames == 0
    assert render(score(track((0, 960, 60, 0))), synth).duration_s == pytest.approx(2.5)


@pytest.mark.parametrize("synth", SYNTHS)
def test_what_has_its_volume_at_zero_is_silent(synth):
    mute = track(*((i * 480, 240, 60, 127) for i in range(8)))
    mute.controls.append(symusic.ControlChange(0, 7, 0))
    assert render(score(mute), synth).peak == 0.0


@pytest.mark.parametrize("synth", SYNTHS)
def test_rendering_changes_nothing_in_the_score(synth):
    given = piece()
    before = given.copy()
    render(given, synth)
    assert given == before


@pytest.mark.parametrize(
    "options",
    [{"sample_rate": 1_000}, {"sample_rate": 192_000}, {"tail_s": -1.0}, {"tail_s": 31.0}, {"peak_db": 3.0}, {"soundfont": Path("a.sf2")}],
)
def test_what_is_out_of_range_is_refused(options):
    with pytest.raises(UsageError):
        render(piece(), "sine", **options)


def test_an_unknown_synth_names_the_known_ones():
    with pytest.raises(UnknownName) as caught:
        render(piece(), "sines")
    assert caught.value.hint == "did you mean sine? known: soundfont, sine"


def test_a_piece_of_hours_is_refused_at_once():
    with pytest.raises(NotEnoughMemory, match="120 minutes"):
        render(score(track((0, 960 * 7200, 60, 100))))


def test_a_small_file_of_endless_notes_is_refused_at_once():
    made = score(*(track(*((0, 960 * 600, pitch, 90) for pitch in range(128))) for _ in range(4)))
    with pytest.raises(UsageError, match="512 notes sound at once"):
        render(made)


@pytest.mark.parametrize("synth", SYNTHS)
def test_hostile_but_valid_scores_are_rendered(synth):
    made = score(
        track(*((0, 20_000, 60, 127) for _ in range(30))),
        track(*((i, 0, i % 128, i % 128) for i in range(600)), program=127),
        track((0, 10, 0, 1), (0, 10, 127, 127), drums=True),
    )
    for number in (0, 7, 10, 11, 32, 64, 99, 121, 123):
        made.tracks[0].controls.append(symusic.ControlChange(5, number, 127))
    made.tracks[0].pitch_bends.append(symusic.PitchBend(0, 8191))
    assert np.isfinite(render(made, synth, sample_rate=11_025).peak)


@pytest.mark.skipif("KAPELLE_DATA" not in os.environ, reason="KAPELLE_DATA is not set")
@pytest.mark.parametrize("synth", SYNTHS)
def test_real_pieces_are_rendered(synth):
    paths = sorted(Path(os.environ["KAPELLE_DATA"]).glob("multitrack_free/freedoom*/*.mid"), key=lambda path: path.stat().st_size)
    if not paths:
        pytest.skip("the pack multitrack_free is not there")
    for path in [path for path in paths if path.stem != "dummy"][:3]:  # that one has its volume at 0
        assert render(symusic.Score(path), synth, sample_rate=22_050).rms_db > -50
