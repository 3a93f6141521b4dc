"""The texts of a picture's file: written with the picture, read back and checked against it.

`encode` makes the bytes of every picture that leaves the project, with all its labels. PNG holds the texts as
text chunks, JPEG and WebP hold them in the XMP packet.

No secret signs the texts. Their seal and the hash of the pixels show what was changed. Only making the
picture again (`aigc whence`) shows whether they are true. Imports neither numpy nor torch: pictures are read
before the arithmetic is chosen.
"""

import hashlib
import io
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFile, PngImagePlugin

from aigc.core import files
from aigc.core.version import VERSION
from aigc.provenance import chunks, containers, marks, xmp
from aigc.provenance.claim import OPTIONAL, PREFIX, Claim

if TYPE_CHECKING:
    from aigc.provenance.signing import Signer

SOFTWARE, PIXELS, SEAL = "Software", f"{PREFIX}pixels_sha256", f"{PREFIX}seal_sha256"
XMP = "XML:com.adobe.xmp"
# Ours, and what pictures are converted to on their way. No decoder among them starts a program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MODES = ("L", "RGB")
LOSSY = ("JPEG", "WEBP")  # of FORMATS, those that `Claim.compression` names


@dataclass(frozen=True)
class Finding:
    """What a file shows before any model is asked. claim: None where there is none, or where it is not valid.

    shape: "WIDTH x HEIGHT MODE", which the hash of the pixels does not cover. bare_sha256: of the file
    without a C2PA manifest. version: of aigc, as the texts say. label: its implicit label, {} without.
    """

    claim: Claim | None
    missing: bool
    texts_changed: str
    pixels_changed: bool
    pixels_sha256: str
    shape: str
    bare_sha256: str = ""
    version: str = VERSION
    label: dict[str, str] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether nothing shows that the picture was changed."""
        return not (self.missing or self.texts_changed or self.pixels_changed)


def texts_of(claim: Claim, pixels_sha256: str, version: str = VERSION) -> dict[str, str]:
    """The texts of a picture, in their order in the file.

    The seal stands in the XMP packet too; it covers the packet without it, and without the other texts.
    """
    stated = {f"{PREFIX}{name}": value for name, value in asdict(claim).items()
              if name not in OPTIONAL or value}
    texts = {SOFTWARE: f"aigc {version}", **stated, PIXELS: pixels_sha256}
    texts[SEAL] = seal = _seal({**texts, XMP: xmp.packet(claim, pixels_sha256, version, "", {})})
    inside = texts if claim.compression else {}
    return {**texts, XMP: xmp.packet(claim, pixels_sha256, version, seal, inside)}


def _seal(texts: dict[str, str]) -> str:
    sealed = {key: value for key, value in texts.items() if key != SEAL}
    return hashlib.sha256(files.canonical_json(sealed).encode()).hexdigest()


def hash_of(pixels: bytes) -> str:
    """sha256 of a picture's bytes: rows from the top, pixels from the left, one byte a channel."""
    return hashlib.sha256(pixels).hexdigest()


def shape_of(image: Image.Image) -> str:
    """As in Finding.shape."""
    return f"{image.width} x {image.height} {image.mode}"


def bare_sha256(content: bytes) -> str:
    """sha256 of a file, without the C2PA manifest that it may hold."""
    return hashlib.sha256(containers.without_manifest(content)).hexdigest()


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    """In grey levels, over all pixels and channels of two pictures of one size and mode."""
    counts = ImageChops.difference(one, other).histogram()  # 256 levels of each channel, one after another
    return max(place % 256 for place, count in enumerate(counts) if count)


def encode(image: Image.Image, claim: Claim, signer: "Signer | None" = None) -> bytes:
    """The file of a grey or colour picture: PNG, or as `claim.compression` says.

    The one way from a picture and its facts to bytes, for every command that hands pictures out: it draws the
    mark that `claim.mark` names, writes the texts and the implicit label, and signs last. `claim` comes from
    `drawing.claim_of`. Equal picture and claim give equal bytes where nothing signs. Raises ConfigError where
    the picture is too small for its mark.
    """
    content = packed(marks.marked(image, claim.mark, claim.is_sheet), claim)
    return signer.sign(content, claim) if signer else content


def packed(image: Image.Image, claim: Claim, version: str = VERSION) -> bytes:
    """The file of a picture that has its mark already, unsigned. version: of aigc, in the texts."""
    texts = texts_of(claim, hash_of(image.tobytes()), version)
    stream = io.BytesIO()
    if claim.compression:
        kind, _, quality = claim.compression.partition(" quality=")
        options = {"subsampling": 0} if kind == "jpeg" else {"method": 4}
        image.save(stream, kind, quality=int(quality), xmp=texts[XMP].encode(), **options)
        return stream.getvalue()
    image.save(stream, "PNG", pnginfo=as_chunks(texts), optimize=True)
    return stream.getvalue()


def as_chunks(texts: dict[str, str]) -> PngImagePlugin.PngInfo:
    """The text chunks of a PNG file."""
    written = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        if key == XMP:
            written.add_itxt(key, value)
        else:
            written.add_text(key, value)
    return written


@contextmanager
def loaded(source: Path | io.BytesIO) -> Iterator[ImageFile.ImageFile]:
    """A picture of any of FORMATS, its pixels in memory. On damaged bytes a decoder may raise anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(source, formats=FORMATS) as image:
            image.load()
            yield image


def examine(path: Path) -> Finding | None:
    """Read a file and compare its texts with its pixels; None when it is no whole picture in any of FORMATS.

    Raises OSError when it cannot be opened.
    """
    content = path.read_bytes()
    try:
        with loaded(io.BytesIO(content)) as image:
            kind, texts, shape = image.format or "", _texts(image), shape_of(image)
            mode = "L" if image.mode in ("1", "I;16") else "RGB"
            pixels = image if image.mode in MODES else image.convert(mode)
            pixels_sha256 = hash_of(pixels.tobytes())
    except Exception:  # on damaged bytes a decoder raises SyntaxError, struct.error, KeyError, zlib.error, …
        return None
    bare = bare_sha256(content)
    label = xmp.parsed_label(xmp.label_text(texts.get(XMP, "")))
    if not any(key.startswith(PREFIX) for key in texts):
        return Finding(None, True, "", False, pixels_sha256, shape, bare, label=label)
    claim = Claim(**{field.name: texts.get(f"{PREFIX}{field.name}", "") for field in fields(Claim)})
    version = re.fullmatch(r"aigc ([0-9][0-9A-Za-z.+]{0,31})", texts.get(SOFTWARE, ""))
    stated = version[1] if version else VERSION
    is_valid = not claim.invalid_field()
    is_animated = is_valid and claim.is_animated  # only the whole file, made again, shows what was changed
    return Finding(claim if is_valid else None, False,
                   _what_changed(texts, claim, None if is_animated else content, stated, kind),
                   kind == "PNG" and not is_animated and texts.get(PIXELS) != pixels_sha256, pixels_sha256,
                   shape, bare, stated, label)


def is_contact_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that `aigc generate` wrote beside its pictures."""
    found = examine(path) if "-sheet" in path.stem else None
    return bool(found and found.claim and found.claim.is_sheet)


def _texts(image: ImageFile.ImageFile) -> dict[str, str]:
    """The text chunks of a PNG, those in the comment of a GIF; else those in the XMP packet, and that."""
    if image.format == "PNG":
        texts: dict[str, str] = getattr(image, "text", {})
        return texts
    if image.format == "GIF":
        return _texts_in(image.info.get("comment", b""))
    content = packet_of(image)
    return {**xmp.texts_of(content), XMP: content} if content else {}


def packet_of(image: Image.Image) -> str:
    """The XMP packet of any picture, "" where it has none."""
    packet = image.info.get("xmp") or image.info.get(XMP) or ""
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def _texts_in(comment: bytes) -> dict[str, str]:
    """The texts in the comment of a GIF file, {} where they are none of ours."""
    try:
        texts = json.loads(comment)
    except ValueError:
        return {}
    is_ours = isinstance(texts, dict) and all(isinstance(value, str) for value in texts.values())
    return texts if is_ours else {}


def _what_changed(texts: dict[str, str], claim: Claim, content: bytes | None, version: str,
                  kind: str) -> str:
    """What differs from what was written, "" when nothing. content: of a still picture, for its chunks."""
    expected = set(texts_of(claim, ""))
    if missing := expected - set(texts):
        return f"{', '.join(sorted(missing))} missing"
    if added := set(texts) - expected:
        return f"{', '.join(sorted(added))} added"
    if kind == "PNG" and content is not None and (
            problem := _what_the_file_adds(chunks.read(content), len(expected))):
        return problem
    if any(getattr(text, "lang", "") or getattr(text, "tkey", "") for text in texts.values()):
        return "a text has a language or a translated name"
    if invalid := claim.invalid_field():
        return f"{invalid} is not valid"
    if claim.compression.partition(" ")[0].upper() != (kind if kind in LOSSY else ""):
        return f"the file is {kind}, and {PREFIX}compression is {claim.compression or 'missing'}"
    # The seal has no key: anybody can make it anew. What follows from the other texts is therefore compared.
    written = texts_of(claim, texts[PIXELS], version)
    if texts[SEAL] != written[SEAL]:
        return "the texts are not those under the seal"
    return "".join(f"{key} is not what aigc writes" for key in (SOFTWARE, XMP) if texts[key] != written[key])


def _what_the_file_adds(found: dict[bytes, list[bytes]], count: int) -> str:
    """What a PNG holds besides one picture and `count` texts, "" when nothing."""
    if chunks.REST in found:
        return "bytes added after its last chunk"
    ours = chunks.OURS | {containers.MANIFEST_CHUNK}  # a manifest is judged apart
    if foreign := {name.decode("ascii", "replace") for name in set(found) - ours}:
        return f"chunk {', '.join(sorted(foreign))} added"
    if sum(len(found.get(kind, [])) for kind in (b"tEXt", b"iTXt")) > count:
        return "a text stands twice"
    if len(found.get(b"IEND", [])) != 1 or not chunks.hold_only_the_rows(found):
        return "the file holds more or less than its picture and its texts"
    return ""
