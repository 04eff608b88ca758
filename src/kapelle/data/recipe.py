"""What a recipe says about data: the [data], [tokenizer] and [preprocessing] sections, read strictly.

Takes a recipe, gives a `Preparation` or the like, with the sections of the recipe's codec. The other sections are for training and
composing; here only their names are known, so that a misspelt one is an error and not silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from kapelle import config
from kapelle.config import setting
from kapelle.data import band
from kapelle.data.chords import ChordRules
from kapelle.data.clean import CleaningRules
from kapelle.data.feature_collect import FeatureRules, FeatureSpec
from kapelle.data.fragment_collect import FragmentRules, FragmentSpec
from kapelle.data.labelled import LabelledSection
from kapelle.data.phrases import PhraseRules, RollSpec
from kapelle.data.render_rules import RenderRules
from kapelle.data.roll_reading import ClassSpec, RollRules
from kapelle.data.table_collect import TableRules, TableSection
from kapelle.data.theme_songs import ThemeRules
from kapelle.tokens import chords, remi
from kapelle.tokens.theme import ThemeSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One row of [[data.sources]]: a folder of one genre."""

    folder: str = setting(help="folder below the data folder")
    genre: str = setting(help="genre of everything in it")
    group: str = setting(
        "parent",
        help="what must not be split: files of one parent folder, files of one name, or each file alone",
        choices=("parent", "file", "path"),
    )
    licence: str = setting("not stated", help="licence of the music, for the card")
    tracks: int = setting(0, help="keep so many tracks from the first on; 0: all (some collections add a chord track)", min=0)
    programs: tuple[int, ...] = setting((), help="programs of the first tracks, where the files do not tell them; -1: drums")
    align: str = setting("", help="folder with files of the same names whose bars are right; the tracks are put on them")
    composers: tuple[str, ...] = setting((), help="parent folders that have a composer token, in the order of their numbers")


@dataclass(frozen=True)
class BandSource:
    """One row of [[data.sources]] of a recipe of codec ``roll``."""

    folder: str = setting(help="folder below the data folder")
    group: str = setting(
        "file",
        help="what must not be split: files of one parent folder, files of one name, or each file alone",
        choices=("parent", "file", "path"),
    )
    licence: str = setting("not stated", help="licence of the music, drums included, for the card")
    align: str = setting("", help="folder with files of the same names whose bars are right; the tracks are put on them")
    arrange: str = setting(
        "", help="the rule of data/band.py that makes a band of the tracks; none: they are one", choices=("", *band.RULES)
    )
    key: str = setting(
        "notes", help="where the key is from: found in the notes, or the file's key signatures", choices=("notes", "signature")
    )
    drums: str = setting("", help="folder of drum performances that the band plays to; none: it has its own drums or no drums")
    drum_styles: tuple[str, ...] = setting((), help="styles of performances that fit; all where none is named")


@dataclass(frozen=True)
class BandSection:
    """The [data] section of a recipe of codec ``roll``."""

    sources: tuple[BandSource, ...] = setting(help="folders of bands")
    validation: float = setting(0.05, help="share of every source's songs for validation", min=0.0, max=0.5)
    test: float = setting(0.1, help="share of every source's songs for the test", min=0.0, max=0.5)


@dataclass(frozen=True)
class ThemeSource:
    """One row of [[data.sources]] of a recipe of codec ``theme``."""

    folder: str = setting(help="folder below the data folder")
    group: str = setting(
        "file",
        help="what must not be split: files of one parent folder, files of one name, or each file alone",
        choices=("parent", "file", "path"),
    )
    licence: str = setting("not stated", help="licence of the music, for the card")
    align: str = setting("", help="folder with files of the same names whose bars are right; the tracks are put on them")
    key: str = setting(
        "notes", help="where the key is from: found in the notes, or the file's key signatures", choices=("notes", "signature")
    )
    melody: str = setting("named", help="tracks called MELODY and PIANO, or the melody is looked for", choices=("named", "found"))
    test: tuple[str, ...] = setting((), help="names of the files, without ending, that are the test, beside the share")
    validation: tuple[str, ...] = setting((), help="the same for validation")


@dataclass(frozen=True)
class ThemeSection:
    """The [data] section of a recipe of codec ``theme``."""

    sources: tuple[ThemeSource, ...] = setting(help="folders of songs")
    validation: float = setting(0.05, help="share of every source's songs that are not named for validation", min=0.0, max=0.5)
    test: float = setting(0.0, help="share of every source's songs that are not named for the test", min=0.0, max=0.5)


@dataclass(frozen=True)
class DataSection:
    """The [data] section of a recipe."""

    sources: tuple[Source, ...] = setting(help="folders and their genres")
    validation: float = setting(0.04, help="share of every genre for validation", min=0.0, max=0.5)
    test: float = setting(0.08, help="share of every genre for the test", min=0.0, max=0.5)


@dataclass(frozen=True)
class Preparation:
    """What `prepare` needs of a recipe of codec ``remi``."""

    data: DataSection
    tokenizer: remi.RemiSpec
    preprocessing: CleaningRules


@dataclass(frozen=True)
class ChordPreparation:
    """The same of a recipe of codec ``chords``."""

    data: DataSection
    tokenizer: chords.ChordSpec
    preprocessing: ChordRules


@dataclass(frozen=True)
class PhrasePreparation:
    """The same of a recipe of codec ``roll``."""

    data: BandSection
    tokenizer: RollSpec
    preprocessing: PhraseRules


@dataclass(frozen=True)
class ThemePreparation:
    """The same of a recipe of codec ``theme``."""

    data: ThemeSection
    tokenizer: ThemeSpec
    preprocessing: ThemeRules


@dataclass(frozen=True)
class FragmentPreparation:
    """The same of a recipe of codec ``fragments``."""

    data: ThemeSection
    tokenizer: FragmentSpec
    preprocessing: FragmentRules


@dataclass(frozen=True)
class RollPreparation:
    """The same of a recipe of codec ``rolls``."""

    data: LabelledSection
    tokenizer: ClassSpec
    preprocessing: RollRules


@dataclass(frozen=True)
class FeaturePreparation:
    """The same of a recipe of codec ``features``."""

    data: LabelledSection
    tokenizer: FeatureSpec
    preprocessing: FeatureRules


@dataclass(frozen=True)
class RenderPreparation:
    """The same of a recipe of codec ``renderings``: features of written music as it sounds."""

    data: LabelledSection
    tokenizer: FeatureSpec
    preprocessing: RenderRules


@dataclass(frozen=True)
class TablePreparation:
    """The same of a recipe of codec ``table``: features that somebody else measured."""

    data: TableSection
    tokenizer: FeatureSpec
    preprocessing: TableRules


AnyPreparation: TypeAlias = (
    Preparation
    | ChordPreparation
    | PhrasePreparation
    | ThemePreparation
    | FragmentPreparation
    | RollPreparation
    | FeaturePreparation
    | RenderPreparation
    | TablePreparation
)

CODECS: dict[str, type[AnyPreparation]] = {
    "remi": Preparation,
    "chords": ChordPreparation,
    "roll": PhrasePreparation,
    "theme": ThemePreparation,
    "fragments": FragmentPreparation,
    "rolls": RollPreparation,
    "features": FeaturePreparation,
    "renderings": RenderPreparation,
    "table": TablePreparation,
}
"""What a recipe's codec makes of its three sections."""


@dataclass(frozen=True)
class _RecipeFile:
    """A whole recipe as preparation sees it: the sections by name."""

    data: dict[str, Any] = setting(help="read by its codec")
    tokenizer: dict[str, Any] = setting(help="read by its codec")
    preprocessing: dict[str, Any] = setting(help="read by its codec")
    name: str = ""
    family: str = ""
    codec: str = setting("remi", help="how scores become ids", choices=tuple(CODECS))
    objective: str = ""
    licence: str = ""
    model: dict[str, Any] = setting({})
    training: dict[str, Any] = setting({})
    generation: dict[str, Any] = setting({})


def preparation(recipe_path: Path, overrides: Sequence[str] = ()) -> AnyPreparation:
    """What a recipe says about data, with ``section.key=value`` overrides.

    Raises:
        Missing: No such recipe.
        RecipeError: It is no TOML, or a key of it is unknown, missing or of the wrong type.
    """
    held = config.load(_RecipeFile, recipe_path, overrides)
    sections = {"data": held.data, "tokenizer": held.tokenizer, "preprocessing": held.preprocessing}
    return config.build(CODECS[held.codec], sections, str(recipe_path))
