"""The embedding of melodies that preparing songs with themes needs; here, since data may know of no bundle. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapelle.data.recipe import ThemePreparation

if TYPE_CHECKING:
    from kapelle.data.recipe import AnyPreparation
    from kapelle.data.themes import Embed


def embedding(sections: AnyPreparation) -> Embed | None:
    """What makes points of fragments of melodies: the bundle ``theme-encoder``; None for a preparation that needs none.

    Raises:
        Missing: That bundle is not there.
    """
    if not isinstance(sections, ThemePreparation):
        return None
    from kapelle.composing.embedding import embedder

    return embedder()
