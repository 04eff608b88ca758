"""The door for datasets: a name of the catalogue, an address, an archive or a folder becomes a folder of music below the data folder.

`order` finds out what is meant and what it would cost, so that it can be shown and agreed to; `fetch` does it; `verify` compares a row
of the catalogue with its server. A folder appears whole or not at all, with a ``SOURCE.json`` that tells where it is from. Downloads in
progress lie in ``.fetching`` below the data folder, one fetch of a dataset at a time, and are deleted when it is done.

The parts: `web` asks servers under rules, `download` makes files of their answers, `members` and `archive` unpack, `kaggle` lets
kagglehub bring what only it can bring. Nothing here reads music.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from kapelle.data import archive, catalogue, kaggle, web
from kapelle.data.catalogue import Check, Dataset
from kapelle.data.download import Wanted, digest, download
from kapelle.data.members import kind_of
from kapelle.data.storage import alone, put_text, writing
from kapelle.errors import Missing, NetworkError, UnknownName, UnreadableInput, UsageError

WORK = ".fetching"
SOURCE = "SOURCE.json"
MIDI = (".mid", ".midi", ".kar", ".rmi")
LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING", "README.md")
"""Files of the archive's top that go along when only a folder of it is wanted."""

_ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip")
_NO_RANGES = (403, 405, 501)

Progress = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Order:
    """What is to be fetched, and where to.

    Args:
        name: What it is called.
        out: The data folder.
        folder: What appears.
        dataset: The row of the catalogue; None for what is not in it.
        path: An archive or folder on this machine; None for what is downloaded.
        url: An address; empty for what is on this machine.
        rules: Where the download may lead.
        sha256: That the file must have; None if it is not known.
        patience: With the server.
        there: It was fetched before; nothing will be done.
    """

    name: str
    out: Path
    folder: Path
    dataset: Dataset | None = None
    path: Path | None = None
    url: str = ""
    rules: web.Rules = field(default_factory=web.Rules)
    sha256: str | None = None
    patience: web.Patience = field(default_factory=web.Patience)
    there: bool = False


@dataclass(frozen=True)
class Fetched:
    """What is there now.

    Args:
        folder: Where it is.
        data: The folder to give to `kapelle data prepare`.
        files: Files in it.
        midi: MIDI files among them.
        size: Their bytes.
        sha256: Of the file that was unpacked; empty for a folder.
        same_name: Members of the archive left out because an earlier one had their name.
        recipes: Names of the recipes that read it.
    """

    folder: Path
    data: Path
    files: int
    midi: int
    size: int
    sha256: str = ""
    same_name: int = 0
    recipes: tuple[str, ...] = ()


def order(what: str, out: Path, *, sha256: str = "", force: bool = False) -> Order:
    """What `what` means: a name of the catalogue, an http or https address, an archive, or a folder.

    Args:
        what: See above; a name of the catalogue comes first.
        out: The data folder.
        sha256: That the file must have; the catalogue's own if left out.
        force: What is there may be replaced.

    Raises:
        UnknownName: It is none of them.
        UsageError: Its folder is there already and is something else, or the sha256 is none.
    """
    if sha256 and not (len(sha256) == 64 and all(char in "0123456789abcdef" for char in sha256.lower())):
        raise UsageError("{text!r} is no sha256: that has 64 hexadecimal digits", text=sha256[:80])
    made = _order(what, out, sha256.lower() or None)
    if not made.folder.exists() or made.folder == made.path or force:
        return made
    if made.url and _source(made.folder) == made.url:
        return replace(made, there=True)
    raise UsageError("{path} is there already", path=made.folder, hint="--force replaces it; -o chooses another data folder")


def _source(folder: Path) -> str:
    """The address from which a folder was fetched; empty if it was not."""
    try:
        return str(json.loads((folder / SOURCE).read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _order(what: str, out: Path, sha256: str | None) -> Order:
    if what in catalogue.names():
        row = catalogue.find(what)
        return Order(what, out, out / row.folder, row, None, row.url, web.Rules(row.all_hosts), sha256 or row.sha256)
    if "://" in what:
        rules = web.typed(what)
        name = _stem(unquote(PurePosixPath(urlsplit(what).path).name) or web.host_of(what))
        return Order(name, out, out / name, None, None, what, rules, sha256)
    path = Path(what)
    if path.is_dir():
        if sha256:
            raise UsageError("a folder has no sha256")
        return Order(path.name, path.parent, path, path=path)
    if path.is_file():
        known = catalogue.by_file(path.name)
        name = known.name if known else _stem(path.name)
        return Order(name, out, out / (known.folder if known else name), known, path, sha256=sha256 or (known.sha256 if known else None))
    if path.suffix or len(path.parts) > 1:
        raise Missing("no file {path}", path=path, hint="`kapelle data list` shows the datasets that can be fetched by name")
    raise UnknownName("dataset", what, catalogue.names())


def _stem(name: str) -> str:
    """A file's name without the endings of archives, as the name of a folder."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    safe = archive.safe_name(name[: len(name) - len(ending)] or "archive")
    return safe[-1] if safe else "archive"


def fetch(
    wish: Order,
    recipes: Mapping[str, Path],
    *,
    state: Path | None = None,
    keep: bool = False,
    progress: Progress = _quiet,
) -> Fetched:
    """Bring what was ordered, and tell what is there now.

    Args:
        wish: From `order`.
        recipes: Name -> file of the recipes to look through for readers.
        state: File of checks in which a download from the catalogue is remembered; None to forget it.
        keep: Leave the downloaded archive in the data folder.
        progress: Called with (bytes, bytes in all), first for the download, then for unpacking; 0 in all is not known.

    Raises:
        NetworkError: It cannot be downloaded, or is not what was published.
        UnreadableInput: It is no archive, is damaged, or something in it is refused.
        StorageError: The disk is full, or writing is not allowed.
        Missing: Credentials or packages for Kaggle.
        Interrupted: Ctrl-C or SIGTERM; what came is kept, and the same call goes on.
        UsageError: The same is being fetched already.
    """
    if wish.there or (wish.path is not None and wish.path.is_dir()):
        return _look(wish.folder, recipes)
    work = wish.out / WORK / wish.name
    with alone(work, wish.out):
        made, sha256 = _bring(wish, work, state, progress)
        root = _root(work / "unpacked", wish)
        _tell_source(root, wish, sha256)
        _put_in_place(root, wish.folder, work / "before")
        if keep and wish.path is None and sha256:
            name = _file_name(wish)
            with writing(wish.out):
                (work / name).replace(wish.out / name)
    shutil.rmtree(work, ignore_errors=True)
    _remove_if_empty(work.parent)
    found = _look(wish.folder, recipes)
    return Fetched(found.folder, found.data, found.files, found.midi, found.size, sha256, made.same_name, found.recipes)


def _bring(wish: Order, work: Path, state: Path | None, progress: Progress) -> tuple[archive.Unpacked, str]:
    """Download what must be downloaded, and unpack it to ``unpacked``; also the file's sha256, if there was a file."""
    into = work / "unpacked"
    with writing(work):
        shutil.rmtree(into, ignore_errors=True)  # of a call that was killed
    left_out = wish.dataset.leave_out if wish.dataset else ()
    if wish.dataset and wish.dataset.kaggle and wish.path is None:
        folder = kaggle.download(wish.dataset.kaggle, work / "kaggle")
        return archive.admit(folder, into, leave_out=left_out), ""
    if wish.path is not None:
        found = digest(wish.path)
        if wish.sha256 and found.sha256 != wish.sha256:
            hint = "if you want that file nevertheless, give it another name" if wish.dataset else ""
            raise UnreadableInput(
                "{path} has the sha256 {found}, not {wanted}", path=wish.path, found=found.sha256, wanted=wish.sha256, hint=hint
            )
        return _unpack(wish.path, into, wish, progress), found.sha256
    size = wish.dataset.size if wish.dataset else None
    came = download(Wanted(wish.url, wish.rules, size, wish.sha256, wish.patience), work / _file_name(wish), progress)
    try:
        made = _unpack(came.path, into, wish, progress)
    except UnreadableInput:
        came.path.unlink(missing_ok=True)  # so that the next call does not meet it again
        raise
    if wish.dataset and state:
        catalogue.keep_check(state, wish.dataset.name, Check(_today(), wish.url, came.size, came.sha256))
    return made, came.sha256


def _unpack(path: Path, into: Path, wish: Order, progress: Progress) -> archive.Unpacked:
    kind = kind_of(path)
    if kind == "a web page" and wish.path is None:
        hint = "open {url} in a browser, and give the file that it offers to `kapelle data fetch FILE`"
        path.unlink(missing_ok=True)
        raise NetworkError("{host} sent a web page instead of the file", host=web.host_of(wish.url), url=wish.url, hint=hint)
    if kind == "a MIDI file" or (kind not in ("zip", "tar") and path.suffix.lower() == ".csv"):
        with writing(into):
            into.mkdir(parents=True)
            shutil.copyfile(path, into / archive.safe_name(path.name)[-1])
        return archive.Unpacked(1, path.stat().st_size, 0)
    return archive.unpack(path, into, leave_out=wish.dataset.leave_out if wish.dataset else (), progress=progress)


def _file_name(wish: Order) -> str:
    name = wish.dataset.file_name if wish.dataset else unquote(PurePosixPath(urlsplit(wish.url).path).name)
    safe = archive.safe_name(name)
    return safe[-1] if safe else "file"


def _root(folder: Path, wish: Order) -> Path:
    """The folder that is wanted among what was unpacked: for a row, within lone folders, and what the row names there."""
    row, root = wish.dataset, folder
    if row is None:
        same = folder / wish.folder.name  # x.zip often holds one folder x
        return same if [same] == list(folder.iterdir()) and same.is_dir() else folder
    while True:
        held = list(root.iterdir())
        if row.inside and (root / row.inside).is_dir():
            break
        if len(held) != 1 or not held[0].is_dir():
            break
        root = held[0]
    if not row.inside:
        return root
    inside = root / row.inside
    if not inside.is_dir():
        raise UnreadableInput("{name} has no folder {folder}: it is not the archive that is known", name=row.name, folder=row.inside)
    with writing(folder):
        for name in LICENCES:
            if (root / name).is_file() and not (inside / name).exists():
                (root / name).replace(inside / name)
    return inside


def _tell_source(root: Path, wish: Order, sha256: str) -> None:
    row = wish.dataset
    facts: dict[str, object] = {"name": wish.name, "url": wish.url, "file": wish.path.name if wish.path else "", "sha256": sha256}
    if row:
        facts |= {"title": row.title, "url": row.url, "licence": row.licence, "use": catalogue.USES[row.use], "citation": row.citation}
    with writing(root):
        put_text(root / SOURCE, json.dumps({**facts, "fetched": _today()}, indent=1, ensure_ascii=False) + "\n")


def _put_in_place(root: Path, folder: Path, aside: Path) -> None:
    """Give the new folder its name; what had it before goes when the new one is there."""
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        if folder.exists():
            folder.replace(aside)
        try:
            root.replace(folder)
        except OSError:
            if aside.exists():
                aside.replace(folder)
            raise


def _look(folder: Path, recipes: Mapping[str, Path]) -> Fetched:
    """What is in a folder, and who reads it: recipes that name its folders, or else the folder itself."""
    files = midi = size = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            files, size = files + 1, size + path.stat().st_size
            midi += path.suffix.lower() in MIDI
    if not files:
        raise UnreadableInput("{path} holds no files", path=folder)
    inside = catalogue.readers((path.name for path in folder.iterdir() if path.is_dir()), recipes)
    if inside:
        return Fetched(folder, folder, files, midi, size, recipes=inside)
    return Fetched(folder, folder.parent, files, midi, size, recipes=catalogue.readers([folder.resolve().name], recipes))


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # another fetch is at work there
        return


def verify(row: Dataset, state: Path, work: Path, *, full: bool = False, order: Order | None = None, progress: Progress = _quiet) -> Check:
    """What a server says of a row today; remembered in `state`.

    Args:
        row: Of the catalogue.
        state: File of checks.
        work: Folder for a download that is deleted afterwards.
        full: Download everything and compare its sha256, not only the length that the server announces.
        order: Other rules or patience than those of the catalogue.
        progress: Of the download.

    Raises:
        NetworkError: There is no answer; nothing is remembered then.
    """
    order = order or Order(row.name, work, work, row, None, row.url, web.Rules(row.all_hosts), row.sha256)
    if full and row.kaggle:
        raise UsageError("{name} comes through kagglehub, which compares checksums itself", name=row.name, hint="leave out --full")
    found = _verify_all(row, order, work, progress) if full else _verify_headers(row, order)
    catalogue.keep_check(state, row.name, found)
    return found


def _verify_all(row: Dataset, order: Order, work: Path, progress: Progress) -> Check:
    with alone(work, work.parent.parent):
        came = download(Wanted(row.url, order.rules, patience=order.patience), work / row.file_name, progress)
        kind = kind_of(came.path)
    shutil.rmtree(work, ignore_errors=True)
    problem = ""
    if kind == "a web page":
        problem = "a web page came"
    elif row.size not in (None, came.size):
        problem = f"{came.size} bytes came, and {row.size} were published"
    elif row.sha256 not in (None, came.sha256):
        problem = f"the sha256 is {came.sha256}"
    return Check(_today(), row.url, came.size, came.sha256, problem)


def _verify_headers(row: Dataset, order: Order) -> Check:
    host = web.host_of(row.url)
    with web.translated(host):
        with web.ask(row.url, order.rules, {}, order.patience, "HEAD") as answer:
            status, headers, size = answer.status, answer.headers, answer.length
        if status in _NO_RANGES:
            with web.ask(row.url, order.rules, {"Range": "bytes=0-0"}, order.patience) as answer:
                status, headers = answer.status, answer.headers
                total = headers.get("content-range", "").rpartition("/")[2]
                size = int(total) if status == 206 and total.isdigit() else answer.length if status == 200 else None
    problem = ""
    if status not in (200, 206):
        problem = f"it answers {status}"
    elif not row.kaggle and headers.get("content-type", "").startswith("text/html"):
        problem = "a web page came"
    elif row.size is not None and size not in (None, row.size):
        problem = f"{size} bytes came, and {row.size} were published"
    return Check(_today(), row.url, None if row.kaggle else size, None, problem)


def _today() -> str:
    return date.today().isoformat()
