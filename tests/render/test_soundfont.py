"""SoundFonts: both players, the files, and every kind of damage to them."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import symusic

from kapelle.errors import Missing, UnknownName, UnreadableInput
from kapelle.render import soundfont, soundfont_file
from kapelle.render.sampler import SamplerTones
from pieces import score, track

needs_fluidsynth = pytest.mark.skipif(not soundfont.fluidsynth_available(), reason="the FluidSynth library is not installed")
PLAYERS = ["sampler", pytest.param("fluidsynth", marks=needs_fluidsynth)]


@pytest.fixture(scope="module")
def bundled() -> bytes:
    return soundfont_file.bundled().read_bytes()


def spectrum_peak_hz(samples: np.ndarray) -> float:
    n = 1 << 19
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n))
    return float(spectrum[400 * n // 44_100 : 480 * n // 44_100].argmax() + 400 * n // 44_100) * 44_100 / n


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("program", [0, 19, 40, 56, 73])
def test_a4_is_at_440_hz(player, program):
    wave = soundfont.render(score(track((0, 960, 69, 100), program=program)), player=player)
    assert spectrum_peak_hz(wave.samples[:44_100, 0]) == pytest.approx(440.0, abs=3.0)  # recordings: within 12 cents


@pytest.mark.parametrize("player", PLAYERS)
def test_length_silence_velocity_and_pan(player):
    def play(*tracks: symusic.Track):
        return soundfont.render(score(*tracks), player=player)

    loud = play(track((0, 960, 60, 120)))
    assert loud.duration_s == pytest.approx(2.5)
    assert loud.samples[-1].tolist() == [0.0, 0.0]
    assert play(track((0, 960, 60, 40))).rms_db < loud.rms_db - 10
    assert play().peak == 0.0
    assert play(track()).duration_s == pytest.approx(1.5)
    left = track((0, 960, 60, 120))
    left.controls.append(symusic.ControlChange(0, 10, 0))
    channels = np.sqrt((play(left).samples[:40_000] ** 2).mean(axis=0))
    assert channels[0] > 3 * channels[1]


@pytest.mark.parametrize("player", PLAYERS)
def test_a_held_piano_note_dies_away_and_a_held_organ_note_does_not(player):
    def level(program: int, second: float) -> float:
        samples = soundfont.render(score(track((0, 960 * 4, 60, 100), program=program)), player=player).samples
        part = samples[int(second * 44_100) : int((second + 0.3) * 44_100)]
        return float(np.sqrt((part**2).mean()))

    assert level(0, 3.0) < 0.1 * level(0, 0.1)
    assert level(19, 3.0) > 0.5 * level(19, 0.5)


@pytest.mark.parametrize("player", PLAYERS)
def test_the_pedal_holds_a_note(player):
    held = track((0, 120, 60, 100), (1900, 20, 100, 1), program=0)
    plain = soundfont.render(score(held), player=player).samples
    held.pedals.append(symusic.Pedal(0, 1900))
    pedalled = soundfont.render(score(held), player=player).samples
    part = slice(int(1.0 * 44_100), int(1.4 * 44_100))
    assert np.abs(pedalled[part]).max() > 5 * np.abs(plain[part]).max()


@pytest.mark.parametrize("player", PLAYERS)
def test_every_family_and_drum_is_heard(player):
    tracks = [track((i * 480, 240, 60, 100), program=program) for i, program in enumerate(range(0, 128, 9))]
    pitches = (35, 38, 42, 46, 49, 51, 56)
    tracks += [track((7200 + i * 480, 240, pitch, 100), program=99 * (i % 2), drums=True) for i, pitch in enumerate(pitches)]
    loud = np.abs(soundfont.render(score(*tracks), player=player, sample_rate=22_050).samples).max(axis=1)
    for i in range(len(tracks)):
        at = int(i * 0.5 * 22_050)
        assert loud[at : at + 6_000].max() > 1e-3, tracks[i]


@pytest.mark.parametrize("player", PLAYERS)
def test_more_tracks_than_midi_has_channels_all_sound(player):
    tracks = [track((i * 240, 200, 40 + i, 100), program=i * 5) for i in range(24)]
    loud = np.abs(soundfont.render(score(*tracks), player=player).samples).max(axis=1)
    for i in range(24):
        at = int(i * 0.25 * 44_100)
        assert loud[at : at + 10_000].max() > 1e-3


@pytest.mark.parametrize("player", PLAYERS)
def test_the_same_score_gives_the_same_samples(player):
    piece = score(track(*((i * 100, 300, 50 + i % 30, 90) for i in range(40)), program=5), track((0, 240, 38, 90), drums=True))
    first, second = (soundfont.render(piece, player=player).samples for _ in range(2))
    np.testing.assert_array_equal(first, second)


@needs_fluidsynth
def test_our_player_and_fluidsynth_agree_on_when_and_how_loud():
    random = np.random.default_rng(0)
    notes = [(int(480 * i), 400, int(random.integers(45, 80)), int(random.integers(30, 120))) for i in range(24)]
    piece = score(track(*notes, program=0), track(*((i * 960, 100, 38, 100) for i in range(12)), drums=True))
    envelopes = []
    for player in ("sampler", "fluidsynth"):
        mono = soundfont.render(piece, player=player).samples.mean(axis=1)
        envelopes.append(np.sqrt((mono[: len(mono) // 2205 * 2205].reshape(-1, 2205) ** 2).mean(axis=1)))
    assert np.corrcoef(*envelopes)[0, 1] > 0.9


@needs_fluidsynth
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_plays_what_its_parent_played():
    lines = [
        "import os, signal",
        "from kapelle.render import soundfont",
        "from pieces import score, track",
        "def play(): return soundfont.render(score(track((0, 96, 60, 90))), player='fluidsynth').samples.tobytes()",
        "before, child = play(), os.fork()",
        "if not child:",
        "    signal.alarm(20)",
        "    os._exit(play() != before)",
        "assert os.waitpid(child, 0)[1] == 0",
    ]
    paths = os.pathsep.join(path for path in sys.path if path)
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60, env={**variables, "PYTHONPATH": paths})


@needs_fluidsynth
def test_fluidsynth_bends_and_keeps_a_repeated_note_apart():
    bent = track((0, 960, 69, 100), program=73)
    bent.pitch_bends.append(symusic.PitchBend(0, -8192))
    wave = soundfont.render(score(bent), player="fluidsynth").samples[:44_100, 0]
    n = 1 << 19
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), n))
    assert spectrum[300 * n // 44_100 : 600 * n // 44_100].argmax() * 44_100 / n + 300 == pytest.approx(392.0, abs=4.0)
    overlapping = track((0, 960, 60, 100), (480, 960, 60, 100), (480, 960, 60, 100), program=19)
    late = soundfont.render(score(overlapping), player="fluidsynth").samples[int(1.2 * 44_100) : int(1.4 * 44_100)]
    assert np.abs(late).max() > 0.01


def test_the_bundled_soundfont_is_found_without_importing_what_carries_it():
    import sys

    sys.modules.pop("pretty_midi", None)
    font = soundfont_file.load(soundfont_file.bundled())
    assert "pretty_midi" not in sys.modules
    assert len(font.presets()) > 128
    assert not font.compressed


def test_a_program_that_is_missing_is_played_by_its_family(bundled):
    font = soundfont_file.load(soundfont_file.bundled())
    assert font.find(-1) is not None
    assert all(font.find(program) is not None for program in range(128))


def test_a_missing_file_and_an_unknown_player_are_named(tmp_path):
    with pytest.raises(Missing, match="no SoundFont at"):
        soundfont.render(score(), tmp_path / "none.sf2")
    with pytest.raises(UnknownName):
        soundfont.render(score(), player="juke box")


@pytest.mark.parametrize(
    "content", [b"", b"MThd", b"this is no SoundFont" * 50, b"RIFF\x10\x00\x00\x00WAVEfmt ", b"RIFF\x04\x00\x00\x00sfbk"]
)
def test_what_is_no_soundfont_is_unreadable(tmp_path, content):
    (tmp_path / "bad.sf2").write_bytes(content)
    with pytest.raises(UnreadableInput, match="not a SoundFont"):
        soundfont.render(score(), tmp_path / "bad.sf2")


def test_a_soundfont_cut_anywhere_is_unreadable(tmp_path, bundled):
    path = tmp_path / "cut.sf2"
    for n_bytes in (11, 40, 400, len(bundled) // 2, len(bundled) - 200_000, len(bundled) - 5):
        path.write_bytes(bundled[:n_bytes])
        with pytest.raises(UnreadableInput):
            soundfont_file.load(path)


def test_any_damage_to_its_tables_gives_sound_or_one_clear_error(tmp_path, bundled):
    """Random bytes in the tables of presets: the player that was tried before this one ended the process at half of these."""
    path, tables = tmp_path / "damaged.sf2", bundled.rfind(b"pdta")
    piece = score(*(track(*((i * 50, 200, 30 + 9 * i, 100) for i in range(9)), program=p, drums=p == 9) for p in (0, 9, 40, 87)))
    heard = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        data = bytearray(bundled)
        for place in random.integers(tables, len(bundled), int(random.choice([1, 20, 400]))).tolist():
            data[place] = int(random.integers(0, 256))
        path.write_bytes(data)
        try:
            soundfont.render(piece, path, player="sampler")
            heard += 1
        except UnreadableInput:
            pass
    assert 0 < heard < 12


def make_soundfont(path: Path, *, zones: int = 1, mode: int = 1, sample_type: int = 1) -> Path:
    """A SoundFont of one preset: one period of a sine of 100 frames at 44.1 kHz (441 Hz), root key 69, looped."""
    wave = (20_000 * np.sin(2 * np.pi * np.arange(1000) / 100)).astype("<i2").tobytes() + bytes(92)

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    def named(text: bytes, form: str, *values: int) -> bytes:
        return text.ljust(20, b"\0") + struct.pack(form, *values)

    half = [[(44, (0 << 0) | (127 << 8)), (54, mode), (53, 0)]] if zones == 1 else [
        [(44, 0 | 63 << 8), (48, 200), (54, mode), (53, 0)], [(44, 64 | 127 << 8), (54, mode), (53, 0)],
    ]  # fmt: skip
    igen = b"".join(struct.pack("<HH", *pair) for zone in half for pair in zone) + bytes(4)
    starts = np.cumsum([0, *(len(zone) for zone in half)])
    sample = named(b"Sine", "<IIIIIBbHH", 0, 1000, 100, 900, 44_100, 69, 0, 0, sample_type)
    pdta = b"".join(
        [
            chunk(b"phdr", named(b"One", "<HHHIII", 5, 0, 0, 0, 0, 0) + named(b"EOP", "<HHHIII", 0, 0, 1, 0, 0, 0)),
            chunk(b"pbag", struct.pack("<HHHH", 0, 0, 1, 0)),
            chunk(b"pmod", bytes(10)),
            chunk(b"pgen", struct.pack("<HHHH", 41, 0, 0, 0)),
            chunk(b"inst", named(b"One", "<H", 0) + named(b"EOI", "<H", len(half))),
            chunk(b"ibag", b"".join(struct.pack("<HH", start, 0) for start in starts.tolist())),
            chunk(b"imod", bytes(10)),
            chunk(b"igen", igen),
            chunk(
                b"shdr",
                sample + named(b"EOS", "<IIIIIBbHH", *[0] * 9),
            ),
        ]
    )
    info = chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 4)))
    body = info + chunk(b"LIST", b"sdta" + chunk(b"smpl", wave)) + chunk(b"LIST", b"pdta" + pdta)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"sfbk" + body)
    return path


def test_a_looped_sample_of_our_own_goes_on_for_as_long_as_the_note(tmp_path):
    font = make_soundfont(tmp_path / "one.sf2")
    wave = soundfont.render(score(track((0, 1920, 69, 127), program=5)), font, player="sampler")
    middle = wave.samples[44_100:88_000, 0]
    assert np.abs(middle).max() == pytest.approx(np.abs(wave.samples[500:5000, 0]).max(), rel=0.01)
    n = 1 << 19
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), n))
    assert spectrum.argmax() * 44_100 / n == pytest.approx(441.0, abs=0.3)
    octave = soundfont.render(score(track((0, 1920, 81, 127), program=5)), font, player="sampler").samples[44_100:88_000, 0]
    assert np.abs(np.fft.rfft(octave * np.hanning(len(octave)), n)).argmax() * 44_100 / n == pytest.approx(882.0, abs=0.5)


def test_a_sample_without_a_loop_ends_by_itself(tmp_path):
    font = make_soundfont(tmp_path / "one.sf2", mode=0)
    wave = soundfont.render(score(track((0, 1920, 69, 127), program=5)), font, player="sampler")
    assert np.abs(wave.samples[:900]).max() > 0.05
    assert np.abs(wave.samples[1100:]).max() == 0.0


def test_velocity_zones_are_kept_apart_and_shared_tones_are_not_mixed_up(tmp_path):
    font = soundfont_file.load(make_soundfont(tmp_path / "two.sf2", zones=2))
    tones = SamplerTones(font, 44_100)
    soft, loud = (np.abs(tones.tone(5, 69, velocity, 4410).pieces(4410)[0]).max() for velocity in (63, 64))
    assert 20 * np.log10(loud / soft) == pytest.approx(0.4 * 20.0, abs=0.1)
    levels = [soundfont.render(score(track((0, 960, 69, v), program=5)), font.path, player="sampler").rms_db for v in (63, 64)]
    assert levels[1] - levels[0] == pytest.approx(8.0 + 1.7 * 20 * np.log10(64 / 63), abs=0.1)


def test_any_program_is_played_by_what_there_is(tmp_path):
    font = make_soundfont(tmp_path / "one.sf2")
    assert soundfont.render(score(track((0, 960, 69, 127), program=70)), font, player="sampler").peak > 0.05
    assert soundfont.render(score(track((0, 960, 38, 127), drums=True)), font, player="sampler").peak == 0.0


def test_a_compressed_soundfont_needs_fluidsynth(tmp_path, monkeypatch):
    font = make_soundfont(tmp_path / "one.sf3", sample_type=0x11)
    with pytest.raises(Missing, match="only FluidSynth"):
        soundfont.render(score(), font, player="sampler")
