"""What can be asked of a model, as one frozen object that goes to JSON and back.

The same request with the same bundle gives the same bytes, from the command line, from Python and from the page.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kapelle.config import build, native, plain
from kapelle.errors import CannotObey, UsageError
from kapelle.sampling.options import SamplingOptions

MAX_BARS = 512
MAX_COUNT = 10_000
MAX_SEED = 2**63 - 1
LENGTHS = {"bars": (1, MAX_BARS), "seconds": (1.0, 3600.0), "tokens": (16, 100_000), "notes": (1, 50_000)}
"""Ways to say how long, with their ranges."""


def _number(name: str, value: Any, *, whole: bool = False) -> Any:
    """`value` as a number of Python, whatever library it comes from: a request is written down as JSON."""
    value = native(value)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        if whole:
            raise UsageError("{name} must be a whole number, not {value!r}", name=name, value=value)
        raise UsageError("{name} must be a number, not {value!r}", name=name, value=value)
    return value


@dataclass(frozen=True)
class Length:
    """How long the piece is to be: so many bars, seconds, tokens or notes."""

    amount: float = 16
    unit: str = "bars"

    def __post_init__(self) -> None:
        if self.unit not in LENGTHS:
            raise UsageError("a length is given in {units}, not {unit!r}", units=", ".join(LENGTHS), unit=self.unit)
        object.__setattr__(self, "amount", _number(self.unit, self.amount))
        low, high = LENGTHS[self.unit]
        if not low <= self.amount <= high:
            raise UsageError("{unit} must be {low} to {high}, not {amount:g}", unit=self.unit, low=low, high=high, amount=self.amount)

    def bars_at(self, bpm: float) -> int:
        """A length in bars or seconds as whole bars of four quarters, 1 or more.

        Args:
            bpm: Quarters a minute.

        Raises:
            CannotObey: More bars than a piece can have.
        """
        n_bars = round(self.amount) if self.unit == "bars" else max(1, round(self.amount * bpm / 240))
        if n_bars > MAX_BARS:
            raise CannotObey(
                "{seconds:g} s are {bars} bars, and a piece has at most {most}", seconds=self.amount, bars=n_bars, most=MAX_BARS
            )
        return n_bars


@dataclass(frozen=True)
class ComposeRequest:
    """One wish.

    Args:
        model: Bundle name or path; empty for the default.
        length: How long; of what is added, if there is a prompt.
        seed: Of the first piece; piece number i of `count` has seed + i, so that any of them can be made again alone.
        count: How many pieces.
        sampling: How tokens are drawn; None for what the bundle recommends.
        options: What the model can be told beside that: its declared options (genre, key, tempo, metre ...).
        prompt: A MIDI file to go on from.
        lead: A MIDI file to accompany.
        theme: A MIDI file to develop.
        band: Name or path of the bundle that plays around the piece; empty for none.
        max_copied_notes: Compose again while a longer run of notes may be shared with the music that the model learned from; 0: no limit.
            No way of composing reads it; `kapelle.api.sharing` does.
    """

    model: str = ""
    length: Length = Length()
    seed: int = 0
    count: int = 1
    sampling: SamplingOptions | None = None
    options: dict[str, Any] = field(default_factory=dict)
    prompt: bytes | None = field(default=None, repr=False)
    lead: bytes | None = field(default=None, repr=False)
    theme: bytes | None = field(default=None, repr=False)
    band: str = ""
    max_copied_notes: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "count", "max_copied_notes"):
            object.__setattr__(self, name, _number(name.replace("_", "-"), getattr(self, name), whole=True))
        if not 1 <= self.count <= MAX_COUNT:
            raise UsageError("count must be 1 to {limit}, not {count}", limit=MAX_COUNT, count=self.count)
        limit = MAX_SEED - MAX_COUNT - (self.count - 1)  # the last piece's seed is one of a request, too
        if not 0 <= self.seed <= limit:
            raise UsageError("seed must be 0 to {limit}, not {seed}", limit=limit, seed=self.seed)

    def piece(self, number: int) -> ComposeRequest:
        """The request for the piece `number` of `count` alone: with the next seed, or a part of the way if they go towards another one."""
        if self.options.get("towards") is not None and self.count > 1:
            return dataclasses.replace(self, count=1, options={**self.options, "blend": number / (self.count - 1)})
        return dataclasses.replace(self, seed=self.seed + number, count=1)

    def to_json(self) -> dict[str, Any]:
        """A table for JSON; `from_json` gives the request back."""
        out = plain(dataclasses.replace(self, prompt=None, lead=None, theme=None))
        for name in ("prompt", "lead", "theme"):
            data = getattr(self, name)
            out[name] = base64.b64encode(data).decode() if data is not None else None
        return out


def from_json(table: Mapping[str, Any]) -> ComposeRequest:
    """The request in a table made by `ComposeRequest.to_json`.

    Raises:
        UsageError: A key is unknown, or a value is wrong.
    """
    files = {name: table.get(name) for name in ("prompt", "lead", "theme")}
    try:
        decoded = {name: base64.b64decode(text, validate=True) if text is not None else None for name, text in files.items()}
    except (ValueError, TypeError) as error:
        raise UsageError("a MIDI file inside a request must be base64: {why}", why=error) from error
    rest = {key: value for key, value in table.items() if key not in files}
    return build(ComposeRequest, {**rest, **decoded}, "request")
