"""Pictures from anywhere: what ingest reads is read, at its own size, or one line says why not."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.core.errors import DataError
from aigc.data import external
from aigc.data.external import Opened

WHITE = [255, 255, 255]


def opened(path: Path) -> Opened:
    return external.open_pictures(path, WHITE, lambda _: False)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def fill(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(random(count, 8, 8)):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


def test_every_kind_that_ingest_reads_is_read_at_any_depth(tmp_path: Path) -> None:
    pixels = random(12, 10)
    names = ["a.png", "b.bmp", "c.tiff", "d.gif", "one/e.tif", "one/two/f.PNG", "one/two/g"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(
            tmp_path / name,
            {"tiff": "TIFF", "tif": "TIFF", "bmp": "BMP", "gif": "GIF"}.get(name.rpartition(".")[2], "PNG"),
        )
    for name, kind in (("h.jfif", "JPEG"), ("i.webp", "WEBP")):
        Image.new("L", (10, 12), 77).save(tmp_path / name, kind)
    Image.new("RGB", (10, 12), (9, 8, 7)).save(tmp_path / "j.mpo", "MPO", save_all=True,
                                               append_images=[Image.new("RGB", (10, 12), (200, 0, 0))])
    found = opened(tmp_path)
    stack = found.stack
    assert isinstance(stack, external.PictureFiles)
    assert stack.shape == (10, 3, 12, 10)
    assert stack.paths == [
        "a.png",
        "b.bmp",
        "c.tiff",
        "d.gif",
        "h.jfif",
        "i.webp",
        "j.mpo",
        "one/e.tif",
        "one/two/f.PNG",
        "one/two/g",
    ]
    for row in (0, 1, 2, 3, 7, 8, 9):
        np.testing.assert_array_equal(stack[row:row + 1][0], np.stack([pixels] * 3))
    assert abs(stack[6:7][0].mean((1, 2)) - [9, 8, 7]).max() < 3  # the first of the two pictures
    assert any("1 files hold several pictures; the first of each is judged" in note for note in found.notes)
    assert any(
        "7 of 10 pictures are grey; all are judged as colour" in note for note in found.notes
    )  # no grey in WebP, GIF


def test_a_flat_folder_has_the_sha256_of_its_names_and_bytes(tmp_path: Path) -> None:
    folder = fill(tmp_path / "f", 3)
    lines = "".join(
        f"{hashlib.sha256(place.read_bytes()).hexdigest()}  {place.name}\n"
        for place in sorted(folder.iterdir())
    )
    assert opened(folder).sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_all_files_that_cannot_be_judged_are_counted_in_one_line(tmp_path: Path) -> None:
    folder = fill(tmp_path / "f", 10)
    for number in range(5):
        (folder / f"00{number}.png").write_bytes((folder / f"00{number}.png").read_bytes()[:60])
    os.mkfifo(folder / "x.png")
    (folder / "y.cr2").write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(DataError) as caught:
        opened(folder)
    text = str(caught.value)
    assert "f: 7 of 12 pictures cannot be judged: " in text and text.endswith(
        "and 4 more; mend or remove them"
    )
    assert "x.png: a FIFO" in text and "y.cr2: a camera raw file: convert it to PNG, TIFF or JPEG" in text
    assert "000.png: " in text and "\n" not in text


def test_pictures_of_another_size_are_named_with_it(tmp_path: Path) -> None:
    folder = fill(tmp_path / "f", 4)
    Image.new("L", (9, 8)).save(folder / "001.png")
    with pytest.raises(
        DataError, match=r"f: 1 of 4 pictures are not 8 x 8 .* as the others: 001\.png: 9 x 8; .*resize them$"
    ):
        opened(folder)


def test_what_systems_put_beside_pictures_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = fill(tmp_path / "f", 4)
    for name in (
        "@eaDir/000.png/SYNOPHOTO_THUMB_M.png",
        "__MACOSX/._000.png",
        "._000.png",
        "Thumbs.db",
        "notes.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"words")
    assert len(opened(folder).stack) == 4
    assert opened(folder).notes == [
        f"{folder}: 4 pictures are judged; left out: ._* 1, .txt 1, @eaDir 1, Thumbs.db 1, __MACOSX 1"
    ]


def test_transparency_is_judged_on_the_background_with_a_word(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (10, 20, 30, 0)).save(tmp_path / "a.png")
    found = external.open_pictures(tmp_path, [1, 2, 3], lambda _: False)
    assert found.stack[0:1][0].mean((1, 2)).tolist() == [1, 2, 3]
    assert found.notes == [
        f"{tmp_path}: 1 pictures have transparency; they are judged on the background [1, 2, 3]"
    ]
    assert found.protocol == {"background": [1, 2, 3]}


def test_pictures_are_read_by_their_content_and_turned_as_exif_says(tmp_path: Path) -> None:
    upright = random(8, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(upright).save(tmp_path / "a PNG.jpg", "PNG", exif=exif)
    np.testing.assert_array_equal(opened(tmp_path).stack[0:1][0, 0], np.rot90(upright, -1))


def test_linked_files_are_judged_and_a_linked_folder_outside_stops(tmp_path: Path) -> None:
    outside, folder = fill(tmp_path / "outside", 3), tmp_path / "f"
    folder.mkdir()
    for place in outside.iterdir():
        (folder / place.name).symlink_to(place)
    assert len(opened(folder).stack) == 3
    (folder / "loop").symlink_to(folder)
    assert opened(folder).notes == [f"{folder}: 3 pictures are judged; left out: links to folders inside 1"]
    (folder / "out").symlink_to(outside)
    with pytest.raises(DataError, match="a symbolic link to a folder outside"):
        opened(folder)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(20, 9, 7), (20, 9, 7, 3), (20, 3, 9, 7)])
def test_the_first_array_of_a_npz_is_read_and_the_others_are_named(
    tmp_path: Path, save: object, shape: tuple[int, ...]
) -> None:
    images = random(*shape)
    save(tmp_path / "samples.npz", images, np.arange(20))  # type: ignore[operator]
    found = opened(tmp_path / "samples.npz")
    expected = (
        images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1) if shape[-1] == 3 else images
    )
    np.testing.assert_array_equal(found.stack[np.array([3, 19, 0])], expected[[3, 19, 0]])
    assert found.notes == [f"{tmp_path / 'samples.npz'}: its other arrays are left out: arr_1"]


def test_a_folder_of_arrays_is_read_as_the_sources_read_it(tmp_path: Path) -> None:
    images = random(5, 1, 4, 4)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.zeros(5, np.int64))
    found = opened(tmp_path)
    np.testing.assert_array_equal(found.stack[0:5], images)
    assert found.notes == [
        f"{tmp_path / 'images.npy'} is judged; the 1 other files of its folder are left out"
    ]


def test_what_is_no_set_of_pictures_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "torn.npz").write_bytes(b"PK\3\4")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.savez(tmp_path / "objects.npz", np.array([{}], dtype=object))
    np.savez(tmp_path / "two.npz", a=random(3, 4, 4), b=random(3, 4, 4))
    os.mkfifo(tmp_path / "fifo.npy")
    (tmp_path / "empty").mkdir()
    for name, says in (
        ("torn.npy", r"not a whole \.npy"),
        ("torn.npz", r"not a whole \.npz"),
        ("none.npy", "no such file"),
        ("objects.npy", "never unpickled"),
        ("objects.npz", "never unpickled"),
        ("none", "no such file"),
        ("two.npz", "holds a, b; name the array of pictures arr_0"),
        ("fifo.npy", "not a regular file"),
        ("empty", "no picture found"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            opened(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_pictures_are_decoded_once_while_they_fit_in_memory_and_others_a_second_time(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "f", 5)
    monkeypatch.setattr(external, "KEPT", 3 * 64)
    found, rows = opened(folder), np.array([4, 0, 2, 0])
    np.testing.assert_array_equal(found.stack[rows][:, 0], random(5, 8, 8)[rows])
    for path in folder.iterdir():
        path.unlink()
    np.testing.assert_array_equal(found.stack[0:3][:, 0], random(5, 8, 8)[:3])
    with pytest.raises(DataError, match=r"003\.png: cannot be read .*; it was whole before: run again"):
        found.stack[2:4]


def test_a_file_that_changes_after_the_check_is_named(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "KEPT", 0)
    found = opened(fill(tmp_path / "f", 3))
    Image.new("L", (9, 9)).save(tmp_path / "f/001.png")
    with pytest.raises(DataError, match=r"001\.png: changed its size while it was read"):
        found.stack[0:3]
