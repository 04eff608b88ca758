"""``kapelle denoise``: sounds with less noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import AUTO, PICTURES, claim
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.api.denoising import Denoised, DenoisePlan
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    sources: tuple[Path, ...] = argument(help="sounds, or folders of them", metavar="IN.wav")
    output: Path | None = option(
        None, help="sound file to write, or a folder for several; beside each sound if left out", short="-o", metavar="OUT.wav"
    )
    method: str = option("wiener", help="how", choices=("wiener", "noisereduce", "deepfilternet"))
    strength: float = option(0.6, help="how far noise is turned down: 0 not at all, 1 by 30 dB", min=0.0, max=1.0)
    plot: str = option("", help="draw before, after and what was taken away", metavar="FILE.png", implied=AUTO, suffixes=PICTURES)
    bits: int = option(16, help="bits per sample: 16, 24, or 32 (WAV only)", min=16, max=32)
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Clean, write, tell."""
    from kapelle import api

    plans = _plans(arguments)
    claim([path for plan in plans for path in (plan.out, plan.picture) if path], force=arguments.force)
    with console.bar("denoising") as bar:
        cleaned = api.denoise_files(plans, arguments.method, arguments.strength, bits=arguments.bits, force=arguments.force, progress=bar)
        done = list(cleaned)
    if console.as_json:
        console.data({"files": [one.as_dict() for one in done]})
        return
    for one in done:
        if one.error:
            console.warn("{why}", why=console.texts.error(one.error))  # it names the file
        else:
            _show(one, console)


def _plans(arguments: Arguments) -> list[DenoisePlan]:
    """Which file becomes which."""
    from kapelle import api
    from kapelle.api.denoising import DenoisePlan
    from kapelle.audio import files

    out, drawn = arguments.output, bool(arguments.plot)
    single = out is not None and bool(out.suffix) and not out.is_dir()
    if single and out:
        files.check_suffix(out)  # `clean.aiff` is no folder that anybody wants
    plans = api.denoise_plans(arguments.sources, None if single else out, method=arguments.method, pictures=drawn)
    if len(plans) > 1 and (single or arguments.plot not in ("", AUTO)):
        raise UsageError("{count} sounds cannot share one file", count=len(plans), hint="give -o a folder, and --plot without a name")
    if single and out:
        plans = [DenoisePlan(plans[0].source, out, out.with_suffix(".png") if drawn else None)]
    if arguments.plot not in ("", AUTO):
        plans = [DenoisePlan(plans[0].source, plans[0].out, Path(arguments.plot))]
    return plans


def _show(one: Denoised, console: Console) -> None:
    console.line(str(one.path))
    changes = ", ".join(f"{_hz(hz)} {db:+.1f}" for hz, db in one.octaves_db.items())
    console.facts(
        {
            "method": f"{one.method}, {one.strength:g}",
            "noise": _noise(one, console),
            "change by octave": f"{changes} dB" if changes else None,
            "picture": one.picture,
        }
    )
    if one.floor_before_db is None:
        console.warn("{path}: too short or too silent to tell noise from music; it is as it was", path=one.source)
    if one.clipped:
        console.warn("{path}: {n} samples were clipped", path=one.path, n=one.clipped)


def _noise(one: Denoised, console: Console) -> str | None:
    before, after = one.floor_before_db, one.floor_after_db
    if before is None:
        return None
    return f"{before:.0f} dB -> {console.texts('silence')}" if after is None else f"{before:.0f} -> {after:.0f} dB"


def _hz(hz: float) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"
