"""C2PA manifests of pictures: what signs, what is refused, and what a broken or removed one looks like."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc.core.errors import AigcError, ConfigError, GateError, StorageError
from aigc.core.runtime import RuntimeConfig
from aigc.provenance import chunks, containers, drawing, examination, signing, texts
from aigc.provenance.output import Output
from certificates import Issued, issue
from small import small_model

pytest.importorskip("c2pa")
SWITCHES = RuntimeConfig(arithmetic="portable", threads=1)


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("issued"))


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issued: Issued) -> Path:
    """A signed picture of a small model, in a project of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small_model(tmp_path / "models", "gan")
    return make(Output(signer=signing.Signer(issued.key, issued.certificate)))


def make(output: Output, out: str = "out", count: int = 1) -> Path:
    drawing.write_pictures("gan", None, count, 0, Path(out), None, SWITCHES, output=output)
    return next(Path(out).glob("*-000000*"))


def asked(path: Path, capsys: pytest.CaptureFixture[str], trust: Path | None = None) -> tuple[str, str, int]:
    """(verdict, signature, exit code)."""
    capsys.readouterr()
    findings = examination.read([path])
    try:
        code = examination.run(findings, None, examination.switches_of(findings), True, (), trust)
    except GateError:
        code = 1
    (found,) = json.loads(capsys.readouterr().out)
    return found["verdict"], found["signature"], code


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_signed_picture_is_identical_and_names_its_signer(
        signed: Path, issued: Issued, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    picture = make(Output(kind, signer=signing.Signer(issued.key, issued.certificate)), kind)
    assert asked(picture, capsys) == ("identical", "signed by Studio (no CA was asked about: --trust)", 0)
    assert asked(picture, capsys, issued.ca) == ("identical", "signed by Studio (trusted)", 0)


def test_another_ca_is_not_trusted_and_a_foreign_signer_is_named(
        signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = issue(tmp_path / "other", ca_name="Other CA")
    verdict, signature, code = asked(signed, capsys, other.ca)
    assert (verdict, code) == ("identical", 1)
    assert signature.startswith("signature broken Studio (its certificate comes from no CA in ")


def test_the_manifest_states_a_trained_model_and_its_hashes(signed: Path) -> None:
    import c2pa

    with c2pa.Reader(str(signed)) as reader:
        manifest = reader.get_active_manifest()
    found = {entry["label"]: entry["data"] for entry in manifest["assertions"]}
    (action,) = found["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    claim = texts.examine(signed).claim
    assert found[signing.ORIGIN] == {name: getattr(claim, name) for name in signing.FACTS}


def test_without_its_manifest_it_is_the_picture_that_was_signed(signed: Path) -> None:
    content = signed.read_bytes()
    claim = texts.examine(signed).claim
    with Image.open(signed) as image:
        assert containers.without_manifest(content) == texts.packed(image.copy(), claim)


def test_a_removed_signature_is_told(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed.write_bytes(containers.without_manifest(signed.read_bytes()))
    verdict, signature, code = asked(signed, capsys)
    assert (verdict, code) == ("identical", 1)
    assert signature.startswith("unsigned: the signature of Studio serial ") and "was removed" in signature


def test_an_edited_picture_has_a_broken_signature(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = signed.read_bytes()
    text = content.index(b"aigc.seed\x00") - 4
    size = int.from_bytes(content[text - 4:text], "big")
    body = b"tEXtaigc.seed\x001"
    assert size == len(body) - 4
    changed = content[:text] + body + struct.pack(">I", zlib.crc32(body)) + content[text + 8 + size:]
    signed.write_bytes(changed)
    verdict, signature, code = asked(signed, capsys)
    assert (verdict, code) == ("forged", 1) and signature.startswith("signature broken Studio (")


def with_chunk(png: bytes, data: bytes) -> bytes:
    """The PNG with a caBX chunk after its header."""
    body = containers.MANIFEST_CHUNK + data
    return png[:33] + struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


def test_a_foreign_manifest_does_not_make_a_picture_forged(
        signed: Path, tmp_path: Path, issued: Issued, capsys: pytest.CaptureFixture[str]) -> None:
    plain = make(Output(), "plain")
    assert asked(plain, capsys) == ("identical", "unsigned", 0)
    other = issue(tmp_path / "other", "Platform")
    before = plain.read_bytes()
    plain.write_bytes(signing.Signer(other.key, other.certificate).sign(before, None))
    assert asked(plain, capsys)[:2] == ("identical", "signed by Platform (no CA was asked about: --trust)")
    plain.write_bytes(with_chunk(before, b"no manifest"))
    verdict, signature, code = asked(plain, capsys)
    assert (verdict, code) == ("identical", 1) and signature.startswith("signature broken")
    bare = containers.without_manifest(signed.read_bytes())
    signed.write_bytes(signing.Signer(other.key, other.certificate).sign(bare, None))
    verdict, signature, code = asked(signed, capsys)
    assert code == 1 and signature.startswith("signed by Platform") and "its texts name Studio" in signature


@pytest.mark.parametrize("kind", ["ec", "ed25519"])
def test_keys_of_several_kinds_sign(tmp_path: Path, kind: str) -> None:
    own = issue(tmp_path, kind=kind)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    signer = signing.Signer(own.key, own.certificate)
    assert signing.read(signer.sign((tmp_path / "a.png").read_bytes(), None)).state == signing.SIGNED


def test_keys_and_certificates_that_cannot_sign_are_one_line_that_names_the_file(
        tmp_path: Path, issued: Issued) -> None:
    from cryptography.hazmat.primitives import serialization

    other, expired = issue(tmp_path / "other"), issue(tmp_path / "expired", days=-1)
    server, odd = issue(tmp_path / "server", for_signing=False), issue(tmp_path / "odd", kind="k1")
    secret = serialization.load_pem_private_key(issued.key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"))
    (tmp_path / "secret.pem").write_bytes(secret)
    (tmp_path / "text.pem").write_text("no key")
    cases: list[tuple[Path, Path, type[AigcError], str]] = [
        (other.key, issued.certificate, ConfigError, "key.pem: does not belong to the first certificate of"),
        (expired.key, expired.certificate, ConfigError, "certificate.pem: is valid from .* not today"),
        (tmp_path / "text.pem", issued.certificate, ConfigError, "text.pem: holds no private key in PEM"),
        (issued.certificate, issued.key, ConfigError, "certificate.pem: holds no private key"),
        (issued.key, tmp_path / "text.pem", ConfigError, "text.pem: holds no certificate in PEM"),
        (tmp_path / "secret.pem", issued.certificate, ConfigError, "secret.pem: is encrypted"),
        (tmp_path / "absent.pem", issued.certificate, StorageError, "absent.pem: cannot be read"),
        (server.key, server.certificate, ConfigError, "certificate.pem: cannot sign"),
        (odd.key, odd.certificate, ConfigError, "key.pem: C2PA has no use for a key of this kind"),
    ]
    for key, certificate, kind, message in cases:
        with pytest.raises(kind, match=message) as told:
            signing.Signer(key, certificate)
        assert "\n" not in str(told.value)


def test_without_the_library_signing_names_the_extra_and_whence_still_judges(
        signed: Path, issued: Issued, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(ConfigError, match=r"--sign needs c2pa-python; pip install -e \.\[sign\]"):
        signing.Signer(issued.key, issued.certificate)
    verdict, signature, code = asked(signed, capsys)
    assert (verdict, code) == ("identical", 0) and signature.startswith("signature not read (that needs c2pa")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_parts_make_up_the_whole_file_whatever_it_holds(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a", kind)
    whole = (tmp_path / "a").read_bytes()
    for content in (whole, whole[:-7], whole + b"more", whole[:20], chunks.SIGNATURE, b"", b"\xff\xd8\xff"):
        assert containers.without_manifest(content) == content and not containers.has_manifest(content)
