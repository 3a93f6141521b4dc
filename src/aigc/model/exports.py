"""What a method gives to programs without this project: networks, and lines of numpy that sample with them.

`Method.exports` answers it; `aigc export --onnx` writes it. Nothing here knows of ONNX.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

NORMAL = "latents = rng.standard_normal((count, {size}), np.float32)\n"


@dataclass(frozen=True)
class Network:
    """One network that others can run. Calling `module` with `inputs`, in their order, gives one tensor.

    inputs: name -> an example of at least two rows, drawn at random where it is a float; the first dimension
    is the number of pictures, and may be any. An input without dimensions is shared by all pictures.
    output: the name of what it gives; its first dimension is that of the inputs.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    output: str


@dataclass(frozen=True)
class Exports:
    """The networks, by name, and how to sample with them.

    sampling: Python that sets `images`, float32 (count, C, H, W) in [-1, 1]. It may use `np`; `count`; `rng`,
    a numpy generator; `labels`, int64 (count,), None of methods that are not conditional; `source`, float32
    (1, C, H, W) in [-1, 1], and `label`, of methods that translate; and `run(name, **inputs)`, which gives
    what the network of that name does with these inputs. Inputs that a network does not have are ignored.
    """

    networks: Mapping[str, Network]
    sampling: str


class Call(nn.Module):
    """A function of a module's as a module of its own, with the same weights."""

    def __init__(self, owner: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.owner, self.function = owner, function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)
