"""How well a model foretells music that it has never seen: bits per note beside the n-gram baseline, and whether the genre token matters.

    python benchmarks/held_out.py SHARDS [MODEL] [--json PATH] [--partial PATH]

SHARDS is a folder of token shards; MODEL a run (its best weights, in 32-bit floats, over torch) or a bundle (what ships, over
onnxruntime); without it the baselines are measured alone. A Markdown table goes to stdout, everything to the JSON file.

Every model is charged for the same ids of the same windows: the blocks of the test part, each id once though blocks overlap. Music and
EOS count; controls, BOS and PAD are given. The n-gram is interpolated Kneser-Ney of order 5, trained on the whole pieces of the
training part as they stand (no augmentation), its discounts tuned on the validation part; it sees of a block what the network sees.

Genre test: the first blocks of a piece are charged under each genre token in turn, all else equal; a hit is a piece whose own genre is
the cheapest. Intervals are 95 %, drawn over pieces; where pieces share an artist they are not fully independent.

It needs the extra `train`. With `--partial` an interrupted measurement goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kapelle.data import shards as shard_files
from kapelle.errors import Missing, UsageError
from kapelle.metrics import bootstrap
from kapelle.models import ngram
from kapelle.tokens import vocabulary

if TYPE_CHECKING:
    from kapelle.data.shards import Shards
    from kapelle.tokens.vocabulary import Vocabulary

ORDER = 5
TRAIN, VALIDATION, TEST = 0, 1, 2
TOLD = ("BarsLeft", "EOS")
"""Kinds that say how long the piece is: the network can count bars, an n-gram cannot; a second figure leaves them out."""

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Scorer = Callable[[Ids], Floats]  # ids (B, T) -> bits (B, T) of every id given those before it


@dataclass(frozen=True)
class Window:
    """A block as every model meets it."""

    block: int
    piece: int
    ids: Ids  # (T,)
    counted: NDArray[np.bool_]  # (T,) never the first id


@dataclass(frozen=True)
class Model:
    """Something that foretells ids."""

    name: str
    identity: str  # changes when the weights do
    scorer: Scorer
    batch: int


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    shards = shard_files.read(options.shards)
    words = vocabulary.load(options.shards / "tokenizer.json")[0]
    chosen = _pieces(shards, options.pieces, options.genres)
    windows = [window for window in _windows(shards, TEST) if window.piece in set(chosen.tolist())]
    model = _open_model(options, shards) if options.model else None
    table = Table(shards, words, chosen, windows)

    started = time.monotonic()
    with _progress() as progress:
        baseline = _train_ngram(shards, progress)
        report: dict[str, Any] = {"held_out": table.held_out(), "order": ORDER, "discounts": baseline.discounts.round(4).tolist()}
        costs = {
            "uniform": table.uniform(),
            "n-gram": table.sum_by_piece(windows, _measure_all(baseline, windows, words.kind_of, progress)),
        }
        report["seconds_ngram"] = round(time.monotonic() - started, 1)
        if model:
            started = time.monotonic()
            items = _items(shards, windows, options.genre_blocks)
            found = _measure(model, windows, items, words.kind_of, Ledger(options.partial, model, items), progress)
            own = items[:, 1] == [window.ids[0] for window in (windows[i] for i in items[:, 0])]
            costs["model"] = table.sum_by_piece([windows[i] for i in items[own, 0]], found[own])
            report |= {"model": model.name, "model_sha256": model.identity, "seconds_model": round(time.monotonic() - started, 1)}
            report["genre"] = _genre_test(shards, windows, items, found.sum(axis=1), options.genre_blocks)
    report["figures"] = {name: table.figures(cost, costs["n-gram"]) for name, cost in costs.items()}
    report["bits_per_note_by_kind"] = {name: table.by_kind(cost) for name, cost in costs.items()}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(markdown(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("model", type=Path, nargs="?", help="a run or a bundle")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--partial", type=Path, help="keep what is measured in this .npz, and go on from it")
    parser.add_argument("--pieces", type=int, default=0, help="test pieces, taken evenly over all; 0: all")
    parser.add_argument("--genres", nargs="+", default=[], help="test pieces of these genres alone; the training part stays whole")
    parser.add_argument("--genre-blocks", type=int, default=3, help="blocks of a piece, from its beginning, for the genre test")
    parser.add_argument("--threads", type=int, default=2)
    return parser


# --- what is measured on --------------------------------------------------------------------------------------------------------


def _pieces(shards: Shards, limit: int, genres: list[str]) -> NDArray[np.int64]:
    wanted = [number for number, genre in enumerate(shards.genres) if not genres or genre in genres]
    found = np.flatnonzero((shards.pieces["part"] == TEST) & np.isin(shards.pieces["genre"], wanted))
    if not len(found):
        raise UsageError("the shards in {path} have no test part", path=shards.path, hint="prepare them with a share for the test")
    return found[np.linspace(0, len(found) - 1, limit).astype(int)] if 0 < limit < len(found) else found


def _windows(shards: Shards, part: int) -> Iterator[Window]:
    from kapelle.training.score import blocks_of, counted

    for block in blocks_of(shards, part).tolist():
        ids = shards.block(block, int(shards.info["context_len"]))
        yield Window(block, int(shards.blocks["piece"][block]), ids, counted(shards, block, ids))


def _train_ngram(shards: Shards, progress: Progress) -> ngram.NGram:
    train = np.flatnonzero(shards.pieces["part"] == TRAIN)
    task = progress.add_task("counting n-grams", total=len(train))

    def pieces() -> Iterator[tuple[Ids, NDArray[np.bool_]]]:
        for place in train.tolist():
            ids, n_given = shards.whole(place)
            yield ids, np.arange(len(ids)) >= n_given
            progress.advance(task)

    model = ngram.train(pieces(), shards.vocabulary_size, ORDER)
    return ngram.tune(model, ((window.ids, window.counted) for window in _windows(shards, VALIDATION)))


def _items(shards: Shards, windows: list[Window], genre_blocks: int) -> NDArray[np.int64]:
    """(I, 2) window and first id: every window under its own genre, the first of each piece under the others too."""
    rows, seen = [], dict.fromkeys((window.piece for window in windows), 0)
    for place, window in enumerate(windows):
        rows.append((place, int(window.ids[0])))
        if seen[window.piece] < genre_blocks:
            rows += [(place, genre) for genre in shards.info["genre_ids"] if genre != window.ids[0]]
        seen[window.piece] += 1
    return np.array(rows, np.int64)


# --- models ---------------------------------------------------------------------------------------------------------------------


def _open_model(options: argparse.Namespace, shards: Shards) -> Model:
    place = options.model
    made_with = shards.path / "tokenizer.json"
    if (place / "bundle.json").is_file():
        model, tokenizer = _bundle(place, options.threads)
    elif (place / "recipe.toml").is_file():
        model, tokenizer = _run(place, shards, options.threads), (place / "tokenizer.json").read_bytes()
    else:
        raise Missing("{path} is neither a run nor a bundle", path=place, hint="`kapelle train` makes runs, `kapelle export` bundles")
    if json.loads(tokenizer)["tokens"] != json.loads(made_with.read_bytes())["tokens"]:
        raise UsageError("{model} was made with another vocabulary than the shards in {path}", model=place, path=shards.path)
    return model


def _run(place: Path, shards: Shards, threads: int) -> Model:
    """The best weights of a run."""
    import torch
    from torch.nn import functional as F

    from kapelle.training.score import load_network

    torch.set_num_threads(threads)
    digest = hashlib.sha256((place / "weights.safetensors").read_bytes()).hexdigest()
    network, family = load_network(place, shards)
    logits = cast("Any", family).logits  # families of language models have it

    def scorer(ids: Ids) -> Floats:
        with torch.inference_mode():
            rows = torch.from_numpy(ids)
            scores = logits(network, rows[:, :-1]).float()
            nats = F.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten(), reduction="none").view(len(ids), -1)
        return np.pad(nats.double().numpy() / np.log(2), ((0, 0), (1, 0)))

    return Model(place.name, digest, scorer, 8)


def _bundle(place: Path, threads: int) -> tuple[Model, bytes]:
    """A bundle, one piece at a time as it composes: 8-bit kernels give other logits for several at once."""
    from kapelle.bundles.load import load
    from kapelle.bundles.session import Decoder

    bundle = load(place)
    decoder = Decoder(bundle, threads=threads)

    def scorer(ids: Ids) -> Floats:
        decoder.reset()
        scores = decoder.score(ids[0, :-1]).astype(np.float64)  # (T-1, V)
        scores -= scores.max(axis=1, keepdims=True)
        of_next = np.take_along_axis(scores, ids[0, 1:, None], axis=1)[:, 0]
        nats = np.log(np.exp(scores).sum(axis=1)) - of_next
        return np.pad(nats / np.log(2), (1, 0))[None]

    return Model(bundle.name, bundle.hash, scorer, 1), bundle.contents["tokenizer.json"]


# --- measuring ------------------------------------------------------------------------------------------------------------------


class Ledger:
    """Bits by kind of every item measured so far, kept in a file if there is one for it."""

    def __init__(self, path: Path | None, model: Model, items: NDArray[np.int64]) -> None:
        self.path, self.saved = path, time.monotonic()
        self.identity = hashlib.sha256(model.identity.encode() + items.tobytes()).hexdigest()

    def load(self, shape: tuple[int, int]) -> Floats:
        """(I, K) with NaN for what is still to be measured."""
        if self.path and self.path.is_file():
            with np.load(self.path, allow_pickle=False) as held:
                if str(held["identity"]) == self.identity and held["bits"].shape == shape:
                    return np.array(held["bits"])
        return np.full(shape, np.nan)

    def save(self, bits: Floats, *, at_once: bool = False) -> None:
        """Write the file, at most once a minute unless `at_once`."""
        if self.path and (at_once or time.monotonic() - self.saved > 60):
            temporary = self.path.with_name(f".{self.path.stem}.npz")
            np.savez(temporary, bits=bits, identity=self.identity)
            temporary.replace(self.path)
            self.saved = time.monotonic()


def _measure(
    model: Model, windows: list[Window], items: NDArray[np.int64], kind_of: NDArray[np.int64], ledger: Ledger, progress: Progress
) -> Floats:
    """(I, K) bits of the ids that count, by kind."""
    out = ledger.load((len(items), int(kind_of.max()) + 1))
    left = np.flatnonzero(np.isnan(out[:, 0]))
    task = progress.add_task(model.name, total=len(items), completed=len(items) - len(left))
    try:
        for start in range(0, len(left), model.batch):
            group = left[start : start + model.batch]
            members = [windows[i] for i in items[group, 0]]
            ids = np.stack([window.ids for window in members])
            ids[:, 0] = items[group, 1]
            for place, window, row, bits in zip(group, members, ids, model.scorer(ids), strict=True):
                out[place] = _by_kind(bits, window, row, kind_of)
            progress.advance(task, len(group))
            ledger.save(out)
    finally:
        ledger.save(out, at_once=True)
    return out


def _measure_all(model: ngram.NGram, windows: list[Window], kind_of: NDArray[np.int64], progress: Progress) -> Floats:
    task = progress.add_task(f"n-gram of order {model.order}", total=len(windows))
    rows = []
    for window in windows:
        rows.append(_by_kind(ngram.bits(model, window.ids), window, window.ids, kind_of))
        progress.advance(task)
    return np.stack(rows)


def _by_kind(bits: Floats, window: Window, ids: Ids, kind_of: NDArray[np.int64]) -> Floats:
    return np.bincount(kind_of[ids[window.counted]], bits[window.counted], int(kind_of.max()) + 1).astype(np.float64)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


# --- figures --------------------------------------------------------------------------------------------------------------------


class Table:
    """The held-out pieces, what there is to foretell in each, and figures of it."""

    def __init__(self, shards: Shards, words: Vocabulary, pieces: NDArray[np.int64], windows: list[Window]) -> None:
        self.shards, self.pieces = shards, pieces
        self._rows = {int(piece): row for row, piece in enumerate(pieces)}
        low, high = shards.info["note_ids"]
        ones = np.stack([_by_kind(np.ones(len(w.ids)), w, w.ids, words.kind_of) for w in windows])
        self.tokens = self.sum_by_piece(windows, ones)  # (P, K)
        is_note = [[float((w.counted & (w.ids >= low) & (w.ids < high)).sum())] for w in windows]
        self.notes = self.sum_by_piece(windows, np.array(is_note))[:, 0]  # (P,)
        self._kinds = words.kinds
        self._music = np.array([kind not in TOLD for kind in words.kinds])

    def sum_by_piece(self, windows: list[Window], values: Floats) -> Floats:
        """(P, K) of a row of values per window."""
        out = np.zeros((len(self.pieces), values.shape[1]))
        np.add.at(out, [self._rows[window.piece] for window in windows], values)
        return out

    def uniform(self) -> Floats:
        """(P, K) bits if every id is as likely as any other."""
        return self.tokens * math.log2(self.shards.vocabulary_size)

    def figures(self, bits: Floats, baseline: Floats) -> dict[str, Any]:
        """Bits per note and per token, and how far below the baseline, each with its interval."""
        whole, music = bits.sum(axis=1), bits[:, self._music].sum(axis=1)
        return {
            "bits_per_note": asdict(bootstrap.ratio(whole, self.notes)),
            "bits_per_token": asdict(bootstrap.ratio(whole, self.tokens.sum(axis=1))),
            "below_ngram": asdict(bootstrap.saving(whole, baseline.sum(axis=1))),
            "below_ngram_length_aside": asdict(bootstrap.saving(music, baseline[:, self._music].sum(axis=1))),
        }

    def by_kind(self, bits: Floats) -> dict[str, float]:
        """Bits per note spent on each kind of token; they sum to bits per note."""
        spent = bits.sum(axis=0) / self.notes.sum()
        return {name: round(float(spent[i]), 4) for i, name in enumerate(self._kinds) if self.tokens[:, i].any()}

    def held_out(self) -> dict[str, Any]:
        """What was measured on."""
        digests = sorted(digest.decode() for digest in self.shards.digests[self.pieces].tolist())
        return {
            "pieces": len(self.pieces),
            "tokens": int(self.tokens.sum()),
            "notes": int(self.notes.sum()),
            "sha256_of_files": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
            "files": digests,
        }


def _genre_test(shards: Shards, windows: list[Window], items: NDArray[np.int64], bits: Floats, n_blocks: int) -> dict[str, Any]:
    """How often a piece is cheapest under its own genre token, by genre; and which token was cheapest instead."""
    genre_ids = list(shards.info["genre_ids"])
    asked, n_genres = np.bincount(items[:, 0]) == len(genre_ids), len(genre_ids)
    costs: dict[int, Floats] = {}
    for (place, genre), cost in zip(items.tolist(), bits, strict=True):
        if asked[place]:
            costs.setdefault(windows[place].piece, np.zeros(n_genres))[genre_ids.index(genre)] += cost
    true = np.array([int(shards.pieces["genre"][piece]) for piece in costs], np.int64)
    cheapest = np.array([int(np.argmin(cost)) for cost in costs.values()], np.int64)
    confusion = np.zeros((n_genres, n_genres), np.int64)
    np.add.at(confusion, (true, cheapest), 1)
    hits = true == cheapest
    genres = {
        name: {"pieces": int((true == g).sum()), "share": asdict(bootstrap.share(hits[true == g])), "cheapest": confusion[g].tolist()}
        for g, name in enumerate(shards.genres)
    }
    return {"blocks_per_piece": n_blocks, "pieces": len(hits), "share": asdict(bootstrap.share(hits)), "by_genre": genres}


# --- the table ------------------------------------------------------------------------------------------------------------------


def markdown(report: dict[str, Any]) -> str:
    """The report for people to read."""
    held = report["held_out"]
    lines = ["| model | bits per note | bits per token | below the n-gram | ... piece length aside |", "|---|---|---|---|---|"]
    for name, row in report["figures"].items():
        cells = [_figure(row["bits_per_note"], 2), _figure(row["bits_per_token"], 3)]
        cells += [_figure(row[key], 1, 100, " %") for key in ("below_ngram", "below_ngram_length_aside")]
        lines.append(f"| {report['model'] if name == 'model' else name} | {' | '.join(cells)} |")
    lines += ["", f"| bits per note spent on | {' | '.join(report['figures'])} |", "|---|" + "---|" * len(report["figures"])]
    spent = report["bits_per_note_by_kind"]
    lines += [f"| {kind} | {' | '.join(f'{spent[name][kind]:.2f}' for name in spent)} |" for kind in spent["uniform"]]
    if "genre" in report:
        genre = report["genre"]
        names = list(genre["by_genre"])
        lines += ["", f"| genre | pieces | own token is the cheapest | {' | '.join(f'{name} cheapest' for name in names)} |"]
        lines.append("|---|---|---|" + "---|" * len(names))
        for name, row in genre["by_genre"].items():
            lines.append(f"| {name} | {row['pieces']} | {_figure(row['share'], 1, 100, ' %')} | {' | '.join(map(str, row['cheapest']))} |")
        lines.append(f"| all | {genre['pieces']} | {_figure(genre['share'], 1, 100, ' %')} |" + " |" * len(names))
        lines += ["", f"Genre test: the first {genre['blocks_per_piece']} blocks of each piece; chance is {100 / len(names):.0f} %."]
    lines += ["", f"Held out: {held['pieces']} pieces, {held['notes']} notes, {held['tokens']} tokens; files {held['sha256_of_files']}."]
    seconds = f"{report['seconds_ngram']} s for the n-gram" + (f", {report['seconds_model']} s for the model" if "genre" in report else "")
    return "\n".join([*lines, f"95 % intervals over pieces. Measured in {seconds}."])


def _figure(estimate: dict[str, float], digits: int, scale: float = 1, unit: str = "") -> str:
    value, low, high = (f"{scale * estimate[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value}{unit} ({low} to {high})"


if __name__ == "__main__":
    sys.exit(main())
