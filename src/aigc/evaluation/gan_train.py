"""GAN-train, or Classification Accuracy Score: a classifier learns from generated pictures alone and is tested on real ones.

Ravuri & Vinyals 2019; Shmelkov et al. 2018. Low when samples are unlike real ones, of the wrong class, or too alike.
"""

import numpy as np

from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.features.classifier import Classifier, ClassifierConfig, classify
from aigc.model.contract import Shape
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer

STREAM, LABEL = "classifier for GAN-train", "GAN-train's classifier"
SETTINGS = TrainConfig(seed=0, intervals=1, checkpoints=1)  # too short to be worth resuming


def hits_on_real(learn_from: Pictures, test: Pictures, config: ClassifierConfig, device: Device) -> np.ndarray:
    """Which real test pictures a new classifier names rightly that saw labelled `learn_from` alone: bool (len(test),)."""
    shape = Shape.of(learn_from)
    trainer = Trainer.on(learn_from, STREAM, lambda: Classifier(config, shape), config, SETTINGS, device, label=LABEL)
    network = trainer.fit()
    assert isinstance(network, Classifier)
    return np.asarray(classify(network, test.images, device).logits.argmax(1) == test.labels)
