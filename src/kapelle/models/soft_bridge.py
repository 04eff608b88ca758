"""The soft bridge: what a generator of piano-rolls made, as tokens of a theme, so that a gradient finds the way back.

Takes scores (B, 2, L, S, P) of a melody's and an accompaniment's cells, which sound where they are more than 0, and the places of the
tokens among the ids; gives ids (B, T), and shares (B, T, V) of every id at every place. Forwards the shares are the ids, one-hot, to the
last bit. Backwards they tell what would stand there if cells were otherwise.

That is no guess. A cell counts as 0 or 1, with the gradient of a sigmoid (straight-through). From cells follow chances of what comes
next, given the tokens before: a note begins where a cell sounds and the one before does not; the next token is the first note from here
on, or the end of the bar; a note lasts until the first cell that is silent. Where all cells are 0 or 1 so are the chances, and their
gradients are written down here: the share that a token gains if one more note begins before the one that was next, the share that the
one after gains if that is taken away, and the shares of other durations if a note ends sooner or goes on.
It is of first order: a cell that lets a note begin a step sooner adds one beginning and takes one away, and both are counted. Only shares
change, never the number of tokens: a gradient knows nothing of what the tokens of an added note would cost after its first.

The rules for what is a note are those of the codec: of the melody's track the one line on top, where a lower note under a held one is
passed over; of the accompaniment what does not double the melody, at most so many notes a step, the lowest and the highest ones. Which
notes these rules leave out is taken as given. All notes are equally loud, there is no tempo. It knows ids and cells alone.

Source: Bengio, Léonard and Courville 2013, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation"
(straight-through); the rest is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

VOICES = 4
"""Notes of the accompaniment that begin in one step, at most."""

SLOPE = 4.0
"""Steepness of the sigmoid whose gradient a cell has."""

START, BAR, POSITION, ON, DURATION, VELOCITY, END, PADDING = range(8)
"""Kinds of tokens."""


@dataclass(frozen=True)
class Places:
    """Where the tokens of a theme stand among the ids; 0 is padding.

    Args:
        vocabulary: Number of ids.
        start: Of the beginning of a theme.
        end: Of its end.
        bar: Of a bar line.
        position: Of the first step of a bar; the others follow.
        on: Of the lowest row, for the melody and for the accompaniment; the others follow.
        duration: Of one step, for either; the others follow.
        velocity: Of the one loudness, for either.
    """

    vocabulary: int
    start: int
    end: int
    bar: int
    position: int
    on: tuple[int, int]
    duration: tuple[int, int]
    velocity: tuple[int, int]


@dataclass(frozen=True)
class SoftTheme:
    """Themes as tokens.

    Args:
        ids: (B, T), padded with 0 at the end.
        shares: (B, T, V) float: one-hot in value; the gradients are what it is for.
    """

    ids: Tensor
    shares: Tensor

    def embedded(self, matrix: Tensor) -> Tensor:
        """(B, T, D) the rows of `matrix` (V, D) that the ids name; padding is 0."""
        return self.shares @ matrix


def soft_theme(scores: Tensor, places: Places, *, voices: int = VOICES, slope: float = SLOPE) -> SoftTheme:
    """Rolls as themes.

    Args:
        scores: (B, 2, L, S, P) of the melody's track and of the accompaniment's.
        places: Where the tokens stand.
        voices: Notes of the accompaniment that may begin in one step; the lowest is always among them.
        slope: Steepness of the sigmoid whose gradient a cell has.
    """
    cells = scores.flatten(2, 3)  # (B, 2, N, P)
    sounds = cells.detach() > 0
    likely = torch.sigmoid(slope * cells)
    cells = sounds.to(likely.dtype) + (likely - likely.detach())
    kept = _kept(sounds, voices)
    begins = cells * (1 - functional.pad(cells, (0, 0, 1, 0))[:, :, :-1])
    begins = begins * (kept | (begins.detach() == 0))  # what the rules leave out is no note, whatever its neighbours do
    goes_on = torch.stack([cells[:, 0] * (1 - begins[:, 0]).prod(dim=-1, keepdim=True), cells[:, 1]], dim=1)
    return _Bridge(places, scores.shape[3], scores.shape[4], scores.shape[2]).theme(kept, begins, goes_on)


# --- which cells are notes ------------------------------------------------------------------------------------------------------------


def _kept(sounds: Tensor, voices: int) -> Tensor:
    """(B, 2, N, P) true where a cell of `sounds`, of the same shape, begins a note that is written."""
    begins = sounds & ~functional.pad(sounds, (0, 0, 1, 0))[:, :, :-1]
    melody = _line(begins[:, 0], _runs(sounds[:, 0]))
    others = begins[:, 1] & ~melody
    from_top = others.flip(-1).cumsum(dim=-1).flip(-1)  # 1 for the highest, ...
    lowest = others & (others.cumsum(dim=-1) == 1)
    return torch.stack([melody, others & ((from_top < voices) | lowest)], dim=1)


def _runs(sounds: Tensor) -> Tensor:
    """(..., N, P) in how many steps from here on each cell of `sounds` (..., N, P) stays true."""
    runs = torch.zeros(sounds.shape, dtype=torch.long, device=sounds.device)
    longest = torch.zeros_like(runs[..., 0, :])
    for step in reversed(range(sounds.shape[-2])):
        longest = torch.where(sounds[..., step, :], longest + 1, 0)
        runs[..., step, :] = longest
    return runs


def _line(begins: Tensor, runs: Tensor) -> Tensor:
    """(B, N, P) the one line on top of the notes that `begins` (B, N, P) says, `runs` (B, N, P) steps long.

    Of notes that begin together the highest is taken. A lower one under one that is held is passed over if that lasts for half of it or
    more, and by more than a quarter of its own length.
    """
    kept = torch.zeros_like(begins)
    rows = torch.arange(len(begins), device=begins.device)
    start, length, height = (torch.full_like(rows, value) for value in (0, 0, -1))
    for step in range(begins.shape[1]):
        here = begins[:, step]
        pitch = torch.where(here.any(1), here.shape[1] - 1 - here.flip(1).int().argmax(1), -1)  # the highest
        long = runs[rows, step, pitch]
        over = start + length - step
        held = (2 * torch.minimum(over, long) >= long) & (4 * over > length)
        taken = (pitch >= 0) & ~((over > 0) & (pitch < height) & held)
        kept[rows[taken], step, pitch[taken]] = True
        start, length, height = (torch.where(taken, new, old) for new, old in ((step, start), (long, length), (pitch, height)))
    return kept


# --- notes as tokens ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slots:
    """What stands at each place of a sequence (B, T).

    Args:
        kind: START ... PADDING.
        note: The candidate that On, Duration and Velocity belong to; candidates are all cells of all steps, in the order of the tokens.
        step: The step of those and of positions; of a bar line that of the bar's first one.
    """

    kind: Tensor
    note: Tensor
    step: Tensor


class _Bridge:
    """The rules by which notes become tokens, for rolls of one shape.

    Letters: N steps of all bars, W = 2 P candidates of a step: the melody's from the top, then the accompaniment's; K = N W.
    """

    def __init__(self, places: Places, steps_per_bar: int, n_pitches: int, n_bars: int) -> None:
        self.places, self.n_bars, self.per_bar, self.n_pitches = places, n_bars, steps_per_bar, n_pitches
        self.width, self.n_steps = 2 * n_pitches, n_bars * steps_per_bar
        self.n_candidates = self.n_steps * self.width

    def theme(self, kept: Tensor, begins: Tensor, goes_on: Tensor) -> SoftTheme:
        """The tokens; all three are (B, 2, N, P)."""
        rows = kept.flip(-1).permute(0, 2, 1, 3).flatten(2)  # (B, N, W)
        slots = self._slots(rows)
        change = _nothing(begins.flip(-1).permute(0, 2, 1, 3).flatten(1))  # (B, K)
        goes_on = goes_on.flip(-1).transpose(2, 3).flatten(1, 2)  # (B, W, N)
        lengths = functional.pad(_runs(goes_on.detach().bool().transpose(1, 2)).transpose(1, 2), (0, 2))  # (B, W, N + 2)
        ids = self._ids(slots, lengths)
        shares = functional.one_hot(ids, self.places.vocabulary).to(begins.dtype) * (ids > 0)[..., None]
        if change.requires_grad:
            shares = self._what_else_begins(shares, ids, slots, change)
            shares = self._how_else_it_lasts(shares, ids, slots, _nothing(goes_on), lengths)
        return SoftTheme(ids, shares)

    def _slots(self, kept: Tensor) -> _Slots:
        """Of all tokens that could stand somewhere in a theme those that do, in order. `kept` is (B, N, W)."""
        n, device = len(kept), kept.device
        notes = kept[..., None].expand(-1, -1, -1, 3).flatten(2)  # (B, N, 3 W)
        with_positions = torch.cat([kept.any(2, keepdim=True), notes], dim=2).view(n, self.n_bars, -1)
        one = torch.ones(n, 1, dtype=torch.bool, device=device)
        bars = torch.cat([one[:, None].expand(-1, self.n_bars, -1), with_positions], dim=2).flatten(1)
        there = torch.cat([one, bars, one], dim=1)  # (B, all)
        row, place = there.nonzero(as_tuple=True)
        rank = (there.cumsum(1) - 1)[row, place]
        shape = (n, int(there.sum(1).max()))
        tables = [table.to(device) for table in self._tables()]
        kind, note, step = (torch.full(shape, fill, device=device) for fill in (PADDING, self.n_candidates, self.n_steps))
        for made, table in zip((kind, note, step), tables, strict=True):
            made[row, rank] = table[place]
        return _Slots(kind, note, step)

    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """Kind, candidate and step of all tokens that could stand in a theme, in order."""
        candidates = torch.arange(self.n_candidates).view(self.n_steps, self.width, 1).expand(-1, -1, 3).reshape(self.n_steps, -1)
        kinds = torch.tensor([ON, DURATION, VELOCITY]).repeat(self.n_steps, self.width)
        first = torch.full((self.n_steps, 1), self.n_candidates)
        steps = torch.arange(self.n_steps)[:, None].expand(-1, 1 + 3 * self.width).reshape(self.n_bars, -1)
        out = []
        for edge, bar, table in (
            ((START, END), BAR, torch.cat([torch.full_like(first, POSITION), kinds], dim=1)),
            ((self.n_candidates, self.n_candidates), self.n_candidates, torch.cat([first, candidates], dim=1)),
            ((0, self.n_steps), None, steps),
        ):
            table = table.reshape(self.n_bars, -1)
            head = torch.full_like(table[:, :1], bar) if bar is not None else table[:, :1]
            inner = torch.cat([head, table], dim=1).flatten()
            out.append(torch.cat([torch.tensor(edge[:1]), inner, torch.tensor(edge[1:])]))
        return out[0], out[1], out[2]

    def _ids(self, slots: _Slots, lengths: Tensor) -> Tensor:
        """(B, T)."""
        places, track = self.places, slots.note % self.width >= self.n_pitches
        by_track = {
            name: torch.where(track, pair[1], pair[0]) for name, pair in (("duration", places.duration), ("velocity", places.velocity))
        }
        ids = torch.zeros_like(slots.kind)
        for kind, value in (
            (START, torch.full_like(ids, places.start)),
            (BAR, torch.full_like(ids, places.bar)),
            (POSITION, places.position + slots.step % self.per_bar),
            (ON, self._on(slots.note)),
            (DURATION, by_track["duration"] + self._length(slots, lengths) - 1),
            (VELOCITY, by_track["velocity"]),
            (END, torch.full_like(ids, places.end)),
        ):
            ids = torch.where(slots.kind == kind, value, ids)
        return ids

    def _on(self, note: Tensor) -> Tensor:
        """The id with which a candidate begins."""
        place, pitch = note % self.width, self.n_pitches - 1 - note % self.n_pitches
        return torch.where(place >= self.n_pitches, self.places.on[1], self.places.on[0]) + pitch

    def _length(self, slots: _Slots, lengths: Tensor) -> Tensor:
        """(B, T) how many steps the note at a place lasts: its first one, and those in which it goes on."""
        return 1 + _at(lengths, slots.note % self.width, (slots.step + 1).clamp(max=self.n_steps))

    # --- what else could stand there --------------------------------------------------------------------------------------------------

    def _what_else_begins(self, shares: Tensor, ids: Tensor, slots: _Slots, change: Tensor) -> Tensor:
        """Shares of other positions, notes and bar lines, by the `change` (B, K) of candidates: 0 in value.

        At a place where something is decided, candidates from `first` on were open; `found` is the one that was the next, or the end of
        the bar.
        """
        kind, step, width, per_bar = slots.kind, slots.step, self.width, self.per_bar
        last = torch.where(kind == VELOCITY, slots.note, -1).cummax(dim=1).values  # the note before
        is_melody = last % width < self.n_pitches
        resumed = torch.where(last < 0, 0, torch.where(is_melody, last // width * width + self.n_pitches, last + 1))
        bar = torch.where((kind == BAR) | (kind == END), step // per_bar - 1, step // per_bar).clamp(0, self.n_bars - 1)
        here = torch.where((last >= 0) & (last // width // per_bar == bar), last // width, -1)  # the position in force
        here = torch.where(kind == ON, step, here)
        placed = functional.pad(kind, (1, 0), value=PADDING)[:, :-1] == POSITION  # notes of this step, and no others
        bar_first, bar_end = bar * per_bar * width, (bar + 1) * per_bar * width
        first = torch.maximum(resumed, torch.where(placed, step * width, bar_first))
        following = _next_note(slots, self.n_candidates)
        found = torch.where(kind == ON, slots.note, torch.where(kind == POSITION, following, bar_end))
        decided = (kind == ON) | (kind == POSITION) | (((kind == BAR) | (kind == END)) & (step > 0))
        first = torch.where(decided, first, 0)
        found = torch.where(decided, found, 0)
        shares = self._one_more(shares, ids, change, (first, found, here, bar))
        after = torch.where(kind == ON, following, functional.pad(following, (0, 1), value=self.n_candidates)[:, 1:])
        where = after // width
        instead = torch.where(where == here, self._on(after), self.places.position + where % per_bar)
        closing = torch.where(bar == self.n_bars - 1, self.places.end, self.places.bar)
        instead = torch.where(after >= bar_end, closing, instead)
        goes = ((kind == ON) | (kind == POSITION)) & ~(placed & (where != step))
        lost = torch.where(goes, change.gather(1, found.clamp(max=self.n_candidates - 1)), 0)[..., None]
        return shares.scatter_add(2, ids[..., None], lost).scatter_add(2, instead[..., None], -lost)

    def _one_more(self, shares: Tensor, ids: Tensor, change: Tensor, span: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """With the shares of what stands there instead if a candidate before the one that was found begins a note."""
        first, found, here, bar = span
        sums = functional.pad(change.cumsum(1), (1, 0))  # (B, K + 1)
        shares = shares.scatter_add(2, ids[..., None], (sums.gather(1, first) - sums.gather(1, found))[..., None])
        places, width = self.places, self.width
        base = here.clamp(min=0)[..., None] * width + torch.arange(width, device=ids.device)  # (B, T, W) the step itself
        open_here = (here[..., None] >= 0) & (base >= first[..., None]) & (base < found[..., None])
        at_once = torch.where(open_here, change.gather(1, base.flatten(1)).view(base.shape), 0)
        for track, on in enumerate(places.on):
            part = at_once[..., track * self.n_pitches : (track + 1) * self.n_pitches].flip(-1)
            shares = shares + functional.pad(part, (on, places.vocabulary - on - self.n_pitches))
        steps = bar[..., None] * self.per_bar + torch.arange(self.per_bar, device=ids.device)  # (B, T, S) later steps
        low = torch.maximum(steps * width, first[..., None])
        high = torch.minimum((steps + 1) * width, found[..., None])
        later = torch.where((high > low) & (steps > here[..., None]), _pick(sums, high) - _pick(sums, low), 0)
        return shares + functional.pad(later, (places.position, places.vocabulary - places.position - self.per_bar))

    def _how_else_it_lasts(self, shares: Tensor, ids: Tensor, slots: _Slots, change: Tensor, lengths: Tensor) -> Tensor:
        """With the shares of other durations, by the `change` (B, W, N) of cells in which a note goes on: 0 in value."""
        place, step = slots.note % self.width, slots.step[..., None]
        length = self._length(slots, lengths)[..., None]  # (B, T, 1)
        steps = torch.arange(self.n_steps, device=ids.device)
        index = place[..., None].expand(-1, -1, self.n_steps)
        change = torch.where((slots.kind == DURATION)[..., None], change.gather(1, index), 0)  # (B, T, N)
        base = (ids[..., None] - length) * (slots.kind == DURATION)[..., None]  # the id of no steps at all
        shorter = torch.where((steps > step) & (steps < step + length), change, 0)
        shares = shares.scatter_add(2, base + (steps - step).clamp(min=0), -shorter)
        then = (step + length)[..., 0]
        longer = torch.where(steps == step + length, change, 0).sum(2, keepdim=True)
        further = length + 1 + _at(lengths, place, (then + 1).clamp(max=self.n_steps))[..., None]
        shares = shares.scatter_add(2, base + further.clamp(max=self.n_steps), longer)
        return shares.scatter_add(2, ids[..., None], shorter.sum(2, keepdim=True) - longer)


def _nothing(values: Tensor) -> Tensor:
    """Zeros with the gradients of `values`."""
    return values - values.detach()


def _at(table: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """(B, T) what stands in `table` (B, R, C) at `row` and `column`, both (B, T)."""
    return table.flatten(1).gather(1, row * table.shape[2] + column)


def _pick(sums: Tensor, places: Tensor) -> Tensor:
    """(B, T, S) the values of `sums` (B, K + 1) at `places` (B, T, S)."""
    return sums.gather(1, places.clamp(0, sums.shape[1] - 1).flatten(1)).view(places.shape)


def _next_note(slots: _Slots, none: int) -> Tensor:
    """(B, T) the candidate of the first On after each place; `none` if there is none."""
    own = torch.where(slots.kind == ON, slots.note, none)
    until_here = own.flip(1).cummin(dim=1).values.flip(1)
    return functional.pad(until_here, (0, 1), value=none)[:, 1:]
