"""The ONNX file of every method computes what the method does, for any number of pictures."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from aigc import methods
from aigc.core.errors import StorageError
from aigc.exporting import graphs
from aigc.model.contract import Method
from aigc.model.exports import Network
from aigc.networks.blocks import Linear
from small import small_model

COUNTS = (1, 2, 5)
CASES = [(method, classes, size, channels) for method in methods.available()
         for classes, size, channels in ((2, 16, 3), (0, 28, 1))
         if classes or not methods.needing_classes([method])]


def loaded(folder: Path, method: str, classes: int = 2, size: int = 16, channels: int = 1,
           **sampling: str) -> Method:
    if not (folder / method).exists():
        small_model(folder, method, classes=classes, size=size, channels=channels)
    return methods.load(folder / method, sampling=sampling)[0]


def exported(method: Method) -> tuple[dict[str, bytes], str]:
    return graphs.of_method(method)


def sampled(content: dict[str, bytes], lines: str, count: int, labels: np.ndarray | None,
            **more: object) -> np.ndarray:
    """What the method's own lines make with onnxruntime."""
    def run(name: str, **inputs: object) -> np.ndarray:
        known = {one.name for one in onnx.load_from_string(content[name]).graph.input}
        return graphs.run(content[name], {key: torch.as_tensor(np.asarray(value))
                                          for key, value in inputs.items() if key in known})

    names = {"np": np, "rng": np.random.default_rng(0), "count": count, "labels": labels, "run": run, **more}
    exec(lines, names)
    return names["images"]


@pytest.mark.parametrize(("name", "classes", "size", "channels"), CASES)
def test_onnxruntime_computes_what_torch_does(tmp_path: Path, name: str, classes: int, size: int,
                                              channels: int) -> None:
    content, _ = exported(loaded(tmp_path, name, classes, size, channels))
    networks = loaded(tmp_path, name).exports().networks  # with the linear layers that training uses
    assert content.keys() == networks.keys() and content
    for part, network in networks.items():
        for count in COUNTS:
            inputs = {key: graphs.rows(example, count) for key, example in network.inputs.items()}
            with torch.inference_mode():
                expected = network.module.eval()(*inputs.values()).numpy()
            found = graphs.run(content[part], inputs)
            assert found.shape == expected.shape and len(found) == count
            assert np.abs(found - expected).max() <= graphs.TOLERANCE * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", ["dcgan", "stylegan", "flow", "r3gan"])
def test_a_file_states_its_opset_and_has_what_sampling_needs_alone(tmp_path: Path, name: str) -> None:
    method = loaded(tmp_path, name, 2)
    content, _ = exported(method)
    for file in content.values():
        read = onnx.load_from_string(file)
        onnx.checker.check_model(read, full_check=True)
        assert [(one.domain, one.version) for one in read.opset_import] == [("", graphs.OPSET)]
        names = [tensor.name for tensor in read.graph.initializer]
        assert names and not any("critic" in name for name in names)


@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
@pytest.mark.parametrize("guidance", ["1.0", "1.6"])
def test_the_steps_of_a_flow_lead_to_its_picture(tmp_path: Path, solver: str, guidance: str) -> None:
    method = loaded(tmp_path, "flow", 2, solver=solver, guidance=guidance, steps="3")
    content, lines = exported(method)
    labels = np.array([0, 1, 1])
    found = sampled(content, lines, 3, labels).clip(-1, 1)
    latents = np.random.default_rng(0).standard_normal((3, *method.latent_shape), np.float32)
    with torch.inference_mode():
        expected = method.decode(torch.from_numpy(latents), torch.from_numpy(labels)).numpy()
    assert np.abs(found - expected).max() <= graphs.TOLERANCE


def test_the_tokens_of_a_transformer_are_drawn_as_it_draws_them(tmp_path: Path) -> None:
    method = loaded(tmp_path, "transformer", 2, top_k="1")  # the likeliest token, whatever the draw
    content, lines = exported(method)
    labels = np.array([0, 1, 1])
    with torch.inference_mode():
        expected = method.decode(torch.zeros(3, *method.latent_shape), torch.from_numpy(labels)).numpy()
    assert np.abs(sampled(content, lines, 3, labels) - expected).max() <= graphs.TOLERANCE


def test_tokens_are_drawn_with_their_probabilities(tmp_path: Path) -> None:
    method = loaded(tmp_path, "transformer", 2, top_k="3", temperature="0.7")
    _, lines = exported(method)
    logits = np.tile(np.log([[0.05, 0.4, 0.25, 0.3]]), (20_000, 1))
    seen: list[np.ndarray] = []

    def run(name: str, **inputs: np.ndarray) -> np.ndarray:
        if name == "decoder":
            seen.append(inputs["tokens"])
        return logits

    exec(lines, {"np": np, "rng": np.random.default_rng(0), "count": len(logits), "labels": None, "run": run})
    powers = np.array([0, 0.4, 0.25, 0.3]) ** (1 / 0.7)
    shares = np.bincount(seen[0].ravel(), minlength=4) / seen[0].size
    assert np.abs(shares - powers / powers.sum()).max() < 0.01


def test_the_draws_of_a_mixture_have_its_mean_and_covariance() -> None:
    from aigc.networks.mixture import GaussianMixture

    mixture, rng = GaussianMixture(3, 2), torch.Generator().manual_seed(0)
    mixture.weights.copy_(torch.tensor([0.5, 0.5, 0.0]))  # as where fewer were fitted
    mixture.means.copy_(torch.tensor([[2.0, 0.0], [-2.0, 1.0], [100.0, 100.0]]))
    mixture.roots[1] = torch.tensor([[0.5, 0.0], [0.3, 0.2]])
    points = mixture(torch.rand(100_000, generator=rng), torch.randn(100_000, 2, generator=rng))
    assert (points.mean(0) - torch.tensor([0.0, 0.5])).abs().max() < 0.02
    second = (torch.eye(2) + mixture.roots[1] @ mixture.roots[1].T) / 2
    between = torch.tensor([[4.0, -1.0], [-1.0, 0.25]])
    assert (points.T.cov() - second - between).abs().max() < 0.05
    assert points[points[:, 0] > 50].numel() == 0
    assert torch.isfinite(mixture(torch.ones(1), torch.zeros(1, 2))).all()  # and the end of the unit interval
    assert mixture(torch.ones(1), torch.zeros(1, 2)).max() < 50


def test_the_exporter_sees_linear_layers_and_no_call_of_onednn(tmp_path: Path) -> None:
    method = loaded(tmp_path, "gan")
    assert any(isinstance(layer, Linear) for layer in method.modules())
    content, _ = exported(method)
    kinds = {node.op_type for node in onnx.load_from_string(content["decoder"]).graph.node}
    assert "Gemm" in kinds and not any(node.domain for node in onnx.load_from_string(
        content["decoder"]).graph.node)


class Baked(torch.nn.Module):
    """Its trace holds the number of rows of the example."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * len(x)


def test_a_file_that_computes_something_else_is_refused() -> None:
    with pytest.raises(StorageError, match=r"step\.onnx: onnxruntime computes other values than torch"):
        graphs.graph("step", Network(Baked(), {"x": torch.ones(2, 3)}, "y"))
