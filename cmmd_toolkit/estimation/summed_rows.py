"""Rows of several kernels: a weighted sum of kernels is a kernel of the pictures whose rows they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .kernels import KernelRows, Products, Rows


class SummedRows:
    """Row i of every part belongs to picture i; blocks are sum_b w_b k_b.

    Squared MMD is linear in the kernel, so that of this kernel is the weighted sum of those of the parts.
    """

    def __init__(self, parts: Sequence[KernelRows], weights: Sequence[float]) -> None:
        self.parts, self.weights = tuple(parts), tuple(weights)

    def __len__(self) -> int:
        return len(self.parts[0])

    @property
    def products(self) -> Products | None:
        known = [part.products for part in self.parts]
        if any(own is None for own in known):
            return None
        return np.result_type(*(own[0] for own in known if own)), sum(own[1] for own in known if own)

    def diagonal(self) -> float:
        return sum(weight * part.diagonal() for part, weight in zip(self.parts, self.weights, strict=True))

    def joined(self, other: Any) -> "SummedRows":
        """The rows of both."""
        pairs: list[tuple[Any, Any]] = list(zip(self.parts, other.parts, strict=True))
        return SummedRows([one.joined(two) for one, two in pairs], self.weights)

    def block(self, i: slice, other: Any, j: slice) -> Rows:
        first, *others = zip(self.parts, other.parts, self.weights, strict=True)
        block = _weighed(*first, i, j)
        for part in others:
            block = block + _weighed(*part, i, j)  # in the wider of two types
        return block


def _weighed(own: KernelRows, other: KernelRows, weight: float, i: slice, j: slice) -> Rows:
    block = own.block(i, other, j)
    block *= block.dtype.type(weight)
    return block
