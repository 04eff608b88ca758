"""What each stage of a training run composes, beside its loss: is the lowest loss the best music?

    python benchmarks/theme_stages.py RUN SHARDS [--songs 12] [--bars 16] [--json FILE] [--picture FILE.png]

Stages are the weights in RUN/stages, the best ones by loss, and the last ones. Each becomes a bundle and develops the themes of the first
`--songs` validation songs, which the network has not learned, with the same seeds and without the help of `likeness`. All are measured like
the real songs, cropped to as many bars from their theme on. A stage's distance is the mean over the six metrics of themes of |it - real| /
deviation of the real songs. The thesis that this project began from found the weights of the lowest validation loss useless musically,
and trained on: the picture has both curves. What `--json` names is kept: stages that stand in it, of the same weights, are not made again.

Takes about 40 seconds a stage of two cores. Needs the extra `train`, and matplotlib for the picture.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _bands
import _texts
import _themes
import numpy as np

from kapelle.metrics import theme as metrics

COMPARED = (
    "pitch_class_consistency", "grooving_consistency", "melody_inconsistency",
    "theme_inconsistency", "theme_uncontrollability", "theme_gap",
)  # fmt: skip
SHOWN = (*COMPARED, "marked, by notes", "unmarked, by notes", "notes_per_bar", "regions", "first tries")
LOSS = "validation"
"""What the log calls the figure by which a run chooses its best weights; of themes, bits per token."""


@dataclass(frozen=True)
class Stage:
    """Weights of a run.

    Args:
        step: They are of.
        names: What they are: "stage", "lowest loss", "last".
        path: Their file.
    """

    step: int
    names: tuple[str, ...]
    path: Path

    @property
    def digest(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None, help="where results are kept")
    parser.add_argument("--picture", type=Path, default=None, help="where both curves are drawn")
    given = parser.parse_args(arguments)
    report = run(given)
    print(told(report))
    if given.picture:
        picture(report, given.picture)
    return 0


def run(given: argparse.Namespace) -> dict[str, Any]:
    """The report; what was made before is kept."""
    embedding = _themes.embed()
    songs = _themes.songs(given.shards, "validation")
    real = [figures(_themes.cropped(song, given.bars), embedding) for song in songs]
    report: dict[str, Any] = {
        "run": given.run.resolve().name, "bars": given.bars, "songs": min(given.songs, len(songs)), "losses": losses(given.run),
        "real": _themes.means(real), "deviations": _themes.deviations(real), "stages": [],
    }  # fmt: skip
    before = _kept(given.json, report)
    for stage in stages(given.run):
        key = {"step": stage.step, "digest": stage.digest}
        row = next((row for row in before if all(row[name] == value for name, value in key.items())), None)
        if row is None:
            print(f"step {stage.step}: {', '.join(stage.names)}", file=sys.stderr, flush=True)
            row = {**key, "metrics": composed(given, stage, songs[: given.songs], embedding)}
        row |= {"names": list(stage.names), "loss": loss_at(report["losses"], stage.step)}
        row["distance"] = distance(row["metrics"], report["real"], report["deviations"])
        report["stages"].append(row)
        if given.json:
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    return report


def _kept(path: Path | None, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of an earlier report made in the same way."""
    if path is None or not path.is_file():
        return []
    old = json.loads(path.read_text(encoding="utf-8"))
    same = all(old.get(name) == report[name] for name in ("run", "bars", "songs"))
    return old["stages"] if same else []


def stages(run: Path) -> list[Stage]:
    """All weights that a run keeps, by step; those of one step are one stage."""
    found: list[tuple[int, str, Path]] = [
        (int(path.stem.removeprefix("step-")), "stage", path) for path in sorted((run / "stages").glob("step-*.safetensors"))
    ]
    best = run / "weights.safetensors"
    if best.is_file():
        found.append((_step_of(best), "lowest loss", best))
    last = sorted((run / "checkpoints").glob("step-*/model.safetensors"))
    if last:
        found.append((int(last[-1].parent.name.removeprefix("step-")), "last", last[-1]))
    steps = sorted({step for step, _, _ in found})
    return [
        Stage(step, tuple(name for own, name, _ in found if own == step), next(path for own, _, path in found if own == step))
        for step in steps
    ]


def _step_of(weights: Path) -> int:
    from safetensors import safe_open

    with safe_open(weights, "np") as file:
        return int((file.metadata() or {}).get("step", -1))


def losses(run: Path) -> list[tuple[int, float]]:
    """(step, loss on the validation part) as the run logged it."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(int(row["step"]), float(row[LOSS])) for row in rows if LOSS in row]


def loss_at(curve: Sequence[tuple[int, float]], step: int) -> float:
    """The loss at a step, between its neighbours where the run did not validate."""
    if not curve:
        return float("nan")
    steps, values = zip(*curve, strict=True)
    return float(np.interp(step, steps, values))


# --- composing and measuring ------------------------------------------------------------------------------------------------


def composed(given: argparse.Namespace, stage: Stage, songs: Sequence[_themes.Music], embedding: metrics.Embed) -> dict[str, float]:
    """The mean figures of what a stage makes of the themes."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = exported(given.run, stage, Path(folder))
        pieces = _themes.made(songs, str(bundle), given.bars, processes=given.processes, **_themes.ALONE)
    rows = [{**figures(piece, embedding), "first tries": float(piece.facts["attempts"] == 1)} for piece in pieces]
    return _themes.means(rows)


def exported(run: Path, stage: Stage, folder: Path) -> Path:
    """A bundle of a stage, by way of a run that holds nothing else."""
    from kapelle.bundles.export import ExportOptions, export

    alone = folder / "run"
    alone.mkdir()
    for name in ("recipe.toml", "shards.json", "tokenizer.json"):
        shutil.copy(run / name, alone / name)
    shutil.copy(stage.path, alone / "weights.safetensors")
    export(alone, folder / f"stage-{stage.step}", ExportOptions(name=f"stage-{stage.step}"))
    return folder / f"stage-{stage.step}"


def figures(music: _themes.Music, embedding: metrics.Embed) -> dict[str, float]:
    """All figures of a piece or song, with the mean distances that no encoder takes part in."""
    marked, unmarked = metrics.distances(music.parts(), music.condition, metrics.by_notes)
    own = {
        name: float(values.mean()) if len(values) else float("nan")
        for name, values in (("marked, by notes", marked), ("unmarked, by notes", unmarked))
    }
    return {**_themes.figures(music, embedding), **own}


def distance(found: Mapping[str, float], real: Mapping[str, float], deviations: Mapping[str, float]) -> float:
    """The mean over the six metrics of |found - real| / deviation; those without a value are passed over."""
    values = [abs(_number(found[key]) - real[key]) / deviations[key] for key in COMPARED if deviations[key] > 0]
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


# --- telling --------------------------------------------------------------------------------------------------------------


def best_of(report: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The stage with the least of something."""
    rows: list[dict[str, Any]] = [row for row in report["stages"] if np.isfinite(_number(row[key]))]
    return min(rows, key=lambda row: row[key])


def told(report: Mapping[str, Any]) -> str:
    """For people."""
    figure = _texts.figure
    head = ("metric (our definitions)", "real", *(f"step {row['step']}: {', '.join(row['names'])}" for row in report["stages"]))
    rows: list[tuple[Any, ...]] = [("validation loss, bits per token", "", *(figure(row["loss"], 3) for row in report["stages"]))]
    rows += [(key, figure(report["real"].get(key), 3), *(figure(row["metrics"].get(key), 3) for row in report["stages"])) for key in SHOWN]
    rows.append(("distance from real, deviations", "0", *(figure(row["distance"], 2) for row in report["stages"])))
    about = f"{report['run']}: {report['songs']} validation themes, {report['bars']} bars each.\n\n"
    return about + _texts.table(head, rows) + "\n" + verdict(report)


def verdict(report: Mapping[str, Any]) -> str:
    """Which stage is best, and whether it is the one of the lowest loss."""
    music, loss = best_of(report, "distance"), best_of(report, "loss")
    if music["step"] == loss["step"]:
        return f"Nearest to real music is step {music['step']}, which has the lowest loss too.\n"
    ours, lowest = (f"step {row['step']} ({row['distance']:.2f} deviations, loss {row['loss']:.3f})" for row in (music, loss))
    return f"Nearest to real music is {ours}, not the lowest loss of {lowest}.\n"


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Both curves over the steps: the loss on the left, the distance from real music on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    steps, values = zip(*report["losses"], strict=True)
    (loss,) = left.plot(steps, values, color="#3465a4", label="loss, held-out (bits per token)")
    (music,) = right.plot(
        [row["step"] for row in report["stages"]], [row["distance"] for row in report["stages"]], "o-", color="#cc4c02",
        label="distance from real music (deviations)",
    )  # fmt: skip
    left.plot(*_point(best_of(report, "loss"), "loss"), "s", color="#3465a4")
    right.plot(*_point(best_of(report, "distance"), "distance"), "o", markersize=11, markerfacecolor="none", color="#cc4c02")
    left.set_xlabel("step")
    left.set_ylabel("bits per token")
    right.set_ylabel("deviations")
    right.set_ylim(bottom=0)
    left.legend(handles=[loss, music], frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.55))
    for axes in (left, right):
        axes.spines["top"].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _point(row: Mapping[str, Any], key: str) -> tuple[list[float], list[float]]:
    return [row["step"]], [row[key]]


if __name__ == "__main__":
    sys.exit(main())
