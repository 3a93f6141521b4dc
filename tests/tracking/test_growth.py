"""The grids that the store holds of a training, as frames of one picture."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.reporting.grid import grid
from aigc.tracking import growth, store
from small import evaluated_run


def logged(steps: list[int], size: int = 6, channels: int = 1, shade: int = 0) -> str:
    """A run with a grid of 64 pictures at each step, whose shade is shade + step: its id."""
    client, experiment = store.open_store()
    run_id = client.create_run(experiment).info.run_id
    for step in steps:
        client.log_metric(run_id, "images", step * 10, step=step)
        pixels = grid(np.full((64, channels, size, size), shade + step, np.uint8), 8)
        client.log_image(run_id, pixels.squeeze(), key="samples", step=step, synchronous=True)
    client.set_terminated(run_id)
    return run_id


def frames_of(found: growth.Growth) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(found.picture)).convert("L"))
    return pixels.reshape(-1, found.height, found.width)


def test_the_frames_are_the_upper_half_of_each_grid_in_the_order_of_the_steps(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = replace(evaluated_run("a", 0, 10), run_id=logged([20, 100, 9]))
    (found,), without = growth.newest([run])
    frames = frames_of(found)
    assert (found.method, without, found.images, found.total) == ("vae", [], [90, 200, 1000], 1000)
    assert frames.shape == (3, 4 * 8 + 2, 8 * 8 + 2)
    assert frames[:, 3, 3].tolist() == [9, 20, 100] and (frames[:, [0, -1]] == 255).all()
    assert found.frames == [(9, "after 90 of 1,000 images"), (20, "after 200 of 1,000 images"),
                            (100, "after 1,000 of 1,000 images")]


def test_a_restored_run_has_no_grids_and_the_one_before_it_is_shown(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    older = replace(evaluated_run("a", 0, 10, started=1), run_id=logged([5]))
    newer = replace(evaluated_run("a", 0, 10, started=2), run_id=logged([]))
    other = replace(evaluated_run("b", 0, 10, method="gan"), run_id=logged([]))
    (found,), without = growth.newest([older, newer, other])
    assert (found.images, without) == ([50], ["gan"])


def test_large_pictures_and_many_steps_make_a_small_picture(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = replace(evaluated_run("a", 0, 10), run_id=logged(list(range(1, 31)), size=64, channels=3))
    (found,), _ = growth.newest([run])
    assert found.width == growth.WIDTH and len(found.images) == growth.FRAMES
    assert (found.images[0], found.images[-1]) == (10, 300)
    assert len(frames_of(found)) == growth.FRAMES
