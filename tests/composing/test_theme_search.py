"""A theme is found in anyone's piece, written as a file to develop, and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from symusic import Note, Score, TimeSignature, Track

from kapelle.api import themes as api
from kapelle.composing import theme_search
from kapelle.engraving import themes as drawing
from kapelle.errors import CannotObey, UnknownName, UsageError
from kapelle.score.marks import marks_of
from kapelle.score.melody import find_melody
from kapelle.score.read import read
from kapelle.score.write import to_bytes

Q = 480
HEAD = (67, 69, 71, 72, 74, 72, 71, 69)
OTHER = ((60, 72, 60, 72, 60), (64, 64, 76, 64, 65), (55, 79, 57, 77, 59))


def shapes(fragments):
    """Points by onset and contour: equal fragments are one point, whatever their pitch."""
    out = np.zeros((len(fragments), 64), np.float32)
    for row, fragment in zip(out, fragments, strict=True):
        notes = fragment.notes
        row[notes["start"]] = 1.0
        row[32 + notes["start"]] = (notes["pitch"] - notes["pitch"].mean()) / 3
        row /= np.linalg.norm(row)
    return out


def song(metre: tuple[int, int] = (4, 4)) -> Score:
    """Sixteen bars: the head in bars 1, 5 (a fourth higher) and 13; other things between; chords below."""
    out, lead, chords = Score(Q), Track("", 73), Track("", 0)
    out.time_signatures.append(TimeSignature(0, *metre))
    for part in range(8):
        start = part * 8 * Q
        if part in (0, 2, 6):
            for i, pitch in enumerate(HEAD):
                lead.notes.append(Note(start + i * Q, Q, pitch + 5 * (part == 2), 80))
        else:
            for i, pitch in enumerate(OTHER[part % 3]):
                lead.notes.append(Note(start + i * Q + (part * 240 if i == 4 else 0), Q // 2, pitch + part, 80))
        for pitch in (48, 52, 55):
            chords.notes.append(Note(start, 8 * Q, pitch, 60))
    out.tracks.extend([chords, lead])
    return out


def alone() -> Score:
    """The same, its lead silent after the first four bars."""
    out = song()
    out.tracks[1].notes = type(out.tracks[1].notes)([note for note in out.tracks[1].notes if note.time < 16 * Q])
    return out


def test_the_theme_is_what_comes_back_whatever_its_key() -> None:
    found = theme_search.search(song(), shapes)
    assert found.track == 1
    assert [(one.bar, one.end) for one in found.returns] == [(0, 2), (4, 6), (12, 14)]
    assert found.returns[0].distance == 0
    assert max(one.distance for one in found.returns) < 1e-6
    table = found.as_dict()
    assert (table["track"], table["bars"], table["theme"]["first_bar"], table["theme"]["last_bar"]) == ("Flute", 16, 1, 2)
    assert [row["first_bar"] for row in table["returns"]] == [5, 13]


def test_the_theme_becomes_a_file_of_two_tracks() -> None:
    found = theme_search.search(song(), shapes)
    theme = read(to_bytes(theme_search.theme_of(found), end_ticks=theme_search.end_of(found)))
    assert [(track.name, len(track.notes)) for track in theme.tracks] == [("MELODY", 8), ("PIANO", 3)]
    assert [note.pitch for note in theme.tracks[0].notes] == list(HEAD)
    assert [(mark.label, mark.start_ticks, mark.end_ticks) for mark in marks_of(theme)] == [("theme", 0, 8 * Q)]
    assert find_melody(theme) == 0


def test_a_track_can_be_named_and_numbered() -> None:
    named = song()
    named.tracks[1].name = "Tune"
    assert theme_search.search(named, shapes, track="tune").track == 1
    assert theme_search.search(named, shapes, track="2").track == 1
    with pytest.raises(UnknownName, match="unknown track 'viola'"):
        theme_search.search(named, shapes, track="viola")


def test_where_nothing_comes_back_there_is_no_theme() -> None:
    found = theme_search.search(alone(), shapes, eps=0.01)
    assert found.theme is None
    assert found.as_dict()["theme"] is None
    assert theme_search.theme_of(found) is None


@pytest.mark.parametrize(("metre", "message"), [((7, 8), "this piece is in 7/8"), ((3, 4), "this piece is in 3/4")])
def test_other_metres_are_refused(metre, message) -> None:
    with pytest.raises(UsageError, match=message):
        theme_search.search(song(metre), shapes)


def test_a_piece_too_short_to_come_back_is_refused() -> None:
    short = song().clip(0, 12 * Q, clip_end=True)
    with pytest.raises(UsageError, match="3 bars is too short"):
        theme_search.search(short, shapes)


def test_empty_and_drums_are_refused() -> None:
    with pytest.raises(UsageError, match="there are no notes"):
        theme_search.search(Score(Q), shapes)


def test_the_api_writes_and_draws(tmp_path: Path, monkeypatch) -> None:
    embedding = pytest.importorskip("kapelle.composing.embedding")
    monkeypatch.setattr(embedding, "embedder", lambda: shapes)
    source = tmp_path / "song.mid"
    source.write_bytes(to_bytes(song()))
    found = api.themes_file(source, tmp_path / "theme.mid", tmp_path / "theme.svg")
    assert len(found.returns) == 3
    assert len(read(tmp_path / "theme.mid").tracks[0].notes) == 8
    drawn = (tmp_path / "theme.svg").read_text(encoding="utf-8")
    assert all(words in drawn for words in ("song", "theme in bars 1–2, 3 times in all", "5–6", "13–14"))
    with pytest.raises(UsageError, match="exists already"):
        api.themes_file(source, tmp_path / "theme.mid")
    with pytest.raises(CannotObey, match="no two bars of the melody come back"):
        api.themes_file(to_bytes(alone()), tmp_path / "none.mid")


def test_a_picture_of_a_long_piece_stays_small_and_one_without_a_theme_is_drawn() -> None:
    found = theme_search.search(song(), shapes)
    bars = np.arange(399)
    large = drawing.Picture(found.melody, 400, [(0, 2, 0.0)], bars, np.abs(bars[:, None] - bars[None]) / 300.0, "Long")
    assert len(drawing.svg(large)) < 2_000_000
    assert "no two bars come back" in drawing.svg(drawing.Picture(found.melody, 16, [], found.bars, found.distances))
    assert drawing.svg(drawing.Picture(found.melody[:0], 4, [], found.bars[:0], found.distances[:0, :0])).startswith("<svg")
    with pytest.raises(UnknownName, match="picture format"):
        drawing.draw(drawing.Picture(found.melody, 16, [], found.bars, found.distances), Path("theme.gif"))
