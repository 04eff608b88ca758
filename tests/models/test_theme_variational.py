from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from kapelle.errors import UsageError  # noqa: E402
from kapelle.models import theme  # noqa: E402
from kapelle.models.theme_variational import Config, between, build, divergence  # noqa: E402

TINY = {
    "vocabulary": 30,
    "n_positions": 64,
    "d_model": 16,
    "n_head": 2,
    "d_ff": 32,
    "n_encoder": 1,
    "n_decoder": 2,
    "exclusive": (0, 1),
    "dropout": 0.0,
}


def network(**more: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(Config(**{**TINY, "slots": 3, "latent": 4, **more}))


def some(n: int = 2, length: int = 9, seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 30, (n, length), generator=torch.Generator().manual_seed(seed))


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    mean, spread = torch.tensor([[[1.0, -2.0]]]), torch.tensor([[[0.0, math.log(4.0)]]])
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(mean, (spread / 2).exp()), normal(torch.zeros(1), torch.ones(1))).sum()
    assert divergence(mean, spread).shape == (1, 1)
    assert float(divergence(mean, spread)) == pytest.approx(float(wanted))
    assert float(divergence(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))) == 0


def test_free_nats_cost_nothing_and_pull_at_nothing() -> None:
    mean = torch.tensor([[[0.1, 0.1], [3.0, 3.0]]], requires_grad=True)
    told = divergence(mean, torch.zeros(1, 2, 2), free=2.0)
    assert told.tolist() == [[2.0, 9.0]]
    told.sum().backward()
    assert mean.grad is not None and mean.grad.tolist() == [[[0.0, 0.0], [3.0, 3.0]]]


def test_the_memory_has_one_size_whatever_the_theme_and_does_not_hear_padding() -> None:
    made = network().eval()
    short, long = some(1, 5), some(1, 20)
    assert made.encode(short).shape == made.encode(long).shape == (1, 3, 16)
    padded = torch.nn.functional.pad(short, (0, 7))
    assert torch.allclose(made.encode(padded), made.encode(short), atol=1e-6)


def test_the_mean_is_heard_after_training_and_draws_in_it() -> None:
    made, ids, labels = network(), some(), torch.arange(1, 10).expand(2, -1)
    made.eval()
    assert torch.equal(made(ids, labels, some(seed=1)), made(ids, labels, some(seed=1)))
    made.train()
    torch.manual_seed(1)
    first = made(ids, labels, some(seed=1))
    assert not torch.equal(first, made(ids, labels, some(seed=1)))
    torch.manual_seed(1)
    assert torch.equal(first, made(ids, labels, some(seed=1)))


def test_the_way_between_two_themes_begins_and_ends_with_them_and_moves_evenly() -> None:
    made = network().eval()
    one, other = made.posterior(some(1, 6))[0][0], made.posterior(some(1, 12, 5))[0][0]
    way = between(one, other, torch.linspace(0, 1, 5))
    assert torch.equal(way[0], one) and torch.allclose(way[-1], other)
    steps = (way[1:] - way[:-1]).flatten(1).norm(dim=1)
    assert torch.allclose(steps, steps[0].expand(4), atol=1e-6) and made.memory(way).shape == (5, 3, 16)


def test_it_begins_with_the_weights_of_a_plain_network() -> None:
    torch.manual_seed(3)
    plain, made = theme.build(theme.Config(**TINY)), network()
    missing, unknown = made.load_state_dict(plain.state_dict(), strict=False)
    assert not unknown and all(name.startswith(made.NEW) for name in missing)
    assert torch.equal(made.output_layer.weight, plain.output_layer.weight)
    outside = torch.zeros(2, 9, dtype=torch.long)
    assert torch.allclose(made.eval()(some(), outside, some(seed=1)), plain.eval()(some(), outside, some(seed=1)), atol=1e-6)


def test_what_it_is_not_made_for_is_refused() -> None:
    with pytest.raises(UsageError, match="variant theme, not prompt"):
        Config(**TINY, variant="prompt")
