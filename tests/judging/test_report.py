"""Reports: tables of texts, Markdown, and a page that needs nothing beside it."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from folders import fill, tune
from kapelle import api
from kapelle.judging import comparing, excerpts, report, report_page
from kapelle.judging import report_pictures as pictures
from kapelle.judging.evaluation import Options
from kapelle.metrics.bootstrap import Estimate, nothing


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    place = tmp_path_factory.mktemp("music")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "N_DRAWS", 4)
        patch.setattr(excerpts, "judge_hash", lambda: "")
        made = {"<b>tunes</b>": fill(place / "made", 6, 50)}
        return api.evaluate(made, fill(place / "real", 12, 0), options=Options(samples=1))


@pytest.fixture(scope="module")
def page(found):
    return report_page.page_of(found)


# --- figures as texts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.81234, "0.81"), (0.0123, "0.012"), (12.34, "12.3"), (123.4, "123"), (-0.5, "-0.50"), (-0.0001, "0"), (math.nan, "–")],
)
def test_numbers_have_three_digits_at_most(value: float, text: str) -> None:
    assert report.number(value) == text


def test_an_estimate_stands_with_its_interval() -> None:
    assert report.estimate(Estimate(0.5, 0.4, 0.6)) == "0.50 (0.40–0.60)"
    assert report.estimate(nothing("few")) == "–"
    assert report.percent(Estimate(0.5, 0.4, 0.6)) == "50.0 (40.0–60.0)"


# --- tables and Markdown --------------------------------------------------------------------------------------------------


def test_the_tables_that_have_something_to_say(found) -> None:
    titles = [table.title for table in report.tables(found)]
    assert titles == [
        "Sets", "Metrics of pieces", "Overlap of distributions", "Degenerate pieces", "Intra-set and inter-set distances", "Files",
    ]  # fmt: skip
    for table in report.tables(found):
        assert {len(row) for row in table.rows} == {len(table.head)}


def test_markdown_names_every_file(found) -> None:
    told = report.markdown(found)
    assert told.count("| Markov chain |") >= 2
    assert all(piece.found.digest in told for piece in found.pieces if piece.row == "real music")


# --- the page -------------------------------------------------------------------------------------------------------------


def test_the_page_loads_nothing(page) -> None:
    assert not re.search(r"""(src|href)=["']?(?!#)""", page)
    assert "@import" not in page
    assert "url(" not in page


def test_names_are_escaped(page) -> None:
    assert "<b>tunes</b>" not in page
    assert "&lt;b&gt;tunes&lt;/b&gt;" in page


def test_the_page_has_plots_rolls_and_hashes(found, page) -> None:
    assert page.count('aria-label="histogram"') > 10
    assert page.count('aria-label="piano roll"') == page.count('aria-label="self-similarity of bars"') == 4
    assert page.count('aria-label="figures with intervals"') == 6
    assert found.pieces[0].found.digest in page


def test_the_same_evaluation_gives_the_same_page(found, page) -> None:
    assert report_page.page_of(found) == page


def test_pictures_are_well_formed_and_hold_no_nan(page) -> None:
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) > 20
    for one in drawn:
        ET.fromstring(one)
        assert "nan" not in one


def test_pictures_of_nothing() -> None:
    assert pictures.histogram([], []) == ""
    assert pictures.histogram([1.0, 1.0], [("c0", [1.0])]) == ""
    assert pictures.intervals([("a", "c0", nothing("few"))]) == ""
    assert "rect" in pictures.roll(tune(1, 2), 16)


def test_the_page_opens_without_a_network(page, tmp_path) -> None:
    import shutil

    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    asked, said = [], []
    with sync_api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        window = browser.new_page()
        window.on("request", lambda request: asked.append(request.url))
        window.on("console", lambda message: said.append(message.text))
        window.goto(path.as_uri())
        assert window.locator("h1").inner_text() == "Evaluation"
        assert window.locator("svg").count() > 20
        browser.close()
    assert asked == [path.as_uri()]
    assert said == []
