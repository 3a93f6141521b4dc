"""The networks of a method as ONNX files, each compared with the network that it was made from.

torch's exporter by tracing is used. The newer one (torch.export) needs the package onnxscript, and with torch
2.14.1 and onnxscript 0.7.2 it fails on the step of `flow`.
"""

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aigc.core.errors import ConfigError, StorageError
from aigc.model.contract import Method
from aigc.model.exports import Network

OPSET = 18  # of ONNX; read by onnxruntime 1.14 (2023) and later
TOLERANCE = 1e-4  # the largest difference to torch, of values in about [-1, 1]; of others relative
MISSING = "aigc export --onnx needs onnx and onnxruntime; pip install -e .[export]"


def of_method(method: Method) -> tuple[dict[str, bytes], str]:
    """The ONNX file of each network that the method exports, by name; and its lines that sample with them.

    method: in eval mode on the CPU. Raises StorageError where onnxruntime does not compute what torch does.
    """
    _check_installed()
    exports = method.exports()
    return {name: graph(name, network) for name, network in exports.networks.items()}, exports.sampling


def graph(name: str, network: Network) -> bytes:
    """One network as an ONNX file, for any number of pictures."""
    stream: Any = io.BytesIO()  # the exporter's types know of paths only
    axes = {key: {0: "count"} for key, example in network.inputs.items() if example.ndim}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", (DeprecationWarning, torch.jit.TracerWarning))
        torch.onnx.export(
            network.module.eval(), tuple(network.inputs.values()), stream, dynamo=False, opset_version=OPSET,
            input_names=list(network.inputs), output_names=[network.output],
            dynamic_axes={**axes, network.output: {0: "count"}})
    content = stream.getvalue()
    _compare(name, network, content)
    return content


def _compare(name: str, network: Network, content: bytes) -> None:
    for count in (1, 3):
        inputs = {key: rows(example, count) for key, example in network.inputs.items()}
        with torch.no_grad():
            expected = network.module(*inputs.values()).numpy()
        difference = np.abs(run(content, inputs) - expected).max() / max(1.0, np.abs(expected).max())
        if not difference <= TOLERANCE:
            raise StorageError(f"{name}.onnx: onnxruntime computes other values than torch (difference "
                               f"{difference:.2g} for {count} pictures, at most {TOLERANCE:g} is accepted); "
                               "nothing is exported: export without --onnx")


def rows(example: Tensor, count: int) -> Tensor:
    """An example with another number of rows: the same ones in turn."""
    return example[torch.arange(count) % len(example)] if example.ndim else example


def run(content: bytes, inputs: Mapping[str, Tensor]) -> np.ndarray:
    """What onnxruntime makes of the inputs, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    made: np.ndarray = session.run(None, {key: value.numpy() for key, value in inputs.items()})[0]
    return made


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401 torch's exporter needs it
        import onnxruntime  # noqa: F401
    except ImportError:
        raise ConfigError(MISSING) from None
