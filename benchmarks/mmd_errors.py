"""The cost of standard errors: squared MMD with its errors compared with the value alone from the same blocks.

python benchmarks/mmd_errors.py [--rows 4000] [--dims 64,256,768] [--rounds 7]

Prints the median ratio of paired runs; the bandwidth is given, so neither side looks for a median.
"""

import argparse
import statistics
import time
from itertools import product

import numpy as np

from cmmd_toolkit import squared_mmd
from cmmd_toolkit.estimation.blocks import blocks, in_parallel, upper_pairs
from cmmd_toolkit.estimation.kernels import GaussianRows, gamma_of

BANDWIDTH = 0.9


def bare(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased value from the sums of blocks alone."""
    centre = x.mean(axis=0, dtype=np.float64)
    a, b = (GaussianRows((rows - centre).astype(np.float64), gamma_of(BANDWIDTH)) for rows in (x, y))
    n, m = len(a), len(b)
    return within(a) / (n * (n - 1)) + within(b) / (m * (m - 1)) - 2 * between(a, b) / (n * m)


def within(rows: GaussianRows) -> float:
    def one(pair: tuple[slice, slice]) -> float:
        i, j = pair
        return float(rows.block(i, rows, j).sum()) * (1.0 if i == j else 2.0)

    return sum(in_parallel(one, upper_pairs(blocks(len(rows)))))


def between(a: GaussianRows, b: GaussianRows) -> float:
    return sum(
        in_parallel(lambda pair: float(a.block(pair[0], b, pair[1]).sum()), product(blocks(len(a)), blocks(len(b))))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--dims", default="64,256,768")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for dim in map(int, options.dims.split(",")):
        x, y = (np.random.default_rng(seed).standard_normal((options.rows, dim)) for seed in (0, 1))
        x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
        ratios = []
        for _ in range(options.rounds):
            start = time.perf_counter()
            value = bare(x, y)
            middle = time.perf_counter()
            estimate = squared_mmd(reference=x, generated=y, bandwidth=BANDWIDTH)
            ratios.append((time.perf_counter() - middle) / (middle - start))
        print(
            f"{options.rows} x {options.rows} x {dim}: with errors / bare {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f}); values differ by {abs(value - estimate.value):.1e}"
        )


if __name__ == "__main__":
    main()
