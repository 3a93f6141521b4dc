"""In which form `aigc generate` writes pictures: the format, the mark, who signs."""

from dataclasses import dataclass
from typing import Literal

from aigc.core.errors import ConfigError
from aigc.provenance import marks
from aigc.provenance.claim import SHEET_MOST
from aigc.provenance.signing import Signer

KINDS = ("png", "jpeg", "webp", "npy", "grid")
LOSSY = ("jpeg", "webp")
USUAL_QUALITY = 95


@dataclass(frozen=True)
class Output:
    """kind: a file each (png, jpeg, webp), one array (npy), or the contact sheet alone (grid).

    quality: of jpeg and webp, 1 to 100; None: USUAL_QUALITY. mark: the language of the visible mark.
    processed: see `Claim.processed`.
    """

    kind: Literal["png", "jpeg", "webp", "npy", "grid"] = "png"
    quality: int | None = None
    mark: Literal["", "zh", "en"] = ""
    signer: Signer | None = None
    processed: str = ""

    def check(self, count: int | None) -> None:
        """Raises ConfigError where the options do not go together. count: of pictures, None = the usual."""
        if self.quality is not None and self.kind not in LOSSY:
            raise ConfigError(f"--quality is of jpeg and webp, not of {self.kind}; leave it out")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"--quality must be between 1 and 100, found {self.quality}")
        if self.kind == "npy" and (self.mark or self.signer):
            raise ConfigError("--mark and --sign are for pictures, and --format npy writes an array; "
                              "choose another format")
        if self.kind == "grid" and (count or 1) > SHEET_MOST:
            raise ConfigError(f"--format grid shows at most {SHEET_MOST} pictures, found --n {count}")
        if self.mark and self.mark not in marks.LANGUAGES:
            raise ConfigError(f"--mark must be one of {', '.join(marks.LANGUAGES)}, found {self.mark}")

    @property
    def stated(self) -> dict[str, str]:
        """The fields of `Claim` that follow from it."""
        quality = USUAL_QUALITY if self.quality is None else self.quality
        return {"processed": self.processed, "mark": self.mark,
                "signer": self.signer.stated if self.signer else "",
                "compression": f"{self.kind} quality={quality}" if self.kind in LOSSY else ""}

    @property
    def remark(self) -> str:
        """What a person is told of files of this form."""
        return (", in one array" if self.kind == "npy" else
                "; `aigc whence` says whether one is still as it was made")
