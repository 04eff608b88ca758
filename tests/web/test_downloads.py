"""A piece in every format, each read again by somebody else than who wrote it, and names that no system trips over."""

import io
import json
import re
import unicodedata
import zipfile
from email.message import Message
from pathlib import PureWindowsPath
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import scores
from kapelle.api.downloads import FORMATS, download
from kapelle.api.naming import content_disposition, file_name, file_stem, one_line
from kapelle.errors import MidiError, UnknownName, UsageError
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from pieces import score, track

TITLE = "Étude <b>№ 1</b>: «Осень»"
SAFE = "Étude -b-№ 1--b-- «Осень»"


@pytest.fixture(scope="module")
def band():
    return to_bytes(scores.band())


@pytest.fixture(scope="module")
def long():
    """120 bars for a piano: several pages."""
    notes = [(480 * i, 460, 60 + (i * 7) % 24, 80) for i in range(480)]
    return to_bytes(score(track(*notes, name="Piano")))


def taken(data, name, **more):
    made, media_type, suffix = download(data, name, title=TITLE, **more)
    assert (media_type, suffix) == (FORMATS[name].media_type, FORMATS[name].suffix)
    return made


def test_midi_is_handed_over_byte_for_byte(band):
    assert taken(band, "mid") == band


@pytest.mark.parametrize(("name", "kind"), [("wav", "WAV"), ("flac", "FLAC"), ("ogg", "OGG"), ("opus", "OGG"), ("mp3", "MP3")])
def test_a_sound_is_as_long_as_the_piece_and_not_silent(band, name, kind):
    with soundfile.SoundFile(io.BytesIO(taken(band, name))) as file:
        assert file.format == kind
        samples = file.read()
        seconds = len(samples) / file.samplerate
    wav, rate = soundfile.read(io.BytesIO(download(band, "wav")[0]))
    assert seconds == pytest.approx(len(wav) / rate, abs=0.1)
    assert 0.8 < np.abs(samples).max() <= 1.1


def test_opus_is_opus(band):
    assert taken(band, "opus")[28:36] == b"OpusHead"


def test_stems_are_a_sound_of_every_track_and_all_of_one_length(band):
    with zipfile.ZipFile(io.BytesIO(taken(band, "stems.zip"))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        sounds = [soundfile.read(io.BytesIO(archive.read(name))) for name in names]
    tracks = [one for one in read(band).tracks if len(one.notes)]
    assert len(names) == len(tracks)
    assert len({len(samples) for samples, _ in sounds}) == 1
    assert all(np.abs(samples).max() > 0.001 for samples, _ in sounds)
    assert all(name.startswith(SAFE) and "/" not in name and "\\" not in name for name in names)


def test_musicxml_holds_every_part_and_the_title_as_text(band):
    root = ElementTree.fromstring(taken(band, "musicxml"))
    assert root.tag == "score-partwise"
    assert root.findtext("work/work-title") == TITLE
    assert len(root.findall("part")) == len(read(band).tracks)


def test_packed_musicxml_is_the_same_packed(band):
    with zipfile.ZipFile(io.BytesIO(taken(band, "mxl"))) as archive:
        root = ElementTree.fromstring(archive.read("META-INF/container.xml"))
        inside = archive.read(root.find("rootfiles/rootfile").get("full-path"))
    assert inside == taken(band, "musicxml")


def test_pdf_has_every_page(long):
    pypdf = pytest.importorskip("pypdf")
    with zipfile.ZipFile(io.BytesIO(taken(long, "score.zip"))) as archive:
        n_pages = len(archive.namelist())
    book = pypdf.PdfReader(io.BytesIO(taken(long, "pdf")))
    assert len(book.pages) == n_pages > 1
    assert book.metadata.title == TITLE


def test_svg_holds_all_pages_below_each_other_and_no_name_twice(long):
    text = taken(long, "svg").decode()
    root = ElementTree.fromstring(text)
    pages = root.findall("{http://www.w3.org/2000/svg}svg")
    with zipfile.ZipFile(io.BytesIO(taken(long, "score.zip"))) as archive:
        assert len(archive.namelist()) == len(pages) > 1
        assert archive.namelist()[0] == f"{SAFE} 1.svg"
        for name in archive.namelist():
            assert ElementTree.fromstring(archive.read(name)).get("width") == "210mm"
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(names)
    assert [float(page.get("y")) for page in pages] == [301 * number for number in range(len(pages))]


def test_png_is_a_picture_with_something_on_it(band):
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(taken(band, "png")))
    assert image.format == "PNG"
    assert image.width > 400
    assert len(image.convert("RGB").getcolors(1 << 24)) > 8


def test_recipe_is_the_table_that_was_given(band):
    table = {"kapelle": 1, "request": {"seed": 7}, "name": "Осень"}
    assert json.loads(taken(band, "recipe.json", request=table)) == table


def test_a_piece_from_elsewhere_has_no_recipe(band):
    with pytest.raises(UsageError, match="not composed here"):
        download(band, "recipe.json")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "recipe.json"])
def test_the_same_piece_gives_the_same_bytes(name):
    data = to_bytes(scores.piano())
    assert download(data, name, title="a") == download(data, name, title="a")


def test_nothing_stays_on_the_disk(band, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("ogg", "pdf", "svg"):
        download(band, name)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_told_with_those_that_there_are():
    with pytest.raises(UnknownName) as caught:
        download(b"", "aiff")
    assert "mid" in caught.value.hint


def test_bytes_that_are_no_midi_are_refused():
    for name in FORMATS:
        if name != "recipe.json":
            with pytest.raises(MidiError):
                download(b"<html>", name)


def test_every_format_is_told_in_both_languages():
    assert {
        "mid",
        "wav",
        "flac",
        "mp3",
        "ogg",
        "opus",
        "musicxml",
        "mxl",
        "pdf",
        "svg",
        "png",
        "stems.zip",
        "recipe.json",
        "score.zip",
    } == set(FORMATS)
    for form in FORMATS.values():
        told = json.loads(json.dumps(form.as_dict()))
        assert all(told[key][language] for key in ("label", "about") for language in ("en", "ru"))
        assert told["suffix"].startswith((".", " "))


# Names -------------------------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "": "piece",
    "...": "piece",
    "///": "piece",
    "../../etc/passwd": "-..-etc-passwd",
    "C:\\Windows\\win.ini": "C--Windows-win.ini",
    "CON": "_CON",
    "con.mid": "_con.mid",
    "Lpt9": "_Lpt9",
    "Contrast": "Contrast",
    " a\tb\r\nc ": "a b c",
    "tail. . .": "tail",
    "<img src=x onerror=alert(1)>": "-img src=x onerror=alert(1)-",
    "gpj\u202emid.exe": "gpjmid.exe",
    "zero\u0000byte": "zero byte",
    "half \ud800 pair": "half pair",
    "Осень": "Осень",
    "e\u0301tude": "étude",
    "家 🎹": "家 🎹",
    "x" * 300: "x" * 120,
    "ж" * 300: "ж" * 60,
}


@pytest.mark.parametrize(("title", "stem"), HOSTILE.items())
def test_a_title_becomes_a_safe_name(title, stem):
    assert file_stem(title) == stem


@given(st.text(st.characters(), max_size=200))
def test_any_title_gives_a_name_that_every_system_takes(title):
    name = file_name(title, ".mid")
    assert name.endswith(".mid")
    assert 4 < len(name.encode()) <= 125
    assert not set(name) & set('<>:"/\\|?*')
    assert all(unicodedata.category(one) != "Cc" for one in name)
    assert not PureWindowsPath(name).is_reserved()
    assert name[0] not in ". "
    assert PureWindowsPath(name).stem[-1] not in ". "


@given(st.text(st.characters(), max_size=60))
def test_the_header_tells_the_name_in_ascii_and_in_unicode(title):
    name = file_name(title, ".mid")
    header = content_disposition(name)
    assert header.isascii()
    assert "\n" not in header
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    plain = re.search(r'filename="([^"\\]+)"', header)[1]
    assert plain.endswith(".mid")
    assert unquote(header.partition("filename*=UTF-8''")[2]) == name


def test_a_russian_name_has_a_plain_one_beside_it():
    assert content_disposition("Осень.mid") == "attachment; filename=\"piece.mid\"; filename*=UTF-8''%D0%9E%D1%81%D0%B5%D0%BD%D1%8C.mid"
    assert content_disposition("Étude.mid").startswith('attachment; filename="Etude.mid"; ')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\u2028b\nc\u202ed", "a b cd"),
        ("a\tb\r\n c", "a b c"),
        ("x" * 300, "x" * 200),
        ("\ud800", ""),
        (" \x00\x1b[31m ", "[31m"),
        ("", ""),
    ],
)
def test_a_name_has_one_line(text, line):
    assert one_line(text) == line
