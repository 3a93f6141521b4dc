"""What a file is, by its name and its first bytes: a picture that can be decoded, a picture of another kind,
or none.

Decodes nothing and opens nothing. Not for: deciding whether a file may be opened (listing.py).
"""

import os

HEAD = 18  # bytes that the checks of the content need
SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif",
                      ".tiff", ".gif"))
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
TIFF = (b"II*\0", b"MM\0*")
BMP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))

CONVERT, FRAMES = "convert it to PNG, TIFF or JPEG", "save its frames as PNG, TIFF or JPEG"
RAW, AVIF, HEIC = "a camera raw file", "an AVIF picture", "a HEIC picture"
JPEG_2000, JPEG_XL, PHOTOSHOP = "a JPEG 2000 picture", "a JPEG XL picture", "a Photoshop file"
OPEN_EXR, RADIANCE, VIDEO = "an OpenEXR picture", "a Radiance HDR picture", "a video"
OTHER_KINDS = {
    RAW: ("dng nef nrw cr2 cr3 crw arw srf sr2 raf orf rw2 rwl raw pef ptx srw x3f 3fr fff iiq mef mrw erf "
          "kdc dcr gpr"),
    AVIF: "avif avifs", HEIC: "heic heif hif heics", JPEG_2000: "jp2 j2k jpf jpx jpc j2c jpm", JPEG_XL: "jxl",
    "a JPEG XR picture": "jxr wdp hdp", PHOTOSHOP: "psd psb", "a GIMP or Krita file": "xcf kra ora",
    "a vector "
    "drawing": "svg svgz eps ai wmf emf", "an icon": "ico icns cur", "a Targa picture": "tga vda icb",
    OPEN_EXR: "exr", RADIANCE: "hdr rgbe", "a PCX picture": "pcx dcx", "a texture": "dds ktx ktx2",
    "a Netpbm picture": "ppm pgm pbm pnm pam pfm", "a medical picture": "dcm dicom nii",
    "a FITS picture": "fits", "a DjVu file": "djvu djv", "a picture of an old format": "sgi xbm xpm",
    VIDEO: "mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp mts m2ts ogv",
}
KIND_OF_SUFFIX = {f".{suffix}": kind for kind, suffixes in OTHER_KINDS.items() for suffix in suffixes.split()}
KIND_OF_START = {b"8BPS": PHOTOSHOP, b"\0\0\0\x0cjP": JPEG_2000, b"\xff\x4f\xff\x51": JPEG_2000,
                 b"\0\0\0\x0cJXL": JPEG_XL, b"v/1\x01": OPEN_EXR, b"#?RADIANCE": RADIANCE,
                 b"FUJIFILMCCD-RAW": RAW, b"IIRO": RAW, b"IIRS": RAW, b"IIU\0": RAW, b"\x1aE\xdf\xa3": VIDEO}
# ISO base media files (AVIF, HEIC, video) name their kind in bytes 8 to 11.
KIND_OF_BRAND = {b"avif": AVIF, b"avis": AVIF, b"crx ": RAW,
                 **dict.fromkeys(b"heic heix heim heis hevc hevx mif1 msf1".split(), HEIC)}

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
    """Whether a file starts as one that can be decoded. A camera raw file starts as a TIFF file, and is none.
    """
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    bmp = head[:2] == b"BM" and head[14:18] in BMP_HEADERS
    tiff = head.startswith(TIFF) and KIND_OF_SUFFIX.get(suffix) != RAW
    return webp or bmp or tiff or head.startswith(SIGNATURES)


def other_kind(head: bytes, suffix: str) -> str:
    """Which kind of picture that is not decoded a file is, with what to do; "" where it is none that is
    known.
    """
    by_start = (kind for start, kind in KIND_OF_START.items() if head.startswith(start))
    kind = KIND_OF_SUFFIX.get(suffix) or next(by_start, "")
    if not kind and head[4:8] == b"ftyp":
        kind = KIND_OF_BRAND.get(head[8:12], VIDEO)
    return f"{kind}: {FRAMES if kind == VIDEO else CONVERT}" if kind else ""
