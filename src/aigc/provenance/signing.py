"""C2PA manifests (C2PA specification 2.2): a picture's file signed, and the signature of any file read.

The extra `sign` brings c2pa-python, which is imported here alone. Nothing is fetched: no time stamp, no
revocation list, no remote manifest. A manifest states that the picture was created by a trained model, and
the hashes of that model and of its data.
"""

import contextlib
import datetime
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from aigc.core.errors import ConfigError, StorageError
from aigc.core.version import VERSION
from aigc.provenance import containers
from aigc.provenance.claim import Claim
from aigc.provenance.xmp import SOURCE_TYPE

EXTRA = "c2pa-python; pip install -e .[sign]"
SERIAL = " serial "  # between the name and the number of a certificate
ORIGIN = "aigc.origin"  # label of our own assertion
FACTS = ("method", "model_sha256", "weights_sha256", "data_sha256", "seed", "index")
UNSIGNED, SIGNED, BROKEN, UNREAD = "unsigned", "signed by", "signature broken", "signature not read"
UNTRUSTED = "signingCredential.untrusted"
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
ALGORITHMS = "EC on P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519"


@dataclass(frozen=True)
class Signature:
    """What the manifest of a file shows. name: "NAME serial NUMBER" of the signer's certificate.

    detail: why it is broken, or whether its certificate is trusted.
    """

    state: str
    name: str = ""
    detail: str = ""

    def __str__(self) -> str:
        parts = (self.state, self.name.partition(SERIAL)[0], f"({self.detail})" if self.detail else "")
        return " ".join(filter(None, parts))


class Signer:
    """A private key and its certificate, checked. Raises ConfigError or StorageError where they cannot sign.

    stated: "NAME serial NUMBER" of the certificate, which the texts of a signed picture name, so that a
    removed signature is missed.
    """

    def __init__(self, key: Path, certificate: Path) -> None:
        c2pa = _library()
        chain = _read(certificate)
        algorithm, self.stated = _checked(key, _read(key), certificate, chain)
        try:
            info = c2pa.C2paSignerInfo(algorithm.encode(), chain, _read(key), None)
            self._signer = c2pa.Signer.from_info(info)
            trial = read(self.sign(_smallest_png(), None))
            problem = trial.detail if trial.state == BROKEN else ""
        except c2pa.C2paError as error:
            problem = _one_line(error)
        if problem:
            raise ConfigError(f"{certificate}: cannot sign ({problem}); C2PA asks for a certificate that a "
                              "CA issued for signatures, not for a server: see docs/labels.md")

    def sign(self, content: bytes, claim: Claim | None) -> bytes:
        """The file with a manifest. claim: of the picture; None for a trial."""
        facts = {name: getattr(claim, name) for name in FACTS} if claim else {}
        agent = {"name": f"aigc {claim.method}" if claim else "aigc", "version": VERSION}
        created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent}
        manifest = {"claim_generator_info": [{"name": "aigc", "version": VERSION}], "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}, "created": True},
            {"label": ORIGIN, "data": facts, "created": True}]}
        signed = io.BytesIO()
        with _context() as context, _library().Builder(manifest, context) as builder:
            builder.sign(self._signer, containers.mime(content), io.BytesIO(content), signed)
        return signed.getvalue()


def read(content: bytes, trust: Path | None = None) -> Signature:
    """The signature of a file. trust: certificates of CAs, in PEM, that a signer's must come from.

    Raises ConfigError where `trust` holds none.
    """
    if not containers.has_manifest(content):
        return Signature(UNSIGNED)
    try:
        c2pa = _library()
    except ConfigError:
        return Signature(UNREAD, detail=f"that needs {EXTRA}")
    try:
        with _context(trust) as context, c2pa.Reader(containers.mime(content), io.BytesIO(content),
                                                     context=context) as reader:
            found = json.loads(reader.json())
    except c2pa.C2paError as error:
        return Signature(BROKEN, detail=_one_line(error))
    signer = found["manifests"][found["active_manifest"]].get("signature_info", {})
    name = f"{signer.get('common_name', '')}{SERIAL}{signer.get('cert_serial_number', '')}"
    problems = [status for status in found.get("validation_status", []) if status["code"] != UNTRUSTED]
    if found.get("validation_state") not in ("Valid", "Trusted") or problems:
        detail = "; ".join(sorted({status.get("explanation", status["code"]) for status in problems}))
        return Signature(BROKEN, name, detail or "its certificate comes from none of the trusted CAs")
    if trust and found["validation_state"] != "Trusted":
        return Signature(BROKEN, name, f"its certificate comes from no CA in {trust}")
    return Signature(SIGNED, name, "trusted" if trust else "no CA was asked about: --trust")


def number(name: str) -> str:
    """The serial number in the name of a signer."""
    return name.rpartition(SERIAL)[2]


def _library() -> Any:
    try:
        import c2pa
    except ImportError:
        raise ConfigError(f"--sign needs {EXTRA}") from None
    return c2pa


@contextlib.contextmanager
def _context(trust: Path | None = None) -> Iterator[Any]:
    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "builder": {"thumbnail": {"enabled": False}}}
    if trust:
        settings["trust"] = {"trust_anchors": _read(trust).decode("ascii", "replace")}
    with _library().Context.from_dict(settings) as context:
        yield context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); name a file in PEM format") from None


def _checked(key: Path, private: bytes, certificate: Path, chain: bytes) -> tuple[str, str]:
    """(algorithm, "NAME serial NUMBER"), where the key belongs to a certificate that is valid today."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        own = load_pem_private_key(private, None)
    except TypeError:
        raise ConfigError(f"{key}: is encrypted; write it without a password first: "
                          f"openssl pkey -in {key} -out …") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{key}: holds no private key in PEM format; --sign takes KEY and CERT") from None
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError):
        raise ConfigError(f"{certificate}: holds no certificate in PEM format; "
                          "--sign takes KEY and CERT") from None
    if own.public_key() != leaf.public_key():
        raise ConfigError(f"{key}: does not belong to the first certificate of {certificate}; name the key "
                          "that the certificate was made for")
    now = datetime.datetime.now(datetime.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise ConfigError(f"{certificate}: is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to "
                          f"{leaf.not_valid_after_utc:%Y-%m-%d}, not today; name a certificate that is")
    if isinstance(own, ec.EllipticCurvePrivateKey) and own.curve.name in CURVES:
        algorithm = CURVES[own.curve.name]
    elif isinstance(own, rsa.RSAPrivateKey) and own.key_size >= 2048:
        algorithm = "ps256"
    elif isinstance(own, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    else:
        raise ConfigError(f"{key}: C2PA has no use for a key of this kind; it takes {ALGORITHMS}")
    names = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = "".join(filter(str.isprintable, str(names[0].value))) if names else ""
    return algorithm, f"{name}{SERIAL}{leaf.serial_number}"


def _smallest_png() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    return stream.getvalue()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
