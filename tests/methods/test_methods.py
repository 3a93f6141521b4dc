"""Every method trains, samples, saves and loads, and a sample does not depend on how many were asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aigc import methods
from aigc.core import config, randomness
from aigc.core.errors import ConfigError
from aigc.core.runtime import Device
from aigc.model import sampling
from aigc.model.card import WEIGHTS, Card, write_model
from aigc.model.contract import Method, MethodConfig, Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer
from small import sources

ROOT = Path(__file__).resolve().parents[2]
METHODS = methods.available()
NEEDS_LABELS = methods.needing_classes(METHODS)
FEWER_STEPS = {"flow": {"steps": 2}}
# No promise here depends on the width.
NARROW = {"width": 8, "max_width": 16, "prior_width": 16, "layers": 1, "codes": 32}
# Pairwise: every side with either number of channels, with and without labels.
SHAPES = [Shape(1, 28, 10), Shape(3, 16, 0)]
SHAPES += [pytest.param(shape, marks=pytest.mark.slow) for shape in (
    Shape(1, 16, 10), Shape(3, 28, 0), Shape(3, 32, 10), Shape(1, 32, 0),
    Shape(1, 64, 0), Shape(3, 64, 10), Shape(3, 128, 10), Shape(1, 128, 0))]


class NoSquareRoot(TorchDispatchMode):
    """Forbids the one operation that the caps of the portable arithmetic do not reach (see core/runtime)."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = operation.overloadpacket
        assert name not in (torch.ops.aten.sqrt, torch.ops.aten.sqrt_), (
            "torch.sqrt has other bytes on other processors"
        )
        assert "batch_norm" not in str(name) or args[0].is_contiguous(), (
            "of what is not contiguous batch normalisation takes torch.sqrt"
        )
        assert name not in (torch.ops.aten.pow, torch.ops.aten.pow_) or args[1] != 0.5, (
            "x ** 0.5 has other bytes on other processors"
        )
        return operation(*args, **(kwargs or {}))


HOST_SEED = 4711  # tells the host's generator from the others


class NoReads(TorchDispatchMode):
    """Forbids to read a tensor's value, for which the host would wait for a GPU, unless the host drew it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[torch.Tensor] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        rng = (kwargs or {}).get("generator")
        if rng is not None and rng.initial_seed() == HOST_SEED:
            self.drawn.append(result)
        if operation.overloadpacket is torch.ops.aten._local_scalar_dense:
            assert args[0].data_ptr() in [tensor.data_ptr() for tensor in self.drawn]
        return result


def load(method: str, **changes: object) -> MethodConfig:
    content = config.read(ROOT / "params.yaml")
    narrow = {key: value for key, value in NARROW.items() if key in content[method]}
    content[method] |= {"images": 64, "batch_size": 32, **narrow, **FEWER_STEPS.get(method, {}), **changes}
    return methods.load_config(method, content)


def train(method: str, shape: Shape, device: Device, folder: Path, **changes: object) -> torch.nn.Module:
    return trainer(method, shape, device, folder, **changes).fit()


def trainer(method: str, shape: Shape, device: Device, folder: Path, **changes: object) -> Trainer:
    settings = load(method, **changes)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *shape.image), dtype=np.uint8)
    labels = rng.integers(0, shape.classes, 40) if shape.classes else np.full(40, -1)
    return Trainer(
        method,
        lambda: methods.build(method, settings, shape),
        Feed(images, labels, 0, device),
        settings,
        TrainConfig(seed=0, intervals=2, checkpoints=1),
        device,
        Checkpoints(folder),
    )


def write(folder: Path, trained: torch.nn.Module, method: str, shape: Shape) -> Card:
    return write_model(folder, trained, method=method, config=load(method).model_dump(), shape=vars(shape),
                       classes=[str(n) for n in range(shape.classes)], seed=0, data_sha256="", origin={})


def drawn(method: Method, seed: int, count: int) -> torch.Tensor:
    return torch.cat(list(sampling.blocks(method, seed, count, sources=sources(method, count))))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_method_gives_the_same_bytes_on_every_shape(
    method: str, shape: Shape, device: Device, tmp_path: Path
) -> None:
    if method in NEEDS_LABELS and not shape.classes:
        with pytest.raises(ConfigError, match="needs labels"):
            train(method, shape, device, tmp_path)
        return
    with NoSquareRoot():
        trained = train(method, shape, device, tmp_path / "c")
    assert isinstance(trained, Method)
    first = write(tmp_path / "a", trained, method, shape)
    second = write(tmp_path / "b", train(method, shape, device, tmp_path / "d"), method, shape)
    assert first.weights_sha256 == second.weights_sha256
    loaded, card = methods.load(tmp_path / "a")
    assert card == first
    with NoSquareRoot():
        images = drawn(loaded, 0, 5)
    assert images.shape == (5, *shape.image) and images.dtype == torch.uint8
    assert torch.equal(images, drawn(trained, 0, 5))


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_is_the_same_however_many_are_asked_for(method: str, device: Device, tmp_path: Path) -> None:
    shape = Shape(1, 28, 10)
    trained = train(method, shape, device, tmp_path)
    assert isinstance(trained, Method)
    many = drawn(trained, 3, 300)
    for count in (1, 127, 129):
        assert torch.equal(drawn(trained, 3, count), many[:count])
    assert torch.equal(drawn(trained, 4, 128), many[:128]) == trained.translates


def test_a_changed_byte_of_the_weights_is_refused_with_the_file_named(device: Device, tmp_path: Path) -> None:
    shape = Shape(1, 16, 0)
    write(tmp_path, train("gan", shape, device, tmp_path / "c"), "gan", shape)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(Exception, match=r"model\.safetensors: sha256 is"):
        methods.load(tmp_path)


def test_an_unknown_method_is_named_with_its_neighbour() -> None:
    with pytest.raises(ConfigError, match="unknown method `dcgann`.*did you mean `dcgan`"):
        methods.method_class("dcgann")


OPTIONS = [
    ("vae", {"trunk": "convolution", "max_width": 16}),
    ("autoencoder", {"trunk": "convolution", "max_width": 16}),
    ("vae", {"likelihood": "gaussian", "kl_warmup": 0.5, "free_bits": 0.1}),
    ("vae", {"likelihood": "gaussian", "deviation": 0.5}),
    ("autoencoder", {"likelihood": "gaussian"}),
    ("cgan", {"spectral_norm": True, "loss": "hinge", "generator_hidden": 0}),
    (
        "dcgan",
        {"see_batch": False, "loss": "relativistic", "r2": 1.0, "penalty_every": 1, "critic_hidden": 0},
    ),
    ("gan", {"translate": 0.1, "cutout": 0.3, "brightness": 0.2, "instance_noise": 0.1}),
    (
        "wgan_gp",
        {"spectral_norm": True, "translate": 0.1, "penalty_every": 4, "n_critic": 2, "generator_hidden": 0},
    ),
    ("stylegan", {"patch": 1, "depth": 0, "loss": "relativistic", "mixing": 0.0, "augmentations": [],
                  "truncation": 0.5, "mixed": 2}),
    ("stylegan", {"augmentations": ["flip", "turn", "luma_flip", "hue"], "translate": 0.1,
                  "critic_hidden": 0}),
    ("flow", {"solver": "euler", "guidance": 1.0, "label_dropout": 0.0}),
    ("flow", {"solver": "midpoint", "levels": [1, 2, 4], "depth": 2, "attention": [4, 2], "dropout": 0.2}),
    ("flow", {"levels": [1], "patch": 1, "width": 8}),
    ("transformer", {"adversarial": 0.1, "likelihood": "gaussian", "top_k": 5, "temperature": 0.8}),
    ("transformer", {"grid": 4, "heads": 1, "layers": 2, "dropout": 0.0, "depth": 2, "codes": 600}),
]


@pytest.mark.parametrize(("method", "changes"), OPTIONS, ids=str)
def test_every_option_trains_is_saved_and_samples_as_before_it_was_saved(
    method: str, changes: dict[str, object], device: Device, tmp_path: Path
) -> None:
    shape = Shape(1, 16, 10)
    trained = train(method, shape, device, tmp_path / "c", **changes)
    assert isinstance(trained, Method)
    write_model(
        tmp_path / "a",
        trained,
        method=method,
        config=load(method, **changes).model_dump(),
        shape=vars(shape),
        classes=[str(n) for n in range(10)],
        seed=0,
        data_sha256="",
        origin={},
    )
    loaded, _ = methods.load(tmp_path / "a")
    assert torch.equal(drawn(loaded, 0, 5), drawn(trained, 0, 5))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_in_low_precision(method: str, device: Device, tmp_path: Path) -> None:
    """As `fast` does where bf16 is native; here it is emulated."""
    low = Device(device.torch_device, channels_last=True, low_precision=torch.bfloat16)
    changes = {"penalty_every": 1} if "penalty_every" in load(method).model_dump() else {}
    trained = train(method, Shape(1, 16, 10), low, tmp_path, **changes)
    assert all(parameter.isfinite().all() for parameter in trained.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_a_step_waits_for_no_value_from_the_device(
    method: str, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_rng = torch.Generator().manual_seed(HOST_SEED)
    monkeypatch.setattr(randomness, "on_host", lambda rng: host_rng)
    run = trainer(method, Shape(1, 16, 10), device, tmp_path)
    with NoReads():
        run.train_step()


@pytest.mark.parametrize("method", [name for name in METHODS if methods.method_class(name).interpolates])
def test_a_low_temperature_narrows_the_latents_and_interpolation_starts_and_ends_at_its_latents(
    method: str, device: Device, tmp_path: Path
) -> None:
    trained = train(method, Shape(1, 16, 10), device, tmp_path)
    assert isinstance(trained, Method)
    warm, cold = (
        trained.latents(500, torch.Generator().manual_seed(0), temperature) for temperature in (1.0, 0.1)
    )
    assert cold.var() < warm.var()
    between = sampling.interpolations(trained, 0, 2, 5)
    assert between.shape == (10, 1, 16, 16)
    assert torch.equal(between, sampling.interpolations(trained, 0, 2, 5))
    start, end, share = warm[:3], warm[3:6], torch.ones(3)
    torch.testing.assert_close(trained.interpolate(start, end, 0 * share), start, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trained.interpolate(start, end, share), end, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_source_pictures_if_and_only_if_it_translates(
    method: str, device: Device, tmp_path: Path
) -> None:
    trained = train(method, Shape(1, 16, 10), device, tmp_path)
    assert isinstance(trained, Method)
    noise = np.zeros((3, 1, 16, 16), np.uint8)
    if trained.translates:
        for given in (None, noise[:2]):
            with pytest.raises(ConfigError, match="translates pictures: 3 source pictures are needed"):
                next(sampling.blocks(trained, 0, 3, sources=given))
        with pytest.raises(TypeError, match="draws no latents"):
            trained.latents(1, torch.Generator())
    else:
        with pytest.raises(ConfigError, match="takes no source pictures"):
            next(sampling.blocks(trained, 0, 3, sources=noise))


def test_an_unconditional_method_refuses_a_class(device: Device, tmp_path: Path) -> None:
    trained = train("gan", Shape(1, 16, 10), device, tmp_path)
    assert isinstance(trained, Method)
    with pytest.raises(ConfigError, match="cannot be asked for a class"):
        next(sampling.blocks(trained, 0, 1, torch.tensor([3])))
