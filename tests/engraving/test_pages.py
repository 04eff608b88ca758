"""Pages: staves that do not overlap, words in their place, PDF and PNG that open, files named as said."""

import io
import re
import struct
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from kapelle.engraving import pages
from kapelle.engraving.notation import musicxml
from kapelle.engraving.options import EngravingOptions
from kapelle.engraving.pdf import pdf
from kapelle.engraving.sheet import engrave
from kapelle.errors import Missing, StorageError, UnknownName, UnreadableInput, UsageError
from pieces import score, track
from scores import ALL, band, chorale

NAMED = EngravingOptions(title="A tune & <more>", composer="Somebody")


@pytest.fixture(scope="module")
def drawn():
    """The pages of the three scores."""
    return {name: pages.svg(musicxml(make(), NAMED), NAMED) for name, make in ALL.items()}


def long_piece(n_bars=48, n_parts=1):
    parts = [
        track(*((240 * i, 220, 60 + (i * 7 + p) % 13, 80) for i in range(8 * n_bars)), name=f"Part {p}", program=40 + p)
        for p in range(n_parts)
    ]
    return score(*parts)


def staff_lines(page):
    """Top and bottom of every staff of a page, by system, from the five lines of its first bar."""
    out = []
    for system in re.split(r'class="system"', page)[1:]:
        measure = system[: system.find('class="measure"', system.find('class="measure"') + 1)]
        staves = re.split(r'class="staff"', measure)[1:]
        out.append(
            [sorted(int(y) for y in re.findall(r'<path d="M-?\d+ (-?\d+) L-?\d+ -?\d+" stroke-width="13"', staff)[:5]) for staff in staves]
        )
    return out


@pytest.mark.parametrize(("name", "n_staves"), [("chorale", 2), ("piano", 2), ("band", 5)])
def test_staves_do_not_overlap_and_lie_on_the_paper(drawn, name, n_staves):
    for page in drawn[name]:
        below = -1
        for system in staff_lines(page):
            assert len(system) == n_staves
            for lines in system:
                assert len(lines) == 5
                assert lines[0] > below + (lines[4] - lines[0]) // 2  # at least half a staff apart
                below = lines[4]
        height = int(re.search(r'viewBox="0 0 \d+ (\d+)"', page)[1])
        assert below < height - 1500


def test_the_clefs_and_heads_of_the_band_are_drawn(drawn):
    page = drawn["band"][0]
    # SMuFL: treble, treble 8 below, bass, bass 8 below, percussion, cross head
    for glyph in ("E050", "E052", "E062", "E064", "E069", "E0A9"):
        assert f'xlink:href="#{glyph}-' in page, glyph
    assert "E1D5" not in page and "E4A0" not in page  # no metronome note


def test_words_stand_once_and_alone(drawn):
    page = drawn["chorale"][0]
    texts = {element.text: element for element in ElementTree.fromstring(page).iter("{http://www.w3.org/2000/svg}text")}
    assert {"A tune & <more>", "Somebody", "72 bpm"} <= set(texts)
    assert texts["A tune & <more>"].get("text-anchor") == "middle"
    assert "<tspan" not in page


def test_pages_can_be_drawn_in_any_thread(drawn):
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda name: pages.svg(musicxml(ALL[name](), NAMED), NAMED), ALL))
    assert found == list(drawn.values())


def test_a_long_piece_has_as_many_pages_as_it_needs_with_numbers():
    found = pages.svg(musicxml(long_piece(), NAMED), NAMED)
    assert 2 <= len(found) <= 6
    for number, page in enumerate(found[1:], 2):
        assert f">{number}</text>" in page
    assert sum(page.count('class="measure"') for page in found) == 48
    assert len(pages.svg(musicxml(long_piece()), EngravingOptions(scale=60))) < len(found)


def test_many_parts_are_made_small_enough_for_the_paper():
    for page in pages.svg(musicxml(long_piece(1, 30))):
        lowest = max(line for system in staff_lines(page) for lines in system for line in lines)
        assert lowest < int(re.search(r'viewBox="0 0 \d+ (\d+)"', page)[1])


def test_more_staves_than_a_page_holds_are_refused():
    with pytest.raises(UsageError, match="60 staves do not fit a page"):
        pages.svg(musicxml(long_piece(1, 60)))


@pytest.mark.parametrize(("page", "landscape", "size"), [("a4", False, ("210mm", "297mm")), ("letter", True, ("279mm", "216mm"))])
def test_the_paper_is_the_one_asked_for(page, landscape, size):
    root = ElementTree.fromstring(pages.svg(musicxml(chorale()), EngravingOptions(page=page, landscape=landscape))[0])
    assert (root.get("width"), root.get("height")) == size


def test_png_has_the_dots_asked_for_and_its_words_drawn(drawn):
    data = pages.png(drawn["chorale"][0], EngravingOptions(dpi=72))
    assert struct.unpack(">II", data[16:24]) == (596, 842)
    without = re.sub(r"<text.*?</text>", "", drawn["chorale"][0])
    assert len(data) > len(pages.png(without, EngravingOptions(dpi=72))) + 1000


def test_the_pdf_opens_and_holds_all_pages(drawn):
    pypdf = pytest.importorskip("pypdf")
    data = pdf([*drawn["piano"], *drawn["band"]], "Музыка", "Somebody")
    book = pypdf.PdfReader(io.BytesIO(data), strict=True)
    assert len(book.pages) == len(drawn["piano"]) + len(drawn["band"])
    assert (book.metadata.title, book.metadata.author) == ("Музыка", "Somebody")
    assert [round(float(side) / 72 * 25.4) for side in book.pages[0].mediabox[2:]] == [210, 297]
    content = book.pages[0].get_contents().get_data().decode()
    assert content.count(" Do") == len(re.findall(r"<use ", drawn["piano"][0]))
    assert content.count("q") >= content.count("Q") > 0


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png", ".musicxml", ".mxl"])
def test_the_same_score_gives_the_same_file(tmp_path, suffix):
    first, second = (engrave(band(), tmp_path / folder / f"a{suffix}", EngravingOptions(dpi=72)).files for folder in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_several_pages_of_svg_are_files_with_numbers(tmp_path):
    made = engrave(long_piece(), tmp_path / "tune.svg")
    assert [path.name for path in made.files] == [f"tune-{number}.svg" for number in range(1, made.n_pages + 1)]
    with pytest.raises(UsageError, match=r"tune-1\.svg exists already"):
        engrave(long_piece(), tmp_path / "tune.svg", force=False)
    assert engrave(long_piece(), tmp_path / "tune.pdf").files == (tmp_path / "tune.pdf",)


def test_packed_musicxml_holds_what_the_plain_one_says(tmp_path):
    plain, packed = (engrave(chorale(), tmp_path / name).files[0] for name in ("a.musicxml", "a.mxl"))
    with zipfile.ZipFile(packed) as archive:
        assert archive.read("score.musicxml") == plain.read_bytes()
        assert "score.musicxml" in archive.read("META-INF/container.xml").decode()


def test_progress_rises_to_the_end(tmp_path):
    seen = []
    engrave(long_piece(), tmp_path / "a.png", EngravingOptions(dpi=50), progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1


def test_bad_targets_are_named(tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match=r"unknown format of sheet music '\.doc'") as caught:
        engrave(chorale(), tmp_path / "a.doc")
    assert ".pdf, .svg, .png, .musicxml" in caught.value.hint
    with pytest.raises(UnknownName, match="engraver"):
        engrave(chorale(), tmp_path / "a.pdf", engraver="lilypond")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        engrave(chorale(), tmp_path / "file" / "a.musicxml")
    with pytest.raises(UnreadableInput):
        pages.svg("this is no MusicXML")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="MuseScore is not installed"):
        engrave(chorale(), tmp_path / "a.pdf", engraver="musescore")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_musescore_is_called_with_the_score_and_its_pages_are_taken(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "mscore"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nout="${5:-$4}"\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && out="$2"; shift; done\ncp "$1" "${out%.svg}-1.svg"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    made = engrave(chorale(), tmp_path / "a.svg", engraver="musescore")
    assert made.files[0].read_text(encoding="utf-8") == musicxml(chorale())


def test_verovio_missing_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "verovio", None)
    with pytest.raises(Missing) as caught:
        pages.svg(musicxml(chorale()))
    assert "pip install verovio" in caught.value.hint
