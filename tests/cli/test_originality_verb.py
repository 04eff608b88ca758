"""``kapelle originality``, and what is said of it when a piece is composed."""

import json
import shutil
from pathlib import Path

import pytest

import tunes
from kapelle import api
from kapelle.bundles import amend, load
from kapelle.composing.events import Done, Restarted
from kapelle.judging import originality
from kapelle.score.read import read

SEED = 7
BARS = 24


@pytest.fixture(scope="module")
def indexed(home, tmp_path_factory):
    """A home whose bundle ``genre`` has learned, as its index says, from the piece that it composes with the seed 7."""
    place = tmp_path_factory.mktemp("indexed")
    shutil.copytree(home / "bundles", place / "bundles")
    folder = place / "bundles" / "genre"
    wish = api.request(str(folder), seed=SEED, length=api.length_of(bars=BARS), options={"genre": "pop"})
    score = api.compose_one(wish).score
    told = originality.Human((0, 0, 10, 14), (0.0, 0.0, 0.0, 0.1), 4)
    amend.amend(folder, {originality.FILE_NAME: originality.with_human(originality.build([("old song", score)]), told)})
    shutil.copytree(folder, folder.with_name("fake-autoregressive"))  # the name that it goes by in its files
    return place


@pytest.fixture
def call(run, indexed, monkeypatch):
    monkeypatch.setenv("KAPELLE_HOME", str(indexed))
    return run


COMPOSE = ("compose", "--genre", "pop", "--bars", BARS, "--seed", SEED)


def test_a_piece_tells_what_it_shares_and_what_people_share(call):
    out = call(*COMPOSE, "-o", "a.mid").out
    assert "longest run shared with the training music" in out
    assert "nearest: old song" in out
    assert "human music (excerpts of 16 bars: 4): no shared run in 50%, 14 notes or fewer in 95%; share of notes 2.5%" in out


def test_machines_get_the_same_figures(call):
    (piece,) = call(*COMPOSE, "-o", "a.mid", "--json").data["pieces"]
    found = piece["originality"]
    assert found["nearest"] == "old song"
    assert found["share_copied"] > 0.9
    assert found["longest_run"] <= found["at_most"]
    assert found["human"]["excerpts"] == 4
    assert "runs" not in found


def test_several_pieces_have_a_column_and_the_human_figures_once(call):
    out = call(*COMPOSE, "--count", 3, "-o", "many").out
    assert "shared run" in out.splitlines()[0]
    assert out.count("human music") == 1


def test_without_an_index_that_is_said(compose):
    answer = compose(*COMPOSE, "-o", "a.mid")
    assert "the model has no index of the music that it learned from" in answer.out
    assert answer.err == ""
    (piece,) = compose(*COMPOSE, "-o", "b.mid", "--json").data["pieces"]
    assert piece["originality"] is None


def test_beyond_the_limit_a_piece_is_composed_with_another_seed_and_its_recipe_makes_it_again(call):
    words = (*COMPOSE, "--max-copied-notes", 11)
    (first,) = call(*words, "-o", "a.mid", "--save-recipe", "a.json", "--json").data["pieces"]
    assert first["seed"] == SEED + (first["tries"] - 1) * 2**32
    assert first["tries"] > 1
    assert first["originality"]["at_most"] <= 11
    assert call(*words, "-o", "b.mid").code == 0
    assert call("compose", "--from", "a.json", "-o", "c.mid").code == 0
    assert call("compose", "--genre", "pop", "--bars", BARS, "--seed", first["seed"], "-o", "d.mid").code == 0
    assert len({Path(name).read_bytes() for name in ("a.mid", "b.mid", "c.mid", "d.mid")}) == 1
    assert json.loads(Path("a.json").read_text())["request"]["max_copied_notes"] == 0


def test_several_pieces_are_the_same_alone_and_by_two_processes(call):
    for folder, processes in (("one", 1), ("two", 2)):
        assert call(*COMPOSE, "--max-copied-notes", 11, "--count", 2, "--processes", processes, "-o", folder).code == 0
    alone = call(*COMPOSE[:-1], SEED + 1, "--max-copied-notes", 11, "-o", "alone.mid")
    assert alone.code == 0
    for name in ("kapelle-pop-7.mid", "kapelle-pop-8.mid"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert Path("alone.mid").read_bytes() == Path("one", "kapelle-pop-8.mid").read_bytes()


def test_after_sixteen_tries_the_piece_that_shares_least_is_taken_with_a_warning(indexed, monkeypatch):
    folder = indexed / "bundles" / "genre"
    piece = api.compose_one(api.request(str(folder), seed=SEED, length=api.length_of(bars=BARS), options={"genre": "pop"}))
    asked = []

    def compose(wish):
        asked.append(wish.seed)
        yield Done(piece)

    from kapelle.api.sharing import TOO_LONG, original_events

    wish = api.request(str(folder), seed=SEED, max_copied_notes=11)
    events = list(original_events(wish, compose))
    assert asked == [SEED + number * 2**32 for number in range(16)]
    assert [event.attempt for event in events if isinstance(event, Restarted)] == list(range(2, 17))
    assert events[-1].piece.report.problems == (TOO_LONG,)
    assert events[-1].piece.report.facts["tries"] == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--max-copied-notes", 10), 2, "the lowest limit is 11"),
        (("--max-copied-notes", 11, "--resume", "--count", 2, "-o", "many"), 2, "contradict each other"),
        (("--max-copied-notes", -1), 2, "max-copied-notes"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(call, words, code, said):
    answer = call(*COMPOSE, *words)
    assert answer.code == code
    assert said in answer.err


def test_a_limit_without_an_index_is_refused(compose):
    answer = compose(*COMPOSE, "--max-copied-notes", 12)
    assert answer.code == 2
    assert "has no index of the music" in answer.err


def test_the_verb_tells_of_a_file_by_the_model_that_composed_it(call):
    call(*COMPOSE, "-o", "a.mid")
    answer = call("originality", "a.mid", "--plot", "a.svg")
    assert answer.code == 0
    assert "nearest: old song" in answer.out
    assert originality.SHARED in Path("a.svg").read_text(encoding="utf-8")
    (file,) = call("originality", "a.mid", "--json").data["files"]
    assert file["originality"]["runs"][0]["piece"] == "old song"
    assert call("originality", "a.mid", "--plot", "a.svg").code == 2
    table = call("originality", "a.mid", "a.mid").out
    assert len(table.splitlines()) == 4


def test_a_file_of_others_needs_a_model(call):
    tunes.tune(3).dump_midi("tune.mid")
    answer = call("originality", "tune.mid")
    assert (answer.code, "--model NAME" in answer.err) == (2, True)
    answer = call("originality", "tune.mid", "--model", "genre")
    assert answer.code == 0
    assert "no run of 12 notes or more is also in the training music" in answer.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--index", "x"), 2),
        (("--index", "x", "--bundle", "y"), 4),
        (("nowhere.mid", "--model", "genre"), 4),
        (("a.txt", "--model", "genre"), 3),
    ],
)  # fmt: skip
def test_what_is_not_there_or_not_music_is_one_line(call, words, code):
    Path("a.txt").write_text("no music")
    answer = call("originality", *words)
    assert answer.code == code
    assert answer.err.startswith("error: ")


def test_a_bundle_gets_an_index_from_shards(run, home, tmp_path):
    from kapelle.data.prepare import preparation, prepare

    Path("tiny.toml").write_text(tunes.RECIPE)
    prepare(tunes.write_folder(Path("midi")), preparation(Path("tiny.toml")), Path("shards"))
    shutil.copytree(home / "bundles" / "genre", "own")
    before = load.load("./own")
    answer = run("originality", "--index", "shards", "--bundle", "./own", "--names", "midi", "--json")
    assert answer.code == 0
    made = load.load("./own")
    assert answer.data["bytes"] == len(made.contents[originality.FILE_NAME])
    assert made.hash != before.hash
    assert {name: data for name, data in made.contents.items() if name != originality.FILE_NAME} == before.contents
    index = originality.of(made)
    assert originality.lookup(read(Path("midi", f"{index.names[0]}.mid")), index).nearest == index.names[0]


def test_a_damaged_index_is_a_line_when_it_is_asked_for(call, indexed, tmp_path, monkeypatch):
    place = tmp_path / "other"
    shutil.copytree(indexed / "bundles", place / "bundles")
    amend.amend(place / "bundles" / "genre", {originality.FILE_NAME: b"nonsense"})
    monkeypatch.setenv("KAPELLE_HOME", str(place))
    tunes.tune(3).dump_midi("tune.mid")
    answer = call("originality", "tune.mid", "--model", "genre")
    assert (answer.code, "originality.idx is damaged" in answer.err) == (3, True)


def test_bundles_that_learned_from_the_same_music_share_one_index(indexed, home, tmp_path, monkeypatch):
    import hashlib

    place = tmp_path / "two"
    shutil.copytree(indexed / "bundles", place / "bundles")
    shutil.copytree(home / "bundles" / "genre", place / "bundles" / "other")
    data = load.load(place / "bundles" / "genre").contents[originality.FILE_NAME]
    named = {"bundle": "genre", "sha256": hashlib.sha256(data).hexdigest()}
    amend.amend(place / "bundles" / "other", options={"originality": named})
    monkeypatch.setenv("KAPELLE_HOME", str(place))
    assert originality.at("other").names == ("old song",)
    assert originality.of(load.load("other")).names == ("old song",)
    amend.amend(place / "bundles" / "other", options={"originality": {**named, "sha256": "0" * 64}})
    assert originality.at("other") is None  # another index than the one meant
    shutil.rmtree(place / "bundles" / "genre")
    assert originality.at("other") is None
    amend.amend(place / "bundles" / "other", options={"originality": None})
    assert "originality" not in load.manifest_of("other").options


def test_one_file_that_cannot_be_read_does_not_stop_the_others(call):
    call(*COMPOSE, "-o", "a.mid")
    Path("bad.mid").write_bytes(b"no music")
    answer = call("originality", "bad.mid", "a.mid")
    assert answer.code == 0
    assert "nearest: old song" in answer.out
    assert "bad.mid" in answer.err
    good, bad = call("originality", "bad.mid", "a.mid", "--json").data["files"]
    assert (good["file"], bad["file"]) == ("a.mid", "bad.mid")
    assert good["originality"]["nearest"] == "old song"
    assert "not a MIDI file" in bad["error"]
    assert call("originality", "bad.mid", "bad.mid").code == 3


def test_a_piece_without_pitched_notes_has_nothing_to_compare(call):
    drums = tunes.tune(1)
    drums.tracks[0].is_drum = True
    Path("drums.mid").write_bytes(drums.dumps_midi())
    answer = call("originality", "drums.mid", "--model", "genre")
    assert answer.code == 0
    assert "there are no pitched notes to compare" in answer.out
