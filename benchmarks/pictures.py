"""Write the pictures of trained models in docs/methods.md: samples, reconstructions, interpolations.

    PYTHONPATH=src python benchmarks/pictures.py

Needs a finished `dvc repro`. Writes METHOD.png, reconstructions.png and interpolations.png to docs/pictures,
as small files of 16 greys.
"""

from pathlib import Path

from aigc import methods
from aigc.core import runtime

if __name__ == "__main__":
    runtime.cap_environment("portable", 1)

import numpy as np
import torch
from PIL import Image

from aigc.core import config, files, paths
from aigc.core.randomness import Purpose, generator
from aigc.data import pictures
from aigc.model import sampling
from aigc.model.contract import slerp
from aigc.networks.blocks import as_bytes
from aigc.reporting.grid import enlarged, grid

FOLDER = Path("docs/pictures")
COLUMNS, SCALE, SHADES = 10, 2, 16
GAP = 12  # pixels between two grids


def save(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 (H, W, C) as a PNG in SHADES even greys (a colour picture has 256 colours)."""
    if pixels.shape[-1] == 1:
        step = 255 // (SHADES - 1)
        nearest = (pixels.squeeze(-1).astype(np.int64) + step // 2) // step * step
        image = Image.fromarray(nearest.astype(np.uint8)).quantize(SHADES)
    else:
        image = Image.fromarray(pixels).quantize()
    with files.replacing(path) as temporary:
        image.save(temporary, "PNG", optimize=True)


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two sets of uint8 (N, C, H, W) as grids of COLUMNS with a gap between them."""
    sheets = [grid(images, COLUMNS) for images in (left, right)]
    gap = np.full((sheets[0].shape[0], GAP, sheets[0].shape[2]), 255, np.uint8)
    return enlarged(np.concatenate([sheets[0], gap, sheets[1]], axis=1), SCALE)


def samples() -> None:
    """The first rows of the sample grid that the pipeline wrote for each method, or its translations."""
    for name in config.methods():
        if methods.method_class(name).translates:
            save(FOLDER / f"{name}.png", np.atleast_3d(np.asarray(Image.open(paths.latents(name)))))
            continue
        found = np.atleast_3d(np.asarray(Image.open(paths.grid(name))))
        save(FOLDER / f"{name}.png", found[:len(found) // 2 + 1])


def reconstructions() -> None:
    """Three rows: evenly spaced test pictures, their reconstructions by the autoencoder, and by the VAE."""
    test = pictures.open_folder(paths.PROCESSED / "test").images
    real = np.array(test[::len(test) // (2 * COLUMNS)][:2 * COLUMNS])
    rows = [real]
    for name in ("autoencoder", "vae"):
        method, _ = methods.load(paths.model(name))
        rows.append(sampling.reconstructions(method, torch.from_numpy(real)).numpy())
    save(FOLDER / "reconstructions.png", enlarged(grid(np.concatenate(rows), 2 * COLUMNS), SCALE))


@torch.inference_mode()
def interpolations() -> None:
    """Two rows for each of vae, wgan_gp and dcgan: the arc between two draws of z, then the straight line."""
    rows = []
    for name in ("vae", "wgan_gp", "dcgan"):
        method, _ = methods.load(paths.model(name))
        rng = generator(0, Purpose.SIDE, of=f"ends of an interpolation of {name}")
        start, end = method.latents(2, rng).repeat_interleave(2 * COLUMNS, 0).chunk(2)
        share = torch.linspace(0, 1, 2 * COLUMNS)
        for z in (slerp(start, end, share), torch.lerp(start, end, share[:, None])):
            rows.append(as_bytes(method.decode(z, torch.full((len(z),), sampling.UNLABELLED))).numpy())
    save(FOLDER / "interpolations.png", enlarged(grid(np.concatenate(rows), 2 * COLUMNS), SCALE))


if __name__ == "__main__":
    samples()
    reconstructions()
    interpolations()
