"""Fragments of melodies as points: the encoder of themes that ships with Kapelle, as the function that `kapelle.data.themes` asks for.

Takes the name or the folder of a bundle of kind encoder whose inputs are the features of `kapelle.data.themes`; gives an `Embed`. Every
fragment is embedded by itself, so that its point does not depend on what else is asked for, whatever 8 bits round.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from kapelle.data import themes
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "theme-encoder"


@cache
def embedder(name: str | Path = NAME) -> themes.Embed:
    """What makes points (N, D) of fragments, with the bundle `name`; loaded once.

    Raises:
        Missing: It is not installed.
        BundleError: It is damaged.
        UsageError: It embeds something else.
    """
    from kapelle.bundles import load
    from kapelle.bundles.session import Embedder

    bundle = load.load(load.find(name))
    session = Embedder(bundle)
    if set(session.inputs) != set(themes.SIZES):
        raise UsageError("the bundle {name} does not embed fragments of melodies", name=bundle.name, hint="theme-encoder does")

    def embed(found: Sequence[themes.Fragment]) -> NDArray[np.float32]:
        rows = [session.embed(themes.features([one])) for one in found]
        return np.concatenate(rows) if rows else np.zeros((0, 1), np.float32)

    return embed
