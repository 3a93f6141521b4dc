"""The vision transformers of DINOv2 (Oquab et al. 2023), as torch-fidelity runs them.

torch-fidelity prepares the pictures. It would run code that it downloads from GitHub for the network. Here
the network is torchvision's vision transformer, which computes the same.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer

SIDE, PATCH = 224, 14  # pixels: of a picture, of a token
HEAD = 64  # channels of an attention head, in each size of the network
NUDGE = 0.1  # of a token: DINOv2 scales its grid of positions by (16 + 0.1) / 37, not by 16 / 37
BLOCK = {"norm1": "ln_1", "attn.proj": "self_attention.out_proj", "norm2": "ln_2", "mlp.fc1": "mlp.0",
         "mlp.fc2": "mlp.3"}  # a block's layers: DINOv2's name -> torchvision's
SCALED = {"attn.proj": "ls1", "mlp.fc2": "ls2"}  # a layer -> the scale of its outputs (LayerScale)


def build(weights: Path, name: str) -> nn.Module:
    """torch-fidelity's network with these weights: uint8 (B, 3, H, W) -> (features (B, d),)."""
    from torch_fidelity import feature_extractor_dinov2 as module

    state = torch.load(weights, map_location="cpu", weights_only=True)
    load = module.torch.hub.load
    module.torch.hub.load = lambda *_, **__: transformer(state)
    try:
        network: nn.Module = module.FeatureExtractorDinoV2(name, ["dinov2"])
    finally:
        module.torch.hub.load = load
    return network


def transformer(state: dict[str, Tensor]) -> VisionTransformer:
    """The network with DINOv2's weights: float32 (B, 3, 224, 224), normalised -> class token (B, d)."""
    width = state["cls_token"].shape[-1]
    depth = sum(name.endswith("norm1.weight") for name in state)
    network = VisionTransformer(SIDE, PATCH, depth, width // HEAD, width, 4 * width)
    network.heads = nn.Identity()
    network.load_state_dict(renamed(state, depth))
    return network.eval()


def renamed(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """DINOv2's weights under torchvision's names. LayerScale is multiplied into the layer before it."""
    found = {"class_token": state["cls_token"], "encoder.pos_embedding": positions(state["pos_embed"])}
    for kind in ("weight", "bias"):
        found[f"conv_proj.{kind}"] = state[f"patch_embed.proj.{kind}"]
        found[f"encoder.ln.{kind}"] = state[f"norm.{kind}"]
    for index in range(depth):
        theirs, ours = f"blocks.{index}", f"encoder.layers.encoder_layer_{index}"
        for kind in ("weight", "bias"):
            found[f"{ours}.self_attention.in_proj_{kind}"] = state[f"{theirs}.attn.qkv.{kind}"]
            for layer, name in BLOCK.items():
                value = state[f"{theirs}.{layer}.{kind}"]
                if layer in SCALED:
                    scale = state[f"{theirs}.{SCALED[layer]}.gamma"]
                    value = value * (scale[:, None] if kind == "weight" else scale)
                found[f"{ours}.{name}.{kind}"] = value
    return found


def positions(embedding: Tensor) -> Tensor:
    """The embeddings of class token and positions, (1, 1 + M^2, d), for a grid of 16 x 16 tokens."""
    side, grid = SIDE // PATCH, round((embedding.shape[1] - 1) ** 0.5)
    of_patches = embedding[:, 1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    scaled = F.interpolate(of_patches, scale_factor=(side + NUDGE) / grid, mode="bicubic")
    return torch.cat([embedding[:, :1], scaled.flatten(2).transpose(1, 2)], dim=1)
