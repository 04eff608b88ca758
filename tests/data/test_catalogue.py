"""The rows of the catalogue hold together, and what they do not know they do not claim."""

from __future__ import annotations

import json
import sys
import threading
import types
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kapelle.data import archive, catalogue, fetch, kaggle
from kapelle.data.catalogue import CATALOGUE, USES, Dataset
from kapelle.errors import Interrupted, Missing, NetworkError, StorageError, UnknownName, UnreadableInput

ROWS = pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
PUBLISHED = {
    "maestro": ("70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c", 58_416_533),
    "groove": ("651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e", 3_260_318),
    "lakh-full": ("6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b", 1_768_163_879),
    "lakh-matched": ("621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191", 1_407_072_670),
    "jsb-chorales": ("69924294546a71620c06374085cd6b0300665ea215e2f854f65a11929f1e723c", 215_242),
    "gtzan-features": ("cf6bbbd297e193292bb7b626bc70bf94a3703ac100f9faa4cb5bc5751a6c8066", 1_107_271),
}


@ROWS
def test_a_row_is_complete(row: Dataset) -> None:
    assert row.title and row.licence and row.citation and row.use in USES
    assert urlsplit(row.url).scheme in ("http", "https") and urlsplit(row.url).hostname in row.all_hosts
    assert archive.safe_name(row.folder) == (row.folder,) and archive.safe_name(row.file_name) == (row.file_name,)
    assert not (row.size and row.about), "a size is known or it is not"


@ROWS
def test_checksums_and_sizes_are_the_published_ones_and_no_others(row: Dataset) -> None:
    assert (row.sha256, row.size) == PUBLISHED.get(row.name, (None, None))


@ROWS
def test_what_comes_over_an_open_line_has_a_checksum_or_says_that_it_cannot_be_checked(row: Dataset) -> None:
    assert row.url.startswith("https://") or row.sha256 or "cannot be checked" in row.note


@ROWS
def test_what_is_unlicensed_or_copyleft_is_not_called_open(row: Dataset) -> None:
    if row.licence.startswith("none"):
        assert row.use == "research"
    if "GPL" in row.licence:
        assert row.use == "private"
    if "NC" in row.licence:
        assert row.use == "non-commercial"


def test_names_are_unique_and_every_set_of_the_list_is_there() -> None:
    assert len(set(catalogue.names())) == len(CATALOGUE)
    wanted = {"classical-music-midi", "classical-music-midi-zip", "pop909", "adl-piano-midi", "maestro", "lakh-full", "lakh-matched"}
    assert wanted | {"lakh-clean", "lpd-5-cleansed", "groove", "jsb-chorales", "nottingham", "gtzan-features"} <= set(catalogue.names())
    assert catalogue.find("classical-music-midi").kaggle == "soumikrakshit/classical-music-midi"
    with pytest.raises(UnknownName):
        catalogue.find("waltz")


def test_the_sets_of_the_recipes_can_be_fetched() -> None:
    from kapelle import api

    recipes = api.recipes()
    assert {"genre", "genre-small"} <= set(catalogue.readers(["adl_piano_midi"], recipes))
    assert {"genre", "genre-small"} <= set(catalogue.readers(["piano_midi_de"], recipes))
    assert catalogue.readers(["adl_piano"], recipes) == ()


def test_files_loaded_by_hand_are_known_by_their_names() -> None:
    assert catalogue.by_file("LMD_full.tar.gz") == catalogue.find("lakh-full")
    assert catalogue.by_file("JSB Chorales.zip") == catalogue.find("jsb-chorales")
    assert catalogue.by_file("master.zip") is None


# --- Kaggle -------------------------------------------------------------------------------------------------------------

ROW = catalogue.find("classical-music-midi")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without credentials."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR", "KAGGLEHUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "home"
    (place / ".kaggle").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: place)
    return place


def kagglehub(monkeypatch: pytest.MonkeyPatch, download: object) -> None:
    """Put something in the place of the package, which would ask the network."""
    module = types.ModuleType("kagglehub")
    module.dataset_download = download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_without_credentials_it_says_how_to_get_them(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kagglehub(monkeypatch, None)
    with pytest.raises(Missing, match="no Kaggle credentials") as caught:
        fetch.fetch(fetch.order(ROW.name, tmp_path / "data"), {})
    for word in ("kaggle.com/settings", "kaggle.json", "KAGGLE_API_TOKEN", "classical-music-midi-zip"):
        assert word in caught.value.hint


def test_credentials_are_found_where_kaggle_puts_them(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".kaggle" / "kaggle.json").write_text('{"username": "me", "key": "k"}')
    assert kaggle.credentials("a/b").endswith("kaggle.json")
    (home / ".kaggle" / "access_token").write_text("t")
    assert kaggle.credentials("a/b").endswith("access_token")
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "k")
    assert kaggle.credentials("a/b") == "KAGGLE_KEY"
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    assert kaggle.credentials("a/b") == "KAGGLE_API_TOKEN"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"username": "me"}', '{"username": "me", "key": 5}'])
def test_a_damaged_kaggle_json_is_told(text: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "kaggle.json").write_text(text)
    with pytest.raises(UnreadableInput, match="no Kaggle credentials"):
        kaggle.credentials("a/b")


def test_what_kagglehub_unpacked_is_looked_at_and_taken_in(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    def download(handle: str) -> str:
        print("Warning: there is a newer version")
        place = Path(os.environ["KAGGLEHUB_CACHE"]) / handle / "versions" / "1"
        (place / "chopin").mkdir(parents=True)
        (place / "mozart").mkdir()
        (place / "chopin" / "a.mid").write_bytes(b"MThd")
        (place / "mozart" / "b.mid").write_bytes(b"MThd")
        return str(place)

    kagglehub(monkeypatch, download)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    found = fetch.fetch(fetch.order(ROW.name, tmp_path / "data"), {})
    assert (found.folder, found.midi) == (tmp_path / "data" / "piano_midi_de", 2)
    assert (found.folder / "chopin" / "a.mid").exists()
    assert json.loads((found.folder / "SOURCE.json").read_text())["use"] == USES["share-alike"]
    assert capsys.readouterr().out == "", "notices do not go where our result goes"
    assert "KAGGLEHUB_CACHE" not in os.environ
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["piano_midi_de"]


def test_two_threads_download_each_to_its_own_cache_and_leave_the_variable_as_it_was(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    begun, go_on = threading.Event(), threading.Event()

    def download(handle: str) -> str:
        begun.set()
        go_on.wait(10)
        return os.environ["KAGGLEHUB_CACHE"]

    kagglehub(monkeypatch, download)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    found: dict[str, Path] = {}
    threads = [threading.Thread(target=lambda name=name: found.update({name: kaggle.download("a/b", tmp_path / name)})) for name in "xy"]
    threads[0].start()
    begun.wait(10)
    threads[1].start()
    threads[1].join(0.3)  # it waits for its turn
    go_on.set()
    for thread in threads:
        thread.join()
    assert found == {name: tmp_path / name for name in "xy"}
    assert "KAGGLEHUB_CACHE" not in os.environ


def test_a_link_in_what_kagglehub_unpacked_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(handle: str) -> str:
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / "a.mid").symlink_to("/etc/passwd")
        return str(tmp_path / "theirs")

    kagglehub(monkeypatch, download)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    with pytest.raises(UnreadableInput, match="no plain file"):
        fetch.fetch(fetch.order(ROW.name, tmp_path / "data"), {})
    assert not (tmp_path / "data" / "piano_midi_de").exists()


class Refused(OSError):
    """As requests raises it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} Client Error.\n\nResource: https://www.kaggle.com")
        self.response, self.request = types.SimpleNamespace(status_code=status), None


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (Refused(401), NetworkError, "does not accept these credentials"),
        (Refused(403), NetworkError, "does not accept these credentials"),
        (Refused(404), NetworkError, "404 Client Error. Resource"),
        (ConnectionError("no route"), NetworkError, "no route"),
        (ValueError(), NetworkError, "ValueError"),
        (OSError(28, "No space left on device"), StorageError, "No space left"),
        (KeyboardInterrupt(), Interrupted, "interrupted"),
    ],
)
def test_what_kagglehub_raises_becomes_one_line(
    error: BaseException, kind: type[Exception], word: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(handle: str) -> str:
        raise error

    kagglehub(monkeypatch, download)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    with pytest.raises(kind, match=word) as caught:
        kaggle.download(ROW.kaggle, tmp_path)
    assert "\n" not in str(caught.value)


def test_the_extra_is_named_when_kagglehub_is_missing(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(Missing, match="kagglehub is not installed") as caught:
        kaggle.download(ROW.kaggle, tmp_path)
    assert caught.value.hint == "pip install 'kapelle[data]'"


def test_the_installed_kagglehub_has_what_is_called(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, cut off from the network: its error is one line of ours."""
    pytest.importorskip("kagglehub")
    import socket

    def lost(*words: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lost)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NetworkError, match="Kaggle does not give soumikrakshit/classical-music-midi"):
        kaggle.download(ROW.kaggle, tmp_path)
