"""The hub of published weights, asked what it has: the commit, the files with their sizes and digests, and whether it lets us in.

Takes a `SoundModel`; gives a `Listing`. Asking is done by the hub's own client, huggingface_hub, so that HF_ENDPOINT, HF_TOKEN and a
login are used as everywhere; its errors become ours here. Only files that are needed are listed: settings, vocabularies and
safetensors; never a pickle. Nothing is downloaded here: `kapelle.text_audio.weights` does that.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kapelle.errors import KapelleError, Missing, NetworkError, UnreadableInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kapelle.text_audio.catalogue import SoundModel

PUBLIC = "https://huggingface.co"
TIMEOUT_S = 30.0

WEIGHTS = ".safetensors"
SETTINGS = (".json", ".txt", ".model")
LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt")
PIPELINE = "model_index.json"
"""A repository with this file holds one folder for each part; one without holds a single model at its top."""

_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_TRUE = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Args:
        path: In the repository, with ``/``.
        size: Bytes.
        digest: Hexadecimal: of 64 digits the sha256 of the contents, of 40 git's own digest of a small file.
    """

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """What of a repository is needed, at one commit."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def endpoint() -> str:
    """Where the hub is: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")


def is_offline() -> bool:
    """Whether the environment says that no hub is to be asked."""
    return any(os.environ.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def address(repo: str, commit: str, path: str) -> str:
    """Where a file of a repository is."""
    return f"{endpoint()}/{repo}/resolve/{commit}/{quote(path)}"


def page(repo: str) -> str:
    """The page of a repository, for people."""
    return f"{endpoint()}/{repo}"


def token(model: SoundModel) -> str:
    """Who we are, if that is of any use; empty otherwise.

    The public hub is told so only for a gated model: a forgotten token that is no longer valid would close even what is open to all.
    """
    from huggingface_hub import get_token

    return (get_token() or "") if model.gated or endpoint() != PUBLIC else ""


def listing(model: SoundModel, revision: str) -> Listing:
    """What of a model's repository is needed, at a branch or commit.

    Raises:
        NetworkError: The hub cannot be reached, does not let us in, or has no such repository or commit.
        Missing: It asks for an account or for consent, or the weights are published as pickles alone.
        UnreadableInput: What it answers makes no sense.
    """
    from huggingface_hub import HfApi

    who = token(model)
    api = HfApi(endpoint=endpoint(), token=who or False, library_name="kapelle")
    try:
        info = api.model_info(model.repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
        if model.gated or info.gated:
            api.auth_check(model.repo)
    except Exception as error:  # the client's own errors, and those of the library that it asks with, have no common base
        raise translated(error, model, revision, who=bool(who)) from error
    files = tuple(_file(sibling) for sibling in info.siblings or ())
    commit = str(info.sha or "")
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise UnreadableInput("{place} names no commit of {repo}", place=endpoint(), repo=model.repo)
    wanted = tuple(sorted(needed(files), key=lambda file: (file.size, file.path)))
    if not any(file.path.endswith(WEIGHTS) for file in wanted):
        raise Missing(
            "the weights of {repo} are published as pickles alone, and those are never opened", repo=model.repo,
            hint="a pickle can run any program; convert it to safetensors on a machine of no value, and give the folder with --weights",
        )  # fmt: skip
    return Listing(model.repo, commit, wanted)


def translated(error: Exception, model: SoundModel, revision: str, *, who: bool) -> KapelleError:
    """An error of the hub's client as one of ours, which says what to do next.

    Args:
        error: As it was raised.
        model: That was asked for.
        revision: Of it.
        who: A token was shown.
    """
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return closed(model, consent=who)
    if isinstance(error, errors.RevisionNotFoundError):
        hint = "its authors have taken it back; give a folder with --weights, or wait for a newer Kapelle"
        return NetworkError("{repo} has no version {revision}", repo=model.repo, revision=revision, hint=hint)
    if status == 401 and not isinstance(error, errors.RepositoryNotFoundError):
        return NetworkError("the hub does not accept this token", hint="make a new one at {place}/settings/tokens", place=endpoint())
    if isinstance(error, errors.RepositoryNotFoundError):
        return NetworkError("the hub has no {repo}, or does not show it", repo=model.repo, hint="look at {page}", page=page(model.repo))
    why = f"it answers {status}" if status else " ".join(str(error).split())[:200] or type(error).__name__
    return unreachable(model, why)


def closed(model: SoundModel, *, consent: bool) -> Missing:
    """Why a gated model is not given out, and the way in.

    Args:
        model: Which.
        consent: We have shown who we are, so only the consent is missing.
    """
    if consent:
        return Missing(
            "{name} is only for those who have accepted its licence, and this account has not", name=model.name,
            hint="log in, open {page} and agree; then run the same command again", page=page(model.repo),
        )  # fmt: skip
    return Missing(
        "{name} is only for those who have accepted its licence, and nobody is logged in", name=model.name,
        hint="make an account, open {page} and agree, make a token at {place}/settings/tokens, and put it into HF_TOKEN",
        page=page(model.repo), place=endpoint(),
    )  # fmt: skip


def unreachable(model: SoundModel, why: object) -> NetworkError:
    """The hub does not answer as it should."""
    return NetworkError(
        "the hub does not give {repo}: {why}", repo=model.repo, why=why,
        hint="is there a network here? the same command goes on where it ended; --weights takes a folder that you have",
    )  # fmt: skip


def _file(sibling: Any) -> HubFile:
    """A file as the hub lists it; its name becomes a path here, so it is looked at with suspicion."""
    path, lfs = str(sibling.rfilename), sibling.lfs
    digest, size = str(lfs.sha256 if lfs else sibling.blob_id), lfs.size if lfs else sibling.size
    parts = path.split("/")
    sound = all(part not in ("", ".", "..") and not set(part) & set('\\:*?"<>|\0') for part in parts)
    if not (sound and isinstance(size, int) and size >= 0 and re.fullmatch("[0-9a-f]{64}" if lfs else "[0-9a-f]{40}", digest)):
        raise UnreadableInput("{place} lists a file that cannot be: {path!r}", place=endpoint(), path=path[:200])
    return HubFile(path, size, digest)


def needed(files: Iterable[HubFile]) -> Iterator[HubFile]:
    """The files without which a model cannot be opened, and its licence."""
    files = list(files)
    paths = {file.path for file in files}
    depth = 2 if PIPELINE in paths else 1
    for file in files:
        path = PurePosixPath(file.path)
        if file.path in (*LICENCES, PIPELINE) or (len(path.parts) == depth and _is_part(path, paths)):
            yield file


def _is_part(path: PurePosixPath, paths: set[str]) -> bool:
    """Whether a file of the right folder is one that is opened."""
    if path.suffix == WEIGHTS:
        whole = path.with_name(_SHARD.sub("", path.stem) + WEIGHTS)
        variant = "." in whole.stem  # of half the width, say: model.fp16.safetensors
        return not variant and (str(whole) == str(path) or str(whole) not in paths)
    if path.name.endswith(".index.json"):
        weights = path.name.removesuffix(".index.json")
        return weights.endswith(WEIGHTS) and "." not in weights.removesuffix(WEIGHTS) and str(path.with_name(weights)) not in paths
    return path.suffix in SETTINGS and path.name not in LICENCES
