"""The self-test: passed by a model that works, and failed, question by question, by models that do not."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")

import tiny_musicgen
from kapelle.api import imagining
from kapelle.audio import Waveform
from kapelle.data import web
from kapelle.errors import Interrupted, Missing
from kapelle.text_audio import catalogue
from kapelle.text_audio.opening import open_model
from kapelle.text_audio.selftest import self_test
from tiny_hub import hub as tiny_hub

NAMES = ["weights", "length", "level", "clipping", "same seed", "other seed"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tiny")
    tiny_musicgen.save(made)
    return made


def test_a_model_that_works_passes_from_a_folder(folder):
    seen = []
    backend = open_model(tiny_musicgen.model(), folder)
    report = self_test(backend, folder, given=True, progress=lambda done, total: seen.append((done, total)))
    assert report.passed, report.findings
    assert [finding.name for finding in report.findings] == NAMES
    assert report.findings[1].detail == "96,000 frames, 1 channels, 32,000 Hz"
    assert seen[-1][0] == seen[-1][1] and [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len({total for _, total in seen}) == 1
    assert report.seconds > 0
    with pytest.raises(Interrupted):
        self_test(backend, folder, cancelled=lambda: True)


def test_it_fetches_the_smallest_model_from_the_hub(folder, tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(web.Patience, "pause_s", 0.01)
    with tiny_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        commit = server.add("facebook/musicgen-small", folder)
        monkeypatch.setattr(catalogue, "MODELS", tuple(replace(model, revision="main") for model in catalogue.MODELS))
        told, fetched = [], []
        way = imagining.SoundWay(device="cpu", notice=told.append, fetching=lambda done, total: fetched.append(done))
        report = imagining.self_test(way=way)
        assert report.passed, report.findings
        assert report.folder.name == commit and fetched
        assert [text.splitlines()[1] for text in told] == ["licence: CC BY-NC 4.0, not for money; name the authors"]
        assert report.findings[0].detail.endswith(f"files as published, commit {commit[:12]}")
        with pytest.raises(Missing, match="not on this machine"):
            imagining.self_test("musicgen-medium", imagining.SoundWay(offline=True))


class Broken:
    """A backend that gives what it is told to."""

    model = tiny_musicgen.model()

    def __init__(self, change):
        self.change = change

    def imagine(self, request, *, progress, cancelled):
        for number in range(request.count):
            samples = np.random.default_rng(request.seed + number).uniform(-0.5, 0.5, (96_000, 1)).astype(np.float32)
            yield self.change(request, samples)


def wave(samples):
    return Waveform(samples, 32_000)


def shaken(request, samples):
    samples[0] += 1e-6 * request.count
    return wave(samples)


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda request, samples: wave(samples), []),
        (lambda request, samples: wave(samples[:-1]), ["length"]),
        (lambda request, samples: wave(samples * 1e-4), ["level"]),
        (lambda request, samples: wave(np.sign(samples)), ["clipping"]),
        (shaken, ["same seed"]),
        (lambda request, samples: wave(np.linspace(-0.5, 0.5, 96_000)[:, None]), ["other seed"]),
        (lambda request, samples: wave(samples[: 90_000 + 1000 * request.count]), ["length", "same seed"]),
    ],
)
def test_each_fault_fails_its_question(folder, change, failed):
    report = self_test(Broken(change), folder, given=True)
    assert [finding.name for finding in report.findings if not finding.passed] == failed
    assert report.passed == (not failed)
