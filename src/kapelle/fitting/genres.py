"""Which genre token stands for which of the user's genres when training goes on from a model that has its own.

A genre of the same name keeps its token. Another takes over the token under which the model finds a few of its pieces least surprising,
and with it what the model knows; the name that stood there before is gone. If the folder has more genres than the model has tokens, all
its music becomes one genre, named after the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle import config
from kapelle.data.clean import CleaningRules, CleanPiece, clean
from kapelle.data.prepare import Source, find_files
from kapelle.tokens import controls, remi
from kapelle.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kapelle.fitting.music import Music
    from kapelle.fitting.start import Start

N_PIECES, MOST_FILES = 4, 12
"""Pieces of a genre that are listened to, and files looked at until there are so many."""


@dataclass(frozen=True)
class Naming:
    """How the genres of a folder are told to a model.

    Args:
        tokens: The name of every genre token from now on.
        music: The user's music, perhaps as one genre.
        instead_of: New name -> the name whose token it took over.
        joined: Genres of the folder that became one.
    """

    tokens: tuple[str, ...]
    music: Music
    instead_of: Mapping[str, str]
    joined: tuple[str, ...] = ()


def name_genres(start: Start, music: Music) -> Naming:
    """The naming for music that a model is to be trained on."""
    tokens, own = list(start.genres), music.genres
    if not tokens:
        return Naming((), music, {})
    joined = own if len(own) > len(tokens) else ()
    music = music.as_one() if joined else music
    new = [genre for genre in music.genres if genre not in tokens]
    free = [token for token in tokens if token not in music.genres]
    instead_of: dict[str, str] = {}
    costs = surprise(start, music, new, free) if len(free) > 1 else {genre: dict.fromkeys(free, 0.0) for genre in new}
    while len(instead_of) < len(new):  # the clearest case first
        left = [(costs[genre][token], genre, token) for genre in new if genre not in instead_of for token in free]
        _, genre, token = min(left)
        instead_of[genre] = token
        free.remove(token)
    renamed = {token: genre for genre, token in instead_of.items()}
    return Naming(tuple(renamed.get(token, token) for token in tokens), music, instead_of, joined)


def surprise(start: Start, music: Music, genres: Sequence[str], tokens: Sequence[str]) -> dict[str, dict[str, float]]:
    """genre -> token -> mean bits of an id of a few pieces of the genre under that token; 0 for a genre without a fit piece."""
    import torch
    from torch.nn import functional as F

    from kapelle.fitting.start import network

    assert start.tokenizer is not None
    words = Vocabulary(tuple(start.tokenizer["tokens"]))
    logits, model = network(start, len(words))
    out: dict[str, dict[str, float]] = {genre: dict.fromkeys(tokens, 0.0) for genre in genres}
    for genre in genres:
        for piece in _pieces(start, music, genre, words):
            for token in tokens:
                before = [*controls.prefix(controls.Controls(token, None, piece.key, piece.bpm), words), words["BOS_None"]]
                ids = torch.tensor([*before, *piece.ids.tolist()])[: start.preprocessing.get("context_len", CleaningRules.context_len)]
                with torch.no_grad():
                    scores = logits(model, ids[None, :-1])[0, len(before) - 1 :]
                out[genre][token] += float(F.cross_entropy(scores.float(), ids[len(before) :])) / np.log(2)
    return out


def _pieces(start: Start, music: Music, genre: str, words: Vocabulary) -> list[CleanPiece]:
    """A few pieces of a genre, from all over its files."""
    assert start.tokenizer is not None
    files = find_files(music.folder, [Source(row["folder"], genre) for row in music.rows if row["genre"] == genre])
    spec, rules = remi.spec_of(dict(start.tokenizer)), config.build(CleaningRules, start.preprocessing, start.name)
    found: list[CleanPiece] = []
    for place in np.unique(np.linspace(0, len(files) - 1, MOST_FILES).astype(int)):
        try:
            piece = clean(files[place].path.read_bytes(), spec, words, rules)
        except OSError:
            continue
        found += [piece] if isinstance(piece, CleanPiece) else []
        if len(found) == N_PIECES:
            break
    return found
