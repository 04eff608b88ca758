"""What is said of published models: true to what was counted, complete, and clear about money."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kapelle.errors import CannotObey, UnknownName
from kapelle.text_audio import catalogue

COUNTED = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "sound_models.json").read_text(encoding="utf-8"))


def test_names_are_unique_and_repositories_are_of_their_authors():
    assert len(set(catalogue.names())) == len(catalogue.MODELS) == 15
    assert {model.repo.split("/")[0] for model in catalogue.MODELS} == {"facebook", "cvssp", "stabilityai", "Alpha-VLLM"}


def test_sizes_are_those_that_were_counted():
    assert {model.name: model.n_parameters for model in catalogue.MODELS} == COUNTED["models"]


def test_the_counts_agree_with_what_the_authors_publish():
    parts = COUNTED["parts"]
    assert round(COUNTED["models"]["musicgen-small"] / 1e6) == 591  # as the hub says of its safetensors
    assert [round(parts[f"Stable Audio: {part}"] / 1e6) for part in ("diffusion transformer", "autoencoder")] == [1057, 156]
    assert round(parts["T5-base, encoder"] / 1e6) in (109, 110)


def test_downloads_are_as_large_as_the_hub_lists_them():
    listed_gb = {
        "musicgen-small": 2.36, "musicgen-medium": 8.04, "musicgen-large": 9.99 + 3.73, "musicgen-melody-large": 4.99 + 4.97 + 0.543,
        "musicgen-stereo-small": 1.22, "musicgen-stereo-medium": 4.07, "musicgen-stereo-large": 4.99 + 1.93,
        "musicgen-stereo-melody": 5.0 + 1.33, "musicgen-stereo-melody-large": 4.99 + 4.97 + 0.678,
    }  # fmt: skip
    assert {name: catalogue.find(name).size / 1e9 for name in listed_gb} == pytest.approx(listed_gb, abs=0.015)
    assert "about 1.2 GB" in catalogue.notice(catalogue.find("musicgen-stereo-small"))


@pytest.mark.parametrize("model", catalogue.MODELS, ids=lambda model: model.name)
def test_every_row_is_complete(model):
    assert model.by_hand or re.fullmatch("refs/pr/[0-9]+|[0-9a-f]{40}", model.revision)
    assert model.licence.url.startswith("https://") and model.licence.terms
    assert 0 < model.window_s <= model.longest_s
    assert model.about and (model.steps > 0) == (model.family != "musicgen")
    said = catalogue.notice(model)
    assert model.licence.name in said and model.licence.terms in said and model.licence.url in said and model.repo in said


def test_use_for_money_is_refused_where_the_licence_forbids_it():
    with pytest.raises(CannotObey, match="musicgen-small may not be used for money: its licence is CC BY-NC") as caught:
        catalogue.check_commercial(catalogue.find("musicgen-small"))
    assert "stable-audio-open" in caught.value.hint and "musicgen" not in caught.value.hint
    with pytest.raises(CannotObey):
        catalogue.check_commercial(catalogue.find("audioldm2-music"))
    assert "one million" in catalogue.check_commercial(catalogue.find("stable-audio-open"))
    assert catalogue.check_commercial(catalogue.find("lumina-music")) == ""


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(UnknownName) as caught:
        catalogue.find("musicgen-smal")
    assert "did you mean musicgen-small" in caught.value.hint


def test_facts_need_neither_torch_nor_scipy():
    code = (
        "import sys, kapelle.text_audio.catalogue as c; c.notice(c.MODELS[0]); print({'torch', 'scipy', 'transformers'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert answer.stdout.strip() == "set()", answer.stderr


def test_a_count_made_anew_is_the_one_that_is_kept():
    pytest.importorskip("diffusers")
    torch = pytest.importorskip("torch")
    import importlib.util

    spec = importlib.util.spec_from_file_location("sound_models", Path(__file__).parents[2] / "benchmarks" / "sound_models.py")
    counting = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(counting)
    with torch.device("meta"):
        assert counting.count(counting.musicgen("small", stereo=False, melody=False)) == COUNTED["models"]["musicgen-small"]
