"""A file of a folder or table is a picture, is named with a reason, or is no picture; links stay inside."""

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
from aigc.data.sources import listing, table

DATA = DataConfig(
    source="csv",
    path="unset",
    table="labels.csv",
    path_column="path",
    label_column="label",
    max_quarantined=0.01,
    licence="",
    attribution="",
    url="",
    split=SplitConfig(seed=0, holdout=0.2, test=0.2),
)


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
    assert list(zip(found.paths, found.labels, strict=True)) == [
        ("a/3.webp", 0),
        ("a/x/1.JPG", 0),
        ("b/2.png", 1),
    ]


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
    assert [listing.shown(name) for name in ("a\nb\r\t\x1b[0m\u2028c", "ü 😀")] == [
        "a\\nb\\r\\t\\x1b[0m\\u2028c",
        "ü 😀",
    ]


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
    found = table.in_table(DATA.model_copy(update={"path": str(root)}))
    assert reasons(found) == {"out/1.png": "a symbolic link out of the folder"} and found.paths == [
        "in/1.png"
    ]


def test_a_link_to_a_folder_outside_stops_since_it_would_be_lost_silently(tmp_path: Path) -> None:
    put(tmp_path / "root" / "a" / "1.png")
    put(tmp_path / "elsewhere" / "2.png")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="a symbolic link to a folder outside"):
        listing.in_folder(tmp_path / "root")


@pytest.mark.parametrize(
    ("names", "says"),
    [([], "no picture found"), (["a/1.png", "b/words.txt"], "b: no picture in this class folder")],
)
def test_an_empty_folder_and_an_empty_class_stop(tmp_path: Path, names: list[str], says: str) -> None:
    for name in names:
        (put if name.endswith("png") else lambda place: (place.parent.mkdir(), place.write_text("x")))(
            tmp_path / name
        )
    with pytest.raises(DataError, match=says):
        listing.in_folder(tmp_path)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from aigc.core.errors import DataError
from aigc.data.sources import decoding, listing
if not os.geteuid():
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
folder = sys.argv[1]
for attempt in (lambda: decoding.read_whole(folder + "/a/1.png"), lambda: listing.in_folder(Path(folder))):
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
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, name],
            env={"PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            check=False,
        )
        (root / "b").chmod(0o755)
    assert done.stdout.splitlines()[0] == "cannot be read (Permission denied)", done.stderr
    assert "b: cannot be listed (Permission denied)" in done.stdout.splitlines()[1]


TABLES: dict[str, tuple[str, str]] = {
    "missing column": ("file,label\n1.png,a\n", "no column `path` .it has file, label"),
    "no rows": ("path,label\n", "no row"),
    "longer rows": (
        "path,label\n1.png,a,a remark\n",
        "more fields than the header has columns .path, label.",
    ),
    "a comma at the end": ("path,label\n1.png,a,\n", "more fields than the header"),
    "ragged": ('path,label\n1.png,a,b,c,d\n1.png\n"', "not readable as CSV"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_meant_stops_in_one_line(tmp_path: Path, case: str) -> None:
    text, says = TABLES[case]
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        table.in_table(DATA.model_copy(update={"path": str(tmp_path)}))
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: no such table"):
        table.in_table(DATA.model_copy(update={"path": str(tmp_path)}))


def test_the_rows_of_a_table_are_pictures_or_have_their_reasons(tmp_path: Path) -> None:
    put(tmp_path / "pictures" / "1.png")
    put(tmp_path.parent / "outside.png")
    (tmp_path / "labels.csv").write_text(
        "path,label\npictures/1.png,007\nabsent.png,cat\n../outside.png,cat\n/etc/passwd,cat\npictures/1.png,\n,cat\npictures,cat\n")
    found = table.in_table(DATA.model_copy(update={"path": str(tmp_path)}))
    assert (found.classes, found.paths, found.labels) == (["007", "cat"], ["pictures/1.png"], [0])
    assert found.rejected[4].path == "row 6"
    assert [picture.reason for picture in found.rejected] == [
        "no such file",
        "leads out of the table's folder",
        "leads out of the table's folder",
        "no label in the table",
        "no path in the table",
        "a folder",
    ]


def test_a_table_without_a_label_column_is_unlabelled(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text("path\n1.png\n")
    update: dict[str, Any] = {"path": str(tmp_path), "label_column": ""}
    found = table.in_table(DATA.model_copy(update=update))
    assert (found.classes, found.labels) == ([], [-1])


def files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"\0\5\x16\7")


def test_what_systems_put_beside_pictures_is_no_class_and_no_picture_and_is_counted(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    files(
        tmp_path,
        "@eaDir/1.png/THUMB.jpg",
        "__MACOSX/a/._1.png",
        ".thumbnails/1.png",
        "#recycle/2.png",
        "a/@eaDir/3.png",
        "$RECYCLE.BIN/$R1.png",
        "lost+found/4.png",
        ".ipynb_checkpoints/5.png",
        "a/._1.png",
        "a/Thumbs.db",
        "a/desktop.ini",
        "a/.DS_Store",
        ".DS_Store",
        "a/words.TXT",
        "a/labels.json",
    )
    found = listing.in_folder(tmp_path)
    assert (found.classes, found.paths, found.rejected) == (["a"], ["a/1.png"], [])
    assert dict(found.left_out) == {
        "@eaDir": 2,
        "__MACOSX": 1,
        ".thumbnails": 1,
        "#recycle": 1,
        "$RECYCLE.BIN": 1,
        "lost+found": 1,
        ".ipynb_checkpoints": 1,
        "._*": 1,
        "Thumbs.db": 1,
        "desktop.ini": 1,
        ".DS_Store": 2,
        ".txt": 1,
        ".json": 1,
    }
    assert listing.summary(found.left_out).startswith("#recycle 1, $RECYCLE.BIN 1, ")


def test_a_class_folder_that_holds_nothing_but_what_systems_put_there_is_empty(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    files(tmp_path, "b/Thumbs.db", "b/@eaDir/1.png")
    with pytest.raises(DataError, match="b: no picture in this class folder"):
        listing.in_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a/1.DNG", b"II*\0", "a camera raw file"),
        ("a/1.nef", b"MM\0*", "a camera raw file"),
        ("a/1.cr3", b"", "a camera raw file"),
        ("a/1.avif", b"\0\0\0\x1cftypavif", "an AVIF file"),
        ("a/1.HEIC", b"\0\0\0\x1cftypheic", "a HEIC file"),
        ("a/no suffix", b"\0\0\0\x1cftypheic", "a HEIC file"),
        ("a/1.jp2", b"", "a JPEG 2000 file"),
        ("a/1.jxl", b"\xff\x0a", "a JPEG XL file"),
        ("a/1.psd", b"8BPS", "a Photoshop file (PSD)"),
        ("a/2", b"8BPS", "a Photoshop file (PSD)"),
        ("a/1.svg", b"<svg", "a vector drawing"),
        ("a/1.ico", b"", "an icon"),
        ("a/1.tga", b"", "a Targa picture"),
        ("a/1.exr", b"", "an OpenEXR file"),
        ("a/1.hdr", b"", "a Radiance HDR file"),
        ("a/1.pcx", b"", "a PCX picture"),
    ],
)
def test_pictures_of_kinds_that_are_not_decoded_are_named_with_what_to_do(
        tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    put(tmp_path / "a" / "fine.png")
    (tmp_path / name).write_bytes(content + bytes(40))
    found = listing.in_folder(tmp_path)
    assert reasons(found) == {name: f"{kind}: convert it to PNG, TIFF or JPEG"} and not found.left_out


def test_a_video_is_named_and_a_picture_under_another_kinds_suffix_is_a_picture(tmp_path: Path) -> None:
    put(tmp_path / "a" / "really a PNG.heic")
    files(tmp_path, "a/1.mp4")
    found = listing.in_folder(tmp_path)
    assert found.paths == ["a/really a PNG.heic"]
    assert reasons(found) == {"a/1.mp4": "a video: save its frames as PNG, TIFF or JPEG"}


def test_a_link_out_of_the_folder_is_not_opened_to_see_what_it_is(tmp_path: Path) -> None:
    put(tmp_path / "root" / "a" / "1.png")
    put(tmp_path / "outside")
    (tmp_path / "root" / "a" / "link").symlink_to(tmp_path / "outside")
    found = listing.in_folder(tmp_path / "root")
    assert len(found) == 1 and found.ignored == 1


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NFC, NFD),
        ("cat", "cat "),
        (" cat", "cat"),
        ("cat", "c\u200bat"),
        ("cat", "\ufeffcat"),
        ("a b", "a\u00a0b"),
        ("a b", "a  b"),
    ],
)
def test_class_folders_and_labels_that_look_the_same_stop_and_both_are_named(
    tmp_path: Path, first: str, second: str
) -> None:
    for name in (first, second):
        put(tmp_path / name / "1.png")
    (tmp_path / "labels.csv").write_text(f"path,label\n{first}/1.png,{first}\n{second}/1.png,{second}\n")
    for read in (
        lambda: listing.in_folder(tmp_path),
        lambda: table.in_table(DATA.model_copy(update={"path": str(tmp_path)})),
    ):
        with pytest.raises(
            DataError, match="look the same .*; join them, or give one another name"
        ) as caught:
            read()
        assert (
            ascii(first) in str(caught.value)
            and ascii(second) in str(caught.value)
            and "\n" not in str(caught.value)
        )


@pytest.mark.parametrize(("first", "second"), [("Cat", "cat"), ("1", "01"), ("1", "1.0"), ("\uff11", "1")])
def test_classes_that_differ_little_are_two_with_a_warning(tmp_path: Path, first: str, second: str) -> None:
    for name in (first, second):
        put(tmp_path / name / "1.png")
    (tmp_path / "labels.csv").write_text(f"path,label\n{first}/1.png,{first}\n{second}/1.png,{second}\n")
    for found in (
        listing.in_folder(tmp_path),
        table.in_table(DATA.model_copy(update={"path": str(tmp_path)})),
    ):
        assert sorted(found.classes) == sorted([first, second])
        warning, = found.warnings
        assert (
            f'"{first}"' in warning
            and f'"{second}"' in warning
            and "join them if they are one class" in warning
        )


def in_table(root: Path, *rows: str) -> listing.Listing:
    (root / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return table.in_table(DATA.model_copy(update={"path": str(root)}))


@pytest.mark.parametrize(("written", "there"), [(NFC, NFD), (NFD, NFC)])
def test_a_table_in_one_unicode_form_finds_files_in_the_other(
    tmp_path: Path, written: str, there: str
) -> None:
    put(tmp_path / there / f"{there}.png")
    put(tmp_path / "plain" / f"{there}.png")
    found = in_table(tmp_path, f"{written}/{written}.png,a", f"plain/{written}.png,b")
    assert found.paths == [f"{there}/{there}.png", f"plain/{there}.png"] and not found.rejected


def test_where_both_unicode_forms_exist_the_written_one_is_used(tmp_path: Path) -> None:
    for name in (NFC, NFD):
        put(tmp_path / f"{name}.png")
    assert in_table(tmp_path, f"{NFD}.png,a", f"{NFC}.png,b").paths == [f"{NFD}.png", f"{NFC}.png"]


def test_absolute_paths_inside_backslashes_spaces_and_dots_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    put(root / "in" / "1.png")
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    rows = (
        f"{root}/in/1.png",
        "in\\1.png",
        ".\\in\\1.png",
        " in/1.png ",
        "in/../in/1.png",
        f"{tmp_path}/link/in/1.png",
    )
    found = in_table(Path("root"), *(f"{row},a" for row in rows))
    assert [os.path.normpath(path) for path in found.paths] == ["in/1.png"] * len(rows)
    outside = in_table(root, f"{tmp_path}/1.png,a", "in/../../1.png,a", "..\\1.png,a", f"{root}2/1.png,a")
    assert set(reasons(outside).values()) == {table.OUTSIDE} and len(outside.rejected) == 4


def test_a_table_that_names_a_camera_raw_file_has_the_reason(tmp_path: Path) -> None:
    (tmp_path / "1.dng").write_bytes(b"II*\0" + bytes(40))
    put(tmp_path / "2.png")
    found = in_table(tmp_path, "1.dng, a", "2.png, a")
    assert reasons(found) == {"1.dng": "a camera raw file: convert it to PNG, TIFF or JPEG"}
    assert found.classes == ["a"]
