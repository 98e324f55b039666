"""Squared MMD compared with the public full-matrix formula in float32 (the one of cmmd-pytorch).

    python benchmarks/mmd.py [--rows 10000] [--dim 768]

Prints times, the ratio ours / public (lower is better for us), the memory in addition to the inputs, and both values
compared with float64.
"""

import argparse
import statistics
import threading
import time
from pathlib import Path

import numpy as np
import torch

from cmmd_toolkit import squared_mmd
from cmmd_toolkit.metrics import mmd

BANDWIDTH = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    x, y = (embeddings(arguments.rows, arguments.dim, seed) for seed in (0, 1))
    squared_mmd(reference=x[:500], generated=y[:500])
    times = []
    for _ in range(arguments.rounds):
        ours, value, memory = measured(
            lambda: float(squared_mmd(reference=x, generated=y, bandwidth=BANDWIDTH, estimator="biased"))
        )
        public, public_value, _ = measured(lambda: full_matrices(x, y))
        times.append((ours, public))
    with_median, _, median_memory = measured(lambda: float(squared_mmd(reference=x, generated=y)))
    our_time, public_time = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{arguments.rows} x {arguments.rows} x {arguments.dim}: public {public_time:.2f} s, ours {our_time:.2f} s")
    print(f"  ours / public {statistics.median(a / b for a, b in times):.2f}")
    print(f"  memory on top of the inputs {memory / 1e6:.0f} MB")
    print(f"  with the median bandwidth {with_median:.2f} s, {median_memory / 1e6:.0f} MB")
    mmd._EXACT_MULTIPLICATIONS = float("inf")
    exact = float(squared_mmd(reference=x, generated=y, bandwidth=BANDWIDTH, estimator="biased"))
    print(f"  x 1000: float64 {1000 * exact:.9f}, ours {1000 * value:.9f}, public {1000 * public_value:.9f}")


def embeddings(rows: int, dim: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((rows, dim)) + 0.05 * seed
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def full_matrices(x: np.ndarray, y: np.ndarray) -> float:
    """mean K_xx + mean K_yy - 2 mean K_xy with whole float32 matrices, squared norms from the diagonal of x x^T."""
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    gamma = 1 / (2 * BANDWIDTH**2)
    a_norms, b_norms = torch.diag(a @ a.T), torch.diag(b @ b.T)
    means = [
        torch.exp(-gamma * (-2 * (first @ second.T) + left[:, None] + right[None, :])).mean()
        for first, second, left, right in ((a, a, a_norms, a_norms), (b, b, b_norms, b_norms), (a, b, a_norms, b_norms))
    ]
    return float(means[0] + means[1] - 2 * means[2])


def measured(function: object) -> tuple[float, float, int]:
    """Seconds, value, and the highest resident memory above that at the start."""
    before, highest, stop = resident(), [resident()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            highest[0] = max(highest[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    value = function()
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    return seconds, value, highest[0] - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
