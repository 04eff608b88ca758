"""Files are cleaned into files; what is there stays until its successor is whole."""

import numpy as np
import pytest

from kapelle import api
from kapelle.audio import denoise as denoisers
from kapelle.audio import files
from kapelle.audio.measures import snr_db
from kapelle.audio.waveform import Waveform
from kapelle.errors import Missing, UnknownName, UnreadableInput, UsageError
from sounds import mixed, noise, notes

MUSIC = notes(3.0, 16_000)


@pytest.fixture
def noisy(tmp_path):
    path = tmp_path / "noisy.wav"
    files.write(path, mixed(MUSIC, noise(MUSIC, 10)), tags={"title": "Rain"})
    return path


def test_a_file_gets_less_noise_and_keeps_its_tags(noisy, tmp_path):
    done = api.denoise_file(noisy, picture=tmp_path / "p.svg")
    assert done.path == tmp_path / "noisy-wiener.wav"
    assert snr_db(MUSIC, files.read(done.path)) >= 15.0
    assert files.tags(done.path)["title"] == "Rain"
    assert done.floor_after_db < done.floor_before_db - 10.0
    assert done.octaves_db[250.0] == pytest.approx(0.0, abs=0.5)
    assert (tmp_path / "p.svg").read_text().startswith("<svg")
    assert done.as_dict()["file"] == str(done.path)


def test_sounds_that_are_coded_become_wav(tmp_path):
    files.write(tmp_path / "a.ogg", MUSIC)
    files.write(tmp_path / "b.flac", MUSIC)
    plans = api.denoise_plans(tmp_path, tmp_path / "out", method="noisereduce", pictures=True)
    assert [plan.out.name for plan in plans] == ["a-noisereduce.wav", "b-noisereduce.flac"]
    assert plans[0].picture == tmp_path / "out" / "a-noisereduce.png"


def test_nothing_is_replaced_unasked(noisy, tmp_path):
    api.denoise_file(noisy)
    with pytest.raises(UsageError, match="exists already"):
        api.denoise_file(noisy)
    api.denoise_file(noisy, force=True)
    with pytest.raises(UsageError, match="made from"):
        api.denoise_file(noisy, noisy, force=True)


def test_an_interruption_keeps_the_old_file(noisy, tmp_path):
    out = tmp_path / "out.wav"
    out.write_bytes(b"old")

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.denoise_file(noisy, out, force=True, progress=stop)
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy.wav", "out.wav"]


def test_a_bad_file_among_others_is_told(noisy, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    done = list(api.denoise_files(api.denoise_plans([tmp_path / "bad.wav", noisy], tmp_path / "out")))
    assert isinstance(done[0].error, UnreadableInput)
    assert "error" in done[0].as_dict()
    assert done[1].path.exists()
    with pytest.raises(UnreadableInput, match="none of 2"):
        list(api.denoise_files(api.denoise_plans([tmp_path / "bad.wav", tmp_path / "nix.wav"], tmp_path / "out2")))


def test_refusals_come_before_any_work(noisy, tmp_path, monkeypatch):
    monkeypatch.setattr(denoisers, "denoise", lambda *a, **k: pytest.fail("work was begun"))
    for asked, error in (
        ({"method": "rnnoise"}, UnknownName),
        ({"strength": 1.5}, UsageError),
        ({"out": tmp_path / "a.xyz"}, UnknownName),
        ({"picture": tmp_path / "a.bmp"}, UnknownName),
    ):
        with pytest.raises(error):
            api.denoise_file(noisy, **asked)
    with pytest.raises(Missing, match="nix"):
        api.denoise_file(tmp_path / "nix.wav")
    with pytest.raises(UsageError, match="no sounds"):
        api.denoise_plans([])


def test_two_sounds_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.write(tmp_path / folder / "x.wav", MUSIC)
    with pytest.raises(UsageError, match="two sounds"):
        api.denoise_files(api.denoise_plans([tmp_path / "a", tmp_path / "b"], tmp_path / "out"))


def test_a_sound_too_short_to_tell_comes_back_and_says_so(tmp_path):
    files.write(tmp_path / "short.wav", Waveform(np.full((100, 1), 0.25, np.float32), 8_000))
    done = api.denoise_file(tmp_path / "short.wav")
    assert done.floor_before_db is None
    assert np.allclose(files.read(done.path).samples, 0.25, atol=1e-4)


def test_progress_covers_all_files(noisy, tmp_path):
    files.write(tmp_path / "second.wav", MUSIC)
    told = []
    plans = api.denoise_plans([noisy, tmp_path / "second.wav"], tmp_path / "out")
    list(api.denoise_files(plans, progress=lambda done, total: told.append(done / total)))
    assert told == sorted(told)
    assert told[-1] == 1.0
