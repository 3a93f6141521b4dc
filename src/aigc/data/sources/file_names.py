"""What the name of a file says: a picture, a picture that is not decoded, or something to leave out.

Not for: what the content says (kinds.py), and whether a file may be opened (listing.py).
"""

import os

from aigc.data.sources.kinds import READ, kind_of

HEAD = 1024  # bytes that the checks of the content need
SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif",
                      ".tiff", ".gif", ".pbm", ".pgm", ".ppm", ".pnm"))

CONVERT, FRAMES = "convert it to PNG, TIFF or JPEG", "save its frames as PNG, TIFF or JPEG"
RAW, AVIF, HEIC = "a camera raw file", "an AVIF file", "a HEIC file"
JPEG_2000, JPEG_XL, PHOTOSHOP = "a JPEG 2000 file", "a JPEG XL file", "a Photoshop file (PSD)"
OPEN_EXR, RADIANCE, VIDEO = "an OpenEXR file", "a Radiance HDR file", "a video"
OTHER_KINDS = {
    RAW: ("dng nef nrw cr2 cr3 crw arw srf sr2 raf orf rw2 rwl raw pef ptx srw x3f 3fr fff iiq mef mrw erf "
          "kdc dcr gpr"),
    AVIF: "avif avifs", HEIC: "heic heif hif heics", JPEG_2000: "jp2 j2k jpf jpx jpc j2c jpm", JPEG_XL: "jxl",
    "a JPEG XR file": "jxr wdp hdp", PHOTOSHOP: "psd psb", "a GIMP or Krita file": "xcf kra ora",
    "a vector drawing": "svg svgz eps ai wmf emf", "an icon": "ico icns cur",
    "a Targa picture": "tga vda icb",
    OPEN_EXR: "exr", RADIANCE: "hdr rgbe", "a PCX picture": "pcx dcx", "a texture": "dds ktx ktx2",
    "a PAM or PFM picture": "pam pfm", "a medical picture": "dcm dicom nii",
    "a FITS picture": "fits", "a DjVu file": "djvu djv", "a picture of an old format": "sgi xbm xpm",
    VIDEO: "mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp mts m2ts ogv",
}
KIND_OF_SUFFIX = {f".{suffix}": kind for kind, suffixes in OTHER_KINDS.items() for suffix in suffixes.split()}

# What systems and programs put beside pictures. Compared in lower case.
SYSTEM_FOLDERS = frozenset((
    "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx", "$recycle.bin",
    "recycler", "system volume information", "lost+found", "found.000", "__pycache__", ".thumbnails",
    ".spotlight-v100", ".fseventsd", ".temporaryitems", ".ipynb_checkpoints", ".picasaoriginals",
    ".git", ".dvc", ".svn"))
SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini",
                          "icon\r"))


def left_out_as(name: str, is_folder: bool) -> str:
    """How the summary counts an entry that is never looked at; "" for one that is.

    Hidden entries (their name starts with a dot) and what systems put beside pictures.
    """
    lower = name.lower()
    if is_folder and (lower in SYSTEM_FOLDERS or lower.startswith(".trash")):
        return name
    if not is_folder and lower in SYSTEM_FILES:
        return name
    if name.startswith("._"):
        return "._*"
    if lower == ".ds_store":
        return name
    return f"hidden {'folders' if is_folder else 'files'}" if name.startswith(".") else ""


def suffix_of(path: str) -> str:
    """The ending of a name in lower case, with its dot; "" where there is none."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122


def starts_as_picture(head: bytes, suffix: str) -> bool:
    """Whether a file starts as one that can be decoded. Camera raw that starts as a TIFF file does not."""
    kind = kind_of(head)
    return kind in READ and not (kind == "TIFF" and KIND_OF_SUFFIX.get(suffix) == RAW)


def other_kind(head: bytes, suffix: str) -> str:
    """The kind of a picture that is not decoded, with what to do; "" for a file of no known kind."""
    by_content = kind_of(head)
    kind = KIND_OF_SUFFIX.get(suffix) or ("" if by_content in READ else by_content)
    if not kind or ";" in kind:
        return kind
    return f"{kind}: {FRAMES if kind.startswith(VIDEO) else CONVERT}"
