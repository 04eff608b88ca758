"""The Dockerfile, compose.yaml and .dockerignore name what exists. No Docker engine is needed: the files are read (see containers.py)."""

from __future__ import annotations

import re
import shlex
import tomllib

import pytest

import containers
from containers import ROOT, environment, ignored, lineage
from kapelle.web import server

yaml = pytest.importorskip("yaml")

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
RULES = (ROOT / ".dockerignore").read_text(encoding="utf-8")
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "how-to" / "docker.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STAGES = containers.stages(DOCKERFILE)
SERVICES = yaml.safe_load(COMPOSE_TEXT)["services"]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
IMAGES = ("app", "train")


def arguments(stage):
    """The names of the build arguments that a stage and its ancestors declare."""
    return {item.text.partition("=")[0] for held in (STAGES[""], *lineage(STAGES, stage)) for item in held.all("ARG")}


def default(text):
    """The text of compose.yaml with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


# --- the reader itself ---------------------------------------------------------------------------------------------------------


def test_the_reader_joins_lines_and_tells_stages_apart():
    held = containers.stages("ARG A=1\n# no\nFROM x:1 AS one\nRUN a \\\n  # between\n  && b\nFROM one AS two\nCOPY --from=one /a /b\n")
    assert list(held) == ["", "one", "two"]
    assert held["one"].all("RUN")[0].text == "a && b"
    assert [stage.name for stage in lineage(held, "two")] == ["one", "two"]
    assert held["two"].all("COPY")[0].flags == {"from": "one"} and held["two"].all("COPY")[0].words == ["/a", "/b"]
    with pytest.raises(AssertionError):
        containers.stages("FORM x AS y\n")


@pytest.mark.parametrize(
    ("path", "rules", "expected"),
    [
        ("a", "*", True),
        ("a/b", "*\n!a", False),
        ("a/__pycache__/x", "*\n!a\n**/__pycache__", True),
        ("ab", "*\n!a", True),
        ("a/b/c.pyc", "**/*.pyc", True),
        ("a", "# a", False),
    ],
)
def test_the_last_rule_that_matches_decides_what_is_ignored(path, rules, expected):
    assert ignored(path, rules) is expected


# --- Dockerfile ----------------------------------------------------------------------------------------------------------------


def test_stages_are_built_from_python_slim_or_from_each_other():
    outside = {stage.base for stage in STAGES.values() if stage.name and stage.base not in STAGES}
    assert outside == {"python:${PYTHON_VERSION}-slim"}
    low, high = re.findall(r"3\.(\d+)", PROJECT["project"]["requires-python"])
    version = re.search(r"^ARG PYTHON_VERSION=3\.(\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(low) <= int(version[1]) < int(high)


def test_the_image_that_is_built_when_none_is_named_is_the_app():
    assert list(STAGES)[-1] == "app"


@pytest.mark.parametrize("stage", [name for name in STAGES if name])
def test_what_a_stage_copies_exists_and_reaches_the_builder(stage):
    for item in STAGES[stage].all("COPY"):
        *sources, _ = item.words
        if "from" in item.flags:
            before = list(STAGES)[: list(STAGES).index(stage)]
            assert item.flags["from"] in before
            assert sources == [environment(STAGES, item.flags["from"])["VIRTUAL_ENV"]]
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not ignored(source, RULES), source


def test_every_file_that_the_package_is_built_from_reaches_the_builder():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], *wheel["packages"], *wheel["force-include"]]
    copied = {word for stage in lineage(STAGES, "installed") for item in stage.all("COPY") for word in item.words[:-1]}
    for name in ("pyproject.toml", "constraints.txt", *needed):
        assert not ignored(name, RULES), name
        assert any(name == word or name.startswith(f"{word}/") for word in copied), name
    files = [path for folder in ("src", "recipes", "plans") for path in (ROOT / folder).rglob("*") if path.is_file()]
    hidden = {path.suffix for path in files if ignored(path.relative_to(ROOT).as_posix(), RULES)}
    assert hidden <= {".pyc"}


@pytest.mark.parametrize(
    "path", [".git/config", ".env", "data/x.mid", "runs/a", "out/a.mid", ".venv/bin/python", "kaggle.json", ".kaggle/kaggle.json"]
)
def test_data_keys_and_history_do_not_reach_the_builder(path):
    assert ignored(path, RULES)


def test_installed_extras_exist_and_torch_is_in_the_training_image_alone():
    extras = {name: set() for name in IMAGES}
    for image, source in (("app", "installed"), ("train", "installed-train")):
        for stage in lineage(STAGES, source):
            for item in stage.all("RUN"):
                extras[image] |= set(re.findall(r"--extra (\S+)", item.text))
    known = set(PROJECT["project"]["optional-dependencies"])
    assert extras["app"] == {"fluidsynth", "data"} and extras["app"] < extras["train"] <= known
    assert extras["train"] - extras["app"] == {"train", "wandb"}


def test_installing_is_cached_and_held_to_the_constraints():
    runs = [item.text for stage in STAGES.values() for item in stage.all("RUN") if re.search(r"\b(uv pip|pip|apt-get) install", item.text)]
    assert len(runs) == 6
    for text in runs:
        assert "--mount=type=cache,target=" in text
        if "-r pyproject.toml" in text:
            assert "-c constraints.txt" in text and "${PIP_ARGS}" in text


def test_torch_is_the_cpu_build_unless_another_is_asked_for():
    text = next(item.text for item in STAGES["needs-train"].all("RUN"))
    assert [item.text for item in STAGES["needs-train"].all("ARG")] == ['PIP_ARGS=""', "TORCH=cpu"]
    assert 'cuda) backend=""' in text and '*) backend="--torch-backend=${TORCH}"' in text


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_plain_user_who_exists(image):
    users = [item.text for stage in lineage(STAGES, image) for item in stage.all("USER")]
    assert users == ["kapelle"]
    made = [item.text for stage in lineage(STAGES, image) for item in stage.all("RUN") if "useradd" in item.text]
    assert re.search(r"useradd --uid 1000 .*\bkapelle\b", made[0])
    after = False  # what follows USER installs nothing
    for stage in lineage(STAGES, image):
        for item in stage.instructions:
            assert not (after and item.word == "RUN")
            after = after or item.word == "USER"


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_finds_its_tools_where_they_were_installed(image):
    held = environment(STAGES, image)
    source = next(item for item in STAGES[image].all("COPY") if "from" in item.flags)
    place = environment(STAGES, source.flags["from"])["VIRTUAL_ENV"]
    assert source.words == [place, place]
    assert held["KAPELLE_BIN"] == f"{place}/bin" and held["PATH"].startswith(f"{place}/bin:")
    assert held["BIND"] == "0.0.0.0"
    command = yaml.safe_load(STAGES[image].all("CMD")[0].text)
    assert command[0] == "make" and command[1] in TARGETS


def test_neither_keys_nor_addresses_stand_in_the_files():
    names = re.findall(r"(?:ENV|ARG)\s+(\w+)|\b(\w+)=", DOCKERFILE)
    assert not [name for pair in names for name in pair if re.search(r"KEY|TOKEN|SECRET|PASSWORD", name)]
    assert "://" not in DOCKERFILE and "://" not in RULES
    assert set(re.findall(r"://([\w.]+)", COMPOSE_TEXT)) == {"127.0.0.1"}
    for service in SERVICES.values():
        given = service.get("environment", {})
        assert all(value is None for name, value in given.items() if re.search(r"KEY|TOKEN|USERNAME", name))


# --- compose.yaml --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_built_from_a_stage_that_takes_its_arguments(name):
    build = SERVICES[name]["build"]
    assert build["target"] in IMAGES and build["context"] == "."
    assert set(build["args"]) <= arguments("installed-train" if build["target"] == "train" else "installed")


def test_services_of_one_image_build_it_alike():
    held = {}
    for service in SERVICES.values():
        assert held.setdefault(service["image"], service["build"]) == service["build"]
    assert set(held) == {"kapelle:app", "kapelle:train", "kapelle:train-cuda"}


def test_torch_comes_without_cuda_but_for_the_gpu():
    assert default(SERVICES["training"]["build"]["args"]["TORCH"]) == "cpu"
    assert default(SERVICES["training-gpu"]["build"]["args"]["TORCH"]) == "cuda"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_a_target_of_the_makefile(name):
    assert SERVICES[name]["command"][0] == "make" and SERVICES[name]["command"][1] in TARGETS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_not_root_and_has_no_capabilities(name):
    service = SERVICES[name]
    assert default(service["user"]) == "1000:1000"
    assert service["cap_drop"] == ["ALL"] and service["init"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_folders_are_mounted_where_the_image_works(name):
    work = STAGES["base"].all("WORKDIR")[0].text
    git = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for volume in SERVICES[name]["volumes"]:
        source, target, *mode = default(volume).split(":")
        if source == "~/.kaggle":
            assert target == f"{environment(STAGES, 'app')['HOME']}/.kaggle" and mode == ["ro"] and name == "app"
            continue
        folder = source.removeprefix("./")
        assert target == f"{work}/{folder}" and f"/{folder}/" in git and ignored(f"{folder}/x", RULES)
        assert target in next(item.text for item in STAGES["base"].all("RUN") if "mkdir" in item.text).split()


def test_the_services_that_need_more_are_in_profiles():
    assert {name: service.get("profiles", []) for name, service in SERVICES.items()} == {
        "app": [], "training": ["training"], "training-gpu": ["gpu"], "tensorboard": ["tensorboard"],
    }  # fmt: skip


def test_one_nvidia_gpu_is_reserved_for_the_gpu_profile_alone():
    held = {name: service.get("deploy") for name, service in SERVICES.items()}
    wanted = {"resources": {"reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}}}
    assert held.pop("training-gpu") == wanted and not any(held.values())


@pytest.mark.parametrize(("name", "port", "target"), [("app", 8000, "serve"), ("tensorboard", 6006, "tensorboard")])
def test_ports_agree_from_the_program_to_the_page(name, port, target):
    service = SERVICES[name]
    assert [default(text) for text in service["ports"]] == [f"127.0.0.1:{port}:{port}"]
    assert service["command"] == ["make", target]
    assert str(port) in [item.text for item in STAGES[service["build"]["target"]].all("EXPOSE")]
    assert port == server.PORT or f"--port {port}" in MAKEFILE
    assert f"http://127.0.0.1:{port}" in PAGE
    *start, code = service["healthcheck"]["test"]
    assert start == ["CMD", "python", "-c"] and f"127.0.0.1:{port}/" in code
    compile(code, "healthcheck", "exec")


# --- docs ----------------------------------------------------------------------------------------------------------------------

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = [line for block in CONSOLE.findall(PAGE) for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("docker ")])
def test_a_docker_command_of_the_page_names_what_exists(line):
    words = shlex.split(line)
    if words[1] == "compose":
        named = [word for word in words[3:] if word in SERVICES]
        assert named or words[2] == "build"
        inside = words[words.index(named[0]) + 1 :] if named and words[2] == "run" else []
        assert not inside or inside[0] in ("kapelle", "bash") or inside[1] in TARGETS
        return
    built = {service["image"] for service in SERVICES.values()}
    assert built & set(words)
    if "--target" in words:
        assert words[words.index("--target") + 1] in IMAGES
    if "--build-arg" in words:
        assert words[words.index("--build-arg") + 1].partition("=")[0] in arguments("installed-train")


def test_the_page_names_every_docker_target_and_no_other():
    assert set(re.findall(r"make (docker-[a-z-]+)", PAGE)) == {name for name in TARGETS if name.startswith("docker-")}


def test_the_page_names_every_folder_and_build_argument():
    for variable in re.findall(r"\$\{(\w+):-", COMPOSE_TEXT):
        assert variable in PAGE or variable == "WANDB_MODE", variable
