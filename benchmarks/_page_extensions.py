"""The sections of docs/reference/figures.md about what the thesis proposed beyond: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts


def theme_interpolation(found: dict[str, Any]) -> str:
    """The ways from one theme to another, with and without a variational encoder."""
    sides = [found["plain"], found["variational"]]
    held_out = {
        "bits_per_token": "bits per id of held-out songs",
        "theme_bits_per_token": "the same inside themes",
        "theme_gain": "bits per id that hearing the right theme saves there",
        "kl_bits": "bits that the slots say of a theme",
        "silent_slots": "slots that say nothing",
    }
    ways = {
        "own_bits": "bits per id of a theme when it is heard",
        "other_bits": "the same when the other one is heard",
        "even_steps": "told: steps on which one theme becomes less likely and the other more",
        "told_jump": "told: the longest step of the way",
        "from_theme": "made at an end: cells that differ from the theme heard",
        "from_other": "the same from the other theme",
        "whole": "made: cells that differ between the ends",
        "step": "made: cells that differ between neighbours, mean",
        "jump": "made: the longest step of the way",
        "pieces": f"made: different regions on {found['places']} places",
        "closed": "made: regions that end",
    }
    rows = [(name, *(_figure(side["held_out"].get(key)) for side in sides)) for key, name in held_out.items()]
    rows += [(name, *(_figure(side[key]) for side in sides)) for key, name in ways.items()]
    return (
        "## From theme to theme\n\n`python benchmarks/theme_interpolation.py SHARDS --plain RUN --variational RUN`; "
        f"{found['pairs']} pairs of themes of held-out songs.\n\n" + _texts.table(("what", "plain", "variational"), rows)
    )


def bridge_joint(found: dict[str, Any]) -> str:
    """A band and a transformer before and after they were trained together."""
    sides = [name for name in ("before", "alone", "after", "held_out") if name in found]
    names = {
        "made_opening_bits": "bits per id of openings, the judge as it was",
        "made_return_bits": "the same where they return as the theme",
        "own_return_bits": "the same, by the transformer as it has become",
        "made_tokens": "ids of an opening",
        "distance": "distance of the band's metrics, deviations",
        "variety": "variety",
        "songs_bits_per_token": "bits per id of held-out songs",
        "songs_theme_bits_per_token": "the same inside themes",
        "songs_theme_gain": "bits per id that hearing the right theme saves there",
    }
    rows = [(name, *(_figure(found[side].get(key)) for side in sides)) for key, name in names.items()]
    head = {"before": "before", "alone": "trained on, nobody listens", "after": "trained together", "held_out": "held-out phrases"}
    lengths = ", ".join(f"{name} {value:.1f}" for name, value in found["gradients"].items())
    return (
        "## A band and a transformer trained together\n\n`python benchmarks/bridge_joint.py compare DATA --before RUN --alone RUN "
        f"--after RUN`; {found['steps']} steps, {found['themes']} openings. Length of the gradients at the generator's weights before: "
        f"{lengths}.\n\n" + _texts.table(("what", *(head[side] for side in sides)), rows)
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


SECTIONS = {"theme_interpolation": theme_interpolation, "bridge_joint": bridge_joint}
