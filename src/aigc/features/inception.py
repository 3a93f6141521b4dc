"""InceptionV3 of the published FID protocol (Heusel et al. 2017), as torch-fidelity converts it from
TensorFlow.
"""

from pathlib import Path

import torch

LAYERS = ["2048", "logits_unbiased"]  # the features, and the logits that IS needs


def build(weights: Path, name: str) -> torch.nn.Module:
    """torch-fidelity's network with these weights: uint8 (B, 3, H, W) -> features (B, 2048), logits (B,
    1008).

    Its constructor can only download the weights or unpickle a file, so the download function is replaced by
    the tensors of `weights`.
    """
    from torch_fidelity import feature_extractor_inceptionv3 as module

    state = torch.load(weights, map_location="cpu", weights_only=True)
    download = module.load_state_dict_from_url
    module.load_state_dict_from_url = lambda *_, **__: state
    try:
        network: torch.nn.Module = module.FeatureExtractorInceptionV3("inception-v3-compat", LAYERS)
    finally:
        module.load_state_dict_from_url = download
    return network
