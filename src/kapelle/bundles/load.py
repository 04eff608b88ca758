"""The only door through which a model comes in: a folder, checked whole, then held in memory.

Takes a folder from outside (anything may be in it), gives a `Bundle` whose bytes are the bytes that were checked, so nothing can be
swapped between the check and the use. Order of the checks: bundle.json, the list of files, their sizes, then their digests and graphs;
nothing larger than was promised is ever read. No pickle, no code, no links, no network.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kapelle.bundles import manifest as manifests
from kapelle.bundles.manifest import FILE_NAME, MAX_MANIFEST_BYTES, Manifest
from kapelle.bundles.onnx_file import check_graph
from kapelle.errors import BundleError, Missing, StorageError

ALIASES: Mapping[str, tuple[str, ...]] = {"band": ("band-hybrid", "band-composer", "band-jamming"), "bridge": ("theme",)}
"""Other names under which bundles are found: of several, the first that is installed."""

LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that file managers leave in every folder; they are ignored, everything else that is not listed is refused."""


@dataclass(frozen=True)
class Limits:
    """What a bundle may weigh at most.

    Args:
        file_bytes: One file.
        total_bytes: All files together.
    """

    file_bytes: int = 2**28
    total_bytes: int = 2**29


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

    Args:
        path: Where it came from.
        manifest: What it is.
        hash: sha256 of the canonical bundle.json: the same hash, the same bytes in every file.
        contents: File name -> bytes.
    """

    path: Path
    manifest: Manifest
    hash: str
    contents: Mapping[str, bytes] = field(repr=False)

    @property
    def name(self) -> str:
        """The name that ``--model`` takes."""
        return self.manifest.name

    def graph(self, role: str) -> bytes:
        """The ONNX file of the graph `role`, which must be one of the manifest's."""
        return self.contents[self.manifest.graphs[role]]


@dataclass(frozen=True)
class Installed:
    """A folder found where bundles are kept.

    Args:
        name: Name of the folder, by which it is found.
        path: The folder.
        manifest: None when bundle.json is damaged.
        problem: What is wrong with it; None when bundle.json is well. Files are not read for this.
    """

    name: str
    path: Path
    manifest: Manifest | None = None
    problem: BundleError | None = None


def home() -> Path:
    """The folder for what belongs to the user: $KAPELLE_HOME, or else the place that the system has for it."""
    named = os.environ.get("KAPELLE_HOME")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "kapelle"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "kapelle"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kapelle"


def places() -> tuple[Path, ...]:
    """The folders whose subfolders are bundles, the user's own first."""
    return home() / "bundles", Path(__file__).parents[1] / "weights"


def installed() -> list[Installed]:
    """Every bundle found by name, sorted by name; where two share one, only the first place's, which is the one `find` gives."""
    found: dict[str, Installed] = {}
    for place in places():
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.name in found or not (path / FILE_NAME).is_file():
                continue
            try:
                found[path.name] = Installed(path.name, path, _read_manifest(path))
            except BundleError as error:
                found[path.name] = Installed(path.name, path, problem=error)
    return sorted(found.values(), key=lambda item: item.name)


def find(name: str | Path) -> Path:
    """The folder of the bundle `name`.

    Args:
        name: A path (a Path, or a text with a separator in it), an alias or a name. A plain name is looked up in `places`, and last
            in the working directory.

    Raises:
        Missing: There is none; the hint lists those installed.
    """
    if isinstance(name, Path) or "/" in name or os.sep in name:
        path = Path(name).expanduser()
        if path.is_dir():
            return path
        raise Missing("no bundle at {path}", path=path, hint="`kapelle models` lists those installed")
    for known in ALIASES.get(name, (name,)):
        for place in (*places(), Path()):
            path = place / known
            if (path / FILE_NAME).is_file():
                return path
    raise Missing(
        "no bundle named {name!r} is installed",
        name=name,
        hint="installed: {known}; a folder made by `kapelle export` is found by its path, or by its name in {place}",
        known=", ".join(item.name for item in installed()) or "(none)",
        place=home() / "bundles",
    )


def load(path: str | Path, limits: Limits | None = None) -> Bundle:
    """The bundle `path` (a folder, or a name as `find` takes it), checked whole.

    Raises:
        Missing: There is no such folder.
        BundleError: Something in it is not what bundle.json says, or not allowed in a bundle; the message names the file.
        StorageError: It may not be read.
    """
    folder, limits = find(path), limits or Limits()
    try:
        manifest = _read_manifest(folder)
        _check_listing(folder, manifest, limits)
        contents = {name: _read(folder / name, entry.size) for name, entry in manifest.files.items()}
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=error.filename or folder, why=error.strerror) from error
    for name, data in contents.items():
        _check_digest(folder / name, data, manifest)
    for name in set(manifest.graphs.values()):
        check_graph(contents[name], str(folder / name))
    return Bundle(folder, manifest, manifests.digest(manifest), contents)


def manifest_of(path: str | Path) -> Manifest:
    """What bundle.json of the bundle `path` (as `load` takes it) says; no other file is looked at.

    Raises:
        Missing: There is no such bundle.
        BundleError: bundle.json is damaged.
        StorageError: It may not be read.
    """
    folder = find(path)
    try:
        return _read_manifest(folder)
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=error.filename or folder, why=error.strerror) from error


def file_of(path: str | Path, name: str, limits: Limits | None = None) -> bytes:
    """One file of the bundle `path` (as `load` takes it), checked against bundle.json; the other files are not read.

    Raises:
        Missing: There is no such bundle, or it has no such file.
        BundleError: The file is not what bundle.json says.
        StorageError: It may not be read.
    """
    folder = find(path)
    try:
        manifest = _read_manifest(folder)
        if name not in manifest.files:
            raise Missing("the bundle {path} has no file {name}", path=folder, name=name)
        _check_listing(folder, manifest, limits or Limits())
        data = _read(folder / name, manifest.files[name].size)
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=error.filename or folder, why=error.strerror) from error
    _check_digest(folder / name, data, manifest)
    return data


def _check_digest(path: Path, data: bytes, manifest: Manifest) -> None:
    if hashlib.sha256(data).hexdigest() != manifest.files[path.name].sha256:
        raise BundleError("{file} is damaged: its sha256 is not the one in bundle.json", file=path, hint="fetch the bundle again")


def _read_manifest(folder: Path) -> Manifest:
    path = folder / FILE_NAME
    try:
        status = path.lstat()
    except FileNotFoundError as error:
        raise BundleError("{path} is no bundle: it has no bundle.json", path=folder, hint="`kapelle export` writes bundles") from error
    if not stat.S_ISREG(status.st_mode):
        raise BundleError("{file} is refused: it is a link or no plain file", file=path)
    if status.st_size > MAX_MANIFEST_BYTES:
        raise BundleError("{file} has {size} bytes, more than {limit}", file=path, size=status.st_size, limit=MAX_MANIFEST_BYTES)
    return manifests.parse(_read(path, status.st_size))


def _check_listing(folder: Path, manifest: Manifest, limits: Limits) -> None:
    """Every listed file is there as a plain file of its size; nothing else is."""
    there = {entry.name: entry for entry in os.scandir(folder)}
    for name in sorted(there.keys() - manifest.files.keys() - LITTER - {FILE_NAME}):
        raise BundleError("{file} is refused: bundle.json does not list it", file=folder / name, hint="remove it if you trust the rest")
    if manifest.n_bytes > limits.total_bytes:
        raise BundleError("{path} has {size} bytes, more than {limit}", path=folder, size=manifest.n_bytes, limit=limits.total_bytes)
    for name, entry in manifest.files.items():
        if name not in there:
            raise BundleError("{file} is missing from the bundle", file=folder / name, hint="fetch the bundle again")
        status = there[name].stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError("{file} is refused: it is a link or no plain file", file=folder / name)
        if status.st_size != entry.size:
            raise BundleError(
                "{file} has {size} bytes, bundle.json says {expected}",
                file=folder / name,
                size=status.st_size,
                expected=entry.size,
                hint="fetch the bundle again",
            )
        if entry.size > limits.file_bytes:
            raise BundleError("{file} has {size} bytes, more than {limit}", file=folder / name, size=entry.size, limit=limits.file_bytes)


def _read(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(size + 1)
    if len(data) != size:
        raise BundleError("{file} changed while it was read", file=path)
    return data
