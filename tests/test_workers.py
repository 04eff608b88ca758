"""The same work on many things, whoever does it."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from kapelle import workers
from kapelle.errors import NotEnoughMemory, UsageError
from kapelle.workers import UNDER_WAY, Workers


def refuse_seven(number: int) -> int:
    if number == 7:
        raise UsageError("bars must be 1 or more, not {bars}", bars=number)
    return number * number


def die(number: int) -> int:
    if number == 2:
        os._exit(9)
    return number


def whoever(_: int) -> int:
    return os.getpid()


def power(exponent: int, number: int) -> int:
    return number**exponent


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_things(processes: int) -> None:
    told: list[tuple[int, int]] = []
    found = list(Workers(processes).map(math.sqrt, [float(n * n) for n in range(40)], lambda done, total: told.append((done, total))))
    assert found == list(range(40))
    assert told == [(n + 1, 40) for n in range(40)]


def test_several_processes_do_the_work_and_this_one_does_not() -> None:
    assert os.getpid() not in set(Workers(2).map(whoever, range(20)))
    assert set(Workers(1).map(whoever, range(3))) == {os.getpid()}


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_through_at_its_place(processes: int) -> None:
    results = Workers(processes).map(refuse_seven, range(20))
    assert [next(results) for _ in range(7)] == [n * n for n in range(7)]
    with pytest.raises(UsageError, match="bars must be 1 or more, not 7"):
        next(results)


def test_a_process_that_is_ended_by_the_system_is_told() -> None:
    with pytest.raises(NotEnoughMemory, match="ended a process"):
        list(Workers(2).map(die, range(5)))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no sessions")
def test_processes_end_when_their_master_is_killed() -> None:
    lines = [
        "import math, os, signal",
        "from kapelle.workers import Workers",
        "if __name__ == '__main__':",
        "    results = Workers(2).map(math.sqrt, range(40))",
        "    print(next(results), flush=True)",
        "    os.kill(os.getpid(), signal.SIGKILL)",
    ]
    paths = os.pathsep.join(path for path in sys.path if path)
    program = [sys.executable, "-c", "\n".join(lines)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True) as master:
        try:
            told, _ = master.communicate(timeout=30)  # to the end of a pipe that all of them hold
        except subprocess.TimeoutExpired:
            os.killpg(master.pid, signal.SIGKILL)
            raise
    assert (told, master.returncode) == (b"0.0\n", -signal.SIGKILL)


def test_only_so_many_things_are_under_way() -> None:
    class Things(list[int]):
        taken = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            for thing in super().__iter__():
                self.taken += 1
                yield thing

    things = Things(range(1000))
    results = Workers(2).map(abs, things)
    next(results)
    assert things.taken <= 2 * UNDER_WAY * 2
    results.close()  # type: ignore[attr-defined]


def test_nobody_is_asked_to_stop_outside_of_workers() -> None:
    assert workers.stopped() is False


def test_nothing_to_do_gives_nothing() -> None:
    assert list(Workers(2).map(abs, [])) == []


@pytest.mark.parametrize("wrong", [{"processes": 0}, {"engine": "spark"}])
def test_what_there_is_not_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Workers(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_cluster_gives_what_this_process_gives() -> None:
    pytest.importorskip("ray")
    things = list(range(-5, 20))
    found = Workers(2, "ray").map(partial(power, 3), things)
    assert list(found) == [n**3 for n in things]


@pytest.mark.slow
def test_a_cluster_that_is_left_early_leaves_nothing() -> None:
    """Ray ends a process whose connection outlives its cluster by a minute."""
    ray = pytest.importorskip("ray")
    before = set(threading.enumerate())
    results = Workers(2, "ray").map(refuse_seven, range(20))
    with pytest.raises(UsageError, match="not 7"):
        list(results)
    assert not ray.is_initialized()
    assert set(threading.enumerate()) <= before


@pytest.mark.slow
def test_a_cluster_changes_nothing_of_this_process() -> None:
    pytest.importorskip("ray")

    def hear(number: int, frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, hear)
    try:
        state = random.getstate(), os.environ.get("PYTHONBREAKPOINT")
        results = Workers(2, "ray").map(refuse_seven, range(20))
        assert next(results) == 0
        assert signal.getsignal(signal.SIGTERM) is hear  # while it works, too
        results.close()  # type: ignore[attr-defined]
        assert signal.getsignal(signal.SIGTERM) is hear
        assert (random.getstate(), os.environ.get("PYTHONBREAKPOINT")) == state
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_a_process_of_a_cluster_that_is_ended_by_the_system_is_told() -> None:
    pytest.importorskip("ray")
    with pytest.raises(NotEnoughMemory, match="ended a process"):
        list(Workers(2, "ray").map(die, range(5)))
