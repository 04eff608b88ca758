"""Studies: many pieces side by side, to be heard on a page and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.progress import Report, quiet
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.composing.request import Length
    from kapelle.study.bridge import Asked
    from kapelle.study.run import Results


def study_bridge(
    out: str | Path,
    asked: Asked | None = None,
    *,
    sound: str = "none",
    force: bool = False,
    progress: Report = quiet,
    cancelled: Callable[[], bool] = lambda: False,
) -> Results:
    """The grid of the thesis in the folder `out`: stages of a band by fixed latents by stages of the Theme Transformer.

    Args:
        out: A folder; cells that are there already are kept.
        asked: Which bundles, how many latents, how many bars; the 45 of the thesis' design as far as bundles ship.
        sound: Suffix of the sounds, "none" for none.
        force: Make every cell again.
        progress: Called with (cells done, cells in all).
        cancelled: Asked before every cell; True stops, and the same call goes on later.

    Raises:
        Missing: A bundle is not installed.
        UsageError: The folder holds another study.
        Interrupted: It was stopped.
    """
    from kapelle.study import bridge
    from kapelle.study.run import Options, run

    asked = asked or bridge.Asked()
    how = Options(sound=sound, force=force, progress=progress, cancelled=cancelled)
    return run(bridge.plan(asked), bridge.maker(asked), Path(out), how)


def study_models(
    out: str | Path,
    models: Sequence[str],
    *,
    n_seeds: int = 45,
    seed: int = 20220529,
    length: Length | None = None,
    options: Mapping[str, Any] | None = None,
    sound: str = "none",
    force: bool = False,
    progress: Report = quiet,
    cancelled: Callable[[], bool] = lambda: False,
) -> Results:
    """The same request to every one of `models`, with the seeds `seed`, `seed` + 1 ..., in the folder `out`.

    Args:
        out: A folder; cells that are there already are kept.
        models: Bundle names or paths, or ``bridge``; stages of one model, or different ones.
        n_seeds: How many.
        seed: The first.
        length: 16 bars if left out.
        options: Of the models; all of them must have them.
        sound: Suffix of the sounds, "none" for none.
        force: Make every cell again.
        progress: Called with (cells done, cells in all).
        cancelled: Asked before every cell.

    Raises:
        Missing: A bundle is not installed.
        UsageError: No model is named, or the folder holds another study.
        Interrupted: It was stopped.
    """
    from kapelle.api.requests import bundle, compose_one, request
    from kapelle.study import models as study
    from kapelle.study.run import Options, run

    if not models:
        raise UsageError("no model is named that could be studied", hint="--model NAME, as often as there are models")
    wishes = {name: request(name, length=length, seed=0, options=options) for name in dict.fromkeys(models)}
    hashes = {name: bundle(name).hash for name in wishes}
    plan = study.plan(wishes, range(seed, seed + n_seeds), hashes)
    how = Options(sound=sound, force=force, progress=progress, cancelled=cancelled)
    return run(plan, study.maker(wishes, lambda wish: compose_one(wish, cancelled)), Path(out), how)
