"""Published networks see what torch-fidelity's see, and their weights are the right ones or none."""

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_fidelity import FeatureExtractorInceptionV3
from torch_fidelity import feature_extractor_clip as their_clip
from torch_fidelity import feature_extractor_dinov2 as their_dinov2
from torch_fidelity import feature_extractor_inceptionv3 as theirs
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from aigc.core import files, runtime
from aigc.core.errors import DataError, StorageError
from aigc.evaluation.config import EvaluateConfig
from aigc.evaluation.fidelity import Extractors
from aigc.features import inception, published
from aigc.features.contract import Features
from aigc.features.names import ExtractorName
from aigc.features.published import NETWORKS, PublishedExtractor
from small import Quarters

IMAGES = np.stack([np.random.default_rng(0).integers(0, most, (3, 40, 40), dtype=np.uint8)
                   for most in (256, 128, 16)])
DINOV2 = [name for name in NETWORKS if name.startswith("dinov2")]
CLIP = [name for name in NETWORKS if name.startswith("clip")]


def extracted(name: str, weights: Path, device: runtime.Device, monkeypatch: pytest.MonkeyPatch) -> Features:
    """The features of IMAGES by our extractor, as if `weights` were the published file."""
    monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], sha256=files.sha256(weights)))
    return PublishedExtractor(name, device, str(weights)).extract(IMAGES)


def test_every_name_has_a_network() -> None:
    assert {"classifier", *NETWORKS} == set(get_args(ExtractorName))
    assert set(NETWORKS) - {"inception"} <= set(FEATURE_EXTRACTORS_REGISTRY)


@pytest.mark.parametrize("name", CLIP)
def test_the_weights_of_clip_are_those_that_torch_fidelity_names(name: str) -> None:
    assert (NETWORKS[name].url, NETWORKS[name].sha256) == (their_clip.MODEL_URLS[name],
                                                          their_clip.MODEL_METADATA[name]["hash"])


def test_inception_sees_what_torch_fidelitys_network_sees_with_the_same_weights(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: runtime.Device) -> None:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        state = FeatureExtractorInceptionV3("inception-v3-compat", list(inception.LAYERS)).state_dict()
    weights = tmp_path / "weights.pth"
    torch.save(state, weights)
    by_them = FeatureExtractorInceptionV3("inception-v3-compat", list(inception.LAYERS),
                                          feature_extractor_weights_path=str(weights))
    features, logits = by_them(torch.from_numpy(IMAGES))
    found = extracted("inception", weights, device, monkeypatch)
    assert np.array_equal(found.features, features.numpy()) and np.array_equal(found.logits, logits.numpy())
    assert found.features.shape == (3, 2048) and found.features.std() > 0
    elsewhere = pickle.loads(pickle.dumps(PublishedExtractor("inception", device, str(weights)).of_chunk))
    for one, other in zip(elsewhere(IMAGES), vars(found).values(), strict=True):  # as another process has it
        assert np.array_equal(one, other)


class DinoV2(nn.Module):
    """DINOv2's network, written from its paper and the names in its file: an oracle for ours."""

    def __init__(self, state: dict[str, Tensor], heads: int) -> None:
        super().__init__()
        self.state, self.heads = state, heads

    def layer(self, x: Tensor, name: str) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, x: Tensor, name: str) -> Tensor:
        scaled = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
        return scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def attention(self, x: Tensor, block: str) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = (part.view(batch, tokens, self.heads, -1).transpose(1, 2)
                   for part in self.layer(x, f"{block}.attn.qkv").chunk(3, -1))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)).softmax(-1)
        return self.layer((weights @ v).transpose(1, 2).reshape(batch, tokens, width), f"{block}.attn.proj")

    def forward(self, x: Tensor) -> Tensor:
        state = self.state
        x = F.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
        grid = state["pos_embed"][:, 1:].unflatten(1, (37, 37)).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
        x = torch.cat([(state["cls_token"] + state["pos_embed"][:, :1]).expand(len(x), -1, -1),
                       (x + grid).flatten(2).transpose(1, 2)], 1)
        for index in range(sum("norm1.weight" in name for name in state)):
            block = f"blocks.{index}"
            x = x + state[f"{block}.ls1.gamma"] * self.attention(self.norm(x, f"{block}.norm1"), block)
            hidden = F.gelu(self.layer(self.norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
            x = x + state[f"{block}.ls2.gamma"] * self.layer(hidden, f"{block}.mlp.fc2")
        return self.norm(x, "norm")[:, 0]


def random_dinov2(width: int, depth: int) -> dict[str, Tensor]:
    """Random weights with the names and shapes of DINOv2's files. Each has an effect on the result."""
    torch.manual_seed(0)
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + 37**2, width), "mask_token": (1, width),
              "patch_embed.proj.weight": (width, 3, 14, 14), "patch_embed.proj.bias": (width,),
              "norm.weight": (width,), "norm.bias": (width,)}
    for index in range(depth):
        for layer, shape in {"norm1": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width),
                             "norm2": (width,), "mlp.fc1": (4 * width, width),
                             "mlp.fc2": (width, 4 * width)}.items():
            shapes[f"blocks.{index}.{layer}.weight"] = shape
            shapes[f"blocks.{index}.{layer}.bias"] = shape[:1]
        shapes |= {f"blocks.{index}.ls{part}.gamma": (width,) for part in (1, 2)}
    return {name: torch.randn(shape) * (1.5 / math.sqrt(shape[-1]) if len(shape) > 1 else 0.3)
            for name, shape in shapes.items()}


@pytest.mark.parametrize(("name", "width", "depth"), [
    ("dinov2-vit-s-14", 384, 12), ("dinov2-vit-b-14", 768, 12),
    pytest.param("dinov2-vit-l-14", 1024, 24, marks=pytest.mark.slow)])
def test_dinov2_sees_what_torch_fidelitys_sees_with_the_same_weights(
        name: str, width: int, depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        device: runtime.Device) -> None:
    state = random_dinov2(width, depth)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "load", lambda *_: DinoV2(state, width // 64))
        by_them, = their_dinov2.FeatureExtractorDinoV2(name, ["dinov2"])(torch.from_numpy(IMAGES))
    found = extracted(name, tmp_path / "weights.pth", device, monkeypatch)
    assert found.features.shape == (3, width) and found.logits.shape == (3, 0)
    assert np.abs(found.features - by_them.numpy()).max() < 1e-4
    assert found.features.std(0).mean() > 0.01, "the pictures make no difference"


class Named(nn.Module):
    """Holds tensors under names with dots."""

    def hold(self, name: str, value: Tensor) -> None:
        first, _, rest = name.partition(".")
        if not rest:
            self.register_buffer(first, value)
            return
        if not hasattr(self, first):
            self.add_module(first, Named())
        getattr(self, first).hold(rest, value)

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("name", CLIP)
def test_clip_sees_what_torch_fidelitys_sees_with_the_same_weights(
        name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: runtime.Device) -> None:
    """With two of its layers. The file is a TorchScript archive, as published."""
    torch.manual_seed(0)
    patch, width, out = int(name.rpartition("-")[2]), 1024 if "-l-" in name else 768, 512
    visual = their_clip.CLIPVisual(out, 224, 2, width, patch)
    held = Named()
    for key, value in {**visual.state_dict(), "text_projection": torch.zeros(8, out)}.items():
        held.hold(key, value)
    torch.jit.save(torch.jit.script(held), tmp_path / "weights.pt")
    by_them, = their_clip.FeatureExtractorCLIP(
        name, ["clip"], feature_extractor_weights_path=str(tmp_path / "weights.pt"))(torch.from_numpy(IMAGES))
    found = extracted(name, tmp_path / "weights.pt", device, monkeypatch)
    assert found.features.shape == (3, out) and found.logits.shape == (3, 0)
    assert np.abs(found.features - by_them.numpy()).max() < 1e-4
    assert found.features.std(0).mean() > 0.01, "the pictures make no difference"


@pytest.mark.parametrize("name", NETWORKS)
def test_another_file_is_refused_before_anything_of_it_is_read(name: str, tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch,
                                                               device: runtime.Device) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was read"))
    (tmp_path / "weights.pth").write_bytes(b"something else")
    with pytest.raises(StorageError,
                       match=rf"weights\.pth: sha256 is \w+, that of \S+ is {NETWORKS[name].sha256[:16]}"):
        PublishedExtractor(name, device, str(tmp_path / "weights.pth"))
    with pytest.raises(StorageError, match=rf"missing\.pth: missing; put {NETWORKS[name].file_name} there"):
        PublishedExtractor(name, device, str(tmp_path / "missing.pth"))


@pytest.mark.parametrize("name", NETWORKS)
def test_without_weights_and_network_one_line_says_what_to_put_where(name: str, tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch,
                                                                     device: runtime.Device) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(StorageError) as caught:
        PublishedExtractor(name, device)
    said = str(caught.value)
    assert str(tmp_path / "checkpoints" / NETWORKS[name].file_name) in said and NETWORKS[name].url in said
    assert "evaluate.extractor_weights" in said and "\n" not in said


def test_pictures_of_two_channels_are_refused() -> None:
    blind = object.__new__(published.PublishedExtractor)
    blind.kind = NETWORKS["inception"]
    with pytest.raises(DataError, match="1 or 3 channels"):
        blind.extract(np.zeros((2, 2, 8, 8), np.uint8))


def test_a_file_of_weights_is_that_of_the_runs_extractor_alone(device: runtime.Device,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, ...]] = []
    monkeypatch.setattr("aigc.evaluation.fidelity.open_extractor", lambda *found: opened.append(found))
    config = EvaluateConfig(extractor="clip-vit-b-32", extractor_weights="clip.pt")
    Extractors(Quarters(), config, device)._open("inception")
    assert opened == [("inception", device)]
