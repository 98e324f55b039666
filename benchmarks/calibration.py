"""What the errors, intervals and tests are worth, by simulation.

python benchmarks/calibration.py [--draws 500] [--embeddings REFERENCE GENERATED] [--out calibration.json]
python benchmarks/calibration.py --table calibration.json

Three kinds of data: Gaussian and heavy-tailed (Student's t, 5 degrees of freedom) rows of 16 dimensions, and rows drawn
with replacement from stored features (`cmmd embed`), whose distance is known exactly. Each with equal distributions and
with different ones. Prints one line a setting as it goes.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cmmd_toolkit import Features, frechet_distance, relative_test, squared_mmd, two_sample_test

DIM = 16
SIZES = (100, 500, 2000)
SCALES = np.linspace(1.0, 0.3, DIM)
Rows = np.ndarray


@dataclass(frozen=True)
class Source:
    """Where reference and generated rows come from: `draw(random, n)` for each, and a kernel bandwidth."""

    name: str
    reference: Callable[[np.random.Generator, int], Rows]
    generated: Callable[[np.random.Generator, int], Rows]
    bandwidth: float


class Synthetic:
    def __init__(self, heavy: bool, shift: float, stretch: float) -> None:
        self.heavy, self.shift, self.stretch = heavy, shift, stretch

    def __call__(self, random: np.random.Generator, n: int) -> Rows:
        rows = random.standard_t(5, (n, DIM)) * math.sqrt(3 / 5) if self.heavy else random.standard_normal((n, DIM))
        rows *= SCALES * self.stretch
        rows[:, 0] += self.shift
        return rows


class Resampled:
    def __init__(self, population: Rows) -> None:
        self.population = population

    def __call__(self, random: np.random.Generator, n: int) -> Rows:
        return self.population[random.integers(0, len(self.population), n)]


@cache
def synthetic(heavy: bool, different: bool) -> Source:
    first, second = Synthetic(heavy, 0.0, 1.0), Synthetic(heavy, 0.4 * different, 1.0 + 0.15 * different)
    name = f"{'heavy-tailed' if heavy else 'Gaussian'}, {'different' if different else 'equal'}"
    return Source(name, first, second, 3.0)


def resampled(paths: list[Path], different: bool) -> Source:
    rows = [Features.load(path).values.astype(np.float64) for path in paths]
    rows = [part / np.sqrt(rows[0].var(axis=0).sum()) for part in rows]
    second = rows[1] if different else rows[0]
    name = f"embeddings ({rows[0].shape[1]}), {'different' if different else 'equal'}"
    return Source(name, Resampled(rows[0]), Resampled(second), 1.0)


def truth(source: Source, metric: str) -> float:
    """The distance between the populations: by formula, over all stored rows, or from 50,000 heavy-tailed ones."""
    if "equal" in source.name:
        return 0.0
    x, y = source.reference, source.generated
    if isinstance(x, Synthetic) and isinstance(y, Synthetic):
        if metric == "fd":
            return y.shift**2 + (y.stretch - x.stretch) ** 2 * float(np.square(SCALES).sum())
        return heavy_mmd(source) if x.heavy else gaussian_mmd(x, y, source.bandwidth)
    assert isinstance(x, Resampled)
    assert isinstance(y, Resampled)
    if metric == "mmd":  # two independent draws may be the same row, so the diagonal counts
        options = {"bandwidth": source.bandwidth, "estimator": "biased"}
        return squared_mmd(reference=x.population, generated=y.population, **options).value
    return frechet_distance(reference=_shrunk(x.population), generated=_shrunk(y.population)).value


def _shrunk(rows: Rows) -> Rows:
    """So that the covariance with divisor n - 1 is the population's, with n."""
    mean = rows.mean(axis=0)
    return mean + (rows - mean) * math.sqrt(1 - 1 / len(rows))


def gaussian_mmd(x: Synthetic, y: Synthetic, bandwidth: float) -> float:
    """E exp(-|d|^2 / (2 s^2)) for d ~ N(shift, v) is prod (1 + v / s^2)^(-1/2) exp(-shift^2 / (2 (s^2 + v)))."""

    def mean(a: Synthetic, b: Synthetic) -> float:
        variances = np.square(SCALES) * (a.stretch**2 + b.stretch**2)
        factor = math.exp(-((a.shift - b.shift) ** 2) / (2 * (bandwidth**2 + variances[0])))
        return factor * float(np.prod(1 + variances / bandwidth**2) ** -0.5)

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


@cache
def heavy_mmd(source: Source) -> float:
    random = np.random.default_rng(12345)
    rows = {"reference": source.reference(random, 50_000), "generated": source.generated(random, 50_000)}
    return squared_mmd(**rows, bandwidth=source.bandwidth).value


def interval_setting(source: Source, metric: str, n: int, draws: int) -> dict:
    values, errors, inside, reasons = [], [], 0, 0
    true = truth(source, metric)
    for k in range(draws):
        random = np.random.default_rng([k, n])
        rows = {"reference": source.reference(random, n), "generated": source.generated(random, n)}
        estimate = frechet_distance(**rows) if metric == "fd" else squared_mmd(**rows, bandwidth=source.bandwidth)
        if estimate.interval is None or estimate.standard_error is None:
            reasons += 1
            continue
        values.append(estimate.value)
        errors.append(estimate.standard_error)
        inside += estimate.interval[0] <= true <= estimate.interval[1]
    found = {"kind": "interval", "data": source.name, "metric": metric, "n": n, "draws": draws, "refused": reasons}
    if values:
        ratio = float(np.mean(errors) / np.std(values))
        found |= {"truth": true, "sd": float(np.std(values)), "ratio": ratio, "coverage": inside / len(values)}
    return found


def null_setting(source: Source, test: str, n: int, draws: int) -> dict:
    """Rejections of a true null: equal sets, or two generated sets of one distribution."""
    rejected = 0
    for k in range(draws):
        random = np.random.default_rng([k, n, 7])
        x, y, z = source.reference(random, n), source.generated(random, n), source.generated(random, n)
        if test == "two-sample":
            p = two_sample_test(reference=y, generated=z, permutations=199, seed=k).p_value
            rejected += p <= 0.05
        else:
            metric = test.removeprefix("relative ")
            found = relative_test(reference=x, first=y, second=z, metric=metric, bandwidth=source.bandwidth)
            rejected += found.p_value < 0.05
    return {"kind": "null", "data": source.name, "test": test, "n": n, "draws": draws, "rejected": rejected / draws}


def power_setting(n: int, draws: int) -> dict:
    """The relative test against "their two intervals do not overlap"."""
    tested = apart = 0
    for k in range(draws):
        random = np.random.default_rng([k, n, 11])
        x, y, z = (Synthetic(False, shift, 1.0)(random, n) for shift in (0.0, 0.4, 0.4 + 2.5 / math.sqrt(n)))
        scores = [squared_mmd(reference=x, generated=rows, bandwidth=3.0).interval for rows in (y, z)]
        apart += scores[0] is not None and scores[1] is not None and scores[0][1] < scores[1][0]
        tested += relative_test(reference=x, first=y, second=z, bandwidth=3.0).p_value < 0.05
    return {"kind": "power", "n": n, "draws": draws, "relative test": tested / draws, "intervals apart": apart / draws}


def settings(paths: list[Path] | None, draws: int, kinds: list[str]) -> Iterator[tuple]:
    named = {interval_setting: "interval", null_setting: "null", power_setting: "power"}
    return (setting for setting in every_setting(paths, draws) if named[setting[0]] in kinds)


def every_setting(paths: list[Path] | None, draws: int) -> Iterator[tuple]:
    sources = [(synthetic, (heavy, different)) for heavy in (False, True) for different in (False, True)]
    if paths:
        sources += [(resampled, (paths, different)) for different in (False, True)]
    for n in SIZES:
        for make, arguments in sources:
            for metric in ("mmd", "fd"):
                yield interval_setting, make, arguments, (metric, n, draws)
    for n in (100, 500):
        for make, arguments in sources:
            for test in ("two-sample", "relative mmd", "relative fd"):
                too_few = test == "relative fd" and make is resampled and n == 100
                if (test != "two-sample" or arguments[-1]) and not too_few:
                    yield null_setting, make, arguments, (test, n, draws)
        yield power_setting, None, (), (n, draws)


def work(setting: tuple) -> dict:
    run, make, arguments, rest = setting
    return run(*rest) if make is None else run(make(*arguments), *rest)


def markdown(results: list[dict]) -> str:
    """The tables of docs/inference.md."""
    lines = [
        "| data | metric | n | coverage of 95 % | standard error / spread over draws | refused |",
        "|---|---|---|---|---|---|",
    ]
    for found in (found for found in results if found["kind"] == "interval"):
        worth = (f"{100 * found['coverage']:.1f} %", f"{found['ratio']:.2f}") if "ratio" in found else ("-", "-")
        cells = (found["data"], found["metric"], str(found["n"]), *worth, str(found["refused"]))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| data | test of a true null | n | rejected at 5 % |", "|---|---|---|---|"]
    for found in (found for found in results if found["kind"] == "null"):
        lines.append(f"| {found['data']} | {found['test']} | {found['n']} | {100 * found['rejected']:.1f} % |")
    lines += ["", "| n | relative test finds it | the two intervals do not overlap |", "|---|---|---|"]
    for found in (found for found in results if found["kind"] == "power"):
        lines.append(
            f"| {found['n']} | {100 * found['relative test']:.0f} % | {100 * found['intervals apart']:.0f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--embeddings", type=Path, nargs=2, metavar=("REFERENCE", "GENERATED"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kinds", default="interval,null,power")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, metavar="RESULTS.json", help="print the tables of an earlier run")
    options = parser.parse_args()
    if options.table:
        print(markdown(json.loads(options.table.read_text())))
        return
    results = []
    with ProcessPoolExecutor(options.workers) as pool:
        for found in pool.map(work, settings(options.embeddings, options.draws, options.kinds.split(","))):
            shown = {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in found.items()}
            print("  ".join(f"{name} {value}" for name, value in shown.items()), flush=True)
            results.append(found)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
