"""Blocked sums of the Gaussian kernel: exact pairs, float64 sums, nothing of size N x M.

    k(a, b) = exp(-gamma |a - b|^2),   gamma = 1 / (2 bandwidth^2)

The sums are of k - 1 = expm1(-gamma |a - b|^2): the ones cancel in every difference of kernel means, and
near k = 1 they would take the digits with them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Rows = NDArray[np.floating[Any]]
Pair = tuple[slice, slice]
BLOCK = 1024


def gamma_of(bandwidth: float) -> float:
    """1 / (2 bandwidth^2), the only place where gamma is made."""
    return 1.0 / (2.0 * bandwidth * bandwidth)


def sum_within(rows: Rows, gamma: float) -> float:
    """Sum of k(a, b) - 1 over ordered pairs a != b of one set."""
    scaled, norms = _scaled(rows, gamma)

    def block_sum(pair: Pair) -> float:
        i, j = pair
        block = _kernel_block(scaled[i], scaled[j], norms[i], norms[j])
        if i == j:
            np.fill_diagonal(block, 0.0)
        return float(block.sum(dtype=np.float64)) * (1.0 if i == j else 2.0)

    blocks = _blocks(len(rows))
    return _sum_in_parallel(block_sum, [(i, j) for i, j in product(blocks, blocks) if i.start <= j.start])


def sum_between(first: Rows, second: Rows, gamma: float) -> float:
    """Sum of k(a, b) - 1 over all pairs, a of the first and b of the second set."""
    (x, x_norms), (y, y_norms) = _scaled(first, gamma), _scaled(second, gamma)

    def block_sum(pair: Pair) -> float:
        i, j = pair
        return float(_kernel_block(x[i], y[j], x_norms[i], y_norms[j]).sum(dtype=np.float64))

    return _sum_in_parallel(block_sum, list(product(_blocks(len(x)), _blocks(len(y)))))


def squared_distances(first: Rows, second: Rows) -> Rows:
    """|a - b|^2 of all pairs (N, M); for blocks and small sets."""
    block = -2.0 * (first @ second.T)
    block += _squared_norms(first)[:, None]
    block += _squared_norms(second)[None, :]
    return np.maximum(block, 0.0, out=block)


def _kernel_block(first: Rows, second: Rows, norms: Rows, other: Rows) -> Rows:
    """expm1(-gamma |a - b|^2) of one block of scaled rows: a.b - |a|^2 / 2 - |b|^2 / 2 is the exponent."""
    block: Rows = first @ second.T
    block -= norms[:, None]
    block -= other
    np.expm1(block, out=block)
    return block


def _sum_in_parallel(block_sum: Callable[[Pair], float], pairs: list[Pair]) -> float:
    """Sum over blocks, one thread a block and one BLAS thread each: a tenth faster than threads within a block.

    The partial sums are added in the order of `pairs`, so the result does not depend on the thread count.
    """
    controller = ThreadpoolController().select(user_api="blas")
    threads = max((library["num_threads"] for library in controller.info()), default=1)
    with controller.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(block_sum, pairs))


def _scaled(rows: Rows, gamma: float) -> tuple[Rows, Rows]:
    """Rows times sqrt(2 gamma), and half their squared norms."""
    scaled = rows * rows.dtype.type(np.sqrt(2.0 * gamma))
    return scaled, _squared_norms(scaled) / 2


def _squared_norms(rows: Rows) -> Rows:
    norms: Rows = np.einsum("ij,ij->i", rows, rows)
    return norms


def _blocks(length: int) -> list[slice]:
    return [slice(i, min(i + BLOCK, length)) for i in range(0, length, BLOCK)]
