"""A folder of generated pieces against a folder of real ones, beside real music and baselines.

Takes files; gives an `Evaluation`. Every piece, real or not, is cut to the same number of bars. The reference is split into two halves, A
and B, by hashes of its files. **Every row is compared with A**: the generated sets, real music itself (B: what a perfect composer would
reach, the noise floor), and baselines made from B. All rows have equally many pieces there, since the distances of sets depend on their
sizes; figures of single pieces use all.

The same files, options and bundles give the same figures, whatever their names and order and however many processes share the work.

It never compares perplexities: a language model, if one is named, is asked for bits per note. It makes no verdict.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kapelle import config
from kapelle.errors import Missing, UsageError
from kapelle.judging import baselines, comparing, excerpts
from kapelle.judging.evaluation import BASELINE, FEW, MADE, REAL, Evaluation, Options, Piece, Remark, Row, Sample, SetFigures
from kapelle.judging.excerpts import FEATURES, JUDGE, JUDGE_BUNDLE, SHORT, SILENT, UNREADABLE, Found, How, Job
from kapelle.judging.kept import Kept
from kapelle.metrics import bootstrap
from kapelle.metrics.degenerate import Degeneracy
from kapelle.metrics.piece import METRICS
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from kapelle.workers import Workers

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.metrics.bootstrap import Estimate
    from kapelle.metrics.distance import Compared

REAL_NAME = "real music"
SHUFFLED_NAME = "bars shuffled"
CHAIN_NAME = "Markov chain"
BASELINES = (SHUFFLED_NAME, CHAIN_NAME)
MOST_NAMED = 5
"""Files that a remark names."""

MOST_LEARNED = 500
"""Pieces that the chain learns from."""

Stage = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, how much there is."""

MEASURING, COMPARING = "measuring pieces", "comparing sets"


@dataclass(frozen=True)
class Work:
    """Who does the work, and where what is done is kept.

    Args:
        workers: Processes.
        kept: A file for what was measured so far; None: nothing is kept.
        progress: Told how far it is.
    """

    workers: Workers = field(default_factory=Workers)
    kept: Path | None = None
    progress: Stage = lambda stage, done, total: None


@dataclass(frozen=True)
class _Set:
    """Pieces of a row: those that were measured, in an order that their bytes decide."""

    name: str
    kind: str
    found: tuple[Found, ...]
    used: tuple[Found, ...]
    jobs: Mapping[str, Job]


def evaluate(
    made: Mapping[str, Sequence[Path]], reference: Sequence[Path], options: Options | None = None, work: Work | None = None
) -> Evaluation:
    """What generated pieces have and lack beside real ones.

    Args:
        made: Name -> MIDI files of one set, such as the pieces of one model.
        reference: MIDI files of real music that no model learned from.
        options: How.
        work: Who does it.

    Raises:
        UsageError: An option is out of range, a set has no file, or two rows would have one name.
        Missing: A bundle that is asked for is not installed.
    """
    options, work = options or Options(), work or Work()
    config.check(options)
    _check_sets(made, reference)
    how, embedding, judge = _settled(options)
    kept = Kept(work.kept, [judge, _hash_of(options.model), *METRICS])
    jobs = {name: [Job(_name(path), path, how) for path in files] for name, files in {**made, REAL_NAME: reference}.items()}
    to_do = sum(map(len, jobs.values())) + len(reference)  # half of the reference makes two baselines
    *given, real = _sets(jobs, options, kept, work, (0, to_do))
    first, second = real.used[::2], real.used[1::2]
    invented = _sets(_baselines(second, real, how), options, kept, work, (to_do - 2 * len(second), to_do))
    sets = [*given, real, *invented]
    figures = comparing.against(
        first,
        [second if one is real else one.used for one in sets],
        options,
        how.embedding,
        work.workers,
        lambda done, total: work.progress(COMPARING, done, total),
    )
    rows = tuple(_row(one, *figure, options) for one, figure in zip(sets, figures, strict=True))
    halves = {one.digest: "A" for one in first} | {one.digest: "B" for one in second}
    pieces = tuple(Piece(one.name, halves.get(found.digest, "") if one is real else "", found) for one in sets for found in one.found)
    return Evaluation(
        replace(options, embedding=how.embedding),
        embedding,
        rows,
        pieces,
        tuple(_remarks(sets, real, rows, options)),
        tuple(_samples(sets, options.samples)),
        judge,
    )


def _check_sets(made: Mapping[str, Sequence[Path]], reference: Sequence[Path]) -> None:
    if not made:
        raise UsageError("no pieces are named that could be evaluated")
    for name, files in {**made, "reference": reference}.items():
        if not files:
            raise UsageError("there are no MIDI files in {name}", name=name)
    for name in made:
        if name in (REAL_NAME, *BASELINES):
            raise UsageError("a set cannot be called {name}: that is a row of its own", name=name)


def _settled(options: Options) -> tuple[How, str, str]:
    """How pieces are measured, what the embedding is called, and the hash of the judge."""
    judge = excerpts.judge_hash()
    if options.embedding == JUDGE and not judge:
        raise Missing("the bundle {name} is not installed", name=JUDGE_BUNDLE, hint="leave --embedding out to use features of the notes")
    embedding = options.embedding or (JUDGE if judge else FEATURES)
    how = How(options.bars, options.seed, embedding, bool(judge), options.model)
    if embedding == JUDGE:
        return how, f"{JUDGE_BUNDLE} {judge[:16]}", judge
    return how, "features of the notes, standardised by half A of the reference and cut off at 3 deviations", judge


def _hash_of(model: str) -> str:
    if not model:
        return ""
    from kapelle.bundles import load
    from kapelle.judging import likelihood

    bundle = load.load(model)
    if not likelihood.foretells(bundle):
        raise UsageError("{name} gives no probability of a piece", name=bundle.name, hint="name a model of notes or chords with --model")
    return bundle.hash


def _name(path: Path) -> str:
    return path.name


def _sets(jobs: Mapping[str, Sequence[Job]], options: Options, kept: Kept, work: Work, place: tuple[int, int]) -> list[_Set]:
    """Measure pieces of some rows; `place` is how many are done, of how many."""
    flat = [job for some in jobs.values() for job in some]
    before, total = place
    measured = iter(kept.all_of(excerpts.measure, flat, work.workers, lambda done, _: work.progress(MEASURING, before + done, total)))
    return [_set(name, some, [next(measured) for _ in some], options) for name, some in jobs.items()]


def _set(name: str, jobs: Sequence[Job], found: Sequence[Found], options: Options) -> _Set:
    """A row's pieces; copies of one file count once, and no more pieces than are asked for."""
    kind = REAL if name == REAL_NAME else BASELINE if name in BASELINES else MADE
    by_bytes = {one.digest: one for one in reversed(found) if not one.trouble}
    order = sorted(by_bytes, key=lambda digest: _lot(digest, options.seed))
    most = options.pieces * (2 if kind == REAL else 1) or len(order)
    used = tuple(by_bytes[digest] for digest in order[:most])
    return _Set(name, kind, tuple(found), used, {one.digest: job for job, one in zip(jobs, found, strict=True)})


def _lot(digest: str, seed: int) -> str:
    """What decides the order of files, and which half they go to."""
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def _baselines(second: Sequence[Found], real: _Set, how: How) -> dict[str, list[Job]]:
    """The jobs of both baselines, made from half B."""
    shuffled = [replace(real.jobs[one.digest], shuffled=True) for one in second]
    chain = baselines.learn(_score(real.jobs[one.digest], one) for one in second[:MOST_LEARNED])
    numbers = range(len(second)) if chain else ()
    composed = [
        Job(f"chain {number}", to_bytes(baselines.composed(chain, how.bars, how.seed + number)), how) for number in numbers if chain
    ]
    return {SHUFFLED_NAME: shuffled, CHAIN_NAME: composed}


def _score(job: Job, found: Found) -> Score:
    """The excerpt that was measured, read again."""
    return excerpts.cut(read(job.source), found.first_bar, job)


def _samples(sets: Sequence[_Set], n: int) -> list[Sample]:
    return [Sample(one.name, found.name, _score(one.jobs[found.digest], found)) for one in sets for found in one.used[:n]]


def _row(one: _Set, sets: SetFigures, metrics: Mapping[str, Compared], options: Options) -> Row:
    """The figures of a row: over all its pieces, and of the part that was compared."""
    judged = [found for found in one.found if found.trouble in ("", SILENT) and found.digest]
    genres = list(dict.fromkeys(genre for found in one.used for genre in found.genres))
    likeliest = [max(found.genres, key=lambda genre: found.genres[genre]) for found in one.used if found.genres]
    wishes = list(dict.fromkeys(wish for found in judged for wish in found.obeyed))
    rules = {rule: [rule in found.broken for found in judged] for rule in Degeneracy.__dataclass_fields__}
    return Row(
        one.name,
        one.kind,
        len(one.found),
        len(one.used),
        dict(Counter(found.trouble for found in one.found if found.trouble)),
        {name: _mean([found.values[name] for found in one.used], options) for name in METRICS},
        {"any": _share([bool(found.broken) for found in judged], options)} | {rule: _share(hits, options) for rule, hits in rules.items()},
        {wish: _share([found.obeyed[wish] for found in judged if wish in found.obeyed], options) for wish in wishes},
        {genre: _mean([found.genres[genre] for found in one.used], options) for genre in genres},
        {genre: _share([name == genre for name in likeliest], options) for genre in genres},
        _bits(one.used, options),
        sets,
        metrics,
    )


def _bits(used: Sequence[Found], options: Options) -> Estimate:
    """Bits per note of all pieces that the language model could read."""
    read = [found for found in used if found.notes]
    if not read:
        return bootstrap.nothing("no language model read any of it")
    return bootstrap.ratio([found.bits for found in read], [found.notes for found in read], options.seed)


def _mean(values: Sequence[float], options: Options) -> Estimate:
    return bootstrap.mean(np.asarray(values, np.float64), options.seed)


def _share(hits: Sequence[bool], options: Options) -> Estimate:
    return bootstrap.share(hits, options.seed) if hits else bootstrap.nothing("no piece")


def _left_out(one: _Set, options: Options) -> list[Remark]:
    """The files of a row that were not measured, by what the trouble is."""
    told = {
        UNREADABLE: "{row}: {count} of {total} files cannot be read: {names}",
        SHORT: "{row}: {count} of {total} pieces have too few bars, at least {least} are needed: {names}",
        SILENT: "{row}: {count} of {total} pieces have no notes where they are measured: {names}",
    }
    out = []
    for trouble, template in told.items():
        named = [found.name for found in one.found if found.trouble == trouble]
        if named:
            shown = ", ".join(named[:MOST_NAMED]) + (" ..." if len(named) > MOST_NAMED else "")
            values = {"row": one.name, "count": len(named), "total": len(one.found), "names": shown}
            out.append(Remark(template, {**values, "least": options.bars - excerpts.SHORT_BARS}))
    return out


def _remarks(sets: Sequence[_Set], real: _Set, rows: Sequence[Row], options: Options) -> list[Remark]:
    """What to know: files that were left out, sets that are small or not apart."""
    out = []
    ours = {found.digest for found in real.found if found.digest}
    for one in sets:
        if one.kind == BASELINE:
            continue
        out += _left_out(one, options)
        odd = [f"{found.name}: {why}" for found in one.found for why in found.warnings]
        if odd:
            out.append(Remark("{row}: {count} odd files, the first of them {why}", {"row": one.name, "count": len(odd), "why": odd[0]}))
        usable = [found.digest for found in one.found if not found.trouble]
        if len(usable) > len(set(usable)):
            out.append(
                Remark(
                    "{row}: {count} files are copies of others and count once", {"row": one.name, "count": len(usable) - len(set(usable))}
                )
            )
        both = len(ours & {found.digest for found in one.found}) if one is not real else 0
        if both:
            out.append(
                Remark("{row}: {count} files are in the reference too, which makes its figures too good", {"row": one.name, "count": both})
            )
    if len(real.used) < 2:
        out.append(
            Remark("the reference has {count} usable pieces, too few for two halves: nothing can be compared", {"count": len(real.used)})
        )
    out += [Remark("{row}: no piece could be measured", {"row": one.name}) for one in sets if not one.used and one.kind == MADE]
    least = min((min(row.sets.n, row.sets.against) for row in rows if row.sets.n), default=FEW)
    if least < FEW:
        out.append(Remark("sets of {count} pieces are compared: below {few}, distances are rough", {"count": least, "few": FEW}))
    return out
