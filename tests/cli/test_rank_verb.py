"""``compose --best N --of M`` and ``kapelle rank``: what is written, what is said, what is refused."""

import json
from pathlib import Path

import pytest

import tunes
from kapelle.judging.rank import PARTS

SHORT = ("--genre", "pop", "--bars", 4, "--metre", "4/4")


def test_the_best_of_several_is_written_and_its_seed_makes_it_again(compose):
    answer = compose("compose", *SHORT, "--seed", 5, "--best", 1, "--of", 6, "-o", "best.mid", "--json")
    assert answer.code == 0
    (piece,) = answer.data["pieces"]
    assert piece["file"] == "best.mid"
    assert piece["seed"] in range(5, 11)
    ranking = answer.data["ranking"]
    assert (ranking["best"], ranking["of"], ranking["by"]) == (1, 6, "score")
    assert sorted(row["name"] for row in ranking["candidates"]) == sorted(map(str, range(5, 11)))
    assert ranking["candidates"][0]["name"] == str(piece["seed"])
    assert set(piece["rank"]["parts"]) <= set(PARTS)
    assert "obedience" in piece["rank"]["parts"]
    assert compose("compose", *SHORT, "--seed", piece["seed"], "-o", "alone.mid").code == 0
    assert Path("best.mid").read_bytes() == Path("alone.mid").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["alone.mid", "best.mid"]


def test_several_best_go_into_a_folder_and_all_candidates_too_if_asked(compose):
    answer = compose("compose", *SHORT, "--seed", 1, "--best", 2, "--of", 5, "-o", "best", "--keep-all", "all", "--json")
    assert answer.code == 0
    chosen = [piece["file"] for piece in answer.data["pieces"]]
    assert sorted(chosen) == sorted(map(str, Path("best").iterdir()))
    assert len(list(Path("all").iterdir())) == 5
    for path in map(Path, chosen):
        assert path.read_bytes() == (Path("all") / path.name).read_bytes()


def test_processes_change_nothing(compose):
    first = compose("compose", *SHORT, "--seed", 3, "--of", 4, "-o", "a.mid", "--json")
    second = compose("compose", *SHORT, "--seed", 3, "--of", 4, "-o", "b.mid", "--json", "--processes", 2)
    assert first.data["ranking"] == second.data["ranking"]
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_without_a_name_the_file_is_called_by_the_seed_that_was_chosen(compose):
    answer = compose("compose", *SHORT, "--seed", 1, "--of", 3, "--json")
    (piece,) = answer.data["pieces"]
    assert piece["file"] == f"kapelle-pop-{piece['seed']}.mid"
    again = compose("compose", *SHORT, "--seed", 0, "--of", 8)
    assert again.code == 2
    assert "exists already" in again.err


def test_why_shows_all_candidates_with_parts_weights_and_reasons(compose):
    answer = compose("compose", *SHORT, "--seed", 100, "--of", 4, "-o", "a.mid", "--why", "--weights", "likelihood=1")
    assert answer.code == 0
    assert "the best 1 of 4, by score" in answer.err
    lines = answer.out.splitlines()
    assert any(line.startswith("position") and "novelty" in line and "obedience" in line for line in lines)
    assert sum(line.split()[:1] in ([f"{place}"], [f"{place}*"]) for line in lines for place in range(1, 5)) == 4
    assert any("as asked: metre, bars" in line for line in lines)
    assert "likelihood does not count" in answer.err


@pytest.mark.parametrize("way", ["random", "cluster"])
def test_other_ways_of_choosing_are_asked_for_by_name(compose, way):
    answer = compose("compose", *SHORT, "--seed", 1, "--best", 2, "--of", 4, "--by", way, "-o", way, "--json")
    assert answer.code == 0
    assert answer.data["ranking"]["by"] == way
    assert len(answer.data["pieces"]) == 2


def test_what_contradicts_a_choice_is_refused_before_anything_is_composed(compose):
    cases = {
        ("--best", 1, "--count", 3): "--count",
        ("--best", 3, "--of", 2): "best 3 of 2",
        ("--by", "random"): "nothing to choose",
        ("--why",): "nothing to choose",
        ("--best", 1, "--of", 3, "--weights", "taste=1"): "taste",
        ("--best", 1, "--of", 3, "--resume"): "--resume",
        ("--best", 2, "--of", 3, "-o", "one.mid"): "folder",
        ("--best", 2, "--of", 3, "-o", "all", "--keep-all", "./all"): "would both be",
        ("--best", 1, "--by", "beauty"): "--by",
    }
    for words, said in cases.items():
        answer = compose("compose", *SHORT, "--seed", 1, *words)
        assert answer.code == 2, words
        assert said in answer.err, words
    assert not list(Path().iterdir())


def test_an_extension_can_be_the_best_of_many_too(compose, song):
    answer = compose("extend", song, "--bars", 2, "--seed", 4, "--best", 1, "--of", 3, "-o", "longer.mid", "--json")
    assert answer.code == 0
    assert answer.data["ranking"]["of"] == 3
    seed = answer.data["pieces"][0]["seed"]
    assert compose("extend", song, "--bars", 2, "--seed", seed, "-o", "again.mid").code == 0
    assert Path("longer.mid").read_bytes() == Path("again.mid").read_bytes()


# --- files ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(compose):
    """A folder of five pieces and a file that is none."""
    assert compose("compose", *SHORT, "--seed", 1, "--count", 5, "-o", "many").code == 0
    Path("many", "broken.mid").write_bytes(b"no music")
    Path("many", "notes.txt").write_text("not music", encoding="utf-8")
    return compose


def test_files_are_ranked_and_the_best_copied(many):
    answer = many("rank", "many", "--best", 2, "-o", "best", "--json")
    assert answer.code == 0
    assert answer.data["ranking"]["of"] == 5
    (unread,) = answer.data["unread"]
    assert unread["file"].endswith("broken.mid")
    copies = [Path(path) for path in answer.data["copies"]]
    chosen = [Path(row["name"]) for row in answer.data["ranking"]["candidates"] if row["chosen"]]
    assert [path.name for path in copies] == [path.name for path in chosen]
    assert all(copy.read_bytes() == path.read_bytes() for copy, path in zip(copies, chosen, strict=True))
    assert many("rank", "many", "--best", 2, "-o", "best").code == 2
    assert many("rank", "many", "--best", 2, "-o", "best", "--force").code == 0


def test_a_table_is_printed_and_unreadable_files_are_counted(many):
    answer = many("rank", "many", "--why", "--by", "random")
    assert answer.code == 0
    assert "1 of 6 files cannot be read" in answer.err
    assert "the best 1 of 5, by random" in answer.err


def test_an_empty_folder_a_missing_one_and_nothing_readable_are_clear_errors(many):
    Path("empty").mkdir()
    answer = many("rank", "empty")
    assert (answer.code, "holds no MIDI files" in answer.err) == (2, True)
    answer = many("rank", "nowhere")
    assert (answer.code, "nowhere" in answer.err) == (4, True)
    answer = many("rank", "many/broken.mid")
    assert (answer.code, "not one of 1 files can be read" in answer.err) == (3, True)
    assert many("rank", "many", "--model", "no-such").code == 4
    assert many("rank", "many", "-o", "many/notes.txt").code == 2


def test_a_folder_of_real_music_can_be_compared_with(many):
    assert many("compose", *SHORT, "--seed", 50, "--count", 9, "-o", "real").code == 0
    answer = many("rank", "many", "--by", "outlier", "--weights", "typical=1", "--reference", "real", "--json")
    assert answer.code == 0
    assert "typical" in answer.data["ranking"]["candidates"][0]["parts"]
    answer = many("rank", "many", "--by", "outlier")
    assert answer.code == 2
    assert "no real music" in answer.err


def test_the_api_gives_the_piece_or_the_pieces(compose, monkeypatch):
    import kapelle
    from kapelle import api

    one = kapelle.compose(bars=2, seed=1, genre="pop", best=1, of=3)
    assert one.request.seed in (1, 2, 3)
    assert one.request.count == 1
    two = kapelle.compose(bars=2, seed=1, genre="pop", best=2, of=3, by="random")
    assert len({piece.request.seed for piece in two}) == 2
    wish = api.request("", length=kapelle.Length(2), seed=1, count=3, options={"genre": "pop"})
    chosen = api.compose_best(wish)
    assert chosen.pieces[0].request.seed == one.request.seed
    assert json.loads(json.dumps(chosen.ranking.as_dict()))["of"] == 3


def test_pieces_of_which_nothing_can_be_judged_have_a_dash_for_points(compose):
    drums = tunes.tune(1)
    drums.tracks[0].is_drum = True
    for name in "ab":
        Path(f"{name}.mid").write_bytes(drums.dumps_midi())
    answer = compose("rank", "a.mid", "b.mid")
    assert answer.code == 0
    assert "nan" not in answer.out
    assert [line.split()[:3] for line in answer.out.splitlines()[1:]] == [["1*", "a.mid", "-"], ["2", "b.mid", "-"]]


def test_headings_are_not_taken_for_sheet_music_in_russian(many):
    heading = many("rank", "many", "--lang", "ru").out.splitlines()[0]
    assert heading.split() == ["место", "файл", "очки", "изъяны"]
