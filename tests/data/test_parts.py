"""Pictures in several files are one array; all parts appear or none; what is wrong with one is named."""

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aigc.core import files, hashes
from aigc.core.errors import StorageError
from aigc.data import parts, pictures

ROW, COUNT = (1, 4, 4), 23
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, *ROW), dtype=np.uint8)


def write(folder: Path, at_most: int = COUNT, step: int = 4) -> None:
    with parts.writing(folder, at_most, ROW) as append:
        for start in range(0, COUNT, step):
            append(IMAGES[start:start + step])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 5 * 16 + 3)  # five rows


@pytest.fixture
def folder(tmp_path: Path, small: None) -> Path:
    write(tmp_path)
    pictures.write_labels(tmp_path, np.zeros(COUNT), ["a"])
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "images" in path.name)


def test_few_pictures_are_one_file_of_the_bytes_of_numpy(tmp_path: Path) -> None:
    write(tmp_path)
    np.save(tmp_path / "other.npy", IMAGES)
    assert names(tmp_path) == ["images.npy"]
    assert (tmp_path / "images.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()
    assert isinstance(parts.open_images(tmp_path), np.ndarray)


@pytest.mark.parametrize("step", [1, 3, 23])
def test_many_are_parts_of_equal_size_however_they_are_appended(
        tmp_path: Path, small: None, step: int) -> None:
    write(tmp_path, step=step)
    assert names(tmp_path) == [f"images-0000{part}.npy" for part in range(5)]
    found = [np.load(tmp_path / name) for name in names(tmp_path)]
    assert [len(part) for part in found] == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(np.concatenate(found), IMAGES)


rows = arrays.arrays(np.int64, st.integers(0, 40), elements=st.integers(-COUNT, COUNT - 1))
slices = st.slices(COUNT)
masks = arrays.arrays(bool, COUNT)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART", 5 * 16)
        write(folder)
    return parts.open_images(folder)


@settings(max_examples=200)
@given(st.one_of(rows, slices, masks, st.integers(-COUNT, COUNT - 1), st.just([3, 1, 22]),
                 st.tuples(st.one_of(rows, slices, st.integers(0, COUNT - 1)), st.slices(1), st.slices(4))))
def test_they_are_indexed_as_one_array(opened: np.ndarray, wanted: object) -> None:
    np.testing.assert_array_equal(opened[wanted], IMAGES[wanted])


def test_they_look_like_one_array(opened: np.ndarray) -> None:
    assert (opened.shape, opened.dtype, opened.ndim, len(opened), opened.nbytes) == (
        IMAGES.shape, IMAGES.dtype, 4, COUNT, IMAGES.nbytes)
    np.testing.assert_array_equal(np.asarray(opened), IMAGES)
    np.testing.assert_array_equal(np.stack(list(opened)), IMAGES)
    assert hashes.array_sha256(opened) == hashes.array_sha256(IMAGES)
    for wanted in (COUNT, -COUNT - 1, [0, COUNT]):
        with pytest.raises(IndexError):
            opened[wanted]


def test_parts_replace_one_file_and_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.setattr(parts, "PART", 80)
    write(tmp_path)
    assert len(names(tmp_path)) == 5
    monkeypatch.setattr(parts, "PART", 160)
    write(tmp_path)
    assert len(names(tmp_path)) == 3 and len(parts.open_images(tmp_path)) == COUNT
    monkeypatch.setattr(parts, "PART", 1 << 20)
    write(tmp_path)
    assert names(tmp_path) == ["images.npy"]


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_a_missing_part_is_named(folder: Path, missing: int) -> None:
    (folder / f"images-0000{missing}.npy").unlink()
    with pytest.raises(StorageError, match=rf"images-0000{missing}\.npy: missing; .*dvc checkout"):
        pictures.open_folder(folder)


def test_a_damaged_part_is_named(folder: Path) -> None:
    part = folder / "images-00003.npy"
    part.write_bytes(part.read_bytes()[:-7])
    with pytest.raises(StorageError, match=r"images-00003\.npy: not a whole \.npy file"):
        pictures.open_folder(folder)


@pytest.mark.parametrize(("array", "reason"), [
    (np.zeros((5, 1, 4, 5), np.uint8), r"uint8 \(1, 4, 5\) a picture, uint8 \(1, 4, 4\) in images"),
    (np.zeros((5, *ROW), np.float32), r"float32 \(1, 4, 4\) a picture"),
    (np.zeros((4, *ROW), np.uint8), "4 pictures where 5 belong"),
    (np.zeros((6, *ROW), np.uint8), "6 pictures where 5 belong"),
])
def test_a_part_of_other_pictures_is_named(folder: Path, array: np.ndarray, reason: str) -> None:
    np.save(folder / "images-00002.npy", array)
    with pytest.raises(StorageError, match=rf"images-00002\.npy: {reason}"):
        pictures.open_folder(folder)


def test_a_part_too_many_is_named(folder: Path) -> None:
    np.save(folder / "images-00005.npy", IMAGES[:5])
    with pytest.raises(StorageError, match=r"images-00005\.npy: 5 pictures where 0 belong"):
        pictures.open_folder(folder)


def test_one_file_beside_parts_is_refused(folder: Path) -> None:
    np.save(folder / "images.npy", IMAGES)
    with pytest.raises(StorageError, match=r"images\.npy beside images-00000\.npy; delete the folder"):
        pictures.open_folder(folder)


def test_a_part_that_vanishes_while_it_is_used_is_named(folder: Path) -> None:
    images = pictures.open_folder(folder).images
    (folder / "images-00001.npy").unlink()
    with pytest.raises(StorageError, match=r"images-00001\.npy: no longer a whole part"):
        images[7]


@pytest.mark.parametrize("at", ["while it is written", "at the end"])
def test_a_full_disk_leaves_no_part(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch,
                                    at: str) -> None:
    seen = []

    def full(path: Path) -> None:
        seen.append(path)
        if path.is_file() and len(seen) > 4:  # after two parts
            raise OSError(errno.ENOSPC, "No space left on device")

    if at == "at the end":
        monkeypatch.setattr(files, "_flush_to_disk", full)
        with pytest.raises(StorageError, match=r"images-0000\d\.npy: cannot be written \(No space left"):
            write(tmp_path)
    else:
        with (pytest.raises(StorageError, match=r"images-00002\.npy: cannot be written \(No space left"),
              parts.writing(tmp_path, COUNT, ROW) as append):
            append(IMAGES[:12])
            raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []
