"""A file is whole or absent, and equal content is equal bytes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.core import files
from aigc.core.errors import StorageError


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"old": 1})
    with pytest.raises(RuntimeError), files.replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert files.read_json(target) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_error_that_names_the_file(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(StorageError, match=r"images\.npy: cannot be written \(No space left on device\)"):
            files.write_npy(tmp_path / "images.npy", np.zeros((1000, 1000), np.uint8))
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_a_read_only_disk_is_one_error_that_names_the_file(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(
            StorageError, match=r"reports/x\.json: cannot be written \(Read-only file system\)"
        ):
            files.write_json(tmp_path / "reports" / "x.json", {})
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_torn_file_is_refused_with_its_name(tmp_path: Path) -> None:
    for name, read in (
        ("a.json", files.read_json),
        ("a.npy", files.map_npy),
        ("a.safetensors", files.read_tensors),
    ):
        with pytest.raises(StorageError, match=f"{name}: missing"):
            read(tmp_path / name)
    files.write_npy(tmp_path / "a.npy", np.arange(1000))
    files.write_tensors(tmp_path / "a.safetensors", {"x": torch.arange(1000)})
    for name, read in (("a.npy", files.map_npy), ("a.safetensors", files.read_tensors)):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(StorageError, match=f"{name}: not a whole"):
            read(path)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\3\4 no archive",
        b"\x93NUMPY\1\0\x0a\0{'descr':  ",
        b"\x93NUMPY\1\0\x46\0{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }\n",
    ],
)
def test_a_damaged_head_of_an_array_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.npy: not a whole"):
        files.map_npy(tmp_path / "a.npy")


def test_a_file_in_place_of_a_folder_is_one_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("words")
    with pytest.raises(StorageError, match=r"notes/a\.json: cannot be written"):
        files.write_json(tmp_path / "notes/a.json", 1)


def test_a_pickled_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StorageError, match="not a whole"):
        files.map_npy(tmp_path / "a.npy")


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.integers(1, 7))
def test_rows_streamed_are_the_rows_saved(values: list[int], step: int) -> None:
    import tempfile

    array = np.array(values, np.uint8)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        with files.npy_rows(path, array.shape, np.uint8) as append:
            for start in range(0, len(array), step):
                append(array[start:start + step])
        np.testing.assert_array_equal(files.map_npy(path), array)
        np.save(Path(folder) / "b.npy", array)
        assert path.read_bytes() == (Path(folder) / "b.npy").read_bytes()


def test_too_few_rows_make_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="1 rows written where 2 were expected"), \
            files.npy_rows(tmp_path / "a.npy", (2, 1), np.uint8) as append:
        append(np.zeros((1, 1), np.uint8))
    assert not list(tmp_path.iterdir())


def test_tensors_are_the_same_bytes_in_every_process() -> None:
    code = (
        "import torch, hashlib; from aigc.core import files; "
        "packed = files.pack_tensors({'b': torch.ones(3), 'a': torch.zeros(2)}, {'z': 1, 'y': [2]}); "
        "print(hashlib.sha256(packed).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize(("text", "problem"), [
    ("[1]", "no JSON object"), ("null", "no JSON object"), ("{}", "no `a.b`"), ('{"a": [3]}', "no `a.b`"),
    ('{"a": {"b": null}}', "no `a.b`"), ('{"a": {"b": 1}', "not readable as JSON"),
])
def test_json_of_another_shape_is_one_line_with_the_file_and_the_stage_that_makes_it(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "out.json").write_text(text)
    with pytest.raises(StorageError) as caught:
        files.read_object(tmp_path / "out.json", "evaluate@gan", "a.b")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'out.json'}: ") and problem in message and "\n" not in message
    assert ("`dvc repro evaluate@gan`" if problem.startswith("no ") else "`dvc repro`") in message


def test_a_json_object_that_has_its_keys_is_read(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"a": {"b": false}, "c": 3}')
    assert files.read_object(tmp_path / "out.json", "evaluate@gan", "a.b", "c") == {"a": {"b": False}, "c": 3}
