"""Compiled networks train as others do. The backend is one that needs no C compiler."""

from functools import partialmethod

import pytest
import torch
from torch import nn

from aigc import methods
from aigc.core.runtime import Device
from aigc.model.contract import Shape
from aigc.training.feed import Feed
from aigc.training.loop import Trainer
from small import committed_params
from training.test_loop import IMAGES, TRAIN

EVERY_STEP = {"r1": 1.0, "penalty_every": 1}  # the critic's second derivative
LABELS = torch.arange(len(IMAGES)).remainder(3).numpy()


def trained(method: str, compiles: bool) -> Trainer:
    section = {**committed_params()[method], "width": 8, "batch_size": 4}
    section |= {key: value for key, value in EVERY_STEP.items() if key in section}
    section["images"] = 4 * 4 * section.get("n_critic", 1)
    chosen = methods.load_config(method, {method: section})
    device = Device(torch.device("cpu"), channels_last=False, low_precision=None, compiles=compiles)
    trainer = Trainer(method, lambda: methods.build(method, chosen, Shape(1, 16, 3)),
                      Feed(IMAGES, LABELS, 0, device), chosen, TRAIN, device)
    trainer.fit()
    return trainer


@pytest.mark.parametrize("method", [
    method if method in ("cgan", "flow") else pytest.param(method, marks=pytest.mark.slow)
    for method in methods.available()])
def test_a_compiled_training_gives_the_weights_of_another_under_the_same_names(
        method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    plain = trained(method, compiles=False)
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    compiled = trained(method, compiles=True)
    assert any(network._compiled_call_impl for network in compiled.model.children())
    assert not any(network._compiled_call_impl for network in compiled.ema.model.children())
    assert list(compiled.model.state_dict()) == list(plain.model.state_dict())
    for name, value in compiled.ema.model.state_dict().items():
        torch.testing.assert_close(value, plain.ema.model.state_dict()[name], rtol=1e-3, atol=1e-3, msg=name)
