"""Covariances on a device of torch: products and sums in float64."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..common.devices import memory_of
from .device_rows import as_tensor
from .device_sums import full_products

if TYPE_CHECKING:
    from torch import Tensor


def covariance_on(
    device: str, rows: NDArray[Any], mean: NDArray[Any], parts: Iterable[slice], divisor: int
) -> NDArray[np.float64]:
    """Lower triangle (D, D) of the sum of (x - mean) (x - mean)^T / divisor over the rows of some parts, float64."""
    with memory_of(device, "free some of it, or give `device='cpu'`"), full_products(device):
        lower: NDArray[np.float64] = products_on(device, rows, mean, parts, divisor).tril_().cpu().numpy()
    return np.asfortranarray(lower)


def products_on(device: str, rows: NDArray[Any], mean: NDArray[Any], parts: Iterable[slice], divisor: int) -> "Tensor":
    """The whole of it, as a tensor."""
    import torch

    centre = as_tensor(mean).to(device)
    total = torch.zeros((mean.size, mean.size), dtype=torch.float64, device=device)
    for part in parts:
        centred = as_tensor(rows[part]).to(device).double() - centre
        total.addmm_(centred.T, centred, alpha=1 / divisor)
    return total
