"""Every script of examples/ is short, and runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kapelle.bundles import load

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
MAX_LINES = 40


def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(script):
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    assert f"python examples/{script.name}" in "\n".join(lines[:6])


@pytest.mark.skipif(not load.installed(), reason="no bundle is installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_runs(script, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    answer = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout
