"""What a recipe says about data: the [data], [tokenizer] and [preprocessing] sections, read strictly.

Takes a recipe, gives a `Preparation`. The other sections are for training and composing; here only their names are known, so that
a misspelt one is an error and not silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapelle import config
from kapelle.config import setting
from kapelle.data.clean import CleaningRules
from kapelle.tokens import remi

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One row of [[data.sources]]: a folder of one genre."""

    folder: str = setting(help="folder below the data folder")
    genre: str = setting(help="genre of everything in it")
    group: str = setting(
        "parent", help="what must not be split: files of one parent folder, or each file alone", choices=("parent", "file")
    )
    licence: str = setting("not stated", help="licence of the music, for the card")
    tracks: int = setting(0, help="keep so many tracks from the first on; 0: all (some collections add a chord track)", min=0)
    composers: tuple[str, ...] = setting((), help="parent folders that have a composer token, in the order of their numbers")


@dataclass(frozen=True)
class DataSection:
    """The [data] section of a recipe."""

    sources: tuple[Source, ...] = setting(help="folders and their genres")
    validation: float = setting(0.04, help="share of every genre for validation", min=0.0, max=0.5)
    test: float = setting(0.08, help="share of every genre for the test", min=0.0, max=0.5)


@dataclass(frozen=True)
class Preparation:
    """What `prepare` needs of a recipe."""

    data: DataSection
    tokenizer: remi.RemiSpec
    preprocessing: CleaningRules


@dataclass(frozen=True)
class _RecipeFile(Preparation):
    """A whole recipe as preparation sees it: three sections in full, the others by name."""

    name: str = ""
    family: str = ""
    codec: str = ""
    objective: str = ""
    licence: str = ""
    model: dict[str, Any] = setting({})
    training: dict[str, Any] = setting({})
    generation: dict[str, Any] = setting({})


def preparation(recipe_path: Path, overrides: Sequence[str] = ()) -> Preparation:
    """What a recipe says about data, with ``section.key=value`` overrides.

    Raises:
        Missing: No such recipe.
        RecipeError: It is no TOML, or a key of it is unknown, missing or of the wrong type.
    """
    held = config.load(_RecipeFile, recipe_path, overrides)
    return Preparation(held.data, held.tokenizer, held.preprocessing)
