"""The library: the user's pieces, on disk and in the database, and the files that were uploaded.

A piece is a folder, piece.mid and recipe.json; the second holds the record too, so that the table of the database can be made again. Files
are written before the row, and go before it. What is deleted lies in the trash for a week. It composes and judges nothing.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.naming import one_line
from kapelle.errors import KapelleError, StorageError, UnknownName, UnreadableInput
from kapelle.score.limits import DEFAULT
from kapelle.score.write import write_bytes
from kapelle.web import records
from kapelle.web.database import Database
from kapelle.web.folder import ID, Folder, NotFound, known_id, new_id
from kapelle.web.jobs import finite
from kapelle.web.records import COLUMNS, Record, clean_tags, from_row

if TYPE_CHECKING:
    from kapelle.composing.piece import Piece

TRASH_S = 7 * 24 * 3600.0
"""So long a deleted piece can be had back."""

UPLOAD_S = 24 * 3600.0
"""So long an upload is kept that no job used."""

UPLOADS_BYTES = 1 << 30
"""All uploads together take so much of the disk at most."""

ORDERS = {
    "newest": "created DESC, rowid DESC",
    "oldest": "created, rowid",
    "title": "words, created DESC",  # they begin with the title, in lower case
    "longest": "duration_s DESC, created DESC",
    "shortest": "duration_s, created DESC",
    "favourite": "favourite DESC, created DESC, rowid DESC",
}
"""Name of an order -> SQL."""


@dataclass(frozen=True)
class Upload:
    """A file that somebody sent.

    Args:
        id: Its id.
        name: As it was called where it came from; for people alone.
        created: Seconds since 1970.
        n_bytes: Its size.
    """

    id: str
    name: str
    created: float
    n_bytes: int

    @property
    def expires(self) -> float:
        """When it is deleted, if no job that uses it ends before."""
        return self.created + UPLOAD_S


class Library:
    """The pieces and uploads of a studio.

    Args:
        database: Where the records are.
        folder: Where the files are.
    """

    def __init__(self, database: Database, folder: Folder) -> None:
        self.database = database
        self.folder = folder

    # --- pieces: in -----------------------------------------------------------------------------------------------------------------

    def add(
        self,
        piece: Piece,
        *,
        verb: str,
        parent: str = "",
        title: str = "",
        tags: Iterable[str] = (),
        judge: Mapping[str, Any] | None = None,
        asked: Mapping[str, Any] | None = None,
        id: str = "",
    ) -> Record:
        """The record of a piece that is kept from now on. Of one that is there already, its job begun again, what the user changed stays.

        Args:
            piece: What was composed.
            verb: By which.
            parent: Id of the piece that it came from.
            title: Made from what the piece is, if it is empty.
            tags: By the user.
            judge: How it was judged among others.
            asked: What was asked beyond the request that the piece bears.
            id: Its id; a new one if it is empty.

        Raises:
            StorageError: The disk is full, or may not be written to; then nothing is left behind.
        """
        record = records.of_piece(piece, id or new_id(), verb=verb, parent=parent, title=title, tags=tags, judge=finite(judge))
        record = replace(record, request={**record.request, **(asked or {})})
        with suppress(NotFound):
            record = _as_left(record, self.get(record.id))
        recipe = piece.to_json()
        del recipe["midi"]
        return self._put(record, piece.to_midi(), recipe)

    def keep(self, upload_id: str, title: str = "", tags: Iterable[str] = ()) -> Record:
        """The record of an uploaded file, which is a piece of the library from now on.

        Raises:
            NotFound: There is no such upload.
        """
        data = self.upload(upload_id)
        record = records.of_file(data, new_id(), title or self.upload_record(upload_id).name)
        return self._put(replace(record, tags=clean_tags(tags)), data, {})

    def _put(self, record: Record, midi: bytes, recipe: Mapping[str, Any]) -> Record:
        there = self.folder.piece(record.id).exists()
        try:
            write_bytes(self.folder.midi(record.id), midi)
            self._write_recipe(record, recipe)
            with self.database.writing() as connection:
                _insert(connection, record)
        except KapelleError:
            if not there:
                _remove(self.folder, record.id)
            raise
        return record

    def _write_recipe(self, record: Record, recipe: Mapping[str, Any]) -> None:
        table = {**recipe, "studio": record.as_dict()}
        write_bytes(self.folder.recipe(record.id), (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())

    # --- pieces: out ----------------------------------------------------------------------------------------------------------------

    def get(self, id: str) -> Record:
        """The record of a piece, deleted ones included.

        Raises:
            NotFound: There is none.
        """
        row = self.database.one("SELECT * FROM pieces WHERE id = ?", (known_id(id),))
        if row is None:
            raise NotFound("there is no piece {id!r}", id=id)
        return from_row(dict(row))

    def search(
        self,
        text: str = "",
        *,
        tags: Iterable[str] = (),
        favourite: bool | None = None,
        model: str = "",
        parent: str = "",
        deleted: bool = False,
        limit: int = 50,
        offset: int = 0,
        order: str = "newest",
    ) -> tuple[list[Record], int]:
        """Records, and how many there are in all.

        Args:
            text: Words, all of which are in the title, the tags, the model, the genre or the key.
            tags: All of which the piece has.
            favourite: Only favourites, or only others.
            model: Name of a bundle.
            parent: Id of the piece that they came from.
            deleted: What is in the trash, instead of what is not.
            limit: Records at most.
            offset: Records to pass over.
            order: One of `ORDERS`.

        Raises:
            UnknownName: There is no such order.
        """
        if order not in ORDERS:
            raise UnknownName("order", order, ORDERS)
        where = ["deleted IS NOT NULL" if deleted else "deleted IS NULL"]
        values: list[Any] = []
        for word in one_line(text).casefold().split():
            where.append("instr(words, ?) > 0")
            values.append(word)
        for tag in clean_tags(tags):
            where.append("EXISTS (SELECT 1 FROM json_each(pieces.tags) WHERE value = ?)")
            values.append(tag)
        for column, value in (("favourite", favourite), ("model", one_line(model) or None), ("parent", one_line(parent) or None)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        of = f"FROM pieces WHERE {' AND '.join(where)}"
        total = self.database.rows(f"SELECT count(*) {of}", values)[0][0]
        rows = self.database.rows(f"SELECT * {of} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?", (*values, max(0, limit), max(0, offset)))
        return [from_row(dict(row)) for row in rows], int(total)

    def midi(self, id: str) -> bytes:
        """The MIDI file of a piece.

        Raises:
            NotFound: There is no such piece.
            StorageError: Its file is gone or cannot be read.
        """
        self.get(id)
        return _read(self.folder.midi(id))

    def recipe(self, id: str) -> dict[str, Any]:
        """How a piece was made, as ``kapelle compose --from`` takes it; empty for one that was uploaded."""
        self.get(id)
        return {name: value for name, value in self._recipe(id).items() if name != "studio"}

    def _recipe(self, id: str) -> dict[str, Any]:
        path = self.folder.recipe(id)
        try:
            return dict(json.loads(_read(path)))
        except ValueError as error:
            raise UnreadableInput("{path} is no recipe of a piece: {why}", path=path, why=error) from error

    # --- pieces: changed ------------------------------------------------------------------------------------------------------------

    def change(
        self, id: str, *, title: str | None = None, tags: Iterable[str] | None = None, favourite: bool | None = None,
        judge: Mapping[str, Any] | None = None,
    ) -> Record:  # fmt: skip
        """The record after a change; what is None stays."""

        def changed(old: Record) -> Record:
            return replace(
                old,
                title=one_line(title or "") or old.title,
                named=old.named or bool(one_line(title or "")),
                tags=old.tags if tags is None else clean_tags(tags),
                favourite=old.favourite if favourite is None else bool(favourite),
                judge=old.judge if judge is None else finite(judge),
            )

        return self._changed(id, changed)

    def delete(self, id: str) -> Record:
        """The record of a piece that is in the trash now."""
        return self._changed(id, lambda old: old if old.deleted is not None else replace(old, deleted=time.time()))

    def restore(self, id: str) -> Record:
        """The record of a piece that is out of the trash again."""
        return self._changed(id, lambda old: replace(old, deleted=None))

    def _changed(self, id: str, change: Callable[[Record], Record]) -> Record:
        """The record after a change: read and written in one transaction, else of two changes at a time one would be lost."""
        with self.database.writing() as connection:
            old = self.get(id)
            record = change(old)
            if record == old:
                return old
            with suppress(StorageError, UnreadableInput):  # the row counts; without its recipe a piece still plays
                self._write_recipe(record, {name: value for name, value in self._recipe(id).items() if name != "studio"})
            _insert(connection, record)
        return record

    # --- uploads --------------------------------------------------------------------------------------------------------------------

    def put_upload(self, data: bytes, name: str = "") -> Upload:
        """An upload: bytes that have been read as MIDI before.

        Raises:
            UnreadableInput: There are too many of them.
            StorageError: The disk is full, or uploads take too much of it.
        """
        if len(data) > DEFAULT.bytes:
            raise UnreadableInput("the file has {size} bytes, more than {limit}", size=len(data), limit=DEFAULT.bytes)
        held = self.database.rows("SELECT coalesce(sum(n_bytes), 0) FROM uploads")[0][0]
        if held + len(data) > UPLOADS_BYTES:
            raise StorageError("too many files were sent and not used yet", hint="they are deleted after their jobs, or within a day")
        upload = Upload(new_id(), one_line(name), time.time(), len(data))
        path = self.folder.upload(upload.id)
        write_bytes(path, data)
        try:
            with self.database.writing() as connection:
                connection.execute(
                    "INSERT INTO uploads (id, name, created, n_bytes) VALUES (?, ?, ?, ?)",
                    (upload.id, upload.name, upload.created, len(data)),
                )
        except KapelleError:
            path.unlink(missing_ok=True)
            raise
        return upload

    def upload_record(self, id: str) -> Upload:
        """What is known of an upload.

        Raises:
            NotFound: There is none.
        """
        row = self.database.one("SELECT * FROM uploads WHERE id = ?", (known_id(id),))
        if row is None:
            raise NotFound("there is no upload {id!r}", id=id, hint="uploads are deleted after their job: send the file again")
        return Upload(row["id"], row["name"], row["created"], row["n_bytes"])

    def upload(self, id: str) -> bytes:
        """The bytes of an upload.

        Raises:
            NotFound: There is none.
        """
        self.upload_record(id)
        return _read(self.folder.upload(id))

    def drop_upload(self, id: str) -> None:
        """Delete an upload; nothing happens if there is none."""
        if not ID.fullmatch(id):
            return
        with self.database.writing() as connection:
            connection.execute("DELETE FROM uploads WHERE id = ?", (id,))
        with suppress(OSError):  # a file without a row is swept up, a row without a file is an upload that cannot be read
            self.folder.upload(id).unlink(missing_ok=True)

    # --- upkeep ---------------------------------------------------------------------------------------------------------------------

    def purge(self, now: float | None = None) -> int:
        """Delete for good what has been in the trash for a week, and uploads a day old; how many there were."""
        now = time.time() if now is None else now
        old = [row["id"] for row in self.database.rows("SELECT id FROM pieces WHERE deleted < ?", (now - TRASH_S,))]
        for id in old:
            self.destroy(id)
        uploads = [row["id"] for row in self.database.rows("SELECT id FROM uploads WHERE created < ?", (now - UPLOAD_S,))]
        for id in uploads:
            self.drop_upload(id)
        return len(old) + len(uploads)

    def destroy(self, id: str) -> None:
        """Delete a piece for good."""
        _remove(self.folder, id)
        with self.database.writing() as connection:
            connection.execute("DELETE FROM pieces WHERE id = ?", (id,))

    def rebuild(self) -> int:
        """List the pieces that lie on the disk and not in the database, as after its loss; how many there were."""
        known = {row["id"] for row in self.database.rows("SELECT id FROM pieces")}
        found = 0
        for path in sorted(self.folder.pieces.iterdir()):
            if path.name in known or not ID.fullmatch(path.name) or not self.folder.midi(path.name).is_file():
                continue
            try:
                record = self._found(path.name)
                with self.database.writing() as connection:
                    _insert(connection, record)
            except (KapelleError, KeyError, TypeError, ValueError):
                continue  # no piece of ours, or one that is damaged: it stays where it is
            found += 1
        return found

    def _found(self, id: str) -> Record:
        """The record of a piece on the disk: its own, or what the music says where that is lost."""
        try:
            return replace(records.from_dict(self._recipe(id)["studio"]), id=id)
        except (KapelleError, KeyError, TypeError, ValueError):
            return records.of_file(_read(self.folder.midi(id)), id, id)


def _as_left(record: Record, old: Record) -> Record:
    """A record with what the user changed about the same piece, and with its place in the library."""
    left = replace(record, created=old.created, favourite=old.favourite, tags=old.tags, deleted=old.deleted)
    return replace(left, title=old.title, named=True) if old.named else left


def _insert(connection: sqlite3.Connection, record: Record) -> None:
    """Write a record's row, or write it anew."""
    marks = ", ".join("?" * len(COLUMNS))
    connection.execute(f"INSERT OR REPLACE INTO pieces ({', '.join(COLUMNS)}) VALUES ({marks})", records.to_row(record))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=path, why=error.strerror) from error


def _remove(folder: Folder, id: str) -> None:
    """Delete the files of a piece, its music first: what is half deleted is not listed again by `Library.rebuild`."""
    with suppress(OSError):
        folder.midi(id).unlink(missing_ok=True)
    shutil.rmtree(folder.piece(id), ignore_errors=True)
