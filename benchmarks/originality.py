"""How much of what the models compose is in the music that they learned from, beside human music; and what the indexes find and miss.

    python benchmarks/originality.py models [--pool DIR] [--count 24] [--json PATH]
    python benchmarks/originality.py index MODEL SHARDS [--names DATA] [--json PATH]

``models`` composes pieces of 16 bars with every model that has an index, or takes folders of MIDI files below DIR for genre-small.
``index`` plants copies of training pieces in other music, looks for held-out music, and holds every run that is reported against the
training music itself. Both add to the file of results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import symusic

from kapelle import api
from kapelle.judging import originality, originality_figures, training_music
from kapelle.metrics import bootstrap, fingerprints
from kapelle.metrics.fingerprints import GRAM, GUARANTEED

MODELS = ("chopin", "remi-lstm", "ensemble", "bridge", "band-composer", "band-hybrid", "band-jamming")
RESULTS = Path(__file__).parent / "results" / "originality.json"
FACTORS = (1.0, 0.5, 2.0, 1.5, 2 / 3, 0.75, "drawn from 0.5 to 2")
TPQ = 480
BARS = 16
SEED = 20220529


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    models = verbs.add_parser("models")
    models.add_argument("--pool", type=Path)
    models.add_argument("--count", type=int, default=24)
    models.add_argument("--only", nargs="*", default=list(MODELS))
    index = verbs.add_parser("index")
    index.add_argument("model")
    index.add_argument("shards", type=Path)
    index.add_argument("--names", type=Path, help="data folder in which the index found its names")
    for verb in (models, index):
        verb.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    found = json.loads(options.json.read_text(encoding="utf-8")) if options.json.is_file() else {"models": {}, "indexes": {}}
    if options.verb == "models":
        for name, row in _models(options.pool, options.count, options.only):
            print(name, row, flush=True)
            found["models"][name] = row
            _write(options.json, found)
    else:
        found["indexes"][options.model] = _index(options.model, options.shards, options.names)
        _write(options.json, found)
    return 0


def _write(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


# --- what the models share ---------------------------------------------------------------------------------------------------------


def _models(pool: Path | None, count: int, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if pool is not None:
        for folder in sorted(path for path in pool.iterdir() if path.is_dir()):
            seen = [api.originality(path, model="genre-small") for path in sorted(folder.glob("*.mid"))]
            yield f"genre-small, {folder.name.rpartition('-')[2]}", _figures([one for one in seen if one])
    for name in names:
        wish = api.request(name, seed=SEED, count=count, length=api.length_of(bars=BARS))
        seen = [api.originality(piece) for piece in api.compose_many(wish)]
        yield name, _figures([one for one in seen if one])


def _figures(seen: list[originality.Originality]) -> dict[str, Any]:
    runs = np.array([one.longest_run for one in seen])
    human = np.array(seen[0].human.longest)
    return {
        "pieces": len(seen),
        "with": _share(runs > 0),
        "with_of_human": _share(human > 0),
        "beyond_95": _share(runs > seen[0].human.quantile(0.95)),
        "longest": {f"{share:.0%}": int(np.quantile(runs, share, method="inverted_cdf")) for share in (0.5, 0.75, 0.95, 1.0)},
        "longest_of_human": {key: seen[0].human.as_dict()["longest_run"][key] for key in ("50%", "75%", "95%", "100%")},
        "share": round(float(np.mean([one.share_copied for one in seen])), 5),
        "share_of_human": round(seen[0].human.mean_share() or 0.0, 5),
        "excerpts": len(human),
    }


def _share(flags: np.ndarray) -> list[float]:
    """Share and its 95 % interval."""
    found = bootstrap.share(flags.tolist())
    return [round(found.value, 4), round(found.low, 4), round(found.high, 4)]


# --- what an index finds and misses ------------------------------------------------------------------------------------------------


def _index(model: str, shards: Path, names: Path | None) -> dict[str, Any]:
    """Planted copies found, runs of held-out music that are not there, time of a lookup."""
    index = originality.at(model)
    assert index is not None
    music = training_music.opened(shards, training_music.names_in(names) if names else {})
    train = _Lines(music.pieces("train"), {name: number for number, name in enumerate(index.names)}, index.n_pieces)
    held = [cut for _, score in music.pieces("test") for cut in originality_figures.excerpts(score, BARS, most=1)]
    draw = np.random.default_rng(SEED)
    planted = {
        str(factor if isinstance(factor, str) else round(factor, 3)): _planted(train, held, index, factor, draw) for factor in FACTORS
    }
    out = {"pieces": index.n_pieces, "records": len(index.records), "planted": planted, **_alarms(train, held, index)}
    print(json.dumps(out, indent=1), flush=True)
    return out


def _named(factor: float | str) -> str:
    return factor if isinstance(factor, str) else f"{factor:.3g}"


class _Lines:
    """The lines of the training pieces, by the numbers that the index has for them: a name may stand for several stretches of music."""

    def __init__(self, pieces: Iterable[tuple[str, symusic.Score]], numbers: dict[str, int], n_pieces: int) -> None:
        self.hashes: list[list[np.ndarray]] = [[] for _ in range(n_pieces)]
        self.shapes: list[tuple[int, np.ndarray, np.ndarray, float]] = []  # piece, onsets, pitches of a line, ticks of a quarter
        for name, score in pieces:
            if name not in numbers:  # the index was made with other names
                print(f"not in the index by this name: {name}", file=sys.stderr)
                continue
            number = numbers[name]
            for line in fingerprints.lines(fingerprints.notes_of(score)):
                self.hashes[number].append(fingerprints.fingerprints(line))
                if len(line.start) >= 3 * GUARANTEED:
                    self.shapes.append((number, line.start.astype(np.int32), line.pitch.astype(np.int16), float(score.tpq)))


def _planted(train: _Lines, held: list[symusic.Score], index: originality.Index, factor: float | str, draw: np.random.Generator) -> int:
    """Copies of 12 notes of a line that are found, of a hundred."""
    found = 0
    for _ in range(100):
        number, start, pitch, tpq = train.shapes[draw.integers(len(train.shapes))]
        first = draw.integers(len(start) - GUARANTEED)
        scale = TPQ / tpq * (factor if not isinstance(factor, str) else draw.uniform(0.5, 2))
        onsets = np.round((start[first : first + GUARANTEED] - start[first]) * scale).astype(int)
        up = draw.integers(-5, 6)
        score, begin = _embedded(held[draw.integers(len(held))], onsets, pitch[first : first + GUARANTEED] + up)
        found += _is_found(score, index, number, begin, begin + int(onsets[-1]))
    return found


def _is_found(score: symusic.Score, index: originality.Index, piece: int, begin: int, end: int) -> bool:
    """Whether a run of the piece is found between two ticks, and nowhere beyond them by more than a tick."""
    for line in fingerprints.lines(fingerprints.notes_of(score)):
        chains = originality._found(line, index, loose=True)
        inside = (line.start[chains.first] >= begin - 1) & (line.start[chains.last + GRAM - 1] <= end + 1)
        if bool((inside & (chains.piece == piece)).any()):
            return True
    return False


def _embedded(host: symusic.Score, onsets: np.ndarray, pitch: np.ndarray) -> tuple[symusic.Score, int]:
    """Held-out music in whose middle some notes stand alone, and where they begin."""
    notes = fingerprints.notes_of(host)
    scale = TPQ / max(host.tpq, 1)
    start, duration = (np.round(values * scale).astype(int) for values in (notes.start, notes.duration))
    begin = int(np.sort(start)[len(start) // 2])
    length = int(onsets[-1]) + TPQ
    score, track = symusic.Score(TPQ), symusic.Track(program=0)
    for at, long, height in zip(start.tolist(), duration.tolist(), notes.pitch.tolist(), strict=True):
        moved = at if at < begin else at + length
        track.notes.append(symusic.Note(moved, max(1, min(long, begin - at) if at < begin else long), height, 80))
    for at, long, height in zip(onsets.tolist(), np.append(np.diff(onsets), TPQ).tolist(), pitch.tolist(), strict=True):
        track.notes.append(symusic.Note(begin + at, max(1, long), int(height), 80))
    score.tracks.append(track)
    return score, begin


def _alarms(train: _Lines, held: list[symusic.Score], index: originality.Index) -> dict[str, Any]:
    """Of held-out excerpts: how many share a run, and how many of the longest ones are not so long in the piece that is named."""
    numbers = {name: number for number, name in enumerate(index.names)}
    with_run, too_long, strangers, taken = 0, 0, 0, []
    for excerpt in held:
        started = time.process_time()
        seen = originality.lookup(excerpt, index)
        taken.append(1e3 * (time.process_time() - started))
        if not seen.longest_run:
            continue
        with_run += 1
        true = _true_run(excerpt, train.hashes[numbers[seen.nearest]])
        strangers += true == 0
        too_long += 0 < true < seen.longest_run
    random = [originality.lookup(_shuffled(excerpt, number), index).longest_run for number, excerpt in enumerate(held)]
    return {
        "excerpts": len(held), "with_run": with_run, "not_there": strangers, "shorter_than_told": too_long,
        "shuffled_with_run": int(np.count_nonzero(random)), "lookup_ms": round(float(np.mean(taken)), 2),
        "slowest_ms": round(float(np.max(taken)), 2),
    }  # fmt: skip


def _true_run(excerpt: symusic.Score, lines: list[np.ndarray]) -> int:
    """Notes of the longest stretch of consecutive fingerprints, of 64 bits, that an excerpt and a piece share."""
    best = 0
    for line in fingerprints.lines(fingerprints.notes_of(excerpt)):
        asked = fingerprints.fingerprints(line)
        for known in lines:
            places: dict[int, list[int]] = {}
            for place, value in enumerate(known.tolist()):
                places.setdefault(value, []).append(place)
            before: dict[int, int] = {}
            for value in asked.tolist():
                before = {place: before.get(place - 1, 0) + 1 for place in places.get(value, ())}
                best = max(best, *before.values(), 0)
    return best + GRAM - 1 if best else 0


def _shuffled(score: symusic.Score, seed: int) -> symusic.Score:
    """The onsets and lengths of a score with its pitches in another order: music that nobody wrote."""
    out = score.copy()
    draw = np.random.default_rng(seed)
    for track in out.tracks:
        pitches = draw.permutation([note.pitch for note in track.notes])
        for note, pitch in zip(track.notes, pitches.tolist(), strict=True):
            note.pitch = pitch
    return out


if __name__ == "__main__":
    sys.exit(main())
