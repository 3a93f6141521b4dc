"""What `aigc export` writes: a folder that is whole or absent, and a script that needs nothing of ours."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from aigc import labelling, methods
from aigc.exporting import graphs, script
from aigc.model.card import CONFIG, WEIGHTS, read_card
from projects import ROOT, Run
from small import small_model, write_metrics

# Neither the project nor torch can be imported by the script, wherever they are installed.
ALONE = ("import runpy, sys; sys.modules.update(aigc=None, torch=None); sys.argv = sys.argv[1:]; "
         "runpy.run_path(sys.argv[0], run_name='__main__')")
WHOLE = ["README.md", CONFIG, "decoder.onnx", script.NAME, WEIGHTS, "samples.png"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def without_the_project(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-c", ALONE, *map(str, words)], cwd=place, text=True,
                          env={"PATH": os.environ["PATH"]}, capture_output=True, check=False)


def test_the_folder_is_a_model_that_generates_the_same_pictures(home: Path, aigc: Run) -> None:
    small_model(home / "models", "cgan")
    said = aigc(home, "export", "cgan", "--to", "out/cgan", "--onnx", "--card").stdout
    assert sorted(path.name for path in (home / "out/cgan").iterdir()) == sorted(WHOLE)
    assert f"ONNX of opset {graphs.OPSET}" in said and all(name in said for name in WHOLE)
    for model in ("models/cgan", "out/cgan"):
        aigc(home, "generate", "--model", model, "--n", "2", "--out", f"of/{model}")
    first, second = (sorted((home / "of" / model).glob("*.png")) for model in ("models/cgan", "out/cgan"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second] != []


@pytest.mark.parametrize("name", methods.available())
def test_the_script_makes_pictures_without_the_project(home: Path, aigc: Run, name: str) -> None:
    small_model(home / "models", name, classes=2, channels=3)
    aigc(home, "export", name, "--to", "out", "--onnx")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(home / "black.png")
    translates = methods.method_class(name).translates
    conditional = methods.load(home / "models" / name)[0].conditional
    words = ["black.png"] if translates else ["--n", 3]
    done = without_the_project(home, "out/load_onnx.py", *words, *(["--class", 1] if conditional else []),
                               "--out", "made.png")
    assert done.returncode == 0, done.stderr
    picture = Image.open(home / "made.png")
    assert picture.size == ((16, 16) if translates else (32, 32)) and picture.mode == "RGB"
    packet = ElementTree.fromstring(picture.info["XML:com.adobe.xmp"])
    label = json.loads(packet.find(".//{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC").text)
    assert (label["Label"], label["ContentProducer"], len(label)) == ("1", labelling.NOT_STATED, 7)
    assert label["ProduceID"] == (f"{read_card(home / 'models' / name).sha256}."
                                  f"{hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()}")
    stated = [value for one in packet.iter() for value in one.attrib.values()]
    assert any(value.endswith("/trainedAlgorithmicMedia") for value in stated)
    assert np.asarray(picture)[:16, :16].std() > 0


def test_a_class_may_have_any_name_and_none_becomes_code(home: Path, aigc: Run) -> None:
    small_model(home / "models", "cgan", classes=2)
    method, card = methods.load(home / "models/cgan")
    card.classes[:] = ['"); import nothing #', "100% 'quoted'\\\n"]
    (home / "load_onnx.py").write_text(script.of_method(method, card, ""), encoding="utf-8")
    done = without_the_project(home, "load_onnx.py", "--help")
    assert done.returncode == 0 and "0 = \"); import nothing #, 1 = 100% 'quoted'" in done.stdout


def test_a_producer_may_have_any_name_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model(home / "models", "gan")
    name = """某公司 'x' "y" \\ & <z> {SHA}"""
    (home / "params.yaml").write_text(json.dumps({"label": {"producer": name}}), encoding="utf-8")
    monkeypatch.chdir(home)
    label = ElementTree.fromstring(script.labels(read_card(home / "models/gan"))).find(
        ".//{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC")
    assert json.loads(label.text)["ContentProducer"] == name
    compile(script.of_method(*methods.load(home / "models/gan"), ""), "load_onnx.py", "exec")


def test_the_picture_in_the_card_is_one_that_whence_makes_again(home: Path, aigc: Run) -> None:
    small_model(home / "models", "gan")
    aigc(home, "export", "gan", "--to", "out", "--card")
    assert sorted(path.name for path in (home / "out").iterdir()) == ["README.md", CONFIG, WEIGHTS,
                                                                      "samples.png"]
    assert "identical" in aigc(home, "whence", "out/samples.png").stdout


def test_an_export_is_replaced_where_asked_and_nothing_else_is_lost(home: Path, aigc: Run) -> None:
    small_model(home / "models", "gan")
    (home / "out").mkdir()  # an empty folder is taken
    aigc(home, "export", "gan", "--to", "out")
    before = (home / "out" / WEIGHTS).read_bytes()
    small_model(home / "models", "gan", seed=1)
    refused = aigc(home, "export", "gan", "--to", "out", check=False)
    assert refused.returncode == 1 and (home / "out" / WEIGHTS).read_bytes() == before
    assert refused.stderr == "error: out: exists; --force replaces a model that was exported there\n"
    aigc(home, "export", "gan", "--to", "out", "--force")
    assert (home / "out" / WEIGHTS).read_bytes() != before
    (home / "mine").mkdir()
    (home / "mine/text").write_text("mine")
    refused = aigc(home, "export", "gan", "--to", "mine", "--force", check=False)
    assert refused.returncode == 1 and (home / "mine/text").read_text() == "mine"
    assert refused.stderr == ("error: mine: holds no config.json, so it is no exported model; choose another "
                              "--to\n")


@pytest.mark.parametrize("fails", ["graphs.of_method", "script.of_method"])
def test_an_export_that_fails_leaves_nothing_and_the_old_one_as_it_was(
    home: Path, aigc: Run, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    small_model(home / "models", "gan")
    aigc(home, "export", "gan", "--to", "out/gan")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"aigc.exporting.{fails}", full)
    refused = aigc(home, "export", "gan", "--to", "out/gan", "--onnx", "--force", check=False)
    assert refused.returncode == 1 and "No space left" in refused.stderr
    assert [path.name for path in (home / "out").iterdir()] == ["gan"]
    assert sorted(path.name for path in (home / "out/gan").iterdir()) == [CONFIG, WEIGHTS]


@pytest.mark.parametrize(("words", "said"), [
    (["gna"], "unknown method `gna`; did you mean `gan`?"),
    (["vae"], "models/vae: no model yet"),
    (["--model", "nowhere"], "nowhere: missing"),
    ([], "name a method"),
])
def test_a_model_that_is_not_there_is_one_line(home: Path, aigc: Run, words: list[str], said: str) -> None:
    refused = aigc(home, "export", *words, "--to", "out", check=False)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and said in refused.stderr
    assert not (home / "out").exists()


def test_onnx_that_is_not_installed_is_one_line(
    home: Path, aigc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_model(home / "models", "gan")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused = aigc(home, "export", "gan", "--to", "out", "--onnx", check=False)
    assert refused.stderr == f"error: {graphs.MISSING}\n"
    assert not (home / "out").exists()
    write_metrics(home, "gan")
    aigc(home, "export", "gan", "--to", "out", "--card")  # which needs neither
