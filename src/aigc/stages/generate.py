"""generate: the samples of one method, with grids of the first samples and of interpolations.

A method that translates gets pictures of the holdout, which nothing trains on, each at most once: there may
be fewer samples than `generate.count`.
"""

from typing import Any

import numpy as np
import torch

from aigc import methods
from aigc.core import config, files, paths, runtime, sharing
from aigc.core.runtime import Device, RuntimeConfig
from aigc.data import pictures
from aigc.evaluation import model_identity
from aigc.model import sampling
from aigc.model.contract import Method
from aigc.model.sampling import GenerateConfig, Part
from aigc.reporting.grid import grid, write_png

SHOWN = (8, 16)
INTERPOLATIONS = (4, 16)
SCALE = 2


def run(method: str) -> None:
    settings, switches = config.section("generate", GenerateConfig), config.section("runtime", RuntimeConfig)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    sampler = Sampler(method, device, settings.seed, settings.temperature)
    generator, card = sampler.generator, sampler.card
    folder, count = paths.generated(method), settings.count
    sources = translation_sources(method, generator)[:count] if generator.translates else None
    count = count if sources is None else len(sources)
    with files.npy_rows(folder / "images.npy", (count, *generator.shape.image), np.uint8) as append:
        for block in sharing.in_order(sampler.draw, sampling.parts(generator, count, sources=sources)):
            append(block)
    pictures.write_labels(folder, sampling.default_labels(generator, count).numpy(), card.classes)
    rows, columns = SHOWN
    model_identity.write_model_of_samples(method, card)
    shown = pictures.open_folder(folder).images[:rows * columns]
    shown = shown[:max(1, len(shown) // columns) * columns]
    write_png(paths.grid(method), grid(shown, min(columns, len(shown))), SCALE)
    shown = latent_rows(generator, settings.seed) if sources is None else translation_rows(generator, sources)
    write_png(paths.latents(method), grid(shown, INTERPOLATIONS[1]), SCALE)


class Sampler:
    """A trained method and how to sample it."""

    def __init__(self, method: str, device: Device, seed: int, temperature: float) -> None:
        self.words = method, device, seed, temperature
        self.seed, self.temperature = seed, temperature
        self.generator, self.card = methods.load(paths.model(method), device)

    def __reduce__(self) -> tuple[Any, ...]:
        return sharing.opened, (Sampler, *self.words)

    def draw(self, part: Part) -> np.ndarray:
        """uint8 (b, C, H, W)"""
        return sampling.draw(self.generator, self.seed, self.temperature, part).numpy()


def translation_sources(method: str, generator: Method) -> np.ndarray:
    """The source of each sample: pictures of the holdout in the order of the array, the classes in turn."""
    place = paths.PROCESSED / "holdout"
    holdout = methods.learned(method, generator.learns_from, pictures.open_folder(place), place)
    return np.asarray(holdout.images[sampling.source_rows(holdout.labels)])


def latent_rows(generator: Method, seed: int) -> np.ndarray:
    """uint8 pictures in rows: interpolations, and real ones over their reconstructions; else samples."""
    rows, columns = INTERPOLATIONS
    parts = []
    if generator.interpolates:
        parts.append(sampling.interpolations(generator, seed, rows, columns))
    if generator.reconstructs:
        real = torch.from_numpy(np.array(pictures.open_folder(paths.PROCESSED / "test").images[:columns]))
        parts += [real, sampling.reconstructions(generator, real)]
    return torch.cat(parts or list(sampling.blocks(generator, seed, rows * columns))).numpy()


def translation_rows(generator: Method, sources: np.ndarray) -> np.ndarray:
    """uint8 pictures in rows: sources over their translations over these translated back, for each class."""
    columns, parts = INTERPOLATIONS[1], []
    for label in range(generator.shape.classes):  # sources come for each class in turn
        shown = torch.from_numpy(np.resize(sources[label::2], (columns, *generator.shape.image)))
        parts += [shown, *sampling.there_and_back(generator, shown, torch.full((columns,), label))]
    return torch.cat(parts).numpy()
