"""Rows that know their kernel, on a device of torch: the formulas of `kernels`, with tensors for blocks."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..common.devices import is_out_of_memory
from .blocks import BLOCK
from .kernels import GaussianRows, KernelRows, PairedRows, PolynomialRows
from .summed_rows import SummedRows

if TYPE_CHECKING:
    from torch import Tensor

_WHOLE = 2**30  # bytes of rows that are kept on a device which does not say how much memory is free
_SHARE = 4  # of what is free, for the rows of one set
_KEPT = 2  # slices of rows that are not kept whole: a row of blocks uses its first factor again and again


class DeviceRows(Protocol):
    """As `KernelRows`; blocks are tensors on `device`."""

    device: str

    def __len__(self) -> int: ...

    def block(self, i: slice, other: Any, j: slice) -> "Tensor": ...


class Uploaded:
    """Rows on a device: all of them where they take a small part of its memory, else a slice when it is looked at."""

    def __init__(self, rows: Any, device: str) -> None:
        self._rows, self._device, self._first = rows, device, rows[slice(0, 1)]
        self._whole = self._all()
        self._part = lru_cache(_KEPT)(self._sent)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: slice) -> "Tensor":
        if self._whole is not None:
            return self._whole[part]
        start, stop, _ = part.indices(len(self))
        return self._part(start, stop)

    def _all(self) -> "Tensor | None":
        """All rows, None where they take too much."""
        if len(self) * self._first.nbytes * _SHARE > _free(self._device):
            return None
        try:
            return self._sent(0, len(self))
        except RuntimeError as error:  # others use the device, too
            if not is_out_of_memory(error):
                raise
            return None

    def taken(self, index: NDArray[np.int64]) -> "Tensor":
        """Some of the rows, (n, D)."""
        if self._whole is not None:
            return self._whole[as_tensor(index).to(self._device)]
        return as_tensor(self._rows[index]).to(self._device)

    def _sent(self, start: int, stop: int) -> "Tensor":
        import torch

        shape = stop - start, *self._first.shape[1:]
        sent = torch.empty(shape, dtype=as_tensor(self._first).dtype, device=self._device)
        for at in range(start, stop, BLOCK):  # rows that are made anew are held a block at a time
            end = min(at + BLOCK, stop)
            sent[at - start : end - start] = as_tensor(self._rows[slice(at, end)]).to(self._device)
        return sent


class DeviceGaussianRows:
    """`GaussianRows` on a device."""

    def __init__(self, rows: GaussianRows, device: str) -> None:
        self.device = device
        self.scaled = Uploaded(rows.scaled, device)
        self.half_norms = as_tensor(rows.half_norms).to(device)

    def __len__(self) -> int:
        return len(self.scaled)

    def block(self, i: slice, other: "DeviceGaussianRows", j: slice) -> "Tensor":
        block = self.scaled[i] @ other.scaled[j].T
        block -= self.half_norms[i, None]
        block -= other.half_norms[j]
        return block.clamp_(max=0.0).expm1_()  # clamped for the rounding of far rows


class DevicePolynomialRows:
    """`PolynomialRows` on a device."""

    def __init__(self, rows: PolynomialRows, device: str) -> None:
        self.device, self._kernel = device, rows
        self.rows = Uploaded(rows.rows, device)

    def __len__(self) -> int:
        return len(self.rows)

    def block(self, i: slice, other: "DevicePolynomialRows", j: slice) -> "Tensor":
        return polynomial(self.rows[i] @ other.rows[j].T, self._kernel.degree, self._kernel.gamma, self._kernel.coef0)


class DevicePairedRows:
    """`PairedRows` on a device."""

    def __init__(self, first: DeviceRows, second: DeviceRows) -> None:
        self.first, self.second, self.device = first, second, first.device

    def __len__(self) -> int:
        return len(self.first)

    def block(self, i: slice, other: Any, j: slice) -> "Tensor":
        one, two = (other.first, other.second) if isinstance(other, DevicePairedRows) else (other, other)
        block = self.first.block(i, one, j)
        block -= self.second.block(i, two, j)
        return block


class DeviceSummedRows:
    """`SummedRows` on a device."""

    def __init__(self, parts: Sequence[DeviceRows], weights: Sequence[float]) -> None:
        self.parts, self.weights, self.device = parts, weights, parts[0].device

    def __len__(self) -> int:
        return len(self.parts[0])

    def block(self, i: slice, other: "DeviceSummedRows", j: slice) -> "Tensor":
        (own, theirs, weight), *others = zip(self.parts, other.parts, self.weights, strict=True)
        block = own.block(i, theirs, j).mul_(weight)
        for own, theirs, weight in others:
            block = block + own.block(i, theirs, j).mul_(weight)  # in the wider of two types
        return block


def on_device(rows: KernelRows, device: str) -> DeviceRows:
    """The rows on a device; of those that have `products` only."""
    if isinstance(rows, GaussianRows):
        return DeviceGaussianRows(rows, device)
    if isinstance(rows, PolynomialRows):
        return DevicePolynomialRows(rows, device)
    if isinstance(rows, SummedRows):
        return DeviceSummedRows([on_device(part, device) for part in rows.parts], rows.weights)
    assert isinstance(rows, PairedRows)
    return DevicePairedRows(on_device(rows.first, device), on_device(rows.second, device))


def polynomial(products: "Tensor", degree: int, gamma: float, coef0: float) -> "Tensor":
    """(gamma products + coef0)^degree, in the memory of the products where the degree is 1."""
    products *= gamma
    products += coef0
    power = products if degree == 1 else products * products
    for _ in range(degree - 2):
        power *= products
    return power


def as_tensor(rows: Any) -> "Tensor":
    """The same memory as a tensor; a copy where it may not be written to, which torch does not know."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(rows) if rows.flags.writeable else np.array(rows))


def _free(device: str) -> int:
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else _WHOLE * _SHARE
