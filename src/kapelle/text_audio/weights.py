"""The weights of a text-to-audio model as a folder on this machine: found, fetched, checked, told apart.

Takes a `SoundModel`; gives the folder that `opening.open_model` takes. `find` looks and asks nobody; `fetch` brings what is missing from
the hub, at one commit, resumed where it broke off, with the digest of every file compared to the published one. The commit is the
catalogue's; where that knows none, the first fetch takes the newest and writes it down, and later ones keep to it. Files come by
Kapelle's own downloads into the cache of the hub's client (`shelf`): that client, from version 2 on, throws away what it has of a file
when it is interrupted. Only safetensors are fetched, and nothing here opens them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.data import web
from kapelle.data.download import Wanted, download
from kapelle.data.storage import alone, writing
from kapelle.errors import Interrupted, Missing, NetworkError, StorageError, UnreadableInput
from kapelle.progress import Report, never, quiet
from kapelle.text_audio import hub, shelf
from kapelle.text_audio.hub import HubFile, Listing
from kapelle.text_audio.opening import check_extra
from kapelle.text_audio.safe_files import weightless

if TYPE_CHECKING:
    from kapelle.text_audio.catalogue import SoundModel

OTHER_DISK = "free some space, or let HF_HOME and KAPELLE_HOME name folders that you may write to"
_AGAIN = 2


@dataclass(frozen=True)
class Checked:
    """What a thorough look at fetched weights found.

    Args:
        folder: That was looked at.
        commit: Of the repository.
        n_files: Files that were compared.
        damaged: Those that are missing or are not what was published.
    """

    folder: Path
    commit: str
    n_files: int
    damaged: tuple[str, ...]


def size(model: SoundModel) -> int:
    """Bytes that a model's weights have, about: as the note of what was fetched says, or as the catalogue counts them."""
    known = shelf.recall(model.repo)
    return known.size if known else model.size


def find(model: SoundModel, folder: Path | None = None, *, offline: bool = False) -> Path | None:
    """The folder of a model's weights, or None if they are not here; nothing is asked of any hub, and nothing large is read.

    Args:
        model: Which.
        folder: One that is given by hand, which is then the answer.
        offline: None is no answer.

    Raises:
        Missing: The given folder is not there, or holds no weights; or `offline`, and there are none.
        UnreadableInput: The given folder holds pickles alone.
    """
    if folder is not None:
        return _given(folder, by_hand=model.by_hand)
    if model.by_hand:
        return _converted(model, offline=offline)
    commit = shelf.commit_of(model)
    if commit:
        there = shelf.snapshot(model.repo, commit)
        if there.is_dir() and shelf.is_whole(there, shelf.recall(model.repo, commit)):
            return there
    if offline:
        raise Missing(
            "the weights of {name} are not on this machine, and no network is to be used", name=model.name, repo=model.repo,
            size=size(model) / 1e9, place=shelf.cache(),
            hint="fetch {repo}, about {size:.1f} GB, once with a network; or copy it here and give the folder with --weights",
        )  # fmt: skip
    return None


def fetch(model: SoundModel, *, progress: Report = quiet, cancelled: Callable[[], bool] = never, offline: bool = False) -> Path:
    """The folder of a model's weights, brought from the hub if need be, and compared with what was published.

    Args:
        model: Which.
        progress: Called with (bytes here, bytes in all).
        cancelled: Asked now and then.
        offline: Ask no hub; the environment's HF_HUB_OFFLINE says the same.

    Raises:
        Missing: The extra ``audio`` is not installed; the hub asks for an account or consent; it has pickles alone; or `offline`, and
            the weights are not here.
        NetworkError: The hub cannot be reached, or what came is twice not what was published.
        StorageError: The disk has no room, or writing is not allowed.
        UnreadableInput: `offline`, and a file is damaged.
        UsageError: Another process fetches the same.
        Interrupted: Ctrl-C, or `cancelled`; what came is kept, and the same call goes on.
    """
    offline = offline or hub.is_offline()
    found = find(model, offline=offline)
    if found is not None and not (damaged := _damaged(_known(model, found), found, progress)):
        return found
    if found is not None and offline:
        raise UnreadableInput(
            "{path} is not what was published", path=found / damaged[0].path, hint="run it once with a network: it is fetched again"
        )
    if model.by_hand:
        raise _pickled(model)
    check_extra()
    work = shelf.repository(model.repo)
    try:
        with alone(work, work):
            return _fetch(model, progress, cancelled)
    except StorageError as error:  # weights do not go where -o says
        raise StorageError(error.template, hint=OTHER_DISK, **error.values) from error
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; files that were finished are kept", hint="the same command goes on from there") from error


def verify(model: SoundModel, *, progress: Report = quiet) -> Checked:
    """What a thorough look at a model's weights finds: every file is read and compared with what was published; no hub is asked.

    Raises:
        Missing: They are not here.
        Interrupted: Ctrl-C.
    """
    folder = find(model, offline=True)
    assert folder is not None  # offline raises
    listing = _known(model, folder)
    damaged = tuple(file.path for file in _damaged(listing, folder, progress, fresh=True))
    return Checked(folder, listing.commit, len(listing.files), damaged)


def fingerprint(folder: Path) -> str:
    """One sha256 for all the weights of a folder, wherever it lies: of the names and digests of its settings and safetensors.

    Large files are read only once, as long as they do not change.

    Raises:
        Missing: There are no weights in it.
        UnreadableInput: There are pickles alone.
    """
    _given(folder)
    whole = hashlib.sha256()
    for path in sorted(_opened(folder), key=lambda path: path.relative_to(folder).as_posix()):
        whole.update(f"{path.relative_to(folder).as_posix()} {shelf.digest(path)}\n".encode())
    return whole.hexdigest()


def converted(model: SoundModel) -> Path:
    """The folder in which the weights of a model that are converted by hand are looked for."""
    return shelf.notes() / model.name


def _converted(model: SoundModel, *, offline: bool) -> Path | None:
    folder = converted(model)
    if folder.is_dir() and any(path.suffix == hub.WEIGHTS for path in _opened(folder)):
        return folder
    if offline:
        raise _pickled(model)
    return None


def _pickled(model: SoundModel) -> Missing:
    return Missing(
        "the weights of {name} are published as pickles, and are not fetched for you", name=model.name, repo=model.repo,
        place=converted(model),
        hint="fetch {repo} with `hf download`, then `python -m kapelle.text_audio.lumina_convert FOLDER {place}` reads them safely, once",
    )  # fmt: skip


def _given(folder: Path, *, by_hand: bool = False) -> Path:
    if not folder.is_dir():
        raise Missing(
            "no folder {path}", path=folder, hint="--weights takes a folder as the hub has it, with config.json or model_index.json"
        )
    if by_hand or any(path.suffix == hub.WEIGHTS for path in _opened(folder)):
        return folder  # one that is converted by hand is looked at by its own reader, which says how
    raise weightless(folder)


def _opened(folder: Path) -> list[Path]:
    """The files that may be opened: settings and weights, of the folder and those below it."""
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return [path for path in found if path.suffix in (hub.WEIGHTS, *hub.SETTINGS) and path.is_file()]


def _known(model: SoundModel, folder: Path) -> Listing:
    """What should be in a folder of the cache."""
    return shelf.recall(model.repo, folder.name) or shelf.listed(model.repo, folder.name)


def _damaged(listing: Listing, folder: Path, progress: Report, *, fresh: bool = False) -> list[HubFile]:
    """Files that are not what was published; unless `fresh`, those that were read before and have not changed since are not read again."""
    done = 0

    def read(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(done, listing.size)

    return [file for file in listing.files if not shelf.is_sound(folder / file.path, file, fresh=fresh, progress=read)]


def _fetch(model: SoundModel, progress: Report, cancelled: Callable[[], bool]) -> Path:
    """Bring what is missing at the commit that counts."""
    listing = hub.listing(model, shelf.commit_of(model) or model.revision)
    folder = shelf.snapshot(listing.repo, listing.commit)
    missing = [file for file in listing.files if not shelf.is_sound(folder / file.path, file)]
    _check_room(listing, missing)
    done = listing.size - sum(file.size for file in missing)

    def report(here: int, _: int) -> None:
        if cancelled():
            raise Interrupted("stopped; what came is kept in {path}", path=shelf.cache(), hint="the same command goes on from there")
        progress(done + here, listing.size)

    for file in missing:
        report(0, 0)
        _bring(model, listing, file, report)
        shelf.place(listing.repo, listing.commit, file)
        done += file.size
    shelf.remember(listing)
    shelf.refer(listing.repo, model.revision, listing.commit)
    progress(listing.size, listing.size)
    return folder


def _check_room(listing: Listing, missing: list[HubFile]) -> None:
    """Raise before anything is downloaded, if the disk cannot hold it all."""
    blobs = shelf.repository(listing.repo) / "blobs"
    with writing(blobs):
        blobs.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(blobs).free
    held = sum(part.stat().st_size for part in blobs.glob("*.part"))
    needed = sum(file.size for file in missing if not shelf.blob(listing.repo, file).is_file()) - held
    if needed > free:
        raise StorageError(
            "the weights need {needed:.1f} GB more in {path}, and {free:.1f} GB are free", path=shelf.cache(), needed=needed / 1e9,
            free=free / 1e9, hint=OTHER_DISK,
        )  # fmt: skip


def _bring(model: SoundModel, listing: Listing, file: HubFile, report: Report) -> None:
    """The contents of a file, compared with what was published; asked for twice if they differ."""
    path = shelf.blob(listing.repo, file)
    for _ in range(_AGAIN):
        if path.is_file() and shelf.is_sound(path, file):
            return
        if path.is_file():
            shelf.discard(listing.repo, listing.commit, file)
        _download(model, listing, file, path, report)
        if shelf.is_sound(path, file):
            return
    shelf.discard(listing.repo, listing.commit, file)
    raise NetworkError(
        "{path} of {repo} came twice with other contents than were published", path=file.path, repo=listing.repo,
        hint="something on the way changes it, a proxy or a mirror; nothing of it was kept",
    )  # fmt: skip


def _download(model: SoundModel, listing: Listing, file: HubFile, path: Path, report: Report) -> None:
    if not file.size:  # nothing to ask for
        with writing(path):
            path.write_bytes(b"")
        return
    url = hub.address(listing.repo, listing.commit, file.path)
    wanted = Wanted(url, web.typed(url), file.size, token=hub.token(model))
    try:
        came = download(wanted, path, report)
    except NetworkError as error:
        status = error.values.get("status")
        if status in (401, 403):
            raise hub.closed(model, consent=bool(wanted.token)) from error
        raise hub.unreachable(model, error) from error
    shelf.keep_digest(path, came.sha256)
