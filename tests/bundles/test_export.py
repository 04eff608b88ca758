import json
from pathlib import Path

import numpy as np
import pytest

import fakes
from kapelle.bundles import load
from kapelle.bundles.export import ExportOptions, export, write_bundle
from kapelle.bundles.quantise import block_size, blocks
from kapelle.bundles.session import Decoder
from kapelle.errors import BundleError, CheckpointError, Missing, StorageError, UsageError
from kapelle.models import gpt

pytest.importorskip("onnx")
safetensors = pytest.importorskip("safetensors.numpy")

CONFIG = gpt.Config(vocabulary=50, n_positions=16, n_embd=32, n_layer=2, n_head=2)

RECIPE = """\
name = "tiny"
family = "gpt"
codec = "remi"
[model]
n_embd = 64
n_layer = 2
n_head = 2
n_positions = 16
[generation]
temperature = 0.9
# override: model.n_embd=32
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    sources = [{"folder": "songs/Jazz", "genre": "jazz", "licence": "CC0 | public"}]
    shards = {"vocabulary_size": 50, "sources": sources, "genres": ["jazz"], "bos": 1, "eos": 2}
    (folder / "shards.json").write_text(json.dumps(shards), encoding="utf-8")
    figures = {"step": 1200, "seconds": 7200.0, "parameters": 12345, "best": {"validation": 1.25, "step": 1000.0}}
    (folder / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(safetensors.save(fakes.gpt_weights(CONFIG)))
    return folder


def test_a_run_becomes_a_bundle_that_loads_and_runs(run: Path, tmp_path: Path) -> None:
    made = export(run, tmp_path / "out" / "tiny")
    bundle = load.load(tmp_path / "out" / "tiny")
    assert bundle.manifest == made
    assert made.name == "tiny"
    assert (made.codec, made.kind, made.context) == ("remi", "autoregressive", 16)
    assert made.options["vocabulary"] == 50
    assert made.options["genres"] == ["jazz"]
    assert made.options["generation"] == {"temperature": 0.9}
    assert made.provenance.steps == 1000
    assert made.provenance.data[0]["licence"] == "CC0 | public"
    assert sorted(made.files) == ["card.md", "step.onnx", "tokenizer.json"]
    assert Decoder(bundle).feed([1, 2, 3]).shape == (50,)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tiny"]


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(run, tmp_path / name)
    assert load.load(tmp_path / "a").hash == load.load(tmp_path / "b").hash


def test_the_card_tells_data_licences_figures_and_recipe(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "tiny", ExportOptions(licence="MIT", figures={"bits_per_note": 9.75}))
    card = (tmp_path / "tiny" / "card.md").read_text(encoding="utf-8")
    for line in (
        "| songs/Jazz | CC0 \\| public |",
        "| licence of the weights | MIT |",
        "| bits_per_note | 9.75 |",
        "| best.validation | 1.25 |",
        "| parameters | 12,345 |",
        "1,000 steps, 2.00 hours.",
        "kapelle export run -o tiny",
        "n_embd = 64",
        "# override: model.n_embd=32",
    ):
        assert line in card.splitlines()


def test_eight_bits_are_smaller_and_near(run: Path, tmp_path: Path) -> None:
    small = export(run, tmp_path / "small")
    export(run, tmp_path / "plain", ExportOptions(precision="fp32"))
    ids = np.random.default_rng(1).integers(0, 50, 16)
    plain = Decoder(load.load(tmp_path / "plain")).score(ids)
    near = Decoder(load.load(tmp_path / "small")).score(ids)
    assert 0 < np.abs(near - plain).max() < 0.1 * plain.std()
    assert small.provenance.figures["largest_logit_error"] < 0.1 * plain.std()


def test_more_files_and_options_come_along(run: Path, tmp_path: Path) -> None:
    made = export(run, tmp_path / "tiny", ExportOptions(name="other", files={"originality.idx": b"xyz"}, options={"extra": [1]}))
    assert made.name == "other"
    assert made.options["extra"] == [1]
    assert load.load(tmp_path / "tiny").contents["originality.idx"] == b"xyz"


def test_nothing_is_overwritten_without_force(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    export(run, out)
    before = load.load(out).hash
    with pytest.raises(UsageError, match="there already"):
        export(run, out)
    export(run, out, ExportOptions(licence="MIT", force=True))
    assert load.load(out).hash != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "tiny"]


def test_a_folder_that_is_no_bundle_is_never_replaced(run: Path, tmp_path: Path) -> None:
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "secret.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="no bundle"):
        export(run, tmp_path / "diary", ExportOptions(force=True))
    assert (tmp_path / "diary" / "secret.txt").is_file()


@pytest.mark.parametrize("name", ["recipe.toml", "weights.safetensors"])
def test_a_run_that_is_not_finished_is_missing_something(run: Path, tmp_path: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(Missing, match=f"has no {name}"):
        export(run, tmp_path / "tiny")


def test_damaged_weights_are_refused(run: Path, tmp_path: Path) -> None:
    (run / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="damaged"):
        export(run, tmp_path / "tiny")


def test_weights_that_are_no_numbers_are_refused(run: Path, tmp_path: Path) -> None:
    weights = fakes.gpt_weights(CONFIG)
    weights["transformer.h.1.mlp.c_fc.bias"][3] = np.nan
    (run / "weights.safetensors").write_bytes(safetensors.save(weights))
    with pytest.raises(CheckpointError, match=r"mlp\.c_fc\.bias holds NaN"):
        export(run, tmp_path / "tiny")


@pytest.mark.parametrize("change", ["n_layer=3", "n_layer=1", "n_embd=64", "n_positions=8"])
def test_weights_of_another_shape_are_refused(run: Path, tmp_path: Path, change: str) -> None:
    with (run / "recipe.toml").open("a", encoding="utf-8") as file:
        file.write(f"# override: model.{change}\n")
    with pytest.raises(CheckpointError):
        export(run, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_a_place_that_cannot_be_written_is_a_storage_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        export(run, tmp_path / "file" / "tiny")


def test_what_could_not_be_loaded_is_not_written(tmp_path: Path) -> None:
    draft = load.load(fakes.uniform(tmp_path / "good", 4)).manifest
    with pytest.raises(BundleError, match=r"not an ONNX file|cut short|graphs"):
        write_bundle(tmp_path / "bad", draft, {"step": b"no graph at all"}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_blocks_are_off_by_half_a_step_at_most() -> None:
    matrix = np.random.default_rng(0).normal(size=(96, 7)).astype(np.float32)
    matrix[:32, 2] = 0
    assert block_size(96) == 32
    levels, scales = blocks(matrix, 32)
    assert levels.shape == (7, 3, 32)
    back = (levels.astype(np.float32) - 128) * scales[:, :, None]
    errors = np.abs(back - matrix.T.reshape(7, 3, 32)).max(axis=2)
    assert (errors <= scales * 0.5001).all()
    assert errors[2, 0] == 0


@pytest.mark.parametrize(("inner", "size"), [(512, 128), (256, 128), (192, 64), (48, 16), (20, 16)])
def test_the_largest_block_that_fits_is_taken(inner: int, size: int) -> None:
    assert block_size(inner) == size


def test_an_earlier_stage_is_exported_by_its_step(run: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    kept = {name: array * 0.5 for name, array in load_file(run / "weights.safetensors").items()}
    (run / "stages").mkdir()
    save_file(kept, run / "stages/step-00000002.safetensors")
    best, early = export(run, tmp_path / "best"), export(run, tmp_path / "early", ExportOptions(stage=2))
    assert early.provenance.steps == 2 and "best" not in early.provenance.figures and early.files != best.files
    with pytest.raises(Missing, match="no weights of step 3") as caught:
        export(run, tmp_path / "none", ExportOptions(stage=3))
    assert "2" in caught.value.hint
    assert "kapelle export run -o tiny --name tiny --stage 2" in (tmp_path / "early/card.md").read_text()


def test_the_card_counts_the_phrases_of_every_source_and_leaves_out_the_last_figures(run: Path, tmp_path: Path) -> None:
    shards = json.loads((run / "shards.json").read_text())
    shards["sources"] = [
        {"name": "songs", "licence": "CC0", "phrases": {"train": 1234, "validation": 5}},
        {"name": "more", "licence": "MIT"},
    ]
    (run / "shards.json").write_text(json.dumps(shards))
    figures = json.loads((run / "figures.json").read_text())
    (run / "figures.json").write_text(json.dumps({**figures, "last": {"validation": 9.5}}))
    export(run, tmp_path / "tiny")
    card = (tmp_path / "tiny/card.md").read_text()
    assert "| songs | CC0 | 1,234 |" in card and "| more | MIT |  |" in card
    assert "best.validation" in card and "last.validation" not in card
