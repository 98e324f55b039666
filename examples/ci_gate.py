"""A gate for CI: fail only when a candidate is significantly worse than the baseline.

    python examples/ci_gate.py REAL BASELINE CANDIDATE

Exit code 0: not shown to be worse (a line states how much worse it may still be). 1: worse. 2: bad input.
"""

import argparse
import sys

from cmmd_toolkit import CmmdError, embed, relative_test


def shown(value: float) -> str:
    """Four decimals, and no minus before zero."""
    return f"{round(value, 4) + 0.0:.4f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real")
    parser.add_argument("baseline")
    parser.add_argument("candidate")
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--level", type=float, default=0.05)
    parser.add_argument("--paired", action="store_true", help="Candidate and baseline have the same seeds, in order.")
    given = parser.parse_args()
    try:
        real, baseline, candidate = (
            embed(folder, backbone=given.backbone) for folder in (given.real, given.baseline, given.candidate)
        )
        test = relative_test(reference=real, first=baseline, second=candidate, paired=given.paired, alternative="first")
    except CmmdError as error:
        print(f"ci_gate: {error}", file=sys.stderr)
        return 2
    worse = test.p_value < given.level
    low, high = (-end for end in reversed(test.interval))  # of candidate minus baseline
    print(f"candidate minus baseline, squared MMD: {shown(-test.difference)} (95 % {shown(low)} to {shown(high)})")
    if worse:
        print(f"FAIL: the candidate is farther from {given.real} (p = {test.p_value:.2g})")
    elif high <= 0:
        print(f"pass: the candidate is closer to {given.real}, by {shown(-high)} or more")
    else:
        print(f"pass: not shown to be worse (p = {test.p_value:.2g}); it may be by up to {shown(high)}")
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())
