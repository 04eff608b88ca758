"""The stateless application on the machines of a Ray cluster, by Ray Serve: fronts that check and stream, replicas that compose.

Takes settings by name, as ``serve run kapelle.web.cluster:application most=32`` and the ``args`` of a configuration file give them;
gives an application of Ray Serve. A replica composes one request at a time, there are as many as there is work for between `least` and
`most`, and a request that would wait behind too many is refused with 503 and Retry-After. Nothing is kept anywhere, so any replica can
answer anything, and a machine that dies takes no more with it than what it was composing. Needs the extra ``distributed``.
It does not start a cluster, and it does not stop one: `docs/how-to/cluster.md` tells who does.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kapelle.config import build, check, setting
from kapelle.errors import Missing, UsageError
from kapelle.web import errors, stateless

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kapelle.web.telling import Message

NAME = "composer"


@dataclass(frozen=True)
class ClusterSettings:
    """How many compose, and who may ask.

    Args:
        least: Replicas that compose even when there is nothing to do.
        most: Replicas at most.
        waiting: Requests that may wait in front of each front; more are refused.
        fronts: Replicas that take requests in, check them and hand events on.
        cpus: Processors that a replica is given.
        idle_s: A replica ends after so many seconds without work, down to `least`.
        models: Models that a replica opens as it starts; the default model if none is named.
        token: Who asks must bring it; empty: everybody may ask. $KAPELLE_TOKEN if left out.
    """

    least: int = setting(1, min=0)
    most: int = setting(8, min=1)
    waiting: int = setting(64, min=1)
    fronts: int = setting(1, min=1)
    cpus: float = setting(1.0, min=0.1)
    idle_s: float = setting(300.0, min=0.0)
    models: tuple[str, ...] = ()
    token: str = field(default="", repr=False)


def settings_of(given: Mapping[str, Any]) -> ClusterSettings:
    """Settings from a table, in which numbers may be text, as the command line gives them.

    Raises:
        UsageError: A name is unknown or a value out of range.
    """
    table = {"token": os.environ.get("KAPELLE_TOKEN", ""), **given}
    for name in ("least", "most", "waiting", "fronts", "cpus", "idle_s"):
        if isinstance(table.get(name), str):
            try:
                table[name] = float(table[name]) if name in ("cpus", "idle_s") else int(table[name])
            except ValueError as error:
                raise UsageError("{name} needs a number, not {value!r}", name=name, value=table[name]) from error
    if isinstance(table.get("models"), str):
        table["models"] = [name.strip() for name in table["models"].split(",") if name.strip()]
    settings = build(ClusterSettings, table, "cluster")
    check(settings)
    if settings.most < settings.least:
        raise UsageError("at most {most} and at least {least} contradict each other", most=settings.most, least=settings.least)
    return settings


def application(given: Mapping[str, Any]) -> Any:
    """The application for `serve run` and `serve deploy`.

    Args:
        given: Fields of `ClusterSettings`.

    Raises:
        UsageError: A setting is unknown or out of range.
        Missing: Ray Serve is not installed, or a model is not there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        from ray import serve
    except ImportError as error:
        raise Missing("Ray Serve is not installed", hint='pip install "kapelle[distributed]"') from error
    settings = settings_of(given)
    scaling = {
        "min_replicas": settings.least,
        "max_replicas": settings.most,
        "target_ongoing_requests": 1,
        "upscale_delay_s": 5.0,
        "downscale_delay_s": settings.idle_s,
    }
    composers = serve.deployment(
        Composer, name=NAME, max_ongoing_requests=1, max_queued_requests=settings.waiting, autoscaling_config=scaling,
        ray_actor_options={"num_cpus": settings.cpus, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}},
    ).bind(settings.models)  # fmt: skip
    token = settings.token

    def front() -> FastAPI:  # called in the process in which it serves
        return stateless.application(_by_replicas(), token=token)

    return serve.deployment(
        serve.ingress(front)(), name="front", num_replicas=settings.fronts, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0.1}
    ).bind(composers)


class Composer:
    """A replica that composes.

    Args:
        models: Those that are opened at once.

    Raises:
        Missing: One of them is not on this machine.
    """

    def __init__(self, models: Sequence[str]) -> None:
        from kapelle import api
        from kapelle.composing.request import Length

        for name in models or ("",):
            api.compose_one(api.request(name, length=Length(1), seed=0))

    async def events(self, request: Mapping[str, Any]) -> AsyncIterator[Sequence[Message]]:
        """What `stateless.composed` gives; ends when the front wants no more."""
        from contextlib import aclosing

        async with aclosing(stateless.composed(request)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                yield batch


def _by_replicas() -> stateless.Composer:
    """Composing by the replicas of the application that this process belongs to."""
    from ray import serve
    from ray.serve.exceptions import BackPressureError

    handle = serve.get_deployment_handle(NAME, app_name=serve.get_replica_context().app_name).options(stream=True)

    async def compose(request: Mapping[str, Any]) -> AsyncIterator[Sequence[Message]]:
        answers = handle.events.remote(dict(request))
        try:
            async for batch in answers:
                yield batch
        except BackPressureError as error:
            raise errors.busy(5) from error
        except BaseException:  # nobody wants more
            answers.cancel()
            raise

    return compose
