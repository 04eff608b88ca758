"""The piano roll: every note in its place, texts safe, bytes repeatable, any score drawn."""

import os
import re
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import symusic

from kapelle.engraving import pianoroll
from kapelle.engraving.canvas import escape, shorten, to_png
from kapelle.engraving.layout import lay_out
from kapelle.engraving.palette import DARK, LIGHT
from kapelle.engraving.pianoroll import PictureOptions, draw, png, svg
from kapelle.errors import NotEnoughMemory, StorageError, UnknownName, UsageError
from kapelle.score.marks import Mark
from pieces import score, track

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def boxes(picture: str, colour: str) -> list[tuple[float, float, float, float]]:
    """All rectangles in groups of a colour: the notes of a part."""
    groups = [group for group in ElementTree.fromstring(picture).iter(f"{SVG}g") if group.get("fill") == colour]
    return [tuple(float(box.get(name, 0)) for name in ("x", "y", "width", "height")) for group in groups for box in group]


def test_a_note_stands_at_its_bar_and_pitch_and_is_as_wide_as_it_is_long():
    piece = score(track((0, 480, 60, 100), (1920, 960, 72, 100)))
    layout = lay_out(piece, width=1600, top=50, bars_per_system=0, n_drum_rows=0, marked=False)
    first, second = sorted(boxes(svg(piece, PictureOptions(legend=False)), LIGHT.tracks[0]))
    per_quarter = (1600 - 76 - 24) / 8
    assert layout.px_per_quarter == pytest.approx(per_quarter)
    assert (first[0], second[0]) == pytest.approx((76, 76 + 4 * per_quarter))
    assert (first[2], second[2]) == pytest.approx((per_quarter - 1, 2 * per_quarter - 1))
    assert first[1] - second[1] == pytest.approx(12 * layout.row, abs=0.11)


def test_louder_notes_are_stronger_in_colour():
    picture = svg(score(track((0, 100, 60, 1), (480, 100, 62, 127))), PictureOptions(legend=False))
    opacities = re.findall(rf'fill="{LIGHT.tracks[0]}"( fill-opacity="[\d.]+")?>', picture)
    assert opacities == [' fill-opacity="0.4"', ""]


def test_the_words_of_a_picture():
    lead, bass, drums = track((0, 5760, 60, 100), name="Lead"), track((0, 100, 40, 90), program=33), track((0, 10, 36, 90), drums=True)
    piece = score(lead, bass, drums, bpm=90)
    piece.time_signatures.extend([symusic.TimeSignature(0, 4, 4), symusic.TimeSignature(1920, 3, 4)])
    piece.key_signatures.append(symusic.KeySignature(0, 1, 0))
    found = texts(svg(piece, PictureOptions(title="A tune"), marks=[Mark(0, 1920, "Theme A")]))
    for words in ("A tune", "Lead", "Fingered electric bass", "Drums", "Kick", "Theme A", "C4", "1", "2", "4/4", "3/4", "0:00"):
        assert any(words.lower() == text.lower() for text in found), words
    assert any(text.split("   ·   ") == ["G major", "4/4, 3/4", "90 bpm", "4 bars", "3 notes", "0:08"] for text in found)


def test_tracks_of_one_name_share_a_colour_and_a_line_of_the_legend():
    piece = score(*(track((0, 100, 60 + i, 90), name="Choir", program=i) for i in range(3)))
    picture = svg(piece)
    assert texts(picture).count("Choir") == 1
    assert len(boxes(picture, LIGHT.tracks[0])) == 3


def test_names_cannot_break_out_of_the_picture():
    name = '</text><script>alert(1)</script> & "quoted" \x00\x0b\ud800'.encode("utf-8", "replace").decode()
    picture = svg(score(track((0, 100, 60, 90), name=name)), PictureOptions(title=name), [Mark(0, 1920, name)])
    assert "<script" not in picture
    assert escape('<&">\x00\x1f') == "&lt;&amp;&quot;&gt;"
    assert any(text.startswith("</text><script>") for text in texts(picture))
    assert png(score(track((0, 100, 60, 90), name=name)))[:4] == b"\x89PNG"


def test_a_long_piece_wraps_into_systems_of_one_scale_that_hold_each_note():
    n_bars = 65
    piece = score(track(*((bar * 1920, 1920, 40 + bar % 40, 90) for bar in range(n_bars))))
    layout = lay_out(piece, width=1600, top=50, bars_per_system=0, n_drum_rows=0, marked=False)
    assert 4 <= len(layout.systems) <= 6
    assert [system.start for system in layout.systems[1:]] == [system.end for system in layout.systems[:-1]]
    assert layout.systems[-1].end == n_bars * 1920
    assert layout.systems[-1].width > 0.6 * layout.systems[0].width  # the last one is well filled
    assert len(boxes(svg(piece), LIGHT.tracks[0])) == n_bars
    assert len(lay_out(piece, width=1600, top=0, bars_per_system=5, n_drum_rows=0, marked=False).systems) == 13


def test_a_note_over_the_end_of_a_system_goes_on_in_the_next():
    piece = score(track((0, 1920 * 4, 60, 90)))
    assert len(boxes(svg(piece, PictureOptions(bars_per_system=2)), LIGHT.tracks[0])) == 2
    drums = score(track((0, 1920 * 4, 36, 90), drums=True))
    assert len(boxes(svg(drums, PictureOptions(bars_per_system=2)), LIGHT.drums)) == 1  # a stroke is where it is struck


def test_marks_are_read_from_the_score_unless_given():
    piece = score(track((0, 1920 * 4, 60, 90)))
    piece.markers.append(symusic.TextMeta(0, "Verse"))
    assert "Verse" in texts(svg(piece))
    assert "Verse" not in texts(svg(piece, marks=[]))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["a.svg", "a.PNG"])
def test_the_same_score_gives_the_same_file(tmp_path, theme, name):
    piece = score(track((0, 480, 60, 100), name="Музыка"))
    first, second = (draw(piece, tmp_path / folder / name, PictureOptions(theme=theme, scale=1.0)) for folder in "ab")
    data = first.read_bytes()
    assert data == second.read_bytes()
    if name == "a.PNG":
        width, height = struct.unpack(">II", data[16:24])
        assert width == 1600 and height > 200
    else:
        assert (DARK if theme == "dark" else LIGHT).ground in data.decode()


def test_png_has_its_texts_drawn_although_the_machine_may_have_no_fonts():
    blank = len(to_png('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="50"></svg>', scale=1))
    words = len(to_png('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="50"><text y="30">Музыка</text></svg>', scale=1))
    assert words > blank + 500


@pytest.mark.parametrize(
    "piece",
    [
        score(),
        score(track()),
        score(track((0, 0, 60, 0))),
        score(track((0, 1, 0, 127), (0, 1, 127, 127))),
        score(track((5, 1, 60, 90), drums=True)),
        score(track(*((0, 480, 60, 90) for _ in range(500)))),
        score(track((0, 1920 * 2000, 60, 90))),
        score(*(track((0, 480, 60, 90), name=f"Part {i}", program=i) for i in range(60))),
    ],
    ids=["no tracks", "no notes", "no length", "widest range", "one drum", "identical", "2000 bars", "60 tracks"],
)
def test_any_score_is_drawn(piece):
    picture = svg(piece, PictureOptions(title="Title"))
    ElementTree.fromstring(picture)
    assert "nan" not in picture and "inf" not in picture
    assert to_png(picture, scale=0.5)[:4] == b"\x89PNG"


def test_identical_notes_are_drawn_once():
    assert len(boxes(svg(score(track(*((0, 480, 60, 90) for _ in range(500))))), LIGHT.tracks[0])) == 1


def test_twenty_thousand_notes_take_less_than_two_seconds():
    random = np.random.default_rng(0)
    notes = zip(random.integers(0, 1920 * 300, 20_000), random.integers(30, 90, 20_000), strict=True)
    piece = score(track(*((int(time_), 200, int(pitch), 90) for time_, pitch in notes)))
    started = time.process_time()
    picture = svg(piece)
    assert time.process_time() - started < 2.0
    assert len(picture) < 3_000_000


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(UnknownName) as caught:
        draw(score(), tmp_path / "a.pdf")
    assert caught.value.hint == "known: .svg, .png"
    with pytest.raises(UsageError, match="width"):
        svg(score(), PictureOptions(width=10))
    with pytest.raises(UsageError, match="theme"):
        svg(score(), PictureOptions(theme="purple"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        draw(score(), tmp_path / "file" / "a.svg")
    with pytest.raises(NotEnoughMemory):
        png(score(track((0, 1920 * 900, 60, 90))), PictureOptions(width=6000, bars_per_system=10, scale=4.0))


def test_drawing_imports_no_matplotlib():
    code = (
        "import sys; from kapelle.engraving import pianoroll; import symusic; pianoroll.png(symusic.Score(480));"
        "assert not {'matplotlib', 'music21', 'torch'} & set(sys.modules)"
    )
    roots = str(Path(pianoroll.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": roots})


def test_texts_are_cut_with_an_ellipsis():
    assert shorten("short", 10, 100) == "short"
    assert shorten("much too long for this", 10, 62) == "much too…"
