from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def nonsense(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a bundle that composes."""
    pytest.importorskip("onnx")
    import composers

    return str(composers.build(Path(tmp_path_factory.mktemp("bundles")) / "nonsense"))


@pytest.fixture(scope="session")
def nonsense_band(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with programs as tokens."""
    pytest.importorskip("onnx")
    import composers
    from kapelle.tokens.remi import RemiSpec

    return str(composers.build(Path(tmp_path_factory.mktemp("bundles")) / "band", RemiSpec(genres=("pop",), programs=True)))
