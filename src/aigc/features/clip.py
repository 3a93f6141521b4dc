"""The image encoders of CLIP (Radford et al. 2021), as torch-fidelity runs them."""

from pathlib import Path

from torch import nn


def build(weights: Path, name: str) -> nn.Module:
    """torch-fidelity's network with these weights: uint8 (B, 3, H, W) -> (features (B, d),).

    weights: a TorchScript archive, as OpenAI publishes it. Its sha256 must have been checked before.
    """
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    network: nn.Module = FeatureExtractorCLIP(name, ["clip"], feature_extractor_weights_path=str(weights))
    return network
