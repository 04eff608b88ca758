"""The tutorial's network: counted, named and computed as in the notebook."""

from __future__ import annotations

from typing import Any

import pytest

from kapelle import models
from kapelle.errors import CannotObey, UsageError
from kapelle.models import musegan_tutorial as tutorial

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

pytestmark = pytest.mark.train
torch.set_num_threads(1)

CONFIG = tutorial.Config(n_tracks=5)


def built(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return tutorial.build(CONFIG)


def latent(n: int = 3) -> dict[str, Any]:
    return {"z": torch.randn(n, 128, generator=torch.Generator().manual_seed(1))}


def rolls(n: int = 3) -> Any:
    return (torch.rand(n, 5, 4, 16, 72, generator=torch.Generator().manual_seed(2)) < 0.1).float()


def plain_generator(generator: Any, z: Any, seen: dict[str, tuple[int, ...]]) -> Any:
    """The notebook's generator, on (B, C, bar, time, pitch), with torch's own convolutions and batch statistics."""

    def block(name: str, cells: Any) -> Any:
        part = generator.get_submodule(name)
        norm = part.batchnorm
        made = F.relu(F.batch_norm(part.transconv(cells), None, None, norm.weight, norm.bias, training=True))
        seen[name] = tuple(made.shape[1:])
        return made

    cells = z[:, :, None, None, None]
    for number in range(4):
        cells = block(f"transconv{number}", cells)
    return torch.cat([block(f"transconv5.{track}", block(f"transconv4.{track}", cells)) for track in range(5)], dim=1)


def plain_critic(critic: Any, cells: Any, seen: dict[str, tuple[int, ...]]) -> Any:
    """The notebook's critic, the same way."""

    def block(name: str, cells: Any) -> Any:
        part = critic.get_submodule(name)
        made = part.transconv(cells)
        flat, sides = made.flatten(1), (-1, 1, 1, 1, 1)
        made = (made - flat.mean(1).view(sides)) / (flat.std(1).view(sides) + 1e-5)
        made = F.leaky_relu(part.layernorm.gamma.view(1, -1, 1, 1, 1) * made + part.layernorm.beta.view(1, -1, 1, 1, 1), 0.01)
        seen[name] = tuple(made.shape[1:])
        return made

    cells = torch.cat([block(f"conv1.{track}", block(f"conv0.{track}", cells[:, track : track + 1])) for track in range(5)], dim=1)
    for number in range(2, 7):
        cells = block(f"conv{number}", cells)
    return critic.dense(cells.flatten(1))


def test_the_networks_have_the_published_number_of_parameters() -> None:
    made = built()
    assert sum(weight.numel() for weight in made.generator.parameters()) == 313_951
    assert sum(weight.numel() for weight in made.critic.parameters()) == 204_321


def test_weights_are_named_and_shaped_as_in_checkpoints_of_the_thesis() -> None:
    made = built()
    generator = {name: tuple(value.shape) for name, value in made.generator.state_dict().items()}
    critic = {name: tuple(value.shape) for name, value in made.critic.state_dict().items()}
    assert generator["transconv0.transconv.weight"] == (128, 256, 4, 1, 1)
    assert generator["transconv3.transconv.weight"] == (64, 32, 1, 1, 3)
    assert generator["transconv3.batchnorm.running_var"] == (32,)
    assert generator["transconv5.4.transconv.weight"] == (16, 1, 1, 1, 12)
    assert len(generator) == 14 * 7
    assert critic["conv0.0.transconv.weight"] == (16, 1, 1, 1, 12)
    assert critic["conv2.transconv.weight"] == (64, 80, 1, 1, 3)
    assert critic["conv6.layernorm.gamma"] == critic["conv6.layernorm.beta"] == (256,)
    assert critic["dense.weight"] == (1, 256)
    assert len(critic) == 15 * 4 + 2


def test_the_generator_computes_what_the_notebook_computes_layer_by_layer() -> None:
    made, seen = built(), {}
    expected = plain_generator(made.generator, latent()["z"], seen)
    found = made.generator(latent())
    assert found.shape == (3, 5, 4, 16, 72)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    shapes = [(256, 4, 1, 1), (128, 4, 4, 1), (64, 4, 4, 4), (32, 4, 4, 6), (16, 4, 16, 6), (1, 4, 16, 72)]
    assert [seen[name] for name in ("transconv0", "transconv1", "transconv2", "transconv3", "transconv4.4", "transconv5.4")] == shapes


def test_the_critic_computes_what_the_notebook_computes_layer_by_layer() -> None:
    made, seen = built(), {}
    expected = plain_critic(made.critic, rolls(), seen)
    found = made.critic(rolls())
    assert found.shape == (3, 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    shapes = [(16, 4, 16, 6), (16, 4, 4, 6), (64, 4, 4, 4), (64, 4, 4, 1), (128, 4, 1, 1), (128, 3, 1, 1), (256, 1, 1, 1)]
    assert [seen[name] for name in ("conv0.0", "conv1.0", "conv2", "conv3", "conv4", "conv5", "conv6")] == shapes


def test_fresh_norms_scale_at_random_and_do_not_shift() -> None:
    norm = built().critic.conv6.layernorm
    assert 0 <= norm.gamma.min() < 0.1 and 0.9 < norm.gamma.max() <= 1
    assert not norm.beta.any()


def test_cells_are_never_negative_and_sound_above_one_half() -> None:
    made = built().generator(latent())
    assert made.min() == 0 and made.max() > 1
    assert torch.equal(tutorial.scores(CONFIG, made) > 0, made > 0.5)
    assert tutorial.real(CONFIG, rolls().bool()).unique().tolist() == [0, 1]
    assert tutorial.latents(CONFIG) == {"z": (128,)}


def test_the_gradient_penalty_reaches_every_layer_of_the_critic() -> None:
    critic, cells = built().critic, rolls().requires_grad_()
    (slope,) = torch.autograd.grad(critic(cells).sum(), cells, create_graph=True)
    (slope.flatten(1).norm(dim=1) - 1).square().mean().backward()
    for name, weight in critic.named_parameters():
        if "weight" in name or "gamma" in name:
            assert weight.grad.isfinite().all() and weight.grad.abs().sum() > 0, name


def test_once_trained_a_sample_does_not_depend_on_its_batch() -> None:
    made = built()
    for _ in range(3):
        made.generator(latent(8))
    made.eval()
    assert torch.allclose(made.generator(latent())[1:2], made.generator({"z": latent()["z"][1:2]}), atol=1e-5)


@pytest.mark.parametrize("form", [{"n_bars": 2}, {"n_steps": 96}, {"n_pitches": 84}])
def test_other_forms_are_refused(form: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="takes"):
        tutorial.Config(n_tracks=5, **form)


def test_the_family_is_known_and_cannot_be_read_back() -> None:
    family = models.family("musegan_tutorial")
    assert family.KIND == "one_shot" and family.states(CONFIG) == () and not CONFIG.conditional
    with pytest.raises(CannotObey, match="no critic"):
        family.weights(CONFIG, {})
