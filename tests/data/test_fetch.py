"""Downloads from a server that is slow, breaks off, lies and leads astray: the right bytes, or one clear line and nothing lost."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import kapelle
from hostile_server import Served, Server, serving, special, tarred, zipped
from kapelle.data import catalogue, fetch, web
from kapelle.data.catalogue import Check, Dataset
from kapelle.data.download import Wanted, download
from kapelle.errors import Interrupted, Missing, NetworkError, StorageError, UnknownName, UnreadableInput, UsageError

CALM = web.Patience(slow_bytes=2000, attempts=3, pause_s=0.01, longest_pause_s=0.05)
HASTY = replace(CALM, stall_s=0.6, slow_s=0.4, attempts=1)
DATA = random.Random(7).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
SET = zipped({"top/jazz/a.mid": b"MThd-a", "top/jazz/b.mid": b"MThd-b", "top/LICENSE": b"free"})


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as held:
        yield held


def load(url: str, folder: Path, **more: object) -> bytes:
    """The bytes of a download under the rules for an address that the user wrote."""
    wanted = Wanted(url, web.typed(url), patience=CALM, **more)  # type: ignore[arg-type]
    came = download(wanted, folder / "file")
    data = came.path.read_bytes()
    assert (came.size, came.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [path.name for path in folder.iterdir()] == ["file"], "nothing else is left"
    return data


def ranges(server: Server) -> list[str]:
    return [headers.get("Range", "") for _, _, headers in server.asked]


# --- what comes whole in the end ----------------------------------------------------------------------------------------


def test_a_file_comes_with_its_length_and_sha256_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA))
    seen: list[tuple[int, int]] = []
    download(Wanted(url, web.typed(url), len(DATA), SHA256, CALM), tmp_path / "file", lambda *step: seen.append(step))
    assert (tmp_path / "file").read_bytes() == DATA
    assert seen[0] == (0, len(DATA)) and seen[-1] == (len(DATA), len(DATA)) and seen == sorted(seen)


@pytest.mark.parametrize("validator", [{"etag": '"v"'}, {"etag": "", "modified": "Mon, 01 Jan 2024 00:00:00 GMT"}])
def test_a_connection_that_is_cut_goes_on_where_it_broke_off(validator: dict[str, str], server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, cuts=[100_000, 50_000, 0], **validator))
    assert load(url, tmp_path, sha256=SHA256) == DATA
    assert ranges(server) == ["", "bytes=100000-", "bytes=150000-", "bytes=150000-"]
    assert server.asked[1][2]["If-Range"] == (validator["etag"] or validator["modified"])


def test_what_an_earlier_process_left_is_used(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, cuts=[120_000, 0, 0, 0]))
    with pytest.raises(NetworkError, match="cut off"):
        load(url, tmp_path)
    assert (tmp_path / "file.part").stat().st_size == 120_000
    assert load(url, tmp_path) == DATA
    assert ranges(server)[-1] == "bytes=120000-"


def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, ranges=False, cuts=[200_000]))
    assert load(url, tmp_path) == DATA


@pytest.mark.parametrize("length", [len(DATA), len(DATA) + 10_000])
@pytest.mark.parametrize("conditions", [True, False])
def test_a_file_that_changes_in_between_is_never_mixed(conditions: bool, length: int, server: Server, tmp_path: Path) -> None:
    other = random.Random(8).randbytes(length)

    def change(served: Served) -> None:
        served.data, served.etag = other, '"two"'

    url = server.put("x", Served(DATA, cuts=[150_000], conditions=conditions, change=change))
    assert load(url, tmp_path) == other


def test_a_file_that_shrinks_in_between_is_never_mixed(server: Server, tmp_path: Path) -> None:
    def change(served: Served) -> None:
        served.data = DATA[:1000]

    url = server.put("x", Served(DATA, cuts=[150_000], conditions=False, change=change))
    assert load(url, tmp_path) == DATA[:1000]


@pytest.mark.parametrize("begins", [0, 90_000, 110_000])
def test_a_rest_that_begins_elsewhere_is_not_appended(begins: int, server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, cuts=[100_000], begins=begins))
    assert load(url, tmp_path) == DATA
    assert ranges(server) == ["", "bytes=100000-", ""]


def test_without_a_sign_that_it_is_the_same_file_it_begins_anew(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, etag="", cuts=[100_000]))
    assert load(url, tmp_path) == DATA
    weak = server.put("weak", Served(DATA, etag='W/"weak"', cuts=[100_000]))
    (tmp_path / "file").unlink()
    assert load(weak, tmp_path) == DATA
    assert set(ranges(server)) == {""}


def test_a_resumed_file_with_a_wrong_sha256_is_loaded_once_more_in_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(bytes(100_000))
    url = server.put("x", Served(DATA))
    (tmp_path / "file.part.json").write_text(json.dumps({"url": url, "etag": '"one"', "modified": "", "total": "300000"}))
    assert load(url, tmp_path, sha256=SHA256) == DATA
    assert ranges(server) == ["bytes=100000-", ""]


def test_bytes_of_another_address_are_not_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(bytes(100_000))
    (tmp_path / "file.part.json").write_text(json.dumps({"url": "http://elsewhere/x", "etag": '"one"', "total": "300000"}))
    assert load(server.put("x", Served(DATA)), tmp_path) == DATA
    (tmp_path / "file").unlink()
    (tmp_path / "file.part").write_bytes(bytes(100_000))
    (tmp_path / "file.part.json").write_text("[1]")
    assert load(server.put("x", Served(DATA)), tmp_path) == DATA


@pytest.mark.parametrize("shape", [{"chunked": True}, {"announced": None}])
def test_a_length_that_is_not_announced_is_no_obstacle(shape: dict[str, object], server: Server, tmp_path: Path) -> None:
    assert load(server.put("x", Served(DATA, **shape)), tmp_path) == DATA  # type: ignore[arg-type]


def test_a_cut_is_seen_in_chunks_too(server: Server, tmp_path: Path) -> None:
    assert load(server.put("x", Served(DATA, chunked=True, cuts=[100_000])), tmp_path) == DATA


def test_a_cut_is_seen_without_an_announced_length_if_the_size_is_published(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, announced=None, cuts=[100_000]))
    assert load(url, tmp_path, size=len(DATA)) == DATA
    assert ranges(server) == ["", "bytes=100000-"]


def test_a_busy_server_is_asked_again_when_it_says(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, statuses=[503, 429], headers={"Retry-After": "30"}))
    began = time.monotonic()
    assert load(url, tmp_path) == DATA
    assert 0.1 <= time.monotonic() - began < 20, "but never longer than our own patience"


def test_redirects_are_followed_to_the_same_host(server: Server, tmp_path: Path) -> None:
    server.put("real%20file", Served(DATA))
    assert load(server.put("x", Served(redirect="/real%20file")), tmp_path) == DATA


# --- what never comes whole ---------------------------------------------------------------------------------------------


def test_a_server_that_always_breaks_off_is_given_up_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, cuts=[1000, *[0] * 9]))
    with pytest.raises(NetworkError, match=r"cannot load from 127.0.0.1: the connection was cut off"):
        load(url, tmp_path)
    assert len(server.asked) == CALM.attempts
    assert (tmp_path / "file.part").read_bytes() == DATA[:1000]
    assert not (tmp_path / "file").exists()


def test_a_server_that_falls_silent_is_given_up(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, piece=1000, pause_s=15))
    began = time.monotonic()
    with pytest.raises(NetworkError, match="timed out"):
        download(Wanted(url, web.typed(url), patience=replace(HASTY, stall_s=0.2)), tmp_path / "file")
    assert time.monotonic() - began < 10


def test_a_server_that_trickles_is_given_up(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, piece=10, pause_s=0.05))
    began = time.monotonic()
    with pytest.raises(NetworkError, match="too slow"):
        download(Wanted(url, web.typed(url), patience=HASTY), tmp_path / "file")
    assert time.monotonic() - began < 10


def test_headers_that_trickle_are_given_up(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, dawdle_s=0.1))
    began = time.monotonic()
    with pytest.raises(NetworkError, match="too slow"):
        download(Wanted(url, web.typed(url), patience=replace(HASTY, stall_s=0.2)), tmp_path / "file")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("announced", [1000, 299_999, 300_001, 10_000_000])
def test_a_length_other_than_the_published_one_is_refused_before_the_body(announced: int, server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, announced=announced))
    with pytest.raises(NetworkError, match=r"were published"):
        load(url, tmp_path, size=len(DATA))
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_promises_too_much_is_not_believed_for_ever(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, announced=400_000, ranges=False))
    with pytest.raises(NetworkError, match="cut off"):
        load(url, tmp_path)


def test_a_length_that_promises_too_little_ends_in_a_wrong_sha256(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, announced=1000))
    with pytest.raises(NetworkError, match="sha256"):
        load(url, tmp_path, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [{"chunked": True}, {"announced": None}])
def test_more_bytes_than_were_published_are_not_taken(shape: dict[str, object], server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA, **shape))  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="more than 200,000 bytes"):
        load(url, tmp_path, size=200_000)
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_published_one_is_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="sha256") as caught:
        load(server.put("x", Served(DATA[:-1] + b"x")), tmp_path, sha256=SHA256)
    assert "nothing of it was kept" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_told_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="answers 404"):
        load(f"http://127.0.0.1:{server.port}/nothing", tmp_path)
    assert len(server.asked) == 1


def test_without_a_network_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*words: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lost)
    began = time.monotonic()
    with pytest.raises(NetworkError, match="looked up"):
        download(Wanted("https://example.org/x", web.Rules()), tmp_path / "file")
    assert time.monotonic() - began < 10


# --- where a download may lead ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("http://127.0.0.2:{port}/x", "to port"),
        ("http://127.0.0.1:1/x", "port 1"),
        ("http://127.0.0.1/x", "not a public address"),
        ("http://localhost/x", "not a public address"),
        ("http://2130706433/x", "not a public address"),
        ("http://0.0.0.0/x", "not a public address"),
        ("http://10.1.2.3/x", "not a public address"),
        ("http://192.168.0.1/x", "not a public address"),
        ("http://172.16.0.1/x", "not a public address"),
        ("http://100.64.0.1/x", "not a public address"),
        ("http://169.254.169.254/latest/meta-data", "not a public address"),
        ("http://[::1]/x", "not a public address"),
        ("http://[fe80::1]/x", "not a public address"),
        ("http://[fd00::1]/x", "not a public address"),
        ("http://[::ffff:127.0.0.1]/x", "not a public address"),
        ("http://[64:ff9b::7f00:1]/x", "not a public address"),
        ("http://[2002:7f00:1::]/x", "not a public address"),
        ("http://user:secret@10.1.2.3/x", "not a public address"),
        ("file:///etc/passwd", "no web address"),
        ("ftp://127.0.0.1/x", "no web address"),
        ("data:text/plain,x", "no web address"),
        ("http://[broken/x", "no web address"),
        ("http://127.0.0.1:99999/x", "no web address"),
        ("//10.1.2.3/x", "not a public address"),
    ],
)
def test_a_redirect_never_leads_into_a_private_network_or_out_of_the_web(target: str, word: str, server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(redirect=target.format(port=server.port)))
    with pytest.raises(NetworkError, match=word):
        load(url, tmp_path)
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_redirects_in_a_circle_and_without_end_are_left(server: Server, tmp_path: Path) -> None:
    server.put("a", Served(redirect="/b"))
    url = server.put("b", Served(redirect="/a"))
    with pytest.raises(NetworkError, match="in a circle"):
        load(url, tmp_path)
    for n in range(8):
        server.put(f"r{n}", Served(redirect=f"/r{n + 1}"))
    with pytest.raises(NetworkError, match="more than 5 times"):
        load(f"http://127.0.0.1:{server.port}/r0", tmp_path)


def test_a_name_is_looked_up_once_and_the_checked_address_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server of names that answers a public address first, and a private one when asked again, wins nothing."""
    answers, connected = [["93.184.216.34", "10.0.0.1"], ["127.0.0.1"]], []

    def look_up(host: str, port: int, **more: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, port)) for address in answers.pop(0)]

    def connect(address: tuple[str, int], timeout: float) -> None:
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(web, "getproxies", dict)
    with pytest.raises(NetworkError, match="refused"):
        download(Wanted("https://example.org/x", web.Rules()), tmp_path / "file")
    assert connected == [("93.184.216.34", 443)], "the private one beside it is not tried either"


def test_a_dataset_comes_only_from_its_hosts(server: Server, tmp_path: Path) -> None:
    rules = web.Rules(frozenset({"127.0.0.1"}), ("127.0.0.1", server.port))
    url = server.put("x", Served(redirect="https://example.org/x"))
    with pytest.raises(NetworkError, match=r"sends us to example.org, which is not known"):
        download(Wanted(url, rules), tmp_path / "file")
    with pytest.raises(NetworkError, match="not a public address"):
        download(Wanted(url, web.Rules(frozenset({"127.0.0.1"}))), tmp_path / "file")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("needs the program openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder / "both.pem"


def test_an_encrypted_connection_needs_a_valid_certificate_and_is_never_left(
    certificate: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(certificate) as secure:
        url = secure.put("x", Served(DATA))
        with pytest.raises(NetworkError, match=r"certificate of 127\.0\.0\.1 is not valid"):
            load(url, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
        assert load(url, tmp_path) == DATA
        (tmp_path / "file").unlink()
        down = secure.put("down", Served(redirect=server.put("x", Served(DATA))))
        with pytest.raises(NetworkError, match="from an encrypted connection to an open one"):
            load(down, tmp_path)
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [("93.184.216.34", True), ("2606:4700::1111", True), ("224.0.0.1", False), ("255.255.255.255", False), ("240.0.0.1", False),
     ("192.0.2.1", False), ("::", False), ("::7f00:1", False), ("2002:5db8:d822::", True), ("fe80::1%eth0", False)],
)  # fmt: skip
def test_addresses_of_the_open_internet_are_told_from_others(address: str, public: bool) -> None:
    assert web.is_public(address) is public


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://", "http://[x", "https://exa mple.org:port/"])
def test_an_address_that_is_none_is_a_usage_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no address of the web"):
        fetch.order(url, tmp_path)


# --- interruptions and full disks ---------------------------------------------------------------------------------------


def run_child(url: str, folder: Path, **more: object) -> subprocess.Popen[str]:
    paths = [str(Path(kapelle.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "KAPELLE_HOME": str(folder / "home"), "KAPELLE_LANG": "en", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "kapelle", "data", "fetch", url, "--yes", "-o", str(folder / "data"), "--json"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **more
    )  # type: ignore[call-overload, no-any-return]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_goes_on_byte_for_byte(number: signal.Signals, server: Server, tmp_path: Path) -> None:
    data = zipped({"a.mid": DATA})
    served = Served(data, piece=10_000, pause_s=0.05)
    url = server.put("mine.zip", served)
    child = run_child(url, tmp_path)
    part = tmp_path / "data" / ".fetching" / "mine" / "mine.zip.part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 50_000) and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    if number != signal.SIGKILL:
        told = json.loads(out)
        assert (child.returncode, told["exit_code"]) == (130, 130), err
        assert "are kept in" in told["error"]
    had = part.stat().st_size
    assert 50_000 < had < len(data) and part.read_bytes() == data[:had]
    assert not (tmp_path / "data" / "mine").exists()
    served.pause_s = 0
    fetch.fetch(replace(fetch.order(url, tmp_path / "data"), patience=CALM), {}, keep=True)
    assert ranges(server)[-1] == f"bytes={had}-"
    assert (tmp_path / "data" / "mine.zip").read_bytes() == data
    assert (tmp_path / "data" / "mine" / "a.mid").read_bytes() == DATA
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["mine", "mine.zip"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_a_storage_error_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    url = server.put("x", Served(DATA))
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError, match="File too large"):
            load(url, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "file.part").read_bytes() == DATA[:100_000]
    assert load(url, tmp_path) == DATA
    assert ranges(server) == ["", "bytes=100000-"]


def test_a_disk_that_will_be_full_is_told_before(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.put("x", Served(DATA))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 100))  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="needs 300,000 more bytes, and 100 are free"):
        load(url, tmp_path)


def test_ctrl_c_while_waiting_is_told_with_what_is_kept(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    url = server.put("x", Served(DATA, cuts=[70_000]))
    monkeypatch.setattr("kapelle.data.download.time", SimpleNamespace(sleep=stopped))
    with pytest.raises(Interrupted, match="70,000 bytes are kept"):
        download(Wanted(url, web.typed(url), patience=CALM), tmp_path / "file")


# --- from an order to a folder ------------------------------------------------------------------------------------------


def bring(what: str | Path, out: Path, recipes: dict[str, Path] | None = None, **more: object) -> fetch.Fetched:
    made = fetch.order(str(what), out, **more)  # type: ignore[arg-type]
    return fetch.fetch(replace(made, patience=CALM), recipes or {})


def row(url: str, **more: object) -> Dataset:
    return Dataset("test-set", "A set", url, "test_set", "MIT", "open", "Somebody", **more)  # type: ignore[arg-type]


def row_order(dataset: Dataset, server: Server, out: Path) -> fetch.Order:
    """The order of a row, which may come from this machine."""
    own = ("127.0.0.1", server.port)
    rules = web.Rules(dataset.all_hosts, own)
    return fetch.Order(dataset.name, out, out / dataset.folder, dataset, None, dataset.url, rules, dataset.sha256, CALM)


def test_an_address_becomes_a_folder_that_tells_its_source(server: Server, tmp_path: Path) -> None:
    url = server.put("My%20Set.v1.zip", Served(SET))
    found = bring(url, tmp_path)
    assert found.folder == tmp_path / "My Set.v1"
    assert sorted(path.relative_to(found.folder).as_posix() for path in found.folder.rglob("*") if path.is_file()) == [
        "SOURCE.json", "top/LICENSE", "top/jazz/a.mid", "top/jazz/b.mid",
    ]  # fmt: skip
    assert (found.midi, found.sha256) == (2, hashlib.sha256(SET).hexdigest())
    source = json.loads((found.folder / "SOURCE.json").read_text())
    assert (source["url"], source["sha256"]) == (url, found.sha256)
    assert [path.name for path in tmp_path.iterdir()] == ["My Set.v1"], "no archive, no folder of work is left"
    assert bring(url, tmp_path).files == 4 and len(server.asked) == 1, "what was fetched before is not fetched again"
    (tmp_path / "other.zip").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        fetch.order(url.replace("My%20Set.v1", "other.zip"), tmp_path)
    (found.folder / "old.mid").write_bytes(b"old")
    assert not (bring(url, tmp_path, force=True).folder / "old.mid").exists()


def test_a_row_unpacks_what_it_names_and_is_remembered_as_compared(server: Server, tmp_path: Path) -> None:
    data = zipped({"Repo-1/README.md": b"hi", "Repo-1/code.py": b"", "Repo-1/Songs/1/a.mid": b"1", "Repo-1/Songs/1/versions/v.mid": b"2"})
    url = server.put("abc.zip", Served(data))
    dataset = row(url, inside="Songs", leave_out=("*/versions/*",), size=len(data), sha256=hashlib.sha256(data).hexdigest())
    state, recipe = tmp_path / "home" / "datasets.json", tmp_path / "r.toml"
    recipe.write_text('[[data.sources]]\nfolder = "test_set/1"\n')
    found = fetch.fetch(row_order(dataset, server, tmp_path / "data"), {"r": recipe, "s": tmp_path / "none"}, state=state)
    assert sorted(path.name for path in found.folder.rglob("*")) == ["1", "README.md", "SOURCE.json", "a.mid"]
    assert (found.recipes, found.data) == (("r",), tmp_path / "data")
    held = json.loads(state.read_text())["test-set"]
    assert (held["sha256"], held["size"], held["problem"]) == (dataset.sha256, len(data), "")
    assert json.loads((found.folder / "SOURCE.json").read_text())["licence"] == "MIT"


def test_a_row_whose_archive_is_another_one_says_so(server: Server, tmp_path: Path) -> None:
    dataset = row(server.put("abc.zip", Served(SET)), inside="Songs")
    with pytest.raises(UnreadableInput, match="no folder Songs"):
        fetch.fetch(row_order(dataset, server, tmp_path), {})
    assert not (tmp_path / "test_set").exists()


def test_a_table_is_taken_as_it_is(server: Server, tmp_path: Path) -> None:
    dataset = row(server.put("features.csv", Served(b"a,b\n1,2\n")))
    found = fetch.fetch(row_order(dataset, server, tmp_path), {})
    assert (found.folder / "features.csv").read_bytes() == b"a,b\n1,2\n"
    assert (found.files, found.midi) == (2, 0)


def test_a_page_instead_of_the_file_is_told(server: Server, tmp_path: Path) -> None:
    url = server.put("set.tar.gz", Served(b"<!DOCTYPE html><html>Quota exceeded</html>", kind="text/html"))
    with pytest.raises(NetworkError, match="sent a web page instead of the file") as caught:
        bring(url, tmp_path)
    assert url in caught.value.hint
    assert not list(tmp_path.rglob("set*.tar.gz"))


@pytest.mark.parametrize(
    "data",
    [
        zipped({"../evil.mid": b"1"}),
        tarred({"a": special(b"2", "/etc"), "a/passwd": b"1"}),
        tarred({"a.mid": bytes(80_000_000)}, "gz"),
        SET[:-30],
    ],
    ids=["traversal", "link", "bomb", "cut"],
)
def test_a_hostile_download_leaves_nothing_and_is_asked_for_anew(data: bytes, server: Server, tmp_path: Path) -> None:
    url = server.put("set.zip", Served(data))
    for _ in range(2):
        with pytest.raises(UnreadableInput):
            bring(url, tmp_path)
    assert len(server.asked) == 2
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_while_unpacking_keeps_the_download(server: Server, tmp_path: Path) -> None:
    url = server.put("set.zip", Served(zipped({"a.mid": bytes(200_000)})))
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError):
            bring(url, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert bring(url, tmp_path).files == 2
    assert len(server.asked) == 1


def test_a_local_archive_and_a_local_folder_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "mine.tar.xz").write_bytes(tarred({"mine/jazz/a.mid": b"1"}, "xz"))
    recipe = tmp_path / "r.toml"
    recipe.write_text('[[data.sources]]\nfolder = "jazz"\n')
    found = bring(tmp_path / "mine.tar.xz", tmp_path / "data", {"r": recipe})
    assert (found.folder / "jazz" / "a.mid").exists(), "a lone folder of the archive's own name is not doubled"
    assert (found.data, found.recipes) == (found.folder, ("r",))
    assert (tmp_path / "mine.tar.xz").exists()
    again = bring(found.folder, tmp_path / "unused", {"r": recipe})
    assert (again.folder, again.midi, again.recipes) == (found.folder, 1, ("r",))
    assert not (tmp_path / "unused").exists()


def test_an_archive_loaded_by_hand_is_known_by_its_name_and_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "maestro-v3.0.0-midi.zip"
    path.write_bytes(zipped({"maestro-v3.0.0/2004/a.midi": b"1", "maestro-v3.0.0/2006/b.midi": b"2"}))
    wish = fetch.order(str(path), tmp_path / "data")
    assert (wish.name, wish.folder.name) == ("maestro", "maestro")
    with pytest.raises(UnreadableInput, match="sha256"):
        fetch.fetch(wish, {})
    found = fetch.fetch(replace(wish, sha256=None), {})
    assert (found.folder / "2004" / "a.midi").exists()


def test_what_is_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="'maestr'") as caught:
        fetch.order("maestr", tmp_path)
    assert "maestro" in caught.value.hint
    with pytest.raises(Missing, match="no file"):
        fetch.order("nothing.zip", tmp_path)
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        fetch.order("maestro", tmp_path, sha256="abc")


def test_two_processes_do_not_fetch_the_same_at_once(server: Server, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / ".fetching" / "set").mkdir(parents=True)
    with (tmp_path / ".fetching" / "set" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process"):
            bring(server.put("set.zip", Served(SET)), tmp_path)
    assert server.asked == []


# --- comparing a row with its server ------------------------------------------------------------------------------------


def check(dataset: Dataset, server: Server, folder: Path, full: bool = False) -> Check:
    order = row_order(dataset, server, folder)
    return fetch.verify(dataset, folder / "datasets.json", folder / "work", full=full, order=order)


def test_a_row_is_compared_by_headers_or_in_full(server: Server, tmp_path: Path) -> None:
    served = Served(SET)
    dataset = row(server.put("set.zip", served), size=len(SET), sha256=hashlib.sha256(SET).hexdigest())
    found = check(dataset, server, tmp_path)
    assert (found.size, found.sha256, found.problem) == (len(SET), None, "")
    assert [method for method, _, _ in server.asked] == ["HEAD"]
    served.methods = ("GET",)
    assert check(dataset, server, tmp_path).size == len(SET)
    assert ranges(server)[-1] == "bytes=0-0"
    found = check(dataset, server, tmp_path, full=True)
    assert (found.sha256, found.problem) == (dataset.sha256, "")
    assert [path.name for path in tmp_path.iterdir()] == ["datasets.json"]


def test_a_row_that_is_no_longer_true_is_told(server: Server, tmp_path: Path) -> None:
    url = server.put("set.zip", Served(SET))
    assert check(row(url, size=5), server, tmp_path).problem == f"{len(SET)} bytes came, and 5 were published"
    assert check(row(url, sha256="0" * 64), server, tmp_path, full=True).problem.startswith("the sha256 is")
    assert check(row(url.replace("set", "gone")), server, tmp_path).problem == "it answers 404"
    page = server.put("page.zip", Served(b"<html>", kind="text/html; charset=utf-8"))
    assert check(row(page), server, tmp_path).problem == "a web page came"
    assert check(row(page), server, tmp_path, full=True).problem == "a web page came"
    nobody = row("http://127.0.0.1:1/x")
    with pytest.raises(NetworkError, match="cannot load"):
        order = replace(row_order(nobody, server, tmp_path), rules=web.typed(nobody.url))
        fetch.verify(nobody, tmp_path / "datasets.json", tmp_path / "work", order=order)


def test_a_check_of_another_address_counts_for_nothing(tmp_path: Path) -> None:
    state = tmp_path / "home" / "datasets.json"
    known = catalogue.find("groove")
    catalogue.keep_check(state, "groove", Check("2026-01-02", known.url, 1))
    catalogue.keep_check(state, "maestro", Check("2026-01-02", "https://elsewhere/x"))
    assert catalogue.read_checks(state) == {"groove": Check("2026-01-02", known.url, 1)}
    state.write_text("{")
    assert catalogue.read_checks(state) == {}
