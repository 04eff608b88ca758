"""The library in a real browser: finding, keys, undo, editing, varying, making again, taking away; and titles that try to be markup."""

import io
import json
import shlex
import subprocess
import sys
import zipfile

import pytest
from test_downloads import HOSTILE

from kapelle.api import downloads, naming
from kapelle.score import write
from kapelle.web.studio import open_studio as studio_of
from pages import IDLE, open_studio, until
from pieces import score, track
from studios import start_studio

NASTY = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"
ROW = "#library [role=row]"
MANY = 150


def tune(number=0):
    return write.to_bytes(score(track((0, 480, 60 + number % 12, 80), (480, 480, 67, 80))))


@pytest.fixture(scope="module")
def full(studio):
    """The studio with many pieces in it, put there as files."""
    library = studio_of(studio.folder).library
    for number in range(MANY):
        library.keep(library.put_upload(tune(number), f"Tune {number:03}").id)
    return studio


@pytest.fixture(scope="module")
def piece(studio):
    """A short piece with settings of its own."""
    return studio.compose(
        model="genre-small", length={"amount": 2, "unit": "bars"}, seed=5, title=NASTY, tags=["<i>tag</i>", "jazz"],
        options={"genre": "jazz", "tempo": 96}, sampling={"temperature": 0.9},
    )  # fmt: skip


def titles(page):
    return page.locator(f"{ROW} .title").all_inner_texts()


def row(page, title):
    return page.locator(ROW, has=page.locator(".title", has_text=title)).first


def test_pieces_are_found_as_one_types_and_fetched_as_one_scrolls(page, full):
    open_studio(page)
    until(page, f"document.querySelectorAll('{ROW}').length >= 60")
    assert page.locator(ROW).count() < MANY
    newest = titles(page)[0]
    assert newest == f"Tune {MANY - 1:03}"
    until(page, f"document.querySelector('{ROW} canvas').dataset.drawn === '2'")
    until(page, f"(document.querySelector('#library').scrollTop += 2000, document.querySelectorAll('{ROW}').length >= {MANY})")
    page.fill("#library input[type=search]", "tune 014")
    until(page, f"document.querySelectorAll('{ROW}').length === 1")
    assert titles(page) == ["Tune 014"]
    page.fill("#library input[type=search]", "nothing like it")
    until(page, "document.querySelector('#library .empty').checkVisibility()")
    page.click("#library .empty button")
    until(page, f"document.querySelectorAll('{ROW}').length === 60")


def test_markup_in_titles_and_tags_stays_text(page, piece):
    open_studio(page)
    mine = row(page, "<b>bold</b>")
    mine.click()
    until(page, f"kapelle.session.current.record?.id === '{piece['id']}'")
    assert mine.locator(".title").inner_text() == NASTY
    assert mine.locator(".tag").all_inner_texts() == ["<i>tag</i>", "jazz"]
    for tab in ("details", "judge", "candidates"):
        page.click(f"#tab-{tab}")
    page.click(f"{ROW}[data-piece='{piece['id']}'] .more")
    page.keyboard.press("Escape")
    assert page.locator("#studio img, #studio b b, #library i, #library b, .menu b").count() == 0
    assert page.title() == "Kapelle"


def test_the_list_is_worked_by_keys_and_a_deletion_is_undone(page, full, piece):
    open_studio(page)
    until(page, f"document.querySelectorAll('{ROW}').length >= 60")
    page.focus("#library input[type=search]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    first = page.evaluate("document.activeElement.dataset.piece")
    assert page.evaluate("[...document.querySelectorAll('#library [role=row]')].indexOf(document.activeElement)") == 2
    page.keyboard.press("Enter")
    until(page, f"kapelle.session.current.record?.id === '{first}'")
    page.keyboard.press("F2")
    page.keyboard.type("Второй & <лучший>")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.querySelector('.title')?.textContent === 'Второй & <лучший>'")
    assert full.get(f"/api/pieces/{first}").json()["title"] == "Второй & <лучший>"
    page.keyboard.press("f")
    until(page, "document.activeElement.querySelector('.star')?.getAttribute('aria-pressed') === 'true'")
    before = int(page.locator("#library .library-head .count").inner_text())
    page.keyboard.press("Delete")
    until(page, f"document.querySelector('#library .library-head .count').textContent === '{before - 1}'")
    assert full.get(f"/api/pieces/{first}").json()["deleted"]
    assert page.evaluate("document.activeElement.matches('[role=row]') && document.activeElement.dataset.piece") != first
    page.keyboard.press("Control+z")
    until(page, f"document.querySelector('#library .library-head .count').textContent === '{before}'")
    until(page, f"document.querySelector('#library [data-piece=\"{first}\"]') !== null")
    until(page, f"kapelle.session.current.record?.id === '{first}'")
    assert full.get(f"/api/pieces/{first}").json()["deleted"] is None


def test_several_pieces_are_deleted_at_once_and_wait_in_the_trash(page, full):
    open_studio(page)
    until(page, f"document.querySelectorAll('{ROW}').length >= 60")
    page.fill("#library input[type=search]", "tune 02")  # 002, 020 to 029, 102
    until(page, f"document.querySelectorAll('{ROW}').length === 12")
    page.locator(ROW).nth(0).click(modifiers=["Control"])
    page.locator(ROW).nth(3).click(modifiers=["Shift"])
    assert page.locator(".selection .count").inner_text() == "4 selected"
    page.click(".selection [data-act=delete]")
    until(page, f"document.querySelectorAll('{ROW}').length === 8")
    page.click("#library .library-head button >> nth=1")
    until(page, "[...document.querySelectorAll('#library .restore')].filter((one) => one.checkVisibility()).length === 4")
    page.locator(f"{ROW} .restore").first.click()
    until(page, f"document.querySelectorAll('{ROW}').length === 3")
    page.locator(ROW).nth(0).click(modifiers=["Control"])
    page.keyboard.press("Control+a")
    page.click(".selection [data-act=restore]")
    until(page, "document.querySelector('#library .empty').checkVisibility()")
    page.click("#library .library-head button >> nth=1")
    until(page, f"document.querySelectorAll('{ROW}').length === 12")


def test_tags_are_edited_in_place_and_found_by(page, full):
    open_studio(page)
    page.fill("#library input[type=search]", "tune 031")
    until(page, f"document.querySelectorAll('{ROW}').length === 1")
    page.click(f"{ROW} .more")
    page.click(".menu [role=menuitem]:has-text('Tags')")
    page.keyboard.type("slow, <u>rain</u>, slow")
    page.keyboard.press("Enter")
    until(page, f"document.querySelectorAll('{ROW} .tag').length === 2")
    assert page.locator(f"{ROW} .tag").all_inner_texts() == ["slow", "<u>rain</u>"]
    page.fill("#library input[type=search]", "")
    until(page, f"document.querySelectorAll('{ROW}').length === 60")
    assert full.get("/api/pieces", params={"tag": "slow"}).json()["total"] == 1


def test_varying_keeps_all_but_the_seed_and_making_again_gives_the_same_bytes(page, studio, piece):
    open_studio(page)
    before = studio.get(f"/api/pieces/{piece['id']}/file/mid").content
    page.evaluate("(id) => kapelle.session.open(id)", piece["id"])
    page.click(f"{ROW}[data-piece='{piece['id']}'] .more")
    page.click(".menu [role=menuitem]:has-text('Make again')")
    until(page, "[...document.querySelectorAll('.toast')].some((one) => one.textContent.includes('the same bytes'))", 60)
    until(page, IDLE)
    page.focus(f"{ROW}[data-piece='{piece['id']}']")
    page.keyboard.press("v")
    until(page, f"kapelle.session.current.record?.parent === '{piece['id']}'", 60)
    made = page.evaluate("kapelle.session.current.record")
    assert made["seed"] != piece["seed"]
    assert made["request"]["options"] == piece["request"]["options"]
    assert studio.get(f"/api/pieces/{piece['id']}/file/mid").content == before
    assert studio.get(f"/api/pieces/{made['id']}/file/mid").content != before
    link = f"document.querySelector('#library [data-piece=\"{made['id']}\"] .lineage .link')"
    until(page, f"{link}?.textContent === 'varied from ' + {json.dumps(NASTY)}")
    page.click("#tab-details")
    until(page, "document.querySelectorAll('#details .lineage-list li').length === 2")


def test_the_command_line_of_a_piece_makes_the_same_bytes(page, studio, piece, tmp_path):
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece["id"])
    page.click("#tab-details")
    until(page, "document.querySelectorAll('#details .copyable code').length === 2")
    wanted = studio.get(f"/api/pieces/{piece['id']}/file/mid").content
    direct, recipe = (shlex.split(words) for words in page.locator("#details .copyable code").all_inner_texts())
    assert [*direct[:4], *recipe[:3]] == ["kapelle", "compose", "--model", "genre-small", "kapelle", "compose", "--from"]
    (tmp_path / recipe[3]).write_bytes(studio.get(f"/api/pieces/{piece['id']}/file/recipe.json").content)
    for words in (direct, [*recipe, "--force"]):
        subprocess.run([sys.executable, "-m", "kapelle", *words[1:]], cwd=tmp_path, check=True, capture_output=True, timeout=60)
        assert (tmp_path / words[words.index("-o") + 1]).read_bytes() == wanted


MAGIC = {
    "mid": b"MThd", "wav": b"RIFF", "flac": b"fLaC", "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xfa"), "ogg": b"OggS",
    "opus": b"OggS", "pdf": b"%PDF", "musicxml": b"<?xml", "mxl": b"PK", "svg": b"<svg", "png": b"\x89PNG", "stems.zip": b"PK",
    "score.zip": b"PK", "recipe.json": b"{",
}  # fmt: skip


def test_every_format_is_saved_from_the_menu_under_the_title(page, studio, piece):
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece["id"])
    for name, form in downloads.FORMATS.items():
        page.click("#download")
        with page.expect_download(timeout=60_000) as saved:
            page.locator(f".menu a[href$='/file/{name}']").click()
        assert saved.value.suggested_filename == naming.file_name(NASTY, form.suffix)
        data = saved.value.path().read_bytes()
        assert data.startswith(MAGIC[name]), name
        if name.endswith("zip"):
            assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


DRAG = """(selector) => {
  const data = new DataTransfer();
  document.querySelector(selector).dispatchEvent(new DragEvent("dragstart", {bubbles: true, cancelable: true, dataTransfer: data}));
  return {download: data.getData("DownloadURL"), list: data.getData("text/uri-list")};
}"""


@pytest.mark.parametrize("place", [".drag-handle", "#library [role=row]"])
def test_a_piece_is_dragged_out_as_a_midi_file(page, studio, piece, place):
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece["id"])
    until(page, "document.querySelector('.drag-handle').checkVisibility()")
    shown = piece if place == ".drag-handle" else studio.get(f"/api/pieces/{page.locator(ROW).first.get_attribute('data-piece')}").json()
    dragged = page.evaluate(DRAG, place)
    kind, name, url = dragged["download"].split(":", 2)
    assert (kind, name, dragged["list"]) == ("audio/midi", naming.file_name(shown["title"], ".mid"), url)
    assert url == f"{studio.url}/api/pieces/{shown['id']}/file/mid"
    assert page.context.request.get(url).body() == studio.get(f"/api/pieces/{shown['id']}/file/mid").content


def test_a_browser_that_cannot_drag_out_is_offered_the_button(browser, studio, piece):
    context = browser.new_context(base_url=studio.url, locale="en-US")
    context.add_init_script("delete window.chrome; Object.defineProperty(navigator, 'userAgentData', {value: undefined});")
    page = context.new_page()
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece["id"])
    until(page, "document.querySelector('.drag-handle').checkVisibility()")
    page.evaluate(DRAG, ".drag-handle")
    until(page, "document.querySelector('#toasts').textContent.includes('cannot drag files out')")
    assert "press to save" in page.locator(".drag-handle").get_attribute("aria-label")
    with page.expect_download() as saved:
        page.click(".drag-handle")
    assert saved.value.path().read_bytes()[:4] == b"MThd"
    context.close()


def test_a_library_begins_empty_and_with_a_token_what_is_dragged_out_is_fetched_by_the_cookie(browser, tmp_path):
    studio = start_studio(tmp_path, "--processes", "1", "--token", "a-long-enough-token")
    try:
        context = browser.new_context(base_url=studio.url, locale="ru-RU")
        page = context.new_page()
        open_studio(page, "/?token=a-long-enough-token")
        until(page, "document.querySelector('#library .empty').checkVisibility()")
        assert "Пьес пока нет" in page.locator("#library .empty").inner_text()
        library = studio_of(studio.folder).library
        library.keep(library.put_upload(tune(), "Tune").id)
        page.evaluate("kapelle.session.libraryChanged()")
        until(page, f"document.querySelectorAll('{ROW}').length === 1")
        url = page.evaluate(DRAG, ROW)["download"].split(":", 2)[2]
        assert "token" not in url
        assert context.request.get(url).body() == tune()
        assert browser.new_context().request.get(url).status == 401
        context.close()
    finally:
        studio.stop()


def test_the_page_names_files_as_the_server_does(page):
    open_studio(page)
    names = [title for title in HOSTILE if "\ud800" not in title] + [
        "a\u2028b",
        "\u202eabc",
        "e\u0301",
        "\ue000x",
        "\ufeffbom",
        "com¹",
        "家" * 90,
    ]
    made = page.evaluate("async (names) => { const m = await import('/static/js/downloads.js'); return names.map(m.fileStem); }", names)
    assert dict(zip(names, made, strict=True)) == {name: naming.file_stem(name) for name in names}
