"""`kapelle imagine` with the real classes of all four families and few random weights, from the command line to the file."""

import re
from functools import partial
from urllib.parse import unquote

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
import tiny_audioldm2
import tiny_lumina
import tiny_musicgen
import tiny_stable_audio
from kapelle.audio import files
from kapelle.audio.loudness import loudness

FAMILIES = {
    "musicgen-small": (tiny_musicgen.save, 32_000, 1, ()),
    "audioldm2-music": (tiny_audioldm2.save, 16_000, 1, ("--steps", 2)),
    "stable-audio-open": (partial(tiny_stable_audio.save, n_latents=64), 44_100, 2, ("--steps", 2)),
    "lumina-music": (tiny_lumina.save, 16_000, 1, ("--steps", 2)),
}

pytestmark = pytest.mark.usefixtures("one_thread")


def complaints(err):
    """What was said on stderr, but for sounds of random weights that are all peaks."""
    return [line for line in err.splitlines() if not line.endswith("its peaks stand too high above the rest")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of folders, one for each model."""
    folder = tmp_path_factory.mktemp("weights")
    for name, (save, *_) in FAMILIES.items():
        save(folder / name)
    tiny_musicgen.save(folder / "musicgen-melody", melody=True)
    return folder


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sentence_becomes_a_sound_of_the_right_length_rate_level_and_licence(run, weights, empty_home, name):
    _, rate, channels, more = FAMILIES[name]
    words = ("imagine", "Lo-fi funk", "--model", name, "--weights", weights, "--duration", 1.5, "--seed", 3, *more)
    for out in ("a.wav", "b.wav"):
        answer = run(*words, "-o", out)
        assert answer.code == 0 and not complaints(answer.err), answer.err
    wave = files.read(empty_home / "a.wav")
    assert (wave.n_frames, wave.sample_rate, wave.n_channels) == (1.5 * rate, rate, channels)
    assert -26 < loudness(wave) < -13.8  # random weights make sound whose peaks are far above the rest
    assert wave.peak <= 10 ** (-1 / 20)
    assert (empty_home / "a.wav").read_bytes() == (empty_home / "b.wav").read_bytes()
    said = files.tags(empty_home / "a.wav")
    assert said["title"] == "Lo-fi funk"
    assert said["comment"].startswith(f"model={name}; seed=3; duration_s=1.5")
    assert "http" in said["license"]


def test_the_second_of_two_sounds_is_the_one_of_the_next_seed(run, weights, empty_home):
    words = ("imagine", "rock", "-m", "musicgen-small", "--weights", weights, "-d", 0.5)
    assert run(*words, "-n", 2, "-s", 5, "-o", "two").code == 0
    assert run(*words, "-s", 6, "-o", "one.wav").code == 0
    assert np.array_equal(files.read(empty_home / "two" / "rock-6.wav").samples, files.read(empty_home / "one.wav").samples)


def test_a_midi_file_conditions_musicgen(run, weights, song, empty_home):
    words = ("imagine", "rock", "-m", "musicgen-melody", "--weights", weights, "-d", 1, "-s", 5)
    assert run(*words, "-o", "plain.wav").code == 0
    answer = run(*words, "--melody", song, "-o", "led.wav")
    assert answer.code == 0 and not complaints(answer.err), answer.err
    assert not np.array_equal(files.read(empty_home / "plain.wav").samples, files.read(empty_home / "led.wav").samples)


def test_a_sound_is_gone_on_from(run, weights, empty_home):
    words = ("imagine", "rock", "-m", "musicgen-small", "--weights", weights, "-s", 5)
    assert run(*words, "-d", 1, "-o", "first.wav").code == 0
    assert run(*words, "-d", 1.5, "--continue", "first.wav", "-o", "more.wav").code == 0
    assert files.read(empty_home / "more.wav").duration_s == 1.5


def test_a_piece_becomes_the_sound_that_stable_audio_begins_from(run, weights, song, empty_home):
    words = ("imagine", "rock", "-m", "stable-audio-open", "--weights", weights, "-d", 1, "--steps", 4, "-s", 5)
    answer = run(*words, "--initial", song, "--strength", 0.5, "-o", "out.flac", "--denoise", "wiener", "--save-recipe")
    assert answer.code == 0
    assert sorted(path.name for path in empty_home.iterdir()) == ["out-wiener.flac", "out.flac", "out.json"]


def test_a_gallery_of_three_families_is_a_page_with_a_player_for_each_sound(run, weights, empty_home):
    (empty_home / "prompts.txt").write_text("Lo-fi funk\nCountry instrumental\n")
    words = ("imagine", "--gallery", "-o", "site", "--prompts", "prompts.txt", "--weights", weights, "-d", 0.5)
    answer = run(*words, "-m", "musicgen-small", "-m", "stable-audio-open", "-m", "lumina-music")
    assert answer.code == 0, answer.err
    page = (empty_home / "site" / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<audio [^>]*src="([^"]*)"', page)
    assert len(links) == 6
    for link in links:
        assert files.read(empty_home / "site" / unquote(link)).duration_s == 0.5


def test_a_self_test_tells_each_finding(run, weights):
    words = ("imagine", "--self-test", "--weights", weights)
    answer = run(*words)
    assert answer.code == 0, answer.err
    assert "same seed" in answer.out
    told = run(*words, "-m", "lumina-music", "--json").data
    assert (told["model"], told["passed"]) == ("lumina-music", True)
    assert {one["name"] for one in told["findings"]} >= {"length", "level", "same seed"}


def test_a_self_test_that_fails_says_what_is_wrong(run, weights, monkeypatch):
    from kapelle.text_audio import selftest

    found = selftest.Finding("level", False, "-90 dB at least")
    monkeypatch.setattr(selftest, "_findings", lambda model, sounds: (found,))
    answer = run("imagine", "--self-test", "--weights", weights, "-m", "lumina-music")
    assert answer.code == 3
    assert "error: lumina-music does not do what it should on this machine: level (-90 dB at least)" in answer.err


@pytest.mark.parametrize("name", ["musicgen-small", "audioldm2-music", "stable-audio-open"])
def test_weights_of_another_family_are_told_so(run, weights, name):
    others = weights / ("lumina-music" if name != "musicgen-small" else "stable-audio-open")
    answer = run("imagine", "rock", "-m", name, "--weights", others, "-d", 1, "-s", 1)
    assert answer.code in (3, 4), answer.err
    assert answer.err.startswith("error: ")
    assert "bug" not in answer.err
