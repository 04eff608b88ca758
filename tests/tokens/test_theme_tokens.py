"""The codec of themes: ids, labels and round trips."""

import itertools
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import symusic

from kapelle.errors import UsageError
from kapelle.score import edit
from kapelle.tokens import theme
from kapelle.tokens import vocabulary as vocabularies
from kapelle.tokens.theme_grammar import Grammar, Plan

PAPER, RELEASED = theme.ThemeSpec("paper"), theme.ThemeSpec("released")


def piece(melody=((0, 4, 72, 80),), piano=((0, 8, 48, 70),), *, tempi=((0, 119.0),), tpq=480, metre=(4, 4)):
    """A Score of notes (start, duration, pitch, velocity) in sixteenths."""
    score = symusic.Score(tpq)
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    for step, bpm in tempi:
        score.tempos.append(symusic.Tempo(int(step * tpq / 4), qpm=bpm))
    for name, notes in (("MELODY", melody), ("PIANO", piano)):
        track = symusic.Track(name=name, program=0, is_drum=False)
        for start, duration, pitch, velocity in notes:
            track.notes.append(symusic.Note(int(start * tpq / 4), int(duration * tpq / 4), pitch, velocity))
        score.tracks.append(track)
    return score


def spelled(encoded, spec=PAPER):
    return theme.vocabulary(spec.mode).spell(encoded.ids)


def notes_of(score):
    return [{name: column.tolist() for name, column in edit.note_arrays(track).items()} for track in score.tracks]


def test_the_vocabularies_have_716_and_1033_ids_at_the_stated_places():
    words = theme.vocabulary("released")
    places = {
        "PAD_None": 0, "Note-On-MELODY_1": 1, "Note-On-MELODY_83": 83, "Note-On-BRIDGE_1": 128, "Note-On-PIANO_1": 255,
        "Note-Duration-MELODY_1": 382, "Note-Duration-BRIDGE_1": 446, "Note-Duration-PIANO_1": 510, "Note-Duration-PIANO_64": 573,
        "Note-Velocity-MELODY_1": 574, "Note-Velocity-BRIDGE_1": 700, "Note-Velocity-PIANO_1": 826, "Note-Velocity-PIANO_126": 951,
        "Tempo_17": 952, "Tempo_119": 986, "Tempo_194": 1011, "Position_0": 1012, "Position_15": 1027, "Bar_None": 1028,
        "Phrase_Start": 1029, "Phrase_End": 1030, "Theme_Start": 1031, "Theme_End": 1032,
    }  # fmt: skip
    assert {name: words[name] for name in places} == places
    assert len(words) == 1033
    assert len(theme.vocabulary("paper")) == 716
    assert theme.vocabulary("paper").names == tuple(name for name in words.names if "BRIDGE" not in name)


def test_an_unknown_mode_is_refused_by_name():
    with pytest.raises(UsageError, match="no theme vocabulary written"):
        theme.vocabulary("written")


def test_the_vocabulary_survives_a_file(tmp_path):
    vocabularies.save(theme.vocabulary("released"), tmp_path / "tokenizer.json", {"mode": "released"})
    words, extra = vocabularies.load(tmp_path / "tokenizer.json")
    assert words == theme.vocabulary("released")
    assert extra == {"mode": "released"}


def test_melody_stands_before_piano_and_pitches_descend():
    score = piece([(0, 2, 72, 80), (18, 2, 74, 81)], [(0, 4, 48, 70), (0, 4, 55, 71), (4, 1, 50, 72)])
    assert spelled(theme.encode(score, PAPER, [(1, 2)])) == [
        "Bar_None", "Position_0", "Tempo_119", "Note-On-MELODY_72", "Note-Duration-MELODY_2", "Note-Velocity-MELODY_80",
        "Note-On-PIANO_55", "Note-Duration-PIANO_4", "Note-Velocity-PIANO_71", "Note-On-PIANO_48", "Note-Duration-PIANO_4",
        "Note-Velocity-PIANO_70",
        "Position_4", "Note-On-PIANO_50", "Note-Duration-PIANO_1", "Note-Velocity-PIANO_72",
        "Theme_Start", "Bar_None", "Position_2", "Note-On-MELODY_74", "Note-Duration-MELODY_2", "Note-Velocity-MELODY_81", "Theme_End",
    ]  # fmt: skip


def test_bars_begin_at_their_theme_start_and_labels_count_from_it():
    encoded = theme.encode(piece([(0, 1, 60, 60), (16, 1, 60, 60)], ()), PAPER, [(1, 2)], tempo="none")
    assert encoded.bars.tolist() == [0, 5]
    assert encoded.labels.tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0]


def test_a_region_that_follows_another_begins_to_count_anew():
    encoded = theme.encode(piece([(0, 1, 60, 60), (16, 1, 60, 60)], ()), PAPER, [(0, 1), (1, 2)], tempo="none")
    assert encoded.labels.tolist() == [1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0]


def test_labels_go_on_where_the_part_before_ended():
    encoded = theme.encode(piece([(0, 1, 60, 60), (16, 1, 60, 60), (32, 1, 62, 60)], ()), PAPER, [(0, 1), (1, 2)])
    words = theme.vocabulary("paper")
    for cut in range(1, len(encoded.ids)):
        rest = theme.labels_of(encoded.ids[cut:], words, before=int(encoded.labels[cut - 1]))
        assert rest.tolist() == encoded.labels[cut:].tolist()
    assert theme.labels_of([], words).tolist() == []


def test_everything_left_out_or_changed_is_counted():
    score = piece(
        [(0.2, 2, 72, 127), (0.2, 3, 72, 90), (4, 70, 0, 60)], [(0, 100, 48, 70), (40, 1, 50, 60)], tempi=[(0, 120.0), (8, 60.0)], tpq=480
    )
    drums = symusic.Track(name="Drums", program=0, is_drum=True)
    drums.notes.append(symusic.Note(0, 10, 36, 100))
    marks = symusic.Track(name="Theme info track", program=0, is_drum=False)
    marks.notes.append(symusic.Note(0, 10, 1, 1))
    score.tracks.extend([drums, marks])
    lost = theme.encode(score, PAPER, n_bars=2).lost
    assert {name: count for name, count in lost.items() if count} == {
        "tracks": 1, "pitches": 1, "doubled": 1, "beyond": 1, "moved": 2, "resized": 1, "tempos": 1, "tempos_rounded": 1,
    }  # fmt: skip
    assert theme.encode(piece([(0, 1, 60, 127)]), PAPER).lost["softened"] == 1


def test_the_tempo_in_force_is_written_after_the_first_position():
    score = piece([(20, 1, 60, 60)], (), tempi=[(0, 80.0), (18, 101.0), (30, 60.0)])
    assert spelled(theme.encode(score, PAPER))[:5] == ["Bar_None", "Bar_None", "Position_4", "Tempo_101", "Note-On-MELODY_60"]
    assert theme.encode(piece(tempi=()), PAPER).ids[2] == theme.tempo_id(120.0, theme.vocabulary("paper"))


def test_all_tempi_stand_at_their_places():
    names = spelled(theme.encode(piece([(2, 1, 60, 60)], (), tempi=[(0, 80.0), (4, 101.0)]), PAPER, tempo="all"))
    assert names == ["Bar_None", "Position_0", "Tempo_80", "Position_2", *names[4:7], "Position_4", "Tempo_101"]


def test_an_event_on_the_last_bar_line_is_lost_only_as_in_the_published_code():
    score = piece([(0, 4, 72, 80), (16, 4, 72, 80)], ())
    assert len(theme.encode(score, RELEASED).bars) == 2
    assert len(theme.encode(score, RELEASED, legacy=True).bars) == 1
    assert theme.encode(score, RELEASED, legacy=True).lost["beyond"] == 1


def test_a_theme_is_heard_without_its_tempo():
    ids = theme.theme_ids(piece(), PAPER, n_bars=2)
    names = theme.vocabulary("paper").spell(ids)
    assert names[:3] == ["Theme_Start", "Bar_None", "Position_0"]
    assert names[-2:] == ["Bar_None", "Theme_End"]


def test_a_piece_without_notes_has_no_bars():
    encoded = theme.encode(piece((), ()), PAPER)
    assert encoded.ids.tolist() == encoded.bars.tolist() == encoded.labels.tolist() == []
    assert theme.decode([], PAPER).n_bars == 0


@pytest.mark.parametrize("regions", [[(0, 2)], [(0, 1), (0, 1)], [(-1, 1)], [(1, 1)]])
def test_regions_that_overlap_or_lie_outside_are_refused(regions):
    with pytest.raises(UsageError, match="a theme from bar"):
        theme.encode(piece(), PAPER, regions, n_bars=1)


def test_other_metres_and_other_tracks_are_refused():
    with pytest.raises(UsageError, match="3/4"):
        theme.encode(piece(metre=(3, 4)), PAPER)
    score = piece()
    for track in score.tracks:
        track.name = "Guitar"
    with pytest.raises(UsageError, match="no track MELODY"):
        theme.encode(score, PAPER)


def test_decoding_gives_480_ticks_two_tracks_and_regions_on_bar_lines():
    score = piece([(0, 2, 72, 80), (18, 3, 74, 81)], [(4, 1, 50, 72)])
    decoded = theme.decode(theme.encode(score, RELEASED, [(1, 2)]).ids, RELEASED)
    assert decoded.score.tpq == 480
    assert [track.name for track in decoded.score.tracks] == ["MELODY", "PIANO"]
    assert notes_of(decoded.score) == notes_of(score)
    assert decoded.score.tempos[0].qpm == pytest.approx(119.0, abs=1e-3)
    assert (decoded.regions, decoded.dropped, decoded.n_bars) == (((1, 2),), 0, 2)


def test_no_id_in_any_order_breaks_decoding_and_nothing_is_dropped_uncounted():
    random = np.random.default_rng(1)
    for _ in range(50):
        decoded = theme.decode(random.integers(0, 1033, 300), RELEASED)
        assert decoded.dropped > 0


@pytest.mark.parametrize(
    ("names", "dropped"),
    [
        (["Note-On-MELODY_60"], 1),
        (["Bar_None", "Note-On-MELODY_60", "Note-Duration-MELODY_1", "Note-Velocity-MELODY_1"], 3),
        (["Bar_None", "Position_0", "Note-On-MELODY_60", "Note-Duration-PIANO_1"], 1),
        (["Bar_None", "Position_0", "Note-On-MELODY_60", "Bar_None"], 1),
        (["Bar_None", "Position_0", "Note-On-BRIDGE_60", "Note-Duration-BRIDGE_1", "Note-Velocity-BRIDGE_1"], 1),
        (["Theme_End", "Bar_None"], 1),
        (["Tempo_119", "Theme_Start", "Bar_None"], 0),
        (["Bar_None", "Tempo_119", "Phrase_End"], 1),
        (["Position_0"], 1),
    ],
)
def test_what_never_becomes_whole_is_counted(names, dropped):
    words = theme.vocabulary("released")
    assert theme.decode([words[name] for name in names], RELEASED).dropped == dropped


def random_piece(seed):
    random = np.random.default_rng(seed)
    n_bars = int(random.integers(1, 9))
    notes = [set(), set()]
    for track in notes:
        for _ in range(int(random.integers(1, 60))):
            track.add((int(random.integers(0, 16 * n_bars)), int(random.integers(1, 128))))
    melody, piano = ([(s, int(random.integers(1, 65)), p, int(random.integers(1, 127))) for s, p in sorted(track)] for track in notes)
    cuts = sorted({int(cut) for cut in random.integers(0, n_bars + 1, 4)})
    return piece(melody, piano), list(itertools.pairwise(cuts))[:: int(random.integers(1, 3))], n_bars


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("spec", [PAPER, RELEASED])
def test_what_is_on_the_grid_comes_back_as_it_was(seed, spec):
    score, regions, n_bars = random_piece(seed)
    encoded = theme.encode(score, spec, regions, n_bars=n_bars)
    assert not any(encoded.lost.values())
    decoded = theme.decode(encoded.ids, spec)
    assert notes_of(decoded.score) == notes_of(score)
    assert (list(decoded.regions), decoded.n_bars, decoded.dropped) == (regions, n_bars, 0)
    again = theme.encode(decoded.score, spec, decoded.regions, n_bars=decoded.n_bars)
    assert again.ids.tolist() == encoded.ids.tolist()
    assert again.labels.tolist() == theme.labels_of(encoded.ids, theme.vocabulary(spec.mode)).tolist()
    words = theme.vocabulary(spec.mode)
    assert np.isin(encoded.ids[encoded.bars], [words["Bar_None"], words["Theme_Start"]]).all()
    assert len(encoded.bars) == n_bars


PAGE = Path(__file__).parents[2] / "docs/reference/theme-tokens.md"


@pytest.mark.parametrize(("mode", "column"), [("released", 2), ("paper", 3)])
def test_the_page_tells_where_all_ids_stand(mode, column):
    told = {}
    for row in PAGE.read_text(encoding="utf-8").split("## Ids")[1].split("**")[0].splitlines():
        cells = [cell.strip(" `") for cell in row.strip("|").split("|")]
        if len(cells) == 4 and cells[column][:1].isdigit():
            first, _, last = cells[column].partition("-")
            told |= dict.fromkeys(range(int(first), int(last or first) + 1), cells[0])
    words = theme.vocabulary(mode)
    assert sorted(told) == list(range(len(words)))
    for i, name in told.items():
        assert words.names[i] == name or words.names[i].split("_")[0] == name


def test_the_page_counts_all_that_can_be_lost():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in theme.LOST if f"| `{name}` |" not in text] == []


def test_the_snippet_of_the_page_runs(capsys):
    exec(PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0], {})
    assert "'Theme_Start', 'Bar_None', 'Position_0', 'Tempo_101', 'Note-On-MELODY_72'" in capsys.readouterr().out


# --- the published data -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    if "KAPELLE_DATA" not in os.environ:
        pytest.skip("KAPELLE_DATA is not set: the published themes are not at hand")
    return Path(os.environ["KAPELLE_DATA"]) / "theme_reference"


@pytest.fixture(scope="module")
def segments(reference):
    return json.loads((reference / "validation_segments.json").read_text())


def sources(segments):
    """Song -> its published theme without Tempo."""
    return {segment["song"]: [i for i in segment["src"] if not 952 <= i <= 1011] for segment in segments}


@pytest.mark.parametrize("song", [874, 879, 883, 884, 888, 890, 891, 892])
def test_with_the_published_rules_the_published_themes_come_out_exactly(song, reference, segments):
    score = symusic.Score(str(reference / f"theme_midi/{song}_theme.mid"))
    assert theme.theme_ids(score, RELEASED, legacy=True).tolist() == sources(segments)[song]


def test_without_trimming_all_published_themes_come_out_exactly(reference, segments):
    for song, source in sources(segments).items():
        score = symusic.Score(str(reference / f"theme_midi/{song}_theme.mid"))
        assert theme.theme_ids(score, RELEASED, n_bars=2).tolist() == source, song


def test_the_published_labels_follow_from_the_ids(segments):
    words = theme.vocabulary("released")
    for segment in segments:
        assert theme.labels_of(segment["src"], words).tolist() == segment["src_theme_msk"]
        labels = segment["tgt_theme_msk"]
        before = max(0, labels[0] - 1) if segment["tgt"][0] != words["Theme_Start"] else 0
        assert theme.labels_of(segment["tgt"], words, before).tolist() == labels


def test_every_complete_bar_of_the_published_segments_comes_back_unchanged(segments):
    words = theme.vocabulary("released")
    start, end, bar = words["Theme_Start"], words["Theme_End"], words["Bar_None"]
    compared = regions = 0
    for segment in segments:
        ids = np.array(segment["tgt"])
        lines = np.flatnonzero(ids == bar)
        complete = ids[lines[0] : lines[-1]]
        opened = np.flatnonzero(complete == start)
        closed = np.flatnonzero(complete == end)
        cut = []
        if len(closed) and (not len(opened) or closed[0] < opened[0]):  # a theme that begins before the first complete bar
            cut.append(closed[0])
        if len(opened) and (not len(closed) or opened[-1] > closed[-1]):  # one that ends after the last
            cut.append(opened[-1])
        complete = np.delete(complete, cut)
        decoded = theme.decode(complete, RELEASED)
        again = theme.encode(decoded.score, RELEASED, decoded.regions, n_bars=decoded.n_bars, tempo="all")
        assert decoded.dropped == 0
        assert not any(again.lost.values())
        assert again.ids.tolist() == complete.tolist()
        compared += decoded.n_bars
        regions += len(decoded.regions)
    print(f"{compared} bars and {regions} regions compared")
    assert (compared, regions) == (434, 46)


def test_the_grammar_allows_the_published_bars_but_for_overlapping_melodies_and_empty_bars(segments):
    words = theme.vocabulary("released")
    refused, n_ids = Counter(), 0
    for segment in segments:
        ids = np.array(segment["tgt"])
        lines = np.flatnonzero(ids == words["Bar_None"])
        decoded = theme.decode(ids[lines[0] : lines[-1]], RELEASED)
        bars = theme.encode(decoded.score, RELEASED, n_bars=decoded.n_bars, tempo="none").ids.tolist()
        grammar = Grammar(words, Plan(decoded.n_bars + 4, starts=()))
        for token in bars:
            refused[words.names[token].split("_")[0]] += not grammar.mask()[token]
            grammar.accept(token)
        n_ids += len(bars)
    assert n_ids == 23_181
    assert +refused == {"Note-On-MELODY": 53, "Bar": 3}
