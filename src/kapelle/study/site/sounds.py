"""The page of a gallery of sounds: prompts down, text-to-audio models across, a player for each sound, and the licence of each model.

Takes a `Board`; gives HTML. Sounds lie beside the page; what is not made yet, or could not be, is said in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from kapelle.pages.markup import page as framed
from kapelle.pages.markup import text

if TYPE_CHECKING:
    from kapelle.text_audio.catalogue import SoundModel

TITLE = "Sounds from sentences"


@dataclass(frozen=True)
class Clip:
    """A sound on the page.

    Args:
        path: From the page, with slashes.
        seed: By which it was drawn.
        seconds: Its length.
        copies: Method -> the path of its cleaned copy.
    """

    path: str
    seed: int
    seconds: float
    copies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """What is on the page.

    Args:
        prompts: The rows.
        models: The columns.
        clips: By prompt and name of model, those that are there.
        failed: Name of a model -> why it made nothing.
        settings: What all sounds have in common, in a line.
    """

    prompts: tuple[str, ...]
    models: tuple[SoundModel, ...]
    clips: Mapping[tuple[str, str], tuple[Clip, ...]]
    failed: Mapping[str, str]
    settings: str


def page(board: Board) -> str:
    """The page."""
    return framed(TITLE, _body(board))


def _body(board: Board) -> Iterator[str]:
    n = sum(map(len, board.clips.values()))
    yield f"<header><h1>{TITLE}</h1><p>Every sound was made from the sentence beside it by the model above it.</p>"
    yield f'<p class="muted">{text(board.settings)}; {n} sounds are here.</p></header><main>'
    head = "".join(f'<th scope="col">{text(model.name)}<br>{_licence(model)}</th>' for model in board.models)
    yield f'<div class="wide"><table class="grid"><thead><tr><td></td>{head}</tr></thead><tbody>'
    for prompt in board.prompts:
        cells = "".join(f'<td class="cell" data-label="{text(model.name)}">{_cell(board, prompt, model)}</td>' for model in board.models)
        yield f'<tr><th scope="row">{text(prompt)}</th>{cells}</tr>'
    yield "</tbody></table></div>"
    yield "<h2>The models, and what may be done with their sound</h2>"
    yield from _models(board)
    yield "</main>"


def _cell(board: Board, prompt: str, model: SoundModel) -> str:
    """The sounds of a prompt by a model, or why there are none."""
    clips = board.clips.get((prompt, model.name), ())
    if clips:
        return "".join(_clip(clip, f"{prompt}, {model.name}") for clip in clips)
    if why := board.failed.get(model.name):
        return f'<span class="bad">not made</span><br><span class="muted">{text(why)}</span>'
    return '<span class="muted">not made yet</span>'


def _clip(clip: Clip, name: str) -> str:
    label = f"{name}, seed {clip.seed}"
    called = clip.path.rpartition(".")[2].upper()
    told = f'<span class="muted">{clip.seconds:.1f} s, seed {clip.seed}</span>'
    parts = [_player(clip.path, label), f'<div><a href="{quote(clip.path)}" download>{text(called)}</a> {told}</div>']
    for method, path in clip.copies.items():
        parts.append(f"<details><summary>cleaned: {text(method)}</summary>{_player(path, f'{label}, {method}')}</details>")
    return "".join(parts)


def _player(path: str, label: str) -> str:
    return f'<audio controls preload="none" src="{quote(path)}" aria-label="{text(label)}"></audio>'


def _licence(model: SoundModel) -> str:
    return f'<a href="{text(model.licence.url)}">{text(model.licence.name)}</a>'


def _models(board: Board) -> Iterator[str]:
    head = ("model", "weights", "sound", "licence", "its terms")
    yield f'<div class="wide"><table><thead><tr>{"".join(f"<th scope=col>{name}</th>" for name in head)}</tr></thead><tbody>'
    for model in board.models:
        licence = model.licence
        channels = "mono" if model.channels == 1 else "stereo" if model.channels == 2 else f"{model.channels} channels"
        cells = (
            text(model.repo),
            text(f"{model.sample_rate / 1000:g} kHz, {channels}"),
            _licence(model),
            text(f"for every use; {licence.terms}" if licence.commercial == "yes" else licence.terms),
        )
        yield f'<tr><th scope="row">{text(model.name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    yield "</tbody></table></div>"
