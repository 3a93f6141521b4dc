"""aigc interpolate: the way between two samples, or between two pictures, in one file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aigc import methods
from aigc.core import files, runtime
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.model import between
from aigc.provenance import drawing, layout, lookup, source_pictures
from aigc.provenance.capabilities import insist
from aigc.provenance.claim import APNG, GIF, INTERPOLATION, ROW, SHEET_MOST

KINDS = {".png": ROW, ".gif": GIF, ".apng": APNG}
FEWEST = 2


def write(model: str, seeds: tuple[int, int], pictures: Sequence[Path], count: int, wanted: str | None,
          out: Path, loop: bool, switches: RuntimeConfig, processed: str = "") -> int:
    """Write `count` pictures from one to the other to `out`. Raises before anything is written.

    model: see `lookup.meant`. pictures: two files, or none: between the first samples of two seeds. wanted:
    the class of all of them. loop: there and back. processed: see `Claim.processed`.
    """
    if out.suffix not in KINDS:
        raise ConfigError(f"--out {out} must end in .png (a row), .gif or .apng")
    if not FEWEST <= count <= SHEET_MOST:
        raise ConfigError(f"--steps must be between {FEWEST}, which is the two ends alone, and {SHEET_MOST}, "
                          f"found {count}")
    for option, seed in zip(("--from", "--to"), seeds, strict=True):
        drawing.check_seed(option, seed)
    device = runtime.start_torch(switches.arithmetic, switches.threads)
    with lookup.meant(model) as place:
        method, card = methods.load(place, device)
    insist(card.method, "interpolates")
    if pictures:
        insist(card.method, "encodes")
    label = int(drawing.labels_of(method, card, 1, wanted)[0])
    to = "" if pictures else f" to={seeds[1]}"
    claim = replace(drawing.claim_of(card, 0 if pictures else seeds[0], switches), index=f"0-{count - 1}",
                    label=" ".join([str(label)] * count), processed=processed,
                    shows=f"{INTERPOLATION}{to} as={KINDS[out.suffix]}{' loop=yes' if loop else ''}")
    if pictures:
        fit = source_pictures.fit_of()
        hashes, images = source_pictures.read_all(pictures, fit, method.shape)
        claim = replace(claim, translated_sha256=" ".join(hashes), translated_fit=fit)
    drawing.refuse_to_lose(out, claim)
    made = (between.between_pictures(method, images, count, label) if pictures
            else between.between_samples(method, *seeds, count, label))
    files.write_bytes(out, layout.content(claim, made.numpy()))
    ends = " and ".join(map(str, pictures)) if pictures else f"seeds {seeds[0]} and {seeds[1]}"
    print(f"{out}: {count} pictures of {card.method} between {ends}; "
          "`aigc whence` says whether it is still as it was made")
    return 0
