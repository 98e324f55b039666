"""How reliable the joint verdict of `rank` over several backbones is, by simulation.

python benchmarks/joint_ranking.py [--draws 400] [--only KIND] [--out docs/joint_ranking.json]
python benchmarks/joint_ranking.py --table docs/joint_ranking.json

A picture is a vector of two halves; the first backbone sees the first half and some of the second, the second backbone
the other way round. A model that has a fault in the first half and one that has the same fault in the second are
equally far on average, by symmetry, however odd the fault and the backbones are. Prints one line per setting.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from calibration_data import Normal, normal_mmd
from joint_ranking_data import HALF, KINDS, REFERENCES, Case, Rows, fault
from markdown_tables import percent_cells, table
from scipy.optimize import brentq

from cmmd_toolkit.estimation.gaussian import GaussianFit
from cmmd_toolkit.estimation.groups import holm
from cmmd_toolkit.inference.averages import Averages, covariance_of, spread_of_reference
from cmmd_toolkit.inference.everywhere import every_tests
from cmmd_toolkit.inference.ordering import Ordered, order_sets
from cmmd_toolkit.metrics import frechet
from cmmd_toolkit.metrics.mmd import MmdReference

Found = dict[str, object]
Verdict = tuple[list[Ordered], Ordered, dict[tuple[str, str], float], tuple]


def judged(views: Sequence[Sequence[Rows]], metric: str, paired: bool, alone: bool = True) -> Verdict:
    """What `rank` computes of the views, which are by backbone, the reference first: the order of each backbone (where
    those are wanted), of the average, the average's p-values by Holm's rule, and the tests on every backbone."""
    names, scores = [str(i) for i in range(len(views[0]) - 1)], []
    for x, *others in views:
        if metric == "fd":
            fit = GaussianFit.of(x, "reference")
            scores.append([frechet.score(fit, GaussianFit.of(y, "generated")) for y in others])
        else:
            ruler = MmdReference(x, "median", "unbiased", 0)
            scores.append([ruler.score(y) for y in others])
    averages = Averages([1 / (len(scores) * spread_of_reference(own[0])) for own in scores])
    found = [averages.of([own[i] for own in scores]) for i in range(len(names))]
    average = order_sets(names, found, alpha=0.05, paired=paired, covariance=covariance_of(found, paired))
    single = [order_sets(names, own, alpha=0.05, paired=paired) for own in scores] if alone else []
    pairs = [(own.better, own.worse) for own in average.pairs]
    by_holm = holm({(int(own.better), int(own.worse)): own.p_value for own in average.pairs})
    return single, average, by_holm, every_tests(pairs, [own.pairs for own in single]) if alone else ()


def draw(case: Case, n: int, metric: str, k: int, sizes: Sequence[int] = ()) -> Verdict:
    x, models = case.draw(np.random.default_rng([k, n, 17]), n)
    models = [rows[:size] for rows, size in zip(models, sizes, strict=True)] if sizes else models
    views = list(zip(*(case.views(rows) for rows in (x, *models)), strict=True))
    return judged(views, metric, case.paired, alone=False)


def null_line(case: Case, n: int, metric: str, draws: int, sizes: Sequence[int] = ()) -> Found:
    """Models equally far on average: how often any difference among them is declared, and coverage of zero."""
    equal = {str(i) for i in range(len(case.halves))}
    p_values, any_by, covered = [], {"largest": 0, "Holm": 0}, []
    for k in range(draws):
        _, average, by_holm, _ = draw(case, n, metric, k, sizes)
        own = [pair for pair in average.pairs if {pair.better, pair.worse} <= equal]
        (first,) = (pair for pair in own if {pair.better, pair.worse} == {"0", "1"})
        p_values.append(first.p_value)
        covered.append(first.interval[0] <= 0 <= first.interval[1])
        any_by["largest"] += any(pair.p_adjusted <= 0.05 for pair in own)
        any_by["Holm"] += any(by_holm[int(pair.better), int(pair.worse)] <= 0.05 for pair in own)
    name = case.name + (f", sizes {' and '.join(map(str, sizes))}" if sizes else "")
    return {"kind": "null", "data": name, "metric": metric, "sets": len(case.halves) + case.far, "n": n, "draws": draws,
            "at 5%": float(np.mean(np.array(p_values) <= 0.05)), "at 1%": float(np.mean(np.array(p_values) <= 0.01)),
            "coverage": float(np.mean(covered)), "any by largest": any_by["largest"] / draws,
            "any by Holm": any_by["Holm"] / draws}  # fmt: skip


def unlike_line(scale: float, n: int, draws: int) -> Found:
    """One model too wide where the first backbone looks, one shifted where the second does, equally far on average."""
    first, second = Normal(HALF), Normal(HALF)
    widths = [math.sqrt(2 * HALF)] * 2

    def share(reference: Normal, model: Normal, width: float) -> float:
        spread = 1 - (1 + 2 / width**2) ** (-HALF / 2)
        return normal_mmd(reference, model, width) / spread

    target = share(first, Normal(HALF, scale=scale), widths[0])
    shift = brentq(lambda s: share(second, Normal(HALF, s), widths[1]) - target, 0, 20)
    rejected, covered = [], 0
    for k in range(draws):
        random = np.random.default_rng([k, n, 23])
        x, y, z = ([random.standard_normal((n, HALF)) for _ in (0, 1)] for _ in range(3))
        y[0] *= scale
        z[1][:, 0] += shift
        scores = []
        for b in (0, 1):
            ruler = MmdReference(x[b], widths[b], "unbiased", 0)
            scores.append([ruler.score(rows[b]) for rows in (y, z)])
        averages = Averages([1 / (2 * spread_of_reference(own[0])) for own in scores])
        found = [averages.of([own[i] for own in scores]) for i in (0, 1)]
        (pair,) = order_sets(["y", "z"], found, alpha=0.05, covariance=covariance_of(found, False)).pairs
        rejected.append(pair.p_value)
        covered += pair.interval[0] <= 0 <= pair.interval[1]
    found_at = {f"at {level:.0%}": float(np.mean(np.array(rejected) <= level)) for level in (0.05, 0.01)}
    return {"kind": "null", "data": f"{scale:g} times too wide on the first, shifted on the second", "metric": "mmd",
            "sets": 2, "n": n, "draws": draws, **found_at, "coverage": covered / draws}  # fmt: skip


def everywhere_line(case: Case, n: int, metric: str, draws: int) -> Found:
    """One backbone sees no difference, the other a large one: how often "closer on every backbone" is claimed."""
    claims = 0
    for k in range(draws):
        random = np.random.default_rng([k, n, 29])
        x, models = case.draw(random, n)
        models = [models[0], *(fault(rows, 1, "shift", 1.5 * (i + 1), random) for i, rows in enumerate(models[1:]))]
        views = [list(side) for side in zip(*(_halves(rows) for rows in (x, *models)), strict=True)]
        claims += any(test.p_adjusted <= 0.05 for test in judged(views, metric, case.paired)[3])
    return {"kind": "everywhere", "data": f"{case.name}; far apart on the second backbone", "metric": metric,
            "sets": len(case.halves), "n": n, "draws": draws, "claimed": claims / draws}  # fmt: skip


def _halves(rows: Rows) -> list[Rows]:
    return [rows[:, :HALF], rows[:, HALF:]]


def power_line(shifts: Sequence[float], n: int, draws: int) -> Found:
    """Shifts of both halves: share of all pairs found by the average (corrected by the largest and by Holm), and by
    each backbone alone."""
    largest = by_rule = single = every = 0
    pairs = len(shifts) * (len(shifts) - 1) // 2
    for k in range(draws):
        random = np.random.default_rng([k, n, 31])
        case = Case("shift", 0.0, tuple(0 for _ in shifts))
        x, models = case.draw(random, n)
        models = [
            fault(fault(m, 0, "shift", s, random), 1, "shift", s, random) for m, s in zip(models, shifts, strict=True)
        ]
        views = list(zip(*(case.views(rows) for rows in (x, *models)), strict=True))
        alone, average, by_holm, tests = judged(views, "mmd", False)
        largest += sum(pair.p_adjusted <= 0.05 for pair in average.pairs)
        by_rule += sum(p <= 0.05 for p in by_holm.values())
        single += sum(pair.p_adjusted <= 0.05 for pair in alone[0].pairs)
        every += sum(test.p_adjusted <= 0.05 for test in tests)
    total = draws * pairs
    return {"kind": "power", "data": f"shifted by {', '.join(f'{s:g}' for s in shifts)} in both halves", "n": n,
            "draws": draws, "average, largest": largest / total, "average, Holm": by_rule / total,
            "one backbone": single / total, "every backbone": every / total}  # fmt: skip


def settings(draws: int) -> list[tuple[Callable[..., Found], tuple]]:
    few = draws // 2
    nulls: list[tuple] = [
        *((Case("none", backbone=own), 100, "mmd", draws) for own in KINDS),
        *((Case("shift", size, backbone=own), 100, "mmd", draws) for size in (0.3, 1.0) for own in KINDS),
    ]
    for kind, size in (("scale", 1.4), ("blur", 0.3), ("copies", 0.3)):
        nulls += [(Case(kind, size, reference=own), 100, "mmd", draws) for own in REFERENCES]
        nulls.append((Case(kind, size, backbone="unit length", reference="clusters"), 100, "mmd", draws))
    for kind, size in (("none", 0.0), ("shift", 0.3), ("shift", 1.0), ("scale", 1.4)):
        nulls.append((Case(kind, size, paired=True), 100, "mmd", draws))
    nulls += [
        (Case("shift", 0.4), 40, "mmd", draws),
        (Case("shift", 0.4), 300, "mmd", few),
        (Case("copies", 0.3, reference="clusters"), 300, "mmd", few),
        (Case("shift", 0.5), 160, "mmd", draws, (160, 60)),
        (Case("none"), 160, "mmd", draws, (60, 160)),
        (Case("none", halves=(0, 1) * 2), 100, "mmd", few),
        (Case("none", halves=(0, 1) * 2, far=2), 100, "mmd", few),
        (Case("shift", 0.6, halves=(0, 1) * 2), 100, "mmd", few),
        (Case("shift", 0.6, halves=(0, 1) * 2, paired=True), 100, "mmd", few),
        (Case("copies", 0.3, halves=(0, 1) * 2, far=1), 100, "mmd", few),
    ]
    for kind, size in (("none", 0.0), ("shift", 0.5), ("scale", 1.2)):
        nulls += [(Case(kind, size, paired=p), n, "fd", few) for n, p in ((100, False), (300, False), (100, True))]
    every: list[tuple[Callable[..., Found], tuple]] = [(null_line, given) for given in nulls]
    every += [(unlike_line, (scale, n, draws)) for scale, n in ((1.15, 100), (1.4, 100), (1.15, 400))]
    for halves in ((0, 0), (0, 0, 0, 0)):
        for kind, size in (("none", 0.0), ("shift", 0.6)):
            every.append((everywhere_line, (Case(kind, size, halves), 100, "mmd", few)))
    every.append((everywhere_line, (Case("none", halves=(0, 0)), 100, "fd", few)))
    for shifts in ((0.0, 0.55), (0.0, 0.4, 0.6, 0.9), (0.0, 0.25, 0.4, 0.5, 0.6, 0.7)):
        every.append((power_line, (shifts, 100, few)))
    return every


TABLES = {
    "null": (
        "Equally far on average",
        ("data", "metric", "sets", "n", "draws", "at 5%", "at 1%", "coverage", "any by largest", "any by Holm"),
    ),
    "everywhere": (
        "No difference on one backbone, a large one on the other",
        ("data", "metric", "sets", "n", "draws", "claimed"),
    ),
    "power": (
        "Pairs found",
        ("data", "n", "draws", "average, largest", "average, Holm", "one backbone", "every backbone"),
    ),
}
HEADS = {"at 5%": "rejected at 5 %", "at 1%": "at 1 %", "coverage": "interval covers 0",
         "any by largest": "any declared", "any by Holm": "by Holm's rule", "claimed": "closer on every backbone",
         "average, largest": "average", "average, Holm": "average, Holm's rule"}  # fmt: skip


def markdown(results: Sequence[Found]) -> str:
    lines: list[str] = []
    for kind, (title, columns) in TABLES.items():
        chosen = (own for own in results if own["kind"] == kind)
        rows = [percent_cells(found.get(name, "-") for name in columns) for found in chosen]
        lines += [f"**{title}**", "", *table([HEADS.get(name, name) for name in columns], rows), ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--only", choices=["null", "unlike", "everywhere", "power"])
    parser.add_argument("--part", help="I/N: every N-th setting, from I (0-based)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, metavar="RESULTS.json", help="print the tables of an earlier run")
    options = parser.parse_args()
    if options.table:
        print(markdown(json.loads(options.table.read_text())))
        return
    chosen = [own for own in settings(options.draws) if options.only in (None, own[0].__name__.removesuffix("_line"))]
    if options.part:
        part, parts = map(int, options.part.split("/"))
        chosen = chosen[part::parts]
    results = []
    for run, given in chosen:
        found = run(*given)
        shown = {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in found.items()}
        print("  ".join(f"{name} {value}" for name, value in shown.items()), flush=True)
        results.append(found)
        if options.out:
            options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
