"""False alarms of `cmmd watch` over a hundred looks, and how late its true alarms come: what docs/watching.md states.

    python benchmarks/watching.py --out docs/watching.json              # about an hour of one core
    python benchmarks/watching.py --pairs --runs 300 --out docs/watching.json
    python benchmarks/watching.py --only flat --runs 50
    python benchmarks/watching.py --table docs/watching.json

A line is a kind of run, simulated many times. In a null no look is worse than an earlier one; a run counts as a false
alarm when any of its looks is called worse, or (in nulls without improvement) better. In the others looks get worse
from a known one on; the delay is the number of looks from there to the alarm, inclusive, beside that of a test with a
fixed sample that is asked once: the first look at which `relative_test` against the look before the fall, one-sided at
5 %, refuses in half of the runs.
"""

import argparse
import json
import math
import zlib
from pathlib import Path

import markdown_tables
import numpy as np
from watching_cases import Case, cases, moved, rare

from cmmd_toolkit.estimation import kernels
from cmmd_toolkit.inference.checkpoints import checkpoint_test
from cmmd_toolkit.inference.looks import Looks
from cmmd_toolkit.inference.relative import compare_mmd
from cmmd_toolkit.metrics.mmd import MmdReference

ALPHA = 0.05
PAIR = "two looks: "
NULLS = "runs in which no look is worse", "rows", "reference", "runs", "called worse", "called better"
FALLS = ("runs that get worse after ten looks", "rows", "runs", "alarm before", "found",
         "looks until the alarm (median, 90 %)", "fixed sample, asked once")  # fmt: skip
PAIRS = "two looks, neither worse", "tests", "mean evidence", "reaches 5", "reaches 20"
NAIVE = "flat, ten looks, each with the relative test at 5 % against the best before it"


def simulate(case: Case, random: np.random.Generator) -> tuple[str, int, list[float]]:
    """The first claim of a run and its look, and for falling runs the p-values of tests that are asked once."""
    reference = MmdReference(case.noise(random, case.references), case.bandwidth, "unbiased", 0)
    looks, kept, base, asked = Looks(ALPHA), {}, None, []
    claim = ("", 0)
    for look in range(case.looks):
        score = reference.score(case.draw(random, look, case.rows, kept))
        compared = looks.add([score])
        if compared is not None and not claim[0]:
            if compared.verdict == "worse" or (compared.verdict == "better" and not (case.improves or case.falls)):
                claim = (compared.verdict, look + 1)
            if claim[0] and not case.falls:
                break
        if case.falls and look + 1 == case.falls - 1:
            base = score
        elif case.falls and look + 1 >= case.falls and len(asked) < 12:
            test = compare_mmd(base, score, paired=False, alternative="first")
            asked.append(test.p_value)
        if case.falls and claim[0] and len(asked) == 12:
            break
    return *claim, asked


def line(case: Case, runs: int) -> dict:
    """The counts of one kind of run."""
    seed = zlib.crc32(case.name.encode())
    found = [simulate(case, np.random.default_rng([seed, run])) for run in range(runs)]
    alarms = [look for claim, look, _ in found if claim == "worse"]
    facts = {"data": case.name, "rows": case.rows, "references": case.references, "dim": case.dim, "looks": case.looks,
             "runs": runs, "worse": len(alarms), "better": sum(claim == "better" for claim, *_ in found)}  # fmt: skip
    if not case.falls:
        return facts
    early = sum(look < case.falls for look in alarms)
    delays = sorted([look - case.falls + 1 for look in alarms if look >= case.falls] + [999] * (runs - len(alarms)))
    shares = np.mean(np.array([asked for *_, asked in found]) < ALPHA, axis=0)
    fixed = next((k + 1 for k, share in enumerate(shares) if share >= 0.5), None)
    return {**facts, "falls": case.falls, "early": early, "delays": delays, "fixed": fixed,
            "refused_once": [float(share) for share in shares]}  # fmt: skip


def pair_line(case: Case, runs: int) -> dict:
    """Two looks of a null, large enough for alarms, with a level of their own: how often the evidence reaches x.

    A hundred looks share one level so finely that small looks of a null cannot raise an alarm; two looks can.
    """
    evidence, (rows, references) = [], case.pair
    for run in range(runs):
        random, kept = np.random.default_rng([zlib.crc32(case.name.encode()), run, 2]), {}
        real = (case.real or case.noise)(random, references)
        reference = MmdReference(real, case.bandwidth, "unbiased", 0)
        earlier, later = (reference.score(case.draw(random, look, rows, kept)) for look in (0, 1))
        test = checkpoint_test(earlier=earlier, later=later)
        evidence += [math.exp(test.log_evidence(sign)) for sign in (1, -1)]
    reached = {str(x): float(np.mean(np.array(evidence) >= x)) for x in (5, 20, 100)}
    return {"data": f"{PAIR}{case.name}", "rows": rows, "references": references, "runs": runs,
            "mean": float(np.mean(evidence)), "largest": max(evidence), "reached": reached}  # fmt: skip


def naive_line(runs: int) -> dict:
    """What a test at 5 % at each of ten looks does: the relative test of each look against the best before it."""
    alarms = 0
    for run in range(runs):
        random = np.random.default_rng([run, 5])
        reference = MmdReference(random.standard_normal((150, 8)), "median", "unbiased", 0)
        best = None
        for _ in range(10):
            score = reference.score(moved(random.standard_normal((50, 8)), 1.0))
            if best is not None and compare_mmd(best, score, paired=False, alternative="first").p_value < ALPHA:
                alarms += 1
                break
            if best is None or score.estimate.value < best.estimate.value:
                best = score
    return {"data": NAIVE, "rows": 50, "references": 150, "looks": 10, "runs": runs, "worse": alarms}


def table(lines: list[dict]) -> str:
    """The results in Markdown."""
    nulls, falls, pairs = [], [], []
    for own in lines:
        if own["data"].startswith(PAIR):
            five, twenty = (f"{100 * own['reached'][x]:.1f} %" for x in ("5", "20"))
            name = own["data"].removeprefix(PAIR)
            pairs.append((name, f"{2 * own['runs']}", f"{own['mean']:.2f}", five, twenty))
            continue
        share = 100 * own["worse"] / own["runs"]
        if own["data"] == NAIVE:
            continue
        if "delays" not in own:
            better = "-" if "improves" in own["data"] else f"{100 * own['better'] / own['runs']:.1f} %"
            sizes = (str(own[name]) for name in ("data", "rows", "references", "runs"))
            nulls.append((*sizes, f"{share:.1f} %", better))
            continue
        half, most = (_delay_text(own["delays"], q) for q in (0.5, 0.9))
        early = f"{100 * own['early'] / own['runs']:.1f} %"
        fixed = own["fixed"] or f"more than {len(own['refused_once'])}"
        sizes = (str(own[name]) for name in ("data", "rows", "runs"))
        falls.append((*sizes, early, f"{share:.0f} %", f"{half}, {most}", str(fixed)))
    tables = zip((NULLS, FALLS, PAIRS), (nulls, falls, pairs), strict=True)
    return "\n\n".join("\n".join(markdown_tables.table(headings, rows)) for headings, rows in tables)


def _delay_text(delays: list[int], quantile: float) -> str:
    value = delays[min(int(quantile * len(delays)), len(delays) - 1)]
    return str(value) if value < 999 else "never"


def main() -> None:
    kernels.in_parallel = lambda work, tasks: map(work, tasks)  # for such small sets threads take longer than the sums
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument(
        "--pairs", action="store_true", help="simulate pairs of looks, each with its own level, instead of runs"
    )
    parser.add_argument("--only", default="", help="only lines whose name contains this")
    parser.add_argument("--out", type=Path, help="JSON file to add the lines to")
    parser.add_argument("--table", type=Path, metavar="RESULTS.json")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.table.read_text())))
        return
    if options.pairs:
        for case in (*cases(), rare()):
            if options.only in case.name and not (case.falls or case.improves):
                keep(pair_line(case, options.runs), options.out)
        return
    if options.only in NAIVE:
        keep(naive_line(options.runs), options.out)
    for case in cases():
        if options.only in case.name:
            most = options.runs if not case.falls else 40 if case.rows < 1000 else 10
            keep(line(case, min(options.runs, most)), options.out)


def keep(found: dict, out: Path | None) -> None:
    """Print a line, and put it among those of the file."""
    print(json.dumps(found), flush=True)
    if out:
        before = json.loads(out.read_text()) if out.exists() else []
        kept = [own for own in before if own["data"] != found["data"]]
        out.write_text(json.dumps([*kept, found], indent=1) + "\n")


if __name__ == "__main__":
    main()
