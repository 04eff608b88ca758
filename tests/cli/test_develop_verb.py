"""``kapelle develop``: files, names, what is said, and what is refused."""

from pathlib import Path

import pytest

import pieces
from kapelle.score.marks import bars_of, marks_of
from kapelle.score.read import read
from kapelle.score.write import write

MARY = (64, 62, 60, 62, 64, 64, 64)


@pytest.fixture(scope="session")
def theme_home(tmp_path_factory):
    """A KAPELLE_HOME with a model that develops themes, and a band that accompanies."""
    pytest.importorskip("onnx")
    import band_bundles
    import theme_bundles

    place = tmp_path_factory.mktemp("home")
    theme_bundles.build(place / "bundles" / "theme")
    band_bundles.build(place / "bundles" / "band-accompany", conditional=True)
    return place


@pytest.fixture
def themes(run, theme_home, monkeypatch):
    """The command line with them installed."""
    monkeypatch.setenv("KAPELLE_HOME", str(theme_home))
    return run


@pytest.fixture
def mary(tmp_path):
    """Two bars at 120 bpm."""
    notes = [(480 * i, 480 if i < 6 else 960, pitch, 80) for i, pitch in enumerate(MARY)]
    return write(pieces.score(pieces.track(*notes, name="Mary", program=73)), tmp_path / "mary.mid")


def told(answer):
    return dict(line.split(maxsplit=1) for line in answer.out.splitlines()[1:])


def test_a_theme_is_developed(themes, mary):
    answer = themes("develop", mary, "--bars", 12, "--theme-bars", "1,9", "--key", "C", "--seed", 3, "--plot", "--wav", "--synth", "sine")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "mary-developed-3.mid"
    facts = told(answer)
    assert (facts["bars"], facts["melody"], facts["returns"], facts["tempo"]) == ("12", "Mary", "1-2, 9-10", "120")
    made = read("mary-developed-3.mid")
    assert [bars_of(made, mark) for mark in marks_of(made)] == [(0, 2), (8, 10)]
    assert all(Path(f"mary-developed-3{suffix}").exists() for suffix in (".png", ".wav"))


def test_several_pieces_each_have_the_next_seed(themes, mary):
    answer = themes("develop", mary, "--bars", 4, "--seed", 4, "--count", 2, "-o", "many", "--json")
    assert answer.code == 0
    assert [Path(piece["file"]).name for piece in answer.data["pieces"]] == ["mary-developed-4.mid", "mary-developed-5.mid"]
    assert answer.data["pieces"][0]["theme"] == {"bars": 2, "found": 2, "pick_up": 0}
    assert themes("develop", mary, "--bars", 4, "--seed", 5, "-o", "alone.mid").code == 0
    assert Path("alone.mid").read_bytes() == Path("many/mary-developed-5.mid").read_bytes()


def test_a_recipe_makes_the_same_bytes_without_the_theme_file(themes, mary):
    assert themes("develop", mary, "--bars", 4, "--seed", 4, "-o", "a.mid", "--save-recipe", "a.json", "--theme-temperature", 0.8).code == 0
    mary.unlink()
    assert themes("compose", "--from", "a.json", "-o", "b.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_a_band_plays_around_it(themes, mary):
    answer = themes("develop", mary, "--bars", 4, "--seed", 1, "--band", "-o", "a.mid")
    assert answer.code == 0
    assert told(answer)["band"]
    made = read("a.mid")
    assert {track.name for track in made.tracks} >= {"MELODY", "PIANO", "Drums", "Bass"}
    assert bars_of(made, marks_of(made)[0]) == (0, 2)


def test_what_is_left_out_of_the_theme_is_told(themes, tmp_path):
    notes = [(480 * 3, 480, 67, 80), *((480 * (4 + i), 480, MARY[i % 7], 80) for i in range(40))]
    write(pieces.score(pieces.track(*notes, name="Song")), tmp_path / "song.mid")
    answer = themes("develop", tmp_path / "song.mid", "--bars", 8, "--seed", 1, "-o", "a.mid")
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "warning: the theme is the first 8 of 10 bars",
        "warning: the pick-up is left out (1 notes): a theme begins on a bar line",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--theme-bars", "1,9", "--form", "AB"], "both say where"),
        (["--bars", 8, "--seconds", 20], "contradict"),
        (["--form", "BB"], "has no A"),
        (["--melody-track", "Voice"], "unknown track of the theme"),
    ],
)
def test_contradictions_are_refused_in_one_line(themes, mary, words, says):
    answer = themes("develop", mary, *words)
    assert answer.code == 2
    assert says in answer.err.splitlines()[0]
    assert not list(Path().glob("*.mid"))


def test_compose_says_what_to_do_without_a_theme(themes):
    answer = themes("compose", "--model", "theme")
    assert answer.code == 2
    assert "kapelle develop THEME.mid" in answer.err


def test_a_file_that_is_none_is_refused(themes, tmp_path):
    (tmp_path / "text.mid").write_text("la la la")
    assert themes("develop", tmp_path / "text.mid").code == 3
    assert themes("develop", tmp_path / "nothing.mid").code == 4


def test_it_speaks_russian(themes, mary):
    answer = themes("develop", mary, "--form", "BB", "--lang", "ru")
    assert "нет A" in answer.err
