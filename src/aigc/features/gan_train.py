"""GAN-train, or Classification Accuracy Score: learn to tell classes from generated pictures alone, be tested on real ones.

Ravuri & Vinyals 2019; Shmelkov et al. 2018. Low when samples are unlike real ones, of the wrong class, or too few kinds.
"""

import tempfile
from pathlib import Path

import numpy as np

from aigc.core import config
from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.features.classifier import Classifier, ClassifierConfig
from aigc.features.extractor import see
from aigc.methods.contract import Shape
from aigc.training.checkpoint import Checkpoints
from aigc.training.feed import Feed
from aigc.training.loop import Trainer

NAME = "classifier for GAN-train"
ONCE = config.Train(seed=0, intervals=1, checkpoints=1)  # too short to be worth resuming


def hits_on_real(learn_from: Pictures, test: Pictures, chosen: ClassifierConfig, device: Device) -> np.ndarray:
    """Which real test pictures a fresh classifier names rightly that saw labelled `learn_from` alone: bool (len(test),)."""
    shape = Shape(learn_from.images.shape[1], learn_from.images.shape[2], len(learn_from.classes))
    feed = Feed(learn_from.images, learn_from.labels, ONCE.seed, device)
    with tempfile.TemporaryDirectory() as folder:
        network = Trainer(NAME, lambda: Classifier(chosen, shape), feed, chosen, ONCE, device, Checkpoints(Path(folder))).fit()
    assert isinstance(network, Classifier)
    return np.asarray(see(network, test.images, device).logits.argmax(1) == test.labels)
