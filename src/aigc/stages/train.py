"""train: one method, from the train split to a model. The only stage that may take long, and the only one that resumes."""

import math

import numpy as np
import torch

from aigc import model, sampling
from aigc.core import config, files, paths, process, provenance, runtime
from aigc.data import pictures
from aigc.methods import contract
from aigc.reporting.grid import grid
from aigc.tracking import runs
from aigc.training.checkpoint import Checkpoints
from aigc.training.feed import Feed
from aigc.training.loop import Row, Trainer

PREVIEWS = 64  # samples in one picture
PICTURES = 5  # pictures a run: sampling may cost as much as training
COUNTS = ("step", "images")


def run(method: str) -> None:
    content = config.read()
    chosen = contract.load_config(method, content)
    train = config.section("train", config.Train, content)
    switches = config.section("runtime", config.Runtime, content)
    found = pictures.open_folder(paths.PROCESSED / "train")
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    shape = contract.Shape(found.images.shape[1], found.images.shape[2], len(found.classes))
    data_sha256 = provenance.array_sha256(found.images)

    params = {**config.flatten(chosen.model_dump()), **config.flatten({"train": train.model_dump(), "runtime": switches.model_dump()})}
    deps = {"images": data_sha256, "labels": provenance.array_sha256(found.labels)}
    fingerprint, identity = provenance.fingerprint({"method": method, **params}, deps)
    lock = runs.lock_of(method, fingerprint)
    with process.only_writer(lock):
        trainer = Trainer(method, lambda: contract.build(method, chosen, shape),
                          Feed(found.images, found.labels, train.seed, device, train.balanced, train.mirror, train.shift, train.crop),
                          chosen, train, device, Checkpoints(lock.parent, identity))
        with runs.training_run(method, fingerprint, params, paths.PROCESSED / "train", data_sha256) as remembered:
            def observe(history: list[Row], average: torch.nn.Module) -> None:
                assert isinstance(average, contract.Method)
                remembered.log_history(history)
                if len(history) % max(1, train.intervals // PICTURES) == 0 and trainer.step < trainer.plan.steps:
                    remembered.log_grid(preview(average))

            average = trainer.fit(observe)
            assert isinstance(average, contract.Method)
            remembered.log_grid(preview(average))
            card = model.write(paths.model(method), average, method=method, config=chosen.model_dump(), shape=vars(shape),
                               classes=found.classes, seed=train.seed, data_sha256=data_sha256,
                               origin=pictures.read_origin(paths.PROCESSED / "train"))
            write_history(method, trainer.history)
            remembered.log_model(paths.model(method), card.weights_sha256)


def preview(method: contract.Method) -> np.ndarray:
    """The first pictures of seed 0 as one: the same latents at every checkpoint.

    What a method gets after training (an autoencoder's density, batch normalisation's statistics anew) is in the last one only.
    """
    images = torch.cat(list(sampling.blocks(method, 0, PREVIEWS))).numpy()
    return grid(images, math.isqrt(PREVIEWS))


def write_history(method: str, history: list[Row]) -> None:
    """The history as a table: one row an interval. Counts are whole numbers, though a checkpoint brings them back as floats."""
    columns = list(history[0])
    rows = ([repr(int(row[name]) if name in COUNTS else float(row[name])) for name in columns] for row in history)
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    files.write_bytes(paths.history(method), ("\n".join(lines) + "\n").encode())
