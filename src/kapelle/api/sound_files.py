"""Sounds of text-to-audio models as files: names, levels, tags, denoised copies, and going on where something was interrupted.

Takes requests and what is to be done with the sounds; gives the files, each written as soon as its sound is ready, so that whatever ends
the work early leaves those that are finished. A file says what made it in its tags, without a time: the same sound is the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.imagining import Imagined, Opened, SoundWay, checked_model, open_sound_model
from kapelle.api.naming import file_stem
from kapelle.errors import Interrupted, UsageError
from kapelle.progress import Report, never, quiet
from kapelle.text_audio.request import SoundRequest, check_fits

if TYPE_CHECKING:
    from kapelle.audio.waveform import Waveform
    from kapelle.text_audio.catalogue import SoundModel

SOFTWARE = "kapelle"
_SOUNDS = ("continuation", "melody", "initial")
_TOLD_ELSEWHERE = ("prompt", "seed", "count", *_SOUNDS)


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What is done with a sound.

    Args:
        denoise: Methods of `kapelle.audio.denoise`; each writes a cleaned copy beside the sound.
        raw: Leave the level as the model made it.
        recipe: Write what was asked as JSON beside the sound.
        force: Replace files that are there.
        resume: Keep the sounds that are there, and make the others.
    """

    denoise: tuple[str, ...] = ()
    raw: bool = False
    recipe: bool = False
    force: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Order:
    """One sound that is to be made, with a seed of its own, and where it goes."""

    request: SoundRequest
    path: Path

    def files(self, finish: Finish) -> list[Path]:
        """All files of it, the sound first."""
        copies = [self.path.with_stem(f"{self.path.stem}-{method}") for method in finish.denoise]
        return [self.path, *copies, *([self.path.with_suffix(".json")] if finish.recipe else [])]


@dataclass(frozen=True)
class SoundFile:
    """A sound that was written.

    Args:
        order: What was asked, and where it lies.
        copies: Method -> its cleaned copy.
        facts: For people and programs: prompt, seed, model, seconds, level, licence ...
        kept: It was there before.
    """

    order: Order
    copies: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    kept: bool = False


def stem_of(prompt: str) -> str:
    """The name of a sound's file without suffix: its prompt with underscores for spaces, safe on every system."""
    return file_stem("_".join(prompt.split()))


def sound_orders(wishes: Sequence[SoundRequest], out: str | Path | None = None, suffix: str = ".wav") -> list[Order]:
    """One order for each sound of some requests.

    Args:
        wishes: The requests, of prompts that differ.
        out: A sound file for a single sound, else a folder; None: the folder we are in.
        suffix: Format of the files in a folder.

    Raises:
        UsageError: Several sounds would share one file.
        UnknownName: The format of the file is not known.
    """
    from kapelle.audio import files

    out = None if out is None else Path(out)
    n = sum(wish.count for wish in wishes)
    if out is not None and out.suffix and not out.is_dir():
        if n != 1:
            raise UsageError("{count} sounds need a folder, not {path}", count=n, path=out, hint="give -o a folder")
        files.check_suffix(out)
        return [Order(wishes[0], out)]
    folder = out or Path()
    files.check_suffix(folder / f"sound{suffix}")
    orders, taken = [], set[str]()
    for wish in wishes:
        stem = _unused(stem_of(wish.prompt), taken)
        for number in range(wish.count):
            seed = wish.seed + number
            name = f"{stem}-{seed}" if wish.count > 1 else stem
            orders.append(Order(replace(wish, seed=seed, count=1), folder / f"{name}{suffix}"))
    return orders


def _unused(stem: str, taken: set[str]) -> str:
    """The stem, with a number behind it if another prompt has it already; capitals make no difference to some systems."""
    name = next(
        name for number in range(1, len(taken) + 2) if (name := stem if number == 1 else f"{stem}-{number}").casefold() not in taken
    )
    taken.add(name.casefold())
    return name


def imagine_files(
    orders: Sequence[Order],
    model: str,
    way: SoundWay | None = None,
    finish: Finish | None = None,
    *,
    progress: Report = quiet,
    cancelled: Callable[[], bool] = never,
) -> Iterator[SoundFile]:
    """The files of some orders, each as soon as it is written; everything is checked before the first sound, or a byte, is fetched.

    Args:
        orders: Of `sound_orders`.
        model: Name, of `sound_models`.
        way: Where the model comes from, and where it runs.
        finish: What is done with each sound.
        progress: Called with (tokens or steps done, in all), over all sounds; those of a sound that takes more or fewer than the first
            are counted as if it took as many.
        cancelled: Asked between tokens or steps.

    Raises:
        UsageError: A file is there already, or with ``resume`` is another sound.
        Interrupted: Ctrl-C, or `cancelled` said so; the message counts the files that are written.
        KapelleError: As `imagining.imagine`.
    """
    way, finish = way or SoundWay(), finish or Finish()
    chosen = checked_orders(orders, model, way, finish)
    return _written(orders, to_be_made(orders, chosen, finish), chosen, _Work(way, finish, progress, cancelled))


def checked_orders(orders: Sequence[Order], model: str, way: SoundWay, finish: Finish) -> SoundModel:
    """The model, if it can do and may do all that is ordered, and if all files may be written.

    Raises:
        KapelleError: As `imagine_files`.
    """
    if not orders:
        raise UsageError("no sound is asked for", hint="give at least one prompt")
    for method in finish.denoise:
        from kapelle.audio import denoise

        denoise.check(method)
    chosen = checked_model(model, orders[0].request, way)
    for order in orders[1:]:
        check_fits(order.request, chosen)
    paths = [path for order in orders for path in order.files(finish)]
    if twice := next((path for path, times in Counter(paths).items() if times > 1), None):
        raise UsageError("two sounds would both be {path}", path=twice, hint="change a prompt, or give them folders of their own")
    for path in paths:
        if path.exists() and not (finish.force or finish.resume):
            hint = "choose another name, overwrite it with --force, or keep it with --resume"
            raise UsageError("{path} exists already", path=path, hint=hint)
    return chosen


def to_be_made(orders: Sequence[Order], model: SoundModel, finish: Finish) -> list[Order]:
    """The orders that are not carried out yet: with ``resume``, those whose files are there are left out.

    Raises:
        UsageError: Another sound lies in the place of one.
    """
    return [order for order in orders if not (finish.resume and _is_there(order, model, finish))]


@dataclass(frozen=True)
class _Work:
    way: SoundWay
    finish: Finish
    progress: Report
    cancelled: Callable[[], bool]


@dataclass
class _Told:
    """Progress over all sounds, counted in the steps of the first: another may take more of them, or fewer.

    Args:
        progress: Told.
        n: Sounds to be made.
    """

    progress: Report
    n: int
    done: int = 0
    each: int = 0

    def __call__(self, steps: int, total: int) -> None:
        self.each = self.each or total
        self.progress(self.done * self.each + steps * self.each // total, self.n * self.each)


def _written(orders: Sequence[Order], todo: Sequence[Order], model: SoundModel, work: _Work) -> Iterator[SoundFile]:
    held: Opened | None = None
    told, missing = _Told(work.progress, len(todo)), {order.path for order in todo}
    for order in orders:
        if order.path not in missing:
            yield _kept(order, model, work.finish)
            continue
        held = held or open_sound_model(model, work.way)  # a download that is interrupted says itself what it keeps
        try:
            made = _write(order, _made(held, order, told, work.cancelled), work.finish)
        except (KeyboardInterrupt, Interrupted):
            raise _interrupted(len(orders) - len(todo) + told.done, orders) from None
        told.done += 1
        yield made


def _kept(order: Order, model: SoundModel, finish: Finish) -> SoundFile:
    """A sound that was there, with what is known of it without opening it."""
    copies = _copies(order, finish)
    facts = {"prompt": order.request.prompt, "model": model.name, "seed": order.request.seed, "kept": True}
    return SoundFile(order, copies, {**_files(order, copies), **facts}, kept=True)


def _files(order: Order, copies: dict[str, Path]) -> dict[str, Any]:
    return {"file": str(order.path), "copies": {method: str(path) for method, path in copies.items()}}


def _made(held: Opened, order: Order, told: _Told, cancelled: Callable[[], bool]) -> Imagined:
    """The sound of an order."""
    (wave,) = held.backend.imagine(order.request, progress=told, cancelled=cancelled)
    return Imagined(wave, order.request, held.backend.model, held.weights)


def _interrupted(done: int, orders: Sequence[Order]) -> Interrupted:
    if not done:
        return Interrupted("interrupted before the first sound was finished")
    seed = min(order.request.seed for order in orders)
    hint = "the same command with --seed {seed} --resume goes on"
    return Interrupted("interrupted: {done} of {count} sounds are written", done=done, count=len(orders), seed=seed, hint=hint)


def _copies(order: Order, finish: Finish) -> dict[str, Path]:
    return dict(zip(finish.denoise, order.files(finish)[1:], strict=False))


def _write(order: Order, made: Imagined, finish: Finish) -> SoundFile:
    """Write a sound, its copies and its recipe; the sound last, so that it stands for all of them."""
    from kapelle.score.write import write_bytes

    said, copies = tags_of(made, finish), _copies(order, finish)
    for method, path in copies.items():
        from kapelle.audio.denoise import denoise

        _put(path, denoise(made.wave, method), {**said, "comment": f"{said['comment']}; denoised={method}"}, raw=finish.raw)
    facts = {**_files(order, copies), **facts_of(made)}
    if finish.recipe:
        text = json.dumps(recipe_of(made), ensure_ascii=False, indent=1) + "\n"
        write_bytes(order.path.with_suffix(".json"), text.encode())
    facts |= _put(order.path, made.wave, said, raw=finish.raw)
    return SoundFile(order, copies, facts)


def _put(path: Path, wave: Waveform, tags: dict[str, str], *, raw: bool) -> dict[str, Any]:
    """Write a sound, levelled unless it is to be raw, and tell its level; silence has none."""
    from kapelle.audio import files
    from kapelle.audio.loudness import normalise_loudness

    if raw:
        return {"clipped": files.write(path, wave, tags=tags)}
    levelled = normalise_loudness(wave)
    files.write(path, levelled.wave, tags=tags)
    return {"lufs": round(levelled.lufs, 2), "true_peak_db": round(levelled.true_peak_db, 2), "limited": levelled.limited}


def facts_of(made: Imagined) -> dict[str, Any]:
    """What a sound is, for people and programs."""
    return {
        "prompt": made.request.prompt, "model": made.model.name, "seed": made.seed, "seconds": round(made.wave.duration_s, 3),
        "sample_rate": made.wave.sample_rate, "channels": made.wave.n_channels,
        "licence": made.licence.name, "licence_url": made.licence.url, "weights": made.weights,
    }  # fmt: skip


def recipe_of(made: Imagined) -> dict[str, Any]:
    """All that was asked, for JSON; sounds that were given are told by their fingerprints."""
    return {"model": made.model.name, "repo": made.model.repo, "weights": made.weights, "licence": made.licence.name,
            "licence_url": made.licence.url, **_settings(made.request, every=True), "prompt": made.request.prompt}  # fmt: skip


def tags_of(made: Imagined, finish: Finish) -> dict[str, str]:
    """What the file of a sound says of itself."""
    licence = made.licence
    return {
        "title": made.request.prompt,
        "artist": made.model.repo,
        "comment": f"{_comment(made.request, made.model, finish)}; weights={made.weights[:16]}",
        "copyright": f"{licence.name}: {licence.terms}",
        "license": f"{licence.name}, {licence.url}",
        "software": SOFTWARE,
    }


def _comment(request: SoundRequest, model: SoundModel, finish: Finish) -> str:
    """How a sound was made, but for its weights: model, seed, and what differs from what is usual."""
    settings = {"model": model.name, **_settings(request), **({"raw": "yes"} if finish.raw else {})}
    return "; ".join(f"{name}={value}" for name, value in settings.items())


def _settings(request: SoundRequest, *, every: bool = False) -> dict[str, Any]:
    """Seed, length, and of the other settings those that are not as by default, or all."""
    out: dict[str, Any] = {"seed": request.seed}
    for item in fields(request):
        value = getattr(request, item.name)
        if item.name not in _TOLD_ELSEWHERE and (every or item.name == "duration_s" or value != item.default):
            out[item.name] = value
    return out | {name: _fingerprint(sound) for name in _SOUNDS if (sound := getattr(request, name)) is not None}


def _fingerprint(wave: Waveform) -> str:
    """Of the samples of a sound: 16 hexadecimal digits."""
    return hashlib.sha256(wave.samples.tobytes() + wave.sample_rate.to_bytes(4, "little")).hexdigest()[:16]


def _is_there(order: Order, model: SoundModel, finish: Finish) -> bool:
    """Whether an order was carried out already.

    Raises:
        UsageError: Another sound lies in its place.
    """
    from kapelle.audio import files

    if not order.path.exists():
        return False
    said = files.tags(order.path)
    expected = (order.request.prompt, _comment(order.request, model, finish))
    if (said.get("title"), said.get("comment", "").rpartition("; weights=")[0]) != expected:
        raise UsageError("{path} is another sound", path=order.path, hint="choose another folder, or overwrite it with --force")
    return all(path.exists() for path in order.files(finish))
