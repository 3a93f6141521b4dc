"""Arrays come through bit for bit, or are refused in one line that names the file."""

import gzip
import io
import os
import struct
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import manifest
from aigc.data.pictures import Pictures
from aigc.data.sources import arrays
from aigc.data.sources.contract import Source

COUNT = 2 * files.MOST_ROWS + 7  # several blocks and a rest


def collected(source: Source) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(source.blocks)
    assert sum(len(block.labels) for block in blocks) == source.found
    assert np.concatenate([block.columns["source_index"] for block in blocks]).tolist() == list(
        range(source.found)
    )
    return np.concatenate([block.images for block in blocks]), np.concatenate(
        [block.labels for block in blocks]
    )


def write_idx(place: Path, array: np.ndarray, magic: bytes | None = None) -> Path:
    content = (
        (magic or bytes([0, 0, 8, array.ndim]))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )
    place.write_bytes(gzip.compress(content) if place.suffix == ".gz" else content)
    return place


def pair(
    folder: Path, stem: str, count: int, ending: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    images = rng.integers(0, 256, (count, 5, 6), dtype=np.uint8)
    labels = rng.permutation(np.arange(count, dtype=np.uint8) % 4)
    write_idx(folder / f"{stem}-images-idx3-ubyte{ending}", images)
    write_idx(folder / f"{stem}-labels-idx1-ubyte{ending}", labels)
    return images, labels


def test_memory_does_not_grow_with_the_size_of_the_pictures(tmp_path: Path, rng: np.random.Generator) -> None:
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (40, 512, 512), dtype=np.uint8))
    tracemalloc.start()
    blocks = [block.columns for block in arrays.npy(tmp_path).blocks]
    found = Pictures(np.load(tmp_path / "images.npy", mmap_mode="r")[:, None], np.full(40, -1), [])
    told = pd.DataFrame(
        {name: np.concatenate([block[name] for block in blocks]) for name in manifest.MEASURED}
    )
    assert not manifest.disagreements(told.assign(label=-1), found).any()
    assert tracemalloc.get_traced_memory()[1] < 40 << 20  # all at once, as 64-bit numbers: 80 MiB
    tracemalloc.stop()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_pairs_come_one_after_the_other_train_first(
    tmp_path: Path, rng: np.random.Generator, ending: str
) -> None:
    test, train = pair(tmp_path, "t10k", 11, ending, rng), pair(tmp_path, "train", COUNT, ending, rng)
    source = arrays.idx(arrays.idx_pairs(tmp_path))
    assert source.shape == (1, 5, 6) and source.classes == ["0", "1", "2", "3"]
    images, labels = collected(source)
    np.testing.assert_array_equal(images[:, 0], np.concatenate([train[0], test[0]]))
    np.testing.assert_array_equal(labels, np.concatenate([train[1], test[1]]))


def test_an_idx_file_with_a_wrong_magic_number_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    pair(tmp_path, "train", 5, "", rng)
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((5, 5, 6), np.uint8), bytes([0, 0, 0x0D, 3]))
    with pytest.raises(
        DataError,
        match="train-images-idx3-ubyte: no IDX file .* with 3 dimension.s.: it starts with 00 00 0d 03",
    ):
        arrays.idx(arrays.idx_pairs(tmp_path))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_data_that_end_early_or_late_are_named(
    tmp_path: Path, rng: np.random.Generator, ending: str
) -> None:
    pair(tmp_path, "train", 8, ending, rng)
    place = tmp_path / f"train-images-idx3-ubyte{ending}"
    content = gzip.decompress(place.read_bytes()) if ending else place.read_bytes()
    for changed, says in (
        (content[:-31], "ends in row 6 of the 8"),
        (content + b"x", "goes on after the 8 rows"),
    ):
        place.write_bytes(gzip.compress(changed) if ending else changed)
        with pytest.raises(DataError, match=says):
            collected(arrays.idx(arrays.idx_pairs(tmp_path)))


def test_a_header_that_announces_a_picture_larger_than_any_is_named_before_memory_is_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / f"x{arrays.IMAGES[0]}").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 2, 2**20, 2**31 - 1))
    (tmp_path / f"x{arrays.LABELS[0]}").write_bytes(struct.pack(">4BI2B", 0, 0, 8, 1, 2, 0, 1))
    with pytest.raises(DataError, match="its header announces pictures of 1048576 x 2147483647 pixels"):
        arrays.idx(arrays.idx_pairs(tmp_path))


def test_a_torn_gzip_file_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    pair(tmp_path, "train", 100, ".gz", rng)
    place = tmp_path / "train-images-idx3-ubyte.gz"
    place.write_bytes(place.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be read"):
        collected(arrays.idx(arrays.idx_pairs(tmp_path)))


def test_more_labels_than_pictures_are_named(tmp_path: Path, rng: np.random.Generator) -> None:
    pair(tmp_path, "train", 8, "", rng)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(9, np.uint8))
    with pytest.raises(DataError, match="9 labels for the 8 pictures"):
        arrays.idx(arrays.idx_pairs(tmp_path))


def test_a_folder_without_a_pair_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="no pair"):
        arrays.idx_pairs(tmp_path)
    pair(tmp_path, "train", 8, "", rng)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no train-labels-idx1-ubyte"):
        arrays.idx_pairs(tmp_path)


def archive(folder: Path, records: dict[str, bytes]) -> Path:
    place = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(place, "w:gz") as opened:
        for name, content in records.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return place


def test_cifars_records_are_read_from_the_archive(tmp_path: Path, rng: np.random.Generator) -> None:
    images, labels = (
        rng.integers(0, 256, (18, 3, 32, 32), dtype=np.uint8),
        rng.integers(0, 10, 18, dtype=np.uint8),
    )
    parts = {
        name: b"".join(
            bytes([labels[row]]) + images[row].tobytes() for row in range(3 * number, 3 * number + 3)
        )
        for number, name in enumerate(arrays.BATCHES)
    }
    found = collected(
        arrays.cifar10(archive(tmp_path, dict(reversed(parts.items()))), [str(n) for n in range(10)])
    )
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_a_cifar_archive_with_a_missing_or_torn_batch_is_named(tmp_path: Path) -> None:
    whole = dict.fromkeys(arrays.BATCHES, bytes(3073))
    with pytest.raises(DataError, match=r"test_batch\.bin is missing"):
        arrays.cifar10(
            archive(tmp_path, {name: content for name, content in whole.items() if name != "test_batch.bin"}),
            ["a"],
        )
    with pytest.raises(DataError, match=r"test_batch\.bin is no whole number of records"):
        arrays.cifar10(archive(tmp_path, {**whole, "test_batch.bin": bytes(3000)}), ["a"])
    with pytest.raises(DataError, match="label 5 is out of range"):
        collected(
            arrays.cifar10(archive(tmp_path, {**whole, "test_batch.bin": bytes([5]) + bytes(3072)}), ["a"])
        )


@pytest.mark.parametrize("shape", [(COUNT, 5, 6), (COUNT, 1, 5, 6), (COUNT, 3, 5, 6), (COUNT, 5, 6, 3)])
def test_an_npy_file_is_read_in_any_usual_layout(
    tmp_path: Path, rng: np.random.Generator, shape: tuple[int, ...]
) -> None:
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    found, labels = collected(arrays.npy(tmp_path / "images.npy"))
    expected = (
        images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1) if shape[-1] == 3 else images
    )
    np.testing.assert_array_equal(found, expected)
    assert set(labels.tolist()) == {-1}


def test_labels_and_classes_beside_an_npy_file_are_used(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.array([2, 0, 1], np.int32))
    assert arrays.npy(tmp_path).classes == ["0", "1", "2"]
    (tmp_path / "classes.json").write_text('["x", "y", "z"]')
    source = arrays.npy(tmp_path)
    assert source.classes == ["x", "y", "z"] and collected(source)[1].tolist() == [2, 0, 1]


def test_labels_that_no_class_can_have_and_names_that_are_no_list_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.array([0, 1, 2**31 - 1]))
    with pytest.raises(DataError, match=r"labels\.npy: label 2147483647, though there are only 3 pictures"):
        arrays.npy(tmp_path)
    for content in ('{"0": "cat"}', "[0, 1, 2]", '["cat", "do'):
        (tmp_path / "classes.json").write_text(content)
        with pytest.raises(DataError, match=r"classes\.json: no list of names"):
            arrays.npy(tmp_path)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (
            [1, 2, 1],
            r"labels\.npy: the labels start at 1, so that no picture has label 0; subtract 1 from each label",
        ),
        (
            [0, 2, -1],
            r"labels\.npy: no picture has label 1, though labels go up to 2; number the classes from 0",
        ),
    ],
)
def test_labels_that_start_at_one_or_have_gaps_stop(tmp_path: Path, labels: list[int], says: str) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.array(labels))
    with pytest.raises(DataError, match=says):
        arrays.npy(tmp_path)
    labels_idx = np.array(labels, np.int64)
    write_idx(tmp_path / "x-images-idx3-ubyte", np.zeros((3, 4, 4), np.uint8))
    write_idx(tmp_path / "x-labels-idx1-ubyte", np.where(labels_idx < 0, 0, labels_idx).astype(np.uint8))
    with pytest.raises(DataError, match=says.replace(r"labels\.npy", "x-labels-idx1-ubyte")):
        arrays.idx(arrays.idx_pairs(tmp_path))


def test_a_name_without_a_picture_and_two_equal_names_stop(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.array([0, 1, 0]))
    (tmp_path / "classes.json").write_text('["cat", "dog", "cow"]')
    with pytest.raises(
        DataError, match=r'labels\.npy: no picture has label 2, which classes\.json names "cow"; add pictures'
    ):
        arrays.npy(tmp_path)
    (tmp_path / "classes.json").write_text('["cat", "cat"]')
    with pytest.raises(DataError, match=r'classes\.json: the classes "cat" and "cat" look the same'):
        arrays.npy(tmp_path)


def test_unlabelled_pictures_beside_labels_have_no_class_to_fill(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "labels.npy", np.array([-1, -1, -1]))
    assert arrays.npy(tmp_path).classes == []


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_with_a_dot_and_in_folders_of_their_names_are_pairs(
        tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    images, labels = pair(tmp_path, "train", 8, ending, rng)
    (tmp_path / f"train-labels-idx1-ubyte{ending}").rename(tmp_path / f"train-labels.idx1-ubyte{ending}")
    content = (tmp_path / f"train-images-idx3-ubyte{ending}").read_bytes()
    (tmp_path / f"train-images-idx3-ubyte{ending}").unlink()
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    (tmp_path / "train-images-idx3-ubyte" / f"train-images-idx3-ubyte{ending}").write_bytes(content)
    (tmp_path / "._train-images-idx3-ubyte").write_bytes(b"AppleDouble")
    found = collected(arrays.idx(arrays.idx_pairs(tmp_path)))
    np.testing.assert_array_equal(found[0][:, 0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    for name in ("images.npy", "a-images-idx3-ubyte", "a-labels-idx1-ubyte", "cifar.tar.gz"):
        os.mkfifo(tmp_path / name)
    for read in (
        lambda: arrays.npy(tmp_path),
        lambda: arrays.idx([arrays.Pair(tmp_path / "a-images-idx3-ubyte", tmp_path / "none")]),
        lambda: arrays.cifar10(tmp_path / "cifar.tar.gz", ["a"]),
    ):
        with pytest.raises(DataError, match="not a regular file"):
            read()


@pytest.mark.parametrize(("array", "says"), [
    (np.zeros((3, 4, 4), np.float32), "float32, not uint8"),
    (np.zeros((3, 4), np.uint8), "shape"),
    (np.zeros((3, 2, 4, 4), np.uint8), "shape"),
    (np.zeros((0, 4, 4), np.uint8), "shape"),
])
def test_an_array_that_is_no_set_of_pictures_is_refused(tmp_path: Path, array: np.ndarray, says: str) -> None:
    np.save(tmp_path / "images.npy", array)
    with pytest.raises(DataError, match=says):
        arrays.npy(tmp_path)


def test_a_pickled_array_is_refused_unopened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return Path.write_text, (tmp_path / "sprung", "x")

    np.save(tmp_path / "images.npy", np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(DataError, match="never unpickled"):
        arrays.npy(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_an_archive_of_arrays_under_an_arrays_name_is_refused(tmp_path: Path) -> None:
    for name in ("images.npy", "labels.npy"):
        np.save(tmp_path / "images.npy", np.zeros((3, 4, 4), np.uint8))
        with (tmp_path / name).open("wb") as stream:
            np.savez(stream, a=np.zeros(3), b=np.zeros(3))
        with pytest.raises(
            DataError, match=rf"{name}: not a whole \.npy file \(an archive of several arrays\)"
        ):
            arrays.npy(tmp_path)


def test_a_torn_npy_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((30, 4, 4), np.uint8))
    (tmp_path / "images.npy").write_bytes((tmp_path / "images.npy").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"not a whole \.npy file"):
        arrays.npy(tmp_path)
