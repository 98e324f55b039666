"""Frechet distance at D = 2048 compared with scipy.linalg.sqrtm, as pytorch-fid and clean-fid compute it.

    python benchmarks/frechet.py [--dim 2048] [--rows 4000]

Prints times, the ratio sqrtm / ours (higher is better for us), and the relative difference of the values.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np
import scipy.linalg

from cmmd_toolkit import GaussianStatistics, frechet_distance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sides = [features(arguments.rows, arguments.dim, seed) for seed in (0, 1)]
    ours_features, ours_bare, ours_statistics, peer = [], [], [], []
    values = {}
    for _ in range(arguments.rounds):
        seconds, values["ours"] = timed(lambda: frechet_distance(reference=sides[0], generated=sides[1]))
        ours_features.append(seconds)
        seconds, _ = timed(partial(frechet_distance, reference=sides[0], generated=sides[1], errors=False))
        ours_bare.append(seconds)
        covariance, (one, other) = timed(lambda: [statistics_of(side) for side in sides])
        seconds, _ = timed(partial(frechet_distance, reference=one, generated=other))
        ours_statistics.append(seconds)
        seconds, values["sqrtm"] = timed(partial(sqrtm_route, one, other))
        peer.append(seconds)
    print(f"{arguments.rows} rows, D = {arguments.dim}; covariances alone {covariance:.2f} s")
    report("from statistics", peer, ours_statistics)
    whole = [seconds + covariance for seconds in peer]
    report("from features, value alone", whole, ours_bare)
    report("from features, with standard error and interval", whole, ours_features)
    ours = values["ours"]
    print(f"route {ours.parameters['route']}, relative difference {abs(float(ours) / values['sqrtm'] - 1):.1e}")


def features(rows: int, dim: int, seed: int) -> np.ndarray:
    """Rows with a spectrum that decays like that of network features."""
    generator = np.random.default_rng(seed)
    scales = 1 / np.sqrt(1 + np.arange(dim) / 20)
    return (generator.standard_normal((rows, dim)) * scales + 0.02 * seed).astype(np.float32)


def statistics_of(rows: np.ndarray) -> GaussianStatistics:
    """As pytorch-fid computes them, from float64 rows."""
    rows = rows.astype(np.float64)
    return GaussianStatistics(rows.mean(axis=0), np.cov(rows, rowvar=False), len(rows))


def sqrtm_route(reference: GaussianStatistics, generated: GaussianStatistics) -> float:
    root = scipy.linalg.sqrtm(reference.cov @ generated.cov)
    shift = np.square(reference.mean - generated.mean).sum()
    return float(shift + np.trace(reference.cov) + np.trace(generated.cov) - 2 * np.trace(root.real))


def timed(function: object) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def report(title: str, peer: list[float], ours: list[float]) -> None:
    ratio = statistics.median(a / b for a, b in zip(peer, ours, strict=True))
    print(f"{title}: sqrtm {statistics.median(peer):.2f} s, ours {statistics.median(ours):.2f} s, ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
