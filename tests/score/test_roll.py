"""A score becomes cells and comes back: the rules one by one, round trips for both forms, what is counted as lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Score, TimeSignature

import pieces
from kapelle.errors import UnknownName, UsageError
from kapelle.score import roll, units
from kapelle.score.read import read
from kapelle.score.roll import FORMS, TRACKS, Form, Lost, Roll, from_score, to_score
from kapelle.score.write import to_bytes

TUTORIAL, PAPER = FORMS["tutorial"], FORMS["paper"]
STEP = {"tutorial": 120, "paper": 20}


def piano(*notes: tuple[int, int, int], program: int = 0, drums: bool = False) -> Score:
    """One track of (onset, duration, pitch), in ticks of 1/480 quarter."""
    return pieces.score(pieces.track(*((*note, 80) for note in notes), program=program, drums=drums))


def runs(cells: np.ndarray) -> dict[int, str]:
    """Row -> its steps as text, of a track (L, S, P)."""
    flat = cells.reshape(-1, cells.shape[-1]).T
    return {row: "".join(".#"[cell] for cell in line) for row, line in enumerate(flat.tolist()) if any(line)}


def notes(score: Score, i: int = 0) -> list[tuple[int, int, int]]:
    return [(note.time, note.duration, note.pitch) for note in score.tracks[i].notes]


def empty(form: Form, bars: int = 1) -> np.ndarray:
    return np.zeros((5, bars, form.steps_per_bar, form.n_pitches), np.bool_)


# --- forms, families ----------------------------------------------------------------------------------------------------


def test_the_two_forms_are_those_of_the_source() -> None:
    assert (TUTORIAL.steps_per_bar, TUTORIAL.n_pitches, TUTORIAL.lowest_pitch, TUTORIAL.top_pitch) == (16, 72, 24, 95)
    assert (PAPER.steps_per_bar, PAPER.n_pitches, PAPER.lowest_pitch, PAPER.top_pitch) == (96, 84, 24, 107)
    assert (TUTORIAL.detached, PAPER.detached) == (False, True)


@pytest.mark.parametrize("size", [(0, 72, 24), (18, 72, 24), (112, 72, 24), (16, 72, 25), (16, 105, 24), (16, 6, 24), (16, 72, -12)])
def test_a_form_that_cannot_be_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Form("odd", *size)


def test_every_program_has_its_family_or_none() -> None:
    found = {name: [p for p in range(-1, 128) if roll.family_of(p) == name] for name in TRACKS}
    assert found == {
        "drums": [-1],
        "piano": [*range(0, 8), *range(16, 24)],
        "guitar": list(range(24, 32)),
        "bass": list(range(32, 40)),
        "strings": list(range(40, 52)),
    }
    assert roll.family_of(73) is None
    assert {roll.family_of(program): name for name, program in roll.PROGRAMS.items()} == {name: name for name in TRACKS}


# --- from a score -------------------------------------------------------------------------------------------------------


def test_onsets_and_ends_go_to_the_nearest_step_halves_up() -> None:
    made, lost = from_score(piano((59, 480, 60), (60, 480, 62), (0, 10, 64), (1900, 20, 65)), TUTORIAL)
    assert runs(made.track("piano")) == {
        60 - 24: "####" + "." * 28,
        62 - 24: ".####" + "." * 27,
        64 - 24: "#" + "." * 31,
        65 - 24: "." * 16 + "#" + "." * 15,
    }
    assert (made.n_bars, lost) == (2, Lost(notes=4))


def test_a_score_of_another_resolution_and_with_thirds_of_a_tick_is_placed_alike() -> None:
    score = Score(96)
    score.tracks.append(pieces.track((0, 96, 60, 80), (96 * 3, 96, 62, 80)))
    assert runs(from_score(score, TUTORIAL)[0].track("piano")) == {36: "####" + "." * 12, 38: "." * 12 + "####"}
    assert runs(from_score(score, PAPER)[0].track("piano")) == {36: "#" * 23 + "." * 73, 38: "." * 72 + "#" * 23 + "."}


def test_a_repeated_note_rests_for_its_last_step_in_the_coarse_form() -> None:
    made, lost = from_score(piano((0, 480, 60), (480, 480, 60), (960, 120, 60), (1080, 240, 60)), TUTORIAL)
    assert runs(made.track("piano")) == {36: "###.###." + "###" + "." * 5}
    assert lost == Lost(notes=4, merged=1)  # the note of one step cannot rest: it and the one after it are heard as one


def test_a_note_that_leaves_a_gap_keeps_its_length_in_the_coarse_form() -> None:
    made, _ = from_score(piano((0, 360, 60), (480, 480, 60), (0, 480, 62)), TUTORIAL)
    assert runs(made.track("piano")) == {36: "###.####" + "." * 8, 38: "####" + "." * 12}


def test_every_note_rests_for_its_last_step_in_the_fine_form_and_single_steps_go() -> None:
    made, lost = from_score(piano((0, 100, 60), (100, 40, 60), (200, 20, 62), (300, 40, 64)), PAPER)
    assert runs(made.track("piano")) == {36: "####.#" + "." * 90, 40: "." * 15 + "#" + "." * 80}
    assert lost == Lost(notes=4, short=1)


def test_a_pitch_struck_while_it_sounds_ends_there() -> None:
    made, lost = from_score(piano((0, 1920, 60), (480, 480, 60)), TUTORIAL)
    assert runs(made.track("piano")) == {36: "###.####" + "." * 8}
    assert lost == Lost(notes=2)


def test_tracks_of_one_family_become_one_and_unisons_are_counted() -> None:
    score = pieces.score(
        pieces.track((0, 480, 40, 80), program=25),
        pieces.track((0, 960, 40, 80), (480, 480, 47, 80), program=30),
    )
    made, lost = from_score(score, TUTORIAL)
    assert runs(made.track("guitar")) == {16: "########" + "." * 8, 23: "....####" + "." * 8}
    assert lost == Lost(notes=3, merged=1)
    assert not made.cells[[TRACKS.index(name) for name in TRACKS if name != "guitar"]].any()


def test_other_instruments_go_where_they_are_sent() -> None:
    flute = piano((0, 480, 72), program=73)
    made, lost = from_score(flute, TUTORIAL)
    assert (made.track("strings").sum(), lost) == (4, Lost(notes=1, others=1))
    assert from_score(flute, TUTORIAL, others="piano")[0].track("piano").sum() == 4
    made, lost = from_score(flute, TUTORIAL, others="")
    assert (made.cells.shape, lost) == ((5, 0, 16, 72), Lost(notes=1, others=1))
    for wrong in ("drums", "flute"):
        with pytest.raises(UnknownName, match="track"):
            from_score(flute, TUTORIAL, others=wrong)


@pytest.mark.parametrize(
    ("pitch", "form", "row"), [(23, TUTORIAL, 11), (0, TUTORIAL, 0), (96, TUTORIAL, 60), (127, TUTORIAL, 67), (108, PAPER, 72)]
)
def test_pitches_out_of_range_move_by_octaves(pitch: int, form: Form, row: int) -> None:
    made, lost = from_score(piano((0, 480, pitch)), form)
    assert list(runs(made.track("piano"))) == [row]
    assert (lost.octaves, (row + 24 - pitch) % 12) == (1, 0)


def test_drums_are_onsets_on_their_own_numbers_and_alien_ones_are_dropped() -> None:
    made, lost = from_score(
        piano((0, 960, 36), (480, 960, 38), (480, 10, 38), (1800, 500, 22), (0, 9, 26), (0, 9, 100), (0, 9, 3), drums=True), TUTORIAL
    )
    assert runs(made.track("drums")) == {
        36 - 24: "#" + "." * 15,
        38 - 24: "...." + "#" + "." * 11,
        42 - 24: "." * 15 + "#",
        46 - 24: "#" + "." * 15,
    }
    assert lost == Lost(notes=7, drums=2, merged=1)


def test_ties_go_over_the_bar_line() -> None:
    made, _ = from_score(piano((1440, 960, 60)), TUTORIAL)
    assert made.cells.shape == (5, 2, 16, 72)
    assert runs(made.track("piano")) == {36: "." * 12 + "########" + "." * 12}
    assert notes(to_score(made), 1) == [(1440, 960, 60)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_empty_score_has_no_bars(form: Form) -> None:
    for score in (Score(480), pieces.score(pieces.track())):
        made, lost = from_score(score, form)
        assert (made.cells.shape, lost) == ((5, 0, form.steps_per_bar, form.n_pitches), Lost())
    back = to_score(made)
    assert [len(track.notes) for track in back.tracks] == [0] * 5
    assert len(to_score(made, keep_empty=False).tracks) == 0


def test_the_length_can_be_asked_for() -> None:
    score = piano((0, 480, 60), (1440, 960, 62), (3840, 480, 64))
    made, lost = from_score(score, TUTORIAL, bars=1)
    assert runs(made.track("piano")) == {36: "####" + "." * 12, 38: "." * 12 + "####"}
    assert lost == Lost(notes=3, late=1)
    made, lost = from_score(score, TUTORIAL, bars=7)
    assert (made.n_bars, lost) == (7, Lost(notes=3))
    for wrong in (-1, 4097):
        with pytest.raises(UsageError, match="0 to 4096 bars"):
            from_score(score, TUTORIAL, bars=wrong)


def test_a_piece_that_is_far_too_long_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(UsageError, match="not 500000"):
        from_score(piano((0, 480, 60), (1920 * 499_999, 480, 60)), PAPER)


def test_a_long_piece_is_no_trouble() -> None:
    score = piano(*((240 * i, 240, 40 + i % 40) for i in range(8 * 2000)))
    made, lost = from_score(score, TUTORIAL)
    assert (made.n_bars, int(made.cells.sum()), lost) == (2000, 2 * 16_000, Lost(notes=16_000))
    assert notes(to_score(made), 1) == notes(score)


@pytest.mark.parametrize("at", [0, 1920])
def test_another_metre_is_refused(at: int) -> None:
    score = piano((0, 480, 60), (3840, 480, 60))
    score.time_signatures.append(TimeSignature(at, 3, 4))
    with pytest.raises(UsageError, match=r"this piece is in 3/4") as told:
        from_score(score, TUTORIAL)
    assert "4/4" in told.value.hint


@pytest.mark.parametrize("at", [480, 1920])
def test_a_metre_after_the_last_note_makes_no_difference(at: int) -> None:
    score = piano((0, 480, 60))
    score.time_signatures.extend([TimeSignature(0, 4, 4), TimeSignature(at, 3, 4)])
    assert from_score(score, TUTORIAL)[0].n_bars == 1


def test_losses_add_up() -> None:
    assert Lost(notes=3, octaves=1) + Lost(notes=2, late=1) == Lost(notes=5, octaves=1, late=1)


def plain(score: Score, form: Form) -> dict[str, set[tuple[int, int]]]:
    """The rules in the plainest words: track -> (step, pitch) that sound."""
    out: dict[str, set[tuple[int, int]]] = {name: set() for name in TRACKS}
    step = 1920 / form.steps_per_bar
    for name in TRACKS[1:]:
        ends: dict[tuple[int, int], int] = {}
        for track in score.tracks:
            if not track.is_drum and (roll.family_of(track.program) or "strings") == name:
                for note in track.notes:
                    pitch = note.pitch
                    while pitch < form.lowest_pitch:
                        pitch += 12
                    while pitch > form.top_pitch:
                        pitch -= 12
                    start, end = (int(ticks / step + 0.5) for ticks in (note.time, note.time + note.duration))
                    ends[pitch, start] = max(end, start + 1, ends.get((pitch, start), 0))
        for (pitch, start), end in ends.items():
            later = [other for row, other in ends if row == pitch and other > start]
            following = min(later, default=10**9)
            end = min(end, following)
            if form.detached or (end == following and end - start > 1):
                end -= 1
            out[name] |= {(at, pitch) for at in range(start, end)}
    return out


strikes = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 900), st.integers(30, 36) | st.integers(0, 127)), max_size=25)


@settings(deadline=None, max_examples=60)
@given(strikes, strikes, st.sampled_from(list(FORMS.values())))
def test_cells_are_what_the_plain_rules_say(first: list[tuple[int, int, int]], second: list[tuple[int, int, int]], form: Form) -> None:
    score = pieces.score(*(pieces.track(*((*note, 80) for note in part), program=program) for part, program in ((first, 33), (second, 38))))
    made, lost = from_score(score, form)
    steps = np.argwhere(made.track("bass").reshape(-1, form.n_pitches))
    assert {(int(step), int(row) + form.lowest_pitch) for step, row in steps} == plain(score, form)["bass"]
    assert lost.notes == len(first) + len(second)


# --- to a score, and round ----------------------------------------------------------------------------------------------


def test_a_band_is_written_as_it_is_named() -> None:
    cells = empty(TUTORIAL)
    cells[:, 0, 0, 12] = True
    score = to_score(Roll(cells, TRACKS, TUTORIAL), bpm=90, programs={"piano": 4, "bass": 36, "drums": 25})
    assert [(track.name, track.program, track.is_drum) for track in score.tracks] == [
        ("Drums", 0, True), ("Piano", 4, False), ("Guitar", 25, False), ("Bass", 36, False), ("Strings", 48, False),
    ]  # fmt: skip
    assert [(item.time, item.numerator, item.denominator) for item in score.time_signatures] == [(0, 4, 4)]
    assert (score.tpq, units.bpm_at(score)) == (480, pytest.approx(90))
    assert [(note.time, note.duration, note.pitch, note.velocity) for note in score.tracks[1].notes] == [(0, 120, 36, 80)]
    assert [note.pitch for track in read(to_bytes(score)).tracks for note in track.notes] == [36] * 5


def test_tracks_are_carried_by_name_not_by_place() -> None:
    cells = np.zeros((2, 1, 16, 72), np.bool_)
    cells[0, 0, 3, 10] = cells[1, 0, 5, 20] = True
    made = Roll(cells, ("bass", "drums"), TUTORIAL)
    score = to_score(made)
    assert [(track.name, track.is_drum, track.notes[0].pitch) for track in score.tracks] == [("Bass", False, 34), ("Drums", True, 44)]
    back, _ = from_score(score, TUTORIAL)
    for name in made.tracks:
        assert (back.track(name) == made.track(name)).all()
    assert not back.track("piano").any()
    with pytest.raises(UnknownName, match="'piano'"):
        made.track("piano")


def test_empty_tracks_can_be_left_out() -> None:
    cells = empty(TUTORIAL)
    cells[2, 0, 0, 0] = True
    made = Roll(cells, TRACKS, TUTORIAL)
    assert [track.name for track in to_score(made, keep_empty=False).tracks] == ["Guitar"]
    assert len(to_score(made).tracks) == 5


def test_velocities_are_read_where_a_note_begins() -> None:
    cells = empty(TUTORIAL, 2)
    cells[1, 0, 2:5, 40] = cells[1, 1, 0, 41] = cells[0, 0, 0, 12] = True
    made = Roll(cells, TRACKS, TUTORIAL)
    loud = np.zeros(cells.shape, np.int64)
    loud[1, 0, 2, 40], loud[1, 0, 3, 40], loud[1, 1, 0, 41] = 33, 99, 300
    score = to_score(made, velocities=loud)
    assert [note.velocity for note in score.tracks[1].notes] == [33, 127]
    assert [note.velocity for note in score.tracks[0].notes] == [1]
    by_bar = to_score(made, velocities=np.array([40, 60]).reshape(2, 1, 1))
    assert [note.velocity for note in by_bar.tracks[1].notes] == [40, 60]


def test_drum_hits_stay_apart_and_end_before_the_next() -> None:
    cells = empty(PAPER)
    cells[0, 0, [0, 2, 95], 12] = True
    score = to_score(Roll(cells, TRACKS, PAPER))
    assert notes(score) == [(0, 40, 36), (40, 120, 36), (1900, 20, 36)]
    cells = empty(TUTORIAL)
    cells[0, 0, :4, 12] = True
    assert notes(to_score(Roll(cells, TRACKS, TUTORIAL))) == [(0, 120, 36), (120, 120, 36), (240, 120, 36), (360, 120, 36)]


def test_a_detached_note_gets_its_last_step_back_but_not_past_the_end() -> None:
    cells = empty(PAPER)
    cells[1, 0, 0:23, 36] = cells[1, 0, 72:96, 38] = True
    assert notes(to_score(Roll(cells, TRACKS, PAPER)), 1) == [(0, 480, 60), (1440, 480, 62)]


@pytest.mark.parametrize("bpm", [0, -1, 3.9, 3001, float("nan")])
def test_a_tempo_that_no_file_holds_is_refused(bpm: float) -> None:
    with pytest.raises(UsageError, match="a tempo is"):
        to_score(Roll(empty(TUTORIAL), TRACKS, TUTORIAL), bpm=bpm)


def test_a_program_that_is_none_is_refused() -> None:
    with pytest.raises(UnknownName, match="'128'"):
        to_score(Roll(empty(TUTORIAL), TRACKS, TUTORIAL), programs={"bass": 128})


@pytest.mark.parametrize("shape", [(5, 16, 72), (4, 1, 16, 72), (5, 1, 16, 84), (5, 1, 96, 72)])
def test_a_roll_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="a roll is bool"):
        Roll(np.zeros(shape, np.bool_), TRACKS, TUTORIAL)
    with pytest.raises(UsageError, match="uint8"):
        Roll(np.zeros((5, 1, 16, 72), np.uint8), TRACKS, TUTORIAL)
    with pytest.raises(UsageError, match="named twice"):
        Roll(np.zeros((2, 1, 16, 72), np.bool_), ("bass", "bass"), TUTORIAL)


def obeying(form: Form, bars: int, density: float, seed: int) -> np.ndarray:
    """Random cells that obey the rules of a form."""
    cells = np.random.default_rng(seed).random((5, bars, form.steps_per_bar, form.n_pitches)) < density
    for sent in roll.DRUM_MAP:
        if form.lowest_pitch <= sent <= form.top_pitch:
            cells[0, ..., sent - form.lowest_pitch] = False
    if form.detached and bars:
        cells[1:, -1, -1] = False
    return cells


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(list(FORMS.values())), st.integers(0, 5), st.sampled_from([0.0, 0.002, 0.05, 0.5, 0.95, 1.0]), st.integers(0, 2**31))
def test_what_obeys_the_rules_comes_back_cell_for_cell(form: Form, bars: int, density: float, seed: int) -> None:
    cells = obeying(form, bars, density, seed)
    score = to_score(Roll(cells, TRACKS, form))
    back, lost = from_score(score, form, bars=bars)
    assert (back.cells == cells).all()
    assert lost == Lost(notes=sum(len(track.notes) for track in score.tracks))
    assert units.end_ticks(score) <= bars * 1920


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_way_leads_through_a_file_too(form: Form) -> None:
    cells = obeying(form, 4, 0.1, 7)
    back, _ = from_score(read(to_bytes(to_score(Roll(cells, TRACKS, form)))), form)
    assert (back.cells == cells).all()


@settings(deadline=None, max_examples=30)
@given(strikes, st.sampled_from(list(FORMS.values())))
def test_a_second_time_through_the_grid_changes_nothing(raw: list[tuple[int, int, int]], form: Form) -> None:
    once, _ = from_score(piano(*raw), form)
    twice, lost = from_score(to_score(once), form, bars=once.n_bars)
    if not (form.detached and once.n_bars and once.cells[:, -1, -1].any()):
        assert (once.cells == twice.cells).all()
        assert lost == Lost(notes=lost.notes)
