"""Decoding: forced tokens are fed together, the window slides at bar lines with the controls in front, seeds repeat."""

from __future__ import annotations

import numpy as np

from kapelle.sampling.decode import Frame, decode
from kapelle.sampling.options import SamplingOptions

BAR, END, NOTE_A, NOTE_B, CONTROL, BOS = range(6)
FRAME = Frame((CONTROL,), (BOS,), BAR, END, frozenset({NOTE_A, NOTE_B}))


class Memory:
    """A session that remembers what it was fed and prefers nothing."""

    def __init__(self, context: int | None) -> None:
        self.context = context
        self.held: list[int] = []
        self.windows: list[list[int]] = []
        self.calls: list[int] = []

    @property
    def position(self) -> int:
        return len(self.held)

    def feed(self, ids: np.ndarray) -> np.ndarray:
        assert self.context is None or len(self.held) + len(ids) <= self.context
        assert len(ids)
        if not self.held:
            self.windows.append(ids.tolist())
        self.held += ids.tolist()
        self.calls.append(len(ids))
        return np.zeros(6, np.float32)

    def reset(self) -> None:
        self.held = []


class Bars:
    """Two free notes in every bar, `n` bars."""

    def __init__(self, n: int) -> None:
        self.n, self.bars, self.notes = n, 0, 2

    def forced(self) -> int | None:
        if self.notes < 2:
            return None
        return BAR if self.bars < self.n else END

    def mask(self) -> np.ndarray:
        return np.isin(np.arange(6), [NOTE_A, NOTE_B])

    def leanings(self) -> dict[int, float]:
        return {}

    def accept(self, token: int) -> None:
        if token == BAR:
            self.bars, self.notes = self.bars + 1, 0
        elif token in (NOTE_A, NOTE_B):
            self.notes += 1


def run(context: int | None, n_bars: int, seed: int = 0, prompt: tuple[int, ...] = ()) -> tuple[list[int], Memory]:
    memory = Memory(context)
    tokens = list(decode(memory, FRAME, Bars(n_bars), SamplingOptions(), np.random.default_rng(seed), prompt))
    return tokens, memory


def test_the_sequence_ends_with_the_end_token_and_has_every_bar() -> None:
    tokens, _ = run(None, 5)
    assert tokens.count(BAR) == 5
    assert tokens.index(END) == len(tokens) - 1


def test_forced_tokens_are_fed_together_with_what_follows() -> None:
    _, memory = run(None, 3)
    assert memory.calls == [3, 1, 2, 1, 2, 1]  # control, BOS and bar at once; then note; then note and bar ...


def test_the_window_slides_at_a_bar_line_with_the_controls_in_front_and_no_bos() -> None:
    tokens, memory = run(16, 40)
    assert tokens.count(BAR) == 40
    assert memory.windows[0][:2] == [CONTROL, BOS]
    assert len(memory.windows) > 3
    for window in memory.windows[1:]:
        assert window[:2] == [CONTROL, BAR]
        assert BOS not in window
        assert len(window) <= 16 // 2 + 2


def test_a_memory_without_limit_is_never_read_again() -> None:
    _, memory = run(None, 40)
    assert len(memory.windows) == 1


def test_the_prompt_is_heard_and_not_given_again() -> None:
    tokens, memory = run(None, 2, prompt=(BAR, NOTE_A, NOTE_B))
    assert memory.windows[0] == [CONTROL, BOS, BAR, NOTE_A, NOTE_B, BAR]
    assert len(tokens) == 2 * 3 + 1


def test_a_prompt_longer_than_the_context_is_cut_at_a_bar_line() -> None:
    _, memory = run(16, 2, prompt=(BAR, NOTE_A, NOTE_B) * 20)
    assert memory.windows[0][:2] == [CONTROL, BAR]


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others() -> None:
    assert run(16, 20, seed=3)[0] == run(16, 20, seed=3)[0]
    assert run(16, 20, seed=3)[0] != run(16, 20, seed=4)[0]


def test_the_end_of_a_region_gets_the_probability_of_the_bar_line_that_it_stands_before() -> None:
    class Certain(Memory):
        """Wants a bar line, and nothing else."""

        def feed(self, ids: np.ndarray) -> np.ndarray:
            return super().feed(ids) + 20.0 * (np.arange(6) == BAR).astype(np.float32)

    class Region(Bars):
        """After the first note a note, or the end of the region (CONTROL), may follow; no bar line."""

        def mask(self) -> np.ndarray:
            return np.isin(np.arange(6), [NOTE_A, CONTROL])

        def accept(self, token: int) -> None:
            self.notes = 2 if token == CONTROL else 0
            self.bars += token == CONTROL

    def notes(closing: tuple[int, ...], seed: int) -> int:
        rules = Region(1)
        rules.notes = 0
        random = np.random.default_rng(seed)
        tokens = decode(Certain(None), Frame((), (BOS,), BAR, END, closing=closing), rules, SamplingOptions(temperature=1.0), random)
        return sum(token == NOTE_A for token in tokens)

    assert [notes((CONTROL,), seed) for seed in range(20)] == [0] * 20
    assert sum(notes((), seed) for seed in range(20)) >= 10
