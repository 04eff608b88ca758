"""Sounds freed of noise, file by file, with what that changed.

Takes paths of sounds; writes sounds, and pictures of before and after; gives what was found. Nothing that is there is replaced unless
`force` says so, and what is there stays until its successor is whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.files import free
from kapelle.audio.denoise import DEFAULT_METHOD, DEFAULT_STRENGTH
from kapelle.audio.denoise import METHODS as DENOISERS
from kapelle.errors import KapelleError, Missing, StorageError, UnreadableInput, UsageError
from kapelle.progress import Report, quiet
from kapelle.score.folders import files_in

if TYPE_CHECKING:
    from kapelle.audio.waveform import Waveform

__all__ = ["DENOISERS", "DenoisePlan", "Denoised", "denoise_file", "denoise_files", "denoise_plans"]

LOSSLESS = (".wav", ".flac")
"""Sounds that are written as what they were; others become .wav, so that they are not coded a second time."""
WORK = 1000
"""Steps of progress of a file."""


@dataclass(frozen=True)
class Denoised:
    """A file that was freed of noise, or why it was not.

    Args:
        source: What was read.
        path: What was written.
        method: How.
        strength: How far.
        seconds: Length of the sound.
        floor_before_db: Level of the noise that was found, in dB of full scale; None if the sound is too short or too silent to tell.
        floor_after_db: The same of what was written.
        octaves_db: Change of the level of each octave, by its middle in Hz; those far below the loudest are left out.
        clipped: Samples that did not fit into the file.
        picture: Before and after, if it was drawn.
        error: Why nothing was written; everything else then says nothing.
    """

    source: Path
    path: Path
    method: str
    strength: float
    seconds: float = 0.0
    floor_before_db: float | None = None
    floor_after_db: float | None = None
    octaves_db: dict[float, float] = field(default_factory=dict)
    clipped: int = 0
    picture: Path | None = None
    error: KapelleError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON."""
        if self.error:
            return {"source": str(self.source), "error": str(self.error), "hint": self.error.hint}
        return {
            "source": str(self.source), "file": str(self.path), "method": self.method, "strength": self.strength,
            "seconds": round(self.seconds, 3), "noise_before_db": _rounded(self.floor_before_db),
            "noise_after_db": _rounded(self.floor_after_db), "octaves_db": {f"{hz:g}": round(db, 2) for hz, db in self.octaves_db.items()},
            "clipped": self.clipped, "picture": str(self.picture) if self.picture else None,
        }  # fmt: skip


@dataclass(frozen=True)
class DenoisePlan:
    """What is to be written of a sound.

    Args:
        source: The sound.
        out: Where it goes.
        picture: Where before and after are drawn; None for nowhere.
    """

    source: Path
    out: Path
    picture: Path | None = None


def denoise_file(
    source: str | Path,
    out: str | Path | None = None,
    method: str = DEFAULT_METHOD,
    strength: float = DEFAULT_STRENGTH,
    *,
    picture: str | Path | None = None,
    bits: int = 16,
    force: bool = False,
    progress: Report = quiet,
) -> Denoised:
    """Write a sound with less noise, and tell what that changed.

    Args:
        source: A sound file.
        out: Where to (.wav, .flac, .ogg, .opus, .mp3); beside the source with the method in its name if left out.
        method: One of DENOISERS.
        strength: How far noise is turned down, 0 to 1.
        picture: Where to draw before and after (.png, .svg); nowhere if left out.
        bits: Bits per sample of WAV and FLAC: 16, 24, or 32 (WAV only).
        force: Replace files that are there.
        progress: Called with (work done, work in all).

    Raises:
        UnknownName: No such method or format.
        UsageError: The strength is out of range, or a file is there already, or it is the source.
        Missing: There is no such file, or the program behind the method is not installed.
        UnreadableInput: It is no sound.
        StorageError: It cannot be read or written.
    """
    plan = denoise_plans([source], method=method)[0]
    plan = DenoisePlan(Path(source), Path(out) if out else plan.out, Path(picture) if picture else None)
    _check([plan], method, strength, bits, force=force)
    return _denoised(plan, method, strength, bits, progress)


def denoise_plans(
    sources: str | Path | Iterable[str | Path],
    folder: str | Path | None = None,
    *,
    method: str = DEFAULT_METHOD,
    pictures: bool = False,
) -> list[DenoisePlan]:
    """What `denoise_files` would write of each sound.

    Args:
        sources: Sounds, or folders of them.
        folder: Where to; beside each source if left out.
        method: Becomes part of the names.
        pictures: Also draw before and after, beside each sound.

    Raises:
        UsageError: There are none, or two would get one name.
    """
    from kapelle.audio.files import SUFFIXES

    given = [sources] if isinstance(sources, str | Path) else list(sources)
    found = list(dict.fromkeys(path for one in map(Path, given) for path in files_in(one, SUFFIXES)))
    if not found:
        where = ", ".join(map(str, given)) or "nothing"
        raise UsageError("{path} holds no sounds", path=where, hint="name files or folders that are there")
    plans = []
    for source in found:
        suffix = source.suffix.lower() if source.suffix.lower() in LOSSLESS else ".wav"
        out = (Path(folder) if folder else source.parent) / f"{source.stem}-{method}{suffix}"
        plans.append(DenoisePlan(source, out, out.with_suffix(".png") if pictures else None))
    return plans


def denoise_files(
    plans: Sequence[DenoisePlan],
    method: str = DEFAULT_METHOD,
    strength: float = DEFAULT_STRENGTH,
    *,
    bits: int = 16,
    force: bool = False,
    progress: Report = quiet,
) -> Iterator[Denoised]:
    """Free sounds of noise one after another, each given as soon as it is written; a bad file among several is told, not raised.

    Args:
        plans: What to write; see `denoise_plans`.
        method: One of DENOISERS.
        strength: How far noise is turned down, 0 to 1.
        bits: Bits per sample of WAV and FLAC.
        force: Replace files that are there.
        progress: Called with (work done, work in all).

    Raises:
        UsageError: Two files would get one name, or one is there already; see `denoise_file` for the rest.
        UnreadableInput: Not one of several files is a sound.
    """
    _check(plans, method, strength, bits, force=force)
    return _each(plans, method, strength, bits, progress)


def _each(plans: Sequence[DenoisePlan], method: str, strength: float, bits: int, progress: Report) -> Iterator[Denoised]:
    bad: list[KapelleError] = []
    for number, plan in enumerate(plans):
        try:
            yield _denoised(plan, method, strength, bits, partial(_within, progress, number, len(plans)))
        except (UnreadableInput, Missing, StorageError) as error:
            if len(plans) == 1:
                raise
            bad.append(error)
            yield Denoised(plan.source, plan.out, method, strength, error=error)
    if len(bad) == len(plans):
        hint = "the first: {path}: {why}"
        raise UnreadableInput("none of {n} files could be denoised", n=len(bad), path=plans[0].source, why=bad[0], hint=hint)


def _within(progress: Report, number: int, count: int, done: int, total: int) -> None:
    """Tell how far all files are, from how far one is."""
    progress(number * WORK + done * WORK // max(total, 1), count * WORK)


def _check(plans: Sequence[DenoisePlan], method: str, strength: float, bits: int, *, force: bool) -> None:
    """Refuse what could not be done, before any work is."""
    from kapelle.audio import denoise, files
    from kapelle.engraving import picture_files

    denoise.check(method, strength)
    paths = [path for plan in plans for path in (plan.out, plan.picture) if path]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UsageError("two sounds would be written to {path}", path=twice, hint="denoise them into different folders")
    for plan in plans:
        files.check_suffix(plan.out, bits)
        if plan.out.resolve() == plan.source.resolve():
            raise UsageError("{path} would replace the sound that it is made from", path=plan.out, hint="choose another name")
        if plan.picture:
            picture_files.check_suffix(plan.picture)
            free(plan.picture, force)
        free(plan.out, force)


def _denoised(plan: DenoisePlan, method: str, strength: float, bits: int, progress: Report) -> Denoised:
    """Read, clean, write, draw, compare."""
    from kapelle.audio import files
    from kapelle.audio.denoise import denoise
    from kapelle.audio.measures import octave_changes_db
    from kapelle.engraving import spectrograms

    before = files.read(plan.source)
    after = denoise(before, method, strength, progress=progress)
    clipped = files.write(plan.out, after, bits=bits, tags=files.tags(plan.source))
    if plan.picture:
        spectrograms.draw(before, after, plan.picture, title=plan.source.stem)
    return Denoised(
        source=plan.source, path=plan.out, method=method, strength=strength, seconds=before.duration_s,
        floor_before_db=noise_level_db(before), floor_after_db=noise_level_db(after),
        octaves_db=octave_changes_db(before, after), clipped=clipped, picture=plan.picture,
    )  # fmt: skip


def noise_level_db(wave: Waveform) -> float | None:
    """Level of the steady noise that is found in a sound, in dB of full scale; None if it is too short or too silent to tell."""
    from kapelle.audio.denoise.wiener import floor_of

    floor = floor_of(wave)
    return None if floor is None else floor.mean_db


def _rounded(level: float | None) -> float | None:
    return None if level is None or not math.isfinite(level) else round(level, 1)
