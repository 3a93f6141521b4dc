"""What is written of dvc.lock is, byte for byte, what DVC writes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc import dvcfile
from dvc.stage import serialize
from dvc.utils.serialize import load_yaml

from aigc.orchestration import dvc_chain
from aigc.workspace import lockfile
from projects import ROOT

COMMITTED = (ROOT / "dvc.lock").read_text()
LONG = {"cmd": "exec env " + "word " * 60 + ": # 'quoted' \"é\" ",
        "deps": [{"path": "a b: c.txt", "md5": "1"}],
        "params": {"params.yaml": {"x": 1e-05, "y": [1, 2], "z": None, "w": "yes", "v": ""}}}


def test_the_entries_of_a_lock_are_its_text_cut_into_pieces() -> None:
    found = lockfile.entries(COMMITTED)
    assert lockfile.HEAD + "".join(found.values()) == COMMITTED
    assert list(found) == list(load_yaml(ROOT / "dvc.lock")["stages"])


@pytest.mark.parametrize("text", ["", "schema: '2.0'\n", COMMITTED[:-1], COMMITTED + "datasets: []\n",
                                  "# a remark\n" + COMMITTED])
def test_a_lock_of_another_form_has_no_entries(text: str) -> None:
    assert lockfile.entries(text) == {}


@pytest.mark.parametrize("before", [None, COMMITTED, COMMITTED + "datasets: []\n"],
                         ids=["none", "ours", "with data sets"])
@pytest.mark.parametrize("name", ["train@gan", "new"])
def test_an_entry_is_added_or_replaced_as_dvc_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, name: str
) -> None:
    monkeypatch.setattr(serialize, "to_lockfile", lambda stage, **_: {stage.name: LONG})
    monkeypatch.setattr(dvcfile.Lockfile, "dump_stages", dvcfile.Lockfile.dump_stages)
    written = []
    for kind in ("dvc's", "ours"):
        path = tmp_path / kind / "dvc.lock"
        path.parent.mkdir()
        if before is not None:
            path.write_text(before)
        if kind == "ours":
            dvc_chain.write_entries()
        repo = SimpleNamespace(fs=None, scm_context=SimpleNamespace(track_file=lambda _: None))
        dvcfile.Lockfile(repo, str(path)).dump_stages([SimpleNamespace(name=name)])
        written.append(path.read_text())
        assert [part.name for part in path.parent.iterdir()] == ["dvc.lock"]
    assert written[0] == written[1] != before


def test_a_lock_is_arranged_as_one_dvc_repro_adds_its_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {name: f"  {name}:\n    cmd: x\n" for name in ("old", "gone", "one", "two", "three")}

    def text(*order: str) -> str:
        return lockfile.HEAD + "".join(names[name] for name in order)

    Path("dvc.lock").write_text(text("gone", "old", "three", "one", "two"))
    lockfile.arrange(["gone", "old"], ["old", "one", "two", "three"])
    assert Path("dvc.lock").read_text() == text("gone", "old", "one", "two", "three")
    written = Path("dvc.lock").stat().st_ino
    lockfile.arrange(["gone", "old"], ["old", "one", "two", "three"])
    assert Path("dvc.lock").stat().st_ino == written  # nothing to do
