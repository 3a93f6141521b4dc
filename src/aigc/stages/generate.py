"""generate: samples of one method, and two pictures: the first samples, and what lies between latents."""

import numpy as np
import torch

from aigc import model, sampling
from aigc.core import config, files, paths, runtime
from aigc.data import pictures
from aigc.methods.contract import Method
from aigc.methods.families.encoding import Encoding
from aigc.reporting.grid import grid, write_png

SHOWN = (8, 16)
INTERPOLATIONS = (4, 16)
SCALE = 2


def run(method: str) -> None:
    chosen, switches = config.section("generate", config.Generate), config.section("runtime", config.Runtime)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    generator, card = model.read(paths.model(method), device.torch_device)
    folder = paths.generated(method)
    with files.npy_rows(folder / "images.npy", (chosen.count, *generator.shape.image), np.uint8) as append:
        for block in sampling.blocks(generator, chosen.seed, chosen.count, temperature=chosen.temperature):
            append(block.numpy())
    pictures.write_labels(folder, sampling.default_labels(generator, chosen.count).numpy(), card.classes)
    rows, columns = SHOWN
    shown = pictures.open_folder(folder).images[:rows * columns]
    write_png(paths.grid(method), grid(shown[:max(1, len(shown) // columns) * columns], min(columns, len(shown))), SCALE)
    write_png(paths.latents(method), grid(look_between(generator, chosen.seed), INTERPOLATIONS[1]), SCALE)


def look_between(generator: Method, seed: int) -> np.ndarray:
    """Rows of interpolations; with an encoder, then a row of real test pictures and a row of their reconstructions."""
    rows, columns = INTERPOLATIONS
    found = sampling.interpolations(generator, seed, rows, columns).numpy()
    if not isinstance(generator, Encoding):
        return found
    real = torch.from_numpy(np.array(pictures.open_folder(paths.PROCESSED / "test").images[:columns]))
    return np.concatenate([found, real, sampling.reconstructions(generator, real).numpy()])
