"""A blind listening test made from a study: pieces in random order under names that tell nothing, to be rated and compared.

Takes the folder of a study; fills a folder with ``index.html`` and ``clips/``, and writes the key beside it: which clip is which piece.
Every clip is rendered anew from its MIDI file, by one synth, to one length and, as far as its peaks allow, to one loudness, so that nothing
but the music tells where it is from. Who gets the folder does not get the key.

What people answer is counted by `answers`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kapelle.audio import Waveform, files
from kapelle.audio.waveform import amplitude
from kapelle.config import check, setting
from kapelle.errors import Interrupted, Missing, UnknownName, UnreadableInput, UsageError
from kapelle.score.read import read
from kapelle.score.write import write_bytes
from kapelle.study import sound
from kapelle.study.cell import CELLS
from kapelle.study.composers import library

CLIPS = "clips"
QUESTIONS = {
    "harmonious": "the notes fit together",
    "rhythmic": "it has a beat that holds",
    "structured": "it has parts, and they make a whole",
    "coherent": "what comes follows from what was",
    "overall": "how good it is, all in all",
}
"""What is asked of every piece -> what is meant; from 1, not at all, to 5, very much."""

LEVELS = (1, 2, 3, 4, 5)
REAL = "real music"
RMS_DB, PEAK_DB = -24.0, -1.0


@dataclass(frozen=True)
class Asked:
    """What a test is made of."""

    clips: int = setting(12, help="pieces to rate", min=0, max=200)
    pairs: int = setting(6, help="pairs to compare", min=0, max=200)
    seed: int = setting(1, help="of what is drawn: which pieces, in which order, under which names", min=0)
    by: str = setting("", help="axis of the study whose values are compared; its first if left out")
    seconds: float = setting(30.0, help="length of every clip", unit="s", min=3, max=600)
    synth: str = setting("soundfont", help="what plays them", choices=("soundfont", "sine"))

    def __post_init__(self) -> None:
        check(self)
        if not self.clips and not self.pairs:
            raise UsageError("a listening test needs clips or pairs")


@dataclass(frozen=True)
class Clip:
    """A piece that may be in a test.

    Args:
        path: Its MIDI file.
        group: What it belongs to: a model, a stage, real music.
        cell: What it is called in the study.
        others: Its values on the other axes: pieces of one pair share them if they can.
    """

    path: Path
    group: str
    cell: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blind:
    """A test.

    Args:
        key: What the key file says.
        order: Ids of the clips that are rated, in the order of the page.
        pairs: Id of each pair -> ids of its clips, in that order.
        n_quieter: Clips whose peaks did not let them be as loud as the others.
    """

    key: dict[str, Any]
    order: tuple[str, ...]
    pairs: dict[str, tuple[str, str]]
    n_quieter: int = 0


def make(
    site: Path,
    out: Path,
    asked: Asked,
    *,
    beside: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Blind:
    """The test of a study, written to `out` but for its page and its key.

    Args:
        site: Folder of a study.
        out: Folder of the page.
        asked: How many, drawn how.
        beside: A folder of MIDI files that are tested among the others, as "real music".
        progress: Called with (clips rendered, clips in all).
        cancelled: Asked before every clip.

    Raises:
        Missing: `site` is no folder of a study.
        UnreadableInput: Its results are damaged.
        UnknownName: It has no such axis.
        UsageError: It has too few pieces, or nothing to compare.
        Interrupted: `cancelled` said so.
    """
    title, axis, pool = _pool(site, asked.by)
    if beside is not None:
        found = library(beside, REAL, asked.seed)
        pool += [Clip(path, REAL, f"{REAL}: {path.name}") for path in found.files]
    random = np.random.Generator(np.random.Philox(asked.seed))
    rated = _balanced(pool, asked.clips, random)
    compared = _pairs(pool, asked.pairs, random)
    used = list(dict.fromkeys([*rated, *(clip for pair in compared for clip in pair)]))
    names = _names(len(used), random)
    ids = {clip: names[place] for place, clip in enumerate(used)}
    quieter = 0
    for done, place in enumerate(random.permutation(len(used)).tolist()):  # so that the times of the files tell nothing
        if cancelled():
            raise Interrupted("making the listening test was stopped", hint="the same command begins it again")
        quieter += _written(used[place], out / CLIPS / f"{ids[used[place]]}.ogg", asked)
        progress(done + 1, len(used))
    pairs = {f"{ids[one]}-{ids[other]}": (ids[one], ids[other]) for one, other in compared}
    key = {
        "kapelle": 1,
        "test": hashlib.sha256(json.dumps([sorted(names), asked.seed, title]).encode()).hexdigest()[:12],
        "title": title,
        "axis": axis,
        "seed": asked.seed,
        "clips": {name: {"group": clip.group, "cell": clip.cell} for clip, name in sorted(ids.items(), key=lambda pair: pair[1])},
        "rated": [ids[clip] for clip in rated],
        "pairs": {name: list(pair) for name, pair in pairs.items()},
    }
    return Blind(key, tuple(ids[clip] for clip in rated), pairs, quieter)


def _pool(site: Path, by: str) -> tuple[str, str, list[Clip]]:
    """Title of a study, the axis that is compared, and its pieces."""
    path = site / "results.json"
    if not path.is_file():
        raise Missing(
            "{folder} is no folder of a study: there is no results.json", folder=site, hint="`kapelle study PLAN -o DIR` makes one"
        )
    try:
        table = json.loads(path.read_bytes())
        axes = [str(axis["name"]) for axis in table["axes"]]
        rows = [(str(row["name"]), {str(k): str(v) for k, v in row["values"].items()}) for row in table["cells"] if row["measures"]]
        title = str(table["title"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInput("{path} is no result of a study: {why}", path=path, why=error) from error
    if by and by not in axes:
        raise UnknownName("axis", by, axes)
    axis = by or axes[0]
    clips = [
        Clip(site / CELLS / f"{Path(name).name}.mid", values[axis], name, tuple(value for one, value in values.items() if one != axis))
        for name, values in rows
    ]
    return title, axis, [clip for clip in clips if clip.path.is_file()]


def _balanced(pool: Sequence[Clip], n: int, random: np.random.Generator) -> list[Clip]:
    """`n` pieces, as many of each group as can be, in random order.

    Raises:
        UsageError: There are not so many.
    """
    if n > len(pool):
        raise UsageError("the study has {there} pieces, and {n} are to be rated", there=len(pool), n=n, hint="ask for fewer --clips")
    groups = list(dict.fromkeys(clip.group for clip in pool))
    turns = []
    for group in groups:
        mine = [clip for clip in pool if clip.group == group]
        order = random.permutation(len(mine)).tolist()
        turns += [(turn, random.random(), mine[place]) for turn, place in enumerate(order)]
    chosen = [clip for _, _, clip in sorted(turns, key=lambda one: one[:2])[:n]]
    return [chosen[place] for place in random.permutation(n).tolist()]


def _pairs(pool: Sequence[Clip], n: int, random: np.random.Generator) -> list[tuple[Clip, Clip]]:
    """`n` pairs of pieces of different groups, every pair of groups about as often; no pair twice.

    Raises:
        UsageError: There is one group alone, or there are not so many pairs.
    """
    groups = list(dict.fromkeys(clip.group for clip in pool))
    if n and len(groups) < 2:
        raise UsageError("pairs need two groups, and there is one", hint="--pairs 0, another --by, or real music --beside")
    both = [(a, b) for place, a in enumerate(groups) for b in groups[place + 1 :]]
    seen: set[frozenset[str]] = set()
    out: list[tuple[Clip, Clip]] = []
    order = [both[place] for place in random.permutation(len(both)).tolist()]
    for attempt in range(50 * n):
        if len(out) == n:
            break
        a, b = order[len(out) % len(order)] if attempt < 25 * n else order[int(random.integers(len(order)))]
        one = _drawn([clip for clip in pool if clip.group == a], random)
        like = [clip for clip in pool if clip.group == b and clip.others == one.others]
        other = _drawn(like or [clip for clip in pool if clip.group == b], random)
        if frozenset((one.cell, other.cell)) not in seen:
            seen.add(frozenset((one.cell, other.cell)))
            out.append((one, other) if random.random() < 0.5 else (other, one))
    if len(out) < n:
        raise UsageError("the study has {there} pairs, and {n} are to be compared", there=len(out), n=n, hint="ask for fewer --pairs")
    return [out[place] for place in random.permutation(n).tolist()]


def _drawn(clips: Sequence[Clip], random: np.random.Generator) -> Clip:
    return clips[int(random.integers(len(clips)))]


def _names(n: int, random: np.random.Generator) -> list[str]:
    """`n` different names of files that tell nothing."""
    names: dict[str, None] = {}
    while len(names) < n:
        names[f"{int(random.integers(2**32)):08x}"] = None
    return list(names)


def _written(clip: Clip, path: Path, asked: Asked) -> bool:
    """Whether a clip had to be quieter than the others, after writing it."""
    wave = sound.rendered(read(clip.path), sound.Sound(synth=asked.synth, seconds=asked.seconds))
    rms, peak = float(np.sqrt(np.mean(wave.samples.astype(np.float64) ** 2))), wave.peak
    if not rms:
        files.write(path, wave)
        return True
    gain = amplitude(RMS_DB) / rms
    most = amplitude(PEAK_DB) / peak
    files.write(path, Waveform(wave.samples * np.float32(min(gain, most)), wave.sample_rate))
    return most < gain


def write_key(path: Path, blind: Blind) -> None:
    """Write the key of a test."""
    write_bytes(path, (json.dumps(blind.key, indent=1, ensure_ascii=False) + "\n").encode())
