"""`aigc play` in a real browser: what a person does there works, and nothing leaves the machine."""

import functools
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from aigc.core import hashes
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import drawing, examination
from playing import write_training
from projects import ROOT
from small import small_model

PATIENCE = 60_000  # ms; the machine may be busy
TRACKED = """
import sys
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        with open({log!r}, "a") as stream:
            print(arguments[1] if event == "socket.connect" else arguments[0], file=stream)
sys.addaudithook(note)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three models and their training pictures. None is trained."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    sha256 = hashes.array_sha256(write_training(folder))
    for method, classes in (("cgan", 10), ("cyclegan", 2), ("flow", 10), ("vae", 10)):
        small_model(folder / "models", method, classes=classes, data_sha256=sha256)
    return folder


@pytest.fixture(scope="module")
def address(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`aigc play` on the project. Nothing that it does may connect to another machine."""
    place = tmp_path_factory.mktemp("tracked")
    (place / "sitecustomize.py").write_text(TRACKED.format(log=str(place / "log")))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # What a shell starts in the background ignores SIGINT, and so does all that it starts.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{place}", "GRADIO_SHARE": "True"}
    with (place / "errors").open("w") as errors:
        server = subprocess.Popen([sys.executable, "-m", "aigc", "play", "--port", str(port)], cwd=project,
                                  env=environment, stdout=subprocess.PIPE, stderr=errors, text=True,
                                  preexec_fn=heed)
    assert server.stdout
    try:
        assert server.stdout.readline() == "play at\n"
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
    assert "Traceback" not in (place / "errors").read_text()
    hosts = (place / "log").read_text().splitlines()  # Gradio asks its own server whether it is there
    assert hosts and [host for host in hosts if "127.0.0.1" not in host and host != "localhost"] == []


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    opened.wait_for_selector("#pictures img", timeout=PATIENCE)
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def sources(page: Page, place: str) -> list[str]:
    """The pictures of a part of the page."""
    return page.eval_on_selector_all(f"{place} img", "found => found.map(image => image.src)")


def changed(page: Page, place: str, before: list[str]) -> list[str]:
    """The pictures of a part of the page, once they are others."""
    page.wait_for_function(
        "([place, before]) => { const now = [...document.querySelectorAll(place + ' img')].map(i => i.src);"
        "return now.length && now.join() !== before.join(); }", arg=[place, before], timeout=PATIENCE)
    return sources(page, place)


def choose(page: Page, control: str, option: str) -> None:
    page.locator(f"#{control} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_person_sees_pictures_walks_and_saves_them_with_all_labels(
    page: Page, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sources(page, "#pictures")
    assert len(first) == 16 and len(set(first)) == 16
    expect(page.locator("#verdict")).to_contain_text("This model was not audited here.")
    page.wait_for_selector("#nearest .pair")
    choose(page, "class", "kind 3")
    one_class = changed(page, "#pictures", first)
    assert page.locator("#pictures img").first.get_attribute("alt") == "cgan, seed 0, picture 0, kind 3"
    page.locator("#another button, button#another").click()
    another = changed(page, "#pictures", one_class)
    seed = page.locator("#seed input").input_value()
    with page.expect_download() as download:
        page.locator("button#download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path / "out")
    monkeypatch.chdir(project)
    drawing.write_pictures("cgan", None, 16, int(seed), tmp_path / "same", "kind 3",
                           RuntimeConfig(arithmetic="portable", threads=1))
    saved = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert saved == {path.name: path.read_bytes() for path in (tmp_path / "same").iterdir()}
    found = examination.read(sorted((tmp_path / "out").iterdir()))
    assert examination.run(found, None, examination.switches_of(found), as_json=False) == 0
    # A click on a picture saves its own file.
    with page.expect_download() as download:
        page.locator("#pictures a").first.click()
    assert download.value.path().read_bytes() == saved[download.value.suggested_filename]
    assert another
    page.get_by_role("tab", name="Walk").click()
    page.wait_for_selector("#point img")
    before = sources(page, "#point")
    page.locator("#share input[type=range]").fill("1")
    changed(page, "#point", before)
    expect(page.locator("#point")).to_contain_text("100% of the way")
    assert len(sources(page, "#strip")) == 9


def test_a_method_gets_its_own_settings_and_another_guidance_makes_other_pictures(page: Page) -> None:
    assert not page.locator("#guidance").is_visible()
    before = sources(page, "#pictures")
    choose(page, "model", "flow")
    before = changed(page, "#pictures", before)
    expect(page.locator("#solver")).to_be_visible()
    page.locator("#guidance input[type=range]").fill("6")
    changed(page, "#pictures", before)


def test_an_own_picture_is_reconstructed_or_translated(page: Page, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)).save(
        tmp_path / "mine.png")
    page.get_by_role("tab", name="Your own picture").click()
    expect(page.get_by_text("cgan takes no picture: it can neither")).to_be_visible()
    assert not page.locator("#upload").is_visible()
    choose(page, "model", "vae")
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#own")).to_contain_text("Through encoder and decoder")
    before = sources(page, "#own")
    choose(page, "model", "cyclegan")
    expect(page.locator("#own")).to_contain_text("Translated to kind 0")
    assert len(changed(page, "#own", before)) == 2
    page.get_by_role("tab", name="Pictures").click()
    expect(page.get_by_text("cyclegan makes pictures of others")).to_be_visible()
    page.get_by_role("tab", name="Your own picture").click()
    (tmp_path / "words.png").write_text("no picture")
    page.locator("#upload button[aria-label*=lear], #upload button[aria-label*=emove]").first.click()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "words.png")
    expect(page.get_by_test_id("toast-body")).to_contain_text("your picture: ")
    assert "Traceback" not in page.content()


@pytest.mark.parametrize(("seed", "why"), [
    ("-5", "a seed is between 0 and 4294967295, found -5"), ("", "name a seed: a whole number from 0 to")])
def test_what_cannot_be_asked_for_is_said_once_on_the_page(page: Page, seed: str, why: str) -> None:
    page.locator("#seed input").fill(seed)
    expect(page.get_by_test_id("toast-body")).to_contain_text(why)
    assert page.content().count(why) == 1


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_shows_pictures_in_light_and_dark(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector("#nearest .pair", timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), int)
    assert len(np.unique(pixels)) > 100
    assert (np.median(pixels) > 200) == (scheme == "light")
    page.close()


@pytest.mark.parametrize("path", ["params.yaml", "models/cgan/config.json", "/etc/passwd"])
def test_no_file_of_the_machine_is_served(address: str, project: Path, path: str) -> None:
    for form in (f"gradio_api/file={project / path}", f"gradio_api/file={path}", f"file/{project / path}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address.rstrip('/')}/{form}")
        assert refused.value.code in (403, 404)


def test_the_page_may_ask_no_other_server(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "http" not in policy
