"""Training needs shards and a recipe, and nothing of music; and no newer or older Python than the project says."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
NEEDED = [*(SRC / "kapelle/training").glob("*.py"), *(SRC / "kapelle/data").glob("*.py"), SRC / "kapelle/models/gpt.py"]


def test_training_imports_nothing_of_music() -> None:
    pytest.importorskip("torch")
    code = (
        "import sys, kapelle.training.fit, kapelle.training.score, kapelle.training.trees, kapelle.models.gpt\n"
        "banned = ('symusic', 'miditok', 'music21', 'onnxruntime', 'pretty_midi', 'mido', 'kapelle.tokens', 'kapelle.score')\n"
        # where librosa is installed, as for our tests, torchmetrics, which lightning brings along, loads onnxruntime for its sake
        "banned = tuple(name for name in banned if name != 'onnxruntime' or 'librosa' not in sys.modules)\n"
        "print([name for name in sys.modules if name.startswith(banned)])"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", NEEDED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_syntax_is_that_of_python_3_11(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_newer_pythons_compile_it_without_a_warning(version: str, tmp_path: Path) -> None:
    found = shutil.which(f"python{version}")
    if not found or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} here")
    names = ", ".join(repr(str(path)) for path in NEEDED)
    code = f"import pathlib\nfor name in ({names}): compile(pathlib.Path(name).read_bytes(), name, 'exec')"
    done = subprocess.run([found, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
