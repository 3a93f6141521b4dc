"""Our metrics against independent programs, on the same features: torch-fidelity, scikit-learn, prdc."""

import contextlib
import io

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from sklearn.neighbors import NearestNeighbors
from torch_fidelity import KEY_METRIC_FID as FID
from torch_fidelity import KEY_METRIC_ISC_MEAN as IS
from torch_fidelity import KEY_METRIC_KID_MEAN as KID
from torch_fidelity import KEY_METRIC_PRECISION as PRECISION
from torch_fidelity import KEY_METRIC_RECALL as RECALL
from torch_fidelity import FeatureExtractorBase, calculate_metrics, register_feature_extractor

from aigc.metrics import frechet, kernel, neighbours
from aigc.metrics.inception_score import over_splits

PIXELS = (3, 4, 4)
SPLITS = 5


class Doubled(FeatureExtractorBase):
    """Fixed random projections of the pixels, in double precision."""

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)
        self.register_buffer("projection", torch.from_numpy(np.random.default_rng(0).normal(size=(48, 12))))

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.relu(images.flatten(1).double() @ self.projection / 100),)


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return (rng.integers(0, 256, (300, *PIXELS), dtype=np.uint8),
            rng.integers(20, 250, (300, *PIXELS), dtype=np.uint8))


@pytest.fixture(scope="module")
def features(pictures: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    eye = Doubled("doubled", ["features"])
    real, fake = (eye(torch.from_numpy(side))[0].numpy() for side in pictures)
    return real, fake


@pytest.fixture(scope="module")
def theirs(pictures: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    with contextlib.suppress(Exception):  # registered once a process
        register_feature_extractor("doubled", Doubled)
    real, fake = (Bare(torch.from_numpy(side)) for side in pictures)
    with contextlib.redirect_stderr(io.StringIO()):
        return calculate_metrics(
            input1=fake, input2=real, feature_extractor="doubled", cuda=False, cache=False, verbose=False,
            samples_shuffle=False,
            fid=True, isc=True, kid=True, prc=True, isc_splits=SPLITS, kid_subsets=1, kid_subset_size=300,
            prc_neighborhood=3)


class Bare(torch.utils.data.Dataset):
    """What torch-fidelity wants of a dataset: items that are tensors."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def test_fid_is_kid_precision_and_recall_are_torch_fidelitys(features: tuple[np.ndarray, np.ndarray],
                                                             theirs: dict[str, float]) -> None:
    real, fake = features
    assert frechet.fid(real, fake) == pytest.approx(theirs[FID], rel=1e-6)
    assert over_splits(fake, SPLITS).mean() == pytest.approx(theirs[IS], rel=1e-6)
    assert kernel.kid(real, fake).value == pytest.approx(theirs[KID], rel=1e-6)
    assert neighbours.precision(neighbours.knn_balls(real, 3),
                                fake) == pytest.approx(theirs[PRECISION], abs=1e-7)  # they average in float32
    assert neighbours.recall(real, neighbours.knn_balls(fake, 3)) == pytest.approx(theirs[RECALL], abs=1e-7)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(300, 200, 3, 5), (80, 120, 30, 1), (40, 500, 2, 7)])
def test_precision_recall_density_and_coverage_are_prdcs(rng: np.random.Generator, n: int, m: int, d: int,
                                                         k: int) -> None:
    real, fake = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 1.2 + 0.3
    with contextlib.redirect_stdout(io.StringIO()):
        expected = compute_prdc(real, fake, k)
    balls = neighbours.knn_balls(real, k)
    found = {"precision": neighbours.precision(balls, fake),
             "recall": neighbours.recall(real, neighbours.knn_balls(fake, k)),
             "density": neighbours.density(balls, fake), "coverage": neighbours.coverage(balls, fake)}
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_nearest_are_scikit_learns(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, pool = rng.normal(size=(70, 5)), rng.normal(size=(90, 5))
    distances, indices = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(pool).kneighbors(queries)
    for elements in (1, 1000, 1 << 20):  # a row at a time, some rows, all at once
        monkeypatch.setattr("aigc.metrics.arrays.BLOCK_ELEMENTS", elements)
        monkeypatch.setattr("aigc.metrics.neighbours.BLOCK_ELEMENTS", elements)
        found = neighbours.nearest(queries, pool, 4)
        assert (found[1] == indices).all()
        assert np.sqrt(found[0]) == pytest.approx(distances, rel=1e-12)
