"""The classifier that is the feature extractor: with and without classes, and labels that may be wrong."""

from pathlib import Path

import numpy as np
import torch

from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.evaluation import classification
from aigc.features.classifier import TURNS, Classifier, ClassifierConfig, classify, rotated
from aigc.metrics import damages, neighbours
from aigc.model.contract import Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.config import TrainConfig
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

CONFIG = ClassifierConfig(images=8000, batch_size=64, ema_halflife=2000.0, warmup=0.05, decay=0.5,
                          learning_rate=0.004, width=8, features=32)


def trained(images: np.ndarray, labels: np.ndarray, classes: int, device: Device, folder: Path) -> Classifier:
    network = Trainer("test", lambda: Classifier(CONFIG, Shape(1, 28, classes)),
                      Feed(images, labels, 0, device), CONFIG,
                      TrainConfig(seed=0, intervals=1, checkpoints=1), device, Checkpoints(folder)).fit()
    assert isinstance(network, Classifier)
    return network


def test_each_picture_is_rotated_by_its_own_number_of_quarter_turns() -> None:
    images = torch.arange(4 * 2 * 9).view(4, 2, 3, 3).float()
    turned = rotated(images, torch.tensor([0, 1, 2, 3]))
    for turn in range(TURNS):
        assert torch.equal(turned[turn],
                           torch.from_numpy(np.rot90(images[turn].numpy(), turn, (1, 2)).copy()))


def test_the_features_are_of_all_levels_and_vary_alike(digits: tuple[np.ndarray, np.ndarray], device: Device,
                                                       tmp_path: Path) -> None:
    network = trained(*digits, 10, device, tmp_path)
    features = classify(network, digits[0], device).features
    assert features.shape == (5000, 2 * (8 + 16) + 32)
    assert np.abs(features.mean(0)).max() < 0.5 and features.std(0).max() < 2


def test_the_features_see_grain_and_blur_that_the_last_layer_does_not(
        digits: tuple[np.ndarray, np.ndarray], device: Device, tmp_path: Path) -> None:
    images, labels = digits
    network = trained(images[::2], labels[::2], 10, device, tmp_path)
    real, holdout = images[1::10], images[3::10]
    rngs = [np.random.default_rng(row) for row in range(len(holdout))]
    means = damages.class_means(images, labels, 10)[labels[3::10]]
    for fake in (means, damages.blurred(holdout, rngs, sigma=1)):
        shares = [precision(real, fake, network, device, columns)
                  for columns in (slice(None), slice(-network.config.features, None))]
        assert shares[0] < 0.5 * shares[1]
    assert precision(real, holdout, network, device, slice(None)) > 0.7


def precision(real: np.ndarray, fake: np.ndarray, network: Classifier, device: Device,
              columns: slice) -> float:
    sides = [classify(network, side, device).features[:, columns].astype(np.float64) for side in (real, fake)]
    return float(np.mean(neighbours.count_inside(neighbours.knn_balls(sides[0], 3), sides[1])[0] > 0))


def test_without_classes_it_learns_the_quarter_turn(digits: tuple[np.ndarray, np.ndarray], device: Device,
                                                   tmp_path: Path) -> None:
    images, labels = digits[0][::2], np.full(2500, -1)
    network = trained(images, labels, 0, device, tmp_path)
    assert not network.names_classes
    turns, predicted = classification.predict_turns(network, digits[0][1::2], device)
    assert np.bincount(turns).tolist() == [2500] * 4
    assert np.mean(turns == predicted) > 0.6  # chance is 0.25; 0, 1 and 8 look the same upside down


def test_wrong_labels_of_pictures_outside_the_training_set_are_listed(
        digits: tuple[np.ndarray, np.ndarray], device: Device, tmp_path: Path,
        rng: np.random.Generator) -> None:
    images, labels = digits
    network = trained(images[::2], labels[::2], 10, device, tmp_path)
    given_labels = np.array(labels[1::2])
    wrong = rng.choice(len(given_labels), 25, replace=False)
    given_labels[wrong] = (given_labels[wrong] + rng.integers(1, 10, 25)) % 10
    split = Pictures(images[1::2], given_labels, [str(digit) for digit in range(10)])
    predicted, doubtful = classification.predict_classes(network, split, "test", 0.01, device)
    assert np.mean(predicted == labels[1::2]) > 0.9
    table = classification.doubtful_table(doubtful)
    assert len(np.intersect1d(table["row"], wrong)) >= 20
    assert len(table) <= 100 and table["confidence"].is_monotonic_increasing
    assert (table["class"].astype(int).to_numpy() == given_labels[table["row"]]).all()
    assert (table["seen_as"].astype(int).to_numpy() == predicted[table["row"]]).all()
