"""What can be asked over HTTP, and what is answered: every route, when all is well and when it is not."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
import zipfile
from pathlib import Path

import httpx
import pytest
from symusic import Score

import scores
from kapelle.composing.request import MAX_SEED
from kapelle.score import write
from kapelle.score.read import read
from kapelle.web import database as databases
from kapelle.web import looks
from studios import events_in

UNKNOWN = "aaaaaaaaaaaa"
BARS = {"amount": 2, "unit": "bars"}


@pytest.fixture(scope="module")
def tune():
    """A MIDI file."""
    return write.to_bytes(scores.band())


@pytest.fixture(scope="module")
def piece(studio):
    """A piece that was composed."""
    return studio.compose(length=BARS, seed=7, title="Night / train <b>", tags=["late"])


@pytest.fixture
def upload(client, tune):
    answer = client.post("/api/uploads", params={"name": "my tune.mid"}, content=tune)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def kept(client, upload):
    answer = client.post("/api/pieces", json={"upload": upload["id"], "title": "Kept", "tags": ["mine"]})
    assert answer.status_code == 201, answer.text
    return answer.json()


def refusal(answer, status):
    """The error of an answer."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"kind", "message", "hint", "code"} and error["message"]
    assert "Traceback" not in answer.text and not re.search(r"/(tmp|home|root|usr|work)/", answer.text)
    return error


def test_while_another_program_locks_the_library_who_changes_it_is_told_to_come_again(client, kept, upload, stopped, monkeypatch):
    database = client.app.state.served.studio.database
    connect = databases._connect

    def impatient(path):
        made = connect(path)
        made.execute("PRAGMA busy_timeout = 0")
        return made

    monkeypatch.setattr(databases, "_connect", impatient)
    monkeypatch.setattr(database, "_local", threading.local())  # every thread asks anew
    told = client.get("/api/openapi.json").json()["paths"]
    with contextlib.closing(connect(database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        for method, path, id, body in (
            ("PATCH", "/api/pieces/{id}", kept["id"], {"title": "x"}),
            ("DELETE", "/api/pieces/{id}", kept["id"], None),
            ("POST", "/api/pieces/{id}/restore", kept["id"], None),
            ("POST", "/api/pieces/{id}/again", kept["id"], None),
            ("POST", "/api/pieces", "", {"upload": upload["id"]}),
            ("DELETE", "/api/uploads/{id}", upload["id"], None),
            ("DELETE", "/api/jobs/{id}", stopped["id"], None),
        ):
            answer = client.request(method, path.replace("{id}", id), **({"json": body} if body else {}))
            assert refusal(answer, 503)["kind"] == "DatabaseBusy" and int(answer.headers["Retry-After"]) > 0
            assert {"503", "507"} <= set(told[path][method.lower()]["responses"])
        assert client.get(f"/api/pieces/{kept['id']}").json() == kept
    assert client.delete(f"/api/uploads/{upload['id']}").status_code == 204


# --- about ------------------------------------------------------------------------------------------------------------------------


def test_the_page_and_its_files_come_with_their_types_and_tags(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8" and '<script type="module"' in page.text
    script = client.get("/static/js/api.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = client.get("/static/js/api.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert client.get("/static/strings.en.json").headers["content-type"].startswith("application/json")
    assert client.get("/favicon.ico").headers["content-type"].startswith("image/svg+xml")
    assert client.head("/").status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/js", "/static/none.js", "/none"]
)
def test_nothing_but_the_page_s_files_is_served(client, path):
    refusal(client.get(path), 404)


def test_about_tells_versions_formats_and_limits(client):
    about = client.get("/api/about").json()
    assert about["chunk_s"] == 2.0 and about["languages"] == ["en", "ru"] and about["token"] is False and about["studies"] == []
    assert {"mid", "wav", "pdf", "stems.zip"} <= {one["name"] for one in about["formats"]}
    assert about["limits"]["upload_bytes"] == 8 * 2**20
    assert client.get("/health").json() == {"ok": True}


def test_models_tell_what_can_be_asked_of_them(client):
    models = client.get("/api/models").json()
    names = [model["name"] for model in models]
    assert "bridge" in names and len(set(names)) == len(names)
    for model in models:
        assert model["verbs"] and model["options"]["type"] == "object" and {"en", "ru"} <= set(model["about"])
    one = client.get(f"/api/models/{names[0]}").json()
    assert one["name"] == names[0] and "<h2>" in one["card_html"] and "<script" not in one["card_html"]
    assert "klingon" in refusal(client.get("/api/models/klingon"), 404)["message"]
    refusal(client.get("/api/models/..%2f..%2fetc"), 404)


# --- composing --------------------------------------------------------------------------------------------------------------------


def test_a_wish_becomes_a_job_at_a_place(client):
    answer = client.post("/api/compose", json={"length": BARS, "seed": 7, "options": {"tempo": 96}})
    job = answer.json()
    assert answer.status_code == 202 and answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert (job["verb"], job["state"], job["pieces"], job["error"]) == ("compose", "queued", [], None)
    assert client.get(answer.headers["location"]).json()["id"] == job["id"]
    stopped = client.delete(answer.headers["location"]).json()
    assert stopped["state"] == "cancelled"
    assert client.delete(answer.headers["location"]).json()["state"] == "cancelled"


def test_a_wish_may_be_empty(client):
    assert client.post("/api/compose", json={}).status_code == 202


def test_the_same_key_is_the_same_job(client):
    first, again = (client.post("/api/compose", json={"seed": 5}, headers={"Idempotency-Key": "a-5"}).json() for _ in range(2))
    assert first["id"] == again["id"]
    refusal(client.post("/api/compose", json={"seed": 6}, headers={"Idempotency-Key": "a-5"}), 422)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"model": "klingon"}, "klingon"),
        ({"model": "../../etc/passwd"}, "model"),
        ({"model": "/etc"}, "model"),
        ({"modell": "genre"}, "modell"),
        ({"length": {"amount": 1000, "unit": "bars"}}, "1000"),
        ({"length": {"amount": 0}}, "length.amount"),
        ({"length": {"amount": 4, "unit": "miles"}}, "unit"),
        ({"length": {"amount": "4"}}, "amount"),
        ({"seed": -1}, "seed"),
        ({"seed": MAX_SEED}, "seed"),
        ({"seed": 1.5}, "whole number"),
        ({"seed": "7"}, "whole number"),
        ({"count": 0}, "count"),
        ({"count": 100_000}, "count"),
        ({"options": {"colour": "red"}}, "colour"),
        ({"options": {"tempo": 9000}}, "tempo"),
        ({"options": {"genre": "klezmer"}}, "klezmer"),
        ({"options": []}, "table"),
        ({"options": {"tempo": {"a": {"b": {"c": {"d": {"e": 1}}}}}}}, "options"),
        ({"sampling": {"temperature": -1}}, "temperature"),
        ({"sampling": {"heat": 1}}, "heat"),
        ({"best": 9, "of": 3}, "9"),
        ({"best": 2, "count": 5}, "5"),
        ({"best": 1, "by": "taste"}, "taste"),
        ({"band": "../x"}, "band"),
        ({"title": "x" * 300}, "title"),
        ({"tags": ["x" * 60]}, "tags"),
        ([], "JSON"),
        ("jazz", "JSON"),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, str) else None,
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_its_name(client, body, named):
    error = refusal(client.post("/api/compose", json=body), 422)
    assert named in error["message"] + error["hint"]
    assert error["code"] == 2


def test_errors_are_told_in_the_language_of_who_asks(client):
    wish = {"length": {"amount": 1000, "unit": "bars"}}
    english = refusal(client.post("/api/compose", json=wish), 422)["message"]
    for way in ({"headers": {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}}, {"params": {"lang": "ru"}}):
        assert "1000" in (russian := client.post("/api/compose", json=wish, **way).json()["error"]["message"]) and russian != english
        assert any("а" <= letter <= "я" for letter in russian)
    assert (
        client.post("/api/compose", json=wish, headers={"Accept-Language": "de, en;q=0.5, ru;q=0.1"}).json()["error"]["message"] == english
    )


def test_a_model_that_cannot_do_it_names_those_that_can(client, upload):
    error = refusal(client.post("/api/extend", json={"model": "band-hybrid", "source": {"upload": upload["id"]}}), 422)
    assert error["kind"] == "CannotObey" and "band-hybrid" in error["message"] and error["hint"]


def test_music_is_brought_by_id_alone(client, upload):
    wish = {"source": {"upload": upload["id"]}, "length": BARS}
    assert client.post("/api/extend", json=wish).status_code == 202
    refusal(client.post("/api/extend", json={"length": BARS}), 422)
    refusal(client.post("/api/extend", json={"source": {}}), 422)
    refusal(client.post("/api/extend", json={"source": {"upload": UNKNOWN}}), 404)
    refusal(client.post("/api/accompany", json={"source": {"piece": UNKNOWN}}), 404)
    refusal(client.post("/api/extend", json={"source": {"upload": "../../etc/passwd"}}), 422)
    assert client.post("/api/develop", json={"source": {"upload": upload["id"]}}).status_code == 202
    assert client.post("/api/accompany", json={"source": {"upload": upload["id"]}}).status_code == 202


def test_other_verbs_become_jobs_too(client, kept):
    id = kept["id"]
    for path, body in (
        ("/api/bridge", {"seed": 1}),
        ("/api/interpolate", {"towards": 8, "seed": 7, "count": 3}),
        ("/api/rank", {"pieces": [id]}),
        ("/api/evaluate", {"made": [id], "reference": [id]}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 202, (path, answer.text)
        assert answer.json()["verb"] == {"bridge": "compose"}.get(path.removeprefix("/api/"), path.removeprefix("/api/"))
    refusal(client.post("/api/rank", json={"pieces": [UNKNOWN]}), 404)
    refusal(client.post("/api/rank", json={"pieces": []}), 422)
    refusal(client.post("/api/rank", json={"pieces": [id], "weights": {"taste": 1.0}}), 422)
    refusal(client.post("/api/evaluate", json={"made": [id], "reference": [UNKNOWN]}), 404)
    refusal(client.post(f"/api/pieces/{UNKNOWN}/again"), 404)
    refusal(client.post(f"/api/pieces/{UNKNOWN}/vary", json={}), 404)


# --- jobs -------------------------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_by_state(client):
    client.post("/api/compose", json={})
    listed = client.get("/api/jobs", params={"state": "queued,running"}).json()
    assert listed and {job["state"] for job in listed} == {"queued"}
    assert client.get("/api/jobs", params={"state": "done"}).json() == []
    assert "done" in refusal(client.get("/api/jobs", params={"state": "lost"}), 422)["hint"]
    refusal(client.get(f"/api/jobs/{UNKNOWN}"), 404)
    refusal(client.get("/api/jobs/x"), 422)
    refusal(client.get(f"/api/jobs/{UNKNOWN}/events"), 404)
    refusal(client.get(f"/api/jobs/{UNKNOWN}/sound/0/0/0.flac"), 404)
    refusal(client.delete(f"/api/jobs/{UNKNOWN}"), 404)


def test_notes_come_before_the_job_is_done_and_a_lost_line_loses_nothing(studio):
    job = studio.post("/api/compose", {"length": BARS, "seed": 11}).json()
    all_of_it = list(studio.events(job))
    names = [name for _, name, _ in all_of_it]
    numbers = [number for number, _, _ in all_of_it]
    assert numbers == sorted(set(numbers)) and names[-1] == "done"
    assert {"state", "notes", "bar", "progress", "piece", "sound"} <= set(names)
    assert names.index("notes") < names.index("piece") < names.index("done")
    notes = [note for _, name, data in all_of_it if name == "notes" for note in data["notes"]]
    made = read(studio.get(f"/api/pieces/{all_of_it[-1][2]['pieces'][0]}/file/mid").content)
    assert len(notes) == sum(len(track.notes) for track in made.tracks)

    middle = numbers[len(numbers) // 2]
    rest = all_of_it[len(numbers) // 2 + 1 :]
    assert list(studio.events(job, after=middle)) == rest
    with httpx.stream("GET", f"{studio.url}/api/jobs/{job['id']}/events", headers={"Last-Event-ID": str(middle)}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert list(events_in(answer.iter_lines())) == rest
    _, _, sound = next(event for event in all_of_it if event[1] == "sound")
    answer = studio.get(f"/api/jobs/{job['id']}/sound/0/{sound['chunk']}/{sound['programs'][0]}.flac")
    assert answer.headers["content-type"] == "audio/flac" and answer.content[:4] == b"fLaC"


@pytest.fixture
def stopped(client, kept):
    """A job that was stopped before it began."""
    job = client.post(f"/api/pieces/{kept['id']}/again").json()
    return client.delete(f"/api/jobs/{job['id']}").json()


def test_a_last_event_that_is_no_number_is_passed_over(studio):
    job = studio.post("/api/compose", {"length": BARS, "seed": 12}).json()
    studio.delete(f"/api/jobs/{job['id']}")
    studio.wait(job)
    for last in (b"\xb2", b"\xff", b"-1", b"1e3", b"", b"9" * 19):  # the first is a digit, and no number
        answer = studio.get(f"/api/jobs/{job['id']}/events", headers={"Last-Event-ID": last})
        names = [name for _, name, _ in events_in(answer.iter_lines())]
        assert (names[0], names[-1] in ("done", "cancelled")) == ("state", True)


def test_the_sound_of_a_job_comes_whole_whatever_part_is_asked_for_and_is_told_to_be_gone(client, stopped, monkeypatch):
    path = client.app.state.served.studio.folder.sound(stopped["id"], 0, 0, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"fLaC")
    where = f"/api/jobs/{stopped['id']}/sound/0/0/0.flac"
    for part in ("bytes=a-b", "bytes=9-", "items=1", "bytes=-2"):
        answer = client.get(where, headers={"Range": part})
        assert (answer.status_code, answer.content) == (200, b"fLaC")
    path.unlink()
    monkeypatch.setattr(Path, "is_file", lambda self: True)  # as it was a moment ago
    refusal(client.get(where), 404)


def test_a_job_that_fails_tells_why_in_the_language_of_who_asks(studio, tune):
    upload = studio.upload(tune)
    body = {"model": "chopin", "options": {"prompt": {"upload": upload["id"]}}}
    answer = studio.post("/api/compose", body)
    if answer.status_code != 202:
        pytest.skip("the model takes no file")
    job = studio.wait(answer.json())
    assert job["state"] in ("done", "failed")
    if job["state"] == "failed":
        assert set(job["error"]) == {"kind", "message", "hint", "code"}


# --- uploads ----------------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_brought_is_looked_at(client, upload, tune):
    assert upload["name"] == "my tune.mid" and upload["expires"] > 0
    assert upload["info"]["n_notes"] == sum(len(track.notes) for track in read(tune).tracks)
    assert {"n_bars", "duration_s", "key", "tempo", "metre", "tracks"} <= set(upload["info"])
    notes = client.get(f"/api/uploads/{upload['id']}/notes").json()
    assert sum(len(track["notes"]) for track in notes["tracks"]) == upload["info"]["n_notes"]
    assert client.delete(f"/api/uploads/{upload['id']}").status_code == 204
    refusal(client.get(f"/api/uploads/{upload['id']}/notes"), 404)
    refusal(client.delete(f"/api/uploads/{upload['id']}"), 404)


@pytest.mark.parametrize("data", [b"", b"GIF89a...", b"MThd", b"%PDF-1.7", b"\xff" * 5000, write.to_bytes(Score(480))], ids=range(6))
def test_what_is_no_music_is_refused(client, data):
    error = refusal(client.post("/api/uploads", content=data), 415)
    assert error["kind"] == "MidiError" and error["code"] == 3


# --- pieces -----------------------------------------------------------------------------------------------------------------------


def test_a_kept_upload_is_found_changed_deleted_and_restored(client, kept):
    id = kept["id"]
    assert (kept["title"], kept["tags"], kept["source"]) == ("Kept", ["mine"], "uploaded")
    changed = client.patch(f"/api/pieces/{id}", json={"title": "Вечер", "favourite": True}).json()
    assert (changed["title"], changed["favourite"], changed["tags"]) == ("Вечер", True, ["mine"])
    assert client.get(f"/api/pieces/{id}").json() == changed
    found = client.get("/api/pieces", params={"search": "вечер", "favourite": True, "tag": "mine"}).json()
    assert id in [record["id"] for record in found["pieces"]] and found["total"] >= 1
    assert client.delete(f"/api/pieces/{id}").json()["deleted"]
    assert id not in [record["id"] for record in client.get("/api/pieces").json()["pieces"]]
    assert id in [record["id"] for record in client.get("/api/pieces", params={"deleted": True}).json()["pieces"]]
    assert client.post(f"/api/pieces/{id}/restore").json()["deleted"] is None
    assert client.patch(f"/api/pieces/{id}", json={}).json()["title"] == "Вечер"
    refusal(client.patch(f"/api/pieces/{id}", json={"seed": 1}), 422)
    refusal(client.patch(f"/api/pieces/{UNKNOWN}", json={"title": "x"}), 404)
    refusal(client.post("/api/pieces", json={"upload": UNKNOWN}), 404)
    refusal(client.post("/api/pieces", json={}), 422)
    refusal(client.get("/api/pieces", params={"order": "; DROP TABLE pieces"}), 422)
    refusal(client.get("/api/pieces", params={"limit": 10**9}), 422)


@pytest.mark.parametrize("part", ["", "/notes", "/score", "/score/1.svg", "/sound/0/0.flac", "/file/mid", "/analysis", "/classification",
                                  "/originality", "/themes"])  # fmt: skip
def test_a_piece_that_is_not_there_is_told(client, part):
    refusal(client.get(f"/api/pieces/{UNKNOWN}{part}"), 404)
    for trick in ("..", "%2e%2e", "a/../../b", "AAAAAAAAAAAA", "aaaaaaaaaaa", "aaaaaaaaaaaaa", "aaaaaaaaaaa%00", "'; --"):
        assert client.get(f"/api/pieces/{trick}{part}").status_code in (404, 422)


def test_notes_score_and_sound_of_a_piece_fit_each_other(client, kept):
    id = kept["id"]
    notes = client.get(f"/api/pieces/{id}/notes").json()
    assert notes["chunk_s"] == 2.0 and len(notes["tracks"]) == len(kept["tracks"])
    sound = client.get(f"/api/pieces/{id}/sound/0/0.flac")
    assert sound.headers["content-type"] == "audio/flac" and sound.content[:4] == b"fLaC"
    again = client.get(f"/api/pieces/{id}/sound/0/0.flac", headers={"If-None-Match": sound.headers["etag"]})
    assert again.status_code == 304
    refusal(client.get(f"/api/pieces/{id}/sound/0/99.flac"), 422)
    score = client.get(f"/api/pieces/{id}/score").json()
    page = client.get(f"/api/pieces/{id}/score/{score['pages']}.svg")
    assert page.headers["content-type"].startswith("image/svg+xml") and b"<svg" in page.content and b"<script" not in page.content
    refusal(client.get(f"/api/pieces/{id}/score/{score['pages'] + 1}.svg"), 404)
    refusal(client.get(f"/api/pieces/{id}/score/0.svg"), 422)


@pytest.mark.parametrize(
    ("format", "start"), [("mid", b"MThd"), ("musicxml", b"<?xml"), ("png", b"\x89PNG"), ("svg", b"<"), ("flac", b"fLaC")]
)
def test_a_piece_can_be_taken_away(client, kept, format, start):
    answer = client.get(f"/api/pieces/{kept['id']}/file/{format}")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(start)
    assert answer.headers["content-disposition"].startswith("attachment;") and f".{format}" in answer.headers["content-disposition"]


def test_a_large_file_goes_by_way_of_the_disk_and_leaves_nothing_there(client, kept):
    from kapelle.web import app as application

    wav = client.get(f"/api/pieces/{kept['id']}/file/wav")
    assert len(wav.content) > looks.INLINE and wav.content[:4] == b"RIFF" and int(wav.headers["content-length"]) == len(wav.content)
    passing = client.app.state.served.passing
    assert passing.name.startswith(application.PASSING) and list(passing.iterdir()) == []


def test_what_no_file_can_be_is_refused(client, kept):
    refusal(client.get(f"/api/pieces/{kept['id']}/file/exe"), 404)
    refusal(client.get(f"/api/pieces/{kept['id']}/file/..%2f..%2fx"), 404)
    assert "recipe" in refusal(client.get(f"/api/pieces/{kept['id']}/file/recipe.json"), 422)["message"]


def test_a_composed_piece_has_a_recipe_and_stems_under_a_safe_name(studio, piece):
    recipe = studio.get(f"/api/pieces/{piece['id']}/file/recipe.json").json()
    assert recipe["request"]["seed"] == 7
    answer = studio.get(f"/api/pieces/{piece['id']}/file/stems.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None and len(archive.namelist()) >= 1
    name = answer.headers["content-disposition"]
    assert "<" not in name and "/" not in name.partition(";")[2].replace("UTF-8''", "")


def test_made_again_it_is_the_same_bytes_and_varied_it_is_another(studio, piece):
    again = studio.wait(studio.post(f"/api/pieces/{piece['id']}/again").json())
    assert again["state"] == "done" and again["result"]["same_bytes"] is True
    job = studio.wait(studio.post(f"/api/pieces/{piece['id']}/vary", {"seed": 8}).json())
    varied = studio.get(f"/api/pieces/{job['pieces'][0]}").json()
    assert (varied["seed"], varied["parent"], varied["n_bars"]) == (8, piece["id"], piece["n_bars"])
    first, second = (studio.get(f"/api/pieces/{id}/file/mid").content for id in (piece["id"], varied["id"]))
    assert first != second


# --- judging ----------------------------------------------------------------------------------------------------------------------


def test_what_can_be_found_out_about_a_piece(client, kept):
    base = f"/api/pieces/{kept['id']}"
    assert client.get(f"{base}/analysis").json()["n_bars"] == kept["n_bars"]
    verdict = client.get(f"{base}/classification").json()
    assert verdict["label"] in verdict["probabilities"] and "file" not in verdict
    assert "model" in refusal(client.get(f"{base}/originality"), 422)["message"]  # nobody knows who composed an upload
    assert "originality" in client.get(f"{base}/originality", params={"model": client.get("/api/models").json()[0]["bundle"]}).json()
    assert client.get(f"{base}/themes").status_code in (200, 422)
    refusal(client.get(f"{base}/analysis", params={"chords": "year"}), 422)
    refusal(client.get(f"{base}/classification", params={"model": "../x"}), 422)


def test_a_sound_can_be_classified(client, kept):
    sound = client.get(f"/api/pieces/{kept['id']}/file/flac").content
    verdict = client.post("/api/classify/sound", content=sound, headers={"Content-Type": "audio/flac"}).json()
    assert verdict["label"] in verdict["probabilities"]
    refusal(client.post("/api/classify/sound", content=b"RIFF", headers={"Content-Type": "audio/wav"}), 415)
    refusal(client.post("/api/classify/sound", content=sound, headers={"Content-Type": "text/plain"}), 415)
    refusal(client.post("/api/classify/sound", content=sound), 415)
