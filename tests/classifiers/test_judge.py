"""The genre judge: verdicts and points of odd pieces, and that nothing that chooses pieces asks it."""

from __future__ import annotations

import ast
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

import fakes
import kapelle
from kapelle.bundles import load
from kapelle.bundles.session import Classifier
from kapelle.classifiers import judge as judging
from kapelle.classifiers.judge import GenreJudge
from kapelle.errors import UsageError
from kapelle.score import edit
from pieces import score, track
from rolls import piece
from scores import band, piano

Q = 480
SHIPPED = Path(kapelle.__file__).parent / "weights" / judging.NAME
CHOOSING = ("rank", "panel", "likelihood", "choosing", "outliers", "clusters", "reference")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GenreJudge:
    """A judge of random weights."""
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    pytest.importorskip("onnx")
    from kapelle.bundles.export import export
    from kapelle.models import genre_judge

    run = tmp_path_factory.mktemp("judge")
    torch.manual_seed(1)
    shape = genre_judge.Config(classes=3, channels=(4, 4, 4, 4), d_model=8, d_embed=5)
    safetensors.save_file(genre_judge.build(shape).state_dict(), run / "weights.safetensors")
    (run / "recipe.toml").write_text(
        'name = "tiny"\nfamily = "genre_judge"\ncodec = "rolls"\n[model]\nchannels = [4, 4, 4, 4]\nd_model = 8\nd_embed = 5\n',
        encoding="utf-8",
    )
    told = {"sizes": {"classes": 3}, "classes": ["pop", "jazz", "edm"], "inputs": "roll"}
    (run / "shards.json").write_text(json.dumps(told), encoding="utf-8")
    export(run, run / "bundle")
    return GenreJudge(load.load(run / "bundle"))


@pytest.fixture(scope="module", params=["tiny", "shipped"])
def judge(request: pytest.FixtureRequest) -> GenreJudge:
    if request.param == "tiny":
        made: GenreJudge = request.getfixturevalue("tiny")
        return made
    if not SHIPPED.is_dir():
        pytest.skip("the bundle genre-judge is not there")
    return GenreJudge()


ODD = {
    "nothing": score(),
    "an empty track": score(track()),
    "drums alone": score(track(*[(i * Q, 60, 36, 90) for i in range(64)], drums=True)),
    "one note": score(track((0, Q, 60, 80))),
    "one long note": score(track((0, 400 * Q, 60, 80))),
    "the highest and the lowest": score(track((0, Q, 127, 80), (Q, Q, 0, 80))),
    "four bars": piano(),
    "a band": band(),
    "many bars": piece("quick", 3, bars=400),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pieces_get_probabilities_and_points(judge: GenreJudge, name: str) -> None:
    verdict = judge.classify(ODD[name])
    assert list(verdict.probabilities) == list(judge.classes) and sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert all(0 <= p <= 1 for p in verdict.probabilities.values())
    points = judge.embed([ODD[name]])
    assert points.shape == (1, judge.dimensions) and points.dtype == np.float32 and np.isfinite(points).all()


def test_where_there_is_nothing_to_hear_shares_are_equal_and_it_is_told(judge: GenreJudge) -> None:
    for name, warning in (("nothing", judging.NO_NOTES), ("an empty track", judging.NO_NOTES), ("drums alone", judging.DRUMS_ALONE)):
        verdict = judge.classify(ODD[name])
        assert verdict.warnings == (warning,)
        assert list(verdict.probabilities.values()) == pytest.approx([1 / len(judge.classes)] * len(judge.classes))
    assert judge.classify(ODD["one note"]).warnings == ("1 notes are few: the judge learned from pieces with 50 and more",)
    assert judge.classify(ODD["many bars"]).warnings == ()


def test_what_else_is_asked_for_changes_nothing(judge: GenreJudge) -> None:
    pieces = [piece("quick", seed, bars=4 + 9 * seed) for seed in range(4)]
    many = judge.classify_many(pieces)
    assert many == [judge.classify(one) for one in pieces]
    assert (judge.embed(pieces) == np.concatenate([judge.embed([one]) for one in pieces])).all()
    assert judge.embed([]).shape == (0, judge.dimensions)


def test_loudness_tempo_drums_and_instruments_are_not_heard(judge: GenreJudge) -> None:
    one, other = piano(), piano()
    for number, part in enumerate(other.tracks):
        part.program = 40 + number
        part.notes = edit.note_list({**edit.note_arrays(part), "velocity": np.full(len(part.notes), 33)})
    other.tempos = [symusic.Tempo(0, 200)]
    other.tracks.append(track((0, 60, 36, 90), drums=True))
    assert judge.classify(one).probabilities == judge.classify(other).probabilities


def test_another_kind_of_classifier_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    with pytest.raises(UsageError, match="does not judge piano rolls"):
        GenreJudge(load.load(fakes.classifier(tmp_path / "trees")))


def test_a_classifier_without_points_says_so(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    plain = Classifier(load.load(fakes.classifier(tmp_path / "trees")))
    assert not plain.embeds
    with pytest.raises(UsageError, match="probabilities alone"):
        plain.embed(np.zeros((1, 6), np.float32))


def test_a_piece_takes_little_time(judge: GenreJudge) -> None:
    one = piece("quick", 1, bars=16)
    judge.classify(one)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        judge.classify(one)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01 if judge.bundle.name == "tiny" else min(times) < 0.03  # 10 ms on a core that is not shared


def test_the_bundle_that_ships_is_small_and_tells_bach_from_a_beat() -> None:
    if not SHIPPED.is_dir():
        pytest.skip("the bundle genre-judge is not there")
    made = load.load(SHIPPED)
    assert made.manifest.n_bytes < 700_000 and made.manifest.options["inputs"] == "roll"


# --- never for ranking --------------------------------------------------------------------------------------------------


def _imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", CHOOSING)
def test_what_chooses_pieces_neither_imports_nor_names_the_judge(name: str) -> None:
    path = Path(kapelle.__file__).parent / "judging" / f"{name}.py"
    if not path.is_file():
        pytest.skip("not there yet")
    assert "kapelle.classifiers.judge" not in _imports(path)
    words = {node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)}
    assert judging.NAME not in words


def test_the_bundles_that_rank_are_others() -> None:
    panel = pytest.importorskip("kapelle.judging.panel")
    assert judging.NAME not in panel.BUNDLES


def test_ranking_never_opens_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    rank = pytest.importorskip("kapelle.judging.rank")
    opened: list[str] = []
    find = load.find

    def watched(name: Any) -> Path:
        opened.append(str(name))
        return find(name)

    monkeypatch.setattr(load, "find", watched)
    monkeypatch.delitem(sys.modules, "kapelle.classifiers.judge", raising=False)
    rank.rank([rank.Candidate(piece("quick", seed), str(seed)) for seed in range(4)])
    assert judging.NAME not in opened and "kapelle.classifiers.judge" not in sys.modules
