"""A model is found by each of its names."""

from pathlib import Path

import mlflow
import pytest

from aigc.core.errors import AigcError, ConfigError
from aigc.model.card import read_card
from aigc.provenance import lookup
from aigc.tracking import store
from small import small_model


def registered(folder: Path, name: str, alias: str) -> None:
    """Log the model in `folder`, and give it a name in MLflow's registry."""
    client, experiment = store.open_store(writes=True)
    made = client.create_logged_model(experiment)
    client.log_model_artifacts(made.model_id, str(folder.parent))
    client.finalize_logged_model(made.model_id, "READY")
    version = mlflow.register_model(f"models:/{made.model_id}", name)
    client.set_registered_model_alias(name, alias, version.version)


def test_a_model_is_found_by_method_folder_and_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = small_model(Path("models"), "gan")
    registered(folder, "aigc", "champion")
    for name in ("gan", "models/gan", str(tmp_path / folder), "models:/aigc@champion", "aigc@champion"):
        with lookup.any_trained(name) as found:
            assert read_card(found) == read_card(folder)
    for name, error, says in (
        ("gna", ConfigError, "unknown method `gna`; did you mean `gan`"),
        ("aigc@other", AigcError, "models:/aigc@other: the MLflow store .* cannot give it"),
        ("a/b@c", AigcError, "a/b@c: missing"),
    ):
        with pytest.raises(error, match=f"^{says}"), lookup.any_trained(name):
            pass
