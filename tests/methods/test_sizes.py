"""Every method and the pipeline's classifier work with pictures of every size that params.yaml allows."""

import itertools

import pytest
import torch

from aigc import methods
from aigc.core.runtime import Device
from aigc.data.config import PreprocessConfig
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.methods import flow
from aigc.model.contract import Method, Shape, Trainable
from small import committed_params

SIZES = [28, *range(16, 513, 8)]
FEW = [24, 28, 40, 88, 504, 512]  # even and odd sides at every level; the largest
TINY = {"width": 8, "max_width": 8, "latent": 4, "generator_hidden": 4, "critic_hidden": 4,
        "penalty_every": 1, "components": 1, "batch_size": 2, "steps": 1, "prior_width": 8, "layers": 1}
NETWORKS = [*methods.available(), "classifier"]


def build(name: str, shape: Shape) -> Trainable:
    torch.manual_seed(0)
    if name == "classifier":
        return Classifier(ClassifierConfig(images=1, batch_size=2, ema_halflife=1.0, warmup=0.0, decay=0.0,
                                           learning_rate=0.1, width=2, features=4), shape)
    section = committed_params()[name]
    tiny = section | {key: value for key, value in TINY.items() if key in section}
    return methods.build(name, methods.load_config(name, {name: tiny}), shape)


def step_and_sample(name: str, shape: Shape) -> None:
    network = build(name, shape)
    count = 2 * network.batches_per_update
    labels = torch.arange(count) % shape.classes if shape.classes else torch.full((count,), -1)
    rng = torch.Generator().manual_seed(0)
    for _, loss in network.updates(torch.rand(count, *shape.image) * 2 - 1, labels, rng):
        loss.backward()
        assert loss.isfinite()
    if isinstance(network, Method):
        with torch.inference_mode():
            network.eval()
            images = (network.decode(torch.rand(2, *shape.image), labels[:2]) if network.translates
                      else network.sample(labels[:2], rng))
        assert images.shape == (2, *shape.image) and images.isfinite().all() and images.abs().max() <= 1


def shapes(number: int, sizes: list[int]) -> list[Shape]:
    """Pairwise: with the number of the network, channels and classes alternate against the size."""
    labelled = NETWORKS[number] in methods.needing_classes(methods.available())
    return [Shape((1, 3)[(number + index) % 2], size, 10 if labelled else (0, 10)[(number // 2 + index) % 2])
            for index, size in enumerate(sizes)]


@pytest.mark.parametrize(("name", "shape"), [
    (name, shape) for number, name in enumerate(NETWORKS) for shape in shapes(number, FEW)], ids=str)
def test_a_step_and_a_sample_of_every_network(name: str, shape: Shape, device: Device) -> None:
    step_and_sample(name, shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_and_a_sample_of_every_network_at_all_sizes(name: str, device: Device) -> None:
    for shape in shapes(NETWORKS.index(name), SIZES):
        step_and_sample(name, shape)


def preprocess(size: object) -> PreprocessConfig:
    return PreprocessConfig(size=size, channels=1, fit="crop", background=[0, 0, 0])


def test_the_sizes_are_the_multiples_of_8_from_16_to_512_and_28() -> None:
    accepted = []
    for size in range(600):
        try:
            accepted.append(preprocess(size).size)
        except ValueError as error:
            assert "multiple of 8" in str(error) or "equal to" in str(error)
    assert accepted == sorted(SIZES)


def test_patches_divide_every_size_and_stay_as_they_were() -> None:
    assert [flow.patch_side(size) for size in (16, 28, 32, 64, 128)] == [2, 2, 2, 4, 8]
    for size, patch in itertools.zip_longest(SIZES, map(flow.patch_side, SIZES)):
        assert size % patch == 0 and size // patch <= 2 * 32
