"""How well genre-audio hears genres: on artists that it never saw, through players and instruments that it never heard.

    python benchmarks/genre_audio.py DATA TABLE [--pieces N] [--arrangements FOLDER] [--json FILE]

DATA is the folder of the recipe's sources, TABLE the feature table of `kapelle data prepare` with recipe genre-audio. Test pieces of the
table (their artists are in no training row) are heard as the recipe renders them; those of a part of them as `kapelle render` plays
them, by the sines, on programs that no training row was played on, and whole pieces in three half minutes. ``--arrangements`` names a
folder with index.csv of files with drums and many tracks, by genre: another kind of music than any that it learned from. Intervals:
95 %, bootstrap over artists (for arrangements, over files). CPU seconds are of the features of half a minute alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.audio.spectra import RATE_HZ
from kapelle.bundles import load
from kapelle.bundles.session import Classifier
from kapelle.classifiers.audio import AudioClassifier
from kapelle.classifiers.audio_features import EXCERPT_S, NAMES, features
from kapelle.data import feature_tables
from kapelle.data.recipe import preparation
from kapelle.errors import KapelleError
from kapelle.metrics import bootstrap
from kapelle.metrics.classification import among, classification
from kapelle.render import sine, soundfont
from kapelle.score import edit, units
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from symusic import Score

    from kapelle.audio import Waveform

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "genre_audio.json"
RECIPE = HERE.parent / "recipes" / "genre-audio.toml"
BUNDLE = "genre-audio"
FOUR = ("pop", "jazz", "edm", "classical")
UNHEARD = (7, 12, 13, 14, 15, 21, 22, 41, 43, 45, 46, 54, 56, 57, 58, 60, 66, 68, 73, 74, 75, 79, 104, 105, 106, 107, 108)
"""Programs that the recipe leaves out: clavinet, marimba, xylophone, bells, accordion, harp, brass, flutes, sitar ..."""
ARRANGED = {
    "classical": "classical", "jazz": "jazz", "pop": "pop", "rock": "rock", "electronic": "edm", "latin": "latin", "country": "country",
    "soul_rnb": "soul",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--pieces", type=int, default=120, help="test pieces that are rendered anew in other ways")
    parser.add_argument("--arrangements", type=Path)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    table, asked = feature_tables.read(given.table), AudioClassifier(load.load(BUNDLE))
    report = as_rendered(table, asked)
    rules = preparation(RECIPE).preprocessing
    assert not set(UNHEARD) & set(rules.programs)
    report["ways"] = ways(asked, pieces(given.data, table, given.pieces, rules.min_notes))
    if given.arrangements:
        report["arrangements"] = arrangements(asked, given.arrangements, given.pieces // 8, rules.min_notes)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return 0


def as_rendered(table: feature_tables.FeatureTable, asked: AudioClassifier) -> dict[str, Any]:
    """The figures on the test rows of the table."""
    places = table.places("test")
    what = table.table[places]
    found = Classifier(asked.bundle).predict(np.array(table.rows[places]))
    sources = [source["folder"] for source in table.info["sources"]]
    mixed = ~np.isin(what["source"], [i for i, name in enumerate(sources) if name in ("pop909_cl", "piano_midi_de")])
    four = [table.classes.index(name) for name in FOUR]
    of_four = np.isin(what["label"], four)
    out: dict[str, Any] = {"bundle": asked.bundle.name, "classes": list(table.classes), "sets": {}}
    for name, here in (("all", np.ones(len(what), bool)), ("mixed collections", mixed)):
        out["sets"][f"eight genres, {name}"] = figures(found[here], what["label"][here], what["group"][here], table.classes)
        both = here & of_four
        labels = np.searchsorted(np.sort(four), what["label"][both])
        names = [table.classes[i] for i in sorted(four)]
        out["sets"][f"four genres, {name}"] = figures(among(found[both], sorted(four)), labels, what["group"][both], names)
    out["confusion"] = classification(found, what["label"], table.classes).tables()["confusion"]
    out["recall"] = classification(found, what["label"], table.classes).tables()["recall"]
    out["training rows"] = len(table.places("train"))
    return out


Piece = tuple["Score", str, str]  # the score, its genre, its artist


def pieces(data: Path, table: feature_tables.FeatureTable, most: int, min_notes: int) -> list[Piece]:
    """Test pieces, evenly from the order in which the table has them, that have notes enough in their middle half minute."""
    fates = json.loads((table.path / "files.json").read_text(encoding="utf-8"))
    genres = {source["folder"]: source["genre"] for source in table.info["sources"]}
    tracks = {source["folder"]: source["tracks"] for source in table.info["sources"]}
    names = [row["file"] for row in fates if row.get("part") == "test"]
    out: list[Piece] = []
    for name in names[:: max(len(names) // most, 1)]:
        folder = next(folder for folder in genres if name.startswith(f"{folder}/"))
        score = read(data / name)
        if tracks[folder]:
            del score.tracks[tracks[folder] :]
        if sum(len(track.notes) for track in middle(score).tracks) >= min_notes:
            out.append((score, genres[folder], name.split("/")[-2] if folder.startswith("adl") else name))
    return out


def middle(score: Score) -> Score:
    """The middle half minute."""
    start_s = max((units.duration_s(score) - EXCERPT_S) / 2, 0.0)
    start, end = (int(units.seconds_to_ticks(score, at)) for at in (start_s, start_s + EXCERPT_S))
    return edit.clip(score, start, end)


def ways(asked: AudioClassifier, found: Sequence[Piece]) -> dict[str, Any]:
    """The figures of the same pieces, heard in several ways."""
    chance = np.random.default_rng(1)
    others = [edit.set_programs(middle(score), [int(chance.choice(UNHEARD)) for _ in score.tracks]) for score, _, _ in found]
    halves = [middle(score) for score, _, _ in found]
    player = soundfont.chosen_player()
    out = {
        f"as `kapelle render` plays them ({player})": heard(asked, found, halves, lambda score: soundfont.render(score, tail_s=0.0)),
        "by our own SoundFont player": heard(asked, found, halves, lambda score: soundfont.render(score, tail_s=0.0, player="sampler")),
        "by sines": heard(asked, found, halves, lambda score: sine.render(score, tail_s=0.0)),
        "on instruments that it never heard": heard(
            asked, found, others, lambda score: soundfont.render(score, tail_s=0.0, player="sampler")
        ),
        "whole pieces by sines, three half minutes": heard(asked, found, [score for score, _, _ in found], sine.render),
    }
    waves = [soundfont.render(score, sample_rate=RATE_HZ, player="sampler") for score in halves[:10]]
    started = time.process_time()
    for wave in waves:
        features(wave)
    return out | {"cpu_s": (time.process_time() - started) / max(len(waves), 1), "features": len(NAMES)}


def heard(asked: AudioClassifier, found: Sequence[Piece], scores: Sequence[Score], play: Callable[[Score], Waveform]) -> dict[str, Any]:
    rows, labels, warned = [], [], 0
    groups = np.unique([artist for _, _, artist in found], return_inverse=True)[1]
    for score, (_, genre, _) in zip(scores, found, strict=True):
        verdict = asked.classify(play(score))
        rows.append(list(verdict.probabilities.values()))
        labels.append(asked.classes.index(genre))
        warned += bool(verdict.warnings)
    return figures(np.array(rows), np.array(labels), groups, asked.classes) | {"warned": warned / len(rows)}


def arrangements(asked: AudioClassifier, folder: Path, most: int, min_notes: int) -> dict[str, Any]:
    """The figures of arrangements with drums and many tracks, so many of each genre, as `kapelle render` plays their middle."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["genre"] in ARRANGED and row["label_how"] in ("folder", "artist")]
    found: list[Piece] = []
    for genre, ours in ARRANGED.items():
        own = [row for row in rows if row["genre"] == genre]
        kept = 0
        for row in own[:: max(len(own) // (2 * most), 1)]:
            try:
                score = read(folder / row["path"])
            except KapelleError:
                continue
            if kept < most and sum(len(track.notes) for track in middle(score).tracks) >= min_notes:
                found.append((score, ours, row["path"]))
                kept += 1
    halves = [middle(score) for score, _, _ in found]
    return heard(asked, found, halves, lambda score: soundfont.render(score, sample_rate=RATE_HZ, tail_s=0.0))


def figures(
    found: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.integer], classes: Sequence[str]
) -> dict[str, Any]:
    told = classification(found, labels, classes)
    _, group = np.unique(groups, return_inverse=True)
    right = found.argmax(1) == labels
    interval = bootstrap.ratio(np.bincount(group, right), np.bincount(group))
    return told.as_dict() | {
        "interval": {"value": interval.value, "low": interval.low, "high": interval.high},
        "artists": int(group.max()) + 1,
    }


if __name__ == "__main__":
    raise SystemExit(main())
