"""Helpers for tests that drive the studio's page in a browser."""

from __future__ import annotations

import time

import pytest

READY = "document.documentElement.dataset.ready === 'true'"
IDLE = "!kapelle.session.busy"


def until(page, condition: str, seconds: float = 30.0):
    """The first true value of an expression; the page's policy forbids what Playwright's own waiting would do."""
    end = time.monotonic() + seconds
    while not (value := page.evaluate(condition)):
        if time.monotonic() > end:
            pytest.fail(f"it did not become true within {seconds} s: {condition}")
        time.sleep(0.03)
    return value


def open_studio(page, path: str = "/", seconds: float = 30.0) -> None:
    """Go to the page and wait until all of it is mounted."""
    page.goto(path)
    until(page, READY, seconds)


def set_value(page, selector: str, value: object) -> None:
    """Type a value over what a field holds."""
    page.fill(selector, str(value))
