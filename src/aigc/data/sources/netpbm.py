"""PBM, PGM and PPM, by Pillow, except binary samples whose largest value is not 255.

Pillow decodes those in a Python loop, two seconds for a million pixels. Here numpy scales them.
"""

import re

import numpy as np
from PIL import Image

from aigc.data.sources import kinds
from aigc.data.sources.contract import Unusable

GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
BINARY = re.compile(rb"P([56])" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,9})\s")
STRIP = 1 << 22  # samples that are scaled at once


def opened(content: bytes) -> Image.Image:
    """The picture, of 8 bits a sample: scaled by the largest value in its header. Raises Unusable."""
    head = BINARY.match(content)
    if not head or int(head[4]) == 255:
        return kinds.opened(content, "PPM")
    width, height, most = int(head[2]), int(head[3]), int(head[4])
    kinds.refuse_a_bomb(width, height)
    if not width or not height or not 0 < most < 65536:
        raise Unusable(f"PPM of {width} x {height} pixels with {most} as the largest value")
    sample, count = (np.dtype(np.uint8 if most < 256 else ">u2"),
                     width * height * (3 if head[1] == b"6" else 1))
    if len(content) < head.end() + count * sample.itemsize:
        raise Unusable("cannot be decoded (PPM that is cut off)")
    values, scaled = np.frombuffer(content, sample, count, head.end()), np.empty(count, np.uint8)
    for start in range(0, count, STRIP):
        part = np.minimum(values[start : start + STRIP], most).astype(np.uint32)
        scaled[start : start + STRIP] = (part * 255 + most // 2) // most
    return Image.fromarray(scaled.reshape((height, width, 3) if head[1] == b"6" else (height, width)))
