"""Sums over pairs through torch on a device compared with NumPy on the CPU.

    python benchmarks/device.py --device cuda [--rows 20000] [--dim 768] [--rounds 3]

Prints, for each number, the least time of both over alternating rounds, the ratio device / NumPy (lower is better for
the device), and by how much the values differ.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from cmmd_toolkit import frechet_distance, kernel_distance, kernels_on, precision_recall, squared_mmd
from cmmd_toolkit.estimation import gaussian, kernels, pair_distances
from cmmd_toolkit.metrics import kid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", required=True, help="cuda, cuda:1, mps; torch-cpu is torch on the CPU")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    x, y = (np.random.default_rng(seed).standard_normal((given.rows, given.dim), np.float32) for seed in (0, 1))
    works: dict[str, Callable[[], float]] = {
        "squared MMD": lambda: squared_mmd(reference=x, generated=y, bandwidth=given.dim**0.5).value,
        "kernel distance": lambda: kernel_distance(reference=x, generated=y).value,
        "by subsets": lambda: kernel_distance(reference=x, generated=y, recipe="clean-fid").value,
        "Frechet distance": lambda: frechet_distance(reference=x, generated=y, errors=False).value,
        "precision": lambda: precision_recall(reference=x, generated=y).precision.value,
    }
    for name, work in works.items():
        here, there = [], []
        for _ in range(given.rounds):
            here.append(timed(work))
            with on(given.device):
                there.append(timed(work))
        least, device = min(here), min(there)
        difference = abs(there[0][1] - here[0][1])
        times = f"NumPy {least[0]:.2f} s, {given.device} {device[0]:.2f} s, ratio {device[0] / least[0]:.2f}"
        print(f"{name}: {times}; the values differ by {difference:.1e}")


@contextmanager
def on(device: str) -> Iterator[None]:
    """The device; torch on the CPU is none that a user could ask for."""
    if device != "torch-cpu":
        with kernels_on(device):
            yield
        return
    modules = (kernels, gaussian, pair_distances, kid)
    before = kernels.device_of_kernels
    for module in modules:
        module.device_of_kernels = lambda _dtype, _multiplications: "cpu"  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.device_of_kernels = before  # type: ignore[attr-defined]


def timed(work: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


if __name__ == "__main__":
    main()
