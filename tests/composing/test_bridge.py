"""The bridge: a band's first bars become a theme, which is developed; the same for the same seed, and honest about what it took."""

from __future__ import annotations

from pathlib import Path

import pytest
from symusic import Note, Score, TimeSignature, Track

import kapelle
from kapelle import api
from kapelle.composing import bridge
from kapelle.composing.piece import Piece
from kapelle.errors import CannotObey, Missing, UnknownName, UsageError
from kapelle.score import units
from kapelle.score.marks import bars_of, marks_of
from kapelle.score.read import read

Q = 480
TUNE = [(i * Q, Q, 64 + i % 5, 90) for i in range(16)]
CHORDS = [(bar * 4 * Q, 4 * Q, pitch, 70) for bar in range(4) for pitch in (48, 52, 55)]
BASS = [(beat * Q, Q, 36, 80) for beat in range(16)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model that develops themes, and bands of several kinds, are installed."""
    pytest.importorskip("onnx")
    import band_bundles
    import theme_bundles

    place = tmp_path_factory.mktemp("home")
    theme_bundles.build(place / "bundles" / "theme")
    for name, silent in {"band-composer": (), "no-guitar": ("guitar",), "drums-alone": ("piano", "guitar", "strings")}.items():
        band_bundles.build(place / "bundles" / name, silent=silent)
    band_bundles.build(place / "bundles" / "follower", conditional=True)
    return place


@pytest.fixture
def installed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    return home


def compose(seed: int = 7, bars: int = 4, **settings) -> Piece:
    return kapelle.compose(model="bridge", bars=bars, seed=seed, **settings)


def band(**tracks) -> Score:
    programs = {"guitar": 25, "piano": 0, "strings": 48, "bass": 33}
    out = Score(Q)
    out.time_signatures.append(TimeSignature(0, 4, 4))
    for name, notes in tracks.items():
        track = Track(name.title(), programs.get(name, 0), name == "drums")
        track.notes.extend(Note(*note) for note in notes)
        out.tracks.append(track)
    return out


def test_the_bridge_composes_what_was_asked(installed) -> None:
    piece = compose(bars=8)
    assert piece.report.n_bars == 8
    assert piece.end_ticks == units.bars_to_ticks(piece.score, 8)
    assert [track.name for track in piece.score.tracks] == ["MELODY", "PIANO"]
    assert {bars_of(piece.score, mark)[1] - bars_of(piece.score, mark)[0] for mark in piece.marks} <= {2}
    facts = piece.report.facts
    assert (facts["from_band"], facts["band_seed"], facts["theme_bars"]) == ("fake-one-shot", 7, 2)
    assert 100 <= facts["tempo"] <= 120


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(installed) -> None:
    first, again, other = compose(seed=7), compose(seed=7), compose(seed=8)
    assert first.to_midi() == again.to_midi()
    assert first.to_midi() != other.to_midi()


def test_both_bundles_stand_in_the_piece_and_in_its_recipe(installed, tmp_path: Path) -> None:
    piece = compose()
    theme, composer = api.bundle("theme"), api.bundle("band-composer")
    assert theme.hash[:16] in piece.provenance
    assert f"theme by fake-one-shot {composer.hash[:16]}" in piece.provenance
    assert piece.request.model == "bridge"
    recipe = piece.save_recipe(tmp_path / "piece.json")
    assert composer.hash in recipe.read_text(encoding="utf-8")


def test_a_recipe_makes_the_piece_again(tmp_path: Path, monkeypatch, home: Path) -> None:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    piece = compose(from_band="band-tutorial")
    again = api.compose_one(api.remake(piece.save_recipe(tmp_path / "piece.json")))
    assert again.to_midi() == piece.to_midi()
    assert again.sources[0][0] == "band-tutorial"


def test_the_options_of_themes_can_be_given(installed) -> None:
    piece = compose(bars=6, theme_bars="1,5", key="D", tempo=90)
    assert [tuple(region) for region in piece.report.facts["regions"]] == [(0, 2), (4, 6)]
    assert (piece.report.facts["key"], piece.report.facts["tempo"]) == ("D major", 90)


@pytest.mark.parametrize(
    ("asked", "bars"), [({"theme_seconds": 9.6, "tempo": 100}, 4), ({"theme_seconds": 5, "tempo": 100}, 2), ({"theme_length": 3}, 3)]
)
def test_the_theme_is_whole_bars(installed, asked, bars) -> None:
    assert compose(**asked).report.facts["theme_bars"] == bars


def test_where_the_guitar_rests_the_highest_other_track_leads_and_the_report_says_so(installed) -> None:
    piece = compose(from_band="no-guitar")
    assert piece.report.facts["band_track"] in ("piano", "strings")


def test_a_band_without_a_melody_is_counted_out(installed) -> None:
    with pytest.raises(CannotObey, match="played 3 phrases, and none begins with a melody"):
        compose(from_band="drums-alone", phrases=3)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"from_band": "theme"}, CannotObey, "is no band"),
        ({"from_band": "follower"}, CannotObey, "plays around a track"),
        ({"from_band": "nobody"}, Missing, "no bundle named 'nobody'"),
        ({"theme_seconds": 5, "theme_length": 2}, UsageError, "contradict each other"),
        ({"melody_track": "flute"}, UnknownName, "unknown track 'flute'"),
        ({"walk": 0.5}, CannotObey, "no option 'walk'"),
    ],
)
def test_what_cannot_be_is_refused(installed, settings, kind, message) -> None:
    with pytest.raises(kind, match=message):
        compose(**settings)


def test_a_theme_of_ones_own_is_for_develop(installed) -> None:
    data = kapelle.compose(model="band-composer", bars=4, seed=1).to_midi()
    with pytest.raises(CannotObey, match="makes its own theme"):
        api.compose_one(api.request("bridge", theme=data))


def test_other_models_name_the_bridge_where_it_has_an_option(installed) -> None:
    with pytest.raises(CannotObey) as caught:
        kapelle.compose(model="band-composer", from_band="x")
    assert caught.value.hint == "models that have it: bridge"


def test_a_cut_begins_with_the_melody_and_has_the_piano_beside_it() -> None:
    made = bridge.cut(band(drums=BASS, piano=CHORDS, guitar=TUNE, bass=BASS), 2)
    assert made is not None
    assert (made.track, made.first_bar, made.n_bars) == ("guitar", 0, 2)
    assert [(track.name, len(track.notes)) for track in made.score.tracks] == [("MELODY", 8), ("PIANO", 6)]
    assert [(mark.label, mark.start_ticks, mark.end_ticks) for mark in marks_of(made.score)] == [("theme", 0, 8 * Q)]


def test_a_melody_that_begins_later_is_cut_where_it_begins() -> None:
    made = bridge.cut(band(piano=CHORDS, guitar=TUNE[4:]), 2)
    assert made is not None
    assert (made.first_bar, made.score.tracks[0].notes[0].time) == (1, 0)
    assert bridge.cut(band(piano=CHORDS, guitar=TUNE[12:]), 2) is None


def test_the_top_voice_of_the_guitar_is_the_melody_and_its_chords_go_to_the_piano() -> None:
    both = [*TUNE, *((t, d, p - 7, v) for t, d, p, v in TUNE)]
    made = bridge.cut(band(guitar=both), 2)
    assert made is not None
    assert [note.pitch for note in made.score.tracks[0].notes] == [p for _, _, p, _ in TUNE[:8]]
    assert len(made.score.tracks[1].notes) == 8


def test_low_strings_that_are_struck_alone_are_no_melody() -> None:
    low = [(t + Q // 2, Q // 2, 40, v) for t, _, _, v in TUNE]
    made = bridge.cut(band(piano=CHORDS, guitar=[*((t, Q // 2, p, v) for t, _, p, v in TUNE), *low]), 2)
    assert made is not None
    assert [note.pitch for note in made.score.tracks[0].notes] == [64, 65, 66, 67, 68, 64, 65, 66]
    assert sum(note.pitch == 40 for note in made.score.tracks[1].notes) == 8


def test_one_note_of_guitar_is_a_rest_and_the_strings_lead() -> None:
    made = bridge.cut(band(piano=CHORDS, guitar=TUNE[:1], strings=[(t, d, p + 12, v) for t, d, p, v in TUNE]), 2)
    assert made is not None
    assert made.track == "strings"
    assert bridge.cut(band(piano=CHORDS, guitar=TUNE[:1], bass=BASS), 2).track == "piano"  # type: ignore[union-attr]
    assert bridge.cut(band(guitar=TUNE[:1], bass=BASS), 2) is None
    assert bridge.cut(band(guitar=TUNE, strings=TUNE), 2, "strings").track == "strings"  # type: ignore[union-attr]


@pytest.mark.parametrize(("lower", "raised"), [(0, 0), (1, 0), (2, 1), (13, 1), (24, 2)])
def test_a_low_melody_is_raised_by_octaves_to_where_people_sing(lower: int, raised: int) -> None:
    made = bridge.cut(band(piano=CHORDS, guitar=[(t, d, p - lower, v) for t, d, p, v in TUNE]), 2)
    assert made is not None
    assert made.raised == raised
    assert [note.pitch for note in made.score.tracks[0].notes] == [p - lower + 12 * raised for _, _, p, _ in TUNE[:8]]


def test_a_full_opening_is_thinned_and_counted() -> None:
    full = [(i * Q // 4, Q // 4, pitch, 70) for i in range(32) for pitch in (40, 47, 52, 55, 59)]
    made = bridge.cut(band(piano=full, guitar=TUNE), 2)
    assert made is not None
    assert made.thinned == 160 - len(made.score.tracks[1].notes)
    assert len(made.score.tracks[1].notes) <= 40


def test_the_theme_of_a_piece_is_the_bands_opening(installed) -> None:
    request = api.request("bridge", seed=3)
    options = bridge.Options()
    events = bridge.opening(request, options, lambda: False)
    given = None
    while given is None:
        try:
            next(events)
        except StopIteration as done:
            given = done.value
    theme = read(given.data)
    assert theme.tracks[0].name == "MELODY"
    assert round(units.bpm_at(theme), 2) == compose(seed=3).report.facts["tempo"]
