"""Several instruments in one stream, where a model knows them by family."""

from __future__ import annotations

import pytest
import symusic

import kapelle
from kapelle.errors import CannotObey
from kapelle.metrics import obedience
from kapelle.score import units
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from kapelle.tokens.remi import RemiSpec


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("onnx")
    import composers

    return str(composers.build(tmp_path_factory.mktemp("bundles") / "families", RemiSpec(genres=("pop",), programs=True), families=4))


def programs(score: symusic.Score) -> set[int]:
    return {-1 if track.is_drum else track.program for track in score.tracks}


def test_instruments_are_written_as_they_were_asked_for_not_as_their_family(band: str) -> None:
    piece = kapelle.compose(model=band, instruments="Electric piano 1,Synth bass 1,drums", bars=4, seed=3)
    score = read(piece.to_midi())
    assert obedience.instruments(score, (4, 38, -1)).obeyed
    assert {track.name for track in score.tracks} == {"Electric piano 1", "Synth bass 1", "Drums"}
    assert piece.report.facts["instruments"] == ["Electric piano 1", "Synth bass 1", "Drums"]


def test_a_band_is_drawn_where_none_is_asked_for(band: str) -> None:
    bands = {frozenset(programs(kapelle.compose(model=band, bars=4, seed=seed).score)) for seed in range(6)}
    assert len(bands) > 1
    assert all(1 <= len(found) <= 4 for found in bands)


def test_the_same_seed_draws_the_same_band_and_notes(band: str) -> None:
    assert kapelle.compose(model=band, bars=4, seed=5).to_midi() == kapelle.compose(model=band, bars=4, seed=5).to_midi()


def test_two_of_one_family_and_too_many_are_refused(band: str) -> None:
    with pytest.raises(CannotObey, match="of one family"):
        kapelle.compose(model=band, instruments="violin,cello", seed=0)
    with pytest.raises(CannotObey, match="at most 4 instruments"):
        kapelle.compose(model=band, instruments="piano,bass,drums,flute,guitar", seed=0)


def song() -> bytes:
    """Six bars of electric piano, synth bass and drums."""
    score = symusic.Score(480)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.tempos.append(symusic.Tempo(0, qpm=100))
    for program, pitch in ((4, 64), (38, 40), (-1, 36)):
        track = symusic.Track(name=f"own {program}", program=max(program, 0), is_drum=program < 0)
        for step in range(24):
            track.notes.append(symusic.Note(step * 480, 240, pitch + (0 if program < 0 else (0, 3, 5, 7)[step % 4]), 90))
        score.tracks.append(track)
    return to_bytes(score)


def test_every_instrument_goes_on_in_its_own_track(band: str) -> None:
    data = song()
    before, after = read(data), read(kapelle.extend(data, model=band, bars=8, seed=1).to_midi())
    end = units.final_bar_line(before)
    assert {track.name for track in after.tracks} == {"own 4", "own 38", "own -1"}
    for own, longer in zip(before.tracks, after.tracks, strict=True):
        assert own.name == longer.name
        assert [(n.time, n.pitch, n.duration) for n in longer.notes if n.time < end] == [(n.time, n.pitch, n.duration) for n in own.notes]
        assert any(n.time >= end for n in longer.notes)
