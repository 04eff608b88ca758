"""The application: routes behind middlewares, over one studio. ``create_app(settings)`` gives a new one each time; nothing is global.

Takes `Settings`; gives a FastAPI application, which opens the studio when it starts and closes what it opened when it ends. It starts no
process that composes, and deletes nothing that is old: `kapelle.web.server` does, once, however many of these serve the same folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, FastAPI, Request
from starlette.middleware import Middleware

import kapelle
from kapelle.web import errors, looks, measure, security
from kapelle.web.feed import Feed
from kapelle.web.kept_scores import KeptScores
from kapelle.web.offered import Offered
from kapelle.web.quick import Helpers
from kapelle.web.schemas import Error
from kapelle.web.settings import Settings

if TYPE_CHECKING:
    from kapelle.web.studio import Studio

PASSING = "passing-"
"""How the folder begins that a server has for files which are sent once; one that was killed leaves it behind."""

SOUNDS = ("/api/classify/sound",)
FILES = ("/api/uploads",)

ABOUT = """Everything that the studio's page does, and more: compose, extend, accompany, develop, rank, listen, take away.

Work that takes time is a job: `POST /api/compose` answers with 202 and the job, `GET /api/jobs/{id}/events` tells by server-sent events
what happens, notes as they are made included. Errors are `{"error": {kind, message, hint, code}}`, in the language of `?lang=` or
Accept-Language (en, ru). 429 and 503 come with Retry-After. A job that is put again with the same `Idempotency-Key` is the same job.
"""


@dataclass(frozen=True)
class Served:
    """What the routes share.

    Args:
        settings: Of this server.
        studio: Jobs and library.
        feed: News of jobs.
        quick: Helpers for what is short.
        passing: A folder for files that are not to stay.
        offered: What models can be asked for.
        scores: Those that were drawn last.
    """

    settings: Settings
    studio: Studio
    feed: Feed
    quick: Helpers
    passing: Path
    offered: Offered = field(default_factory=Offered)
    scores: KeptScores = field(default_factory=KeptScores)


def served(request: Request) -> Served:
    """What the application of a request shares among its routes."""
    return cast("Served", request.app.state.served)


Here = Annotated[Served, Depends(served)]
"""In a route: what it shares with the others."""


def create_app(settings: Settings) -> FastAPI:
    """A new application.

    Args:
        settings: What it is to serve, and to whom.

    Raises:
        StorageError: When it starts: the folder cannot be used.
    """
    from kapelle.web.routes import ROUTERS
    from kapelle.web.static_files import StaticFiles

    app = FastAPI(
        title="Kapelle",
        summary="Composes music, and judges it",
        description=ABOUT,
        version=kapelle.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=_middlewares(settings),
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    app.state.settings = settings
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(), name="static")
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Tell in OpenAPI what an error is: the framework would say of errors what it says of good answers."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            error = Error.model_json_schema(ref_template="#/components/schemas/{model}")
            held = plain()["components"]["schemas"]
            held.update(error.pop("$defs"), Error=error)
            for name in ("HTTPValidationError", "ValidationError"):
                held.pop(name, None)
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]


def _middlewares(settings: Settings) -> list[Middleware]:
    """From the outside in."""
    return [
        Middleware(security.Below, root=settings.root_path),
        Middleware(security.Headers),
        Middleware(measure.Rates, rate=settings.rate),
        Middleware(security.Hosts, settings=settings),
        Middleware(security.Origins),
        Middleware(security.Token, token=settings.token),
        Middleware(measure.Bodies, limits=settings.body, sounds=SOUNDS, files=FILES),
    ]


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the studio, and close what was opened."""
    from kapelle.web.studio import open_studio

    settings: Settings = app.state.settings
    studio = await asyncio.to_thread(open_studio, settings.folder, most_waiting=settings.queue)
    passing = Path(tempfile.mkdtemp(prefix=PASSING, dir=studio.folder.path))
    quick = Helpers(settings.helpers, warm=looks.warm, place=passing)
    shared = Served(settings, studio, Feed(studio.jobs, settings.listeners), quick, passing)
    app.state.served = shared
    warming = asyncio.create_task(asyncio.to_thread(quick.start))
    try:
        yield
    finally:
        await shared.feed.close()
        quick.close()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await warming
        studio.database.close()
        shutil.rmtree(passing, ignore_errors=True)
