"""Two metrics on features: a number alone, and an `Estimate` with a standard error."""

import numpy as np
from numpy.typing import NDArray

from cmmd_toolkit import Estimate

Rows = NDArray[np.float32]


def mean_gap(*, reference: Rows, generated: Rows) -> float:
    """Distance between the mean features."""
    return float(np.linalg.norm(reference.mean(axis=0) - generated.mean(axis=0)))


def spread(*, reference: Rows, generated: Rows) -> Estimate:
    """Mean distance of the generated rows from their own centre."""
    distances = np.linalg.norm(generated - generated.mean(axis=0), axis=1).astype(np.float64)
    error = float(distances.std(ddof=1) / np.sqrt(len(distances)))
    value = float(distances.mean())
    return Estimate(
        value,
        len(reference),
        len(generated),
        {"of": "the generated set alone"},
        standard_error=error,
        interval=(value - 1.96 * error, value + 1.96 * error),
        corrected=value,
    )


spread.higher_is_better = True  # type: ignore[attr-defined]
