"""New files have the permissions of the user's other files, and asking changes nothing for anybody else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kapelle import fresh
from kapelle.audio.files import replacing
from kapelle.score.write import write_bytes


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_what_is_written_has_the_permissions_of_the_users_other_files(mask: int, tmp_path: Path) -> None:
    lines = [
        "import os, sys; from pathlib import Path",
        "from kapelle.audio.files import replacing; from kapelle.score.write import write_bytes",
        f"os.umask({mask}); folder = Path(sys.argv[1])",
        "write_bytes(folder / 'a', b'')",
        "with replacing(folder / 'b') as place: place.write_bytes(b'')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines), str(tmp_path)], check=True, timeout=60)
    assert [path.stat().st_mode & 0o777 for path in sorted(tmp_path.iterdir())] == [0o666 & ~mask] * 2


def test_nobodys_umask_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one for all threads: two that set it and put it back could leave it changed."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("it was set"))
    write_bytes(tmp_path / "a", b"")
    with replacing(tmp_path / "b") as place:
        place.write_bytes(b"")


def test_no_two_are_the_same(tmp_path: Path) -> None:
    made: list[Path] = []

    def make() -> None:
        for _ in range(50):
            handle, path = fresh.file_in(tmp_path, ".x-", ".part")
            os.close(handle)
            made.append(path)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 200 == len(list(tmp_path.glob(".x-*.part")))


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_ctrl_c_leaves_nothing_half_written(at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.mid").write_bytes(b"before")
    monkeypatch.setattr(*((os, "fsync") if at == "fsync" else (Path, "replace")), interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a.mid", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mid"]
    assert (tmp_path / "a.mid").read_bytes() == b"before"
