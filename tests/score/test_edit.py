"""Every change gives a new score and leaves the old one as it was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import ControlChange, KeySignature, Note, Pedal, Score, Tempo, TextMeta, TimeSignature, Track

from kapelle.errors import UsageError
from kapelle.score import edit, units
from kapelle.score.write import to_bytes

notes = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 2000), st.integers(0, 127), st.integers(1, 127)), max_size=40)


def piece(*tracks: list[tuple[int, int, int, int]], drums: bool = False, tpq: int = 480) -> Score:
    score = Score(tpq)
    for i, rows in enumerate(tracks):
        track = Track(f"t{i}", i, drums and i == len(tracks) - 1)
        for row in rows:
            track.notes.append(Note(*row))
        score.tracks.append(track)
    return score


def rows(score: Score, i: int = 0) -> list[tuple[int, int, int, int]]:
    return sorted((n.time, n.duration, n.pitch, n.velocity) for n in score.tracks[i].notes)


def test_transposing_leaves_drums_and_moves_the_key() -> None:
    score = piece([(0, 480, 60, 80)], [(0, 480, 36, 80)], drums=True)
    score.key_signatures.append(KeySignature(0, 0, 0))
    up = edit.transpose(score, 2)
    assert (rows(up)[0][2], rows(up, 1)[0][2], up.key_signatures[0].key) == (62, 36, 2)
    assert rows(score)[0][2] == 60
    assert edit.transpose(score, -2).key_signatures[0].key == -2


@pytest.mark.parametrize(
    ("pitch", "by", "expected"), [(120, 12, 120), (127, 1, 116), (0, -1, 11), (60, 0, 60), (126, 25, 127), (5, -17, 0)]
)
def test_notes_that_leave_the_range_come_back_by_octaves(pitch: int, by: int, expected: int) -> None:
    assert rows(edit.transpose(piece([(0, 1, pitch, 80)]), by)) == [(0, 1, expected, 80)]


def test_overlaps_are_cut_where_the_later_note_begins() -> None:
    score = piece([(0, 480, 60, 80), (240, 480, 60, 70), (240, 100, 60, 90), (0, 960, 64, 50)])
    assert rows(edit.resolve_overlaps(score)) == [(0, 240, 60, 80), (0, 960, 64, 50), (240, 480, 60, 90)]
    assert len(rows(score)) == 4


@settings(deadline=None)
@given(notes)
def test_resolved_overlaps_lose_no_onset_and_are_resolved(raw: list[tuple[int, int, int, int]]) -> None:
    score = edit.resolve_overlaps(piece(raw))
    found = rows(score)
    assert {(n[0], n[2]) for n in found} == {(n[0], n[2]) for n in raw}
    ends: dict[int, int] = {}
    for time, duration, pitch, _ in found:
        assert duration >= 1
        assert ends.get(pitch, 0) <= time
        ends[pitch] = time + duration
    assert rows(edit.resolve_overlaps(score)) == found


def test_cropping_cuts_at_both_ends_and_states_what_was_in_force() -> None:
    score = piece([(0, 480, 60, 80), (1900, 480, 62, 80), (1920, 5000, 64, 80), (3840, 480, 65, 80)])
    score.tempos.extend([Tempo(0, 90.0), Tempo(960, 60.0)])
    score.time_signatures.append(TimeSignature(0, 4, 4))
    score.markers.extend([TextMeta(1920, "B"), TextMeta(0, "A"), TextMeta(3840, "/B")])
    track = score.tracks[0]
    track.controls.extend(
        [ControlChange(0, 7, 100), ControlChange(5, 7, 90), ControlChange(6, 10, 64), ControlChange(2000, 7, 80), ControlChange(3840, 7, 1)]
    )
    track.pedals.extend([Pedal(1800, 300), Pedal(0, 100)])
    bar = edit.crop_bars(score, 1, 1)
    assert rows(bar) == [(0, 1920, 64, 80)]
    assert [(t.time, t.mspq) for t in bar.tempos] == [(0, 1_000_000)]
    assert units.metre_at(bar) == (4, 4)
    assert [(m.time, m.text) for m in bar.markers] == [(0, "B"), (1920, "/B")]
    assert [(c.time, c.number, c.value) for c in bar.tracks[0].controls] == [(0, 7, 90), (0, 10, 64), (80, 7, 80)]
    assert [(p.time, p.duration) for p in bar.tracks[0].pedals] == [(0, 180)]
    assert rows(edit.clip_to(score, 2000)) == [(0, 480, 60, 80), (1900, 100, 62, 80), (1920, 80, 64, 80)]


def test_cropping_nothing_is_refused() -> None:
    for first, n in ((-1, 1), (0, 0)):
        with pytest.raises(UsageError):
            edit.crop_bars(Score(480), first, n)


def test_joined_pieces_begin_on_bar_lines_and_keep_their_tempi() -> None:
    first, second = piece([(0, 100, 60, 80)]), piece([(0, 24, 62, 80)], tpq=24)
    first.tempos.append(Tempo(0, 60.0))
    second.time_signatures.append(TimeSignature(0, 3, 4))
    joined = edit.concat([first, second, first], gap_bars=1)
    assert rows(joined) == [(0, 100, 60, 80), (3840, 480, 62, 80), (3840 + 2880, 100, 60, 80)]
    assert [units.bpm_at(joined, tick) for tick in (0, 3840, 6720)] == [60.0, 120.0, 60.0]
    assert [units.metre_at(joined, tick) for tick in (0, 3840, 6720)] == [(4, 4), (3, 4), (4, 4)]
    with pytest.raises(UsageError):
        edit.concat([])


def test_joining_a_piece_with_itself_is_safe() -> None:
    score = piece([(0, 480, 60, 80)])
    assert rows(edit.concat([score, score])) == [(0, 480, 60, 80), (1920, 480, 60, 80)]


def test_resampling_rounds_both_ends_of_a_note() -> None:
    score = piece([(1, 480, 60, 80), (479, 481, 61, 80), (700, 3, 62, 80)])
    score.tempos.append(Tempo(479, 60.0))
    small = edit.resample(score, 4)
    assert rows(small) == [(0, 4, 60, 80), (4, 4, 61, 80), (6, 1, 62, 80)]
    assert (small.tpq, small.tempos[0].time) == (4, 4)
    for tpq in (0, 40_000):
        with pytest.raises(UsageError):
            edit.resample(score, tpq)


@settings(deadline=None)
@given(notes)
def test_resampling_to_a_multiple_and_back_changes_nothing(raw: list[tuple[int, int, int, int]]) -> None:
    score = piece([(time, max(duration, 1), pitch, velocity) for time, duration, pitch, velocity in raw])
    assert rows(edit.resample(edit.resample(score, 480 * 7), 480)) == rows(score)


def test_programs_are_set_by_track() -> None:
    score = piece([(0, 1, 60, 80)], [(0, 1, 60, 80)], [(0, 1, 60, 80)])
    changed = edit.set_programs(score, [40, None, -1])
    assert [(t.program, t.is_drum) for t in changed.tracks] == [(40, False), (1, False), (0, True)]
    for wrong in ([1, 2, 3, 4], [128], [-2]):
        with pytest.raises(UsageError):
            edit.set_programs(score, wrong)


def test_voices_are_dealt_by_register() -> None:
    chord = [(0, 960, 48, 80), (0, 960, 55, 80), (0, 960, 64, 80), (0, 960, 72, 80)]
    later = [(480, 480, 76, 80), (960, 480, 40, 80), (1440, 480, 70, 80)]
    drums = [(0, 480, 36, 80)]
    quartet = edit.split_voices(piece(chord + later, drums, drums=True), [40, 40, 41, 42])
    assert [[row[2] for row in rows(quartet, i)] for i in range(5)] == [[72, 76, 70], [64], [55], [48, 40], [36]]
    assert [(t.name, t.program, t.is_drum) for t in quartet.tracks][2:] == [("Viola", 41, False), ("Cello", 42, False), ("t1", 1, True)]
    alone = edit.split_voices(piece([(0, 480, 47, 80), (480, 480, 48, 80)]), [73, 0, 32])
    assert [[row[2] for row in rows(alone, i)] for i in range(3)] == [[48], [], [47]]
    duo = edit.split_voices(piece(chord), [73, 0])
    assert [[row[2] for row in rows(duo, i)] for i in range(2)] == [[72], [48, 55, 64]]


@settings(deadline=None)
@given(notes, st.lists(st.integers(0, 127), min_size=1, max_size=4))
def test_dealing_voices_keeps_every_note_once(raw: list[tuple[int, int, int, int]], programs: list[int]) -> None:
    dealt = edit.split_voices(piece(raw[::2], raw[1::2]), programs)
    assert [track.program for track in dealt.tracks] == programs
    assert sorted(row for i in range(len(programs)) for row in rows(dealt, i)) == sorted(raw)


def test_voices_need_one_to_four_programs() -> None:
    for wrong in ([], [1, 2, 3, 4, 5], [-1], [128]):
        with pytest.raises(UsageError):
            edit.split_voices(Score(480), wrong)


def test_tracks_without_notes_can_be_left_out() -> None:
    assert [track.name for track in edit.without_empty_tracks(piece([], [(0, 1, 60, 80)])).tracks] == ["t1"]


def test_no_change_touches_its_input() -> None:
    score = piece([(0, 480, 60, 80), (240, 480, 60, 80)], [(0, 480, 36, 80)], drums=True)
    before = to_bytes(score)
    edit.transpose(score, 3)
    edit.resolve_overlaps(score)
    edit.crop_bars(score, 0, 1)
    edit.concat([score, score])
    edit.resample(score, 12)
    edit.set_programs(score, [5, 5])
    edit.split_voices(score, [1, 2, 3])
    edit.shift(score, 99)
    assert to_bytes(score) == before
