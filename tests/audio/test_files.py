"""Sound files: round trips, sameness, and clear errors."""

import contextlib
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from kapelle.audio import Waveform, files
from kapelle.errors import Missing, StorageError, UnknownName, UnreadableInput, UsageError


def chord(rate: int = 44_100, seconds: float = 1.0) -> Waveform:
    t = np.arange(int(seconds * rate)) / rate
    shape = np.sin(np.pi * t / seconds)
    return Waveform(np.stack([0.5 * shape * np.sin(2 * np.pi * hz * t) for hz in (440, 660)], axis=1), rate)


@pytest.mark.parametrize(
    ("name", "bits", "bound"),
    [
        ("a.wav", 16, 2**-16),
        ("a.wav", 24, 2**-24),
        ("a.wav", 32, 0.0),
        ("a.flac", 16, 2**-16),
        ("a.flac", 24, 2**-24),
        ("A.WAV", 16, 2**-16),
    ],
)
def test_lossless_files_give_the_samples_back_to_the_last_bit_they_hold(tmp_path, name, bits, bound):
    wave = chord()
    assert files.write(tmp_path / name, wave, bits=bits) == 0
    back = files.read(tmp_path / name)
    assert (back.sample_rate, back.samples.shape) == (44_100, (44_100, 2))
    assert np.abs(back.samples - wave.samples).max() <= bound


@pytest.mark.parametrize(("name", "rate"), [("a.ogg", 44_100), ("a.opus", 48_000), ("a.mp3", 44_100)])
def test_lossy_files_sound_alike(tmp_path, name, rate):
    wave = chord()
    files.write(tmp_path / name, wave, quality=0.9)
    back = files.read(tmp_path / name)
    assert back.sample_rate == rate
    assert back.duration_s == pytest.approx(1.0, abs=0.001)
    for channel, hz in enumerate((440, 660)):
        spectrum = np.abs(np.fft.rfft(back.samples[:, channel]))
        assert spectrum.argmax() / back.duration_s == pytest.approx(hz, abs=2)
    assert back.rms_db == pytest.approx(wave.rms_db, abs=0.3)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.mp3"])
def test_the_best_quality_takes_more_bytes_than_the_least_and_both_can_be_read(tmp_path, name):
    sizes = []
    for quality in (0.0, 0.5, 1.0):
        files.write(tmp_path / name, chord(48_000, 0.5), quality=quality)
        assert files.read(tmp_path / name).n_frames == 24_000
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes == sorted(set(sizes))


def test_the_same_sound_gives_the_same_bytes_at_another_time(tmp_path):
    wave = chord(seconds=0.3)
    cases = [("a.wav", 16), ("b.wav", 32), ("c.flac", 24), ("d.ogg", 16), ("e.opus", 16), ("f.mp3", 16)]
    for folder in ("first", "second"):
        for name, bits in cases:
            files.write(tmp_path / folder / name, wave, bits=bits)
        time.sleep(1.05)  # the clock that libsndfile writes counts seconds
    for name, _ in cases:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_a_long_ogg_does_not_overflow_the_encoder(tmp_path):
    files.write(tmp_path / "long.ogg", Waveform(np.zeros((44_100 * 30, 2)), 44_100))
    assert files.read(tmp_path / "long.ogg").duration_s == pytest.approx(30.0)


def test_a_sound_without_frames_can_be_written_and_read(tmp_path):
    files.write(tmp_path / "a.wav", Waveform(np.zeros((0, 2)), 44_100))
    assert files.read(tmp_path / "a.wav").n_frames == 0


def test_clipped_samples_are_counted(tmp_path):
    loud = Waveform(np.array([[0.5], [1.5], [-2.0]]), 44_100)
    assert files.write(tmp_path / "a.wav", loud) == 2
    assert np.abs(files.read(tmp_path / "a.wav").samples).max() <= 1.0
    assert files.write(tmp_path / "b.wav", loud, bits=32) == 0
    assert files.read(tmp_path / "b.wav").peak == 2.0


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_samples_become_the_nearest_whole_numbers_and_never_wrap_round(tmp_path, suffix, bits):
    import soundfile

    top = 2 ** (bits - 1)
    steps = np.array([0.4, 0.6, -0.4, -0.6, 1.4, -1.4, -1e-6, top - 1, -top, top, 3 * top, -3 * top])
    n_clipped = files.write(tmp_path / f"a{suffix}", Waveform(steps / top, 48_000), bits=bits)
    written = soundfile.read(tmp_path / f"a{suffix}", dtype="int32")[0] >> (32 - bits)
    assert written.tolist() == [0, 1, 0, -1, 1, -1, 0, top - 1, -top, top - 1, top - 1, -top]
    assert n_clipped == 2  # full scale itself is not counted


@pytest.mark.parametrize("bits", [16, 24])
def test_wav_and_flac_hold_the_same_samples_without_an_offset_also_in_memory(tmp_path, bits):
    wave = chord(seconds=0.2)
    files.write(tmp_path / "a.wav", wave, bits=bits)
    files.write(tmp_path / "a.flac", wave, bits=bits)
    (tmp_path / "b.flac").write_bytes(files.flac_bytes(wave, bits=bits))
    sounds = [files.read(tmp_path / name).samples for name in ("a.wav", "a.flac", "b.flac")]
    assert np.array_equal(sounds[0], sounds[1])
    assert np.array_equal(sounds[0], sounds[2])
    assert abs(float((sounds[0] - wave.samples).mean(dtype=np.float64))) < 0.05 * 2.0 ** (1 - bits)


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_read_and_written_again_is_the_same_to_the_last_bit(tmp_path, suffix, bits):
    import soundfile

    top = 2 ** (bits - 1)
    whole = np.random.default_rng(0).integers(-top, top, 10_000)
    whole[:4] = [-top, top - 1, 0, -1]
    soundfile.write(tmp_path / f"a{suffix}", (whole << (32 - bits)).astype(np.int32), 44_100, subtype=f"PCM_{bits}")
    files.write(tmp_path / f"b{suffix}", files.read(tmp_path / f"a{suffix}"), bits=bits)
    assert np.array_equal(soundfile.read(tmp_path / f"b{suffix}", dtype="int32")[0] >> (32 - bits), whole)


@pytest.mark.parametrize(("rate", "written"), [(384_000, 48_000), (192_001, 48_000), (192_000, 192_000), (4_000, 4_000)])
def test_a_rate_that_vorbis_does_not_know_is_resampled_and_does_not_end_the_process(tmp_path, rate, written):
    code = "import sys; from pathlib import Path; import numpy as np; from kapelle.audio import Waveform, files; "
    code += f"files.write(Path(sys.argv[1]), Waveform(np.zeros(({rate} // 100, 2)), {rate}))"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.ogg")], check=False).returncode == 0
    back = files.read(tmp_path / "a.ogg")
    assert (back.sample_rate, back.n_frames) == (written, -(-(rate // 100) * written // rate))


@pytest.mark.parametrize("name", ["a.wav", "b.wav", "a.flac", "a.ogg", "a.opus", "a.mp3"])
@pytest.mark.parametrize("n_frames", [0, 1, 2, 1151, 1152, 1153, 4096, 4097])
def test_every_length_comes_back_or_is_refused(tmp_path, name, n_frames):
    wave = Waveform(chord(48_000).samples[:n_frames], 48_000)
    if n_frames == 0 and name in ("a.flac", "a.opus", "a.mp3"):  # libsndfile would write what nobody can read
        with pytest.raises(UsageError, match="cannot hold a sound without samples"):
            files.write(tmp_path / name, wave)
        assert not list(tmp_path.iterdir())
        return
    files.write(tmp_path / name, wave, bits=32 if name == "b.wav" else 16, tags={"title": "Länge"})
    assert files.read(tmp_path / name).samples.shape == (n_frames, 2)


def test_an_unknown_suffix_names_the_known_ones(tmp_path):
    with pytest.raises(UnknownName) as caught:
        files.write(tmp_path / "a.aac", chord())
    assert ".flac" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "options"), [("a.wav", {"bits": 8}), ("a.flac", {"bits": 32}), ("a.mp3", {"quality": 2.0})])
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, options):
    with pytest.raises(UsageError):
        files.write(tmp_path / name, chord(), **options)


def test_five_channels_go_into_wav_but_not_into_mp3(tmp_path):
    wave = Waveform(np.zeros((100, 5)), 44_100)
    files.write(tmp_path / "a.wav", wave)
    with pytest.raises(UsageError, match="at most 2 channels"):
        files.write(tmp_path / "a.mp3", wave)


def test_folders_on_the_way_are_made_and_one_that_is_a_file_is_an_error(tmp_path):
    files.write(tmp_path / "new" / "a.wav", chord())
    with pytest.raises(StorageError):
        files.write(tmp_path / "new" / "a.wav" / "b.wav", chord())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    files.write(path, chord())
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        files.write(path, chord(seconds=0.1))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(Missing):
        files.read(tmp_path / "none.wav")


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"this is no sound" * 100, b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\x00\x00\x00" + b"\x00" * 40]
)
@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a"])
def test_what_is_no_sound_is_unreadable(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableInput):
        files.read(tmp_path / name)


def test_a_file_of_three_hours_is_refused_before_it_is_read(tmp_path):
    path, rate, n_bytes = tmp_path / "long.wav", 8_000, 8_000 * 2 * 3 * 3600
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + n_bytes) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16))
        file.write(b"data" + struct.pack("<I", n_bytes))
        file.truncate(44 + n_bytes)  # a hole: the file takes no space
    started = time.process_time()
    with pytest.raises(UnreadableInput, match="longer than 60 minutes"):
        files.read(path)
    assert time.process_time() - started < 0.5


def test_a_file_as_long_as_the_limit_is_read_and_one_frame_more_is_not(tmp_path):
    files.write(tmp_path / "a.wav", Waveform(np.zeros((8_000, 1)), 8_000))
    assert files.read(tmp_path / "a.wav", max_s=1.0).n_frames == 8_000
    with pytest.raises(UnreadableInput):
        files.read(tmp_path / "a.wav", max_s=0.999)


def test_a_float_file_with_nan_is_damaged(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.0]), 8_000, subtype="FLOAT")
    with pytest.raises(UnreadableInput, match="damaged"):
        files.read(tmp_path / "nan.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_any_damage_gives_a_sound_or_one_clear_error(tmp_path, name):
    files.write(tmp_path / name, chord(seconds=0.2))
    whole = (tmp_path / name).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(25):
        data = bytearray(whole[: int(random.integers(1, len(whole) + 1))])
        for place in random.integers(0, min(len(data), 200), 5):
            data[place] = int(random.integers(0, 256))
        (tmp_path / name).write_bytes(data)
        with contextlib.suppress(UnreadableInput):
            assert files.read(tmp_path / name).n_frames >= 0


def sweep(minutes: int, rate: int = 8_000) -> Waveform:
    """A tone for each minute, 100 Hz above the last."""
    times = np.arange(60 * rate) / rate
    return Waveform(np.concatenate([0.3 * np.sin(2 * np.pi * 100 * (number + 2) * times) for number in range(minutes)]), rate)


def pitches(parts: list[Waveform]) -> list[float]:
    return [float(np.abs(np.fft.rfft(part.samples[:, 0])).argmax() / part.duration_s) for part in parts]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_parts_are_the_middles_of_equal_pieces_of_the_file(tmp_path, name):
    files.write(tmp_path / name, sweep(5))
    parts = files.read_parts(tmp_path / name, 10.0, 5)
    assert [part.duration_s for part in parts] == [pytest.approx(10.0)] * 5
    assert pitches(parts) == pytest.approx([200, 300, 400, 500, 600], abs=1)


def test_of_a_short_file_there_is_one_part_and_parts_do_not_overlap(tmp_path):
    files.write(tmp_path / "a.wav", sweep(1))
    assert [part.duration_s for part in files.read_parts(tmp_path / "a.wav", 45.0, 3)] == [45.0]
    assert [part.duration_s for part in files.read_parts(tmp_path / "a.wav", 90.0, 3)] == [60.0]
    assert len(files.read_parts(tmp_path / "a.wav", 25.0, 3)) == 2


def test_a_file_of_three_hours_is_read_in_parts_without_being_in_memory(tmp_path):
    import resource

    import soundfile

    path = tmp_path / "long.wav"
    block = np.zeros((8_000 * 60, 1), np.float32)
    with soundfile.SoundFile(path, "w", 8_000, 1, subtype="PCM_U8") as file:
        for minute in range(180):
            block[:] = minute / 200
            file.write(block)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parts = files.read_parts(path, 30.0, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kilobytes; the whole would be 345 MB
    assert [float(part.samples.mean()) for part in parts] == pytest.approx([29.5 / 200, 89.5 / 200, 149.5 / 200], abs=0.01)
    with pytest.raises(UnreadableInput, match="longer than 60 minutes"):
        files.read(path)


def test_a_header_that_does_not_tell_the_length_is_read_to_the_end(tmp_path):
    files.write(tmp_path / "a.ogg", sweep(1))
    data = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "cut.ogg").write_bytes(data[: len(data) // 2])
    parts = files.read_parts(tmp_path / "cut.ogg", 10.0, 2)
    assert pitches(parts) == pytest.approx([200, 200], abs=1)


def test_a_flac_that_was_written_into_a_pipe_is_read_though_it_does_not_tell_its_length(tmp_path):
    files.write(tmp_path / "a.flac", chord())
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0  # 36 bits for the number of frames; 0 is unknown
    data[22:26] = bytes(4)
    (tmp_path / "pipe.flac").write_bytes(data)
    whole = files.read(tmp_path / "a.flac")
    assert np.array_equal(files.read(tmp_path / "pipe.flac").samples, whole.samples)
    (part,) = files.read_parts(tmp_path / "pipe.flac", 0.5, 1)
    assert np.array_equal(part.samples, files.read_parts(tmp_path / "a.flac", 0.5, 1)[0].samples)
    with pytest.raises(UnreadableInput, match="longer than"):
        files.read(tmp_path / "pipe.flac", max_s=0.5)


def test_a_name_that_libsndfile_cannot_be_told_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="bytes that are no letters"):
        files.write(tmp_path / "caf\udce9.wav", chord())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_as_such(tmp_path, monkeypatch):
    import shutil

    import soundfile

    def full(*args, **kwargs):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(StorageError, match="cannot write WAV sound"):
        files.write(tmp_path / "a.wav", chord())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000))
    with pytest.raises(StorageError, match="no space left"):
        files.write(tmp_path / "a.wav", chord())
    assert not list(tmp_path.iterdir())
