"""Stems: one file per track, which add up to the piece; and the chunks that a page asks for."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import symusic

import scores
from kapelle import api
from kapelle.api.sound import stem_names
from kapelle.audio.effects import normalise_peak
from kapelle.errors import MidiError, NotEnoughMemory, UnknownName, UsageError
from kapelle.render import chunks, soundfont
from kapelle.score import write
from kapelle.score.read import read
from pieces import score, track


def midi(piece: symusic.Score) -> bytes:
    return write.to_bytes(piece)


def samples_of(sound: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
    assert rate == 44_100
    return samples


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_stems_add_up_to_the_piece_as_it_is_rendered(suffix):
    data = midi(scores.band())
    seen = []
    made = dict(api.stems(data, suffix, progress=lambda done, total: seen.append((done, total))))
    names = [f"0{n} {name}{suffix}" for n, name in enumerate(("Flute", "Clean electric guitar", "Strings", "Fingered electric bass"), 1)]
    assert [*made] == [*names, f"05 Drums{suffix}"]
    parts = [samples_of(sound) for sound in made.values()]
    assert len({part.shape for part in parts}) == 1
    whole = normalise_peak(soundfont.render(read(data), player="sampler"), -1.0).samples
    assert np.abs(sum(parts) - whole).max() < 1e-4
    assert min(np.abs(part).max() for part in parts) > 0.01
    assert seen[0] == (0, 10) and seen[-1] == (10, 10)


def test_names_are_safe_and_none_is_there_twice():
    names = ["../../etc/passwd", "../../etc/passwd", "<b>CON</b>", "", "CON", "я" * 300]
    piece = score(*(track((0, 480, 60, 100), name=name) for name in names))
    made = stem_names(piece, range(6))
    assert len(set(made)) == 6
    assert made[3] == "04 Acoustic grand piano"
    assert not any(sign in name for name in made for sign in '/\\<>:"|?*')
    assert all(len(name.encode()) < 200 and name == Path(name).name for name in made)


def test_tracks_without_notes_have_no_stem_and_a_piece_without_notes_has_none():
    assert len([*api.stems(midi(score(track(), track((0, 480, 60, 100)))))]) == 1
    with pytest.raises(UsageError, match="no notes"):
        api.stems(midi(score(track())))
    with pytest.raises(MidiError):
        api.stems(b"no MIDI")
    with pytest.raises(UnknownName, match="sound format"):
        api.stems(midi(scores.band()), ".mp3")
    with pytest.raises(NotEnoughMemory):
        api.stems(midi(score(track((0, 480, 60, 100), (480 * 2 * 3601, 480, 60, 100)))))


def test_the_zip_of_stems_has_the_same_bytes_again(tmp_path):
    source = tmp_path / "piece.mid"
    source.write_bytes(midi(scores.chorale()))
    out, names = api.stems_file(source, tmp_path / "a.zip", ".flac")
    again, _ = api.stems_file(source, tmp_path / "b.zip", ".flac")
    assert out.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == names
        assert archive.testzip() is None
    with pytest.raises(UsageError, match="exists already"):
        api.stems_file(source, out)


def test_a_page_gets_the_chunks_of_a_piece():
    data = midi(scores.band())
    assert api.piece_chunk(data, 4, 1) == chunks.flac(chunks.chunk(read(data), 4, 1))
    assert api.piece_chunk(data, 0, 0).startswith(b"fLaC")
    for number, k, error in ((5, 0, UnknownName), (-1, 0, UnknownName), (0, -1, UsageError)):
        with pytest.raises(error):
            api.piece_chunk(data, number, k)
    with pytest.raises(MidiError):
        api.piece_chunk(b"", 0, 0)
