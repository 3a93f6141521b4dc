"""The texts of a picture's PNG file: written with the picture, read back and checked against it.

No secret signs the texts. Their seal and the hash of the pixels show what was changed. Only making the
picture again (`aigc whence`) shows whether they are true. Imports neither numpy nor torch: pictures are read
before the arithmetic is chosen.
"""

import hashlib
import io
import json
import re
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from PIL import Image, ImageFile, PngImagePlugin

from aigc.core import files
from aigc.core.version import VERSION
from aigc.provenance import chunks
from aigc.provenance.claim import OPTIONAL, PREFIX, Claim

SOFTWARE, PIXELS, SEAL = "Software", f"{PREFIX}pixels_sha256", f"{PREFIX}seal_sha256"
XMP = "XML:com.adobe.xmp"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"  # some of its parts are of AI
# Ours, and what pictures are converted to on their way. No decoder among them starts a program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MODES = ("L", "RGB")

# XMP in PNG: Adobe, XMP Specification Part 3, 1.1.5.
# The properties: IPTC Photo Metadata Standard 2025.1, Extension schema.
XMP_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
   <Iptc4xmpExt:AISystemUsed>aigc {method}</Iptc4xmpExt:AISystemUsed>
   <Iptc4xmpExt:AISystemVersionUsed>{version}</Iptc4xmpExt:AISystemVersionUsed>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True)
class Finding:
    """What a file shows before any model is asked. claim: None where there is none, or where it is not valid.

    shape: "WIDTH x HEIGHT MODE", which the hash of the pixels does not cover.
    """

    claim: Claim | None
    missing: bool
    texts_changed: str
    pixels_changed: bool
    pixels_sha256: str
    shape: str

    @property
    def is_sound(self) -> bool:
        """Whether nothing shows that the picture was changed."""
        return not (self.missing or self.texts_changed or self.pixels_changed)


def texts_of(claim: Claim, pixels_sha256: str, version: str = VERSION) -> dict[str, str]:
    """The text chunks of a picture, in their order in the file."""
    source_type = COMPOSITE if claim.shows_sources else SOURCE_TYPE
    packet = XMP_PACKET.format(source_type=source_type, method=claim.method, version=version)
    stated = {f"{PREFIX}{name}": value for name, value in asdict(claim).items()
              if name not in OPTIONAL or value}
    texts = {SOFTWARE: f"aigc {version}", **stated, PIXELS: pixels_sha256}
    return {**texts, SEAL: _seal({**texts, XMP: packet}), XMP: packet}


def _seal(texts: dict[str, str]) -> str:
    sealed = {key: value for key, value in texts.items() if key != SEAL}
    return hashlib.sha256(files.canonical_json(sealed).encode()).hexdigest()


def hash_of(pixels: bytes) -> str:
    """sha256 of a picture's bytes: rows from the top, pixels from the left, one byte a channel."""
    return hashlib.sha256(pixels).hexdigest()


def shape_of(image: Image.Image) -> str:
    """As in Finding.shape."""
    return f"{image.width} x {image.height} {image.mode}"


def encode(image: Image.Image, claim: Claim) -> bytes:
    """The PNG of a grey or colour picture with its texts; equal picture and claim, equal bytes."""
    stream = io.BytesIO()
    written = as_chunks(texts_of(claim, hash_of(image.tobytes())))
    image.save(stream, "PNG", pnginfo=written, optimize=True)
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


def examine(path: Path) -> Finding | None:
    """Read a file and compare its texts with its pixels; None when it is no whole picture in any of FORMATS.

    Raises OSError when it cannot be opened.
    """
    content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                texts, shape = _texts(image), shape_of(image)
                mode = "L" if image.mode in ("1", "I;16") else "RGB"
                pixels = image if image.mode in MODES else image.convert(mode)
                pixels_sha256 = hash_of(pixels.tobytes())
    except Exception:  # on damaged bytes a decoder raises SyntaxError, struct.error, KeyError, zlib.error, …
        return None
    if not any(key.startswith(PREFIX) for key in texts):
        return Finding(None, True, "", False, pixels_sha256, shape)
    claim = Claim(**{field.name: texts.get(f"{PREFIX}{field.name}", "") for field in fields(Claim)})
    is_valid = not claim.invalid_field()
    is_animated = is_valid and claim.is_animated  # only the whole file, made again, shows what was changed
    changed = _what_changed(texts, claim, None if is_animated else content)
    return Finding(claim if is_valid else None, False, changed,
                   not is_animated and texts.get(PIXELS) != pixels_sha256, pixels_sha256, shape)


def is_contact_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that `aigc generate` wrote beside its pictures."""
    found = examine(path) if "-sheet" in path.stem else None
    return bool(found and found.claim and found.claim.is_sheet)


def _texts(image: ImageFile.ImageFile) -> dict[str, str]:
    if image.format == "GIF":
        return _texts_in(image.info.get("comment", b""))
    texts: dict[str, str] = getattr(image, "text", {})
    return texts


def _texts_in(comment: bytes) -> dict[str, str]:
    """The texts in the comment of a GIF file, {} where they are none of ours."""
    try:
        texts = json.loads(comment)
    except ValueError:
        return {}
    is_ours = isinstance(texts, dict) and all(isinstance(value, str) for value in texts.values())
    return texts if is_ours else {}


def _what_changed(texts: dict[str, str], claim: Claim, content: bytes | None) -> str:
    """What differs from what was written, "" when nothing. content: of a PNG file, to check its chunks."""
    expected = set(texts_of(claim, ""))
    if missing := expected - set(texts):
        return f"{', '.join(sorted(missing))} missing"
    if added := set(texts) - expected:
        return f"{', '.join(sorted(added))} added"
    if content is not None and (problem := _what_the_file_adds(chunks.read(content), len(expected))):
        return problem
    if any(getattr(text, "lang", "") or getattr(text, "tkey", "") for text in texts.values()):
        return "a text has a language or a translated name"
    if invalid := claim.invalid_field():
        return f"{invalid} is not valid"
    if texts[SEAL] != _seal(texts):
        return "the texts are not those under the seal"
    # The seal has no key: anybody can make it anew. What follows from the other texts is therefore compared.
    version = re.fullmatch(r"aigc ([0-9][0-9A-Za-z.+]{0,31})", texts[SOFTWARE])
    written = texts_of(claim, texts[PIXELS], version[1] if version else VERSION)
    return "".join(f"{key} is not what aigc writes" for key in (SOFTWARE, XMP) if texts[key] != written[key])


def _what_the_file_adds(found: dict[bytes, list[bytes]], count: int) -> str:
    """What a PNG holds besides one picture and `count` texts, "" when nothing."""
    if chunks.REST in found:
        return "bytes added after its last chunk"
    if foreign := {name.decode("ascii", "replace") for name in set(found) - chunks.OURS}:
        return f"chunk {', '.join(sorted(foreign))} added"
    if sum(len(found.get(kind, [])) for kind in (b"tEXt", b"iTXt")) > count:
        return "a text stands twice"
    if len(found.get(b"IEND", [])) != 1 or not chunks.hold_only_the_rows(found):
        return "the file holds more or less than its picture and its texts"
    return ""
