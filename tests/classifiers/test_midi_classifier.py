from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from symusic import Score, TimeSignature

import genre_trees
from kapelle.bundles import load
from kapelle.bundles.export import write_bundle
from kapelle.bundles.manifest import Manifest
from kapelle.classifiers.midi import MidiClassifier
from kapelle.classifiers.midi_rows import Excerpts, MidiMeasure, through_tokens
from kapelle.classifiers.note_grid import grid
from kapelle.classifiers.opening import of
from kapelle.errors import BundleError, KapelleError, UnreadableInput, UsageError
from kapelle.score import edit, keys
from kapelle.score.read import read

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return genre_trees.build(tmp_path_factory.mktemp("trees") / "bundle")


@pytest.fixture(scope="module")
def classifier(place: Path) -> MidiClassifier:
    return MidiClassifier(load.load(place))


def test_it_tells_what_it_was_grown_to_tell(classifier: MidiClassifier) -> None:
    dense, sparse = classifier.classify_many([genre_trees.piece(4), genre_trees.piece(2)])
    assert (dense.label, sparse.label) == ("dense", "sparse")
    assert dense.confidence == pytest.approx(np.exp(2.1) / (np.exp(2.1) + 2), abs=1e-3)
    assert sum(dense.probabilities.values()) == pytest.approx(1) and dense.warnings == ()
    assert (dense.model, dense.bundle_hash) == ("genre-midi", classifier.bundle.hash)


def test_a_piece_is_the_mean_of_its_excerpts(classifier: MidiClassifier) -> None:
    both = edit.concat([genre_trees.piece(4, bars=4), genre_trees.piece(2, bars=4)])
    made = classifier.classify(both)
    assert made.probabilities["dense"] == pytest.approx(made.probabilities["sparse"], abs=1e-6)


def test_the_resolution_and_the_company_change_nothing(classifier: MidiClassifier) -> None:
    scores = [genre_trees.piece(n) for n in (1, 2, 3, 4, 6)]
    alone = [classifier.classify(score) for score in scores]
    assert classifier.classify_many(scores[::-1]) == alone[::-1]
    assert classifier.classify(edit.resample(scores[3], 96)) == alone[3]


def test_rows_cannot_be_handed_in_nor_scaled(classifier: MidiClassifier) -> None:
    with pytest.raises((AttributeError, TypeError)):
        classifier.classify(np.zeros((1, 10)))  # type: ignore[arg-type]


def test_a_short_piece_is_warned_of(classifier: MidiClassifier) -> None:
    made = classifier.classify(genre_trees.piece(4, bars=1))
    assert len(made.warnings) == 1 and "1 bars with 16 notes" in made.warnings[0]


def test_odd_features_are_warned_of_and_named(place: Path, tmp_path: Path) -> None:
    bundle = load.load(place)
    options = {**bundle.manifest.options, "high": [0.0] * len(bundle.manifest.options["high"])}
    draft = Manifest("odd", "trees", "classifier", {}, {}, "none", options=options)
    write_bundle(tmp_path / "odd", draft, {"predict": bundle.graph("predict")}, {})
    made = MidiClassifier(load.load(tmp_path / "odd")).classify(genre_trees.piece(4))
    assert "features lie outside" in made.warnings[0] and "register" in made.warnings[0]


def test_nothing_pitched_is_refused(classifier: MidiClassifier) -> None:
    drums = genre_trees.piece(4)
    drums.tracks[0].is_drum = True
    for score in (Score(480), drums):
        with pytest.raises(UnreadableInput, match="no pitched notes"):
            classifier.classify(score)


def test_a_bundle_of_other_features_is_refused(place: Path, tmp_path: Path) -> None:
    bundle = load.load(place)
    options = {**bundle.manifest.options, "features": ["x", *bundle.manifest.options["features"][1:]]}
    draft = Manifest("other", "trees", "classifier", {}, {}, "none", options=options)
    write_bundle(tmp_path / "other", draft, {"predict": bundle.graph("predict")}, {})
    with pytest.raises(BundleError, match="not those that this version measures"):
        MidiClassifier(load.load(tmp_path / "other"))


def test_what_is_no_classifier_is_refused(place: Path, tmp_path: Path) -> None:
    bundle = load.load(place)
    draft = Manifest("blind", "trees", "classifier", {}, {}, "none", options={"inputs": "smell"})
    write_bundle(tmp_path / "blind", draft, {"predict": bundle.graph("predict")}, {})
    with pytest.raises(UsageError, match="no classifier"):
        of(load.load(tmp_path / "blind"))
    assert isinstance(of(bundle), MidiClassifier)


def test_through_tokens_a_piece_is_in_the_common_key_on_their_grid() -> None:
    score = edit.transpose(genre_trees.piece(4), 3)
    score.tracks[0].notes[5].velocity = 7
    made = through_tokens(score)
    assert str(keys.estimate_key(made)) in ("C major", "A minor")
    assert len(made.tracks) == 1 and len(grid(made).start) == len(grid(score).start)
    assert (
        through_tokens(edit.transpose(score, 2)).tracks[0].notes.numpy()["pitch"].tolist() == made.tracks[0].notes.numpy()["pitch"].tolist()
    )


def test_tokens_know_not_every_metre() -> None:
    score = genre_trees.piece(4)
    score.time_signatures.append(TimeSignature(0, 11, 16))
    with pytest.raises(UnreadableInput, match="metre"):
        through_tokens(score)


def test_a_bundle_grown_on_tokens_hears_tokens(tmp_path: Path) -> None:
    made = MidiClassifier(load.load(genre_trees.build(tmp_path / "b", through_tokens=True)))
    assert made.excerpts.through_tokens
    assert made.classify(genre_trees.piece(4)).label == "dense"
    assert made.classify(edit.transpose(genre_trees.piece(4), 5)) == made.classify(genre_trees.piece(4))


def test_a_measure_refuses_what_training_would_not_learn_from() -> None:
    measure = MidiMeasure(Excerpts(bars=4, most=3, min_bars=4, min_notes=20))
    assert measure.rows(genre_trees.piece(4), "").shape == (2, len(measure.names))
    for score, why in ((genre_trees.piece(1, bars=4), "too few notes"), (genre_trees.piece(8, bars=2), "too few bars")):
        with pytest.raises(KapelleError, match=why):
            measure.rows(score, "")
    json.dumps(measure.settings())


def test_odd_files_give_a_verdict_or_a_clear_error(classifier: MidiClassifier) -> None:
    import os

    folder = Path(os.environ.get("KAPELLE_DATA", "")) / "odd_midi"
    if not os.environ.get("KAPELLE_DATA") or not folder.is_dir():
        pytest.skip("KAPELLE_DATA names no folder with odd_midi")
    for path in sorted(folder.rglob("*.mid"))[:80]:
        try:
            made = classifier.classify(read(path))
            assert sum(made.probabilities.values()) == pytest.approx(1), path
        except KapelleError as error:
            assert str(error)
