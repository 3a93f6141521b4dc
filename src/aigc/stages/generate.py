"""generate: samples of one method, and a picture of the first of them."""

import numpy as np

from aigc import model, sampling
from aigc.core import config, files, paths, runtime
from aigc.data import pictures
from aigc.reporting.grid import grid, write_png

SHOWN = (8, 16)
SCALE = 2


def run(method: str) -> None:
    chosen, switches = config.section("generate", config.Generate), config.section("runtime", config.Runtime)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    generator, card = model.read(paths.model(method), device.torch_device)
    folder = paths.generated(method)
    with files.npy_rows(folder / "images.npy", (chosen.count, *generator.shape.image), np.uint8) as append:
        for block in sampling.blocks(generator, chosen.seed, chosen.count):
            append(block.numpy())
    pictures.write_labels(folder, sampling.default_labels(generator, chosen.count).numpy(), card.classes)
    rows, columns = SHOWN
    shown = pictures.open_folder(folder).images[:rows * columns]
    write_png(paths.grid(method), grid(shown[:max(1, len(shown) // columns) * columns], min(columns, len(shown))), SCALE)
