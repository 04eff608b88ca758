"""Weights: found, fetched from a hub that misbehaves, compared, told apart; and what is said when they cannot be had."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from kapelle.data import web
from kapelle.errors import Interrupted, Missing, NetworkError, StorageError, UnreadableInput, UsageError
from kapelle.text_audio import catalogue, hub, shelf, weights
from tiny_hub import hub as tiny_hub

MUSICGEN = replace(catalogue.find("musicgen-small"), revision="main")
STABLE = replace(catalogue.find("stable-audio-open"), revision="main")
BIG = bytes(range(256)) * 400
FILES = {
    "config.json": b"{}", "generation_config.json": b'{"a": 1}', "tokenizer.json": b"[]", "spiece.model": b"pieces", "merges.txt": b"",
    "model.safetensors": BIG, "LICENSE": b"words", "README.md": b"read me", "pytorch_model.bin": b"pickle", "state_dict.bin": b"pickle",
    "pytorch_model.bin.index.json": b"{}", "model.fp16.safetensors": b"half", "onnx/config.json": b"{}", ".gitattributes": b"",
}  # fmt: skip
WANTED = {"config.json", "generation_config.json", "tokenizer.json", "spiece.model", "merges.txt", "model.safetensors", "LICENSE"}


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(web.Patience, "__init__", quick(web.Patience.__init__))
    with tiny_hub() as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


def quick(init):
    return lambda self, **given: init(self, **{"pause_s": 0.01, "longest_pause_s": 0.02, "attempts": 3, **given})


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_fetch_brings_what_is_needed_and_no_pickle(server):
    commit = server.put(MUSICGEN.repo, FILES)
    seen = []
    folder = weights.fetch(MUSICGEN, progress=lambda done, total: seen.append((done, total)))
    assert names(folder) == WANTED
    assert folder == shelf.snapshot(MUSICGEN.repo, commit)
    assert (folder / "model.safetensors").read_bytes() == BIG
    assert not server.asked(".bin") and not server.asked("README")
    size = sum(len(FILES[name]) for name in WANTED)
    assert seen[-1] == (size, size) and {total for _, total in seen} == {size}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert weights.size(MUSICGEN) == size
    assert weights.find(MUSICGEN) == folder


def test_what_is_here_is_not_asked_for_again(server):
    server.put(MUSICGEN.repo, FILES)
    folder = weights.fetch(MUSICGEN)
    before = len(server.server.asked)
    assert weights.fetch(MUSICGEN) == weights.fetch(MUSICGEN, offline=True) == folder
    assert len(server.server.asked) == before


def test_an_interrupted_fetch_goes_on_where_it_ended(server):
    server.put(MUSICGEN.repo, FILES)
    big = server.file(MUSICGEN.repo, "model.safetensors")
    big.piece, big.pause_s = 10_000, 0.001
    seen = []

    def stop():
        return bool(seen) and seen[-1] > 50_000

    with pytest.raises(Interrupted, match="kept"):
        weights.fetch(MUSICGEN, progress=lambda done, total: seen.append(done), cancelled=stop)
    assert weights.find(MUSICGEN) is None
    (part,) = (shelf.repository(MUSICGEN.repo) / "blobs").glob("*.part")
    held = part.stat().st_size
    assert held >= 40_000
    folder = weights.fetch(MUSICGEN)
    assert (folder / "model.safetensors").read_bytes() == BIG
    assert server.asked("cdn")[-1][2]["Range"] == f"bytes={held}-"
    assert not list((shelf.repository(MUSICGEN.repo) / "blobs").glob("*.part*"))


def test_a_connection_that_breaks_off_is_taken_up_again(server):
    server.put(MUSICGEN.repo, FILES)
    server.file(MUSICGEN.repo, "model.safetensors").cuts = [30_000, 20_000, 1]
    assert (weights.fetch(MUSICGEN) / "model.safetensors").read_bytes() == BIG
    assert [asked[2].get("Range") for asked in server.asked("cdn")] == [None, "bytes=30000-", "bytes=50000-", "bytes=50001-"]


def test_wrong_bytes_are_asked_for_once_more_and_then_refused(server):
    server.put(MUSICGEN.repo, FILES)
    server.repositories[MUSICGEN.repo].wrong["model.safetensors"] = 3
    with pytest.raises(NetworkError, match="came twice"):
        weights.fetch(MUSICGEN)
    assert len(server.asked("cdn")) == 2
    assert weights.find(MUSICGEN) is None
    assert not [path for path in (shelf.repository(MUSICGEN.repo) / "blobs").iterdir() if path.stat().st_size == len(BIG)]

    assert (weights.fetch(MUSICGEN) / "model.safetensors").read_bytes() == BIG
    assert len(server.asked("cdn")) == 4


def test_a_wrong_small_file_is_noticed_too(server):
    server.put(MUSICGEN.repo, FILES)
    server.repositories[MUSICGEN.repo].told["config.json"] = "0" * 40
    with pytest.raises(NetworkError, match=r"config\.json .* came twice"):
        weights.fetch(MUSICGEN)


def test_the_first_commit_is_kept_to(server):
    first = server.put(MUSICGEN.repo, FILES)
    weights.fetch(MUSICGEN)
    server.put(MUSICGEN.repo, {**FILES, "config.json": b'{"newer": 1}'})
    assert weights.fetch(MUSICGEN).name == first
    shutil.rmtree(shelf.cache())
    with pytest.raises(NetworkError, match=f"no version {first}"):
        weights.fetch(MUSICGEN)


def test_a_proposal_is_fetched_and_its_commit_kept_to(server):
    proposed = replace(MUSICGEN, revision="refs/pr/10")
    commit = server.put(MUSICGEN.repo, FILES)
    server.repositories[MUSICGEN.repo].branch = proposed.revision
    folder = weights.fetch(proposed)
    assert folder.name == commit
    assert (shelf.repository(MUSICGEN.repo) / "refs" / "refs" / "pr" / "10").read_text() == commit
    assert weights.find(proposed, offline=True) == folder


def test_a_pinned_commit_is_fetched_and_no_other(server):
    commit = server.put(MUSICGEN.repo, FILES)
    with pytest.raises(NetworkError, match="no version 0000"):
        weights.fetch(replace(MUSICGEN, revision="0" * 40))
    assert weights.fetch(replace(MUSICGEN, revision=commit)).name == commit
    assert weights.find(replace(MUSICGEN, revision="0" * 40)) is None


def test_a_changed_file_is_noticed_and_fetched_again(server):
    server.put(MUSICGEN.repo, FILES)
    folder = weights.fetch(MUSICGEN)
    path = (folder / "model.safetensors").resolve()
    path.write_bytes(b"x" + BIG[1:])
    assert weights.verify(MUSICGEN).damaged == ("model.safetensors",)
    with pytest.raises(UnreadableInput, match=r"model\.safetensors is not what was published"):
        weights.fetch(MUSICGEN, offline=True)
    assert (weights.fetch(MUSICGEN) / "model.safetensors").read_bytes() == BIG
    assert weights.verify(MUSICGEN).damaged == ()


def test_a_thorough_look_finds_what_size_and_time_do_not_show(server):
    server.put(MUSICGEN.repo, FILES)
    path = (weights.fetch(MUSICGEN) / "model.safetensors").resolve()
    state = path.stat()
    path.write_bytes(b"x" + BIG[1:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    weights.fetch(MUSICGEN, offline=True)
    read = []
    found = weights.verify(MUSICGEN, progress=lambda done, total: read.append((done, total)))
    assert found.damaged == ("model.safetensors",) and found.n_files == len(WANTED)
    assert read[-1][0] == len(BIG)


def test_a_truncated_file_is_not_found(server):
    server.put(MUSICGEN.repo, FILES)
    path = (weights.fetch(MUSICGEN) / "model.safetensors").resolve()
    path.write_bytes(BIG[:-1])
    assert weights.find(MUSICGEN) is None
    assert (weights.fetch(MUSICGEN) / "model.safetensors").read_bytes() == BIG


PIPELINE = {
    "model_index.json": json.dumps({"_class_name": "X", "vae": ["diffusers", "V"], "tokenizer": ["transformers", "T"]}).encode(),
    "vae/config.json": b"{}", "vae/diffusion_pytorch_model.safetensors": BIG, "vae/diffusion_pytorch_model.bin": b"pickle",
    "tokenizer/tokenizer_config.json": b"{}", "tokenizer/spiece.model": b"pieces", "model.safetensors": b"another layout",
    "model_config.json": b"{}", "LICENSE.md": b"words",
}  # fmt: skip


def test_of_a_pipeline_its_parts_are_fetched(server):
    server.put(STABLE.repo, PIPELINE)
    folder = weights.fetch(STABLE)
    assert names(folder) == {
        "model_index.json", "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer_config.json",
        "tokenizer/spiece.model", "LICENSE.md",
    }  # fmt: skip
    assert shelf.is_whole(folder, None)
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert not shelf.is_whole(folder, None)


def test_shards_are_fetched_unless_the_whole_is_there(server):
    index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}).encode()
    shards = {f"model-0000{i}-of-00002.safetensors": BIG[i:] for i in (1, 2)} | {
        "model.safetensors.index.json": index,
        "config.json": b"{}",
    }
    server.put(MUSICGEN.repo, shards)
    folder = weights.fetch(MUSICGEN)
    assert names(folder) == set(shards)
    assert shelf.is_whole(folder, None)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert not shelf.is_whole(folder, None)
    server.put(STABLE.repo, {**shards, "model.safetensors": BIG})
    assert names(weights.fetch(STABLE)) == {"config.json", "model.safetensors"}


def test_pickles_alone_are_refused(server):
    server.put(MUSICGEN.repo, {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(Missing, match="pickles alone"):
        weights.fetch(MUSICGEN)
    assert not server.asked("resolve")


def test_the_two_doors_of_a_gated_model_are_explained(server, monkeypatch):
    server.put(STABLE.repo, PIPELINE, gated=True)
    with pytest.raises(Missing, match="nobody is logged in") as caught:
        weights.fetch(STABLE)
    assert "HF_TOKEN" in caught.value.hint and f"{server.url}/{STABLE.repo}" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    with pytest.raises(NetworkError, match="does not accept this token"):
        weights.fetch(STABLE)
    server.tokens.add("hf_abc")
    with pytest.raises(Missing, match="this account has not"):
        weights.fetch(STABLE)
    server.consented.add("hf_abc")
    assert weights.fetch(STABLE).is_dir()


def test_a_token_is_for_the_hub_alone_and_not_for_whom_it_sends_us_to(server, monkeypatch):
    server.put(STABLE.repo, PIPELINE, gated=True)
    server.tokens.add("hf_abc")
    server.consented.add("hf_abc")
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    with tiny_hub() as other:
        other.put(STABLE.repo, PIPELINE)
        server.cdn = other.url
        monkeypatch.setattr(web, "is_public", lambda address: True)
        monkeypatch.setattr(web, "PORTS", {**web.PORTS, "other": other.server.port})
        weights.fetch(STABLE)
    assert server.asked("resolve")[0][2]["Authorization"] == "Bearer hf_abc"
    assert other.asked("cdn") and not any("Authorization" in headers for _, _, headers in other.server.asked)


def test_offline_and_missing_says_what_to_fetch_and_how_large_it_is(server, monkeypatch):
    with pytest.raises(Missing, match="musicgen-small are not on this machine") as caught:
        weights.fetch(MUSICGEN, offline=True)
    assert "facebook/musicgen-small, about 2.4 GB" in caught.value.hint
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Missing):
        weights.fetch(MUSICGEN)
    assert not server.server.asked


def test_no_network_and_a_busy_hub_are_one_line_each(server, monkeypatch):
    server.put(MUSICGEN.repo, FILES)
    server.busy = 100
    with pytest.raises(NetworkError, match="it answers 503"):
        weights.fetch(MUSICGEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="the hub does not give facebook/musicgen-small") as caught:
        weights.fetch(MUSICGEN)
    assert "--weights" in caught.value.hint
    with pytest.raises(NetworkError, match="the hub has no facebook/musicgen-large"):
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.busy = 0
        weights.fetch(replace(catalogue.find("musicgen-large"), revision="main"))


def test_a_file_that_cannot_be_had_says_so(server):
    server.put(MUSICGEN.repo, FILES)
    server.file(MUSICGEN.repo, "model.safetensors").statuses = [404]
    with pytest.raises(NetworkError, match="404"):
        weights.fetch(MUSICGEN)


def test_a_full_disk_is_told_before_anything_is_downloaded(server, monkeypatch):
    server.put(MUSICGEN.repo, FILES)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(StorageError, match="GB more") as caught:
        weights.fetch(MUSICGEN)
    assert "HF_HOME" in caught.value.hint
    assert not server.asked("resolve")


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(server):
    server.put(MUSICGEN.repo, FILES)
    work = shelf.repository(MUSICGEN.repo)
    work.mkdir(parents=True)
    (work / "blobs").write_text("in the way")
    with pytest.raises(StorageError, match="blobs") as caught:
        weights.fetch(MUSICGEN)
    assert "HF_HOME" in caught.value.hint


def test_names_that_would_lead_elsewhere_are_refused(server):
    server.put(MUSICGEN.repo, {**FILES, "../../evil.json": b"{}"})
    with pytest.raises(UnreadableInput, match="cannot be"):
        weights.fetch(MUSICGEN)


def test_two_fetches_of_the_same_do_not_meet(server):
    from kapelle.data.storage import alone

    server.put(MUSICGEN.repo, FILES)
    work = shelf.repository(MUSICGEN.repo)
    with alone(work, work), pytest.raises(UsageError, match="another process"):
        weights.fetch(MUSICGEN)


CLIENT = """
import sys
from huggingface_hub import constants, snapshot_download
print(constants.HF_HUB_CACHE)
print(snapshot_download(sys.argv[1], local_files_only=sys.argv[2] == "here", ignore_patterns=["*.bin"]))
"""


def client(repo, where):
    """What the hub's own client does in a process of its own, since it reads its environment once."""
    command = [sys.executable, "-c", CLIENT, repo, where]
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    return [Path(line) for line in answer.stdout.splitlines()]


def test_the_hub_s_own_client_finds_what_we_fetched(server):
    server.put(MUSICGEN.repo, FILES)
    folder = weights.fetch(MUSICGEN)
    assert client(MUSICGEN.repo, "here") == [shelf.cache(), folder]


def test_we_find_what_the_hub_s_own_client_fetched(server):
    commit = server.put(MUSICGEN.repo, FILES)
    _, folder = client(MUSICGEN.repo, "there")
    asked = len(server.server.asked)
    assert weights.find(MUSICGEN) == weights.fetch(MUSICGEN) == folder
    assert weights.verify(MUSICGEN).commit == commit and weights.verify(MUSICGEN).n_files >= len(WANTED)
    assert len(server.server.asked) == asked
    (folder / "model.safetensors").resolve().write_bytes(BIG[:-1] + b"x")
    assert (weights.fetch(MUSICGEN) / "model.safetensors").read_bytes() == BIG


def test_a_given_folder_is_taken_as_it_is(tmp_path, server):
    with pytest.raises(Missing, match="no folder"):
        weights.find(MUSICGEN, tmp_path / "none")
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(Missing, match="holds no weights"):
        weights.find(MUSICGEN, folder)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UnreadableInput, match=r"as pytorch_model\.bin, a pickle"):
        weights.find(MUSICGEN, folder)
    (folder / "model.safetensors").write_bytes(BIG)
    assert weights.find(MUSICGEN, folder, offline=True) == folder


def test_a_fingerprint_is_of_the_contents_wherever_they_lie(tmp_path, server):
    server.put(MUSICGEN.repo, FILES)
    folder = weights.fetch(MUSICGEN)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "notes.md").write_text("mine")
    whole = weights.fingerprint(folder)
    assert len(whole) == 64 and weights.fingerprint(copy) == whole
    (copy / "config.json").write_bytes(b'{"x": 1}')
    assert weights.fingerprint(copy) != whole


def test_a_home_that_cannot_be_written_to_is_told(server, monkeypatch, tmp_path):
    server.put(MUSICGEN.repo, FILES)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError):
        weights.fetch(MUSICGEN)


def test_the_cache_is_where_the_environment_says(monkeypatch):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert shelf.cache() == Path.home() / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert shelf.cache() == Path("/x/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "/home")
    assert shelf.cache() == Path("/home/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/cache")
    assert shelf.cache() == Path("/cache")


def test_finding_needs_no_hub_library_and_no_torch():
    code = (
        "import sys; from kapelle.text_audio import catalogue, weights; weights.find(catalogue.find('musicgen-small'));"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub', 'scipy') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_the_page_of_a_repository_is_on_the_hub(monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert hub.page("a/b") == "https://huggingface.co/a/b"


def test_a_model_of_pickles_is_looked_for_where_its_conversion_lies(server, tmp_path):
    lumina = catalogue.find("lumina-music")
    assert weights.find(lumina) is None
    for offline in (False, True):
        with pytest.raises(Missing, match="published as pickles") as caught:
            weights.fetch(lumina, offline=offline)
        assert "lumina_convert" in caught.value.hint and str(weights.converted(lumina)) in caught.value.hint
    assert not server.server.asked
    (weights.converted(lumina) / "maa2").mkdir(parents=True)
    (weights.converted(lumina) / "maa2" / "maa2.safetensors").write_bytes(BIG)
    assert weights.find(lumina) == weights.fetch(lumina, offline=True) == weights.converted(lumina)
    assert len(weights.fingerprint(weights.converted(lumina))) == 64
    assert weights.find(lumina, tmp_path) == tmp_path


KILLED = """
import sys
from dataclasses import replace
from kapelle.text_audio import catalogue, weights
weights.fetch(replace(catalogue.find("musicgen-small"), revision="main"), progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_a_fetch_that_was_killed_goes_on_in_another_process(server):
    server.put(MUSICGEN.repo, FILES)
    big = server.file(MUSICGEN.repo, "model.safetensors")
    big.piece, big.pause_s = 2_000, 0.02
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) > 30_000:
                process.kill()
                break
    (part,) = (shelf.repository(MUSICGEN.repo) / "blobs").glob("*.part")
    held = part.stat().st_size
    assert 20_000 < held < len(BIG)
    big.pause_s = 0.0
    assert (weights.fetch(MUSICGEN) / "model.safetensors").read_bytes() == BIG
    assert server.asked("cdn")[-1][2]["Range"] == f"bytes={held}-"


def test_a_system_without_links_has_the_files_themselves(server, monkeypatch):
    def refuse(*_):
        raise OSError(1314, "a privilege is not held")

    server.put(MUSICGEN.repo, FILES)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = weights.fetch(MUSICGEN)
    assert names(folder) == WANTED and not any(path.is_symlink() for path in folder.iterdir())
    asked = len(server.server.asked)
    assert weights.fetch(MUSICGEN) == folder and weights.verify(MUSICGEN).damaged == ()
    assert len(server.server.asked) == asked


def test_what_is_compared_is_read_once(server, monkeypatch):
    server.put(MUSICGEN.repo, FILES)
    folder = weights.fetch(MUSICGEN)
    (shelf.notes() / shelf.DIGESTS).unlink()
    for read in ([(len(BIG), sum(len(FILES[name]) for name in WANTED))], []):
        seen = []
        assert weights.fetch(MUSICGEN, offline=True, progress=lambda done, total: seen.append((done, total))) == folder  # noqa: B023
        assert seen == read


def test_another_commit_fetches_only_what_differs(server):
    first = server.put(MUSICGEN.repo, FILES)
    weights.fetch(MUSICGEN)
    second = server.put(MUSICGEN.repo, {**FILES, "config.json": b'{"newer": 1}'})
    asked = len(server.asked("resolve"))
    folder = weights.fetch(replace(MUSICGEN, revision=second))
    assert folder.name == second != first
    assert [path.rpartition("/")[2] for _, path, _ in server.asked("resolve")[asked:]] == ["config.json"]
    assert (folder / "model.safetensors").read_bytes() == BIG
