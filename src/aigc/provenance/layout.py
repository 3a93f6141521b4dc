"""How a claim's pictures are shown: alone, on a sheet, in pairs, in a row, or one after the other."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from aigc.core import files
from aigc.provenance import containers, drawing, texts
from aigc.provenance.claim import GIF, INTERPOLATION, Claim
from aigc.reporting import grid

PAIR_COLUMNS = 8
PAIR_GAP, GAP = 1, 6  # pixels of the model, within a pair and between pairs
ANIMATION_SIDE = 128  # pixels, at least: each pixel of the model is a square
FRAME_MS, END_MS = 80, 480  # how long a frame is shown; the first and the last one


def content(claim: Claim, images: np.ndarray, originals: np.ndarray | None = None) -> bytes:
    """The file of `claim`, whole, from what the model made: see `picture`."""
    if claim.is_animated:
        return animation([_squares(image) for image in _in_order(claim, _done(claim, images))], claim)
    return texts.encode(picture(claim, images, originals), claim)


def picture(claim: Claim, images: np.ndarray, originals: np.ndarray | None = None) -> Image.Image:
    """What the PNG file of `claim` shows. images: uint8 (N, C, H, W), one for each label, as the model made
    them. originals: the same of the sources, of a claim that shows them.
    """
    images = _done(claim, images)
    if claim.shows_sources and originals is not None:
        return _pairs(originals, images)
    if claim.what == INTERPOLATION:
        images = _in_order(claim, images)
        return drawing.as_sheet(images, claim.processed, min(drawing.SHEET_COLUMNS, len(images)))
    return drawing.as_sheet(images, claim.processed) if claim.is_sheet else drawing.as_picture(images[0])


def _done(claim: Claim, images: np.ndarray) -> np.ndarray:
    return np.stack([drawing.done_to(image, claim.processed) for image in images])


def _pairs(originals: np.ndarray, images: np.ndarray) -> Image.Image:
    """Each original with what was made of it at its right, in rows of up to 8 pairs."""
    factor = images.shape[-1] // originals.shape[-1]
    originals = originals.repeat(factor, 2).repeat(factor, 3)
    gap = np.full((*images.shape[:3], PAIR_GAP), grid.GAP_SHADE, np.uint8)
    pairs = np.concatenate([originals, gap, images], axis=3)
    columns = min(PAIR_COLUMNS, len(pairs))
    blank = np.full((-len(pairs) % columns, *pairs.shape[1:]), grid.GAP_SHADE, np.uint8)
    sheet = grid.grid(np.concatenate([pairs, blank]), columns, GAP)
    return grid.as_image(grid.enlarged(sheet, drawing.SHEET_SCALE if factor == 1 else 1))


def _in_order(claim: Claim, images: np.ndarray) -> np.ndarray:
    """The pictures of an interpolation; with `loop` there and back, without the first one again."""
    return np.concatenate([images, images[-2:0:-1]]) if "loop" in claim.way else images


def _squares(image: np.ndarray) -> Image.Image:
    scale = max(1, -(-ANIMATION_SIDE // image.shape[-1]))
    return grid.as_image(grid.enlarged(image.transpose(1, 2, 0), scale))


def animation(frames: Sequence[Image.Image], claim: Claim) -> bytes:
    """The GIF or animated PNG of a claim, which repeats without end; equal frames and claim, equal bytes.

    A GIF file has its texts as JSON in its comment, and the XMP packet where programs look for it. It has at
    most 256 colours a frame: grey is exact. The hash of the pixels is that of all frames, one after
    the other, before the choice of colours.
    """
    written = texts.texts_of(claim, texts.hash_of(b"".join(frame.tobytes() for frame in frames)))
    ends = (0, int(claim.index.partition("-")[2]))
    durations = [END_MS if index in ends else FRAME_MS for index in range(len(frames))]
    options: dict[str, Any] = {"format": "PNG", "pnginfo": texts.as_chunks(written)}
    if claim.way["as"] == GIF:
        options = {"format": "GIF", "comment": files.canonical_json(written).encode()}
    stream = io.BytesIO()
    frames[0].save(stream, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options)
    made = stream.getvalue()
    return containers.with_gif_packet(made, written[texts.XMP]) if claim.way["as"] == GIF else made
