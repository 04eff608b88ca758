"""Five hundred pieces on themes, counted: none fails, all are as long as asked, all can be read back, none is degenerate.

    python benchmarks/theme_pieces.py SHARDS [--model theme] [--count 500] [--json FILE]

The themes are those of the test songs (see theme_returns.py); each is developed with seed after seed, at 16, 24 and 32 bars in turn.
What the published system had to throw away, a piece that was never written or is shorter than 30 seconds, is counted, and so is what was
composed twice. Everything is read back from the written bytes, by symusic and by mido.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import _bands
import _texts
import _themes

import kapelle
from kapelle.errors import KapelleError
from kapelle.metrics.degenerate import degeneracy
from kapelle.score import units
from kapelle.score.melody import melody_notes
from kapelle.tokens import theme as tokens

LENGTHS = (16, 24, 32)
LONG, SHORTEST_S = 32, 30.0
"""What the published system had to discard was shorter than so many seconds, of 32 bars."""

CHECKS = {
    "written": "composed and written",
    "exact": "as many bars as asked: the last note ends in the last one",
    "ends": "an onset in the last bar, all released at the final bar line",
    "tokens": "valid by the grammar: nothing dropped, encoded and decoded again without a change",
    "one voice": "the melody is one note at a time",
    "mido": "read by mido: the same notes",
    "theme": "the theme is marked at least once",
    "sound": "not degenerate",
    "first": "taken at the first try",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--model", default="theme", help="bundle name or path")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    todo = _themes.wishes(_themes.songs(given.shards, "test"), given.model, LENGTHS, given.count)
    rows = []
    for row in _themes.in_processes(check, todo, given.processes):
        rows.append(row)
        if len(rows) % 50 == 0:
            print(f"{len(rows)} of {len(todo)}", file=sys.stderr, flush=True)
    held = kapelle.bundle(given.model)
    report = {"bundle": held.name, "hash": held.hash, **counted(rows)}
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    print(told(report))
    return 0


def check(wish: _themes.Wish) -> dict[str, Any]:
    """What held of one piece."""
    out: dict[str, Any] = {"name": wish.name, "seed": wish.seed, "bars": wish.bars, "held": dict.fromkeys(CHECKS, False), "failures": []}
    try:
        made = _themes.develop(wish)
    except KapelleError as error:
        return {**out, "failures": [f"failed: {error}"]}
    score = kapelle.read_midi(made["midi"])
    held = out["held"]
    regions = _themes.regions_of(score)
    music = _themes.music_tracks(score)
    reasons = degeneracy(music, wish.bars)
    held["written"] = True
    held["exact"] = units.n_bars(music) == wish.bars
    held["ends"] = not (reasons.silent_ending or reasons.unreleased)
    held["tokens"] = made["dropped"] == 0 and _same_again(music, regions, wish.bars)
    held["one voice"] = _one_voice(music)
    held["mido"] = _by_mido(made["midi"]) == _notes(score)
    held["theme"] = bool(regions)
    held["sound"] = not reasons and not made["problems"]
    held["first"] = made["attempts"] == 1
    seconds = float(units.tempo_map(score).to_seconds(units.bars_to_ticks(score, wish.bars)))
    return {
        **out, "seconds": seconds, "regions": len(regions), "failures": made["failures"], "reasons": [*reasons.reasons, *made["problems"]],
        "notes": sum(len(track.notes) for track in music.tracks), "sha256": hashlib.sha256(made["midi"]).hexdigest(),
    }  # fmt: skip


def _same_again(score: Any, regions: tuple[tuple[int, int], ...], n_bars: int) -> bool:
    """Whether a piece, in the key of the vocabulary's songs, is ids and music again without a change."""
    spec = tokens.ThemeSpec("paper", normalise_key=True)
    made = tokens.encode(score, spec, regions, n_bars=n_bars)
    again = tokens.decode(made.ids.tolist(), spec, ticks_per_quarter=score.tpq)
    lost = {what: n for what, n in made.lost.items() if what != "tempos_rounded"}  # the file has the tempo of the theme, ids the nearest
    same = [_track_notes(one) == _track_notes(other) for one, other in zip(score.tracks, again.score.tracks, strict=True)]
    return all(same) and again.n_bars == n_bars and not any(lost.values()) and again.dropped == 0


def _track_notes(track: Any) -> list[tuple[int, int, int, int]]:
    return sorted((note.time, note.duration, note.pitch, note.velocity) for note in track.notes)


def _notes(score: Any) -> list[tuple[int, int, int]]:
    """Onset, end, pitch of all notes."""
    return sorted((note.time, note.time + note.duration, note.pitch) for track in score.tracks for note in track.notes)


def _one_voice(score: Any) -> bool:
    """Whether no note of the track MELODY begins while another one sounds."""
    melody = next(track for track in score.tracks if track.name == tokens.MELODY)
    rows = _track_notes(melody)
    return len(rows) == len(melody_notes(score)) and all(a[0] + a[1] <= b[0] for a, b in pairwise(rows))


def _by_mido(data: bytes) -> list[tuple[int, int, int]]:
    """The same as `_notes`, as another parser reads the bytes."""
    import mido

    out = []
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding.setdefault((message.channel, message.note), []).append(now)
            elif message.type in ("note_on", "note_off"):
                out.append((sounding[message.channel, message.note].pop(0), now, message.note))
    return sorted(out)


# --- counting and telling ---------------------------------------------------------------------------------------------------


def counted(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How many of how many, by length and of all."""
    held = list(rows)
    long = [row for row in held if row["bars"] == LONG and "seconds" in row]
    return {
        "asked": len(held),
        "held": {check: sum(row["held"][check] for row in held) for check in CHECKS},
        "by length": {str(bars): _of_length([row for row in held if row["bars"] == bars]) for bars in LENGTHS},
        "long": len(long),
        "long of 30 s": sum(row["seconds"] >= SHORTEST_S for row in long),
        "shortest_s": min((row["seconds"] for row in long), default=float("nan")),
        "first failures": dict(Counter(reason for row in held for reason in row["failures"]).most_common()),
        "degenerate": dict(Counter(reason for row in held for reason in row.get("reasons", ())).most_common()),
        "regions": sum(row.get("regions", 0) for row in held) / max(len(held), 1),
        "different": len({row["sha256"] for row in held if "sha256" in row}),
        "wrong": [f"{row['name']} seed {row['seed']}, {row['bars']} bars" for row in held
                  if not all(value for check, value in row["held"].items() if check != "first")][:20],
    }  # fmt: skip


def _of_length(rows: list[Mapping[str, Any]]) -> dict[str, int]:
    return {"asked": len(rows), **{check: sum(row["held"][check] for row in rows) for check in ("exact", "sound", "first")}}


def told(report: Mapping[str, Any]) -> str:
    """For people."""
    asked = report["asked"]
    rows = [(CHECKS[check], asked, n) for check, n in report["held"].items()]
    rows.append((f"{LONG} bars last {SHORTEST_S:g} s or more", report["long"], report["long of 30 s"]))
    rows.append(("differ from all others", asked, report["different"]))
    failed = 1 - report["held"]["first"] / max(asked, 1)
    lines = [f"{failed:.1%} were not taken at the first try (goal: at most 5 %): {_listed(report['first failures'])}."]
    lines.append(f"Degenerate: {_listed(report['degenerate'])}. Shortest of {LONG} bars: {_texts.figure(report['shortest_s'], 1)} s.")
    if report["wrong"]:
        lines.append("Something is wrong with: " + "; ".join(report["wrong"]) + ".")
    return (
        f"{report['bundle']}, {asked} pieces on themes of the test songs.\n\n"
        + _texts.table(("what", "asked", "held"), rows)
        + "\n"
        + "\n".join(lines)
        + "\n"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in counts.items()) or "none"


if __name__ == "__main__":
    sys.exit(main())
