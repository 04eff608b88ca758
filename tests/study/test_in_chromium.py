"""The pages in a browser: opened from the disk, without a network, with sounds that exist; a listening test filled in and counted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_blind import QUICK, music

from kapelle import api
from kapelle.errors import CannotObey
from kapelle.study.blind import QUESTIONS, Asked
from kapelle.study.plan import Axis, Plan
from kapelle.study.run import Options, run
from kapelle.study.sound import Sound

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

EVIL = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Watched:
    """A page, what it asked for, and what went wrong on it."""

    def __init__(self, browser: Any, **how: Any) -> None:
        self.page = browser.new_context(**how).new_page()
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())

    def open(self, path: Path) -> Watched:
        self.page.goto(path.resolve().as_uri())
        return self

    def quiet(self) -> bool:
        return not self.wrong and all(url.startswith(("file://", "data:", "blob:")) for url in self.asked)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a folder") / "site"
    axes = (Axis("model", ("early", "late", EVIL), paged=True), Axis("seed", ("1", "2")))

    def make(cell):
        if cell.values == {"model": "early", "seed": "2"}:
            raise CannotObey("the {what} rests", what=EVIL)
        return music(60 + 3 * axes[0].values.index(cell.values["model"]) + int(cell.values["seed"]))

    run(Plan("toy", f"Toy {EVIL}", axes, {"note": EVIL}, EVIL), make, folder, Options(Sound(("ogg", "wav"), "sine", 2)))
    return folder


def test_every_page_opens_from_the_disk_and_asks_for_nothing_else(browser, site: Path) -> None:
    pages = [site / "index.html", *sorted((site / "pages").glob("*.html"))]
    assert len(pages) == 4
    for path in pages:
        seen = Watched(browser).open(path)
        players = seen.page.locator("audio")
        assert players.count() == (5 if path.name == "index.html" else 1 if "early" in path.name else 2)
        for source in players.evaluate_all("all => all.map(one => one.src)"):
            assert seen.page.evaluate(
                "source => new Promise(done => { const one = new Audio(source); one.oncanplay = () => done(one.duration > 1);"
                "one.onerror = () => done(false); })", source,
            )  # fmt: skip
        for link in seen.page.locator("a").evaluate_all("all => all.map(one => one.href)"):
            assert link.startswith("file://")
        assert seen.page.locator("img").evaluate_all("all => all.every(one => one.alt)")
        assert seen.page.evaluate("[...document.images].every(one => { one.loading = 'eager'; return true; })")
        seen.page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
        assert seen.quiet(), (seen.wrong, seen.asked)


def test_names_are_shown_as_they_are_and_never_run(browser, site: Path) -> None:
    seen = Watched(browser).open(site / "index.html")
    assert seen.page.locator("h1").inner_text() == f"Toy {EVIL}"
    assert EVIL in seen.page.locator("main").inner_text()
    assert seen.page.locator("script").count() == 1


def test_one_player_at_a_time(browser, site: Path) -> None:
    seen = Watched(browser).open(site / "index.html")
    playing = seen.page.evaluate(
        "async () => { const [a, b] = document.querySelectorAll('audio'); a.muted = b.muted = true; await a.play(); await b.play();"
        "return [a.paused, b.paused]; }"
    )
    assert playing == [True, False]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_telephone(browser, site: Path, scheme: str) -> None:
    for path in (site / "index.html", site / "pages" / "model-late.html"):
        seen = Watched(browser, viewport={"width": 360, "height": 700}, color_scheme=scheme).open(path)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_two_listeners_without_a_name_are_two_and_one_who_saves_twice_is_one(browser, site: Path, tmp_path: Path) -> None:
    _, key = api.listening_test(site, tmp_path / "page", Asked(2, 0, **QUICK))
    files = []
    for times in (2, 1):
        page = Watched(browser, accept_downloads=True).open(tmp_path / "page" / "index.html").page
        for _ in range(times):
            page.locator("input[type=radio]").first.check()
            with page.expect_download() as waiting:
                page.get_by_role("button", name="Save answers as CSV").click()
            files.append(tmp_path / f"{len(files)}.csv")
            waiting.value.save_as(files[-1])
            page.reload()
    found = api.listening_answers(files, [key])
    assert (len(found.listeners), found.replaced) == (2, 1)


def test_without_scripts_a_listening_test_says_that_it_takes_no_answers(browser, site: Path, tmp_path: Path) -> None:
    api.listening_test(site, tmp_path / "page", Asked(2, 0, **QUICK))
    page = Watched(browser, java_script_enabled=False).open(tmp_path / "page" / "index.html").page
    assert "needs JavaScript" in page.locator("body").inner_text()


def test_a_listening_test_is_filled_in_kept_saved_and_counted(browser, site: Path, tmp_path: Path) -> None:
    made, key = api.listening_test(site, tmp_path / "page", Asked(4, 2, **QUICK))
    seen = Watched(browser, accept_downloads=True).open(tmp_path / "page" / "index.html")
    page = seen.page
    assert page.locator("audio").count() == 4 + 2 * 2
    assert page.locator("[role=status]").inner_text() == "0 of 22 questions answered"
    page.get_by_label("Your name or initials").fill('=1+1, Ann "B"')
    for place, clip in enumerate(made.order):
        for question in QUESTIONS:
            page.locator(f'input[name="clip:{clip}:{question}"][value="{place + 1}"]').check()
    first = next(iter(made.pairs))
    page.locator(f'input[name="pair:{first}:preferred"]').nth(1).check()
    page.reload()
    assert page.locator("[role=status]").inner_text() == "21 of 22 questions answered"
    assert page.get_by_label("Your name or initials").input_value() == '=1+1, Ann "B"'
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save answers as CSV").click()
    waiting.value.save_as(tmp_path / "answers.csv")
    found = api.listening_answers([tmp_path / "answers.csv"], [key])
    assert found.listeners == ('\'=1+1, Ann "B"',)  # no formula where the file is opened as a spreadsheet
    ratings = [made.key["clips"][clip]["group"] for clip in made.order]
    for group, means in found.ratings.items():
        expected = [place + 1 for place, one in enumerate(ratings) if one == group]
        assert means["overall"].value == sum(expected) / len(expected)
    assert [n for _, _, n, _ in found.preferences] == [1]
    page.get_by_role("button", name="Forget answers").click()
    assert page.locator("[role=status]").inner_text() == "0 of 22 questions answered"
    assert seen.quiet(), (seen.wrong, seen.asked)


def test_the_gallery_of_a_folder_shows_pieces_and_what_is_no_piece(browser, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder).mkdir()
    (folder / "a <b> & c.mid").write_bytes(music(60).data)
    (folder / "broken.mid").write_bytes(b"nothing")
    seen = Watched(browser).open(api.gallery(folder))
    text = seen.page.locator("main").inner_text()
    assert "a <b> & c.mid" in text and "2 bars, 4 s" in text and "broken.mid" in text
    assert seen.page.locator("section").count() == 2
    assert seen.quiet(), (seen.wrong, seen.asked)
    empty = Watched(browser).open(api.gallery(tmp_path / "empty"))
    assert "make generate" in empty.page.locator("main").inner_text()
