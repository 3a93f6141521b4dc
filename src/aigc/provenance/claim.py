"""What a picture states about its origin, and which statements are valid."""

import re
from dataclasses import dataclass

from aigc.core.config import LONGEST_LINE, PRINTABLE
from aigc.provenance import postprocess

PREFIX = "aigc."  # of the text chunks that hold the fields of a claim
SHEET_MOST = 256  # pictures of a contact sheet
MOST_THREADS = 1024

NUMBER, DIGEST, LINE = r"(0|[1-9]\d{0,8})", r"[0-9a-f]{64}", f"{PRINTABLE}{{0,{LONGEST_LINE}}}"
SETTING = r"[a-z_]{1,32}=[a-z0-9_.+-]{1,32}"
SEED = r"0|[1-9]\d{0,9}"
RECONSTRUCTION, PAIRS, INTERPOLATION = "reconstruction", "pairs", "interpolation"
ROW, GIF, APNG = "row", "gif", "apng"  # what an interpolation is written as
FORMS = {
    "method": r"[a-z0-9_]{1,64}", "weights_sha256": DIGEST, "model_sha256": DIGEST, "data_sha256": DIGEST,
    "source": LINE, "licence": LINE, "attribution": LINE, "url": LINE, "seed": SEED,
    "index": rf"{NUMBER}(-{NUMBER})?", "label": rf"(-1|{NUMBER})( (-1|{NUMBER}))*",
    "arithmetic": "portable|fast", "threads": r"[1-9]\d{0,3}",
    "sampler": rf"({SETTING}( {SETTING}){{0,15}})?",
    "translated_sha256": f"({DIGEST}( {DIGEST})*)?",
    "translated_fit": r"((crop|pad|stretch)( \d{1,3}){3})?",
    "shows": rf"({RECONSTRUCTION}|{PAIRS}|{INTERPOLATION}( to=({SEED}))? as=({ROW}|{GIF}|{APNG})"
             r"( loop=yes)?)?",
    "processed": postprocess.FORM,
    "producer": LINE, "mark": "(zh|en)?", "signer": LINE,
    "compression": r"((jpeg|webp) quality=([1-9]\d?|100))?"}
OPTIONAL = ("sampler", "translated_sha256", "translated_fit", "shows", "processed", "producer", "mark",
            "compression", "signer")  # fields that are no text chunk where empty


@dataclass(frozen=True)
class Claim:
    """What a picture states about itself; each field is the text chunk `aigc.FIELD`.

    index, label: of one picture, "7" and "3" (-1 = unlabelled); of a contact sheet, "0-63" and 64 labels.
    source, licence, attribution, url: of the pictures that the model learned from, "" where not stated.
    sampler: settings of sampling other than the model's own, such as "solver=euler steps=8"; "" where there
    are none, and then without a text chunk.
    translated_sha256: of the files of the pictures that were translated or reconstructed, one for each label,
    or of the two that were interpolated, and translated_fit: how they were brought to the model's size, such
    as "crop 255 255 255"; likewise "".
    shows: "" of samples and translations; "pairs" of a sheet with each source beside its translation;
    "reconstruction" of a source, and of a sheet of sources beside their reconstructions; "interpolation to=7
    as=gif loop=yes" of the way from `seed` to seed 7, or without `to` between the two sources.
    processed: the steps of `aigc.provenance.postprocess`, such as "contrast=auto upscale=2"; likewise "".
    producer: who provides the picture, in its label; "" in pictures from before there were labels.
    mark: the language of the visible mark, zh or en, "" without one. compression: "jpeg quality=95" or the
    like, "" where none is lost. signer: of the C2PA manifest that the file has as well, "" without one.
    """

    method: str
    weights_sha256: str
    model_sha256: str
    data_sha256: str
    source: str
    licence: str
    attribution: str
    url: str
    seed: str
    index: str
    label: str
    arithmetic: str
    threads: str
    sampler: str = ""
    translated_sha256: str = ""
    translated_fit: str = ""
    shows: str = ""
    processed: str = ""
    producer: str = ""
    mark: str = ""
    compression: str = ""
    signer: str = ""

    @property
    def first(self) -> int:
        """The index of the picture, or of a contact sheet's first one."""
        return int(self.index.partition("-")[0])

    @property
    def labels(self) -> list[int]:
        return [int(label) for label in self.label.split()]

    @property
    def sources(self) -> list[str]:
        """The sha256 of each source picture, one for each label, or none."""
        return self.translated_sha256.split()

    @property
    def is_sheet(self) -> bool:
        return "-" in self.index

    @property
    def what(self) -> str:
        """The first word of `shows`: one of RECONSTRUCTION, PAIRS, INTERPOLATION, or ""."""
        return self.shows.partition(" ")[0]

    @property
    def way(self) -> dict[str, str]:
        """The settings in `shows` of an interpolation."""
        return dict(setting.split("=") for setting in self.shows.split()[1:])

    @property
    def shows_sources(self) -> bool:
        """Whether pictures that were given stand beside those that were made."""
        return self.is_sheet and self.what in (RECONSTRUCTION, PAIRS)

    @property
    def is_animated(self) -> bool:
        return self.way.get("as") in (GIF, APNG)

    @property
    def sampling(self) -> dict[str, str]:
        """The settings in `sampler`."""
        return dict(setting.split("=") for setting in self.sampler.split())

    def invalid_field(self) -> str:
        """The first text chunk whose value is not valid, "" when all are."""
        for name, form in FORMS.items():
            if not re.fullmatch(form, getattr(self, name), re.ASCII):
                return f"{PREFIX}{name}"
        if int(self.seed) >= 2**32:
            return f"{PREFIX}seed"
        if self._shows_what_cannot_be():
            return f"{PREFIX}shows"
        if not 1 <= int(self.threads) <= MOST_THREADS:
            return f"{PREFIX}threads"
        if bool(self.sources) != bool(self.translated_fit):
            return f"{PREFIX}translated_fit"
        if self.sources and len(self.sources) != (2 if self.what == INTERPOLATION else len(self.labels)):
            return f"{PREFIX}translated_sha256"
        if any(int(shade) > 255 for shade in self.translated_fit.split()[1:]):
            return f"{PREFIX}translated_fit"
        last = int(self.index.partition("-")[2] or self.first)
        return "" if last - self.first + 1 == len(self.labels) <= SHEET_MOST else f"{PREFIX}index"

    def _shows_what_cannot_be(self) -> bool:
        if not self.what:
            return False
        to = self.way.get("to")  # an interpolation has this, or sources
        if bool(to) == bool(self.sources) or int(to or 0) >= 2**32 or (not to and self.seed != "0"):
            return True
        if self.what == INTERPOLATION and len(set(self.labels)) != 1:
            return True
        return self.first != 0 if self.is_sheet else self.what != RECONSTRUCTION
