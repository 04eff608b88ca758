"""A study makes every cell once, keeps what is there, counts what failed, and leaves a page that opens from the disk."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from symusic import Note, Score, Tempo, TimeSignature, Track

from kapelle import api
from kapelle.composing.piece import Piece, PieceReport
from kapelle.composing.request import ComposeRequest
from kapelle.errors import CannotObey, Interrupted, Missing, UnreadableInput, UsageError
from kapelle.study import bridge, measures, tables
from kapelle.study.cell import music_of
from kapelle.study.plan import Axis, Plan
from kapelle.study.run import Nothing, Options, as_csv, run
from kapelle.study.sound import Sound
from kapelle.workers import Workers

Q = 480


def piece(n_bars: int = 16, seed: int = 1, pitches: tuple[int, ...] = (60, 64, 67, 71)) -> Piece:
    score = Score(Q)
    score.time_signatures.append(TimeSignature(0, 4, 4))
    score.tempos.append(Tempo(0, 120))
    lead, chords = Track("MELODY"), Track("PIANO")
    for beat in range(4 * n_bars):
        lead.notes.append(Note(beat * Q, Q, pitches[(beat + beat // 3) % len(pitches)] + beat // 4 % 5, 80))
    for bar in range(n_bars):
        chords.notes.append(Note(bar * 4 * Q, 4 * Q, 48 + bar % 4 * 2, 60))
    score.tracks.extend([lead, chords])
    return Piece(score, ComposeRequest(seed=seed), "toy", "0" * 64, n_bars * 4 * Q, (), PieceReport(n_bars=n_bars))


def toy_plan(**settings) -> Plan:
    axes = (Axis("model", ("a/b", "c"), ("early", "late")), Axis("seed", ("1", "2", "3")))
    return Plan("toy", "A <toy> study", axes, settings, "First.\n\nSecond.")


class Maker:
    """Makes pieces; one cell is empty, one short; counts its calls."""

    def __init__(self, bars: int = 16) -> None:
        self.calls: list[str] = []
        self.bars = bars

    def __call__(self, cell):
        self.calls.append(cell.name)
        if cell.values == {"model": "a/b", "seed": "2"}:
            return Nothing("no melody & no chords")
        return piece(4 if cell.values["seed"] == "3" else self.bars, int(cell.values["seed"]))


def test_cells_come_in_order_and_have_names_that_are_files() -> None:
    names = [cell.name for cell in toy_plan().cells()]
    assert names[:4] == ["model-early_seed-1", "model-early_seed-2", "model-early_seed-3", "model-late_seed-1"]
    assert len(names) == toy_plan().n_cells == 6
    assert all(re.fullmatch(r"[a-z0-9._-]+", name) for name in names)


def test_an_axis_has_each_value_once() -> None:
    with pytest.raises(UsageError, match="the axis seed needs values"):
        Axis("seed", ("1", "1"))
    with pytest.raises(UsageError, match="the axis seed needs values"):
        Axis("seed", ())


def test_a_study_counts_what_is_empty_and_what_is_short(tmp_path: Path) -> None:
    results = run(toy_plan(), Maker(), tmp_path)
    assert results.counts == {"cells": 6, "made": 5, "empty": 1, "failed": 0, "short": 2, "degenerate": 0}
    assert (tmp_path / "cells" / "model-early_seed-1.mid").is_file()
    assert not (tmp_path / "cells" / "model-early_seed-2.mid").exists()
    assert results.rows[1]["empty"] == "no melody & no chords"
    for name in ("plan.json", "results.json", "results.csv", "mosaic.png", "index.html"):
        assert (tmp_path / name).stat().st_size > 100
    assert (tmp_path / "mosaic.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_there_is_kept_and_force_makes_it_again(tmp_path: Path) -> None:
    first = Maker()
    run(toy_plan(), first, tmp_path)
    assert len(first.calls) == 6
    second = Maker()
    assert run(toy_plan(), second, tmp_path).made == 0
    assert second.calls == []
    (tmp_path / "cells" / "model-late_seed-1.json").unlink()
    assert run(toy_plan(), second, tmp_path).made == 1
    assert run(toy_plan(), Maker(), tmp_path, Options(force=True)).made == 6


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        run(toy_plan(), Maker(), tmp_path / folder)
    for path in sorted((tmp_path / "one").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_a_study_that_was_stopped_goes_on(tmp_path: Path) -> None:
    maker, told = Maker(), []
    with pytest.raises(Interrupted, match="after 2 of 6 cells"):
        run(toy_plan(), maker, tmp_path, Options(cancelled=lambda: len(maker.calls) == 2, progress=lambda *at: told.append(at)))
    assert told == [(1, 6), (2, 6)]
    assert run(toy_plan(), maker, tmp_path).made == 4
    assert len(maker.calls) == 6


def test_another_study_is_not_mixed_in(tmp_path: Path) -> None:
    run(toy_plan(bars=16), Maker(), tmp_path)
    with pytest.raises(UsageError, match="holds another study"):
        run(toy_plan(bars=32), Maker(), tmp_path)
    assert run(toy_plan(bars=32), Maker(), tmp_path, Options(force=True)).made == 6
    (tmp_path / "plan.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UnreadableInput, match="is no plan of a study"):
        run(toy_plan(bars=32), Maker(), tmp_path)


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    run(toy_plan(), Maker(), tmp_path)
    (tmp_path / "cells" / "model-late_seed-1.json").write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableInput, match=r"model-late_seed-1\.json is no cell"):
        run(toy_plan(), Maker(), tmp_path)


class Links(HTMLParser):
    """What a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_has_players_pictures_and_tables_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    results = run(toy_plan(), Maker(2), tmp_path, Options(sound=Sound(("ogg",), "sine", 0)))
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert page.tags.count("audio") == page.tags.count("img") == 5
    assert all((tmp_path / link).is_file() for link in page.found)
    assert "http:" not in text and "https:" not in text
    assert "A &lt;toy&gt; study" in text
    assert "no melody &amp; no chords" in text
    assert "5 of 6 cells are pieces; 1 empty; 5 shorter than 30 s; 0 degenerate" in text
    assert ' class="number">25%' in text
    assert results.rows[0]["name"] in text


def test_the_table_is_csv_and_json(tmp_path: Path) -> None:
    results = run(toy_plan(), Maker(), tmp_path)
    lines = as_csv(results).splitlines()
    assert lines[0].startswith("model,seed,file,empty,short,problems,attempts,seconds,notes")
    assert lines[1].startswith("a/b,1,cells/model-early_seed-1.mid,,0,,1,32,80,")
    assert lines[2].startswith("a/b,2,,no melody & no chords,0,,0,,")
    table = json.loads((tmp_path / "results.json").read_bytes())
    assert table["counts"]["cells"] == 6
    assert table["statistics"]["notes"]["count"] == 5
    assert table["by_axis"]["seed"]["3"]["notes"] == 20
    assert table["cells"][0]["measures"]["returns"] is None


def test_statistics_are_those_of_the_sample() -> None:
    found = tables.describe([1.0, 2.0, 3.0, 4.0, math.nan])
    assert found == pytest.approx({"count": 4, "mean": 2.5, "std": 1.2909944, "min": 1, "25%": 1.75, "50%": 2.5, "75%": 3.25, "max": 4})
    assert math.isnan(tables.describe([5.0])["std"])
    assert tables.describe([])["count"] == 0


def test_repeated_bars_are_those_of_the_opening() -> None:
    assert measures.repeated_bars(piece(8).score, 8) == 2 / 6  # chords come back after four bars: bars 5 and 6 are bars 1 and 2
    assert math.isnan(measures.repeated_bars(Score(Q), 4))
    found = measures.of_music(music_of(piece(8)))
    assert list(found) == list(measures.MEASURES)
    assert (found["seconds"], found["notes"], found["notes per bar"]) == (16.0, 40.0, 5.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two stages of a band and a model that develops themes are installed."""
    pytest.importorskip("onnx")
    import band_bundles
    import theme_bundles

    place = tmp_path_factory.mktemp("home")
    theme_bundles.build(place / "bundles" / "theme")
    band_bundles.build(place / "bundles" / "band-early", seed=1)
    band_bundles.build(place / "bundles" / "band-late", silent=("piano", "guitar", "strings"), seed=2)
    return place


def test_the_grid_of_the_bridge(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    asked = bridge.Asked(("band-early", "band-late"), ("theme",), (20220529, 20220530), bars=4)
    results = api.study_bridge(tmp_path, asked)
    assert results.counts["cells"] == 4
    assert [bool(row["empty"]) for row in results.rows] == [False, False, True, True]
    assert [row["values"]["latents"] for row in results.rows] == ["20220529", "20220530"] * 2
    assert {row["attempts"] for row in results.rows} == {1, 0}
    assert results.counts["short"] == 2
    assert api.study_bridge(tmp_path, asked).made == 0


def test_what_is_no_band_or_not_there_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    with pytest.raises(CannotObey, match="is no band"):
        api.study_bridge(tmp_path, bridge.Asked(("theme",)))
    with pytest.raises(CannotObey, match="develops no themes"):
        api.study_bridge(tmp_path, bridge.Asked(("band-early",), ("band-early",)))
    with pytest.raises(Missing):
        api.study_bridge(tmp_path, bridge.Asked(("nobody",)))


def test_models_by_seeds(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    results = api.study_models(tmp_path, ["band-early"], seeds=(20220529, 20220530), length=api.length_of(bars=4))
    assert [row["values"]["seed"] for row in results.rows] == ["20220529", "20220530"]
    alone = api.compose(model="band-early", bars=4, seed=20220529)
    assert (tmp_path / "cells" / "model-band-early_seed-20220529.mid").read_bytes() == alone.to_midi()
    with pytest.raises(UsageError, match="no model is named"):
        api.study_models(tmp_path, [])


def test_many_seeds_are_shown_as_cards(tmp_path: Path) -> None:
    plan = Plan("toy", "Seeds", (Axis("model", ("c",)), Axis("seed", tuple("1245678"))))
    run(plan, Maker(2), tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert text.count('<div class="card">') == 7
    assert "Means by seed" not in text


def as_it_is(cell):
    """A maker that other processes can call: the seed moves the melody, and one cell has a bug."""
    if cell.values == {"model": "c", "seed": "1"}:
        raise ZeroDivisionError("nothing by nothing")
    if cell.values == {"model": "c", "seed": "2"}:
        raise CannotObey("the band rests")
    return piece(4, int(cell.values["seed"]), (60, 62 + int(cell.values["seed"]), 67))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_bytes_are_the_same_whatever_the_number_of_processes(tmp_path: Path) -> None:
    sound = Sound(("wav",), "sine", 1)
    run(toy_plan(), as_it_is, tmp_path / "one", Options(sound=sound))
    run(toy_plan(), as_it_is, tmp_path / "two", Options(sound=sound, workers=Workers(2)))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_what_fails_stays_in_its_cell_and_is_made_again_when_asked(tmp_path: Path) -> None:
    results = run(toy_plan(), as_it_is, tmp_path)
    assert [row["failed"] for row in results.rows] == ["", "", "", "ZeroDivisionError: nothing by nothing", "the band rests", ""]
    assert results.counts["failed"] == 2
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "the band rests" in page and "2 failed" in page
    again = Maker()
    assert run(toy_plan(), again, tmp_path).made == 0
    assert run(toy_plan(), again, tmp_path, Options(retry=True)).made == 2
    assert again.calls == ["model-late_seed-1", "model-late_seed-2"]


def test_a_sound_that_is_asked_for_later_is_added(tmp_path: Path) -> None:
    import soundfile

    run(toy_plan(), Maker(), tmp_path)
    later = Maker()
    results = run(toy_plan(), later, tmp_path, Options(sound=Sound(("wav", "flac"), "sine", seconds=3, bit_depth=24)))
    assert (results.made, later.calls) == (0, [])
    made = [row["name"] for row in results.rows if row["measures"]]
    for suffix in ("wav", "flac"):
        found = soundfile.info(tmp_path / "cells" / f"{made[0]}.{suffix}")
        assert (found.subtype, found.frames) == ("PCM_24", 3 * 44100)
    assert sorted(path.stem for path in (tmp_path / "cells").glob("*.wav")) == sorted(made)


def test_a_cell_that_was_written_in_part_is_made_again(tmp_path: Path) -> None:
    run(toy_plan(), Maker(), tmp_path / "whole")
    folder = tmp_path / "killed"
    with pytest.raises(Interrupted):
        maker = Maker()
        run(toy_plan(), maker, folder, Options(cancelled=lambda: len(maker.calls) == 3))
    (folder / "cells" / "model-early_seed-3.json").unlink()  # killed between the notes and the row
    assert run(toy_plan(), Maker(), folder).made == 4
    assert files_of(folder) == files_of(tmp_path / "whole")


def test_every_value_of_a_paged_axis_has_a_page(tmp_path: Path) -> None:
    axes = (Axis("model", ("a/b", "A B", "<script>alert(1)</script>"), paged=True), Axis("seed", ("1", "2")))
    run(Plan("toy", "Pages", axes), lambda cell: piece(4), tmp_path)
    names = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert names == ["model-a-b-2.html", "model-a-b.html", "model-script-alert-1-script.html"]
    for name in ("index.html", *(f"pages/{name}" for name in names)):
        page, text = Links(), (tmp_path / name).read_text(encoding="utf-8")
        page.feed(text)
        assert page.tags.count("script") == 1
        assert "<script>alert" not in text
        for link in page.found:
            assert (tmp_path / name).parent.joinpath(link).is_file(), link
