"""InceptionV3 is torch-fidelity's, and its weights are the right ones or none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity import FeatureExtractorInceptionV3
from torch_fidelity import feature_extractor_inceptionv3 as theirs

from aigc.core import files, runtime
from aigc.core.errors import DataError, StorageError
from aigc.features import inception


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Random weights of the network's shapes."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        return FeatureExtractorInceptionV3("inception-v3-compat", list(inception.LAYERS)).state_dict()


def test_it_sees_what_torch_fidelitys_network_sees_with_the_same_weights(state: dict[str, torch.Tensor],
                                                                         tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch,
                                                                         device: runtime.Device) -> None:
    weights = tmp_path / inception.NAME
    torch.save(state, weights)
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 40, 40), dtype=np.uint8)
    by_them = FeatureExtractorInceptionV3("inception-v3-compat", list(inception.LAYERS),
                                          feature_extractor_weights_path=str(weights))
    features, logits = by_them(torch.from_numpy(images))
    monkeypatch.setattr(inception, "SHA256", files.sha256(weights))
    found = inception.Inception(device, str(weights)).extract(images)
    assert np.array_equal(found.features, features.numpy()) and np.array_equal(found.logits, logits.numpy())
    assert found.features.shape == (3, 2048) and found.features.std() > 0


def test_another_file_is_refused_before_anything_of_it_is_read(tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    (tmp_path / "weights.pth").write_bytes(b"something else")
    with pytest.raises(StorageError,
                       match=r"weights\.pth: sha256 is \w{16}, that of \S+ is 6726825d0af5f729"):
        inception.read_weights(tmp_path / "weights.pth", inception.SHA256)
    with pytest.raises(StorageError, match=r"missing\.pth: missing; put weights-inception"):
        inception.read_weights(tmp_path / "missing.pth", inception.SHA256)


def test_without_weights_and_network_one_line_says_what_to_put_where(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(StorageError) as caught:
        inception.download_weights()
    said = str(caught.value)
    assert str(tmp_path / "checkpoints"
               / inception.NAME) in said and inception.URL in said and "\n" not in said


def test_pictures_of_two_channels_are_refused() -> None:
    blind = object.__new__(inception.Inception)
    with pytest.raises(DataError, match="1 or 3 channels"):
        blind.extract(np.zeros((2, 2, 8, 8), np.uint8))
