"""The report in a real browser, offline, at the widths of a desktop and of a phone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from aigc.core.errors import StorageError
from aigc.reporting import figures, report
from aigc.reporting.grid import grid
from projects import ROOT


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_shows_every_picture_and_needs_no_network(browser: Browser, finished: Path,
                                                                            width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto((finished / "reports/report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    text = page.inner_text("main")
    for words in ("vae", "gan", "floor: real against real", "expectations hold",
                  "No method fails the memorization audit", "copycat by flip", "What each number means",
                  "The ruler", "blur of sigma"):
        assert words in text
    page.close()


def test_the_name_of_a_class_may_have_any_characters() -> None:
    names = ["US$_$", r"\frac{", "$", "a_b^c"]
    classes = pd.DataFrame({"class": names, "count": 1, **{f"seen as {name}": 1 for name in names}})
    for draw in (figures.class_shares, figures.confusion):
        assert "US$_$" in draw(classes).svg


def test_a_grid_puts_pictures_in_reading_order() -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None, None].repeat(2, 2).repeat(2, 3)
    canvas = grid(images, columns=3, gap=1)
    assert canvas.shape == (7, 10, 1)
    assert canvas[1::3, 1::3, 0][:2, :3].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (canvas[0] == 255).all()


@pytest.mark.parametrize("text", ["[]", '{"floor": {"fid": 3}}'])
def test_a_json_out_of_another_shape_stops_the_report_with_one_line(tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch,
                                                                    text: str) -> None:
    (tmp_path / "reports/metrics").mkdir(parents=True)
    (tmp_path / "reports/metrics/reference.json").write_text(text)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError,
                       match="^reports/metrics/reference.json: not what the stage `reference` writes"):
        report.write()
