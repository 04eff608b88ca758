"""Around a lead: it comes back note for note, the band is in its bars, its key and its resolution, and what cannot be is refused."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

import kapelle
from kapelle import api
from kapelle.composing.band_lead import read_lead
from kapelle.composing.band_model import opened
from kapelle.composing.events import BarDone, Done, NotesAdded, Progress
from kapelle.composing.request import Length
from kapelle.errors import CannotObey, MidiError, Missing, UnknownName, UsageError
from kapelle.score import edit, keys, units
from kapelle.score.read import read
from kapelle.score.roll import TRACKS
from kapelle.score.write import to_bytes


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a band that plays around a lead."""
    pytest.importorskip("onnx")
    import band_bundles

    return str(band_bundles.build(tmp_path_factory.mktemp("bundles") / "around", conditional=True))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KAPELLE_HOME with a genre model, a band and a band that accompanies."""
    pytest.importorskip("onnx")
    import band_bundles
    import composers

    place = tmp_path_factory.mktemp("home")
    composers.build(place / "bundles" / "genre")
    band_bundles.build(place / "bundles" / "band-composer")
    band_bundles.build(place / "bundles" / "band-accompany", conditional=True)
    return place


@pytest.fixture
def installed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    return home


def tune(n_bars: int = 6, *, tpq: int = 480, metre: tuple[int, int] = (4, 4), program: int = 0, drums: bool = False, seed: int = 0,
         key: int = 0, name: str = "Melody", start: int = 0) -> symusic.Score:  # fmt: skip
    """A lead that no grid holds: quarters a little before and after the beat, of many velocities."""
    random = np.random.default_rng(seed)
    score = symusic.Score(tpq)
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    score.tempos.append(symusic.Tempo(0, qpm=96))
    bar = tpq * 4 * metre[0] // metre[1]
    track = symusic.Track(name, program, drums)
    scale = [60, 64, 67, 72, 60, 62, 65, 69, 71]
    for beat in range(start * 4, n_bars * 4):
        at = beat * bar // 4
        pitch = 36 + int(random.choice([0, 2, 6])) if drums else int(random.choice(scale)) + key
        shift = int(random.integers(0, tpq // 8))
        track.notes.append(symusic.Note(at + shift, bar // 4 - shift, pitch, int(random.integers(30, 120))))
    track.controls.append(symusic.ControlChange(tpq, 7, 90))
    score.tracks.append(track)
    return score


def events_of(track: symusic.Track) -> Any:
    """Everything in a track, as it can be compared."""
    notes = [(note.time, note.duration, note.pitch, note.velocity) for note in track.notes]
    controls = [(one.time, one.number, one.value) for one in track.controls]
    return notes, controls, [(bend.time, bend.value) for bend in track.pitch_bends], track.program, track.is_drum, track.name


def others(score: symusic.Score, lead: str = "Melody") -> list[symusic.Track]:
    return [track for track in score.tracks if track.name != lead]


# --- the lead stays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("tpq", [480, 96, 100])
def test_the_lead_comes_back_note_for_note_and_four_play_around_it(around: str, track: str, tpq: int) -> None:
    data = to_bytes(tune(7, tpq=tpq, drums=track == "drums"))
    before, piece = read(data), kapelle.accompany(data, model=around, track=track, seed=1)
    after = read(piece.to_midi())
    assert events_of(after.tracks[0]) == events_of(before.tracks[0])
    assert after.ticks_per_quarter == tpq
    assert {one.name.lower() for one in others(after)} == set(TRACKS) - {track}
    assert all(len(one.notes) for one in others(after))
    assert piece.report.problems == ()
    assert piece.report.n_bars == units.n_bars(after) == 7
    assert max(note.end for one in after.tracks for note in one.notes) <= piece.end_ticks == 7 * 4 * tpq
    assert any(note.time >= 6 * 4 * tpq for one in others(after) for note in one.notes)


@pytest.mark.parametrize("n_bars", [1, 2, 3, 4, 5, 9, 64])
def test_a_lead_of_any_length_is_accompanied_to_its_end(around: str, n_bars: int) -> None:
    piece = kapelle.accompany(to_bytes(tune(n_bars)), model=around, seed=3)
    assert units.n_bars(piece.score) == n_bars == piece.report.n_bars
    assert max(note.end for one in others(piece.score) if not one.is_drum for note in one.notes) == piece.end_ticks


def test_tempi_markers_and_keys_of_the_lead_stay(around: str) -> None:
    score = tune(4)
    score.tempos.append(symusic.Tempo(1000, qpm=140))
    score.markers.append(symusic.TextMeta(1920, "Chorus"))
    score.key_signatures.append(symusic.KeySignature(0, 0, False))
    before = read(to_bytes(score))
    after = read(kapelle.accompany(to_bytes(score), model=around, seed=1).to_midi())
    assert [(one.time, one.mspq) for one in after.tempos] == [(one.time, one.mspq) for one in before.tempos]
    assert (1920, "Chorus") in [(one.time, one.text) for one in after.markers]
    assert [one.key for one in after.key_signatures] == [0]


def test_a_lead_may_begin_late_and_hold_its_last_note(around: str) -> None:
    score = tune(9, start=5)
    score.tracks[0].notes.append(symusic.Note(9 * 1920, 6000, 60, 80))
    piece = kapelle.accompany(to_bytes(score), model=around, seed=1)
    assert piece.report.n_bars == 13
    assert piece.report.problems == ()
    assert min(note.time for one in others(piece.score) for note in one.notes) < 1920


def test_bars_of_two_halves_are_bars_of_four_quarters(around: str) -> None:
    assert kapelle.accompany(to_bytes(tune(4, metre=(2, 2))), model=around, seed=1).report.n_bars == 4


# --- key and condition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", range(-5, 7))
def test_the_band_plays_in_the_key_of_the_lead(around: str, key: int) -> None:
    data = to_bytes(tune(8, key=key))
    piece = kapelle.accompany(data, model=around, seed=2)
    found = keys.estimate_key(read(data))
    assert piece.report.facts["key"] == str(found)
    played = {note.pitch % 12 for one in others(piece.score) if not one.is_drum for note in one.notes}
    assert played <= set(found.pitch_classes)


def test_a_key_that_is_asked_for_or_stated_and_true_is_believed(around: str) -> None:
    score = tune(8)
    assert kapelle.accompany(to_bytes(score), model=around, seed=1, key="G").report.facts["key"] == "G major"
    score.key_signatures.append(symusic.KeySignature(0, 0, True))
    assert kapelle.accompany(to_bytes(score), model=around, seed=1).report.facts["key"] == "A minor"
    score.key_signatures[0] = symusic.KeySignature(0, 6, False)  # F# major, which the notes deny
    assert kapelle.accompany(to_bytes(score), model=around, seed=1).report.facts["key"] == "C major"


def test_the_model_is_given_the_lead_on_its_grid_in_its_key_and_range(around: str) -> None:
    model = opened(api.bundle(around))
    score = symusic.Score(480)
    track = symusic.Track("", 73, False)
    for at, long, pitch in ((10, 470, 62), (1910, 970, 74), (2880, 960, 103)):  # D, D and a G beyond the range
        track.notes.append(symusic.Note(at, long, pitch, 80))
    score.tracks.append(track)
    lead = read_lead(to_bytes(score), model, track="guitar", key="D")
    assert (lead.shift, lead.names, lead.n_bars, lead.given.shape) == (2, ("guitar",), 2, (5, 64, 72))
    guitar = lead.given[2]
    found = [(int(step), int(row) + 24) for step, row in zip(*np.nonzero(guitar), strict=True)]
    assert found == [(0, 60), (1, 60), (2, 60), (3, 60), *((16 + i, 72) for i in range(8)), *((24 + i, 89) for i in range(8))]
    assert not lead.given[[0, 1, 3, 4]].any()


def test_another_lead_makes_another_accompaniment(around: str) -> None:
    made = [others(kapelle.accompany(to_bytes(tune(4, seed=seed)), model=around, seed=1, key="C").score) for seed in range(2)]
    assert [track.notes.numpy()["pitch"].tolist() for track in made[0]] != [track.notes.numpy()["pitch"].tolist() for track in made[1]]


def test_the_lead_is_heard_as_pitch_classes_in_the_key_of_the_model(around: str) -> None:
    score = tune(1, key=2)
    score.tracks.append(tune(1, drums=True).tracks[0])
    model = opened(api.bundle(around))
    sounding = read_lead(to_bytes(score), model, track="piano", which="all", key="D").tones(model)
    assert sounding.shape == (64, 12)
    assert set(np.flatnonzero(sounding.any(axis=0)).tolist()) == {(note.pitch - 2) % 12 for note in score.tracks[0].notes}


def test_the_band_is_softer_than_a_loud_lead_and_louder_than_a_soft_one(around: str) -> None:
    def loudness(velocity: int) -> float:
        score = tune(4)
        for note in score.tracks[0].notes:
            note.velocity = velocity
        tracks = others(kapelle.accompany(to_bytes(score), model=around, seed=1).score)
        return float(np.mean([note.velocity for track in tracks for note in track.notes]))

    assert 30 < loudness(1) == loudness(50) < loudness(80) < loudness(110)


# --- which track leads --------------------------------------------------------------------------------------------------


def several() -> symusic.Score:
    score = tune(4, name="Piano", seed=1)
    for number, (name, program, drums) in enumerate([("Vocals", 53, False), ("Kit", 0, True), ("Low", 34, False)]):
        score.tracks.append(tune(4, name=name, program=program, drums=drums, seed=number).tracks[0])
        del score.tracks[-1].notes[8 + number :]
    score.tracks.append(symusic.Track("Nothing", 0, False))
    return score


@pytest.mark.parametrize(
    ("options", "lead", "place"),
    [
        ({}, "Vocals", "piano"),
        ({"track": "strings"}, "Vocals", "strings"),
        ({"track": "bass"}, "Low", "bass"),
        ({"track": "drums"}, "Kit", "drums"),
        ({"lead_track": "low"}, "Low", "bass"),
        ({"lead_track": "1"}, "Piano", "piano"),
        ({"lead_track": "3"}, "Kit", "drums"),
        ({"lead_track": "all"}, "Piano, Vocals, Kit, Low", "piano, drums, bass"),
        ({"lead_track": "all", "track": "guitar"}, "Piano, Vocals, Kit, Low", "guitar, drums"),
    ],
)
def test_the_lead_is_found_or_named(around: str, options: dict[str, str], lead: str, place: str) -> None:
    piece = kapelle.accompany(to_bytes(several()), model=around, seed=1, **options)
    assert (piece.report.facts["lead"], piece.report.facts["track"]) == (lead, place)
    assert [track.name for track in piece.score.tracks][: len(lead.split(", "))] == lead.split(", ")
    assert {track.name.lower() for track in piece.score.tracks} - set(lead.lower().split(", ")) <= set(TRACKS) - set(place.split(", "))


def test_a_member_that_never_plays_is_told_of_unless_the_lead_is_too_short(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import band_bundles

    trio = str(band_bundles.build(tmp_path / "trio", conditional=True, silent=("strings",)))
    report = kapelle.accompany(to_bytes(tune(4)), model=trio, seed=1).report
    assert (report.attempts, report.problems) == (16, ("an instrument is missing",))
    assert kapelle.accompany(to_bytes(tune(3)), model=trio, seed=1).report.problems == ()


def test_drums_alone_lead_as_drums(around: str) -> None:
    piece = kapelle.accompany(to_bytes(tune(4, drums=True)), model=around, seed=1)
    assert piece.report.facts["track"] == "drums"
    assert {track.name for track in others(piece.score)} == {"Piano", "Guitar", "Bass", "Strings"}


def test_who_accompanies_can_be_asked_for(around: str) -> None:
    piece = kapelle.accompany(to_bytes(tune(4)), model=around, track="piano", seed=1, instruments="drums,cello")
    assert [(track.name, track.program) for track in others(piece.score)] == [("Drums", 0), ("Strings", 42)]


# --- what cannot be -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "options", "error", "why"),
    [
        (tune(4, metre=(3, 4)), {}, CannotObey, "bar 1 of the lead is in 3/4"),
        (symusic.Score(480), {}, UsageError, "no notes"),
        (tune(513), {}, CannotObey, "513 bars"),
        (tune(4), {"track": "tuba"}, UnknownName, "tuba"),
        (tune(4), {"track": "drums"}, UsageError, "no drums"),
        (tune(4, drums=True), {"track": "bass"}, UsageError, "no pitched notes"),
        (tune(4), {"lead_track": "7"}, UnknownName, "7"),
        (tune(4), {"lead_track": "1", "track": "drums"}, UsageError, "cannot be the drums"),
        (tune(4), {"tempo": 90}, UsageError, "tempo is kept"),
        (tune(4), {"instruments": "organ,bass"}, CannotObey, "the lead is the piano"),
        (tune(4), {"key": "H#m7"}, UnknownName, "key"),
        (tune(4), {"metre": "4/4"}, CannotObey, "no option"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    around: str, score: symusic.Score, options: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why) as caught:
        kapelle.accompany(to_bytes(score), model=around, seed=1, **options)
    assert "\n" not in str(caught.value)


def test_a_change_of_metre_is_refused_where_it_is(around: str) -> None:
    score = tune(6)
    score.time_signatures.append(symusic.TimeSignature(3 * 1920, 6, 8))
    with pytest.raises(CannotObey, match="bar 4 of the lead is in 6/8"):
        kapelle.accompany(to_bytes(score), model=around, seed=1)
    score.time_signatures[1] = symusic.TimeSignature(3 * 1920 + 480, 4, 4)  # said again in the middle of a bar: nothing changes
    assert kapelle.accompany(to_bytes(score), model=around, seed=1).report.n_bars == 6


def test_ten_minutes_are_accompanied(around: str) -> None:
    score = tune(300)
    piece = kapelle.accompany(to_bytes(score), model=around, seed=1)
    assert piece.report.n_bars == 300
    assert piece.report.problems == ()


def test_what_is_no_midi_file_or_not_there_says_so(around: str, tmp_path: Path) -> None:
    with pytest.raises(MidiError):
        kapelle.accompany(b"RIFF, not music", model=around)
    with pytest.raises(Missing):
        kapelle.accompany(tmp_path / "nothing.mid", model=around)


def test_other_models_do_not_accompany(installed: Path) -> None:
    for model in ("band-composer", "genre"):
        with pytest.raises(CannotObey):
            kapelle.accompany(to_bytes(tune(4)), model=model, seed=1)


# --- bytes, events, recipes ---------------------------------------------------------------------------------------------


def test_band_means_the_band_that_accompanies_and_the_recipe_makes_it_again(installed: Path, tmp_path: Path) -> None:
    piece = kapelle.accompany(to_bytes(tune(5)), track="bass", seed=4)
    assert piece.request.model == "band-accompany"
    wish = kapelle.remake(piece.save_recipe(tmp_path / "a.json"))
    assert api.compose_one(wish).to_midi() == piece.to_midi()
    several = kapelle.accompany(to_bytes(tune(5)), track="bass", seed=3, count=2)
    assert several[1].to_midi() == piece.to_midi()


def test_events_tell_the_notes_of_the_band_in_the_time_of_the_lead(around: str) -> None:
    score = tune(6)
    score.tempos.append(symusic.Tempo(1920, qpm=48))
    events = list(api.compose_events(api.accompaniment(to_bytes(score), model=around, seed=1)))
    assert isinstance(events[-1], Done)
    piece = events[-1].piece
    told = [note for event in events if isinstance(event, NotesAdded) for note in event.notes]
    assert len(told) == sum(len(track.notes) for track in others(piece.score))
    assert max(note.start_s + note.duration_s for note in told) == pytest.approx(
        float(units.ticks_to_seconds(piece.score, piece.end_ticks))
    )
    assert [event.bar for event in events if isinstance(event, BarDone)] == list(range(6))


# --- a piece with a band around it --------------------------------------------------------------------------------------


def test_a_genre_piece_stays_and_four_play_around_it(installed: Path, tmp_path: Path) -> None:
    alone = kapelle.compose(model="genre", genre="edm", bars=6, seed=2, key="D minor", metre="4/4")
    both = kapelle.compose(model="genre", genre="edm", bars=6, seed=2, key="D minor", band=True)
    assert both.report.problems == ()
    assert [events_of(track)[0] for track in both.score.tracks[: len(alone.score.tracks)]] == [
        events_of(track)[0] for track in read(alone.to_midi()).tracks
    ]
    assert [track.name for track in both.score.tracks[len(alone.score.tracks) :]] == ["Drums", "Guitar", "Bass", "Strings"]
    assert both.end_ticks == alone.end_ticks
    assert (both.report.n_bars, both.report.facts["key"], both.report.facts["genre"]) == (6, "D minor", "edm")
    pitched = {note.pitch % 12 for track in both.score.tracks[-3:] for note in track.notes}
    assert pitched <= set(keys.parse_key("D minor").pitch_classes)
    recipe = both.save_recipe(tmp_path / "both.json")
    wish = kapelle.remake(recipe)
    assert wish.band == "band-accompany"
    assert api.compose_one(wish).to_midi() == both.to_midi()
    assert [piece.to_midi() for piece in api.compose_many(wish, processes=2)] == [both.to_midi()]


def test_voices_of_several_instruments_all_stay(installed: Path) -> None:
    options: dict[str, Any] = {"model": "genre", "genre": "pop", "bars": 4, "seed": 2, "instruments": "flute,piano,cello"}
    alone = kapelle.compose(metre="4/4", **options)
    both = kapelle.compose(band="band", **options)
    assert [track.name for track in both.score.tracks] == [track.name for track in alone.score.tracks] + [
        "Drums",
        "Guitar",
        "Bass",
        "Strings",
    ]


def test_a_recipe_names_both_bundles(installed: Path, home: Path, tmp_path: Path) -> None:
    import json

    both = kapelle.compose(model="genre", genre="edm", bars=2, seed=2, band=True)
    recipe = both.save_recipe(tmp_path / "both.json")
    table = json.loads(recipe.read_text())
    assert (table["bundle"], table["band_bundle"]) == (api.bundle("genre").hash, api.bundle("band-accompany").hash)
    assert both.band_hash[:16] in both.provenance
    table["band_bundle"] = "0" * 64
    recipe.write_text(json.dumps(table))
    with pytest.raises(Missing, match="band-accompany"):
        kapelle.remake(recipe)


def test_events_of_both_come_in_one_stream(installed: Path) -> None:
    wish = api.request("genre", length=Length(4), seed=2, options={"genre": "edm"}, band="band")
    events = list(api.compose_events(wish))
    assert [type(event) for event in events].count(Done) == 1
    piece = events[-1].piece
    told = sum(len(event.notes) for event in events if isinstance(event, NotesAdded))
    assert told >= piece.report.n_notes
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert [event.bar for event in events if isinstance(event, BarDone)] == [0, 1, 2, 3]


def test_a_band_needs_four_four(installed: Path) -> None:
    with pytest.raises(CannotObey, match="3/4"):
        kapelle.compose(model="genre", genre="edm", bars=2, seed=2, metre="3/4", band=True)
    assert kapelle.compose(model="genre", genre="edm", bars=2, seed=2, band=True).report.facts["metre"] == "4/4"


# --- melodies of real music ---------------------------------------------------------------------------------------------


@pytest.mark.skipif("KAPELLE_DATA" not in os.environ, reason="KAPELLE_DATA names no folder of data packs")
def test_melodies_of_pop909_come_back_bit_for_bit(around: str) -> None:
    folder = Path(os.environ["KAPELLE_DATA"]) / "pop909"
    done = 0
    for path in sorted(folder.glob("[0-9]*/[0-9][0-9][0-9].mid")):
        score = read(path)
        metres = units.metre_map(score)
        if units.n_bars(score) > 512 or not ((metres.numerators == 4) & (metres.denominators == 4)).all():
            continue
        piece = kapelle.accompany(path, model=around, track="piano", seed=done)
        after = read(piece.to_midi())
        lead = next(track for track in score.tracks if track.name == "MELODY")
        assert (after.tracks[0].notes.numpy()["time"] == lead.notes.numpy()["time"]).all()
        assert events_of(after.tracks[0])[0] == events_of(lead)[0]
        assert units.n_bars(after) == units.n_bars(edit.without_empty_tracks(piece.score)) == piece.report.n_bars
        assert len(others(after, "MELODY")) == 4
        assert piece.report.problems == ()
        done += 1
        if done == 20:
            break
    assert done == 20


@pytest.mark.parametrize("tpq", [1, 2, 5])
def test_at_a_coarse_resolution_no_note_of_the_band_sounds_twice_at_once(around: str, tpq: int) -> None:
    score = symusic.Score(tpq)
    score.tracks.append(symusic.Track("Melody"))
    score.tracks[0].notes = [symusic.Note(beat * tpq, tpq, 60 + beat % 5, 80) for beat in range(16)]
    piece = kapelle.accompany(to_bytes(score), model=around, seed=3)
    for track in piece.score.tracks:
        sounding = sorted((note.pitch, note.time, note.end) for note in track.notes)
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(sounding))
    assert max(note.end for track in piece.score.tracks for note in track.notes) <= piece.end_ticks == 16 * tpq
