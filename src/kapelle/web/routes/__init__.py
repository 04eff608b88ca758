"""What can be asked of the server: one module for each subject, each with a `router`."""

from __future__ import annotations

from kapelle.web.routes import about, composing, jobs, judging, models, pieces, rooms, uploads

ROUTERS = (about.router, models.router, composing.router, jobs.router, uploads.router, pieces.router, judging.router, rooms.router)
"""In the order in which they are described."""
