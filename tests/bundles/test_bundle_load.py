import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from kapelle.bundles import load
from kapelle.bundles.load import Limits
from kapelle.bundles.onnx_file import check_graph
from kapelle.bundles.session import open_session
from kapelle.errors import BundleError, Missing
from kapelle.models.onnx_parts import GraphWriter

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.recurrent(tmp_path_factory.mktemp("bundles") / "lstm")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "lstm"))


def resealed(folder: Path, name: str, data: bytes) -> None:
    """Write `data` as the file `name` and make bundle.json agree with it."""
    (folder / name).write_bytes(data)
    table = json.loads((folder / "bundle.json").read_bytes())
    table["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    (folder / "bundle.json").write_text(json.dumps(table), encoding="utf-8")


def refused(folder: Path, message: str, limits: Limits | None = None) -> None:
    with pytest.raises(BundleError) as caught:
        load.load(folder, limits)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def simple_model(array: np.ndarray) -> onnx.ModelProto:
    graph = GraphWriter("simple")
    graph.op("Add", [graph.input("x", "float32", ["n"]), graph.constant("w", array)], ["y"])
    graph.output("y", "float32", ["n"])
    return graph.model()


def changed_model(folder: Path, change) -> None:
    model = onnx.load(folder / "step.onnx")
    change(model)
    resealed(folder, "step.onnx", model.SerializeToString())


@pytest.mark.parametrize("kind", fakes.EVERY_KIND)
def test_a_bundle_of_every_kind_loads_and_opens(kind: str, tmp_path: Path) -> None:
    bundle = load.load(fakes.EVERY_KIND[kind](tmp_path / kind))
    open_session(bundle)
    assert len(bundle.hash) == 64
    assert "bytes" not in repr(bundle) or len(repr(bundle)) < 2000


def test_the_hash_tells_the_contents(folder: Path, original: Path) -> None:
    before = load.load(original).hash
    assert load.load(folder).hash == before
    resealed(folder, "card.md", b"# Another\n")
    assert load.load(folder).hash != before


def test_a_changed_byte_is_noticed(folder: Path) -> None:
    data = bytearray((folder / "step.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "step.onnx").write_bytes(data)
    refused(folder, "is damaged: its sha256")


def test_a_file_cut_short_is_noticed_before_it_is_read(folder: Path) -> None:
    data = (folder / "step.onnx").read_bytes()
    (folder / "step.onnx").write_bytes(data[:-1])
    refused(folder, f"has {len(data) - 1} bytes, bundle.json says {len(data)}")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "card.md").unlink()
    refused(folder, "card.md is missing")


@pytest.mark.parametrize("name", ["weights.pt", "step.onnx.data", "code.py"])
def test_a_file_that_is_not_listed_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    refused(folder, f"{name} is refused: bundle.json does not list it")


def test_what_file_managers_leave_behind_is_ignored(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"x")
    load.load(folder)


def test_a_folder_without_bundle_json_is_no_bundle(tmp_path: Path) -> None:
    refused(tmp_path, "is no bundle")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes or links here")
@pytest.mark.parametrize("name", ["step.onnx", "bundle.json"])
def test_links_and_pipes_are_refused(folder: Path, name: str) -> None:
    aside = folder.parent / "aside"
    (folder / name).rename(aside)
    (folder / name).symlink_to(aside)
    refused(folder, "link or no plain file")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, "link or no plain file")


def test_sizes_are_limited(folder: Path) -> None:
    refused(folder, "more than 1000", Limits(file_bytes=1000))
    refused(folder, "more than 5000", Limits(total_bytes=5000))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_weights_that_are_no_numbers_are_refused(value: float, dtype: str) -> None:
    array = np.ones(5, dtype)
    array[3] = value
    with pytest.raises(BundleError, match="w holds NaN or infinite values"):
        check_graph(simple_model(array).SerializeToString(), "x.onnx")


def test_nan_weights_in_a_bundle_are_refused(folder: Path) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        array = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
        array.flat[7] = np.nan
        model.graph.initializer[0].raw_data = array.tobytes()

    changed_model(folder, spoil)
    refused(folder, "embedding holds NaN")


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_external_data_is_refused(folder: Path, said: bool, named: bool) -> None:
    def move_out(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        if said:
            tensor.data_location = onnx.TensorProto.EXTERNAL
        if named:
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "../../secret"

    changed_model(folder, move_out)
    refused(folder, "keeps weights outside the file" if said or named else "has not the values for it")


def constant_node(model: onnx.ModelProto, **attribute: object) -> None:
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], **attribute))


def test_nan_in_a_constant_of_a_node_is_refused(folder: Path) -> None:
    changed_model(folder, lambda model: constant_node(model, value=onnx.numpy_helper.from_array(np.array([np.nan], np.float32))))
    refused(folder, "NaN")


def test_loops_and_branches_are_refused(folder: Path) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    changed_model(folder, lambda model: model.graph.node.append(onnx.helper.make_node("Loop", [], ["z"], body=body)))
    refused(folder, "contains a subgraph")


def test_operators_of_strangers_are_refused(folder: Path) -> None:
    changed_model(folder, lambda model: model.graph.node.append(onnx.helper.make_node("Run", [], ["z"], domain="evil.corp")))
    refused(folder, "domain 'evil.corp'")


def test_functions_are_refused(folder: Path) -> None:
    changed_model(folder, lambda model: model.functions.append(onnx.FunctionProto(name="f")))
    refused(folder, "contains functions")


def test_a_shape_without_the_values_for_it_is_refused(folder: Path) -> None:
    def grow(model: onnx.ModelProto) -> None:
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend([2**40, 2**20])

    changed_model(folder, grow)
    refused(folder, "has not the values for it")


def test_a_graph_that_the_runtime_refuses_is_one_clear_line(folder: Path) -> None:
    changed_model(folder, lambda model: model.graph.node[0].input.__setitem__(0, "nowhere"))
    with pytest.raises(BundleError, match="cannot be run") as caught:
        open_session(load.load(folder))
    assert "\n" not in str(caught.value)


def test_a_graph_that_does_not_fit_its_manifest_is_refused(folder: Path) -> None:
    table = json.loads((folder / "bundle.json").read_bytes())
    table["states"][0]["name"] = "other"
    (folder / "bundle.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(BundleError, match=r"does not fit its manifest: .*past\.other"):
        open_session(load.load(folder))


def test_a_state_of_another_shape_than_the_graph_is_refused(folder: Path) -> None:
    table = json.loads((folder / "bundle.json").read_bytes())
    table["states"][0]["shape"] = [1, "batch", 17]
    (folder / "bundle.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(BundleError, match="does not fit its manifest: h"):
        open_session(load.load(folder))


MODEL = simple_model(np.arange(4, dtype=np.float32)).SerializeToString()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer(data: bytes) -> None:
    with pytest.raises(BundleError):
        check_graph(data, "x.onnx")


@settings(deadline=None)
@given(st.integers(0, len(MODEL) - 1), st.binary(max_size=4))
def test_a_damaged_graph_is_an_answer(at: int, replacement: bytes) -> None:
    try:
        check_graph(MODEL[:at] + replacement + MODEL[at + 1 :], "x.onnx")
    except BundleError as error:
        assert "\n" not in str(error)


def test_every_truncation_of_a_graph_is_refused_or_harmless() -> None:
    for size in range(len(MODEL)):
        try:
            check_graph(MODEL[:size], "x.onnx")
        except BundleError:
            continue
        onnx.ModelProto.FromString(MODEL[:size])


def test_a_graph_of_countless_fields_is_refused_in_time() -> None:
    with pytest.raises(BundleError, match="fields"):
        check_graph(b"\x08\x01" * 2_000_000, "x.onnx")


@pytest.fixture
def kapelle_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "bundles").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_bundle_is_found_by_name_path_and_alias(kapelle_home: Path, original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = kapelle_home / "bundles" / "band-hybrid"  # the first of those that the alias means
    shutil.copytree(original, place)
    assert load.find("band-hybrid") == place
    assert load.find("band") == place
    assert load.find(str(original)) == original
    assert load.find(original) == original
    shutil.copytree(original, "mine")
    assert load.find("mine") == Path("mine")
    found = {item.name: item for item in load.installed()}
    assert found["band-hybrid"].manifest == load.load("band").manifest


def test_a_damaged_bundle_is_listed_with_its_problem(kapelle_home: Path) -> None:
    broken = kapelle_home / "bundles" / "broken"
    broken.mkdir()
    (broken / "bundle.json").write_text("{}", encoding="utf-8")
    found = {item.name: item for item in load.installed()}
    assert found["broken"].manifest is None
    assert isinstance(found["broken"].problem, BundleError)


def test_a_missing_bundle_lists_those_installed(kapelle_home: Path, original: Path) -> None:
    shutil.copytree(original, kapelle_home / "bundles" / "lstm")
    with pytest.raises(Missing) as caught:
        load.load("gener")
    assert "'gener'" in str(caught.value)
    assert "lstm" in caught.value.hint
    assert "export" in caught.value.hint
    with pytest.raises(Missing, match="nowhere"):
        load.load(Path("nowhere"))


def test_loading_needs_neither_torch_nor_the_onnx_package(original: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom kapelle.bundles import load, session\n"
        f"session.open_session(load.load({str(original)!r})).feed([1])\n"
        "print([name for name in ('torch', 'onnx', 'safetensors') if name in sys.modules])"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
