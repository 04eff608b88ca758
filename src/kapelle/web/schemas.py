"""What may be sent to the server and what it answers, as pydantic models with examples: the source of OpenAPI.

What is sent is closed: an unknown field is an error. Ranges here are those that hold for every model; what one model can be asked for is
checked by its `Offer`. What is answered is open: models tell more about themselves than stands here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kapelle.composing.request import MAX_COUNT, MAX_SEED
from kapelle.web.wishes import MAX_CANDIDATES, MAX_PIECES

ID = r"^[a-z2-7]{12}$"
MODEL = r"^[a-z0-9][a-z0-9-]{0,63}$"
MAX_DEPTH, MAX_VALUES, MAX_TEXT = 4, 400, 200_000

AN_ID = "k3v7qm2xw5ab"
ANOTHER_ID = "p2n6td4jy7hc"


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """A table of settings that is no trap: not deep, not long, no NaN.

    Raises:
        UsageError: It is.
    """
    left = MAX_VALUES

    def look(item: Any, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH or (isinstance(item, str) and len(item) > MAX_TEXT):
            raise ValueError("too much")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("not finite")
        if isinstance(item, int) and abs(item) > MAX_SEED:
            raise ValueError("too large")
        for one in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
            look(one, depth + 1)

    look(value, 0)
    return value


Table = Annotated[dict[str, Any], AfterValidator(_plain)]
Id = Annotated[str, Field(pattern=ID, description="an id that the server gave", examples=[AN_ID])]
Model = Annotated[str, Field(pattern=MODEL, description="name of a model, see /api/models", examples=["genre-small"])]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED - MAX_COUNT, description="same seed, same piece; drawn if left out", examples=[7])]
Tag = Annotated[str, Field(min_length=1, max_length=40)]
Title = Annotated[str, Field(max_length=200, description="what the piece is called", examples=["Evening in Riga"])]


class Sent(BaseModel):
    """What is sent: unknown fields are refused, and texts are not taken for numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What is answered: there may be more than is described."""

    model_config = ConfigDict(extra="allow")


# --- what is sent -----------------------------------------------------------------------------------------------------------------


class Length(Sent):
    """How long a piece is to be."""

    amount: float = Field(gt=0, le=100_000, description="how many", examples=[16])
    unit: Literal["bars", "seconds", "tokens", "notes"] = Field("bars", description="of what; a model counts some of them")


class Source(Sent):
    """The music that is brought: a piece of the library, or an upload."""

    piece: Id | None = None
    upload: Id | None = None


class Compose(Sent):
    """A wish. All of it may be left out."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False,
        json_schema_extra={"examples": [
            {"model": "genre-small", "length": {"amount": 8, "unit": "bars"}, "seed": 7, "options": {"genre": "jazz"}, "title": "Night"}
        ]},
    )  # fmt: skip

    model: Model | Literal[""] = Field("", description="the default model if left out")
    length: Length | None = Field(None, description="what the model likes if left out")
    seed: Seed | None = None
    count: int = Field(1, ge=1, le=MAX_PIECES, description="how many pieces; each has the next seed")
    sampling: Table = Field(default_factory=dict, description="how tokens are drawn: temperature, top_k, top_p ...")
    options: Table = Field(default_factory=dict, description="what the model can be told, see its `options` in /api/models")
    band: str = Field("", pattern=r"^[a-z0-9-]{0,64}$", description="the model that plays around the piece; none if empty")
    max_copied_notes: int = Field(
        0, ge=0, le=10_000, description="compose again while more notes in a row are in the training music; 0: no limit"
    )
    best: int = Field(0, ge=0, le=MAX_PIECES, description="take so many of `of` candidates, the best first; 0: take what comes")
    of: int = Field(0, ge=0, le=MAX_CANDIDATES, description="candidates to choose from; 32 if only `best` is given")
    by: str = Field("score", max_length=40, pattern=r"^[a-z_-]+$", description="the way of choosing")
    diverse: bool = Field(False, description="those that are taken are to differ")
    title: Title = ""
    tags: list[Tag] = Field(default_factory=list, max_length=20)


class Work(Compose):
    """A wish around music that is brought."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False,
        json_schema_extra={"examples": [{"source": {"upload": AN_ID}, "length": {"amount": 8, "unit": "bars"}, "seed": 7}]},
    )  # fmt: skip

    source: Source


class Bridge(Compose):
    """A wish for a band's theme, developed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"length": {"amount": 16, "unit": "bars"}, "seed": 7}]},
    )

    model: Literal["", "bridge"] = "bridge"


class Interpolate(Sent):
    """Pieces on the way from one seed to another."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False,
        json_schema_extra={"examples": [{"model": "band-hybrid", "seed": 7, "towards": 8, "count": 5}]},
    )  # fmt: skip

    model: Model | Literal[""] = ""
    seed: Seed | None = None
    towards: Seed
    count: int = Field(5, ge=2, le=MAX_PIECES, description="pieces, both ends included")
    length: Length | None = None
    options: Table = Field(default_factory=dict)
    title: Title = ""
    tags: list[Tag] = Field(default_factory=list, max_length=20)


class Rank(Sent):
    """Pieces that are to be put in order."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"examples": [{"pieces": [AN_ID, ANOTHER_ID], "best": 1}]}
    )

    pieces: list[Id] = Field(min_length=1, max_length=256)
    best: int = Field(1, ge=1, le=256, description="how many are marked as chosen")
    by: str = Field("score", max_length=40, pattern=r"^[a-z_-]+$", description="the way of choosing")
    diverse: bool = Field(False, description="those that are chosen are to differ")
    weights: dict[str, float] = Field(default_factory=dict, max_length=20, description="how much each part of the score counts")
    genre: str = Field("", max_length=40, description="the genre that the pieces are to be of")


class Evaluate(Sent):
    """Pieces that are to be measured against others."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"examples": [{"made": [AN_ID], "reference": [ANOTHER_ID]}]}
    )

    made: list[Id] = Field(min_length=1, max_length=256)
    reference: list[Id] = Field(min_length=1, max_length=256)


class Vary(Sent):
    """The same piece with another seed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"examples": [{"seed": 8, "options": {"tempo": 96}}]}
    )

    seed: Seed | None = None
    options: Table = Field(default_factory=dict, description="instead of those of the piece")
    title: Title = ""


class Keep(Sent):
    """An upload that is to stay."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"examples": [{"upload": AN_ID, "title": "My tune"}]}
    )

    upload: Id
    title: Title = ""
    tags: list[Tag] = Field(default_factory=list, max_length=20)


class Change(Sent):
    """What is to be different about a piece; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, json_schema_extra={"examples": [{"title": "Evening in Riga", "favourite": True}]}
    )

    title: Title | None = None
    tags: list[Tag] | None = Field(None, max_length=20)
    favourite: bool | None = None


# --- what is answered -------------------------------------------------------------------------------------------------------------


class ErrorTold(BaseModel):
    """What went wrong, in the language of who asks."""

    kind: str = Field(examples=["UsageError"])
    message: str = Field(examples=["bars must be 1 to 512, not 1000"])
    hint: str = Field("", examples=["choose a length in range"])
    code: int = Field(examples=[2], description="the exit code that the command line gives the same error")


class Error(BaseModel):
    """An error."""

    error: ErrorTold


class About(Answer):
    """This server."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "version": "0.1.0", "chunk_s": 2.0, "languages": ["en", "ru"], "formats": [{"name": "mid", "media_type": "audio/midi"}],
        "limits": {"upload_bytes": 8388608, "sound_bytes": 33554432, "bars": 512, "count": 64}, "studies": ["bridge"], "token": False,
    }]})  # fmt: skip

    version: str
    chunk_s: float = Field(description="seconds between the beginnings of two chunks of sound")
    languages: list[str]
    formats: list[dict[str, Any]] = Field(description="the kinds of file that a piece can become")
    limits: dict[str, int]
    studies: list[str]
    token: bool = Field(description="whether one needs a token")


class Offer(Answer):
    """What a model can be asked for."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "name": "genre-small", "bundle": "genre-small", "family": "gpt", "verbs": ["compose", "extend"],
        "about": {"en": "Composes.", "ru": "Сочиняет."},
        "options": {"type": "object", "properties": {}}, "sampling": None, "lengths": {"bars": [1, 512]},
        "default_length": {"amount": 16, "unit": "bars"}, "presets": [], "band": True, "licence": "MIT",
    }]})  # fmt: skip

    name: str
    bundle: str
    family: str
    verbs: list[str]
    about: dict[str, str]
    options: dict[str, Any] = Field(description="JSON Schema of its options")
    sampling: dict[str, Any] | None = Field(description="JSON Schema of how tokens are drawn; null: none are")
    lengths: dict[str, Any] = Field(description="unit -> smallest and largest amount")
    default_length: dict[str, Any] | None
    presets: list[dict[str, Any]]
    band: bool
    licence: str


class ModelCard(Offer):
    """A model with its card."""

    card_html: str = Field("", description="what it is, what it learned from, figures: HTML in which nothing is executed")


class Job(Answer):
    """Work that is waiting, under way or done."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "id": AN_ID, "verb": "compose", "state": "queued", "position": 1, "progress": 0.0, "created": 1750000000.0, "started": None,
        "finished": None, "pieces": [], "result": None, "error": None,
    }]})  # fmt: skip

    id: str
    verb: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    position: int = Field(description="in the queue, from 1; 0: it does not wait")
    progress: float = Field(description="0 to 1")
    created: float
    started: float | None = None
    finished: float | None = None
    pieces: list[str] = Field(description="ids of pieces that are ready")
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = Field(None, description="as of any error: kind, message, hint, code")


class Record(Answer):
    """A piece of the library."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "id": AN_ID, "title": "Night train", "created": 1750000000.0, "source": "composed", "verb": "compose", "model": "genre-small",
        "bundle_hash": "0f3a5c7e9b1d2468", "seed": 7, "request": {"length": {"amount": 8, "unit": "bars"}}, "parent": None,
        "favourite": False, "tags": [], "n_bars": 8, "n_notes": 312, "duration_s": 17.5, "key": "F major", "tempo_bpm": 110.0,
        "metre": "4/4", "tracks": ["Piano", "Bass", "Drums"], "judge": None, "deleted": None,
    }]})  # fmt: skip

    id: str
    title: str
    favourite: bool
    tags: list[str]


class Found(Answer):
    """Pieces that were looked for."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"pieces": [], "total": 0}]})

    pieces: list[Record]
    total: int = Field(description="how many there are, beyond `limit` too")


class Upload(Answer):
    """A MIDI file that was sent. It is deleted after a while unless it is kept."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "id": AN_ID, "name": "tune.mid", "info": {"n_bars": 16, "n_notes": 240, "duration_s": 32.0, "key": "D minor"},
        "expires": 1750003600.0,
    }]})  # fmt: skip

    id: str
    name: str
    info: dict[str, Any]
    expires: float | None = None


class Notes(Answer):
    """The notes of a piece in seconds."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "tracks": [{"index": 0, "name": "Piano", "program": 0, "drum": False, "notes": [[0.0, 0.5, 60, 80]]}], "bars": [0.0, 2.0],
        "beats": [0.0, 0.5, 1.0, 1.5, 2.0], "metres": [[0, 4, 4]],
        "marks": [{"label": "A", "start_s": 0.0, "end_s": 2.0, "kind": "section"}], "duration_s": 0.5, "chunk_s": 2.0,
    }]})  # fmt: skip

    tracks: list[dict[str, Any]] = Field(description="each note is [start_s, duration_s, pitch, velocity]; program -1: drums")
    bars: list[float] = Field(description="where each bar begins and, last, where the final one ends")
    beats: list[float] = Field(description="the same for beats; empty if there are too many")
    metres: list[list[int]] = Field(description="[bar from 0, numerator, denominator] where a metre begins")
    marks: list[dict[str, Any]] = Field(description="regions; their kind is theme, section or other")
    duration_s: float = Field(description="to the end of the last note")
    chunk_s: float


class ScorePages(Answer):
    """The score of a piece: how many pages, and which bar each begins with."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [
        {"pages": 2, "first_bars": [0, 3], "starts": [0.0, 2.0, 4.0, 6.0, 8.0], "title": "Night train"}
    ]})  # fmt: skip

    pages: int
    first_bars: list[int] = Field(description="counted from 0")
    starts: list[float] = Field(description="seconds where each written bar begins and, last, where the final one ends")
    title: str


class Told(Answer):
    """What was found out; see the function of `kapelle.api` of the same name."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"key": "F major", "metre": "4/4", "tempo": 110.0}]})


class Health(BaseModel):
    """The server answers."""

    ok: bool = Field(True, examples=[True])
