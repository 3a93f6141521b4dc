"""aigc whence: whether a picture is what it states, found out by making it again.

`read` comes before the arithmetic is chosen, since the pictures state theirs; `run` comes after.
"""

import functools
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, features
from tqdm import tqdm

from aigc.core.errors import ConfigError, GateError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import signing, texts
from aigc.provenance.claim import INTERPOLATION, RECONSTRUCTION, Claim
from aigc.provenance.texts import Finding

if TYPE_CHECKING:
    from aigc.provenance.redraw import Models

IDENTICAL, DIFFERS, NO_MODEL = "identical", "differs", "no such model"
STRIPPED, FORGED, NONE = "metadata stripped", "forged", "no picture"
NO_SOURCE = "no such source"

Findings = dict[Path, Finding | StorageError]  # of each file, or why it is no picture


@dataclass(frozen=True)
class Verdict:
    """What is known of one picture. model: where its model was found. claim: None where none is valid.

    signature: what its C2PA manifest shows, which is apart from the verdict, "" for what is no picture.
    """

    image: str
    verdict: str
    detail: str
    model: str | None
    claim: Claim | None
    signature: str = ""
    signature_holds: bool = True


def read(images: list[Path]) -> Findings:
    """What each file shows by itself. Raises StorageError when none is a picture."""
    findings: Findings = {}
    for path in images:
        try:
            findings[path] = _examined(path)
        except StorageError as error:
            findings[path] = error
    errors = [finding for finding in findings.values() if isinstance(finding, StorageError)]
    if len(errors) == len(findings):
        raise errors[0]
    return findings


def _examined(path: Path) -> Finding:
    written = "name a file that `aigc generate` wrote"
    if path.exists() and not path.is_file():
        remedy = f"name the files in it: `aigc whence {path}/*.png`" if path.is_dir() else written
        raise StorageError(f"{path}: not a file that holds a picture; {remedy}")
    try:
        finding = texts.examine(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); {written}") from None
    if finding is None:
        raise StorageError(f"{path}: not a whole picture in {', '.join(texts.FORMATS)}; "
                           "`aigc whence` reads the pictures that `aigc generate` writes")
    return finding


def switches_of(findings: Findings) -> RuntimeConfig:
    """The arithmetic in which to make the pictures again. Raises ConfigError when they need two."""
    sound = [finding for finding in findings.values() if isinstance(finding, Finding) and finding.is_sound]
    claims = [finding.claim for finding in sound if finding.claim]
    kinds = sorted({(claim.arithmetic, int(claim.threads)) for claim in claims})
    if len(kinds) > 1:
        named = " and in ".join(f"{name} arithmetic with {threads} threads" for name, threads in kinds)
        raise ConfigError(f"these pictures were made in {named}, and a process has one: "
                          "ask for each kind on its own")
    arithmetic, threads = kinds[0] if kinds else ("portable", 1)
    return RuntimeConfig.model_validate({"arithmetic": arithmetic, "threads": threads})


def run(findings: Findings, name: str | None, switches: RuntimeConfig, as_json: bool,
        sources: Sequence[Path] = (), trust: Path | None = None) -> int:
    """Print a verdict on each picture. Raises GateError unless all are identical, and no signature is broken
    or was removed.

    sources: the files that were translated, for pictures of a method that translates. trust: the certificates
    of CAs that a signer's must come from.
    """
    from aigc.provenance import source_pictures
    from aigc.provenance.redraw import Models

    with Models(name, switches, dict(map(source_pictures.read, sources))) as models:
        verdicts = [with_signature(judge(path, finding, models), trust) for path, finding in
                    tqdm(findings.items(), "whence", disable=None, file=sys.stderr, unit="picture")]
    if as_json:
        print(json.dumps([asdict(verdict) for verdict in verdicts], indent=1))
    else:
        print("\n".join(line(verdict) for verdict in verdicts))
    wrong = [verdict for verdict in verdicts if verdict.verdict != IDENTICAL]
    if not wrong and (bad := [verdict for verdict in verdicts if not verdict.signature_holds]):
        raise GateError(f"{len(bad)} of {len(verdicts)} pictures have a signature that does not hold; the "
                        f"first: {bad[0].image}, {bad[0].signature}")
    if wrong:
        raise GateError(f"{len(wrong)} of {len(verdicts)} pictures could not be made again; the first: "
                        f"{wrong[0].image}, {wrong[0].verdict}")
    return 0


def judge(path: Path, finding: Finding | StorageError, models: "Models") -> Verdict:
    """The verdict on one picture: first what the file alone shows, then what making it again shows."""
    verdict = functools.partial(Verdict, str(path))
    if isinstance(finding, StorageError):
        return verdict(NONE, str(finding).removeprefix(f"{path}: "), None, None)
    claim = finding.claim
    if finding.missing:
        number = finding.label.get("ProduceID")
        named = f"; its label names the picture {number} (model.seed.index.pixels)" if number else ""
        return verdict(STRIPPED, f"it holds no text of ours{named}", None, None)
    if not finding.is_sound or claim is None:
        return verdict(FORGED, _changes(finding), None, claim)
    model = models.find(claim)
    if model is None:
        detail = f"no model with weights {claim.weights_sha256[:16]} {models.searched}"
        return verdict(NO_MODEL, detail, None, claim)
    if contradiction := model.contradiction(claim):
        detail = f"text changed: the {contradiction} of its model is another, though its seal is whole"
        return verdict(FORGED, detail, model.place, claim)
    if missing := [sha256 for sha256 in claim.sources if sha256 not in models.sources]:
        kind = claim.what if claim.what in (RECONSTRUCTION, INTERPOLATION) else "translation"
        detail = f"{kind} of a file with sha256 {missing[0]}; name that file with --source"
        return verdict(NO_SOURCE, detail, model.place, claim)
    if claim.is_animated:
        if path.read_bytes() == model.file(claim, models.sources):
            return verdict(IDENTICAL, "", model.place, claim)
        detail = ("made again the file has other bytes: it was changed, or another version of aigc or Pillow "
                  "wrote it, or this machine computes other bytes")
        return verdict(DIFFERS, detail, model.place, claim)
    made = model.make(claim, models.sources)
    if claim.compression:
        return verdict(*_compressed(path, finding, claim, made), model.place, claim)
    if (shape := texts.shape_of(made)) != finding.shape:
        detail = f"pixels changed: they are {finding.shape}, its model makes {shape}"
        return verdict(FORGED, detail, model.place, claim)
    if texts.hash_of(made.tobytes()) != finding.pixels_sha256:
        detail = ("made again it is another picture: its hashes were forged too, or this machine computes "
                  "other bytes")
        return verdict(DIFFERS, detail, model.place, claim)
    return verdict(IDENTICAL, "", model.place, claim)


def _compressed(path: Path, finding: Finding, claim: Claim, made: Image.Image) -> tuple[str, str]:
    """(verdict, detail) of a JPEG or WebP. made: the picture before it was compressed.

    Compression changed the pixels. So the picture is compressed again, and the bytes of the files compared.
    """
    content = texts.packed(made, claim, finding.version)
    if texts.bare_sha256(content) == finding.bare_sha256:
        return IDENTICAL, ""
    kind = claim.compression.partition(" ")[0]
    library = f"{'libjpeg-turbo' if kind == 'jpeg' else 'libwebp'} " \
              f"{features.version('jpg' if kind == 'jpeg' else 'webp')}"
    with Image.open(path) as found, Image.open(io.BytesIO(content)) as again:
        shapes = [texts.shape_of(image) for image in (found, again)]
        if shapes[0] != shapes[1]:
            return FORGED, f"pixels changed: they are {shapes[0]}, its model makes {shapes[1]}"
        most = texts.largest_difference(found, again)
    return DIFFERS, (f"made and compressed again by {library} it is another file, whose pixels differ by up "
                     f"to {most} of 255: it was changed, or another version compressed it")


def with_signature(verdict: Verdict, trust: Path | None) -> Verdict:
    """The verdict with what the file's C2PA manifest shows."""
    if verdict.verdict == NONE:
        return verdict
    signature = signing.read(Path(verdict.image).read_bytes(), trust)
    signer = verdict.claim.signer if verdict.claim else ""
    shown = str(signature)
    holds = signature.state != signing.BROKEN
    if signer and signature.state == signing.UNSIGNED:
        shown, holds = f"{shown}: the signature of {signer}, whom its texts name, was removed", False
    elif signer and holds and signing.number(signature.name) != signing.number(signer):
        shown, holds = f"{shown}; its texts name {signer}", signature.state == signing.UNREAD
    return replace(verdict, signature=shown, signature_holds=holds)


def _changes(finding: Finding) -> str:
    """What was changed in a file that is not sound, and how that is known."""
    changes = {"text": finding.texts_changed,
               "pixels": "the pixels are not those of its hash" if finding.pixels_changed else ""}
    changed = {part: reason for part, reason in changes.items() if reason}
    return f"{' and '.join(changed)} changed: {'; '.join(changed.values())}"


def line(verdict: Verdict) -> str:
    """One verdict as text."""
    claim = verdict.claim
    what = " ".join(filter(None, (claim.method, claim.shows, claim.processed))) if claim else ""
    stated = f"{what} seed {claim.seed} index {claim.index}" if claim else ""
    parts = (f"{verdict.image}: {verdict.verdict}", stated, verdict.model, verdict.detail,
             verdict.signature)
    return "  ".join(filter(None, parts))
