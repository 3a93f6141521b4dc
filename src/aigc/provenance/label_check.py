"""aigc label check: which of three labels any picture bears, and which are missing or not valid.

Nothing is made again, and no model is needed: `aigc whence` says whether a label of ours is true.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import ExifTags, Image

from aigc.core.errors import StorageError
from aigc.labelling import problem_of
from aigc.provenance import containers, marks, signing, texts, xmp

PRESENT, MISSING, INVALID, UNREAD = "present", "missing", "not valid", "not read"
CHARACTER_CODE = 8  # bytes before the text of a UserComment: Exif 3.0, 4.6.6
COMPLETE, LACKS_A_LABEL, HAS_AN_INVALID_ONE = 0, 3, 4  # exit codes


@dataclass(frozen=True)
class Label:
    """state: one of PRESENT, MISSING, INVALID, UNREAD. detail: what it says, or why it is not valid."""

    state: str
    detail: str


def run(images: Sequence[Path], needed: Sequence[str], trust: Path | None, as_json: bool) -> int:
    """Print the labels of each file and return an exit code. Raises StorageError where one is no picture."""
    found = {path: labels_of(path, trust) for path in images}
    if as_json:
        print(json.dumps([{"image": str(path), **{kind: asdict(label) for kind, label in labels.items()}}
                          for path, labels in found.items()], indent=1, ensure_ascii=False))
    else:
        for path, labels in found.items():
            print(path)
            for kind, label in labels.items():
                print(f"  {kind:<10} {label.state}{': ' * bool(label.detail)}{label.detail}")
    states = {labels[kind].state for labels in found.values() for kind in needed}
    if INVALID in states:
        return HAS_AN_INVALID_ONE
    return COMPLETE if states == {PRESENT} else LACKS_A_LABEL


def labels_of(path: Path, trust: Path | None = None) -> dict[str, Label]:
    """{implicit, explicit, signature: what the file has}. Raises StorageError where it is no picture."""
    try:
        content = path.read_bytes()
        with texts.loaded(path) as image:
            mark, beside = marks.language_of(image), _beside(image)
            packet = texts.packet_of(image) or containers.gif_packet(content)
    except OSError as error:
        raise StorageError(f"{path}: no picture that can be read ({error.strerror or error}); name PNG, "
                           "JPEG, WebP or GIF files") from None
    except Exception:  # on damaged bytes a decoder raises SyntaxError, struct.error, KeyError, zlib.error, …
        raise StorageError(f"{path}: not a whole picture; name PNG, JPEG, WebP or GIF files") from None
    explicit = (Label(PRESENT, f"the mark {marks.LANGUAGES[mark]}") if mark else
                Label(MISSING, "no mark of aigc in the lower right corner; others are not recognised"))
    return {"implicit": implicit(packet, beside), "explicit": explicit,
            "signature": _signature(content, trust)}


def _beside(image: Image.Image) -> str:
    """What appendix B of TC260-PG-20259A allows in place of XMP: PNG's text AIGC, Exif's UserComment."""
    comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    text = comment[CHARACTER_CODE:].decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
    stated = image.info.get("AIGC", "") or text.strip("\0 ")
    return str(stated) if str(stated).startswith(('{"AIGC"', '{"Label"')) else ""


def implicit(packet: str, beside: str = "") -> Label:
    """The implicit label: GB 45438-2025. packet: of XMP. beside: a label outside of it; see `_beside`."""
    source = xmp.properties(packet).get(f"{{{xmp.IPTC_NAMESPACE}}}DigitalSourceType", "").rpartition("/")[2]
    also = f"; IPTC source type {source}" if source else ""
    stated = xmp.label_text(packet) or beside
    if not stated:
        return Label(MISSING, f"no TC260:AIGC in its XMP packet{also}")
    label = xmp.parsed_label(stated)
    if not label:
        return Label(INVALID, f"its AIGC is no JSON object{also}")
    if absent := [field for field in xmp.LABEL_FIELDS if field not in label]:
        return Label(INVALID, f"its AIGC has no {', '.join(absent)}{also}")
    value, by = label["Label"], label["ContentProducer"]
    if value not in xmp.LABELS:
        return Label(INVALID, f"its Label is {value!r:.40}, not one of {', '.join(xmp.LABELS)}{also}")
    if problem := problem_of(by):
        return Label(INVALID, f"its ContentProducer is {by!r:.60}: {problem}{also}")
    return Label(PRESENT, f"{xmp.LABELS[value]}, by {by or 'nobody named'}, "
                          f"number {label['ProduceID'] or 'missing'}{also}")


def _signature(content: bytes, trust: Path | None) -> Label:
    found = signing.read(content, trust)
    states = {signing.SIGNED: PRESENT, signing.BROKEN: INVALID, signing.UNREAD: UNREAD,
              signing.UNSIGNED: MISSING}
    return Label(states[found.state], str(found))
