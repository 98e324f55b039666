"""How reliable errors, intervals, tests and plans are, by simulation.

python benchmarks/calibration.py --embeddings mini.safetensors [--draws 500] [--workers 2] [--out calibration.json]
python benchmarks/calibration.py --table calibration.json

The embeddings are stored features with class folders in their names (`cmmd embed pictures.zip --backbone mini`); rows
are drawn from them with replacement, so that true distances are known. Prints one line per setting.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from calibration_data import (
    Case,
    Normal,
    directions,
    equal,
    faults,
    missing,
    normal_case,
    real_equal,
    real_halves,
)

from cmmd_toolkit import frechet_distance, rank, relative_test, squared_mmd, two_sample_test
from cmmd_toolkit.inference.sample_size import images_needed, pilot_of_mmd
from cmmd_toolkit.metrics.mmd import MmdReference, median_distance

Found = dict[str, object]
Make = tuple[Callable[..., Case], tuple]
PILOTS = 20  # of a plan, each with draws / PILOTS draws of the size that it asks for


def heavy(dim: int, df: int, shift: float) -> Case:
    """Student's t; the truth under one bandwidth from three samples of 6,000."""
    reference, generated = Normal(dim, df=df), Normal(dim, shift, df=df)
    random = np.random.default_rng(12345)
    bandwidth = median_distance(reference.draw(random, 4000))

    def mmd(a: Normal, b: Normal, bandwidth: float) -> float:
        draws = [(a.draw(random, 6000), b.draw(random, 6000)) for _ in range(3)]
        return float(np.mean([squared_mmd(reference=x, generated=y, bandwidth=bandwidth).value for x, y in draws]))

    name = f"Student's t, {df} degrees of freedom, d = {dim}, {f'shifted by {shift:g}' if shift else 'equal'}"
    return Case(name, reference, (generated,), bandwidth, mmd if shift else lambda *_: 0.0, lambda *_: math.nan)


def one_shifted(dim: int, shift: float) -> Case:
    return normal_case(f"one equal to the reference, one shifted by {shift:g}", *[Normal(dim)] * 2, Normal(dim, shift))


def shifted(dim: int, *shifts: float) -> Case:
    name = f"shifted by {' and '.join(f'{shift:.3g}' for shift in shifts)}"
    return normal_case(name, Normal(dim), *(Normal(dim, shift) for shift in shifts))


def stretched(dim: int, shift: float, scale: float) -> Case:
    return normal_case("different" if shift else "equal", Normal(dim), Normal(dim, shift, scale=scale))


def score(case: Case, metric: str, x: np.ndarray, y: np.ndarray, bandwidth: float | str | None = None):
    if metric == "fd":
        return frechet_distance(reference=x, generated=y)
    return squared_mmd(reference=x, generated=y, bandwidth=bandwidth or case.bandwidth)


def interval_line(case: Case, metric: str, n: int, draws: int, copies: float = 0.0, median: bool = False) -> Found:
    """Coverage of the interval of a distance; a share of the generated rows may be copies of others."""
    values, errors, inside, refused = [], [], 0, 0
    true = case.truth(metric)
    for k in range(draws):
        random = np.random.default_rng([k, n])
        x, y, *_ = case.draw(random, n)
        order, count = random.permutation(n), round(copies * n)
        y[order[:count]] = y[order[count : 2 * count]]
        estimate = score(case, metric, x, y, "median" if median else None)
        if estimate.interval is None:
            refused += 1
            continue
        values.append(estimate.corrected)
        errors.append(estimate.standard_error)
        inside += estimate.interval[0] <= true <= estimate.interval[1]
    name = case.name + (f", {copies:.0%} copies" if copies else "") + (", median bandwidth" if median else "")
    found: Found = {"kind": "interval", "data": name, "metric": metric, "n": n, "draws": draws, "refused": refused}
    if values:
        spread = float(np.std(values))
        found |= {"truth": true, "sd": spread, "ratio": float(np.mean(errors)) / spread}
        found |= {"coverage": inside / len(values)}
    return found


def dependent_line(case: Case, metric: str, n: int, draws: int, noise: float) -> Found:
    """How often a set that is made of the reference's own rows gets no interval."""
    refused = 0
    for k in range(draws):
        random = np.random.default_rng([k, n])
        x, *_ = case.draw(random, n)
        refused += score(case, metric, x, x + noise * random.standard_normal(x.shape)).interval is None
    name = f"reference rows with noise {noise:g}" if noise else "a set against itself"
    return {"kind": "dependent", "data": f"{name}, {case.name.split(', ')[-1]}", "metric": metric, "n": n,
            "draws": draws, "no interval": refused / draws}  # fmt: skip


def null_line(case: Case, metric: str, n: int, draws: int, paired: bool = False) -> Found:
    """The relative test where both models are equally far: how often it rejects, and coverage of zero."""
    p_values, covered = [], 0
    for k in range(draws):
        x, y, z = case.draw(np.random.default_rng([k, n, 7]), n, paired)
        found = relative_test(reference=x, first=y, second=z, metric=metric, paired=paired, bandwidth=case.bandwidth)
        p_values.append(found.p_value)
        covered += found.interval[0] <= 0 <= found.interval[1]
    rejected = {f"at {level:.0%}": float(np.mean(np.array(p_values) <= level)) for level in (0.05, 0.01)}
    name = case.name + (", paired" if paired else "")
    return {"kind": "null", "data": name, "test": f"relative {metric}", "n": n, "draws": draws, **rejected,
            "coverage": covered / draws}  # fmt: skip


def two_sample_line(case: Case, n: int, draws: int) -> Found:
    p_values = []
    for k in range(draws):
        _, y, z = case.draw(np.random.default_rng([k, n, 7]), n)
        p_values.append(two_sample_test(reference=y, generated=z, permutations=199, seed=k).p_value)
    rejected = {f"at {level:.0%}": float(np.mean(np.array(p_values) <= level)) for level in (0.05, 0.01)}
    return {"kind": "null", "data": case.name, "test": "two-sample", "n": n, "draws": draws, **rejected}


def difference_line(case: Case, metric: str, n: int, draws: int) -> Found:
    """Coverage of the interval of a difference of two distances."""
    true, inside, refused, values, errors = case.truth(metric, 0) - case.truth(metric, 1), 0, 0, [], []
    for k in range(draws):
        x, y, z = case.draw(np.random.default_rng([k, n, 5]), n)
        found = relative_test(reference=x, first=y, second=z, metric=metric, bandwidth=case.bandwidth)
        inside += found.interval[0] <= true <= found.interval[1]
        values.append(found.difference)
        errors.append(found.standard_error)
    return {"kind": "difference", "data": case.name, "metric": metric, "n": n, "draws": draws, "refused": refused,
            "coverage": inside / draws, "ratio": float(np.mean(errors) / np.std(values))}  # fmt: skip


def rank_line(case: Case, n: int, draws: int, metric: str = "mmd") -> Found:
    """How often `rank` declares any difference among sets that are equally far."""
    wrong = 0
    for k in range(draws):
        x, *others = case.draw(np.random.default_rng([k, n, 3]), n)
        sets = {f"set {i}": rows for i, rows in enumerate(others)}
        (order,) = rank(x, sets, metric=metric).orders
        wrong += any(pair.p_adjusted < 0.05 for pair in order.pairs)
    return {"kind": "rank", "data": case.name, "sets": len(case.generated), "metric": metric, "n": n, "draws": draws,
            "any wrong": wrong / draws}  # fmt: skip


def power_line(case: Case, n: int, draws: int) -> Found:
    """The relative test beside an oracle that knows the spread, and beside intervals that do not overlap."""
    tests, apart = [], 0
    for k in range(draws):
        x, y, z = case.draw(np.random.default_rng([k, n, 11]), n)
        tests.append(relative_test(reference=x, first=y, second=z, bandwidth=case.bandwidth))
        one, two = (squared_mmd(reference=x, generated=rows, bandwidth=case.bandwidth).interval for rows in (y, z))
        apart += one is not None and two is not None and (one[1] < two[0] or two[1] < one[0])
    values = np.array([test.difference for test in tests])
    errors = np.array([test.standard_error for test in tests])
    return {"kind": "power", "data": case.name, "n": n, "draws": draws,
            "test": float(np.mean([test.p_value <= 0.05 for test in tests])),
            "normal": float(np.mean(np.abs(values / errors) > 1.96)),
            "oracle": float(np.mean(np.abs(values) > 1.96 * values.std())), "apart": apart / draws}  # fmt: skip


def plan_line(case: Case, n: int, draws: int, alike: bool) -> Found:
    """Pilots of the first model; then as many pictures of both models as each pilot's plan asks for."""
    difference = abs(case.truth("mmd", 1) - case.truth("mmd", 0))
    found, sizes = 0, []
    for pilot in range(PILOTS):
        random = np.random.default_rng([pilot, n, 13])
        x, y, _ = case.draw(random, n)
        parts = pilot_of_mmd(MmdReference(x, case.bandwidth, "unbiased", 0).score(y))
        count = images_needed(parts, difference, alike=alike)
        sizes.append(count)
        if count is None:
            continue
        for _ in range(draws // PILOTS):
            others = [model.draw(random, count) for model in case.generated]
            fresh = case.reference.draw(random, n)
            test = relative_test(reference=fresh, first=others[0], second=others[1], bandwidth=case.bandwidth)
            found += test.p_value <= 0.05
    known = [size for size in sizes if size is not None]
    return {"kind": "plan", "data": case.name, "pilot": n, "draws": draws, "assumed": "alike" if alike else "unlike",
            "no number": len(sizes) - len(known), "pictures": float(np.median(known)) if known else None,
            "power": found / (draws // PILOTS * max(len(known), 1))}  # fmt: skip


Setting = tuple[Callable[..., Found], Make, tuple]


def every_setting(path: Path | None, draws: int) -> Iterator[Setting]:
    yield from _distances(path, draws)
    yield from _copies_and_tails(draws)
    yield from _nulls(path, draws)
    for make, n in (((one_shifted, (5, 1.0)), 400), ((equal, (16,)), 300), ((shifted, (16, 0.5, 1.0)), 300)):
        for metric in ("mmd", "fd"):
            yield difference_line, make, (metric, n, draws)
    yield from _ranks(path, draws)
    for n in (100, 300):
        yield power_line, (shifted, (16, 0.4, 0.4 + 3.5 / math.sqrt(n))), (n, draws)
        yield power_line, (shifted, (16, 0.0, 5.0 / math.sqrt(n))), (n, draws)
    yield plan_line, (shifted, (16, 0.5, 0.6)), (500, draws, True)
    yield plan_line, (opposite, (16, 0.5, 0.75)), (500, draws, True)
    yield plan_line, (opposite, (16, 0.5, 0.75)), (500, draws, False)


def _distances(path: Path | None, draws: int) -> Iterator[Setting]:
    synthetic: list[Make] = [(stretched, (16, 0.0, 1.0)), (stretched, (16, 0.4, 1.15))]
    real: list[Make] = [] if path is None else [(real_equal, (path,)), (real_halves, (path,))]
    for n in (100, 300, 1000):
        for metric in ("mmd", "fd"):
            few = metric == "fd" and n == 100
            for make in synthetic + ([] if few else real):
                yield interval_line, make, (metric, n, draws)


def _copies_and_tails(draws: int) -> Iterator[Setting]:
    for df in (1, 2, 5):
        for shift in (0.0, 0.5):
            yield interval_line, (heavy, (16, df, shift)), ("mmd", 300, draws)
        for shift in (0.5, 3.0):
            yield interval_line, (heavy, (16, df, shift)), ("mmd", 300, draws, 0.0, True)
    for metric in ("mmd", "fd"):
        yield interval_line, (stretched, (16, 0.0, 1.0)), (metric, 300, draws, 0.2)
        yield interval_line, (stretched, (16, 0.4, 1.15)), (metric, 300, draws, 0.2)
        for noise in (0.0, 0.05):
            yield dependent_line, (equal, (16,)), (metric, 300, draws, noise)


def _ranks(path: Path | None, draws: int) -> Iterator[Setting]:
    for count in (3, 6):
        yield rank_line, (equal, (16, count)), (100, draws)
    yield rank_line, (directions, (16, 0.4, 4)), (100, draws)
    yield rank_line, (equal, (16, 3)), (100, draws, "fd")
    if path is not None:
        yield rank_line, (real_equal, (path, 4)), (100, draws)


def _nulls(path: Path | None, draws: int) -> Iterator[Setting]:
    near: list[Make] = [(directions, (8, 0.25)), (directions, (64, 0.4)), (faults, (8, 1.1))]
    others: list[Make] = [(equal, (8,)), (equal, (64,)), (equal, (256,)), (directions, (16, 0.4))]
    others += [(directions, (256, 0.5)), (faults, (8, 1.4)), (faults, (64, 1.05))]
    if path is not None:
        near, others = [*near, (missing, (path, 0, 1))], [*others, (real_equal, (path,)), (missing, (path, 3, 5))]
    for n, makes in ((100, near + others), (300, near)):
        for make in makes:
            for paired in (False, True)[: 1 if make[0] is real_equal else 2]:  # its pairs would be copies
                yield null_line, make, ("mmd", n, draws, paired)
    for make in near[2:]:
        yield null_line, make, ("mmd", 800, draws)
    yield from _frechet_nulls(path, draws)
    for dim in (8, 64):
        yield two_sample_line, (equal, (dim,)), (100, draws)


def _frechet_nulls(path: Path | None, draws: int) -> Iterator[Setting]:
    for make, n in (((equal, (8,)), 100), ((equal, (8,)), 300), ((equal, (64,)), 300), ((directions, (16, 0.5)), 300)):
        for paired in (False, True):
            yield null_line, make, ("fd", n, draws, paired)
    if path is not None:
        yield null_line, (real_equal, (path,)), ("fd", 400, draws)


def opposite(dim: int, first: float, second: float) -> Case:
    models = Normal(dim, first), Normal(dim, second, 1)
    return normal_case(f"shifted by {first:g} and {second:g} in different directions", Normal(dim), *models)


def work(setting: tuple) -> Found:
    run, (make, arguments), rest = setting
    return run(make(*arguments), *rest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--embeddings", type=Path, metavar="FEATURES")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--only", help="the lines of one kind: interval, dependent, null, difference, rank, power, plan"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, metavar="RESULTS.json", help="print the tables of an earlier run")
    options = parser.parse_args()
    if options.table:
        from calibration_tables import markdown

        print(markdown(json.loads(options.table.read_text())))
        return
    results = []
    chosen = [
        setting
        for setting in every_setting(options.embeddings, options.draws)
        if options.only in (None, setting[0].__name__.removesuffix("_line").replace("two_sample", "null"))
    ]
    with ProcessPoolExecutor(options.workers) as pool:
        for found in pool.map(work, chosen):
            shown = {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in found.items()}
            print("  ".join(f"{name} {value}" for name, value in shown.items()), flush=True)
            results.append(found)
            if options.out:
                options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
