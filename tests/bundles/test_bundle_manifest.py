import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.bundles import manifest
from kapelle.bundles.manifest import FileEntry, Manifest, Provenance
from kapelle.errors import BundleError
from kapelle.models import StateSpec

DIGEST = "0123456789abcdef" * 4

EXAMPLE = Manifest(
    name="genre-small",
    family="gpt",
    kind="autoregressive",
    graphs={"step": "step.onnx"},
    files={"step.onnx": FileEntry(DIGEST, 12), "card.md": FileEntry(DIGEST, 3)},
    licence="CC-BY-4.0",
    states=(StateSpec("0.key", ("batch", 2, "context", 16), "float32", "kv"),),
    codec="remi",
    options={"vocabulary": 40, "context": 32, "genres": ["jazz", "поп"]},
    provenance=Provenance("[model]\n", ({"name": "d", "licence": "MIT"},), 100, 1.5, {"bits": 2.5}),
)


def table() -> dict:
    return json.loads(manifest.dump(EXAMPLE))


def parsed(changed: dict) -> Manifest:
    return manifest.parse(json.dumps(changed).encode())


def test_a_manifest_comes_back_as_it_was_written() -> None:
    assert manifest.parse(manifest.dump(EXAMPLE)) == EXAMPLE


def test_the_hash_does_not_depend_on_how_the_json_was_laid_out() -> None:
    assert manifest.digest(parsed(table())) == manifest.digest(EXAMPLE)
    other = table()
    other["licence"] = "MIT"
    assert manifest.digest(parsed(other)) != manifest.digest(EXAMPLE)


def test_the_context_is_told_only_where_a_memory_has_one() -> None:
    assert EXAMPLE.context == 32
    recurrent = table()
    recurrent["states"] = [{"name": "h", "shape": [1, "batch", 8], "dtype": "float32", "kind": "recurrent"}]
    assert parsed(recurrent).context is None


CHANGES = {
    "unknown key 'colour' in the whole": lambda t: t.update(colour="red"),
    "missing key 'licence' in the whole": lambda t: t.pop("licence"),
    "format 2": lambda t: t.update(format=2),
    "name must be lower-case words": lambda t: t.update(name="../genre"),
    "family must be a lower-case name": lambda t: t.update(family="os.system"),
    "kind must be one of": lambda t: t.update(kind="diffusion"),
    "graphs must be step": lambda t: t["graphs"].update(encode="step.onnx"),
    "graphs.step must be an .onnx file listed": lambda t: t["graphs"].update(step="other.onnx"),
    "plain file names": lambda t: t["files"].update({"../step.onnx": {"sha256": DIGEST, "size": 1}}),
    "not 'a/b.json'": lambda t: t["files"].update({"a/b.json": {"sha256": DIGEST, "size": 1}}),
    "not 'weights.pt'": lambda t: t["files"].update({"weights.pt": {"sha256": DIGEST, "size": 1}}),
    "not 'bundle.json'": lambda t: t["files"].update({"bundle.json": {"sha256": DIGEST, "size": 1}}),
    "differ in more than case": lambda t: t["files"].update({"CARD.md": {"sha256": DIGEST, "size": 1}}),
    "sha256 must be 64": lambda t: t["files"]["card.md"].update(sha256="00"),
    "size must be a whole number": lambda t: t["files"]["card.md"].update(size=-1),
    "1 to 32 files": lambda t: t.update(files={}),
    "states[0].shape must be a whole number": lambda t: t["states"][0].update(shape=["batch", 10**9, "context"]),
    "states[0].shape must be with the sides": lambda t: t["states"][0].update(shape=[1, 2]),
    "states[0].dtype must be one of": lambda t: t["states"][0].update(dtype="object"),
    "states must be named apart": lambda t: t["states"].append(t["states"][0]),
    "options.context must be a whole number": lambda t: t["options"].pop("context"),
    "codec must be one of": lambda t: t.update(codec="abc"),
    "tables with a name and a licence": lambda t: t["provenance"].update(data=[{"name": "d"}]),
    "provenance.steps": lambda t: t["provenance"].update(steps=True),
    "provenance.seconds": lambda t: t["provenance"].update(seconds="long"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_manifest_that_is_off_is_refused_in_one_line(message: str) -> None:
    changed = table()
    CHANGES[message](changed)
    with pytest.raises(BundleError) as caught:
        parsed(changed)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b'{"format": NaN}', b'{"format": 1, "format": 1}', b"[" * 100_000])
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        manifest.parse(data)


def test_a_manifest_too_long_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(BundleError, match="more than"):
        manifest.parse(b" " * (manifest.MAX_MANIFEST_BYTES + 1))


def test_what_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(BundleError, match="cannot hold"):
        manifest.dump(Manifest(**{**vars(EXAMPLE), "options": {"context": 32, "bad": float("nan")}}))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_manifest_or_a_bundle_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        manifest.parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.data())
def test_any_value_in_any_place_gives_a_manifest_or_a_bundle_error(data: st.DataObject) -> None:
    changed = copy.deepcopy(table())
    place = changed
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(JSON)
        break
    try:
        manifest.dump(parsed(changed))
    except BundleError as error:
        assert "\n" not in str(error)
