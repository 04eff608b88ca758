from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.errors import UnreadableInput, UsageError
from kapelle.score.write import to_bytes
from kapelle.tokens import chords
from kapelle.tokens.chords import ChordSpec, Item

if TYPE_CHECKING:
    from kapelle.tokens.vocabulary import Vocabulary

C_MAJOR = (60, 64, 67)
FAITHFUL = ChordSpec(real_pitches=False, attributes=False, velocities=0, rare="drop", min_count=2)


def song(*hands: list[tuple[int, int, int, int]], tpq: int = 480, drums: bool = False) -> bytes:
    """MIDI of notes (onset, duration, pitch, velocity) in quarter notes by hand."""
    score = symusic.Score(tpq)
    for number, notes in enumerate(hands):
        track = symusic.Track(name=f"hand {number}", program=0, is_drum=drums)
        for onset, duration, pitch, velocity in notes:
            track.notes.append(symusic.Note(int(onset * tpq), int(duration * tpq), pitch, velocity))
        score.tracks.append(track)
    return to_bytes(score)


def words_of(music: list[Item], **changes: object) -> tuple[ChordSpec, Vocabulary]:
    spec = ChordSpec(**{"min_count": 1, **changes})  # type: ignore[arg-type]
    return spec, chords.vocabulary([music], spec)


def line(*pitches: int) -> list[Item]:
    return [Item((pitch,), 12, 12, 72) for pitch in pitches]


# --- reading ----------------------------------------------------------------------------------------------------------------------


def test_notes_of_one_hand_that_begin_and_end_together_are_one_chord_found_once() -> None:
    found = chords.items(song([(0, 1, pitch, 80) for pitch in C_MAJOR] + [(1, 2, 72, 80)]))
    assert found == [Item(C_MAJOR, 12, 12, 80), Item((72,), 24, 24, 80)]


def test_hands_stay_apart_and_items_stand_in_order_of_onset_and_then_of_the_lowest_pitch() -> None:
    found = chords.items(song([(0, 1, 72, 90), (1.5, 1, 74, 90)], [(0, 2, 48, 60), (0, 2, 52, 60), (2, 1, 50, 60)]))  # type: ignore[list-item]
    assert found == [
        Item((48, 52), 24, 0, 60), Item((72,), 12, 18, 90), Item((74,), 12, 6, 90), Item((50,), 12, 12, 60),
    ]  # fmt: skip


def test_onsets_and_durations_go_to_the_nearest_grid_step_and_last_at_least_one() -> None:
    found = chords.items(song([(0, 0.01, 60, 80), (0.26, 0.5, 62, 80), (1.02, 0.97, 64, 80)]))  # type: ignore[list-item]
    assert [(item.duration, item.offset) for item in found] == [(1, 3), (6, 9), (12, 12)]


def test_a_pitch_that_both_hands_begin_is_kept_once_with_the_longer_duration() -> None:
    assert chords.items(song([(0, 1, 60, 80)], [(0, 2, 60, 70)])) == [Item((60,), 24, 24, 70)]


def test_tempo_changes_are_ignored_and_drums_left_out() -> None:
    score = symusic.Score.from_midi(song([(0, 1, 60, 80), (1, 1, 62, 80)]))
    score.tempos.append(symusic.Tempo(240, qpm=30))
    assert [item.offset for item in chords.items(to_bytes(score))] == [12, 12]
    with pytest.raises(UnreadableInput, match="no notes to encode"):
        chords.items(song([(0, 1, 36, 80)], drums=True))


@pytest.mark.parametrize("data", [b"", b"MThd", b"no music at all", song([])])
def test_what_is_no_music_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(UnreadableInput):
        chords.items(data)


def test_the_notes_are_those_of_music21s_own_conversion() -> None:
    from music21 import converter

    draw = random.Random(3)
    hand = [(beat, 1, pitch, 80) for beat in range(16) for pitch in sorted(draw.sample(range(60, 80), draw.choice((1, 1, 3))))]
    data = song(hand)
    theirs = converter.parse(data, format="midi", quantizePost=False).stripTies()
    flat = [(float(each.offset), sorted(pitch.midi for pitch in each.pitches)) for each in theirs.flatten().notes]
    onset, ours = 0, []
    for item in chords.items(data):
        ours.append((onset / 12, list(item.pitches)))
        onset += item.offset
    assert ours == flat


# --- symbols ----------------------------------------------------------------------------------------------------------------------


def test_a_symbol_keeps_real_pitches_or_only_the_normal_order() -> None:
    assert chords.symbol((60, 64, 67), ChordSpec()) == "60.64.67"
    assert chords.symbol((64, 67, 72), FAITHFUL) == "pc.0.4.7"
    assert chords.symbol((64,), FAITHFUL) == "64"
    assert chords.symbol((48, 60), FAITHFUL) == "pc.0"


def test_a_pitch_class_sounds_in_the_octave_of_middle_c_and_upwards() -> None:
    assert chords.pitches_of("pc.0.4.7") == (60, 64, 67)
    assert chords.pitches_of("pc.7.11.2") == (67, 71, 74)
    assert chords.pitches_of("48.60") == (48, 60)


def test_normal_orders_are_those_of_music21() -> None:
    from music21.chord import Chord

    draw = random.Random(0)
    for _ in range(150):
        pitches = draw.sample(range(36, 84), draw.randrange(2, 7))
        assert list(chords.normal_order(pitches)) == list(Chord(pitches).normalOrder), pitches


# --- vocabulary -------------------------------------------------------------------------------------------------------------------


def test_every_rare_item_goes_and_every_frequent_one_stays_though_rare_ones_stand_side_by_side() -> None:
    music = line(60, 61, 61, 62, 63, 63, 60, 62, 60, 62)  # walking the list while removing from it would spare the second 61 and 63
    spec = ChordSpec(min_count=3, attributes=False)
    words = chords.vocabulary([music], spec)
    assert words.values("Symbol") == ("60", "62")
    found = chords.encode(music, spec, words)
    assert words.spell(found.ids) == [f"Symbol_{pitch}" for pitch in (60, 62, 60, 62, 60, 62)]
    assert found.dropped == 4


def test_ids_of_a_kind_stand_together_in_ascending_order() -> None:
    words = chords.vocabulary(
        [[Item(C_MAJOR, 1, 1, 64), *line(72, 60)]], ChordSpec(min_count=1, velocities=2, max_beats=1, composers=("bach",))
    )
    assert words.kinds == ("PAD", "BOS", "EOS", "Composer", "Symbol", "Duration", "Velocity", "Offset")
    assert words.values("Symbol") == ("60", "72", "60.64.67")
    assert words.values("Velocity") == ("1", "2")
    assert words.values("Offset") == tuple(str(step) for step in range(13))
    assert chords.notes_per_id(words) == [1, 1, 3]


def test_a_corpus_without_a_frequent_symbol_is_refused_and_the_threshold_named() -> None:
    with pytest.raises(UsageError, match="no symbol is seen 100 times; the most frequent one is seen 2 times") as caught:
        chords.vocabulary([line(60, 60, 62)], ChordSpec())
    assert "tokenizer.min_count" in caught.value.hint


def test_the_notes_of_rare_chords_count_for_the_notes() -> None:
    music = [Item((60, 64), 12, 12, 72), Item((60, 67), 12, 12, 72), *line(64)]
    assert chords.vocabulary([music], ChordSpec(min_count=2)).values("Symbol") == ("60", "64")
    with pytest.raises(UsageError):
        chords.vocabulary([music], ChordSpec(min_count=2, rare="drop"))


# --- ids --------------------------------------------------------------------------------------------------------------------------


def test_an_item_reads_symbol_duration_velocity_offset() -> None:
    spec, words = words_of([Item(C_MAJOR, 6, 24, 72)])
    assert words.spell(chords.encode([Item(C_MAJOR, 6, 24, 72)], spec, words).ids) == [
        "Symbol_60.64.67", "Duration_6", "Velocity_5", "Offset_24",
    ]  # fmt: skip


def test_a_rare_chord_becomes_its_notes_among_those_that_begin_with_them() -> None:
    music = [Item((48, 72), 12, 0, 72), Item((60,), 12, 12, 72), Item((48,), 12, 12, 72), Item((72,), 12, 12, 72)]
    spec = ChordSpec(min_count=1)
    words = chords.vocabulary([music[1:]], spec)
    found = chords.encode(music, spec, words)
    assert [(item.pitches, item.offset) for item in chords.decode(found.ids, spec, words)][:3] == [((48,), 0), ((60,), 0), ((72,), 12)]
    assert found.split == 1 and found.dropped == 0


def test_what_is_left_out_leaves_its_time_behind() -> None:
    spec = ChordSpec(min_count=2)
    words = chords.vocabulary([line(60, 60, 61)], spec)
    assert [item.offset for item in chords.decode(chords.encode(line(60, 61, 60), spec, words).ids, spec, words)] == [24, 12]


def test_durations_and_rests_beyond_the_longest_are_cut() -> None:
    spec, words = words_of(line(60), max_beats=2)
    assert chords.decode(chords.encode([Item((60,), 99, 99, 72)], spec, words).ids, spec, words)[0] == Item((60,), 24, 24, 72)


def test_unknown_symbols_of_a_seed_go_to_the_nearest_known_and_are_counted() -> None:
    spec, words = words_of([*line(60, 64, 67), Item((60, 67), 12, 12, 72)])
    seed = [*line(72, 61), Item((60, 64, 79), 12, 12, 72), *line(60)]
    found = chords.encode(seed, spec, words, to_nearest=True)
    assert [item.pitches for item in chords.decode(found.ids, spec, words)] == [(60,), (60,), (60,), (64,), (67,), (60,)]
    assert found.mapped == 3


def test_an_unknown_chord_of_pitch_classes_goes_to_the_one_that_shares_most() -> None:
    words = chords.vocabulary([[Item(C_MAJOR, 12, 12, 72), Item((62, 65, 69), 12, 12, 72)] * 2], FAITHFUL)
    assert words.spell(chords.nearest("pc.0.4.7.10", FAITHFUL, words)) == ["Symbol_pc.0.4.7"]
    assert chords.nearest("60", FAITHFUL, words) == []


def test_without_attributes_every_item_is_a_quarter_note() -> None:
    music = [Item(C_MAJOR, 3, 1, 20)] * 2 + line(60, 60)
    words = chords.vocabulary([music], FAITHFUL)
    found = chords.decode(chords.encode(music, FAITHFUL, words).ids, FAITHFUL, words)
    assert [(item.duration, item.offset) for item in found] == [(12, 12)] * 4 and found[0].pitches == C_MAJOR


ITEMS = st.lists(
    st.builds(Item, st.frozensets(st.integers(21, 108), min_size=1, max_size=5).map(lambda s: tuple(sorted(s))), st.integers(1, 96),
              st.integers(1, 96), st.integers(1, 127)), min_size=1, max_size=12)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ITEMS)
def test_items_come_back_but_for_the_loudness_within_its_level(music: list[Item]) -> None:
    spec, words = words_of(music, velocities=16)
    back = chords.decode(chords.encode(music, spec, words).ids, spec, words)
    assert [(item.pitches, item.duration, item.offset) for item in back] == [(item.pitches, item.duration, item.offset) for item in music]
    assert all(abs(one.velocity - other.velocity) <= 4 for one, other in zip(music, back, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_decoding_takes_any_ids(numbers: list[int]) -> None:
    spec, words = words_of([*line(60, 62), Item(C_MAJOR, 12, 12, 72)], max_beats=1)
    decoder = chords.Decoder(spec, words)
    found = [item for number in numbers if (item := decoder.feed(number % len(words)))]
    assert len(found) == len(chords.decode([number % len(words) for number in numbers], spec, words))
    assert all(len(track.notes) >= 0 for track in chords.to_score(found).tracks)


def test_a_score_of_items_has_their_notes_at_their_times() -> None:
    score = chords.to_score([Item(C_MAJOR, 12, 6, 72), Item((72,), 6, 6, 50)], bpm=90)
    assert [(n.time, n.duration, n.pitch, n.velocity) for n in score.tracks[0].notes] == [
        (0, 480, 60, 72), (0, 480, 64, 72), (0, 480, 67, 72), (240, 240, 72, 50),
    ]  # fmt: skip
    assert score.tempos[0].qpm == pytest.approx(90)


def test_reading_what_was_written_gives_the_same_items() -> None:
    music = [Item(C_MAJOR, 12, 12, 72), Item((55,), 24, 0, 40), Item((71,), 12, 12, 90)]
    assert chords.items(to_bytes(chords.to_score(music))) == music


def test_the_spec_comes_back_from_what_a_tokenizer_file_says() -> None:
    assert chords.spec_of({"codec": "chords", "spec": {"min_count": 7, "composers": ["bach"]}}) == ChordSpec(("bach",), min_count=7)
    assert np.all(np.array([chords.level_velocity(level, ChordSpec()) for level in range(1, 9)]) == [8, 24, 40, 56, 72, 88, 104, 120])
