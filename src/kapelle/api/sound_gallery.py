"""A gallery of sounds: prompts by models, in a folder for each model, with one page to listen to all of them.

Takes what is asked and where to; gives the page and what became of each model. What is there already is kept, so that the same call goes
on where one was interrupted; the page is written anew after every sound. A model that cannot be had or does not fit leaves the others be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.imagining import SoundWay
from kapelle.api.sound_files import Finish, Order, SoundFile, checked_orders, imagine_files, sound_orders, to_be_made
from kapelle.errors import KapelleError, Missing, NetworkError, NotEnoughMemory, UnreadableInput, UsageError
from kapelle.progress import Report, never, quiet
from kapelle.text_audio.catalogue import find
from kapelle.text_audio.prompts import GALLERY, GALLERY_MODELS
from kapelle.text_audio.request import SoundRequest

if TYPE_CHECKING:
    from kapelle.study.site.sounds import Board, Clip
    from kapelle.text_audio.catalogue import SoundModel

_WITHOUT = (Missing, NetworkError, NotEnoughMemory, UnreadableInput)
"""Why a gallery does without a model: it cannot be had, or does not fit."""

Working = Callable[["SoundModel", SoundWay], AbstractContextManager[tuple[SoundWay, Report]]]
"""Told which model comes; gives the way to it, and what hears of its progress."""


def _silently(model: SoundModel, way: SoundWay) -> AbstractContextManager[tuple[SoundWay, Report]]:
    return nullcontext((way, quiet))


@dataclass
class Gallery:
    """What became of a gallery.

    Attributes:
        page: Where to listen.
        sounds: The files, those that were there too.
        failed: Name of a model -> why it made nothing, or not all.
    """

    page: Path
    sounds: list[SoundFile] = field(default_factory=list)
    failed: dict[str, KapelleError] = field(default_factory=dict)


def gallery_requests(prompts: Sequence[str] = GALLERY, **settings: Any) -> list[SoundRequest]:
    """One request for each prompt, with the same settings."""
    return [SoundRequest(prompt=prompt, **settings) for prompt in prompts]


def sound_gallery(
    out: str | Path,
    wishes: Sequence[SoundRequest] = (),
    models: Sequence[str] = GALLERY_MODELS,
    *,
    way: SoundWay | None = None,
    finish: Finish | None = None,
    suffix: str = ".wav",
    working: Working = _silently,
    cancelled: Callable[[], bool] = never,
) -> Gallery:
    """The page ``index.html`` of sounds, and these in folders by the names of their models.

    Args:
        out: Folder; what is there is kept, unless ``finish`` says ``force``.
        wishes: Of `gallery_requests`; the six prompts that come with Kapelle if empty.
        models: Names, of `sound_models`.
        way: Where models come from; ``weights`` may hold a folder for each.
        finish: What is done with each sound.
        suffix: Format of the sounds.
        working: Told which model comes next.
        cancelled: Asked between tokens or steps.

    Raises:
        UsageError, UnknownName, CannotObey: What is asked is beyond one of the models, or another sound lies in the place of one.
        Missing: The extra ``audio`` is not installed.
        KapelleError: Not one model made anything: the first one's reason.
        Interrupted: `cancelled` said so, or Ctrl-C; page and sounds are kept.
    """
    out, way = Path(out), way or SoundWay()
    if out.is_file() or (out.suffix and not out.is_dir() and out.suffix.lower() in _sound_suffixes()):
        raise UsageError("a gallery is a folder, not {path}", path=out, hint="-o site/")
    finish = replace(finish or Finish(), resume=not (finish and finish.force))
    wishes = list(wishes) or gallery_requests()
    names = list(dict.fromkeys(models))
    orders = {name: sound_orders(wishes, out / name, suffix) for name in names}
    made = Gallery(out / "index.html")
    chosen = [find(name) for name in names]
    for name in names:
        try:
            to_be_made(orders[name], checked_orders(orders[name], name, way, finish), finish)  # what hinders is said before the first sound
        except _WITHOUT as error:
            made.failed[name] = error
    for model in chosen:
        if model.name in made.failed:
            continue
        try:
            with working(model, way) as (own_way, progress):
                for one in imagine_files(orders[model.name], model.name, own_way, finish, progress=progress, cancelled=cancelled):
                    made.sounds.append(one)
                    _write_page(made, wishes, chosen, orders, finish)
        except _WITHOUT as error:
            made.failed[model.name] = error
            _let_go(error)
            _write_page(made, wishes, chosen, orders, finish)
    if not made.sounds:
        raise next(iter(made.failed.values()))
    return made


def _let_go(error: BaseException | None) -> None:
    """Forget the calls in which an error came, for they hold the model, and the next one needs its memory."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _sound_suffixes() -> tuple[str, ...]:
    from kapelle.audio.files import SUFFIXES

    return SUFFIXES


def _write_page(
    made: Gallery, wishes: Sequence[SoundRequest], models: Sequence[SoundModel], orders: Mapping[str, Sequence[Order]], finish: Finish
) -> None:
    from kapelle.score.write import write_bytes
    from kapelle.study.site import sounds

    board = _board(made, wishes, models, orders, finish)
    write_bytes(made.page, sounds.page(board).encode(errors="replace"))


def _board(
    made: Gallery, wishes: Sequence[SoundRequest], models: Sequence[SoundModel], orders: Mapping[str, Sequence[Order]], finish: Finish
) -> Board:
    """What lies in the folder by now, this time's and what was there before."""
    from kapelle.audio.loudness import TARGET_LUFS
    from kapelle.study.site.sounds import Board

    clips: dict[tuple[str, str], tuple[Clip, ...]] = {}
    for name, ordered in orders.items():
        for order in ordered:
            if order.path.exists():
                key = (order.request.prompt, name)
                clips[key] = (*clips.get(key, ()), _clip(order, made.page.parent, finish))
    wish = wishes[0]
    settings = f"{wish.duration_s:g} s each, seed {wish.seed}" + ("" if finish.raw else f", at {TARGET_LUFS:g} LUFS")
    failed = {name: str(error) for name, error in made.failed.items()}
    return Board(tuple(one.prompt for one in wishes), tuple(models), clips, failed, settings)


def _clip(order: Order, folder: Path, finish: Finish) -> Clip:
    import soundfile

    from kapelle.study.site.sounds import Clip

    def beside(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    copies = dict(zip(finish.denoise, order.files(finish)[1:], strict=False))
    return Clip(
        beside(order.path),
        order.request.seed,
        float(soundfile.info(order.path).duration),
        {method: beside(path) for method, path in copies.items() if path.exists()},
    )
