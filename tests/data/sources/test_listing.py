"""What lies in a folder or a table is a picture, or is named with a reason, or is no picture; links lead nowhere else."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aigc.core.errors import DataError
from aigc.data.config import DataConfig, SplitConfig
from aigc.data.sources import listing

DATA = DataConfig(source="csv", path="unset", table="labels.csv", path_column="path", label_column="label", max_quarantined=0.01,
                   licence="", attribution="", url="", split=SplitConfig(seed=0, holdout=0.2, test=0.2))


def put(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), 9).save(place, "PNG")
    return place


def reasons(found: listing.Listing) -> dict[str, str]:
    return {picture.path: picture.reason for picture in found.rejected}


def test_sub_folders_are_classes_and_what_lies_deeper_belongs_to_them(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/x/1.JPG", "a/3.webp"):
        put(tmp_path / name)
    found = listing.in_folder(tmp_path)
    assert found.classes == ["a", "b"]
    assert list(zip(found.paths, found.labels, strict=True)) == [("a/3.webp", 0), ("a/x/1.JPG", 0), ("b/2.png", 1)]


def test_a_flat_folder_is_unlabelled(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    found = listing.in_folder(tmp_path)
    assert (found.classes, found.paths, found.labels) == ([], ["1.png"], [-1])


def test_names_with_spaces_newlines_emoji_and_bytes_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    names = ["with space.png", "new\nline.png", "😀.png", os.fsdecode(b"\xff\xfe.png")]
    for name in names:
        put(tmp_path / "a" / name)
    found = listing.in_folder(tmp_path)
    assert sorted(found.paths) == sorted(f"a/{name}" for name in names)
    assert found.paths == sorted(found.paths, key=os.fsencode)
    assert listing.shown(found.paths[-1]) == "a/\\xff\\xfe.png"
    assert [listing.shown(name) for name in ("a\nb\r\t\x1b[0m\u2028c", "ü 😀")] == ["a\\nb\\r\\t\\x1b[0m\\u2028c", "ü 😀"]


def test_other_files_are_counted_and_hidden_ones_are_not_looked_at(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "a" / "picture without a suffix")
    put(tmp_path / "a" / ".hidden.png")
    Image.new("L", (4, 4)).save(tmp_path / "a" / "saved by some old program", "BMP")
    (tmp_path / "a" / "notes.txt").write_text("BM: no bitmap")
    (tmp_path / "README.md").write_text("words")
    found = listing.in_folder(tmp_path)
    assert found.paths == ["a/1.png", "a/picture without a suffix", "a/saved by some old program"]
    assert found.ignored == 2 and not found.rejected


def test_a_folder_deeper_than_pythons_stack_is_read(tmp_path: Path) -> None:
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=deep)
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    with os.fdopen(os.open("1.png", os.O_WRONLY | os.O_CREAT, dir_fd=deep), "wb") as stream:
        Image.new("L", (4, 4), 9).save(stream, "PNG")
    os.close(deep)
    try:
        assert listing.in_folder(tmp_path).paths == ["d/" * 1100 + "1.png"]
    finally:  # shutil.rmtree, with which pytest tidies up, is not deep enough
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_links_fifos_and_pictures_without_a_class_are_named(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root / "a" / "1.png")
    put(tmp_path / "outside.png")
    put(root / "beside.png")
    (root / "a" / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "a" / "self.png").symlink_to("self.png")
    (root / "a" / "nothing.png").symlink_to("absent.png")
    (root / "a" / "loop").symlink_to("..")
    (root / "a" / "inside.png").symlink_to("1.png")
    os.mkfifo(root / "a" / "fifo.png")
    found = listing.in_folder(root)
    assert found.paths == ["a/1.png", "a/inside.png"]
    told = reasons(found)
    assert "without a class" in told["beside.png"]
    assert "out of the folder" in told["a/out.png"]
    assert "Too many levels" in told["a/self.png"]
    assert "to nothing" in told["a/nothing.png"]
    assert "read in its own place" in told["a/loop"]
    assert told["a/fifo.png"] == "a FIFO"
    assert len(told) == 6


def test_a_tables_path_through_a_linked_folder_is_used_where_it_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(tmp_path / "elsewhere" / "1.png")
    put(root / "pictures" / "1.png")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "in").symlink_to("pictures")
    (root / "labels.csv").write_text("path,label\nout/1.png,a\nin/1.png,b\n")
    found = listing.in_table(DATA.model_copy(update={"path": str(root)}))
    assert reasons(found) == {"out/1.png": "a symbolic link out of the folder"} and found.paths == ["in/1.png"]


def test_a_link_to_a_folder_outside_stops_since_it_would_be_lost_silently(tmp_path: Path) -> None:
    put(tmp_path / "root" / "a" / "1.png")
    put(tmp_path / "elsewhere" / "2.png")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="a symbolic link to a folder outside"):
        listing.in_folder(tmp_path / "root")


@pytest.mark.parametrize(("names", "says"), [([], "no picture found"), (["a/1.png", "b/words.txt"], "b: no picture in this class folder")])
def test_an_empty_folder_and_an_empty_class_stop(tmp_path: Path, names: list[str], says: str) -> None:
    for name in names:
        (put if name.endswith("png") else lambda place: (place.parent.mkdir(), place.write_text("x")))(tmp_path / name)
    with pytest.raises(DataError, match=says):
        listing.in_folder(tmp_path)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from aigc.core.errors import DataError
from aigc.data.sources import decoding, listing
if not os.geteuid():
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for attempt in (lambda: decoding.read_whole(sys.argv[1] + "/a/1.png"), lambda: listing.in_folder(Path(sys.argv[1]))):
    try:
        attempt()
    except (DataError, decoding.Unusable) as error:
        print(error)
"""


def test_an_unreadable_file_is_quarantined_and_an_unreadable_folder_stops() -> None:
    # Not under pytest's own folder, which none but its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        put(root / "a" / "1.png").chmod(0)
        put(root / "b" / "2.png").parent.chmod(0)
        done = subprocess.run([sys.executable, "-c", UNPRIVILEGED, name], env={"PYTHONPATH": "src"}, capture_output=True, text=True,
                              check=False)
        (root / "b").chmod(0o755)
    assert done.stdout.splitlines()[0] == "cannot be read (Permission denied)", done.stderr
    assert "b: cannot be listed (Permission denied)" in done.stdout.splitlines()[1]


TABLES: dict[str, tuple[str, str]] = {
    "missing column": ("file,label\n1.png,a\n", "no column `path` .it has file, label"),
    "no rows": ("path,label\n", "no row"),
    "longer rows": ("path,label\n1.png,a,a remark\n", "more fields than the header has columns .path, label."),
    "a comma at the end": ("path,label\n1.png,a,\n", "more fields than the header"),
    "ragged": ("path,label\n1.png,a,b,c,d\n1.png\n\"", "not readable as CSV"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_meant_stops_in_one_line(tmp_path: Path, case: str) -> None:
    text, says = TABLES[case]
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        listing.in_table(DATA.model_copy(update={"path": str(tmp_path)}))
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: no such table"):
        listing.in_table(DATA.model_copy(update={"path": str(tmp_path)}))


def test_the_rows_of_a_table_are_pictures_or_have_their_reasons(tmp_path: Path) -> None:
    put(tmp_path / "pictures" / "1.png")
    put(tmp_path.parent / "outside.png")
    (tmp_path / "labels.csv").write_text(
        "path,label\npictures/1.png,007\nabsent.png,cat\n../outside.png,cat\n/etc/passwd,cat\npictures/1.png,\n,cat\npictures,cat\n")
    found = listing.in_table(DATA.model_copy(update={"path": str(tmp_path)}))
    assert (found.classes, found.paths, found.labels) == (["007", "cat"], ["pictures/1.png"], [0])
    assert found.rejected[4].path == "row 6"
    assert [picture.reason for picture in found.rejected] == [
        "no such file", "leads out of the table's folder", "leads out of the table's folder", "no label in the table",
        "no path in the table", "a folder"]


def test_a_table_without_a_label_column_is_unlabelled(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text("path\n1.png\n")
    update: dict[str, Any] = {"path": str(tmp_path), "label_column": ""}
    found = listing.in_table(DATA.model_copy(update=update))
    assert (found.classes, found.labels) == ([], [-1])
