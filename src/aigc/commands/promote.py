"""`aigc promote`: a trained model becomes the one to use, unless its memorization audit says no."""

from aigc import model
from aigc.commands import shelf
from aigc.tracking import registry


def run(method: str, name: str, alias: str) -> int:
    """Register models/METHOD and point models:/NAME@ALIAS at it."""
    with shelf.trained(method, None) as folder:
        card = model.read_card(folder)
    version, run_id = registry.promote(card.weights_sha256, name, alias)
    print(f"models:/{name}@{alias} is version {version}: {method} of run {run_id}")
    return 0
