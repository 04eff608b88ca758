"""What is asked is what is written: length, metre, tempo, key, instruments; and the same request gives the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import kapelle
from kapelle import api
from kapelle.composing import plan
from kapelle.composing.events import BarDone, Done, NotesAdded, Progress
from kapelle.composing.request import MAX_COUNT, MAX_SEED, ComposeRequest, Length, from_json
from kapelle.errors import CannotObey, Interrupted, Missing, UnknownName, UsageError
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.score import units
from kapelle.score.read import read


def test_bars_are_exact_and_every_track_ends_on_the_bar_line(nonsense: str) -> None:
    mido = pytest.importorskip("mido")
    for bars in (1, 4, 16):
        piece = kapelle.compose(model=nonsense, genre="jazz", metre="4/4", bars=bars, seed=bars)
        score = read(piece.to_midi())
        assert units.n_bars(score) == bars
        assert not degeneracy(score, bars).reasons
        assert piece.report.closed == "bar line"
        file = mido.MidiFile(file=io.BytesIO(piece.to_midi()))
        assert {sum(message.time for message in track) for track in file.tracks} == {bars * 4 * 480}


@pytest.mark.parametrize("metre", ["3/4", "6/8", "5/4", "2/4"])
def test_the_metre_asked_for_is_written(nonsense: str, metre: str) -> None:
    score = read(kapelle.compose(model=nonsense, metre=metre, bars=6, seed=1).to_midi())
    above, below = metre.split("/")
    assert obedience.metre(score, (int(above), int(below))).obeyed
    assert units.n_bars(score) == 6


@pytest.mark.parametrize("tempo", [20, 63.5, 120, 300])
def test_the_tempo_asked_for_is_written(nonsense: str, tempo: float) -> None:
    assert obedience.tempo(read(kapelle.compose(model=nonsense, tempo=tempo, bars=2, seed=1).to_midi()), tempo).obeyed


@pytest.mark.parametrize("key", ["C", "Am", "F# minor", "Bb", "E", "G minor"])
def test_the_key_asked_for_is_heard(nonsense: str, key: str) -> None:
    piece = kapelle.compose(model=nonsense, key=key, bars=8, seed=2)
    answer = obedience.key(read(piece.to_midi()), key)
    assert answer.obeyed
    assert answer.found.share_in_scale == 1.0


def test_voices_are_dealt_to_the_instruments_asked_for(nonsense: str) -> None:
    score = read(kapelle.compose(model=nonsense, instruments="flute,piano,bass", bars=8, seed=3).to_midi())
    assert obedience.instruments(score, (73, 0, 33)).obeyed
    means = {track.program: sum(n.pitch for n in track.notes) / len(track.notes) for track in score.tracks}
    assert means[73] > means[0] > means[33]


def test_programs_asked_for_are_in_the_file(nonsense_band: str) -> None:
    score = read(kapelle.compose(model=nonsense_band, instruments="piano,bass,drums", bars=4, seed=3).to_midi())
    assert obedience.instruments(score, (0, 33, -1)).obeyed


def test_what_the_model_cannot_do_is_refused(nonsense: str) -> None:
    with pytest.raises(CannotObey, match="no drums"):
        kapelle.compose(model=nonsense, instruments="piano,drums", seed=0)
    with pytest.raises(CannotObey, match="no option 'colour'"):
        kapelle.compose(model=nonsense, colour="blue", seed=0)
    with pytest.raises(CannotObey, match="at most 4"):
        kapelle.compose(model=nonsense, instruments="flute,oboe,clarinet,piano,bass", seed=0)


def test_unknown_names_list_the_known(nonsense: str) -> None:
    with pytest.raises(UnknownName) as caught:
        kapelle.compose(model=nonsense, genre="jaz", seed=0)
    assert "did you mean jazz" in caught.value.hint
    for option, value in (("metre", "7/4"), ("key", "H sharp"), ("instruments", "kazoo quartet")):
        with pytest.raises(UnknownName):
            kapelle.compose(model=nonsense, seed=0, **{option: value})


@pytest.mark.parametrize(
    "length", [{"bars": 0}, {"bars": 100_000}, {"seconds": 0}, {"tokens": 3}, {"bars": 4, "seconds": 9}, {"tempo": 1000}]
)
def test_impossible_lengths_and_values_are_usage_errors(nonsense: str, length: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        kapelle.compose(model=nonsense, seed=0, **length)  # type: ignore[arg-type]


def test_seconds_are_met_to_the_bar(nonsense: str) -> None:
    piece = kapelle.compose(model=nonsense, seconds=30, tempo=120, metre="4/4", seed=5)
    assert piece.report.n_bars == 15


@pytest.mark.parametrize(("unit", "amount"), [("tokens", 600), ("notes", 150)])
def test_tokens_and_notes_are_met_to_about_a_bar(nonsense: str, unit: str, amount: int) -> None:
    piece = kapelle.compose(model=nonsense, seed=5, **{unit: amount})
    made = piece.report.n_tokens if unit == "tokens" else piece.report.n_notes
    assert made == pytest.approx(amount, rel=0.15)
    assert units.n_bars(read(piece.to_midi())) == piece.report.n_bars


def test_the_same_request_gives_the_same_bytes_however_it_is_made(nonsense: str) -> None:
    alone = kapelle.compose(model=nonsense, genre="pop", bars=4, seed=12).to_midi()
    many = kapelle.compose(model=nonsense, genre="pop", bars=4, seed=10, count=4)
    spread = kapelle.compose(model=nonsense, genre="pop", bars=4, seed=11, count=2, processes=2)
    assert many[2].to_midi() == alone
    assert spread[1].to_midi() == alone
    assert many[0].to_midi() != alone


def test_a_request_survives_json_and_a_recipe_makes_the_piece_again(nonsense: str, tmp_path) -> None:
    piece = kapelle.compose(model=nonsense, genre="pop", bars=4, seed=12, temperature=1.1)
    again = from_json(piece.request.to_json())
    assert again == piece.request
    recipe = piece.save_recipe(tmp_path / "piece.json")
    assert api.compose_one(api.remake(recipe)).to_midi() == piece.to_midi()


def test_a_recipe_of_another_bundle_is_noticed(nonsense: str, tmp_path) -> None:
    recipe = kapelle.compose(model=nonsense, bars=2, seed=1).save_recipe(tmp_path / "piece.json")
    recipe.write_text(recipe.read_text().replace('"bundle": "', '"bundle": "0000'))
    with pytest.raises(Missing, match="made by bundle 0000"):
        api.remake(recipe)


def test_events_tell_every_note_and_bar(nonsense: str) -> None:
    wish = api.request(nonsense, length=Length(4), seed=3, options={"tempo": 120.0})
    events = list(api.compose_events(wish))
    piece = events[-1].piece if isinstance(events[-1], Done) else None
    assert piece is not None
    assert piece.report.attempts == 1
    notes = [note for event in events if isinstance(event, NotesAdded) for note in event.notes]
    assert len(notes) == piece.report.n_notes
    assert sorted(round(n.start_s * 960) for n in notes) == sorted(n.time for n in piece.score.tracks[0].notes)
    assert [event.bar for event in events if isinstance(event, BarDone)] == [0, 1, 2, 3]
    assert [event.done for event in events if isinstance(event, Progress)] == [0.25, 0.5, 0.75, 1.0]


def test_composing_can_be_cancelled(nonsense: str) -> None:
    with pytest.raises(Interrupted):
        list(api.compose_events(api.request(nonsense, seed=1), cancelled=lambda: True))


def test_a_result_that_fails_is_made_again_and_the_report_says_so(nonsense: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kapelle.composing import remi

    verdicts = iter([("stuck",), (), ()])
    monkeypatch.setattr(remi, "_problems", lambda *_: next(verdicts))
    report = kapelle.compose(model=nonsense, bars=2, seed=1).report
    assert (report.attempts, report.first_failures, report.problems) == (2, ("stuck",), ())


def test_requests_out_of_range_are_refused() -> None:
    for wrong in ({"count": 0}, {"seed": -1}, {"length": Length(4)} | {"count": 10**6}):
        with pytest.raises(UsageError):
            ComposeRequest(**wrong)  # type: ignore[arg-type]
    largest = MAX_SEED - MAX_COUNT
    assert ComposeRequest(seed=largest - 1, count=2).piece(1).seed == largest
    with pytest.raises(UsageError, match=f"seed must be 0 to {largest - 1}, not {largest}"):
        ComposeRequest(seed=largest, count=2)


def test_numbers_of_numpy_and_paths_make_the_same_recipe(nonsense: str, tmp_path: Path) -> None:
    plain = kapelle.compose(model=nonsense, seconds=4.0, seed=12, tempo=90.0, top_k=8)
    other = kapelle.compose(
        model=Path(nonsense), seconds=np.float32(4), seed=np.int64(12), count=np.int8(1), tempo=np.float32(90), top_k=np.int16(8)
    )
    assert other.save_recipe(tmp_path / "other.json").read_text() == plain.save_recipe(tmp_path / "plain.json").read_text()
    assert other.to_midi() == plain.to_midi()


@pytest.mark.parametrize("wrong", [{"bars": "4"}, {"bars": True}, {"seed": "1"}, {"seed": 1.5}, {"count": 1.5}])
def test_what_is_no_number_is_a_usage_error(nonsense: str, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"must be a (whole )?number"):
        kapelle.compose(model=nonsense, **wrong)


def test_more_seconds_than_a_piece_has_bars_are_refused(nonsense: str) -> None:
    with pytest.raises(CannotObey, match="300 s are 750 bars, and a piece has at most 512"):
        kapelle.compose(model=nonsense, seconds=300, tempo=300, metre="2/4", seed=1)


@pytest.mark.parametrize(("unit", "amount", "most"), [("tokens", 600, 4), ("notes", 150, 4)])
def test_a_piece_that_can_have_no_more_bars_says_so(
    nonsense: str, monkeypatch: pytest.MonkeyPatch, unit: str, amount: int, most: int
) -> None:
    assert kapelle.compose(model=nonsense, seed=5, **{unit: amount}).report.closed == "bar line"
    monkeypatch.setattr(plan, "MAX_BARS", most)
    report = kapelle.compose(model=nonsense, seed=5, **{unit: amount}).report
    assert (report.n_bars, report.closed) == (most, "longest piece")
