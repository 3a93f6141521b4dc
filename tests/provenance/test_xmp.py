"""The labels in the XMP packet, read back by programs that are not ours."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc import labelling
from aigc.core.errors import ConfigError
from aigc.provenance import texts, xmp
from aigc.provenance.claim import Claim

PRODUCER = 'Künstler & "Söhne" <人工智能>'
CLAIM = Claim(method="gan", weights_sha256="a" * 64, model_sha256="b" * 64, data_sha256="c" * 64,
              source="folder", licence="CC0-1.0", attribution="Zoë 写真", url="", seed="7", index="130",
              label="-1", arithmetic="portable", threads="2", producer=PRODUCER)
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
KINDS = {"png": "", "jpg": "jpeg quality=95", "webp": "webp quality=95"}


@pytest.fixture(params=KINDS)
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"a.{request.param}"
    path.write_bytes(texts.encode(Image.fromarray(PIXELS), replace(CLAIM, compression=KINDS[request.param])))
    return path


def check(label: dict[str, str], picture: Path) -> None:
    found = texts.examine(picture)
    assert found and found.is_sound
    pixels = texts.hash_of(PIXELS.tobytes())
    assert list(label) == ["Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator",
                           "PropagateID", "ReservedCode2"]
    assert label["Label"] == "1" and label["ContentProducer"] == PRODUCER
    assert label["ProduceID"] == f"{'b' * 64}.7.130.{pixels[:32]}"
    kind = KINDS[picture.suffix[1:]]
    assert label["ReservedCode1"] == texts.texts_of(replace(CLAIM, compression=kind), pixels)[texts.SEAL]
    assert label["ContentPropagator"] == label["PropagateID"] == label["ReservedCode2"] == ""


@pytest.mark.skipif(not shutil.which("exiftool"),
                    reason="exiftool is not installed (Debian: libimage-exiftool-perl)")
def test_exiftool_reads_both_labels(picture: Path) -> None:
    done = subprocess.run(["exiftool", "-j", "-G1", "-n", "-charset", "utf8", picture], capture_output=True,
                          check=True)
    (found,) = json.loads(done.stdout)
    names = {name.lower(): value for name, value in found.items()}  # exiftool 12 writes Aigc
    label = names["xmp-tc260:aigc"]
    check(label if isinstance(label, dict) else json.loads(label), picture)
    assert names["xmp-iptcext:digitalsourcetype"] == xmp.SOURCE_TYPE


def test_adobes_toolkit_in_exiv2_reads_both_labels(picture: Path) -> None:
    exiv2 = pytest.importorskip("exiv2")
    image = exiv2.ImageFactory.open(str(picture))
    image.readMetadata()
    found = {datum.key(): datum.toString() for datum in image.xmpData()}
    check(json.loads(found["Xmp.TC260.AIGC"]), picture)
    assert found["Xmp.iptcExt.DigitalSourceType"] == xmp.SOURCE_TYPE


def test_a_picture_from_before_there_were_labels_is_sound(tmp_path: Path) -> None:
    content = texts.encode(Image.fromarray(PIXELS), replace(CLAIM, producer=""))
    (tmp_path / "a.png").write_bytes(content)
    found = texts.examine(tmp_path / "a.png")
    assert found and found.is_sound and found.label == {} and b"TC260" not in content


@pytest.mark.parametrize("change", [("ContentProducer", "Somebody"), ("ReservedCode1", "0" * 64)])
def test_a_label_that_does_not_follow_from_the_texts_is_seen(picture: Path, change: tuple[str, str]) -> None:
    with Image.open(picture) as image:
        packet, info = texts.packet_of(image), dict(image.info)
        image.load()
    label = xmp.parsed_label(xmp.label_text(packet))
    other = json.dumps(label | dict([change]), ensure_ascii=False, separators=(",", ":"))
    changed = packet.replace(xmp.escape(json.dumps(label, ensure_ascii=False, separators=(",", ":")),
                                        {'"': "&quot;"}), xmp.escape(other, {'"': "&quot;"}))
    assert changed != packet
    if picture.suffix == ".png":
        from PIL import PngImagePlugin

        written = PngImagePlugin.PngInfo()
        for key, value in info.items():
            if isinstance(value, str):
                written.add_itxt(key, changed if key == texts.XMP else value)
        image.save(picture, pnginfo=written)
    else:
        image.save(picture, xmp=changed.encode())
    found = texts.examine(picture)
    assert found and found.texts_changed == f"{texts.XMP} is not what aigc writes"


@pytest.mark.parametrize("packet", ["", "no xml", "<a/>", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'])
def test_what_is_no_packet_has_no_properties(packet: str) -> None:
    assert xmp.properties(packet) == {} == xmp.parsed_label(xmp.label_text(packet))


# The credit codes of two companies, Alibaba (China) and Tencent, which anybody may look up.
@pytest.mark.parametrize("code", ["91330100799655058B", "9144030071526726XG"])
def test_a_providers_code_is_checked_to_its_last_character(code: str) -> None:
    assert labelling.problem_of(f"0011{code}00001") == ""
    changed = f"{code[:6]}{'3' if code[6] != '3' else '4'}{code[7:]}"
    assert "is no unified social credit code" in labelling.problem_of(f"0011{changed}00001")


@pytest.mark.parametrize("producer", ["0011", "00119133010079965505", "0021" + "91330100799655058B" + "00001",
                                      "0011 91330100799655058B 00001", "91330100799655058B",
                                      "0011" + "91330100799655058I" + "00001", "a" * 201, "two\nlines", " a"])
def test_a_producer_of_a_wrong_form_is_one_line_that_names_the_key(
        producer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps({"label": {"producer": producer}}))
    with pytest.raises(ConfigError, match=r"params.yaml: `label.producer`: ") as told:
        labelling.producer()
    assert "\n" not in str(told.value)


def test_a_producer_is_a_name_or_that_none_is_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert labelling.producer() == labelling.NOT_STATED
    for written, expected in (("", labelling.NOT_STATED), (PRODUCER, PRODUCER), ("360", "360")):
        (tmp_path / "params.yaml").write_text(json.dumps({"label": {"producer": written}}))
        assert labelling.producer() == expected
