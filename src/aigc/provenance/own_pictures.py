"""aigc reconstruct and aigc translate: people's own pictures, and what a model makes of them."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from aigc import methods
from aigc.core import files, runtime
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.model import between, sampling
from aigc.model.card import Card
from aigc.model.contract import Method
from aigc.networks.blocks import as_model_space
from aigc.provenance import drawing, layout, lookup, source_pictures
from aigc.provenance.capabilities import insist
from aigc.provenance.claim import PAIRS, RECONSTRUCTION, SHEET_MOST, Claim


def reconstruct(model: str, pictures: Sequence[Path], folder: Path, switches: RuntimeConfig) -> int:
    """Write the reconstruction of each picture, and a sheet of pairs. Print the errors.

    model: see `lookup.meant`. Raises before anything is written where a picture cannot be read or a file
    would be lost.
    """
    method, card = _loaded(model, switches)
    insist(card.method, "reconstructs")
    base = replace(drawing.claim_of(card, 0, switches), shows=RECONSTRUCTION)
    base, hashes, originals = _read(base, pictures, method)
    claims = list(drawing.claims_of(base, torch.full((len(pictures),), sampling.UNLABELLED), hashes))
    refuse_to_lose(folder, [*claims, _sheet(claims, RECONSTRUCTION)])
    made = between.reconstructions(method, originals).numpy()
    _write(folder, claims, RECONSTRUCTION, made, originals, card)
    differences = as_model_space(torch.from_numpy(made)) - as_model_space(torch.from_numpy(originals))
    errors = differences.square().mean((1, 2, 3)).tolist()
    print("error: the mean of the squared difference of a pixel, on the scale from -1 (black) to 1 (white)")
    for path, claim, error in zip(pictures, claims, errors, strict=True):
        print(f"  {error:.4f}  {path} -> {folder / drawing.file_name(claim)}")
    return 0


def translate(model: str, pictures: Sequence[Path], wanted: str | None, folder: Path, switches: RuntimeConfig,
              processed: str = "") -> int:
    """Write the translation of each picture, as `aigc generate --source` does, and a sheet of pairs.

    model, and what is raised: as of `reconstruct`. wanted: the class to translate to. processed: see
    `Claim.processed`.
    """
    method, card = _loaded(model, switches)
    insist(card.method, "translates")
    if wanted is None:
        raise ConfigError(f"{card.method} translates to one of its classes: name it with --class "
                          f"({' or '.join(card.classes)})")
    labels = drawing.labels_of(method, card, len(pictures), wanted)
    base = replace(drawing.claim_of(card, 0, switches), processed=processed)
    base, hashes, originals = _read(base, pictures, method)
    claims = list(drawing.claims_of(base, labels, hashes))
    refuse_to_lose(folder, [*claims, _sheet(claims, PAIRS)])
    made = torch.cat(list(sampling.blocks(method, 0, len(labels), labels, sources=originals))).numpy()
    _write(folder, claims, PAIRS, made, originals, card)
    sheet = drawing.file_name(_sheet(claims, PAIRS))
    print(f"{folder}: {len(claims)} picture{'s' * (len(claims) > 1)} translated to "
          f"{card.classes[int(labels[0])]} by {card.method}; {sheet} shows them beside their sources")
    return 0


def _loaded(model: str, switches: RuntimeConfig) -> tuple[Method, Card]:
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    with lookup.meant(model) as place:
        return methods.load(place, device)


def _read(base: Claim, pictures: Sequence[Path], method: Method) -> tuple[Claim, list[str], np.ndarray]:
    """The claim with how the pictures are fitted; the sha256 of each file; the pictures, uint8."""
    fit = source_pictures.fit_of()
    hashes, originals = source_pictures.read_all(pictures, fit, method.shape)
    return replace(base, translated_fit=fit), hashes, originals


def _sheet(claims: Sequence[Claim], shows: str) -> Claim:
    """The claim of the sheet of the first pairs, from those of its pictures."""
    shown = claims[:SHEET_MOST]
    return replace(shown[0], index=f"0-{len(shown) - 1}", label=" ".join(claim.label for claim in shown),
                   translated_sha256=" ".join(claim.translated_sha256 for claim in shown), shows=shows)


def refuse_to_lose(folder: Path, claims: Iterable[Claim]) -> None:
    """Raises StorageError where a file of `folder` is another picture than the one to be written there."""
    for claim in claims:
        drawing.refuse_to_lose(folder / drawing.file_name(claim), claim)


def _write(folder: Path, claims: Sequence[Claim], shows: str, made: np.ndarray, originals: np.ndarray,
           card: Card) -> None:
    for claim, image in zip(tqdm(claims, card.method, disable=None, file=sys.stderr, unit="picture"), made,
                            strict=True):
        files.write_bytes(folder / drawing.file_name(claim), layout.content(claim, image[None]))
    sheet = _sheet(claims, shows)
    shown = slice(len(sheet.labels))
    files.write_bytes(folder / drawing.file_name(sheet), layout.content(sheet, made[shown], originals[shown]))
