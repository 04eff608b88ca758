"""The rooms: files of a site never come from outside of it, its pages run as pages of nobody, cards of models hold no markup of others."""

import os

import httpx
import pytest

from kapelle.audio import files
from kapelle.engraving import pianoroll
from kapelle.pages import markup
from kapelle.render import render
from kapelle.score import write
from kapelle.web import rooms
from pages import open_studio, until
from pieces import score, track
from studios import start_studio, watch

POLICY = "Content-Security-Policy"


@pytest.fixture
def site(tmp_path):
    """A small site, with a secret beside it and links of every kind in it."""
    folder = tmp_path / "site"
    (folder / "cells").mkdir(parents=True)
    (folder / "index.html").write_text(markup.page("A <study>", ["<h1>Study</h1>"]), encoding="utf-8")
    (folder / "cells" / "a b.mid").write_bytes(b"MThd")
    (folder / "cells" / "index.html").write_text("<p>cells", encoding="utf-8")
    (folder / "программа.ogg").write_bytes(b"OggS")
    (folder / ".hidden.html").write_text("hidden", encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("hidden", encoding="utf-8")
    (folder / "run.exe").write_bytes(b"MZ")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "site-2").mkdir()
    (tmp_path / "site-2" / "other.txt").write_text("other", encoding="utf-8")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "in.mid").symlink_to(folder / "cells" / "a b.mid")
    (folder / "to-hidden.txt").symlink_to(folder / ".git" / "config.txt")
    (folder / "circle.html").symlink_to(folder / "circle.html")
    os.mkfifo(folder / "pipe.txt")
    return folder


@pytest.mark.parametrize(
    ("asked", "name"),
    [("", "index.html"), ("index.html", "index.html"), ("cells/", "index.html"), ("cells/a b.mid", "a b.mid"), ("in.mid", "a b.mid"),
     ("программа.ogg", "программа.ogg")],
)  # fmt: skip
def test_what_lies_in_a_site_is_shown(site, asked, name):
    found = rooms.shown(site, asked)
    assert found.path.name == name
    assert found.path.is_relative_to(site)


@pytest.mark.parametrize(
    "asked",
    ["../secret.txt", "cells/../../secret.txt", "..", "../site-2/other.txt", "/etc/passwd", "//etc/passwd", "cells//a b.mid",
     "./index.html",
     "..\\secret.txt", "cells\\a b.mid", "C:/windows/win.ini", "index.html:stream", "index.html\x00.txt", "out.txt", "up/secret.txt",
     "up/site-2/other.txt", "to-hidden.txt", ".hidden.html", ".git/config.txt", "circle.html", "pipe.txt", "cells", "run.exe", "none.html",
     "x" * 5000, "a/" * 400 + "b.txt"],
)  # fmt: skip
def test_nothing_else_is(site, asked):
    assert rooms.shown(site, asked) is None


def test_a_site_that_is_a_link_itself_is_shown(site, tmp_path):
    (tmp_path / "link").symlink_to(site)
    assert rooms.shown(tmp_path / "link", "").path.name == "index.html"


def test_a_folder_that_is_gone_shows_nothing(tmp_path):
    assert rooms.shown(tmp_path / "none", "") is None
    assert rooms.title_of(tmp_path / "none") == ""


def test_a_page_is_of_nobody_and_keeps_its_own_policy(site):
    policy = rooms.shown(site, "").headers[POLICY]
    outer, own = policy.split(", ")
    assert outer.startswith("sandbox allow-scripts allow-downloads allow-modals; default-src 'none'; ")
    assert "allow-same-origin" not in policy
    assert "allow-top-navigation" not in policy
    assert "allow-popups" not in policy
    assert "frame-ancestors 'self'" in outer
    assert own.startswith("default-src 'none'; ")
    assert "script-src 'sha256-" in own


@pytest.mark.parametrize(
    ("head", "own"),
    [
        ("", ""),
        ("<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\">", "img-src 'none'"),
        ("<META HTTP-EQUIV='content-security-policy' CONTENT=\"img-src 'none'; sandbox allow-same-origin; report-uri https://a.example\">",
         "img-src 'none'"),
        ("<meta http-equiv=Content-Security-Policy content='img-src a.example, script-src *'>", "img-src a.example  script-src *"),
        ("<meta http-equiv=Content-Security-Policy content='img-src &#10;x'>", ""),
        ("<meta http-equiv=Content-Security-Policy content='img-src осень'>", ""),
        ("<body><meta http-equiv=Content-Security-Policy content='img-src *'>", ""),
    ],
)  # fmt: skip
def test_the_policy_of_a_page_is_read_from_its_head_and_can_only_forbid(tmp_path, head, own):
    (tmp_path / "index.html").write_text(f"<html><head>{head}", encoding="utf-8")
    assert rooms.policy_of(tmp_path / "index.html") == own
    outer = rooms.shown(tmp_path, "").headers[POLICY].split(", ")[0]
    assert outer == f"{rooms.SANDBOX}; {rooms.BASE_POLICY}"


def test_what_is_no_page_is_saved_under_its_name_when_it_is_opened(site):
    headers = rooms.shown(site, "cells/a b.mid").headers
    assert headers["Content-Disposition"].startswith('attachment; filename="a b.mid"')
    assert "Content-Disposition" not in rooms.shown(site, "").headers


def test_a_drawing_with_a_script_is_sandboxed_too(tmp_path):
    (tmp_path / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    headers = rooms.shown(tmp_path, "a.svg").headers
    assert headers[POLICY].startswith("sandbox ")
    assert headers["Content-Disposition"].startswith("attachment")


def test_a_site_is_called_by_its_title(site):
    assert rooms.title_of(site) == "A <study>"


# Cards ---------------------------------------------------------------------------------------------------------------------------------


def test_a_card_is_html_with_tables_and_lower_headings():
    made = rooms.card_html("# genre\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nkapelle compose\n```\n")
    assert "<h2>genre</h2>" in made
    assert '<div class="wide"><table>' in made
    assert "<td>2</td>" in made
    assert '<pre><code class="language-sh">kapelle compose\n</code></pre>' in made


@pytest.mark.parametrize(
    "markdown",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "[a](data:text/html,<script>)", "![a](http://a.example/x.png)",
     "[a](//a.example)", "<javascript:alert(1)>", "[a](/api/jobs)", "[a]: javascript:alert(1)\n\n[a]", "[a](vbscript:x)", "[a](file:///etc/passwd)",
     "```\"><script>\nx\n```", "| <b>a</b> |\n|---|\n| <i onclick=x>b</i> |"],
)  # fmt: skip
def test_a_card_holds_no_markup_of_others(markdown):
    made = rooms.card_html(markdown)
    for sign in ("<script", "<img", "<b>", "<i ", 'href="javascript', 'href="data', 'href="/', 'href="file', 'href="vbscript'):
        assert sign not in made.lower()


def test_links_of_a_card_open_beside_the_studio():
    made = rooms.card_html("[paper](https://a.example/x)")
    assert 'href="https://a.example/x"' in made
    assert 'target="_blank"' in made
    assert 'rel="noopener noreferrer"' in made


# In a browser --------------------------------------------------------------------------------------------------------------------------

PROBE = """async () => {
  const out = {origin: self.origin, pictures: [...document.images].filter((one) => one.naturalWidth > 0).length};
  const sound = document.querySelector("audio");
  const tries = {
    played: async () => { await sound.play(); await new Promise((done) => setTimeout(done, 300)); return sound.currentTime > 0; },
    api: async () => (await fetch("/api/about")).status,
    outside: () => parent.document.title,
    cookie: () => document.cookie,
    kept: () => localStorage.length,
  };
  for (const [name, ask] of Object.entries(tries)) {
    try { out[name] = await ask(); } catch (why) { out[name] = why.name; }
  }
  return out;
}"""
SHUT = "SecurityError"
NOBODY = {"origin": "null", "pictures": 1, "played": True, "api": "TypeError", "outside": SHUT, "cookie": SHUT, "kept": SHUT}


@pytest.fixture(scope="module")
def sounding(tmp_path_factory):
    """A study with a picture, a sound and a file."""
    folder = tmp_path_factory.mktemp("sites") / "small study"
    (folder / "cells").mkdir(parents=True)
    piece = score(track((0, 960, 60, 90), name="Piano"))
    pianoroll.draw(piece, folder / "cells" / "a.png")
    files.write(folder / "cells" / "a.ogg", render(piece))
    write.write(piece, folder / "cells" / "a.mid")
    body = ['<img src="cells/a.png" alt="roll"><audio controls src="cells/a.ogg"></audio><a href="cells/a.mid" download>MIDI</a>']
    (folder / "index.html").write_text(markup.page("Small <study>", body), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["", "a-long-enough-token"], ids=["open", "token"])
def served(request, tmp_path_factory, sounding):
    """A server with the study, once with a token."""
    token = ("--token", request.param) if request.param else ()
    made = start_studio(tmp_path_factory.mktemp("studio"), "--processes", "1", "--rate", "0", "--study", str(sounding), *token)
    yield made
    made.stop()


def home(served):
    """The address of the study."""
    (told,) = served.get("/api/studies").json()
    return told["url"]


def test_a_study_plays_in_its_frame_and_reaches_nothing(browser, served):
    context = browser.new_context(base_url=served.url, locale="en-US")
    page = context.new_page()
    open_studio(page, f"/?token={served.token}#/studies" if served.token else "/#/studies")
    page.goto("/#/studies")
    until(page, "document.querySelector('#room iframe') !== null")
    assert page.locator("#room h2").inner_text() == "Small <study>"
    frame = page.locator("#room iframe").element_handle().content_frame()
    frame.wait_for_load_state("load")
    assert frame.evaluate(PROBE) == NOBODY
    with page.expect_download() as saved:
        frame.locator("a").click()
    assert saved.value.path().read_bytes()[:4] == b"MThd"
    context.close()


def test_a_study_in_a_tab_of_its_own_is_still_of_nobody(browser, served):
    context = browser.new_context(base_url=served.url)
    page = context.new_page()
    if served.token:
        page.goto(f"/?token={served.token}")
    page.goto(home(served))
    until(page, "document.title === 'Small <study>'")
    assert page.evaluate(PROBE) == {**NOBODY, "outside": "Small <study>"}  # its own parent is itself
    context.close()


def test_the_server_shows_nothing_outside_of_a_study(served, sounding):
    (sounding.parent / "secret.txt").write_text("secret")
    assert served.get(f"{home(served)}cells/a.mid", follow_redirects=True).content[:4] == b"MThd"
    for asked in ("../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "cells/..%2f..%2fsecret.txt", "%5c..%5csecret.txt", "cells%00"):
        answer = served.get(home(served) + asked, follow_redirects=True)
        assert answer.status_code == 404, asked
        assert "secret" not in answer.text.replace("secret.txt", "")
    assert served.get("/studies/other/", follow_redirects=True).status_code == 404
    assert served.get("/reports/aaaaaaaaaaaa.html").status_code == 404
    assert served.get("/reports/..%2fstudio.html").status_code == 404


def test_without_the_token_no_file_of_a_study_is_given(served):
    if not served.token:
        pytest.skip("this server wants none")
    for path in (home(served), home(served).replace("/studies/", f"/studies/key-{'0' * 32}/") + "cells/a.mid"):
        assert httpx.get(served.url + path).status_code == 401


def test_models_tell_what_they_are_and_sound(browser, served):
    if served.token:
        pytest.skip("once is enough")
    context = browser.new_context(base_url=served.url, locale="ru-RU")
    page = context.new_page()
    complaints = watch(page)
    open_studio(page, "/#/models")
    offers = served.get("/api/models").json()
    until(page, f"document.querySelectorAll('.model-link').length === {len(offers)}")
    page.goto("/#/models/chopin")
    until(page, "document.querySelector('.card-text table') !== null")
    assert "CC BY-SA" in page.locator(".model-page .facts").inner_text()
    assert page.locator(".card-text h3").count() >= 3
    page.click(".samples button:has-text('Сочинить короткую')")
    until(page, "document.querySelectorAll('.sample').length === 1", 60)
    played = """async () => { const sound = document.querySelector('.sample audio'); await sound.play();
      await new Promise((done) => setTimeout(done, 300)); return sound.currentTime > 0; }"""
    assert page.evaluate(played)
    page.click(".model-page .button.primary")
    until(page, "document.body.dataset.room === 'studio'")
    assert page.locator(".model-button .model-name").inner_text() == "Chopin"
    page.goto("/#/models/none-such")
    until(page, "document.querySelector('#room .empty') !== null")
    assert [one for one in complaints if "404" not in one] == []
    context.close()
