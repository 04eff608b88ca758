"""The library: pieces in and out, searched, changed, deleted, found again on the disk; uploads."""

import json
import shutil
import threading
import time
from dataclasses import replace

import pytest

from kapelle import api
from kapelle.composing.piece import request_of
from kapelle.errors import MidiError, StorageError, UnknownName, UnreadableInput, UsageError
from kapelle.web import library as libraries
from kapelle.web.database import DatabaseBusy
from kapelle.web.folder import NotFound, new_id
from kapelle.web.library import TRASH_S, UPLOAD_S
from kapelle.web.studio import open_studio


@pytest.fixture(scope="module")
def piece():
    return api.compose(model="genre-small", bars=2, seed=3, genre="jazz", key="A minor")


@pytest.fixture
def studio(tmp_path):
    return open_studio(tmp_path / "studio")


@pytest.fixture
def library(studio):
    return studio.library


def titles(found):
    return [record.title for record in found[0]]


def test_a_piece_is_kept_with_its_record_and_its_bytes(library, piece):
    record = library.add(piece, verb="compose", title="Night", tags=["slow", "slow", "blue"])
    assert library.get(record.id) == record
    assert library.midi(record.id) == piece.to_midi()
    assert (record.title, record.tags, record.source, record.verb) == ("Night", ("slow", "blue"), "composed", "compose")
    assert (record.model, record.seed, record.bundle_hash) == ("genre-small", 3, piece.bundle_hash)
    assert (record.n_bars, record.key, record.metre) == (2, "A minor", "4/4")
    assert record.request["options"] == {"genre": "jazz", "key": "A minor"}
    assert record.request["length"] == {"amount": 2, "unit": "bars"}
    assert record.n_notes == sum(len(track.notes) for track in piece.score.tracks)
    assert json.loads(json.dumps(record.as_dict()))["tags"] == ["slow", "blue"]


def test_a_recipe_makes_the_piece_again(library, piece, tmp_path):
    record = library.add(piece, verb="compose")
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(library.recipe(record.id)))
    assert "studio" not in library.recipe(record.id)
    assert request_of(path)[0] == piece.request
    assert api.compose_one(api.remake(path)).to_midi() == library.midi(record.id)


def test_a_piece_without_a_title_is_called_by_what_it_is(library, piece):
    record = library.add(piece, verb="compose")
    assert record.title.startswith("Jazz · A minor · ")
    assert record.named is False
    assert library.change(record.id, title="Mine").named is True


def test_the_record_tells_of_files_by_their_size_alone(library, piece):
    long = replace(piece, request=replace(piece.request, prompt=b"M" * 9000))
    assert library.add(long, verb="extend").request["prompt"] == {"bytes": 9000}


def test_search_finds_words_in_title_tags_model_genre_and_key_whatever_their_case(library, piece):
    library.add(piece, verb="compose", title="Ärger im Büro", tags=["Вечер"])
    library.add(piece, verb="compose", title="Other")
    assert titles(library.search("ärger")) == ["Ärger im Büro"]
    assert titles(library.search("ВЕЧЕР büro")) == ["Ärger im Büro"]
    assert library.search("jazz")[1] == library.search("a minor")[1] == library.search("genre-small")[1] == 2
    assert library.search("100%_")[1] == 0
    chance = library.add(api.compose(model="genre-small", bars=1, seed=2), verb="compose", title="By chance")
    assert titles(library.search(f"chance {chance.facts['genre']}")) == ["By chance"]
    assert library.search("\ud800nowhere")[1] == 0


def test_search_by_tags_favourite_model_parent_and_in_pages(library, piece):
    made = [library.add(piece, verb="compose", title=f"P{n}", tags=["even"] if n % 2 == 0 else ["odd", "x"]) for n in range(5)]
    library.change(made[1].id, favourite=True)
    child = library.add(piece, verb="vary", title="child", parent=made[0].id)
    assert titles(library.search(tags=["even"])) == ["P4", "P2", "P0"]
    assert library.search(tags=["odd", "x"])[1] == 2
    assert titles(library.search(favourite=True)) == ["P1"]
    assert library.search(favourite=False)[1] == 5
    assert library.search(parent=made[0].id)[0] == [child]
    assert library.search(model="chopin")[1] == 0
    found, total = library.search(limit=2, offset=1, order="oldest")
    assert ([record.title for record in found], total) == (["P1", "P2"], 6)
    assert titles(library.search(order="title", limit=2)) == ["child", "P0"]
    with pytest.raises(UnknownName):
        library.search(order="id; DROP TABLE pieces")


def test_a_change_is_on_the_disk_too(library, piece):
    record = library.add(piece, verb="compose")
    changed = library.change(record.id, title="  New\n\x00name ", tags=["b", " a  b ", ""], favourite=True)
    assert (changed.title, changed.tags, changed.favourite) == ("New name", ("b", "a b"), True)
    library.database.rows("DELETE FROM pieces")
    assert library.rebuild() == 1
    assert library.get(record.id) == changed
    assert library.change(record.id, title="   ").title == "New name"
    with pytest.raises(UsageError, match="at most 20 tags"):
        library.change(record.id, tags=[str(n) for n in range(21)])


def test_of_two_changes_at_a_time_none_is_lost(library, piece, monkeypatch):
    id = library.add(piece, verb="compose").id
    other, recipe = threading.Thread(target=library.delete, args=(id,)), library._recipe

    def meanwhile(id):
        monkeypatch.undo()
        other.start()
        other.join(0.2)
        return recipe(id)

    monkeypatch.setattr(library, "_recipe", meanwhile)
    library.change(id, title="Evening")
    other.join()
    assert (library.get(id).title, library.get(id).deleted is not None) == ("Evening", True)
    assert json.loads(library.folder.recipe(id).read_bytes())["studio"] == library.get(id).as_dict()


def test_a_deleted_piece_is_in_the_trash_for_a_week(library, piece):
    record = library.add(piece, verb="compose")
    assert library.delete(record.id).deleted is not None
    assert library.search()[1] == 0
    assert library.search(deleted=True)[1] == 1
    assert library.restore(record.id).deleted is None
    assert library.search()[1] == 1
    deleted = library.delete(record.id).deleted
    assert library.delete(record.id).deleted == deleted
    assert library.purge(deleted + TRASH_S - 1) == 0
    assert library.purge(deleted + TRASH_S + 1) == 1
    assert not library.folder.piece(record.id).exists()
    with pytest.raises(NotFound):
        library.get(record.id)


@pytest.mark.parametrize("verb", ["get", "midi", "recipe", "delete", "restore", "change", "upload", "keep"])
def test_what_is_not_there_is_not_found(library, verb):
    for id in ("abcdefghijkl", "../../etc", "\ud800", ""):
        with pytest.raises(NotFound):
            getattr(library, verb)(id)


def test_the_library_is_made_again_from_the_disk(studio, piece):
    library = studio.library
    kept = [library.add(piece, verb="compose", title=f"P{n}", tags=["t"]) for n in range(3)]
    library.delete(kept[0].id)
    lost = library.folder.recipe(kept[1].id)
    lost.write_text("{ no json")
    (library.folder.pieces / "stranger").mkdir()
    (library.folder.piece(new_id())).mkdir()
    half = library.folder.piece(new_id())
    half.mkdir()
    (half / "piece.mid").write_bytes(b"no music")
    studio.database.close()
    studio.database.path.write_bytes(b"damaged" * 1000)
    again = open_studio(studio.folder.path, repair=True).library
    assert again.get(kept[0].id).deleted is not None
    assert again.get(kept[2].id) == kept[2]
    assert again.get(kept[1].id).n_notes == kept[1].n_notes
    assert again.search(tags=["t"])[1] == 1
    assert again.rebuild() == 0


def test_nothing_is_left_of_a_piece_that_could_not_be_kept(library, piece, monkeypatch):
    def full(path, data):
        raise StorageError("cannot write {path}: {why}", path=path, why="No space left on device")

    monkeypatch.setattr(libraries, "_insert", lambda connection, record: full("x", b""))
    with pytest.raises(StorageError):
        library.add(piece, verb="compose")
    assert list(library.folder.pieces.iterdir()) == []


def test_a_piece_that_is_added_twice_is_there_once(library, piece):
    id = new_id()
    library.add(piece, verb="compose", id=id)
    library.add(piece, verb="compose", id=id)
    assert library.search()[1] == 1
    assert library.midi(id) == piece.to_midi()


def test_a_piece_whose_job_begins_again_stays_as_the_user_left_it(library, piece):
    id = library.add(piece, verb="compose").id
    library.change(id, title="Mine", tags=["kept"], favourite=True)
    left = library.delete(id)
    assert library.add(piece, verb="compose", id=id) == left == library.get(id)


def test_an_upload_is_read_kept_as_a_piece_and_dropped(library, piece):
    upload = library.put_upload(piece.to_midi(), "<b>song</b>.mid")
    assert library.upload(upload.id) == piece.to_midi()
    assert library.upload_record(upload.id) == upload
    record = library.keep(upload.id)
    assert (record.title, record.source, record.model, record.seed) == ("<b>song</b>.mid", "uploaded", "", None)
    assert library.recipe(record.id) == {}
    library.drop_upload(upload.id)
    library.drop_upload(upload.id)
    with pytest.raises(NotFound):
        library.upload(upload.id)
    assert not library.folder.upload(upload.id).exists()
    assert library.midi(record.id) == piece.to_midi()


def test_an_upload_that_cannot_be_dropped_is_still_whole(library, piece, monkeypatch):
    upload = library.put_upload(piece.to_midi())

    def locked():
        raise DatabaseBusy("the studio's database is busy")

    monkeypatch.setattr(library.database, "writing", locked)
    with pytest.raises(DatabaseBusy):
        library.drop_upload(upload.id)
    assert library.upload(upload.id) == piece.to_midi()


def test_an_upload_goes_after_a_day(library, piece):
    upload = library.put_upload(piece.to_midi(), "a.mid")
    assert upload.expires == upload.created + UPLOAD_S
    assert library.purge(upload.expires - 1) == 0
    assert library.purge(upload.expires + 1) == 1
    assert list(library.folder.uploads.iterdir()) == []


def test_an_upload_that_is_no_music_cannot_be_kept_nor_one_that_is_too_large(library):
    upload = library.put_upload(b"no music", "a.mid")
    with pytest.raises(MidiError):
        library.keep(upload.id)
    library.database.rows("UPDATE uploads SET n_bytes = ?", (1 << 30,))
    with pytest.raises(StorageError, match="too many files"):
        library.put_upload(b"x", "c.mid")
    with pytest.raises(UnreadableInput, match="bytes, more than"):
        library.put_upload(b"x" * (8 * 1024 * 1024 + 1), "b.mid")


def test_uploads_whose_jobs_have_ended_are_dropped_and_others_stay(studio, piece):
    used, waiting, unused = (studio.library.put_upload(piece.to_midi(), name) for name in "abc")
    done = studio.jobs.put("extend", {"source": {"upload": used.id}})
    both = studio.jobs.put("compose", {"options": {"seed_music": {"upload": waiting.id}}, "source": {"upload": used.id}})
    studio.jobs.claim("w")
    studio.jobs.finish(done.id, "w", {})
    studio.drop_used_uploads()
    for upload in (used, waiting, unused):
        studio.library.upload(upload.id)
    studio.jobs.cancel(both.id)
    studio.drop_used_uploads()
    for upload in (used, waiting):
        with pytest.raises(NotFound):
            studio.library.upload(upload.id)
    studio.library.upload(unused.id)


def test_sounds_go_an_hour_after_their_job(studio):
    job = studio.jobs.put("compose", {})
    studio.jobs.claim("w")
    path = studio.folder.sound(job.id, 0, 1, -1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    studio.jobs.finish(job.id, "w", {})
    studio.purge(time.time() + 3500)
    assert path.exists()
    studio.purge(time.time() + 3700)
    assert not path.exists()


def test_what_was_left_half_done_is_swept_up_after_an_hour_and_nothing_else(studio, piece):
    library, folder = studio.library, studio.folder
    record, upload = library.add(piece, verb="compose"), library.put_upload(piece.to_midi(), "a.mid")
    job = studio.jobs.put("compose", {})
    folder.job(job.id).mkdir()
    half = [
        folder.piece(record.id) / ".kapelle-x.part",
        folder.uploads / ".kapelle-y.part",
        folder.upload(new_id()),
        folder.job(new_id()) / "sound",
    ]
    for path in half:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    studio.purge()
    assert all(path.exists() for path in half)
    studio.purge(time.time() + 3700)
    assert not any(path.exists() for path in half)
    assert library.midi(record.id) == library.upload(upload.id) == piece.to_midi()
    assert folder.job(job.id).exists()


def test_a_report_goes_with_its_job(studio):
    job = studio.jobs.put("evaluate", {})
    studio.jobs.claim("w")
    studio.jobs.finish(job.id, "w", {})
    studio.folder.report(job.id).write_text("x")
    studio.purge(time.time() + 24 * 3600)
    assert studio.folder.report(job.id).exists()
    studio.purge(time.time() + 31 * 24 * 3600)
    assert not studio.folder.report(job.id).exists()


def test_a_piece_whose_file_is_gone_says_so(library, piece):
    record = library.add(piece, verb="compose")
    shutil.rmtree(library.folder.piece(record.id))
    with pytest.raises(StorageError, match="cannot read"):
        library.midi(record.id)
    assert library.change(record.id, favourite=True).favourite is True


def test_a_piece_that_is_half_deleted_is_not_found_again(library, piece, monkeypatch):
    record = library.add(piece, verb="compose")
    monkeypatch.setattr(libraries.shutil, "rmtree", lambda *args, **more: None)  # as if the power were cut
    library.destroy(record.id)
    assert library.folder.recipe(record.id).is_file()
    assert library.rebuild() == 0
