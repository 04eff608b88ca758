"""The seed is heard, what is asked is what is written, and whatever comes out ends on a bar line."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

import kapelle
from kapelle import api
from kapelle.composing import chopin, seeds
from kapelle.composing.chopin_plan import Options, hear, make_plan, opened
from kapelle.composing.events import BarDone, Done, NotesAdded, Progress
from kapelle.composing.pacing import Goal, Pace
from kapelle.composing.recall import Recalling
from kapelle.composing.request import ComposeRequest, Length, from_json
from kapelle.config import json_schema
from kapelle.errors import CannotObey, MidiError, Missing, UnknownName, UsageError
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.sampling.filters import probabilities
from kapelle.sampling.options import SamplingOptions
from kapelle.score import edit, keys, units
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from kapelle.tokens import chords
from kapelle.tokens.chord_grammar import Grammar

VARIANTS = ("nocturne", "faithful")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of bundles that compose: the default variant, the faithful one, and one of two composers."""
    pytest.importorskip("onnx")
    import chord_composers as made

    folder = tmp_path_factory.mktemp("bundles")
    several = chords.ChordSpec(min_count=1, composers=("chopin", "liszt"))
    return {
        "nocturne": str(made.build(folder / "nocturne")),
        "faithful": str(made.build(folder / "faithful", made.FAITHFUL, window=40)),
        "several": str(made.build(folder / "several", several)),
    }


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest, bundles: dict[str, str]) -> str:
    return bundles[request.param]


def tune(n_notes: int = 60, *, metre: tuple[int, int] = (4, 4), pitches: tuple[int, ...] = (60, 62, 64, 65, 67), bpm: float = 96) -> bytes:
    """A MIDI file of single eighths."""
    score = symusic.Score(480)
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    score.tempos.append(symusic.Tempo(0, qpm=bpm))
    track = symusic.Track(program=0, is_drum=False)
    for i in range(n_notes):
        track.notes.append(symusic.Note(i * 240, 240, pitches[i % len(pitches)], 80))
    score.tracks.append(track)
    return to_bytes(score)


def notes_of(score: symusic.Score) -> list[tuple[int, int, int, int]]:
    return sorted((note.time, note.duration, note.pitch, note.velocity) for track in score.tracks for note in track.notes)


# --- the built-in seed --------------------------------------------------------------------------------------------------


def test_the_built_in_opening_is_as_mozart_wrote_it() -> None:
    score = seeds.opening()
    for _, bars, _ in seeds.HANDS:
        assert len(bars) == 12
        assert all(sum(int(text.split("/")[1]) for text in bar.split()) == seeds.SIXTEENTHS_PER_BAR for bar in bars)
    assert [len(track.notes) for track in score.tracks] == [119, 72]
    assert (units.n_bars(score), keys.estimate_key(score)) == (12, keys.Key(0, "major"))
    melody = [note.pitch for note in score.tracks[0].notes][:12]
    assert melody == [72, 76, 79, 71, 72, 74, 72, 81, 79, 84, 79, 77]
    outside = [note.pitch % 12 for track in score.tracks for note in track.notes if note.pitch % 12 not in keys.Key(0).pitch_classes]
    assert outside == [1, 1, 6]  # C sharp twice, leading to D minor; F sharp, leading to the dominant
    last = edit.crop_bars(score, 11, 1)
    assert {note.pitch % 12 for track in last.tracks for note in track.notes} == {2, 7, 11}
    assert len(chords.items(to_bytes(score))) >= 60


def test_two_openings_are_independent() -> None:
    seeds.opening().tracks[0].notes[0].pitch = 1
    assert seeds.opening().tracks[0].notes[0].pitch == 72


# --- lengths and endings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length", [{"bars": 8}, {"notes": 100}, {"notes": 33, "metre": "3/4"}, {"tokens": 120}, {"seconds": 20, "tempo": 90}]
)
def test_every_length_is_met_and_the_piece_closes_on_its_bar_line(model: str, length: dict[str, Any]) -> None:
    for seed in range(3):
        piece = kapelle.compose(model=model, seed=seed, **length)
        score, report = read(piece.to_midi()), piece.report
        assert not report.problems
        assert report.closed == "bar line"
        assert units.final_bar_line(score) == units.end_ticks(score) == piece.end_ticks  # held to the bar line and not beyond
        assert units.n_bars(score) == report.n_bars
        assert not degeneracy(score, report.n_bars)
        last = max(note.time for track in score.tracks for note in track.notes)
        assert {note.end for note in score.tracks[0].notes if note.time == last} == {piece.end_ticks}
        if "bars" in length:
            assert report.n_bars == length["bars"]
        if "notes" in length:
            assert report.n_notes == length["notes"]
        if "seconds" in length:
            assert report.n_bars == round(20 * 90 / 60 / 4)
        if "tokens" in length:
            assert length["tokens"] <= report.n_tokens < length["tokens"] + 4


def test_the_longest_piece_is_cut_short_and_says_so(bundles: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from kapelle.composing import pacing

    monkeypatch.setattr(pacing, "MAX_BARS", 6)
    report = kapelle.compose(model=bundles["nocturne"], notes=5000, seed=1).report
    assert (report.n_bars, report.closed, report.problems) == (6, "longest piece", ())
    with pytest.raises(CannotObey, match="at most 512"):
        kapelle.compose(model=bundles["nocturne"], seconds=3600, tempo=200, seed=1)


def test_the_last_bar_is_never_leapt_over_and_no_chord_overshoots(bundles: dict[str, str]) -> None:
    held = opened(api.bundle(bundles["nocturne"]))
    words = held.words
    pace = Pace(Grammar(held.spec, words), Goal(2, "bars", 48))
    for name in ("Symbol_60", "Duration_12", "Velocity_4"):
        pace.accept(words[name])
    assert pace.mask()[words["Offset_95"]]
    assert not pace.mask()[words["Offset_96"]]
    few = Pace(Grammar(held.spec, words), Goal(2, "notes", 48))
    assert few.mask()[words["Symbol_60"]]
    assert not few.mask()[words["Symbol_60.64.67"]]


# --- the seed -----------------------------------------------------------------------------------------------------------


def test_another_seed_is_heard_and_its_tempo_and_metre_go_on(bundles: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "waltz.mid"
    path.write_bytes(tune(metre=(3, 4), bpm=88))
    piece = kapelle.compose(model=bundles["nocturne"], seed_from=path, bars=4, seed=1)
    assert obedience.metre(piece.score, (3, 4)).obeyed
    assert obedience.tempo(piece.score, 88).obeyed
    assert piece.report.facts["seed_items"] == 60
    assert min(note.time for note in piece.score.tracks[0].notes) == 0  # the seed is not part of it


def test_what_the_network_hears_changes_what_it_writes(bundles: dict[str, str]) -> None:
    held = opened(api.bundle(bundles["nocturne"]))
    one, other = (make_plan(held, ComposeRequest(), Options(seed_from=b64encode(data).decode())) for data in (tune(), tune(pitches=(50,))))
    assert one.seed.ids != other.seed.ids
    offset = held.words.value(one.seed.ids[-1])
    assert offset == str(6 + 2 * 12)  # 60 eighths are 7 bars and a half: the new music begins at the bar line behind them


def test_unknown_symbols_are_brought_to_the_nearest_and_counted(bundles: dict[str, str]) -> None:
    held = opened(api.bundle(bundles["nocturne"]))
    seed = hear(held, read(tune(pitches=(60, 62, 64, 110))))  # 110 is above all that the vocabulary has
    assert (seed.n_items, seed.mapped, seed.dropped) == (60, 15, 0)
    assert held.words["Symbol_86"] in seed.ids  # the D nearest to 110


def test_of_a_long_piece_the_beginning_is_heard_or_the_end(bundles: dict[str, str]) -> None:
    held = opened(api.bundle(bundles["nocturne"]))
    song = read(tune(4000))
    beginning, end = hear(held, song), hear(held, song, from_end=True)
    assert beginning.n_items == end.n_items == 240
    assert (beginning.is_beginning, end.is_beginning) == (True, False)


def test_the_seed_can_be_kept_in_front(model: str) -> None:
    opening = seeds.opening()
    piece = kapelle.compose(model=model, bars=4, keep_seed=True, seed=1)
    assert piece.report.n_bars == 16 == units.n_bars(piece.score)
    assert set(notes_of(opening)) <= set(notes_of(piece.score))
    slow = kapelle.compose(model=model, bars=2, keep_seed=True, tempo=60, seed=1)
    assert obedience.tempo(slow.score, 60).obeyed
    with pytest.raises(UsageError, match="metre is kept"):
        kapelle.compose(model=model, keep_seed=True, metre="3/4", seed=1)


def test_extending_keeps_the_piece_note_for_note_and_goes_on_at_its_bar_line(model: str) -> None:
    data = tune(70, metre=(6, 8), bpm=70)
    before = read(data)
    piece = kapelle.extend(data, model=model, bars=5, seed=2)
    after = read(piece.to_midi())
    end = units.final_bar_line(before)
    assert [note for note in notes_of(after) if note[0] < end] == notes_of(before)
    assert units.n_bars(after) == units.n_bars(before) + 5 == piece.report.n_bars
    assert obedience.tempo(after, 70).obeyed
    for option in ({"tempo": 90}, {"metre": "4/4"}, {"key": "C"}, {"seed_from": tune()}):
        with pytest.raises(UsageError, match="is kept from the piece"):
            kapelle.extend(data, model=model, bars=2, seed=1, **option)


def test_a_seed_that_is_none_is_one_clear_error(bundles: dict[str, str], tmp_path: Path) -> None:
    model = bundles["nocturne"]
    with pytest.raises(UsageError, match="the seed music has 39 notes and chords, and the model needs 40"):
        kapelle.compose(model=model, seed_from=tune(39), seed=1)
    with pytest.raises(UsageError, match="no pitched notes"):
        kapelle.compose(model=model, seed_from=to_bytes(symusic.Score(480)), seed=1)
    with pytest.raises(MidiError):
        kapelle.compose(model=model, seed_from=b"no MIDI at all", seed=1)
    with pytest.raises(Missing):
        kapelle.compose(model=model, seed_from=tmp_path / "nothing.mid", seed=1)
    with pytest.raises(UsageError, match="base64"):
        api.compose_one(ComposeRequest(model, options={"seed_from": "mozart.mid"}))
    with pytest.raises(CannotObey, match="5/32"):
        kapelle.compose(model=model, seed_from=tune(metre=(5, 32)), seed=1)


def test_the_schema_tells_that_the_seed_is_a_file() -> None:
    assert (
        json_schema(Options)["properties"]["seed_from"].items() >= {"contentEncoding": "base64", "contentMediaType": "audio/midi"}.items()
    )


# --- key, composer, what does not exist ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["C", "Am", "F# minor", "Bb"])
def test_a_key_asked_for_is_heard(bundles: dict[str, str], key: str) -> None:
    piece = kapelle.compose(model=bundles["nocturne"], key=key, bars=8, seed=2)
    answer = obedience.key(read(piece.to_midi()), key)
    assert answer.obeyed
    assert answer.found.share_in_scale == 1.0


def test_a_model_of_several_composers_can_be_told_which(bundles: dict[str, str]) -> None:
    model = bundles["several"]
    assert kapelle.compose(model=model, composer="liszt", bars=2, seed=1).report.facts["composer"] == "liszt"
    drawn = {kapelle.compose(model=model, bars=2, seed=seed).report.facts["composer"] for seed in range(8)}
    assert drawn == {"chopin", "liszt"}
    with pytest.raises(UnknownName):
        kapelle.compose(model=model, composer="clementi", bars=2)
    with pytest.raises(CannotObey, match="knows no composers"):
        kapelle.compose(model=bundles["nocturne"], composer="chopin", bars=2)


def test_what_this_model_has_not_is_refused_and_who_has_it_is_named(bundles: dict[str, str]) -> None:
    with pytest.raises(CannotObey, match="no option 'genre'") as caught:
        kapelle.compose(model=bundles["nocturne"], genre="jazz")
    having = [item.name for item in api.models() if item.manifest and item.manifest.codec == "remi" and item.manifest.options.get("genres")]
    assert set(having) <= set(caught.value.hint.removeprefix("models that have it: ").split(", "))
    assert "chopin" not in caught.value.hint
    with pytest.raises(UnknownName):
        kapelle.compose(model=bundles["nocturne"], metre="7/13")


# --- temperature, requests, events --------------------------------------------------------------------------------------


def test_the_entropy_of_what_is_drawn_grows_with_the_temperature(bundles: dict[str, str]) -> None:
    found = []
    for temperature in (0.3, 0.7, 1.5, 3.0):
        piece = kapelle.compose(model=bundles["nocturne"], notes=400, seed=5, temperature=temperature)
        counts = np.bincount([note.pitch for note in piece.score.tracks[0].notes], minlength=128)
        shares = counts[counts > 0] / counts.sum()
        found.append(float(-(shares * np.log2(shares)).sum()))
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.75  # bits


def test_sampling_follows_the_formula_that_an_argmax_would_hide() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    drawn = probabilities(logits, SamplingOptions(temperature=2.0, top_p=1.0))
    assert drawn == pytest.approx(np.sqrt([0.5, 0.3, 0.2]) / np.sqrt([0.5, 0.3, 0.2]).sum())


@pytest.mark.parametrize("temperature", [0, -1])
def test_a_temperature_of_zero_or_below_is_refused(bundles: dict[str, str], temperature: float) -> None:
    with pytest.raises(UsageError, match=r"temperature must be 0.01 to 5.0, not"):
        kapelle.compose(model=bundles["nocturne"], temperature=temperature)


def test_a_request_carries_its_seed_file_and_makes_the_same_bytes(model: str, tmp_path: Path) -> None:
    path = tmp_path / "seed.mid"
    path.write_bytes(tune())
    piece = kapelle.compose(model=model, seed_from=path, notes=40, temperature=1.5, seed=12)
    assert from_json(piece.request.to_json()) == piece.request
    recipe = piece.save_recipe(tmp_path / "piece.json")
    path.unlink()
    assert api.compose_one(api.remake(recipe)).to_midi() == piece.to_midi()
    assert kapelle.compose(model=model, seed_from=tune(), notes=40, temperature=1.5, seed=12).to_midi() == piece.to_midi()


def test_events_tell_every_note_and_bar(model: str) -> None:
    for length in (Length(4), Length(50, "notes")):
        events = list(api.compose_events(api.request(model, length=length, seed=3, options={"tempo": 120.0})))
        assert isinstance(events[-1], Done)
        piece = events[-1].piece
        assert piece.report.attempts == 1
        notes = [note for event in events if isinstance(event, NotesAdded) for note in event.notes]
        assert sorted((round(n.start_s * 960), n.pitch) for n in notes) == sorted((n.time, n.pitch) for n in piece.score.tracks[0].notes)
        assert [event.bar for event in events if isinstance(event, BarDone)] == list(range(piece.report.n_bars))
        shares = [event.done for event in events if isinstance(event, Progress)]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


def test_a_degenerate_result_is_made_again_and_the_report_says_so(bundles: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = iter([("stuck",), (), ()])
    monkeypatch.setattr(chopin, "_problems", lambda *_: next(verdicts))
    report = kapelle.compose(model=bundles["nocturne"], bars=2, seed=1).report
    assert (report.attempts, report.first_failures, report.problems) == (2, ("stuck",), ())


# --- recall -------------------------------------------------------------------------------------------------------------


def test_recall_favours_the_pitch_classes_heard_and_keeps_the_weight_of_symbols(bundles: dict[str, str]) -> None:
    held = opened(api.bundle(bundles["nocturne"]))
    words = held.words
    ids = np.array([words[name] for _ in range(8) for name in ("Symbol_60", "Duration_6", "Velocity_4", "Offset_6")])
    held.session.reset()
    alone = held.session.feed(ids).astype(np.float64)
    session = Recalling(held.session, words)
    session.reset()
    leaning = session.feed(ids).astype(np.float64)
    symbols = words.ids("Symbol")
    change = leaning - alone
    assert change[words["Symbol_72"]] == pytest.approx(change[words["Symbol_60"]], abs=1e-4)
    assert change[words["Symbol_72"]] > change[words["Symbol_60.64.67"]] > change[words["Symbol_61"]]
    assert np.logaddexp.reduce(leaning[symbols]) == pytest.approx(np.logaddexp.reduce(alone[symbols]), abs=1e-4)
    assert not np.delete(change, symbols).any()


def test_what_is_recalled_keeps_the_music_together(bundles: dict[str, str]) -> None:
    def entropy(weight: float) -> float:
        piece = kapelle.compose(model=bundles["nocturne"], notes=200, seed=3, recall=weight)
        shares = np.bincount([note.pitch % 12 for note in piece.score.tracks[0].notes], minlength=12) / 200
        return float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum())

    assert entropy(2.0) < entropy(1.0) < entropy(0.0)
