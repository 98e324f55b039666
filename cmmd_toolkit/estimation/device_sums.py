"""Sums of kernels on a device of torch: as `kernels`, in float64, and nothing but the sums comes back.

Blocks are larger than on the CPU, since one at a time has to keep a GPU busy; where memory runs out they are halved.
The pairs are shared among processes by tiles, whose size depends on the sets and the number of processes alone: so one
process may halve its blocks while the others do not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ..common.devices import NO_FLOAT64, full_float32, is_out_of_memory
from ..common.processes import current_processes
from ..common.text import first_line
from ..errors import DeviceError
from .blocks import BLOCK, parts, upper_pairs
from .device_rows import DeviceRows, on_device
from .kernels import GaussianRows, KernelRows, Vector

if TYPE_CHECKING:
    from torch import Tensor

    Sums = tuple[Tensor, Tensor, Tensor]  # total and sum of squares (2,), row sums, column sums

TILE = 8192
_LEAST_HEIGHT = 128


def within_on(device: str, rows: KernelRows) -> tuple[Vector, Vector]:
    """This process's part of the total and the squares (2,), and of the row sums (N,), over pairs a != b of a set."""
    tile = tile_of(len(rows), current_processes().count)
    totals, row_sums = within(on_device(rows, device), tile)
    return _fetched(totals), _fetched(row_sums)


def between_on(device: str, first: KernelRows, second: KernelRows) -> tuple[Vector, Vector, Vector]:
    """This process's part of the total and the squares (2,), the row sums (N,) and the column sums (M,)."""
    tile = tile_of(max(len(first), len(second)), current_processes().count)
    totals, row_sums, column_sums = between(on_device(first, device), on_device(second, device), tile)
    return _fetched(totals), _fetched(row_sums), _fetched(column_sums)


def tile_of(rows: int, processes: int) -> int:
    """Rows of a tile: at least two tiles a side for each of several processes, so that all have work."""
    return TILE if processes == 1 else min(TILE, max(BLOCK, -(-rows // (2 * processes))))


def within(rows: DeviceRows, tile: int) -> "tuple[Tensor, Tensor]":
    """`within_on` of rows that are there, as tensors."""
    count, tiles = len(rows), _Tiles(rows.device, tile)
    totals, row_sums = tiles.zeros(2), tiles.zeros(count)
    with full_products(rows.device):
        for i, j in current_processes().share(upper_pairs(parts(slice(0, count), tile))):
            part, by_row, by_column = tiles.sums(rows, i, rows, j)
            totals += part if i == j else 2 * part
            row_sums[i] += by_row
            if i != j:
                row_sums[j] += by_column
    return totals, row_sums


def between(first: DeviceRows, second: DeviceRows, tile: int) -> "Sums":
    """`between_on` of rows that are there, as tensors."""
    tiles = _Tiles(first.device, tile)
    totals, row_sums, column_sums = tiles.zeros(2), tiles.zeros(len(first)), tiles.zeros(len(second))
    rows, columns = (parts(slice(0, len(own)), tile) for own in (first, second))
    with full_products(first.device):
        for i, j in current_processes().share(product(rows, columns)):
            part, by_row, by_column = tiles.sums(first, i, second, j)
            totals += part
            row_sums[i] += by_row
            column_sums[j] += by_column
    return totals, row_sums, column_sums


def seconds_of_pairs(device: str, dim: int, count: int = TILE // 2) -> float:
    """Seconds that a pair of float32 rows takes, from count x count of them, the best of three."""
    rows = np.random.default_rng(0).standard_normal((2 * count, dim), dtype=np.float32)
    placed, tiles, times = on_device(GaussianRows(rows, 0.5 / dim), device), _Tiles(device, count), []
    with full_products(device):
        for _ in range(3):
            start = time.perf_counter()
            tiles.sums(placed, slice(0, count), placed, slice(count, 2 * count))[0].tolist()  # waits for the device
            times.append(time.perf_counter() - start)
    return min(times) / count**2


@contextmanager
def full_products(device: str) -> Iterator[None]:
    """No TF32, and no half precision of a program's autocast."""
    import torch

    kind = device.split(":")[0]
    plain = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
    with full_float32(), plain:
        yield


class _Tiles:
    """Sums of tiles in blocks of `height` rows, which are halved where a device has no memory for them."""

    def __init__(self, device: str, tile: int) -> None:
        self.device, self.height = device, tile
        self.home = "cpu" if device.split(":")[0] in NO_FLOAT64 else device  # where float64 is

    def zeros(self, count: int) -> "Tensor":
        """Float64 (count,)."""
        import torch

        return torch.zeros(count, dtype=torch.float64, device=self.home)

    def sums(self, first: DeviceRows, i: slice, second: DeviceRows, j: slice) -> "Sums":
        """Of the kernel of two slices of rows; a row with itself counts as zero where both are the same rows."""
        while True:
            try:
                return self._sums(first, i, second, j)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = first_line(error)
            self._halve(reason)  # here, where the error no longer holds the block

    def _sums(self, first: DeviceRows, i: slice, second: DeviceRows, j: slice) -> "Sums":
        import torch

        totals, by_row, by_column = self.zeros(2), self.zeros(i.stop - i.start), self.zeros(j.stop - j.start)
        for a, b in product(parts(i, self.height), parts(j, self.height)):
            block = first.block(a, second, b)
            if first is second and a == b:
                block.diagonal().zero_()
            block = block.to(self.home).double()
            by_row[a.start - i.start : a.stop - i.start] += (rows := block.sum(1))
            by_column[b.start - j.start : b.stop - j.start] += block.sum(0)
            totals += torch.stack([rows.sum(), torch.linalg.vector_norm(block).square()])
        return totals, by_row, by_column

    def _halve(self, reason: str) -> None:
        import torch

        if self.height // 2 < _LEAST_HEIGHT:
            raise DeviceError(
                f"device {self.device}: not enough memory for blocks of {self.height} x {self.height} pairs "
                f"({reason}); free some of it, or give `device='cpu'`"
            )
        self.height //= 2
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()


def _fetched(sums: "Tensor") -> Vector:
    fetched: Vector = sums.cpu().numpy()
    return fetched
