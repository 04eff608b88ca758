"""Sheet music for the page: bars that line up with the roll's, and SVG that is safe inside of a document."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import symusic

import scores
from kapelle.api.notes import notes
from kapelle.api.score_pages import score_pages
from kapelle.engraving.screen import for_screen
from kapelle.errors import UnreadableInput, UsageError
from kapelle.score.write import to_bytes
from pieces import score, track

NS = "{http://www.w3.org/2000/svg}"


def bars_of(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'class="measure" data-bar="(\d+)"', page)]


def walk(bars: int) -> symusic.Score:
    """Quarter notes up and down for so many bars."""
    return score(track(*((beat * 480, 480, 60 + beat % 12, 80) for beat in range(4 * bars)), name="Walk"))


def test_four_bars_are_one_page_whose_bars_begin_with_those_of_the_notes() -> None:
    data = to_bytes(scores.chorale())
    found = score_pages(data, "Chorale")
    assert (found["pages"], found["first_bars"], found["title"]) == (1, [0], "Chorale")
    assert bars_of(found["svgs"][0]) == [0, 1, 2, 3]
    assert found["starts"] == notes(data)["bars"] == [0.0, 3.33333, 6.66666, 10.0, 13.33333]


def test_a_pickup_and_a_change_of_metre_line_up_with_the_bars_of_the_notes() -> None:
    data = to_bytes(scores.piano())
    found = score_pages(data)
    assert found["starts"] == notes(data)["bars"] == [0.0, 0.625, 3.125, 5.625, 8.125, 10.0]
    assert bars_of("".join(found["svgs"])) == [0, 1, 2, 3, 4]


def test_a_silent_first_half_makes_a_pickup_that_still_begins_at_zero() -> None:
    data = to_bytes(score(track((1440, 480, 67, 80), *((1920 + beat * 480, 480, 60, 80) for beat in range(8)))))
    assert score_pages(data)["starts"] == [0.0, 2.0, 4.0, 6.0]


def test_pages_tell_with_which_bar_they_begin() -> None:
    found = score_pages(to_bytes(walk(130)))
    assert found["pages"] == len(found["svgs"]) > 1
    pages = [bars_of(page) for page in found["svgs"]]
    assert [page[0] for page in pages] == found["first_bars"]
    assert [bar for page in pages for bar in page] == list(range(130))
    assert len(found["starts"]) == 131


def test_every_bar_has_a_rectangle_over_its_staves_that_can_be_clicked() -> None:
    root = ElementTree.fromstring(score_pages(to_bytes(scores.band()))["svgs"][0])
    boxes = [measure[0] for measure in root.iter(f"{NS}g") if measure.get("class") == "measure"]
    assert [box.tag for box in boxes] == [f"{NS}rect"] * 4
    places = [(int(box.get("x", "0")), int(box.get("width", "0"))) for box in boxes]
    assert all(left + width == following for (left, width), (following, _) in pairwise(places))
    assert all(int(box.get("height", "0")) > 9000 for box in boxes), "it covers all five staves"


def test_a_page_holds_drawing_alone_whatever_the_words_in_it() -> None:
    name = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    piece = scores.band()
    for one in piece.tracks:
        one.name = name
    page = score_pages(to_bytes(piece), f"T {name}")["svgs"][0]
    root = ElementTree.fromstring(page)
    tags = {element.tag.removeprefix(NS) for element in root.iter()}
    assert tags <= {"svg", "g", "defs", "path", "polygon", "polyline", "ellipse", "circle", "rect", "line", "use", "text", "tspan"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "from", "to")]
    targets = {element.get("href", "") for element in root.iter(f"{NS}use")}
    ids = {element.get("id") for element in root.iter() if element.get("id")}
    assert targets
    assert {target.removeprefix("#") for target in targets} == ids, "links lead to the page's own glyphs alone"
    assert any("alert(1)" in (element.text or "") for element in root.iter(f"{NS}text")), "the words are there, as text"


def test_what_is_no_drawing_is_left_out_of_a_page() -> None:
    page = (
        f'<svg xmlns="{NS[1:-1]}" xmlns:xlink="http://www.w3.org/1999/xlink"><script>x</script><style>y</style>'
        '<svg viewBox="0 0 10 20"><g onclick="z" style="w"><path d="M0 0 L1 1" fill="url(http://far/)"/>'
        '<use xlink:href="http://far/a.svg#b"/><use xlink:href="javascript:x"/><foreignObject><p/></foreignObject></g></svg></svg>'
    )
    assert for_screen([page]) == (
        [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20" class="score-page"><g fill="currentColor" stroke="currentColor" '
            'stroke-width="1" font-family="STIXGeneral, \'Times New Roman\', Times, serif"><path d="M0 0 L1 1" /></g></svg>'
        ],
        [0],
    )
    with pytest.raises(UnreadableInput):
        for_screen(["<svg"])


def test_glyphs_of_two_pages_have_names_of_their_own() -> None:
    pages = score_pages(to_bytes(walk(130)))["svgs"]
    ids = [set(re.findall(r' id="([^"]+)"', page)) for page in pages]
    assert all(ids)
    assert not set.intersection(*ids)


def test_paper_left_empty_below_the_last_system_is_cut_off() -> None:
    short, long = score_pages(to_bytes(walk(4)))["svgs"][0], score_pages(to_bytes(walk(130)))["svgs"][0]
    heights = [float(re.search(r'viewBox="0 0 (\S+) (\S+)"', page)[2]) for page in (short, long)]  # type: ignore[index]
    assert heights[0] < heights[1] / 3


def test_a_piece_without_notes_has_no_pages() -> None:
    with pytest.raises(UsageError, match="there are no notes to write"):
        score_pages(to_bytes(score(track())))
