"""Real processes, really killed: no job is lost, none ends twice, and its piece is there."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from kapelle import api
from kapelle.errors import StorageError
from kapelle.web import locks
from kapelle.web import supervisor as supervisors
from kapelle.web.faults import error_of
from kapelle.web.folder import new_id
from kapelle.web.jobs import ENDED
from kapelle.web.locks import Lock, is_held
from kapelle.web.studio import open_studio
from kapelle.web.supervisor import Supervisor

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")

LONG = {"model": "genre-small", "length": {"amount": 32, "unit": "bars"}, "seed": 4, "options": {"genre": "pop"}}
SHORT = LONG | {"length": {"amount": 2, "unit": "bars"}}

SERVER = """
import sys, time
from kapelle.web.studio import open_studio
from kapelle.web.supervisor import Supervisor
supervisor = Supervisor(open_studio(sys.argv[1], repair=True), int(sys.argv[2]))
supervisor.start()
print(*supervisor.pids(), flush=True)
sys.stdin.read()
supervisor.stop()
"""


@pytest.fixture
def studio(tmp_path):
    return open_studio(tmp_path / "studio")


@contextlib.contextmanager
def serving(studio, processes=1):
    """A server's process with its workers; it is killed at the end if it lives."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(studio.folder.path), str(processes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        process.workers = [int(pid) for pid in process.stdout.readline().split()]
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@contextlib.contextmanager
def supervised(studio, processes=1):
    supervisor = Supervisor(studio, processes)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop(0.0)


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "that never came"
        time.sleep(0.01)
    return found


def names(studio, job):
    return [event.name for event in studio.jobs.events_after(0, job.id, limit=100_000)]


def ended(studio, job):
    until(lambda: studio.jobs.get(job.id).ended)
    return studio.jobs.get(job.id)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_that_is_killed_in_the_midst_has_its_job_done_by_another(studio):
    with supervised(studio) as supervisor:
        job = studio.jobs.put("compose", LONG)
        until(lambda: "notes" in names(studio, job))
        os.kill(supervisor.pids()[0], signal.SIGKILL)
        done = ended(studio, job)
    assert (done.state, done.attempts, len(done.pieces)) == ("done", 2, 1)
    told = names(studio, job)
    assert [name for name in told if name in ENDED] == ["done"]
    assert told.count("restarted") == told.count("piece") == 1
    alone = api.compose(model="genre-small", bars=32, seed=4, genre="pop")
    assert studio.library.midi(done.pieces[0]) == alone.to_midi()
    assert studio.library.search()[1] == 1
    assert [path.name for path in studio.folder.pieces.iterdir()] == list(done.pieces)


def test_a_server_that_is_killed_has_the_running_job_done_once_and_the_waiting_one_later(studio):
    with serving(studio) as server:
        job, waiting = studio.jobs.put("compose", LONG), studio.jobs.put("compose", SHORT)
        until(lambda: "notes" in names(studio, job))
        server.kill()
        server.wait()
        done = ended(studio, job)
        until(lambda: not list(studio.folder.workers.iterdir()))  # the worker ended itself
    assert (done.state, done.attempts, len(done.pieces)) == ("done", 1, 1)
    assert studio.jobs.get(waiting.id).state == "queued"
    with serving(studio):
        assert ended(studio, waiting).state == "done"
    for one in (job, waiting):
        assert [name for name in names(studio, one) if name in ENDED] == ["done"]
    assert studio.library.search()[1] == 2


def test_a_server_and_its_worker_that_are_killed_together_lose_nothing(studio):
    with serving(studio) as server:
        job = studio.jobs.put("compose", LONG)
        until(lambda: "notes" in names(studio, job))
        worker = studio.jobs.get(job.id).worker
        server.kill()
        for pid in server.workers:
            os.kill(pid, signal.SIGKILL)
        server.wait()
    until(lambda: not is_held(studio.folder.lock(worker)))
    assert studio.jobs.get(job.id).state == "running"
    with serving(studio):
        done = ended(studio, job)
    assert (done.state, done.attempts) == ("done", 2)
    assert [name for name in names(studio, job) if name in ENDED] == ["done"]


def test_a_job_that_kills_its_worker_twice_is_given_up(studio, monkeypatch):
    monkeypatch.setattr(supervisors, "FIRST_PAUSE_S", 0.05)
    with supervised(studio) as supervisor:
        job = studio.jobs.put("compose", LONG)
        for attempt in (1, 2):
            until(lambda attempt=attempt: studio.jobs.get(job.id).attempts == attempt and studio.jobs.get(job.id).state == "running")
            until(supervisor.pids)
            for pid in supervisor.pids():
                os.kill(pid, signal.SIGKILL)
        failed = ended(studio, job)
        assert failed.state == "failed"
        assert "worker died" in str(error_of(failed.error))
        after = studio.jobs.put("compose", SHORT)
        assert ended(studio, after).state == "done"


def test_a_server_that_is_told_to_stop_gives_a_long_job_back(studio):
    supervisor = Supervisor(studio)
    supervisor.start()
    job = studio.jobs.put("compose", LONG | {"length": {"amount": 512, "unit": "bars"}})
    until(lambda: "notes" in names(studio, job))
    pids = supervisor.pids()
    supervisor.stop(0.1)
    assert not any(map(is_there, pids))
    back = studio.jobs.get(job.id)
    assert (back.state, back.attempts) == ("queued", 0)
    assert studio.library.search()[1] == 0


def test_a_running_job_is_cancelled_within_a_moment(studio):
    with supervised(studio):
        job = studio.jobs.put("compose", LONG | {"length": {"amount": 512, "unit": "bars"}})
        until(lambda: "notes" in names(studio, job))
        began = time.monotonic()
        assert studio.jobs.cancel(job.id)
        assert ended(studio, job).state == "cancelled"
        assert time.monotonic() - began < 2.0
        assert ended(studio, studio.jobs.put("compose", SHORT)).state == "done"


def test_two_servers_of_one_folder_do_every_job_once(studio):
    jobs = [studio.jobs.put("compose", SHORT | {"seed": seed}) for seed in range(12)]
    with supervised(studio), supervised(studio):
        for job in jobs:
            assert ended(studio, job).state == "done"
    for job in jobs:
        assert [name for name in names(studio, job) if name in ENDED] == ["done"]
    assert studio.library.search()[1] == 12


def test_a_worker_that_dies_young_comes_again_after_a_pause(studio, monkeypatch):
    monkeypatch.setattr(supervisors, "FIRST_PAUSE_S", 0.05)
    with supervised(studio, 2) as supervisor:
        first = set(supervisor.pids())
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        until(lambda: supervisor.n_alive() == 2 and not first & set(supervisor.pids()))
    assert supervisor.n_alive() == 0


# --- locks ------------------------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_until_it_is_released(tmp_path):
    path = tmp_path / "a.lock"
    assert not is_held(path)
    lock = Lock(path)
    assert is_held(path)
    lock.release()
    assert not is_held(path)
    assert not path.exists()


def test_the_lock_of_a_dead_process_is_free_and_tidied_away(tmp_path):
    path = tmp_path / "a.lock"
    script = (
        "import sys, pathlib; from kapelle.web.locks import Lock; a = Lock(pathlib.Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    assert is_held(path)
    process.kill()
    process.communicate()
    assert not is_held(path)
    assert not path.exists()


def test_whoever_tidies_away_a_lock_never_takes_it_from_one_who_just_got_it(tmp_path):
    path, end = tmp_path / "a.lock", threading.Event()

    def tidy():
        while not end.is_set():
            is_held(path)

    threads = [threading.Thread(target=tidy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            lock = Lock(path)
            assert is_held(path)
            lock.release()
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_a_lock_that_cannot_be_made_is_an_error_of_storage(tmp_path):
    with pytest.raises(StorageError, match="cannot lock"):
        Lock(tmp_path / "nowhere" / "a.lock")


def test_a_lock_that_the_system_does_not_give_leaves_no_file_open(tmp_path, monkeypatch):
    handles = []

    def none_left(handle, *, wait):
        handles.append(handle)
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(locks, "_lock", none_left)
    with pytest.raises(StorageError, match="no locks available"):
        Lock(tmp_path / "a.lock")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handles[0])


def test_locks_of_the_dead_are_tidied_away_when_the_studio_opens(studio):
    dead, alive = studio.folder.lock(new_id()), Lock(studio.folder.lock(new_id()))
    dead.touch()
    open_studio(studio.folder.path, repair=True)
    assert list(studio.folder.workers.iterdir()) == [alive.path]
    alive.release()
