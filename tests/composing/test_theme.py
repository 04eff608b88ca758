"""A piece on a theme: as long as asked, the theme where it was asked, in the key, ended on its last bar line, bytes that repeat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import symusic
from test_theme_given import CHORDS, MARY, MARY_STEPS, file, later

import kapelle
from kapelle import api
from kapelle.composing.events import BarDone, Done, NotesAdded, Progress, Restarted
from kapelle.composing.piece import Piece
from kapelle.composing.request import Length
from kapelle.composing.theme_model import opened
from kapelle.composing.theme_session import Course, Listening
from kapelle.errors import CannotObey, Interrupted, MidiError, UnknownName, UsageError
from kapelle.metrics import obedience
from kapelle.sampling import decode as decoding
from kapelle.sampling.options import SamplingOptions
from kapelle.score import keys, units
from kapelle.score.marks import bars_of, marks_of
from kapelle.score.read import read
from kapelle.tokens import theme
from kapelle.tokens.theme_grammar import Grammar, Plan

THEME = file(MARY, CHORDS, names=("Melody", "Piano"), programs=(73, 24))
SCALE = [(i * 2.0, 2.0, pitch) for i, pitch in enumerate((60, 64, 67, 65, 62, 65, 69, 67, 72, 71, 69, 67, 65, 64, 62, 60))]
LONG = file(SCALE)
"""Eight bars."""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a bundle that develops themes."""
    pytest.importorskip("onnx")
    import theme_bundles

    return str(theme_bundles.build(tmp_path_factory.mktemp("bundles") / "theme"))


@pytest.fixture(scope="session")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One whose network holds few ids, and knows music in any key."""
    pytest.importorskip("onnx")
    import theme_bundles

    folder = tmp_path_factory.mktemp("bundles") / "forgetful"
    return str(theme_bundles.build(folder, mode="released", normalise_key=False, n_positions=96))


def develop(model: str, data: bytes = THEME, bars: int = 8, seed: int = 1, **settings: Any) -> Piece:
    return api.develop(data, model=model, bars=bars, seed=seed, **settings)


def regions(piece: Piece) -> list[tuple[int, int]]:
    return [tuple(region) for region in piece.report.facts["regions"]]


def pitch_classes(score: symusic.Score) -> set[int]:
    return {int(pitch) % 12 for track in score.tracks for pitch in track.notes.numpy()["pitch"]}


def check(piece: Piece, n_bars: int) -> None:
    """What holds of every piece."""
    again = read(piece.to_midi())
    assert piece.report.problems == ()
    assert piece.report.dropped == 0
    assert piece.report.n_bars == n_bars
    assert obedience.bars(again, n_bars).obeyed
    assert piece.end_ticks == n_bars * 4 * again.tpq
    assert units.end_ticks(again) == piece.end_ticks  # something rings to the final bar line, nothing beyond
    assert [bars_of(again, mark) for mark in marks_of(again) if mark.label == "theme"] == regions(piece)
    melody = next(track for track in again.tracks if track.name == "MELODY").notes.numpy()
    assert (melody["time"][1:] >= (melody["time"] + melody["duration"])[:-1]).all()


def test_a_theme_comes_back(bundle):
    piece = develop(bundle, bars=16)
    check(piece, 16)
    assert regions(piece)[0] == (0, 2)
    assert len(regions(piece)) >= 2
    assert all(end - first == 2 for first, end in regions(piece))
    assert [(track.name, track.program) for track in piece.score.tracks] == [("MELODY", 73), ("PIANO", 24)]
    assert piece.report.facts["melody"] == "Melody"


@pytest.mark.parametrize("seed", range(30))
def test_no_seed_gets_stuck(bundle, forgetful, seed):
    model, n_bars = (bundle, forgetful)[seed % 2], 1 + seed * 7 % 12
    check(develop(model, (THEME, LONG)[seed // 2 % 2], n_bars, seed), n_bars)


def test_it_ends_as_a_cadence(bundle):
    for seed in range(3):
        piece = develop(bundle, seed=seed)
        last = units.bars_to_ticks(piece.score, 7)
        sounding = [note for track in piece.score.tracks for note in track.notes if note.time + note.duration > last]
        assert {note.pitch % 12 for note in sounding} <= {0, 4, 7}
        assert max(note.time for note in sounding) <= last + 2 * piece.score.tpq


def test_named_bars_and_forms_are_met(bundle):
    piece = develop(bundle, bars=16, theme_bars="1,5,15")
    assert regions(piece) == [(0, 2), (4, 6), (14, 16)]
    piece = develop(bundle, bars=16, form="BA")
    assert regions(piece) == [(8, 10)]
    check(piece, 16)


def test_a_theme_of_eight_bars_comes_back_whole(bundle):
    piece = develop(bundle, LONG, bars=24, theme_bars="1,17")
    check(piece, 24)
    assert regions(piece) == [(0, 8), (16, 24)]
    assert regions(develop(bundle, LONG, bars=8, theme_length=3, theme_bars="1,4")) == [(0, 3), (3, 6)]
    assert regions(develop(bundle, LONG, bars=5)) == [(0, 5)]


def test_the_theme_can_be_quoted(bundle, forgetful):
    for model in (bundle, forgetful):
        piece = develop(model, quote=True, theme_bars="1,5")
        melody = piece.score.tracks[0].notes.numpy()
        steps = list(zip((melody["time"] * 4 // piece.score.tpq).tolist(), melody["pitch"].tolist(), strict=True))
        assert [step for step in steps if step[0] < 32] == MARY_STEPS
        check(piece, 8)
    piece = develop(bundle, LONG, bars=12, quote=True, key="D")
    assert piece.score.tracks[0].notes.numpy()["pitch"].tolist()[:16] == [pitch + 2 for _, _, pitch in SCALE]


@pytest.mark.parametrize("model", ["bundle", "forgetful"])
def test_the_key_of_the_theme_is_kept_and_another_obeyed(model, request):
    path = request.getfixturevalue(model)
    moved = [(start, length, pitch + 6) for start, length, pitch in SCALE]
    piece = develop(path, file(moved, key=6))
    assert (piece.report.facts["key"], piece.report.facts["theme_key"]) == ("F# major", "F# major")
    assert pitch_classes(piece.score) <= {(tone + 6) % 12 for tone in keys.Key(0).pitch_classes}
    assert piece.score.key_signatures[0].key == 6
    for asked in ("Bb", "G minor"):
        piece = develop(path, file(moved, key=6), key=asked, quote=True)
        key = keys.parse_key(asked)
        assert obedience.key(piece.score, key).obeyed
        assert piece.score.tracks[0].notes.numpy()["pitch"].tolist()[:16] == [pitch + 10 for _, _, pitch in SCALE]
        ends = piece.score.tracks[1].notes.numpy()
        last = ends["pitch"][ends["time"] + ends["duration"] == piece.end_ticks] % 12
        assert set(last.tolist()) <= {(key.tonic + step) % 12 for step in (0, 3, 4, 7)}


def test_an_odd_note_of_the_theme_may_come_back_and_chromatic_lets_in_all(bundle):
    odd = file([*MARY[:-1], (6, 2, 66)])
    allowed = {*keys.Key(0).pitch_classes, 6}
    assert pitch_classes(develop(bundle, odd, bars=16, theme_key="C").score) <= allowed
    assert not pitch_classes(develop(bundle, odd, bars=16, theme_key="C", chromatic=True).score) <= allowed


def test_tempo_and_instruments_are_the_files_or_those_asked(bundle):
    piece = develop(bundle)
    assert piece.score.tempos[0].qpm == pytest.approx(96)
    piece = develop(bundle, tempo=301 / 2, instruments="oboe,harp")
    assert piece.score.tempos[0].qpm == pytest.approx(150.5)
    assert [track.program for track in piece.score.tracks] == [68, 46]
    assert [track.program for track in develop(bundle, instruments="oboe").score.tracks] == [68, 24]
    assert [track.program for track in develop(bundle, LONG).score.tracks] == [0, 0]


def test_seconds_become_bars(bundle):
    assert api.develop(THEME, model=bundle, seconds=21, tempo=120, seed=1).report.n_bars == 10  # of two seconds: 10.5 to the even


def test_the_theme_track_shows_the_returns_and_makes_no_sound(bundle):
    piece = develop(bundle, bars=12, theme_bars="1,9", theme_track=True)
    track = read(piece.to_midi()).tracks[2]
    assert track.name == theme.THEME_TRACK
    assert [(note.time, note.duration, note.pitch, note.velocity) for note in track.notes] == [(0, 3840, 1, 1), (15360, 3840, 1, 1)]
    assert piece.report.n_notes == sum(len(own.notes) for own in piece.score.tracks)
    again = develop(bundle, piece.to_midi(), bars=4)  # a piece made so is a theme too, and the track is no music
    assert again.report.facts["melody"] == "MELODY"


def test_the_same_seed_makes_the_same_bytes(bundle, tmp_path):
    first = develop(bundle, bars=6, seed=5)
    assert develop(bundle, bars=6, seed=6).to_midi() != first.to_midi()
    several = develop(bundle, bars=6, seed=4, count=2)
    assert several[1].to_midi() == first.to_midi()
    again = api.compose_one(api.remake(first.save_recipe(tmp_path / "piece.json")))
    assert again.to_midi() == first.to_midi()


def test_temperatures_inside_and_outside_matter(bundle):
    plain = develop(bundle, temperature=1.0)
    assert develop(bundle, temperature=1.0, theme_temperature=1.0).to_midi() == plain.to_midi()
    assert develop(bundle, temperature=1.0, theme_temperature=0.05).to_midi() != plain.to_midi()
    cold = [develop(bundle, bars=4, seed=seed, theme_bars="1", theme_temperature=0.01, top_p=0.5).score for seed in (1, 2)]
    opening = [[(note.time, note.pitch) for track in score.tracks for note in track.notes if note.time < 3840] for score in cold]
    assert opening[0] == opening[1]  # the seed has no say where there is no heat


def test_a_theme_returns_as_it_was_or_as_the_network_likes(bundle):
    def melody(piece: Piece) -> list[tuple[int, int]]:
        notes = piece.score.tracks[0].notes.numpy()
        steps = zip((notes["time"] * 4 // piece.score.tpq).tolist(), notes["pitch"].tolist(), strict=True)
        return [step for step in steps if step[0] < 64]

    exact = develop(bundle, theme_bars="1,3", likeness=1.0)
    assert melody(exact) == [*MARY_STEPS, *((start + 32, pitch) for start, pitch in MARY_STEPS)]
    free = [set(melody(develop(bundle, theme_bars="1,3", likeness=share, seed=seed))) for share in (0.0, 0.8) for seed in (1, 2, 3)]
    shared = [len(found & set(melody(exact))) for found in free]
    assert max(shared[:3]) < 5 < min(shared[3:])


def test_events_tell_the_piece_as_it_comes(bundle):
    wish = api.development(THEME, model=bundle, length=Length(8), seed=3, options={"key": "Eb"})
    events = list(api.compose_events(wish))
    events = events[max((i for i, event in enumerate(events) if isinstance(event, Restarted)), default=-1) + 1 :]
    piece = events[-1].piece
    assert isinstance(events[-1], Done)
    assert [event.bar for event in events if isinstance(event, BarDone)] == list(range(8))
    assert [event.done for event in events if isinstance(event, Progress)][-1] == 1.0
    told = sorted((round(n.start_s, 6), n.pitch, n.program) for e in events if isinstance(e, NotesAdded) for n in e.notes)
    tempo = units.tempo_map(piece.score)
    notes = [(round(float(tempo.to_seconds(n.time)), 6), n.pitch, t.program) for t in piece.score.tracks for n in t.notes]
    assert [note[1:] for note in told] == [note[1:] for note in sorted(notes)]
    assert np.allclose([note[0] for note in told], [note[0] for note in sorted(notes)], atol=1e-4)


def test_it_can_be_cancelled(bundle):
    with pytest.raises(Interrupted):
        list(api.compose_events(api.development(THEME, model=bundle, seed=1), lambda: True))


@pytest.mark.parametrize(
    ("data", "asked", "kind", "says"),
    [
        (b"MThd nothing", {}, MidiError, "."),
        (file(), {}, UsageError, "no notes"),
        (file(MARY, metre=(7, 8)), {}, UsageError, "7/8"),
        (file([(0, 1, 60)]), {}, UsageError, "single note"),
        (THEME, {"length": Length(100, "notes")}, CannotObey, "counts no notes"),
        (THEME, {"length": Length(100, "tokens")}, CannotObey, "counts no tokens"),
        (THEME, {"length": Length(3600, "seconds"), "options": {"tempo": 300}}, CannotObey, "a piece has at most 512"),
        (THEME, {"options": {"theme_bars": "1,9", "form": "AB"}}, UsageError, "both say where"),
        (THEME, {"options": {"theme_bars": "1,2"}}, CannotObey, "again in bar 2"),
        (THEME, {"options": {"theme_bars": "16"}}, CannotObey, "does not fit into 16 bars"),
        (THEME, {"options": {"theme_length": 4}}, UsageError, "has 2 bars, not 4"),
        (THEME, {"options": {"theme_length": 9}}, UsageError, "theme-length must be 1 to 8"),
        (LONG, {"length": Length(4), "options": {"theme_length": 8}}, CannotObey, "no room in a piece of 4"),
        (THEME, {"options": {"quote": True, "theme_bars": "3"}}, UsageError, "is to begin in bar 3"),
        (THEME, {"options": {"instruments": "flute,piano,bass"}}, CannotObey, "two instruments, not 3"),
        (THEME, {"options": {"instruments": "drums"}}, CannotObey, "no drums"),
        (THEME, {"options": {"key": "H#m7"}}, UnknownName, "key"),
        (THEME, {"options": {"key": "C", "chromatic": True}}, UsageError, "--chromatic leaves the key"),
        (THEME, {"options": {"melody_track": "Voice"}}, UnknownName, "Voice"),
        (THEME, {"options": {"genre": "jazz"}}, CannotObey, "no option 'genre'"),
    ],
)
def test_what_cannot_be_is_refused(bundle, data, asked, kind, says):
    with pytest.raises(kind, match=says) as error:
        list(api.compose_events(api.development(data, model=bundle, seed=1, **asked)))
    assert "\n" not in str(error.value)


def test_without_a_theme_it_is_said_what_to_do(bundle):
    with pytest.raises(CannotObey, match="develops a theme that is given") as error:
        api.compose(model=bundle, seed=1)
    assert "kapelle develop" in error.value.hint
    with pytest.raises(CannotObey, match="neither extends nor accompanies"):
        api.extend(THEME, model=bundle, seed=1)


def test_a_model_of_another_kind_develops_nothing(tmp_path):
    import composers

    with pytest.raises(CannotObey, match="nor develops a theme"):
        develop(str(composers.build(tmp_path / "genre")))


def test_two_hundred_bars_are_a_theme_of_eight(bundle):
    piece = develop(bundle, file([note for i in range(100) for note in later(MARY, 8 * i)]), bars=10)
    assert regions(piece) == [(0, 8)]
    assert (piece.report.facts["theme_bars"], piece.report.facts["theme_found"]) == (8, 200)


def test_it_is_offered_at_the_door():
    assert kapelle.develop is api.develop


# --- the session ----------------------------------------------------------------------------------------------------------


@dataclass
class Recorder:
    """A network of so many ids that writes down what it is fed: ids, labels, and the phrase it hears."""

    vocabulary: int
    context: int
    position: int = 0
    memory: int = -1
    windows: list[list[tuple[int, int, int]]] = field(default_factory=lambda: [[]])

    def reset(self) -> None:
        self.position = 0
        self.windows.append([])

    def encode(self, inputs: dict[str, np.ndarray], *, keep: bool = False) -> None:
        assert keep
        self.memory = int(inputs["theme"][0, 0])

    def feed(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        self.position += len(inputs["ids"])
        assert self.position <= self.context
        self.windows[-1] += [(int(i), int(label), self.memory) for i, label in zip(inputs["ids"], inputs["theme"], strict=True)]
        return np.random.default_rng(self.position).normal(0, 1, self.vocabulary).astype(np.float32)


@pytest.mark.parametrize("context", [64, 512])
def test_every_id_goes_with_its_label_and_its_phrase_also_when_the_window_slides(context):
    words = theme.vocabulary("paper")
    where = theme.layout(words)
    grammar = Grammar(words, Plan(16, (0, 4, 10), (2, 2), bpm=100, closing=frozenset((0, 4, 7))))
    course = Course(grammar, 2, (where.theme_start, where.theme_end))
    network = Recorder(len(words), context)
    session = Listening(network, course, [np.array([0]), np.array([1])])  # type: ignore[arg-type]
    frame = decoding.Frame((), (), where.bar, where.end)
    made = list(decoding.decode(session, frame, course, SamplingOptions(), np.random.default_rng(1)))
    labels = theme.labels_of(made, words)
    starts = np.cumsum(np.array(made) == where.theme_start)
    if context == 64:
        assert len(network.windows) > 5
    assert course.labels == labels.tolist()
    done = 0  # what windows held before
    for window in network.windows[1:]:
        ids = [token for token, _, _ in window]
        at = next(i for i in range(max(done - context, 0), len(made)) if made[i : i + len(ids)] == ids)
        done = at + len(ids)
        assert [label for _, label, _ in window] == labels[at:done].tolist()
        for (_, label, memory), start in zip(window, starts[at:done].tolist(), strict=True):
            assert memory == (start - 1) % 2 or not label


def test_a_sliding_window_gives_what_the_network_says_of_that_window(forgetful):
    """The last logits, with ids fed one by one and labels remembered, are those of the same ids and labels in a fresh session."""
    model = opened(api.bundle(forgetful))
    where = theme.layout(model.words)
    grammar = Grammar(model.words, Plan(8, (0, 4), (2,)))
    course = Course(grammar, 1, (where.theme_start, where.theme_end))
    phrase = theme.theme_ids(theme.to_score([theme.ThemeNote("MELODY", 0, 4, 60, 80)]), model.spec, n_bars=2)
    session = Listening(model.session, course, [phrase])
    frame = decoding.Frame((), (), where.bar, where.end)
    made = []
    for token in decoding.decode(session, frame, course, SamplingOptions(), np.random.default_rng(2)):
        made.append(token)
        if len(made) == 150:
            break
    held = model.session.position
    logits = session.feed(np.array(made[-1:])).copy()
    window = np.array(made[-held - 1 :])
    model.session.encode({"theme": phrase[None]})
    direct = model.session.feed({"ids": window, "theme": np.array(course.labels[-held - 1 :])})
    assert held < 96
    assert np.allclose(logits[1:], direct[1:], atol=1e-4)


def test_a_free_theme_rests_after_two_in_a_row(bundle):
    words = theme.vocabulary("paper")
    where = theme.layout(words)
    course = Course(Grammar(words, Plan(16)), 1, (where.theme_start, where.theme_end))
    note = [words[name] for name in ("Position_0", "Note-On-MELODY_60", "Note-Duration-MELODY_4", "Note-Velocity-MELODY_80")]
    region = [where.theme_start, where.bar, *note, where.bar, *note, where.theme_end]
    for token in region:
        course.accept(token)
    assert where.theme_start not in course.leanings()
    for token in region:
        course.accept(token)
    assert course.leanings()[where.theme_start] < 0
    course.accept(where.bar)
    assert where.theme_start not in course.leanings()
