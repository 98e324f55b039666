"""Principal components: where rows lie on the plane that shows most of how they differ."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def plane_of(rows: NDArray[np.float32], seed: int) -> tuple[Float, tuple[float, float]]:
    """The rows on their first two principal components, and the share of the variance along either.

        (X - mean) V_2,  X - mean = U S V^T

    Args:
        rows: float32 (N, D), N >= 2; seed: of the randomised decomposition.

    Returns:
        float64 (N, 2), zero along a component that the rows do not have; the shares are 0..1. The larger half of a
        component's weight is positive, so that equal rows give equal maps.
    """
    from sklearn.decomposition import PCA

    centred = np.asarray(rows, np.float64) - rows.mean(axis=0, dtype=np.float64)
    variance = float(np.square(centred).sum())
    points, shares = np.zeros((len(rows), 2)), [0.0, 0.0]
    count = min(2, *centred.shape)
    if variance > 0:
        solver = "randomized" if min(centred.shape) > 10 else "full"
        found = PCA(count, svd_solver=solver, random_state=seed).fit(centred)
        points[:, :count] = centred @ (found.components_ * _signs(found.components_)[:, None]).T
        shares[:count] = np.square(points[:, :count]).sum(axis=0) / variance
    return points, (shares[0], shares[1])


def _signs(components: Float) -> Float:
    largest = np.abs(components).argmax(axis=1)
    return np.where(components[np.arange(len(components)), largest] < 0, -1.0, 1.0)
