"""No step reads a number from the device, which would make the host wait for it."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aigc import methods
from aigc.core.runtime import Device
from aigc.model.contract import Shape
from aigc.training.feed import Feed
from aigc.training.loop import Trainer
from small import committed_params
from training.test_loop import IMAGES, TRAIN

READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")
LABELS = torch.arange(len(IMAGES)).remainder(3).numpy()
OPTIONS = {"translate": 0.125, "cutout": 0.3, "brightness": 0.5, "instance_noise": 0.1, "r1": 1.0, "r2": 1.0,
           "penalty_every": 1, "dropout": 0.1}


class Reads(TorchDispatchMode):
    """Notes each operation that reads a tensor, but for single draws, which `on_host` makes on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[torch.Tensor] = []
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name
        if name.startswith("aten::rand") and not result.ndim:
            self.drawn.append(result)
        elif name in READS and args[0].data_ptr() not in [draw.data_ptr() for draw in self.drawn]:
            self.found.append(name)
        return result


@pytest.mark.parametrize("method", methods.available())
def test_no_step_of_a_method_reads_from_the_device(method: str, device: Device) -> None:
    section = {**committed_params()[method], "width": 8, "batch_size": 4, "images": 64}
    section |= {key: value for key, value in OPTIONS.items() if key in section}
    chosen = methods.load_config(method, {method: section})
    trainer = Trainer(method, lambda: methods.build(method, chosen, Shape(1, 16, 3)),
                      Feed(IMAGES, LABELS, 0, device, mirror=True, shift=2, crop=0.8), chosen, TRAIN, device)
    with Reads() as reads:
        trainer.train_step()
        trainer.train_step()
        assert reads.found == []
        torch.ones(()).item()
    assert reads.found == ["aten::_local_scalar_dense"]
