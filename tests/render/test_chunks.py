"""Sound in chunks: the chunks of all tracks, added up where they belong, are the piece."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
import symusic

import scores
from kapelle.errors import UnknownName, UsageError
from kapelle.render import chunks, soundfont_file
from kapelle.render.chunks import CHUNK_FRAMES, CHUNK_S, GAIN, RATE_HZ, KeptTones
from kapelle.render.mixing import mix
from kapelle.render.performance import perform
from kapelle.render.sampler import SamplerTones
from kapelle.score import units
from pieces import score, track

BAR = 1920  # two seconds at 120 bpm: one chunk


@dataclass(frozen=True)
class Told:
    """A note as composers tell it."""

    start_s: float
    duration_s: float
    pitch: int
    velocity: int = 100
    program: int = 0


@pytest.fixture(scope="module")
def tones() -> SamplerTones:
    return SamplerTones(soundfont_file.load(soundfont_file.bundled()), RATE_HZ)


def added_up(piece: symusic.Score) -> np.ndarray:
    n_chunks = chunks.n_chunks(units.duration_s(piece))
    out = np.zeros(((n_chunks + 20) * CHUNK_FRAMES, 2), dtype=np.float32)
    for number in range(len(piece.tracks)):
        for k in range(n_chunks):
            wave = chunks.chunk(piece, number, k)
            out[k * CHUNK_FRAMES : k * CHUNK_FRAMES + wave.n_frames] += wave.samples
    return out


def largest_difference(piece: symusic.Score, tones: SamplerTones) -> float:
    whole = mix(perform(piece), tones, 3.0).samples * GAIN
    assert np.abs(whole).max() > 0.01
    found = added_up(piece)
    assert not found[len(whole) :].any()
    return float(np.abs(found[: len(whole)] - whole).max())


def with_everything() -> symusic.Score:
    """A pedal, a swell, pans, a change of tempo, drums, a note over many chunks, one on every border, and a key struck again."""
    piano = track(*((beat * 480, 200, 60 + beat % 5, 90) for beat in range(40)), program=0)
    piano.pedals.extend([symusic.Pedal(480, 5 * 480), symusic.Pedal(20 * 480, 10 * 480)])
    strings = track((0, 9 * BAR, 48, 70), (BAR, 2 * BAR, 55, 80), (2 * BAR, 480, 55, 80), program=48)
    strings.controls.extend(symusic.ControlChange(i * 240, 11, 40 + i) for i in range(60))
    strings.controls.append(symusic.ControlChange(3 * BAR, 10, 20))
    on_borders = track(*((k * BAR, 960, 72, 100) for k in range(9)), program=73)
    drums = track(*((beat * 240, 60, 36 if beat % 4 == 0 else 42, 100) for beat in range(80)), drums=True)
    piece = score(piano, strings, track(program=3), on_borders, drums)
    piece.tempos.append(symusic.Tempo(6 * BAR, qpm=93.7))
    return piece


@pytest.mark.parametrize("make", [*scores.ALL.values(), with_everything], ids=[*scores.ALL, "everything"])
def test_the_chunks_of_all_tracks_add_up_to_the_piece(make, tones):
    assert largest_difference(make(), tones) < 1e-5


def test_a_note_on_a_border_begins_the_later_chunk_and_no_note_is_lost_or_heard_twice():
    piece = score(track((BAR, 480, 60, 100), (2 * BAR - 1, 480, 64, 100)))
    assert chunks.chunk(piece, 0, 0).peak == 0.0
    assert np.abs(chunks.chunk(piece, 0, 1).samples[:200]).max() > 0.0
    assert chunks.chunk(piece, 0, 2).peak == 0.0
    late = np.abs(chunks.chunk_of_notes([Told(np.nextafter(CHUNK_S, 0), 1.0, 60)], 0).samples)
    assert not late[:CHUNK_FRAMES].any() and late[CHUNK_FRAMES:].any()


def test_a_long_note_rings_through_chunks_that_are_silent_themselves(tones):
    piece = score(track((0, 10 * BAR, 60, 100), program=19))
    first = chunks.chunk(piece, 0, 0)
    assert first.duration_s == pytest.approx(20.0, abs=3.0)
    assert np.abs(first.samples[int(19.5 * RATE_HZ) :]).max() > 0.001
    assert [chunks.chunk(piece, 0, k).peak for k in range(1, 10)] == [0.0] * 9


def test_a_chunk_without_notes_is_short_and_can_be_decoded():
    for silent in (chunks.chunk(score(track()), 0, 0), chunks.chunk_of_notes([], 3), chunks.chunk(scores.band(), 0, 10_000)):
        samples, rate = soundfile.read(io.BytesIO(chunks.flac(silent)))
        assert (samples.shape, rate) == ((chunks.SHORTEST_FRAMES, 2), RATE_HZ)
        assert not samples.any()


def test_notes_as_they_are_told_sound_as_they_do_in_the_piece():
    told = [Told(beat * 0.5, 0.4, 60 + beat, program=0) for beat in range(8)]
    piece = score(track(*((beat * 480, 384, 60 + beat, 100) for beat in range(8)), program=0))
    for k in (0, 1):
        assert np.array_equal(chunks.chunk_of_notes(told, k).samples, chunks.chunk(piece, 0, k).samples)
    drums = [Told(0.0, 0.1, 36, program=-1)]
    assert np.array_equal(chunks.chunk_of_notes(drums, 0).samples, chunks.chunk(score(track((0, 96, 36, 100), drums=True)), 0, 0).samples)


def test_a_key_struck_again_in_the_next_chunk_ends_the_note_if_it_is_known():
    held, again = Told(0.0, 4.0, 60, program=19), Told(2.5, 1.0, 60, program=19)
    assert chunks.chunk_of_notes([held], 0).duration_s > 4.0
    assert chunks.chunk_of_notes([held, again], 0).duration_s < 3.5


def test_notes_can_sit_at_a_place():
    left, right = np.abs(chunks.chunk_of_notes([Told(0.0, 1.0, 60)], 0, pan=-0.5).samples).max(axis=0)
    assert left > 1.5 * right


def test_the_same_chunk_has_the_same_bytes_whatever_was_played_before():
    piece = with_everything()
    first = chunks.flac(chunks.chunk(piece, 1, 0))
    chunks._tones.cache_clear()
    for number in (4, 0, 3):
        chunks.chunk(piece, number, 2)
    assert chunks.flac(chunks.chunk(piece, 1, 0)) == first


def test_tones_are_kept_within_a_bound(tones):
    kept = KeptTones(tones, 2_000_000)
    for pitch in range(40, 80):
        kept.tone(0, pitch, 100, RATE_HZ // 4)
    assert 1_000_000 < kept.kept_bytes <= 2_000_000
    assert kept.tone(0, 79, 100, RATE_HZ // 4) is kept.tone(0, 79, 101, RATE_HZ // 8)
    large = kept.tone(0, 60, 100, 20 * RATE_HZ)
    assert large is not None and len(kept._kept) == 1


def test_what_cannot_be_played_is_refused():
    with pytest.raises(UnknownName):
        chunks.chunk(scores.band(), 5, 0)
    with pytest.raises(UnknownName):
        chunks.chunk(scores.band(), -1, 0)
    with pytest.raises(UsageError, match="numbered from 0"):
        chunks.chunk(scores.band(), 0, -1)
    with pytest.raises(UsageError, match="long notes"):
        chunks.chunk_of_notes([Told(i * 0.01, 3000.0, i) for i in range(100)], 0)
