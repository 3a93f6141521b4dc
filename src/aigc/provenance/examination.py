"""aigc whence: whether a picture is what it says it is, by making it again.

`read` comes before the arithmetic is chosen, since the pictures say in which one they were made; `run` after.
"""

import functools
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from aigc.core.errors import ConfigError, GateError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import texts
from aigc.provenance.texts import Claim, Finding

if TYPE_CHECKING:
    from aigc.provenance.redraw import Models

IDENTICAL, DIFFERS, NO_MODEL, STRIPPED, FORGED, NONE = "identical", "differs", "no such model", "metadata stripped", "forged", "no picture"


Findings = dict[Path, Finding | StorageError]  # of each file, or why it is no picture


@dataclass(frozen=True)
class Verdict:
    """What is known of one texts. model: where its model was found. claim: None where it says nothing that can be meant."""

    image: str
    verdict: str
    detail: str
    model: str | None
    claim: Claim | None


def read(images: list[Path]) -> Findings:
    """Every file's texts and pixels, held against each other. Raises StorageError when none is a texts."""
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
    if path.exists() and not path.is_file():
        remedy = f"name the files in it: `aigc whence {path}/*.png`" if path.is_dir() else "name a PNG file that `aigc generate` wrote"
        raise StorageError(f"{path}: not a file that holds a picture; {remedy}")
    try:
        finding = texts.examine(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); name a PNG file that `aigc generate` wrote") from None
    if finding is None:
        raise StorageError(f"{path}: not a whole picture in {', '.join(texts.FORMATS)}; "
                           "`aigc whence` reads the PNG files that `aigc generate` writes")
    return finding


def switches_of(findings: Findings) -> RuntimeConfig:
    """The arithmetic in which to make the pictures again. Raises ConfigError when they need two."""
    sound = [finding for finding in findings.values() if isinstance(finding, Finding) and finding.is_sound]
    claims = [finding.claim for finding in sound if finding.claim]
    found = sorted({(claim.arithmetic, int(claim.threads)) for claim in claims})
    if len(found) > 1:
        kinds = " and in ".join(f"{arithmetic} arithmetic with {threads} threads" for arithmetic, threads in found)
        raise ConfigError(f"these pictures were made in {kinds}, and a process has one: ask for each kind on its own")
    arithmetic, threads = found[0] if found else ("portable", 1)
    return RuntimeConfig.model_validate({"arithmetic": arithmetic, "threads": threads})


def run(findings: Findings, name: str | None, switches: RuntimeConfig, as_json: bool) -> int:
    """Print a verdict for each texts. Raises GateError unless all are identical."""
    from aigc.provenance.redraw import Models

    with Models(name, switches) as models, tqdm(total=len(findings), desc="whence", unit="picture", disable=None,
                                               file=sys.stderr) as bar:
        verdicts = []
        for path, finding in findings.items():
            verdicts.append(judge(path, finding, models))
            bar.update()
    if as_json:
        print(json.dumps([asdict(verdict) for verdict in verdicts], indent=1))
    else:
        print("\n".join(line(verdict) for verdict in verdicts))
    wrong = [verdict for verdict in verdicts if verdict.verdict != IDENTICAL]
    if wrong:
        raise GateError(f"{len(wrong)} of {len(verdicts)} pictures could not be made again; the first: {wrong[0].image}, {wrong[0].verdict}")
    return 0


def judge(path: Path, finding: Finding | StorageError, models: "Models") -> Verdict:
    """The verdict on one picture: first what the file alone shows, then what making it again shows."""
    verdict = functools.partial(Verdict, str(path))
    if isinstance(finding, StorageError):
        return verdict(NONE, str(finding).removeprefix(f"{path}: "), None, None)
    claim = finding.claim
    if finding.missing:
        return verdict(STRIPPED, "it holds no text of ours", None, None)
    if not finding.is_sound or claim is None:
        what = " and ".join(part for part, changed in (("text", finding.texts_changed), ("pixels", finding.pixels_changed)) if changed)
        told = "; ".join(filter(None, (finding.texts_changed, "the pixels are not those of its hash" if finding.pixels_changed else "")))
        return verdict(FORGED, f"{what} changed: {told}", None, claim)
    if (found := models.find(claim.weights_sha256, claim.model_sha256)) is None:
        return verdict(NO_MODEL, f"no model with weights {claim.weights_sha256[:16]} {models.looked}", None, claim)
    if lie := found.lie(claim):
        return verdict(FORGED, f"text changed: the {lie} of its model is another, though its seal is whole", found.place, claim)
    made = found.make(claim)
    if (shape := texts.shape_of(made)) != finding.shape:
        return verdict(FORGED, f"pixels changed: they are {finding.shape}, its model makes {shape}", found.place, claim)
    if texts.hash_of(made.tobytes()) != finding.pixels_sha256:
        return verdict(DIFFERS, "made again it is another picture: its hashes were forged too, or this machine "
                                "computes other bytes", found.place, claim)
    return verdict(IDENTICAL, "", found.place, claim)


def line(verdict: Verdict) -> str:
    """One verdict as text."""
    claim = verdict.claim
    said = f"{claim.method} seed {claim.seed} index {claim.index}" if claim else ""
    return "  ".join(filter(None, (f"{verdict.image}: {verdict.verdict}", said, verdict.model, verdict.detail)))


