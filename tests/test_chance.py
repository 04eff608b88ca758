"""Python's global random state is the caller's, whatever libraries do."""

from __future__ import annotations

import random
import threading

from kapelle import chance


def test_the_state_is_as_before_with_several_threads_too() -> None:
    state = random.getstate()
    one_is_inside, one_may_leave, one_has_left = threading.Event(), threading.Event(), threading.Event()

    def one() -> None:
        with chance.kept():
            random.random()
            one_is_inside.set()
            one_may_leave.wait(10)
        one_has_left.set()

    def other() -> None:
        with chance.kept(), chance.kept():
            random.random()
            one_has_left.wait(10)

    threads = [threading.Thread(target=work) for work in (one, other)]
    threads[0].start()
    one_is_inside.wait(10)
    threads[1].start()
    threads[1].join(0.1)  # it waits for its turn
    one_may_leave.set()
    for thread in threads:
        thread.join()
    assert random.getstate() == state
