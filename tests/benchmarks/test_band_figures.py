"""The benchmarks of bands on bands that play nonsense: what they measure, what they count, and what they call better."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import symusic

pytest.importorskip("onnx")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _bands
import accompany
import band_metrics
import band_speed

import band_bundles
from kapelle.data import phrase_shards
from kapelle.errors import UsageError
from kapelle.metrics import musegan
from kapelle.score.roll import FORMS, TRACKS
from kapelle.score.write import to_bytes

FORM = FORMS["tutorial"]
SIZES = {"n_tracks": 5, "n_bars": 4, "n_steps": 16, "n_pitches": 72}
TRIADS = ((0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4))


def band_music(n: int, seed: int = 0) -> np.ndarray:
    """Phrases in which all pitched tracks hold the triad of the bar, each in its octave, and the drums mark the beats."""
    draw = np.random.default_rng(seed)
    out = np.zeros((n, 5, 4, 16, 72), bool)
    out[:, 0, :, ::4, 12] = True
    for phrase in out:
        for bar in range(4):
            triad = TRIADS[draw.integers(len(TRIADS))]
            for track, octave in ((1, 3), (2, 2), (3, 1), (4, 4)):
                phrase[track, bar, :, [12 * octave + tone for tone in triad[: 1 if track == 3 else 3]]] = True
    return out


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty phrases, each a song; a quarter is the test part, and some songs have no guitar."""
    cells = band_music(80)
    rows = np.zeros(80, phrase_shards.PHRASE)
    rows["song"], rows["present"] = np.arange(80), 0b11111
    rows["part"] = np.where(np.arange(80) % 4 == 3, 2, 0)
    rows["present"][:8] = 0b11011
    info = {"tracks": list(TRACKS), "sizes": SIZES, "form": asdict(FORM), "sources": [{"name": "made", "licence": "ours"}]}
    path = tmp_path_factory.mktemp("bands") / "shards"
    phrase_shards.write(path, info, {"cells": phrase_shards.pack(cells), "phrases": rows})
    return path


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> str:
    model = {**SIZES, "model": "hybrid", "width": 0.02, "latent": 32}
    return str(band_bundles.build(tmp_path_factory.mktemp("bundles") / "band", family="musegan", model=model))


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(band_bundles.build(tmp_path_factory.mktemp("bundles") / "around", conditional=True))


def test_a_band_stands_beside_its_data_and_chance(shards: Path, band: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(shards), band, "--made", "12", "--json", str(tmp_path / "out.json"), "--card", str(tmp_path / "card.md")]
    assert band_metrics.main(arguments) == 0
    (report,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8")).values()
    assert (report["phrases"], report["made"], report["part"]) == (18, 12, "test")  # two songs of the part have no guitar
    data, shuffled = report["metrics"]["data"], report["metrics"]["shuffled"]
    assert data["TD/guitar-strings"] == pytest.approx(0, abs=1e-6) and shuffled["TD/guitar-strings"] > 0.2
    assert report["distances"]["shuffled"]["DP"] == 0 and report["distances"]["shuffled"]["TD"] > 0
    low, high = report["intervals"]["UPC/piano"]
    assert low <= report["metrics"]["model"]["UPC/piano"] <= high
    assert report["kind"] == "hybrid" and report["published"]["model"]["EB/drums"] == 29.7
    told = capsys.readouterr().out
    assert "Nearer in tonal distance than shuffled bars:" in told and "nothing can be nearer than shuffled bars" in told
    assert (tmp_path / "card.md").read_text(encoding="utf-8").startswith("### Beside the data")


def test_an_untrained_network_is_measured_where_torch_is(shards: Path, band: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    held = band_metrics.load.load(band)
    data = band_metrics.Data(phrase_shards.read(shards), "test", 8)
    report = band_metrics.measured(data, held, 6)
    assert set(report["metrics"]["untrained"]) == set(report["metrics"]["data"])
    assert any("untrained network: EB" in line for line in band_metrics.verdicts(report))


def test_a_given_track_is_not_measured() -> None:
    cells = band_music(10)

    def play(latents: dict, given: np.ndarray | None) -> np.ndarray:
        assert given is not None
        return cells[: len(given)] & ~given.any(axis=(2, 3, 4), keepdims=True)  # what is given comes out silent

    parts = _bands.in_turn(play, TRACKS, {"z": np.zeros((10, 4), np.float32)}, cells)
    assert [len(part) for part in parts.values()] == [2, 2, 2, 2, 2]
    found = _bands.tally_of(parts, TRACKS).means()
    assert (
        found["EB/bass"] == 0
        and found["UPC/bass"] == 1
        and found["TD/bass-piano"] == pytest.approx(musegan.measure(cells[:2], TRACKS)["TD/bass-piano"])
    )


def test_other_phrases_than_the_bands_are_refused(shards: Path, tmp_path: Path) -> None:
    paper = band_bundles.build(tmp_path / "paper", form=FORMS["paper"])
    with pytest.raises(UsageError, match="makes other phrases"):
        band_metrics.main([str(shards), str(paper)])


def test_a_band_that_hears_is_nearer_to_what_it_heard(shards: Path, around: str, band: str, tmp_path: Path, capsys) -> None:
    pytest.importorskip("scipy")
    import band_encoder

    assert band_encoder.main([str(shards), around, "--phrases", "12", "--json", str(tmp_path / "out.json")]) == 0
    report = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    piano = report["given"]["piano"]
    assert set(report["given"]) == {"piano", "guitar", "bass", "strings"} and piano["phrases"] == 12
    assert piano["difference"] > 0 and piano["effect"] > 0.5 and piano["written"] < piano["own"]
    assert "Further away when another track was heard" in capsys.readouterr().out
    with pytest.raises(UsageError, match="no encoder"):
        band_encoder.main([str(shards), band])


def test_a_band_that_hears_nothing_is_no_nearer() -> None:
    pytest.importorskip("scipy")
    import band_encoder

    same = np.array([0.5, 0.7, np.nan])
    assert band_encoder.compared(same, same, same) == {
        "phrases": 2, "own": pytest.approx(0.6), "other": pytest.approx(0.6), "written": pytest.approx(0.6), "difference": 0.0,
        "interval": [0.0, 0.0], "p": 1.0, "effect": 0.0,
    }  # fmt: skip
    further = band_encoder.compared(np.zeros(40), np.linspace(0.1, 1, 40), np.zeros(40))
    assert further["effect"] == 1 and further["p"] < 1e-6 and further["interval"][0] > 0


def test_speed_is_told_with_its_goals(band: str, around: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = band_speed.one_round(band, 2, 3)
    assert found["long_parts"] == 5 and min(found["long_s"], found["short_s"], found["phrase_ms"]) > 0
    told = band_speed.told({**found, "rounds": 1})
    assert "64 bars of five parts" in told and "<= 30 for 100" in told
    assert "ratio" in found or "torch" not in sys.modules
    assert "ratio" not in band_speed.one_round(around, 1, 2)  # it does not tell its shape


def lead() -> symusic.Score:
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, qpm=90))
    for name, program in (("MELODY", 0), ("PIANO", 0)):
        track = symusic.Track(name, program, False)
        for beat in range(32):
            track.notes.append(symusic.Note(beat * 480 + 7, 460, 60 + (0, 4, 7, 9)[beat % 4], 50 + beat))
        score.tracks.append(track)
    return score


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two songs with their corrected editions, and one without."""
    for name in ("001", "002", "003"):
        (tmp_path / "pop909" / name).mkdir(parents=True)
        (tmp_path / "pop909" / name / f"{name}.mid").write_bytes(to_bytes(lead()))
    (tmp_path / "pop909_cl").mkdir()
    for name in ("001", "002"):
        (tmp_path / "pop909_cl" / f"{name}.mid").write_bytes(to_bytes(lead()))
    return tmp_path


def test_melodies_that_come_back_are_counted(data: Path, around: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accompany.main([str(data), "--model", around, "--json", str(tmp_path / "out.json")]) == 0
    report = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert report["asked"] == 2 and report["held"] == dict.fromkeys(accompany.CHECKS, 2)
    assert [row["file"] for row in report["melodies"]] == ["pop909/001/001.mid", "pop909/002/002.mid"]
    assert "Held: notes 2, clock 2, bars 2, band 2, sound 2." in capsys.readouterr().out


def test_a_melody_that_was_touched_is_seen() -> None:
    class Report:
        n_bars, problems, attempts = 8, (), 1

    touched = lead()
    touched.tracks[0].notes[3].velocity += 1
    held = accompany.checked(lead(), touched, Report)
    assert not held["notes"] and held["clock"] and held["bars"] and not held["band"]
    slower = lead()
    slower.tempos = type(slower.tempos)([symusic.Tempo(0, qpm=60)])
    assert not accompany.checked(lead(), slower, Report)["clock"]


def test_overfitting_runs_from_shards_to_figures(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    import band_overfit

    arguments = [str(shards), "--smoke", "--json", str(tmp_path / "out.json"), "model.width=0.05"]
    assert band_overfit.main(arguments) == 0
    report = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (report["phrases"], report["made"], report["steps"]) == (54, 8, 2)  # all there are with five tracks
    assert set(report["kinds"]["data"]) == set(_bands.KINDS)
    assert band_overfit.apart({"kinds": {"data": {"EB": 2.0}, "model": {"EB": 1.5}}}) == {"EB": 0.25}
    assert band_overfit.apart({"kinds": {"data": {"EB": 0.0, "DP": 0.0}, "model": {"EB": 0.0, "DP": 1.0}}}) == {
        "EB": 0.0,
        "DP": float("inf"),
    }
    assert "of 5 within 10%" in capsys.readouterr().out
