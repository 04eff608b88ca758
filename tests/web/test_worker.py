"""A worker, in this process: what its jobs make, tell and leave behind."""

import io
import json
import time
from base64 import b64encode
from dataclasses import replace

import pytest
import soundfile
from symusic import Note, Score, Track

from kapelle import api, workers
from kapelle.composing import events
from kapelle.errors import Missing, StorageError
from kapelle.render import chunks
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from kapelle.web import telling
from kapelle.web.faults import error_of
from kapelle.web.folder import NotFound
from kapelle.web.studio import open_studio
from kapelle.web.verbs import VERBS
from kapelle.web.worker import AGAIN, Worker

SMALL = {"model": "genre-small", "length": {"amount": 2, "unit": "bars"}, "seed": 5}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return open_studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def worker(studio):
    return Worker(studio)


@pytest.fixture
def do(studio, worker):
    """Put a job, do it, and give it back as it ended."""

    def run(verb, body, wanted="done"):
        job = studio.jobs.put(verb, body)
        worker.do(studio.jobs.claim(worker.id))
        ended = studio.jobs.get(job.id)
        assert ended.state == wanted, ended.error and str(error_of(ended.error))
        return ended

    return run


@pytest.fixture(scope="module")
def piece(studio):
    """A piece of 8 bars in the library."""
    return studio.library.add(api.compose(model="genre-small", bars=8, seed=1, genre="pop"), verb="compose")


def told(studio, job, name):
    return [event.data for event in studio.jobs.events_after(0, job.id) if event.name == name]


def failure(job):
    return str(error_of(job.error))


# --- composing ----------------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_as_the_api(studio, do):
    body = SMALL | {"options": {"genre": "jazz", "tempo": 120}, "sampling": {"temperature": 0.9}}
    job = do("compose", body)
    alone = api.compose(model="genre-small", bars=2, seed=5, genre="jazz", tempo=120, temperature=0.9)
    assert studio.library.midi(job.pieces[0]) == alone.to_midi()
    record = studio.library.get(job.pieces[0])
    assert (record.seed, record.request["options"]["genre"], record.n_bars) == (5, "jazz", 2)
    assert job.result["reports"][0] | {"facts": None} == {
        "id": record.id, "seed": 5, "attempts": alone.report.attempts, "first_failures": list(alone.report.first_failures),
        "problems": [], "dropped": 0, "closed": alone.report.closed, "facts": None,
    }  # fmt: skip


def test_notes_bars_sounds_and_the_piece_are_told_before_the_end(studio, do):
    job = do("compose", SMALL)
    names = [event.name for event in studio.jobs.events_after(0, job.id)]
    assert names[:2] == ["state", "state"]
    assert names[-2:] == ["piece", "done"] or names[-3:] == ["piece", "progress", "done"]
    assert names.index("notes") < names.index("bar") < names.index("sound") < names.index("piece")
    score = read(studio.library.midi(job.pieces[0]))
    notes = [tuple(row) for data in told(studio, job, "notes") for row in data["notes"]]
    assert len(notes) == sum(len(track.notes) for track in score.tracks)
    assert {row[2] for row in notes} == {note.pitch for track in score.tracks for note in track.notes}
    assert told(studio, job, "bar")[-1]["bar"] == 1
    assert told(studio, job, "piece") == [{"number": 0, "id": job.pieces[0]}]
    assert told(studio, job, "progress")[-1]["done"] == 1


def test_every_note_is_in_a_chunk_that_sounds(studio, do):
    job = do("compose", SMALL)
    notes = [events.Note(*row) for data in told(studio, job, "notes") for row in data["notes"]]
    heard = {(data["chunk"], program) for data in told(studio, job, "sound") for program in data["programs"]}
    assert {(int(note.start_s / chunks.CHUNK_S), note.program) for note in notes} == heard
    for chunk, program in heard:
        samples, rate = soundfile.read(io.BytesIO(studio.folder.sound(job.id, 0, chunk, program).read_bytes()))
        assert rate == chunks.RATE_HZ
        assert abs(samples).max() > 0.01


def test_of_many_pieces_only_the_first_sound_while_they_are_composed(studio, do, monkeypatch):
    monkeypatch.setattr("kapelle.web.live_sound.LIVE_PIECES", 1)
    job = do("compose", SMALL | {"count": 2})
    assert {data["number"] for data in told(studio, job, "sound")} == {0}
    assert {data["number"] for data in told(studio, job, "notes")} == {0, 1}


def test_several_pieces_have_the_next_seeds_and_numbered_titles(studio, do):
    job = do("compose", SMALL | {"count": 3, "title": "Study", "tags": ["x"]})
    records = [studio.library.get(id) for id in job.pieces]
    assert [(record.title, record.seed, record.tags) for record in records] == [
        ("Study 1", 5, ("x",)), ("Study 2", 6, ("x",)), ("Study 3", 7, ("x",)),
    ]  # fmt: skip
    assert [data["number"] for data in told(studio, job, "piece")] == [0, 1, 2]
    alone = api.compose(model="genre-small", bars=2, seed=7)
    assert studio.library.midi(job.pieces[2]) == alone.to_midi()


def test_a_seed_is_drawn_where_none_is_given(studio, do):
    body = {name: value for name, value in SMALL.items() if name != "seed"}
    seeds = {studio.library.get(do("compose", body).pieces[0]).seed for _ in range(3)}
    assert len(seeds) == 3


def test_the_best_of_many_is_kept_with_its_judgement(studio, do):
    before = studio.library.search()[1]
    job = do("compose", SMALL | {"best": 2, "of": 4})
    assert studio.library.search()[1] == before + 2
    table = job.result["ranking"]
    assert [row["place"] for row in table["candidates"]] == [1, 2, 3, 4]
    chosen = [row for row in table["candidates"] if row["chosen"]]
    assert [row["piece"] for row in chosen] == list(job.pieces)
    judge = studio.library.get(job.pieces[0]).judge
    assert judge["place"] == 1
    assert {"value", "weight", "reason"} <= set(judge["parts"]["human"])
    best = api.compose(model="genre-small", bars=2, seed=5, best=1, of=4)
    assert studio.library.midi(job.pieces[0]) == best.to_midi()


def test_a_band_plays_around_a_piece_and_its_late_notes_sound_too(studio, do):
    job = do("compose", SMALL | {"band": True})
    programs = {row[4] for data in told(studio, job, "notes") for row in data["notes"]}
    assert len(programs) > 1
    assert {program for data in told(studio, job, "sound") for program in data["programs"]} == programs


def test_a_piece_goes_on_from_one_of_the_library(studio, do, piece):
    job = do("extend", SMALL | {"source": {"piece": piece.id}})
    record = studio.library.get(job.pieces[0])
    assert (record.parent, record.verb, record.n_bars) == (piece.id, "extend", piece.n_bars + 2)
    alone = api.extend(studio.library.midi(piece.id), model="genre-small", bars=2, seed=5)
    assert studio.library.midi(record.id) == alone.to_midi()


def test_a_band_plays_around_an_upload_which_is_gone_then(studio, do, piece):
    upload = studio.library.put_upload(studio.library.midi(piece.id), "lead.mid")
    job = do("accompany", {"source": {"upload": upload.id}, "seed": 2})
    with pytest.raises(NotFound):
        studio.library.upload(upload.id)
    alone = api.accompany(studio.library.midi(piece.id), seed=2)
    assert studio.library.midi(job.pieces[0]) == alone.to_midi()
    again = do("again", {"piece": job.pieces[0]})  # the recipe carries its own copy
    assert again.result["same_bytes"] is True


def test_an_upload_is_gone_after_a_job_that_failed_too(studio, do):
    upload = studio.library.put_upload(b"no music", "lead.mid")
    job = do("accompany", {"source": {"upload": upload.id}}, "failed")
    assert job.error["kind"] == "MidiError"
    with pytest.raises(NotFound):
        studio.library.upload(upload.id)


def song():
    """A flute that plays two bars four times, with others between them."""
    theme = [60, 64, 67, 72, 71, 67, 65, 62, 60, 62, 64, 65, 67, 67, 64, 60]
    others = (
        [57, 60, 64, 69, 67, 65, 64, 62, 60, 59, 57, 55, 57, 59, 60, 60],
        [65, 69, 72, 77, 76, 72, 70, 67, 65, 64, 62, 60, 59, 55, 53, 52],
    )
    score = Score(480)
    score.tracks.append(Track(name="Flute", program=73))
    for number, bars in enumerate((theme, others[0], theme, others[1]) * 2):
        for step, pitch in enumerate(bars):
            score.tracks[0].notes.append(Note(3840 * number + 240 * step, 230, pitch, 90))
    return to_bytes(score)


def test_the_theme_of_a_piece_can_be_developed(studio, do):
    upload = studio.library.put_upload(song(), "song.mid")
    found = do("themes", {"source": {"upload": upload.id}}).result
    assert (found["melody"], found["theme"]) == ("Flute", {"bar": 0, "bars": 2})
    assert [one["bar"] for one in found["returns"]] == [0, 4, 8, 12]
    job = do("develop", {"source": {"upload": found["upload"]["id"]}, "length": {"amount": 4, "unit": "bars"}, "seed": 1})
    assert studio.library.get(job.pieces[0]).model == "theme"


def test_a_way_between_two_seeds_begins_with_the_one_and_ends_with_the_other(studio, do):
    body = {"model": "band-hybrid", "seed": 1, "towards": 2, "count": 2, "length": {"amount": 2, "unit": "bars"}}
    job = do("interpolate", body)
    ways = api.interpolate(1, 2, count=2, model="band-hybrid", bars=2)
    assert [studio.library.midi(id) for id in job.pieces] == [way.to_midi() for way in ways]


def test_an_option_that_is_a_file_is_base64_a_piece_or_an_upload_and_never_a_path(studio, do, piece, tmp_path):
    name = next(name for name, entry in api.offer("chopin").options["properties"].items() if "contentEncoding" in entry)
    path = tmp_path / "a.mid"
    path.write_bytes(studio.library.midi(piece.id))
    body = {"model": "chopin", "length": {"amount": 20, "unit": "notes"}, "seed": 1}
    for value in ({"piece": piece.id}, b64encode(studio.library.midi(piece.id)).decode()):
        assert do("compose", body | {"options": {name: value}}).pieces
    job = do("compose", body | {"options": {name: str(path)}}, "failed")
    assert "takes a MIDI file" in failure(job)


@pytest.mark.parametrize("model", ["../genre-small", "/tmp", "genre-small/", "a\x00b", "\ud800", 7, ["genre-small"]])
def test_a_model_is_a_name_and_never_a_path(do, model):
    assert failure(do("compose", SMALL | {"model": model}, "failed")).startswith("unknown model")


@pytest.mark.parametrize(
    ("verb", "body", "why"),
    [
        ("compose", SMALL | {"options": {"genre": "polka-metal"}}, "genre"),
        ("compose", SMALL | {"length": {"amount": 0, "unit": "bars"}}, "bars must be"),
        ("compose", SMALL | {"count": 1000}, "count must be"),
        ("compose", SMALL | {"best": 5, "of": 2}, "best 5 of 2"),
        ("compose", SMALL | {"best": 1, "of": 9999}, "256 candidates"),
        ("extend", SMALL, "music to begin with"),
        ("extend", SMALL | {"source": {"piece": "abcdefghijkl"}}, "no piece"),
        ("interpolate", {"seed": 1}, "other seed"),
        ("again", {"piece": "abcdefghijkl"}, "no piece"),
        ("rank", {"pieces": []}, "nothing to choose"),
        ("evaluate", {"made": [], "reference": []}, "nothing to evaluate"),
        ("dance", {}, "unknown verb"),
        ("compose", {"seed": "many"}, "bug"),
    ],
)
def test_what_cannot_be_done_fails_with_a_message(do, verb, body, why):
    assert why in failure(do(verb, body, "failed"))


# --- from the library ---------------------------------------------------------------------------------------------------------------


def test_again_gives_the_same_bytes_and_no_second_piece(studio, do, piece):
    before = studio.library.search()[1]
    job = do("again", {"piece": piece.id})
    assert job.result["same_bytes"] is True
    assert job.pieces == (piece.id,)
    assert studio.library.search()[1] == before


def test_again_tells_where_the_bytes_differ_and_keeps_both(studio, do, piece):
    made = studio.library.add(api.compose(model="genre-small", bars=2, seed=8), verb="compose")
    studio.folder.midi(made.id).write_bytes(studio.library.midi(piece.id))
    job = do("again", {"piece": made.id})
    assert job.result["same_bytes"] is False
    assert studio.library.get(job.pieces[0]).parent == made.id


def test_again_with_another_bundle_says_so(studio, do):
    made = studio.library.add(replace(api.compose(model="genre-small", bars=2, seed=8), bundle_hash="0" * 64), verb="compose")
    job = do("again", {"piece": made.id}, "failed")
    assert isinstance(error_of(job.error), Missing)


def test_a_variation_has_another_seed_and_keeps_the_rest(studio, do, piece):
    job = do("vary", {"piece": piece.id})
    record = studio.library.get(job.pieces[0])
    assert record.parent == piece.id
    assert record.seed != piece.seed
    assert {**record.request, "seed": 0} == {**piece.request, "seed": 0}
    given = do("vary", {"piece": piece.id, "seed": 9, "options": {"key": "C"}})
    alone = api.compose(model="genre-small", bars=8, seed=9, genre="pop", key="C")
    assert studio.library.midi(given.pieces[0]) == alone.to_midi()


def test_a_variation_keeps_a_title_that_was_given_and_the_limit_of_copied_notes(studio, do):
    job = do("compose", SMALL | {"title": "Mine", "max_copied_notes": 40})
    record = studio.library.get(do("vary", {"piece": job.pieces[0]}).pieces[0])
    assert (record.title, record.request["max_copied_notes"]) == ("Mine", 40)


def test_what_was_uploaded_cannot_be_varied(studio, do, piece):
    upload = studio.library.put_upload(studio.library.midi(piece.id), "Sonata {x}")
    record = studio.library.keep(upload.id)
    assert failure(do("vary", {"piece": record.id}, "failed")) == "Sonata {x} was not composed here"


# --- judging ------------------------------------------------------------------------------------------------------------------------


def test_pieces_are_ranked_by_title_and_know_their_place(studio, do):
    made = do("compose", SMALL | {"count": 3}).pieces
    job = do("rank", {"pieces": made, "best": 2, "weights": {"human": 2}})
    rows = job.result["ranking"]["candidates"]
    assert sorted(row["piece"] for row in rows) == sorted(made)
    assert all("/" not in row["name"] for row in rows)
    for row in rows:
        assert studio.library.get(row["piece"]).judge["place"] == row["place"]


def test_an_evaluation_is_a_page(studio, do):
    made = do("compose", SMALL | {"count": 4}).pieces
    job = do("evaluate", {"made": made[:2], "reference": made[2:]})
    assert job.result["report_url"] == f"/reports/{job.id}.html"
    page = studio.folder.report(job.id).read_text()
    assert "<h1>Evaluation</h1>" in page
    assert str(studio.folder.path) not in page + json.dumps(job.result)
    assert not (studio.folder.job(job.id) / "evaluate").exists()


# --- ending -------------------------------------------------------------------------------------------------------------------------


def test_a_job_that_is_cancelled_in_the_midst_ends_soon_and_keeps_what_is_done(studio, worker, monkeypatch):
    job = studio.jobs.put("compose", SMALL | {"count": 3, "length": {"amount": 4, "unit": "bars"}})
    tell = studio.jobs.tell

    def tells(id, worker, events, progress=None):
        answer = tell(id, worker, events, progress)
        if any(name == "piece" for name, _ in events):
            studio.jobs.cancel(id)
        return answer

    monkeypatch.setattr(studio.jobs, "tell", tells)
    worker.do(studio.jobs.claim(worker.id))
    ended = studio.jobs.get(job.id)
    assert (ended.state, len(ended.pieces)) == ("cancelled", 1)
    assert studio.library.get(ended.pieces[0])


def test_candidates_are_cancelled_in_the_midst_of_one(studio, worker, monkeypatch):
    job = studio.jobs.put("compose", SMALL | {"length": {"amount": 64, "unit": "bars"}, "best": 1, "of": 8})
    monkeypatch.setattr(telling, "ASK_S", 0.0)
    began = time.monotonic()
    asked = studio.jobs.is_cancelled

    def asks(id, worker):
        if time.monotonic() - began > 0.3:
            studio.jobs.cancel(id)
        return asked(id, worker)

    monkeypatch.setattr(studio.jobs, "is_cancelled", asks)
    worker.do(studio.jobs.claim(worker.id))
    assert studio.jobs.get(job.id).state == "cancelled"
    assert studio.jobs.get(job.id).progress < 0.2
    assert workers.stopped() is False


def test_a_worker_that_leaves_gives_its_job_back(studio):
    leaver = Worker(studio)
    job = studio.jobs.put("compose", SMALL)
    leaver.leaving.set()
    leaver.do(studio.jobs.claim(leaver.id))
    back = studio.jobs.get(job.id)
    assert (back.state, back.attempts) == ("queued", 0)
    other = Worker(studio)
    other.do(studio.jobs.claim(other.id))
    assert studio.jobs.get(job.id).state == "done"


def test_a_job_that_is_begun_again_makes_each_piece_once(studio, worker, monkeypatch):
    """The first worker dies after the second of three pieces is kept, before it is told."""
    job = studio.jobs.put("compose", {name: value for name, value in SMALL.items() if name != "seed"} | {"count": 3})
    dead = Worker(studio)
    tell = studio.jobs.tell

    class Died(BaseException):
        pass

    def dies(id, worker, events, progress=None):
        if any(name == "piece" and data["number"] == 1 for name, data in events):
            raise Died
        return tell(id, worker, events, progress)

    monkeypatch.setattr(studio.jobs, "tell", dies)
    with pytest.raises(Died):
        dead.do(studio.jobs.claim(dead.id))
    monkeypatch.undo()
    before = {record.id: studio.library.midi(record.id) for record in studio.library.search(limit=2)[0]}
    dead._lock.release()
    assert studio.jobs.requeue_dead(studio.is_alive) == 1
    worker.do(studio.jobs.claim(worker.id))
    ended = studio.jobs.get(job.id)
    assert (ended.state, len(ended.pieces), len(set(ended.pieces))) == ("done", 3, 3)
    assert set(before) <= set(ended.pieces)
    assert [data["number"] for data in told(studio, ended, "piece")] == [0, 1, 2]
    again = [data for data in told(studio, ended, "restarted") if data["reasons"] == [AGAIN]]  # a drawn seed may need other tries too
    assert again == [{"number": 1, "attempt": 1, "reasons": [AGAIN]}]
    seeds = [studio.library.get(id).seed for id in ended.pieces]
    assert seeds == list(range(seeds[0], seeds[0] + 3))


def test_a_worker_whose_job_was_taken_away_says_nothing_more(studio, worker):
    job = studio.jobs.put("compose", SMALL)
    mine = studio.jobs.claim("stranger")
    studio.jobs.requeue_dead(lambda id: id != "stranger")
    theirs = studio.jobs.claim(worker.id)
    stranger = Worker(studio)
    stranger.id = "stranger"
    stranger.do(mine)
    assert studio.jobs.get(job.id).state == "running"
    worker.do(theirs)
    assert studio.jobs.get(job.id).state == "done"


def test_a_full_disk_fails_the_job_and_leaves_the_library_whole(studio, do, monkeypatch):
    before = studio.library.search(limit=500)

    def full(path, data, **how):
        raise StorageError("cannot write {path}: {why}", path=path, why="No space left on device")

    from kapelle.web import library, live_sound

    monkeypatch.setattr(live_sound, "write_bytes", full)
    job = do("compose", SMALL, "failed")
    assert "No space left" in failure(job)
    monkeypatch.undo()
    monkeypatch.setattr(library, "write_bytes", full)
    assert "No space left" in failure(do("compose", SMALL, "failed"))
    monkeypatch.undo()
    assert studio.library.search(limit=500) == before
    assert studio.library.rebuild() == 0


def test_a_worker_that_cannot_note_the_end_of_its_job_gives_up(studio, monkeypatch):
    job = studio.jobs.put("compose", SMALL)
    poor = Worker(studio)

    def full(*given):
        raise StorageError("the disk is full: {path} cannot grow", path="studio.sqlite")

    monkeypatch.setattr(studio.jobs, "finish", full)
    monkeypatch.setattr(studio.jobs, "tell", full)
    monkeypatch.setattr(studio.jobs, "fail", full)
    monkeypatch.setattr("kapelle.web.worker.time.sleep", lambda seconds: None)
    with pytest.raises(SystemExit):
        poor.do(studio.jobs.claim(poor.id))
    monkeypatch.undo()
    poor._lock.release()
    studio.jobs.requeue_dead(studio.is_alive)
    assert studio.jobs.get(job.id).state == "queued"
    studio.jobs.cancel(job.id)


def test_memory_that_is_not_there_is_an_error_of_ours(studio, do, monkeypatch):
    def hungry(body, context):
        raise MemoryError

    monkeypatch.setitem(VERBS, "compose", hungry)
    assert do("compose", {}, "failed").error["kind"] == "NotEnoughMemory"
