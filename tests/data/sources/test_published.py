"""Published sets are what was published, from wherever they come."""

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc.core.errors import DataError
from aigc.data.sources import published


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of files: (its address, its folder)."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_from_the_first_mirror_that_has_it(
    mirror: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = mirror
    (folder / "set.bin").write_bytes(b"content")
    place = published.download([f"{address}absent/", address], "set.bin", tmp_path / "here")
    assert place.read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["set.bin"]


def test_without_a_mirror_the_remedy_is_told(mirror: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set\.bin: no mirror gave it .* put the file into `data\.path`"):
        published.download([f"{mirror[0]}absent/"], "set.bin", tmp_path / "here")
    assert not list((tmp_path / "here").glob("*"))


def test_a_file_is_found_where_it_lies_and_its_content_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "train-labels-idx1-ubyte"
    about = published.Published(
        {name: hashlib.sha256(b"labels").hexdigest()}, [], (tmp_path / "system",), "MNIST"
    )
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / f"{name}.gz").write_bytes(gzip.compress(b"labels", mtime=7))
    assert published._locate(name, about, tmp_path / "mine") == tmp_path / "system" / f"{name}.gz"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(b"labels")
    assert published._locate(name, about, tmp_path / "mine") == tmp_path / "mine" / name
    (tmp_path / "mine" / name).write_bytes(b"others")
    with pytest.raises(DataError, match=r"the sha256 of its content is .*`data\.source: idx`"):
        published._locate(name, about, tmp_path / "mine")


@pytest.mark.parametrize(
    "place",
    [
        "train-images.idx3-ubyte",
        "train-images.idx3-ubyte.gz",
        "train-images-idx3-ubyte/train-images-idx3-ubyte",
        "train-images.idx3-ubyte/train-images-idx3-ubyte",
        "train-images-idx3-ubyte/train-images.idx3-ubyte.gz",
    ],
)
def test_the_names_under_which_others_pass_mnist_on_are_found(tmp_path: Path, place: str) -> None:
    name, content = "train-images-idx3-ubyte", b"pictures"
    about = published.Published({name: hashlib.sha256(content).hexdigest()}, [], (), "MNIST")
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(gzip.compress(content) if place.endswith(".gz") else content)
    assert published._locate(name, about, tmp_path) == tmp_path / place


def test_torchvisions_list_says_where_mnist_is(tmp_path: Path) -> None:
    mirrors, name = published._address("train-images-idx3-ubyte", published.MNIST)
    assert name == "train-images-idx3-ubyte.gz" and all(mirror.startswith("http") for mirror in mirrors)


@pytest.mark.skipif(
    not published.FASHION.places[0].exists(), reason="Debian's dataset-fashion-mnist is not installed"
)
def test_debians_fashion_mnist_is_found_by_itself_whole(tmp_path: Path) -> None:
    source = published.mnist_like(published.FASHION, tmp_path)
    assert source.found == 70_000 and source.shape == (1, 28, 28) and source.classes[9] == "ankle boot"
    assert next(source.blocks).labels[:5].tolist() == [9, 0, 0, 3, 0]  # as its authors' page shows them
