"""Evaluating folders: rows and their order, equal sets, determinism, and bad input."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

import pieces
from folders import Q, fill, tune
from kapelle import api
from kapelle.errors import Missing, UsageError
from kapelle.judging import comparing, excerpts
from kapelle.judging.evaluate import Work, evaluate
from kapelle.judging.evaluation import Options
from kapelle.metrics.piece import METRICS
from kapelle.score.write import write
from kapelle.workers import Workers


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few draws, and no judge, whatever is installed."""
    monkeypatch.setattr(comparing, "N_DRAWS", 8)
    monkeypatch.setattr(excerpts, "judge_hash", lambda: "")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder of real music, one of the same kind, one of another kind."""
    place = tmp_path_factory.mktemp("music")
    fill(place / "real", 16, 0, n_bars=20)
    fill(place / "alike", 8, 100)
    fill(place / "other", 8, 200, low=36, spread=3)
    return place


def run(made, reference, **options):
    return api.evaluate(made, reference, options=Options(**{"samples": 1, **options}))


@pytest.fixture(scope="module")
def found(music):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "N_DRAWS", 8)
        patch.setattr(excerpts, "judge_hash", lambda: "")
        return run([music / "alike", music / "other"], music / "real")


# --- what is in it --------------------------------------------------------------------------------------------------------


def test_rows_are_the_sets_real_music_and_baselines(found) -> None:
    assert [row.name for row in found.rows] == ["alike", "other", "real music", "bars shuffled", "Markov chain"]
    assert [row.kind for row in found.rows] == ["made", "made", "real", "baseline", "baseline"]
    assert [row.n_pieces for row in found.rows] == [8, 8, 16, 8, 8]


def test_every_row_has_equally_many_pieces_against_the_same_half(found) -> None:
    assert {(row.sets.n, row.sets.against) for row in found.rows} == {(8, 8)}


def test_the_halves_of_the_reference_are_apart_and_told(found) -> None:
    halves = [piece.half for piece in found.pieces if piece.row == "real music"]
    assert sorted(halves) == ["A"] * 8 + ["B"] * 8
    assert all(len(piece.found.digest) == 64 for piece in found.pieces)


def test_music_of_the_kind_is_nearer_than_music_of_another(found) -> None:
    alike, other, real = (found.row(name).sets for name in ("alike", "other", "real music"))
    assert other.overlap < 0.5 < alike.overlap
    assert other.neighbours.coverage.value == 0.0 < alike.neighbours.coverage.value
    assert other.two_sample.value == 1.0 > alike.two_sample.value
    assert real.frechet.value < other.frechet.value


def test_every_metric_has_a_mean_with_its_interval(found) -> None:
    for row in found.rows:
        assert list(row.means) == list(METRICS)
        mean = row.means["pitch_class_entropy"]
        assert mean.low <= mean.value <= mean.high
        assert row.metrics["pitch_class_entropy"].overlap.value <= 1


def test_shares_of_degenerate_pieces_count(found) -> None:
    assert found.row("alike").broken["any"].value == 0.0


def test_few_pieces_are_remarked(found) -> None:
    assert [str(remark) for remark in found.remarks] == ["sets of 8 pieces are compared: below 50, distances are rough"]


def test_samples_are_excerpts(found) -> None:
    assert [sample.row for sample in found.samples] == [row.name for row in found.rows]


def test_it_is_json(found) -> None:
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["rows"][0]["sets"]["neighbours"]["precision"]["value"] <= 1
    assert told["rows"][0]["means"]["musegan_dp"] == {"value": None, "low": None, "high": None, "reason": "no piece has a value"}
    assert told["pieces"][0]["row"] == "alike"
    assert told["options"]["embedding"] == "features"


# --- the same again -------------------------------------------------------------------------------------------------------


def test_names_order_and_processes_change_nothing(music, found, tmp_path) -> None:
    again = tmp_path / "again" / "alike"
    shutil.copytree(music / "alike", again)
    for place, path in enumerate(sorted(again.iterdir())):
        path.rename(again / f"{99 - place}.mid")
    other = api.evaluate({"alike": again, "other": music / "other"}, music / "real", options=Options(samples=0), by=Workers(processes=2))
    assert other.as_dict()["rows"] == found.as_dict()["rows"]


@pytest.mark.slow
def test_a_cluster_gives_the_same_figures(music, found) -> None:
    pytest.importorskip("ray")
    made = [music / "alike", music / "other"]
    other = api.evaluate(made, music / "real", options=Options(samples=0, embedding="features"), by=Workers(2, "ray"))
    assert other.as_dict()["rows"] == found.as_dict()["rows"]


def test_another_seed_takes_other_excerpts(music, found) -> None:
    other = run([music / "alike", music / "other"], music / "real", seed=1)
    bars = [[piece.found.first_bar for piece in one.pieces if piece.row == "real music"] for one in (found, other)]
    assert bars[0] != bars[1]
    assert all(0 <= bar <= 4 for some in bars for bar in some)


def test_an_interrupted_evaluation_goes_on(music, tmp_path, monkeypatch) -> None:
    kept = tmp_path / "kept"
    files = {"alike": sorted((music / "alike").iterdir())}, sorted((music / "real").iterdir())
    measure, asked = excerpts.measure, []

    def counting(job):
        asked.append(job.name)
        if len(asked) == 10:
            raise KeyboardInterrupt
        return measure(job)

    monkeypatch.setattr(excerpts, "measure", counting)
    with pytest.raises(KeyboardInterrupt):
        evaluate(*files, Options(samples=0), Work(kept=kept))
    with kept.open("a", encoding="utf-8") as file:
        file.write('["half a line')
    interrupted = evaluate(*files, Options(samples=0), Work(kept=kept))
    assert len(asked) == 10 + (8 + 16 + 8 + 8) - 9
    monkeypatch.setattr(excerpts, "measure", measure)
    assert interrupted.as_dict() == evaluate(*files, Options(samples=0)).as_dict()


def test_at_most_so_many_pieces(music) -> None:
    some = run(music / "alike", music / "real", pieces=6)
    assert [row.n_pieces for row in some.rows] == [6, 12, 6, 6]


# --- reports --------------------------------------------------------------------------------------------------------------


def test_reports_are_written_and_nothing_else_stays(music, tmp_path) -> None:
    out = [tmp_path / f"report.{suffix}" for suffix in ("html", "md", "json")]
    api.evaluate(music / "alike", music / "real", out, options=Options(samples=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]
    assert json.loads(out[2].read_text(encoding="utf-8"))["rows"][0]["name"] == "alike"
    assert "| bars shuffled |" in out[1].read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        api.evaluate(music / "alike", music / "real", out)
    with pytest.raises(UsageError, match="must end in"):
        api.evaluate(music / "alike", music / "real", tmp_path / "report.pdf")


# --- cutting --------------------------------------------------------------------------------------------------------------


def job(path, **how):
    return excerpts.Job(path.name, path, excerpts.How(**how))


def test_a_longer_piece_is_cut_to_whole_bars(tmp_path) -> None:
    path = write(tune(1, 40), tmp_path / "long.mid")
    one = excerpts.measure(job(path))
    assert (one.trouble, one.n_bars) == ("", 40)
    assert 0 <= one.first_bar <= 24
    assert str(one) == str(excerpts.measure(job(path)))
    assert {excerpts.measure(job(path, seed=seed)).first_bar for seed in range(8)} != {one.first_bar}


def test_a_silent_ending_is_measured_and_a_short_piece_is_not(tmp_path) -> None:
    quiet = excerpts.measure(job(write(tune(1, 14), tmp_path / "quiet.mid")))
    assert quiet.trouble == ""
    assert "silent_ending" in quiet.broken
    short = excerpts.measure(job(write(tune(1, 13), tmp_path / "short.mid")))
    assert (short.trouble, short.why) == ("short", "13 of 16 bars")


def test_music_of_drums_alone_has_nothing_to_measure(tmp_path) -> None:
    drums = pieces.score(pieces.track(*((beat * Q, 60, 36, 90) for beat in range(64)), drums=True))
    one = excerpts.measure(job(write(drums, tmp_path / "drums.mid")))
    assert (one.trouble, one.why) == ("silent", "no pitched notes in the excerpt")


# --- bad input ------------------------------------------------------------------------------------------------------------


def test_an_empty_folder_and_none_at_all(music, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no music")
    with pytest.raises(UsageError, match="there are no MIDI files in"):
        run(empty, music / "real")
    with pytest.raises(UsageError, match="there are no MIDI files in"):
        run(music / "alike", empty)
    with pytest.raises(Missing, match="there is no"):
        run(tmp_path / "nowhere", music / "real")


def test_one_piece_against_one_piece_has_figures_of_pieces_and_none_of_sets(music) -> None:
    one = run(music / "alike" / "piece-000.mid", music / "real" / "piece-000.mid")
    made = one.row("piece-000.mid")
    assert made.means["pitch_range"].value > 0
    assert math.isnan(made.sets.overlap)
    assert made.sets.frechet.reason == "fewer than two values"
    assert made.sets.neighbours.precision.reason == "fewer than 6 pieces"
    assert one.row("bars shuffled").n_files == 0
    assert str(one.remarks[0]).startswith("the reference has 1 usable pieces, too few for two halves")


def test_bad_files_are_counted_and_named(music, tmp_path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(music / "alike", folder)
    (folder / "broken.mid").write_bytes(b"MThd\0\0\0\6\0\1")
    (folder / "empty.mid").write_bytes(b"")
    write(pieces.score(), folder / "silent.mid")
    write(tune(3, 4), folder / "short.mid")
    shutil.copy(folder / "piece-000.mid", folder / "copy.mid")
    shutil.copy(sorted((music / "real").iterdir())[0], folder / "stolen.mid")
    one = run(folder, music / "real")
    assert one.row("bad").troubles == {"unreadable": 2, "short": 1, "silent": 1}
    assert one.row("bad").n_pieces == 9
    assert one.row("bad").broken["empty"].value == pytest.approx(1 / 11)
    told = "\n".join(map(str, one.remarks))
    assert "bad: 2 of 14 files cannot be read: broken.mid, empty.mid" in told
    assert "bad: 1 of 14 pieces have too few bars, at least 14 are needed: short.mid" in told
    assert "bad: 1 of 14 pieces have no notes where they are measured: silent.mid" in told
    assert "bad: 1 files are copies of others and count once" in told
    assert "bad: 1 files are in the reference too" in told


def test_pieces_without_notes_alone_are_told_too(music, tmp_path) -> None:
    folder = tmp_path / "silence"
    folder.mkdir()
    for number in range(3):
        write(pieces.score(bpm=100 + number), folder / f"{number}.mid")
    one = run(folder, music / "real")
    assert one.row("silence").n_pieces == 0
    assert one.row("silence").broken["any"].value == 1.0
    assert math.isnan(one.row("silence").means["polyphony"].value)
    assert "silence: no piece could be measured" in map(str, one.remarks)
    assert one.row("real music").sets.n == 8  # the others are compared all the same


def test_nan_metrics_reach_no_figure(music) -> None:
    one = run(music / "alike", music / "real")
    assert math.isnan(one.row("alike").means["musegan_dp"].value)
    assert one.row("alike").metrics["musegan_dp"].overlap.reason == "fewer than two values"
    assert np.isfinite(one.row("alike").sets.overlap)


def test_an_embedding_that_is_not_there(music) -> None:
    with pytest.raises(Missing, match="genre-judge is not installed"):
        run(music / "alike", music / "real", embedding="judge")


def test_the_judge_is_asked_where_it_is_installed(music, monkeypatch) -> None:
    from kapelle.bundles import load

    if excerpts.JUDGE_BUNDLE not in {item.name for item in load.installed()}:
        pytest.skip("genre-judge is not installed")
    digest = load.load(excerpts.JUDGE_BUNDLE).hash
    monkeypatch.setattr(excerpts, "judge_hash", lambda: digest)
    one = run(music / "alike", music / "real")
    assert one.embedding == f"genre-judge {digest[:16]}"
    genres = one.row("alike").genres
    assert sum(share.value for share in genres.values()) == pytest.approx(1.0, abs=1e-6)
    assert sum(share.value for share in one.row("alike").genre_shares.values()) == pytest.approx(1.0)
    assert len(one.pieces[0].found.vector) > 8


def test_names_of_rows_are_kept_apart(music, tmp_path) -> None:
    fill(tmp_path / "alike", 2, 300)
    one = run([music / "alike", tmp_path / "alike"], music / "real")
    assert [row.name for row in one.rows][:2] == [str(music / "alike"), str(tmp_path / "alike")]
    with pytest.raises(UsageError, match="a row of its own"):
        run({"real music": music / "alike"}, music / "real")


# --- what was asked -------------------------------------------------------------------------------------------------------


def test_a_recipe_beside_a_piece_says_what_was_asked(music, tmp_path) -> None:
    folder = tmp_path / "asked"
    folder.mkdir()
    recipe = {"kapelle": 1, "bundle": "0" * 64, "model": "genre", "request": {"model": "genre", "length": {"amount": 16, "unit": "bars"}}}
    for number, (options, bpm) in enumerate((({"tempo": 100.0, "metre": "4/4", "key": "C major"}, 100), ({"tempo": 90.0, "key": ""}, 100))):
        score = tune(number)
        score.tempos[0].qpm = bpm
        write(score, folder / f"{number}.mid")
        table = {**recipe, "request": {**recipe["request"], "options": options}}
        (folder / f"{number}.json").write_text(json.dumps(table))
    write(tune(5), folder / "unasked.mid")
    (folder / "unasked.json").write_text('{"request": {}}')
    one = run(folder, music / "real")
    obeyed = {wish: share.value for wish, share in one.row("asked").obeyed.items()}
    assert obeyed == {"bars": 1.0, "key": 1.0, "tempo": 0.5, "metre": 1.0}
    assert "odd files" in str(one.remarks[0])
