"""InceptionV3 of the published FID protocol (Heusel et al. 2017), as torch-fidelity converts it from TensorFlow.

Its weights are not ours to ship: they are found in torch's cache, downloaded there once, or named by the user; they are
checked by sha256 before anything of them is read, and read as tensors alone. Grey pictures are shown as grey colour.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigc.core import files
from aigc.core.errors import DataError, StorageError
from aigc.core.runtime import Device
from aigc.features.contract import Features, PictureStack, extract_in_chunks

NAME = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
LAYERS = ["2048", "logits_unbiased"]  # FID, KID and neighbours look at the first, IS at the second
ROWS = 32


class Inception:
    """The network, in eval mode on `device`."""

    def __init__(self, device: Device, weights: str = "") -> None:
        path = Path(weights) if weights else fetched()
        self.sha256 = SHA256
        self.network = build(read(path, SHA256)).to(device.torch_device)
        self.device = device

    def protocol(self) -> dict[str, Any]:
        """What to print beside a number."""
        return {"extractor": "InceptionV3 of torch-fidelity, 2048 features", "extractor_sha256": self.sha256}

    def extract(self, images: PictureStack) -> Features:
        """uint8 (N, 1 or 3, H, W), memory-mapped or not, in chunks; resized to 299 x 299 as TensorFlow 1 did."""
        if len(images.shape) != 4 or images.shape[1] not in (1, 3):
            raise DataError(f"InceptionV3 sees pictures of 1 or 3 channels, found {images.shape}")
        return extract_in_chunks(lambda chunk: self.network(chunk.expand(-1, 3, -1, -1)), images, self.device, ROWS)


def fetched() -> Path:
    """Where torch-fidelity keeps the weights, downloaded if need be. Raises StorageError saying which file to put where."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / NAME
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(path), hash_prefix=SHA256)
        except (OSError, RuntimeError) as error:  # URLError and timeouts are OSErrors, a wrong hash is a RuntimeError
            reason = " ".join(str(error).split())
            raise StorageError(f"{path}: missing, and the download failed ({reason}); fetch {URL} elsewhere and put it there, or name it "
                               "by --weights or evaluate.inception_weights") from None
    return path


def read(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors in `path`. Raises StorageError when it is missing or its sha256 is another."""
    if not path.is_file():
        raise StorageError(f"{path}: {'not a file' if path.exists() else 'missing'}; put {NAME} there (from {URL}) and name that file")
    found = files.sha256(path)
    if found != sha256:
        raise StorageError(f"{path}: sha256 is {found[:16]}, that of {NAME} is {sha256[:16]}: this is another file; "
                           f"replace it by the one from {URL}")
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def build(state: dict[str, Tensor]) -> torch.nn.Module:
    """torch-fidelity's network with these tensors: uint8 (B, 3, H, W) -> features (B, 2048), logits (B, 1008).

    Its constructor knows a download and a file that it unpickles, and nothing else: the download is answered from `state`.
    """
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    download = theirs.load_state_dict_from_url
    theirs.load_state_dict_from_url = lambda *_, **__: state
    try:
        network: torch.nn.Module = theirs.FeatureExtractorInceptionV3("inception-v3-compat", LAYERS)
    finally:
        theirs.load_state_dict_from_url = download
    return network
