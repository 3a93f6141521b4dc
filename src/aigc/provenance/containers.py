"""Files of pictures as sequences of parts: PNG's chunks, JPEG's segments, WebP's chunks; a GIF's XMP packet.

What is read here: which parts hold a C2PA manifest (C2PA specification 2.2, A.3: PNG caBX, JPEG APP11, WebP
C2PA), and the file without them. Not for: what a manifest says (signature).
"""

from collections.abc import Iterator

from aigc.provenance import chunks

MANIFEST_CHUNK = b"caBX"
JPEG_START, JUMBF_SEGMENT, SCAN = b"\xff\xd8", 0xEB, 0xDA
STARTS = {chunks.SIGNATURE: "image/png", JPEG_START: "image/jpeg"}
GIF_XMP = b"\x21\xff\x0bXMP DataXMP"  # XMP Specification Part 3, 1.1.2: the packet follows, then
GIF_XMP_END = bytes([1, *range(255, -1, -1), 0])  # what leads a reader of blocks to the end of the packet
STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length (ITU-T T.81, table B.1)


def without_manifest(content: bytes) -> bytes:
    """The file as it was before a C2PA manifest was put into it; itself where it has none."""
    if not any(is_manifest for _, _, is_manifest in _parts(content)):
        return content
    bare = b"".join(content[start:end] for start, end, is_manifest in _parts(content) if not is_manifest)
    if content.startswith(b"RIFF"):
        bare = bare[:4] + (len(bare) - 8).to_bytes(4, "little") + bare[8:]
    return bare


def has_manifest(content: bytes) -> bool:
    """Whether a part of the file is of the kind that holds C2PA manifests."""
    return any(is_manifest for _, _, is_manifest in _parts(content))


def mime(content: bytes) -> str:
    """The type of a file that begins like this, "" where it is none of ours."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in STARTS.items() if content.startswith(start)), "")


def with_gif_packet(content: bytes, packet: str) -> bytes:
    """A GIF file with an XMP packet before its last byte, which Pillow does not write."""
    return content[:-1] + GIF_XMP + packet.encode() + GIF_XMP_END + content[-1:]


def gif_packet(content: bytes) -> str:
    """The XMP packet of a GIF file, "" where it has none, or is none."""
    _, _, after = content.partition(GIF_XMP) if content.startswith(b"GIF8") else (b"", b"", b"")
    return after.partition(GIF_XMP_END)[0].decode("utf-8", "replace")


def _parts(content: bytes) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is a manifest) of each part, in order; together they are the whole file."""
    readers = {"image/png": _png, "image/jpeg": _jpeg, "image/webp": _webp}
    reader, position = readers.get(mime(content)), 0
    for start, end, is_manifest in reader(content) if reader else ():
        yield from [(position, start, False)] if start > position else []
        yield start, end, is_manifest
        position = end
    if position < len(content):
        yield position, len(content), False


def _png(content: bytes) -> Iterator[tuple[int, int, bool]]:
    position = len(chunks.SIGNATURE)
    while (end := position + 12 + int.from_bytes(content[position:position + 4], "big")) <= len(content):
        yield position, end, content[position + 4:position + 8] == MANIFEST_CHUNK
        position = end


def _jpeg(content: bytes) -> Iterator[tuple[int, int, bool]]:
    position = len(JPEG_START)
    while position + 4 <= len(content) and content[position] == 0xFF and content[position + 1] != SCAN:
        kind = content[position + 1]
        size = 0 if kind in STANDALONE else int.from_bytes(content[position + 2:position + 4], "big")
        end = position + 2 + size
        yield position, end, kind == JUMBF_SEGMENT and content[position + 4:position + 6] == b"JP"
        position = end


def _webp(content: bytes) -> Iterator[tuple[int, int, bool]]:
    position = 12
    while position + 8 <= len(content):
        size = int.from_bytes(content[position + 4:position + 8], "little")
        end = min(position + 8 + size + size % 2, len(content))
        yield position, end, content[position:position + 4] == b"C2PA"
        position = end
