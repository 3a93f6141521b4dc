"""JPEG for Pillow: without the metadata segments whose damage makes Pillow refuse the picture."""

from PIL import Image

from aigc.data.sources import kinds

SCAN, JFIF, EXIF, ADOBE, LAST_APP, COMMENT = 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE  # markers
SHORTEST = {JFIF: (b"JFIF\0", 14), ADOBE: (b"Adobe", 12)}  # libjpeg takes the colour space from these


def opened(content: bytes) -> Image.Image:
    """The picture, without its pixels. EXIF and XMP are kept, other metadata is dropped. Raises Unusable."""
    kept, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] not in (SCAN, 0xFF):
        marker, end = content[at + 1], at + 2 + int.from_bytes(content[at + 2 : at + 4])
        start, shortest = SHORTEST.get(marker, (b"", 0))
        body = content[at + 4 : end]
        of_use = body.startswith(start) and len(body) >= shortest if marker in SHORTEST else marker == EXIF
        if of_use or not (JFIF <= marker <= LAST_APP or marker == COMMENT):
            kept.append(content[at:end])
        at = end
    dropped = at - sum(map(len, kept)) if at <= len(content) else 0
    return kinds.opened(b"".join([*kept, memoryview(content)[at:]]) if dropped else content, "JPEG")
