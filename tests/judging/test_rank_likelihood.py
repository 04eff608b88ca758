"""Bits per note: a model to which all ids are alike costs log2 of the vocabulary an id, in one window as in many."""

import math

import numpy as np
import pytest

pytest.importorskip("onnx")

import composers
import fakes
import pieces
from kapelle.bundles import load
from kapelle.composing import language
from kapelle.errors import UnreadableInput, UsageError
from kapelle.judging import likelihood as foretelling
from kapelle.judging.likelihood import Likelihood, foretells, likelihood
from kapelle.models import gpt
from kapelle.tokens import remi

SCALE = pieces.score(pieces.track(*[(480 * i, 480, 60 + (0, 2, 4, 5, 7, 9, 11, 12)[i % 8], 80) for i in range(64)]))


@pytest.fixture(scope="module")
def uniform(tmp_path_factory):
    """A bundle to which every id is as likely as every other."""
    import json

    from kapelle import config

    words = remi.vocabulary(composers.SPEC)
    tokenizer = json.dumps({"codec": "remi", "spec": config.plain(composers.SPEC), "tokens": list(words.names)}).encode()
    return load.load(fakes.uniform(tmp_path_factory.mktemp("u") / "uniform", len(words), codec="remi", files={"tokenizer.json": tokenizer}))


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    return load.load(composers.build(tmp_path_factory.mktemp("l") / "lively"))


def test_under_a_uniform_model_every_id_costs_log2_of_the_vocabulary(uniform):
    words = remi.vocabulary(composers.SPEC)
    ids = remi.encode(SCALE, composers.SPEC, words)
    found = likelihood(SCALE, uniform)
    assert found.notes == 64
    assert found.bits == pytest.approx((len(ids) + 1) * math.log2(len(words)), rel=1e-6)  # EOS is foretold too
    assert found.bits_per_note == pytest.approx(found.bits / 64)
    assert not found.cut


def test_the_key_does_not_matter_to_a_model_of_one_key(lively):
    from kapelle.score import edit

    assert likelihood(edit.transpose(SCALE, 3), lively).bits == pytest.approx(likelihood(SCALE, lively).bits)


def test_a_model_told_another_genre_may_say_something_else_but_an_unknown_one_is_not_told(lively):
    assert likelihood(SCALE, lively, "polka").bits == pytest.approx(likelihood(SCALE, lively).bits)


class Counting:
    """A session that remembers what it was asked, and to which the id i is followed by i + 1."""

    def __init__(self, context, vocabulary=50):
        self.context, self.vocabulary, self.windows = context, vocabulary, []

    def reset(self):
        self.windows.append([])

    def score(self, ids):
        self.windows[-1] += ids.tolist()
        return np.zeros((len(ids), self.vocabulary), np.float32)


@pytest.mark.parametrize("context", [None, 16, 20, 64])
def test_every_id_is_foretold_once_however_small_the_windows_are(context):
    music = np.arange(60) % 40 + 5
    starts = np.arange(0, 60, 6)
    notes = np.ones(50, np.int64)
    session = Counting(context)
    found = foretelling._foretold(session, [1, 2], np.array([3]), music, starts, notes)
    assert found.bits == pytest.approx(60 * math.log2(50))
    assert found.notes == 60
    assert all(window[:2] == [1, 2] for window in session.windows)
    assert all(context is None or len(window) <= context for window in session.windows)
    assert session.windows[0][2] == 3
    assert all(window[2] in music[starts] for window in session.windows[1:])


def test_windows_without_anything_in_front_foretell_their_first_id_from_the_one_before():
    music = np.arange(30) % 40
    found = foretelling._foretold(Counting(8), [], np.array([3]), music, np.arange(0), np.ones(50, np.int64))
    assert found.bits == pytest.approx(30 * math.log2(50))


def test_windows_agree_with_one_long_one_where_the_model_has_no_memory(lively):
    model = language.opened(lively)
    told, ids = foretelling._written(SCALE, model, "jazz")
    music = np.append(ids, model.words["EOS_None"])
    starts = np.flatnonzero(ids == model.words["Bar_None"])
    notes = np.zeros(len(model.words), np.int64)
    whole = foretelling._foretold(model.session, told, np.array([1]), music, starts, notes)

    class Short:
        context = 64
        reset, score = model.session.reset, model.session.score

    parts = foretelling._foretold(Short(), told, np.array([1]), music, starts, notes)
    assert parts.bits == pytest.approx(whole.bits, rel=1e-6)


def test_a_very_long_piece_is_cut_and_says_so(monkeypatch, uniform):
    monkeypatch.setattr(foretelling, "MOST_IDS", 50)
    found = likelihood(SCALE, uniform)
    assert found.cut
    assert 0 < found.notes < 64


def test_a_model_of_notes_and_chords_foretells_too(tmp_path):
    chord_composers = pytest.importorskip("chord_composers")
    held = load.load(chord_composers.build(tmp_path / "chords"))
    found = likelihood(SCALE, held)
    assert found.notes == 64
    assert found.bits > 0


def test_a_piece_without_notes_or_with_drums_alone_cannot_be_read(uniform):
    for score in (pieces.score(pieces.track()), pieces.score(pieces.track((0, 480, 36, 90), drums=True))):
        with pytest.raises(UnreadableInput, match="no notes"):
            likelihood(score, uniform)


def test_what_makes_a_piece_in_one_go_foretells_nothing(tmp_path):
    held = load.load(fakes.autoregressive(tmp_path / "plain", gpt.Config(vocabulary=40, n_positions=32, n_embd=32, n_layer=2, n_head=2)))
    assert not foretells(held)
    with pytest.raises(UsageError, match="no probability"):
        likelihood(SCALE, held)


def test_without_notes_the_figure_is_no_number():
    assert math.isnan(Likelihood(0.0, 0).bits_per_note)
