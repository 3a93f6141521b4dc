"""The chunks of a PNG file (PNG specification, section 5), read without a decoder of pictures."""

import struct
import zlib

OURS = {b"IHDR", b"tEXt", b"iTXt", b"IDAT", b"IEND"}  # the types that we write
REST = b""  # the type of bytes that are no chunk
SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3}  # grey, RGB


def read(png: bytes) -> dict[bytes, list[bytes]]:
    """{type: data of each chunk, in order}; bytes after the last whole chunk have the type REST."""
    found: dict[bytes, list[bytes]] = {}
    position = len(SIGNATURE)
    while png.startswith(SIGNATURE):
        end = position + 12 + int.from_bytes(png[position:position + 4], "big")
        if end > len(png):
            break
        found.setdefault(png[position + 4:position + 8], []).append(png[position + 8:end - 4])
        position = end
    return found | ({REST: [png[position:]]} if position < len(png) else {})


def hold_only_the_rows(chunks: dict[bytes, list[bytes]]) -> bool:
    """Whether the compressed data is the rows that the header announces, and nothing else."""
    width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    size = height * (1 + width * CHANNELS.get(colour, 0))
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(b"".join(chunks[b"IDAT"]), size + 1)
    except zlib.error:  # a decoder of pictures stops before the checksum
        return False
    return (depth, interlaced, len(rows)) == (8, 0, size) and stream.eof and not stream.unused_data
