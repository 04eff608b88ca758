"""Jobs: states, claims, keys, the queue, and errors that cross the table."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kapelle.errors import CannotObey, KapelleError, UnknownName, UsageError
from kapelle.texts import Texts
from kapelle.web.database import Database
from kapelle.web.faults import error_of, error_table
from kapelle.web.folder import NotFound
from kapelle.web.jobs import ENDED, EVENTS_S, JOBS_S, MAX_ATTEMPTS, Jobs, QueueFull, is_slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def jobs(tmp_path):
    return Jobs(Database(tmp_path / "studio.sqlite"))


def names(jobs, job):
    return [event.name for event in jobs.events_after(0, job.id)]


def test_a_job_goes_from_queued_over_running_to_done(jobs):
    job = jobs.put("compose", {"seed": 1})
    assert (job.state, job.position, job.body) == ("queued", 1, {"seed": 1})
    mine = jobs.claim("w1")
    assert (mine.id, mine.state, mine.attempts) == (job.id, "running", 1)
    assert jobs.claim("w2") is None
    assert jobs.tell(job.id, "w1", [("notes", {"number": 0}), ("piece", {"number": 0, "id": "abc"})], 0.5) is False
    assert jobs.get(job.id).progress == 0.5
    assert jobs.finish(job.id, "w1", {"x": float("nan")}) is True
    done = jobs.get(job.id)
    assert (done.state, done.pieces, done.result, done.progress) == ("done", ("abc",), {"x": None}, 1.0)
    assert done.created <= done.started <= done.finished
    assert names(jobs, job) == ["state", "state", "notes", "piece", "done"]
    assert jobs.events_after(0, job.id)[-1].data == {"pieces": ["abc"], "result": {"x": None}}
    assert done.as_dict()["pieces"] == ["abc"]


def test_a_job_ends_once_and_only_by_its_own_worker(jobs):
    job = jobs.put("compose", {})
    jobs.claim("w1")
    assert jobs.finish(job.id, "w2", {}) is False
    assert jobs.tell(job.id, "w2", [("notes", {})]) is None
    assert jobs.finish(job.id, "w1", {}) is True
    assert jobs.finish(job.id, "w1", {}) is False
    assert jobs.fail(job.id, "w1", UsageError("x")) is False
    assert jobs.cancel(job.id) is False
    assert names(jobs, job) == ["state", "state", "done"]


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked(jobs):
    first, second = jobs.put("compose", {}), jobs.put("compose", {})
    assert jobs.cancel(second.id) is True
    assert jobs.get(second.id).state == "cancelled"
    jobs.claim("w")
    assert jobs.claim("w") is None
    assert jobs.is_cancelled(first.id, "w") is False
    assert jobs.cancel(first.id) is True
    assert jobs.get(first.id).state == "running"
    assert jobs.is_cancelled(first.id, "w") is True
    assert jobs.tell(first.id, "w", []) is True
    assert jobs.end_cancelled(first.id, "w") is True
    assert names(jobs, first)[-1] == "cancelled"
    for id in ("abcdefghijkl", "\ud800", "../.."):
        for ask in (jobs.cancel, jobs.get):
            with pytest.raises(NotFound):
                ask(id)


def test_the_queue_is_bounded_and_says_when_to_come_again(tmp_path):
    jobs = Jobs(Database(tmp_path / "studio.sqlite"), most=2)
    jobs.put("compose", {}, key="a")
    jobs.put("compose", {})
    with pytest.raises(QueueFull) as caught:
        jobs.put("compose", {})
    assert caught.value.status == 503
    assert caught.value.retry_after_s > 0
    assert jobs.put("compose", {}, key="a").state == "queued"  # it is there already
    jobs.claim("w")
    assert jobs.put("compose", {}).position == 2
    assert jobs.n_waiting() == 2


def test_places_in_the_queue_count_from_one(jobs):
    made = [jobs.put("compose", {}) for _ in range(3)]
    assert [jobs.get(job.id).position for job in made] == [1, 2, 3]
    jobs.claim("w")
    assert [jobs.get(job.id).position for job in made] == [0, 1, 2]


def test_one_key_is_one_job(jobs):
    one = jobs.put("compose", {"a": 1, "b": 2}, key="k")
    assert jobs.put("compose", {"b": 2, "a": 1}, key="k").id == one.id
    with pytest.raises(UsageError, match="another job"):
        jobs.put("compose", {"a": 2}, key="k")
    assert jobs.put("compose", {"a": 1, "b": 2}).id != one.id


def test_a_job_of_a_dead_worker_goes_back_once_and_then_fails(jobs):
    job = jobs.put("compose", {})
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert jobs.claim(f"w{attempt}").attempts == attempt
        assert jobs.requeue_dead(lambda worker: True) == 0
        assert jobs.requeue_dead(lambda worker: False) == 1
    failed = jobs.get(job.id)
    assert failed.state == "failed"
    assert "worker died" in str(error_of(failed.error))
    assert jobs.finish(job.id, "w1", {}) is False


def test_a_cancelled_job_of_a_dead_worker_is_cancelled(jobs):
    job = jobs.put("compose", {})
    jobs.claim("w")
    jobs.cancel(job.id)
    jobs.requeue_dead(lambda worker: False)
    assert jobs.get(job.id).state == "cancelled"


def test_a_job_that_is_given_back_was_not_begun_and_is_next(jobs):
    first, second = jobs.put("compose", {}), jobs.put("compose", {})
    jobs.claim("w")
    assert jobs.release(first.id, "w") is True
    assert jobs.get(first.id).attempts == 0
    assert jobs.claim("w2").id == first.id
    assert jobs.claim("w2").id == second.id


def test_slow_jobs_leave_a_worker_free(jobs):
    for _ in range(3):
        jobs.put("rank", {})
    quick = jobs.put("compose", {})
    assert jobs.claim("w1", most_slow=1).verb == "rank"
    assert jobs.claim("w2", most_slow=1).id == quick.id
    assert jobs.claim("w3", most_slow=1) is None
    assert jobs.claim("w3", most_slow=2).verb == "rank"


@pytest.mark.parametrize(
    ("verb", "body", "slow"),
    [("compose", {}, False), ("compose", {"count": 4}, False), ("compose", {"count": 5}, True), ("compose", {"best": 1}, True),
     ("compose", {"of": 8}, True), ("rank", {}, True), ("evaluate", {}, True), ("compose", {"count": "many"}, False)],
)  # fmt: skip
def test_what_is_slow(verb, body, slow):
    assert is_slow(verb, body) is slow


def test_events_are_told_in_order_of_all_jobs_or_of_one(jobs):
    one, two = jobs.put("compose", {}), jobs.put("compose", {})
    assert [event.job for event in jobs.events_after(0)] == [one.id, two.id]
    last = jobs.last_event()
    assert last == 2
    jobs.claim("w")
    assert [event.data["state"] for event in jobs.events_after(last)] == ["running"]
    assert jobs.events_after(last, two.id) == []
    assert len(jobs.events_after(0, limit=1)) == 1


def test_old_events_and_old_jobs_are_forgotten_and_waiting_ones_never(jobs):
    done, waiting = jobs.put("compose", {}), jobs.put("compose", {})
    jobs.claim("w")
    jobs.finish(done.id, "w", {})
    now = time.time()
    assert jobs.finished_before(now + 1) == [done.id]
    assert jobs.purge(now + EVENTS_S + 1) == []
    assert names(jobs, done) == []
    assert names(jobs, waiting) == ["state"]
    assert jobs.purge(now + JOBS_S + 1) == [done.id]
    with pytest.raises(NotFound):
        jobs.get(done.id)
    assert jobs.get(waiting.id).state == "queued"
    last = jobs.last_event()
    jobs.put("compose", {})
    assert jobs.last_event() == last + 1  # numbers are never used twice


def test_an_error_keeps_its_parts_over_the_table(jobs):
    job = jobs.put("compose", {})
    jobs.claim("w")
    jobs.fail(job.id, "w", UnknownName("genre", "jaz", ["jazz", "pop"]))
    error = error_of(jobs.get(job.id).error)
    assert isinstance(error, UnknownName)
    assert (str(error), error.hint) == ("unknown genre 'jaz'", "did you mean jazz? known: jazz, pop")
    assert Texts("ru").error(error) == "нет такого: жанр «jaz»"


def test_numbers_and_errors_in_an_error_keep_their_kind():
    inner = CannotObey("at {bpm:.1f} bpm", bpm=120.25)
    error = error_of(error_table(UsageError("{why} in {path}", why=inner, path=Path("a"))))
    assert str(error) == "at 120.2 bpm in a"
    assert isinstance(error.values["why"], CannotObey)
    assert type(error_of({"kind": "os", "template": "x"})) is KapelleError


def test_eight_threads_claim_every_job_once(jobs):
    made = {jobs.put("compose", {"n": n}).id for n in range(40)}
    claimed: list[str] = []
    ended: list[bool] = []

    def work(worker):
        while (job := jobs.claim(worker)) is not None:
            claimed.append(job.id)
            ended.append(jobs.finish(job.id, worker, {}))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(made)
    assert all(ended)


CLAIM = """
import sys
from pathlib import Path
from kapelle.web.database import Database
from kapelle.web.jobs import Jobs
jobs = Jobs(Database(Path(sys.argv[1])))
sys.stdin.readline()
while (job := jobs.claim(sys.argv[2])) is not None:
    jobs.finish(job.id, sys.argv[2], {})
    print(job.id)
"""


def test_processes_claim_every_job_once(tmp_path):
    path = tmp_path / "studio.sqlite"
    jobs = Jobs(Database(path))
    made = [jobs.put("compose", {}).id for _ in range(40)]
    processes = [
        subprocess.Popen([sys.executable, "-c", CLAIM, str(path), f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    time.sleep(0.5)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    claimed = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert sorted(claimed) == sorted(made)


@settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
class Life(RuleBasedStateMachine):
    """Workers that claim, end, lose and die in any order, with users who put and cancel."""

    def __init__(self):
        super().__init__()
        import tempfile

        self.place = tempfile.TemporaryDirectory()
        self.jobs = Jobs(Database(Path(self.place.name) / "studio.sqlite"), most=5)
        self.alive = {"w0", "w1", "w2"}
        self.held: dict[str, str] = {}  # worker -> what it believes to have
        self.ended: dict[str, str] = {}
        self.ids: list[str] = []

    def teardown(self):
        self.jobs.database.close()
        self.place.cleanup()

    @rule()
    def put(self):
        waiting = self.jobs.n_waiting()
        try:
            self.ids.append(self.jobs.put("compose", {}).id)
            assert waiting < 5
        except QueueFull:
            assert waiting >= 5  # more, where jobs were given back

    @rule(worker=st.sampled_from(["w0", "w1", "w2"]))
    def claim(self, worker):
        if worker in self.held or worker not in self.alive:
            return
        job = self.jobs.claim(worker)
        if job is not None:
            assert job.id not in self.ended
            assert job.attempts <= MAX_ATTEMPTS
            assert all(self.held.get(other) != job.id for other in self.alive)
            self.held[worker] = job.id

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "cancelled", "release", "die"]))
    def end(self, data, how):
        worker = data.draw(st.sampled_from(sorted(self.held)))
        id = self.held.pop(worker)
        if how == "finish" and self.jobs.finish(id, worker, {}):
            self.note(id, "done")
        elif how == "fail" and self.jobs.fail(id, worker, UsageError("x")):
            self.note(id, "failed")
        elif how == "cancelled" and self.jobs.end_cancelled(id, worker):
            self.note(id, "cancelled")
        elif how == "release":
            self.jobs.release(id, worker)
        elif how == "die":
            self.alive.discard(worker)

    @rule()
    def look(self):
        self.jobs.requeue_dead(lambda worker: worker in self.alive)
        for id in self.ids:
            if self.jobs.get(id).ended:
                self.ended.setdefault(id, self.jobs.get(id).state)

    @precondition(lambda self: len(self.alive) < 3)
    @rule()
    def revive(self):
        self.jobs.requeue_dead(lambda worker: worker in self.alive)
        self.alive = {"w0", "w1", "w2"}

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def cancel(self, data):
        id = data.draw(st.sampled_from(self.ids))
        before = self.jobs.get(id).state
        assert self.jobs.cancel(id) is (before in ("queued", "running"))
        if before == "queued":
            self.note(id, "cancelled")

    def note(self, id, state):
        assert id not in self.ended
        self.ended[id] = state

    @invariant()
    def what_has_ended_stays_as_it_is_and_was_told_once(self):
        for id, state in self.ended.items():
            assert self.jobs.get(id).state == state
        for id in self.ids:
            told = [event.name for event in self.jobs.events_after(0, id) if event.name in ENDED]
            assert told == ([self.jobs.get(id).state] if self.jobs.get(id).ended else [])


TestLife = Life.TestCase
