"""Train common mistakes of tutorials and their remedies, and save samples of both side by side.

    PYTHONPATH=src python benchmarks/mistakes.py [NAME ...]

Needs the digits and the evaluator (`dvc repro evaluator reference`). Mistake and remedy have the same seed,
data, order of the pictures, number of images and evaluator. The remedy is the method's own class. Writes to
docs/pictures: mistake_NAME.png (the first samples of the mistake, left, and of the remedy, right) and
mistakes.json. It is not a test and asserts nothing.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from aigc import methods
from aigc.core import hashes, runtime

if __name__ == "__main__":
    runtime.cap_environment("portable", 1)

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc.core import config, files, paths
from aigc.data import pictures as data
from aigc.evaluation import fidelity
from aigc.evaluation.config import EvaluateConfig
from aigc.features.extractor import ClassifierExtractor
from aigc.methods import cgan, dcgan, gan, vae, wgan_gp
from aigc.metrics import frechet, intervals
from aigc.model import sampling
from aigc.model.contract import Method, MethodConfig, Shape
from aigc.networks import blocks
from aigc.networks.convolutional import Critic
from aigc.training.config import TrainConfig
from aigc.training.loop import Trainer
from pictures import COLUMNS, FOLDER, save, side_by_side

# Small enough for two minutes per pair. All other settings are those of params.yaml.
SETTINGS: dict[str, dict[str, float]] = {
    "vae": {"images": 60_000, "max_width": 256, "components": 0},
    "gan": {"images": 48_000, "batch_size": 32, "width": 128},
    "wgan_gp": {"images": 24_000, "batch_size": 16, "penalty_every": 1},
    "dcgan": {"images": 6_400, "batch_size": 16},
    "cgan": {"images": 24_000, "batch_size": 16, "r1": 0.3},
}
THREADS = 1  # another number may give other bytes
BLOCKS = 3  # blocks of evaluate.sample_size samples, for the interval
ROWS = 4
TRAIN = TrainConfig(seed=0, intervals=20, checkpoints=1)


class SigmoidOutput(gan.GAN):
    def __init__(self, settings: gan.GANConfig, shape: Shape) -> None:
        super().__init__(settings, shape)
        layers = list(self.generator.children())
        self.generator = nn.Sequential(*(nn.Sigmoid() if isinstance(layer, nn.Tanh) else layer
                                         for layer in layers))


class UselessTerm(gan.GAN):
    def updates(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for player, loss in super().updates(real, labels, rng):
            yield player, loss + F.logsigmoid(self.critic(real)).mean() if player == "generator" else loss


class Minimax(gan.GAN):
    def __init__(self, settings: gan.GANConfig, shape: Shape) -> None:
        super().__init__(settings.model_copy(update={"loss": "minimax"}), shape)


class EpsNotMomentum(dcgan.DCGAN):
    def __init__(self, settings: dcgan.DCGANConfig, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.generator.norms = nn.ModuleList(nn.BatchNorm2d(norm.num_features, 0.8)
                                             for norm in self.generator.norms)


class SigmoidVariance(vae.VAE):
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = super().posterior(images)
        return mean, torch.sigmoid(log_variance)


class SumAgainstMean(vae.VAE):
    def reconstruction_loss(self, logits: Tensor, real: Tensor, deviation: float | None = None) -> Tensor:
        """The mean over pixels and batch, divided by the batch size.

        The mistake also sums the KL over the batch. Here both terms are divided by the batch size instead;
        Adam's steps do not depend on the scale of the loss.
        """
        return super().reconstruction_loss(logits, real, deviation) / real.numel()


class Overwritten(vae.VAE):
    def __init__(self, settings: vae.VAEConfig, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.encoder = OverwrittenEncoder(shape.channels * shape.size**2, settings.max_width, settings.latent)


class OverwrittenEncoder(nn.Module):
    def __init__(self, pixels: int, width: int, latent: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), blocks.mlp([pixels, width, width]), nn.LeakyReLU(0.2))
        self.head = blocks.Linear(width, latent)  # the mean
        self.head = blocks.Linear(width, latent)  # the log-variance

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.hidden(images)
        return torch.cat([self.head(hidden), self.head(hidden)], dim=1)


class UnboundedSigmoid(wgan_gp.WGANGP):
    def __init__(self, settings: wgan_gp.WGANGPConfig, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.critic = nn.Sequential(self.critic, nn.Sigmoid())

    def gradient_penalty(self, real: Tensor, fake: Tensor, rng: torch.Generator,
                         host_rng: torch.Generator) -> Tensor:
        return real.new_zeros(())


class LabelColumn(cgan.CGAN):
    def __init__(self, settings: cgan.CGANConfig, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.critic.__class__ = LabelColumnCritic  # keeps the weights, replaces forward


class LabelColumnCritic(Critic):
    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        features, labels = self.trunk(images), labels.view(-1, 1)
        match = (self.embed(labels) * features).sum(-1)  # (B, 1, F) * (B, F) -> (B, B)
        return self.score(features).flatten() + match / features.shape[1]**0.5  # (B,) + (B, B) -> (B, B)


MISTAKES: dict[str, tuple[str, type[Method]]] = {
    "sigmoid_output": ("gan", SigmoidOutput),
    "batchnorm_eps": ("dcgan", EpsNotMomentum),
    "sigmoid_variance": ("vae", SigmoidVariance),
    "sum_against_mean": ("vae", SumAgainstMean),
    "unbounded_sigmoid": ("wgan_gp", UnboundedSigmoid),
    "useless_term": ("gan", UselessTerm),
    "minimax": ("gan", Minimax),
    "label_column": ("cgan", LabelColumn),
    "overwritten": ("vae", Overwritten),
}


class Bench:
    """Trains and measures. A remedy of several mistakes is trained once."""

    def __init__(self) -> None:
        self.device = runtime.start_torch("portable", THREADS)
        self.train = data.open_folder(paths.PROCESSED / "train")
        self.extractor = ClassifierExtractor(self.device)
        settings = fidelity.settings_of(config.section("evaluate", EvaluateConfig))
        self.real = fidelity.read_real_statistics(paths.REFERENCE, settings)[fidelity.MAIN].gaussian
        self.remedies: dict[str, tuple[np.ndarray, dict[str, Any]]] = {}

    def pair(self, method: str, mistake: type[Method]) -> tuple[np.ndarray, dict[str, Any]]:
        """The picture of mistake and remedy, and their numbers."""
        if method not in self.remedies:
            self.remedies[method] = self.measure(method, methods.method_class(method))
        left, wrong = self.measure(method, mistake)
        right, remedied = self.remedies[method]
        return side_by_side(left, right), {"method": method, "mistake": wrong, "remedy": remedied}

    def config_of(self, method: str) -> MethodConfig:
        """The method's section of params.yaml, made small."""
        return methods.load_config(method).model_copy(update=SETTINGS[method])

    def measure(self, method: str, build: Callable[..., Method]) -> tuple[np.ndarray, dict[str, Any]]:
        """The first samples, uint8 (ROWS * COLUMNS, C, H, W), and the metrics of all samples."""
        settings, size = self.config_of(method), config.section("evaluate", EvaluateConfig).sample_size
        shape = Shape.of(self.train)
        trainer = Trainer.on(self.train, method, lambda: build(settings, shape), settings, TRAIN, self.device)
        trained = trainer.fit()
        assert isinstance(trained, Method)
        samples = torch.cat(list(sampling.blocks(trained, 0, BLOCKS * size))).numpy()
        seen = self.extractor.extract(samples)
        numbers: dict[str, Any] = {
            "samples_sha256": hashes.array_sha256(samples),
            "fid": intervals.over_blocks(lambda block: frechet.distance(self.real, frechet.fit(block)),
                                         seen.features, size),
            "last_losses": {name.removeprefix("loss/"): intervals.rounded(value)
                            for name, value in trainer.history[-1].items() if name.startswith("loss/")},
        }
        if trained.conditional:
            requested = sampling.default_labels(trained, len(samples)).numpy()
            numbers["recognised"] = intervals.rounded(float(np.mean(seen.logits.argmax(1) == requested)))
        return samples[:ROWS * COLUMNS], numbers


def main(names: list[str]) -> None:
    bench, table = Bench(), FOLDER / "mistakes.json"
    found = files.read_json(table)["mistakes"] if table.exists() else {}
    floor = files.read_json(paths.REFERENCE_METRICS)["floor"]
    protocol = {**bench.extractor.protocol(), "n": config.section("evaluate", EvaluateConfig).sample_size,
                "seed": TRAIN.seed, "fid_floor": floor["fid"]["value"], "threads": THREADS}
    for name in names or MISTAKES:
        picture, found[name] = bench.pair(*MISTAKES[name])
        found[name]["config"] = bench.config_of(MISTAKES[name][0]).model_dump()
        save(FOLDER / f"mistake_{name}.png", picture)
        files.write_json(table, {"protocol": protocol, "mistakes": found})
        wrong, remedied = (found[name][which]["fid"]["value"] for which in ("mistake", "remedy"))
        print(f"{name:<18} {found[name]['method']:<8} FID of the mistake {wrong:8.1f}, "
              f"of the remedy {remedied:8.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
