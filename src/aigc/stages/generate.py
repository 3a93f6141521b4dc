"""generate: the samples of one method, with grids of the first samples and of interpolations."""

import numpy as np
import torch

from aigc import methods
from aigc.core import config, files, paths, runtime
from aigc.core.runtime import RuntimeConfig
from aigc.data import pictures
from aigc.evaluation import model_identity
from aigc.model import sampling
from aigc.model.contract import Method
from aigc.model.sampling import GenerateConfig
from aigc.reporting.grid import grid, write_png

SHOWN = (8, 16)
INTERPOLATIONS = (4, 16)
SCALE = 2


def run(method: str) -> None:
    settings, switches = config.section("generate", GenerateConfig), config.section("runtime", RuntimeConfig)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    generator, card = methods.load(paths.model(method), device)
    folder = paths.generated(method)
    with files.npy_rows(folder / "images.npy", (settings.count, *generator.shape.image), np.uint8) as append:
        for block in sampling.blocks(generator, settings.seed, settings.count,
                                     temperature=settings.temperature):
            append(block.numpy())
    pictures.write_labels(folder, sampling.default_labels(generator, settings.count).numpy(), card.classes)
    rows, columns = SHOWN
    model_identity.write_model_of_samples(method, card)
    shown = pictures.open_folder(folder).images[:rows * columns]
    shown = shown[:max(1, len(shown) // columns) * columns]
    write_png(paths.grid(method), grid(shown, min(columns, len(shown))), SCALE)
    write_png(paths.latents(method), grid(latent_rows(generator, settings.seed), INTERPOLATIONS[1]), SCALE)


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
