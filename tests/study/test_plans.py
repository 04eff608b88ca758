"""Plans are read strictly, those that ship are right, and a plan becomes pieces, tables and pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from kapelle import api
from kapelle.bundles import load
from kapelle.errors import CannotObey, Missing, RecipeError, UnknownName, UsageError
from kapelle.study import experiment
from kapelle.study.sound import Sound

ROOT = Path(__file__).parents[2]
HEAD = 'kind = "models"\ntitle = "Toy"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_plans_that_ship_are_those_in_the_folder() -> None:
    assert sorted(api.PLANS) == sorted(path.stem for path in (ROOT / "plans").glob("*.toml"))


@pytest.mark.parametrize("name", api.PLANS)
def test_a_plan_that_ships_is_short_and_names_what_ships(name: str) -> None:
    path = api.plan_path(name)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 140
    assert f"kapelle study {name} -o" in lines[0]
    found = experiment.load(path)
    shipped = {folder.name for folder in (ROOT / "src" / "kapelle" / "weights").iterdir()} | {"bridge"}
    names = {*found.models, *(model.name for model in found.model), *found.bands, *found.themes}
    assert names <= shipped
    assert not found.theme or (path.parent / found.theme).is_file()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + 'models = ["a"]\nsample = 3\n', "unknown key 'sample'"),
        (HEAD + 'models = ["a"]\n[sound]\nformats = ["ogg"]\n', "unknown key 'formats'"),
        (HEAD + 'models = ["a"]\nseeds = [1]\nsamples = 3\n', "seeds and samples"),
        (HEAD + 'models = ["a"]\nbars = 4\nseconds = 9\n', "bars and seconds"),
        (HEAD + 'models = ["a"]\nbands = ["b"]\n', "'bands' in .* says nothing"),
        ('kind = "bridge"\ntitle = "Toy"\nmodels = ["a"]\n', "'models' in .* says nothing"),
        (HEAD, "missing key 'models'"),
        ('kind = "models"\nmodels = ["a"]\n', "missing key 'title'"),
        (HEAD + 'model = [{ name = "a", folder = "b" }]\n', "a name or a folder"),
        (HEAD + 'models = ["a"]\n[sound]\nbit_depth = 8\n', "bit-depth must be 16 to 32"),
        ('kind = "zoo"\ntitle = "Toy"\n', "kind must be one of"),
        ("kind = ", "not valid TOML"),
    ],
)
def test_a_plan_is_read_strictly(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises((RecipeError, UnknownName, UsageError), match=told):
        experiment.load(written(tmp_path, text))


def test_a_plan_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no plan 'nothing'") as caught:
        api.study("nothing", tmp_path)
    assert "bridge-grid" in caught.value.hint


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    import band_bundles
    import theme_bundles

    place = tmp_path_factory.mktemp("home")
    theme_bundles.build(place / "bundles" / "theme")
    band_bundles.build(place / "bundles" / "band-early", seed=1)
    band_bundles.build(place / "bundles" / "band-late", seed=2)
    return place


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    return tmp_path


def test_bands_at_fixed_latents_beside_real_music(here: Path) -> None:
    for number in range(2):
        api.compose(model="band-late", bars=6, seed=number, tempo=100).save(here / "real" / f"{number}.mid")
    path = written(here, HEAD + """
models = ["band-early"]
model = [{ name = "band-late", label = "late", bars = 6 }, { folder = "real", label = "real music" }]
latents = [7, 9, 11]
bars = 4
options = { tempo = 100 }
first_try = true
figures = ["notes", "seconds", "pitch_class_entropy"]
classifiers = ["genre-nobody"]
""")  # fmt: skip
    results = api.study(path, here / "site")
    assert results.counts["made"] == 8 and results.counts["empty"] == 1  # there are two pieces of real music
    assert [axis.name for axis in results.plan.axes] == ["model", "latents"]
    assert results.missing == ("genre-nobody",)
    bars = {row["values"]["model"]: round(row["measures"]["seconds"] / 2.4) for row in results.rows if row["measures"]}
    assert (bars["band-early"], bars["late"], bars["real music"]) == (4, 6, 4)
    assert {row["attempts"] for row in results.rows if row["values"]["model"] == "late"} == {1}
    assert list(results.as_dict()["statistics"]) == ["notes", "seconds", "pitch_class_entropy"]
    text = (here / "site" / "index.html").read_text(encoding="utf-8")
    assert "Not installed, so that their tables are not here: genre-nobody." in text
    for name in ("plan.json", "results.json", "index.html"):
        assert str(here) not in (here / "site" / name).read_text(encoding="utf-8")  # where files lay is nobody's business
    assert api.study(path, here / "site").made == 0


def test_a_theme_is_developed_and_can_be_replaced(here: Path) -> None:
    path = written(here, HEAD + f'models = ["theme"]\nsamples = 1\nbars = 6\nfirst_try = true\ntheme = "{ROOT}/plans/theme.mid"\n')
    first = api.study(path, here / "one")
    assert first.rows[0]["measures"]["returns"] >= 1
    other = api.compose(model="band-early", bars=2, seed=3).save(here / "other.mid")
    second = api.study(path, here / "two", api.StudyWay(theme=other))
    assert second.plan.fingerprint != first.plan.fingerprint


def test_a_bridge_may_develop_every_theme_more_than_once(here: Path) -> None:
    text = 'kind = "bridge"\ntitle = "Toy"\nbands = ["band-early"]\nthemes = ["theme"]\nlatents = [5]\nsamples = 2\nbars = 4\n'
    results = api.study(written(here, text), here / "site", api.StudyWay(Sound(("wav",), "sine", 30, 24)))
    assert [row["facts"]["seed"] for row in results.rows] == [5, 1_000_005]
    assert {row["facts"]["band_seed"] for row in results.rows} == {5}
    assert len(list((here / "site" / "cells").glob("*.wav"))) == 2


def test_what_cannot_be_is_refused_before_anything_is_made(here: Path) -> None:
    for text, error, told in (
        (HEAD + 'models = ["theme"]\nfigures = ["beauty"]\ntheme = "theme.mid"\n', Missing, "theme.mid"),
        (HEAD + 'models = ["band-early"]\nfigures = ["beauty"]\n', UnknownName, "unknown figure 'beauty'"),
        (HEAD + 'models = ["band-early", "band-early"]\n', UsageError, "are called band-early"),
        (HEAD + 'models = ["nobody"]\n', Missing, "nobody"),
        (HEAD + 'models = ["runs/x@late"]\n', UsageError, "RUN@STEP"),
        (HEAD + 'models = ["bridge"]\nfirst_try = true\n', CannotObey, "first tries"),
        (HEAD + 'models = ["band-early"]\nclassifiers = ["band-late"]\n', UsageError, "is no classifier"),
        (HEAD + 'model = [{ folder = "empty" }]\n', UsageError, "no MIDI files"),
    ):
        (here / "empty").mkdir(exist_ok=True)
        with pytest.raises(error, match=told):
            api.study(written(here, text), here / "site")
        assert not list((here / "site").glob("cells/*"))


def test_a_bundle_that_changes_while_it_is_studied_is_noticed(home: Path, here: Path) -> None:
    from kapelle.errors import BundleError
    from kapelle.study.composers import held

    with pytest.raises(BundleError, match="has changed"):
        held(load.find("band-early"), "0" * 64)
