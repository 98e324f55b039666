"""Level and power of the joint test compared with other tests, by simulation.

python benchmarks/power.py power [--embeddings mini.safetensors] [--draws 200] [--data digits] --out docs/power.json
python benchmarks/power.py level [--draws 1000] --out docs/power.json
python benchmarks/power.py backbones [--draws 200] --out docs/power.json
python benchmarks/power.py cost [--rows 5000] [--backbones 5] --out docs/power.json
python benchmarks/power.py table docs/power.json

The embeddings are stored features with class folders in their names (`cmmd embed pictures.zip --backbone mini`). A part
replaces its own lines in the file and leaves the others. Every test of a draw sees the same deals.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from power_data import FAULTS, Fault, Pool, pair_of, pools
from power_tables import markdown
from scipy.linalg import svdvals
from scipy.spatial.distance import pdist, squareform

from cmmd_toolkit import joint_test, two_sample_test
from cmmd_toolkit.estimation.deal_forms import Kernel, ScaledRows, forms_of
from cmmd_toolkit.estimation.groups import holm
from cmmd_toolkit.inference.dealt_kernels import DealtKernels
from cmmd_toolkit.inference.joint import kernels_for
from cmmd_toolkit.inference.pooled_pictures import deals

Found = dict[str, object]
Rows = np.ndarray
PERMUTATIONS, N = 299, 150
LEVEL = 0.05
KERNELS = kernels_for(nearest=1.0)
MEDIAN = KERNELS.index(Kernel("gaussian", 1.0))
WIDE = tuple(k for k, kernel in enumerate(KERNELS) if kernel.family == "gaussian")


# ---- tests: from both sets and their deals to a statistic of each deal, the observed one first ----------


class Dealt:
    """Both sets pooled, the deals, and what the tests have in common."""

    def __init__(self, x: Rows, y: Rows, seed: int) -> None:
        self.n, self.m, self.rows = len(x), len(y), np.concatenate([x, y])
        self.signs = deals(np.arange(self.n + self.m) < self.n, PERMUTATIONS, seed)
        self.distances = squareform(pdist(self.rows))
        self.median = float(np.median(self.distances[np.triu_indices(self.n + self.m, 1)]))
        scaled = ScaledRows(self.rows, self.rows.mean(axis=0), self.median, min(kernel.width for kernel in KERNELS))
        self.own = DealtKernels.of(forms_of(scaled, KERNELS, self.signs), self.signs)

    def mmd(self, kernel: Rows) -> Rows:
        """The unbiased squared MMD of each deal by its definition; the diagonal does not count."""
        kernel = (kernel - np.diag(np.diag(kernel))).astype(np.float32)
        first = (self.signs > 0).astype(np.float32)
        within = np.einsum("ip,ip->p", first, kernel @ first, dtype=np.float64)
        to_all = (kernel.sum(axis=1, dtype=np.float64) @ first) - within  # between both sets
        others = kernel.sum(dtype=np.float64) - within - 2 * to_all
        n, m = self.n, self.m
        return within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * to_all / (n * m)

    @cached_property
    def collected(self) -> list[tuple[float, Rows]]:
        """Of each kernel of the collection the mean square and the squared MMDs."""
        total = len(self.rows)
        return [
            ((np.square(own).sum() - total) / (total * (total - 1)), self.mmd(own - own.mean()))
            for own in self.collection()
        ]

    def collection(self) -> list[Rows]:
        """Ten Gaussian and ten Laplace kernels, from half of the 5 % point of the distances to twice the 95 % point."""
        apart = self.distances[np.triu_indices(len(self.rows), 1)]
        low, high = np.quantile(apart, 0.05) / 2, np.quantile(apart, 0.95) * 2
        widths = np.geomspace(low, high, 10)
        return [np.exp(-((self.distances / w) ** 2) / 2) for w in widths] + [
            np.exp(-self.distances / w) for w in widths
        ]


def joint(dealt: Dealt) -> Rows:
    return np.maximum(dealt.own.differences.max(axis=0), np.abs(dealt.own.contrasts).max(axis=0))


def in_99th(dealt: Dealt) -> Rows:
    """The same, each statistic in units of its 99 % point over all deals."""
    scores = np.concatenate([dealt.own.differences, np.abs(dealt.own.contrasts)])
    return (scores / np.quantile(scores, 0.99, axis=1)[:, None]).max(axis=0)


def median_width(dealt: Dealt) -> Rows:
    return dealt.own.differences[MEDIAN]


def widths(dealt: Dealt) -> Rows:
    """The largest squared MMD alone."""
    return dealt.own.differences.max(axis=0)


def contrasts(dealt: Dealt) -> Rows:
    return np.abs(dealt.own.contrasts).max(axis=0)


def gaussian_only(dealt: Dealt) -> Rows:
    """The joint statistic without the Laplace kernels."""
    own = np.array(WIDE)
    return np.maximum(dealt.own.differences[own].max(axis=0), np.abs(dealt.own.contrasts[own]).max(axis=0))


def kernel_sum(dealt: Dealt) -> Rows:
    return dealt.own.differences.sum(axis=0)


def energy(dealt: Dealt) -> Rows:
    return dealt.mmd(-dealt.distances)


def mmdagg(dealt: Dealt) -> Rows:
    """Schrab et al. 2023: the smallest p-value of the collection, uniform weights, calibrated by the same deals."""
    values = np.stack([mmd for _, mmd in dealt.collected])
    ranks = (-values).argsort(axis=1).argsort(axis=1)
    return -ranks.min(axis=0).astype(float)


def fuse(dealt: Dealt) -> Rows:
    """Biggs et al. 2023: log mean exp of n times the squared MMD over the root mean square of the kernel."""
    n = min(dealt.n, dealt.m)
    values = [np.sqrt(n * (n - 1)) * mmd / np.sqrt(square) for square, mmd in dealt.collected]
    top = np.max(values, axis=0)
    return top + np.log(np.exp(np.stack(values) - top).mean(axis=0))


def frechet(dealt: Dealt) -> Rows:
    """The Frechet distance on the first 16 principal directions of both sets, each deal anew."""
    centred = dealt.rows - dealt.rows.mean(axis=0)
    rows = centred @ np.linalg.svd(centred, full_matrices=False)[2][:16].T
    return np.array([_frechet(rows[own > 0], rows[own < 0]) for own in dealt.signs.T])


def _frechet(x: Rows, y: Rows) -> float:
    """|difference of means|^2 + tr S + tr T - 2 tr (S T)^(1/2), the last one as a sum of singular values."""
    a, b = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (x, y))
    cross = svdvals(np.linalg.qr(a)[1] @ np.linalg.qr(b)[1].T).sum()
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * cross)


TESTS: dict[str, Callable[[Dealt], Rows]] = {
    "joint": joint,
    "median width": median_width,
    "MMD at all widths": widths,
    "contrasts alone": contrasts,
    "joint, Gaussian kernels": gaussian_only,
    "joint, by 99 % points": in_99th,
    "MMDAgg": mmdagg,
    "MMD-FUSE": fuse,
    "sum of kernels": kernel_sum,
    "energy distance": energy,
    "Frechet distance": frechet,
}


def p_value(statistics: Rows) -> float:
    return float((statistics >= statistics[0] - 1e-9 * abs(statistics[0])).mean())


# ---- lines -----------------------------------------------------------------------------------------------


def power_line(pool: Pool, fault: Fault, draws: int) -> Found:
    p_values = {name: [] for name in TESTS}
    for seed in range(draws):
        dealt = Dealt(*pair_of(pool, fault, seed, N), seed)
        for name, test in TESTS.items():
            p_values[name].append(p_value(test(dealt)))
    shares = {name: float(np.mean(np.array(own) <= LEVEL)) for name, own in p_values.items()}
    return {"kind": "power", "data": pool.name, "fault": fault[0], "n": N, "draws": draws, **shares}


def level_line(name: str, make: Callable[[np.random.Generator], tuple], draws: int) -> Found:
    """joint_test itself, where nothing differs."""
    p_values = []
    for seed in range(draws):
        x, y = make(np.random.default_rng([seed, 11]))
        p_values.append(joint_test(reference=x, generated=y, permutations=99, seed=seed).p_value)
    rejected = {f"at {level:.0%}": float(np.mean(np.array(p_values) <= level)) for level in (0.05, 0.01)}
    return {"kind": "level", "data": name, "draws": draws, **rejected}


def views(rows: Rows) -> dict[str, Rows]:
    """Five backbones of the same pictures: the rows, four coarse directions, and three random networks."""
    random = np.random.default_rng(3)
    scaled = rows / max(1e-9, float(np.abs(rows).max()))
    found = {"rows": rows, "coarse": rows @ random.standard_normal((rows.shape[1], 4))}
    for k in range(3):
        weights = random.standard_normal((rows.shape[1], 24)) * (1, 3, 9)[k] / np.sqrt(rows.shape[1])
        found[f"network {k + 1}"] = np.tanh(scaled @ weights * 3)
    return found


def backbones_line(pool: Pool, fault: Fault, draws: int) -> Found:
    """One joint test of five backbones, and what people do with five p-values."""
    found: dict[str, list[bool]] = {}
    for seed in range(draws):
        x, y = (views(rows) for rows in pair_of(pool, fault, seed, 100))
        options = {"permutations": 199, "seed": seed}
        alone = [joint_test(reference=x[own], generated=y[own], **options).p_value for own in x]
        medians = [two_sample_test(reference=x[own], generated=y[own], **options).p_value for own in x]
        smallest = {
            "joint": joint_test(reference=x, generated=y, **options).p_value,
            "joint tests alone, Holm": min(holm(dict(enumerate(alone))).values()),
            "median width, Holm": min(holm(dict(enumerate(medians))).values()),
            "median width, smallest p": min(medians),
        }
        for name, p in smallest.items():
            found.setdefault(name, []).append(p <= LEVEL)
    shares = {name: float(np.mean(own)) for name, own in found.items()}
    return {"kind": "backbones", "data": pool.name, "fault": fault[0], "n": 100, "draws": draws, **shares}


def cost_line(rows: int, backbones: int, dim: int = 768) -> Found:
    random = np.random.default_rng(0)
    sides = [{f"b{k}": random.standard_normal((rows, dim), dtype=np.float32) for k in range(backbones)} for _ in "xy"]
    start, used = time.perf_counter(), time.process_time()
    joint_test(reference=sides[0], generated=sides[1])
    seconds, used = time.perf_counter() - start, time.process_time() - used
    found = {"kind": "cost", "rows": rows, "backbones": backbones, "dim": dim}
    return {**found, "seconds": round(seconds), "processor seconds": round(used)}


def nulls(found: list[Pool]) -> dict[str, Callable[[np.random.Generator], tuple]]:
    def from_pool(pool: Pool, n: int, m: int) -> Callable[[np.random.Generator], tuple]:
        return lambda random: pool.draw(random, n, m)[:2]

    def tails(random: np.random.Generator) -> tuple:
        return tuple(random.standard_t(1, (count, 8)) for count in (60, 90))

    def tiny(random: np.random.Generator) -> tuple:
        return tuple(random.standard_normal((count, 3)) for count in (4, 7))

    def copies(random: np.random.Generator) -> tuple:
        return tuple(found[1].rows[random.integers(0, 1797, 120)] for _ in "xy")

    def many(random: np.random.Generator) -> tuple:
        return tuple(views(rows) for rows in found[1].draw(random, 60, 60)[:2])

    own = {f"{pool.name}, n = 100": from_pool(pool, 100, 100) for pool in found}
    own[f"{found[0].name}, n = 30 and 200"] = from_pool(found[0], 30, 200)
    own[f"{found[0].name}, n = 20 and 40"] = from_pool(found[0], 20, 40)
    own |= {"Student's t, 1 degree of freedom, n = 60 and 90": tails, "three dimensions, n = 4 and 7": tiny}
    own |= {"digits drawn with replacement, n = 120": copies, "five backbones of digits, n = 60": many}
    return own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["power", "level", "backbones", "cost", "table"])
    parser.add_argument("results", nargs="?", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--embeddings", type=Path, metavar="FEATURES")
    parser.add_argument("--data", default="", help="only pools and nulls whose names begin with this")
    parser.add_argument("--fault", default="", help="only faults whose names begin with this")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--backbones", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.part == "table":
        print(markdown(json.loads(options.results.read_text())))
        return
    every = pools(options.embeddings)
    chosen = [pool for pool in every if pool.name.startswith(options.data)]
    faults = [fault for fault in FAULTS if fault[0].startswith(options.fault)]
    if options.part == "power":
        lines = (power_line(pool, fault, options.draws) for pool in chosen for fault in faults)
    elif options.part == "backbones":
        lines = (backbones_line(pool, fault, options.draws) for pool in chosen for fault in faults)
    elif options.part == "cost":
        lines = iter([cost_line(options.rows, options.backbones)])
    else:
        wanted = {name: make for name, make in nulls(every).items() if name.startswith(options.data)}
        lines = (level_line(name, make, options.draws) for name, make in wanted.items())
    for line in lines:
        print("  ".join(f"{name} {value}" for name, value in line.items()), flush=True)
        if options.out:
            keep(options.out, line)


def keep(path: Path, line: Found) -> None:
    """Put a line into the file, in place of an earlier one about the same."""

    def about(own: Found) -> tuple:
        return tuple(own.get(name) for name in ("kind", "data", "fault", "rows", "backbones"))

    results = json.loads(path.read_text()) if path.exists() else []
    place = next((i for i, own in enumerate(results) if about(own) == about(line)), len(results))
    results[place : place + 1] = [line]
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
