"""How far a second version of the data moved from the first: the population stability index of the manifest's
columns.

PSI = sum over bins of (q - p) ln(q / p), p the reference's share and q the new one (Siddiqi 2006); usually
read as: under 0.1 none, over 0.25 large. Bins are the reference's deciles; of classes, each class.
"""

import numpy as np
import pandas as pd

MEASURES = ["mean", "std", "ink_fraction", "aspect", "source_height", "source_width"]
BINS = 10
LEAST = 1e-4  # share of an empty bin


def psi(reference: np.ndarray, found: np.ndarray) -> float:
    """The index between two sets of counts over the same bins."""
    shares = [np.maximum(counts / counts.sum(), LEAST) for counts in (reference, found)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def of_values(reference: np.ndarray, found: np.ndarray) -> float:
    """The index between two sets of numbers, over the deciles of the first; equal deciles are one bin."""
    quantiles = np.quantile(reference, np.linspace(0, 1, BINS + 1), method="lower").astype(float)
    edges, repeats = np.unique(quantiles, return_counts=True)
    inner = edges[1:-1] if len(edges) > 1 else edges
    own_bins = (np.array([np.nextafter(edge, -np.inf), edge]) for edge in edges[repeats > 1])
    breaks = np.unique(np.concatenate([inner, *own_bins]))
    counted = [np.bincount(np.searchsorted(breaks, values, "left"), minlength=len(breaks) + 1)
               for values in (reference, found)]
    return psi(counted[0], counted[1])


def between(reference: pd.DataFrame, found: pd.DataFrame) -> dict[str, float]:
    """The index of each measure and of the classes, by the name of its column in the judged table."""
    names = sorted({*reference["class_name"].dropna(), *found["class_name"].dropna()})
    counts = [table["class_name"].value_counts().reindex(names, fill_value=0).to_numpy()
              for table in (reference, found)]
    values = {column: of_values(reference[column].to_numpy(), found[column].to_numpy())
              for column in MEASURES}
    return {"drift_class_name": round(psi(counts[0], counts[1]), 6),
            **{f"drift_{column}": round(value, 6) for column, value in values.items()}}
