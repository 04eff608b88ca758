"""`kapelle imagine` from nothing: a hub of weights on this machine, a licence, a download, a sound; and how each of them fails."""

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
import tiny_musicgen
import tiny_stable_audio
from kapelle.audio import files
from kapelle.data import web
from kapelle.text_audio import catalogue
from tiny_hub import hub as tiny_hub

SECRETS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
MODEL = "musicgen-stereo-small"
REPO = f"facebook/{MODEL}"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    tiny_musicgen.save(folder / "musicgen", stereo=True)
    tiny_stable_audio.save(folder / "stable", n_latents=32)
    return folder


@pytest.fixture
def server(tmp_path, monkeypatch, published, empty_home):
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    patience = web.Patience.__init__
    monkeypatch.setattr(web.Patience, "__init__", lambda self, **given: patience(self, **{"pause_s": 0.01, "attempts": 2, **given}))
    with tiny_hub() as made:
        made.add(REPO, published / "musicgen")
        made.add("stabilityai/stable-audio-open-1.0", published / "stable", gated=True)
        for model in (catalogue.find(MODEL), catalogue.find("stable-audio-open")):
            made.repositories[model.repo].commit = model.revision
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


def test_the_first_time_tells_the_licence_and_fetches_and_the_second_needs_no_network(run, server, empty_home):
    words = ("imagine", "rock", "-m", MODEL, "-d", 0.5, "-s", 3)
    answer = run(*words, "-o", "a.wav")
    assert answer.code == 0, answer.err
    assert "licence: CC BY-NC 4.0, not for money; name the authors" in answer.err
    assert "https://creativecommons.org/licenses/by-nc/4.0/" in answer.err
    asked = len(server.server.asked)
    answer = run(*words, "-o", "b.wav", "--offline")
    assert (answer.code, len(server.server.asked)) == (0, asked)
    assert "licence" not in answer.err
    assert (empty_home / "a.wav").read_bytes() == (empty_home / "b.wav").read_bytes()
    assert files.read(empty_home / "a.wav").n_channels == 2
    line = next(line for line in run("imagine", "--models").out.splitlines() if line.startswith(f"{MODEL} "))
    assert re.search(r"\byes\b", line)


def test_a_download_that_breaks_off_goes_on(run, server, empty_home):
    words = ("imagine", "rock", "-m", MODEL, "-d", 0.5, "-s", 3, "-o", "a.wav")
    big = server.file(REPO, "model.safetensors")
    big.cuts = [100_000, *[0] * 20]
    answer = run(*words)
    assert answer.code == 5, answer.err
    assert not (empty_home / "a.wav").exists()
    big.cuts = []
    assert run(*words).code == 0


def test_what_is_refused_is_refused_before_the_hub_is_asked(run, server):
    for words in (("", 2), ("rock", "--steps", 3, 2), ("rock", "--commercial", 2), ("rock", "--denoise", "soap", 2)):
        assert run("imagine", *words[:-1], "-m", MODEL).code == words[-1]
    assert not server.server.asked


def test_nobody_is_told_the_terms_of_what_is_not_to_be_had(run, server, monkeypatch):
    from kapelle.text_audio import memory

    assert "licence:" not in run("imagine", "rock", "-m", "lumina-music").err
    with monkeypatch.context() as scarce:
        scarce.setattr(memory, "free", lambda device: 1_000)
        answer = run("imagine", "rock", "-m", MODEL, "-s", 1)
        assert (answer.code, "licence:" in answer.err) == (7, False), answer.err
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer = run("imagine", "rock", "-m", MODEL, "-s", 1)
    assert (answer.code, "licence:" in answer.err) == (4, False), answer.err
    assert not server.server.asked


def test_a_gated_model_says_what_to_do(run, server):
    answer = run("imagine", "rain", "-m", "stable-audio-open", "-o", "a.wav")
    assert answer.code == 4
    assert "Stability AI Community License" in answer.err
    assert "make an account" in answer.err


def test_no_network_is_one_line(run, server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    answer = run("imagine", "rock", "-m", MODEL, "-s", 3)
    assert answer.code == 5
    assert [line for line in answer.err.splitlines() if line.startswith("error: ")] == answer.err.splitlines()[-2:-1]


def test_a_gallery_without_one_of_its_models_has_the_others(run, server, empty_home, published):
    (empty_home / "prompts.txt").write_text("rock\n")
    words = ("imagine", "--gallery", "-o", "site", "-m", MODEL, "-m", "stable-audio-open", "--prompts", "prompts.txt", "-d", 0.5)
    answer = run(*words)
    assert answer.code == 0, answer.err
    assert "stable-audio-open made nothing, or not all: " in answer.err
    page = (empty_home / "site" / "index.html").read_text()
    assert page.count("<audio") == 1
    assert "accepted its licence" in page
