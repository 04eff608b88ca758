"""Helpers for tests that drive the studio's page in a browser."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from studios import watch

READY = "document.documentElement.dataset.ready === 'true'"
IDLE = "!kapelle.session.busy"
AT_REST = "!document.querySelector('[aria-busy=true]') && document.getAnimations().every((one) => one.playState !== 'running')"
"""Nothing on the page is awaited, and nothing moves."""


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


class Desk:
    """A page for the tests of one file: opening it takes longer than most of them."""

    def __init__(self, page) -> None:
        self.page = page
        page.goto("/")
        page.wait_for_selector("html[data-ready]", timeout=20_000)

    def get(self, expression: str):
        """The value of an expression."""
        return self.page.evaluate(f"() => {expression}")

    def until(self, condition: str, seconds: float = 15) -> None:
        """Wait until an expression is true."""
        self.page.wait_for_function(f"() => {condition}", timeout=1000 * seconds)


@contextmanager
def desk_of(kind: type[Desk], browser, studio):
    """A desk of a kind, whose page's complaints are gathered."""
    context = browser.new_context(base_url=studio.url, locale="en-US", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.complaints = watch(page)
    yield kind(page)
    context.close()
