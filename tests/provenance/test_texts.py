"""A picture's texts are standard, and tell what was changed."""

import io
import struct
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from aigc.provenance import texts
from aigc.provenance.claim import OPTIONAL, Claim

CLAIM = Claim(
    method="gan",
    weights_sha256="a" * 64,
    model_sha256="b" * 64,
    data_sha256="c" * 64,
    source="folder",
    licence="CC0-1.0",
    attribution="Zoë 写真",
    url="",
    seed="7",
    index="130",
    label="-1",
    arithmetic="portable",
    threads="2",
    sampler="solver=euler steps=8",
    producer="Studio",
)
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
PNG = texts.encode(Image.fromarray(PIXELS), CLAIM)
EVERY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def examined(tmp_path: Path, content: bytes) -> texts.Finding | None:
    (tmp_path / "a.png").write_bytes(content)
    return texts.examine(tmp_path / "a.png")


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """(type, data) of each chunk, by the PNG specification, section 5.3, each CRC checked."""
    found, position = [], 8
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position:position + 8])
        data = png[position + 8:position + 8 + length]
        assert struct.unpack(">I", png[position + 8 + length : position + 12 + length])[0] == zlib.crc32(
            kind + data
        )
        found.append((kind, data))
        position += 12 + length
    return found


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """The same PNG with one more chunk before its pixels."""
    place = png.index(b"IDAT") - 4
    return (
        png[:place]
        + struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        + png[place:]
    )


def saved(pixels: np.ndarray, written: dict[str, str]) -> bytes:
    info, stream = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, value in written.items():
        info.add_itxt(key, value)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def held_texts() -> dict[str, str]:
    with Image.open(io.BytesIO(PNG)) as image:
        image.load()
        return dict(image.text)


def test_the_text_chunks_name_the_origin_of_the_picture_in_latin_1_or_in_utf_8() -> None:
    plain = dict(data.split(b"\0", 1) for kind, data in chunks(PNG) if kind == b"tEXt")
    for name, value in asdict(CLAIM).items():
        if not value and name in OPTIONAL:
            assert f"aigc.{name}".encode() not in plain
        elif name != "attribution":
            assert plain[f"aigc.{name}".encode()] == value.encode("latin-1")
    assert held_texts()["aigc.attribution"] == CLAIM.attribution
    assert plain[b"Software"].startswith(b"aigc ")
    assert all(1 <= len(key) <= 79 for key in plain)


def test_iptcs_source_type_stands_in_an_uncompressed_xmp_packet_as_adobe_says() -> None:
    (data,) = [data for kind, data in chunks(PNG) if kind == b"iTXt" and data.startswith(b"XML:")]
    keyword, rest = data.split(b"\0", 1)
    assert (
        keyword == b"XML:com.adobe.xmp" and rest[:4] == b"\0\0\0\0"
    )  # not compressed, no language, no translated keyword
    (found,) = ElementTree.fromstring(rest[4:].decode()).iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert found.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_equal_pictures_are_equal_bytes_and_sound(tmp_path: Path) -> None:
    assert texts.encode(Image.fromarray(PIXELS), CLAIM) == PNG
    found = examined(tmp_path, PNG)
    assert found and found.claim == CLAIM and found.is_sound


def test_the_same_pixels_and_texts_packed_otherwise_are_sound(tmp_path: Path) -> None:
    assert (found := examined(tmp_path, saved(PIXELS, held_texts()))) and found.is_sound


@pytest.mark.parametrize("key", sorted(held_texts()))
def test_each_changed_missing_or_doubled_text_is_seen_and_the_pixels_are_not_blamed(
    tmp_path: Path, key: str
) -> None:
    held = held_texts()
    for changed in (
        {**held, key: held[key] + "1"},
        {name: value for name, value in held.items() if name != key},
    ):
        found = examined(tmp_path, saved(PIXELS, changed))
        assert found and found.texts_changed
        assert found.pixels_changed == (
            key == texts.PIXELS
        )  # without its hash nothing vouches for the pixels
    found = examined(tmp_path, with_chunk(PNG, b"tEXt", key.encode() + b"\0" + held[key].encode()))
    assert found and "twice" in found.texts_changed


@pytest.mark.parametrize(("key", "before", "after"), [
    (texts.XMP, "trainedAlgorithmicMedia", "digitalCapture"), (texts.XMP, "aigc gan", "aigc flow"),
    ("Software", "aigc ", "Camera ")])
def test_a_text_that_does_not_follow_from_the_others_is_seen_under_a_seal_made_anew(
        tmp_path: Path, key: str, before: str, after: str) -> None:
    changed = {**held_texts(), key: held_texts()[key].replace(before, after, 1)}
    assert changed != held_texts()
    found = examined(tmp_path, saved(PIXELS, {**changed, texts.SEAL: texts._seal(changed)}))
    assert found and not found.is_sound
    assert found.texts_changed in ("the texts are not those under the seal", f"{key} is not what aigc writes")


def test_a_picture_of_another_version_of_ours_is_sound(tmp_path: Path) -> None:
    other = texts.texts_of(CLAIM, texts.hash_of(PIXELS.tobytes()), "12.3.4rc1")
    assert (found := examined(tmp_path, saved(PIXELS, other))) and found.is_sound


@EVERY
@given(row=st.integers(0, 15), column=st.integers(0, 15), bit=st.integers(0, 7))
def test_every_changed_pixel_is_seen_and_the_texts_are_not_blamed(
    tmp_path: Path, row: int, column: int, bit: int
) -> None:
    pixels = PIXELS.copy()
    pixels[row, column] ^= 1 << bit
    found = examined(tmp_path, saved(pixels, held_texts()))
    assert found and found.pixels_changed and not found.texts_changed


@EVERY
@given(position=st.integers(0, len(PNG) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_of_the_file_changes_what_it_says_unseen(
    tmp_path: Path, position: int, bit: int
) -> None:
    content = bytearray(PNG)
    content[position] ^= 1 << bit
    found = examined(tmp_path, bytes(content))
    assert (
        found is None
        or not found.is_sound
        or (found.claim == CLAIM and found.pixels_sha256 == texts.hash_of(PIXELS.tobytes()))
    )


@pytest.mark.parametrize("kind", [b"gAMA", b"zTXt", b"eXIf", b"tIME"])
def test_what_another_program_added_is_seen(tmp_path: Path, kind: bytes) -> None:
    data = {
        b"gAMA": b"\0\0\0\1",
        b"zTXt": b"aigc.seed\0\0" + zlib.compress(b"8"),
        b"eXIf": b"MM\0*\0\0\0\x08\0\0",
        b"tIME": bytes(7),
    }[kind]
    assert (found := examined(tmp_path, with_chunk(PNG, kind, data))) and found.texts_changed


def repacked(change: str) -> bytes:
    """The same PNG with something beside picture and texts."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    if change == "trailing bytes":
        return PNG + b"12345"
    if change == "a chunk after the end":
        return PNG + chunk(b"IDAT", b"hidden")
    if change == "a second end":
        return PNG + chunk(b"IEND", b"")
    body = [(kind, data) for kind, data in chunks(PNG)]
    packed = b"".join(data for kind, data in body if kind == b"IDAT")
    if change == "more behind the pixels":
        packed += b"hidden"
    if change == "more rows than there are":
        packed = zlib.compress(zlib.decompress(packed) + bytes(40))
    if change == "a wrong checksum of the rows":
        packed = packed[:-1] + bytes([packed[-1] ^ 1])
    said = [chunk(kind, data) for kind, data in body if kind in (b"tEXt", b"iTXt")]
    if change == "a language":
        said[-1] = chunk(b"iTXt", body[-3][1].replace(b"\0\0\0\0", b"\0\0fr\0drawn by hand\0", 1))
    end = b"" if change == "no end" else chunk(b"IEND", b"")
    return PNG[:33] + b"".join(said) + chunk(b"IDAT", packed) + end


@pytest.mark.parametrize(
    "change",
    [
        "trailing bytes",
        "a chunk after the end",
        "a second end",
        "more behind the pixels",
        "more rows than there are",
        "a language",
        "no end",
        "a wrong checksum of the rows",
    ],
)
def test_what_hides_beside_the_picture_is_seen(tmp_path: Path, change: str) -> None:
    assert (found := examined(tmp_path, repacked("nothing"))) and found.is_sound
    found = examined(tmp_path, repacked(change))
    assert found is None or found.texts_changed
    assert found or change in ("no end", "a wrong checksum of the rows"), "Pillow opens the others"


@pytest.mark.parametrize(
    "strange",
    [
        {"method": "../gan"},
        {"weights_sha256": "' or 1=1"},
        {"seed": "-1"},
        {"seed": str(2**32)},
        {"index": "5-4"},
        {"index": "0-3"},
        {"label": ""},
        {"label": "0 1"},
        {"index": "0-256", "label": " ".join(["0"] * 257)},
        {"arithmetic": "slow"},
        {"threads": "0"},
        {"threads": "4096"},
        {"mark": "fr"},
        {"compression": "jpeg quality=0"},
        {"compression": "jpeg quality=101"},
        {"compression": "gif quality=5"},
        {"index": "٣"},
        {"seed": "007"},
        {"index": "07"},
        {"label": "03"},
        {"threads": "02"},
        {"shows": "pairs"},
        {"shows": "reconstruction"},
        {"shows": "interpolation to=7 as=row"},
        {"shows": "interpolation as=row", "index": "0-1", "label": "3 3"},
        {"shows": f"interpolation to={2**32} as=row", "index": "0-1", "label": "3 3"},
        {"shows": "interpolation to=7 as=row", "index": "0-1", "label": "3 4"},
        {"shows": "interpolation to=7 as=row", "index": "1-2", "label": "3 3"},
        {"shows": "interpolation to=7 as=jpg", "index": "0-1", "label": "3 3"},
        {"processed": "upscale=3"},
        {"processed": "upscale=2 contrast=auto"},
        {"processed": "denoise=0.5contrast=auto"},
    ],
)
def test_what_cannot_be_meant_is_no_claim_whatever_its_seal_says(
    tmp_path: Path, strange: dict[str, str]
) -> None:
    claim = replace(CLAIM, **strange)
    found = examined(tmp_path, saved(PIXELS, texts.texts_of(claim, texts.hash_of(PIXELS.tobytes()))))
    assert found and found.claim is None and not found.is_sound


def test_a_stripped_or_converted_picture_holds_no_text(tmp_path: Path) -> None:
    for name in ("PNG", "JPEG"):
        stream = io.BytesIO()
        Image.fromarray(PIXELS).save(stream, name)
        assert (found := examined(tmp_path, stream.getvalue())) and found.missing and not found.is_sound


def plain(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        PNG[:200],
        plain(Image.fromarray(PIXELS), "EPS"),
        plain(Image.fromarray(PIXELS), "PPM"),
        plain(Image.new("1", (10_000, 9_000)), "PNG"),
        with_chunk(PNG, b"gAMA", b""),
    ],
    ids=[
        "empty",
        "text",
        "cut",
        "of a decoder that starts a program",
        "of a rare format",
        "a bomb",
        "on which the decoder stumbles",
    ],
)
def test_what_is_no_whole_picture_is_told(tmp_path: Path, content: bytes) -> None:
    assert examined(tmp_path, content) is None
