"""What happens while a piece is composed, told as it happens: to a progress bar, a page or a MIDI port."""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.composing.piece import Piece


@dataclass(frozen=True)
class Note:
    """A note on its way.

    Args:
        start_s: Seconds from the start of the piece.
        duration_s: Seconds.
        pitch: MIDI number.
        velocity: 1 to 127.
        program: General MIDI program; -1: drums.
        bar: The bar it begins in, from 0.
    """

    start_s: float
    duration_s: float
    pitch: int
    velocity: int
    program: int
    bar: int


@dataclass(frozen=True)
class Progress:
    """How much is done, 0 to 1."""

    done: float


@dataclass(frozen=True)
class NotesAdded:
    """Notes that will stay unless `Restarted` follows."""

    notes: tuple[Note, ...]


@dataclass(frozen=True)
class BarDone:
    """A bar is complete; bars count from 0.

    Args:
        bar: Which.
        n_bars: In all, as far as is known.
        end_s: Where it ends, in seconds from the start of the piece: no note that begins before will follow.
    """

    bar: int
    n_bars: int
    end_s: float


@dataclass(frozen=True)
class Restarted:
    """The attempt was given up and a new one begins: forget the notes so far."""

    attempt: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """The piece is ready."""

    piece: Piece


Event = Progress | NotesAdded | BarDone | Restarted | Done
