"""The studio's database: migrations, damage, full disks, threads."""

import sqlite3
import threading

import pytest

from kapelle.errors import StorageError
from kapelle.web import database as databases
from kapelle.web.database import Database
from kapelle.web.studio import open_studio

PATH = "studio.sqlite"


def tables(database):
    return {row["name"] for row in database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_database_has_the_newest_version_and_all_tables(tmp_path):
    database = Database(tmp_path / PATH)
    assert {"jobs", "events", "pieces", "uploads"} <= tables(database)
    assert database.one("PRAGMA user_version")[0] == databases.migrations()[-1][0]
    assert database.one("PRAGMA journal_mode")[0] == "wal"
    assert database.one("PRAGMA foreign_keys")[0] == 1


def test_migrations_count_from_one_without_a_gap():
    numbers = [number for number, _ in databases.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_database_of_an_older_version_is_brought_up_to_date_and_keeps_its_rows(tmp_path, monkeypatch):
    first = databases.migrations()[:1]
    monkeypatch.setattr(databases, "migrations", lambda: first)
    database = Database(tmp_path / PATH)
    with database.writing() as connection:
        connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES ('a', 'b', 1.5, 2)")
    monkeypatch.setattr(databases, "migrations", lambda: [*first, (2, "CREATE TABLE more (a);\nINSERT INTO more VALUES (7);\n")])
    again = Database(tmp_path / PATH)
    assert again.one("SELECT a FROM more")["a"] == 7
    assert again.one("SELECT name FROM uploads")["name"] == "b"
    assert again.one("PRAGMA user_version")[0] == 2


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path, monkeypatch):
    first = databases.migrations()[:1]
    Database(tmp_path / PATH)
    monkeypatch.setattr(databases, "migrations", lambda: [*first, (2, "CREATE TABLE more (a);\nINSERT INTO nowhere VALUES (7);\n")])
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        Database(tmp_path / PATH)
    monkeypatch.setattr(databases, "migrations", lambda: first)
    database = Database(tmp_path / PATH)
    assert "more" not in tables(database)
    assert database.one("PRAGMA user_version")[0] == 1


def test_statements_end_where_sqlite_says_so():
    script = "CREATE TABLE a (b TEXT DEFAULT ';');\n-- a remark; with a sign\nINSERT INTO a VALUES ('x');\n"
    assert [part.split()[0] for part in databases.statements(script)] == ["CREATE", "--"]


def test_a_database_that_is_newer_than_the_program_is_left_as_it_is(tmp_path):
    path = tmp_path / PATH
    database = Database(path)
    database.rows("PRAGMA user_version = 999")
    database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer version"):
        Database(path)
    with pytest.raises(StorageError, match="newer version"):
        open_studio(tmp_path, repair=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"this was never a database" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_database_is_set_aside_and_a_new_one_begun(tmp_path, damage, caplog):
    path = tmp_path / PATH
    path.write_bytes(damage)
    with pytest.raises(StorageError, match="damaged"):
        open_studio(tmp_path)
    studio = open_studio(tmp_path, repair=True)
    aside = [item for item in tmp_path.iterdir() if "damaged" in item.name]
    assert [item.read_bytes() for item in aside] == [damage]
    assert "damaged" in caplog.text
    assert studio.jobs.list() == []


def test_damage_in_the_midst_of_a_database_is_found(tmp_path):
    path = tmp_path / PATH
    database = Database(path)
    with database.writing() as connection:
        connection.executemany(
            "INSERT INTO uploads (id, name, created, n_bytes) VALUES (?, ?, 0, 0)", [(str(n), "x" * 200) for n in range(500)]
        )
    database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray(path.read_bytes())
    data[4096 * 12 : 4096 * 20] = b"\xa5" * (4096 * 8)
    path.write_bytes(data)
    assert databases.repair(path) is not None
    assert not path.exists()


def test_a_sound_database_is_not_set_aside(tmp_path):
    Database(tmp_path / PATH)
    assert databases.repair(tmp_path / PATH) is None
    assert databases.repair(tmp_path / "nowhere") is None


def test_a_full_disk_is_an_error_of_storage_and_keeps_what_was_there(tmp_path):
    database = Database(tmp_path / PATH)
    database.rows("PRAGMA max_page_count = 30")
    with pytest.raises(StorageError, match="full"), database.writing() as connection:
        connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES ('a', 'x', 0, 0)")
        connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES ('b', ?, 0, 0)", ("x" * 1_000_000,))
    assert database.rows("SELECT * FROM uploads") == []
    with database.writing() as connection:
        connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES ('c', 'x', 0, 0)")
    assert [row["id"] for row in database.rows("SELECT id FROM uploads")] == ["c"]


def test_a_locked_and_a_read_only_database_are_errors_of_storage(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "BUSY_S", 0.05)
    one, other = Database(tmp_path / PATH), Database(tmp_path / PATH)
    with one.writing(), pytest.raises(StorageError, match="busy"), other.writing():
        pass
    other.rows("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="may not be written"):
        other.rows("DELETE FROM uploads")


def test_a_mistake_of_ours_is_not_hidden(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / PATH).rows("SELECT * FROM nowhere")


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path):
    database = Database(tmp_path / PATH)
    with pytest.raises(RuntimeError), database.writing() as connection:
        connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES ('a', 'x', 0, 0)")
        raise RuntimeError
    assert database.rows("SELECT * FROM uploads") == []


def test_many_threads_open_a_new_database_at_once(tmp_path):
    problems = []

    def work(number):
        try:
            database = Database(tmp_path / PATH)
            with database.writing() as connection:
                connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES (?, 'x', 0, 0)", (str(number),))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert Database(tmp_path / PATH).one("SELECT count(*) FROM uploads")[0] == 8


def test_the_version_of_the_data_tells_that_another_connection_wrote(tmp_path):
    one, other = Database(tmp_path / PATH), Database(tmp_path / PATH)
    before = one.version()
    assert one.version() == before
    with other.writing() as connection:
        connection.execute("INSERT INTO uploads (id, name, created, n_bytes) VALUES ('a', 'x', 0, 0)")
    assert one.version() != before


def test_a_folder_that_cannot_be_made_is_an_error_of_storage(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot use the folder"):
        open_studio(tmp_path / "file")
    with pytest.raises(StorageError):
        open_studio(tmp_path / "file" / "below")


def test_the_folder_is_for_its_owner_alone(tmp_path):
    studio = open_studio(tmp_path / "studio")
    assert studio.folder.path.stat().st_mode & 0o777 == 0o700
    assert studio.folder.pieces.is_dir()


def test_the_folder_is_the_named_one_else_that_of_the_environment_else_the_users(tmp_path, monkeypatch):
    from kapelle.web.folder import place

    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KAPELLE_STUDIO", raising=False)
    assert place() == tmp_path / "home" / "studio"
    monkeypatch.setenv("KAPELLE_STUDIO", str(tmp_path / "there"))
    assert place() == tmp_path / "there"
    assert place(tmp_path / "here") == tmp_path / "here"


@pytest.mark.parametrize("id", ["", "..", "../../etc/passwd", "a" * 13, "ABCDEFGHIJKL", "abcdefghijk1", "abcdefghijk\n", "abcdefghijkл"])
def test_nothing_from_outside_becomes_a_path(tmp_path, id):
    from kapelle.web.folder import NotFound

    folder = open_studio(tmp_path).folder
    for path in (folder.piece, folder.midi, folder.upload, folder.job, folder.report, folder.lock):
        with pytest.raises(NotFound):
            path(id)
