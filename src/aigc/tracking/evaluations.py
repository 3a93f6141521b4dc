"""What the store knows of a model that was evaluated, for whoever describes it. Makes no store."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.exceptions import MlflowException

from aigc.tracking import finished, store


@dataclass(frozen=True)
class Evaluated:
    """metrics: those of the run. content: its METHOD.json, b"" where it has none."""

    metrics: dict[str, float] = field(default_factory=dict)
    content: bytes = b""


@store.errors()
def newest(weights_sha256: str, card_sha256: str) -> Evaluated:
    """Of the newest finished run of this model; nothing where there is no store or no such run."""
    database = store.sqlite_path(store.store_uri())
    if database is not None and not database.exists():
        return Evaluated()
    client, experiment = store.open_store()
    for run in finished.of_weights(client, experiment, weights_sha256, card_sha256):
        name = f"evaluation/{run.data.tags.get('aigc.method', '')}.json"
        try:
            with TemporaryDirectory(prefix="aigc-") as scratch:
                content = Path(client.download_artifacts(run.info.run_id, name, scratch)).read_bytes()
        except (MlflowException, OSError):  # not evaluated, or its artifacts lie elsewhere
            content = b""
        return Evaluated(dict(run.data.metrics), content)
    return Evaluated()
