"""The make targets do what they say: inside a folder laid out like the image, and as commands handed to a Docker that only listens."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import containers
from containers import ROOT
from kapelle import api
from kapelle.bundles import load
from kapelle.cli.app import group
from kapelle.cli.console import Console

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
DOCKERED = sorted(name for name in TARGETS if name.startswith("docker-"))
PAGES = sorted(path for folder in ("docs/how-to", "docs/tutorials") for path in (ROOT / folder).glob("*.md"))
STAGES = containers.stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def surroundings(**variables):
    """The environment, without what the caller's may set for make: a make within another one says more."""
    own = re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE)
    return {name: value for name, value in os.environ.items() if name not in own and not name.startswith(("MAKE", "SUDO_"))} | variables


def make(folder, *words, **variables):
    """Run make in a folder."""
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=surroundings(**variables),
        capture_output=True,
        text=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
    )


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def image(tmp_path):
    """A folder with what the image holds, and what it takes from its environment."""
    folder = containers.lay_out(STAGES, "app", tmp_path / "kapelle")
    paths = f"PYTHONPATH={shlex.quote(str(ROOT / 'src'))}"
    script(tmp_path / "bin" / "python", f'{paths} exec "{sys.executable}" "$@"')
    script(tmp_path / "bin" / "kapelle", f'{paths} exec "{sys.executable}" -m kapelle "$@"')
    return folder, {"KAPELLE_BIN": str(tmp_path / "bin"), "KAPELLE_LANG": "en"}


@pytest.fixture
def docker(tmp_path):
    """A folder to call make in, where Docker only writes down what it was told and who runs it."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    script(tmp_path / "bin" / "docker", 'echo "$KAPELLE_UID:$KAPELLE_GID"; printf "%s\\n" "$@"')

    def call(*words, **variables):
        answer = make(folder, *words, PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", HOME=str(tmp_path), **variables)
        assert answer.returncode == 0, answer.stderr
        owner, *told = answer.stdout.splitlines()
        return owner, told

    call.folder = folder
    return call


def check_verb(words):
    """Parse a command line of `kapelle` without doing what it says; one that goes on beside the shell ends in &."""
    words = words[:-1] if words[-1] == "&" else words
    call = group().main(list(words), prog_name="kapelle", standalone_mode=False, obj=Console())
    assert callable(call), words


def test_help_lists_every_target(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    listed = set(re.findall(r"^make ([a-z-]+)", make(tmp_path).stdout, re.MULTILINE))
    assert listed == TARGETS - {"folders"}


@pytest.mark.parametrize("target", DOCKERED)
def test_a_docker_target_runs_the_local_one_inside(docker, target):
    _, told = docker(target)
    local = target.removeprefix("docker-")
    assert told[:3] == ["compose", "run", "--rm"]
    if local == "shell":
        assert told[3:] == ["app", "bash"]
        return
    service = {"train": "training", "tensorboard": "tensorboard"}.get(local, "app")
    ports = ["--service-ports"] if local in ("serve", "tensorboard") else []
    assert told[3:] == [*ports, service, "make", local]
    assert local in TARGETS
    assert {path.name for path in docker.folder.iterdir()} == {"Makefile", "data", "runs", "out"}  # made by you, not by root


def test_what_you_say_to_a_docker_target_is_said_inside(docker):
    _, told = docker("docker-train", "GPU=1", "RECIPE=genre", "SET=training.steps=3 model.dropout=0.1")
    assert told[3:] == ["training-gpu", "make", "train", "RECIPE=genre", "SET=training.steps=3 model.dropout=0.1"]
    _, told = docker("docker-generate", "MODEL=runs/my model", COUNT="2")
    assert told[3:] == ["app", "make", "generate", "MODEL=runs/my model", "COUNT=2"]


def test_the_program_runs_as_you_and_never_as_root(docker):
    mine = [str(os.getuid() or 1000), str(os.getgid() or 1000)]
    assert docker("docker-shell")[0].split(":") == mine
    assert docker("docker-shell", SUDO_UID="1050", SUDO_GID="60")[0] == "1050:60"
    assert docker("docker-shell", SUDO_UID="0", SUDO_GID="0")[0] == "1000:1000"


def test_build_makes_both_images(docker):
    owner, told = docker("build")
    assert told == ["compose", "build", "app", owner, "compose", "--profile", "training", "--profile", "gpu", "build", "training"]
    assert docker("build", "GPU=1")[1][-1] == "training-gpu"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("train", []),
        ("train", ["RECIPE=genre-small", "DATA=data/mine", "SET=training.steps=3 model.dropout=0.1"]),
        ("generate", []),
        ("generate", ["MODEL=runs/remi-lstm/bundle", "COUNT=2", "OPTIONS=--bars 8 --seed 3"]),
        ("serve", []),
        ("serve", ["PORT=8080", "BIND=0.0.0.0", "SERVE=--processes 2 --queue 8"]),
    ],
)
def test_the_verbs_of_a_target_are_understood(tmp_path, target, words):
    shutil.copy(ROOT / "Makefile", tmp_path)
    lines = make(tmp_path, "-n", target, *words, KAPELLE_BIN="/opt/bin").stdout.splitlines()
    verbs = [shlex.split(line)[1:] for line in lines if line.startswith("/opt/bin/kapelle ")]
    assert len(verbs) == 1
    check_verb(verbs[0])
    assert not any("pip" in line or "venv" in line for line in lines)


def test_the_recipe_that_is_trained_by_default_comes_along():
    recipe = re.search(r"^RECIPE \?= (\S+)", MAKEFILE, re.MULTILINE)[1]
    assert api.recipe_path(recipe)


def test_without_a_container_training_adds_to_the_tools_that_play(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    text = make(tmp_path, "-n", "train").stdout
    assert text.index("-m venv .venv") < text.index('-e ".[train,data]"') < text.index(".venv/bin/kapelle fit")


COMMAND = re.compile(r"^(?:\S+=\S+ )*(make|kapelle|docker compose run) [^|#>\n]*", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_targets_and_verbs_that_a_page_shows_exist(page):
    for block in re.findall(r"^```(?:console|bash[ a-z]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for found in COMMAND.finditer(block):
            words = shlex.split(found[0])
            words = words[next(i for i, word in enumerate(words) if word in ("make", "kapelle", "bash", "docker")) :]
            if words[0] == "docker":
                words = words[next(i for i, word in enumerate(words) if word in ("make", "kapelle", "bash")) :]
            if words[0] == "make":
                assert words[1] in TARGETS, words
            elif words[0] == "kapelle":
                check_verb(words[1:])


@pytest.mark.skipif(not load.installed(), reason="no bundle is installed")
def test_in_the_image_pieces_are_composed_and_shown(image):
    folder, environment = image
    answer = make(folder, "generate", "COUNT=2", "OPTIONS=--bars 2 --seed 5 --genre jazz", **environment)
    assert answer.returncode == 0, answer.stderr
    assert len(list(folder.glob("out/*.mid"))) == len(list(folder.glob("out/*.wav"))) == len(list(folder.glob("out/*.png"))) == 2
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(links) == 6 and page.count("<audio") == 2 and "2 bars" in page
    assert all((folder / "out" / link).is_file() for link in links)


@pytest.mark.skipif(not load.installed(), reason="no bundle is installed")
def test_in_the_image_the_studio_opens_to_who_has_the_token(image):
    folder, environment = image
    held = containers.environment(STAGES, "app")
    studio = Path(held["KAPELLE_STUDIO"]).relative_to("/kapelle")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"BIND": held["BIND"], "KAPELLE_STUDIO": str(folder / studio), "KAPELLE_SHOWN_PORT": "8001"}
    server = subprocess.Popen(
        ["make", "serve", f"PORT={port}", "SERVE=--processes 1"], cwd=folder, env=surroundings(**environment, **own),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        line = server.stdout.readline()
        told = re.search(r"http://127.0.0.1:8001/\?token=(\S+)", line)
        assert told, line
        address = f"http://127.0.0.1:{port}"
        assert json.load(urllib.request.urlopen(f"{address}/health", timeout=20)) == {"ok": True}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}/", timeout=20)
        bearer = urllib.request.Request(f"{address}/", headers={"Authorization": f"Bearer {told[1]}"})
        assert b"<html" in urllib.request.urlopen(bearer, timeout=20).read()
        assert (folder / "out" / "studio" / "studio.sqlite").is_file()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=20)


def test_the_page_of_an_empty_folder_says_what_to_do(image):
    folder, environment = image
    subprocess.run(
        [Path(environment["KAPELLE_BIN"]) / "python", "examples/listening_page.py", "out"], cwd=folder, check=True, capture_output=True
    )
    assert "make generate" in (folder / "out" / "index.html").read_text(encoding="utf-8")


def test_in_the_image_a_recipe_is_trained_and_composes(image, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    import tunes

    folder, environment = image
    tunes.write_folder(folder / "data")
    (folder / "tiny.toml").write_text(tunes.RECIPE, encoding="utf-8")
    train = ("train", "RECIPE=tiny.toml", "RUN=runs/tiny", "SET=training.steps=4 training.validate_every=2")
    answer = make(folder, *train, **environment)
    assert answer.returncode == 0, answer.stderr
    assert {"bundle", "run", "shards"} <= {path.name for path in (folder / "runs" / "tiny").iterdir()}
    assert list(folder.glob("runs/*/run/tensorboard/events.*"))  # where `make tensorboard` looks
    answer = make(folder, "generate", "MODEL=runs/tiny/bundle", "COUNT=1", "OPTIONS=--bars 2 --seed 1", **environment)
    assert answer.returncode == 0, answer.stderr
    assert list(folder.glob("out/*.mid"))
