"""The documentation keeps its word: links lead somewhere, commands and snippets run, both languages say the same.

Fenced blocks ``python`` and ``bash run`` are run in their order, each page of EXECUTED in one empty folder. Blocks ``bash``, ``console``
and ``py`` are for reading: they install, train, or need files of the reader's own; what a block ``py`` imports is there all the same.
"""

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kapelle.bundles import load

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "src", "examples", "benchmarks")
PAGES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.md"))])
EXECUTED = (
    "README.md", "docs/tutorials/first-piece.md", "docs/how-to/analyse.md", "docs/how-to/sheet-music.md", "docs/how-to/band.md",
    "docs/how-to/theme.md",
    "docs/how-to/find-themes.md",
    "docs/how-to/many-pieces.md", "docs/how-to/classify.md",
    "docs/how-to/originality.md", "docs/how-to/rank.md", "docs/how-to/daw.md",
    "docs/how-to/denoise.md", "docs/explanation/denoising.md", "docs/how-to/imagine.md",
    "docs/explanation/diffusion.md", "docs/explanation/text-to-audio.md", "docs/explanation/audioldm2.md",
    "docs/explanation/stable-audio.md", "docs/explanation/lumina.md", "docs/explanation/codecs.md", "docs/explanation/musicgen.md",
    "docs/explanation/ensemble.md", "docs/explanation/remi-lstm.md", "docs/how-to/sound.md",
    "docs/reference/midi.md", "docs/reference/bundle.md", "docs/reference/theme-tokens.md",
)  # fmt: skip
EXECUTED_ELSEWHERE = ("README.ru.md", "docs/how-to/api.md")  # the same blocks as README.md; against a studio, tests/web/test_api_page.py
# pages whose snippets build networks of the extra `audio`
OF_SOUND_MODELS = ("docs/explanation/audioldm2.md", "docs/explanation/stable-audio.md", "docs/explanation/lumina.md")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\[[^\]\n]*\]\(([^)\s]+)\)")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """(language, text) of every fenced block."""
    return [(kind.strip(), body) for kind, body in FENCE.findall(text_of(page))]


def prose(path):
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """The anchors of a page's headings, as forges make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: there is no {target.relative_to(ROOT)}"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_the_index_leads_to_every_page():
    docs = ROOT / "docs"
    index = docs / "index.md"
    listed = {(docs / link.partition("#")[0]).resolve() for link in LINK.findall(prose(index))}
    listed |= {(docs / "decisions" / link).resolve() for link in LINK.findall(prose(docs / "decisions" / "README.md"))}
    missing = [str(page.relative_to(docs)) for page in docs.rglob("*.md") if page not in listed and page != index]
    assert not missing, "add these to docs/index.md"


def test_the_glossary_is_in_order_and_complete():
    rows = [line.split("|")[1:-1] for line in text_of("docs/glossary.md").splitlines() if line.startswith("| ")][1:]
    terms = [row[0].strip().lower() for row in rows]
    assert terms == sorted(terms)
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)


def test_decisions_are_numbered_without_a_gap_and_have_one_form():
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert [page.name[:4] for page in pages] == [f"{i:04}" for i in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_nobody_is_told_to_fetch_kapelle_from_a_package_index():
    """It is in none; `kapelle[extra]` adds to the one that is installed."""
    files = [*PAGES, *ROOT.glob("src/kapelle/**/*.py"), ROOT / "src" / "kapelle" / "ru.json"]
    for path in files:
        told = re.findall(r"pip install [^`\n]*?(?<![\w./-])kapelle(?![\w\[-])[^`\n]*", path.read_text(encoding="utf-8"))
        assert not told, f"{path}: {told}"


def test_both_readmes_have_the_same_sections_code_and_links():
    english, russian = text_of("README.md"), text_of("README.ru.md")
    shape = [re.findall(r"^(#+|- \*\*|\| |!\[)", FENCE.sub("", text), re.MULTILINE) for text in (english, russian)]
    assert shape[0] == shape[1]
    assert blocks("README.md") == blocks("README.ru.md")
    own = {"README.md", "README.ru.md"}
    assert set(LINK.findall(english)) - own == set(LINK.findall(russian)) - own


def test_both_readmes_name_every_python_that_there_is_a_kapelle_for():
    known = re.findall(r'"Programming Language :: Python :: ([\d.]+)"', text_of("pyproject.toml"))
    for page in ("README.md", "README.ru.md"):
        told = [re.findall(r"\b3\.\d+", line) for line in text_of(page).splitlines() if re.match(r"\| (?:macOS|Windows) \|", line)]
        assert told == [known, known], page


def test_the_russian_readme_is_russian():
    letters = re.findall(r"[^\W\d_]", re.sub(r"`[^`]*`|\]\([^)]*\)", "", FENCE.sub("", text_of("README.ru.md"))))
    assert sum("а" <= letter.lower() <= "я" or letter in "ёЁ" for letter in letters) / len(letters) > 0.8


def test_every_make_target_that_the_docs_name_exists():
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for page in ("README.md", "README.ru.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text_of(page), re.MULTILINE))
        assert named <= targets, page


def test_every_block_that_looks_as_if_it_were_run_is_run():
    pages = (path.relative_to(ROOT).as_posix() for path in PAGES)
    runnable = {page for page in pages if {"python", "bash run"} & {kind for kind, _ in blocks(page)}}
    assert runnable == {*EXECUTED, *EXECUTED_ELSEWHERE}


@pytest.mark.parametrize("page", [path for path in PAGES if "\n```py\n" in path.read_text(encoding="utf-8")], ids=lambda path: path.name)
def test_what_a_snippet_for_reading_imports_is_there(page):
    pytest.importorskip("torch")
    for kind, body in blocks(page.relative_to(ROOT)):
        if kind == "py":
            imports = [node for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), page, "exec"), {})


@pytest.fixture
def torch_if_needed(request):
    """Skips pages of sound models without the extra; gives them one thread: small products on a busy machine wait for each other."""
    if request.node.callspec.params["page"] not in OF_SOUND_MODELS:
        yield
        return
    pytest.importorskip("diffusers")
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("torch_if_needed")
@pytest.mark.skipif(not load.installed(), reason="no bundle is installed")
@pytest.mark.parametrize("page", EXECUTED)
def test_the_snippets_of_a_page_run_in_their_order(page, tmp_path, monkeypatch):
    environment = shell_environment(tmp_path)
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    names = {"__name__": "__main__"}
    for kind, body in blocks(page):
        if kind == "python":
            exec(compile(body, page, "exec"), names)
        elif kind == "bash run":
            answer = subprocess.run(
                ["bash", "-e", "-c", body], env=environment, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL
            )
            assert answer.returncode == 0, f"{body}\n{answer.stdout}\n{answer.stderr}"


def shell_environment(folder):
    """An environment in which `kapelle` is this source tree, run by this Python."""
    script = folder / "bin" / "kapelle"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; from kapelle.cli import main; sys.exit(main())" "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PATH": f"{script.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
