"""What the exact squared MMD and the joint test of large sets take, measured on one block and said before it begins."""

import time
import warnings
from collections.abc import Sequence

import numpy as np

from ..common.cost import CostWarning, duration_text
from ..common.processes import current_processes
from ..estimation.blocks import BLOCK
from ..estimation.kernel_device import device_of_kernels
from ..estimation.kernels import GaussianRows

FEWER = "`max_images` takes a random subset"
LARGE = 1e12  # multiplications: some ten seconds on one core


def multiplications(n: int, m: int, dim: int) -> float:
    """Of the exact squared MMD of n and m rows of `dim` features: half of the pairs within a set, all between both."""
    return (n * n / 2 + m * m / 2 + n * m) * dim


def warn_of_cost(n: int, m: int, dim: int, instead: str) -> None:
    """Warn, with CostWarning, of an exact squared MMD of more than 10^12 multiplications; `instead` is the advice."""
    count = multiplications(n, m, dim)
    if count <= LARGE:
        return
    seconds = count * seconds_of_block(dim) / (BLOCK * BLOCK * dim) / current_processes().count
    warnings.warn(
        f"squared MMD of {n:,} and {m:,} pictures in {dim:,} dimensions takes {count:.1e} multiplications, about "
        f"{duration_text(seconds)} here; {instead}",
        CostWarning,
        stacklevel=3,
    )


def warn_of_deals(n: int, m: int, backbones: int, passes: Sequence[tuple[int, int]], deals: int) -> None:
    """Warn, with CostWarning, of a joint test of n and m pictures of more than 10^12 multiplications; `passes` are the
    feature dimensions and the number of kernels of each backbone, with copies and without."""
    pairs = (n + m) ** 2 / 2
    count = pairs * sum(dim + kernels * deals for dim, kernels in passes)
    if count <= LARGE:
        return
    blocks = pairs / (BLOCK * BLOCK) / current_processes().count
    of_block = {dim: seconds_of_block(dim) for dim in {deals, *(dim for dim, _ in passes)}}
    seconds = blocks * sum(of_block[dim] + kernels * of_block[deals] for dim, kernels in passes)  # all deals a kernel
    warnings.warn(
        f"the joint test of {n:,} and {m:,} pictures under {backbones} backbone{'s' * (backbones > 1)} takes "
        f"{count:.1e} multiplications, about {duration_text(seconds)} here; half as many pictures take a quarter of it",
        CostWarning,
        stacklevel=3,
    )


def seconds_of_block(dim: int) -> float:
    """Seconds that a block of 1,024 x 1,024 pairs takes where large sums are computed, the best of three: on the CPU
    with all its threads, or on a device."""
    if (device := device_of_kernels(np.float32, LARGE)) is not None:
        from ..estimation.device_sums import seconds_of_pairs

        return seconds_of_pairs(device, dim) * BLOCK * BLOCK
    rows = np.random.default_rng(0).standard_normal((2 * BLOCK, dim), dtype=np.float32)
    kernel, times = GaussianRows(rows, 0.5 / dim), []
    for _ in range(3):
        start = time.perf_counter()
        kernel.block(slice(0, BLOCK), kernel, slice(BLOCK, 2 * BLOCK))
        times.append(time.perf_counter() - start)
    return min(times)
