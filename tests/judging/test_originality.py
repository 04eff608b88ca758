"""Indexes of training music: planted copies are found, other music is not, damaged files are refused."""

import json
import struct

import numpy as np
import pytest
import symusic

from kapelle.errors import BundleError, UsageError
from kapelle.judging import originality, originality_figures
from kapelle.judging.originality import Human
from kapelle.metrics import fingerprints

GAPS = np.array([2, 3, 3, 4, 6, 6, 8, 12, 12, 18, 24])
"""Times between onsets in twelfths of a quarter."""


def score_of(start, duration, pitch, tpq=12):
    score, track = symusic.Score(tpq), symusic.Track(program=0)
    for row in zip(start, duration, pitch, strict=True):
        track.notes.append(symusic.Note(*map(int, row), 80))
    score.tracks.append(track)
    return score


def music(seed, n_notes=150):
    """Two voices that wander by chance, as (start, duration, pitch) in twelfths of a quarter."""
    draw = np.random.default_rng(seed)
    rows = []
    for middle in (72, 45):
        gaps = draw.choice(GAPS, n_notes)
        start = np.concatenate([[0], np.cumsum(gaps)[:-1]])
        pitch = middle + np.clip(np.cumsum(draw.integers(-4, 5, n_notes)), -11, 11)
        rows.append(np.stack([start, gaps, pitch]))
    return np.concatenate(rows, axis=1)


def piece(seed):
    return score_of(*music(seed))


def planted(seed, index, *, factor=1.0, up=0, length=12, tpq=480):
    """Other music in whose middle stand `length` notes of a line of the piece `index`, alone, at another speed and pitch.

    Returns the score and the ticks from which to which the copy goes.
    """
    draw = np.random.default_rng(seed)
    notes = fingerprints.notes_of(piece(index))
    lines = fingerprints.lines(notes)
    line = lines[draw.integers(len(lines))]
    first = draw.integers(len(line.places) - length)
    chosen = line.places[first : first + length]
    scale = tpq / 12
    start = np.round((notes.start[chosen] - notes.start[chosen[0]]) * scale * factor).astype(int)
    gaps = np.append(np.diff(start), tpq)  # legato
    host = music(10_000 + seed)
    host = host[:, np.argsort(host[0], kind="stable")]
    middle = host.shape[1] // 2
    at = int(host[0, middle] * scale)
    before, after = host[:, :middle] * np.array([[scale], [scale], [1]]), host[:, middle:] * np.array([[scale], [scale], [1]])
    before[1] = np.minimum(before[1], at - before[0])
    after[0] += start[-1] + 2 * tpq
    copy = np.stack([start + at, gaps, notes.pitch[chosen] + up])
    rows = np.concatenate([before[:, before[1] > 0], copy, after], axis=1)
    return score_of(*rows, tpq=tpq), at, at + int(start[-1])


@pytest.fixture(scope="module")
def index():
    return originality.parse(originality.build((f"piece {seed}", piece(seed)) for seed in range(40)))


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0, 1.5, 2 / 3, 0.75, 1.137])
def test_planted_copies_of_twelve_notes_are_found_all_of_a_hundred(index, factor):
    found = 0
    for seed in range(100):
        source = seed % 40
        score, first, last = planted(seed, source, factor=factor, up=seed % 11 - 5)
        runs = [run for run in originality.lookup(score, index).runs if run.piece == f"piece {source}"]
        found += any(first - 2 <= run.start_ticks and run.end_ticks <= last + 2 and 10 <= run.n_notes <= 12 for run in runs)
    assert found == 100


def test_a_whole_piece_is_found_as_itself(index):
    seen = originality.lookup(piece(7), index)
    assert seen.nearest == "piece 7"
    longest = max(len(line.places) for line in fingerprints.lines(fingerprints.notes_of(piece(7))))
    assert longest - 4 <= seen.longest_run <= longest <= seen.at_most
    assert seen.share_copied > 0.95


def test_other_music_is_not_found(index):
    seen = [originality.lookup(piece(seed), index) for seed in range(500, 600)]
    assert all(one.longest_run == 0 and one.share_copied == 0 and one.nearest == "" and one.runs == () for one in seen)
    assert {one.at_most for one in seen} == {11}


def test_the_bounds_hold_the_true_length(index):
    for length in (12, 13, 15, 20, 40):
        for seed in range(20):
            score, first, _ = planted(seed, 3, length=length)
            seen = originality.lookup(score, index)
            assert seen.longest_run <= length + 2, (length, seed)  # a note beside the copy may go on as the original does
            assert length <= seen.at_most, (length, seed)
            assert first <= seen.runs[0].start_ticks


def test_a_run_that_repeats_itself_counts_until_it_does():
    cell = [0, 7, 4, 7] * 16
    start = np.arange(64) * 6
    known = originality.parse(originality.build([("ostinato", score_of(start, [6] * 64, np.array(cell) + 48))]))
    seen = originality.lookup(score_of(start, [6] * 64, np.array(cell) + 50), known)
    assert (seen.longest_run, seen.at_most) == (13, 13)  # ten notes begin in four ways
    assert seen.runs[0].n_notes >= 60  # repetitions count
    assert seen.share_copied > 0.9


def test_music_off_the_grid_is_looked_for_on_the_grid_too(index):
    rows = music(5).astype(float)
    rows[:2] *= 40
    shaken = np.random.default_rng(0).integers(-6, 7, rows.shape[1])
    rows[0] = np.maximum(rows[0] + shaken, 0)
    seen = originality.lookup(score_of(*rows, tpq=480), index)
    assert seen.nearest == "piece 5"
    assert seen.longest_run > 30


@pytest.mark.parametrize("n_notes", [0, 1, 9, 11])
def test_a_piece_that_is_too_short_shares_nothing(index, n_notes):
    seen = originality.lookup(score_of(*music(3)[:, :n_notes]), index)
    assert (seen.longest_run, seen.share_copied) == (0, 0.0)
    assert seen.at_most <= n_notes


def test_drums_alone_share_nothing(index):
    score = piece(3)
    score.tracks[0].is_drum = True
    assert originality.lookup(score, index).n_notes == 0


def test_shared_notes_are_marked_in_tracks_of_their_own(index):
    score, first, last = planted(1, 1, length=20)
    out = originality.marked(score, originality.lookup(score, index))
    assert [track.name for track in out.tracks] == ["Acoustic grand piano", originality.SHARED]
    shared = [note.time for note in out.tracks[1].notes]
    assert first <= min(shared) and max(shared) <= last
    assert sum(len(track.notes) for track in out.tracks) == len(score.tracks[0].notes)


def test_the_same_pieces_give_the_same_bytes_in_any_order_of_hashes():
    pieces = [(f"piece {seed}", piece(seed)) for seed in range(3)]
    assert originality.build(pieces) == originality.build(iter(pieces))


def test_music_of_one_name_is_one_piece():
    found = originality.parse(originality.build([("a", piece(1)), ("b", piece(2)), ("a", piece(3))]))
    assert found.names == ("a", "b")
    assert originality.lookup(piece(3), found).nearest == "a"


def test_an_index_of_nothing_is_refused():
    with pytest.raises(UsageError, match="1 to 65536 pieces, not 0"):
        originality.build([])


def test_human_figures_stand_in_the_index_and_beside_every_answer(index):
    told = originality_figures.human_figures([("other", piece(900)), ("copied", piece(2))], index)
    assert told.n_pieces == 2
    assert told.longest[0] == 0
    assert told.longest[-1] > 50
    kept = originality.parse(originality.with_human(originality.build([("a", piece(1))]), told))
    assert kept.human == told
    assert originality.lookup(piece(901), kept).human == told
    assert told.as_dict()["excerpts"] == len(told.longest)
    assert told.longer(50) == pytest.approx(np.mean(np.array(told.longest) > 50))


def test_quantiles_of_human_figures_are_lengths_that_occurred():
    human = Human((0, 0, 10, 14), (0.0, 0.0, 0.1, 0.3), 4)
    assert [human.quantile(share) for share in (0.5, 0.75, 1.0)] == [0, 10, 14]
    assert human.mean_share() == pytest.approx(0.1)
    assert Human().quantile(0.5) is None
    assert Human().as_dict()["without"] is None


def test_excerpts_are_spread_over_a_piece():
    start = np.arange(0, 48 * 100, 12)
    score = score_of(start, [12] * len(start), 60 + start // 12 % 12)
    cuts = originality_figures.excerpts(score, 16, most=3)
    assert len(cuts) == 3
    assert {len(cut.tracks[0].notes) for cut in cuts} == {64}
    assert len(originality_figures.excerpts(score, 200)) == 1


# --- files from outside ------------------------------------------------------------------------------------------------------------


def whole():
    return originality.build((f"piece {seed}", piece(seed)) for seed in range(3))


def with_head(**changes):
    """The index with another head, its length told right."""
    data = whole()
    (length,) = struct.unpack_from("<I", data, 8)
    head = json.loads(data[12 : 12 + length])
    text = json.dumps({**head, **changes}).encode()
    start = data[:8] + struct.pack("<I", len(text)) + text
    return start + bytes(-len(start) % 4) + data[-(-(12 + length) // 4) * 4 :]


@pytest.mark.parametrize("size", [0, 7, 8, 11, 12, 40, 400, 1500, -1, -50])
def test_a_cut_index_is_refused(size):
    with pytest.raises(BundleError, match=r"originality.idx is damaged"):
        originality.parse(whole()[:size])


@pytest.mark.parametrize(
    "changes",
    [
        {"pieces": 0}, {"pieces": "3"}, {"pieces": True}, {"records": -1}, {"records": 10**12}, {"names": 5}, {"grid": 0}, {"gram": 4},
        {"bucket_bits": 40}, {"bucket_bits": 3}, {"human": None}, {"human": {"longest": [1], "shares": [], "pieces": 1, "bars": 16}},
        {"human": {"longest": [1], "shares": ["x"], "pieces": 1, "bars": 16}},
        {"human": {"longest": 5, "shares": [], "pieces": 1, "bars": 16}},
        {"human": {"longest": [1], "shares": [1e999], "pieces": 1, "bars": 16}},
    ],
)  # fmt: skip
def test_a_head_that_does_not_fit_is_refused(changes):
    with pytest.raises(BundleError, match=r"originality.idx is damaged"):
        originality.parse(with_head(**changes))


def test_a_head_of_other_text_is_refused():
    for text in (b"[]", b"nonsense", b"\xff\xfe", b"[" * 100_000):
        with pytest.raises(BundleError, match="head"):
            originality.parse(b"KAPORIG1" + struct.pack("<I", len(text)) + text)


def test_buckets_out_of_order_and_unknown_pieces_are_refused():
    data = bytearray(whole())
    (length,) = struct.unpack_from("<I", data, 8)
    at = -(-(12 + length) // 4) * 4
    broken = bytearray(data)
    broken[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    with pytest.raises(BundleError, match="out of order"):
        originality.parse(bytes(broken))
    found = originality.parse(bytes(data))
    records = at + 4 * len(found.offsets)
    data[records : records + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(BundleError, match="a piece that it does not have"):
        originality.parse(bytes(data))


def test_names_that_cannot_be_read_are_refused_when_they_are_asked_for():
    data = bytearray(whole())
    data[-4:] = b"\x00\x00\x00\x00"
    found = originality.parse(bytes(data))
    with pytest.raises(BundleError, match=r"names cannot be read|one name for each"):
        originality.lookup(piece(1), found)


def test_everything_in_one_bucket_is_refused_before_memory_is_taken(monkeypatch):
    from kapelle.judging import originality_index

    monkeypatch.setattr(originality_index, "MAX_HITS", 10)
    with pytest.raises(BundleError, match="one bucket"):
        originality.lookup(piece(1), originality.parse(whole()))


def test_random_bytes_are_refused_or_answered_never_worse():
    draw = np.random.default_rng(0)
    data = whole()
    for _ in range(200):
        broken = bytearray(data)
        for place in draw.integers(0, len(broken), 8):
            broken[place] = draw.integers(256)
        try:
            originality.lookup(piece(1), originality.parse(bytes(broken)))
        except BundleError:
            continue
