"""The whole of params.yaml is checked before anything runs."""

import shutil
from pathlib import Path

import pytest

from aigc.core.errors import ConfigError
from aigc.stages import check

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("before", "after", "says"), [
    ("  threads: 2", "  threds: 2", "unknown key `runtime.threds`; did you mean `threads`?"),
    ("  threads: 2", "  threads: two", "`runtime.threads`: Input should be a valid integer"),
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
