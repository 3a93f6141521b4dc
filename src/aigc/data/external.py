"""Pictures at their own size, as `aigc evaluate` reads them: a folder of files or an array, by the rules of
the sources.

The files of a folder are all decoded once to check them. Pictures that fit in KEPT bytes stay in memory, the
others are decoded a second time when they are asked for.
"""

import hashlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile
from tqdm import tqdm

from aigc.core import files
from aigc.core.errors import DataError
from aigc.data import geometry
from aigc.data.config import PreprocessConfig
from aigc.data.sources import listing, npy
from aigc.data.sources.decoding import Unusable, decode, read_whole, shown
from aigc.data.sources.kinds import READ

NAMED = 3  # bad files that one line names
KEPT = 1 << 28  # bytes of decoded pictures a folder that stay in memory


@dataclass(frozen=True)
class PictureFiles:
    """The picture files of a folder, decoded when asked for. paths: relative to root. shape: (N, C, H, W).

    kept: pictures that are decoded already, by path.
    """

    root: Path
    paths: list[str]
    shape: tuple[int, int, int, int]
    settings: PreprocessConfig
    kept: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: "slice | np.ndarray", /) -> np.ndarray:
        indices = np.arange(len(self.paths))[rows]
        chunk = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        with _strict_decoding():
            for row, index in enumerate(indices):
                kept = self.kept.get(self.paths[index])
                # A grey picture of a folder that holds colour fills all three channels.
                chunk[row] = self._decoded(self.paths[index]) if kept is None else kept
        return chunk

    def _decoded(self, path: str) -> np.ndarray:
        place = os.path.join(self.root, path)  # noqa: PTH118
        try:
            image = decode(read_whole(place), self.settings).image
        except Unusable as reason:
            raise DataError(f"{shown(place)}: {reason}; it was whole before: run again") from None
        if image.shape[1:] != self.shape[2:]:
            raise DataError(f"{shown(place)}: changed its size while it was read; run again")
        return image


@dataclass(frozen=True)
class Opened:
    """Pictures of one side. stack: uint8 (N, C, H, W), sliced. sha256: of the file, or of names and bytes of
    a folder's.

    notes: lines for the user, what is left out and how some pictures are read. protocol: what repeats that
    reading.
    """

    stack: "PictureFiles | np.ndarray"
    sha256: str
    notes: list[str] = field(default_factory=list)
    protocol: dict[str, list[int]] = field(default_factory=dict)


def open_pictures(path: Path, background: list[int], is_sheet: Callable[[Path], bool]) -> Opened:
    """A folder of pictures (at any depth), a folder with images.npy, a .npy or a .npz of uint8.

    background: red, green, blue under transparent pixels. is_sheet: whether a file is a contact sheet, to
    leave out. Raises DataError, in one line, for what is missing, for all files that cannot be decoded, and
    for several sizes.
    """
    if path.is_dir() and not (path / "images.npy").is_file():
        return _open_files(path, background, is_sheet)
    place = path / "images.npy" if path.is_dir() else path
    array, others = npy.pictures(place)
    beside = len(list(path.iterdir())) - 1 if path.is_dir() else 0
    notes = [f"{place}: its other arrays are left out: {', '.join(others)}"] if others else []
    notes += [f"{place} is judged; the {beside} other files of its folder are left out"] if beside else []
    return Opened(array, files.sha256(place), notes)


class _Survey:
    """What a first pass over the files of a folder finds."""

    def __init__(self, root: Path, settings: PreprocessConfig) -> None:
        self.root, self.settings = root, settings
        self.sizes: dict[tuple[int, int], list[str]] = {}  # (height, width): paths
        self.channels: Counter[int] = Counter()
        self.bad: list[str] = []
        self.transparent = self.several_frames = self.kept_bytes = 0
        self.kept: dict[str, np.ndarray] = {}
        self.digest = hashlib.sha256()

    def read(self, path: str) -> None:
        try:
            content = read_whole(os.path.join(self.root, path))  # noqa: PTH118
            image = decode(content, self.settings).image
        except Unusable as reason:
            self.bad.append(f"{shown(path)}: {reason}")
            return
        self.sizes.setdefault((image.shape[1], image.shape[2]), []).append(path)
        self.channels[len(image)] += 1
        if self.kept_bytes + image.nbytes <= KEPT:
            self.kept[path] = image
            self.kept_bytes += image.nbytes
        self.digest.update(os.fsencode(f"{hashlib.sha256(content).hexdigest()}  {path}\n"))
        # A frame after the first may be damaged, and a decoder then raises anything.
        with suppress(Exception), Image.open(io.BytesIO(content), formats=READ) as header:
            self.transparent += header.has_transparency_data
            self.several_frames += getattr(header, "n_frames", 1) > 1

    def notes(self, where: Path) -> Iterator[str]:
        if self.several_frames:
            yield f"{where}: {self.several_frames} files hold several pictures; the first of each is judged"
        if self.transparent:
            yield (f"{where}: {self.transparent} pictures have transparency; they are judged on the "
                   f"background {self.settings.background}")
        if len(self.channels) > 1:
            yield (f"{where}: {self.channels[1]} of {self.channels.total()} pictures are grey; "
                   "all are judged as colour")


def _open_files(path: Path, background: list[int], is_sheet: Callable[[Path], bool]) -> Opened:
    found = listing.at_any_depth(path)
    sheets = {name for name in found.paths if is_sheet(found.root / name)}
    paths = [name for name in found.paths if name not in sheets]
    if sheets:
        found.left_out["contact sheets of aigc generate"] = len(sheets)
    survey = _Survey(found.root, geometry.own_size(background))
    survey.bad += [f"{picture.path}: {picture.reason}" for picture in found.rejected]
    with _strict_decoding():
        for name in tqdm(paths, desc=f"check {path.name}", unit="picture", disable=None, leave=False):
            survey.read(name)
    if survey.bad:
        raise DataError(f"{path}: {len(survey.bad)} of {len(found) - len(sheets)} pictures cannot be judged: "
                        f"{_first(survey.bad)}; mend or remove them")
    if not paths:
        raise DataError(f"{path}: no picture found but contact sheets; put the pictures there")
    common = max(survey.sizes, key=lambda size: len(survey.sizes[size]))
    if others := [f"{shown(name)}: {width} x {height}" for (height, width), names in survey.sizes.items()
                  for name in names if (height, width) != common]:
        raise DataError(f"{path}: {len(others)} of {len(paths)} pictures are not {common[1]} x {common[0]} "
                        "(width x height) "
                        f"as the others: {_first(others)}; all must be of one size: resize them")
    notes = []
    if found.left_out:
        notes = [f"{path}: {len(paths)} pictures are judged; left out: {listing.summary(found.left_out)}"]
    stack = PictureFiles(found.root, paths, (len(paths), max(survey.channels), *common), survey.settings,
                         survey.kept)
    return Opened(stack, survey.digest.hexdigest(), [*notes, *survey.notes(path)],
                  {"background": background} if survey.transparent else {})


def _first(problems: list[str]) -> str:
    more = f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    return "; ".join(problems[:NAMED]) + more


@contextmanager
def _strict_decoding() -> Iterator[None]:
    """Pillow as the sources use it: half a picture is an error, and so is one of too many pixels."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
