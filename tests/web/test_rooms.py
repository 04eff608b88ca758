"""The rooms: files of a site never come from outside of it, its pages run as pages of nobody, cards of models hold no markup of others."""

import os

import pytest

from kapelle.pages import markup
from kapelle.web import rooms

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
