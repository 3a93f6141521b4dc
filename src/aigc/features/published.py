"""Networks that others trained and published, as feature extractors: InceptionV3, DINOv2 and CLIP.

torch-fidelity prepares the pictures and runs the network, so the features are those of published numbers. The
weights are not part of this project. They are in the cache of torch, downloaded there once, or in a file
that the user names. Their sha256 is checked before anything of them is read. Grey pictures become grey RGB.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aigc.core import cuda, files, sharing
from aigc.core.errors import DataError, StorageError
from aigc.core.runtime import Device
from aigc.features import clip, contract, dinov2, inception
from aigc.features.contract import Features, PictureStack

DINOV2 = "https://dl.fbaipublicfiles.com/dinov2"
CLIP = "https://openaipublic.azureedge.net/clip/models"


@dataclass(frozen=True)
class Network:
    """One published network.

    title: its name in a protocol. url: of its weights. sha256: of that file. rows: pictures at a time.
    build: (file, name) -> the network: uint8 (B, 3, H, W) -> (features (B, d), logits (B, classes)), or
    features alone if it does not predict classes. file: its name in the cache; "" = as in the url.
    """

    title: str
    url: str
    sha256: str
    build: Callable[[Path, str], nn.Module]
    rows: int = 32
    file: str = ""

    @property
    def file_name(self) -> str:
        return self.file or self.url.rpartition("/")[2]


def _clip(title: str, file: str, sha256: str) -> Network:
    return Network(f"CLIP {title} of torch-fidelity, image embedding", f"{CLIP}/{sha256}/{file}.pt", sha256,
                   clip.build, file=f"clip-{file}.pt")


def _dinov2(title: str, name: str, sha256: str) -> Network:
    return Network(f"DINOv2 {title} of torch-fidelity, class token", f"{DINOV2}/{name}/{name}_pretrain.pth",
                   sha256, dinov2.build)


NETWORKS = {
    "inception": Network(
        "InceptionV3 of torch-fidelity, 2048 features",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", inception.build),
    "dinov2-vit-s-14": _dinov2("ViT-S/14", "dinov2_vits14",
                               "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
    "dinov2-vit-b-14": _dinov2("ViT-B/14", "dinov2_vitb14",
                               "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    "dinov2-vit-l-14": _dinov2("ViT-L/14", "dinov2_vitl14",
                               "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    "clip-vit-b-32": _clip("ViT-B/32", "ViT-B-32",
                           "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    "clip-vit-b-16": _clip("ViT-B/16", "ViT-B-16",
                           "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    "clip-vit-l-14": _clip("ViT-L/14", "ViT-L-14",
                           "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
}


class PublishedExtractor:
    """The network `name` of NETWORKS, in eval mode on `device`. weights: a file, "" = the cache of torch."""

    def __init__(self, name: str, device: Device, weights: str = "") -> None:
        self.name, self.weights, self.kind = name, weights, NETWORKS[name]
        path = Path(weights) if weights else download_weights(self.kind)
        check_weights(path, self.kind)
        self.sha256 = self.kind.sha256
        self.network = self.kind.build(path, name).to(device.torch_device)
        self.device = device

    def protocol(self) -> dict[str, Any]:
        """The entries of the protocol that describe this extractor."""
        return {"extractor": self.kind.title, "extractor_sha256": self.sha256}

    def extract(self, images: PictureStack) -> Features:
        """uint8 (N, 1 or 3, H, W), memory-mapped or not, in chunks; resized as torch-fidelity does."""
        if len(images.shape) != 4 or images.shape[1] not in (1, 3):
            raise DataError(f"{self.kind.title} needs pictures of 1 or 3 channels, found {images.shape}")
        chunks = contract.chunks(images, self.kind.rows)
        return contract.joined(sharing.in_order(self.of_chunk, chunks), len(images))

    def of_chunk(self, chunk: np.ndarray) -> contract.Chunk:
        with cuda.without_tf32():  # as published, under `fast` too
            return contract.of_chunk(self._forward, self.device, chunk)

    def __reduce__(self) -> tuple[Any, ...]:
        return sharing.opened, (PublishedExtractor, self.name, self.device, self.weights)

    def _forward(self, chunk: Tensor) -> tuple[Tensor, Tensor]:
        features, *logits = self.network(chunk.expand(-1, 3, -1, -1))
        return features, logits[0] if logits else features[:, :0]


def download_weights(kind: Network) -> Path:
    """The file of the weights in the cache of torch, downloaded if it is missing. Raises StorageError if that
    fails.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / kind.file_name
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(kind.url, str(path), hash_prefix=kind.sha256)
        except (OSError,
                RuntimeError) as error:  # URLError and timeouts are OSErrors, a wrong hash is a RuntimeError
            reason = " ".join(str(error).split())
            raise StorageError(f"{path}: missing, and the download failed ({reason}); download {kind.url} "
                               "elsewhere and put it there, or name it by --weights or "
                               "evaluate.extractor_weights") from None
    return path


def check_weights(path: Path, kind: Network) -> None:
    """Raises StorageError if the file is missing or has another sha256 than the weights of `kind`."""
    if not path.is_file():
        problem = "not a file" if path.exists() else "missing"
        raise StorageError(f"{path}: {problem}; put {kind.file_name} there (from {kind.url}) and name that "
                           "file")
    found = files.sha256(path)
    if found != kind.sha256:
        raise StorageError(f"{path}: sha256 is {found[:16]}, that of {kind.file_name} is {kind.sha256[:16]}: "
                           f"this is another file; replace it with the one from {kind.url}")
