"""How the samples of a training grew: the grids that MLflow holds of a run, as frames of one picture."""

import io
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from aigc.core.errors import AigcError
from aigc.reporting.grid import GAP
from aigc.tracking import finished, store
from aigc.tracking.finished import Finished

FRAMES = 12  # at most, of a run
WIDTH = 420  # pixels of a frame, at most
TRIES = 3  # runs of a method that are looked at, the newest first: a restored run has no grids
QUALITY = 85  # of colour pictures; grey ones are kept as they are
GRID = re.compile(r"samples\Wstep\W(\d+)\W.*\.png")  # the separator is MLflow's own affair


@dataclass(frozen=True)
class Growth:
    """picture: WebP, the frames one below the other, each `width` x `height`, the last step last.

    images: how many images of training each frame comes after. total: images of the whole training.
    """

    method: str
    picture: bytes
    width: int
    height: int
    images: list[int]
    total: int

    @property
    def frames(self) -> list[tuple[int, str]]:
        """Of each frame: the share of the training in percent, and what it is in words."""
        return [(round(100 * seen / self.total), f"after {seen:,} of {self.total:,} images")
                for seen in self.images]


def newest(runs: Iterable[Finished]) -> tuple[list[Growth], list[str]]:
    """The growth of the newest run of each method that has grids of its samples, and the methods without one.
    """
    of_method: dict[str, list[Finished]] = {}
    for run in sorted(runs, key=lambda run: -run.started):
        of_method.setdefault(run.method, []).append(run)
    found = {method: next(filter(None, map(of_run, members[:TRIES])), None)
             for method, members in sorted(of_method.items())}
    return [one for one in found.values() if one], [method for method, one in found.items() if not one]


@store.errors()
def of_run(run: Finished) -> Growth | None:
    """The growth of one run; None where its grids are missing or damaged."""
    client, stored = finished.read_run(run.run_id)
    seen = {point.step: int(point.value) for point in client.get_metric_history(run.run_id, "images")}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = finished.artifacts(client, stored, "images", Path(scratch))
            pictures = {step: Image.open(path).copy() for step, path in _grids(folder, seen)}
        except (AigcError, OSError):
            return None
    if not pictures:
        return None
    steps = _evenly(sorted(pictures))
    width, height, picture = as_frames([pictures[step] for step in steps])
    return Growth(run.method, picture, width, height, [seen[step] for step in steps], max(seen.values()))


def _grids(folder: Path, seen: Mapping[int, int]) -> list[tuple[int, Path]]:
    found = ((GRID.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return [(int(match[1]), path) for match, path in found if match and int(match[1]) in seen]


def _evenly(steps: list[int]) -> list[int]:
    rows = np.linspace(0, len(steps) - 1, min(len(steps), FRAMES)).round().astype(int)
    return [steps[row] for row in rows]


def as_frames(grids: list[Image.Image]) -> tuple[int, int, bytes]:
    """Width and height of a frame, and the upper half of each grid one below the other as WebP."""
    first = grids[0]
    width, height = first.width, (first.height - GAP) // 2 + GAP
    scale = min(1, WIDTH / width)
    size = round(width * scale), round(height * scale)
    canvas = Image.new(first.mode, (size[0], size[1] * len(grids)))
    for index, grid in enumerate(grids):
        frame = grid.crop((0, 0, width, height))
        canvas.paste(frame if scale == 1 else frame.resize(size, Image.Resampling.LANCZOS),
                     (0, index * size[1]))
    stream = io.BytesIO()
    canvas.save(stream, "WEBP", lossless=first.mode == "L", quality=QUALITY, method=6)
    return *size, stream.getvalue()
