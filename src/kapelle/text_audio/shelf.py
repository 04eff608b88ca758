"""The place of weights on this machine: the cache of the hub's own client, and what Kapelle remembers of what it fetched into it.

Weights lie where every program of the hub looks for them, in its layout: ``models--OWNER--NAME/blobs/DIGEST``, with
``snapshots/COMMIT/PATH`` leading there. So nothing is fetched twice by two programs. Beside Kapelle's own bundles, in
``sound-weights``, lies one note for each repository, with the commit that was chosen and the size and digest of each file, and one
list of the digests that were measured, so that a file is read again only when its size or time has changed.

It asks no hub and loads no weights; all of it works without the extra ``audio``.

Source: the layout is documented in "Understand caching" of huggingface_hub, version 1 and 2.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.bundles import load
from kapelle.data.storage import put_text, writing
from kapelle.text_audio.hub import PIPELINE, WEIGHTS, HubFile, Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from kapelle.text_audio.catalogue import SoundModel

COMMIT = re.compile("[0-9a-f]{40}")
SHA256 = re.compile("[0-9a-f]{64}")
PIECE = 1 << 20
DIGESTS = "digests.json"


def cache() -> Path:
    """The folder of the hub's client: HF_HUB_CACHE, or ``hub`` below HF_HOME, or below the user's cache."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def repository(repo: str) -> Path:
    """The folder of a repository in the cache."""
    return cache() / f"models--{repo.replace('/', '--')}"


def snapshot(repo: str, commit: str) -> Path:
    """The folder with the files of one commit."""
    return repository(repo) / "snapshots" / commit


def blob(repo: str, file: HubFile) -> Path:
    """Where the contents of a file lie."""
    return repository(repo) / "blobs" / file.digest


def notes() -> Path:
    """The folder for what Kapelle remembers."""
    return load.home() / "sound-weights"


def commit_of(model: SoundModel) -> str:
    """The commit of a model that counts here: the catalogue's, the one that was fetched, or another program's; empty if there is none."""
    if COMMIT.fullmatch(model.revision):
        return model.revision
    known = recall(model.repo)
    if known is not None:
        return known.commit
    with suppress(OSError):
        found = (repository(model.repo) / "refs" / model.revision).read_text(encoding="utf-8").strip()
        return found if COMMIT.fullmatch(found) else ""
    return ""


def recall(repo: str, commit: str = "") -> Listing | None:
    """What was fetched of a repository, of one commit or of any; None if nothing was, or if the note cannot be read."""
    try:
        held = json.loads(_note(repo).read_text(encoding="utf-8"))
        files = tuple(HubFile(str(path), int(size), str(digest)) for path, size, digest in held["files"])
        listing = Listing(str(held["repo"]), str(held["commit"]), files)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return listing if COMMIT.fullmatch(listing.commit) and commit in ("", listing.commit) else None


def remember(listing: Listing) -> None:
    """Write down what is fetched.

    Raises:
        StorageError: Writing is not allowed in Kapelle's own folder.
    """
    files = [[file.path, file.size, file.digest] for file in listing.files]
    with writing(notes()):
        notes().mkdir(parents=True, exist_ok=True)
        put_text(_note(listing.repo), json.dumps({"repo": listing.repo, "commit": listing.commit, "files": files}, indent=1) + "\n")


def _note(repo: str) -> Path:
    return notes() / f"{repo.replace('/', '--')}.json"


def place(repo: str, commit: str, file: HubFile) -> None:
    """Lead from a snapshot to contents that are there: by a link, or by moving them where the system has no links.

    Raises:
        StorageError: Writing is not allowed.
    """
    source, target = blob(repo, file), snapshot(repo, commit) / file.path
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            target.symlink_to(os.path.relpath(source, target.parent))
        except OSError:  # Windows, unless its user is a developer
            shutil.move(source, target)


def refer(repo: str, revision: str, commit: str) -> None:
    """Write down the commit of a branch, as the hub's client does.

    Raises:
        StorageError: Writing is not allowed.
    """
    if COMMIT.fullmatch(revision):
        return
    path = repository(repo) / "refs" / revision
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        put_text(path, commit)


def discard(repo: str, commit: str, file: HubFile) -> None:
    """Delete a file whose contents are wrong."""
    with writing(repository(repo)):
        for path in (snapshot(repo, commit) / file.path, blob(repo, file)):
            path.unlink(missing_ok=True)


def listed(repo: str, commit: str) -> Listing:
    """What a snapshot says of itself, where no note does: the client names contents by their digest, and links to them.

    Files that are no links are left out: nothing is known of them.
    """
    folder, files = snapshot(repo, commit), []
    for path in sorted(folder.rglob("*")):
        digest = path.resolve().name
        if path.is_symlink() and path.is_file() and (SHA256.fullmatch(digest) or COMMIT.fullmatch(digest)):
            files.append(HubFile(path.relative_to(folder).as_posix(), path.stat().st_size, digest))
    return Listing(repo, commit, tuple(files))


def is_whole(folder: Path, listing: Listing | None) -> bool:
    """Whether nothing is missing from a snapshot, by names and sizes; without a note, as far as its own lists tell."""
    if listing is not None:
        return all(_size(folder / file.path) == file.size for file in listing.files)
    try:
        parts = _parts(folder)
        return bool(parts) and all(_has_weights(part) for part in parts)
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _parts(folder: Path) -> list[Path]:
    """The folders of a model that hold weights: those that a pipeline names, or the model's own."""
    index = folder / PIPELINE
    if not index.is_file():
        return [folder] if (folder / "config.json").is_file() else []
    named = [folder / name for name, kind in json.loads(index.read_text(encoding="utf-8")).items() if isinstance(kind, list) and kind[0]]
    if not all(part.is_dir() for part in named):
        return []
    return [part for part in named if (part / "config.json").is_file() and not (part / "tokenizer_config.json").is_file()]


def _has_weights(part: Path) -> bool:
    """Whether a folder has its weights, in one file or in all the files that its index names."""
    indexes = list(part.glob(f"*{WEIGHTS}.index.json"))
    if not indexes:
        return any(path.is_file() for path in part.glob(f"*{WEIGHTS}"))
    held: dict[str, Any] = json.loads(indexes[0].read_text(encoding="utf-8"))
    return all((part / str(name)).is_file() for name in set(held["weight_map"].values()))


def is_sound(path: Path, file: HubFile, *, fresh: bool = False, progress: Callable[[int], None] = lambda n_bytes: None) -> bool:
    """Whether a file has the contents that were published; a large one is read only if it was not, or has changed since, or if `fresh`.

    Args:
        path: Of the file.
        file: As it was published.
        fresh: Read it in any case.
        progress: Called with the bytes of each piece that was read.
    """
    if _size(path) != file.size:
        return False
    if SHA256.fullmatch(file.digest):
        return digest(path, fresh=fresh, progress=progress) == file.digest
    return git_digest(path) == file.digest


def git_digest(path: Path) -> str:
    """The name that git gives to the contents of a file."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def digest(path: Path, *, fresh: bool = False, progress: Callable[[int], None] = lambda n_bytes: None) -> str:
    """The sha256 of a file; from memory where neither its size nor its time has changed since it was measured.

    Args:
        path: Of the file.
        fresh: Read it in any case.
        progress: Called with the bytes of each piece that was read.
    """
    real = path.resolve()
    state = real.stat()
    key, stamp = str(real), [state.st_size, state.st_mtime_ns]
    known = _digests()
    if not fresh and known.get(key, [])[:2] == stamp:
        return str(known[key][2])
    sha256 = hashlib.sha256()
    with real.open("rb") as file:
        while piece := file.read(PIECE):
            sha256.update(piece)
            progress(len(piece))
    keep_digest(real, sha256.hexdigest())
    return sha256.hexdigest()


def keep_digest(path: Path, sha256: str) -> None:
    """Remember what was measured; only a convenience, so a folder that cannot be written to is no reason to stop."""
    real = path.resolve()
    state = real.stat()
    known = {key: value for key, value in _digests().items() if Path(key).exists()}
    known[str(real)] = [state.st_size, state.st_mtime_ns, sha256]
    with suppress(OSError):
        notes().mkdir(parents=True, exist_ok=True)
        put_text(notes() / DIGESTS, json.dumps(known, indent=1) + "\n")


def _digests() -> dict[str, list[Any]]:
    try:
        held = json.loads((notes() / DIGESTS).read_text(encoding="utf-8"))
        return {str(key): list(value) for key, value in held.items() if len(value) == 3}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
