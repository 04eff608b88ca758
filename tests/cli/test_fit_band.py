"""``fit`` with the recipes of bands: phrases, a critic, pictures and sounds on the way, a bundle that plays."""

import json
from pathlib import Path

import pytest

import songs
from kapelle.bundles import load

pytestmark = pytest.mark.train
RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = (
    *("training.steps=2", "training.validate_every=2", "training.batch_size=4", "training.adversarial.validation_phrases=8"),
    *("--processes", 1),
)
TINY = ("model.width=0.05", *SMALL)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Songs of a band whose strings are often away; a folder for a recipe that names it, and a few for a folder of one's own."""
    torch = pytest.importorskip("torch")
    for package in ("lightning", "onnx", "safetensors"):
        pytest.importorskip(package)
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("band")
    (place / "Our Songs").mkdir()
    for number in range(10):
        parts = tuple(songs.PROGRAMS)[: 5 if number < 6 else 4]
        songs.song("ABCD", seed=number, parts=parts).dump_midi(place / "Our Songs" / f"{number}.mid")
    (place / "Our Songs" / "broken.mid").write_bytes(b"MThd")
    return place


@pytest.fixture(scope="module")
def first(music):
    """A bundle, and the run behind it."""
    from kapelle import api
    from kapelle.fitting import Fitting
    from kapelle.training.fit import FitOptions

    how = Fitting(processes=1, training=FitOptions(TINY[:-2], accelerator="cpu", trackers=()))
    return api.fit(RECIPES / "band-composer.toml", music / "Our Songs", music / "first", how)


def test_songs_of_one_s_own_become_a_bundle_with_a_report(run, music, first):
    report = first.report
    assert (report["files"], report["kept"], report["dropped"]) == (11, 10, {"not readable as MIDI": 1})
    assert report["music"]["phrases"] == 80 and report["music"]["tracks"]["strings"] == pytest.approx(0.6)
    assert report["split"]["validation"] == 2 and report["genres"] == {}
    assert report["training"]["phrases"] == 64
    assert set(report["held_out"]) == {"pieces", "phrases", "music", "after", "variety"}
    assert report["held_out"]["music"] < report["held_out"]["after"] == pytest.approx(first.figures["best"]["distance"], abs=1e-3)
    work = Path(report["work"])
    assert [path.name for path in (work / "run" / "examples").iterdir()] == ["00000002-phrases.png"]
    assert "| phrases of the music that it learned from |" in (music / "first" / "card.md").read_text()
    assert run("compose", "-m", music / "first", "--bars", 4, "--seed", 1, "-o", "a.mid").code == 0


def test_a_run_can_be_begun_with_and_an_interrupted_one_goes_on(run, music, first):
    begin = Path(first.report["work"], "run")
    words = ["fit", RECIPES / "band-composer.toml", music / "Our Songs", "--from", begin, "-o", "mine", *SMALL]
    stopped = run(*words, "--max-minutes", 1e-6)
    assert stopped.code == 0, stopped.err
    assert "the same command with --force goes on" in stopped.err
    assert [line for line in stopped.out.splitlines() if line][-1] == "kapelle compose -m mine -o piece.mid"
    assert "phrases, 320 bars" in stopped.out and "bits per note" not in stopped.out
    answer = run(*words, "--force", "--json")
    assert answer.code == 0, answer.err
    told = answer.data
    assert told["start"]["name"] == "run" and told["figures"]["finished"]
    assert told["held_out"]["before"] == first.report["held_out"]["after"]
    recipe = Path("mine-work", "run", "recipe.toml").read_text()
    assert "# override: training.learning_rate=0.0001" in recipe
    assert load.load(Path("mine")).manifest.options["model"]["width"] == 0.05  # that of the run


def test_a_recipe_s_own_songs_are_trained_on_by_its_own_steps(run, music):
    text = (RECIPES / "band-accompany.toml").read_text()
    head, _, rest = text.partition("[data]")
    Path("own.toml").write_text(
        f'{head}[data]\nvalidation = 0.1\nsources = [{{ folder = "Our Songs" }}]\n{rest[rest.index("[tokenizer]") :]}'
    )
    answer = run("fit", "own.toml", music, *TINY, "-o", "mine", "--json")
    assert answer.code == 0, answer.err
    assert answer.data["training"] == {"steps": 2, "epochs": 0.12, "phrases": 64}
    assert load.load(Path("mine")).manifest.options["conditional"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--from", "{bundle}"), 2, "it holds no critic"),
        (("--from", "{run}", "model.width=0.1"), 2, "model.width is settled by run"),
        (("--from", "{run}", 'tokenizer.form="paper"'), 2, "tokenizer.form is settled by run"),
        (("--from", "{run}", 'family="musegan_tutorial"', "model={{}}"), 2, "run is of the family 'musegan'"),
        (("preprocessing.min_bars=999",), 2, "none of 11 files is fit for training: 10 too few bars"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, music, first, words, code, message):
    words = [word.format(bundle=music / "first", run=Path(first.report["work"], "run")) for word in words]
    answer = run("fit", RECIPES / "band-composer.toml", music / "Our Songs", *SMALL, *words, "-o", "mine")
    assert answer.code == code, answer.err
    assert message in answer.err and "Traceback" not in answer.err
    assert not Path("mine").exists()


def test_three_songs_are_too_few_and_it_says_what_is_needed(run, music):
    Path("few").mkdir()
    for number in range(3):
        Path("few", f"{number}.mid").write_bytes((music / "Our Songs" / f"{number}.mid").read_bytes())
    answer = run("fit", RECIPES / "band-composer.toml", "few", *TINY, "-o", "mine")
    assert answer.code == 2
    assert "16 phrases are too few to train a band, which takes 64" in answer.err and "add songs in 4/4" in answer.err
    assert not Path("mine-work", "run").exists()


def test_the_bar_of_a_band_tells_phrases(run, music, first):
    from kapelle.cli import train
    from kapelle.training.fit import Progress

    notes = []

    class Console:
        def texts(self, text, **values):
            return text.format(**values)

    tell = train.told(lambda done, total, note, part: notes.append(note), Console())
    log = [json.loads(line) for line in Path(first.report["work"], "run", "log.jsonl").read_text().splitlines()]
    tell(Progress(2, 2, 0.0, log[-1]))
    assert "phrases/s" in notes[0] and "distance" in notes[0] and "variety" in notes[0] and "tokens/s" not in notes[0]
    tell = train.told(lambda done, total, note, part: notes.append(note), Console())
    tell(Progress(2, 2, 0.0, {"loss": 1.0, "bits_per_note": 2.0, "tokens_per_s": 3.0}))
    assert notes[1] == "loss 1.000, bits per note 2.00, tokens/s 3"
