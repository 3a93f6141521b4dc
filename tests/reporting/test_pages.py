"""Both pages in a real browser: by keyboard, by a screen reader, in light and in dark, on a phone."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from aigc.commands import runs
from projects import ROOT

PAGES = ["report.html", "runs.html"]
MEGABYTE = 2 ** 20


@pytest.fixture(scope="module")
def reports(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both pages of the finished project."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished / 'mlflow.db'}")
        assert runs.run(argparse.Namespace()) == 0
    (folder / "reports/report.html").write_bytes((finished / "reports/report.html").read_bytes())
    return folder / "reports"


@pytest.fixture
def opened(browser: Browser) -> Iterator:
    """A function that opens a page of a file, at a width, with what a reader's system asks for."""
    contexts = []

    def open_page(path: Path, width: int = 1280, **options) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def order(page: Page) -> list[str]:
    return page.locator("table.sortable").first.locator("tbody th").all_inner_texts()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_fault(opened, reports: Path, name: str, width: int, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright",
                              reason="no axe-core: `pip install axe-playwright-python`")
    page = opened(reports / name, width, color_scheme=theme, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    found = axe.Axe().run(page).response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_at_most_5_megabytes_and_no_two_of_its_parts_have_one_id(opened, reports: Path,
                                                                           name: str) -> None:
    for path in (reports / name, ROOT / "reports" / name):  # the second: the project's own, where it is made
        assert not path.exists() or path.stat().st_size <= 5 * MEGABYTE
    ids = opened(reports / name).evaluate("[...document.querySelectorAll('[id]')].map(part => part.id)")
    assert len(set(ids)) == len(ids) > 5


@pytest.mark.parametrize("name", PAGES)
def test_the_table_sorts_by_keyboard_and_keeps_the_floor_last(opened, reports: Path, name: str) -> None:
    page = opened(reports / name)
    before, methods = order(page), page.locator("table.sortable tbody").first.locator("tr").count()
    head = page.locator("table.sortable").first.locator("thead th", has_text="precision ↑")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"  # of precision, more is better
    assert page.locator("th[aria-sort]").count() == page.locator("table.sortable").count()
    shown = head.evaluate("cell => [...cell.closest('table').tBodies[0].rows]"
                          ".map(row => parseFloat(row.cells[cell.cellIndex].firstChild.textContent))")
    assert len(shown) == methods and shown == sorted(shown, reverse=True)
    assert order(page)[methods:] == before[methods:] and before[methods].startswith("floor")
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    assert order(page)[methods:] == before[methods:]


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_a_page_is_whole_and_offers_nothing_that_does_nothing(opened, reports: Path,
                                                                              name: str) -> None:
    page = opened(reports / name, java_script_enabled=False)
    assert page.get_by_role("button").count() == page.get_by_role("slider").count() == 0
    assert {"vae", "gan"} <= set(order(page))


@pytest.mark.parametrize("name", PAGES)
def test_the_theme_is_the_systems_until_a_reader_chooses_one_which_is_remembered(opened, reports: Path,
                                                                                 name: str) -> None:
    page = opened(reports / name, color_scheme="dark")
    shade = "getComputedStyle(document.body).backgroundColor"
    dark, button = page.evaluate(shade), page.get_by_role("button", name="Dark", pressed=True)
    button.click()
    light = page.evaluate(shade)
    assert light == "rgb(255, 255, 255)" != dark
    page.reload()
    assert page.evaluate(shade) == light
    page.get_by_role("button", name="Dark", pressed=False).click()
    assert page.evaluate(shade) == dark


def test_the_theme_can_be_chosen_where_storage_is_not_allowed(opened, reports: Path) -> None:
    page = opened(reports / "report.html")
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw Error('no') } })")
    page.reload()
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"


@pytest.mark.parametrize("name", PAGES)
def test_the_first_stop_of_the_tab_key_skips_to_the_content_and_is_seen(opened, reports: Path,
                                                                        name: str) -> None:
    page = opened(reports / name)
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text().startswith("Skip to")
    assert focused.bounding_box()["x"] >= 0
    assert focused.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") in ("comparison", "content")


def test_the_first_screen_says_which_method_is_best_and_shows_pictures(opened, reports: Path) -> None:
    page = opened(reports / "report.html")
    best = order(page)[0]
    assert page.locator(".verdict").inner_text().startswith(f"{best} is best, with an FID of ")
    assert page.locator(".glance li").nth(1).inner_text().startswith(best)
    for part in (".verdict", ".glance li:nth-child(3) img"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 900


def test_the_samples_grow_by_the_slider_and_move_by_themselves_only_where_that_is_wanted(
        opened, reports: Path) -> None:
    page = opened(reports / "runs.html", reduced_motion="reduce")
    slider, tile = page.get_by_role("slider"), page.locator("[data-frames]").first
    assert (slider.input_value(), page.locator("#play").inner_text()) == ("100", "Play")
    at_the_end, place = tile.inner_text(), "tile => tile.querySelector('img').style.objectPosition"
    assert tile.evaluate(place) in ("0px 100%", "0px 0%")
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0% of each training"
    frames = tile.evaluate("tile => JSON.parse(tile.dataset.frames)")
    assert frames[0][1] in tile.inner_text() and frames[-1][1] in at_the_end
    assert tile.evaluate(place) == "0px 0%"

    page = opened(reports / "runs.html", reduced_motion="no-preference")
    button = page.get_by_role("button", name="Pause")
    button.click()
    stopped = page.get_by_role("slider").input_value()
    page.wait_for_timeout(700)
    assert page.get_by_role("slider").input_value() == stopped
    assert page.locator("#play").inner_text() == "Play"
