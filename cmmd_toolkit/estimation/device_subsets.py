"""Kernel distances of many small subsets on a device of torch, as batched products."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..common.devices import is_out_of_memory
from ..common.processes import current_processes
from ..common.text import first_line
from ..errors import DeviceError
from .device_rows import Uploaded, polynomial
from .device_sums import full_products

if TYPE_CHECKING:
    from torch import Tensor

_NUMBERS = 2**26  # in the rows and blocks of the subsets that go at a time

Draw = tuple[NDArray[np.int64], NDArray[np.int64]]
Kernel = tuple[int, float, float]  # degree, gamma, coef0


def subset_values(
    device: str, x: NDArray[np.float64], y: NDArray[np.float64], kernel: Kernel, draws: Sequence[Draw]
) -> NDArray[np.float64]:
    """Unbiased squared MMD of each pair of subsets of x (N, D) and y (M, D), float64 (number of draws,).

    Several processes take each their part of the subsets.
    """
    mine = list(current_processes().share(range(len(draws))))
    size, width = len(draws[0][0]), x.shape[1]
    batch = max(1, _NUMBERS // (2 * size * width + 4 * size * size))
    first, second, values, start = Uploaded(x, device), Uploaded(y, device), np.zeros(len(draws)), 0
    with full_products(device):
        while start < len(mine):
            now = mine[start : start + batch]
            try:
                values[now] = _values(first, second, kernel, [draws[k] for k in now]).cpu().numpy()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = first_line(error)
            else:
                start += batch
                continue
            if batch == 1:
                raise DeviceError(
                    f"device {device}: not enough memory for subsets of {size} rows ({reason}); free some of it, or "
                    "give `device='cpu'`"
                )
            batch //= 2
    current_processes().sum(values)
    return values


def _values(first: Uploaded, second: Uploaded, kernel: Kernel, draws: Sequence[Draw]) -> "Tensor":
    """mean_{i!=j} k(x_i, x_j) + mean_{i!=j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j) of some subsets."""
    count, size = len(draws), len(draws[0][0])
    x, y = (
        own.taken(np.concatenate([draw[side] for draw in draws])).unflatten(0, (count, size))
        for side, own in enumerate((first, second))
    )
    within = [_off_diagonal(polynomial(own @ own.mT, *kernel)) for own in (x, y)]
    crossed = polynomial(x @ y.mT, *kernel).sum((1, 2))
    return (within[0] + within[1]) / (size * (size - 1)) - 2 * crossed / size**2


def _off_diagonal(kernels: Any) -> "Tensor":
    """The sums of square matrices (count, n, n) without their diagonals."""
    diagonals = kernels.diagonal(dim1=1, dim2=2).sum(1)
    sums: Tensor = kernels.sum((1, 2)) - diagonals
    return sums
