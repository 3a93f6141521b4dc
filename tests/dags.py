"""A project of the shape of ours whose stages do next to nothing: what a test of `aigc repro` needs.

A stage writes the md5 of what it reads. The files `slow` (seconds) and `fail` (names) change how it goes, and
are no deps; `ran` has a line for each stage that started.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from projects import ROOT, run_in

WORK = '''"""work.py NAME OUT DEP...: see tests/dags.py."""
import hashlib, sys, time
from pathlib import Path
from aigc.core import process
process.die_with_parent()
name, out, *deps = sys.argv[1:]
with Path("ran").open("a") as ran:
    ran.write(f"{name}\\n")
time.sleep(float(Path("slow").read_text()) if Path("slow").exists() else 0)
if Path("fail").exists() and name in Path("fail").read_text().split():
    sys.exit(f"error: {name}: has no luck; remove the file `fail`")
found = [path for dep in map(Path, deps)
         for path in (sorted(dep.rglob("[a-z]*")) if dep.is_dir() else [dep])]
digest = hashlib.md5(b"".join(path.read_bytes() for path in found if path.is_file()))
size = int(Path("size").read_text()) if Path("size").exists() else 1
Path(out).parent.mkdir(parents=True, exist_ok=True)
Path(out).write_bytes(digest.hexdigest().encode() * size)
'''
AIGC = (sys.executable, "-m", "aigc")
CODE = {"PYTHONPATH": str(ROOT / "src")}
METHODS = ("a", "b", "c")


PIPELINE = f"""
# in place of aigc.stages
vars: [methods: [METHODS]]
stages:
  check:
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py check checked in
    deps: [in]
    outs: [checked]
  evaluator:
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py evaluator evaluator checked
    deps: [checked]
    outs: [evaluator]
  reference:
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py reference reference evaluator
    deps: [evaluator]
    outs: [reference]
  train:
    matrix: {{method: "${{methods}}"}}
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py train@${{item.method}} models/${{item.method}}
      checked page-${{item.method}}
    deps: [checked, "page-${{item.method}}"]
    outs: ["models/${{item.method}}"]
  generate:
    matrix: {{method: "${{methods}}"}}
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py generate@${{item.method}} samples/${{item.method}}
      models/${{item.method}}
    deps: ["models/${{item.method}}"]
    outs: ["samples/${{item.method}}"]
  evaluate:
    matrix: {{method: "${{methods}}"}}
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py evaluate@${{item.method}} metrics/${{item.method}}
      samples/${{item.method}} reference
    deps: ["samples/${{item.method}}", "models/${{item.method}}", reference]
    outs: ["metrics/${{item.method}}"]
  report:
    cmd: exec env PYTHONPATH={ROOT / 'src'} python work.py report report.html models metrics
    deps: [models, metrics]
    outs: [report.html]
"""


def dag(folder: Path, methods: Sequence[str] = METHODS) -> Path:
    """The project in `folder`, committed, with nothing made."""
    content = {"dvc.yaml": PIPELINE.replace("[METHODS]", f"[{', '.join(methods)}]"), "work.py": WORK,
               "in": "1\n", "params.yaml": "runtime:\n  arithmetic: portable\n  threads: 1\n",
               ".gitignore": "/ran\n/slow\n/fail\n/size\n/.checkpoints\n",
               **{f"page-{name}": f"{name}\n" for name in methods}}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text)
    for command in (("git", "init", "-q"), ("dvc", "init", "-q"), ("cp", ROOT / ".dvcignore", "."),
                    ("git", "config", "user.name", "t"), ("git", "config", "user.email", "t@example.org"),
                    ("git", "add", "-A"), ("git", "commit", "-qm", "start")):
        run_in(folder, *command)
    return folder


def started(folder: Path) -> list[str]:
    """The stages that started since the last call, in that order."""
    ran = folder / "ran"
    names = ran.read_text().split() if ran.exists() else []
    ran.unlink(missing_ok=True)
    return names


def outs(folder: Path) -> dict[str, bytes]:
    """dvc.lock and every out of `folder`."""
    found = [folder / name for name in ("dvc.lock", "checked", "evaluator", "reference", "report.html")]
    found += [path for name in ("models", "samples", "metrics") for path in (folder / name).rglob("[a-z]*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}
