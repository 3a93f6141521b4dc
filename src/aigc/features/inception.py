"""InceptionV3 of the published FID protocol (Heusel et al. 2017), as torch-fidelity converts it from
TensorFlow.

Its weights are not part of this project. They are in the cache of torch, downloaded there once, or in a file
that the user names. Their sha256 is checked before they are read, and nothing but tensors is read. Grey
pictures become grey RGB.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigc.core import cuda, files
from aigc.core.errors import DataError, StorageError
from aigc.core.runtime import Device
from aigc.features.contract import Features, PictureStack, extract_in_chunks

NAME = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
LAYERS = ["2048", "logits_unbiased"]  # the features, and the logits that IS needs
ROWS = 32


class Inception:
    """The network, in eval mode on `device`."""

    def __init__(self, device: Device, weights: str = "") -> None:
        path = Path(weights) if weights else download_weights()
        self.sha256 = SHA256
        self.network = build(read_weights(path, SHA256)).to(device.torch_device)
        self.device = device

    def protocol(self) -> dict[str, Any]:
        """The entries of the protocol that describe this extractor."""
        return {"extractor": "InceptionV3 of torch-fidelity, 2048 features", "extractor_sha256": self.sha256}

    def extract(self, images: PictureStack) -> Features:
        """uint8 (N, 1 or 3, H, W), memory-mapped or not, in chunks; resized to 299 x 299 as TensorFlow 1 did.
        """
        if len(images.shape) != 4 or images.shape[1] not in (1, 3):
            raise DataError(f"InceptionV3 needs pictures of 1 or 3 channels, found {images.shape}")
        with cuda.without_tf32():  # as published, under `fast` too
            return extract_in_chunks(lambda chunk: self.network(chunk.expand(-1, 3, -1, -1)), images,
                                     self.device, ROWS)


def download_weights() -> Path:
    """The file of the weights in the cache of torch, downloaded if it is missing. Raises StorageError if that
    fails.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / NAME
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(path), hash_prefix=SHA256)
        except (OSError,
                RuntimeError) as error:  # URLError and timeouts are OSErrors, a wrong hash is a RuntimeError
            reason = " ".join(str(error).split())
            raise StorageError(f"{path}: missing, and the download failed ({reason}); download {URL} "
                               "elsewhere and put it there, or name it by --weights or "
                               "evaluate.inception_weights") from None
    return path


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors in `path`. Raises StorageError if the file is missing or has another sha256."""
    if not path.is_file():
        problem = "not a file" if path.exists() else "missing"
        raise StorageError(f"{path}: {problem}; put {NAME} there (from {URL}) and name that file")
    found = files.sha256(path)
    if found != sha256:
        raise StorageError(f"{path}: sha256 is {found[:16]}, that of {NAME} is {sha256[:16]}: this is "
                           f"another file; replace it with the one from {URL}")
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def build(state: dict[str, Tensor]) -> torch.nn.Module:
    """torch-fidelity's network with these tensors: uint8 (B, 3, H, W) -> features (B, 2048), logits (B,
    1008).

    Its constructor can only download the weights or unpickle a file, so the download function is replaced by
    `state`.
    """
    from torch_fidelity import feature_extractor_inceptionv3 as module

    download = module.load_state_dict_from_url
    module.load_state_dict_from_url = lambda *_, **__: state
    try:
        network: torch.nn.Module = module.FeatureExtractorInceptionV3("inception-v3-compat", LAYERS)
    finally:
        module.load_state_dict_from_url = download
    return network
