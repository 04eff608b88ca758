"""MuseScore as another engraver, where it is installed.

Takes MusicXML; gives the files that MuseScore makes of it. It is called as a program of its own, without a window. Its bytes are
MuseScore's business and need not repeat.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kapelle.errors import Missing, UnreadableInput

PROGRAMS = ("mscore", "musescore", "mscore4portable", "musescore4", "musescore3", "MuseScore4", "MuseScore3", "mscore3", "MuseScore")
_TIMEOUT_S = 300


def program() -> str:
    """The path of MuseScore.

    Raises:
        Missing: It is not on the path.
    """
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return found
    raise Missing("MuseScore is not installed", hint="leave out --engraver, or install it from musescore.org and put it on the PATH")


def convert(musicxml: str, suffix: str, *, dpi: int = 150) -> list[bytes]:
    """The pages, or the one file, that MuseScore makes of `musicxml`.

    Args:
        musicxml: The score.
        suffix: ``.pdf``, ``.svg`` or ``.png``.
        dpi: Dots per inch, PNG only.

    Raises:
        Missing: MuseScore is not installed.
        UnreadableInput: It failed.
    """
    mscore = program()
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "score.musicxml"), Path(folder, f"page{suffix}")
        source.write_text(musicxml, encoding="utf-8")
        command = [mscore, *(["-r", str(dpi)] if suffix == ".png" else []), "-o", str(out), str(source)]
        environment = {**os.environ, "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen")}
        try:
            answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreadableInput("MuseScore failed: {why}", why=error, hint="leave out --engraver") from error
        made = sorted(Path(folder).glob(f"page*{suffix}"), key=lambda path: (len(path.name), path.name))
        if answer.returncode or not made:
            lines = (answer.stderr or answer.stdout).strip().splitlines() or [f"exit code {answer.returncode}"]
            raise UnreadableInput("MuseScore failed: {why}", why=lines[-1], hint="leave out --engraver")
        return [path.read_bytes() for path in made]
