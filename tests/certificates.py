"""A certificate authority of a test, and keys and certificates that it issues."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Issued:
    """Files in PEM format: a private key, its certificate with that of the CA, and the CA's alone."""

    key: Path
    certificate: Path
    ca: Path


def issue(folder: Path, name: str = "Studio", days: int = 30, kind: str = "ec", ca_name: str = "Test CA",
          for_signing: bool = True) -> Issued:
    """A new key and its certificate, which is valid until so many days from now (negative: expired)."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    own: Any = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(
        {"ec": ec.SECP256R1(), "k1": ec.SECP256K1()}[kind])
    of_ca = _certificate(ca_name, ca_name, authority.public_key(), authority, True, 30)
    leaf = _certificate(name, ca_name, own.public_key(), authority, False, days, for_signing)
    files = Issued(folder / "key.pem", folder / "certificate.pem", folder / "ca.pem")
    files.key.write_bytes(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption()))
    files.certificate.write_bytes(_pem(leaf) + _pem(of_ca))
    files.ca.write_bytes(_pem(of_ca))
    return files


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text),
                      x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{text} Ltd")])


def _certificate(subject: str, issuer: str, public: Any, signing: Any, is_ca: bool,
                 days: int, for_signing: bool = True) -> x509.Certificate:
    usage = x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False)
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)) \
        .public_key(public).serial_number(x509.random_serial_number()) \
        .not_valid_before(NOW - datetime.timedelta(days=60)) \
        .not_valid_after(NOW + datetime.timedelta(days=days)) \
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True) \
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False) \
        .add_extension(issued_by, critical=False) \
        .add_extension(usage, critical=True)
    if not is_ca:
        purpose = ExtendedKeyUsageOID.EMAIL_PROTECTION if for_signing else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return builder.sign(signing, hashes.SHA256())
