"""A studio that runs, and a browser to open it in.

`studio` is a real server in a process of its own, one for each test file; `client` is the application in this process, quicker, with no
worker; `page` is a fresh page of a real browser, on which nothing is opened yet, which must have nothing to complain about at the end and
must not leave this machine. A test that expects complaints takes them out of `page.complaints`.
"""

from __future__ import annotations

import os
import shutil

import pytest

from kapelle.bundles import load
from studios import start_studio, watch

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("KAPELLE_BROWSER") == "required"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A server with one process that composes."""
    if not load.installed():
        pytest.skip("no bundle is installed")
    made = start_studio(tmp_path_factory.mktemp("studio"), "--processes", "1", "--rate", "0")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The application without a server, and without processes that compose."""
    from starlette.testclient import TestClient

    from kapelle.web.app import create_app
    from kapelle.web.settings import Settings

    with TestClient(
        create_app(Settings(folder=tmp_path_factory.mktemp("studio"), rate=0, helpers=1)), base_url="http://127.0.0.1:8000"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    """A browser without a screen."""
    if not CHROMIUM:
        _without_browser("there is no Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without_browser("playwright is not installed")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"], timeout=60_000
        )
        yield made
        made.close()


def _without_browser(why: str) -> None:
    (pytest.fail if REQUIRED else pytest.skip)(why)


@pytest.fixture
def page(browser, studio):
    """A fresh page: ``page.goto("/")``. At the end: no error on its console, and no request that left this machine."""
    context = browser.new_context(base_url=studio.url, locale="en-US", viewport={"width": 1280, "height": 800})
    made = context.new_page()
    made.complaints = watch(made)
    yield made
    context.close()
    assert not made.complaints, made.complaints
