"""A picture that says where it comes from: PNG, with text chunks that name its model, seed, index and label.

No secret signs the texts. Their seal and the hash of the pixels tell what was changed; only making the picture again
(`whence`) tells whether they are true. Neither numpy nor torch at import: read before the arithmetic is chosen.
"""

import hashlib
import io
import re
import struct
import warnings
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from PIL import Image, ImageFile, PngImagePlugin

from aigc.core import files
from aigc.core.config import LONGEST_LINE, PRINTABLE
from aigc.core.version import VERSION

PREFIX = "aigc."
SOFTWARE, PIXELS, SEAL, XMP = "Software", f"{PREFIX}pixels_sha256", f"{PREFIX}seal_sha256", "XML:com.adobe.xmp"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
OUR_CHUNKS = {b"IHDR", b"tEXt", b"iTXt", b"IDAT", b"IEND"}
REST = b""  # of what is no chunk
SIGNATURE = b"\x89PNG\r\n\x1a\n"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # ours, and what pictures become on their way; no decoder that starts a program
MODES = ("L", "RGB")
SHEET_MOST = 256
MOST_THREADS = 1024

# XMP in PNG: Adobe, XMP Specification Part 3, 1.1.5. The properties: IPTC Photo Metadata Standard 2025.1, Extension schema.
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
class Claim:
    """What a picture says of itself; each field is the text chunk `aigc.FIELD`.

    index, label: of one picture, "7" and "3" (-1 = unlabelled); of a contact sheet, "0-63" and a label for each, "0 1 2 …".
    source, licence, attribution, url: of the pictures that the model learned from, "" where nobody said.
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

    @property
    def first(self) -> int:
        return int(self.index.partition("-")[0])

    @property
    def labels(self) -> list[int]:
        return [int(label) for label in self.label.split()]

    @property
    def is_sheet(self) -> bool:
        return "-" in self.index

    def problem(self) -> str:
        """What cannot be meant, "" when all can: a picture may come from anywhere."""
        number, digest, free = r"(0|[1-9]\d{0,8})", r"[0-9a-f]{64}", f"{PRINTABLE}{{0,{LONGEST_LINE}}}"
        forms = {"method": r"[a-z0-9_]{1,64}", "weights_sha256": digest, "model_sha256": digest, "data_sha256": digest,
                 "source": free, "licence": free, "attribution": free, "url": free,
                 "seed": r"0|[1-9]\d{0,9}", "index": rf"{number}(-{number})?", "label": rf"(-1|{number})( (-1|{number}))*",
                 "arithmetic": "portable|fast", "threads": r"[1-9]\d{0,3}"}
        for name, form in forms.items():
            if not re.fullmatch(form, getattr(self, name), re.ASCII):
                return f"{PREFIX}{name}"
        if int(self.seed) >= 2**32:
            return f"{PREFIX}seed"
        if not 1 <= int(self.threads) <= MOST_THREADS:
            return f"{PREFIX}threads"
        last = int(self.index.partition("-")[2] or self.first)
        return "" if last - self.first + 1 == len(self.labels) <= SHEET_MOST else f"{PREFIX}index"


@dataclass(frozen=True)
class Finding:
    """What a file is, before any model is asked. claim: None where it says nothing that can be understood.

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
        """Whether nothing shows that it was changed: it may be what it says it is."""
        return not (self.missing or self.texts_changed or self.pixels_changed)


def texts_of(claim: Claim, pixels_sha256: str, version: str = VERSION) -> dict[str, str]:
    """The text chunks of a picture, in their order in the file."""
    packet = XMP_PACKET.format(source_type=SOURCE_TYPE, method=claim.method, version=version)
    texts = {SOFTWARE: f"aigc {version}", **{f"{PREFIX}{name}": value for name, value in asdict(claim).items()}, PIXELS: pixels_sha256}
    return {**texts, SEAL: _seal({**texts, XMP: packet}), XMP: packet}


def _seal(texts: dict[str, str]) -> str:
    return hashlib.sha256(files.canonical_json({key: value for key, value in texts.items() if key != SEAL}).encode()).hexdigest()


def hash_of(pixels: bytes) -> str:
    """sha256 of a picture's bytes: rows from the top, pixels from the left, one byte a channel."""
    return hashlib.sha256(pixels).hexdigest()


def shape_of(image: Image.Image) -> str:
    """As in Finding.shape."""
    return f"{image.width} x {image.height} {image.mode}"


def encode(image: Image.Image, claim: Claim) -> bytes:
    """The PNG of a grey or colour picture with its texts; equal picture and claim, equal bytes."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in texts_of(claim, hash_of(image.tobytes())).items():
        if key == XMP:
            chunks.add_itxt(key, value)
        else:
            chunks.add_text(key, value)
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=chunks, optimize=True)
    return stream.getvalue()


def examine(path: Path) -> Finding | None:
    """Read a file and hold its texts and pixels against each other; None when it is no whole picture in any of FORMATS.

    Raises OSError when it cannot be opened.
    """
    content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                texts, shape = _texts(image), shape_of(image)
                pixels = image if image.mode in MODES else image.convert("L" if image.mode in ("1", "I;16") else "RGB")
                found = hash_of(pixels.tobytes())
    except Exception:  # a decoder on damaged bytes raises anything: SyntaxError, struct.error, KeyError, zlib.error
        return None
    if not any(key.startswith(PREFIX) for key in texts):
        return Finding(None, True, "", False, found, shape)
    said = {field.name: texts.get(f"{PREFIX}{field.name}", "") for field in fields(Claim)}
    claim = Claim(**said)
    changed = _what_changed(texts, claim, content)
    return Finding(None if claim.problem() else claim, False, changed, texts.get(PIXELS) != found, found, shape)


def is_contact_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that `aigc generate` wrote beside its pictures."""
    found = examine(path) if "-sheet" in path.stem else None
    return bool(found and found.claim and found.claim.is_sheet)


def _texts(image: ImageFile.ImageFile) -> dict[str, str]:
    held: dict[str, str] = getattr(image, "text", {})
    return held


def _what_changed(texts: dict[str, str], claim: Claim, content: bytes) -> str:
    """Which texts are not those that were written, "" when all are: missing, added, misshapen, or not under the seal."""
    expected = set(texts_of(claim, ""))
    chunks = _chunks(content)
    if missing := expected - set(texts):
        return f"{', '.join(sorted(missing))} missing"
    if added := set(texts) - expected:
        return f"{', '.join(sorted(added))} added"
    if REST in chunks:
        return "bytes added after its last chunk"
    if foreign := {name.decode("ascii", "replace") for name in set(chunks) - OUR_CHUNKS}:
        return f"chunk {', '.join(sorted(foreign))} added"
    if sum(len(chunks.get(kind, [])) for kind in (b"tEXt", b"iTXt")) > len(expected):
        return "a text stands twice"
    if any(getattr(text, "lang", "") or getattr(text, "tkey", "") for text in texts.values()):
        return "a text has got a language or a translated name"
    if len(chunks.get(b"IEND", [])) != 1 or not _holds_its_rows_alone(chunks):
        return "the file holds more or less than its picture and its texts"
    if problem := claim.problem():
        return f"{problem} cannot be meant"
    if texts[SEAL] != _seal(texts):
        return "the texts are not those under the seal"
    # The seal has no key, so that anybody can make it anew: what follows from the other texts must be that.
    version = re.fullmatch(r"aigc ([0-9][0-9A-Za-z.+]{0,31})", texts[SOFTWARE])
    written = texts_of(claim, texts[PIXELS], version[1] if version else VERSION)
    return "".join(f"{key} is not what aigc writes" for key in (SOFTWARE, XMP) if texts[key] != written[key])


def _chunks(png: bytes) -> dict[bytes, list[bytes]]:
    """What a PNG's chunks hold, by type, in order; what comes after the last whole one is of type REST."""
    found: dict[bytes, list[bytes]] = {}
    position = len(SIGNATURE)
    while png.startswith(SIGNATURE) and (end := position + 12 + int.from_bytes(png[position:position + 4], "big")) <= len(png):
        found.setdefault(png[position + 4:position + 8], []).append(png[position + 8:end - 4])
        position = end
    return found | ({REST: [png[position:]]} if position < len(png) else {})


def _holds_its_rows_alone(chunks: dict[bytes, list[bytes]]) -> bool:
    """Whether the compressed rows are those that the header announces and nothing else."""
    width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    size = height * (1 + width * {0: 1, 2: 3}.get(colour, 0))
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(b"".join(chunks[b"IDAT"]), size + 1)
    except zlib.error:  # a decoder of pictures stops before the checksum
        return False
    return (depth, interlaced, len(rows)) == (8, 0, size) and stream.eof and not stream.unused_data
