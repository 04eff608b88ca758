"""Songs as phrases of a band, and folders of them as phrase shards."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

import hostile
import songs
from kapelle.data import cleaning, phrase_shards
from kapelle.data import phrases as module
from kapelle.data.clean import Rejected
from kapelle.data.phrases import PhraseRules, RollSpec, Song, keys_of, moved, song
from kapelle.data.prepare import preparation, prepare
from kapelle.data.recipe import BandSource, PhrasePreparation
from kapelle.errors import Missing, RecipeError, UsageError
from kapelle.metrics import musegan
from kapelle.score import edit, roll
from kapelle.score.keys import Key

BAND = BandSource("band")
SPEC, RULES = RollSpec(normalise_key=False), PhraseRules()
PIANO, GUITAR = roll.TRACKS.index("piano"), roll.TRACKS.index("guitar")

RECIPE = """
name = "tiny-band"
family = "musegan"
codec = "roll"

[data]
validation = 0.2
test = 0.2

[[data.sources]]
folder = "lead"
align = "grid"
arrange = "lead-piano-chords"
key = "signature"
drums = "drums"
drum_styles = ["rock"]
licence = "ours"

[[data.sources]]
folder = "band"
licence = "ours"

[tokenizer]

[preprocessing]
transpose = 5
"""


def taken(score: symusic.Score, spec: RollSpec = SPEC, rules: PhraseRules = RULES, source: BandSource = BAND) -> Song:
    made = song(score.dumps_midi(), spec, rules, source)
    assert isinstance(made, Song)
    return made


def cells_of(made: Song, n_pitches: int = 72) -> Any:
    return np.unpackbits(made.cells, axis=-1, count=n_pitches).view(np.bool_)


def drums_in(made: Song) -> list[int]:
    """The drums that are struck anywhere, by their MIDI numbers."""
    return [int(row) + 24 for row in np.flatnonzero(cells_of(made)[:, 0].any((0, 1, 2)))]


def reason(score: symusic.Score, rules: PhraseRules = RULES, source: BandSource = BAND) -> str:
    made = song(score.dumps_midi(), SPEC, rules, source)
    assert isinstance(made, Rejected)
    return made.reason


def test_phrases_are_the_bars_of_the_song_and_begin_where_sections_begin() -> None:
    score = songs.song("-AABBAC", n_bars=6)
    made, whole = taken(score), roll.from_score(score, roll.FORMS["tutorial"])[0].cells
    assert {1, 13, 25, 31} <= set(made.bars.tolist())
    kit = sorted({36, 38, 42})
    assert np.flatnonzero(whole[0].any((0, 1))).tolist() == [pitch - 24 for pitch in kit]
    for cells, bar in zip(cells_of(made), made.bars, strict=True):
        assert (cells == whole[:, bar : bar + 4]).all()
    assert made.present == 0b11111 and made.bpm == pytest.approx(100) and made.n_bars == 37


def test_without_sections_phrases_are_counted_from_the_first_bar_that_sounds() -> None:
    made = taken(songs.song("-AABBAC", n_bars=6), rules=replace(RULES, sections=False))
    assert made.bars.tolist() == list(range(1, 34, 4))


def test_the_paper_form_has_its_own_grid() -> None:
    made = taken(songs.song("AABA"), spec=replace(SPEC, form="paper"))
    assert made.cells.shape[1:] == (5, 4, 96, 11) and made.bars.tolist() == list(range(0, 32, 4))


def test_phrases_in_which_too_few_tracks_sound_are_left_out_and_counted() -> None:
    score = songs.song("AABA", parts=("piano", "bass", "strings"))
    strings = score.tracks[2]
    strings.notes = type(strings.notes)([note for note in strings.notes if note.time >= 16 * songs.BAR])
    made = taken(score, rules=replace(RULES, sections=False))
    assert made.bars.tolist() == [16, 20, 24, 28] and made.dropped == {"too few tracks sound": 4}
    assert made.present == 1 << 1 | 1 << 3 | 1 << 4
    assert reason(score, replace(RULES, min_tracks=4)) == "no phrase in which enough tracks sound"


def test_other_instruments_play_with_the_strings_or_not_at_all_and_effects_never() -> None:
    bars = [(bar * songs.BAR, songs.BAR, 79) for bar in range(8)]
    base = songs.song("A", parts=("piano", "bass", "guitar"))
    flute, birds = songs.score([(73, bars)]).tracks[0], songs.score([(123, bars)]).tracks[0]
    base.tracks.extend([flute, birds])
    made = taken(base)
    assert cells_of(made)[:, 4].any((1, 2)).sum(-1).tolist() == [1, 1] and made.lost["others"] == 8 and made.lost["effects"] == 8
    assert not cells_of(taken(base, rules=replace(RULES, others="none")))[:, 4].any()


def test_drums_are_nine_or_all() -> None:
    base = songs.song("A", parts=("piano", "bass", "guitar"))
    base.tracks.append(songs.score([(-1, [(bar * songs.BAR, 60, pitch) for bar in range(8) for pitch in (40, 76)])]).tracks[0])
    assert drums_in(taken(base)) == [38] and taken(base).lost["kit"] == 8
    assert drums_in(taken(base, rules=replace(RULES, kit="all"))) == [40, 76]


def test_songs_that_cannot_be_phrases_say_why() -> None:
    assert reason(songs.score([(0, [(0, 480, 60)])], metre=(3, 4))) == "not in 4/4 throughout"
    assert reason(songs.score([])) == "no notes"
    assert reason(songs.song("A", n_bars=7)) == "too few bars"
    swung = songs.score([(0, [(step * 120 + 60, 60, 60) for step in range(160)])])
    assert reason(swung) == "off the grid"
    assert song(b"no music", SPEC, RULES, BAND) == Rejected("not readable as MIDI")


def test_songs_are_moved_to_the_common_key_and_drums_stay() -> None:
    up = edit.transpose(songs.song("AABA"), 3)
    spec = replace(SPEC, normalise_key=True)
    here, there = cells_of(taken(songs.song("AABA"), spec)), cells_of(taken(up, spec))
    assert (here == there).all()
    assert (cells_of(taken(up)) != here).any()


def test_written_keys_are_believed_where_the_source_says_so() -> None:
    score = songs.song("AABA")
    score.key_signatures.append(symusic.KeySignature(0, 2, 0))
    score.key_signatures.append(symusic.KeySignature(16 * songs.BAR, -3, 1))
    assert keys_of(score, signatures=True) == [(0, Key(2)), (16 * songs.BAR, Key(0, "minor"))]
    assert [key for _, key in keys_of(score, signatures=False)] != [Key(2)]
    by = moved(score, keys_of(score, signatures=True))
    steps = np.array([note.pitch for note in by.tracks[1].notes]) - np.array([note.pitch for note in score.tracks[1].notes])
    late = np.array([note.time for note in score.tracks[1].notes]) >= 16 * songs.BAR
    assert set(steps[~late].tolist()) == {-2} and set(steps[late].tolist()) == {-3}


def test_no_phrase_reaches_over_a_change_of_key() -> None:
    score = songs.song("AABA")
    score.key_signatures.append(symusic.KeySignature(0, 0, 0))
    score.key_signatures.append(symusic.KeySignature(18 * songs.BAR, 2, 0))
    made = taken(score, source=BandSource("band", key="signature"))
    assert {bar for bar in made.bars.tolist() if 14 < bar <= 18} == {18}


def arranged(early: int = 0, rules: PhraseRules = RULES) -> Song:
    whole, grid = songs.lead_and_chords(1, 24, early)
    source = BandSource("lead", align="grid", arrange="lead-piano-chords", drums="drums")
    made = song(whole.dumps_midi(), RollSpec(), rules, source, grid.dumps_midi())
    assert isinstance(made, Song)
    return made


def test_an_arranged_song_rests_its_drums_before_the_lead_enters() -> None:
    made = arranged(rules=replace(RULES, sections=False))
    assert made.bars.tolist() == [0, 4, 8, 12, 16, 20] and made.resting.tolist() == [True] + [False] * 5
    assert not cells_of(made)[:, 0].any() and cells_of(made)[1:, 1:].any((2, 3, 4)).all()


def test_bars_that_begin_late_are_put_right() -> None:
    assert (arranged(early=1).cells == arranged().cells).all()
    assert [int(bar) for bar in arranged(early=1).bars] == [int(bar) + 1 for bar in arranged().bars]


def test_phrases_whose_chords_begin_elsewhere_are_left_out() -> None:
    whole, grid = songs.lead_and_chords(1, 24)
    half = 12 * songs.BAR
    for score in (whole, grid):
        for track in score.tracks:
            for note in track.notes:
                note.time += 2 * songs.TPQ if note.time >= half else 0
    source = BandSource("lead", align="grid", arrange="lead-piano-chords", drums="drums")
    made = song(whole.dumps_midi(), RollSpec(), replace(RULES, sections=False), source, grid.dumps_midi())
    assert isinstance(made, Song)
    assert made.dropped["chords begin off the bar lines"] >= 2 and (max(made.bars) <= 8 or min(made.bars) >= 12)


def test_a_copy_of_other_music_is_refused() -> None:
    whole, _ = songs.lead_and_chords(1)
    _, other = songs.lead_and_chords(2)
    source = BandSource("lead", align="grid", arrange="lead-piano-chords")
    assert song(whole.dumps_midi(), SPEC, RULES, source, other.dumps_midi()) == Rejected("not the same music as its copy on the right bars")
    assert song(whole.dumps_midi(), SPEC, RULES, source) == Rejected("without the tracks that the arrangement is made of")


def test_no_bytes_make_it_raise() -> None:
    rules = replace(RULES, min_bars=1, min_tracks=1, sounding=0.0)
    kinds = {type(song(case.data, SPEC, rules, BAND)) for case in list(hostile.corpus(1))[::8]}
    assert kinds <= {Song, Rejected} and Rejected in kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    songs.write_drums(out / "drums", 20)
    for name in ("lead", "grid", "band"):
        (out / name).mkdir()
    for seed in range(8):
        whole, grid = songs.lead_and_chords(seed, 16)
        whole.dump_midi(out / "lead" / f"{seed}.mid")
        grid.dump_midi(out / "grid" / f"{seed}.mid")
        songs.song("AABA", 4, seed).dump_midi(out / "band" / f"{seed}.mid")
    (out / "band" / "again.mid").write_bytes((out / "band" / "0.mid").read_bytes())
    (out / "band" / "text.mid").write_text("no music")
    return out


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


def sections(recipe: Path, *overrides: str) -> PhrasePreparation:
    made = preparation(recipe, overrides)
    assert isinstance(made, PhrasePreparation)
    return made


@pytest.fixture(scope="module")
def made(recipe: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    prepare(folder, sections(recipe), out)
    return out


def files_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def test_the_report_adds_up_and_says_why(made: Path) -> None:
    info, held = json.loads((made / "shards.json").read_text()), phrase_shards.read(made)
    assert info["files"] == 18 and info["kept"] == 16 and len(held) == info["phrases"]
    assert info["dropped"] == {"not readable as MIDI": 1, "the same as another piece": 1}
    assert sum(part["phrases"] for part in info["parts"].values()) == len(held)
    assert [sum(source["phrases"].values()) for source in info["sources"]] == np.bincount(held.phrases["source"]).tolist()
    assert info["form"]["steps_per_bar"] == 16 and info["normalised_key"] and held.tracks == roll.TRACKS
    assert [source["licence"] for source in info["sources"]] == ["ours", "ours"]
    fates = json.loads((made / "files.json").read_text())
    assert len(fates) == 18 and {fate.get("dropped") for fate in fates} == {None, *info["dropped"]}


def test_repeated_phrases_are_there_once(made: Path) -> None:
    held = phrase_shards.read(made)
    own = np.flatnonzero(held.phrases["source"] == 1)
    assert len({cells.tobytes() for cells in held.packed[own]}) == len(own) == 8 * 2  # of AABA, A and B
    assert held.info["phrases_dropped"]["the same as another phrase"] >= 8 * 2 + 4


def test_a_song_is_in_one_part_and_every_part_has_songs_of_every_source(made: Path) -> None:
    held = phrase_shards.read(made)
    assert all(len(np.unique(held.phrases["part"][held.phrases["song"] == number])) == 1 for number in np.unique(held.phrases["song"]))
    assert {(int(a), int(b)) for a, b in held.phrases[["source", "part"]].tolist()} == {(s, p) for s in range(2) for p in range(3)}


def test_no_drumming_is_in_two_parts(made: Path) -> None:
    held = phrase_shards.read(made)
    own = held.phrases["source"] == 0
    bars = [
        {bar.tobytes() for row in held.packed[own & (held.phrases["part"] == part)] for bar in row[0] if bar.any()} for part in range(3)
    ]
    assert all(bars) and not bars[0] & bars[2] and not bars[0] & bars[1]


def test_drums_from_elsewhere_play_where_they_do_not_rest(made: Path) -> None:
    held = phrase_shards.read(made)
    own = np.flatnonzero(held.phrases["source"] == 0)
    sounding = held.cells(own)[:, 0].any((1, 2, 3))
    assert (sounding == (held.phrases["bar"][own] > 0)).all() and not sounding.all() and held.present(own).all()


def test_phrases_may_be_moved_as_far_as_they_stay_in_range(made: Path) -> None:
    held = phrase_shards.read(made)
    for index in range(len(held)):
        plain = held.cells([index])
        for shift in (int(held.phrases["down"][index]), int(held.phrases["up"][index])):
            assert -5 <= shift <= 5 and held.cells([index], [shift]).sum() == plain.sum()
    assert (held.phrases["up"] == 5).any()


def test_two_processes_give_the_bytes_of_one(
    recipe: Path, folder: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 5)
    prepare(folder, sections(recipe), tmp_path, processes=2)
    assert files_of(tmp_path) == files_of(made)


def test_what_was_read_is_not_read_again(recipe: Path, folder: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(folder, sections(recipe), tmp_path)

    def never(*given: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr(module, "song", never)
    prepare(folder, sections(recipe), tmp_path)
    assert files_of(tmp_path) == files_of(made)
    with pytest.raises(AssertionError, match="read again"):
        prepare(folder, sections(recipe, "preprocessing.hop=2"), tmp_path)


def test_the_paper_form_is_prepared_too(recipe: Path, folder: Path, tmp_path: Path) -> None:
    prepare(folder, sections(recipe, "tokenizer.form=paper", "tokenizer.bars=2"), tmp_path)
    held = phrase_shards.read(tmp_path)
    assert held.sizes == {"n_tracks": 5, "n_bars": 2, "n_steps": 96, "n_pitches": 84}
    assert held.packed.shape[1:] == (5, 2, 96, 11)


def test_an_arrangement_without_chords_and_drums_that_are_not_there_are_refused(recipe: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no copy with chords"):
        prepare(folder, sections(recipe, 'data.sources=[{folder="lead", arrange="lead-piano-chords"}]'), tmp_path)
    with pytest.raises(Missing, match="no drum performances in"):
        prepare(folder, sections(recipe, 'data.sources=[{folder="band", drums="nowhere"}]'), tmp_path)
    with pytest.raises(UsageError, match="too few for songs"):
        prepare(
            folder,
            sections(recipe, 'data.sources=[{folder="lead", drums="drums", drum_styles=["jazz"]}]', "preprocessing.min_tracks=1"),
            tmp_path,
        )
    assert not (tmp_path / "shards.json").exists()


def test_unknown_arrangements_and_forms_are_errors_of_the_recipe(recipe: Path) -> None:
    for wrong in ('data.sources=[{folder="x", arrange="big band"}]', "tokenizer.form=wide", 'data.sources=[{folder="x", genre="pop"}]'):
        with pytest.raises(RecipeError):
            preparation(recipe, [wrong])


@pytest.mark.skipif("KAPELLE_DATA" not in os.environ, reason="KAPELLE_DATA names no folder of data packs")
def test_the_parts_of_real_songs_agree_in_harmony() -> None:
    data = Path(os.environ["KAPELLE_DATA"])
    if not all((data / name).is_dir() for name in ("pop909", "pop909_cl")):
        pytest.skip("pop909 and pop909_cl are not there")
    source = BandSource("pop909", align="pop909_cl", arrange="lead-piano-chords", key="signature", drums="groove_midi")
    found = []
    for number in range(1, 16):
        paths = data / "pop909" / f"{number:03d}" / f"{number:03d}.mid", data / "pop909_cl" / f"{number:03d}.mid"
        made = song(paths[0].read_bytes(), RollSpec(), RULES, source, paths[1].read_bytes())
        found += [cells_of(made)] if isinstance(made, Song) else []
    cells = np.concatenate(found)
    assert len(found) >= 12 and len(cells) > 10 * len(found)
    mixed = np.stack([cells[np.random.default_rng(m).permutation(len(cells)), m] for m in range(5)], axis=1)
    own, other = musegan.measure(cells, roll.TRACKS), musegan.measure(mixed, roll.TRACKS)
    assert own["TD/guitar-piano"] < 1.3 < other["TD/guitar-piano"] and own["TD/bass-piano"] < 1.0 < other["TD/bass-piano"]
