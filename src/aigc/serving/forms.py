"""The forms of an answer: JSON, one PNG, a ZIP of PNG files."""

import base64
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict

from aigc.model import sampling
from aigc.model.card import Card
from aigc.provenance import drawing
from aigc.provenance.claim import Claim

JSON, PNG, ZIP = "application/json", "image/png", "application/zip"
OF_ONE = ("index", "label", "translated_sha256")  # fields of a claim that differ within an order


def wanted(accept: str) -> str | None:
    """The first of these forms that an Accept header names, JSON where it takes anything; None = none."""
    for part in accept.lower().split(","):
        kind = part.partition(";")[0].strip()
        if kind in (JSON, PNG, ZIP):
            return kind
        if kind in ("", "*/*", "application/*"):
            return JSON
        if kind == "image/*":
            return PNG
    return None


def content(form: str, card: Card, files: Sequence[tuple[Claim, bytes]]) -> bytes:
    """The body of an answer with these pictures, 1 or more."""
    if form == PNG:
        return files[0][1]
    if form == ZIP:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:  # stored: a PNG does not get smaller
            for claim, file in files:
                archive.writestr(zipfile.ZipInfo(drawing.file_name(claim)), file)
        return stream.getvalue()
    shared = {name: value for name, value in asdict(files[0][0]).items() if name not in OF_ONE}
    return json.dumps({"texts": shared, "pictures": [_as_json(card, *one) for one in files]}).encode()


def _as_json(card: Card, claim: Claim, file: bytes) -> dict[str, object]:
    label = claim.labels[0]
    return {"index": claim.first, "label": label,
            "class": None if label == sampling.UNLABELLED else card.classes[label],
            "name": drawing.file_name(claim), "png": base64.b64encode(file).decode()}
