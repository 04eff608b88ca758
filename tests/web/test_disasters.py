"""What befalls a studio from outside: disks that fill, processes that are killed. It says so, loses nothing, and goes on afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kapelle import api
from kapelle.bundles import load
from studios import Studio, start_studio

pytestmark = [
    pytest.mark.skipif(not load.installed(), reason="no bundle is installed"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and signals as Linux has them"),
]

TWO: dict[str, Any] = {"length": {"amount": 2, "unit": "bars"}, "seed": 7}
LONG: dict[str, Any] = {"length": {"amount": 12, "unit": "bars"}, "seed": 11, "count": 2}


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the studio's processes put what is temporary."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, row.split())) for row in found.splitlines()]
    own = [child for child, parent in pairs if parent == pid]
    return [*own, *(one for child in own for one in children(child))]


def processes(studio: Studio) -> list[int]:
    assert studio.process is not None
    return [studio.process.pid, *children(studio.process.pid)]


def begun(studio: Studio, body: dict[str, Any]) -> str:
    """The id of a job of which notes are there already."""
    job = str(studio.post("/api/compose", body).json()["id"])
    for _, name, _ in studio.events(job):
        if name == "notes":
            break
    return job


def is_whole(studio: Studio, piece: str) -> bool:
    """Whether a piece is what its seed makes."""
    record = studio.get(f"/api/pieces/{piece}").json()
    bars = record["n_bars"]
    return studio.get(f"/api/pieces/{piece}/file/mid").content == api.compose(bars=bars, seed=record["seed"]).to_midi()


def litter(folder: Path) -> list[Path]:
    """Files that were begun and never put in their place."""
    return [path for path in folder.rglob("*") if path.is_file() and (path.suffix in (".part", ".tmp") or path.name.startswith("."))]


# --- full disks -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("disks cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk_is_told_loses_nothing_and_once_there_is_room_all_goes_on(small_disk: Path) -> None:
    studio = start_studio(small_disk, "--processes", "1")
    try:
        first = studio.compose(**TWO)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as out:
            try:
                while out.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        answer = studio.post("/api/compose", {**TWO, "seed": 8})
        if answer.status_code == 202:  # there was room for the job in the database
            job = studio.wait(answer.json())
            assert job["state"] == "failed", job
            told = job["error"]
        else:
            assert answer.status_code == 507
            told = answer.json()["error"]
        assert told["kind"] == "StorageError", told
        assert "disk" in told["message"]
        assert str(small_disk) not in told["message"]
        sent = studio.request("POST", "/api/uploads?name=x.mid", content=studio.get(f"/api/pieces/{first['id']}/file/mid").content)
        assert sent.status_code in (201, 507)
        assert is_whole(studio, first["id"])
        filler.unlink()
        second = studio.compose(**{**TWO, "seed": 9})
        assert is_whole(studio, second["id"])
        assert studio.get(f"/api/pieces/{first['id']}").status_code == 200
        assert not litter(studio.folder)
    finally:
        studio.stop()


def test_files_that_may_not_grow_are_told_and_later_all_goes_on(tmp_path: Path) -> None:
    import resource

    studio = start_studio(tmp_path, "--processes", "1")
    try:
        first = studio.compose(**TWO)
        for process in processes(studio):
            resource.prlimit(process, resource.RLIMIT_FSIZE, (256, resource.RLIM_INFINITY))
        answer = studio.post("/api/compose", {**TWO, "seed": 8})
        assert answer.status_code == 507, answer.text
        assert answer.json()["error"]["hint"]
        assert studio.request("POST", "/api/uploads?name=x.mid", content=api.compose(**{"bars": 8, "seed": 1}).to_midi()).status_code == 507
        assert studio.patch(f"/api/pieces/{first['id']}", {"title": "no room"}).status_code == 507
        assert studio.get("/api/pieces").json()["total"] == 1
        for process in processes(studio):
            resource.prlimit(process, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        second = studio.compose(**{**TWO, "seed": 9})
        assert is_whole(studio, second["id"])
        assert is_whole(studio, first["id"])
        assert studio.patch(f"/api/pieces/{first['id']}", {"title": "room"}).json()["title"] == "room"
    finally:
        studio.stop()


# --- killed -----------------------------------------------------------------------------------------------------------------------


def done_once(studio: Studio, job: str, pieces: int) -> None:
    """See that a job was done, and its pieces are there once each."""
    found = studio.wait(job)
    assert found["state"] == "done", found
    assert len(set(found["pieces"])) == len(found["pieces"]) == pieces
    library = studio.get("/api/pieces").json()
    assert library["total"] == pieces
    assert {one["id"] for one in library["pieces"]} == set(found["pieces"])
    assert all(is_whole(studio, piece) for piece in found["pieces"])
    names = [name for _, name, _ in studio.events(job)]
    assert names.count("done") == 1
    assert names.count("piece") == pieces


def test_all_processes_are_killed_in_the_midst_and_the_job_is_done_once(tmp_path: Path, scratch: Path) -> None:
    studio = start_studio(tmp_path, "--processes", "1")
    try:
        job = begun(studio, LONG)
        waiting = processes(studio)
        studio.kill()
        for process in waiting[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        studio.restart()
        done_once(studio, job, 2)
        assert not litter(studio.folder)
        assert gone(waiting)
    finally:
        studio.stop()
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def gone(pids: list[int], seconds: float = 20.0) -> bool:
    """Whether processes end by themselves within a time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1][:3] for pid in pids):
            return True
        time.sleep(0.1)
    return False


def test_a_service_manager_s_word_ends_all_within_seconds_and_the_job_goes_on_next_time(tmp_path: Path, scratch: Path) -> None:
    studio = start_studio(tmp_path, "--processes", "2", "--servers", "2")
    job = begun(studio, LONG)
    all_of_them = processes(studio)
    began = time.monotonic()
    assert studio.process is not None
    studio.process.send_signal(signal.SIGTERM)
    code = studio.process.wait(30)
    assert time.monotonic() - began < 12
    assert code in (0, 143, -signal.SIGTERM, 130)
    assert gone(all_of_them, 5)
    studio.restart()
    try:
        done_once(studio, job, 2)
        assert not litter(studio.folder)
    finally:
        studio.stop()
    assert not [path for path in scratch.rglob("*") if path.is_file()]


def test_nothing_temporary_is_left_by_sounds_scores_and_uploads(tmp_path: Path, scratch: Path) -> None:
    studio = start_studio(tmp_path, "--processes", "1")
    try:
        piece = studio.compose(**TWO)["id"]
        for kind in ("wav", "mp3", "musicxml", "pdf", "png", "stems.zip", "score.zip"):
            answer = studio.get(f"/api/pieces/{piece}/file/{kind}")
            assert answer.status_code in (200, 424), answer.text
        upload = studio.upload(studio.get(f"/api/pieces/{piece}/file/mid").content)
        job = studio.post("/api/extend", {"source": {"upload": upload["id"]}, **TWO}).json()
        assert studio.wait(job)["state"] == "done"
        assert not list((studio.folder / "uploads").iterdir())
        assert not litter(studio.folder)
        left = [path for path in scratch.rglob("*") if path.is_file()]
        assert not left
    finally:
        studio.stop()
