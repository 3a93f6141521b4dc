"""Pictures as one .npy array, with a .json beside it that holds what the texts of a picture's file hold."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from aigc.core import files
from aigc.core.errors import StorageError
from aigc.core.version import VERSION
from aigc.provenance import texts, xmp
from aigc.provenance.claim import Claim


def write_array(folder: Path, base: Claim, labels: list[int], sources: list[str],
                samples: Iterator[np.ndarray]) -> None:
    """Write METHOD-seedS.npy, uint8 (N, C, H, W), and METHOD-seedS.json with its texts.

    labels, sources: of each picture; `sources` is empty of a method that does not translate. The texts come
    first, so that no array is without them. Raises StorageError where other pictures would be lost.
    """
    place = folder / f"{base.method}-seed{base.seed}.npy"
    beside = place.with_suffix(".json")
    facts = {**asdict(base), "index": f"0-{len(labels) - 1}", "label": labels, "translated_sha256": sources}
    if place.exists() or beside.exists():
        found = files.read_json(beside) if beside.exists() else None
        if not isinstance(found, dict) or found.get("picture") != facts:
            raise StorageError(f"{place}: exists and holds other pictures than those to be written; "
                               "move it away, or choose another --out")
    digest, first = hashlib.sha256(), next(samples)
    with files.npy_rows(place, (len(labels), *first.shape), np.uint8) as append:
        for image in itertools.chain([first], samples):
            digest.update(image.tobytes())
            append(image[None])
        files.write_json(beside, _sidecar(place.name, base, facts, digest.hexdigest()))


def _sidecar(array: str, base: Claim, facts: dict[str, object], pixels_sha256: str) -> dict[str, object]:
    """The texts of an array. pixels_sha256: of all pictures in order, as they lie in the array."""
    content = {"array": array, "software": f"aigc {VERSION}", "picture": facts,
               "pixels_sha256": pixels_sha256, "digital_source_type": xmp.SOURCE_TYPE}
    seal = hashlib.sha256(files.canonical_json(content).encode()).hexdigest()
    claim = Claim(**{**asdict(base), "index": str(facts["index"])})
    return {**content, texts.SEAL: seal, "AIGC": xmp.implicit_label(claim, pixels_sha256, seal)}
