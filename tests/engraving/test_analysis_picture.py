"""The picture of an analysis: every part is there, within the picture, in every kind of piece."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

import pieces
from kapelle.engraving import analysis as drawing
from kapelle.errors import UnknownName
from kapelle.score.analysis import analyse

BAR = 4 * 480


def piece(n_bars=4, drums=False):
    roots = (60, 65, 67, 61)
    notes = [(place * BAR, BAR, roots[place % 4] + step, 80) for place in range(n_bars) for step in (0, 4, 7)]
    return analyse(pieces.score(pieces.track(*notes, drums=drums)))


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_title_summary_classes_density_and_chords_are_told():
    told = texts(drawing.svg(piece(), title="Waltz & co"))
    assert told[0] == "Waltz & co" and "4 bars" in told[1] and "120 bpm" in told[1]
    for word in ("C#", "notes that begin in each bar", "chord of each bar", "Db", "bII", "outside of the key"):
        assert word in told


def test_a_piece_without_chords_is_drawn_too():
    told = texts(drawing.svg(piece(drums=True)))
    assert "no key" in told[1] and "chord of each bar" not in told


@pytest.mark.parametrize("n_bars", [1, 17, 2000])
def test_everything_lies_within_the_picture(n_bars):
    picture = drawing.svg(piece(n_bars))
    width, height = (float(size) for size in re.search(r'width="(\d+)" height="(\d+)"', picture).groups())
    assert width == drawing.WIDTH and height < 4000
    for x, y in re.findall(r'<(?:rect|text) x="([-\d.]+)" y="([-\d.]+)"', picture):
        assert 0 <= float(x) <= width and 0 <= float(y) <= height
    assert ("and 1360 more" in picture) == (n_bars == 2000)


@pytest.mark.parametrize(
    ("roman", "mode", "function"),
    [("I43", "major", "tonic"), ("V65", "major", "dominant"), ("viiø7", "major", "dominant"), ("ii", "major", "before the dominant"),
     ("i", "minor", "tonic"), ("iiø65", "minor", "before the dominant"), ("VII", "minor", "dominant"),
     ("VI7", "major", drawing.OTHER), ("bII6", "major", drawing.OTHER), ("#ivo7", "minor", drawing.OTHER)],
)  # fmt: skip
def test_colours_follow_what_a_chord_does(roman, mode, function):
    assert drawing._function(roman, mode) == function


def test_files_are_png_or_svg(tmp_path):
    assert drawing.draw(piece(), tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert drawing.draw(piece(), tmp_path / "a.SVG", theme="dark").read_text().startswith("<svg")
    with pytest.raises(UnknownName, match="picture format"):
        drawing.draw(piece(), tmp_path / "a.pdf")


def test_the_same_analysis_gives_the_same_bytes():
    assert drawing.svg(piece()) == drawing.svg(piece())
