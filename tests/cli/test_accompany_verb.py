"""``kapelle accompany``, and a band in ``kapelle compose``: files, names, and what is said about them."""

from pathlib import Path

import pytest

from kapelle.score.read import read


@pytest.fixture(scope="session")
def band_home(tmp_path_factory):
    """A KAPELLE_HOME with a genre model and two bands."""
    pytest.importorskip("onnx")
    import band_bundles
    import composers

    place = tmp_path_factory.mktemp("home")
    composers.build(place / "bundles" / "genre")
    band_bundles.build(place / "bundles" / "band-hybrid")
    band_bundles.build(place / "bundles" / "band-accompany", conditional=True)
    return place


@pytest.fixture
def band(run, band_home, monkeypatch):
    """The command line with them installed."""
    monkeypatch.setenv("KAPELLE_HOME", str(band_home))
    return run


def told(answer):
    return dict(line.split(maxsplit=1) for line in answer.out.splitlines()[1:])


def test_a_band_composes(band):
    answer = band("compose", "--model", "band", "--bars", 5, "--seed", 3, "--key", "D", "--tempo", 90)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "kapelle-band-hybrid-3.mid"
    facts = told(answer)
    assert (facts["bars"], facts["key"], facts["tempo"], facts["metre"]) == ("5", "D major", "90", "4/4")
    assert len(read("kapelle-band-hybrid-3.mid").tracks) == 5


def test_a_band_plays_around_a_file(band, song):
    answer = band("accompany", song, "--track", "bass", "--seed", 4, "--plot", "--wav", "--synth", "sine")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "song-band-4.mid"
    facts = told(answer)
    assert (facts["lead"], facts["track"], facts["bars"]) == ("Scale", "bass", "2")
    made, before = read("song-band-4.mid"), read(song)
    assert (made.tracks[0].notes.numpy()["pitch"] == before.tracks[0].notes.numpy()["pitch"]).all()
    assert {track.name for track in made.tracks} == {"Scale", "Drums", "Piano", "Guitar", "Strings"}
    assert all(Path(f"song-band-4{suffix}").exists() for suffix in (".png", ".wav"))


def test_several_accompaniments_each_have_the_next_seed(band, song):
    answer = band("accompany", song, "--seed", 4, "--count", 2, "-o", "many", "--json")
    assert [Path(piece["file"]).name for piece in answer.data["pieces"]] == ["song-band-4.mid", "song-band-5.mid"]
    assert band("accompany", song, "--seed", 5, "-o", "alone.mid").code == 0
    assert Path("alone.mid").read_bytes() == Path("many/song-band-5.mid").read_bytes()


def test_a_recipe_of_an_accompaniment_makes_the_same_bytes(band, song):
    assert band("accompany", song, "--seed", 4, "-o", "a.mid", "--save-recipe", "a.json").code == 0
    song.unlink()
    assert band("compose", "--from", "a.json", "-o", "b.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_a_genre_piece_gets_a_band_around_it(band):
    answer = band("compose", "--genre", "edm", "--band", "--bars", 2, "--seed", 1, "-o", "a.mid", "--save-recipe", "a.json")
    assert (answer.code, answer.err) == (0, "")
    facts = told(answer)
    assert (facts["genre"], facts["metre"], facts["bars"]) == ("edm", "4/4", "2")
    assert {track.name for track in read("a.mid").tracks} >= {"Drums", "Guitar", "Bass", "Strings"}
    assert band("compose", "--from", "a.json", "-o", "b.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()
    assert band("compose", "--genre", "edm", "--band=band-accompany", "--bars", 2, "--seed", 1, "-o", "c.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("c.mid").read_bytes()


def test_the_way_between_two_seeds_is_a_folder_of_pieces_and_a_picture(band):
    answer = band("compose", "--model", "band", "--seed", 3, "--towards", 8, "--count", 3, "--bars", 2, "--plot", "-o", "row", "--json")
    assert answer.code == 0
    stem = "kapelle-band-hybrid-3-to-8"
    assert sorted(path.name for path in Path("row").iterdir()) == sorted(
        [*(f"{stem}-{i}{suffix}" for i in (1, 2, 3) for suffix in (".mid", ".png")), f"{stem}-row.png"]
    )
    assert answer.data["row"] == f"row/{stem}-row.png"
    assert band("compose", "--model", "band", "--seed", 3, "--towards", 8, "--blend", 0.5, "--bars", 2).out.startswith(f"{stem}-50.mid")
    assert Path(f"{stem}-50.mid").read_bytes() == Path(f"row/{stem}-2.mid").read_bytes()


def test_a_picture_that_is_there_is_found_before_composing(band):
    Path("row").mkdir()
    Path("row/kapelle-band-hybrid-3-to-8-row.png").write_bytes(b"")
    answer = band("compose", "--model", "band", "--seed", 3, "--towards", 8, "--count", 2, "--bars", 1, "--plot", "-o", "row")
    assert answer.code == 2
    assert len(list(Path("row").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["accompany"], 2, "LEAD.mid is missing"),
        (["accompany", "nothing.mid"], 4, "nothing.mid"),
        (["accompany", "text.mid"], 3, "text.mid"),
        (["accompany", "waltz.mid"], 2, "3/4"),
        (["accompany", "empty.mid"], 2, "no notes"),
        (["accompany", "song.mid", "--track", "tuba"], 2, "tuba"),
        (["accompany", "song.mid", "--bars", "4"], 2, "--bars"),
        (["accompany", "song.mid", "--tempo", "90"], 2, "--tempo"),
        (["compose", "--model", "band", "--towards", "9" * 30], 2, "seed must be"),
        (["accompany", "song.mid", "--model", "band-hybrid"], 2, "cannot play around a lead"),
        (["accompany", "song.mid", "--model", "nobody"], 4, "nobody"),
        (["compose", "--model", "band", "--notes", "100"], 2, "counts no notes"),
        (["compose", "--model", "band", "--tokens", "100"], 2, "counts no tokens"),
        (["compose", "--model", "band-accompany"], 2, "given to it"),
        (["compose", "--model", "band", "--band"], 2, "band already"),
        (["compose", "--model", "band", "--track", "bass"], 2, "--track"),
        (["compose", "--genre", "edm", "--band", "--metre", "3/4"], 2, "3/4"),
        (["compose", "--genre", "edm", "--band=nobody"], 4, "nobody"),
        (["extend", "song.mid", "--model", "band"], 2, "neither extends"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(band, words, code, why):
    import symusic

    import pieces
    from kapelle.score.write import write

    song = pieces.score(pieces.track((0, 480, 60, 80), (480, 480, 64, 80)))
    write(song, "song.mid")
    song.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    write(song, "waltz.mid")
    write(symusic.Score(480), "empty.mid")
    Path("text.mid").write_text("no music")
    before = set(Path().iterdir())
    answer = band(*words)
    assert answer.code == code
    first, *more = answer.err.splitlines()
    assert first.startswith("error: ")
    assert why in first
    assert len(more) <= 1
    assert set(Path().iterdir()) == before


def test_what_is_asked_of_a_recipe_and_of_a_band_contradict_each_other(band):
    assert band("compose", "--genre", "edm", "--bars", 1, "--seed", 1, "-o", "a.mid", "--save-recipe", "a.json").code == 0
    answer = band("compose", "--from", "a.json", "--band")
    assert answer.code == 2
    assert "--band" in answer.err


def test_the_help_shows_what_can_be_asked_of_a_band(band):
    text = band("accompany", "--help").out
    assert all(flag in text for flag in ("--track", "--lead-track", "--voices", "--towards", "--dynamics"))
    assert not any(flag in text for flag in ("--metre", "--tempo", "--bars"))
    assert "--lead-track" not in band("compose", "--help").out
    assert "вокруг" in band("accompany", "--help", "--lang", "ru").out
