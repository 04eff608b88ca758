"""Tiny shards and a tiny recipe, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import tunes


@dataclass(frozen=True)
class Tiny:
    recipe: Path
    shards: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    from kapelle.data.prepare import preparation, prepare

    folder = tmp_path_factory.mktemp("tiny")
    recipe = folder / "tiny.toml"
    recipe.write_text(tunes.RECIPE)
    prepare(tunes.write_folder(folder / "midi"), preparation(recipe), folder / "shards")
    return Tiny(recipe, folder / "shards")
