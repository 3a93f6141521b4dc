"""Models that nobody trained, small and quick: what a test of the commands needs."""

import contextlib
import copy
import functools
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aigc import methods
from aigc.core import config, files
from aigc.core.errors import GateError
from aigc.evaluation import model_identity
from aigc.features.contract import Features, PictureStack
from aigc.model.card import read_card, write_model
from aigc.model.contract import Method, Shape
from aigc.provenance import examination
from aigc.tracking.finished import Finished
from projects import ROOT

DATA = "d" * 64
ORIGIN = {"source": "folder", "licence": "CC0-1.0", "attribution": "Zoë 写真", "url": "https://example.org"}


@functools.cache
def committed_params() -> dict[str, Any]:
    return config.read(ROOT / "params.yaml")


def small_model(models: Path, method: str, seed: int = 0, classes: int = 10, size: int = 16,
                channels: int = 1, origin: dict[str, str] = ORIGIN, gain: float = 1,
                data_sha256: str = DATA) -> Path:
    """An untrained model of `method`, with the committed params but narrow, below `models`: its folder.

    gain: of all weights; above 1 an encoder tells pictures apart without training.
    """
    content = copy.deepcopy(committed_params())
    content[method]["width"] = 8
    chosen, shape = methods.load_config(method, content), Shape(channels, size, classes)
    torch.manual_seed(seed)
    built = methods.build(method, chosen, shape).eval()
    for parameter in built.parameters():
        if not parameter.any():  # a flow whose last layer is zero does not move
            torch.nn.init.normal_(parameter, std=0.1)
        if gain != 1:
            parameter.data.mul_(gain)
    write_model(models / method, built, method=method, config=chosen.model_dump(), shape=vars(shape),
                classes=[f"kind {n}" for n in range(classes)], seed=seed, data_sha256=data_sha256,
                origin=origin)
    return models / method


def project_with(folder: Path, *names: str) -> Path:
    """A project with small models of these methods, and no store of MLflow's: its folder."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in names:
        small_model(folder / "models", name, classes=2 if name == "cyclegan" else 10,
                    gain=2 if name == "vae" else 1)
    return folder


def verdicts(images: list[Path], sources: list[Path], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `aigc whence` says of each picture."""
    capsys.readouterr()
    findings = examination.read(images)
    with contextlib.suppress(GateError):
        examination.run(findings, None, examination.switches_of(findings), as_json=True, sources=sources)
    return [entry["verdict"] for entry in json.loads(capsys.readouterr().out)]


def write_metrics(project: Path, method: str, passes: bool = True) -> None:
    """Numbers for the model of `method` below `project`, in the form that `evaluate` writes."""
    shares = {"value": 0.01, "floor": 0.006, "low": 0.005, "high": 0.02}
    protocol = {"n": 300, "samples": 600, "seed": 0, "real_samples": 300, "extractor_sha256": "e" * 64,
                "extractor": "classifier trained on the train split", "audit": {"max_near_duplicates": 0.05},
                **model_identity.identity(read_card(project / "models" / method))}
    files.write_json(project / "reports/metrics" / f"{method}.json", {
        "fid": {"value": 3.25, "low": 3.0, "high": 3.5, "floor": 0.36, "ceiling": 987.2},
        "recall": {"value": 0.7, "low": 0.67, "high": 0.73, "floor": 0.9, "ceiling": 0.0},
        "collapse": {}, "memorization": {"passes": passes, "pixels": {"near_duplicates": shares}},
        "protocol": protocol})


def sources(method: Method, count: int) -> np.ndarray | None:
    """Pictures of noise for a method that translates, else None; the first are equal for any count."""
    if not method.translates:
        return None
    return np.stack([np.random.default_rng(row).integers(0, 256, method.shape.image, dtype=np.uint8)
                     for row in range(count)])


class Quarters:
    """An extractor whose features are the mean of each quarter of the picture."""

    sha256 = hashlib.sha256(b"quarters").hexdigest()

    def protocol(self) -> dict[str, object]:
        return {"extractor": "quarters", "extractor_sha256": self.sha256}

    def extract(self, images: PictureStack) -> Features:
        chunk = images[0:len(images)].astype(float)
        quarters = chunk.reshape(len(chunk), -1, 2, chunk.shape[2] // 2, 2, chunk.shape[3] // 2)
        features = quarters.mean((1, 3, 5)).reshape(len(chunk), 4)
        return Features(features, features / 10)


class Spectrum(Quarters):
    """An extractor whose features are the energies of a picture at several frequencies: it sees a blur."""

    def extract(self, images: PictureStack) -> Features:
        power = np.abs(np.fft.fft2(images[0:len(images)].astype(float).mean(1)))
        features = np.log1p(power[:, :4, :4].reshape(len(power), -1))
        return Features(features.astype(np.float32), np.zeros((len(power), 0), np.float32))


def write_pictures(path: Path, images: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, images)
        return path
    path.mkdir()
    for index, image in enumerate(images):
        pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).save(path / f"{index:03}.png")
    return path


def random_pictures(count: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)


def evaluated_run(
    recipe: str,
    seed: int,
    fid: float,
    started: int = 0,
    method: str = "vae",
    protocol: str = "p",
    **params: str,
) -> Finished:
    """A finished run of MLflow's as `recipes` reads it."""
    return Finished(
        f"{recipe}{seed}{started}",
        method,
        recipe,
        protocol,
        started,
        {"train.seed": str(seed), **params},
        {"fid": fid, "training_seconds": 10.0, "images": 100.0},
    )
