"""`deal_forms` on a device of torch: the rows and deals travel there once, and no block of pairs comes back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..common.devices import NO_FLOAT64, is_out_of_memory
from ..common.processes import current_processes
from ..common.progress import Advance
from ..common.text import first_line
from ..errors import DeviceError
from .blocks import BLOCK, parts, upper_pairs
from .deal_forms import Kernel, Matrix, ScaledRows
from .device_rows import as_tensor
from .device_sums import full_products

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_HEIGHT = 128


def forms_on(
    device: str,
    rows: ScaledRows,
    kernels: Sequence[Kernel],
    signs: NDArray[np.float32],
    advance: Advance = lambda _share: None,
    height: int = 4 * BLOCK,
) -> tuple[Matrix, Matrix, Matrix]:
    """This process's part of `Forms`, in blocks of `height` rows, which are halved where a device has no memory."""
    done = 0.0

    def counted(share: float) -> None:
        nonlocal done
        done += share
        advance(share)

    try:
        with full_products(device):
            return _Forms(device, rows, kernels, signs).summed(height, counted)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        if height // 2 < _LEAST_HEIGHT or current_processes().count > 1:  # others keep their blocks
            raise DeviceError(
                f"device {device}: not enough memory for blocks of {height} x {height} pairs and {signs.shape[1]:,} "
                f"deals ({first_line(error)}); free some of it, or give `device='cpu'`"
            ) from error
    advance(-done)  # that part begins again
    return forms_on(device, rows, kernels, signs, advance, height // 2)


class _Forms:
    """The rows and signs on a device."""

    def __init__(self, device: str, rows: ScaledRows, kernels: Sequence[Kernel], signs: NDArray[np.float32]) -> None:
        self.home = "cpu" if device.split(":")[0] in NO_FLOAT64 else device  # where float64 is
        self.rows, self.half_norms = (as_tensor(own).to(device) for own in (rows.rows, rows.half_norms))
        self.signs = as_tensor(signs).to(device).to(self.rows.dtype)
        self.kernels = kernels

    def summed(self, height: int, advance: Advance) -> tuple[Matrix, Matrix, Matrix]:
        """Forms, sums of rows, sums of squares."""
        import torch

        count, (total, deals) = len(self.kernels), self.signs.shape
        shapes = (count, deals), (count, total), (count,)
        forms, row_sums, squares = (torch.zeros(shape, dtype=torch.float64, device=self.home) for shape in shapes)
        pairs = list(current_processes().share(upper_pairs(parts(slice(0, total), height))))
        for i, j in pairs:
            both, halves = 1 if i == j else 2, self._half_squares(i, j)
            for k, kernel in enumerate(self.kernels):
                block = self._block(kernel, halves, is_diagonal=i == j)
                form = ((block @ self.signs[j]) * self.signs[i]).to(self.home)
                block = block.to(self.home)
                forms[k] += both * form.sum(0, dtype=torch.float64)
                squares[k] += both * torch.linalg.vector_norm(block, dtype=torch.float64).square()
                row_sums[k, i] += block.sum(1, dtype=torch.float64)
                if i != j:
                    row_sums[k, j] += block.sum(0, dtype=torch.float64)
            advance(1 / len(pairs))
        return tuple(own.cpu().numpy() for own in (forms, row_sums, squares))  # type: ignore[return-value]

    def _half_squares(self, i: slice, j: slice) -> "Tensor":
        block = self.half_norms[i, None] - self.rows[i] @ self.rows[j].T
        block += self.half_norms[j]
        return block.clamp_(min=0.0)

    def _block(self, kernel: Kernel, halves: "Tensor", *, is_diagonal: bool) -> "Tensor":
        if kernel.family == "gaussian":
            block = (halves * (-1 / kernel.width**2)).exp_()
        else:
            block = (2 * halves).sqrt_().mul_(-1 / kernel.width).exp_()
        block -= kernel.offset
        if is_diagonal:
            block.diagonal().zero_()
        return block
