from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kapelle.models.soft_bridge import Places, _kept, soft_theme  # noqa: E402
from kapelle.score import melody  # noqa: E402
from kapelle.score.edit import note_arrays  # noqa: E402
from kapelle.score.roll import FORMS, Roll, to_score  # noqa: E402
from kapelle.tokens import theme as tokens  # noqa: E402

FORM = FORMS["tutorial"]
WORDS = tokens.vocabulary("paper")
PLACES = Places(
    len(WORDS),
    WORDS["Theme_Start"],
    WORDS["Theme_End"],
    WORDS["Bar_None"],
    WORDS["Position_0"],
    (WORDS[f"Note-On-MELODY_{FORM.lowest_pitch}"], WORDS[f"Note-On-PIANO_{FORM.lowest_pitch}"]),
    (WORDS["Note-Duration-MELODY_1"], WORDS["Note-Duration-PIANO_1"]),
    (WORDS["Note-Velocity-MELODY_80"], WORDS["Note-Velocity-PIANO_80"]),
)
TINY = Places(60, 1, 2, 3, 4, (8, 13), (18, 26), (34, 35))
"""Of 2 bars of 4 steps and 5 rows."""


def rolls(n: int, shape: tuple[int, ...], density: float, seed: int = 0) -> np.ndarray:
    """(n, 2, L, S, P) cells that tend to go on for some steps, as notes do."""
    draw = np.random.default_rng(seed)
    n_steps = shape[0] * shape[1]
    out = draw.random((n, 2, n_steps, shape[2])) < density
    for step in range(1, n_steps):
        out[:, :, step] |= out[:, :, step - 1] & (draw.random(out[:, :, step].shape) < 0.6)
    return out.reshape(n, 2, *shape)


def scores(cells: np.ndarray, size: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.where(cells, size, -size)).float()


def by_the_codec(cells: np.ndarray, voices: int | None = None) -> np.ndarray:
    """The tokens of one roll (2, L, S, P) of guitar and piano, by way of a score."""
    score = to_score(Roll(cells, ("guitar", "piano"), FORM), velocities=80)
    guitar, piano = (melody.on_grid(note_arrays(track), score.tpq) for track in score.tracks)
    top = melody.line(guitar).notes
    piano = melody._not_doubled(piano, top)
    if voices is not None:
        keep = np.zeros(len(piano["time"]), bool)
        for time in np.unique(piano["time"]):
            here = np.flatnonzero(piano["time"] == time)
            here = here[np.argsort(-piano["pitch"][here])]
            keep[[*here[: voices - 1], here[-1]]] = True
        piano = {name: column[keep] for name, column in piano.items()}
    made = melody.assembled(score, top, piano)
    return tokens.theme_ids(made, tokens.ThemeSpec("paper"), n_bars=cells.shape[1])


@pytest.mark.parametrize("density", [0.0, 0.002, 0.01, 0.04])
def test_hard_rolls_become_the_tokens_of_the_codec(density: float) -> None:
    cells = rolls(24, (2, 16, 72), density, seed=int(density * 1000))
    found = soft_theme(scores(cells), PLACES, voices=72)
    for row, roll in zip(found.ids, cells, strict=True):
        wanted = by_the_codec(roll)
        assert row[: len(wanted)].tolist() == wanted.tolist()
        assert (row[len(wanted) :] == 0).all()


def test_of_a_full_chord_the_highest_and_the_lowest_stay() -> None:
    cells = rolls(12, (2, 16, 72), 0.03, seed=5)
    found = soft_theme(scores(cells), PLACES, voices=3)
    for row, roll in zip(found.ids, cells, strict=True):
        assert row[row > 0].tolist() == by_the_codec(roll, voices=3).tolist()


def test_shares_are_the_ids_to_the_last_bit_and_embed_as_they_do() -> None:
    made = scores(rolls(6, (2, 16, 72), 0.02)).requires_grad_()
    found = soft_theme(made, PLACES)
    assert torch.equal(found.shares, torch.nn.functional.one_hot(found.ids, PLACES.vocabulary) * (found.ids > 0)[..., None].float())
    embedding = torch.nn.Embedding(PLACES.vocabulary, 8, padding_idx=0)
    assert torch.equal(found.embedded(embedding.weight), embedding(found.ids))


@pytest.mark.parametrize("seed", range(12))
def test_the_gradient_is_that_of_the_chances_of_every_token(seed: int) -> None:
    """Against a plain transcription: chances of what comes next as products over the cells, differentiated by torch."""
    cells = rolls(1, (2, 4, 5), 0.12 + 0.2 * (seed % 2), seed)
    made = scores(cells).double().requires_grad_()
    found = soft_theme(made, TINY, voices=5, slope=1.0)
    cost = torch.from_numpy(np.random.default_rng(seed).random(found.shares.shape))
    (gradient,) = torch.autograd.grad((found.shares * cost).sum(), made)
    plain = torch.from_numpy(cells[0].reshape(2, 8, 5).astype(float)).requires_grad_()
    whole = Transcription(plain, cells[0].reshape(2, 8, 5), cost[0]).cost()
    assert float(whole.detach()) == pytest.approx(float((found.shares * cost).sum().detach()))
    (wanted,) = torch.autograd.grad(whole, plain)
    steep = math.exp(-1) / (1 + math.exp(-1)) ** 2
    assert torch.allclose(gradient.view(2, 8, 5) / steep, wanted, atol=1e-9)
    assert (wanted != 0).sum() > 20


class Transcription:
    """The expected cost of every token, given those before it, of two bars of four steps and five rows."""

    def __init__(self, cells: torch.Tensor, hard: np.ndarray, cost: torch.Tensor) -> None:
        self.kept = _kept(torch.from_numpy(hard)[None], 5)[0].numpy()
        began = hard & ~np.pad(hard, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        before = torch.cat([torch.zeros(2, 1, 5, dtype=torch.double), cells[:, :-1]], 1)
        self.begins = cells * (1 - before) * torch.from_numpy(~(began & ~self.kept))
        self.cells, self.costs, self.place = cells, cost, 0

    def cost(self) -> torch.Tensor:
        total, at = self._fixed(TINY.start), (0, 0, 0, -1)  # step, track, row from the top; the position in force
        for bar in range(2):
            total = total + (self._fixed(TINY.bar) if bar == 0 else self._next(0, *at))
            at = (bar * 4, 0, 0, -1)
            for step in range(bar * 4, bar * 4 + 4):
                if not self.kept[:, step].any():
                    continue
                total, at, placed = total + self._next(bar, *at), (step, 0, 0, step), True
                for track, down in np.argwhere(self.kept[:, step, ::-1]).tolist():
                    total = total + self._next(bar, *at, placed=placed) + self._lasts(track, step, 4 - down)
                    total, placed = total + self._fixed(TINY.velocity[track]), False
                    at = (step, 1, 0 if track == 0 else down + 1, step)
        return total + self._next(1, *at)

    def _fixed(self, token: int) -> torch.Tensor:
        self.place += 1
        return self.costs[self.place - 1, token]

    def _next(self, bar: int, step: int, track: int, down: int, position: int, *, placed: bool = False) -> torch.Tensor:
        """The note that is first from here on, or the end of the bar; after a position, given that there is one in this step."""
        total, none_yet = torch.zeros((), dtype=torch.double), torch.ones((), dtype=torch.double)
        for here in range(step, step + 1 if placed else bar * 4 + 4):
            for part in range(2):
                for row in range(5):
                    if (here, part, row) >= (step, track, down):
                        token = TINY.on[part] + 4 - row if here == position else TINY.position + here % 4
                        chance = none_yet * self.begins[part, here, 4 - row]
                        total = total + chance * self.costs[self.place, token]
                        none_yet = none_yet * (1 - self.begins[part, here, 4 - row])
        self.place += 1
        if placed:
            return total / (1 - none_yet)
        return total + none_yet * self.costs[self.place - 1, TINY.bar if bar == 0 else TINY.end]

    def _lasts(self, track: int, step: int, row: int) -> torch.Tensor:
        total, still = torch.zeros((), dtype=torch.double), torch.ones((), dtype=torch.double)
        for after in range(step + 1, 9):
            goes_on = self.cells[track, after, row] if after < 8 else torch.zeros((), dtype=torch.double)
            if track == 0 and after < 8:
                goes_on = goes_on * (1 - self.begins[0, after]).prod()
            total = total + still * (1 - goes_on) * self.costs[self.place, TINY.duration[track] + after - step - 1]
            still = still * goes_on
        self.place += 1
        return total
