"""Pictures as HTML, without a file: each is a data URI, and the browser enlarges its pixels to squares."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from aigc.playground.model import Picture, Trained
from aigc.playground.neighbours import Neighbour, Verdict
from aigc.reporting import grid


def pictures(made: Sequence[Picture], classes: Sequence[str]) -> str:
    """A grid. Each picture is a link to its own PNG file, which names its model."""
    return f'<div class="tiles">{"".join(_linked(picture, classes) for picture in made)}</div>'


def _linked(picture: Picture, classes: Sequence[str]) -> str:
    claim = picture.claim
    label = claim.labels[0]
    name = f", {classes[label]}" if 0 <= label < len(classes) else ""
    says = escape(f"{claim.method}, seed {claim.seed}, picture {claim.first}{name}", quote=True)
    uri = _uri(picture.png)
    return (f'<a href="{uri}" download="{escape(picture.file_name, quote=True)}" title="{says}: save as PNG">'
            f'<img class="pixels" alt="{says}" src="{uri}"></a>')


def neighbours(found: Sequence[Neighbour], made: Sequence[Picture], shown: int = 8) -> str:
    """The nearest pairs: the picture beside its nearest training picture."""
    pairs = "".join(
        f'<figure class="pair{" copy" if pair.is_copy else ""}">'
        f"{image(np.asarray(made[pair.number].image), f'picture {pair.number}')}"
        f"{image(pair.image, f'training picture {pair.row}')}"
        f"<figcaption>{pair.limits:.1f} × the limit{' – a near-copy' if pair.is_copy else ''}</figcaption>"
        "</figure>" for pair in found[:shown])
    return ('<h3>Nearest training pictures</h3><p class="soft">'
            f"Left: one of {len(found)} pictures that were compared. Right: its nearest training picture, in "
            "pixels, mirrored or shifted by one too. Below 1 × the limit the audit counts a near-copy.</p>"
            f'<div class="pairs">{pairs}</div>')


def verdict(said: Verdict) -> str:
    kind = {True: "pass", False: "fail", None: "unknown"}[said.passes]
    return f'<p class="verdict {kind}" role="status">{escape(said.text)}</p>'


def about(model: Trained, summary: str) -> str:
    """What a model is."""
    card = model.card
    source = f" Trained on {escape(card.origin['source'])}." if card.origin.get("source") else ""
    side = card.shape["size"]
    return (f'<p>{escape(summary)}</p><p class="soft">{side} × {side} pixels.{source} '
            f"Weights <code>{card.weights_sha256[:12]}</code></p>")


def strip(images: np.ndarray) -> str:
    """The way between two pictures, in steps: uint8 (n, C, H, W)."""
    last = max(1, len(images) - 1)
    return (f'<div class="strip" style="--columns: {len(images)}">'
            + "".join(image(part, f"{index / last:.0%} of the way") for index, part in enumerate(images))
            + "</div>")


def large(pixels: np.ndarray, says: str) -> str:
    """One picture of a walk: uint8 (C, H, W)."""
    return f'<figure class="large">{image(pixels, says)}<figcaption>{escape(says)}</figcaption></figure>'


def beside(seen: np.ndarray, result: str, says: str) -> str:
    """A person's own picture, as the model sees it, and what became of it, as HTML."""
    return ('<div class="beside"><figure>' + image(seen, "your picture")
            + f"<figcaption>Your picture as the model sees it</figcaption></figure><figure>{result}"
            f"<figcaption>{escape(says)}</figcaption></figure></div>")


def linked(picture: Picture, classes: Sequence[str]) -> str:
    """One picture, as a link to its own PNG file."""
    return _linked(picture, classes)


def note(text: str) -> str:
    """A sentence in place of pictures."""
    return f'<p class="note" role="status">{escape(text)}</p>'


def image(pixels: np.ndarray, says: str) -> str:
    """uint8 (C, H, W), or (H, W) or (H, W, C) as of a PIL picture."""
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.shape[0] in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    return f'<img class="pixels" alt="{escape(says, quote=True)}" src="{_uri(grid.png(pixels))}">'


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
