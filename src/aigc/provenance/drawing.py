"""Pictures of a trained model, a PNG file each, that name their model; and a contact sheet of the first."""

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from aigc import methods
from aigc.core import config, files, runtime
from aigc.core.errors import ConfigError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.model import sampling
from aigc.model.card import Card
from aigc.model.contract import Method
from aigc.provenance import lookup, source_pictures, texts
from aigc.provenance.claim import SHEET_MOST, Claim
from aigc.reporting import grid

USUAL_COUNT = 64  # pictures, where no number is asked for
SHEET_COLUMNS = 16
SHEET_SCALE = 2
MOST = 10**7  # pictures, a file each
MOST_SEED = 2**32 - 1


def write_pictures(method: str | None, name: str | None, count: int | None, seed: int, folder: Path,
                   wanted: str | None, switches: RuntimeConfig, settings: Mapping[str, str] | None = None,
                   sources: Sequence[Path] = ()) -> int:
    """Write `count` pictures below `folder`. Raises before anything is written where a file would be lost.

    settings: of sampling, to replace the model's own: see `methods.sampler`. sources: the files of pictures,
    for a method that translates; it makes one picture of each.
    """
    if count is not None and not 1 <= count <= MOST:
        raise ConfigError(f"--n must be between 1 and {MOST}, found {count}")
    if not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"--seed must be between 0 and {MOST_SEED}, found {seed}")
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    with lookup.trained(method, name) as place:
        generator, card = methods.load(place, device, settings)
    _refuse_wrong_sources(generator, card, count, wanted, sources)
    count = len(sources) or count or USUAL_COUNT
    labels = labels_of(generator, card, count, wanted)
    changed = methods.sampler(card, settings or {})
    base = replace(claim_of(card, seed, switches),
                   sampler=" ".join(f"{key}={value}" for key, value in sorted(changed.items())),
                   translated_fit=source_pictures.fit_of() if sources else "")
    hashes, images = _read(sources, base.translated_fit, generator)
    shown = min(count, SHEET_MOST)
    sheet = replace(base, index=f"0-{shown - 1}", label=" ".join(map(str, labels[:shown].tolist())),
                    translated_sha256=" ".join(hashes[:shown]))
    for claim in itertools.chain(_claims(base, labels, hashes), [sheet] if shown > 1 else []):
        _refuse_to_lose(folder / file_name(claim), claim)

    first: list[np.ndarray] = []
    pictures = zip(_claims(base, labels, hashes), _samples(generator, seed, count, labels, images),
                   strict=True)
    for claim, image in tqdm(pictures, f"generate {card.method}", count, disable=None, file=sys.stderr,
                             unit="picture"):
        files.write_bytes(folder / file_name(claim), texts.encode(as_picture(image), claim))
        if len(first) < shown:
            first.append(image)
    if shown > 1:
        files.write_bytes(folder / file_name(sheet), texts.encode(as_sheet(np.stack(first)), sheet))
    print(f"{folder}: {count} picture{'s' * (count > 1)} of {card.method}, seed {seed}; "
          "`aigc whence` says whether one is still as it was made")
    return 0


def labels_of(generator: Method, card: Card, count: int, wanted: str | None) -> torch.Tensor:
    """The label of each picture, int64 (count,): every class in turn, or the wanted one, by name or index."""
    labels = sampling.default_labels(generator, count)
    if wanted is None:
        return labels
    if not generator.conditional:
        raise ConfigError(f"{card.method} cannot be asked for a class: it was not trained with labels; "
                          "leave --class out")
    if wanted in card.classes:
        return torch.full_like(labels, card.classes.index(wanted))
    if wanted.isdecimal() and int(wanted) < len(card.classes):
        return torch.full_like(labels, int(wanted))
    raise ConfigError(f"--class: no class `{wanted}`{config.did_you_mean(wanted, card.classes)}")


def claim_of(card: Card, seed: int, switches: RuntimeConfig) -> Claim:
    """The claim of all pictures of one call, with neither index nor label."""
    return Claim(method=card.method, weights_sha256=card.weights_sha256, model_sha256=card.sha256,
                 data_sha256=card.data_sha256, **card.origin, seed=str(seed), index="", label="",
                 arithmetic=switches.arithmetic, threads=str(switches.threads))


def _refuse_wrong_sources(generator: Method, card: Card, count: int | None, wanted: str | None,
                          sources: Sequence[Path]) -> None:
    """Raises ConfigError unless a method that translates gets sources and a class, and no other gets any."""
    if not generator.translates:
        if sources:
            raise ConfigError(f"{card.method} does not translate pictures; leave --source out")
        return
    if not sources:
        raise ConfigError(f"{card.method} translates pictures: name their files with --source")
    if wanted is None:
        raise ConfigError(f"{card.method} translates to one of its classes: name it with --class "
                          f"({' or '.join(card.classes)})")
    if count is not None:
        raise ConfigError(f"{card.method} makes one picture of each --source; leave --n out")


def _read(sources: Sequence[Path], fit: str, generator: Method) -> tuple[list[str], np.ndarray | None]:
    """The sha256 of each file, and the pictures at the model's size; ([], None) without sources."""
    if not sources:
        return [], None
    hashes, images = [], []
    for path in sources:
        sha256, content = source_pictures.read(path)
        hashes.append(sha256)
        images.append(source_pictures.fitted(content, fit, generator.shape, str(path)))
    return hashes, np.stack(images)


def _claims(base: Claim, labels: torch.Tensor, sources: list[str]) -> Iterator[Claim]:
    """`base` with the index, the label and the source (where there are any) of each picture."""
    return (replace(base, index=str(index), label=str(int(label)),
                    translated_sha256=sources[index] if sources else "")
            for index, label in enumerate(labels))


def file_name(claim: Claim) -> str:
    """METHOD-seedS-INDEX.png or METHOD-seedS-sheet.png, with the class before the dot where there is one."""
    classes = set(claim.labels)
    suffix = f"-class{claim.labels[0]}" if len(classes) == 1 and sampling.UNLABELLED not in classes else ""
    index = "sheet" if claim.is_sheet else f"{claim.first:06d}"
    return f"{claim.method}-seed{claim.seed}-{index}{suffix}.png"


def _refuse_to_lose(path: Path, claim: Claim) -> None:
    """Raises StorageError where `path` holds anything but the picture of `claim`."""
    if not path.exists():
        return
    found = texts.examine(path) if path.is_file() else None
    if found is None or found.claim != claim or not found.is_sound:
        raise StorageError(f"{path}: exists and is another picture than the one to be written; "
                           "move it away, or choose another --out")


def _samples(generator: Method, seed: int, count: int, labels: torch.Tensor,
             sources: np.ndarray | None) -> Iterator[np.ndarray]:
    """uint8 (C, H, W), one by one."""
    for block in sampling.blocks(generator, seed, count, labels, sources=sources):
        yield from block.numpy()


def as_picture(image: np.ndarray) -> Image.Image:
    """uint8 (C, H, W) -> grey or RGB."""
    return grid.as_image(image.transpose(1, 2, 0))


def as_sheet(images: np.ndarray) -> Image.Image:
    """uint8 (N, C, H, W) -> rows of up to 16 pictures, twice as large, the last row filled with white."""
    columns = min(SHEET_COLUMNS, math.ceil(math.sqrt(len(images))))
    blank = np.full((-len(images) % columns, *images.shape[1:]), grid.GAP_SHADE, np.uint8)
    return grid.as_image(grid.enlarged(grid.grid(np.concatenate([images, blank]), columns), SHEET_SCALE))
