"""MuseGAN: its tables are the published ones, its parts hear what the paper says that they hear, and everything can be trained."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from kapelle import models
from kapelle.errors import CannotObey, UsageError
from kapelle.models import musegan
from kapelle.models.musegan import layers
from kapelle.models.musegan.layers import Layer

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from kapelle.models.musegan import network, rows  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)  # these networks are too small to share out

PAPER = {"n_tracks": 5, "n_bars": 4, "n_steps": 96, "n_pitches": 84}
SMALL = {"n_tracks": 5, "n_bars": 4, "n_steps": 16, "n_pitches": 72}
MODELS = ("jamming", "composer", "hybrid")


def config(form: dict[str, int] | None = None, **options: Any) -> musegan.Config:
    return musegan.Config(**{**(form or SMALL), "width": 0.05, **options})


def built(shape: musegan.Config, seed: int = 0) -> Any:
    """A network whose weights are large enough for outputs that differ."""
    torch.manual_seed(seed)
    made = musegan.build(shape)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return made


def latents(shape: musegan.Config, n: int = 2, seed: int = 1) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(n, *sides, generator=draw) for name, sides in musegan.latents(shape).items()}


def cells(shape: musegan.Config, n: int = 2, seed: int = 2) -> Any:
    sides = (shape.n_tracks, shape.n_bars, shape.n_steps, shape.n_pitches)
    return torch.rand(n, *sides, generator=torch.Generator().manual_seed(seed)) < 0.1


def table(found: tuple[Layer, ...]) -> list[tuple[int, int, int]]:
    return [(layer.steps, layer.pitches, layer.channels) for layer in found]


# --- tables -----------------------------------------------------------------------------------------------------------------


def test_the_bar_generator_of_the_paper_has_the_published_layers() -> None:
    found = layers.bar_generator(musegan.Config(**PAPER), 1)
    assert table(found) == [(2, 1, 512), (4, 1, 512), (8, 1, 256), (16, 1, 256), (32, 1, 128), (96, 1, 128), (96, 7, 64), (96, 84, 1)]
    assert [(layer.axis, layer.kernel) for layer in found[1:]] == [("time", 2)] * 4 + [("time", 3), ("pitch", 7), ("pitch", 12)]


def test_the_bar_generator_of_sixteen_steps_follows_the_same_rules() -> None:
    found = layers.bar_generator(musegan.Config(**SMALL, width=0.5), 5)
    assert table(found) == [(2, 1, 256), (4, 1, 256), (8, 1, 128), (16, 1, 128), (16, 6, 32), (16, 72, 5)]


def test_the_encoder_mirrors_the_bar_generator() -> None:
    shape = musegan.Config(**PAPER, conditional=True)
    found = layers.encoder(shape)
    assert table(found) == [(96, 7, 16), (96, 1, 16), (32, 1, 16), (16, 1, 16), (8, 1, 16), (4, 1, 16), (2, 1, 16)]
    for layer, before, feature in zip(layers.bar_generator(shape, 1)[1:], layers.bar_generator(shape, 1), reversed(found), strict=False):
        assert (before.steps, before.pitches) == (feature.steps, feature.pitches)
        assert layer.inputs == before.channels + 16


def test_the_critic_of_the_paper_has_the_published_layers() -> None:
    found = layers.bar_critic(musegan.Config(**PAPER), 5)
    assert table(found) == [(96, 7, 128), (96, 1, 128), (48, 1, 128), (24, 1, 128), (11, 1, 256), (5, 1, 512)]
    assert [(layer.kernel, layer.stride) for layer in found] == [(12, 12), (7, 7), (2, 2), (2, 2), (4, 2), (3, 2)]
    assert found[-1].steps * found[-1].channels == 2560


def test_the_critic_of_sixteen_steps_reads_what_remains_in_one() -> None:
    assert table(layers.bar_critic(musegan.Config(**SMALL), 1)) == [(16, 6, 128), (16, 1, 128), (8, 1, 128), (4, 1, 128), (1, 1, 512)]


@pytest.mark.parametrize(("conditional", "expected"), [(False, 1_228_481), (True, 1_278_849)])
def test_a_bar_generator_of_the_paper_has_the_published_number_of_parameters(conditional: bool, expected: int) -> None:
    made = network.BarGenerator(layers.bar_generator(musegan.Config(**PAPER, conditional=conditional), 1))
    assert sum(weight.numel() for weight in made.parameters()) == expected


@pytest.mark.parametrize("form", [PAPER, SMALL])
def test_every_layer_gives_what_its_table_tells(form: dict[str, int]) -> None:
    shape = config(form, conditional=True, hears_beats=True)
    made, seen = musegan.build(shape), {}
    for name, part in made.named_modules():
        part.register_forward_hook(lambda _part, _inputs, out, name=name: seen.update({name: out}))
    given = musegan.real(shape, cells(shape))
    made.critic(made.generator(latents(shape), given))
    n_bars = 2 * shape.n_bars
    for layer in layers.bar_generator(shape, 1)[1:]:
        for track in range(5):
            assert seen[f"generator.bars.{track}.{layer.name}"].shape == (n_bars * layer.steps * layer.pitches, layer.channels)
    for layer in layers.encoder(shape):
        assert seen[f"generator.encoder.{layer.name}"].shape == (n_bars * layer.steps * layer.pitches, layer.channels)
    for ear, table in enumerate(layers.ears(shape, 5)):
        for layer in table:
            assert seen[f"critic.critics.0.ears.{ear}.{layer.name}"].shape == (n_bars * layer.steps * layer.pitches, layer.channels)
    assert seen["generator.shared"].shape == (2, 4, 32)
    assert seen["generator.shared.halves"].shape == (2 * 2, 51)
    assert seen["critic.critics.0.bar"].shape == (n_bars, 6)
    assert seen["critic.critics.0.phrase0"].shape == (2 * 3, 26)
    assert seen["critic.critics.0.phrase1"].shape == (2, 6)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"n_steps": 20}, "20"),
        ({"n_steps": 6}, "6"),
        ({"n_pitches": 70}, "70 pitches"),
        ({"latent": 126}, "multiple of 4"),
        ({"n_bars": 1}, "2 bars"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(options: dict[str, int], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        config({**SMALL, **options})


def test_other_forms_have_networks_too() -> None:
    for n_steps, n_pitches, n_tracks, n_bars in ((24, 48, 3, 8), (48, 84, 1, 2), (4, 12, 2, 4)):
        shape = config({"n_tracks": n_tracks, "n_bars": n_bars, "n_steps": n_steps, "n_pitches": n_pitches})
        made = musegan.build(shape)
        rolls = made.generator(latents(shape))
        assert rolls.shape == (2, n_tracks, n_bars, n_steps, n_pitches)
        assert made.critic(rolls).shape == (2, 1)


def test_the_page_that_explains_it_tells_the_same_sizes() -> None:
    page = (Path(__file__).parents[2] / "docs/explanation/musegan.md").read_text(encoding="utf-8")
    told = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    forms = (musegan.Config(**PAPER), musegan.Config(**SMALL), musegan.Config(**SMALL, width=0.5))
    for row in told:
        if row[0] in {"d0", "d1", "d2", "d3", "d4", "d5", "h0", "h1", "h2", "h3"}:
            tables = [layers.bar_critic(form, 5) if row[0][0] == "d" else layers.bar_generator(form, 5) for form in forms[:2]]
            found = [layer for table in tables for layer in table if layer.name == row[0]]
            assert row[-2:][: len(found)] == [f"{layer.steps} × {layer.pitches} × {layer.channels}" for layer in found]
    sizes = {row[0]: row[1:] for row in told if len(row) == 4 and row[1].replace(",", "").isdigit()}
    assert sizes["one bar generator"] == [count(network.BarGenerator(layers.bar_generator(form, 1))) for form in forms]
    for model in MODELS:
        with torch.device("meta"):  # shapes without numbers
            made = [musegan.build(musegan.Config(**config_of(form, model))) for form in forms]
        assert sizes[f"generators, {model}"] == [count(pair.generator) for pair in made]
        assert sizes["critics, jamming" if model == "jamming" else "critic, composer and hybrid"] == [
            count(network.critic) for network in made
        ]


def count(part: Any) -> str:
    return f"{sum(weight.numel() for weight in part.parameters()):,}"


def config_of(form: musegan.Config, model: str) -> dict[str, Any]:
    return {**{name: getattr(form, name) for name in (*SMALL, "width")}, "model": model}


# --- latents, models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "temporal", "expected"),
    [
        ("hybrid", True, {"z": (32,), "z_t": (32,), "z_i": (5, 32), "z_it": (5, 32)}),
        ("jamming", True, {"z_i": (5, 64), "z_it": (5, 64)}),
        ("composer", True, {"z": (64,), "z_t": (64,)}),
        ("hybrid", False, {"z": (64,), "z_i": (5, 64)}),
        ("jamming", False, {"z_i": (5, 128)}),
        ("composer", False, {"z": (128,)}),
    ],
)
def test_latents_have_the_published_lengths(model: str, temporal: bool, expected: dict[str, tuple[int, ...]]) -> None:
    assert musegan.latents(config(model=model, temporal=temporal)) == expected


@pytest.mark.parametrize(("model", "temporal", "conditional"), [*itertools.product(MODELS, (True, False), (True, False))])
def test_every_model_makes_rolls_and_marks(model: str, temporal: bool, conditional: bool) -> None:
    shape = config(model=model, temporal=temporal, conditional=conditional)
    made, real = built(shape), musegan.real(shape, cells(shape))
    assert real.shape == ((2, 5, 4, 16, 72) if temporal else (8, 5, 1, 16, 72))
    rolls = made.generator(latents(shape, len(real)), real if conditional else None)
    assert rolls.shape == real.shape
    assert rolls.abs().max() <= 1 and rolls.std() > 0.05
    assert made.critic(rolls).shape == (len(real), 5 if model == "jamming" else 1)
    assert made.critic(rolls).isfinite().all()


def test_a_bar_generator_reads_its_latents_in_the_published_order() -> None:
    assert config(model="hybrid").parts == ("z_t", "z_it", "z", "z_i")
    assert config(model="jamming").parts == ("z_it", "z_i")
    assert config(model="composer", temporal=False).parts == ("z",)


def test_there_are_as_many_networks_as_the_paper_says() -> None:
    for model, generators, critics, shared, private in (("jamming", 5, 5, 0, 5), ("composer", 1, 1, 1, 0), ("hybrid", 5, 1, 1, 5)):
        made = musegan.build(config(model=model))
        assert (len(made.generator.bars), len(made.critic.critics)) == (generators, critics)
        assert hasattr(made.generator, "shared") == bool(shared)
        assert len(getattr(made.generator, "private", ())) == private


def changed(shape: musegan.Config, name: str, track: int | None = None) -> Any:
    """(M, L) which bars of which tracks change with a latent, or with one track's row of it."""
    made = built(shape).eval()
    given = latents(shape, 1)
    before = made.generator(given)
    given[name] = given[name].clone()
    where = slice(None) if track is None else track
    given[name][:, where] = given[name][:, where] + 3
    return ((made.generator(given) - before).abs() > 1e-6).flatten(3).any(3)[0]


@pytest.mark.parametrize("model", ["hybrid", "jamming"])
@pytest.mark.parametrize("name", ["z_i", "z_it"])
def test_a_private_latent_moves_its_own_track_alone(model: str, name: str) -> None:
    found = changed(config(model=model), name, track=2)
    assert found[2].all() and not found[[0, 1, 3, 4]].any()


@pytest.mark.parametrize(("model", "name"), [("hybrid", "z"), ("hybrid", "z_t"), ("composer", "z"), ("composer", "z_t")])
def test_a_shared_latent_moves_every_track(model: str, name: str) -> None:
    assert changed(config(model=model), name).all()


def test_without_temporal_latents_all_bars_would_be_the_same() -> None:
    shape = config(model="composer")
    made = built(shape).eval()
    for part in made.generator.shared.parameters():
        part.data.zero_()
    rolls = made.generator(latents(shape))
    assert torch.allclose(rolls[:, :, :1].expand_as(rolls), rolls)
    assert not torch.allclose(rolls[0], rolls[1])


def test_each_critic_of_the_jamming_model_hears_its_track_alone() -> None:
    shape = config(model="jamming")
    rolls = musegan.real(shape, cells(shape)).requires_grad_()
    (slope,) = torch.autograd.grad(built(shape).critic(rolls)[:, 3].sum(), rolls)
    assert slope.abs().flatten(2).sum(2).bool().tolist() == [[False, False, False, True, False]] * 2


@pytest.mark.parametrize("model", MODELS)
def test_a_critic_of_phrases_hears_the_order_of_bars(model: str) -> None:
    shape = config(model=model)
    critic, rolls = built(shape).critic, musegan.real(shape, cells(shape))
    assert (critic(rolls) - critic(rolls[:, :, [1, 0, 2, 3]])).abs().min() > 1e-5


@pytest.mark.parametrize("hears_beats", [False, True])
def test_a_critic_of_phrases_knows_each_bar_by_a_vector_of_its_own(hears_beats: bool) -> None:
    shape = config(hears_beats=hears_beats)
    critic, seen = built(shape).critic.critics[0], []
    critic.bar.register_forward_hook(lambda _part, _inputs, out: seen.append(out.view(2, 4, -1)))
    rolls = musegan.real(shape, cells(shape))
    critic(rolls)
    rolls[1, :, 2] *= -1
    critic(rolls)
    moved = (seen[0] - seen[1]).abs().amax(2) > 1e-6
    assert moved.tolist() == [[False] * 4, [False, False, True, False]]


def test_a_critic_of_phrases_hears_bars_together() -> None:
    """How it likes the last bar depends on the first: a sum of marks for each bar would not."""
    shape = config()
    critic, rolls = built(shape).critic, musegan.real(shape, cells(shape)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(rolls).sum(), rolls, create_graph=True)
    other = rolls.detach().clone()
    other[:, :, 0] *= -1
    other.requires_grad_()
    (slope_with_other_first_bar,) = torch.autograd.grad(critic(other).sum(), other)
    assert (slope - slope_with_other_first_bar)[:, :, 3].abs().max() > 1e-6


# --- what is given ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_each_bar_hears_what_is_given_in_the_same_bar(model: str) -> None:
    shape = config(model=model, conditional=True)
    made = built(shape).eval()
    given = musegan.real(shape, cells(shape, 1)).requires_grad_()
    rolls = made.generator(latents(shape, 1), given)
    for bar in range(4):
        (slope,) = torch.autograd.grad(rolls[:, :, bar].square().sum(), given, retain_graph=True)
        assert slope.abs().sum((0, 1, 3, 4)).bool().tolist() == [other == bar for other in range(4)]


def test_every_layer_of_a_bar_generator_hears_what_is_given() -> None:
    shape = config(conditional=True)
    made = built(shape).eval()
    made.generator(latents(shape), musegan.real(shape, cells(shape))).square().sum().backward()
    for layer in layers.bar_generator(shape, 1)[1:]:
        weight = made.generator.bars[4].get_submodule(layer.name).weight
        assert weight.grad[-16:].abs().sum() > 0
    for layer in layers.encoder(shape):
        assert made.generator.encoder.get_submodule(layer.name).weight.grad.abs().sum() > 0


def test_given_tracks_and_conditional_networks_belong_together() -> None:
    for conditional in (True, False):
        shape = config(conditional=conditional)
        given = None if conditional else musegan.real(shape, cells(shape))
        with pytest.raises(UsageError, match="given"):
            musegan.build(shape).generator(latents(shape), given)


# --- training ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_penalty_reaches_every_layer_of_the_critics(model: str) -> None:
    shape = config(model=model)
    critic = built(shape).critic
    rolls = musegan.real(shape, cells(shape)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(rolls).sum(), rolls, create_graph=True)
    (slope.flatten(1).norm(dim=1) - 1).square().mean().backward()
    for name, weight in critic.named_parameters():
        if name.endswith("weight"):
            assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("binary", ["none", "deterministic", "stochastic"])
def test_the_generators_loss_reaches_every_layer(binary: str) -> None:
    shape = config(binary=binary)
    made = built(shape)
    made.critic(made.generator(latents(shape))).mean().backward()
    for name, weight in made.generator.named_parameters():
        if name.endswith("weight"):
            assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("binary", ["deterministic", "stochastic"])
def test_binary_neurons_give_two_values_and_the_gradient_of_the_sigmoid(binary: str) -> None:
    shape = config(binary=binary, slope=2.0)
    generator = network.Generator(shape)
    raw = torch.linspace(-3, 3, 100_001, requires_grad=True)
    hard = generator._binary(raw)
    assert hard.unique().tolist() == [-1, 1]
    hard.sum().backward()
    likely = torch.sigmoid(2 * raw.detach())
    assert torch.allclose(raw.grad, 2 * 2 * likely * (1 - likely), atol=1e-6)
    if binary == "stochastic":
        assert abs((hard[-20_000:-10_000] > 0).float().mean() - likely[-20_000:-10_000].mean()) < 0.02
    generator.eval()
    assert torch.equal(generator._binary(raw) > 0, raw > 0)  # once trained, both take what is likelier


def test_a_sample_does_not_depend_on_its_batch_once_trained() -> None:
    shape = config()
    made, given = built(shape).eval(), latents(shape, 3)
    alone = made.generator({name: value[1:2] for name, value in given.items()})
    assert torch.allclose(made.generator(given)[1:2], alone, atol=1e-5)


def test_the_average_is_a_generator_that_nobody_trains() -> None:
    shape = config()
    made = built(shape)
    assert not any(weight.requires_grad for weight in made.averaged.parameters())
    assert set(made.averaged.state_dict()) == set(made.generator.state_dict())
    assert any(name.endswith("running_var") for name in made.averaged.state_dict())
    made.train()
    assert made.generator.training and not made.averaged.training
    made.averaged.load_state_dict(made.generator.state_dict())
    made.eval()
    assert torch.equal(made(latents(shape)), made.generator(latents(shape)))


def test_fresh_weights_keep_the_size_of_what_they_make_and_repeat() -> None:
    shape = config()
    torch.manual_seed(5)
    one = musegan.build(shape).state_dict()
    torch.manual_seed(5)
    other = musegan.build(shape).state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    for name, fan in (("generator.bars.0.h1.weight", one["generator.bars.0.h1.weight"].shape[0]), ("critic.critics.0.hidden.weight", 6)):
        deviation = (2 / fan) ** 0.5
        assert one[name].abs().max() <= 2 * deviation + 1e-6 and 0.7 * deviation < one[name].std() < deviation


def test_a_critic_that_hears_beats_tells_held_notes_from_repeated_ones() -> None:
    """Both have the same pitches in every eighth; only what is heard along time first is not folded by pitch before."""
    shape = config(hears_beats=True)
    ear = layers.beat_critic(shape, 5)
    assert [(layer.axis, layer.steps, layer.pitches) for layer in ear] == [
        ("time", 4, 72), ("pitch", 4, 6), ("pitch", 4, 1), ("time", 1, 1),
    ]  # fmt: skip
    made = built(shape)
    rolls = torch.full((2, 5, 4, 16, 72), -1.0)
    rolls[0, 1, :, :, 30] = 1
    rolls[1, 1, :, ::2, 30] = 1
    marks = made.critic(rolls)
    assert marks.shape == (2, 1) and (marks[0] - marks[1]).abs() > 1e-6
    assert len(list(made.critic.critics[0].ears)) == 2 and len(list(built(config()).critic.critics[0].ears)) == 1


def test_data_becomes_minus_one_and_one() -> None:
    shape = config(temporal=False)
    data = cells(shape)
    real = musegan.real(shape, data)
    assert real.unique().tolist() == [-1, 1]
    assert torch.equal(real[4 + 3, :, 0] > 0, data[1, :, 3])  # bar 3 of phrase 1
    assert torch.equal(musegan.scores(shape, real) > 0, real > 0)
    assert musegan.real(shape, torch.zeros(1, dtype=torch.bool)).tolist() == [-1]


def test_the_family_is_known_and_cannot_be_read_back() -> None:
    family = models.family("musegan")
    assert family.KIND == "one_shot"
    assert family.states(config()) == ()
    with pytest.raises(CannotObey, match="no critic"):
        family.weights(config(), {})


# --- products in place of convolutions ----------------------------------------------------------------------------------------


def random(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def test_growing_is_a_transposed_convolution() -> None:
    inputs, weight, bias = random(6, 5), random(5, 3, 4), random(4)
    plain = F.conv_transpose1d(inputs.view(2, 3, 5).mT, weight.transpose(1, 2), bias, stride=3)  # (2, 4, 9)
    assert torch.allclose(rows.grow(inputs, weight, bias).view(2, 9, 4), plain.mT)


def test_merging_is_a_convolution() -> None:
    inputs, weight, bias = random(12, 5), random(3, 5, 4), random(4)
    plain = F.conv1d(inputs.view(2, 6, 5).mT, weight.permute(2, 1, 0), bias, stride=3)  # (2, 4, 2)
    assert torch.allclose(rows.merge(inputs, weight, bias).view(2, 2, 4), plain.mT)


def test_spreading_is_an_overlapping_transposed_convolution() -> None:
    inputs, weight, bias = random(2, 4, 5), random(5, 3, 7), random(7)
    plain = F.conv_transpose1d(inputs.mT, weight.transpose(1, 2), bias)  # (2, 7, 6)
    assert torch.allclose(rows.spread(inputs, weight, bias), plain.mT)


@pytest.mark.parametrize("stride", [1, 2])
def test_sliding_is_an_overlapping_convolution(stride: int) -> None:
    inputs, weight, bias = random(2, 24, 5), random(4, 5, 3), random(3)
    plain = F.conv1d(inputs.mT, weight.permute(2, 1, 0), bias, stride=stride)
    assert torch.allclose(rows.slide(inputs, weight, bias, stride), plain.mT)


def test_latents_are_scaled_inside_the_network() -> None:
    narrow, wide = built(config(latent_std=0.1)), built(config(latent_std=1.0))
    drawn = latents(config())
    wide.load_state_dict(narrow.state_dict())
    with torch.no_grad():
        expected = narrow.averaged(drawn)
        assert torch.allclose(wide.averaged({name: value * 0.1 for name, value in drawn.items()}), expected, atol=1e-6)
        assert not torch.allclose(wide.averaged(drawn), expected, atol=1e-4)
