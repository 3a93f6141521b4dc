"""The whole of params.yaml is checked before anything runs."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from aigc import methods, params
from aigc.core import config
from aigc.core.errors import ConfigError
from aigc.stages import check

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("before", "after", "says"), [
    ("  threads: 1", "  threds: 1", "unknown key `runtime.threds`; did you mean `threads`?"),
    ("  threads: 1", "  threads: two", "`runtime.threads`: Input should be a valid integer"),
    ("methods: [autoencoder, vae", "methods: [autoencoder, vaee", "unknown method `vaee`"),
    ("methods: [autoencoder, vae", "methods: [autoencoder, vae, vae", "`methods` names one twice"),
    ("  likelihood:", "  liklihood:", "unknown key `autoencoder.liklihood`; did you mean `likelihood`?"),
    ("  likelihood: bernoulli", "  likelihood: poisson",
     "`autoencoder.likelihood`: Input should be 'bernoulli' or 'gaussian'"),
    ("\nevaluate:", "\nevaluat:", "unknown key `evaluat`; did you mean `evaluate`?"),
    ("    test: 0.2", "    test: 0.9", "holdout + test must stay below 1"),
    ("  count: 5000", "  count: 10", "generate.count (10) is smaller than evaluate.sample_size"),
])
def test_invalid_params_are_one_line_that_names_the_key(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, says: str) -> None:
    text = (ROOT / "params.yaml").read_text()
    assert before in text
    (tmp_path / "params.yaml").write_text(text.replace(before, after, 1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        check.run()
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_the_committed_params_pass_with_a_constant_out(tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    check.run()
    assert (tmp_path / "reports/validation/params.json").read_text() == '{\n "params": "understood"\n}\n'


def after_override(tmp_path: Path, override: str) -> dict[str, Any]:
    """params.yaml as `dvc exp run -S OVERRIDE` rewrites it."""
    from dvc.utils.hydra import apply_overrides

    shutil.copy(ROOT / "params.yaml", tmp_path)
    apply_overrides(tmp_path / "params.yaml", [override])
    return config.read(tmp_path / "params.yaml")


def test_an_experiment_sets_one_methods_shared_key_and_no_others(tmp_path: Path) -> None:
    content = after_override(tmp_path, "dcgan.cutout=0.2")
    params.check(content)
    found = {name: methods.load_config(name, content) for name in ("gan", "dcgan", "cgan", "wgan_gp")}
    assert {name: settings.cutout for name, settings in found.items()} == {
        "gan": 0.0,
        "dcgan": 0.2,
        "cgan": 0.0,
        "wgan_gp": 0.0,
    }
    before = config.read(ROOT / "params.yaml")
    assert {**content, "dcgan": {**content["dcgan"], "cutout": 0.0}} == before


def test_an_experiment_with_a_shared_key_which_would_have_no_effect_is_refused_with_what_to_set(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        params.check(after_override(tmp_path, "shared.adversarial.r1=5"))
    assert "`shared.adversarial.r1` has no effect" in str(caught.value) and "\n" not in str(caught.value)
    assert re.search(r"`-S \w+\.r1=5`$", str(caught.value))
