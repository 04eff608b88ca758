"""What sound files say of themselves: in every format, in any language, with the same bytes each time, and nothing lost of the sound."""

import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.audio import Waveform, files, tags
from kapelle.errors import Missing, UnknownName, UnreadableInput, UsageError

NAMES = ("a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3")
SAID = {
    "title": "Бодрый джаз, ♪ déjà vu",
    "artist": "musicgen-small",
    "album": "Sounds",
    "genre": "Jazz",
    "comment": "An uplifting jazz song\nthat makes your head shake; seed 7",
    "copyright": "CC BY-NC 4.0: not for money; name the authors",
    "license": "https://creativecommons.org/licenses/by-nc/4.0/",
    "software": "Kapelle",
}


def sound(n_frames: int = 4801, n_channels: int = 1) -> Waveform:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (n_frames, n_channels))
    return Waveform(noise.astype(np.float32), 48_000)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_keeps_every_tag_in_any_language(tmp_path, name):
    files.write(tmp_path / name, sound(), tags=SAID)
    assert files.tags(tmp_path / name) == SAID


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("name", NAMES)
def test_tags_change_no_sample(tmp_path, name, bits):
    if bits == 32 and name != "a.wav":
        bits = 16
    files.write(tmp_path / "plain" / name, sound(), bits=bits)
    files.write(tmp_path / "tagged" / name, sound(), bits=bits, tags=SAID)
    plain, tagged = (files.read(tmp_path / folder / name) for folder in ("plain", "tagged"))
    np.testing.assert_array_equal(plain.samples, tagged.samples)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_of_the_greatest_length_is_kept(tmp_path, name):
    for text in ("x" * tags.MAX_CHARACTERS, "ж" * tags.MAX_CHARACTERS):
        files.write(tmp_path / name, sound(), tags={"comment": text, "license": "L"})
        assert files.tags(tmp_path / name) == {"comment": text, "license": "L"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_tags_give_the_same_bytes(tmp_path, name):
    for folder in ("first", "second"):
        files.write(tmp_path / folder / name, sound(), tags=SAID)
    assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_no_tags_are_no_tags(tmp_path, name):
    files.write(tmp_path / name, sound())
    plain = (tmp_path / name).read_bytes()
    assert files.tags(tmp_path / name) == {}
    files.write(tmp_path / name, sound(), tags={"title": ""})
    assert (tmp_path / name).read_bytes() == plain


def test_a_wav_is_still_one_to_other_readers(tmp_path):
    files.write(tmp_path / "a.wav", sound(4801, 1), bits=24, tags=SAID)  # an odd number of bytes of samples
    data = (tmp_path / "a.wav").read_bytes()
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    with wave.open(str(tmp_path / "a.wav")) as other:
        assert (other.getnframes(), other.getsampwidth(), other.getframerate()) == (4801, 3, 48_000)


def test_libsndfile_reads_what_we_write_into_wav_and_mp3(tmp_path):
    import soundfile

    short = {"title": "Бодрый", "artist": "musicgen-small", "comment": "Lo-fi funk"}
    for name in ("a.wav", "a.mp3"):
        files.write(tmp_path / name, sound(), tags=short)
        with soundfile.SoundFile(tmp_path / name) as file:
            found = file.copy_metadata()
        assert {key: found.get(key) for key in short} == short, name


def test_what_libsndfile_writes_into_wav_is_read(tmp_path):
    import soundfile

    with soundfile.SoundFile(tmp_path / "a.wav", "w", 48_000, 1, "PCM_16") as file:
        file.title, file.comment = "Étude", "one"
        file.write(np.zeros(10))
    assert files.tags(tmp_path / "a.wav") == {"title": "Étude", "comment": "one"}


def test_an_id3_tag_of_version_2_4_is_read(tmp_path):
    files.write(tmp_path / "a.mp3", sound())
    frames = b"".join(
        name + bytes([0, 0, 0, len(body)]) + b"\0\0" + body
        for name, body in (
            (b"TIT2", b"\x03\xc3\x89tude"),
            (b"TXXX", b"\x03OTHER\0no"),
            (b"TXXX", b"\x03License\0yes"),
            (b"TPE1", b"\x02\0A"),
        )
    )
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, len(frames) + 20]) + frames + bytes(20)
    (tmp_path / "b.mp3").write_bytes(tag + (tmp_path / "a.mp3").read_bytes())
    assert files.tags(tmp_path / "b.mp3") == {"title": "Étude", "license": "yes", "artist": "A"}


def test_an_unknown_tag_names_the_known_ones(tmp_path):
    with pytest.raises(UnknownName) as caught:
        files.write(tmp_path / "a.wav", sound(), tags={"licence": "x"})
    assert "did you mean license" in caught.value.hint
    with pytest.raises(UnknownName):
        files.write(tmp_path / "a.wav", sound(), tags={"date": "2024"})


@pytest.mark.parametrize("text", ["x" * (tags.MAX_CHARACTERS + 1), "a\0b", "a\x1bb", "\ud800"])
def test_what_is_no_text_or_too_much_is_refused_before_anything_is_written(tmp_path, text):
    with pytest.raises(UsageError):
        files.write(tmp_path / "a.wav", sound(), tags={"comment": text})
    assert not list(tmp_path.iterdir())


def test_tags_of_no_sound_are_errors(tmp_path):
    with pytest.raises(Missing):
        files.tags(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"RIFF\x10\0\0\0WAVEjunk")
    with pytest.raises(UnreadableInput):
        files.tags(tmp_path / "a.wav")


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVELIST\x40\0\0\0INFO", b"ID3\x03\0\0\0\0\x01\0", b"ID3\x04\0\0\0\0\x01\0TIT2"]),
)
def test_any_bytes_have_an_answer(tmp_path_factory, data, head):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + data)
    said = tags.read(path)
    assert tags.check(said) == said


@pytest.mark.parametrize("name", NAMES)
def test_what_other_programs_say_can_be_written_again(tmp_path, name, monkeypatch):
    with monkeypatch.context() as patch:  # as another program, which knows no such limits
        patch.setattr(tags, "check", dict)
        files.write(
            tmp_path / name,
            sound(),
            tags={"title": "x" * (tags.MAX_CHARACTERS + 5), "comment": "one\r\ntwo\rthree\x1b[0m", "genre": "\x07"},
        )
    said = files.tags(tmp_path / name)
    assert said == {"title": "x" * tags.MAX_CHARACTERS, "comment": "one\ntwo\nthree[0m"}
    files.write(tmp_path / f"again-{name}", sound(), tags=said)
    assert files.tags(tmp_path / f"again-{name}") == said
