"""What a file is by its content, never by its name; and how Pillow opens a file of one kind."""

import io
import re

from PIL import Image

from aigc.data.sources.contract import Unusable

READ = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")  # Pillow's names; PPM stands for PBM, PGM and PPM
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of RGB
NETPBM = re.compile(rb"P[1-6]\s+[#\d]")
RAW = "a camera raw file ({}); develop it to PNG, TIFF or JPEG first"
STARTS = {  # first bytes: kind
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF",
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    b"IIRO": RAW.format("ORF"), b"IIRS": RAW.format("ORF"), b"MMOR": RAW.format("ORF"),
    b"IIU\0": RAW.format("RW2"), b"FUJIFILMCCD-RAW": RAW.format("RAF"), b"FOVb": RAW.format("X3F"),
    b"\0MRM": RAW.format("MRW"),
    b"\0\0\0\x0cjP  \r\n\x87\n": "a JPEG 2000 file", b"\xffO\xffQ": "a JPEG 2000 file",
    b"\0\0\0\x0cJXL \r\n\x87\n": "a JPEG XL file", b"\xff\n": "a JPEG XL file",
    b"II\xbc\x01": "a JPEG XR file", b"8BPS": "a Photoshop file (PSD)", b"gimp xcf": "a GIMP file (XCF)",
    b"v/1\x01": "an OpenEXR file", b"#?RADIANCE": "a Radiance HDR file", b"#?RGBE": "a Radiance HDR file",
    b"qoif": "a QOI file", b"DDS ": "a DDS texture", b"SIMPLE  =": "a FITS file",
    b"PF\n": "a PFM file (floats)", b"Pf\n": "a PFM file (floats)", b"P7\n": "a PAM file",
    b"\x1aE\xdf\xa3": "a video", b"%PDF-": "a PDF document", b"%!PS": "a PostScript file",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile",
}
BRANDS = {  # of an ISO base media file: bytes 8 to 12
    b"avif": "an AVIF file", b"avis": "an AVIF file", b"crx ": RAW.format("CR3"),
    b"mif1": "a HEIF file", b"msf1": "a HEIF file",
} | dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis"), "a HEIC file")


def kind_of(content: bytes) -> str:
    """One of READ, or what else the file is (the reason not to use it), or "" for an unknown file.

    content: the whole file; its first 1024 bytes are enough for all but some TGA files.
    """
    for start, kind in STARTS.items():
        if content.startswith(start):
            return RAW.format("CR2") if kind == "TIFF" and content[8:10] == b"CR" else kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:2] == b"BM" and content[15:18] == bytes(3):
        return "BMP"
    if NETPBM.match(content):
        return "PPM"
    if content[4:8] == b"ftyp":
        return BRANDS.get(content[8:12], "a video (MP4)")
    if content[6:14] == b"HEAPCCDR":
        return RAW.format("CRW")
    if content[:4] in (b"\0\0\1\0", b"\0\0\2\0") and content[4:6] not in (b"", b"\0\0"):
        return "an icon or cursor (ICO)"
    if (
        content[:1] == b"\n"
        and content[1:2] in b"\0\2\3\4\5"
        and content[2:3] == b"\1"
        and content[3:4] in b"\1\2\4\x08"
    ):
        return "a PCX file"
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in start:
        return "an SVG drawing"
    return "a TGA file" if content.endswith(b"TRUEVISION-XFILE.\0") or _may_be_tga(content) else ""


def _may_be_tga(content: bytes) -> bool:
    """TGA has no first bytes of its own, so all fields of its header must be possible."""
    if len(content) < 18 or content[1] > 1 or content[2] not in (1, 2, 3, 9, 10, 11):
        return False
    indexed = content[2] in (1, 9)
    sized = content[12:14] != b"\0\0" and content[14:16] != b"\0\0"
    return (
        indexed == bool(content[1])
        and (indexed or content[3:8] == bytes(5))
        and sized
        and content[16] in (8, 15, 16, 24, 32)
    )


def opened(content: bytes, kind: str, name: str = "") -> Image.Image:
    """The picture as Pillow opens it, without its pixels. Raises Unusable with Pillow's reason.

    kind: one of READ. name: what the reason calls the file, if not its kind.
    """
    try:
        return Image.open(io.BytesIO(content), formats=[kind])
    except Image.UnidentifiedImageError:  # it does not say why, the plugin does
        try:
            Image.OPEN[kind][0](io.BytesIO(content), "")
        except Exception as error:
            raise Unusable(f"{name or kind}: cannot be read ({one_line(error)})") from None
        raise Unusable(f"{name or kind}: cannot be read") from None


def refuse_a_bomb(width: int, height: int) -> None:
    """Raises Unusable for a picture of more than MAX_PIXELS."""
    if width * height > MAX_PIXELS:
        raise Unusable(f"{width} x {height} pixels are over {MAX_PIXELS:,} (a decompression bomb?)")


def one_line(error: Exception) -> str:
    """An exception as one line without addresses, the same in every process."""
    text = re.sub(r" at 0x[0-9a-f]+|<[^<>]*0x[0-9a-f]+>", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"[:160].rstrip(": ")
