"""Which codes are drawn when, if a sound is longer than what a model can hear at once.

Takes lengths, in moments of the codec (50 a second in the published models); gives windows. Each later window repeats the last codes of
the one before as its beginning, so that codes, and not sounds, are joined: the codec then decodes one unbroken row of codes, and no seam
can be heard because there is none. It draws nothing: that is `musicgen_decoding`.

Source: the generation code of MusicGen's authors: windows of 30 s, each 18 s after the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.errors import UsageError

WINDOW_S = 30.0
STRIDE_S = 18.0


@dataclass(frozen=True)
class Room:
    """What a model hears at once, in moments.

    Args:
        window: Moments in a window; at least 2.
        stride: Moments from one window to the next, from 1 to below `window`: the rest is heard again.
    """

    window: int
    stride: int

    def __post_init__(self) -> None:
        if not 1 <= self.stride < self.window:
            raise UsageError("a stride of {stride} does not fit into a window of {window}", stride=self.stride, window=self.window)

    @property
    def heard_again(self) -> int:
        """Moments that a later window begins with."""
        return self.window - self.stride


@dataclass(frozen=True)
class Window:
    """One window of a sound, in moments from the sound's beginning: it hears `start` to `known`, and draws `known` to `end`."""

    start: int
    known: int
    end: int


def room(moments_per_s: float, longest: int) -> Room:
    """The room of the published models, or less where positions do not allow more.

    Args:
        moments_per_s: Of the codec.
        longest: Moments that there are positions for.
    """
    window = min(round(WINDOW_S * moments_per_s), longest)
    return Room(window, max(1, min(window - 1, round(window * STRIDE_S / WINDOW_S))))


def plan(n_moments: int, room: Room, n_given: int = 0) -> tuple[Window, ...]:
    """The windows of a sound.

    What fits is one window. Of a longer sound every window but the first begins with the last `room.heard_again` moments before it; so
    does the first if more than that is given to go on from.

    Args:
        n_moments: Length of the whole, with what is given.
        room: Of the model.
        n_given: Moments to go on from.
    """
    windows: list[Window] = []
    known = n_given
    while known < n_moments:
        start = 0 if n_moments <= room.window else max(0, known - room.heard_again)
        end = min(n_moments, start + room.window)
        windows.append(Window(start, known, end))
        known = end
    return tuple(windows)
