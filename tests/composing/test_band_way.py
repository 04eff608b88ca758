"""A band plays phrases that belong together, does what it is asked, and ends on its bar line; every rule for its cells stands alone."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

import kapelle
from kapelle import api
from kapelle.bundles import load
from kapelle.composing import band_finish as finish
from kapelle.composing.band_path import between, form_of, path, slerp
from kapelle.composing.band_plan import Options
from kapelle.composing.events import BarDone, Done, NotesAdded, Progress
from kapelle.composing.request import ComposeRequest, Length, from_json
from kapelle.config import json_schema
from kapelle.errors import BundleError, CannotObey, Interrupted, UsageError
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.score import keys, units
from kapelle.score.read import read
from kapelle.score.roll import FORMS, PROGRAMS, TRACKS

MAJOR = (0, 2, 4, 5, 7, 9, 11)
EIGHTHS = finish.strike_places(32, 16)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of bands: of sixteenths, of 96 steps a bar, without latents of time, silent, and one that plays around a lead."""
    pytest.importorskip("onnx")
    import band_bundles as made

    folder = tmp_path_factory.mktemp("bundles")
    return {
        "band": str(made.build(folder / "band")),
        "fine": str(made.build(folder / "fine", form=FORMS["paper"])),
        "timeless": str(made.build(folder / "timeless", temporal=False)),
        "silent": str(made.build(folder / "silent", silent=TRACKS)),
        "around": str(made.build(folder / "around", conditional=True)),
    }


@pytest.fixture
def band(bundles: dict[str, str]) -> str:
    return bundles["band"]


def notes_of(score: symusic.Score) -> list[tuple[str, int, int, int, int]]:
    return [(track.name, note.time, note.duration, note.pitch, note.velocity) for track in score.tracks for note in track.notes]


def cells(text: str) -> np.ndarray:
    """Cells (T, P) from rows of pitches, the highest first: ``x`` sounds."""
    rows = [list(line.strip()) for line in text.strip().splitlines()]
    return (np.array(rows) == "x").T[:, ::-1]


# --- length, ending, degeneracy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["band", "fine", "timeless"])
@pytest.mark.parametrize("bars", [1, 2, 3, 4, 5, 8, 17])
def test_any_number_of_bars_is_met_and_the_piece_closes_on_its_bar_line(bundles: dict[str, str], model: str, bars: int) -> None:
    for seed in range(3):
        piece = kapelle.compose(model=bundles[model], bars=bars, seed=seed)
        score = read(piece.to_midi())
        assert piece.report.problems == ()
        assert piece.report.n_bars == bars
        assert piece.end_ticks == bars * 1920 == units.final_bar_line(score)
        assert not degeneracy(score, bars)
        assert max(note.end for track in score.tracks if not track.is_drum for note in track.notes) == piece.end_ticks


def test_the_longest_piece_is_composed_whole(band: str) -> None:
    piece = kapelle.compose(model=band, bars=512, seed=1)
    assert units.n_bars(piece.score) == 512
    assert piece.report.problems == ()


def test_seconds_become_whole_bars_and_other_lengths_are_refused(band: str) -> None:
    assert kapelle.compose(model=band, seconds=30, tempo=120, seed=1).report.n_bars == 15
    for length in ({"tokens": 100}, {"notes": 100}):
        with pytest.raises(CannotObey, match="whole bars"):
            kapelle.compose(model=band, seed=1, **length)
    with pytest.raises(CannotObey, match="at most 512"):
        kapelle.compose(model=band, seconds=3600, tempo=200, seed=1)


def test_what_stays_degenerate_is_tried_again_and_reported(bundles: dict[str, str]) -> None:
    report = kapelle.compose(model=bundles["silent"], bars=4, seed=1).report
    assert report.attempts == 16
    assert report.problems == report.first_failures == ("no notes",)


# --- the same bytes -----------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bytes_alone_among_many_and_in_any_process(band: str) -> None:
    wish = api.request(band, length=Length(6), seed=5, count=3)
    alone = [api.compose_one(wish.piece(number)).to_midi() for number in range(3)]
    assert [piece.to_midi() for piece in api.compose_many(wish)] == alone
    assert [piece.to_midi() for piece in api.compose_many(wish, processes=2)] == alone
    assert len(set(alone)) == 3


def test_a_recipe_makes_the_piece_again(band: str, tmp_path: Path) -> None:
    piece = kapelle.compose(model=band, bars=3, seed=5, key="E minor", instruments="drums,bass,organ", walk=0.8, dynamics=0.5)
    wish = kapelle.remake(piece.save_recipe(tmp_path / "a.json"))
    assert wish == piece.request == from_json(json.loads(json.dumps(piece.request.to_json())))
    assert api.compose_one(wish).to_midi() == piece.to_midi()


# --- what is asked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [str(key) for key in keys.ALL_KEYS])
def test_the_key_is_obeyed(band: str, key: str) -> None:
    piece = kapelle.compose(model=band, bars=8, seed=2, key=key)
    score = read(piece.to_midi())
    assert obedience.key(score, key).obeyed
    assert obedience.key(score, key).found.share_in_scale == 1.0
    assert piece.report.facts["key"] == key
    assert [signature.key for signature in score.key_signatures] == [keys.parse_key(key).sharps]


def test_without_a_key_it_is_c_major_or_a_minor_unless_it_may_leave_the_scale(band: str) -> None:
    outside = {False: 0, True: 0}
    for chromatic in outside:
        score = kapelle.compose(model=band, bars=8, seed=2, chromatic=chromatic).score
        outside[chromatic] = sum(note.pitch % 12 not in MAJOR for track in score.tracks if not track.is_drum for note in track.notes)
        assert score.key_signatures[0].key == 0
    assert outside[False] == 0 < outside[True]
    with pytest.raises(UsageError, match="chromatic"):
        kapelle.compose(model=band, bars=2, seed=2, chromatic=True, key="D")


def test_the_tempo_is_asked_for_or_drawn_by_the_seed(band: str, tmp_path: Path) -> None:
    import band_bundles

    assert obedience.tempo(kapelle.compose(model=band, bars=2, seed=1, tempo=77).score, 77).obeyed
    drawn = [kapelle.compose(model=band, bars=1, seed=seed).report.facts["tempo"] for seed in range(12)]
    assert all(100 <= bpm <= 120 for bpm in drawn)
    assert len(set(drawn)) > 3
    slow = band_bundles.build(tmp_path / "slow", bpm=66)
    assert kapelle.compose(model=str(slow), bars=1, seed=1).report.facts["tempo"] == 66


def test_who_plays_is_who_was_asked_for(band: str) -> None:
    programs = {"honky-tonk piano": 3, "drums": -1, "bass": 33}
    piece = kapelle.compose(model=band, bars=4, seed=1, instruments=",".join(programs))
    assert obedience.instruments(read(piece.to_midi()), programs.values()).obeyed
    assert obedience.instruments(kapelle.compose(model=band, bars=8, seed=1).score, PROGRAMS.values()).obeyed
    assert not kapelle.compose(model=band, bars=4, seed=1, instruments="drums").report.problems


@pytest.mark.parametrize(
    ("instruments", "why"), [("flute", "Flute"), ("bass,slap bass", "one bass"), ("violin,cello", "one strings"), ("kazoo", "kazoo")]
)
def test_instruments_that_the_band_has_not_are_refused(band: str, instruments: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        kapelle.compose(model=band, bars=2, seed=1, instruments=instruments)


@pytest.mark.parametrize(
    "options", [{"track": "bass"}, {"lead_track": "1"}, {"blend": 0.5}, {"walk": 1.5}, {"genre": "edm"}, {"metre": "3/4"}]
)
def test_options_that_mean_nothing_here_are_refused(band: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        kapelle.compose(model=band, bars=2, seed=1, **options)


def test_a_band_neither_extends_nor_joins_a_band_nor_plays_around_nothing(bundles: dict[str, str]) -> None:
    song = kapelle.compose(model=bundles["band"], bars=2, seed=1).to_midi()
    with pytest.raises(CannotObey, match="neither extends"):
        kapelle.extend(song, model=bundles["band"], bars=2, seed=1)
    with pytest.raises(CannotObey, match="band already"):
        kapelle.compose(model=bundles["band"], bars=2, seed=1, band=True)
    with pytest.raises(CannotObey, match="given to it"):
        kapelle.compose(model=bundles["around"], bars=2, seed=1)


def test_options_describe_themselves_in_both_languages() -> None:
    for described in json_schema(Options)["properties"].values():
        assert described["x-label"]["ru"] != described["x-label"]["en"]


# --- velocities ---------------------------------------------------------------------------------------------------------


def test_velocities_are_those_of_players(band: str) -> None:
    piece = kapelle.compose(model=band, bars=8, seed=1)
    for track in piece.score.tracks:
        velocities = np.array([note.velocity for note in track.notes])
        beats = np.array([note.time % 1920 for note in track.notes])
        assert velocities.min() >= 20
        assert velocities.max() <= 120
        assert len(set(velocities.tolist())) > 5
        assert velocities[beats == 0].mean() > velocities[beats % 480 != 0].mean() + 5


def test_without_dynamics_every_track_has_one_velocity(band: str) -> None:
    score = kapelle.compose(model=band, bars=4, seed=1, dynamics=0).score
    assert {track.name: {note.velocity for note in track.notes} for track in score.tracks} == {
        "Drums": {82}, "Piano": {72}, "Guitar": {68}, "Bass": {80}, "Strings": {60},
    }  # fmt: skip


# --- the way through the latents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "form"),
    [(1, "A"), (2, "A A1"), (3, "A B A1"), (4, "A A1 B A1"), (5, "A A1 B A1 A"), (7, "A A1 B A1 A2 C A3"), (8, "A A1 B A1 A2 A3 C A3")],
)
def test_phrases_come_back_and_the_last_is_at_home(n: int, form: str) -> None:
    assert " ".join(place.label for place in form_of(n)) == form


def test_a_long_form_has_a_new_contrast_in_every_cycle() -> None:
    labels = [place.label for place in form_of(128)]
    assert len({label for label in labels if not label.startswith("A")}) == 32
    assert not {label for i, label in enumerate(labels) if i % 4 == 2} & {label for i, label in enumerate(labels) if i % 4 != 2}


def test_neighbouring_phrases_are_nearer_than_strangers() -> None:
    shapes = {"z": (32,), "z_t": (32,), "z_i": (5, 32), "z_it": (5, 32)}
    random = np.random.Generator(np.random.Philox(1))
    ways = list(path(shapes, form_of(64), 0.5, random))
    strangers = [next(path(shapes, form_of(1), 0.5, random)) for _ in range(64)]
    for name in shapes:
        walked = [float(np.linalg.norm(b[name] - a[name])) for a, b in pairwise(ways)]
        strange = [float(np.linalg.norm(b[name] - a[name])) for a, b in pairwise(strangers)]
        assert max(walked) == 0.0 if name in ("z", "z_i") else 0.0 < np.mean(walked) < 0.6 * np.mean(strange)
    lengths = [float(np.linalg.norm(way["z_t"])) / np.sqrt(32) for way in ways]
    assert min(lengths) > 0.6
    assert max(lengths) < 1.4


def test_without_walking_all_phrases_are_one(band: str) -> None:
    piece = kapelle.compose(model=band, bars=12, seed=1, walk=0, dynamics=0)
    bars = [
        {(track.name, note.time % 7680, note.pitch) for track in piece.score.tracks for note in track.notes if note.time // 7680 == phrase}
        for phrase in range(2)
    ]
    assert bars[0] == bars[1]


def test_a_phrase_that_comes_back_is_the_same_music_and_marked_so(band: str, tmp_path: Path) -> None:
    piece = kapelle.compose(model=band, bars=20, seed=1, dynamics=0)
    assert [mark.label for mark in piece.marks] == ["A", "A1", "B", "A1", "A"]
    assert [marker.text for marker in read(piece.to_midi()).markers][:3] == ["A", "/A", "A1"]
    picture = piece.plot(tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(f">{label}<" in picture for label in ("A", "A1", "B"))

    def bar(number: int) -> set[tuple[str, int, int]]:
        start = number * 1920
        return {
            (track.name, note.time - start, note.pitch)
            for track in piece.score.tracks
            for note in track.notes
            if start <= note.time < start + 1920
        }

    assert bar(5) == bar(13)
    assert bar(5) != bar(1)


def test_an_arc_keeps_to_the_sphere_and_meets_its_ends() -> None:
    first, last = np.eye(4, dtype=np.float32)[:2] * np.array([[2.0], [4.0]], np.float32)
    assert slerp(first, last, 0.0) == pytest.approx(first)
    assert slerp(first, last, 1.0) == pytest.approx(last, abs=1e-6)
    assert slerp(first, last, 0.5) == pytest.approx([3 / np.sqrt(2), 3 / np.sqrt(2), 0, 0])
    assert slerp(first, first, 0.3) == pytest.approx(first)
    assert slerp(first, -first, 0.5) == pytest.approx(0 * first)
    rows = np.stack([first, last])
    assert slerp(rows, rows[::-1], 0.25)[0] == pytest.approx(slerp(first, last, 0.25))
    assert between({"z": first}, {"z": last}, 1.0)["z"] is last


# --- between two seeds --------------------------------------------------------------------------------------------------


def test_the_way_between_two_seeds_begins_and_ends_with_their_pieces(band: str) -> None:
    row = api.interpolate(3, 8, count=5, model=band, bars=8)
    ends = [kapelle.compose(model=band, bars=8, seed=seed) for seed in (3, 8)]
    assert notes_of(row[0].score) == notes_of(ends[0].score)
    assert notes_of(row[-1].score) == notes_of(ends[1].score)
    assert [piece.request.options["blend"] for piece in row] == [0.0, 0.25, 0.5, 0.75, 1.0]
    tempi = [piece.report.facts["tempo"] for piece in row]
    assert tempi in (sorted(tempi), sorted(tempi, reverse=True))
    assert len({piece.to_midi() for piece in row}) == 5
    assert api.compose_one(row[2].request).to_midi() == row[2].to_midi()


def test_pieces_on_the_way_change_step_by_step(band: str) -> None:
    row = [
        {(track.name, note.time, note.pitch) for track in piece.score.tracks for note in track.notes}
        for piece in api.interpolate(3, 8, count=9, model=band, bars=8)
    ]

    def shared(a: set[Any], b: set[Any]) -> float:
        return len(a & b) / len(a | b)

    assert min(shared(a, b) for a, b in pairwise(row)) > shared(row[0], row[-1])


def test_a_row_of_pieces_is_one_picture(band: str, tmp_path: Path) -> None:
    paths = [piece.save(tmp_path / f"{i}.mid") for i, piece in enumerate(api.interpolate(3, 8, count=3, model=band, bars=3))]
    text = api.plot_row(paths, tmp_path / "row.svg", ["from", "half", "to"], title="3 to 8").read_text(encoding="utf-8")
    assert all(f">{label}<" in text for label in ("from", "half", "to", "3 to 8"))
    with pytest.raises(UsageError, match="exists"):
        api.plot_row(paths, tmp_path / "row.svg")


def test_a_way_has_two_ends(band: str) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        api.interpolate(3, 8, count=1, model=band)


# --- rules --------------------------------------------------------------------------------------------------------------


def test_drums_that_no_kit_has_are_left_out() -> None:
    made = finish.known_drums(np.ones((1, 72), bool), 24)
    assert [int(number) + 24 for number in np.flatnonzero(made[0])] == list(range(35, 82))


def test_a_bass_in_the_treble_comes_down_by_octaves_and_keeps_its_strength() -> None:
    scores = np.full((4, 72), -1.0, np.float32)
    scores[0, 76 - 24], scores[1, 40 - 24], scores[2, 26 - 24] = 3.0, 1.0, 2.0  # E5, E2, D1
    scores[0, 52 - 24] = 0.5  # where E5 comes down to
    cells, strength = finish.in_range(scores > 0, scores, 24, finish.RANGES["bass"])
    assert np.argwhere(cells).tolist() == [[0, 52 - 24], [1, 40 - 24], [2, 38 - 24]]
    assert strength[0, 52 - 24] == 3.0 and strength[2, 38 - 24] == 2.0
    assert finish.in_range(scores > 0, scores, 24, None)[0].sum() == 4


def test_no_range_is_shorter_than_an_octave() -> None:
    assert all(high - low >= 12 for low, high in finish.RANGES.values())


def test_of_too_many_hits_the_surest_stay() -> None:
    sure = np.array([[1.0, 5.0, 3.0, 5.0, -1.0]], np.float32)
    assert finish.strongest_hits(sure > 0, sure, 2).tolist() == [[False, True, False, True, False]]
    assert finish.strongest_hits(sure > 0, sure, 4).tolist() == (sure > 0).tolist()


def test_a_hole_is_filled_unless_a_note_is_struck_behind_it() -> None:
    made = finish.without_holes(cells("xx.xxxxxx.xx"), EIGHTHS[:12])
    assert (made == cells("xxxxxxxxx.xx")).all()


def test_a_blip_between_the_eighths_goes_if_it_is_unsure() -> None:
    played = cells("xxxx.x..x..x")
    sure = np.where(played, 4.0, -1.0).astype(np.float32)
    sure[5] = 1.0
    made = finish.without_blips(played, sure, EIGHTHS[:12], 16)
    assert (made == cells("xxxx....x..x")).all()


def test_a_sixteenth_that_is_alone_goes_and_one_with_company_stays() -> None:
    played = np.zeros((64, 30), bool)
    played[[0, 4, 20, 40], [0, 5, 12, 29]] = True  # the first two are a fourth and a quarter apart
    played[40:42, 20] = True
    made = finish.without_blips(played, played.astype(np.float32), np.ones(64, bool), 16)
    assert finish.notes_of(made).tolist() == [[0, 1, 0], [4, 5, 5], [40, 42, 20]]


def test_in_a_fine_grid_a_note_needs_a_thirty_second() -> None:
    played = cells("xx..x.......")
    made = finish.without_blips(played, played.astype(np.float32), finish.strike_places(12, 96), 96)
    assert (made == cells("xx..........")).all()


def test_a_note_outside_the_scale_leaves_a_chord_and_moves_in_a_line() -> None:
    # rows from C: C, C#, D, D#, E
    played = np.zeros((5, 5), bool)
    played[:2, [0, 3]] = True  # C and D# together
    played[3:, 3] = True  # D# alone
    sure = np.where(played, 2.0, -3.0).astype(np.float32)
    sure[3:, 4] = -1.0  # E is likelier than D
    made = finish.in_scale(played, sure, MAJOR, 24)
    assert made[:2].tolist() == [[True, False, False, False, False]] * 2
    assert made[3:].tolist() == [[False, False, False, False, True]] * 2


def test_of_too_many_notes_the_strongest_sound_and_none_is_cut_in_its_middle() -> None:
    played = cells(
        """
        xxxxxxxx
        ..xx....
        xx......
        .....xxx
        """
    )
    sure = played.astype(np.float32)
    sure[:, 2] *= 9  # the two cells of the second row are very sure
    made = finish.thinned(played, sure, 1)
    assert (
        made
        == cells(
            """
            xx......
            ..xx....
            ........
            .....xxx
            """
        )
    ).all()
    assert (finish.thinned(played, sure, 4) == played).all()


@pytest.mark.parametrize("seed", range(20))
def test_thinning_never_leaves_more_than_it_says_and_only_shortens_ends(seed: int) -> None:
    random = np.random.default_rng(seed)
    sure = random.normal(0, 1, (64, 24)).astype(np.float32)
    sure = np.repeat(sure, 3, axis=0)
    played, most = sure > 0.3, int(random.integers(1, 6))
    made = finish.thinned(played, sure, most)
    assert made.sum(axis=1).max() <= most
    assert not (made & ~played).any()
    begins = {(start, row) for start, _, row in finish.notes_of(played).tolist()}
    assert {(start, row) for start, _, row in finish.notes_of(made).tolist()} <= begins


def test_of_two_short_notes_that_clash_the_stronger_stays_and_long_ones_do_as_they_like() -> None:
    rules = finish.Rules(("drums", "piano", "strings"), 16, 24)
    played = np.zeros((3, 16, 24), bool)
    played[0, :, 5] = True  # drums have no tones
    played[1, 0:2, 4] = played[2, 0:2, 17] = True  # E and F an octave higher
    played[1, 4:6, 11] = played[2, 4:9, 0] = True  # B against a longer C, an octave apart and a semitone round the corner
    played[1, 9:15, 4] = played[2, 9:15, 5] = True  # both long
    sure = np.where(played, 1.0, -1.0).astype(np.float32)
    sure[1, 0:2] *= 2
    made = finish.agreeing(played, sure, rules)
    assert (made[0] == played[0]).all()
    assert finish.notes_of(made[1]).tolist() == [[0, 2, 4], [9, 15, 4]]
    assert finish.notes_of(made[2]).tolist() == [[4, 9, 0], [9, 15, 5]]


def test_a_short_note_gives_way_to_the_lead() -> None:
    played = np.zeros((1, 16, 12), bool)
    played[0, 0:2, 4] = played[0, 8:10, 4] = True
    heard = np.zeros((16, 12), bool)
    heard[0, 5] = True
    made = finish.agreeing(played, played.astype(np.float32), finish.Rules(("piano",), 16, 24), heard)
    assert finish.notes_of(made[0]).tolist() == [[8, 10, 4]]


def test_a_chopped_track_holds_its_notes_to_the_next_and_another_is_left_alone() -> None:
    made = finish.held(cells("x...x.....xx..x.\n..x.......x....."), 16)
    assert finish.notes_of(made).tolist() == [[0, 2, 1], [2, 4, 0], [4, 8, 1], [10, 14, 0], [10, 12, 1], [14, 16, 1]]
    sustained = cells("xxx.xxxx..xx..x.")
    assert (finish.held(sustained, 16) == sustained).all()


def test_a_held_note_leaves_a_step_before_its_own_pitch_is_struck_again() -> None:
    assert (finish.held(cells("x...x.x.x..."), 16) == cells("xxx.x.x.xxxx")).all()


def test_a_phrase_begins_anew() -> None:
    made = finish.begun_anew(cells("xxxxxxx\n...xxx."), 4)
    assert (made == cells("xxx.xxx\n...xxx.")).all()  # a note of one step keeps it


def test_the_last_bar_comes_to_rest() -> None:
    tracks = ("drums", "piano")
    played = np.zeros((2, 32, 4), bool)
    played[0, ::2, 0] = True
    played[1, 16:18, 1] = played[1, 20:22, 2] = played[1, 26:29, 3] = True
    made = finish.at_rest(played, tracks, 16)
    assert np.flatnonzero(made[0, :, 0]).tolist() == list(range(0, 24, 2))
    assert finish.notes_of(made[1]).tolist() == [[16, 18, 1], [20, 32, 2]]


def test_a_last_bar_in_which_nothing_begins_is_struck_again() -> None:
    played = np.zeros((1, 32, 4), bool)
    played[0, 8:28, 1] = True
    assert finish.notes_of(finish.at_rest(played, ("strings",), 16)[0]).tolist() == [[8, 15, 1], [16, 32, 1]]
    nothing = np.zeros((1, 32, 4), bool)
    assert not finish.at_rest(nothing, ("strings",), 16).any()


def test_notes_of_cells_are_their_runs() -> None:
    assert finish.notes_of(cells("xx.x\n.xxx")).tolist() == [[0, 2, 1], [1, 4, 0], [3, 4, 1]]
    assert finish.notes_of(np.zeros((0, 3), bool)).shape == (0, 3)


def test_every_change_is_counted(band: str) -> None:
    sure = np.full((1, 16, 12), -1.0, np.float32)
    sure[0, :, [0, 1]] = 1.0
    made, changed = finish.finished(sure, finish.Rules(("piano",), 16, 24, scale=MAJOR))
    assert changed.counts() == {"scale": 16}
    assert made[0].any(axis=0).tolist() == [True] + [False] * 11
    assert set(kapelle.compose(model=band, bars=4, seed=1).report.facts["changed"]) <= set(finish.Changed().__dataclass_fields__)


@pytest.mark.parametrize("voices", [1, 3])
def test_no_more_notes_sound_than_are_allowed(band: str, voices: int) -> None:
    score = kapelle.compose(model=band, bars=16, seed=3, voices=voices).score
    most = {"Drums": 4, "Bass": 1, "Piano": voices, "Guitar": voices, "Strings": voices}
    for track in score.tracks:
        events = sorted([(note.time, 1) for note in track.notes] + [(note.end, -1) for note in track.notes])
        assert max(np.cumsum([change for _, change in events])) <= most[track.name]


# --- events and bundles -------------------------------------------------------------------------------------------------


def test_events_tell_every_note_and_every_bar_once(band: str) -> None:
    events = list(api.compose_events(api.request(band, length=Length(6), seed=2)))
    assert isinstance(events[-1], Done)
    piece = events[-1].piece
    told = [note for event in events if isinstance(event, NotesAdded) for note in event.notes]
    assert len(told) == piece.report.n_notes == len(notes_of(piece.score))
    assert [event.bar for event in events if isinstance(event, BarDone)] == list(range(6))
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 1.0
    seconds = sorted((note.start_s, note.pitch) for note in told)
    second = units.tempo_map(piece.score)
    assert seconds == sorted((float(second.to_seconds(time)), pitch) for _, time, _, pitch, _ in notes_of(piece.score))


def test_it_stops_between_phrases_when_asked_to(band: str) -> None:
    calls = iter([False, False, True])
    with pytest.raises(Interrupted):
        list(api.compose_events(api.request(band, length=Length(64), seed=2), lambda: next(calls)))


def test_a_bundle_that_describes_no_band_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import band_bundles
    import fakes

    wrong = {
        "shape": band_bundles.build(tmp_path / "shape", bars=3),
        "inputs": band_bundles.build(tmp_path / "inputs", latents={"z": [8]}),
        "nothing": fakes.one_shot(tmp_path / "nothing"),
    }
    for path_ in wrong.values():
        with pytest.raises(BundleError, match="does not describe a band"):
            kapelle.compose(model=str(path_), bars=2, seed=1)


def test_a_band_of_fewer_tracks_plays(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import band_bundles

    trio = str(band_bundles.build(tmp_path / "trio", tracks=("bass", "drums", "piano")))
    score = kapelle.compose(model=trio, bars=4, seed=1).score
    assert [track.name for track in score.tracks] == ["Bass", "Drums", "Piano"]
    with pytest.raises(CannotObey, match="no guitar"):
        kapelle.compose(model=trio, bars=4, seed=1, instruments="guitar")


def test_band_is_the_best_band_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    import band_bundles

    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path))
    monkeypatch.setattr(load, "places", lambda: (tmp_path / "bundles",))
    for name in reversed(load.ALIASES["band"]):
        band_bundles.build(tmp_path / "bundles" / name)
        assert api.bundle("band").path.name == name
        assert api.request("band", seed=1).model == name  # a recipe names what made the piece


def test_a_request_that_goes_towards_a_seed_is_cut_into_parts_of_the_way() -> None:
    wish = ComposeRequest("band", seed=3, count=3, options={"towards": 8})
    assert [(one.seed, one.options["blend"], one.count) for one in map(wish.piece, range(3))] == [(3, 0.0, 1), (3, 0.5, 1), (3, 1.0, 1)]
    assert wish.piece(1).piece(0) == wish.piece(1)
    assert [one.seed for one in map(replace(wish, options={}).piece, range(3))] == [3, 4, 5]
