"""What of Kapelle's surroundings was found on this machine, and how to add what is missing.

Takes nothing, gives a list of findings in a fixed order. It looks and never changes anything: nothing is installed, fetched or
written. Packages are found, not imported, torch aside, which alone knows what GPU it can use.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kapelle.errors import KapelleError
from kapelle.text_audio import opening

PACKAGES = (
    "kapelle", "numpy", "symusic", "onnxruntime", "pretty_midi", "soundfile", "matplotlib", "resvg-py", "music21", "verovio",
    "typer", "rich", "fastapi", "uvicorn", "markdown-it-py",
)  # fmt: skip

EXTRAS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "train": (
        "training and exporting models",
        {name: name for name in ("torch", "transformers", "lightning", "safetensors", "onnx", "tensorboard")},
    ),
    "wandb": ("following a training run with Weights & Biases", {"wandb": "wandb"}),
    "fluidsynth": ("playing SoundFonts with FluidSynth", {"fluidsynth": "pyfluidsynth"}),
    "data": ("fetching datasets from Kaggle", {"kagglehub": "kagglehub"}),
    "classify": ("growing classifiers as trees", {"catboost": "catboost"}),
    "distributed": ("work over the machines of a Ray cluster", {"ray": "ray[serve]"}),
    "midi": ("playing into MIDI ports", {"rtmidi": "python-rtmidi"}),
    "audio": (
        "making sound from text",
        {name: name for name in opening.PACKAGES},
    ),
    "denoise": ("denoising by spectral gating", {"noisereduce": "noisereduce"}),
}
"""Extra -> what it is for, and its packages: name to import -> name to install."""

MUSESCORE = ("mscore", "musescore", "mscore4portable", "MuseScore4", "musescore4", "musescore3", "mscore3")
MUSESCORE_PLACES = (
    "/Applications/MuseScore 4.app/Contents/MacOS/mscore",
    r"C:\Program Files\MuseScore 4\bin\MuseScore4.exe",
)

FLUIDSYNTH_LINES = {
    "Linux": "sudo apt install libfluidsynth3, then pip install 'kapelle[fluidsynth]'",
    "Darwin": "brew install fluid-synth, then pip install 'kapelle[fluidsynth]'",
    "Windows": "choco install fluidsynth, then pip install 'kapelle[fluidsynth]'",
}

NEEDED_BYTES = 2 * 10**9
"""Free space that training and exporting a small model asks for."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        part: ``Python``, ``package``, ``program``, ``extra``, ``sound``, ``model``, ``sound model`` or ``place``.
        name: What it is called.
        found: It is there and of use.
        needed: Kapelle does not work without it.
        detail: Version, path or size; or what it is for.
        advice: A template: what can be done now; empty if nothing needs to be.
        values: For the template.
    """

    part: str
    name: str
    found: bool
    detail: str = ""
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    needed: bool = False


def diagnose() -> list[Finding]:
    """Everything that was looked for, what is needed first."""
    return [*_python(), *_programs(), _gpu(), *_extras(), _soundfont(), *_models(), *_sound_models(), *_places()]


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding(
        "Python", "Python", good, f"{version}, {platform.platform()}", "" if good else "install Python 3.11, 3.12 or 3.13", needed=True
    )
    for name in PACKAGES:
        version = _version(name)
        yield Finding("package", name, bool(version), version, "" if version else "pip install {name}", {"name": name}, needed=True)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _programs() -> Iterator[Finding]:
    from kapelle.render import fluidsynth_available

    there = fluidsynth_available()
    advice = FLUIDSYNTH_LINES.get(platform.system(), "install its library, then pip install 'kapelle[fluidsynth]'")
    detail = f"pyfluidsynth {_version('pyfluidsynth')}" if there else ""
    yield Finding("program", "FluidSynth", there, detail, "" if there else advice)
    place = next((found for name in (*MUSESCORE, *MUSESCORE_PLACES) if (found := shutil.which(name))), "")
    yield Finding(
        "program", "MuseScore", bool(place), place, "" if place else "install it from musescore.org to open scores as sheet music"
    )


def _gpu() -> Finding:
    """The GPU that training would use."""
    if find_spec("torch") is None:
        name = _nvidia()
        advice = "pip install 'kapelle[train]' to train on it" if name else "none is needed to compose; training is faster with one"
        return Finding("program", "GPU", bool(name), name, advice)
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Finding("program", "GPU", True, ", ".join(names))
    if torch.backends.mps.is_available():
        return Finding("program", "GPU", True, "Apple Metal")
    name = _nvidia()
    advice = "install a torch that is built for CUDA: pytorch.org" if name else "none is needed to compose; training is faster with one"
    return Finding("program", "GPU", False, name or f"torch {torch.__version__}", advice)


def _nvidia() -> str:
    """The names of NVIDIA GPUs by nvidia-smi; empty without any."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ", ".join(done.stdout.split("\n")).strip(", ") if done.returncode == 0 else ""


def _extras() -> Iterator[Finding]:
    for name, (purpose, packages) in EXTRAS.items():
        missing = [package for module, package in packages.items() if find_spec(module) is None]
        advice = "pip install 'kapelle[{extra}]'; missing: {missing}" if missing else ""
        yield Finding("extra", name, not missing, purpose, advice, {"extra": name, "missing": ", ".join(missing)})


def _soundfont() -> Finding:
    from kapelle.render.soundfont_file import bundled

    try:
        path = bundled()
    except KapelleError as error:
        return Finding("sound", "SoundFont", False, "", "{why}", {"why": error})
    return Finding("sound", "SoundFont", True, f"{path.name}, {size(path.stat().st_size)}")


def _models() -> Iterator[Finding]:
    from kapelle.bundles import load

    installed = load.installed()
    for item in installed:
        try:
            bundle = load.load(item.path)
        except KapelleError as error:
            yield Finding("model", item.name, False, str(item.path), "{why}", {"why": error})
        else:
            yield Finding("model", item.name, True, f"{bundle.manifest.kind}, {size(bundle.manifest.n_bytes)}")
    if not installed:
        advice = "bundles belong into {place}; `kapelle export` makes them"
        yield Finding("model", "any", False, "", advice, {"place": load.places()[0]}, needed=True)


def _sound_models() -> Iterator[Finding]:
    """The models that make sound from text whose weights are on this machine; most people have none, and lack nothing."""
    from kapelle.text_audio import catalogue, weights

    there = [(model, folder) for model in catalogue.MODELS if (folder := weights.find(model))]
    for model, folder in there:
        yield Finding("sound model", model.name, True, f"{size(weights.size(model))}, {folder}")
    if not there:
        advice = "`kapelle imagine --self-test` fetches the smallest and tries it; none is needed to compose"
        yield Finding("sound model", "any", False, "", advice)


def _places() -> Iterator[Finding]:
    from kapelle.bundles import load

    for name, path in (("bundles", load.places()[0]), ("working folder", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK)
        advice = "" if writable else "make it writable, or choose another place"
        if writable and free < NEEDED_BYTES:
            advice = "make room on this disk before training"
        yield Finding("place", name, writable, f"{path}, {size(free)}", advice)


def size(n_bytes: float) -> str:
    """A number of bytes for people, such as ``21.4 MB`` (MB = 1,000,000 bytes)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
