"""A model that was placed on a device samples in the device's precision; portable is plain fp32."""

import copy
from pathlib import Path

import pytest
import torch

from aigc import methods
from aigc.core.runtime import Device
from aigc.features.classifier import Classifier, ClassifierConfig, classify
from aigc.model import sampling
from aigc.model.contract import Method, Shape
from small import small_model

CPU = torch.device("cpu")
LOW = Device(CPU, channels_last=True, low_precision=torch.bfloat16)
PLAIN = Device(CPU, channels_last=False, low_precision=None)


def types_seen(method: Method) -> set[torch.dtype]:
    """Of the results of convolutions while one block is sampled."""
    found: set[torch.dtype] = set()
    for layer in method.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            layer.register_forward_hook(lambda *given: found.add(given[2].dtype))
    sampling.one_block(method, 0, 0, sampling.default_labels(method, 1))
    return found


@pytest.mark.parametrize("method", ["dcgan", "flow"])
def test_samples_are_computed_in_the_precision_of_the_device(tmp_path: Path, method: str) -> None:
    folder = small_model(tmp_path, method)
    assert types_seen(methods.load(folder)[0]) == {torch.float32}
    assert types_seen(methods.load(folder, PLAIN)[0]) == {torch.float32}
    low = methods.load(folder, LOW)[0]
    assert types_seen(copy.deepcopy(low)) == {torch.bfloat16}
    weight = next(value for value in low.parameters() if value.ndim == 4 and min(value.shape[1:]) > 1)
    assert weight.dtype == torch.float32 and weight.is_contiguous(memory_format=torch.channels_last)
    blocks = [sampling.one_block(methods.load(folder, device)[0], 0, 0, torch.arange(8) if low.conditional
                                 else torch.full((8,), -1)).float() for device in (PLAIN, LOW)]
    assert 0 < (blocks[0] - blocks[1]).abs().mean() < 4  # grey levels


def test_a_classifiers_features_are_computed_likewise() -> None:
    torch.manual_seed(0)
    config = ClassifierConfig(images=64, batch_size=64, ema_halflife=1.0, warmup=0.0, decay=0.0,
                              learning_rate=0.1, width=4, features=8)
    network = Classifier(config, Shape(1, 16, 3)).eval()
    images = torch.randint(0, 256, (10, 1, 16, 16), dtype=torch.uint8).numpy()
    plain, low = (classify(copy.deepcopy(network).place_on(device), images, device).features
                  for device in (PLAIN, LOW))
    assert low.dtype == plain.dtype == "float32"
    assert 0 < abs(low - plain).max() < 0.05 * abs(plain).max()
