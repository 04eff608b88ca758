"""Helpers do short work, one after the other, and are replaced when they take too long or die."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import tempfile
import time

import pytest
from starlette.requests import ClientDisconnect

from kapelle.errors import KapelleError, MidiError, NotEnoughMemory, UnreadableInput
from kapelle.score.read import read
from kapelle.web import quick
from kapelle.web.errors import Refused


@pytest.fixture
def helpers():
    made = quick.Helpers(1, waiting=2)
    yield made
    made.close()


def test_results_and_errors_come_back(helpers):
    async def work():
        assert await helpers.run(math.hypot, 3, 4) == 5.0
        with pytest.raises(MidiError):
            await helpers.run(read, b"no music")
        with pytest.raises(KapelleError, match="bug in Kapelle: ZeroDivisionError"):
            await helpers.run(divmod, 1, 0)
        return await helpers.run(os.getpid), await helpers.run(os.getpid)

    first, second = asyncio.run(work())
    assert first == second != os.getpid()


def test_what_takes_too_long_is_killed_and_the_next_goes_on(helpers):
    async def work():
        before = await helpers.run(os.getpid)
        began = time.monotonic()
        with pytest.raises(Refused) as caught:
            await helpers.run(time.sleep, 30, limit_s=0.2)
        assert time.monotonic() - began < 5 and caught.value.status_code == 422
        return before, await helpers.run(os.getpid)

    before, after = asyncio.run(work())
    assert before != after
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_ctrl_c_does_not_end_a_helper_that_has_only_begun():
    one = quick._Helper(None)
    try:
        os.kill(one.process.pid, signal.SIGINT)
        assert one.do((math.hypot, (3, 4)), 20) == 5.0
    finally:
        one.kill()


def test_a_helper_that_dies_is_replaced(helpers):
    async def work():
        before = await helpers.run(os.getpid)
        with pytest.raises(NotEnoughMemory):
            await helpers.run(os.kill, before, signal.SIGKILL)
        os.kill(await helpers.run(os.getpid), signal.SIGKILL)  # while it has nothing to do
        await asyncio.sleep(0.2)
        return before, await helpers.run(os.getpid)

    before, after = asyncio.run(work())
    assert before != after


def test_temporary_files_lie_where_they_are_looked_for(tmp_path):
    made = quick.Helpers(1, place=tmp_path)
    try:
        assert asyncio.run(made.run(tempfile.mkdtemp)).startswith(str(tmp_path))
    finally:
        made.close()


def test_too_many_are_told_to_come_again(helpers):
    async def work():
        await helpers.run(os.getpid)
        under_way = [asyncio.create_task(helpers.run(time.sleep, 0.2)) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(Refused) as caught:
            await helpers.run(os.getpid)
        await asyncio.gather(*under_way)
        assert await helpers.run(os.getpid)
        return caught.value

    refused = asyncio.run(work())
    assert refused.status_code == 503 and refused.retry_after_s


def test_what_takes_long_leaves_a_helper_for_what_is_quick():
    made = quick.Helpers(2)

    async def work():
        await asyncio.gather(made.run(os.getpid), made.run(os.getpid))
        long = [asyncio.create_task(made.run(time.sleep, 0.6, limit_s=60)) for _ in range(2)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await made.run(os.getpid)
        waited = time.monotonic() - began
        await asyncio.gather(*long)
        return waited

    try:
        assert asyncio.run(work()) < 0.5
    finally:
        made.close()


def test_who_has_gone_away_is_not_worked_for(helpers, tmp_path):
    looks = []

    async def gone():
        looks.append(1)
        return len(looks) > 1

    async def work():
        with pytest.raises(ClientDisconnect):
            await helpers.run(os.mkdir, str(tmp_path / "made"), gone=gone)
        assert await helpers.run(os.getpid)

    asyncio.run(work())
    assert not (tmp_path / "made").exists()


def test_there_are_never_more_than_were_asked_for():
    made = quick.Helpers(2)

    async def work():
        beginning = asyncio.create_task(asyncio.to_thread(made.start))
        await asyncio.gather(*(made.run(os.getpid) for _ in range(6)))
        await beginning
        return len({*await asyncio.gather(*(made.run(os.getpid) for _ in range(6)))})

    try:
        assert asyncio.run(work()) <= 2 and len(made._all) <= 2
    finally:
        made.close()


def test_after_the_end_nothing_is_left():
    made = quick.Helpers(2)
    made.start()
    pids = [helper.process.pid for helper in made._all]
    assert len(pids) == 2
    made.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(Refused):
        asyncio.run(made.run(os.getpid))


def test_errors_keep_their_class_and_values(helpers):
    with pytest.raises(UnreadableInput) as caught:
        asyncio.run(helpers.run(read, b"MThd"))
    assert isinstance(caught.value, KapelleError) and caught.value.template
