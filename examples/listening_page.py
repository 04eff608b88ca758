"""A page of all pieces in a folder: their sounds, piano rolls and MIDI files, the newest first. `make serve` shows it in a browser.

python examples/listening_page.py [FOLDER]
"""

import html
import sys
import urllib.parse
from pathlib import Path

from kapelle import api, errors

HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pieces</title><style>body { font: 16px sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
audio, img { display: block; width: 100%; margin: .5rem 0 }</style><h1>Pieces</h1>"""
SHOWN = {".wav": '<audio controls preload="none" src="{}"></audio>', ".png": '<img loading="lazy" alt="piano roll" src="{}">'}


def section(midi: Path) -> str:
    try:
        found = api.info_file(midi)
        facts = f"{found.n_bars} bars, {found.duration_s:.0f} s, {found.key}, {found.tempos_bpm[0]:g} bpm, {found.metres[0]}"
    except errors.KapelleError as error:
        facts = str(error)
    beside = [text.format(urllib.parse.quote(midi.stem + suffix)) for suffix, text in SHOWN.items() if midi.with_suffix(suffix).exists()]
    link = f'<a href="{urllib.parse.quote(midi.name)}">{html.escape(midi.name)}</a>'
    return f"<h2>{link}</h2><p>{html.escape(facts)}</p>{''.join(beside)}"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    folder.mkdir(parents=True, exist_ok=True)
    pieces = sorted(folder.glob("*.mid"), key=lambda path: path.stat().st_mtime, reverse=True)
    body = "\n".join(map(section, pieces)) or "<p>No pieces yet: <code>make generate</code> composes some.</p>"
    (folder / "index.html").write_text(f"{HEAD}\n{body}\n</html>\n", encoding="utf-8", errors="replace")
    print(f"{len(pieces)} pieces on {folder / 'index.html'}")


if __name__ == "__main__":
    main()
