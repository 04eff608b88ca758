"""News reach every listener in order and whole, however slow it is, and nobody asks the database while nobody listens."""

from __future__ import annotations

import asyncio

import pytest

from kapelle.web import feed as feeds
from kapelle.web.errors import Refused
from kapelle.web.feed import Feed
from kapelle.web.studio import open_studio


@pytest.fixture
def jobs(tmp_path):
    return open_studio(tmp_path).jobs


def running(jobs):
    """A job that is being done, by whom."""
    jobs.put("compose", {})
    job = jobs.claim("worker")
    return job.id


def numbers(jobs, id):
    return [event.number for event in jobs.events_after(0, id, 10**6)]


async def heard(feed, id, after=0):
    with feed.seat(id):
        return [event.number async for event in feed.follow(id, after)]


def test_listeners_get_what_was_and_what_comes(jobs):
    async def work():
        feed = Feed(jobs)
        id, other = running(jobs), running(jobs)
        jobs.tell(id, "worker", [("notes", {"n": 0})])
        listeners = [asyncio.create_task(heard(feed, id)) for _ in range(3)]
        late = asyncio.create_task(heard(feed, id, numbers(jobs, id)[-1]))
        await asyncio.sleep(0.1)
        for n in range(20):
            jobs.tell(id, "worker", [("notes", {"n": n})])
            jobs.tell(other, "worker", [("notes", {"n": n})])
        known = len(numbers(jobs, id)) - 20
        jobs.finish(id, "worker", {})
        for got in await asyncio.gather(*listeners):
            assert got == numbers(jobs, id)
        assert await late == numbers(jobs, id)[known:]
        assert feed.n_listeners == 0 and not feed._channels
        await asyncio.sleep(3 * feeds.EVERY_S)
        assert feed._task.done()
        assert await heard(feed, id) == numbers(jobs, id)  # a job that is over is told at once
        await feed.close()

    asyncio.run(work())


def test_who_is_slow_holds_no_memory_and_misses_nothing(jobs, monkeypatch):
    monkeypatch.setattr(feeds, "KEPT", 8)
    monkeypatch.setattr(feeds, "AT_ONCE", 16)

    async def work():
        feed, id = Feed(jobs), running(jobs)
        got = []

        async def slowly():
            async for event in feed.follow(id):
                got.append(event.number)
                await asyncio.sleep(0.001)

        listener = asyncio.create_task(slowly())
        await asyncio.sleep(0.05)
        for start in range(0, 300, 50):
            jobs.tell(id, "worker", [("notes", {"n": n}) for n in range(start, start + 50)])
            await asyncio.sleep(0.02)
            assert len(feed._channels[id].events) <= 8
        jobs.finish(id, "worker", {})
        await listener
        assert got == numbers(jobs, id) and len(got) == 303
        await feed.close()

    asyncio.run(work())


def test_of_a_job_that_is_over_the_end_is_told_even_if_its_events_are_gone(jobs):
    async def work():
        feed, id = Feed(jobs), running(jobs)
        jobs.finish(id, "worker", {"reports": []})
        last = numbers(jobs, id)[-1]
        assert await heard(feed, id, last) == [last]  # who has heard all of it asks once more
        with jobs.database.writing() as connection:
            connection.execute("DELETE FROM events")
        told = [event async for event in feed.follow(id)]
        assert [(event.name, event.data) for event in told] == [("done", {"pieces": [], "result": {"reports": []}})]
        await feed.close()

    asyncio.run(work())


def test_who_goes_away_is_forgotten(jobs):
    async def work():
        feed, id = Feed(jobs), running(jobs)
        listener = asyncio.create_task(heard(feed, id))
        await asyncio.sleep(0.1)
        assert feed.n_listeners == 1
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert feed.n_listeners == 0 and feed._task.done()

    asyncio.run(work())


def test_no_more_listen_than_may_and_all_go_when_it_closes(jobs):
    async def work():
        feed, id = Feed(jobs, most=2), running(jobs)
        listeners = [asyncio.create_task(heard(feed, id)) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(Refused), feed.seat("another"):
            pass
        await feed.close()
        assert all(got == numbers(jobs, id) for got in await asyncio.gather(*listeners))
        with pytest.raises(Refused), feed.seat("another"):
            pass

    asyncio.run(work())


def test_one_job_has_only_so_many_seats(jobs, monkeypatch):
    monkeypatch.setattr(feeds, "EACH", 1)
    feed = Feed(jobs)
    with feed.seat("a"), feed.seat("b"):
        with pytest.raises(Refused), feed.seat("a"):
            pass
        assert feed.n_listeners == 2
    with feed.seat("a"):
        assert feed.n_listeners == 1
    assert not feed._seats


def test_a_bad_moment_of_the_database_passes(jobs, monkeypatch):
    monkeypatch.setattr(feeds, "TROUBLED_S", 0.01)

    async def work():
        feed, id = Feed(jobs), running(jobs)
        got, known = [], numbers(jobs, id)

        async def listen():
            with feed.seat(id):
                async for event in feed.follow(id):
                    got.append(event.number)  # noqa: PERF401  it is looked at as it grows

        listener = asyncio.create_task(listen())
        while got != known:  # what was before is told: from here on, it waits for news
            await asyncio.sleep(0.01)
        good = jobs.events_after
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "events_after", lambda *_: 1 / 0)
            await asyncio.sleep(0.1)
        assert jobs.events_after == good
        jobs.finish(id, "worker", {})
        await asyncio.wait_for(listener, 5)
        assert got == numbers(jobs, id)
        await feed.close()

    asyncio.run(work())
