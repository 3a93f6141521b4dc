"""Pictures of any origin are opened, or refused in one line that names the file."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.core.errors import DataError
from aigc.core.runtime import RuntimeConfig
from aigc.data import external
from aigc.provenance import drawing
from small import random_pictures, small_model, write_pictures


def test_a_folder_that_aigc_generate_filled_is_judged_without_its_contact_sheet_and_a_sheet_of_others_is_a_picture(tmp_path: Path) -> None:
    drawing.write_pictures("gan", str(small_model(tmp_path, "gan")), 3, 0, tmp_path / "out", None, RuntimeConfig(arithmetic="portable", threads=2))
    assert (tmp_path / "out/gan-seed0-sheet.png").exists()
    assert external.open_pictures(tmp_path / "out").shape == (3, 1, 16, 16)
    Image.new("L", (16, 16)).save(tmp_path / "out/winding-sheet.png")
    assert external.open_pictures(tmp_path / "out").shape == (4, 1, 16, 16)


def test_a_picture_of_another_size_a_torn_one_and_transparency_are_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", random_pictures(3))
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "001.png")
    with pytest.raises(DataError, match=r"001\.png: .* are \(1, 9, 8\), those of 000\.png are \(1, 8, 8\)"):
        external.open_pictures(folder)[0:3]
    (folder / "001.png").write_bytes((folder / "000.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"001\.png: not a whole picture"):
        external.open_pictures(folder)[0:3]
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(folder / "001.png")
    with pytest.raises(DataError, match=r"001\.png: pictures of mode RGBA"):
        external.open_pictures(folder)[0:3]
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY")
    for place, says in ((tmp_path / "torn.npy", "not a whole .npy"), (tmp_path / "none.npy", "does not exist")):
        with pytest.raises(DataError, match=says):
            external.open_pictures(place)


def test_pictures_are_read_by_their_content_and_turned_as_exif_says(tmp_path: Path) -> None:
    folder, upright = tmp_path / "f", random_pictures(1)[0, 0, :, :6]
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(upright).save(folder / "a PNG.jpg", "PNG", exif=exif)
    np.testing.assert_array_equal(external.open_pictures(folder)[0:1][0, 0], np.rot90(upright, -1))


def test_what_moves_what_waits_and_what_lies_deeper_is_told(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", random_pictures(2))
    frames = [Image.new("L", (8, 8), shade) for shade in (10, 200)]
    for kind in ("PNG", "WEBP"):
        frames[0].save(folder / "001.png", kind, save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match=r"001\.png: moves"):
            external.open_pictures(folder)[0:2]
    (folder / "001.png").unlink()
    os.mkfifo(folder / "001.png")
    with pytest.raises(DataError, match=r"001\.png: not a whole picture \(not a regular file\)"):
        external.open_pictures(folder)[0:2]
    os.mkfifo(tmp_path / "f.npy")
    (tmp_path / "deep" / "f").mkdir(parents=True)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    for name, says in (("f.npy", "not a regular file"), ("deep", "sub-folders are not looked at"), ("objects.npy", "never unpickled")):
        with pytest.raises(DataError, match=says):
            external.open_pictures(tmp_path / name)
