"""Truncation, mixed styles, the way between two pictures, the class; the augmentation in a step."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aigc import methods
from aigc.core.errors import ConfigError
from aigc.core.runtime import Device
from aigc.methods import stylegan
from aigc.model import sampling
from aigc.model.contract import Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer
from small import committed_params

SHAPE = Shape(1, 16, 4)
CHANGES = {"patch": 1, "depth": 1, "width": 8, "max_width": 8, "latent": 4, "style": 6, "critic_hidden": 4,
           "penalty_every": 1}
LABELS = torch.tensor([0, 1, 2, 3])


def config(**changes: object) -> stylegan.StyleGANConfig:
    section = committed_params()["stylegan"] | CHANGES | changes
    loaded = methods.load_config("stylegan", {"stylegan": section})
    assert isinstance(loaded, stylegan.StyleGANConfig)
    return loaded


def build(shape: Shape = SHAPE, **changes: object) -> stylegan.StyleGAN:
    torch.manual_seed(0)
    built = methods.build("stylegan", config(**changes), shape)
    assert isinstance(built, stylegan.StyleGAN)
    built.fit_after_training([], seed=0)
    return built


def latents(method: stylegan.StyleGAN, count: int = 4, seed: int = 0) -> Tensor:
    return method.latents(count, torch.Generator().manual_seed(seed))


def test_the_mean_of_w_is_that_of_the_class() -> None:
    method = build()
    z = torch.randn(4000, 4, generator=torch.Generator().manual_seed(5))
    for label in range(4):
        expected = method.generator.map(z, torch.full((4000,), label)).mean(0)
        torch.testing.assert_close(method.w_mean[label], expected, rtol=0, atol=0.06)
    assert (method.w_mean[0] - method.w_mean[1]).abs().max() > 0.05


@torch.no_grad()
def test_truncation_moves_w_towards_its_mean_on_a_straight_line() -> None:
    z = latents(build())
    full, half, none = (build(truncation=share).styles(z, LABELS)[0] for share in (1.0, 0.5, 0.0))
    torch.testing.assert_close(half, (full + none) / 2)
    torch.testing.assert_close(none, build().w_mean[LABELS][:, None].expand_as(none))
    assert build(Shape(1, 16, 0), truncation=0.0).decode(z, torch.full((4,), -1)).isfinite().all()


@torch.no_grad()
def test_mixed_layers_have_the_style_of_the_second_latent_and_all_of_them_give_its_picture() -> None:
    z = latents(build())
    swapped = torch.cat([z[:, 4:8], z[:, :4], z[:, 8:]], dim=1)
    layers = build().generator.synthesis.layers
    pictures = [build(mixed=count).decode(z, LABELS) for count in range(layers + 1)]
    assert torch.equal(pictures[layers], build().decode(swapped, LABELS))
    for one, other in pairwise(pictures):
        assert not torch.equal(one, other)


@torch.no_grad()
def test_the_way_between_two_pictures_starts_and_ends_at_them_and_its_middle_has_the_mean_w() -> None:
    method = build(truncation=0.8, mixed=1)
    for strength in (layer.strength for layer in method.generator.modules() if hasattr(layer, "strength")):
        strength.fill_(0.1)
    start, end = latents(method), latents(method, seed=1)
    for share, of in ((0.0, start), (1.0, end)):
        there = method.decode_between(start, end, torch.full((4,), share), LABELS)
        torch.testing.assert_close(there, method.decode(of, LABELS), rtol=0, atol=1e-4)
    (w_0, noise), (w_1, _) = method.styles(start, LABELS), method.styles(end, LABELS)
    same_noise = torch.cat([end[:, :8], start[:, 8:]], dim=1)
    torch.testing.assert_close(method.decode_between(start, same_noise, torch.full((4,), 0.5), LABELS),
                               method.generator.synthesis((w_0 + w_1) / 2, noise), rtol=0, atol=1e-5)


def test_a_picture_depends_on_its_own_latents_and_label_alone() -> None:
    method = build().eval()
    z = latents(method, 128)
    z[:, 8:] *= 3
    for strength in (layer.strength for layer in method.generator.modules() if hasattr(layer, "strength")):
        torch.nn.init.ones_(strength)
    with torch.no_grad():
        labels = torch.arange(128) % 4
        whole = method.decode(z, labels)
        other = torch.randperm(128, generator=torch.Generator().manual_seed(0))
        other = other[other != 5][:127]
        rows = torch.cat([torch.tensor([5]), other])
        torch.testing.assert_close(method.decode(z[rows], labels[rows])[0], whole[5], rtol=0, atol=1e-5)
        one, other = (method.decode(z[5:6], torch.tensor([label])) for label in (2, 3))
        assert not torch.equal(one, other)


def test_it_is_conditional_where_there_are_classes_and_an_unlabelled_picture_has_its_own() -> None:
    assert not build(Shape(3, 16, 0)).conditional
    method = build()
    assert method.conditional and not method.needs_classes
    for _, loss in method.updates(torch.rand(2, 1, 16, 16), torch.tensor([1, -1]), torch.Generator()):
        assert loss.isfinite()


def steps(method: stylegan.StyleGAN, real: Tensor, count: int) -> list[float]:
    """p after each of `count` steps with `real`; no weight changes."""
    found = []
    for step in range(count):
        for _ in method.updates(real, torch.zeros(len(real), dtype=torch.int64),
                                torch.Generator().manual_seed(step)):
            pass
        found.append(method.augmentation.p.item())
    return found


def test_p_rises_while_the_critic_is_sure_of_real_pictures_and_falls_when_it_is_not() -> None:
    method, real = build(ramp=1280), torch.rand(128, 1, 16, 16)
    with torch.no_grad():
        for parameter in method.critic.score.parameters():
            parameter.zero_()
        method.critic.score.bias.fill_(1.0)
    assert steps(method, real, 4) == pytest.approx([0, 0.2, 0.2, 0.4])
    with torch.no_grad():
        method.critic.score.bias.fill_(-1.0)
    assert steps(method, real, 4) == pytest.approx([0.4, 0.2, 0.2, 0])


def test_without_augmentations_the_critic_sees_the_pictures_themselves() -> None:
    method, images = build(augmentations=[]), torch.rand(4, 1, 16, 16)
    method.augmentation.p.fill_(1.0)
    assert method.augmented(images, torch.Generator()) is images


def trainer(device: Device, folder: Path) -> Trainer:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (64, 1, 16, 16), dtype=np.uint8), rng.integers(0, 4, 64)
    chosen = config(images=20 * 32, batch_size=32, penalty_every=8, ramp=2000, overfitting=-1.0)
    return Trainer("stylegan", lambda: methods.build("stylegan", chosen, SHAPE),
                   Feed(images, labels, 0, device), chosen, TrainConfig(seed=0, intervals=4, checkpoints=2),
                   device, Checkpoints(folder))


def test_p_and_its_window_are_in_the_checkpoint(device: Device, tmp_path: Path) -> None:
    whole = trainer(device, tmp_path / "a")
    whole.fit()
    cut = trainer(device, tmp_path / "b")
    while cut.step < 13:  # the window of 256 has 5 of its 8 batches
        cut.pending += cut.train_step()
        if cut.schedule.is_due(cut.step, cut.schedule.interval):
            cut.history.append(cut.history_row())
            cut.pending.clear()
    cut.save()
    again = trainer(device, tmp_path / "b")
    again.fit()
    assert again.model.augmentation.seen > 0
    for name, tensor in whole.ema.model.state_dict().items():
        assert torch.equal(tensor, again.ema.model.state_dict()[name]), name


@pytest.mark.parametrize(("changes", "says"), [
    ({"patch": 3}, r"`stylegan.patch` \(3\) must be a power of 2 .* side of 16 pixels into 8 parts"),
    ({"patch": 4}, r"`stylegan.patch` \(4\) must be a power of 2"),
    ({"patch": 1024}, r"`stylegan.patch` \(1024\) must be a power of 2"),
    ({"mixed": 6}, r"`stylegan.mixed` \(6\) is more than the 5 layers"),
])
def test_what_cannot_be_built_is_one_line_that_names_the_key(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(**changes)


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(ConfigError, match=r"`stylegan.augmentations.0`: .* 'flip'.*found 'flop'"):
        config(augmentations=["flop"])


def test_the_pictures_of_a_block_differ_and_low_truncation_makes_them_alike() -> None:
    spread = [torch.cat(list(sampling.blocks(build(truncation=share).eval(), 0, 40))).float().std(0).mean()
              for share in (1.0, 0.3)]
    assert spread[0] > 1.1 * spread[1] > 0
