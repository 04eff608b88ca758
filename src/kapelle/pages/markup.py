"""HTML as text: escaping, tables, and the frame of a page.

Takes texts and rows, gives markup. Everything that is not markup is escaped here; a page needs no network and no server.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b2130; --muted: #5c657b; --line: #dce1ea; --panel: #f7f8fb; --accent: #2459be;
  --bad: #b3266a; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --text: #e9ecf3; --muted: #98a2b8; --line: #2b3140; --panel: #1a1e26;
  --accent: #7db0ff; --bad: #ff8fbd; } img.roll { filter: invert(.92) hue-rotate(180deg); border: 0 !important; } }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 84rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, "DejaVu Sans", Verdana, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 50rem; } .muted { color: var(--muted); font-size: .875rem; } .bad { color: var(--bad); }
a { color: var(--accent); } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: .3rem 0; padding: 0; }
.wide { overflow-x: auto; } summary { cursor: pointer; }
table { border-collapse: collapse; font-size: .875rem; } caption { text-align: left; color: var(--muted); padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
th { color: var(--muted); font-weight: 600; } tbody th { color: var(--text); }
.cell { width: 19rem; } .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: 1.2rem 1rem; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .7rem; min-width: 0; }
img.roll { display: block; width: 100%; max-width: 26rem; height: auto; border: 1px solid var(--line); border-radius: 4px; }
audio { display: block; width: 100%; max-width: 26rem; height: 2.25rem; margin: .4rem 0; }
button { font: inherit; padding: .4rem .9rem; border: 1px solid var(--line); border-radius: 5px; background: var(--panel);
  color: var(--text); cursor: pointer; }
fieldset { border: 0; margin: .3rem 0; padding: 0; } legend { padding: 0; font-weight: 600; }
@media (max-width: 44rem) { body { padding: 1rem .8rem 3rem; } .grid, .grid tbody, .grid tr, .grid th, .grid td { display: block; }
  .grid thead { display: none; } .grid td { width: auto; padding: .5rem 0; }
  .grid td::before { content: attr(data-label); color: var(--muted); } }
"""

ONE_AT_A_TIME = """
document.addEventListener('play', event => { for (const other of document.querySelectorAll('audio'))
  if (other !== event.target) other.pause(); }, true);
"""


def text(words: object) -> str:
    """`words` as text inside markup or an attribute."""
    return html.escape(str(words), quote=True)


def page(title: str, body: Iterable[str], *, script: str = "") -> str:
    """A whole page, which may load nothing but pictures and sounds that lie beside it.

    Args:
        title: Of the window.
        body: Markup.
        script: JavaScript, run when the page is there; no other script is, whatever the body holds.
    """
    code = f"{ONE_AT_A_TIME}{script}"
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src 'self' file: data:; media-src 'self' file: data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{text(title)}</title>",
            f"<style>{STYLE}</style></head>",
            "<body>",
            *body,
            f"<script>{code}</script>",
            "</body></html>\n",
        )
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1, caption: str = "") -> str:
    """A table of texts; columns from `numbers_from` on are aligned as numbers, the first of each row is its heading."""

    def cells(row: Sequence[str], tag: str, scope: str) -> str:
        first, *rest = (f"{_number(place >= numbers_from)}>{text(cell)}" for place, cell in enumerate(row))
        return f'<th scope="{scope}"{first}</th>' + "".join(f"<{tag}{cell}</{tag}>" for cell in rest)

    lines = [f"<tr>{cells(row, 'td', 'row')}</tr>" for row in rows]
    told = f"<caption>{text(caption)}</caption>" if caption else ""
    top = cells(head, "th", "col")
    return f'<div class="wide"><table>{told}<thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def figure(value: float) -> str:
    """A number for people; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
