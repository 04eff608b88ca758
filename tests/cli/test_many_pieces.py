"""Many pieces: taken up where they were left, and the same whoever makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

ASKED = ("compose", "--bars", 1, "--seed", 5, "--genre", "pop", "-o", "many", "--count", 4)


def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path("many").iterdir())}


def test_what_is_missing_is_made_and_what_is_there_is_kept(compose):
    assert compose(*ASKED).code == 0
    whole = contents()
    Path("many/kapelle-pop-6.mid").unlink()
    Path("many/kapelle-pop-8.mid").unlink()
    before = Path("many/kapelle-pop-5.mid").stat().st_mtime_ns
    answer = compose(*ASKED, "--resume", "--json")
    assert answer.code == 0
    assert "2 of 4 pieces are there already" in answer.err
    assert [piece["seed"] for piece in answer.data["pieces"]] == [6, 8]
    assert contents() == whole
    assert Path("many/kapelle-pop-5.mid").stat().st_mtime_ns == before


def test_a_piece_whose_sound_is_missing_is_made_again(compose):
    assert compose(*ASKED).code == 0
    answer = compose(*ASKED, "--resume", "--wav", "--synth", "sine", "--json")
    assert [piece["seed"] for piece in answer.data["pieces"]] == [5, 6, 7, 8]
    assert sum(name.endswith(".wav") for name in contents()) == 4


def test_what_another_seed_made_is_not_taken_for_a_piece(compose):
    assert compose(*ASKED).code == 0
    Path("many/kapelle-pop-7.mid").write_bytes(Path("many/kapelle-pop-8.mid").read_bytes())
    answer = compose(*ASKED, "--resume")
    assert answer.code == 2
    assert "many/kapelle-pop-7.mid is another piece" in answer.err
    Path("many/kapelle-pop-7.mid").write_bytes(b"not music at all")
    assert compose(*ASKED, "--resume").code == 2


def test_all_there_is_nothing_to_do(compose):
    assert compose(*ASKED).code == 0
    answer = compose(*ASKED, "--resume", "--json")
    assert (answer.code, answer.data["pieces"]) == (0, [])
    answer = compose(*ASKED, "--resume")
    assert (answer.code, answer.out) == (0, "")
    assert "4 of 4 pieces are there already" in answer.err


def test_without_the_seed_there_is_nothing_to_go_on_with(compose):
    answer = compose("compose", "--bars", 1, "-o", "many", "--count", 4, "--resume")
    assert answer.code == 2
    assert "--resume needs --seed" in answer.err


def test_processes_make_the_same_pieces(compose):
    assert compose(*ASKED).code == 0
    alone = contents()
    assert compose(*ASKED, "--force", "--processes", 2).code == 0
    assert contents() == alone


@pytest.mark.slow
def test_a_cluster_makes_the_same_pieces(compose):
    pytest.importorskip("ray")
    assert compose(*ASKED).code == 0
    alone = contents()
    answer = compose(*ASKED, "--force", "--engine", "ray", "--processes", 2)
    assert (answer.code, contents()) == (0, alone)
