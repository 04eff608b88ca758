"""``kapelle denoise``: sounds in, sounds out, what changed, and one clear line for every refusal."""

from pathlib import Path

import numpy as np
import pytest

from kapelle.audio import Waveform, files
from kapelle.audio.measures import snr_db
from sounds import mixed, noise, notes

MUSIC = notes(3.0, 16_000)


@pytest.fixture
def noisy(empty_home):
    files.write(Path("noisy.wav"), mixed(MUSIC, noise(MUSIC, 10)))
    return "noisy.wav"


def test_it_writes_beside_the_sound_and_tells_what_changed(run, noisy):
    answer = run("denoise", noisy)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "noisy-wiener.wav"
    assert "noise" in answer.out
    assert "1k" in answer.out
    assert snr_db(MUSIC, files.read(Path("noisy-wiener.wav"))) >= 15.0


def test_machines_get_numbers(run, noisy):
    answer = run("denoise", noisy, "-o", "out.flac", "--strength", 0.3, "--plot", "p.png", "--json")
    (told,) = answer.data["files"]
    assert told["file"] == "out.flac"
    assert told["strength"] == 0.3
    assert told["noise_before_db"] - told["noise_after_db"] == pytest.approx(9.0, abs=2.5)
    assert abs(told["octaves_db"]["250"]) < 0.5
    assert told["picture"] == "p.png"
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


def test_bits_that_one_of_several_cannot_hold_are_refused_before_anything_is_written(run, noisy):
    files.write(Path("second.flac"), MUSIC)
    answer = run("denoise", noisy, "second.flac", "-o", "clean", "--bits", 32)
    assert answer.code == 2
    assert "FLAC is written with 16 or 24 bits, not 32" in answer.err
    assert not Path("clean").exists()


def test_noise_that_becomes_silence_is_told_as_such(run, empty_home):
    hiss = np.random.default_rng(0).normal(scale=3e-6, size=(32_000, 1))
    files.write(Path("hiss.wav"), Waveform(hiss, 16_000), bits=24)
    answer = run("denoise", "hiss.wav", "--strength", 1, "--bits", 32)
    assert (answer.code, answer.err) == (0, "")
    assert "-111 dB -> silence" in answer.out


def test_several_go_into_a_folder(run, noisy):
    files.write(Path("second.ogg"), MUSIC)
    answer = run("denoise", noisy, "second.ogg", "-o", "clean")
    assert answer.code == 0
    names = ["noisy-wiener.wav", "second-wiener.wav"]
    assert sorted(path.name for path in Path("clean").iterdir()) == names


def test_a_bad_file_among_several_is_a_warning(run, noisy):
    Path("bad.wav").write_bytes(b"no sound")
    answer = run("denoise", noisy, "bad.wav", "-o", "clean")
    assert answer.code == 0
    assert "bad.wav" in answer.err
    assert Path("clean/noisy-wiener.wav").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nix.wav"], 4, "nix.wav"),
        (["noisy.wav", "--strength", "1.5"], 2, "0.0 to 1.0"),
        (["noisy.wav", "--method", "rnnoise"], 2, "wiener"),
        (["noisy.wav", "-o", "noisy.wav", "--force"], 2, "made from"),
        (["noisy.wav", "-o", "clean.aiff"], 2, "unknown sound format"),
        (["noisy.wav", "--plot=a.bmp"], 2, "picture format"),
        (["noisy.wav", "noisy.wav", "bad.txt", "-o", "one.wav"], 2, "share one file"),
        (["bad.txt"], 3, "not a sound"),
        ([], 2, "IN.wav"),
    ],
)
def test_refusals_are_one_line_with_an_exit_code(run, noisy, words, code, says):
    Path("bad.txt").write_text("no sound")
    answer = run("denoise", *words)
    assert answer.code == code
    assert says in answer.err
    assert len(answer.err.splitlines()) <= 2
    assert not Path("noisy-wiener.wav").exists()


def test_what_is_there_is_kept_without_force(run, noisy):
    Path("noisy-wiener.wav").write_bytes(b"old")
    answer = run("denoise", noisy)
    assert answer.code == 2
    assert "--force" in answer.err
    assert Path("noisy-wiener.wav").read_bytes() == b"old"
    assert run("denoise", noisy, "--force").code == 0


def test_it_speaks_russian(run, noisy):
    answer = run("denoise", noisy, "--lang", "ru")
    assert "шум" in answer.out
