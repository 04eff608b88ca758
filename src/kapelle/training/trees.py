"""Growing a forest of oblivious trees from a feature table, with CatBoost (extra ``classify``), and measuring it on the test part.

Takes a recipe of objective ``trees`` and a folder of `kapelle.data.feature_tables`; gives a run folder like that of every other model:
recipe, shards.json, log and curves, ``weights.safetensors`` (the arrays of `kapelle.models.trees`), ``figures.json`` with what the test
part says, tables included. From there on CatBoost is needed no more.

Rows go in raw. All rows of a piece together weigh as much as one piece, and with ``balance`` 1 every class as much as every other. With
``patience`` the number of trees is the one at which the validation part was best. One thread and a seed: the same rows give the same
trees. Growing takes minutes and cannot be left and taken up again: interrupted, it begins anew.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.config import build
from kapelle.data import feature_tables
from kapelle.data.split import PARTS
from kapelle.data.storage import put, writing
from kapelle.errors import Interrupted, Missing, UsageError
from kapelle.metrics.classification import Classification, by_piece, classification
from kapelle.models import trees
from kapelle.training import run_folder, trackers
from kapelle.training.fit import FitOptions, Progress
from kapelle.training.recipe import read
from kapelle.training.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kapelle.data.feature_tables import FeatureTable
    from kapelle.training.recipe import Recipe, TrainingSection

SHOWN_FEATURES = 20
"""Rows of the table of what the trees look at."""

AT_ONCE = 1000
"""Rows that are looked up together."""

Weights = dict[str, "NDArray[np.generic]"]


def fit(recipe_path: Path, data: Path, run: Path, options: FitOptions | None = None) -> dict[str, Any]:
    """Grow the trees of a recipe and return the figures of ``figures.json``; of a run that is done, those that are there.

    Raises:
        Missing: CatBoost is not installed, or there is no feature table.
        Interrupted: Ctrl-C or SIGTERM; nothing is kept.
        RecipeError, ShardError, UsageError: The recipe or the table is wrong, or somebody else is at work in `run`.
        StorageError: The folder cannot be written.
    """
    options = options or FitOptions()
    recipe = read(recipe_path, options.overrides)
    if options.start_from:
        raise UsageError("trees begin from nothing, not from {start}", start=options.start_from, hint="leave --from out")
    _needs_catboost()
    table = feature_tables.read(data)
    shape = build(trees.Config, {**recipe.model, **table.info["sizes"]}, "recipe: model")
    with run_folder.alone(run), writing(run):
        if (done := _finished(run, recipe, data)) is not None:
            return done
        run_folder.begin(run, recipe_path, data, options.overrides)
        return _Growing(recipe, shape, table, run, options).go()


def arrays_of(model: Mapping[str, Any], config: trees.Config) -> Weights:
    """The arrays of `kapelle.models.trees` of a CatBoost model of symmetric trees, as its JSON tells it; leaves rounded to 16 bits.

    Args:
        model: What CatBoost's ``save_model(format="json")`` writes.
        config: The shape; shallower trees are filled up to its depth.

    Raises:
        ValueError: The model is of another shape, or asks for more than floats.
    """
    flat = [item["flat_feature_index"] for item in model["features_info"]["float_features"]]
    scale, bias = model["scale_and_bias"]
    grown = model["oblivious_trees"]
    n_leaves = 2**config.depth
    features = np.zeros((len(grown), config.depth), np.int32)
    thresholds = np.full((len(grown), config.depth), trees.NEVER, np.float32)
    leaves = np.zeros((len(grown), n_leaves, config.classes), np.float32)
    for i, tree in enumerate(grown):
        splits = tree["splits"] or []
        if any(split["split_type"] != "FloatFeature" for split in splits):
            raise ValueError("a tree asks for something that is no number")
        for level, split in enumerate(splits):
            features[i, level], thresholds[i, level] = flat[split["float_feature_index"]], split["border"]
        own = np.array(tree["leaf_values"], np.float64).reshape(2 ** len(splits), config.classes)
        leaves[i] = np.tile(own, (n_leaves // len(own), 1)) * scale  # levels that are filled up change nothing
    made: Weights = {
        "features": features,
        "thresholds": thresholds,
        "leaves": leaves.astype(np.float16).astype(np.float32),
        "bias": np.array(bias, np.float32),
    }
    trees.check(config, made)
    return made


def probabilities(shape: trees.Config, weights: Weights, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (N, C) of any number of rows."""
    parts = [trees.evaluate(shape, weights, np.asarray(rows[at : at + AT_ONCE])) for at in range(0, len(rows), AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros((0, shape.classes))


def row_weights(labels: NDArray[np.integer], pieces: NDArray[np.integer], balance: float) -> NDArray[np.float64]:
    """How much each row counts, 1 on average: rows of a piece share the weight of one, and classes are evened out by `balance`.

    Args:
        labels: (N,) classes.
        pieces: (N,) numbers of pieces.
        balance: 0: classes as they come; 1: every class as much as every other.
    """
    _, number, rows = np.unique(pieces, return_inverse=True, return_counts=True)
    weights = 1.0 / rows[number]
    totals = np.bincount(labels, weights)
    weights /= np.maximum(totals, 1e-9)[labels] ** balance
    out: NDArray[np.float64] = weights / max(weights.mean(), 1e-300) if len(weights) else weights
    return out


@dataclass
class _Growing:
    """One call of `fit`."""

    recipe: Recipe
    shape: trees.Config
    table: FeatureTable
    run: Path
    options: FitOptions
    started: float = field(default_factory=time.monotonic)

    def go(self) -> dict[str, Any]:
        """Grow the trees, tell how it goes, and return the figures of the run."""
        stop = Stop(self.options.max_minutes)
        try:
            with stop.listening(), self._trackers() as open_trackers:
                model = self._grown(_Watch(self, stop, open_trackers))
        except KeyboardInterrupt:  # a second one does not wait
            stop.asked = True
        if stop.asked:
            raise Interrupted("stopped; trees cannot be left half grown", hint="the same command begins anew and takes minutes")
        weights = arrays_of(_as_json(model), self.shape)
        figures = self._figures(weights, model, late=stop.late)
        from safetensors.numpy import save_file

        put(self.run / run_folder.WEIGHTS, lambda place: save_file({name: np.ascontiguousarray(w) for name, w in weights.items()}, place))
        run_folder.write_figures(self.run, figures)
        return figures

    def _grown(self, watch: _Watch) -> Any:
        import catboost

        settings, own = self.recipe.training, self.recipe.training.trees
        parts = [self._part(name) for name in ("train", "validation")]
        absent = sorted(set(range(self.shape.classes)) - set(parts[0][1].tolist()))
        if absent:
            names = ", ".join(self.table.classes[i] for i in absent)
            raise UsageError("no training row is of class {classes}", classes=names, hint="add music of it, or leave it out of the recipe")
        train, held = (catboost.Pool(rows, labels, weight=weights) if len(rows) else None for rows, labels, weights in parts)
        model = catboost.CatBoostClassifier(
            loss_function="MultiClass", classes_count=self.shape.classes, iterations=settings.steps, depth=self.shape.depth,
            learning_rate=settings.learning_rate, l2_leaf_reg=own.l2, border_count=own.borders, random_strength=own.shake, rsm=own.features,
            bootstrap_type="Bernoulli", subsample=0.8, nan_mode="Min", random_seed=settings.seed, thread_count=1,
            allow_writing_files=False, logging_level="Silent",
        )  # fmt: skip
        patient = {"early_stopping_rounds": settings.patience} if held is not None and settings.patience else {}
        model.fit(train, eval_set=held, callbacks=[watch], use_best_model=bool(patient), **patient)  # left out it is true
        return model

    def _part(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
        places = self.table.places(name)
        what = self.table.table[places]
        labels = what["label"].astype(np.int64)
        return np.array(self.table.rows[places]), labels, row_weights(labels, what["piece"], self.recipe.training.balance)

    def _figures(self, weights: Weights, model: Any, *, late: bool) -> dict[str, Any]:
        validation, test = (self.measured(weights, part) for part in ("validation", "test"))
        importance = _importance(model, self.table.names)
        n_trees = len(weights["features"])
        best = {"step": float(n_trees)} | ({"validation": validation[0].log_loss} if validation[0].n else {})
        return {
            "step": n_trees,
            "finished": not late,
            "seconds": round(time.monotonic() - self.started, 1),
            "parameters": int(sum(array.size for array in weights.values())),
            "best": best,
            "test": {"excerpts": test[0].as_dict(), "pieces": test[1].as_dict()},
            "tables": {"excerpts": test[0].tables(), "pieces": test[1].tables(), "importance": importance},
            "measured": measured(test, importance, self.table.info.get("pieces", {})),
        }

    def measured(self, weights: Weights, part: str) -> tuple[Classification, Classification]:
        """How good the forest is on a part: by row, and by piece, whose probabilities are the mean of its rows'."""
        places = self.table.places(part)
        what = self.table.table[places]
        found = probabilities(self.shape, weights, self.table.rows[places])
        mean, first = by_piece(found, what["piece"])
        return classification(found, what["label"], self.table.classes), classification(mean, what["label"][first], self.table.classes)

    @contextmanager
    def _trackers(self) -> Iterator[Sequence[trackers.Tracker]]:
        found = trackers.open_trackers(self.run, self.recipe.name, self.options.trackers, 0)
        try:
            yield found
        finally:
            trackers.close(found)


class _Watch:
    """CatBoost's callback: tells the progress, logs, and says whether to go on."""

    def __init__(self, growing: _Growing, stop: Stop, open_trackers: Sequence[trackers.Tracker]) -> None:
        self.growing, self.stop, self.trackers = growing, stop, open_trackers

    def after_iteration(self, info: Any) -> bool:
        settings: TrainingSection = self.growing.recipe.training
        told = {name: float(values["MultiClass"][-1]) for name, values in info.metrics.items() if values.get("MultiClass")}
        figures = {"validation_loss" if name.startswith("validation") else "loss": value for name, value in told.items()}
        if info.iteration % settings.log_every == 0:
            for tracker in self.trackers:
                tracker.log(info.iteration, figures)
        pace = (time.monotonic() - self.growing.started) / max(1, info.iteration)
        self.growing.options.progress(Progress(info.iteration, settings.steps, pace * (settings.steps - info.iteration), figures))
        return not (self.stop.asked or self.stop.late)


def measured(test: tuple[Classification, Classification], importance: Mapping[str, float], pieces: Mapping[str, Mapping[str, int]]) -> str:
    """What the card says of a classifier beside its figures, in Markdown."""
    excerpts, whole = test
    counts = "\n".join(f"| {name} | {' | '.join(f'{row.get(part, 0):,}' for part in PARTS)} |" for name, row in pieces.items())
    parts = [f"### What it learned from\n\n| pieces | {' | '.join(PARTS)} |\n| --- | --- | --- | --- |\n{counts}"]
    if excerpts.n:
        parts += [
            f"### The test part: {excerpts.n:,} rows, {whole.n:,} pieces\n\n{_shares(excerpts, whole)}",
            f"By piece (the mean of the probabilities of its rows):\n\n{whole.markdown().strip()}",
            f"By row:\n\n{excerpts.markdown().strip()}",
        ]
    rows = "\n".join(f"| {name} | {value:.1f} |" for name, value in importance.items())
    parts.append(f"### What it looks at\n\nShares of what the trees gain, in percent.\n\n| feature | % |\n| --- | --- |\n{rows}")
    return "\n\n".join(parts) + "\n"


def _shares(*found: Classification) -> str:
    names = ("accuracy", "balanced_accuracy", "baseline", "log_loss", "calibration_error")
    rows = "\n".join(f"| {name.replace('_', ' ')} | {' | '.join(f'{getattr(one, name):.3f}' for one in found)} |" for name in names)
    return f"| | rows | pieces |\n| --- | --- | --- |\n{rows}"


def _importance(model: Any, names: Sequence[str]) -> dict[str, float]:
    gains = np.asarray(model.get_feature_importance(), np.float64)
    order = np.argsort(-gains, kind="stable")[:SHOWN_FEATURES]
    return {names[i]: round(float(gains[i]), 2) for i in order.tolist() if gains[i] > 0}


def _as_json(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.json"
        model.save_model(str(place), format="json")
        table: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return table


def _finished(run: Path, recipe: Recipe, data: Path) -> dict[str, Any] | None:
    """The figures of a run that is done, if it is of this recipe and these rows."""
    from kapelle.training import recipe as recipes

    try:
        figures = json.loads((run / run_folder.FIGURES).read_text(encoding="utf-8"))
        same = (run / "shards.json").read_bytes() == (data / "shards.json").read_bytes()
        mine = recipes.read_again(run / "recipe.toml")
    except (OSError, ValueError, UsageError, Missing):
        return None
    done = same and figures.get("finished") and (run / run_folder.WEIGHTS).is_file() and not recipes.differences(mine, recipe)
    return figures if done else None


def _needs_catboost() -> None:
    from importlib.util import find_spec

    if find_spec("catboost") is None:
        raise Missing("growing trees needs catboost, which is not installed", hint="pip install 'kapelle[train,classify]'")
