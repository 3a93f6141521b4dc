"""GAN-train, or Classification Accuracy Score: trained on generated pictures, tested on real ones.

Ravuri & Vinyals 2019; Shmelkov et al. 2018. It is low if samples are unrealistic, of the wrong class, or too
similar.
"""

import numpy as np

from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.features.classifier import Classifier, ClassifierConfig, classify
from aigc.model.contract import Shape
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer

STREAM, LABEL = "classifier for GAN-train", "GAN-train's classifier"
SETTINGS = TrainConfig(seed=0, intervals=1, checkpoints=1)  # short: it need not be resumed


def correct_on_real(train: Pictures, test: Pictures, config: ClassifierConfig, device: Device) -> np.ndarray:
    """Whether a classifier trained on `train` alone is right on each test picture: bool (len(test),)."""
    shape = Shape.of(train)
    settings = SETTINGS.model_copy(update={"mirror": config.mirror, "shift": config.shift})
    trainer = Trainer.on(train, STREAM, lambda: Classifier(config, shape), config, settings, device,
                         label=LABEL)
    network = trainer.fit()
    assert isinstance(network, Classifier)
    return np.asarray(classify(network, test.images, device).logits.argmax(1) == test.labels)
