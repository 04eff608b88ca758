"""What became of files is told in the same words for all shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from kapelle.data.clean import Rejected
from kapelle.data.cleaning import File
from kapelle.data.labelled import LabelledSection, LabelledSource
from kapelle.data.ledger import Ledger, in_parts
from kapelle.errors import UsageError

ROOT = Path("music")
FILES = [File(ROOT / "a" / f"{name}.mid", number % 2, f"a/{name}") for number, name in enumerate("xyzw")]


def _taken(file: File, result: str) -> str:
    return "too loud" if result == "loud" else ""


def test_every_file_is_counted_and_told_with_its_fate() -> None:
    ledger, told = Ledger(), []
    batches = [(FILES[:2], ["fine", Rejected("not readable as MIDI")]), (FILES[2:], ["loud", "fine"])]
    ledger.take_all(batches, 4, _taken, lambda done, total: told.append((done, total)))
    assert (ledger.seen, ledger.kept, dict(ledger.files)) == (4, 2, {0: 2, 1: 2})
    assert ledger.dropped() == {"not readable as MIDI": 1, "too loud": 1}
    assert told == [(2, 4), (4, 4)]
    assert ledger.files_under(ROOT, in_parts([0, 2])) == [
        {"file": "a/x.mid", "part": "train"},
        {"file": "a/y.mid", "dropped": "not readable as MIDI"},
        {"file": "a/z.mid", "dropped": "too loud"},
        {"file": "a/w.mid", "part": "test"},
    ]


def test_nothing_fit_is_refused_with_the_commonest_reason_first() -> None:
    with pytest.raises(UsageError, match="none of 3 files is fit for training: 2 too loud, 1 not readable as MIDI"):
        Ledger().take_all([(FILES[:3], ["loud", Rejected("not readable as MIDI"), "loud"])], 3, _taken, lambda done, total: None)


def test_bytes_are_new_once() -> None:
    ledger = Ledger()
    assert [ledger.is_new(data) for data in (b"a", b"b", b"a")] == [True, True, False]


def test_labelled_folders_give_so_many_files_and_hold_out_whom_they_name() -> None:
    data = LabelledSection((LabelledSource("a", "rock", at_most=1), LabelledSource("b", "rock", label="loud")), held_out=("w",))
    assert [source.of for source in data.sources] == ["rock", "loud"]
    assert sum(file.source == 0 for file in data.chosen(FILES)) == 1
    assert sum(file.source == 1 for file in data.chosen(FILES)) == 2
    assert data.dealt(FILES)[3] == 2
    with pytest.raises(UsageError, match="is of no class: 'loud'"):
        data.check(["rock"])
