"""The stateless application on Ray Serve: a cluster on this machine, set up from the configuration file that the docs name."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kapelle import api
from kapelle.bundles import load
from kapelle.errors import KapelleError, UsageError
from kapelle.web import cluster

ROOT = Path(__file__).parents[2]
FOUR = {"length": {"amount": 4, "unit": "bars"}, "seed": 7}
LONG = {"length": {"amount": 500, "unit": "bars"}, "seed": 7}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A cluster of two processors, with one replica that composes and one request that may wait."""
    if not load.installed():
        pytest.skip("no bundle is installed")
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    serve = pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
    yaml = pytest.importorskip("yaml")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    table = yaml.safe_load((ROOT / "deploy" / "serve.yaml").read_text(encoding="utf-8"))
    given = {**table["applications"][0]["args"], "most": 1, "fronts": 1, "waiting": 1, "cpus": 0.5}
    port = free_port()
    environment = {"PYTHONPATH": str(ROOT / "src"), "RAY_USAGE_STATS_ENABLED": "0"}
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": environment},
    )
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(cluster.application(given), name="kapelle", route_prefix="/")
        yield f"http://127.0.0.1:{port}"
    finally:
        ray.shutdown()  # with all that runs on it; asking Serve to end first takes five seconds more


def events_of(answer: httpx.Response) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Time, name and data of every event."""
    name = ""
    for line in answer.iter_lines():
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield time.monotonic(), name, json.loads(value)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_cluster_composes_the_bytes_that_this_process_composes(url: str) -> None:
    own = api.compose(model="genre-small", bars=4, seed=7).to_midi()
    answer = httpx.post(f"{url}/compose", json={**FOUR, "model": "genre-small"}, timeout=60)
    assert answer.content == own
    assert httpx.get(f"{url}/health").json()["ok"] is True
    assert "genre-small" in [model["name"] for model in httpx.get(f"{url}/models").json()]


@pytest.mark.slow
def test_notes_come_before_the_piece_is_done_and_in_order(url: str) -> None:
    with httpx.stream("POST", f"{url}/compose/events", json={**FOUR, "length": {"amount": 32}}, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = list(events_of(answer))
    names = [name for _, name, _ in told]
    assert names[-2:] == ["piece", "done"]
    assert told[-1][0] - told[names.index("notes")][0] > 0.1  # streamed, not gathered
    if "restarted" not in names:
        bars = [data["bar"] for _, name, data in told if name == "bar"]
        assert bars == list(range(32))
    piece = api.compose(bars=32, seed=7)
    assert base64.b64decode(told[-2][2]["midi"]) == piece.to_midi()


@pytest.mark.slow
def test_errors_are_those_of_the_studio(url: str) -> None:
    answer = httpx.post(f"{url}/compose", json={"length": {"amount": 1000}}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, 2)
    assert httpx.post(f"{url}/compose", json={"model": "nobody"}, timeout=60).json()["error"]["kind"] == "UnknownName"


@pytest.mark.slow
def test_who_goes_away_frees_the_replica(url: str) -> None:
    with httpx.stream("POST", f"{url}/compose/events", json=LONG, timeout=60) as answer:
        next(events_of(answer))
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{url}/compose", json=LONG, timeout=0.5)
    began = time.monotonic()
    assert httpx.post(f"{url}/compose", json=FOUR, timeout=60).status_code == 200
    assert time.monotonic() - began < 8  # 500 bars would take longer


@pytest.mark.slow
def test_who_would_wait_behind_too_many_is_asked_to_come_again(url: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: httpx.post(f"{url}/compose", json={**FOUR, "length": {"amount": 32}}, timeout=60), range(6)))
    codes = [answer.status_code for answer in answers]
    assert {200, 503} == set(codes)
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["kind"] == "Busy"


def test_settings_may_be_text_and_are_checked() -> None:
    settings = cluster.settings_of({"most": "32", "cpus": "0.5", "models": "genre-small, band", "token": "x"})
    assert (settings.most, settings.cpus, settings.models) == (32, 0.5, ("genre-small", "band"))
    assert "x" not in repr(settings)
    for wrong in ({"most": "many"}, {"most": 0}, {"least": 9}, {"replicas": 2}):
        with pytest.raises(KapelleError):
            cluster.settings_of(wrong)


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAPELLE_TOKEN", "secret")
    assert cluster.settings_of({}).token == "secret"


def test_the_configuration_file_is_one_of_ray_serve() -> None:
    schema = pytest.importorskip("ray.serve.schema", reason="Ray Serve is not installed")
    yaml = pytest.importorskip("yaml")
    table = yaml.safe_load((ROOT / "deploy" / "serve.yaml").read_text(encoding="utf-8"))
    (application,) = schema.ServeDeploySchema(**table).applications
    assert application.import_path == f"{cluster.__name__}:{cluster.application.__name__}"
    assert cluster.settings_of(application.args).most == 16


def test_contradictions_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="contradict"):
        cluster.settings_of({"least": 3, "most": 2})
