"""Blocks are kept for orders that share them, within a limit."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aigc import methods
from aigc.core import runtime
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.model import sampling
from aigc.serving.drawer import Drawer
from aigc.serving.orders import Order
from small import small_model

BLOCK_BYTES = sampling.BLOCK * 16 * 16
MOST = 1000


def drawer_of(folder: Path, method: str, device: runtime.Device, kept_bytes: int = 1 << 24) -> Drawer:
    return Drawer(*methods.load(small_model(folder, method), device), device, RuntimeConfig(), kept_bytes)


def counts(drawer: Drawer) -> tuple[int, int]:
    return drawer.drawn, drawer.reused


def test_orders_that_agree_in_seed_class_and_settings_share_blocks(
    tmp_path: Path, device: runtime.Device
) -> None:
    drawer = drawer_of(tmp_path, "flow", device)
    first = drawer.files(Order(3, 1), MOST)
    assert counts(drawer) == (1, 0)
    assert drawer.files(Order(sampling.BLOCK + 1, 1), MOST)[:3] == first
    assert counts(drawer) == (2, 1)
    own = str(drawer.card.config["steps"])
    assert drawer.files(Order(3, 1, settings={"steps": own}), MOST) == first  # the model's own: no other
    assert counts(drawer) == (2, 2)
    for other in (Order(3, 2), Order(3, 1, label=1), Order(3, 1, settings={"steps": "1"})):
        assert drawer.files(other, MOST)[0][1] != first[0][1]
    assert counts(drawer) == (5, 2)


def test_what_is_kept_stays_within_its_limit_and_the_oldest_goes_first(
    tmp_path: Path, device: runtime.Device
) -> None:
    drawer = drawer_of(tmp_path, "gan", device, kept_bytes=3 * BLOCK_BYTES)
    for seed in (1, 2, 1, 3):
        drawer.files(Order(1, seed), MOST)
    assert counts(drawer) == (3, 1)
    drawer.files(Order(1, 1), MOST)
    assert counts(drawer) == (3, 2)
    drawer.files(Order(sampling.BLOCK, 1), MOST)  # its PNG files count too
    drawer.files(Order(1, 2), MOST)
    assert counts(drawer) == (4, 3)
    drawer.files(Order(MOST, 4), MOST)
    kept = sum(block.size for block in drawer._kept.values())
    assert kept <= 3 * BLOCK_BYTES


def test_other_settings_share_the_weights(tmp_path: Path, device: runtime.Device) -> None:
    drawer = drawer_of(tmp_path, "flow", device)
    other = drawer._sampler((("guidance", "3.0"),))
    assert other is not drawer.method and other.config.guidance == 3
    for one, two in zip(drawer.method.parameters(), other.parameters(), strict=True):
        assert one.data_ptr() == two.data_ptr()


def test_a_setting_that_the_model_cannot_have_is_one_line(tmp_path: Path, device: runtime.Device) -> None:
    drawer = drawer_of(tmp_path, "stylegan", device)
    with pytest.raises(ConfigError, match=r"^`stylegan.mixed` \(9999\) is more than the \d+ layers"):
        drawer.files(Order(1, 0, settings={"mixed": "9999"}), MOST)


def test_of_orders_that_come_at_once_one_draws(tmp_path: Path, device: runtime.Device) -> None:
    drawer = drawer_of(tmp_path, "flow", device)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: drawer.files(Order(2, 1), MOST), range(16)))
    assert found == [found[0]] * 16 and counts(drawer) == (1, 15)
