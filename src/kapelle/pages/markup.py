"""HTML as text: escaping, tables, and the frame of a page.

Takes texts and rows, gives markup. Everything that is not markup is escaped here; a page needs no network and no server.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b2130; --muted: #69728a; --line: #dce1ea; --panel: #fafbfd; --accent: #2f6bd8;
  --bad: #c8377a; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --text: #e9ecf3; --muted: #8d97ac; --line: #2b3140; --panel: #1a1e26;
  --accent: #6ea6ff; --bad: #ff7fb2; } }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 84rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, "DejaVu Sans", Verdana, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
p { max-width: 50rem; } .muted { color: var(--muted); font-size: .875rem; } .bad { color: var(--bad); }
a { color: var(--accent); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
th { color: var(--muted); font-weight: 600; }
.cell { width: 19rem; } .cards { display: grid; grid-template-columns: repeat(auto-fill, 19rem); gap: 1.5rem 1rem; }
.cell img, .card img { display: block; width: 18rem; height: auto; border: 1px solid var(--line); border-radius: 4px; }
audio { display: block; width: 18rem; height: 2.25rem; margin: .3rem 0; }
"""

ONE_AT_A_TIME = """
document.addEventListener('play', event => { for (const other of document.querySelectorAll('audio'))
  if (other !== event.target) other.pause(); }, true);
"""


def text(words: object) -> str:
    """`words` as text inside markup or an attribute."""
    return html.escape(str(words), quote=True)


def page(title: str, body: Iterable[str]) -> str:
    """A whole page."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            f'<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{text(title)}</title>',
            f"<style>{STYLE}</style></head>",
            "<body>",
            *body,
            f"<script>{ONE_AT_A_TIME}</script>",
            "</body></html>\n",
        )
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1) -> str:
    """A table of texts; columns from `numbers_from` on are aligned as numbers."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{_number(place >= numbers_from)}>{text(cell)}</{tag}>" for place, cell in enumerate(row))

    lines = [f"<tr>{cells(row, 'td')}</tr>" for row in rows]
    return f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def figure(value: float) -> str:
    """A number for people; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
