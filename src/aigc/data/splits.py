"""Which picture is for training, which for the floor, which for the test: seeded, stratified, equal pictures together."""

import hashlib

import numpy as np
import pandas as pd

from aigc.core import config

NAMES = ("train", "holdout", "test")


def assign(sha256: pd.Series, labels: np.ndarray, chosen: config.Split) -> np.ndarray:
    """The split of each picture: object (N,) of "train", "holdout" or "test".

    A picture's place depends on the seed, on its own hash and on those of its class, never on its row. Copies of one
    picture go where the first of them goes. Shares are met per class, to the nearest picture.
    """
    pictures = pd.DataFrame({"sha256": sha256.to_numpy(), "label": labels})
    groups = pictures.groupby("sha256").agg(label=("label", "min"), size=("label", "size"))
    groups["rank"] = [hashlib.sha256(f"{chosen.seed}/{name}".encode()).hexdigest() for name in groups.index]
    places: dict[str, str] = {}
    for _, members in groups.sort_values("rank").groupby("label"):
        total = int(members["size"].sum())
        test = round(chosen.test * total)
        holdout = test + round(chosen.holdout * total)
        before = members["size"].cumsum() - members["size"]
        chosen_split = np.where(before < test, "test", np.where(before < holdout, "holdout", "train"))
        places.update(zip(members.index, chosen_split, strict=True))
    return pictures["sha256"].map(places).to_numpy(dtype=object)
