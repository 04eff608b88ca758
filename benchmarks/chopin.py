"""How well the Chopin LSTM foretells pieces that it has never heard: five seeds, the notebook's variant, one run per composer, one for all.

    python benchmarks/chopin.py DATA WORK [--parts seeds bundle faithful composers] [--measure-only] [--json PATH]

DATA is the folder that holds ``piano_midi_de``; WORK keeps shards and runs, so that what is there is not made again. Markdown goes to
stdout, everything to the JSON file, in which a part that was not run keeps what it held before, or is absent.

Every model is charged for the same ids of the same held-out pieces, read from their first id to their end with the memory carried on;
notes are counted, so a chord is as many as it sounds. The peer is interpolated Kneser-Ney of order 5 over the same ids, its discounts
tuned on the validation part; it learns from the training pieces in all the keys that the network meets (and, to compare, from the
pieces as they stand, which is worse). Bits of variants with different symbols are bits for the same notes, but for those left out as rare,
which are counted.

The notebook's variant knows neither durations nor loudness nor where a chord lies, so its bits are not those of the others; it is compared
with an n-gram of its own symbols, on the symbols that have a whole window before them, and by the share foretold rightly.

It needs the extra `train`. Intervals are 95 %, drawn over pieces.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle import api
from kapelle.data import shards as shard_files
from kapelle.data.shards import Shards
from kapelle.metrics import bootstrap
from kapelle.models import ngram
from kapelle.tokens import vocabulary

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

ORDER = 5
TRAIN, VALIDATION, TEST = 0, 1, 2
SEEDS = 5
ENOUGH_NOTES = 50_000
"""A composer with so many notes gets a run of their own."""

SINGLE_STEPS, COMPOSER_SOURCE = 600, "piano_midi_de"
LICENCE = "CC BY-SA, Bernd Krueger, piano-midi.de"
RESULTS = Path(__file__).parent / "results" / "chopin.json"
RECIPES = Path(__file__).parents[1] / "recipes"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--measure-only", action="store_true", help="make no shards and train nothing; measure what there is")
    parser.add_argument("--bundle", type=Path, help="for the part `bundle`")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    place = Place(options.data, options.work, not options.measure_only, options.bundle)
    report = json.loads(options.json.read_text()) if options.json.is_file() else {}
    for part in options.parts:
        found = PARTS[part](place)
        if found:
            report[part] = found
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(markdown(report))
    return 0


# --- shards and runs --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where things are, and whether missing ones are made."""

    data: Path
    work: Path
    makes: bool
    bundle: Path | None

    def shards(self, name: str, recipe: str, overrides: tuple[str, ...] = ()) -> Shards | None:
        """The shards ``WORK/NAME/shards``; None if there are none and none are to be made."""
        out = self.work / name / "shards"
        if self.makes and not (out / shard_files.INFO).is_file():
            api.prepare(self.data, RECIPES / f"{recipe}.toml", out, overrides=overrides)
        return shard_files.read(out) if (out / shard_files.INFO).is_file() else None

    def run(self, name: str, recipe: str, overrides: tuple[str, ...] = (), number: str = "") -> Path | None:
        """The run ``WORK/NAME/run`` and its number; None if there is none and none is to be made."""
        from kapelle.training.fit import FitOptions

        out = self.work / name / f"run{number}"
        if self.makes:
            options = FitOptions(overrides=overrides, trackers=("jsonl",), accelerator="cpu")
            api.train(RECIPES / f"{recipe}.toml", self.work / name / "shards", out, options)
        return out if (out / "weights.safetensors").is_file() and (out / "figures.json").is_file() else None


# --- models -----------------------------------------------------------------------------------------------------------------------


@dataclass
class Costs:
    """What some held-out pieces cost under one model: bits, hits, ids and notes of each piece; bits by kind of id."""

    bits: list[float] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    notes: list[int] = field(default_factory=list)
    kinds: Floats | None = None

    def add(self, spent: Floats, right: NDArray[np.bool_], ids: Ids, notes_of: Ids, kind_of: Ids) -> None:
        """One piece: bits and hits of its ids."""
        self.bits.append(float(spent.sum()))
        self.hits.append(int(right.sum()))
        self.ids.append(len(ids))
        self.notes.append(int(notes_of[ids].sum()))
        by_kind = np.bincount(kind_of[ids], spent, int(kind_of.max()) + 1)
        self.kinds = by_kind if self.kinds is None else self.kinds + by_kind

    def figures(self, peer: Costs | None = None) -> dict[str, Any]:
        """Bits per note and per id, accuracy, and the share saved against a peer on the same pieces."""
        out = {
            "bits_per_note": asdict(bootstrap.ratio(self.bits, self.notes)),
            "bits_per_id": sum(self.bits) / sum(self.ids),
            "accuracy": sum(self.hits) / sum(self.ids),
        }
        return out if peer is None else {**out, "below_ngram": asdict(bootstrap.saving(self.bits, peer.bits))}


def places(shards: Shards, part: int, *, copies: bool = True) -> list[int]:
    """The pieces of a part; copies in other keys stand behind all pieces that were kept."""
    found = np.flatnonzero(shards.pieces["part"] == part).tolist()
    return found if copies else [place for place in found if place < int(shards.info["kept"])]


def n_gram(shards: Shards, *, copies: bool = True) -> ngram.NGram:
    """Trained on the training part, tuned on the validation part."""

    def pieces(chosen: list[int]) -> Any:
        for place in chosen:
            ids, given = shards.whole(place)
            yield ids, np.arange(len(ids)) >= given

    trained = ngram.train(pieces(places(shards, TRAIN, copies=copies)), shards.vocabulary_size, ORDER)
    return ngram.tune(trained, pieces(places(shards, VALIDATION)))


Foretold = tuple[Floats, NDArray[np.bool_]]
"""Bits of every id given those before it, and whether it was the likeliest; of all ids but the first."""


def by_ngram(model: ngram.NGram, ids: Ids) -> Foretold:
    """The n-gram; its likeliest id is not looked for."""
    return ngram.bits(model, ids)[1:], np.zeros(len(ids) - 1, bool)


def by_run(run: Path, shards: Shards) -> Any:
    """The best weights of a run."""
    import torch

    from kapelle.training.score import load_network

    network, family = load_network(run, shards)
    logits: Any = family.logits  # type: ignore[attr-defined]  # families of language models have it

    def foretell(ids: Ids) -> Foretold:
        with torch.inference_mode():
            return _of_scores(logits(network, torch.from_numpy(ids[None, :-1])).float()[0].numpy(), ids)

    return foretell


def by_bundle(place: Path) -> Any:
    """A bundle, as it composes."""
    from kapelle.bundles.load import load
    from kapelle.bundles.session import Decoder

    decoder = Decoder(load(place))

    def foretell(ids: Ids) -> Foretold:
        decoder.reset()
        return _of_scores(decoder.score(ids[:-1]), ids)

    return foretell


def _of_scores(scores: NDArray[np.float32], ids: Ids) -> Foretold:
    wide = scores.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wanted = np.take_along_axis(wide, ids[1:, None], axis=1)[:, 0]
    return (np.log(np.exp(wide).sum(axis=1)) - wanted) / np.log(2), wide.argmax(axis=1) == ids[1:]


def measure(shards: Shards, foretell: Any, chosen: list[int], *, skip: int = 0, first: int = -1) -> Costs:
    """The costs of some pieces.

    Args:
        shards: Where they are from.
        foretell: ids -> bits and hits of all but the first.
        chosen: Places of the pieces.
        skip: Ids of the music that are context alone, at the head of every piece.
        first: Put this id in front instead of the piece's own (another composer); -1: none.
    """
    from kapelle.training.score import notes_per_id

    words = vocabulary.load(shards.path / "tokenizer.json")[0]
    notes_of, out = notes_per_id(shards), Costs()
    for place in chosen:
        ids, given = shards.whole(place)
        if first >= 0:
            ids[0] = first
        spent, right = foretell(ids)
        start = given + skip
        out.add(spent[start - 1 :], right[start - 1 :], ids[start:], notes_of, words.kind_of)
    return out


def peer_of(shards: Shards, test: list[int], *, copies: bool = True, skip: int = 0) -> Costs:
    """The costs of some pieces under the n-gram of the same shards."""
    model = n_gram(shards, copies=copies)
    return measure(shards, lambda ids: by_ngram(model, ids), test, skip=skip)


# --- parts ------------------------------------------------------------------------------------------------------------------------


def seeds(place: Place) -> dict[str, Any]:
    """The default variant over training seeds, beside the n-gram."""
    shards = place.shards("chopin", "chopin")
    if shards is None:
        return {}
    test = places(shards, TEST)
    peer, plain = (peer_of(shards, test, copies=copies) for copies in (True, False))
    kinds = vocabulary.load(shards.path / "tokenizer.json")[0].kinds
    report = {**_held_out(shards, test), "n_gram": peer.figures(), "n_gram_without_copies": plain.figures(), "runs": {}}
    for seed in range(SEEDS):
        run = place.run("chopin", "chopin", (f"training.seed={seed}",), f"-{seed}")
        if run is None:
            continue
        costs = measure(shards, by_run(run, shards), test)
        told = json.loads((run / "figures.json").read_text())
        spent = {
            kind: float(costs.kinds[i] / sum(costs.notes)) for i, kind in enumerate(kinds) if costs.kinds is not None and costs.kinds[i]
        }
        report["runs"][str(seed)] = {**costs.figures(peer), **_trained(told), "bits_per_note_by_kind": spent}
    return report


def bundle(place: Place) -> dict[str, Any]:
    """What ships, over onnxruntime in 8 bits, on the same pieces."""
    shards = place.shards("chopin", "chopin")
    if shards is None or place.bundle is None:
        return {}
    test = places(shards, TEST)
    peer = peer_of(shards, test)
    return {"name": "chopin", **measure(shards, by_bundle(place.bundle), test).figures(peer)}


def faithful(place: Place) -> dict[str, Any]:
    """The notebook's variant, beside an n-gram of its own symbols."""
    import torch

    from kapelle.training import windows
    from kapelle.training.score import load_network

    shards = place.shards("faithful", "chopin-faithful")
    run = None if shards is None else place.run("faithful", "chopin-faithful")
    if shards is None or run is None:
        return {}
    window, test = int(shards.info["window"]), places(shards, TEST)
    network, family = load_network(run, shards)
    logits: Any = family.logits  # type: ignore[attr-defined]

    def foretell(ids: Ids) -> Foretold:
        """As the notebook does: every window anew."""
        music = np.lib.stride_tricks.sliding_window_view(ids[1:-1], window)  # (N, window) without BOS and EOS
        with torch.inference_mode():
            rows = [
                logits(network, torch.from_numpy(part.copy()))[:, -1].float().numpy()
                for part in np.array_split(music, len(music) // 256 + 1)
            ]
        blank = np.zeros((window, shards.vocabulary_size), np.float32)  # what has no window before it is not charged
        return _of_scores(np.concatenate([blank, *rows]), ids)

    peer = peer_of(shards, test, skip=window)
    told = json.loads((run / "figures.json").read_text())
    epochs = told["step"] * 256 / len(windows.targets(shards, TRAIN, window))
    found = measure(shards, foretell, test, skip=window).figures(peer)
    return {**_held_out(shards, test), "n_gram": peer.figures(), **found, **_trained(told), "epochs": round(epochs, 1)}


def composers(place: Place) -> dict[str, Any]:
    """One run per composer with enough music, and one with a composer token for all, on the same held-out pieces."""
    shards = place.shards("composers", "chopin-composers")
    run = None if shards is None else place.run("composers", "chopin-composers")
    if shards is None or run is None:
        return {}
    together, told = by_run(run, shards), json.loads((run / "figures.json").read_text())
    report: dict[str, Any] = {**_trained(told), "enough_notes": ENOUGH_NOTES, "composers": {}}
    for number, name in enumerate(shards.genres):
        own = np.flatnonzero(shards.pieces["genre"][: int(shards.info["kept"])] == number)
        notes = int(shards.pieces["n_notes"][own].sum())
        row: dict[str, Any] = {"pieces": len(own), "notes": notes}
        if notes >= ENOUGH_NOTES:
            row |= _single(place, name, shards, together)
        report["composers"][name] = row
    report["token"] = _token_test(shards, together)
    return report


def _single(place: Place, name: str, shards: Shards, together: Any) -> dict[str, Any]:
    """A composer's own run and the common one on the pieces that both hold out."""
    source = f'data.sources=[{{folder="{COMPOSER_SOURCE}/{name}", genre="{name}", group="file", licence="{LICENCE}"}}]'
    alone = place.shards(f"single/{name}", "chopin", (source,))
    run = None if alone is None else place.run(f"single/{name}", "chopin", (source, f"training.steps={SINGLE_STEPS}"))
    if alone is None or run is None:
        return {}
    both = set(alone.digests[places(alone, TEST)].tolist()) & set(shards.digests[places(shards, TEST)].tolist())
    mine, theirs = ([i for i in places(held, TEST) if held.digests[i] in both] for held in (alone, shards))
    peer = peer_of(alone, mine)
    told = json.loads((run / "figures.json").read_text())
    return {
        "held_out_pieces": len(mine),
        "n_gram": peer.figures(),
        "alone": {**measure(alone, by_run(run, alone), mine).figures(peer), **_trained(told)},
        "together": measure(shards, together, theirs).figures(),
    }


def _token_test(shards: Shards, together: Any, n_ids: int = 1200) -> dict[str, Any]:
    """How often a held-out piece, its first ids, is cheapest under its own composer's token."""
    import copy

    test = places(shards, TEST)
    short = copy.copy(shards)
    object.__setattr__(short, "pieces", np.array(shards.pieces))
    short.pieces["stop"] = np.minimum(short.pieces["stop"], short.pieces["start"] + n_ids)
    costs = np.array([measure(short, together, test, first=int(token)).bits for token in shards.info["genre_ids"]])  # (composers, P)
    right = costs.argmin(axis=0) == shards.pieces["genre"][test]
    own = costs[shards.pieces["genre"][test].astype(int), np.arange(len(test))]
    others = (costs.sum(axis=0) - own) / (len(costs) - 1)
    return {"pieces": len(test), "ids_of_each": n_ids, "own_is_cheapest": asdict(bootstrap.share(right)),
            "chance": 1 / len(costs), "own_below_the_mean_of_others": asdict(bootstrap.saving(own, others))}  # fmt: skip


def _held_out(shards: Shards, test: list[int]) -> dict[str, Any]:
    info = shards.info
    return {
        "held_out": {"pieces": len(test), "files": sorted(digest.decode() for digest in shards.digests[test].tolist())},
        "vocabulary": shards.vocabulary_size, "symbols": info["symbols"],
        "notes_kept": info["notes"], "notes_left_out": info["notes_left_out"], "chords_split": info["chords_split"],
        "pieces": info["pieces"], "copies_in_other_keys": info["copies_in_other_keys"],
    }  # fmt: skip


def _trained(told: dict[str, Any]) -> dict[str, Any]:
    best = told["best"]
    kept = {key: told[key] for key in ("finished", "seconds", "tokens", "parameters")}
    return {"steps": told["step"], "best_step": best.get("step"), "validation_bits_per_note": best.get("bits_per_note"), **kept}


PARTS = {"seeds": seeds, "bundle": bundle, "faithful": faithful, "composers": composers}


# --- the tables -------------------------------------------------------------------------------------------------------------------


def markdown(report: dict[str, Any]) -> str:
    """The report for people to read, as it stands in the card."""
    return "\n\n".join(SECTIONS[part](report[part]) for part in SECTIONS if part in report)


def _seeds(found: dict[str, Any]) -> str:
    rows = [("n-gram, order 5, in all keys", _note(found["n_gram"]), "", ""),
            ("n-gram, order 5, pieces as they stand", _note(found["n_gram_without_copies"]), "", "")]  # fmt: skip
    rows += [
        (f"seed {seed}, {row['steps']} steps", _note(row), _saved(row), f"{row['accuracy']:.1%}") for seed, row in found["runs"].items()
    ]
    saved = [row["below_ngram"]["value"] for row in found["runs"].values()]
    mean = f"Over {len(saved)} seeds: {np.mean(saved):.1%} below the n-gram, {min(saved):.1%} to {max(saved):.1%}."
    held = f"Held out: {found['held_out']['pieces']} pieces; {found['symbols']} symbols; {found['notes_left_out']} notes left out as rare."
    return _table(("Chopin", "bits per note", "below the n-gram", "ids foretold"), rows) + f"\n\n{mean} {held}"


def _bundle(found: dict[str, Any]) -> str:
    row = (f"{found['name']}, 8 bits, onnxruntime", _note(found), _saved(found), f"{found['accuracy']:.1%}")
    return _table(("what ships", "bits per note", "below the n-gram", "ids foretold"), [row])


def _faithful(found: dict[str, Any]) -> str:
    head = ("the notebook's variant: symbols alone", "bits per symbol", "below its n-gram", "symbols foretold")
    rows = [("n-gram, order 5", f"{found['n_gram']['bits_per_id']:.2f}", "", ""),
            (f"{found['epochs']:g} epochs", f"{found['bits_per_id']:.2f}", _saved(found), f"{found['accuracy']:.1%}")]  # fmt: skip
    return _table(head, rows) + f"\n\n{found['notes_left_out']} of {found['notes_left_out'] + found['notes_kept']} notes left out as rare."


def _composers(found: dict[str, Any]) -> str:
    head = ("composer", "held-out pieces", "n-gram", "alone", "with all, by token")
    rows = [
        (name, row["held_out_pieces"], _note(row["n_gram"]), _note(row["alone"]), _note(row["together"]))
        for name, row in found["composers"].items()
        if "alone" in row
    ]
    token = found["token"]
    said = f"Of {token['pieces']} held-out pieces {token['own_is_cheapest']['value']:.0%} are cheapest under their own composer's token"
    steps = f"Alone: {SINGLE_STEPS} steps for each; with all: {found['steps']:,} steps for everybody."
    return _table(head, rows) + f"\n\nBits per note. {steps} {said} (chance: {token['chance']:.0%})."


SECTIONS = {"seeds": _seeds, "bundle": _bundle, "faithful": _faithful, "composers": _composers}


def _note(row: dict[str, Any]) -> str:
    at = row["bits_per_note"]
    return f"{at['value']:.2f} ({at['low']:.2f} to {at['high']:.2f})"


def _saved(row: dict[str, Any]) -> str:
    at = row["below_ngram"]
    return f"{at['value']:.1%} ({at['low']:.1%} to {at['high']:.1%})"


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
