"""REMI ids: they read as documented, survive the round trip, are safe to decode whatever they are, and count bars down truly."""

from __future__ import annotations

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.errors import BundleError, UnknownName, UnreadableInput
from kapelle.tokens import remi, vocabulary
from kapelle.tokens.controls import Controls, prefix

SPEC = remi.RemiSpec(genres=("pop", "jazz"))
BAND = remi.RemiSpec(genres=("pop",), programs=True)
WORDS = remi.vocabulary(SPEC)
BAND_WORDS = remi.vocabulary(BAND)


def make_score(notes: list[tuple[int, int, int, int]], metre: tuple[int, int] = (4, 4), tpq: int = 24) -> symusic.Score:
    score = symusic.Score(tpq)
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    score.tempos.append(symusic.Tempo(0, qpm=120))
    track = symusic.Track(program=0, is_drum=False)
    for note in notes:
        track.notes.append(symusic.Note(*note))
    score.tracks.append(track)
    return score


def notes_of(score: symusic.Score) -> list[tuple[int, int, int]]:
    return sorted((note.time, note.duration, note.pitch) for track in score.tracks for note in track.notes)


def test_vocabulary_holds_every_reserved_control() -> None:
    for name in ("PAD_None", "BOS_None", "EOS_None", "Genre_jazz", "Key_C-major", "Key_A-minor", "Bpm_120", "Instrument_drums",
                 "Composer_31", "BarsLeft_1", "BarsLeft_64", "BarsLeft_more", "Theme_start", "Theme_end", "Spare_15",
                 "TimeSig_6/8"):  # fmt: skip
        assert name in WORDS
    assert WORDS["PAD_None"] == 0


def test_one_bar_reads_as_documented() -> None:
    ids = remi.encode(make_score([(0, 24, 60, 79), (24, 12, 64, 79), (24, 12, 67, 79)]), SPEC, WORDS)
    assert WORDS.spell(ids) == [
        "Bar_None", "TimeSig_4/4", "BarsLeft_1",
        "Position_0", "Pitch_60", "Velocity_79", "Duration_1.0.12",
        "Position_12", "Pitch_64", "Velocity_79", "Duration_0.6.12", "Pitch_67", "Velocity_79", "Duration_0.6.12",
    ]  # fmt: skip


def test_countdown_counts_every_bar_down_to_one() -> None:
    ids = remi.encode(make_score([(96 * bar, 24, 60, 79) for bar in range(70)]), SPEC, WORDS)
    marks = [name for name in WORDS.spell(ids) if name.startswith("BarsLeft")]
    assert marks[:7] == ["BarsLeft_more"] * 6 + ["BarsLeft_64"]
    assert marks[-2:] == ["BarsLeft_2", "BarsLeft_1"]


def test_empty_bars_at_the_end_are_added_on_request() -> None:
    ids = remi.encode(make_score([(0, 24, 60, 79)]), SPEC, WORDS, n_bars=3, following=2)
    assert [name for name in WORDS.spell(ids) if name.startswith("BarsLeft")] == ["BarsLeft_5", "BarsLeft_4", "BarsLeft_3"]


def test_a_score_on_the_grid_survives_the_round_trip() -> None:
    notes = [(2 * i * 7 % 400, 2 * (1 + i % 24), 30 + i, 79) for i in range(60)]
    score = make_score(sorted(notes))
    assert notes_of(remi.decode(remi.encode(score, SPEC, WORDS), SPEC, WORDS).score) == notes_of(score)


def test_programs_and_drums_survive_the_round_trip() -> None:
    score = symusic.Score(24)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for program, drum, pitch in ((32, False, 40), (0, False, 60), (0, True, 38)):
        track = symusic.Track(program=program, is_drum=drum)
        track.notes.append(symusic.Note(0, 24, pitch, 79))
        score.tracks.append(track)
    decoded = remi.decode(remi.encode(score, BAND, BAND_WORDS), BAND, BAND_WORDS).score
    assert [(t.program, t.is_drum, t.notes[0].pitch) for t in decoded.tracks] == [(0, False, 60), (32, False, 40), (0, True, 38)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(WORDS) - 1), max_size=80))
def test_decoding_never_raises_and_counts_what_it_drops(ids: list[int]) -> None:
    decoded = remi.decode(ids, SPEC, WORDS)
    n_durations = sum(WORDS.names[i].startswith("Duration") for i in ids)
    assert len(notes_of(decoded.score)) <= n_durations
    assert decoded.dropped >= n_durations - len(notes_of(decoded.score))


def test_incomplete_notes_are_counted() -> None:
    ids = [WORDS[name] for name in ("Bar_None", "TimeSig_4/4", "Position_0", "Pitch_60", "Duration_1.0.12", "Duration_1.0.12")]
    assert remi.decode(ids, SPEC, WORDS).dropped == 2


def test_a_metre_without_token_is_refused() -> None:
    with pytest.raises(UnreadableInput, match="7/4"):
        remi.encode(make_score([(0, 24, 60, 79)], (7, 4)), SPEC, WORDS)


def test_a_spec_without_common_time_refuses_what_opens_in_it() -> None:
    spec = remi.RemiSpec(genres=(), metres=("3/4", "6/8"))
    score = make_score([(0, 24, 60, 79)], (3, 4))
    assert "TimeSig_3/4" in remi.vocabulary(spec).spell(remi.encode(score, spec, remi.vocabulary(spec)))
    score.time_signatures = []
    with pytest.raises(UnreadableInput, match="4/4"):
        remi.encode(score, spec, remi.vocabulary(spec))


def test_a_grid_of_durations_finer_than_that_of_onsets_survives_the_round_trip() -> None:
    spec = remi.RemiSpec(genres=(), positions_per_beat=4, coarse_steps=12)
    notes = [(i * 7, 96 + i, 60, 79) for i in range(20)]
    words = remi.vocabulary(spec)
    assert notes_of(remi.decode(remi.encode(make_score(notes, tpq=24), spec, words), spec, words).score.resample(24)) == [
        (2 * ((7 * i + 1) // 2), 96 + 2 * ((i + 1) // 2), 60) for i in range(20)
    ]


def test_any_name_may_be_a_genre() -> None:
    assert "Genre_hip_hop" in remi.vocabulary(remi.RemiSpec(genres=("hip_hop",)))


def test_notes_out_of_order_are_encoded_as_if_in_order() -> None:
    notes = [(24 * i, 12 + i, 60, 79) for i in range(20)]
    score, shuffled = make_score(notes), make_score(notes[::-1])
    for each in (score, shuffled):
        each.time_signatures.append(symusic.TimeSignature(96, 6, 8))
    assert np.array_equal(remi.encode(score, BAND, BAND_WORDS), remi.encode(shuffled, BAND, BAND_WORDS))


def test_a_score_without_notes_is_refused() -> None:
    with pytest.raises(UnreadableInput, match="no notes"):
        remi.encode(make_score([]), SPEC, WORDS)


def test_controls_stand_in_their_order_genre_first() -> None:
    ids = prefix(Controls("jazz", composer=2, key="A-minor", bpm=121.0), WORDS)
    assert WORDS.spell(ids) == ["Genre_jazz", "Composer_2", "Key_A-minor", "Bpm_120"]


def test_unknown_tokens_name_their_kind() -> None:
    with pytest.raises(UnknownName, match="Genre_polka"):
        WORDS["Genre_polka"]


def test_the_vocabulary_survives_its_file(tmp_path) -> None:
    vocabulary.save(WORDS, tmp_path / "t.json", {"codec": "remi"})
    words, rest = vocabulary.load(tmp_path / "t.json")
    assert words == WORDS
    assert rest == {"codec": "remi"}


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"tokens": [1]}', b'{"tokens": ["A_1", "A_1"]}', b'{"tokens": ["plain"]}'])
def test_a_damaged_tokenizer_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        vocabulary.parse(data)
