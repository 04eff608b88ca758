"""The package as it is installed: what it needs, how fast it starts, what it carries."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HEAVY = ("torch", "onnxruntime", "miditok", "music21", "matplotlib", "transformers", "scipy", "pretty_midi")
MAX_WEIGHTS = 70_000_000
MAX_CPU_S = 0.3


def names_of(requirements):
    return {re.split(r"[^A-Za-z0-9_.-]", text)[0].lower() for text in requirements}


def run_python(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def cpu_and_modules(action):
    """CPU seconds of an action in a fresh process (the interpreter's own start left out), and the heavy modules it loaded."""
    return run_python(
        "import sys, time, json, io, contextlib\n"
        "began = time.process_time()\n"
        f"with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n    {action}\n"
        "spent = time.process_time() - began\n"
        f"print(json.dumps([spent, [name for name in {HEAVY} if name in sys.modules]]))"
    )


def test_the_base_holds_no_torch():
    base = names_of(PROJECT["dependencies"])
    assert base.isdisjoint({"torch", "transformers", "lightning", "onnx", "safetensors", "tensorboard", "wandb", "miditok"})
    assert "torch" in names_of(PROJECT["optional-dependencies"]["train"])


def test_everything_the_base_needs_is_pinned():
    pinned = names_of(line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line)
    wanted = names_of(PROJECT["dependencies"]) | names_of(PROJECT["optional-dependencies"]["train"])
    assert {name.replace("_", "-") for name in wanted} <= pinned


def test_importing_kapelle_loads_nothing_heavy_and_takes_little():
    tries = [cpu_and_modules("import kapelle; kapelle.Piece") for _ in range(3)]
    assert tries[0][1] == []
    assert min(spent for spent, _ in tries) < MAX_CPU_S


@pytest.mark.skipif(find_spec("kapelle.cli") is None, reason="there is no command line yet")
def test_help_loads_nothing_heavy_and_takes_little():
    tries = [cpu_and_modules("sys.argv = ['kapelle', '--help']; from kapelle.cli import main; main()") for _ in range(3)]
    assert tries[0][1] == []
    assert min(spent for spent, _ in tries) < MAX_CPU_S


def test_asking_for_sound_loads_nothing_heavy_before_a_model_is_opened():
    assert cpu_and_modules("import kapelle; kapelle.imagine; kapelle.denoise_file; kapelle.SoundRequest(prompt='Lo-fi funk')")[1] == []


def test_every_public_name_is_there():
    import kapelle

    assert all(getattr(kapelle, name) is not None for name in kapelle.__all__)
    assert set(kapelle.__all__) <= set(dir(kapelle))


def test_the_version_is_the_same_everywhere():
    import kapelle

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert kapelle.__version__ == PROJECT["version"]
    assert f"version: {PROJECT['version']}\n" in citation


def test_the_weights_keep_to_their_size():
    weights = [path for path in (ROOT / "src" / "kapelle" / "weights").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in weights) <= MAX_WEIGHTS


def test_nothing_in_the_weights_folder_is_a_pickle():
    endings = {path.suffix for path in (ROOT / "src" / "kapelle" / "weights").rglob("*") if path.is_file()}
    assert endings <= {".json", ".onnx", ".md", ".txt", ".idx", ".py"}


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_wheel_carries_code_weights_cards_recipes_and_licence(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    (wheel,) = tmp_path.glob("kapelle-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = next(name for name in held if name.endswith(".dist-info/METADATA"))
        requirements = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist: torch")]
    source = ROOT / "src"
    wanted = {str(path.relative_to(source)) for path in (source / "kapelle").rglob("*.py")}
    wanted |= {str(path.relative_to(source)) for path in (source / "kapelle" / "weights").rglob("*") if path.is_file()}
    wanted |= {f"kapelle/{folder}/{path.name}" for folder in ("recipes", "plans") for path in (ROOT / folder).glob("*.*")}
    assert wanted <= held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert all("extra == " in line for line in requirements)
    assert not any(name.startswith(("tests/", "docs/", "examples/")) for name in held)


def test_every_bundle_that_ships_has_a_card_with_its_licence():
    from kapelle.bundles import load

    for folder in (ROOT / "src" / "kapelle" / "weights").glob("*/bundle.json"):
        bundle = load.load(folder.parent)
        card = bundle.contents["card.md"].decode()
        assert bundle.manifest.licence in card
        assert all(str(source["licence"]).split(" (")[0] in card for source in bundle.manifest.provenance.data)
