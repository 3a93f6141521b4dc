"""Where stages read and write, relative to the project's root. Every stage runs in that folder."""

from pathlib import Path

PARAMS = Path("params.yaml")
REQUIREMENTS = Path("requirements.lock")
CHECKPOINTS = Path(".checkpoints")

CHECKED = Path("reports/validation/params.json")
DOWNLOADS = Path(".downloads")
RAW = Path("data/raw")
DATA_REFERENCE = Path("data/reference")
VALIDATION = Path("reports/validation/result.json")
DATA_DOCS = Path("reports/validation/data_docs")
PROCESSED = Path("data/processed")
EVALUATOR = Path("models/evaluator")
EVALUATOR_METRICS = Path("reports/metrics/evaluator.json")
EVALUATOR_OUTLIERS = Path("reports/plots/evaluator/outliers.csv")
EVALUATOR_CONFUSION = Path("reports/plots/evaluator/confusion.csv")
REFERENCE = Path("models/reference")
REFERENCE_METRICS = Path("reports/metrics/reference.json")
REPORT = Path("reports/report.html")
OVERVIEW = Path("reports/overview.png")


def training_lock(name: str, fingerprint: str) -> Path:
    """The lock file of one training, in the folder of its checkpoints."""
    return CHECKPOINTS / f"{name}-{fingerprint[:16]}" / "lock"


def model(method: str) -> Path:
    """The trained model of one method: weights and config.json."""
    return Path("models") / method


def parent(name: str) -> Path:
    """The model that a training starts from. name: the first 16 digits of its card's sha256."""
    return Path("models/parents") / name


def history(method: str) -> Path:
    """One row per interval of training: images seen, losses, gradient norms, learning rates."""
    return Path("reports/plots") / method / "history.csv"


def generated(method: str) -> Path:
    """The samples of one method: images.npy, labels.npy."""
    return Path("data/generated") / method


def grid(method: str) -> Path:
    """The first samples of one method in one image."""
    return Path("reports/plots") / method / "samples.png"


def latents(method: str) -> Path:
    """Interpolations between latents and, with an encoder, test pictures and their reconstructions."""
    return Path("reports/plots") / method / "latents.png"


def metrics(method: str) -> Path:
    """The metrics of one method, each with its interval and protocol."""
    return Path("reports/metrics") / f"{method}.json"


def classes(method: str) -> Path:
    """The predicted classes of one method's samples, and for each class how often a request for it is met."""
    return Path("reports/plots") / method / "classes.csv"


def confusion(method: str) -> Path:
    """The requested and the predicted class of each sample of one method; no rows if unconditional."""
    return Path("reports/plots") / method / "confusion.csv"


def nearest(method: str) -> Path:
    """The samples of one method that are nearest to training pictures."""
    return Path("reports/plots") / method / "nearest.csv"
