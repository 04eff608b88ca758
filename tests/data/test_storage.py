"""Files appear whole, whoever else writes them."""

from __future__ import annotations

import threading
from pathlib import Path

from kapelle.data.storage import put


def test_two_threads_may_write_one_file_at_once(tmp_path: Path) -> None:
    place = tmp_path / "notes.json"
    both = threading.Barrier(2)

    def write(temporary: Path, text: str) -> None:
        both.wait(10)
        temporary.write_text(text)
        both.wait(10)

    failed: list[BaseException] = []

    def work(text: str) -> None:
        try:
            put(place, lambda temporary: write(temporary, text))
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(letter * 1000,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert place.read_text() in ("a" * 1000, "b" * 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]
