"""What makes rows of features when a table is prepared; here, since data may know of no classifier. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapelle.data.recipe import FeaturePreparation, RenderPreparation

if TYPE_CHECKING:
    from kapelle.data.feature_collect import Measure
    from kapelle.data.recipe import AnyPreparation


def measuring(sections: AnyPreparation) -> Measure | None:
    """What measures pieces as the recipe asks; None for a preparation that needs none."""
    if isinstance(sections, RenderPreparation):
        from kapelle.classifiers.renderings import RenderMeasure

        return RenderMeasure(sections.preprocessing)
    if not isinstance(sections, FeaturePreparation):
        return None
    from kapelle import config
    from kapelle.classifiers.midi_rows import Excerpts, MidiMeasure

    return MidiMeasure(Excerpts(**config.plain(sections.preprocessing)))
